/* Nodule crops as examples for a network: images and labels of one split.
 *
 * Thread-safety: an initialised object may be read by many threads. */
#pragma once

#include "ct_io/ct/ct_image.h"
#include "ct_io/nodule/ct_mark.h"
#include "pipeline/config/pl_recipe.h"
#include "pipeline/store/pl_crops.h"
#include "vit/train/vit_samples.h"

/* What the biomarkers of the training split have on average; predictions are in these units. */
struct pl_label_scale {
  double mean[PL_BIOMARKERS], deviation[PL_BIOMARKERS];
};

/* Means 0 and deviations 1: for trained models, whose outputs are in units of the labels, and for
 * those who do not use labels. */
struct pl_label_scale pl_label_scale_none(void);

struct pl_examples {
  const struct pl_crops *crops;   /* borrowed */
  const struct pl_recipe *recipe; /* borrowed */
  struct pl_label_scale scale;    /* targets are (rating - mean) / deviation */
  struct ct_augment augment;      /* nothing for measuring */
  uint32_t *rows;                 /* [n] of crops */
  size_t n;
  size_t outputs;                /* of the model */
  size_t malignancy, biomarkers; /* first output of each task; SIZE_MAX: no such task */
};

/* Examples of one split. scale: NULL makes it from this split (the one to learn from). */
LC_MUST_CHECK lc_status pl_examples_init(struct pl_examples *examples, const struct pl_crops *crops,
                                         const struct pl_recipe *recipe,
                                         const struct vit_arch *arch, const char *split,
                                         const struct pl_label_scale *scale, struct lc_error *err);
void pl_examples_free(struct pl_examples *examples);

/* The examples as a training wants them. */
struct vit_samples pl_examples_samples(struct pl_examples *examples);

/* What a nodule is measured on: the middle slice of each view, k below the count. */
size_t pl_examples_places(const struct pl_examples *examples);
struct ct_image_place pl_examples_place(const struct pl_examples *examples, size_t k);
/* What is learned from: a view and a slice near the middle, drawn from (seed, epoch, i). */
struct ct_image_place pl_examples_draw_place(const struct pl_examples *examples, uint64_t epoch,
                                             size_t i);
/* Voxels of example `i`, borrowed from the crops. */
struct ct_image_source pl_examples_source(const struct pl_examples *examples, size_t i,
                                          struct ct_image_place place);
/* Image of example `i` as the recipe says: image[3, pixels, pixels]. draw: NULL for none. */
LC_MUST_CHECK lc_status pl_examples_image(const struct pl_examples *examples, size_t i,
                                          struct ct_image_place place,
                                          const struct ct_augment_draw *draw, float *image,
                                          struct lc_error *err);

/* Reads the crops of a recipe and deals them into folds when it says so. */
LC_MUST_CHECK lc_status pl_recipe_crops(const struct pl_recipe *recipe, struct pl_crops *crops,
                                        struct lc_error *err);

/* Logs when a model's images are interpolated from cubes that were not cut for it: then its numbers
 * differ a little from those of `lungcdam run` on the same nodules. */
void pl_examples_note_cubes(const struct pl_examples *examples);

/* Patients of some examples (which [n]; NULL: the first n), numbered from 0 in the order in which
 * they occur, so that a bootstrap draws no empty ones: groups [n]. */
LC_MUST_CHECK lc_status pl_examples_groups(const struct pl_examples *examples,
                                           const uint32_t *which, size_t n, uint32_t *groups,
                                           size_t *n_groups, struct lc_error *err);

/* LC_ERR_MISMATCH names a patient that is in both. */
LC_MUST_CHECK lc_status pl_examples_disjoint(const struct pl_examples *a,
                                             const struct pl_examples *b, struct lc_error *err);
