/* Puts maps of turned and shifted images back into the place of the upright one. */
#include "pipeline/run/pl_variants.h"

#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "ct_io/ct/ct_image.h"

/* What shifts leave: the map itself, or a finer one in the turned image's place. */
static const float *unshift(const struct pl_variants *variants, size_t k,
                            const struct pl_variant_maps *of, const float *map, size_t cells,
                            float *finer) {
  size_t shifts = cdam_shifts_count(&variants->shifts);
  if (shifts == 1) return map;
  memset(finer, 0, cells * sizeof *finer);
  cdam_shift_add_back(&variants->shifts, k % shifts, map, of->height, of->width, of->on_pixels,
                      finer);
  return finer;
}

lc_status pl_variants_add_back(const struct pl_variants *variants, size_t k,
                               const struct pl_variant_maps *of, float *sum, struct lc_error *err) {
  size_t finer = of->on_pixels ? 1 : variants->shifts.along, area = of->height * of->width;
  size_t edge = of->height * finer, cells = area * finer * finer;
  LC_FREED float *scratch = NULL;
  if (pl_variants_count(variants) == 1) {
    memcpy(sum, of->maps, of->count * area * sizeof *sum);
    return LC_OK;
  }
  LC_TRY(lc_alloc(&scratch, cells, sizeof *scratch, err));
  for (size_t i = 0; i < of->count; i++, sum += cells) {
    const float *map = unshift(variants, k, of, of->maps + i * area, cells, scratch);
    if (variants->turns > 1)
      ct_image_add_turned_back((unsigned)pl_variants_turn(variants, k), map, edge,
                               1.0F / (float)variants->turns, sum);
    else
      for (size_t c = 0; c < cells; c++) sum[c] += map[c];
  }
  return LC_OK;
}
