/* Training: it learns, it can be stopped and killed anywhere and goes on to the same bits, and it
 * says what went wrong with which samples. */
#include "tests/lc_test.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/lc_file.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "vit/train/vit_checkpoint.h"
#include "vit/train/vit_train.h"

enum { N = 22, EDGE = 16, OUTPUTS = 3 };

/* A toy: bright blots on noise. Output 0: is there a blot; 1 and 2: its row and column. */
struct toy {
  size_t poisoned; /* sample whose image is NaN; SIZE_MAX: none */
};

static lc_status load(void *context, uint64_t epoch, size_t index, const struct vit_sample *sample,
                      struct lc_error *err) {
  (void)err;
  const struct toy *toy = context;
  struct lc_random fixed, fresh;
  lc_random_init(&fixed, 1, "toy", index);
  lc_random_init(&fresh, 2, "toy-noise", epoch << 32 | index);
  bool blot = index % 2;
  double row = lc_random_between(&fixed, 3, 13), column = lc_random_between(&fixed, 3, 13);
  for (size_t i = 0; i < EDGE * EDGE; i++) {
    size_t at = i / EDGE;
    double y = (double)at - row, x = (double)(i % EDGE) - column;
    double value = 0.1 * lc_random_normal(&fresh) + (blot ? 2 * exp(-(x * x + y * y) / 8) : 0);
    for (size_t c = 0; c < 3; c++) sample->image[c * EDGE * EDGE + i] = (float)value;
  }
  if (index == toy->poisoned) sample->image[17] = NAN;
  sample->targets[0] = blot ? 1 : 0;
  sample->present[0] = 1;
  sample->targets[1] = (float)((row - 8) / 4);
  sample->targets[2] = (float)((column - 8) / 4);
  sample->present[1] = sample->present[2] = blot;
  return LC_OK;
}

static void identify(void *context, size_t index, char name[VIT_SAMPLE_NAME]) {
  (void)context;
  snprintf(name, VIT_SAMPLE_NAME, "patient-%zu", index);
}

/* Everything that one training needs. */
struct bench {
  struct toy toy;
  struct vit_samples samples;
  struct vit_model model;
  struct vit_train_settings settings;
  struct vit_train train;
};

static void bench_defaults(struct bench *b) {
  memset(b, 0, sizeof *b);
  b->toy.poisoned = SIZE_MAX;
  b->samples = (struct vit_samples){N, EDGE, EDGE, OUTPUTS, &b->toy, load, identify};
  b->settings = (struct vit_train_settings){
      .batch = 5,
      .epochs = 12,
      .seed = 4,
      .schedule = {.kind = VIT_SCHEDULE_COSINE, .rate = 3e-3, .warmup_steps = 5}};
  vit_optim_defaults(&b->settings.optim);
  b->settings.optim.kind = VIT_ADAMW;
  b->settings.optim.weight_decay = 0.01;
  b->settings.optim.clip_norm = 5;
  b->settings.optim.ema_decay = 0.9;
}

/* Every kind of dropout, whose masks must not depend on what a run goes through. */
static void with_dropout(struct bench *b) {
  b->settings.dropout = (struct vit_dropout){.backbone = 0.12, .heads = 0.2, .path = 0.1};
}

static void bench_start(struct bench *b) {
  struct vit_arch arch;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch8", &test_err));
  arch.image_height = arch.image_width = EDGE;
  arch.grid_height = arch.grid_width = EDGE / 4;
  arch.patch_size = 4;
  arch.embed_dim = 16;
  arch.mlp_dim = 32;
  arch.depth = 2;
  arch.num_heads = 2;
  assert_ok(vit_arch_add_head(&arch, "blot", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "place", 8, 2, false, &test_err));
  assert_ok(vit_model_init(&b->model, &arch, 7, &test_err));
  assert_ok(vit_train_init(&b->train, &b->model, &b->samples, &b->settings, &test_err));
}

static void bench_end(struct bench *b) {
  vit_train_free(&b->train);
  vit_model_free(&b->model);
}

static size_t block_bytes(const struct bench *b) {
  return b->train.parameters.block * sizeof(float);
}

