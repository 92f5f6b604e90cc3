/* Shapley values of the patches (Castro, Gomez, Tejada, Comput Oper Res 36:1726, 2009) by leaving
 * tokens out (cf. Covert, Kim, Lee, ICLR 2023, arXiv 2206.05282), with antithetic orders (Mitchell
 * et al., JMLR 23, 2022): patches are added one by one in a random order,
 *
 *   score_i = mean over the orders of f(those before i and i) - f(those before i)
 *
 * and each second order is the one before it backwards. In every order the differences add up to
 * f(all) - f(none), where none leaves CLS and registers. Positive: f is higher with the patch. */
#include <math.h>

#include "cdam/estimators/cdam_masked.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"

struct orders {
  size_t n, patches;
  const uint32_t *places; /* [order, patch]: when the patch is added */
};

/* Mask 0 keeps none; then one patch by every order, two by every order, up to all but one. */
static size_t first_ones(const void *context, size_t mask, uint32_t *kept) {
  const struct orders *o = context;
  size_t n = 0;
  if (mask == 0) return 0;
  const uint32_t *places = o->places + (mask - 1) % o->n * o->patches;
  for (size_t p = 0; p < o->patches; p++)
    if (places[p] <= (mask - 1) / o->n) kept[n++] = (uint32_t)p;
  return n;
}

static void draw(uint64_t seed, size_t orders, size_t patches, uint32_t *places) {
  for (size_t k = 0; k < orders; k++) {
    struct lc_random random;
    uint32_t *own = places + k * patches;
    lc_random_init(&random, seed, "shapley", k / 2);
    if (k % 2 == 0)
      lc_random_permutation(&random, own, (uint32_t)patches);
    else
      for (size_t p = 0; p < patches; p++) own[p] = (uint32_t)(patches - 1) - own[p - patches];
  }
}

static void average(const struct orders *o, const double *values, const double *full, size_t pairs,
                    struct cdam_maps *maps) {
  for (size_t k = 0; k < pairs; k++) {
    float *map = maps->scores + k * o->patches;
    double total = 0;
    for (size_t p = 0; p < o->patches; p++) {
      double sum = 0;
      for (size_t s = 0; s < o->n; s++) {
        size_t place = o->places[s * o->patches + p], with = 1 + place * o->n + s;
        double before = values[(place == 0 ? 0 : with - o->n) * pairs + k];
        sum += (place + 1 == o->patches ? full[k] : values[with * pairs + k]) - before;
      }
      map[p] = (float)(sum / (double)o->n);
      total += (double)map[p];
    }
    maps->gaps[k] = (float)(fabs(total - (full[k] - values[k])) / fabs(full[k] - values[k]));
  }
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  size_t orders = (size_t)task->settings->values[0], patches = task->trace->patches;
  size_t pairs = task->trace->batch * task->n_targets, masks = 1 + orders * (patches - 1);
  LC_FREED uint32_t *places = NULL;
  LC_FREED double *values = NULL, *full = NULL;
  LC_TRY(lc_alloc(&places, orders * patches, sizeof *places, err));
  LC_TRY(lc_alloc(&values, masks * pairs, sizeof *values, err));
  LC_TRY(lc_alloc(&full, pairs, sizeof *full, err));
  LC_TRY(lc_alloc(&maps->gaps, pairs, sizeof *maps->gaps, err));
  draw(task->settings->seed, orders, patches, places);
  const struct orders all = {orders, patches, places};
  const struct cdam_masked masked = {
      .task = task, .n_masks = masks, .keep = first_ones, .context = &all};
  LC_TRY(cdam_masked_values(&masked, values, err));
  cdam_full_values(task, full);
  average(&all, values, full, pairs, maps);
  return LC_OK;
}

static const struct cdam_parameter parameters[] = {
    {"samples", CDAM_WHOLE, 8, 1, 1e6, NULL, "orders, in pairs of one and the same backwards"}};

const struct cdam_estimator cdam_estimator_shapley = {
    .name = "shapley",
    .title = "Shapley values",
    .source = "Castro, Gomez, Tejada, Comput Oper Res 36:1726, 2009; cf. arXiv 2206.05282",
    .needs = CDAM_NEEDS_IMAGES,
    .is_signed = true,
    .target_dependent = true,
    .draws = true,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
