/* Measures whether a map lies on the feature of a phantom's nodule that speaks for or against
 * malignancy. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cdam/measures/cdam_localisation.h"
#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "ct_io/phantom/ct_phantom.h"
#include "pipeline/judge/pl_judge.h"
#include "pipeline/store/pl_truth.h"

/* A feature, and whether it speaks against what is explained. */
static const struct {
  const char *name;
  uint8_t flag;
  bool against;
} features[] = {{"spicules", CT_FEATURE_SPICULES, false},
                {"lobes", CT_FEATURE_LOBES, false},
                {"core", CT_FEATURE_CORE, false},
                {"calcium", CT_FEATURE_CALCIUM, true},
                {"cause", CT_FEATURE_CAUSE, false}};

#define NODULE (CT_FEATURE_BODY | CT_FEATURE_SPICULES)

static lc_status read_one(const struct pl_judge *judge, size_t item, struct lc_error *err) {
  const struct pl_crop *crop = &judge->crops.crops[judge->examples.rows[judge->items[item]]];
  size_t area = judge->pixels * judge->pixels;
  char folder[LC_PATH_SIZE], path[LC_PATH_SIZE];
  if (!isfinite(crop->centre_mm[0]))
    LC_FAIL(err, LC_ERR_CONFIG,
            "data.truth: %s does not say where its nodules lie, expected a data set made by "
            "'prepare'",
            judge->crops.path);
  LC_TRY(lc_path_join(folder, judge->config->data_truth, crop->patient, err));
  LC_TRY(lc_path_join(path, folder, PL_TRUTH_FILE, err));
  return pl_truth_features(path, crop->centre_mm, judge->recipe.data_spacing_mm, judge->pixels,
                           judge->features + item * area, err);
}

lc_status pl_judge_read_truth(struct pl_judge *judge, struct lc_error *err) {
  size_t area = judge->pixels * judge->pixels, without = 0;
  if (!*judge->config->data_truth) return LC_OK;
  LC_TRY(lc_alloc(&judge->features, judge->n_items * area, 1, err));
  for (size_t i = 0; i < judge->n_items; i++) {
    size_t inside = 0;
    LC_TRY(read_one(judge, i, err));
    for (size_t p = 0; p < area; p++) inside += judge->features[i * area + p] != 0;
    without += inside == 0;
  }
  if (without > 0)
    lc_log(LC_LOG_WARNING, "%zu of %zu nodules are not where the truth has one", without,
           judge->n_items);
  return LC_OK;
}

/* Scores that ought to be high where the feature is. */
static void orient(const struct pl_judge_contestant *contestant, bool against, const float *map,
                   size_t n, float *out) {
  bool turn = against && contestant->estimator && contestant->estimator->is_signed;
  for (size_t p = 0; p < n; p++) out[p] = turn ? -map[p] : map[p];
}

/* AUROC among the patches that touch the nodule; scores and coverage are overwritten. */
static lc_status within(float *scores, double *coverage, const double *nodule, size_t n,
                        double *auroc, struct lc_error *err) {
  size_t kept = 0;
  for (size_t p = 0; p < n; p++)
    if (nodule[p] > 0) {
      scores[kept] = scores[p];
      coverage[kept++] = coverage[p];
    }
  struct cdam_localisation r = {.auroc = NAN};
  if (kept > 0) LC_TRY(cdam_localise(scores, coverage, kept, CDAM_POSITIVE, &r, err));
  *auroc = r.auroc;
  return LC_OK;
}

struct scratch {
  float *scores;
  double *coverage, *nodule;
  uint8_t *mask;
};

/* Share of each patch that has any of the flags. */
static double cover(const struct pl_judge *judge, size_t item, unsigned flags, uint8_t *mask,
                    double *coverage) {
  size_t area = judge->pixels * judge->pixels;
  double sum = 0;
  for (size_t p = 0; p < area; p++) mask[p] = (judge->features[item * area + p] & flags) != 0;
  cdam_coverage(mask, judge->pixels, judge->pixels, judge->grid, judge->grid, coverage);
  for (size_t p = 0; p < judge->patches; p++) sum += coverage[p] / (double)judge->patches;
  return sum;
}

static lc_status judge_all(const struct pl_judge *judge, size_t item, size_t contestant,
                           const float *map, struct scratch *s, struct pl_scored_item *scored,
                           struct lc_error *err) {
  (void)cover(judge, item, NODULE, s->mask, s->nodule);
  for (size_t f = 0; f < sizeof features / sizeof *features; f++) {
    struct cdam_localisation r;
    double share = cover(judge, item, features[f].flag, s->mask, s->coverage), inside;
    if (!(share > 0)) continue;
    orient(&judge->contestants[contestant], features[f].against, map, judge->patches, s->scores);
    LC_TRY(cdam_localise(s->scores, s->coverage, judge->patches, CDAM_POSITIVE, &r, err));
    LC_TRY(within(s->scores, s->coverage, s->nodule, judge->patches, &inside, err));
    const struct {
      const char *what;
      double value;
    } values[] = {{"mass", r.mass},
                  {"above", r.mass - share},
                  {"rank", r.rank},
                  {"auroc", r.auroc},
                  {"within", inside}};
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
      char name[PL_MEASURE_NAME];
      snprintf(name, sizeof name, "%s_%s", features[f].name, values[v].what);
      pl_scored_item_put(scored, judge, contestant, name, values[v].value);
    }
  }
  return LC_OK;
}

lc_status pl_judge_truth(const struct pl_judge *judge, size_t item, size_t contestant,
                         const float *map, struct pl_scored_item *scored, struct lc_error *err) {
  struct scratch s = {0};
  if (!judge->features) return LC_OK;
  lc_status status = lc_alloc(&s.scores, judge->patches, sizeof *s.scores, err);
  if (status == LC_OK) status = lc_alloc(&s.coverage, 2 * judge->patches, sizeof *s.coverage, err);
  if (status == LC_OK)
    status = lc_alloc(&s.mask, judge->pixels * judge->pixels, sizeof *s.mask, err);
  if (status == LC_OK) {
    s.nodule = s.coverage + judge->patches;
    status = judge_all(judge, item, contestant, map, &s, scored, err);
  }
  free(s.scores);
  free(s.coverage);
  free(s.mask);
  return status;
}
