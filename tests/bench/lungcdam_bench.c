/* Measures the transformer: peak of matrix products, time of a forward pass and of a training step
 * for some shapes, useful GFLOP/s, share of the peak, time by kind of layer, memory and loading
 * time.
 *
 *   lungcdam_bench [--threads N] [--rounds R] [--only CASE] [--json FILE] [--no-peak]
 *
 * CASE is a name as printed (vit_small_patch8:1, train:vit_small_patch8:8). Times are the best of R
 * rounds: on a shared machine the best is the one least disturbed. cpu_ms is the processor time of
 * all threads, which other programs disturb less. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_parallel.h"
#include "tests/bench/vit_bench.h"
#include "vit/kernels/vit_backend.h"
#include "vit/pass/vit_backward.h"

#define SIZE 224

struct work {
  const char *name, *arch;
  size_t batch;
  bool train;
};

static const struct work works[] = {
    {"vit_small_patch8:1", "vit_small_patch8", 1, false},
    {"vit_small_patch16:1", "vit_small_patch16", 1, false},
    {"vit_small_patch16:8", "vit_small_patch16", 8, false},
    {"vit_base_patch16:1", "vit_base_patch16", 1, false},
    {"vit_base_patch16:8", "vit_base_patch16", 8, false},
    {"train:vit_small_patch8:8", "vit_small_patch8", 8, true},
};

struct result {
  double gflop, wall_ms, cpu_ms, load_ms, memory_mb, kinds[BENCH_KINDS];
};

static struct lc_error err;

static void must(lc_status status) {
  if (status == LC_OK) return;
  fprintf(stderr, "lungcdam_bench: %s\n", err.message);
  exit(1);
}

/* Multiplications and additions of a whole forward pass, as the literature counts them: the saving
 * in the last block is a saving, not less work. */
static double forward_gflop(const struct vit_arch *a, size_t size) {
  double patches = (double)(size / a->patch_size) * (double)(size / a->patch_size);
  double tokens = patches + (double)vit_arch_prefix(a), dim = (double)a->embed_dim;
  double block = 2 * tokens * dim * (4 * dim + 2 * (double)a->mlp_dim) + 4 * tokens * tokens * dim;
  double pixels = VIT_CHANNELS * (double)(a->patch_size * a->patch_size);
  return 1e-9 * ((double)a->depth * block + 2 * patches * dim * pixels);
}

/* Resident memory in MB: the current amount, or the largest. */
static double memory_mb(const char *field) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  double kilobytes = 0;
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, field, strlen(field)) == 0) kilobytes = strtod(line + strlen(field), NULL);
  if (file) fclose(file);
  return kilobytes / 1024;
}

/* Weights through a file, as a user has them. */
static void load_model(const struct work *work, struct vit_model *model, struct result *result) {
  struct vit_arch arch;
  char path[] = "/tmp/lungcdam-bench-XXXXXX";
  int descriptor = mkstemp(path);
  if (descriptor < 0) exit(1);
  close(descriptor);
  must(vit_arch_named(&arch, work->arch, &err));
  must(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &err));
  must(vit_model_init(model, &arch, 1, &err));
  must(vit_model_save(model, path, NULL, &err));
  vit_model_free(model);
  result->load_ms = 1e9;
  for (int i = 0; i < 5; i++) {
    if (i > 0) vit_model_free(model);
    double start = bench_clock(CLOCK_MONOTONIC);
    must(vit_model_load(model, path, NULL, &err));
    double ms = 1e3 * (bench_clock(CLOCK_MONOTONIC) - start);
    if (ms < result->load_ms) result->load_ms = ms;
  }
  unlink(path);
}

struct runner {
  const struct work *work;
  struct vit_workspace workspace;
  struct vit_tape tape;
  vit_real *images, *d_logits;
};

static void run(struct runner *r) {
  struct vit_trace trace;
  if (!r->work->train) {
    must(vit_forward(&r->workspace, r->images, r->work->batch, &trace, &err));
    return;
  }
  vit_tape_clear(&r->tape);
  must(vit_tape_forward(&r->tape, r->images, r->work->batch, &trace, &err));
  for (size_t i = 0; i < r->work->batch; i++)
    r->d_logits[i] = (1 / (1 + expf(-trace.logits[i])) - (vit_real)(i % 2)) / 8;
  must(vit_tape_backward(&r->tape, r->d_logits, NULL, NULL, &err));
}

