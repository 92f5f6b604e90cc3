/* Importance estimators: CDAM and what it is compared with, behind one small interface.
 *
 * An estimator turns images, a model and targets into signed maps. Each is one file, whose head
 * gives its formula, source and sign convention, and one line of the table in cdam_estimator.c;
 * docs/estimators.md lists them, docs/extending.md adds one.
 *
 * Positive: the place speaks for the target. Determinism: same settings, same bits, for any number
 * of threads and whatever other images are in the batch. Thread-safety: one call at a time a
 * trace and the workspace that it lies in; calls may share the model and what is prepared of it.
 * Inside, estimators use lc_threads(). */
#ifndef CDAM_ESTIMATOR_H
#define CDAM_ESTIMATOR_H

#include "cdam/engine/cdam_task.h"
#include "cdam/estimators/cdam_parameter.h"
#include "common/lc_api.h"

LC_API_BEGIN

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
  bool draws;            /* noise or masks: maps depend on the seed */
  const struct cdam_parameter *parameters; /* its own; values are in this order */
  size_t n_parameters;                     /* at most CDAM_PARAMETERS_MOST */
  /* maps has the right shape and is zero; settings are there and within the limits. */
  lc_status (*run)(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err);
};

#define CDAM_ESTIMATORS_MOST 64

/* All estimators; *count entries. */
const struct cdam_estimator *const *cdam_estimators(size_t *count);
/* LC_ERR_NOT_FOUND names the nearest. */
LC_MUST_CHECK lc_status cdam_estimator_find(const char *name,
                                            const struct cdam_estimator **estimator,
                                            struct lc_error *err);
/* Adds what the estimator needs to a request. */
void cdam_estimator_request(const struct cdam_estimator *estimator, struct vit_request *request);

/* An estimator's defaults. */
void cdam_settings_init(const struct cdam_estimator *estimator, struct cdam_settings *settings);
/* The number of the parameter with this name; n_parameters when there is none. */
size_t cdam_parameter_find(const struct cdam_estimator *estimator, const char *name);
/* Sets one parameter. LC_ERR_NOT_FOUND names the nearest, LC_ERR_USAGE the limits. */
LC_MUST_CHECK lc_status cdam_settings_set(const struct cdam_estimator *estimator,
                                          struct cdam_settings *settings, const char *name,
                                          double value, struct lc_error *err);
/* LC_ERR_USAGE names a parameter that is beyond its limits. */
LC_MUST_CHECK lc_status cdam_settings_check(const struct cdam_estimator *estimator,
                                            const struct cdam_settings *settings,
                                            struct lc_error *err);

/* Checks the task, makes maps of the right shape and runs. maps: the caller frees them; empty after
 * a failure. LC_ERR_USAGE when the trace lacks something or a parameter is beyond its limits;
 * LC_ERR_NUMERIC for scores that are not finite. */
LC_MUST_CHECK lc_status cdam_estimate(const struct cdam_estimator *estimator,
                                      const struct cdam_task *task, struct cdam_maps *maps,
                                      struct lc_error *err);

/* The gradient itself: df/dx of every target, out [image, target, 3, height, width]. */
LC_MUST_CHECK lc_status cdam_pixel_gradient(const struct cdam_task *task, float *out,
                                            struct lc_error *err);

/* Adds up pixel scores in each patch: maps on_pixels to the patch grid. A pixel's score is the mean
 * over its channels, a patch's the sum over all of them, so that the patches of a complete map add
 * up to what the image adds to the target. */
LC_MUST_CHECK lc_status cdam_maps_to_patches(const struct cdam_maps *pixels, size_t patch_size,
                                             struct cdam_maps *patches, struct lc_error *err);

LC_API_END
#endif
