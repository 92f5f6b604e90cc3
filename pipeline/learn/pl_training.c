/* Runs a training: data, model, steps, measuring after each epoch, final files. */
#include "pipeline/learn/pl_training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/config/pl_prepared.h"
#include "pipeline/learn/pl_measured.h"
#include "pipeline/learn/pl_training_log.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "vit/pass/vit_forward.h"
#include "vit/train/vit_checkpoint.h"
#include "vit/weights/vit_parameter.h"

static const struct vit_parameter *find(const struct vit_parameters *parameters, const char *name) {
  for (size_t i = 0; i < parameters->n; i++)
    if (strcmp(parameters->list[i].name, name) == 0) return &parameters->list[i];
  return NULL;
}

/* One position encoding to the grid of the other model. */
static lc_status copy_positions(const struct vit_model *source, struct vit_model *model,
                                float *place, struct lc_error *err) {
  const struct vit_arch *a = &model->arch;
  size_t dim = a->embed_dim, rows = a->grid_height * a->grid_width;
  LC_FREED float *encoding = NULL;
  LC_TRY(lc_alloc(&encoding, (1 + rows) * dim, sizeof *encoding, err));
  LC_TRY(vit_position_interpolate(source, a->grid_height, a->grid_width, encoding, err));
  size_t skipped = a->position_on_cls ? 0 : dim;
  memcpy(place, encoding + skipped, ((1 + rows) * dim - skipped) * sizeof *encoding);
  return LC_OK;
}

static lc_status copy_parameters(const struct vit_model *source,
                                 const struct vit_parameters *theirs, struct vit_model *model,
                                 const struct vit_parameters *mine, const char *path,
                                 struct lc_error *err) {
  for (size_t i = 0; i < mine->n; i++) {
    const struct vit_parameter *p = &mine->list[i], *q = find(theirs, p->name);
    float *place = model->owned + p->offset;
    bool head = strncmp(p->name, "head", 4) == 0;
    if (q && q->count == p->count)
      memcpy(place, source->owned + q->offset, p->count * sizeof *place);
    else if (q && strcmp(p->name, "pos_embed") == 0 &&
             source->arch.embed_dim == model->arch.embed_dim)
      LC_TRY(copy_positions(source, model, place, err));
    else if (head)
      lc_log(LC_LOG_INFO, "%s: no %s of this shape; it starts from the seed", path, p->name);
    else
      LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\" has %zu elements, expected %zu", path, p->name,
              q ? q->count : 0, p->count);
  }
  return LC_OK;
}

/* Seeded weights become those of a file where it has a parameter of that name and size. A backbone
 * parameter that is missing or of another size is LC_ERR_TENSOR; a position encoding for another
 * grid is interpolated; heads that the file lacks stay seeded. */
static lc_status start_from(struct vit_model *model, const char *weights,
                            const struct pl_load *load, struct lc_error *err) {
  struct pl_model_found found;
  LC_TRY(pl_model_take(&found, weights, err));
  LC_SCOPED(vit_model_free) struct vit_model source = {0};
  LC_SCOPED(vit_parameters_free) struct vit_parameters mine = {0}, theirs = {0};
  LC_TRY(pl_model_load(&source, found.path, load, err));
  LC_TRY(vit_model_own(&source, err));
  LC_TRY(vit_parameters_init(&mine, &model->arch, err));
  LC_TRY(vit_parameters_init(&theirs, &source.arch, err));
  return copy_parameters(&source, &theirs, model, &mine, found.path, err);
}

/* Makes a model that predicts z-scores of biomarkers predict ratings (and mm): the last layer takes
 * the scale in. */
static lc_status fold_scale(struct vit_model *model, const struct pl_label_scale *scale,
                            struct lc_error *err) {
  LC_SCOPED(vit_parameters_free) struct vit_parameters parameters = {0};
  LC_TRY(vit_model_own(model, err));
  LC_TRY(vit_parameters_init(&parameters, &model->arch, err));
  bool hidden = false;
  for (size_t h = 0; h < model->arch.n_heads; h++)
    if (strcmp(model->arch.heads[h].name, "biomarkers") == 0)
      hidden = model->arch.heads[h].hidden > 0;
  const struct vit_parameter *weight =
      find(&parameters, hidden ? "heads.biomarkers.2.weight" : "heads.biomarkers.weight");
  const struct vit_parameter *bias =
      find(&parameters, hidden ? "heads.biomarkers.2.bias" : "heads.biomarkers.bias");
  if (weight && bias && bias->count == PL_BIOMARKERS) {
    size_t inputs = weight->count / PL_BIOMARKERS;
    for (size_t b = 0; b < PL_BIOMARKERS; b++) {
      float *row = model->owned + weight->offset + b * inputs;
      float *add = model->owned + bias->offset + b;
      for (size_t k = 0; k < inputs; k++) row[k] = (float)((double)row[k] * scale->deviation[b]);
      *add = (float)((double)*add * scale->deviation[b] + scale->mean[b]);
    }
    model->weights_sha256[0] = '\0';
  }
  return LC_OK;
}

