/* Writes the logs of a training as CSV and HDF5 and draws the learning curves. */
#include "pipeline/learn/pl_training_log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/learn/pl_measured.h"
#include "pipeline/report/pl_plot.h"
#include "pipeline/store/pl_h5.h"

#define SCHEMA_VERSION 1

/* What each column means, for HDF5. */
static const struct {
  const char *name, *unit, *doc;
} columns[] = {{"step", "1", "number of the step, from 0"},
               {"epoch", "1", "number of the epoch, from 0"},
               {"rate", "1", "learning rate; of an epoch, at its last step"},
               {"loss", "1", "weighted loss of the batch; of an epoch, its mean over nodules"},
               {"malignancy_loss", "1", "binary cross-entropy, unweighted"},
               {"biomarkers_loss", "1", "Huber loss of the z-scores, unweighted"},
               {"gradient_norm", "1", "global norm before clipping"},
               {"samples", "1", "nodules in the batch"},
               {"auroc", "1", "malignancy, on the split to measure on, one view"},
               {"brier", "1", "malignancy, likewise"},
               {"mean_r2", "1", "mean of the eight biomarkers, likewise"}};

static void log_missing(const struct pl_runlog *log, uint64_t expected) {
  LC_SCOPED(pl_runlog_table_free) struct pl_runlog_table table = {0};
  if (pl_runlog_read(&table, log->path, NULL) == LC_OK && table.n_rows != expected)
    lc_log(LC_LOG_WARNING, "%s: holds %zu lines of the run so far, expected %llu", log->path,
           table.n_rows, (unsigned long long)expected);
}

lc_status pl_training_log_open(struct pl_training_log *log, const struct pl_recipe *recipe,
                               const struct vit_train *train, struct lc_error *err) {
  const char *folder = recipe->output_folder;
  uint64_t epochs = train->step / train->steps_per_epoch;
  memset(log, 0, sizeof *log);
  log->recipe = recipe;
  LC_TRY(
      pl_runlog_open(&log->steps, folder, "steps.csv",
                     "step,epoch,rate,loss,malignancy_loss,biomarkers_loss,gradient_norm,samples",
                     train->step, err));
  LC_TRY(pl_runlog_open(&log->epochs, folder, "epochs.csv", "epoch,loss,rate,auroc,brier,mean_r2",
                        epochs, err));
  LC_TRY(pl_runlog_open(&log->speed, folder, "speed.csv", "epoch,nodules,seconds,nodules_per_s",
                        epochs, err));
  log_missing(&log->steps, train->step);
  log_missing(&log->epochs, epochs);
  return LC_OK;
}

/* Loss of the task of this kind, NaN when it is not trained. */
static double task_loss(const struct vit_train *train, const struct vit_train_report *report,
                        bool binary) {
  for (size_t k = 0; k < train->loss.n_tasks; k++)
    if ((train->loss.tasks[k].kind == VIT_LOSS_BCE) == binary) return report->loss.tasks[k];
  return NAN;
}

lc_status pl_training_log_step(struct pl_training_log *log, const struct vit_train *train,
                               const struct vit_train_report *report, bool last,
                               struct lc_error *err) {
  LC_TRY(pl_runlog_add(&log->steps, err, "%llu,%llu,%.9g,%.9g,%.9g,%.9g,%.9g,%zu",
                       (unsigned long long)report->step, (unsigned long long)report->epoch,
                       report->rate, report->loss.total, task_loss(train, report, true),
                       task_loss(train, report, false), report->gradient_norm, report->samples));
  return last ? pl_runlog_sync(&log->steps, err) : LC_OK;
}

/* Mean loss over the nodules of an epoch and its last rate, from the steps as they are written: a
 * run that went on in the middle of the epoch finds the same. */
