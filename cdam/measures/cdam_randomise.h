/* Randomisation of weights: a map that stays the same when the model forgets what it learned does
 * not explain the model (Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018).
 *
 * Stage 0 randomises the prediction heads, stages 1 to depth the blocks from the last to the first,
 * stage depth + 1 patch embedding, CLS and register tokens and position encoding. Nothing is
 * copied: the randomised model points at the original's parameters where they stay.
 *
 * Thread-safety: one struct, one thread; the models it lends may be used by many. */
#pragma once

#include "cdam/measures/cdam_similarity.h"
#include "vit/weights/vit_model.h"

struct cdam_randomised {
  const struct vit_model *original; /* borrowed */
  struct vit_model random;          /* seeded weights of the same shape; empty when shared */
  const struct vit_model *weights;  /* where random weights come from */
  struct vit_model model;           /* the mixture; do not free */
  size_t stages;                    /* depth + 2 */
};

/* Free with cdam_randomised_free whatever the status. */
LC_MUST_CHECK lc_status cdam_randomised_init(struct cdam_randomised *randomised,
                                             const struct vit_model *original, uint64_t seed,
                                             struct lc_error *err);
/* Another mixture with the random weights of `owner`, which outlives it: one a thread. */
LC_MUST_CHECK lc_status cdam_randomised_share(struct cdam_randomised *randomised,
                                              const struct cdam_randomised *owner,
                                              struct lc_error *err);
void cdam_randomised_free(struct cdam_randomised *randomised);

/* Makes randomised->model the original with stages 0 to `stage` randomised (cascading), or only
 * `stage`. */
void cdam_randomised_set(struct cdam_randomised *randomised, size_t stage, bool cascading);
/* "heads", "block 3" (from 0), "embedding". */
void cdam_randomised_name(const struct cdam_randomised *randomised, size_t stage,
                          char name[VIT_NAME_SIZE]);

/* Explains one image with a given model: scores [maps, patches] of any estimators and targets. */
typedef lc_status (*cdam_explain_with)(void *context, const struct vit_model *model, float *scores,
                                       struct lc_error *err);

/* Similarity of each map to its original after each stage: curve [stages, maps]. It ought to fall
 * towards 0. scores: the original maps, [maps, patches]. */
LC_MUST_CHECK lc_status cdam_randomise_curve(struct cdam_randomised *randomised, bool cascading,
                                             cdam_explain_with explain, void *context,
                                             const float *scores, size_t maps, size_t patches,
                                             struct cdam_similarity *curve, struct lc_error *err);
