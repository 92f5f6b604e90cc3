/* The scanner: resolution of the kernel and noise with its spectrum. */
#include <string.h>

#include "ct_io/phantom/ct_ph_scene.h"

enum { MOST_TAPS = 25 };

static int gaussian(float sigma, float taps[MOST_TAPS]) {
  int radius = (int)ceilf(3 * sigma);
  if (radius < 1) radius = 1;
  if (radius > MOST_TAPS / 2) radius = MOST_TAPS / 2;
  float sum = 0;
  memset(taps, 0, MOST_TAPS * sizeof *taps);
  for (int i = -radius; i <= radius; i++) {
    float x = (float)i / ph_max(sigma, 1e-3f);
    taps[i + radius] = expf(-0.5f * x * x);
    sum += taps[i + radius];
  }
  for (int i = 0; i <= 2 * radius; i++) taps[i] /= sum;
  return radius;
}

/* out = in blurred with a Gaussian of sigma pixels; edges repeat. in and out differ from line. */
static void blur(const float *in, float *out, float *line, int n, float sigma) {
  float taps[MOST_TAPS];
  int radius = gaussian(sigma, taps);
  for (int j = 0; j < n; j++) {
    const float *row = in + (size_t)j * (size_t)n;
    float *to = line + (size_t)j * (size_t)n;
    for (int i = 0; i < n; i++) {
      float sum = 0;
      if (i >= radius && i + radius < n) {
        for (int t = -radius; t <= radius; t++) sum += taps[t + radius] * row[i + t];
      } else {
        for (int t = -radius; t <= radius; t++) {
          int at = i + t < 0 ? 0 : (i + t >= n ? n - 1 : i + t);
          sum += taps[t + radius] * row[at];
        }
      }
      to[i] = sum;
    }
  }
  for (int j = 0; j < n; j++) {
    float *to = out + (size_t)j * (size_t)n;
    memset(to, 0, (size_t)n * sizeof *to);
    for (int t = -radius; t <= radius; t++) {
      int at = j + t < 0 ? 0 : (j + t >= n ? n - 1 : j + t);
      const float *row = line + (size_t)at * (size_t)n;
      float weight = taps[t + radius];
      for (int i = 0; i < n; i++) to[i] += weight * row[i];
    }
  }
}

/* Nearly normal numbers of variance 1: four bytes added up. The filter that follows makes them
 * normal. */
static void white(const struct ct_ph_scene *scene, size_t slice, float weight, float *out) {
  size_t n = scene->matrix;
  for (size_t j = 0; j < n; j++) {
    struct lc_random random;
    lc_random_init(&random, scene->seed, "noise", slice * n + j);
    for (size_t i = 0; i < n; i++) {
      uint32_t u = lc_random_u32(&random);
      int sum = (int)(u & 255) + (int)(u >> 8 & 255) + (int)(u >> 16 & 255) + (int)(u >> 24);
      out[j * n + i] += weight * ((float)sum - 510) * (1 / 147.8f);
    }
  }
}

/* Standard deviation after weighting white noise with the difference of two Gaussians. */
static float band_deviation(float fine, float coarse, float share) {
  float a[MOST_TAPS], b[MOST_TAPS];
  int ra = gaussian(fine, a), rb = gaussian(coarse, b);
  float aa = 0, bb = 0, ab = 0;
  for (int i = -ra; i <= ra; i++) aa += a[i + ra] * a[i + ra];
  for (int i = -rb; i <= rb; i++) bb += b[i + rb] * b[i + rb];
  for (int i = -ra; i <= ra; i++)
    if (i >= -rb && i <= rb) ab += a[i + ra] * b[i + rb];
  return sqrtf(ph_max(1e-6f, aa * aa - 2 * share * ab * ab + share * share * bb * bb));
}

void ct_ph_add_scanner(const struct ct_ph_scene *scene, size_t k, float *hu, float *work) {
  /* Width of the point spread, and how much of a wider blur is taken away to sharpen. */
  static const float spread_mm[] = {0.75f, 0.52f, 0.36f}, enhance[] = {0, 0.12f, 0.55f};
  static const float noise_mm[] = {0.62f, 0.45f, 0.27f};
  int n = (int)scene->matrix, kernel = (int)scene->kernel;
  size_t plane = scene->matrix * scene->matrix;
  float pixel = scene->pixel_mm;
  float *a = work, *b = work + plane, *line = work + 2 * plane, *field = work + 3 * plane;
  blur(hu, a, line, n, ph_max(0.3f, spread_mm[kernel] / pixel * (pixel > 1 ? 0.7f : 1)));
  blur(hu, b, line, n, ph_max(0.5f, 1.15f / pixel));
  for (size_t v = 0; v < plane; v++) hu[v] = a[v] + enhance[kernel] * (a[v] - b[v]);

  /* Slices that overlap share noise. */
  memset(field, 0, plane * sizeof *field);
  float overlap = scene->thickness_mm > scene->spacing_mm * 1.05f ? 0.55f : 0.15f;
  float norm = 1 / sqrtf(1 + overlap * overlap);
  white(scene, k, norm, field);
  white(scene, k + 1, norm * overlap, field);
  float fine = ph_max(0.35f, noise_mm[kernel] / pixel), coarse = ph_max(1.0f, 2.1f / pixel);
  const float share = 0.85f;
  blur(field, a, line, n, fine);
  blur(field, b, line, n, coarse);
  float gain = scene->noise_hu / band_deviation(fine, coarse, share);
  /* Streaks between the shoulders: the same noise drawn out sideways. */
  float z = (scene->first.z + (float)k * scene->spacing_mm) / scene->scale[2];
  float streak = 1.1f * ph_ramp(48, 88, z);
  float middle = 0.5f * (float)(n - 1);
  for (int j = 0; j < n; j++) {
    float run = 0;
    for (int i = 0; i < n; i++) {
      size_t v = (size_t)j * (size_t)n + (size_t)i;
      float band = (a[v] - share * b[v]) * gain;
      run = 0.93f * run + 0.07f * field[v] * 6;
      float x = ((float)i - middle) * pixel, y = ((float)j - middle) * pixel;
      float centre = expf(-(x * x / (135.0f * 135.0f) + y * y / (95.0f * 95.0f)));
      float level = 0.55f + 0.55f * centre;
      float all =
          band * level * (1 + 0.5f * streak) + streak * run * scene->noise_hu * 0.8f * centre;
      float r2 = x * x + y * y, edge = middle * pixel + 0.5f * pixel;
      hu[v] = r2 < edge * edge ? hu[v] + all : -1024;
    }
  }
}
