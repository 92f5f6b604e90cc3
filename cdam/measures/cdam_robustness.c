/* Explains random images close to the given one and measures how much the map changes. */
#include "cdam/measures/cdam_robustness.h"

#include <math.h>

#include "cdam/measures/cdam_measure.h"
#include "cdam/measures/cdam_similarity.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"
#include "vit/weights/vit_arch.h"

#define RADIUS 0.02
#define SAMPLES 10

/* One image around the given one, and how far it is away. */
static double move(const float *image, size_t pixels, double radius, struct lc_random *random,
                   float *out) {
  double distance = 0;
  for (size_t i = 0; i < pixels; i++) {
    float step = (float)lc_random_between(random, -radius, radius);
    for (size_t c = 0; c < VIT_CHANNELS; c++) {
      size_t at = c * pixels + i;
      out[at] = image[at] + step;
      double off = (double)out[at] - (double)image[at];
      distance += off * off;
    }
  }
  return sqrt(distance);
}

static double distance_of(const float *a, const float *b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    double off = (double)a[i] - (b ? (double)b[i] : 0);
    sum += off * off;
  }
  return sqrt(sum);
}

lc_status cdam_robustness_compare(const float *scores, const float *moved, const double *distances,
                                  size_t samples, size_t patches, struct cdam_robustness *result,
                                  struct lc_error *err) {
  double length = distance_of(scores, NULL, patches);
  *result = (struct cdam_robustness){NAN, NAN, NAN, NAN};
  if (!(length > 0)) return LC_OK;
  *result = (struct cdam_robustness){0};
  for (size_t s = 0; s < samples; s++) {
    const float *map = moved + s * patches;
    struct cdam_similarity similarity;
    double change = distance_of(map, scores, patches);
    LC_TRY(cdam_similarity_of(map, scores, patches, &similarity, err));
    result->max_sensitivity = fmax(result->max_sensitivity, change / length);
    result->mean_sensitivity += change / length / (double)samples;
    result->lipschitz = fmax(result->lipschitz, change / distances[s]);
    result->pearson += similarity.pearson / (double)samples;
  }
  return LC_OK;
}

lc_status cdam_robustness_of(const struct cdam_explainer *explainer, const float *image,
                             const float *scores, const struct cdam_robustness_settings *settings,
                             const struct cdam_draws *draws, struct cdam_robustness *result,
                             struct lc_error *err) {
  struct cdam_robustness_settings s = settings ? *settings : (struct cdam_robustness_settings){0};
  if (s.samples == 0) s.samples = SAMPLES;
  if (s.radius == 0) s.radius = RADIUS;
  if (!(s.radius > 0)) LC_FAIL(err, LC_ERR_USAGE, "robustness within a radius of %g", s.radius);
  size_t pixels = explainer->height * explainer->width;
  LC_FREED float *images = NULL, *moved = NULL;
  LC_FREED double *distances = NULL;
  LC_TRY(lc_alloc(&images, s.samples * VIT_CHANNELS * pixels, sizeof *images, err));
  LC_TRY(lc_alloc(&moved, s.samples * explainer->patches, sizeof *moved, err));
  LC_TRY(lc_alloc(&distances, s.samples, sizeof *distances, err));
  struct lc_random random;
  lc_random_init(&random, draws->seed, "judge-robustness", draws->item);
  for (size_t i = 0; i < s.samples; i++)
    distances[i] = move(image, pixels, s.radius, &random, images + i * VIT_CHANNELS * pixels);
  LC_TRY(explainer->explain(explainer->context, images, s.samples, moved, err));
  return cdam_robustness_compare(scores, moved, distances, s.samples, explainer->patches, result,
                                 err);
}

/* One map that is made again. */
struct again {
  struct cdam_subject *subject;
  size_t map;
};

static lc_status explain_again(void *context, const float *images, size_t n, float *scores,
                               struct lc_error *err) {
  struct again *again = context;
  struct cdam_subject *subject = again->subject;
  for (size_t i = 0; i < n; i++) {
    const struct cdam_question question = {.image = images + i * VIT_CHANNELS * subject->pixels *
                                                                 subject->pixels,
                                           .first = again->map,
                                           .count = 1,
                                           .turn = ++subject->turn};
    LC_TRY(subject->explain(subject->context, &question, scores + i * subject->patches, err));
  }
  return LC_OK;
}

enum { MAX_SENSITIVITY, MEAN_SENSITIVITY, LIPSCHITZ, N_VALUES };

static lc_status run(struct cdam_subject *subject, double *values, struct lc_error *err) {
  for (size_t m = 0; m < subject->maps; m++, values += N_VALUES) {
    struct again again = {subject, m};
    struct cdam_explainer explainer = {subject->pixels, subject->pixels, subject->patches, &again,
                                       explain_again};
    struct cdam_robustness r = {0};
    LC_TRY(cdam_robustness_of(&explainer, subject->image, cdam_subject_map(subject, m),
                              &subject->settings->neighbours, &subject->draws, &r, err));
    values[MAX_SENSITIVITY] = r.max_sensitivity;
    values[MEAN_SENSITIVITY] = r.mean_sensitivity;
    values[LIPSCHITZ] = r.lipschitz;
  }
  return LC_OK;
}

static const struct cdam_value values_of[N_VALUES] = {
    [MAX_SENSITIVITY] = {"max_sensitivity", CDAM_SMALLER, "largest relative change of the map"},
    [MEAN_SENSITIVITY] = {"mean_sensitivity", CDAM_SMALLER, "mean relative change of the map"},
    [LIPSCHITZ] = {"lipschitz", CDAM_SMALLER, "largest change of the map / change of the image"}};

const struct cdam_measure cdam_measure_neighbours = {.group = "robustness",
                                                     .needs = CDAM_HAVE_NEIGHBOURS,
                                                     .values = values_of,
                                                     .n_values = N_VALUES,
                                                     .run = run};