/* Everything of one run. */
struct training {
  const struct pl_recipe *recipe;
  struct pl_crops crops;
  struct vit_arch arch;
  struct pl_examples learn, measure;
  struct vit_samples samples;
  struct vit_model model;
  struct vit_train train;
  struct pl_training_log log;
  struct pl_progress progress;
  double started; /* of the present epoch */
  size_t seen;    /* nodules since then */
  float positive_weight, biomarker_weights[PL_BIOMARKERS];
};

static void training_free(struct training *t) {
  pl_training_log_close(&t->log);
  vit_train_free(&t->train);
  vit_model_free(&t->model);
  pl_examples_free(&t->learn);
  pl_examples_free(&t->measure);
  pl_crops_free(&t->crops);
}

static bool should_stop(void *context) {
  (void)context;
  return pl_signal_check(NULL) != LC_OK;
}

static lc_status on_step(void *context, const struct vit_train_report *report,
                         struct lc_error *err) {
  struct training *t = context;
  uint64_t done = report->step + 1, every = (uint64_t)t->recipe->checkpoint_steps;
  bool checkpoint = every > 0 ? done % every == 0 : done % t->train.steps_per_epoch == 0;
  t->seen += report->samples;
  snprintf(t->progress.label, sizeof t->progress.label, "epoch %llu, loss %.4f, rate %.2g",
           (unsigned long long)report->epoch + 1, report->loss.total, report->rate);
  lc_progress_step(&t->progress.progress, report->samples);
  return pl_training_log_step(&t->log, &t->train, report, checkpoint, err);
}

static double score_of(const struct pl_recipe *recipe, const struct pl_evaluation *e) {
  switch ((enum pl_score)recipe->train_score) {
  case PL_SCORE_R2:
    return e->mean_r2.value;
  case PL_SCORE_SUM:
    return e->malignancy[PL_AUROC].value + e->mean_r2.value;
  case PL_SCORE_AUROC:
    break;
  }
  return e->malignancy[PL_AUROC].value;
}

static lc_status on_epoch(void *context, const struct vit_train *train, uint64_t epoch,
                          double *score, struct lc_error *err) {
  struct training *t = context;
  LC_SCOPED(vit_model_free) struct vit_model model = {0};
  LC_SCOPED(pl_predictions_free) struct pl_predictions predictions = {0};
  struct pl_evaluation e;
  double seconds = pl_now_s() - t->started;
  LC_TRY(vit_train_result(train, &model, err));
  LC_TRY(pl_predict(&model, &t->measure, false, NULL, &predictions, err));
  LC_TRY(pl_evaluate(&t->measure, &predictions, 0, 0, &e, err));
  *score = score_of(t->recipe, &e);
  LC_TRY(pl_training_log_epoch(&t->log, epoch, &e, t->seen, seconds, err));
  t->seen = 0;
  t->started = pl_now_s();
  return LC_OK;
}

/* The first line in which two texts differ, in `a`. */
static void first_difference(const char *a, const char *b, char line[128]) {
  size_t start = 0, i = 0;
  for (; a[i] && a[i] == b[i]; i++)
    if (a[i] == '\n') start = i + 1;
  snprintf(line, 128, "%.*s", (int)strcspn(a + start, "\n"), a + start);
}

static lc_status same_recipe(const char *path, const char *text, struct lc_error *err) {
  LC_FREED char *stored = NULL;
  char line[128];
  size_t count;
  LC_TRY(lc_file_read(path, (size_t)1 << 20, &stored, &count, err));
  if (strcmp(stored, text) == 0) return LC_OK;
  first_difference(stored, text, line);
  LC_FAIL(err, LC_ERR_MISMATCH, "%s: the run has another recipe, where it says \"%s\"", path, line);
}

/* Writes the recipe of a new run; a run that goes on must have the same. */
static lc_status settle_recipe(const struct pl_recipe *recipe, struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, recipe->output_folder, "recipe.yaml", err));
  pl_schema_print(&pl_recipe_schema, recipe, PL_PRINT_CANONICAL, &text);
  if (text.failed) LC_FAIL(err, LC_ERR_MEMORY, "%s: no memory", path);
  if (lc_file_exists(path)) return same_recipe(path, lc_text_get(&text), err);
  return lc_file_write(path, lc_text_get(&text), text.length, err);
}

