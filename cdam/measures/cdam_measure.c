/* Holds the table of measures, lists the values that can be had, and computes them. */
#include "cdam/measures/cdam_measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"

/* In the order of reports, which is also the order of the work. */
#define MEASURES(ENTRY)                                                                            \
  ENTRY(curves)                                                                                    \
  ENTRY(ranks)                                                                                     \
  ENTRY(compactness)                                                                               \
  ENTRY(localisation)                                                                              \
  ENTRY(truth)                                                                                     \
  ENTRY(single_patches)                                                                            \
  ENTRY(random_sets)                                                                               \
  ENTRY(random_boxes)                                                                              \
  ENTRY(road)                                                                                      \
  ENTRY(targets)                                                                                   \
  ENTRY(rated_pairs)                                                                               \
  ENTRY(truth_pairs)                                                                               \
  ENTRY(neighbours)                                                                                \
  ENTRY(random_weights)                                                                            \
  ENTRY(runs)

#define DECLARE(name) extern const struct cdam_measure cdam_measure_##name;
MEASURES(DECLARE)
#define POINT(name) &cdam_measure_##name,
static const struct cdam_measure *const table[] = {MEASURES(POINT)};
#define NUMBER(name) NUMBER_##name,
enum { MEASURES(NUMBER) N_MEASURES };

/* In the order of the bits. */
static const char *const needs[] = {"single patches left out",
                                    "imputed pixels",
                                    "further targets",
                                    "the places of features (phantoms)",
                                    "pairs of nodules whose ratings differ",
                                    "pairs of a spiculated and a calcified nodule (phantoms)",
                                    "images around each image",
                                    "randomised weights",
                                    "repeated runs"};

/* The numbers that a measure is run for. */
static size_t numbers_of(const struct cdam_measure *measure,
                         const struct cdam_measure_settings *settings, const size_t **numbers) {
  static const size_t none[] = {0};
  *numbers = measure->numbers == CDAM_EACH_SHARE ? settings->shares
             : measure->numbers == CDAM_EACH_BOX ? settings->boxes
                                                 : none;
  return measure->numbers == CDAM_EACH_SHARE ? settings->n_shares
         : measure->numbers == CDAM_EACH_BOX ? settings->n_boxes
                                             : 1;
}

static void name_value(const struct cdam_value *value, size_t number,
                       char name[CDAM_MEASURE_NAME]) {
  size_t before = strcspn(value->name, "#");
  if (value->name[before])
    snprintf(name, CDAM_MEASURE_NAME, "%.*s%zu%s", (int)before, value->name, number,
             value->name + before + 1);
  else
    snprintf(name, CDAM_MEASURE_NAME, "%s", value->name);
}

/* Every value of the table, whatever there is. */
static lc_status list_all(const struct cdam_measure_settings *settings, struct cdam_listed **list,
                          size_t *n, struct lc_error *err) {
  const size_t *numbers;
  size_t most = 0;
  for (size_t m = 0; m < N_MEASURES; m++)
    most += table[m]->n_values * numbers_of(table[m], settings, &numbers);
  LC_TRY(lc_alloc(list, most, sizeof **list, err));
  *n = 0;
  for (size_t m = 0; m < N_MEASURES; m++) {
    size_t count = numbers_of(table[m], settings, &numbers);
    for (size_t i = 0; i < count; i++)
      for (size_t v = 0; v < table[m]->n_values; v++) {
        const struct cdam_value *value = &table[m]->values[v];
        struct cdam_listed *listed = &(*list)[(*n)++];
        *listed = (struct cdam_listed){.group = table[m]->group,
                                       .doc = value->doc,
                                       .larger_is_better = value->larger_is_better,
                                       .measure = table[m],
                                       .value = v,
                                       .number = numbers[i]};
        name_value(value, numbers[i], listed->name);
      }
  }
  return LC_OK;
}

static lc_status check_name(const char *name, unsigned have, const struct cdam_listed *list,
                            size_t n, struct lc_error *err) {
  LC_FREED const char **names = NULL;
  LC_TRY(lc_alloc(&names, n, sizeof *names, err));
  for (size_t i = 0; i < n; i++) {
    names[i] = list[i].name;
    if (strcmp(list[i].name, name) != 0) continue;
    for (size_t bit = 0; bit < sizeof needs / sizeof *needs; bit++)
      if (list[i].measure->needs & ~have & (1U << bit))
        LC_FAIL(err, LC_ERR_NOT_FOUND, "measure \"%s\": needs %s; there are none", name,
                needs[bit]);
    return LC_OK;
  }
  const char *near = lc_text_nearest(name, names, n);
  if (near) LC_FAIL(err, LC_ERR_NOT_FOUND, "measure \"%s\": did you mean \"%s\"?", name, near);
  LC_FAIL(err, LC_ERR_NOT_FOUND, "measure \"%s\": there is none of this name (docs/measures.md)",
          name);
}

