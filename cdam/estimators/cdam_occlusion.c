/* Occlusion with boxes (Zeiler, Fergus, ECCV 2014), by leaving tokens out instead of painting them
 * grey: a box of `box` x `box` patches moves over the grid in steps of `stride`, the last one in
 * each direction flush with the border.
 *
 *   score_i = mean over the boxes B that cover patch i of [ f(all) - f(all without B) ]
 *
 * Positive: f falls without the box, so it speaks for the target. */
#include "cdam/estimators/cdam_masked.h"
#include "common/lc_scope.h"

enum { BOX, STRIDE };

struct boxes {
  size_t grid_height, grid_width, height, width, stride, down, across;
};

static size_t steps(size_t grid, size_t box, size_t stride) {
  return (grid - box + stride - 1) / stride + 1;
}

static size_t corner(size_t step, size_t grid, size_t box, size_t stride) {
  return step * stride < grid - box ? step * stride : grid - box;
}

static bool covers(const struct boxes *b, size_t box, size_t patch) {
  size_t y = patch / b->grid_width, x = patch % b->grid_width;
  size_t top = corner(box / b->across, b->grid_height, b->height, b->stride);
  size_t left = corner(box % b->across, b->grid_width, b->width, b->stride);
  return y >= top && y < top + b->height && x >= left && x < left + b->width;
}

static size_t outside(const void *context, size_t box, uint32_t *kept) {
  const struct boxes *b = context;
  size_t n = 0;
  for (size_t i = 0; i < b->grid_height * b->grid_width; i++)
    if (!covers(b, box, i)) kept[n++] = (uint32_t)i;
  return n;
}

static void spread(const struct boxes *b, size_t n_boxes, const double *full, const double *without,
                   size_t pairs, struct cdam_maps *maps) {
  size_t patches = b->grid_height * b->grid_width;
  for (size_t i = 0; i < patches; i++)
    for (size_t k = 0; k < pairs; k++) {
      double sum = 0, count = 0;
      for (size_t box = 0; box < n_boxes; box++)
        if (covers(b, box, i)) {
          sum += full[k] - without[box * pairs + k];
          count++;
        }
      maps->scores[k * patches + i] = (float)(count > 0 ? sum / count : 0);
    }
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  struct boxes b = {.grid_height = task->trace->grid_height,
                    .grid_width = task->trace->grid_width,
                    .stride = (size_t)task->settings->values[STRIDE]};
  size_t box = (size_t)task->settings->values[BOX];
  b.height = box < b.grid_height ? box : b.grid_height;
  b.width = box < b.grid_width ? box : b.grid_width;
  if (b.height * b.width == task->trace->patches)
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "occlusion: a box of %zu covers all %zu patches", box,
            task->trace->patches);
  b.down = steps(b.grid_height, b.height, b.stride);
  b.across = steps(b.grid_width, b.width, b.stride);
  size_t n_boxes = b.down * b.across, pairs = task->trace->batch * task->n_targets;
  LC_FREED double *full = NULL;
  LC_TRY(lc_alloc(&full, pairs * (n_boxes + 1), sizeof *full, err));
  cdam_full_values(task, full);
  struct cdam_masked masked = {.task = task, .n_masks = n_boxes, .keep = outside, .context = &b};
  LC_TRY(cdam_masked_values(&masked, full + pairs, err));
  spread(&b, n_boxes, full, full + pairs, pairs, maps);
  return LC_OK;
}

static const struct cdam_parameter parameters[] = {
    [BOX] = {"box", CDAM_WHOLE, 3, 1, 1000, NULL, "edge of the box, in patches"},
    [STRIDE] = {"stride", CDAM_WHOLE, 2, 1, 1000, NULL, "step of the box, in patches"}};

const struct cdam_estimator cdam_estimator_occlusion = {
    .name = "occlusion",
    .title = "Occlusion",
    .source = "Zeiler, Fergus, ECCV 2014, arXiv 1311.2901",
    .needs = CDAM_NEEDS_IMAGES,
    .is_signed = true,
    .target_dependent = true,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
