/* Holds the schema of the training recipe, builds and checks a recipe, and turns it into
 * architecture, optimiser, schedule and augmentation. */
#include "pipeline/config/pl_recipe.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"
#include "ct_io/ct/ct_image.h"
#include "pipeline/config/pl_prepared.h"

static const char *const zscore_words[] = {
    [CT_ZSCORE_CUBE] = "cube", [CT_ZSCORE_SLICE] = "slice", [CT_ZSCORE_FIXED] = "fixed", NULL};
static const char *const image_words[] = {
    [CT_IMAGES_CROP] = "crop", [CT_IMAGES_CUBE] = "cube", NULL};
static const char *const view_words[] = {"axial", "coronal", "sagittal", NULL};
static const char *const split_words[] = {[PL_SPLIT_FILE] = "file",
                                          [PL_SPLIT_PATIENT] = "patient",
                                          [PL_SPLIT_NODULE] = "nodule",
                                          [PL_SPLIT_STORED_PATIENT] = "stored-patient",
                                          [PL_SPLIT_STORED_NODULE] = "stored-nodule",
                                          NULL};
static const char *const kept_words[] = {[PL_KEPT_LAST] = "last", [PL_KEPT_BEST] = "best", NULL};
static const char *const picture_words[] = {[PL_PICTURES_PNG] = "png",
                                            [PL_PICTURES_SVG] = "svg",
                                            [PL_PICTURES_PDF] = "pdf",
                                            [PL_PICTURES_NONE] = "none",
                                            NULL};
static const char *const score_words[] = {
    [PL_SCORE_AUROC] = "auroc", [PL_SCORE_R2] = "r2", [PL_SCORE_SUM] = "auroc+r2", NULL};
static const char *const optimizer_words[] = {[VIT_ADAM] = "adam", [VIT_ADAMW] = "adamw", NULL};
static const char *const schedule_words[] = {[VIT_SCHEDULE_CONSTANT] = "constant",
                                             [VIT_SCHEDULE_EXPONENTIAL] = "exponential",
                                             [VIT_SCHEDULE_COSINE] = "cosine",
                                             [VIT_SCHEDULE_TRIANGULAR2] = "triangular2",
                                             NULL};

static const char *const grading_words[] = {[PL_GRADING_BINARY] = "binary",
                                            [PL_GRADING_HALF] = "half",
                                            [PL_GRADING_GRADED] = "graded",
                                            NULL};

#define AT(field) offsetof(struct pl_recipe, field)
#define PLACE PL_PLACE
#define KEPT PL_KEEP