/* A folder that holds a run is one with a recipe. */
static lc_status prepare_folder(const struct pl_recipe *recipe, enum pl_existing existing,
                                struct lc_error *err) {
  char path[LC_PATH_SIZE];
  const char *folder = recipe->output_folder;
  LC_TRY(lc_path_join(path, folder, "recipe.yaml", err));
  bool run = lc_file_exists(path);
  if (existing == PL_EXISTING_REFUSE && lc_folder_exists(folder))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite replaces it, --resume goes on", folder);
  if (existing == PL_EXISTING_OVERWRITE && lc_folder_exists(folder) && !run)
    LC_FAIL(err, LC_ERR_EXISTS, "%s: is not the folder of a training; it is left alone", folder);
  if (existing == PL_EXISTING_OVERWRITE) LC_TRY(lc_folder_remove(folder, err));
  return lc_folder_make(folder, err);
}

static lc_status prepare_data(struct training *t, struct lc_error *err) {
  const struct pl_recipe *r = t->recipe;
  LC_TRY(pl_recipe_arch(r, &t->arch, err));
  LC_TRY(pl_recipe_crops(r, &t->crops, err));
  LC_TRY(pl_examples_init(&t->learn, &t->crops, r, &t->arch, r->data_train, NULL, err));
  LC_TRY(pl_examples_init(&t->measure, &t->crops, r, &t->arch, r->data_validate, &t->learn.scale,
                          err));
  if (r->data_split != PL_SPLIT_NODULE && r->data_split != PL_SPLIT_STORED_NODULE)
    LC_TRY(pl_examples_disjoint(&t->learn, &t->measure, err));
  else
    lc_log(LC_LOG_WARNING,
           "data.split is nodule: patients are on both sides, the measures flatter");
  pl_recipe_augment(r, &t->learn.augment);
  LC_TRY(ct_augment_check(&t->learn.augment, err));
  t->samples = pl_examples_samples(&t->learn);
  return LC_OK;
}

/* Weights of classes and outputs; without any, no list is given, as ever. */
static lc_status weigh(struct training *t, struct vit_loss_task *task, struct lc_error *err) {
  const struct pl_recipe *r = t->recipe;
  if (task->kind == VIT_LOSS_HUBER) {
    task->weight = r->tasks_biomarkers;
    task->delta = r->tasks_huber_delta;
    LC_TRY(pl_recipe_biomarker_weights(r, t->biomarker_weights, err));
    if (r->tasks_biomarker_weights.n > 0) task->output_weights = t->biomarker_weights;
    return LC_OK;
  }
  task->weight = r->tasks_malignancy;
  t->positive_weight = (float)r->tasks_positive_weight;
  if (r->tasks_positive_weight == 0) {
    size_t counts[2] = {0};
    for (size_t i = 0; i < t->learn.n; i++) {
      ct_label label = ct_label_of(t->crops.crops[t->learn.rows[i]].malignancy);
      if (label >= 0) counts[label]++;
    }
    if (counts[0] == 0 || counts[1] == 0)
      LC_FAIL(err, LC_ERR_CONFIG,
              "%s: %zu benign and %zu malignant nodules to learn from, expected some of both with "
              "tasks.positive_weight: 0",
              t->crops.path, counts[0], counts[1]);
    t->positive_weight = (float)((double)counts[0] / (double)counts[1]);
  }
  if (t->positive_weight != 1) task->positive_weights = &t->positive_weight;
  return LC_OK;
}

static lc_status prepare_train(struct training *t, struct lc_error *err) {
  const struct pl_recipe *r = t->recipe;
  size_t n = t->learn.n, batch = (size_t)r->train_batch;
  struct vit_train_settings settings = {.batch = batch,
                                        .whole_batches = r->train_whole_batches,
                                        .epochs = (uint64_t)r->train_epochs,
                                        .seed = (uint64_t)r->train_seed,
                                        .part = (size_t)r->train_part,
                                        .recompute = r->train_recompute,
                                        .dropout = {.backbone = r->train_dropout,
                                                    .heads = r->train_dropout_heads,
                                                    .path = r->train_drop_path},
                                        .frozen = (const char *const *)r->model_frozen.items,
                                        .n_frozen = r->model_frozen.n};
  pl_recipe_optim(r, &settings.optim);
  uint64_t steps = r->train_whole_batches ? n / batch : (n + batch - 1) / batch;
  pl_recipe_schedule(r, steps, &settings.schedule);
  LC_TRY(vit_model_init(&t->model, &t->arch, (uint64_t)r->model_seed, err));
  if (*r->model_weights) LC_TRY(start_from(&t->model, r->model_weights, &r->load, err));
  LC_TRY(vit_train_init(&t->train, &t->model, &t->samples, &settings, err));
  for (size_t k = 0; k < t->train.loss.n_tasks; k++) LC_TRY(weigh(t, &t->train.loss.tasks[k], err));
  return LC_OK;
}

