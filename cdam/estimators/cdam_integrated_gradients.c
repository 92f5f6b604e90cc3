/* Integrated gradients (Sundararajan, Taly, Yan, ICML 2017, arXiv 1703.01365), n steps:
 *
 *   score of a pixel = mean over channels of (x - b) * mean over k = 1 ... n of df/dx at b + k/n (x
 * - b)
 *
 * with b `baseline` in every element. Signed; on pixels. Three times the sum of a map tends
 * to f(x) - f(b) as n grows (completeness). */
#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_gradient.h"

enum { SAMPLES, BASELINE };

static void make(const struct cdam_task *task, const float *image, size_t k, float *out) {
  double b = task->settings->values[BASELINE];
  double share = (double)(k + 1) / task->settings->values[SAMPLES];
  for (size_t i = 0; i < VIT_CHANNELS * task->height * task->width; i++)
    out[i] = (float)(b + share * ((double)image[i] - b));
}

static void use(const struct cdam_task *task, const float *image, const double *sum, float *map) {
  size_t plane = task->height * task->width;
  double scale = 1 / task->settings->values[SAMPLES];
  for (size_t i = 0; i < plane; i++) {
    double score = 0;
    for (size_t c = 0; c < VIT_CHANNELS; c++)
      score +=
          ((double)image[c * plane + i] - task->settings->values[BASELINE]) * sum[c * plane + i];
    map[i] = (float)(score * scale / VIT_CHANNELS);
  }
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  struct cdam_pixel_pass pass = {
      .task = task, .count = (size_t)task->settings->values[SAMPLES], .make = make, .use = use};
  return cdam_pixel_run(&pass, maps, err);
}

static const struct cdam_parameter parameters[] = {
    [SAMPLES] = {"samples", CDAM_WHOLE, 50, 1, 1e6, NULL, "steps"},
    [BASELINE] = {"baseline", CDAM_NUMBER, 0, -1e6, 1e6, NULL,
                  "value that every element starts from"}};

const struct cdam_estimator cdam_estimator_integrated_gradients = {
    .name = "integrated_gradients",
    .title = "Integrated gradients",
    .source = "Sundararajan, Taly, Yan, ICML 2017, arXiv 1703.01365",
    .needs = CDAM_NEEDS_GRADIENT,
    .is_signed = true,
    .target_dependent = true,
    .on_pixels = true,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