static void it_learns(void **state) {
  (void)state;
  struct bench b;
  bench_defaults(&b);
  b.settings.epochs = 120;
  bench_start(&b);
  double first = 0, last = 0;
  assert_false(b.model.trained);
  while (b.train.step < vit_train_steps(&b.train)) {
    struct vit_train_report report;
    assert_ok(vit_train_step(&b.train, &report, &test_err));
    if (report.epoch == 0) first += report.loss.total / (double)b.train.steps_per_epoch;
    if (report.epoch == 119) last += report.loss.total / (double)b.train.steps_per_epoch;
    bool short_batch = report.step % 5 == 4;
    assert_int_equal(report.samples, short_batch ? 2 : 5);
  }
  assert_int_equal(b.train.steps_per_epoch, 5);
  assert_true(last < 0.25 * first);
  assert_true(b.model.trained);
  bench_end(&b);
}

static void run_to_end(struct bench *b) {
  const struct vit_train_run run = {0};
  assert_ok(vit_train_run(&b->train, &run, &test_err));
}

/* Nor does recomputation. */
static void threads_do_not_matter(void **state) {
  (void)state;
  struct bench one, four;
  bench_defaults(&one);
  bench_defaults(&four);
  with_dropout(&one);
  with_dropout(&four);
  four.settings.recompute = true;
  lc_threads_set(1);
  bench_start(&one);
  run_to_end(&one);
  lc_threads_set(4);
  bench_start(&four);
  run_to_end(&four);
  lc_threads_set(0);
  assert_memory_equal(one.model.owned, four.model.owned, block_bytes(&one));
  bench_end(&one);
  bench_end(&four);
}

/* The result is one without what is dropped, and dropout changes the way there. Other parts of a
 * batch round otherwise, but drop the same. */
static void dropout_is_of_training_only(void **state) {
  (void)state;
  struct bench plain, dropped, parts;
  bench_defaults(&plain);
  bench_defaults(&dropped);
  bench_defaults(&parts);
  with_dropout(&dropped);
  with_dropout(&parts);
  parts.settings.part = 2;
  bench_start(&plain);
  bench_start(&dropped);
  bench_start(&parts);
  struct vit_train_report report[3];
  assert_ok(vit_train_step(&plain.train, &report[0], &test_err));
  assert_ok(vit_train_step(&dropped.train, &report[1], &test_err));
  assert_ok(vit_train_step(&parts.train, &report[2], &test_err));
  assert_true(fabs(report[0].loss.total - report[1].loss.total) > 1e-4);
  assert_true(fabs(report[2].loss.total - report[1].loss.total) < 1e-6);
  assert_true(fabs(report[2].gradient_norm - report[1].gradient_norm) < 1e-5);
  bench_end(&plain);
  bench_end(&dropped);
  bench_end(&parts);
  struct vit_train train;
  bench_defaults(&plain);
  bench_start(&plain);
  plain.settings.dropout.heads = 1;
  assert_fails(vit_train_init(&train, &plain.model, &plain.samples, &plain.settings, &test_err),
               LC_ERR_CONFIG, "rate of the heads is 1");
  bench_end(&plain);
}

static void frozen_blocks_stay(void **state) {
  (void)state;
  static const char *const frozen[] = {"embedding", "blocks.0"};
  struct bench b;
  bench_defaults(&b);
  b.settings.epochs = 2;
  b.settings.frozen = frozen;
  b.settings.n_frozen = 2;
  bench_start(&b);
  float *before = malloc(block_bytes(&b));
  assert_non_null(before);
  memcpy(before, b.model.owned, block_bytes(&b));
  run_to_end(&b);
  for (size_t i = 0; i < b.train.parameters.n; i++) {
    const struct vit_parameter *p = &b.train.parameters.list[i];
    bool same =
        memcmp(before + p->offset, b.model.owned + p->offset, p->count * sizeof(float)) == 0;
    bool expected = strncmp(p->name, "blocks.1", 8) != 0 && strncmp(p->name, "norm", 4) != 0 &&
                    strncmp(p->name, "heads", 5) != 0;
    if (same != expected) fail_msg("%s %s", p->name, same ? "did not change" : "changed");
  }
  free(before);
  bench_end(&b);
}

static bool stop_at_seven(void *context) {
  return ((struct bench *)context)->train.step == 7;
}

