/* The table of measures: names, what is listed for what there is, and values of maps that are known
 * to be right or wrong about a formula. */
#include "tests/lc_test.h"

#include <math.h>

#include "cdam/measures/cdam_measure.h"
#include "tests/cdam_formula.h"

enum { GRID = 4, PATCHES = GRID * GRID, MAPS = 2, EVERYTHING = 511 };

/* Two maps of an image for which the formula answers: its own weights, and the same turned over. */
struct world {
  struct cdam_formula formula;
  struct cdam_evaluator evaluator;
  struct cdam_measure_settings settings;
  struct cdam_subject subject;
  float scores[MAPS * PATCHES], image[3];
  size_t asked;
};

static const size_t shares[] = {20}, boxes[] = {2, 3};
static const bool is_signed[MAPS] = {true, true}, is_drawn[MAPS] = {false, true};

/* The first map is always the same; the second is another in each run and of each image. */
static lc_status explain(void *context, const struct cdam_question *question, float *scores,
                         struct lc_error *err) {
  struct world *w = context;
  (void)err;
  w->asked++;
  for (size_t m = 0; m < question->count; m++)
    for (size_t p = 0; p < PATCHES; p++) {
      float own = w->scores[(question->first + m) * PATCHES + p];
      scores[m * PATCHES + p] =
          question->first + m == 0 ? own : own * (float)(1 + (p + question->run) % 2);
    }
  return LC_OK;
}

static void world_init(struct world *w) {
  memset(w, 0, sizeof *w);
  for (size_t p = 0; p < PATCHES; p++) {
    w->scores[p] = (float)(p * 7 % PATCHES) - 5;
    w->scores[PATCHES + p] = -w->scores[p];
  }
  w->formula = (struct cdam_formula){.patches = PATCHES, .weights = w->scores, .bias = 2};
  w->evaluator = cdam_formula_evaluator(&w->formula);
  w->settings = (struct cdam_measure_settings){.sets = 20,
                                               .shares = shares,
                                               .boxes = boxes,
                                               .n_shares = 1,
                                               .n_boxes = 2,
                                               .neighbours = {.samples = 3},
                                               .runs = 3};
  w->subject = (struct cdam_subject){.settings = &w->settings,
                                     .maps = MAPS,
                                     .targets = 1,
                                     .patches = PATCHES,
                                     .grid = GRID,
                                     .pixels = 1,
                                     .image = w->image,
                                     .scores = w->scores,
                                     .cells = PATCHES,
                                     .finer = w->scores,
                                     .is_signed = is_signed,
                                     .is_drawn = is_drawn,
                                     .draws = {1, 2},
                                     .evaluator = &w->evaluator,
                                     .context = w,
                                     .explain = explain};
}

/* Values of one measure for both maps. */
static void measure(struct world *w, const char *name, double values[MAPS]) {
  struct cdam_listed *list;
  size_t n;
  assert_ok(cdam_measures_list(EVERYTHING, &w->settings, &name, 1, &list, &n, &test_err));
  assert_int_equal(n, 1);
  assert_string_equal(list[0].name, name);
  assert_ok(cdam_measures_run(list, n, &w->subject, values, &test_err));
  free(list);
}

static void names_are_in_order(void **state) {
  (void)state;
  struct world w;
  struct cdam_listed *list;
  size_t n, few;
  world_init(&w);
  assert_ok(cdam_measures_list(EVERYTHING, &w.settings, NULL, 0, &list, &n, &test_err));
  for (size_t i = 0; i < n; i++) {
    assert_true(*list[i].name && *list[i].doc && *list[i].group);
    assert_null(strchr(list[i].name, '#'));
    for (size_t k = 0; k < i; k++) assert_string_not_equal(list[i].name, list[k].name);
  }
  assert_string_equal(list[0].name, "deletion");
  assert_false(list[0].larger_is_better);
  free(list);
  /* Without anything special: no features, no pairs, nothing that explains again. */
  assert_ok(cdam_measures_list(0, &w.settings, NULL, 0, &list, &few, &test_err));
  assert_true(few > 20 && few < n);
  for (size_t i = 0; i < few; i++) {
    assert_null(strstr(list[i].name, "pair"));
    assert_string_not_equal(list[i].group, "truth");
    assert_string_not_equal(list[i].group, "robustness");
  }
  free(list);
}

static void unknown_names_are_refused(void **state) {
  (void)state;
  struct world w;
  struct cdam_listed *list;
  size_t n;
  world_init(&w);
  const char *name = "delation";
  assert_fails(cdam_measures_list(EVERYTHING, &w.settings, &name, 1, &list, &n, &test_err),
               LC_ERR_NOT_FOUND, "measure \"delation\": did you mean \"deletion\"?");
  name = "box_7"; /* of a size that is not measured */
  assert_fails(cdam_measures_list(EVERYTHING, &w.settings, &name, 1, &list, &n, &test_err),
               LC_ERR_NOT_FOUND, "did you mean \"box_2\"?");
  name = "quality_of_everything";
  assert_fails(cdam_measures_list(EVERYTHING, &w.settings, &name, 1, &list, &n, &test_err),
               LC_ERR_NOT_FOUND, "there is none of this name");
  name = "road";
  assert_fails(cdam_measures_list(EVERYTHING & ~CDAM_HAVE_IMPUTATION, &w.settings, &name, 1, &list,
                                  &n, &test_err),
               LC_ERR_NOT_FOUND, "measure \"road\": needs imputed pixels");
  assert_null(list);
}

static void right_maps_are_told_from_wrong_ones(void **state) {
  (void)state;
  struct world w;
  double v[MAPS], other[MAPS];
  world_init(&w);
  measure(&w, "ablation", v);
  assert_near(v[0], 1, 1e-9);
  assert_near(v[1], -1, 1e-9);
  measure(&w, "box_3", v);
  assert_near(v[0], 1, 1e-9);
  measure(&w, "infidelity_box_3", v);
  assert_near(v[0], 0, 1e-9);
  measure(&w, "sensitivity_20", v);
  assert_near(v[1], -1, 1e-9);
  measure(&w, "completeness_gap", v);
  assert_near(v[0], 0, 1e-9);
  assert_near(v[1], 2, 1e-9);
  measure(&w, "deletion", v);
  measure(&w, "insertion", other);
  assert_true(v[0] < other[0]);
  assert_near(v[0], other[1], 1e-9); /* turned over, the orders change places */
  measure(&w, "gap", v);
  assert_true(v[0] > 0 && v[1] < 0);
  measure(&w, "effective_complexity", v);
  assert_near(v[0], PATCHES - 1, 0); /* one score is zero */
}

static void maps_are_asked_for_again(void **state) {
  (void)state;
  struct world w;
  double v[MAPS];
  world_init(&w);
  measure(&w, "repeatability", v);
  assert_int_equal(w.asked, 2); /* what draws nothing is not run again */
  assert_true(v[0] == 1 && v[1] < 1);
  measure(&w, "max_sensitivity", v);
  assert_int_equal(w.asked, 2 + MAPS * 3);
  assert_true(v[0] == 0 && v[1] > 0);
  assert_int_equal(w.subject.turn, MAPS * 3); /* each image is another turn */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(names_are_in_order),
                                     cmocka_unit_test(unknown_names_are_refused),
                                     cmocka_unit_test(right_maps_are_told_from_wrong_ones),
                                     cmocka_unit_test(maps_are_asked_for_again)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
