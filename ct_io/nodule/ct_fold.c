/* Deals items into folds: whole groups, the largest first, each to the fold that comes nearest to
 * its share of every stratum; or single items in turn, stratum by stratum. */
#include "ct_io/nodule/ct_fold.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_random.h"

struct item {
  const char *name;
  size_t index; /* in the caller's arrays */
  int stratum;
};

struct bunch {
  size_t first, count; /* in the sorted items */
  uint32_t draw;       /* place in the drawn order */
  size_t strata[CT_MAX_STRATA];
};

static int by_name(const void *a, const void *b) {
  const struct item *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  if (!order) order = (x->stratum > y->stratum) - (x->stratum < y->stratum);
  return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int by_size(const void *a, const void *b) {
  const struct bunch *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return (x->draw > y->draw) - (x->draw < y->draw);
}

static int by_stratum(const void *a, const void *b) {
  const struct item *x = a, *y = b;
  int order = (x->stratum > y->stratum) - (x->stratum < y->stratum);
  return order ? order : by_name(a, b);
}

static lc_status sorted_items(struct item **items, const char *const *name, const int *stratum,
                              size_t n, int n_folds, int (*order)(const void *, const void *),
                              struct lc_error *err) {
  if (n_folds < 2 || n > UINT32_MAX)
    LC_FAIL(err, LC_ERR_USAGE, "%d folds of %zu items, expected 2 folds or more", n_folds, n);
  LC_TRY(lc_alloc(items, n, sizeof **items, err));
  for (size_t i = 0; i < n; i++) {
    if (stratum[i] < 0 || stratum[i] >= CT_MAX_STRATA) {
      free(*items);
      *items = NULL;
      LC_FAIL(err, LC_ERR_USAGE, "item %zu is of stratum %d, expected 0 to %d", i, stratum[i],
              CT_MAX_STRATA - 1);
    }
    (*items)[i] = (struct item){name[i], i, stratum[i]};
  }
  if (n) qsort(*items, n, sizeof **items, order);
  return LC_OK;
}

static size_t find_bunches(const struct item *items, size_t n, struct bunch *bunches) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    if (i == 0 || strcmp(items[i].name, items[i - 1].name) != 0)
      bunches[count++] = (struct bunch){.first = i};
    bunches[count - 1].count++;
    bunches[count - 1].strata[items[i].stratum]++;
  }
  return count;
}

/* How far a fold that takes the bunch would be from its fair share, squared over strata. */
static double excess(const struct bunch *bunch, const size_t have[CT_MAX_STRATA],
                     const double share[CT_MAX_STRATA]) {
  double sum = 0;
  for (int s = 0; s < CT_MAX_STRATA; s++) {
    double before = (double)have[s] - share[s], after = before + (double)bunch->strata[s];
    if (share[s] > 0) sum += (after * after - before * before) / share[s];
  }
  return sum;
}

static void deal(const struct item *items, struct bunch *bunches, size_t n_bunches, size_t n,
                 int n_folds, size_t (*have)[CT_MAX_STRATA], int *fold) {
  double share[CT_MAX_STRATA] = {0};
  for (size_t i = 0; i < n; i++) share[items[i].stratum] += 1.0 / n_folds;
  qsort(bunches, n_bunches, sizeof *bunches, by_size);
  for (size_t b = 0; b < n_bunches; b++) {
    int best = 0;
    double least = 0;
    for (int f = 0; f < n_folds; f++) {
      double value = excess(&bunches[b], have[f], share);
      if (f == 0 || value < least) {
        least = value;
        best = f;
      }
    }
    for (size_t i = 0; i < bunches[b].count; i++) fold[items[bunches[b].first + i].index] = best;
    for (int s = 0; s < CT_MAX_STRATA; s++) have[best][s] += bunches[b].strata[s];
  }
}

lc_status ct_folds_by_group(const char *const *group, const int *stratum, size_t n, int n_folds,
                            uint64_t seed, int *fold, struct lc_error *err) {
  struct item *items = NULL;
  struct bunch *bunches = NULL;
  uint32_t *order = NULL;
  size_t(*have)[CT_MAX_STRATA] = NULL, n_bunches = 0;
  LC_TRY(sorted_items(&items, group, stratum, n, n_folds, by_name, err));
  lc_status status = lc_alloc(&bunches, n, sizeof *bunches, err);
  if (items && bunches) n_bunches = find_bunches(items, n, bunches);
  if (status == LC_OK && n_bunches < (size_t)n_folds)
    status = lc_fail(err, LC_ERR_USAGE, __FILE__, __LINE__, "%zu groups cannot fill %d folds",
                     n_bunches, n_folds);
  if (status == LC_OK) status = lc_alloc(&order, n_bunches, sizeof *order, err);
  if (status == LC_OK) status = lc_alloc(&have, (size_t)n_folds, sizeof *have, err);
  if (status == LC_OK && items && bunches && have && order) {
    struct lc_random random;
    lc_random_init(&random, seed, "folds-by-group", 0);
    lc_random_permutation(&random, order, (uint32_t)n_bunches);
    for (size_t b = 0; b < n_bunches; b++) bunches[b].draw = order[b];
    deal(items, bunches, n_bunches, n, n_folds, have, fold);
  }
  free(items);
  free(bunches);
  free(order);
  free(have);
  return status;
}

lc_status ct_folds_by_item(const char *const *identity, const int *stratum, size_t n, int n_folds,
                           uint64_t seed, int *fold, struct lc_error *err) {
  struct item *items = NULL;
  uint32_t *order = NULL;
  LC_TRY(sorted_items(&items, identity, stratum, n, n_folds, by_stratum, err));
  lc_status status = lc_alloc(&order, n, sizeof *order, err);
  size_t dealt = 0;
  for (size_t start = 0, end; start < n && order && items; start = end) {
    for (end = start; end < n && items[end].stratum == items[start].stratum;) end++;
    struct lc_random random;
    lc_random_init(&random, seed, "folds-by-item", (uint64_t)items[start].stratum);
    lc_random_permutation(&random, order, (uint32_t)(end - start));
    for (size_t i = 0; i < end - start; i++)
      fold[items[start + order[i]].index] = (int)(dealt++ % (size_t)n_folds);
  }
  free(items);
  free(order);
  return status;
}