static lc_status train_all(struct training *t, bool resume, struct lc_error *err) {
  const struct pl_recipe *r = t->recipe;
  bool found = false;
  if (resume) LC_TRY(vit_checkpoint_resume(&t->train, r->output_folder, &found, err));
  if (found)
    lc_log(LC_LOG_INFO, "going on from step %llu of %llu", (unsigned long long)t->train.step,
           (unsigned long long)vit_train_steps(&t->train));
  LC_TRY(pl_training_log_open(&t->log, r, &t->train, err));
  const struct vit_train_run run = {.folder = r->output_folder,
                                    .checkpoint_steps = (uint64_t)r->checkpoint_steps,
                                    .keep = (size_t)r->checkpoint_keep,
                                    .patience = (uint64_t)r->train_patience,
                                    .context = t,
                                    .should_stop = should_stop,
                                    .on_step = on_step,
                                    .evaluate = on_epoch};
  uint64_t left = vit_train_steps(&t->train) - t->train.step;
  pl_progress_start(&t->progress, "training", "nodules", left * t->train.settings.batch);
  t->started = pl_now_s();
  lc_status status = vit_train_run(&t->train, &run, err);
  pl_progress_end(&t->progress);
  if (status == LC_OK) return pl_training_log_h5(&t->log, err);
  if (status == LC_ERR_INTERRUPTED && pl_training_log_h5(&t->log, NULL) != LC_OK)
    lc_log(LC_LOG_WARNING, "%s: log.h5 lacks the last steps", r->output_folder);
  return status;
}

/* The model that is kept, in the units of the ratings. */
static lc_status result(struct training *t, struct vit_model *model, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  if (t->recipe->train_kept == PL_KEPT_BEST && t->train.has_best) {
    LC_TRY(lc_path_join(path, t->recipe->output_folder, "best.safetensors", err));
    LC_TRY(vit_model_load(model, path, &t->arch, err));
  } else {
    LC_TRY(vit_train_result(&t->train, model, err));
  }
  LC_SCOPED(pl_prepared_free) struct pl_prepared prepared = {0};
  LC_TRY(fold_scale(model, &t->learn.scale, err));
  LC_TRY(lc_path_join(path, t->recipe->output_folder, "model.safetensors", err));
  LC_TRY(
      pl_prepared_describe(&prepared, t->recipe, t->crops.size, t->crops.crops[0].spacing_mm, err));
  return vit_model_save_with(model, path, "trained by lungcdam; research use only", prepared.pairs,
                             prepared.n, err);
}

static lc_status finish(struct training *t, struct pl_evaluation *evaluation,
                        struct lc_error *err) {
  LC_SCOPED(vit_model_free) struct vit_model model = {0};
  LC_SCOPED(pl_predictions_free) struct pl_predictions predictions = {0};
  const struct pl_measured measured = {&t->measure, &predictions, evaluation, &model,
                                       t->recipe->data_validate};
  char path[LC_PATH_SIZE];
  LC_TRY(result(t, &model, err));
  t->measure.scale = pl_label_scale_none();
  LC_TRY(pl_predict(&model, &t->measure, t->recipe->test_symmetries, NULL, &predictions, err));
  LC_TRY(pl_evaluate(&t->measure, &predictions, (size_t)t->recipe->test_bootstrap,
                     (uint64_t)t->recipe->train_seed, evaluation, err));
  evaluation->trained = model.trained;
  /* What is said of the weights is said of the file. */
  LC_TRY(lc_path_join(path, t->recipe->output_folder, "model.safetensors", err));
  LC_TRY(lc_hash_file_hex(path, model.weights_sha256, err));
  memcpy(evaluation->weights_sha256, model.weights_sha256, LC_SHA256_HEX);
  LC_TRY(pl_measured_write(&measured, t->recipe->output_folder, err));
  return pl_training_log_picture(&t->log, err);
}

lc_status pl_training_run(const struct pl_recipe *recipe, enum pl_existing existing,
                          struct pl_evaluation *evaluation, struct lc_error *err) {
  LC_SCOPED(training_free) struct training t = {.recipe = recipe};
  LC_TRY(prepare_data(&t, err));
  LC_TRY(prepare_train(&t, err));
  LC_TRY(prepare_folder(recipe, existing, err));
  LC_TRY(settle_recipe(recipe, err));
  LC_TRY(train_all(&t, existing == PL_EXISTING_RESUME, err));
  return finish(&t, evaluation, err);
}
