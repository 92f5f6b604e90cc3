/* Draws groups with replacement and takes percentiles of each measure as its interval. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "vit/train/vit_metrics.h"

struct replicate_job {
  const struct vit_bootstrap *bootstrap;
  vit_measure measure;
  void *context;
  size_t count;
  size_t *starts;  /* [n_groups + 1] into members */
  size_t *members; /* [n] samples by group */
  size_t *drawn;   /* [workers, most] samples of one replicate */
  size_t most;     /* samples that one replicate can have */
  double *values;  /* [count, replicates] */
};

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void run_replicate(void *context, size_t replicate, int worker) {
  struct replicate_job *job = context;
  const struct vit_bootstrap *b = job->bootstrap;
  struct lc_random random;
  lc_random_init(&random, b->seed, "bootstrap", replicate);
  size_t *drawn = job->drawn + (size_t)worker * job->most, n = 0;
  for (size_t i = 0; i < b->n_groups; i++) {
    size_t group = lc_random_below(&random, (uint32_t)b->n_groups);
    size_t size = job->starts[group + 1] - job->starts[group];
    memcpy(drawn + n, job->members + job->starts[group], size * sizeof *drawn);
    n += size;
  }
  job->measure(job->context, drawn, n, job->values + replicate * job->count, job->count);
}

/* Counting sort of the samples by group; also the size of the largest. */
static lc_status sort_groups(struct replicate_job *job, struct lc_error *err) {
  const struct vit_bootstrap *b = job->bootstrap;
  size_t largest = 0;
  LC_TRY(lc_alloc(&job->starts, b->n_groups + 2, sizeof *job->starts, err));
  LC_TRY(lc_alloc(&job->members, b->n, sizeof *job->members, err));
  for (size_t i = 0; i < b->n; i++) {
    if (b->groups[i] >= b->n_groups)
      LC_FAIL(err, LC_ERR_USAGE, "sample %zu is in group %u, expected below %zu", i, b->groups[i],
              b->n_groups);
    job->starts[b->groups[i] + 2]++;
  }
  for (size_t g = 0; g < b->n_groups; g++) {
    if (job->starts[g + 2] > largest) largest = job->starts[g + 2];
    job->starts[g + 2] += job->starts[g + 1];
  }
  for (size_t i = 0; i < b->n; i++) job->members[job->starts[b->groups[i] + 1]++] = i;
  if (__builtin_mul_overflow(largest, b->n_groups, &job->most))
    LC_FAIL(err, LC_ERR_MEMORY, "%zu groups of up to %zu samples are too many", b->n_groups,
            largest);
  return LC_OK;
}

static double percentile(const double *sorted, size_t n, double p) {
  double place = p * (double)(n - 1), below = floor(place);
  size_t i = (size_t)below;
  if (i + 1 >= n) return sorted[n - 1];
  return sorted[i] + (place - below) * (sorted[i + 1] - sorted[i]);
}

static void find_limits(const struct replicate_job *job, size_t which, double *column,
                        struct vit_interval *interval) {
  size_t n = 0, replicates = job->bootstrap->replicates;
  for (size_t r = 0; r < replicates; r++) {
    double value = job->values[r * job->count + which];
    if (!isnan(value)) column[n++] = value;
  }
  interval->low = interval->high = NAN;
  if (n == 0 || 2 * n < replicates) return;
  qsort(column, n, sizeof *column, compare_double);
  double tail = 0.5 * (1 - job->bootstrap->level);
  interval->low = percentile(column, n, tail);
  interval->high = percentile(column, n, 1 - tail);
}

lc_status vit_bootstrap_run(const struct vit_bootstrap *b, vit_measure measure, void *context,
                            struct vit_interval *intervals, size_t count, struct lc_error *err) {
  lc_status status = LC_OK;
  struct replicate_job job = {
      .bootstrap = b, .measure = measure, .context = context, .count = count};
  double *whole = NULL;
  size_t *all = NULL;
  if (b->n == 0 || b->n_groups == 0 || b->n_groups > UINT32_MAX || b->replicates == 0)
    LC_FAIL(err, LC_ERR_USAGE,
            "a bootstrap needs samples, groups and replicates; got %zu, %zu, %zu", b->n,
            b->n_groups, b->replicates);
  if (!(b->level > 0 && b->level < 1))
    LC_FAIL(err, LC_ERR_USAGE, "level is %g, expected between 0 and 1", b->level);
  LC_TRY_GOTO(sort_groups(&job, err), done);
  LC_TRY_GOTO(lc_alloc(&job.drawn, (size_t)lc_threads() * job.most, sizeof *job.drawn, err), done);
  size_t largest = b->replicates > count ? b->replicates : count;
  LC_TRY_GOTO(lc_alloc(&job.values, b->replicates * count, sizeof *job.values, err), done);
  LC_TRY_GOTO(lc_alloc(&whole, largest, sizeof *whole, err), done);
  LC_TRY_GOTO(lc_alloc(&all, b->n, sizeof *all, err), done);
  for (size_t i = 0; i < b->n; i++) all[i] = i;
  measure(context, all, b->n, whole, count);
  for (size_t i = 0; i < count; i++) intervals[i].value = whole[i];
  lc_parallel_for(b->replicates, run_replicate, &job);
  for (size_t i = 0; i < count; i++) find_limits(&job, i, whole, &intervals[i]);
done:
  free(job.starts);
  free(job.members);
  free(job.drawn);
  free(job.values);
  free(whole);
  free(all);
  return status;
}
