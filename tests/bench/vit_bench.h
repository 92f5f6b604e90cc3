/* Parts of lungcdam_bench. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Seconds of a clock. */
static inline double bench_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Products per second of `threads` single-threaded 1024 x 1024 x 1024 products at once, in GFLOP/s.
 */
struct bench_peak {
  double openblas; /* with the kernels that OpenBLAS picks for this CPU */
  double own;      /* with the back end in use */
  const char *openblas_core;
};
struct bench_peak bench_measure_peak(int threads);

/* Kinds of work, as the profile names them. */
enum bench_kind {
  BENCH_EMBED,
  BENCH_QKV,
  BENCH_SCORES,
  BENCH_SOFTMAX,
  BENCH_VALUES,
  BENCH_PROJ,
  BENCH_FC1,
  BENCH_FC2,
  BENCH_NORM,
  BENCH_WEIGHTS,
  BENCH_OTHER,
  BENCH_KINDS
};
extern const char *const bench_kind_names[BENCH_KINDS];

struct bench_shape {
  size_t dim, mlp, head, features;
};

/* Wraps the back end in use by one that adds up the time spent by kind, over all threads. */
void bench_profile_start(const struct bench_shape *shape);
/* Seconds by kind since start; goes back to the set that was in use. */
void bench_profile_stop(double seconds[BENCH_KINDS]);
