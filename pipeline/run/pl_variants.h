/* The images by which one view of a nodule is explained: its turns, each with its shifts. Maps are
 * means over all of them, each put back into the upright image's place; what the model predicts is
 * the mean over the turns, unshifted.
 *
 * Variant k has turn k / shifts and shift k % shifts; 0 is upright and unshifted. Thread-safety: no
 * state. */
#pragma once

#include "cdam/engine/cdam_shift.h"

struct pl_variants {
  size_t turns; /* 1, or CT_SYMMETRIES */
  struct cdam_shifts shifts;
};

static inline size_t pl_variants_count(const struct pl_variants *variants) {
  return variants->turns * cdam_shifts_count(&variants->shifts);
}
static inline size_t pl_variants_turn(const struct pl_variants *variants, size_t k) {
  return k / cdam_shifts_count(&variants->shifts) % variants->turns;
}
/* True when the variant counts in what the model predicts. */
static inline bool pl_variants_predicts(const struct pl_variants *variants, size_t k) {
  return k % cdam_shifts_count(&variants->shifts) == 0;
}

/* Planes of a map: of patches, or on pixels. */
struct pl_variant_maps {
  const float *maps; /* [count, height, width] */
  size_t count, height, width;
  bool on_pixels;
};
/* Adds what variant k contributes to the means: sum[count, height * along, width * along], on
 * pixels [count, height, width]. A single variant is copied. LC_ERR_MEMORY. */
LC_MUST_CHECK lc_status pl_variants_add_back(const struct pl_variants *variants, size_t k,
                                             const struct pl_variant_maps *of, float *sum,
                                             struct lc_error *err);
