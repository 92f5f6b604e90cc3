/* Reads where the features of phantoms' nodules are, and how much of each patch they cover. */
#include <math.h>

#include "cdam/measures/cdam_localisation.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "ct_io/phantom/ct_phantom.h"
#include "pipeline/judge/pl_judge.h"
#include "pipeline/store/pl_truth.h"

static const uint8_t flags[CDAM_FEATURES] = {[CDAM_SPICULES] = CT_FEATURE_SPICULES,
                                             [CDAM_LOBES] = CT_FEATURE_LOBES,
                                             [CDAM_CORE] = CT_FEATURE_CORE,
                                             [CDAM_CALCIUM] = CT_FEATURE_CALCIUM,
                                             [CDAM_CAUSE] = CT_FEATURE_CAUSE};

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

/* Share of each cell that has any of the flags. */
static void cover(const struct pl_judge *judge, size_t item, unsigned any, uint8_t *mask,
                  double *coverage) {
  size_t area = judge->pixels * judge->pixels;
  for (size_t p = 0; p < area; p++) mask[p] = (judge->features[item * area + p] & any) != 0;
  cdam_coverage(mask, judge->pixels, judge->pixels, judge->cells, judge->cells, coverage);
}

lc_status pl_judge_features(const struct pl_judge *judge, size_t item, double *features,
                            double *touched, struct lc_error *err) {
  LC_FREED uint8_t *mask = NULL;
  LC_TRY(lc_alloc(&mask, judge->pixels * judge->pixels, sizeof *mask, err));
  for (size_t f = 0; f < CDAM_FEATURES; f++)
    cover(judge, item, flags[f], mask, features + f * judge->cells * judge->cells);
  cover(judge, item, CT_FEATURE_BODY | CT_FEATURE_SPICULES, mask, touched);
  return LC_OK;
}
