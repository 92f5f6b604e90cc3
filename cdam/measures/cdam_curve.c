/* Removes patches in the order of each map and in random order, and sums up the curves. */
#include "cdam/measures/cdam_curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_random.h"
#include "common/lc_scope.h"

struct ranked {
  float score;
  uint32_t turn, patch;
};

static int fall(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->score < y->score) return 1;
  if (x->score > y->score) return -1;
  return (x->turn > y->turn) - (x->turn < y->turn);
}

lc_status cdam_order(const float *scores, size_t n, const struct cdam_draws *draws, uint32_t *order,
                     struct lc_error *err) {
  LC_FREED struct ranked *ranked = NULL;
  struct lc_random random;
  LC_TRY(lc_alloc(&ranked, n + 1, sizeof *ranked, err));
  lc_random_init(&random, draws->seed, "judge-ties", draws->item);
  lc_random_permutation(&random, order, (uint32_t)n);
  for (size_t i = 0; i < n; i++)
    ranked[i] = (struct ranked){scores[order[i]], (uint32_t)i, order[i]};
  qsort(ranked, n, sizeof *ranked, fall);
  for (size_t i = 0; i < n; i++) order[i] = ranked[i].patch;
  return LC_OK;
}

#define STEPS 20
#define RANDOM_ORDERS 3

/* All variants of all orders: order o, point p is variant o * points + p. */
struct plan {
  size_t patches, points, orders;
  uint32_t *order; /* [patches] of one order at a time */
  uint8_t *kept;   /* [orders, points, patches] */
  double *values;  /* [orders, points, targets] */
};

static void plan_free(struct plan *plan) {
  free(plan->order);
  free(plan->kept);
  free(plan->values);
}

void cdam_curves_free(struct cdam_curves *curves) {
  free(curves->removed);
  free(curves->share);
  free(curves->most);
  *curves = (struct cdam_curves){0};
}

static lc_status curves_init(struct cdam_curves *c, size_t maps, size_t targets, size_t points,
                             struct lc_error *err) {
  *c = (struct cdam_curves){.maps = maps, .targets = targets, .points = points};
  LC_TRY(lc_alloc(&c->removed, points, sizeof *c->removed, err));
  LC_TRY(lc_alloc(&c->share, points, sizeof *c->share, err));
  LC_TRY(lc_alloc(&c->most, (2 * maps + targets) * points, sizeof *c->most, err));
  c->least = c->most + maps * points;
  c->random = c->least + maps * points;
  return LC_OK;
}

static lc_status set_points(const struct cdam_curve_settings *s, size_t patches,
                            struct cdam_curves *c, struct lc_error *err) {
  for (size_t i = 0; i < c->points; i++) {
    double share = (double)i / (double)(c->points - 1);
    if (s->shares && i > 0 && i + 1 < c->points) share = s->shares[i - 1];
    c->removed[i] = (size_t)floor(share * (double)patches + 0.5);
    c->share[i] = (double)c->removed[i] / (double)patches;
    if (i > 0 && !(share <= 1 && c->removed[i] >= c->removed[i - 1]))
      LC_FAIL(err, LC_ERR_USAGE, "curve: share %g; expected ascending shares between 0 and 1",
              share);
  }
  return LC_OK;
}

/* One row of variants: the first patches of `order`, or its last, are missing, more of them at each
 * point. */
static void add_order(struct plan *plan, const struct cdam_curves *c, size_t number, bool last) {
  for (size_t i = 0; i < plan->points; i++) {
    uint8_t *kept = plan->kept + (number * plan->points + i) * plan->patches;
    memset(kept, 1, plan->patches);
    for (size_t k = 0; k < c->removed[i]; k++)
      kept[plan->order[last ? plan->patches - 1 - k : k]] = 0;
  }
}

static lc_status add_orders(struct plan *plan, const struct cdam_curves *c, const float *scores,
                            const struct cdam_draws *draws, struct lc_error *err) {
  for (size_t m = 0; m < c->maps; m++) {
    LC_TRY(cdam_order(scores + m * plan->patches, plan->patches, draws, plan->order, err));
    add_order(plan, c, 2 * m, false);
    add_order(plan, c, 2 * m + 1, true);
  }
  struct lc_random random;
  lc_random_init(&random, draws->seed, "judge-random-order", draws->item);
  for (size_t o = 2 * c->maps; o < plan->orders; o++) {
    lc_random_permutation(&random, plan->order, (uint32_t)plan->patches);
    add_order(plan, c, o, false);
  }
  return LC_OK;
}

