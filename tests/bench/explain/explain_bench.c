/* Measures what explanations add to a forward pass: ViT-S/8 at 224, nine targets (one logit and
 * eight values of a Linear-ReLU-Linear head), one image.
 *
 *   lungcdam_bench_explain [--threads N] [--rounds R] [--only ESTIMATOR] [--slow] [--json FILE]
 *
 * Each row: best wall and processor time of R rounds, both also in forward passes. Processor time
 * sums all threads; other programs disturb it less. --slow adds what takes minutes: token ablation,
 * occlusion and RISE, and CDAM by a full backward pass in double, and prints what share of the peak
 * of sgemm in the same run the products of a row reach (their columns padded to whole vectors). */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdam/estimators/cdam_estimator.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "tests/bench/vit_bench.h"
#include "vit/kernels/vit_backend.h"

#define SIZE 224

static struct lc_error err;

static void must(lc_status status) {
  if (status == LC_OK) return;
  fprintf(stderr, "lungcdam_bench_explain: %s\n", err.message);
  exit(1);
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* The products that a row asks for, counted on their way to the kernels. */
static const struct vit_backend *real;
static struct vit_backend counting;
static atomic_ullong products;

static void counted_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                         const float *b, size_t ldb, float *c, size_t ldc,
                         const struct vit_epilogue *epilogue) {
  atomic_fetch_add_explicit(&products, m * n * k, memory_order_relaxed);
  real->gemm(m, n, k, a, a_row, a_col, b, ldb, c, ldc, epilogue);
}

struct bench {
  struct vit_model model;
  struct vit_workspace workspace;
  struct vit_trace trace;
  struct cdam_target targets[9];
  struct cdam_prepared *prepared;
  struct cdam_task task;
  float *image;
  double forward_wall, forward_cpu;
  double peak; /* GFLOP/s of sgemm; 0 unless slow rows are measured */
  int rounds;
  FILE *json;
};

/* What a row does; an estimate is what users get. */
enum work { ESTIMATE = 0, FORWARD, GENERAL, PREPARE };

struct row {
  const char *label, *estimator;
  size_t targets;
  bool slow;
  enum work work;
};

static const struct row rows[] = {
    {.label = "forward pass", .work = FORWARD},
    {.label = "first cdam of a model, 1 target", .targets = 1, .work = PREPARE},
    {.label = "cdam, 9 targets", .estimator = "cdam", .targets = 9},
    {.label = "cdam, 1 target", .estimator = "cdam", .targets = 1},
    {.label = "smooth_cdam, 50 samples, 9 targets", .estimator = "smooth_cdam", .targets = 9},
    {.label = "smooth_cdam, 50 samples, 1 target", .estimator = "smooth_cdam", .targets = 1},
    {.label = "integrated_cdam, 50 steps, 9 targets", .estimator = "integrated_cdam", .targets = 9},
    {.label = "attention_gradcam, 9 targets", .estimator = "attention_gradcam", .targets = 9},
    {.label = "relevance_propagation, 1 target",
     .estimator = "relevance_propagation",
     .targets = 1},
    {.label = "input_x_gradient, 1 target", .estimator = "input_x_gradient", .targets = 1},
    {.label = "partial_lrp, 1 target", .estimator = "partial_lrp", .targets = 1},
    {.label = "cdam_general, 1 target",
     .estimator = NULL,
     .targets = 1,
     .slow = true,
     .work = GENERAL},
    {.label = "token_ablation, 9 targets",
     .estimator = "token_ablation",
     .targets = 9,
     .slow = true},
    {.label = "occlusion, 9 targets", .estimator = "occlusion", .targets = 9, .slow = true},
    {.label = "rise, 500 masks, 9 targets", .estimator = "rise", .targets = 9, .slow = true},
};

static void run(struct bench *b, const struct row *row) {
  struct cdam_maps maps = {0};
  struct cdam_prepared *prepared;
  const struct cdam_estimator *estimator;
  b->task.n_targets = row->targets;
  switch (row->work) {
  case FORWARD:
    must(vit_forward(&b->workspace, b->image, 1, &b->trace, &err));
    break;
  case PREPARE:
    must(cdam_prepared_init(&prepared, &b->model, &err));
    must(cdam_maps_init(&maps, 1, 1, SIZE / 8, SIZE / 8, &err));
    must(cdam_closed_form(&b->model, prepared, &b->trace, b->targets, 1, &maps, NULL, NULL, &err));
    cdam_prepared_free(prepared);
    break;
  case GENERAL:
    must(cdam_maps_init(&maps, 1, 1, SIZE / 8, SIZE / 8, &err));
    must(cdam_general(&b->model, &b->trace, b->targets, 1, &maps, &err));
    break;
  case ESTIMATE:
    must(cdam_estimator_find(row->estimator, &estimator, &err));
    must(cdam_estimate(estimator, &b->task, &maps, &err));
  }
  cdam_maps_free(&maps);
}