static void a_stopped_run_goes_on_to_the_same_bits(void **state) {
  (void)state;
  struct bench whole, part;
  char folder[256];
  lc_test_folder(folder);
  bench_defaults(&whole);
  with_dropout(&whole);
  bench_start(&whole);
  run_to_end(&whole);
  struct vit_train_run run = {
      .folder = folder, .keep = 1, .context = &part, .should_stop = stop_at_seven};
  bench_defaults(&part);
  with_dropout(&part);
  bench_start(&part);
  assert_fails(vit_train_run(&part.train, &run, &test_err), LC_ERR_INTERRUPTED, "step 7 of 60");
  bench_end(&part);
  bool found;
  bench_defaults(&part);
  with_dropout(&part);
  bench_start(&part);
  assert_ok(vit_checkpoint_resume(&part.train, folder, &found, &test_err));
  assert_true(found);
  assert_int_equal(part.train.step, 7);
  run_to_end(&part);
  assert_memory_equal(whole.model.owned, part.model.owned, block_bytes(&whole));
  struct vit_model a, b;
  assert_ok(vit_train_result(&whole.train, &a, &test_err));
  assert_ok(vit_train_result(&part.train, &b, &test_err));
  assert_memory_equal(a.owned, b.owned, block_bytes(&whole));
  assert_memory_not_equal(a.owned, whole.model.owned, block_bytes(&whole)); /* averaged */
  vit_model_free(&a);
  vit_model_free(&b);
  bench_end(&whole);
  bench_end(&part);
  bench_defaults(&part);
  part.settings.batch = 6;
  bench_start(&part);
  assert_fails(vit_checkpoint_resume(&part.train, folder, &found, &test_err), LC_ERR_MISMATCH,
               "batch 5");
  assert_int_equal(part.train.step, 0);
  bench_end(&part);
  assert_ok(lc_folder_remove(folder, &test_err));
}

/* Scores 1, 3, 2, NaN, 2.5, 4 ...: with a patience of three the run ends after the fifth epoch. */
static lc_status scores(void *context, const struct vit_train *train, uint64_t epoch, double *score,
                        struct lc_error *err) {
  (void)context;
  (void)train;
  (void)err;
  const double values[] = {1, 3, 2, NAN, 2.5, 4};
  *score = values[epoch];
  return LC_OK;
}

static void patience_ends_and_the_best_is_kept(void **state) {
  (void)state;
  struct bench b;
  char folder[256], path[512];
  lc_test_folder(folder);
  bench_defaults(&b);
  bench_start(&b);
  const struct vit_train_run run = {.folder = folder, .keep = 2, .patience = 3, .evaluate = scores};
  assert_ok(vit_train_run(&b.train, &run, &test_err));
  assert_int_equal(b.train.step, 25);
  assert_int_equal(b.train.best_epoch, 1);
  assert_true(b.train.best_score == 3);
  snprintf(path, sizeof path, "%s/best.safetensors", folder);
  struct vit_model best;
  assert_ok(vit_model_load(&best, path, NULL, &test_err));
  assert_true(best.trained);
  vit_model_free(&best);
  for (int step = 5; step <= 25; step += 5) { /* the last two stay */
    snprintf(path, sizeof path, "%s/checkpoints/step-%010d", folder, step);
    assert_int_equal(lc_folder_exists(path), step >= 20);
  }
  bench_end(&b);
  bool found;
  bench_defaults(&b);
  bench_start(&b);
  assert_ok(vit_checkpoint_resume(&b.train, folder, &found, &test_err));
  assert_true(found && b.train.has_best && b.train.best_epoch == 1);
  assert_ok(vit_train_run(&b.train, &run, &test_err)); /* is already over */
  assert_int_equal(b.train.step, 25);
  bench_end(&b);
  assert_ok(lc_folder_remove(folder, &test_err));
}

