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

static const char *const image_words[] = {
    [CT_IMAGES_CROP] = "crop", [CT_IMAGES_CUBE] = "cube", NULL};
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

#define KEY_OBJECT struct pl_recipe
#define PLACE .keeping = PL_PLACE

static const struct pl_key keys[] = {
    KEY_TEXT(data, crops, "", "HDF5 file of nodule crops (docs/training.md).", PLACE),
    KEY_CHOICE(data, split, "file", split_words,
               "Splits of the file, or folds by patient, or (published numbers only) by nodule, "
               "dealt here or stored in a data set."),
    KEY_INTEGER(data, folds, "5", 2, 1000, "Number of folds."),
    KEY_INTEGER(data, fold, "0", 0, 999,
                "The fold to measure on, from 0; the others are learned from."),
    KEY_INTEGER(data, fold_seed, "1", 0, 9e15, "Seed of the dealing into folds."),
    KEY_TEXT(data, train, "train", "Split to learn from."),
    KEY_TEXT(data, validate, "validate",
             "Split to measure on; its patients must not be in the other."),
    KEY_INTEGER(data, min_readers, "0", 0, 100, "Nodules that fewer readers rated are left out."),
    KEY_CHOICE(data, images, "crop", image_words,
               "One interpolation at data.spacing_mm, then clamped and z-scored; or the whole "
               "slice of a cube clamped, z-scored and enlarged, as `lungcdam run` does."),
    KEY_LIST(data, views, "[axial]", pl_view_words,
             "Views of the cubes: a random one while learning, the mean over all when measuring."),
    KEY_REAL(data, spacing_mm, "0.625", 0.05, 10, "Distance of the pixels that the network sees."),
    KEY_INTEGER(data, pixels, "64", 8, 1024, "Rows and columns that the network sees."),
    KEY_BOOL(data, repeat_edge, "true", "Outside a crop its nearest pixel is seen; else air."),
    KEY_REAL(data, hu_low, "-1000", -4096, 32767, "HU below are raised to this."),
    KEY_REAL(data, hu_high, "400", -4096, 32767, "HU above are lowered to this."),
    KEY_CHOICE(data, zscore, "slice", pl_zscore_words, "Whose mean and deviation are used."),
    KEY_REAL(data, mean, "0", -32768, 32767, "Mean HU for 'fixed'."),
    KEY_REAL(data, deviation, "1", 1e-6, 32767, "Standard deviation in HU for 'fixed'."),

    KEY_TEXT(model, weights, "",
             "Weight file, or the name of a model, to start from; empty: seeded weights."),
    KEY_TEXT(model, architecture, "custom",
             "Name of a published shape, or 'custom' for the keys below."),
    KEY_INTEGER(model, dim, "128", 8, 4096, "Width of the tokens."),
    KEY_INTEGER(model, depth, "6", 1, 100, "Blocks."),
    KEY_INTEGER(model, heads, "4", 1, 64, "Attention heads."),
    KEY_INTEGER(model, mlp_dim, "512", 8, 16384, "Width of the hidden layer of each block."),
    KEY_INTEGER(model, patch, "8", 1, 64, "Pixels of a patch edge."),
    KEY_INTEGER(model, hidden, "0", 0, 4096,
                "Hidden layer of the biomarker head; 0: one linear layer."),
    KEY_INTEGER(model, seed, "1", 0, 9e15, "Seed of new weights."),
    KEY_LIST(
        model, frozen, "[]", NULL,
        "What stays as it is: embedding, blocks.0-5, norm, heads, or the beginning of a name."),

    KEY_REAL(tasks, malignancy, "1", 0, 1000,
             "Weight of cross-entropy on malignancy (mean rating above 3; 3 is left out); 0: no "
             "such head."),
    KEY_REAL(tasks, biomarkers, "1", 0, 1000,
             "Weight of Huber's loss on the eight z-scored biomarkers; 0: no such head."),
    KEY_REAL(tasks, huber_delta, "1", 0.01, 1000,
             "Deviations from which Huber's loss grows linearly; large: squared error."),
    KEY_CHOICE(tasks, grading, "binary", grading_words,
               "Malignancy taught: above or below 3; the same and 3 as 0.5; or a logistic curve of "
               "the rating."),
    KEY_REAL(tasks, steepness, "1.5", 0.01, 100,
             "Logit a rating point of the curve for 'graded', which is 0.5 at 3."),
    KEY_REAL(tasks, positive_weight, "1", 0, 1e6,
             "Factor of malignant nodules in the loss; 0: as many times as benign ones are more "
             "frequent."),
    KEY_LIST(tasks, biomarker_weights, "[]", NULL,
             "Eight factors of the biomarkers' losses; empty: ones."),

    KEY_INTEGER(train, batch, "64", 1, 4096, "Nodules a step."),
    KEY_INTEGER(
        train, part, "0", 0, 4096,
        "Nodules that go through the network at once; 0: the batch. Less memory, other rounding."),
    KEY_BOOL(train, recompute, "false",
             "Compute blocks twice instead of keeping them: less memory, same bits.", PLACE),
    KEY_INTEGER(train, epochs, "100", 1, 100000, "Times that every nodule is seen."),
    KEY_INTEGER(train, seed, "1", 0, 9e15, "Seed of order and augmentation."),
    KEY_BOOL(train, whole_batches, "true",
             "Leave out the last nodules of an epoch that do not fill a batch."),
    KEY_CHOICE(train, kept, "last", kept_words, "The weights that are the result."),
    KEY_CHOICE(train, score, "auroc", score_words,
               "What 'best' and patience look at, on the split to measure on."),
    KEY_INTEGER(train, patience, "0", 0, 100000,
                "Epochs without a better score before the run ends; 0: never."),
    KEY_REAL(train, dropout, "0", 0, 0.99,
             "Dropout throughout the backbone: after positions, projections, GELU and each MLP."),
    KEY_REAL(train, dropout_heads, "0", 0, 0.99, "Dropout of what the heads see."),
    KEY_REAL(
        train, drop_path, "0", 0, 0.99,
        "Stochastic depth: share of images that leave out a branch of the last block; less below."),

    KEY_CHOICE(optimizer, kind, "adamw", optimizer_words,
               "Adam, or Adam with decoupled weight decay."),
    KEY_REAL(optimizer, beta1, "0.9", 0, 0.99999, "Memory of the mean gradient."),
    KEY_REAL(optimizer, beta2, "0.999", 0, 0.9999999, "Memory of its square."),
    KEY_REAL(optimizer, epsilon, "1e-8", 1e-20, 1, "Added to the root of the mean square."),
    KEY_REAL(optimizer, weight_decay, "0.05", 0, 10,
             "On weights; never on norms, biases and tokens."),
    KEY_REAL(optimizer, clip_norm, "1", 0, 1e9, "Largest global norm of the gradient; 0: any."),
    KEY_REAL(optimizer, ema_decay, "0", 0, 0.9999999,
             "Moving average of the weights, which is then the result; 0: none."),
    KEY_BOOL(optimizer, ema_warmup, "true", "The average follows faster at first."),

    KEY_CHOICE(schedule, kind, "cosine", schedule_words, "How the learning rate goes."),
    KEY_REAL(schedule, rate, "5e-4", 0, 10,
             "Learning rate: the first, the highest of a cosine, the lowest of triangular2."),
    KEY_REAL(schedule, highest, "1e-3", 0, 10, "Top of the first cycle of triangular2."),
    KEY_REAL(schedule, lowest, "0", 0, 10, "Where a cosine ends."),
    KEY_REAL(schedule, decay, "0.95", 1e-6, 2, "Factor an epoch of exponential."),
    KEY_REAL(schedule, warmup_epochs, "5", 0, 100000, "Linear rise before a cosine."),
    KEY_REAL(schedule, up_epochs, "2", 0, 100000, "Rise of triangular2."),
    KEY_REAL(schedule, down_epochs, "2", 0, 100000, "Fall of triangular2."),

    KEY_BOOL(augment, quarter_turns, "true", "Rotations by 90 degrees."),
    KEY_BOOL(augment, flips, "true", "Mirror images."),
    KEY_INTEGER(
        augment, slices, "0", 0, 255,
        "A slice up to so many from the middle of the cube; measuring takes the middle one."),
    KEY_REAL(augment, rotation_deg, "0", 0, 180, "Further rotation, up to this."),
    KEY_REAL(augment, shift_px, "3", 0, 1024, "Shift of rows and columns, up to this."),
    KEY_REAL(augment, scale, "0", 0, 4, "Magnification by up to 1 + this, or its inverse."),
    KEY_REAL(augment, offset_hu, "0", 0, 4096, "Standard deviation of an offset of all HU."),
    KEY_REAL(augment, gain, "0", 0, 4,
             "Standard deviation of the logarithm of a factor of HU + 1000."),
    KEY_REAL(augment, noise_hu, "20", 0, 4096, "White noise of a standard deviation up to this."),
    KEY_REAL(augment, mixup, "0", 0, 2,
             "Mixes images and labels of two nodules by a share from Beta(a, a); 0: no."),

    KEY_BOOL(test, symmetries, "true",
             "Average over the eight rotations and flips when measuring at the end."),
    KEY_INTEGER(test, bootstrap, "2000", 10, 1000000,
                "Replicates, drawn by patient, for intervals."),
    KEY_REAL(test, threshold, "0.5", 0, 1, "Probability from which a nodule is called malignant."),
    KEY_CHOICE(test, pictures, "png", picture_words, "Format of the pictures, or none.", PLACE),

    KEY_INTEGER(checkpoint, steps, "0", 0, 9e15,
                "Steps between checkpoints; 0: one after each epoch.", PLACE),
    KEY_INTEGER(checkpoint, keep, "2", 1, 1000, "Last checkpoints that stay.", PLACE),

    KEY_TEXT(output, folder, "lungcdam-training", "Folder of the run.", PLACE),
};

const struct pl_schema pl_recipe_schema = {
    .what = "training recipe", .keys = keys, .n_keys = sizeof keys / sizeof *keys};

static lc_status check_images(const struct pl_recipe *r, struct lc_error *err) {
  LC_TRY(pl_views_check(&r->data_views, "data.views", err));
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

static lc_status apply(struct pl_recipe *recipe, const struct pl_overrides *overrides,
                       struct lc_error *err) {
  const struct pl_schema *schema = &pl_recipe_schema;
  LC_TRY(pl_schema_init(schema, recipe, err));
  LC_TRY(pl_prepared_apply(schema, recipe, "recipe.", overrides->weights, overrides->opened, err));
  LC_TRY(pl_schema_layer(schema, recipe, overrides, "train.epochs=10", err));
  LC_TRY(pl_schema_set_text(schema, recipe, "data.crops", overrides->crops, err));
  LC_TRY(pl_schema_set_text(schema, recipe, "output.folder", overrides->output, err));
  recipe->load = overrides->load;
  return check(recipe, err);
}

lc_status pl_recipe_make(struct pl_recipe *recipe, const struct pl_overrides *overrides,
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
