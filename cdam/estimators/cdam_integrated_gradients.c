/* Integrated gradients (Sundararajan, Taly, Yan, ICML 2017, arXiv 1703.01365), n steps:
 *
 *   score of a pixel = mean over channels of (x - b) * mean over k = 1 ... n of df/dx at b + k/n (x
 * - b)
 *
 * with b settings.baseline in every element. Signed; on pixels. Three times the sum of a map tends
 * to f(x) - f(b) as n grows (completeness). */
#include "cdam/estimators/cdam_estimators.h"
#include "cdam/estimators/cdam_gradient.h"

static void make(const struct cdam_task *task, const float *image, size_t k, float *out) {
  double b = task->settings->baseline;
  double share = (double)(k + 1) / (double)task->settings->samples;
  for (size_t i = 0; i < VIT_CHANNELS * task->height * task->width; i++)
    out[i] = (float)(b + share * ((double)image[i] - b));
}

static void use(const struct cdam_task *task, const float *image, const double *sum, float *map) {
  size_t plane = task->height * task->width;
  double scale = 1 / (double)task->settings->samples;
  for (size_t i = 0; i < plane; i++) {
    double score = 0;
    for (size_t c = 0; c < VIT_CHANNELS; c++)
      score += ((double)image[c * plane + i] - task->settings->baseline) * sum[c * plane + i];
    map[i] = (float)(score * scale / VIT_CHANNELS);
  }
}

CDAM_RUN(integrated_gradients) {
  if (task->settings->samples == 0)
    LC_FAIL(err, LC_ERR_USAGE, "integrated gradients: expected at least one step");
  struct cdam_pixel_pass pass = {
      .task = task, .count = task->settings->samples, .make = make, .use = use};
  return cdam_pixel_run(&pass, maps, err);
}
