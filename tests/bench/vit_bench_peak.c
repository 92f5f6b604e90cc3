#include <cblas.h>
#include <stdlib.h>

#include "common/lc_parallel.h"
#include "tests/bench/vit_bench.h"
#include "vit/kernels/vit_backend.h"

#define SIZE 1024

struct job {
  float *memory[64];
  bool own;
};

static void product(void *context, size_t index, int worker) {
  (void)worker;
  const struct job *job = context;
  float *a = job->memory[index], *b = a + SIZE * SIZE, *c = b + SIZE * SIZE;
  if (job->own) {
    /* In panels of 80 columns, as the transformer calls it. */
    for (size_t j = 0; j < SIZE; j += 80)
      vit_backend()->gemm(SIZE, SIZE - j < 80 ? SIZE - j : 80, SIZE, a, SIZE, 1, b + j * SIZE,
                          SIZE - j < 80 ? SIZE - j : 80, c + j * SIZE,
                          SIZE - j < 80 ? SIZE - j : 80, NULL);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SIZE, SIZE, SIZE, 1.0F, a, SIZE, b, SIZE,
              0.0F, c, SIZE);
}

static double rate(struct job *job, int threads) {
  double best = 0;
  for (int round = 0; round < 12; round++) {
    double start = bench_clock(CLOCK_MONOTONIC);
    lc_parallel_for((size_t)threads, product, job);
    double seconds = bench_clock(CLOCK_MONOTONIC) - start;
    double gflops = 2e-9 * SIZE * SIZE * SIZE * threads / seconds;
    if (gflops > best) best = gflops;
  }
  return best;
}

struct bench_peak bench_measure_peak(int threads) {
  struct job job = {.own = false};
  struct bench_peak peak = {.openblas_core = openblas_get_corename()};
  if (threads > 64) threads = 64;
  openblas_set_num_threads(1);
  for (int i = 0; i < threads; i++) {
    job.memory[i] = aligned_alloc(64, (size_t)3 * SIZE * SIZE * sizeof(float));
    if (!job.memory[i]) abort();
    for (size_t k = 0; k < (size_t)3 * SIZE * SIZE; k++)
      job.memory[i][k] = (float)(k % 17) / 17.0F - 0.5F;
  }
  peak.openblas = rate(&job, threads);
  job.own = true;
  peak.own = rate(&job, threads);
  for (int i = 0; i < threads; i++) free(job.memory[i]);
  return peak;
}