static const struct pl_key keys[] = {
    {"data.crops", PL_TEXT, AT(data_crops), "", 0, 0, NULL, PLACE,
     "HDF5 file of nodule crops (docs/training.md)."},
    {"data.split", PL_CHOICE, AT(data_split), "file", 0, 0, split_words, KEPT,
     "Splits of the file, or folds by patient, or (published numbers only) by nodule, dealt here "
     "or "
     "stored in a data set."},
    {"data.folds", PL_INTEGER, AT(data_folds), "5", 2, 1000, NULL, KEPT, "Number of folds."},
    {"data.fold", PL_INTEGER, AT(data_fold), "0", 0, 999, NULL, KEPT,
     "The fold to measure on, from 0; the others are learned from."},
    {"data.fold_seed", PL_INTEGER, AT(data_fold_seed), "1", 0, 9e15, NULL, KEPT,
     "Seed of the dealing into folds."},
    {"data.train", PL_TEXT, AT(data_train), "train", 0, 0, NULL, KEPT, "Split to learn from."},
    {"data.validate", PL_TEXT, AT(data_validate), "validate", 0, 0, NULL, KEPT,
     "Split to measure on; its patients must not be in the other."},
    {"data.min_readers", PL_INTEGER, AT(data_min_readers), "0", 0, 100, NULL, KEPT,
     "Nodules that fewer readers rated are left out."},
    {"data.images", PL_CHOICE, AT(data_images), "crop", 0, 0, image_words, KEPT,
     "One interpolation at data.spacing_mm, then clamped and z-scored; or the whole slice of a "
     "cube "
     "clamped, z-scored and enlarged, as `lungcdam run` does."},
    {"data.views", PL_LIST, AT(data_views), "[axial]", 0, 0, view_words, KEPT,
     "Views of the cubes: a random one while learning, the mean over all when measuring."},
    {"data.spacing_mm", PL_REAL, AT(data_spacing_mm), "0.625", 0.05, 10, NULL, KEPT,
     "Distance of the pixels that the network sees."},
    {"data.pixels", PL_INTEGER, AT(data_pixels), "64", 8, 1024, NULL, KEPT,
     "Rows and columns that the network sees."},
    {"data.repeat_edge", PL_BOOL, AT(data_repeat_edge), "true", 0, 0, NULL, KEPT,
     "Outside a crop its nearest pixel is seen; else air."},
    {"data.hu_low", PL_REAL, AT(data_hu_low), "-1000", -4096, 32767, NULL, KEPT,
     "HU below are raised to this."},
    {"data.hu_high", PL_REAL, AT(data_hu_high), "400", -4096, 32767, NULL, KEPT,
     "HU above are lowered to this."},
    {"data.zscore", PL_CHOICE, AT(data_zscore), "slice", 0, 0, zscore_words, KEPT,
     "Whose mean and deviation are used."},
    {"data.mean", PL_REAL, AT(data_mean), "0", -32768, 32767, NULL, KEPT, "Mean HU for 'fixed'."},
    {"data.deviation", PL_REAL, AT(data_deviation), "1", 1e-6, 32767, NULL, KEPT,
     "Standard deviation in HU for 'fixed'."},

    {"model.weights", PL_TEXT, AT(model_weights), "", 0, 0, NULL, KEPT,
     "Weight file, or the name of a model, to start from; empty: seeded weights."},
    {"model.architecture", PL_TEXT, AT(model_architecture), "custom", 0, 0, NULL, KEPT,
     "Name of a published shape, or 'custom' for the keys below."},
    {"model.dim", PL_INTEGER, AT(model_dim), "128", 8, 4096, NULL, KEPT, "Width of the tokens."},
    {"model.depth", PL_INTEGER, AT(model_depth), "6", 1, 100, NULL, KEPT, "Blocks."},
    {"model.heads", PL_INTEGER, AT(model_heads), "4", 1, 64, NULL, KEPT, "Attention heads."},
    {"model.mlp_dim", PL_INTEGER, AT(model_mlp_dim), "512", 8, 16384, NULL, KEPT,
     "Width of the hidden layer of each block."},
    {"model.patch", PL_INTEGER, AT(model_patch), "8", 1, 64, NULL, KEPT, "Pixels of a patch edge."},
    {"model.hidden", PL_INTEGER, AT(model_hidden), "0", 0, 4096, NULL, KEPT,
     "Hidden layer of the biomarker head; 0: one linear layer."},
    {"model.seed", PL_INTEGER, AT(model_seed), "1", 0, 9e15, NULL, KEPT, "Seed of new weights."},
    {"model.frozen", PL_LIST, AT(model_frozen), "[]", 0, 0, NULL, KEPT,
     "What stays as it is: embedding, blocks.0-5, norm, heads, or the beginning of a name."},

    {"tasks.malignancy", PL_REAL, AT(tasks_malignancy), "1", 0, 1000, NULL, KEPT,
     "Weight of cross-entropy on malignancy (mean rating above 3; 3 is left out); 0: no such "
     "head."},
    {"tasks.biomarkers", PL_REAL, AT(tasks_biomarkers), "1", 0, 1000, NULL, KEPT,
     "Weight of Huber's loss on the eight z-scored biomarkers; 0: no such head."},
    {"tasks.huber_delta", PL_REAL, AT(tasks_huber_delta), "1", 0.01, 1000, NULL, KEPT,
     "Deviations from which Huber's loss grows linearly; large: squared error."},
    {"tasks.grading", PL_CHOICE, AT(tasks_grading), "binary", 0, 0, grading_words, KEPT,
     "Malignancy taught: above or below 3; the same and 3 as 0.5; or a logistic curve of the "
     "rating."},
    {"tasks.steepness", PL_REAL, AT(tasks_steepness), "1.5", 0.01, 100, NULL, KEPT,
     "Logit a rating point of the curve for 'graded', which is 0.5 at 3."},
    {"tasks.positive_weight", PL_REAL, AT(tasks_positive_weight), "1", 0, 1e6, NULL, KEPT,
     "Factor of malignant nodules in the loss; 0: as many times as benign ones are more frequent."},
    {"tasks.biomarker_weights", PL_LIST, AT(tasks_biomarker_weights), "[]", 0, 0, NULL, KEPT,
     "Eight factors of the biomarkers' losses; empty: ones."},

    {"train.batch", PL_INTEGER, AT(train_batch), "64", 1, 4096, NULL, KEPT, "Nodules a step."},
    {"train.part", PL_INTEGER, AT(train_part), "0", 0, 4096, NULL, KEPT,
     "Nodules that go through the network at once; 0: the batch. Less memory, other rounding."},
    {"train.recompute", PL_BOOL, AT(train_recompute), "false", 0, 0, NULL, PLACE,
     "Compute blocks twice instead of keeping them: less memory, same bits."},
    {"train.epochs", PL_INTEGER, AT(train_epochs), "100", 1, 100000, NULL, KEPT,
     "Times that every nodule is seen."},
    {"train.seed", PL_INTEGER, AT(train_seed), "1", 0, 9e15, NULL, KEPT,
     "Seed of order and augmentation."},
    {"train.whole_batches", PL_BOOL, AT(train_whole_batches), "true", 0, 0, NULL, KEPT,
     "Leave out the last nodules of an epoch that do not fill a batch."},
    {"train.kept", PL_CHOICE, AT(train_kept), "last", 0, 0, kept_words, KEPT,
     "The weights that are the result."},
    {"train.score", PL_CHOICE, AT(train_score), "auroc", 0, 0, score_words, KEPT,
     "What 'best' and patience look at, on the split to measure on."},
    {"train.patience", PL_INTEGER, AT(train_patience), "0", 0, 100000, NULL, KEPT,
     "Epochs without a better score before the run ends; 0: never."},
    {"train.dropout", PL_REAL, AT(train_dropout), "0", 0, 0.99, NULL, KEPT,
     "Dropout throughout the backbone: after positions, projections, GELU and each MLP."},
    {"train.dropout_heads", PL_REAL, AT(train_dropout_heads), "0", 0, 0.99, NULL, KEPT,
     "Dropout of what the heads see."},
    {"train.drop_path", PL_REAL, AT(train_drop_path), "0", 0, 0.99, NULL, KEPT,
     "Stochastic depth: share of images that leave out a branch of the last block; less below."},

    {"optimizer.kind", PL_CHOICE, AT(optimizer_kind), "adamw", 0, 0, optimizer_words, KEPT,
     "Adam, or Adam with decoupled weight decay."},
    {"optimizer.beta1", PL_REAL, AT(optimizer_beta1), "0.9", 0, 0.99999, NULL, KEPT,
     "Memory of the mean gradient."},
    {"optimizer.beta2", PL_REAL, AT(optimizer_beta2), "0.999", 0, 0.9999999, NULL, KEPT,
     "Memory of its square."},
    {"optimizer.epsilon", PL_REAL, AT(optimizer_epsilon), "1e-8", 1e-20, 1, NULL, KEPT,
     "Added to the root of the mean square."},
    {"optimizer.weight_decay", PL_REAL, AT(optimizer_weight_decay), "0.05", 0, 10, NULL, KEPT,
     "On weights; never on norms, biases and tokens."},
    {"optimizer.clip_norm", PL_REAL, AT(optimizer_clip_norm), "1", 0, 1e9, NULL, KEPT,
     "Largest global norm of the gradient; 0: any."},
    {"optimizer.ema_decay", PL_REAL, AT(optimizer_ema_decay), "0", 0, 0.9999999, NULL, KEPT,
     "Moving average of the weights, which is then the result; 0: none."},
    {"optimizer.ema_warmup", PL_BOOL, AT(optimizer_ema_warmup), "true", 0, 0, NULL, KEPT,
     "The average follows faster at first."},

    {"schedule.kind", PL_CHOICE, AT(schedule_kind), "cosine", 0, 0, schedule_words, KEPT,
     "How the learning rate goes."},
    {"schedule.rate", PL_REAL, AT(schedule_rate), "5e-4", 0, 10, NULL, KEPT,
     "Learning rate: the first, the highest of a cosine, the lowest of triangular2."},
    {"schedule.highest", PL_REAL, AT(schedule_highest), "1e-3", 0, 10, NULL, KEPT,
     "Top of the first cycle of triangular2."},
    {"schedule.lowest", PL_REAL, AT(schedule_lowest), "0", 0, 10, NULL, KEPT,
     "Where a cosine ends."},
    {"schedule.decay", PL_REAL, AT(schedule_decay), "0.95", 1e-6, 2, NULL, KEPT,
     "Factor an epoch of exponential."},
    {"schedule.warmup_epochs", PL_REAL, AT(schedule_warmup_epochs), "5", 0, 100000, NULL, KEPT,
     "Linear rise before a cosine."},
    {"schedule.up_epochs", PL_REAL, AT(schedule_up_epochs), "2", 0, 100000, NULL, KEPT,
     "Rise of triangular2."},
    {"schedule.down_epochs", PL_REAL, AT(schedule_down_epochs), "2", 0, 100000, NULL, KEPT,
     "Fall of triangular2."},

    {"augment.quarter_turns", PL_BOOL, AT(augment_quarter_turns), "true", 0, 0, NULL, KEPT,
     "Rotations by 90 degrees."},
    {"augment.flips", PL_BOOL, AT(augment_flips), "true", 0, 0, NULL, KEPT, "Mirror images."},
    {"augment.slices", PL_INTEGER, AT(augment_slices), "0", 0, 255, NULL, KEPT,
     "A slice up to so many from the middle of the cube; measuring takes the middle one."},
    {"augment.rotation_deg", PL_REAL, AT(augment_rotation_deg), "0", 0, 180, NULL, KEPT,
     "Further rotation, up to this."},
    {"augment.shift_px", PL_REAL, AT(augment_shift_px), "3", 0, 1024, NULL, KEPT,
     "Shift of rows and columns, up to this."},
    {"augment.scale", PL_REAL, AT(augment_scale), "0", 0, 4, NULL, KEPT,
     "Magnification by up to 1 + this, or its inverse."},
    {"augment.offset_hu", PL_REAL, AT(augment_offset_hu), "0", 0, 4096, NULL, KEPT,
     "Standard deviation of an offset of all HU."},
    {"augment.gain", PL_REAL, AT(augment_gain), "0", 0, 4, NULL, KEPT,
     "Standard deviation of the logarithm of a factor of HU + 1000."},
    {"augment.noise_hu", PL_REAL, AT(augment_noise_hu), "20", 0, 4096, NULL, KEPT,
     "White noise of a standard deviation up to this."},
    {"augment.mixup", PL_REAL, AT(augment_mixup), "0", 0, 2, NULL, KEPT,
     "Mixes images and labels of two nodules by a share from Beta(a, a); 0: no."},

    {"test.symmetries", PL_BOOL, AT(test_symmetries), "true", 0, 0, NULL, KEPT,
     "Average over the eight rotations and flips when measuring at the end."},
    {"test.bootstrap", PL_INTEGER, AT(test_bootstrap), "2000", 10, 1000000, NULL, KEPT,
     "Replicates, drawn by patient, for intervals."},
    {"test.threshold", PL_REAL, AT(test_threshold), "0.5", 0, 1, NULL, KEPT,
     "Probability from which a nodule is called malignant."},
    {"test.pictures", PL_CHOICE, AT(test_pictures), "png", 0, 0, picture_words, PLACE,
     "Format of the pictures, or none."},

    {"checkpoint.steps", PL_INTEGER, AT(checkpoint_steps), "0", 0, 9e15, NULL, PLACE,
     "Steps between checkpoints; 0: one after each epoch."},
    {"checkpoint.keep", PL_INTEGER, AT(checkpoint_keep), "2", 1, 1000, NULL, PLACE,
     "Last checkpoints that stay."},

    {"output.folder", PL_TEXT, AT(output_folder), "lungcdam-training", 0, 0, NULL, PLACE,
     "Folder of the run."},
};