static void bad_numbers_name_the_samples(void **state) {
  (void)state;
  struct bench b;
  bench_defaults(&b);
  b.toy.poisoned = 6;
  b.settings.batch = N;
  bench_start(&b);
  float *before = malloc(block_bytes(&b));
  assert_non_null(before);
  memcpy(before, b.model.owned, block_bytes(&b));
  struct vit_train_report report;
  assert_fails(vit_train_step(&b.train, &report, &test_err), LC_ERR_NUMERIC, "patient-6");
  assert_non_null(strstr(test_err.message, "step 0"));
  assert_int_equal(b.train.step, 0);
  assert_memory_equal(before, b.model.owned, block_bytes(&b));
  free(before);
  bench_end(&b);
}

static void settings_that_cannot_be(void **state) {
  (void)state;
  struct bench b;
  bench_defaults(&b);
  bench_start(&b);
  struct vit_train other;
  struct vit_train_settings settings = b.settings;
  settings.batch = 0;
  assert_fails(vit_train_init(&other, &b.model, &b.samples, &settings, &test_err), LC_ERR_CONFIG,
               "batch");
  settings.batch = N + 1;
  settings.whole_batches = true;
  assert_fails(vit_train_init(&other, &b.model, &b.samples, &settings, &test_err), LC_ERR_CONFIG,
               "22 samples");
  settings = b.settings;
  b.samples.outputs = 2;
  assert_fails(vit_train_init(&other, &b.model, &b.samples, &settings, &test_err), LC_ERR_USAGE,
               "expected the model's 3");
  bench_end(&b);
}

/* A run in a process of its own, from the last checkpoint if there is one. */
static int child(const char *folder) {
  struct bench b;
  bool found;
  bench_defaults(&b);
  with_dropout(&b);
  b.settings.epochs = 40;
  bench_start(&b);
  const struct vit_train_run run = {.folder = folder, .checkpoint_steps = 3, .keep = 2};
  assert_ok(vit_checkpoint_resume(&b.train, folder, &found, &test_err));
  assert_ok(vit_train_run(&b.train, &run, &test_err));
  bench_end(&b);
  return 0;
}

static pid_t spawn(const char *folder) {
  pid_t pid = fork();
  if (pid == 0) {
    execl("/proc/self/exe", "vit_train", folder, (char *)NULL);
    _exit(127);
  }
  assert_true(pid > 0);
  return pid;
}

static void same_file(const char *a, const char *b, const char *name) {
  char path[768], *bytes[2];
  size_t counts[2];
  const char *const folders[] = {a, b};
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", folders[i], name);
    assert_ok(lc_file_read(path, 1 << 24, &bytes[i], &counts[i], &test_err));
  }
  assert_int_equal(counts[0], counts[1]);
  assert_memory_equal(bytes[0], bytes[1], counts[0]);
  free(bytes[0]);
  free(bytes[1]);
}

static void a_run_killed_twenty_times_ends_in_the_same_bits(void **state) {
  (void)state;
  char whole[256], killed[256];
  int how;
  pid_t pid = spawn(lc_test_folder(whole));
  assert_int_equal(waitpid(pid, &how, 0), pid);
  assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
  lc_test_folder(killed);
  struct lc_random random;
  lc_random_init(&random, (uint64_t)getpid(), "kill", 0);
  for (int kills = 0; kills < 20; kills++) {
    pid = spawn(killed);
    usleep(5000 + lc_random_below(&random, 120000));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &how, 0), pid);
  }
  pid = spawn(killed);
  assert_int_equal(waitpid(pid, &how, 0), pid);
  assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
  same_file(whole, killed, "checkpoints/step-0000000200/model.safetensors");
  same_file(whole, killed, "checkpoints/step-0000000200/average.safetensors");
  same_file(whole, killed, "checkpoints/step-0000000200/optimizer.safetensors");
  assert_ok(lc_folder_remove(whole, &test_err));
  assert_ok(lc_folder_remove(killed, &test_err));
}

int main(int argc, char **argv) {
  if (argc == 2) return child(argv[1]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_learns),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(dropout_is_of_training_only),
      cmocka_unit_test(frozen_blocks_stay),
      cmocka_unit_test(a_stopped_run_goes_on_to_the_same_bits),
      cmocka_unit_test(patience_ends_and_the_best_is_kept),
      cmocka_unit_test(bad_numbers_name_the_samples),
      cmocka_unit_test(settings_that_cannot_be),
      cmocka_unit_test(a_run_killed_twenty_times_ends_in_the_same_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
