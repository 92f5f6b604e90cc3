#include "cdam_map.h"

#include <stdlib.h>
#include <string.h>

lc_status cdam_maps_init(struct cdam_maps *maps, size_t images, size_t targets, size_t grid_height,
                         size_t grid_width, struct lc_error *err) {
  memset(maps, 0, sizeof *maps);
  size_t count = images;
  if (__builtin_mul_overflow(count, targets, &count) ||
      __builtin_mul_overflow(count, grid_height, &count) ||
      __builtin_mul_overflow(count, grid_width, &count))
    LC_FAIL(err, LC_ERR_MEMORY, "maps of %zu x %zu x %zu x %zu do not fit", images, targets,
            grid_height, grid_width);
  LC_TRY(lc_alloc(&maps->scores, count, sizeof(float), err));
  maps->images = images;
  maps->targets = targets;
  maps->grid_height = grid_height;
  maps->grid_width = grid_width;
  return LC_OK;
}

void cdam_maps_free(struct cdam_maps *maps) {
  free(maps->scores);
  memset(maps, 0, sizeof *maps);
}
