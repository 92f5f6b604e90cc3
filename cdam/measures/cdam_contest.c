/* Ranks estimators within each item and compares their means by paired differences. */
#include "cdam/measures/cdam_contest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"

#define REPLICATES 2000
#define LEVEL 0.95

/* Everything the bootstrap measures, in this order: n means, n mean ranks, n * n differences. */
struct job {
  const struct cdam_contest_table *table;
  double *ranks; /* [item, contestant], NaN in items that do not define all */
};

/* Ranks within one item, 1 the best; ties get their mean rank. */
static void rank_item(const struct cdam_contest_table *table, const double *values, double *ranks) {
  size_t n = table->contestants;
  bool all = true;
  for (size_t i = 0; i < n; i++) all = all && !isnan(values[i]);
  for (size_t i = 0; i < n; i++) {
    double rank = 1;
    for (size_t j = 0; j < n; j++) {
      if (j == i) continue;
      bool better = table->larger_is_better ? values[j] > values[i] : values[j] < values[i];
      bool worse = table->larger_is_better ? values[j] < values[i] : values[j] > values[i];
      rank += better ? 1 : worse ? 0 : 0.5;
    }
    ranks[i] = all ? rank : NAN;
  }
}

/* Mean of a column over the drawn items, or of its difference from another column. */
static double mean_of(const double *values, size_t columns, size_t column, size_t other,
                      const size_t *indices, size_t n) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    const double *row = values + indices[i] * columns;
    double value = row[column] - (other < columns ? row[other] : 0);
    if (isnan(value)) continue;
    sum += value;
    count++;
  }
  return count > 0 ? sum / (double)count : NAN;
}

static void measure(void *context, const size_t *indices, size_t n, double *values, size_t count) {
  const struct job *job = context;
  size_t k = job->table->contestants;
  (void)count;
  for (size_t i = 0; i < k; i++) {
    values[i] = mean_of(job->table->values, k, i, SIZE_MAX, indices, n);
    values[k + i] = mean_of(job->ranks, k, i, SIZE_MAX, indices, n);
    values[2 * k + i * k + i] = 0;
    for (size_t j = 0; j < i; j++) {
      double difference = mean_of(job->table->values, k, i, j, indices, n);
      values[2 * k + i * k + j] = difference;
      values[2 * k + j * k + i] = -difference;
    }
  }
}

/* One patient says nothing about others: without a second one that defines a value (or both of a
 * difference) there is no interval. */
static bool one_patient(const struct cdam_contest_table *table, size_t a, size_t b) {
  size_t n = table->contestants, first = SIZE_MAX;
  for (size_t i = 0; i < table->items; i++) {
    if (isnan(table->values[i * n + a]) || isnan(table->values[i * n + b])) continue;
    if (first == SIZE_MAX) first = i;
    if (table->groups[i] != table->groups[first]) return false;
  }
  return true;
}

static void drop_single(const struct cdam_contest_table *table, struct cdam_contest *contest) {
  size_t n = contest->contestants;
  for (size_t a = 0; a < n; a++)
    for (size_t b = 0; b < n; b++) {
      if (!one_patient(table, a, b)) continue;
      struct vit_interval *d = &contest->difference[a * n + b], *mean = &contest->mean[a];
      d->low = d->high = NAN;
      if (a == b) mean->low = mean->high = NAN;
    }
}

static void fill_ranks(const struct cdam_contest_table *table, struct cdam_contest *contest) {
  size_t n = contest->contestants;
  for (size_t i = 0; i < n; i++) {
    contest->rank[i] = 1;
    contest->last_rank[i] = n;
    for (size_t j = 0; j < n; j++) {
      const struct vit_interval *d = &contest->difference[i * n + j];
      bool above = d->low > 0, below = d->high < 0;
      contest->rank[i] += table->larger_is_better ? below : above;
      contest->last_rank[i] -= table->larger_is_better ? above : below;
    }
    contest->counts[i] = 0;
    for (size_t item = 0; item < table->items; item++)
      if (!isnan(table->values[item * n + i])) contest->counts[i]++;
  }
}

void cdam_contest_free(struct cdam_contest *contest) {
  free(contest->counts);
  free(contest->mean);
  *contest = (struct cdam_contest){0};
}

lc_status cdam_contest_run(const struct cdam_contest_table *table, size_t replicates, double level,
                           uint64_t seed, struct cdam_contest *contest, struct lc_error *err) {
  size_t n = table->contestants, count = 2 * n + n * n;
  *contest = (struct cdam_contest){.contestants = n};
  if (n == 0 || table->items == 0)
    LC_FAIL(err, LC_ERR_USAGE, "contest of %zu estimators on %zu items", n, table->items);
  LC_FREED double *ranks = NULL;
  LC_TRY(lc_alloc(&contest->mean, count, sizeof *contest->mean, err));
  LC_TRY(lc_alloc(&contest->counts, 3 * n, sizeof *contest->counts, err));
  LC_TRY(lc_alloc(&ranks, table->items * n, sizeof *ranks, err));
  contest->mean_rank = contest->mean + n;
  contest->difference = contest->mean + 2 * n;
  contest->rank = contest->counts + n;
  contest->last_rank = contest->counts + 2 * n;
  for (size_t i = 0; i < table->items; i++) rank_item(table, table->values + i * n, ranks + i * n);
  struct job job = {table, ranks};
  struct vit_bootstrap bootstrap = {.groups = table->groups,
                                    .n = table->items,
                                    .n_groups = table->n_groups,
                                    .replicates = replicates ? replicates : REPLICATES,
                                    .seed = seed,
                                    .level = level > 0 ? level : LEVEL};
  LC_TRY(vit_bootstrap_run(&bootstrap, measure, &job, contest->mean, count, err));
  drop_single(table, contest);
  fill_ranks(table, contest);
  return LC_OK;
}
