/* SmoothGrad (Smilkov et al., arXiv 1706.03825):
 *
 *   score of a pixel = mean over channels and samples of df/dx at x + e
 *
 * e normal with standard deviation `level` * (max x - min x). Signed; on pixels. The same noise is
 * drawn for every image. */
#include "cdam/engine/cdam_noise.h"
#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_gradient.h"
#include "vit/kernels/vit_backend.h"

enum { SAMPLES, LEVEL };

static void make(const struct cdam_pixel_pass *pass, const float *image, size_t k, float *out) {
  const struct cdam_task *task = pass->task;
  const struct cdam_settings *s = task->settings;
  size_t size = VIT_CHANNELS * task->height * task->width;
  if (s->noise) {
    vit_vectors()->add(image, s->noise + k * size, size, 1, out);
    return;
  }
  float low = image[0], high = image[0];
  for (size_t i = 1; i < size; i++) {
    low = image[i] < low ? image[i] : low;
    high = image[i] > high ? image[i] : high;
  }
  cdam_noise_fill(s->seed, "smoothgrad", k, out, size);
  vit_vectors()->add(image, out, size, (float)s->values[LEVEL] * (high - low), out);
}

static size_t samples_of(const struct cdam_settings *s) {
  return s->noise ? s->noise_samples : (size_t)s->values[SAMPLES];
}

static void use(const struct cdam_task *task, const float *image, const double *sum, float *map) {
  (void)image;
  cdam_channel_mean(NULL, sum, task->height * task->width, 1 / (double)samples_of(task->settings),
                    map);
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  size_t samples = samples_of(task->settings);
  struct cdam_pixel_pass pass = {.task = task, .count = samples, .make = make, .use = use};
  return cdam_pixel_run(&pass, maps, err);
}

static const struct cdam_parameter parameters[] = {
    [SAMPLES] = {"samples", CDAM_WHOLE, 50, 1, 1e6, NULL, "noisy copies"},
    [LEVEL] = {"level", CDAM_NUMBER, 0.15, 0, 1000, NULL,
               "standard deviation of the noise, as a share of the range"}};

const struct cdam_estimator cdam_estimator_smoothgrad = {
    .name = "smoothgrad",
    .title = "SmoothGrad",
    .source = "Smilkov et al., arXiv 1706.03825",
    .needs = CDAM_NEEDS_GRADIENT,
    .is_signed = true,
    .target_dependent = true,
    .on_pixels = true,
    .draws = true,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
