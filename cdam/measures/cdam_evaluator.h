/* What a model answers for one image when patches of it are missing: the question behind every
 * measure of correctness. The measures know nothing else of the model, so that they run on anything
 * that answers (cdam_removal.h answers with a transformer; tests answer with a formula).
 *
 * Thread-safety: one evaluator, one caller; evaluate may use lc_threads() inside. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

struct cdam_evaluator {
  size_t patches, targets;
  void *context;
  /* kept: [n, patches], 1 where the patch stays and 0 where it is missing; values: [n, targets],
   * the targets' values. All variants of a measure come in one call. */
  lc_status (*evaluate)(void *context, const uint8_t *kept, size_t n, double *values,
                        struct lc_error *err);
};

/* The draws of a measure depend on nothing but these: the seed of a study, and which of its items
 * (image) is measured. */
struct cdam_draws {
  uint64_t seed, item;
};

/* Patches by falling score; those that tie in an order drawn from draws, so that no place of the
 * image is preferred. order: [n]. */
LC_MUST_CHECK lc_status cdam_order(const float *scores, size_t n, const struct cdam_draws *draws,
                                   uint32_t *order, struct lc_error *err);