const struct pl_schema pl_recipe_schema = {
    .what = "training recipe", .keys = keys, .n_keys = sizeof keys / sizeof *keys};

static lc_status check_images(const struct pl_recipe *r, struct lc_error *err) {
  if (r->data_views.n == 0) LC_FAIL(err, LC_ERR_CONFIG, "data.views is empty");
  for (size_t i = 0; i < r->data_views.n; i++)
    for (size_t j = 0; j < i; j++)
      if (strcmp(r->data_views.items[i], r->data_views.items[j]) == 0)
        LC_FAIL(err, LC_ERR_CONFIG, "data.views names %s twice", r->data_views.items[i]);
  if (r->data_images == CT_IMAGES_CROP && r->data_zscore == CT_ZSCORE_CUBE)
    LC_FAIL(err, LC_ERR_CONFIG, "data.zscore is cube, expected data.images: cube with it");
  return LC_OK;
}

lc_status pl_recipe_check_training(const struct pl_recipe *r, struct lc_error *err) {
  const struct {
    const char *key;
    double value;
  } varied[] = {{"augment.rotation_deg", r->augment_rotation_deg},
                {"augment.shift_px", r->augment_shift_px},
                {"augment.scale", r->augment_scale},
                {"augment.offset_hu", r->augment_offset_hu},
                {"augment.gain", r->augment_gain},
                {"augment.noise_hu", r->augment_noise_hu}};
  LC_TRY(pl_recipe_check_run(r, err));
  for (size_t i = 0; r->data_images == CT_IMAGES_CUBE && i < sizeof varied / sizeof *varied; i++)
    if (varied[i].value != 0)
      LC_FAIL(err, LC_ERR_CONFIG, "%s is %g, expected 0 with data.images: cube", varied[i].key,
              varied[i].value);
  return LC_OK;
}