static bool is_named(const char *name, const char *const *names, size_t n) {
  bool named = n == 0;
  for (size_t i = 0; i < n; i++) named = named || strcmp(names[i], name) == 0;
  return named;
}

lc_status cdam_measures_list(unsigned have, const struct cdam_measure_settings *settings,
                             const char *const *names, size_t n_names, struct cdam_listed **list,
                             size_t *n, struct lc_error *err) {
  LC_FREED struct cdam_listed *all = NULL;
  size_t count, kept = 0;
  *list = NULL;
  LC_TRY(list_all(settings, &all, &count, err));
  for (size_t i = 0; i < n_names; i++) LC_TRY(check_name(names[i], have, all, count, err));
  for (size_t i = 0; i < count; i++)
    if ((all[i].measure->needs & ~have) == 0 && is_named(all[i].name, names, n_names))
      all[kept++] = all[i];
  *n = kept;
  *list = all;
  all = NULL; /* the caller's now */
  return LC_OK;
}

/* Values [first, last) of the list are of one measure and number. */
static lc_status run_one(const struct cdam_listed *list, size_t n, size_t first, size_t last,
                         struct cdam_subject *subject, double *values, struct lc_error *err) {
  const struct cdam_measure *measure = list[first].measure;
  size_t own = measure->n_values;
  LC_FREED double *found = NULL;
  LC_TRY(lc_alloc(&found, subject->maps * own, sizeof *found, err));
  for (size_t i = 0; i < subject->maps * own; i++) found[i] = NAN;
  subject->number = list[first].number;
  LC_TRY(measure->run(subject, found, err));
  for (size_t map = 0; map < subject->maps; map++)
    for (size_t i = first; i < last; i++) values[map * n + i] = found[map * own + list[i].value];
  return LC_OK;
}

static void close_removal(struct cdam_subject *subject) {
  if (subject->removal_open) cdam_removal_free(&subject->removal);
  subject->removal_open = false;
}

lc_status cdam_measures_run(const struct cdam_listed *list, size_t n, struct cdam_subject *subject,
                            double *values, struct lc_error *err) {
  lc_status status = LC_OK;
  subject->turn = 0;
  for (size_t first = 0, last; first < n && status == LC_OK; first = last) {
    for (last = first + 1; last < n && list[last].measure == list[first].measure &&
                           list[last].number == list[first].number;)
      last++;
    status = run_one(list, n, first, last, subject, values, err);
  }
  close_removal(subject);
  return status;
}

const float *cdam_subject_map(const struct cdam_subject *subject, size_t map) {
  return subject->scores + map * subject->targets * subject->patches;
}

const float *cdam_subject_finer(const struct cdam_subject *subject, size_t map) {
  return subject->finer + map * subject->targets * subject->cells;
}

lc_status cdam_subject_maps(const struct cdam_subject *subject, float **maps,
                            struct lc_error *err) {
  LC_TRY(lc_alloc(maps, subject->maps * subject->patches, sizeof **maps, err));
  for (size_t map = 0; map < subject->maps; map++)
    memcpy(*maps + map * subject->patches, cdam_subject_map(subject, map),
           subject->patches * sizeof **maps);
  return LC_OK;
}

lc_status cdam_subject_evaluator(struct cdam_subject *subject, bool imputed,
                                 struct cdam_evaluator *evaluator, struct lc_error *err) {
  struct cdam_removal_settings settings = subject->settings->missing;
  if (subject->evaluator) {
    *evaluator = *subject->evaluator;
    return LC_OK;
  }
  if (subject->removal_open && subject->removal_imputes != imputed) close_removal(subject);
  if (!subject->removal_open) {
    if (imputed) settings.kind = CDAM_FILL_IMPUTED;
    subject->removal_open = true;
    LC_TRY(cdam_removal_init(&subject->removal, subject->model, subject->target, 1, subject->pixels,
                             subject->pixels, &settings, err));
    subject->removal_imputes = imputed;
    LC_TRY(cdam_removal_set_image(&subject->removal, subject->image, subject->draws.item, err));
  }
  *evaluator = cdam_removal_evaluator(&subject->removal);
  return LC_OK;
}
