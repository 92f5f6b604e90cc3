/* Input x gradient (Shrikumar et al., arXiv 1605.01713): score of a pixel = mean over channels of
 * x df/dx. Signed; on pixels. */
#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_gradient.h"

static void use(const struct cdam_task *task, const float *image, const double *sum, float *map) {
  cdam_channel_mean(image, sum, task->height * task->width, 1, map);
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  struct cdam_pixel_pass pass = {.task = task, .count = 1, .use = use};
  return cdam_pixel_run(&pass, maps, err);
}

const struct cdam_estimator cdam_estimator_input_x_gradient = {
    .name = "input_x_gradient",
    .title = "Input x gradient",
    .source = "Shrikumar et al., arXiv 1605.01713",
    .needs = CDAM_NEEDS_GRADIENT,
    .is_signed = true,
    .target_dependent = true,
    .on_pixels = true,
    .run = run};