lc_status pl_recipe_biomarker_weights(const struct pl_recipe *recipe, float weights[8],
                                      struct lc_error *err) {
  const struct pl_list *list = &recipe->tasks_biomarker_weights;
  for (size_t b = 0; b < 8; b++) weights[b] = 1;
  if (list->n == 0) return LC_OK;
  if (list->n != 8)
    LC_FAIL(err, LC_ERR_CONFIG, "tasks.biomarker_weights has %zu numbers, expected 8", list->n);
  for (size_t b = 0; b < 8; b++) {
    double value;
    if (!lc_text_to_double(list->items[b], &value) || !(value >= 0 && value <= 1e6))
      LC_FAIL(err, LC_ERR_CONFIG,
              "tasks.biomarker_weights: \"%s\", expected a number from 0 to 1e6", list->items[b]);
    weights[b] = (float)value;
  }
  return LC_OK;
}

static lc_status check(const struct pl_recipe *r, struct lc_error *err) {
  float weights[8];
  LC_TRY(check_images(r, err));
  LC_TRY(pl_recipe_biomarker_weights(r, weights, err));
  if (r->data_hu_low >= r->data_hu_high)
    LC_FAIL(err, LC_ERR_CONFIG, "data.hu_low is %g, expected less than hu_high (%g)",
            r->data_hu_low, r->data_hu_high);
  if (r->tasks_malignancy == 0 && r->tasks_biomarkers == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "tasks.malignancy and tasks.biomarkers are both 0");
  if (r->schedule_kind == VIT_SCHEDULE_COSINE &&
      r->schedule_warmup_epochs >= (double)r->train_epochs && r->schedule_warmup_epochs > 0)
    LC_FAIL(err, LC_ERR_CONFIG,
            "schedule.warmup_epochs is %g, expected fewer than train.epochs (%lld)",
            r->schedule_warmup_epochs, r->train_epochs);
  bool needs_malignancy = r->train_kept == PL_KEPT_BEST || r->train_patience > 0;
  if (needs_malignancy && r->train_score != PL_SCORE_R2 && r->tasks_malignancy == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "train.score needs malignancy, but tasks.malignancy is 0");
  if (needs_malignancy && r->train_score != PL_SCORE_AUROC && r->tasks_biomarkers == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "train.score needs biomarkers, but tasks.biomarkers is 0");
  if (!*r->output_folder) LC_FAIL(err, LC_ERR_CONFIG, "output.folder is empty");
  return LC_OK;
}