static void read_values(const struct plan *plan, const size_t *target_of, struct cdam_curves *c) {
  size_t row = plan->points * c->targets, random_orders = plan->orders - 2 * c->maps;
  for (size_t m = 0; m < c->maps; m++)
    for (size_t i = 0; i < c->points; i++) {
      const double *values = plan->values + 2 * m * row + i * c->targets + target_of[m];
      c->most[m * c->points + i] = values[0];
      c->least[m * c->points + i] = values[row];
    }
  for (size_t t = 0; t < c->targets; t++)
    for (size_t i = 0; i < c->points; i++) {
      double sum = 0;
      for (size_t o = 2 * c->maps; o < plan->orders; o++)
        sum += plan->values[o * row + i * c->targets + t];
      c->random[t * c->points + i] = sum / (double)random_orders;
    }
}

static lc_status measure(const struct cdam_evaluator *evaluator, const float *scores,
                         const size_t *target_of, const struct cdam_draws *draws, struct plan *plan,
                         struct cdam_curves *c, struct lc_error *err) {
  size_t variants = plan->orders * plan->points;
  LC_TRY(lc_alloc(&plan->order, plan->patches, sizeof *plan->order, err));
  LC_TRY(lc_alloc(&plan->kept, variants * plan->patches, sizeof *plan->kept, err));
  LC_TRY(lc_alloc(&plan->values, variants * c->targets, sizeof *plan->values, err));
  LC_TRY(add_orders(plan, c, scores, draws, err));
  LC_TRY(evaluator->evaluate(evaluator->context, plan->kept, variants, plan->values, err));
  read_values(plan, target_of, c);
  return LC_OK;
}

lc_status cdam_curves_measure(const struct cdam_evaluator *evaluator, const float *scores,
                              const size_t *target_of, size_t maps,
                              const struct cdam_curve_settings *settings,
                              const struct cdam_draws *draws, struct cdam_curves *curves,
                              struct lc_error *err) {
  struct cdam_curve_settings s = settings ? *settings : (struct cdam_curve_settings){0};
  if (s.steps == 0) s.steps = STEPS;
  if (s.random_orders == 0) s.random_orders = RANDOM_ORDERS;
  *curves = (struct cdam_curves){0};
  for (size_t m = 0; m < maps; m++)
    if (target_of[m] >= evaluator->targets)
      LC_FAIL(err, LC_ERR_USAGE, "curve: map %zu explains target %zu of %zu", m, target_of[m],
              evaluator->targets);
  size_t points = s.shares ? s.n_shares + 2 : s.steps + 1;
  LC_SCOPED(plan_free)
  struct plan plan = {
      .patches = evaluator->patches, .points = points, .orders = 2 * maps + s.random_orders};
  LC_TRY(curves_init(curves, maps, evaluator->targets, points, err));
  LC_TRY(set_points(&s, plan.patches, curves, err));
  return measure(evaluator, scores, target_of, draws, &plan, curves, err);
}

static double area(const double *share, const double *values, size_t points) {
  double sum = 0;
  for (size_t i = 1; i < points; i++)
    sum += 0.5 * (values[i] + values[i - 1]) * (share[i] - share[i - 1]);
  return sum;
}

void cdam_curves_summarise(const struct cdam_curves *c, size_t map, size_t target,
                           struct cdam_curve_summary *summary) {
  const double *most = c->most + map * c->points;
  size_t falls = 0, same = 0, last = c->points - 1;
  for (size_t i = 0; i < last; i++) falls += most[i + 1] <= most[i];
  for (size_t i = 1; i < last; i++) same += (most[i] > 0) == (most[0] > 0);
  double range = fabs(most[0] - most[last]);
  *summary = (struct cdam_curve_summary){
      .deletion = area(c->share, most, c->points),
      .insertion = area(c->share, c->least + map * c->points, c->points),
      .random = area(c->share, c->random + target * c->points, c->points),
      .monotonicity = (double)falls / (double)last,
      .decision = last > 1 ? (double)same / (double)(last - 1) : NAN};
  summary->gap = summary->insertion - summary->deletion;
  summary->gap_share = range > 0 ? summary->gap / range : NAN;
}