static lc_status sum_up(const struct pl_training_log *log, uint64_t epoch, double *loss,
                        double *rate, struct lc_error *err) {
  LC_SCOPED(pl_runlog_table_free) struct pl_runlog_table table = {0};
  LC_TRY(pl_runlog_read(&table, log->steps.path, err));
  const double *epochs = pl_runlog_column(&table, "epoch");
  const double *losses = pl_runlog_column(&table, "loss");
  const double *rates = pl_runlog_column(&table, "rate");
  const double *samples = pl_runlog_column(&table, "samples");
  double sum = 0, n = 0;
  *rate = NAN;
  for (size_t i = 0; epochs && losses && rates && samples && i < table.n_rows; i++) {
    if (epochs[i] != (double)epoch) continue;
    sum += losses[i] * samples[i];
    n += samples[i];
    *rate = rates[i];
  }
  *loss = n > 0 ? sum / n : NAN;
  return LC_OK;
}

lc_status pl_training_log_epoch(struct pl_training_log *log, uint64_t epoch,
                                const struct pl_evaluation *e, size_t nodules, double seconds,
                                struct lc_error *err) {
  double loss, rate, speed = (double)nodules / fmax(seconds, 1e-9);
  LC_TRY(sum_up(log, epoch, &loss, &rate, err));
  LC_TRY(pl_runlog_add(&log->epochs, err, "%llu,%.9g,%.9g,%.9g,%.9g,%.9g",
                       (unsigned long long)epoch, loss, rate, e->malignancy[PL_AUROC].value,
                       e->malignancy[PL_BRIER].value, e->mean_r2.value));
  LC_TRY(pl_runlog_add(&log->speed, err, "%llu,%zu,%.4f,%.1f", (unsigned long long)epoch, nodules,
                       seconds, speed));
  lc_log(LC_LOG_INFO, "epoch %llu of %lld: loss %.4f, AUROC %.3f, mean R2 %.3f; %.0f nodules/s",
         (unsigned long long)epoch + 1, log->recipe->train_epochs, loss,
         e->malignancy[PL_AUROC].value, e->mean_r2.value, speed);
  LC_TRY(pl_runlog_sync(&log->epochs, err));
  return pl_training_log_h5(log, err);
}

static void put_table(struct pl_h5 *h5, const char *group, const struct pl_runlog_table *table) {
  for (size_t c = 0; c < table->n_columns; c++) {
    char path[64];
    struct pl_h5_array array = {.path = path,
                                .type = PL_H5_F64,
                                .rank = 1,
                                .dims = {table->n_rows},
                                .data = table->values + c * table->n_rows,
                                .unit = "1",
                                .doc = ""};
    snprintf(path, sizeof path, "%s/%s", group, table->names[c]);
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++)
      if (strcmp(columns[k].name, table->names[c]) == 0) array.doc = columns[k].doc;
    pl_h5_array(h5, &array);
  }
}

lc_status pl_training_log_h5(const struct pl_training_log *log, struct lc_error *err) {
  LC_SCOPED(pl_runlog_table_free) struct pl_runlog_table steps = {0}, epochs = {0};
  LC_SCOPED(lc_text_free) struct lc_text recipe = {0};
  struct pl_h5 h5;
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, log->recipe->output_folder, "log.h5", err));
  LC_TRY(pl_runlog_read(&steps, log->steps.path, err));
  LC_TRY(pl_runlog_read(&epochs, log->epochs.path, err));
  pl_schema_print(&pl_recipe_schema, log->recipe, PL_PRINT_CANONICAL, &recipe);
  pl_h5_start(&h5);
  pl_h5_about(&h5, "lungcdam log of a training", SCHEMA_VERSION, "research use only");
  pl_h5_attribute_text(&h5, "/", "recipe", lc_text_get(&recipe));
  put_table(&h5, "steps", &steps);
  put_table(&h5, "epochs", &epochs);
  return pl_h5_finish(&h5, path, err);
}

