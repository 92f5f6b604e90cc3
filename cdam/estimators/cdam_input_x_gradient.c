/* Input x gradient (Shrikumar et al., arXiv 1605.01713): score of a pixel = mean over channels of
 * x df/dx. Signed; on pixels. */
#include "cdam/estimators/cdam_estimators.h"
#include "cdam/estimators/cdam_gradient.h"

static void use(const struct cdam_task *task, const float *image, const double *sum, float *map) {
  cdam_channel_mean(image, sum, task->height * task->width, 1, map);
}

CDAM_RUN(input_x_gradient) {
  struct cdam_pixel_pass pass = {.task = task, .count = 1, .use = use};
  return cdam_pixel_run(&pass, maps, err);
}