static void measure(struct bench *b, const struct row *row) {
  double wall = INFINITY, cpu = INFINITY;
  int rounds = row->slow ? 1 : row->work == FORWARD && b->rounds > 5 ? 5 : b->rounds;
  for (int i = 0; i < rounds + !row->slow; i++) {
    products = 0;
    double w = now(CLOCK_MONOTONIC), c = now(CLOCK_PROCESS_CPUTIME_ID);
    run(b, row);
    w = now(CLOCK_MONOTONIC) - w;
    c = now(CLOCK_PROCESS_CPUTIME_ID) - c;
    if (i == 0 && !row->slow) continue;
    wall = fmin(wall, w);
    cpu = fmin(cpu, c);
  }
  if (row->work == FORWARD) {
    b->forward_wall = wall;
    b->forward_cpu = cpu;
  }
  printf("%-40s %10.2f ms %10.2f ms cpu %9.4f passes %9.4f passes cpu\n", row->label, wall, cpu,
         wall / b->forward_wall, cpu / b->forward_cpu);
  if (b->peak > 0) {
    double rate = 2e-6 * (double)products / wall;
    printf("%-40s %10.0f GFLOP/s %9.2f of the sgemm peak\n", "", rate, rate / b->peak);
  }
  fflush(stdout);
  if (b->json)
    fprintf(b->json, "%s\n  {\"name\": \"%s\", \"wall_ms\": %.3f, \"cpu_ms\": %.3f}",
            row == rows ? "" : ",", row->label, wall, cpu);
}

static void set_up(struct bench *b) {
  struct vit_arch arch;
  must(vit_arch_named(&arch, "vit_small_patch8", &err));
  must(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &err));
  must(vit_arch_add_head(&arch, "biomarkers", 384, 8, false, &err));
  must(vit_model_init(&b->model, &arch, 1, &err));
  size_t pixels = VIT_CHANNELS * SIZE * SIZE;
  b->image = malloc(pixels * sizeof *b->image);
  if (!b->image) exit(1);
  struct lc_random random;
  lc_random_init(&random, 1, "bench", 0);
  for (size_t i = 0; i < pixels; i++) b->image[i] = (float)lc_random_normal(&random);
  struct vit_request request = {.last_input = true};
  must(vit_workspace_init(&b->workspace, &b->model, 1, SIZE, SIZE, &request, &err));
  cdam_target_all(b->targets, &b->model);
  must(cdam_prepared_init(&b->prepared, &b->model, &err));
  b->task = (struct cdam_task){.model = &b->model,
                               .images = b->image,
                               .height = SIZE,
                               .width = SIZE,
                               .trace = &b->trace,
                               .targets = b->targets,
                               .prepared = b->prepared};
}

int main(int argc, char **argv) {
  struct bench b = {.rounds = 5};
  int threads = 0;
  bool slow = false;
  const char *only = NULL, *json = NULL;
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--slow") == 0) {
      slow = true;
      continue;
    }
    if (strcmp(argv[i], "--threads") == 0)
      threads = (int)strtol(value, NULL, 10);
    else if (strcmp(argv[i], "--rounds") == 0)
      b.rounds = (int)strtol(value, NULL, 10);
    else if (strcmp(argv[i], "--only") == 0)
      only = value;
    else if (strcmp(argv[i], "--json") == 0)
      json = value;
    else {
      fprintf(stderr, "usage: lungcdam_bench_explain [--threads N] [--rounds R] [--only ESTIMATOR] "
                      "[--slow] [--json FILE]\n");
      return 2;
    }
    i++;
  }
  lc_threads_set(threads);
  if (b.rounds < 1) b.rounds = 1;
  b.json = json ? fopen(json, "w") : NULL;
  set_up(&b);
  if (slow) {
    struct bench_peak peak = bench_measure_peak(lc_threads());
    b.peak = fmax(peak.openblas, peak.own);
    real = vit_backend();
    counting = *real;
    counting.gemm = counted_gemm;
    vit_backend_install(&counting);
    printf("sgemm: OpenBLAS %.0f GFLOP/s, own kernels %.0f GFLOP/s\n", peak.openblas, peak.own);
  }
  if (b.json) fprintf(b.json, "{\"threads\": %d, \"rows\": [", lc_threads());
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (rows[i].slow && !slow && !only) continue;
    if (i > 0 && only && (!rows[i].estimator || strcmp(only, rows[i].estimator) != 0)) continue;
    measure(&b, &rows[i]);
  }
  if (b.json) {
    fprintf(b.json, "\n]}\n");
    fclose(b.json);
  }
  cdam_prepared_free(b.prepared);
  vit_workspace_free(&b.workspace);
  vit_model_free(&b.model);
  free(b.image);
  return 0;
}
