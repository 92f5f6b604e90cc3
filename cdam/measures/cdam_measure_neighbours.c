/* Measures of robustness: maps of images around the image (cdam_robustness.h). */
#include "cdam/measures/cdam_measure.h"
#include "vit/weights/vit_arch.h"

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
    struct cdam_robustness r;
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