static lc_status apply(struct pl_recipe *recipe, const struct pl_recipe_overrides *overrides,
                       struct lc_error *err) {
  LC_TRY(pl_schema_init(&pl_recipe_schema, recipe, err));
  LC_TRY(pl_prepared_apply(&pl_recipe_schema, recipe, "recipe.", overrides->weights,
                           overrides->opened, err));
  if (overrides->file) LC_TRY(pl_schema_read(&pl_recipe_schema, recipe, overrides->file, err));
  for (size_t i = 0; i < overrides->keys.n; i++)
    LC_TRY(pl_schema_set_pair(&pl_recipe_schema, recipe, overrides->keys.items[i],
                              "train.epochs=10", err));
  if (overrides->crops)
    LC_TRY(pl_schema_set_text(&pl_recipe_schema, recipe, "data.crops", overrides->crops, err));
  if (overrides->output)
    LC_TRY(pl_schema_set_text(&pl_recipe_schema, recipe, "output.folder", overrides->output, err));
  return check(recipe, err);
}

lc_status pl_recipe_make(struct pl_recipe *recipe, const struct pl_recipe_overrides *overrides,
                         struct lc_error *err) {
  memset(recipe, 0, sizeof *recipe);
  lc_status status = apply(recipe, overrides, err);
  if (status != LC_OK) pl_recipe_free(recipe);
  return status;
}

