/* Makes images that hold two nodules. */
#include <math.h>
#include <string.h>

#include "cdam/measures/cdam_localisation.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"
#include "ct_io/phantom/ct_phantom.h"
#include "pipeline/config/pl_prepared.h"
#include "pipeline/judge/pl_judge.h"

#define LEAST_RATING 2.0 /* difference of the readers' means */
#define LEAST_MM 5.0     /* the same for the diameter */
#define DRAWS 256        /* partners that are looked at */

/* What the readers say about the judged target, NaN when they are not asked. */
static double rating_of(const struct pl_judge *judge, size_t example, double *least) {
  const struct pl_crop *crop = &judge->crops.crops[judge->examples.rows[example]];
  const struct cdam_target *target = &judge->targets[0];
  const char *dot = strrchr(target->name, '.'), *name = dot ? dot + 1 : target->name;
  *least = LEAST_RATING;
  if (target->kind != CDAM_OUTPUT) return NAN;
  if (strcmp(name, "malignancy") == 0) return crop->malignancy;
  for (size_t b = 0; b < PL_BIOMARKERS; b++)
    if (strcmp(name, pl_biomarker_names[b]) == 0) {
      if (strcmp(pl_biomarker_units[b], "mm") == 0) *least = LEAST_MM;
      return crop->biomarkers[b];
    }
  return NAN;
}

bool pl_judge_rated(const struct pl_judge *judge) {
  double least;
  for (size_t i = 0; i < judge->examples.n; i++)
    if (!isnan(rating_of(judge, i, &least))) return true;
  return false;
}

/* What one nodule brings, [pixels, pixels] each, and the image that both go to. */
struct halves {
  float *whole, *hu;
  uint8_t *whole_mask, *mask;
};

/* The middle half of a nodule's columns to one half of the image, and its mask there. */
static lc_status place(const struct pl_judge *judge, size_t example, bool right,
                       const struct halves *h, struct lc_error *err) {
  size_t n = judge->pixels, half = n / 2, from = (n - half) / 2, to = right ? n - half : 0;
  LC_TRY(pl_judge_hu(judge, example, h->whole, err));
  LC_TRY(pl_judge_mask(judge, example, h->whole_mask, err));
  memset(h->mask, 0, n * n);
  for (size_t y = 0; y < n; y++) {
    memcpy(h->hu + y * n + to, h->whole + y * n + from, half * sizeof *h->hu);
    memcpy(h->mask + y * n + to, h->whole_mask + y * n + from, half);
  }
  return LC_OK;
}

/* Coverage that adds up to 1; false for an empty mask. */
static bool cover(const struct pl_judge *judge, const uint8_t *mask, double *coverage) {
  double sum = 0;
  cdam_coverage(mask, judge->pixels, judge->pixels, judge->grid, judge->grid, coverage);
  for (size_t p = 0; p < judge->patches; p++) sum += coverage[p];
  for (size_t p = 0; p < judge->patches && sum > 0; p++) coverage[p] /= sum;
  return sum > 0;
}

/* Normalised as any image is: a crop of its own, already at the network's spacing. There is no cube
 * of two nodules: where its statistics are asked for, those of the image serve. */
static lc_status normalise(const struct pl_judge *judge, const float *hu, float *image,
                           struct lc_error *err) {
  struct ct_preparation how;
  pl_recipe_preparation(&judge->recipe, &how);
  how.images = CT_IMAGES_CROP;
  if (how.zscore == CT_ZSCORE_CUBE) how.zscore = CT_ZSCORE_SLICE;
  const struct ct_image_source source = {
      .size = judge->pixels, .spacing_mm = how.spacing_mm, .crop = hu};
  return ct_image_make(&how, &source, (struct ct_image_place){CT_AXIAL, 0}, NULL, image, err);
}

/* Two nodules, by their numbers among the examples. */
struct partners {
  size_t high, low;
};

/* A partner whose rating differs enough. */
static bool find_rated(const struct pl_judge *judge, size_t example, struct lc_random *random,
                       struct partners *found) {
  double least, own = rating_of(judge, example, &least);
  for (int i = 0; i < DRAWS; i++) {
    size_t other = lc_random_below(random, (uint32_t)judge->examples.n);
    double rating = rating_of(judge, other, &least);
    if (!(fabs(rating - own) >= least)) continue;
    *found = own > rating ? (struct partners){example, other} : (struct partners){other, example};
    return true;
  }
  return false;
}

/* 1 spiculated, -1 calcified, 0 neither or both. */
static int kind_of(const struct pl_judge *judge, size_t item) {
  size_t area = judge->pixels * judge->pixels;
  unsigned flags = 0;
  for (size_t p = 0; p < area; p++) flags |= judge->features[item * area + p];
  return ((flags & CT_FEATURE_SPICULES) != 0) - ((flags & CT_FEATURE_CALCIUM) != 0);
}

static bool find_truth(const struct pl_judge *judge, size_t item, struct lc_random *random,
                       struct partners *found) {
  int own = judge->features ? kind_of(judge, item) : 0;
  for (int i = 0; i < DRAWS && own != 0; i++) {
    size_t other = lc_random_below(random, (uint32_t)judge->n_items);
    if (kind_of(judge, other) != -own) continue;
    size_t a = judge->items[item], b = judge->items[other];
    *found = own > 0 ? (struct partners){a, b} : (struct partners){b, a};
    return true;
  }
  return false;
}

lc_status pl_judge_pair_make(const struct pl_judge *judge, size_t item, enum cdam_pair_kind kind,
                             struct cdam_pair *pair, bool *found, struct lc_error *err) {
  size_t example = judge->items[item], pixels = judge->pixels * judge->pixels;
  struct lc_random random;
  struct partners two = {0};
  lc_random_init(&random, (uint64_t)judge->config->seed,
                 kind == CDAM_PAIR_TRUTH ? "judge-pair-truth" : "judge-pair", example);
  *found = kind == CDAM_PAIR_TRUTH ? find_truth(judge, item, &random, &two)
                                   : find_rated(judge, example, &random, &two);
  if (!*found) return LC_OK;
  bool right = lc_random_below(&random, 2) == 1; /* the item's side */
  if (two.high != example) right = !right;       /* the higher one's */
  LC_FREED float *hu = NULL;
  LC_FREED uint8_t *masks = NULL;
  LC_TRY(lc_alloc(&hu, 2 * pixels, sizeof *hu, err));
  LC_TRY(lc_alloc(&masks, 2 * pixels, sizeof *masks, err));
  const struct halves h = {hu + pixels, hu, masks + pixels, masks};
  LC_TRY(place(judge, two.high, right, &h, err));
  *found = cover(judge, h.mask, pair->high);
  LC_TRY(place(judge, two.low, !right, &h, err));
  *found = cover(judge, h.mask, pair->low) && *found;
  return normalise(judge, hu, pair->image, err);
}
