/* The log of a training: CSV, HDF5 and the picture of how it went.
 * needs: plot */
#include "pipeline/learn/pl_training_log.h"

#include <hdf5.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_file.h"
#include "tests/lc_test.h"

#define PER_EPOCH 3

static char folder[256];

/* A training of two tasks that has done `step` steps; nothing else of it is looked at. */
struct world {
  struct pl_recipe recipe;
  struct vit_train train;
  struct pl_training_log log;
  char path[300];
};

static void world_init(struct world *w, const char *name) {
  const struct pl_overrides none = {0};
  memset(w, 0, sizeof *w);
  assert_ok(pl_recipe_make(&w->recipe, &none, &test_err));
  snprintf(w->path, sizeof w->path, "%s/%s", folder, name);
  assert_ok(lc_folder_make(w->path, &test_err));
  assert_ok(pl_schema_set_text(&pl_recipe_schema, &w->recipe, "output.folder", w->path, &test_err));
  w->train.steps_per_epoch = PER_EPOCH;
  w->train.loss.n_tasks = 2;
  w->train.loss.tasks[0].kind = VIT_LOSS_BCE;
  w->train.loss.tasks[1].kind = VIT_LOSS_HUBER;
}

static void world_free(struct world *w) {
  pl_recipe_free(&w->recipe);
}

/* The loss of a step and its nodules are functions of its number. */
static double loss_of(uint64_t step) {
  return 1 / (3.0 + (double)step);
}

static size_t samples_of(uint64_t step) {
  return step % PER_EPOCH == PER_EPOCH - 1 ? 2 : 4;
}

/* Does steps from train.step up to `end`, and the epochs that end on the way. */
static void go_on(struct world *w, uint64_t end) {
  assert_ok(pl_training_log_open(&w->log, &w->recipe, &w->train, &test_err));
  for (uint64_t step = w->train.step; step < end; step++) {
    struct vit_train_report report = {.step = step,
                                      .epoch = step / PER_EPOCH,
                                      .samples = samples_of(step),
                                      .rate = 1e-3 / (double)(step + 1),
                                      .gradient_norm = 1};
    report.loss.total = loss_of(step);
    report.loss.tasks[0] = 0.25;
    report.loss.tasks[1] = 0.75;
    assert_ok(pl_training_log_step(&w->log, &w->train, &report, true, &test_err));
    if (step % PER_EPOCH != PER_EPOCH - 1) continue;
    struct pl_evaluation e = {.mean_r2 = {0.125, NAN, NAN}};
    e.malignancy[PL_AUROC].value = 0.5;
    e.malignancy[PL_BRIER].value = NAN;
    assert_ok(pl_training_log_epoch(&w->log, step / PER_EPOCH, &e, 10, 0.5, &test_err));
  }
  assert_ok(pl_training_log_h5(&w->log, &test_err));
  assert_ok(pl_training_log_picture(&w->log, &test_err));
  pl_training_log_close(&w->log);
}

static void same_file(const struct world *a, const struct world *b, const char *name) {
  char path[400], *bytes[2];
  size_t counts[2];
  snprintf(path, sizeof path, "%s/%s", a->path, name);
  assert_ok(lc_file_read(path, 1 << 24, &bytes[0], &counts[0], &test_err));
  snprintf(path, sizeof path, "%s/%s", b->path, name);
  assert_ok(lc_file_read(path, 1 << 24, &bytes[1], &counts[1], &test_err));
  assert_int_equal(counts[0], counts[1]);
  assert_memory_equal(bytes[0], bytes[1], counts[0]);
  free(bytes[0]);
  free(bytes[1]);
}

static void resumed_logs_are_the_same(void **state) {
  (void)state;
  struct world whole, parts;
  world_init(&whole, "whole");
  go_on(&whole, 6);
  world_init(&parts, "parts");
  go_on(&parts, 5); /* killed after step 4 of the second epoch; the last checkpoint is of step 4 */
  parts.train.step = 4;
  go_on(&parts, 6);
  same_file(&whole, &parts, "steps.csv");
  same_file(&whole, &parts, "epochs.csv");
  same_file(&whole, &parts, "log.h5");
  same_file(&whole, &parts, "learning.png");
  world_free(&whole);
  world_free(&parts);
}

static void column_of(const char *path, const char *name, size_t n, double *values) {
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
  assert_true(set >= 0);
  hid_t space = H5Dget_space(set);
  assert_int_equal(H5Sget_simple_extent_npoints(space), n);
  assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
  H5Sclose(space);
  H5Dclose(set);
  H5Fclose(file);
}

static void epochs_are_means_over_nodules(void **state) {
  (void)state;
  struct world w;
  char path[400];
  double losses[2], steps[6], measures[2], parts[6];
  world_init(&w, "means");
  go_on(&w, 6);
  snprintf(path, sizeof path, "%s/log.h5", w.path);
  column_of(path, "epochs/loss", 2, losses);
  assert_near(losses[0], (4 * loss_of(0) + 4 * loss_of(1) + 2 * loss_of(2)) / 10, 1e-8);
  assert_near(losses[1], (4 * loss_of(3) + 4 * loss_of(4) + 2 * loss_of(5)) / 10, 1e-8);
  column_of(path, "steps/loss", 6, steps);
  for (uint64_t i = 0; i < 6; i++) assert_near(steps[i], loss_of(i), 1e-8);
  column_of(path, "steps/biomarkers_loss", 6, parts);
  assert_near(parts[3], 0.75, 0);
  column_of(path, "epochs/brier", 2, measures);
  assert_true(isnan(measures[0]));
  snprintf(path, sizeof path, "%s/speed.csv", w.path);
  struct pl_runlog_table table;
  assert_ok(pl_runlog_read(&table, path, &test_err));
  assert_int_equal(table.n_rows, 2);
  assert_near(pl_runlog_column(&table, "nodules_per_s")[1], 20, 0);
  assert_null(pl_runlog_column(&table, "nodule"));
  pl_runlog_table_free(&table);
  world_free(&w);
}

static void damaged_logs_are_named(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
  } cases[] = {{"", "no header"},
               {"a,,c\n", "column 2"},
               {"a,b\n1,2\n1\n", "line 3"},
               {"a,b\n1,2,3\n", "line 2"},
               {"a,b\n1,x\n", "line 2"}};
  char path[300];
  snprintf(path, sizeof path, "%s/damaged.csv", folder);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct pl_runlog_table table;
    assert_ok(lc_file_write(path, cases[i].text, strlen(cases[i].text), &test_err));
    assert_fails(pl_runlog_read(&table, path, &test_err), LC_ERR_FORMAT, cases[i].message);
    assert_null(table.values);
  }
}

static int setup(void **state) {
  (void)state;
  lc_test_folder(folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  return lc_folder_remove(folder, &test_err) == LC_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(resumed_logs_are_the_same),
      cmocka_unit_test(epochs_are_means_over_nodules),
      cmocka_unit_test(damaged_logs_are_named),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
