/* Runs parallel loops with OpenMP; the number of threads comes from lc_threads_set or
 * LUNGCDAM_THREADS. */
#include "common/lc_parallel.h"

#include <omp.h>
#include <stdlib.h>

static int thread_count;

void lc_threads_set(int threads) {
  thread_count = threads > 0 ? threads : omp_get_num_procs();
}

int lc_threads(void) {
  if (thread_count == 0) {
    const char *text = getenv("LUNGCDAM_THREADS");
    lc_threads_set(text ? (int)strtol(text, NULL, 10) : 0);
  }
  return thread_count;
}

bool lc_in_parallel(void) {
  return omp_in_parallel() != 0;
}

void lc_parallel_for(size_t n, void (*body)(void *context, size_t i, int worker), void *context) {
  int threads = lc_threads();
  if (n <= 1 || threads == 1 || omp_in_parallel()) {
    for (size_t i = 0; i < n; i++) body(context, i, 0);
    return;
  }
  /* Callers hold no more than one worker a call. */
#pragma omp parallel for schedule(dynamic, 1) num_threads(n < (size_t)threads ? (int)n : threads)
  for (size_t i = 0; i < n; i++) body(context, i, omp_get_thread_num());
}
