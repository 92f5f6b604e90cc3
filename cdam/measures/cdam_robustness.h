/* Robustness: does the map stay when the image hardly changes.
 *
 * Thread-safety: as the explainer. */
#pragma once

#include "cdam/measures/cdam_evaluator.h"

/* Explains again: any estimator, one target. */
struct cdam_explainer {
  size_t height, width, patches;
  void *context;
  /* images: [n, 3, height, width]; scores: [n, patches]. All images of a measure in one call. */
  lc_status (*explain)(void *context, const float *images, size_t n, float *scores,
                       struct lc_error *err);
};

struct cdam_robustness_settings {
  double radius;  /* each pixel moves by a uniform draw from [-radius, radius], in units of the
                     normalised image; 0: 0.02 */
  size_t samples; /* images around the given one; 0: 10 */
};

/* Smaller is better in the first three, larger in the last. A map of zeros: NaN. */
struct cdam_robustness {
  double max_sensitivity;  /* largest |map(x') - map(x)| / |map(x)| in the Euclidean norm, from 0 up
                              (Yeh et al., NeurIPS 2019, definition 3, divided by the map's length
                              as libraries do) */
  double mean_sensitivity; /* the mean of the same over the samples */
  double lipschitz; /* largest |map(x') - map(x)| / |x' - x| (Alvarez-Melis, Jaakkola, NeurIPS 2018,
                       local Lipschitz estimate, over random points); in units of the scores */
  double pearson;   /* mean correlation of map(x') and map(x), in [-1, 1] */
};

/* image: [3, height, width]; scores: its map, [patches]. The draw is the same in all channels, so
 * that grey stays grey. */
LC_MUST_CHECK lc_status cdam_robustness_of(const struct cdam_explainer *explainer,
                                           const float *image, const float *scores,
                                           const struct cdam_robustness_settings *settings,
                                           const struct cdam_draws *draws,
                                           struct cdam_robustness *result, struct lc_error *err);

/* The same from maps that were made elsewhere: moved [samples, patches] are the maps of images that
 * lie distances [samples] away (Euclidean). */
LC_MUST_CHECK lc_status cdam_robustness_compare(const float *scores, const float *moved,
                                                const double *distances, size_t samples,
                                                size_t patches, struct cdam_robustness *result,
                                                struct lc_error *err);