/* The four curves, from epoch 1 on. work: [2 steps + 2 epochs]. */
static lc_status draw(const struct pl_training_log *log, const struct pl_runlog_table *steps,
                      const struct pl_runlog_table *epochs, double *work, const char *path,
                      struct lc_error *err) {
  size_t n = epochs->n_rows, m = steps->n_rows;
  double *at_step = work, *rates = work + m, *at_epoch = work + 2 * m;
  const double *step_epochs = pl_runlog_column(steps, "epoch");
  const double *step_rates = pl_runlog_column(steps, "rate");
  char notice[128], auroc_title[96], r2_title[96];
  if (n == 0 || m == 0 || !step_epochs || !step_rates) return LC_OK;
  double per_epoch = (double)m / (step_epochs[m - 1] + 1);
  for (size_t i = 0; i < m; i++) at_step[i] = ((double)i + 1) / per_epoch;
  for (size_t i = 0; i < m; i++) rates[i] = 1e3 * step_rates[i];
  for (size_t i = 0; i < n; i++) at_epoch[i] = (double)i + 1;
  snprintf(auroc_title, sizeof auroc_title, "Malignancy: AUROC on split \"%s\"",
           log->recipe->data_validate);
  snprintf(r2_title, sizeof r2_title, "Biomarkers: mean R\u00b2 on split \"%s\"",
           log->recipe->data_validate);
  const struct pl_plot_series loss[] = {
      {.n = m,
       .x = at_step,
       .y = pl_runlog_column(steps, "loss"),
       .colour = PL_PLOT_GREY,
       .label = "step"},
      {.n = n, .x = at_epoch, .y = pl_runlog_column(epochs, "loss"), .label = "mean of the epoch"}};
  const struct pl_plot_series auroc = {
      .n = n, .x = at_epoch, .y = pl_runlog_column(epochs, "auroc"), .colour = 1};
  const struct pl_plot_series r2 = {
      .n = n, .x = at_epoch, .y = pl_runlog_column(epochs, "mean_r2"), .colour = 2};
  const struct pl_plot_series rate = {.n = m, .x = at_step, .y = rates, .colour = 3};
  struct pl_plot_panel panels[] = {
      {.title = "Training loss", .y.label = "loss", .series = loss, .n_series = 2},
      {.title = auroc_title, .y.label = "AUROC", .series = &auroc, .n_series = 1},
      {.title = r2_title, .y.label = "mean R\u00b2", .series = &r2, .n_series = 1},
      {.title = "Learning rate", .y.label = "rate / 0.001", .series = &rate, .n_series = 1}};
  panels[0].legend = PL_PLOT_LEGEND_ABOVE;
  for (size_t i = 0; i < 4; i++) {
    panels[i].x.label = "epoch";
    panels[i].width = 480;
    panels[i].height = 340;
  }
  const struct pl_plot plot = {.panels = panels, .n_panels = 4, .n_columns = 2, .notice = notice};
  pl_pictures_notice(true, notice, sizeof notice);
  return pl_plot_write(&plot, path, err);
}

lc_status pl_training_log_picture(const struct pl_training_log *log, struct lc_error *err) {
  LC_SCOPED(pl_runlog_table_free) struct pl_runlog_table steps = {0}, epochs = {0};
  const char *ending = pl_pictures_ending(log->recipe);
  char path[LC_PATH_SIZE], name[32];
  LC_FREED double *work = NULL;
  if (!ending) return LC_OK;
  snprintf(name, sizeof name, "learning.%s", ending);
  LC_TRY(lc_path_join(path, log->recipe->output_folder, name, err));
  LC_TRY(pl_runlog_read(&steps, log->steps.path, err));
  LC_TRY(pl_runlog_read(&epochs, log->epochs.path, err));
  LC_TRY(lc_alloc(&work, 2 * steps.n_rows + epochs.n_rows + 1, sizeof *work, err));
  return draw(log, &steps, &epochs, work, path, err);
}

void pl_training_log_close(struct pl_training_log *log) {
  pl_runlog_close(&log->steps);
  pl_runlog_close(&log->epochs);
  pl_runlog_close(&log->speed);
}
