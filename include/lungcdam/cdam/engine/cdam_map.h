/* Signed importance scores on the patch grid, for some images and targets.
 *
 * Positive: the patch speaks for the target. Thread-safety: distinct objects, distinct threads. */
#ifndef CDAM_MAP_H
#define CDAM_MAP_H

#include "cdam/engine/cdam_prepared.h"
#include "cdam/engine/cdam_target.h"
#include "common/lc_api.h"
#include "vit/pass/vit_forward.h"

LC_API_BEGIN

/* Scores of n images and m targets on a grid. */
struct cdam_maps {
  size_t images, targets, grid_height, grid_width;
  float *scores; /* [image, target, grid row, grid column] */
  float *gaps;   /* [image, target] of estimators whose scores add up to what the image adds over a
                    baseline: |sum - change| / |change|; else NULL */
};

LC_MUST_CHECK lc_status cdam_maps_init(struct cdam_maps *maps, size_t images, size_t targets,
                                       size_t grid_height, size_t grid_width, struct lc_error *err);
void cdam_maps_free(struct cdam_maps *maps);
/* [grid row, grid column] of one image and target */
static inline float *cdam_maps_get(const struct cdam_maps *maps, size_t image, size_t target) {
  return maps->scores + (image * maps->targets + target) * maps->grid_height * maps->grid_width;
}

/* LC_ERR_USAGE when maps do not have the trace's shape, LC_ERR_UNSUPPORTED when the trace left
 * patches out. */
LC_MUST_CHECK lc_status cdam_maps_check(const struct cdam_maps *maps, const struct vit_trace *trace,
                                        size_t n_targets, struct lc_error *err);
/* Sets all scores to zero; maps may be NULL. */
void cdam_maps_clear(struct cdam_maps *maps);

/* CDAM in closed form (Brocki, Binda, Chung, arXiv 2312.02364, eq. 5), for every target at once.
 *
 * With T the output of the last block's norm1 and f the target, the score of patch i is
 * sum_j T_ij df/dT_ij, the gradient taken at that tensor (the residual branch is not included), CLS
 * and registers dropped, sign kept. trace needs last_input. maps: [trace->batch, n_targets, grid].
 * Any of routed and content may be NULL; they get the two parts whose sum is CDAM: attention
 * re-routed through the keys, and content through the values. docs/cdam.md derives the form.
 * prepared: of this model; NULL: made for this call. */
LC_MUST_CHECK lc_status cdam_closed_form(const struct vit_model *model,
                                         struct cdam_prepared *prepared,
                                         const struct vit_trace *trace,
                                         const struct cdam_target *targets, size_t n_targets,
                                         struct cdam_maps *maps, struct cdam_maps *routed,
                                         struct cdam_maps *content, struct lc_error *err);

/* The same by a full backward pass through the last block: the oracle. */
LC_MUST_CHECK lc_status cdam_general(const struct vit_model *model, const struct vit_trace *trace,
                                     const struct cdam_target *targets, size_t n_targets,
                                     struct cdam_maps *maps, struct lc_error *err);

LC_API_END
#endif
