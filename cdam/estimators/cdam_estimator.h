/* Importance estimators: CDAM and what it is compared with, behind one small interface.
 *
 * An estimator turns images, a model and targets into signed maps. The table lists all of them;
 * docs/estimators.md gives each one's formula, source and sign convention, as does the head of its
 * file.
 *
 * Positive: the place speaks for the target. Determinism: same settings, same bits, for any number
 * of threads and whatever other images are in the batch. Thread-safety: one call at a time a
 * model and trace; inside, estimators use lc_threads(). */
#ifndef CDAM_ESTIMATOR_H
#define CDAM_ESTIMATOR_H

#include "cdam/engine/cdam_task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an estimator reads. The first four name what the forward pass must keep. */
enum {
  CDAM_NEEDS_LAST_INPUT = 1,
  CDAM_NEEDS_CLS_ATTENTION = 2,
  CDAM_NEEDS_ALL_INPUTS = 4,
  CDAM_NEEDS_ALL_ATTENTION = 8,
  CDAM_NEEDS_IMAGES = 16,   /* runs further passes itself */
  CDAM_NEEDS_GRADIENT = 32, /* runs backward passes through all blocks */
};

struct cdam_estimator {
  const char *name;   /* as on the command line and in HDF5: "smooth_cdam" */
  const char *title;  /* for figures: "Smooth CDAM" */
  const char *source; /* paper */
  unsigned needs;
  bool is_signed;        /* false: never below zero */
  bool target_dependent; /* false: one map for all targets, n_targets is read as 1 */
  bool on_pixels;        /* maps have the image's size, not the patch grid's */
  struct cdam_settings defaults;
  /* maps has the right shape and is zero. */
  lc_status (*run)(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err);
};

/* All estimators; *count entries. */
const struct cdam_estimator *cdam_estimators(size_t *count);
/* LC_ERR_NOT_FOUND names the nearest. */
LC_MUST_CHECK lc_status cdam_estimator_find(const char *name,
                                            const struct cdam_estimator **estimator,
                                            struct lc_error *err);
/* Adds what the estimator needs to a request. */
void cdam_estimator_request(const struct cdam_estimator *estimator, struct vit_request *request);

/* Checks the task, makes maps of the right shape and runs. maps: the caller frees them; empty after
 * a failure. LC_ERR_USAGE when the trace lacks something or a setting makes no sense;
 * LC_ERR_NUMERIC for scores that are not finite. */
LC_MUST_CHECK lc_status cdam_estimate(const struct cdam_estimator *estimator,
                                      const struct cdam_task *task, struct cdam_maps *maps,
                                      struct lc_error *err);

/* The gradient itself: df/dx of every target, out [image, target, 3, height, width]. */
LC_MUST_CHECK lc_status cdam_pixel_gradient(const struct cdam_task *task, float *out,
                                            struct lc_error *err);

/* Adds up pixel scores in each patch, so that totals stay: maps on_pixels to the patch grid. */
LC_MUST_CHECK lc_status cdam_maps_to_patches(const struct cdam_maps *pixels, size_t patch_size,
                                             struct cdam_maps *patches, struct lc_error *err);

#ifdef __cplusplus
}
#endif
#endif
