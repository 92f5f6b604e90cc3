/* Makes, checks and clears arrays of maps, and fills them by the closed form. */
#include "cdam/engine/cdam_map.h"

#include <stdlib.h>
#include <string.h>

#include "cdam/engine/cdam_sampling.h"

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
  free(maps->gaps);
  memset(maps, 0, sizeof *maps);
}

lc_status cdam_maps_check(const struct cdam_maps *maps, const struct vit_trace *trace,
                          size_t n_targets, struct lc_error *err) {
  if (trace->patches != trace->grid_height * trace->grid_width)
    LC_FAIL(err, LC_ERR_UNSUPPORTED,
            "%zu of %zu patches were kept; maps need all patches of the grid", trace->patches,
            trace->grid_height * trace->grid_width);
  if (maps->images != trace->batch || maps->targets != n_targets ||
      maps->grid_height != trace->grid_height || maps->grid_width != trace->grid_width)
    LC_FAIL(err, LC_ERR_USAGE,
            "maps of %zu images, %zu targets, %zu x %zu; expected %zu, %zu, %zu x %zu",
            maps->images, maps->targets, maps->grid_height, maps->grid_width, trace->batch,
            n_targets, trace->grid_height, trace->grid_width);
  return LC_OK;
}

void cdam_maps_clear(struct cdam_maps *maps) {
  if (maps)
    memset(maps->scores, 0,
           maps->images * maps->targets * maps->grid_height * maps->grid_width * sizeof(float));
}

lc_status cdam_closed_form(const struct vit_model *model, struct cdam_prepared *prepared,
                           const struct vit_trace *trace, const struct cdam_target *targets,
                           size_t n_targets, struct cdam_maps *maps, struct cdam_maps *routed,
                           struct cdam_maps *content, struct lc_error *err) {
  LC_TRY(cdam_target_check(targets, n_targets, model, err));
  if (!trace->last_input)
    LC_FAIL(err, LC_ERR_USAGE, "CDAM needs the input of the last block in the trace");
  struct cdam_maps *const wanted[] = {maps, routed, content};
  for (size_t i = 0; i < 3; i++)
    if (wanted[i]) LC_TRY(cdam_maps_check(wanted[i], trace, n_targets, err));
  for (size_t i = 0; i < 3; i++) cdam_maps_clear(wanted[i]);
  struct cdam_task task = {.model = model,
                           .trace = trace,
                           .targets = targets,
                           .n_targets = n_targets,
                           .prepared = prepared};
  struct cdam_sampling sampling = {
      .kind = CDAM_PLAIN, .maps = maps, .routed = routed, .content = content};
  return cdam_sampling_run(&sampling, &task, err);
}
