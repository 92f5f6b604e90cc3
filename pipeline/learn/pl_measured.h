/* The files of a measurement: what a model said about a split, how good that is, and pictures of
 * it.
 *
 *   evaluation.txt, evaluation.json   the table, and everything as JSON
 *   evaluation.h5                     predictions, truth, curves, measures (docs/training.md)
 *   predictions.csv                   one row a nodule
 *   roc, precision_recall, calibration, biomarkers  pictures, .png by default
 *
 * Same input, same bytes. Thread-safety: PLplot and HDF5 are used from one thread at a time. */
#pragma once

#include "pipeline/learn/pl_evaluate.h"

struct pl_measured {
  const struct pl_examples *examples;
  const struct pl_predictions *predictions;
  const struct pl_evaluation *evaluation;
  const struct vit_model *model; /* hashed */
  const char *split;
};

/* Writes all of them into a folder that is there; each is written whole. */
LC_MUST_CHECK lc_status pl_measured_write(const struct pl_measured *measured, const char *folder,
                                          struct lc_error *err);

/* The pictures alone. */
LC_MUST_CHECK lc_status pl_measured_pictures(const struct pl_measured *measured, const char *folder,
                                             struct lc_error *err);

/* "png", "svg", "pdf", or NULL when the recipe wants no pictures or this program has none
 * (pl_plot_available), which is then said in the log. */
const char *pl_pictures_ending(const struct pl_recipe *recipe);
/* "lungcdam 0.1.0, research use only", and what is to be said of untrained weights. */
void pl_pictures_notice(bool trained, char *out, size_t size);
