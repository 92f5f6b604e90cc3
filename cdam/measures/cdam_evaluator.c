/* Orders patches by falling score; those with equal scores in an order drawn from seed and item. */
#include "cdam/measures/cdam_evaluator.h"

#include <stdlib.h>

#include "common/lc_arena.h"
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