static void measure(const struct work *work, int rounds, struct result *result) {
  struct vit_model model;
  struct runner r = {.work = work};
  load_model(work, &model, result);
  result->gflop = forward_gflop(&model.arch, SIZE) * (double)work->batch * (work->train ? 3 : 1);
  double before = memory_mb("VmRSS:");
  size_t pixels = work->batch * VIT_CHANNELS * SIZE * SIZE;
  r.images = malloc(pixels * sizeof *r.images);
  r.d_logits = calloc(work->batch, sizeof *r.d_logits);
  if (!r.images || !r.d_logits) exit(1);
  for (size_t i = 0; i < pixels; i++) r.images[i] = (vit_real)(i * 7919 % 1000) / 250 - 2;
  struct vit_backward_request all = {.parameters = true};
  if (work->train)
    must(vit_tape_init(&r.tape, &model, work->batch, SIZE, SIZE, NULL, &all, &err));
  else
    must(vit_workspace_init(&r.workspace, &model, work->batch, SIZE, SIZE, NULL, &err));
  result->wall_ms = result->cpu_ms = 1e9;
  for (int i = 0; i < rounds + 1; i++) {
    double wall = bench_clock(CLOCK_MONOTONIC), cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    run(&r);
    wall = 1e3 * (bench_clock(CLOCK_MONOTONIC) - wall);
    cpu = 1e3 * (bench_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    if (i == 0) continue;
    if (wall < result->wall_ms) result->wall_ms = wall;
    if (cpu < result->cpu_ms) result->cpu_ms = cpu;
  }
  result->memory_mb = memory_mb("VmRSS:") - before;
  struct bench_shape shape = {model.arch.embed_dim, model.arch.mlp_dim,
                              model.arch.embed_dim / model.arch.num_heads,
                              VIT_CHANNELS * model.arch.patch_size * model.arch.patch_size};
  bench_profile_start(&shape);
  run(&r);
  bench_profile_stop(result->kinds);
  if (work->train)
    vit_tape_free(&r.tape);
  else
    vit_workspace_free(&r.workspace);
  free(r.images);
  free(r.d_logits);
  vit_model_free(&model);
}

static void print(FILE *json, bool *comma, const struct work *work, const struct result *r,
                  double peak) {
  double rate = r->gflop / r->wall_ms * 1e3, sum = 0;
  printf("%-26s %8.1f ms %8.1f ms an image %9.1f ms cpu %7.1f GFLOP/s", work->name, r->wall_ms,
         r->wall_ms / (double)work->batch, r->cpu_ms, rate);
  if (peak > 0) printf(" %5.1f %% of peak", 100 * rate / peak);
  printf("   +%.0f MB, load %.1f ms\n   ", r->memory_mb, r->load_ms);
  for (int i = 0; i < BENCH_KINDS; i++) sum += r->kinds[i];
  for (int i = 0; i < BENCH_KINDS; i++)
    printf(" %s %.1f%%", bench_kind_names[i], 100 * r->kinds[i] / sum);
  printf("\n");
  fflush(stdout);
  if (!json) return;
  fprintf(json, "%s\n  {\"name\": \"%s\", \"wall_ms\": %.3f, \"cpu_ms\": %.3f, \"gflop\": %.3f, ",
          *comma ? "," : "", work->name, r->wall_ms, r->cpu_ms, r->gflop);
  fprintf(json, "\"gflops\": %.2f, \"memory_mb\": %.1f, \"load_ms\": %.2f, \"ms_by_kind\": {", rate,
          r->memory_mb, r->load_ms);
  for (int i = 0; i < BENCH_KINDS; i++)
    fprintf(json, "%s\"%s\": %.3f", i ? ", " : "", bench_kind_names[i], 1e3 * r->kinds[i]);
  fprintf(json, "}}");
  *comma = true;
}

int main(int argc, char **argv) {
  int threads = 2, rounds = 10;
  const char *only = NULL, *json_path = NULL;
  bool want_peak = true, comma = false;
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--no-peak") == 0)
      want_peak = false;
    else if (strcmp(argv[i], "--threads") == 0)
      threads = (int)strtol(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--rounds") == 0)
      rounds = (int)strtol(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--only") == 0 && ++i)
      only = value;
    else if (strcmp(argv[i], "--json") == 0 && ++i)
      json_path = value;
    else {
      fprintf(stderr,
              "usage: lungcdam_bench [--threads N] [--rounds R] [--only CASE] [--json FILE] "
              "[--no-peak]\n");
      return 2;
    }
  }
  lc_threads_set(threads);
  FILE *json = json_path ? fopen(json_path, "w") : NULL;
  struct bench_peak peak = {0};
  if (want_peak) {
    peak = bench_measure_peak(threads);
    printf("peak of sgemm, %d threads: OpenBLAS (%s kernels) %.1f GFLOP/s, own kernels (%s) %.1f\n",
           threads, peak.openblas_core, peak.openblas, vit_backend()->name, peak.own);
  }
  if (json)
    fprintf(json,
            "{\"threads\": %d, \"kernels\": \"%s\", \"peak_openblas\": %.2f, \"peak_own\": %.2f, "
            "\"cases\": [",
            threads, vit_backend()->name, peak.openblas, peak.own);
  double top = peak.openblas > peak.own ? peak.openblas : peak.own;
  for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
    struct result result = {0};
    if (only && strcmp(only, works[i].name) != 0) continue;
    measure(&works[i], works[i].train ? (rounds + 2) / 3 : rounds, &result);
    print(json, &comma, &works[i], &result, top);
  }
  if (json) {
    fprintf(json, "\n]}\n");
    fclose(json);
  }
  return 0;
}