void pl_recipe_free(struct pl_recipe *recipe) {
  pl_schema_free(&pl_recipe_schema, recipe);
}

lc_status pl_recipe_check_run(const struct pl_recipe *recipe, struct lc_error *err) {
  if (!*recipe->data_crops)
    LC_FAIL(err, LC_ERR_CONFIG, "data.crops is empty, expected an HDF5 file (or --crops FILE)");
  return LC_OK;
}

static lc_status custom_arch(const struct pl_recipe *r, struct vit_arch *arch,
                             struct lc_error *err) {
  if (r->data_pixels % r->model_patch != 0)
    LC_FAIL(err, LC_ERR_CONFIG, "model.patch is %lld, expected a divisor of data.pixels (%lld)",
            r->model_patch, r->data_pixels);
  LC_TRY(vit_arch_named(arch, "vit_small_patch8", err));
  snprintf(arch->name, sizeof arch->name, "custom");
  arch->patch_size = (size_t)r->model_patch;
  arch->embed_dim = (size_t)r->model_dim;
  arch->depth = (size_t)r->model_depth;
  arch->num_heads = (size_t)r->model_heads;
  arch->mlp_dim = (size_t)r->model_mlp_dim;
  arch->grid_height = arch->grid_width = (size_t)(r->data_pixels / r->model_patch);
  return LC_OK;
}

lc_status pl_recipe_arch(const struct pl_recipe *r, struct vit_arch *arch, struct lc_error *err) {
  if (strcmp(r->model_architecture, "custom") == 0)
    LC_TRY(custom_arch(r, arch, err));
  else
    LC_TRY(vit_arch_named(arch, r->model_architecture, err));
  arch->image_height = arch->image_width = (size_t)r->data_pixels;
  if (r->tasks_malignancy > 0) LC_TRY(vit_arch_add_head(arch, "malignancy", 0, 1, true, err));
  if (r->tasks_biomarkers > 0)
    LC_TRY(vit_arch_add_head(arch, "biomarkers", (size_t)r->model_hidden, 8, false, err));
  return vit_arch_check(arch, err);
}

void pl_recipe_optim(const struct pl_recipe *r, struct vit_optim_settings *settings) {
  vit_optim_defaults(settings);
  settings->kind = (vit_optim_kind)r->optimizer_kind;
  settings->beta1 = r->optimizer_beta1;
  settings->beta2 = r->optimizer_beta2;
  settings->epsilon = r->optimizer_epsilon;
  settings->weight_decay = r->optimizer_weight_decay;
  settings->clip_norm = r->optimizer_clip_norm;
  settings->ema_decay = r->optimizer_ema_decay;
  settings->ema_warmup = r->optimizer_ema_warmup;
}

static uint64_t steps_of(double epochs, uint64_t steps_per_epoch) {
  return (uint64_t)llround(epochs * (double)steps_per_epoch);
}

void pl_recipe_schedule(const struct pl_recipe *r, uint64_t steps_per_epoch,
                        struct vit_schedule *schedule) {
  *schedule =
      (struct vit_schedule){.kind = (vit_schedule_kind)r->schedule_kind,
                            .rate = r->schedule_rate,
                            .decay = r->schedule_decay,
                            .steps_per_epoch = steps_per_epoch,
                            .lowest = r->schedule_lowest,
                            .warmup_steps = steps_of(r->schedule_warmup_epochs, steps_per_epoch),
                            .total_steps = steps_per_epoch * (uint64_t)r->train_epochs,
                            .highest = r->schedule_highest,
                            .steps_up = steps_of(r->schedule_up_epochs, steps_per_epoch),
                            .steps_down = steps_of(r->schedule_down_epochs, steps_per_epoch)};
}

void pl_recipe_augment(const struct pl_recipe *r, struct ct_augment *augment) {
  *augment = (struct ct_augment){.quarter_turns = r->augment_quarter_turns,
                                 .flips = r->augment_flips,
                                 .rotation_deg = r->augment_rotation_deg,
                                 .shift_px = r->augment_shift_px,
                                 .scale = r->augment_scale,
                                 .offset_hu = r->augment_offset_hu,
                                 .gain = r->augment_gain,
                                 .gain_centre_hu = -1000,
                                 .noise_hu = r->augment_noise_hu};
}
