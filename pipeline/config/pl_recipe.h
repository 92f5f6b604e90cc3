/* The recipe of a training: defaults, then a YAML file, then options, in that order.
 *
 * docs/training.md explains the keys. Plain data; thread-safety: distinct objects, distinct
 * threads. */
#pragma once

#include "ct_io/ct/ct_augment.h"
#include "pipeline/config/pl_schema.h"
#include "vit/train/vit_loss.h"
#include "vit/train/vit_optim.h"
#include "vit/train/vit_schedule.h"
#include "vit/weights/vit_arch.h"

/* Which weights a finished run keeps. */
enum pl_kept { PL_KEPT_LAST = 0, PL_KEPT_BEST };
/* Where splits come from: the file, folds by pl_crops_fold, or the folds that a data set holds. */
enum pl_split {
  PL_SPLIT_FILE = 0,
  PL_SPLIT_PATIENT,
  PL_SPLIT_NODULE,
  PL_SPLIT_STORED_PATIENT,
  PL_SPLIT_STORED_NODULE
};
/* What the malignancy output is taught. Measuring always asks for above or below 3. */
enum pl_grading {
  PL_GRADING_BINARY = 0, /* 0 below 3, 1 above, 3 left out */
  PL_GRADING_HALF,       /* the same, and 3 is taught as 0.5 */
  PL_GRADING_GRADED      /* 1 / (1 + exp(-steepness (rating - 3))) */
};
enum pl_score { PL_SCORE_AUROC = 0, PL_SCORE_R2, PL_SCORE_SUM };
/* Format of the pictures of a measurement. */
enum pl_pictures { PL_PICTURES_PNG = 0, PL_PICTURES_SVG, PL_PICTURES_PDF, PL_PICTURES_NONE };

struct pl_recipe {
  char *data_crops, *data_train, *data_validate;
  double data_spacing_mm, data_hu_low, data_hu_high, data_mean, data_deviation;
  long long data_pixels, data_folds, data_fold, data_fold_seed;
  int data_split;
  int data_zscore; /* enum ct_zscore */
  bool data_repeat_edge;
  int data_images; /* enum ct_images */
  struct pl_list data_views;
  long long data_min_readers;

  char *model_weights, *model_architecture;
  struct pl_load load; /* how the weights are read: texts and list are those of the overrides */
  long long model_dim, model_depth, model_heads, model_mlp_dim, model_patch, model_hidden,
      model_seed;
  struct pl_list model_frozen;

  double tasks_malignancy, tasks_biomarkers, tasks_huber_delta;
  int tasks_grading;
  double tasks_steepness, tasks_positive_weight;
  struct pl_list tasks_biomarker_weights;

  long long train_batch, train_part, train_epochs, train_seed;
  bool train_whole_batches, train_recompute;
  int train_kept, train_score;
  long long train_patience;
  double train_dropout, train_dropout_heads, train_drop_path;

  int optimizer_kind;
  double optimizer_beta1, optimizer_beta2, optimizer_epsilon, optimizer_weight_decay,
      optimizer_clip_norm, optimizer_ema_decay;
  bool optimizer_ema_warmup;

  int schedule_kind;
  double schedule_rate, schedule_highest, schedule_lowest, schedule_decay, schedule_warmup_epochs,
      schedule_up_epochs, schedule_down_epochs;

  bool augment_quarter_turns, augment_flips;
  long long augment_slices;
  double augment_rotation_deg, augment_shift_px, augment_scale, augment_offset_hu, augment_gain,
      augment_noise_hu, augment_mixup;

  bool test_symmetries;
  long long test_bootstrap;
  double test_threshold;
  int test_pictures;

  long long checkpoint_steps, checkpoint_keep;

  char *output_folder;
};

extern const struct pl_schema pl_recipe_schema;

/* overrides->weights: how its images are prepared comes before the file. */
LC_MUST_CHECK lc_status pl_recipe_make(struct pl_recipe *recipe,
                                       const struct pl_overrides *overrides, struct lc_error *err);
void pl_recipe_free(struct pl_recipe *recipe);
/* What a run needs beyond a valid recipe: the data. */
LC_MUST_CHECK lc_status pl_recipe_check_run(const struct pl_recipe *recipe, struct lc_error *err);
/* And what a training needs: images of whole slices are only turned and flipped. */
LC_MUST_CHECK lc_status pl_recipe_check_training(const struct pl_recipe *recipe,
                                                 struct lc_error *err);

/* The model's shape, with one head a task of weight above 0 (malignancy first). */
LC_MUST_CHECK lc_status pl_recipe_arch(const struct pl_recipe *recipe, struct vit_arch *arch,
                                       struct lc_error *err);
void pl_recipe_optim(const struct pl_recipe *recipe, struct vit_optim_settings *settings);
/* Epochs become steps; total_steps is left to the training. */
void pl_recipe_schedule(const struct pl_recipe *recipe, uint64_t steps_per_epoch,
                        struct vit_schedule *schedule);
void pl_recipe_augment(const struct pl_recipe *recipe, struct ct_augment *augment);
/* The eight factors of the biomarkers' losses; ones where the recipe gives none. */
LC_MUST_CHECK lc_status pl_recipe_biomarker_weights(const struct pl_recipe *recipe,
                                                    float weights[8], struct lc_error *err);
