/* Measures of explanations on maps that are given: what tests/bench/quantus_peers.py compares with
 * Quantus, and what a deletion curve costs in forward passes.
 *
 *   lungcdam_bench_measures WEIGHTS INPUTS [--threads N] [--rounds R]
 *
 * INPUTS: safetensors with image [3, size, size] and map [maps, patches]. One line of JSON on
 * standard output: the logit, and for each measure its value for the first map, or for flipping the
 * mean, and the best wall and processor time in ms for all maps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdam/measures/cdam_compactness.h"
#include "cdam/measures/cdam_localisation.h"
#include "cdam/measures/cdam_probe.h"
#include "cdam/measures/cdam_removal.h"
#include "common/lc_parallel.h"
#include "vit/pass/vit_forward.h"
#include "vit/weights/vit_tensor_file.h"

#define STEPS 20  /* of the deletion curve */
#define GROUPS 16 /* beside Quantus, whose groups have to be equal */
#define SETS 100

static struct lc_error err;

static void must(lc_status status) {
  if (status == LC_OK) return;
  fprintf(stderr, "lungcdam_bench_measures: %s\n", err.message);
  exit(1);
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

struct bench {
  struct vit_model model;
  struct cdam_target target;
  struct vit_workspace workspace;
  size_t size, grid, patches, maps;
  float *image, *map;
  double *coverage;
  struct cdam_draws draws;
  bool first;
  struct cdam_removal removal; /* tokens left out */
};

static float *take(const struct vit_tensor_file *file, const char *name, size_t *count) {
  const struct vit_tensor *tensor = vit_tensor_file_find(file, name);
  if (!tensor) {
    fprintf(stderr, "lungcdam_bench_measures: %s: no tensor %s\n", file->path, name);
    exit(1);
  }
  float *values = malloc(tensor->count * sizeof *values);
  if (!values) exit(1);
  must(vit_tensor_to_float(tensor, values, &err));
  *count = tensor->count;
  return values;
}

static void set_up(struct bench *b, const char *weights, const char *inputs) {
  struct vit_tensor_file file;
  struct vit_request request = {0};
  size_t pixels, scores;
  must(vit_model_load(&b->model, weights, NULL, &err));
  must(cdam_target_parse(&b->target, &b->model, "0", &err));
  must(vit_tensor_file_open(&file, inputs, &err));
  b->image = take(&file, "image", &pixels);
  b->map = take(&file, "map", &scores);
  vit_tensor_file_close(&file);
  b->size = (size_t)lround(sqrt((double)pixels / 3));
  b->grid = b->size / b->model.arch.patch_size;
  b->patches = b->grid * b->grid;
  b->maps = scores / b->patches;
  must(vit_workspace_init(&b->workspace, &b->model, 1, b->size, b->size, &request, &err));
  struct cdam_removal_settings settings = {.kind = CDAM_LEAVE_OUT};
  must(cdam_removal_init(&b->removal, &b->model, &b->target, 1, b->size, b->size, &settings, &err));
  must(cdam_removal_set_image(&b->removal, b->image, 0, &err));
  b->coverage = calloc(b->patches, sizeof *b->coverage);
  if (!b->coverage) exit(1);
  for (size_t p = 0; p < b->patches; p++) /* the middle quarter, as the peer's mask */
    b->coverage[p] = p / b->grid >= b->grid / 4 && p / b->grid < 3 * b->grid / 4 &&
                     p % b->grid >= b->grid / 4 && p % b->grid < 3 * b->grid / 4;
}

/* Each measure as a user asks for it: from an image and a map to a number. */
static double logit(struct bench *b) {
  struct vit_trace trace;
  must(vit_forward(&b->workspace, b->image, 1, &trace, &err));
  return cdam_target_value(&b->target, &b->model, trace.logits, trace.cls_embedding);
}

static double forward_20(struct bench *b) {
  double value = 0;
  for (int i = 0; i < STEPS; i++) value = logit(b);
  return value;
}

static double with(struct bench *b, cdam_removal_kind kind,
                   double (*ask)(struct bench *, const struct cdam_evaluator *)) {
  struct cdam_removal removal;
  struct cdam_removal_settings settings = {.kind = kind};
  must(cdam_removal_init(&removal, &b->model, &b->target, 1, b->size, b->size, &settings, &err));
  must(cdam_removal_set_image(&removal, b->image, 0, &err));
  struct cdam_evaluator evaluator = cdam_removal_evaluator(&removal);
  double value = ask(b, &evaluator);
  cdam_removal_free(&removal);
  return value;
}

/* Most important first only, as Quantus' pixel flipping; all maps in one call. */
static double flip_in(struct bench *b, const struct cdam_evaluator *evaluator, size_t maps,
                      size_t steps) {
  uint32_t order[1024];
  size_t n = b->patches;
  uint8_t *removed = calloc(maps * steps, n);
  double sum = 0;
  struct cdam_probe probe;
  if (!removed || n > 1024) exit(1);
  for (size_t m = 0; m < maps; m++) {
    must(cdam_order(b->map + m * n, n, &b->draws, order, &err));
    for (size_t s = 1; s <= steps; s++)
      for (size_t p = 0; p < s * n / steps; p++) removed[(m * steps + s - 1) * n + order[p]] = 1;
  }
  must(cdam_probe_measure(evaluator, removed, maps * steps, &probe, &err));
  for (size_t s = 0; s < maps * steps; s++) sum += probe.whole[0] - probe.drop[s];
  cdam_probe_free(&probe);
  free(removed);
  return sum / (double)(maps * steps);
}

static double flip(struct bench *b, const struct cdam_evaluator *evaluator) {
  return flip_in(b, evaluator, b->maps, GROUPS);
}

static double deletion(struct bench *b, const struct cdam_evaluator *evaluator) {
  return flip_in(b, evaluator, 1, STEPS);
}

/* Sets are drawn once an image; every map is held against them. */
static double subsets(struct bench *b, const struct cdam_evaluator *evaluator) {
  struct cdam_probe probe;
  struct cdam_faithfulness r = {0};
  must(cdam_probe_subsets(evaluator, b->patches / 5, SETS, &b->draws, &probe, &err));
  for (size_t m = b->maps; m-- > 0;)
    must(cdam_probe_judge(&probe, b->map + m * b->patches, 0, &r, &err));
  cdam_probe_free(&probe);
  return r.pearson;
}

static double ranks(struct bench *b, const struct cdam_evaluator *evaluator) {
  struct cdam_faithfulness r = {0};
  for (size_t m = b->maps; m-- > 0;) {
    const float *map = b->map + m * b->patches;
    struct cdam_probe probe;
    must(cdam_probe_ranks(evaluator, map, b->patches / GROUPS, &b->draws, &probe, &err));
    must(cdam_probe_judge(&probe, map, 0, &r, &err));
    cdam_probe_free(&probe);
  }
  return r.pearson;
}

static double flip_value(struct bench *b) {
  return with(b, CDAM_FILL_VALUE, flip);
}
static double flip_tokens(struct bench *b) {
  return with(b, CDAM_LEAVE_OUT, flip);
}
/* One of many measures of an image, as when estimators are judged: the whole image was asked
 * before. */
static double deletion_tokens(struct bench *b) {
  struct cdam_evaluator evaluator = cdam_removal_evaluator(&b->removal);
  return deletion(b, &evaluator);
}
static double subsets_value(struct bench *b) {
  return with(b, CDAM_FILL_VALUE, subsets);
}
static double subsets_tokens(struct bench *b) {
  return with(b, CDAM_LEAVE_OUT, subsets);
}
static double ranks_value(struct bench *b) {
  return with(b, CDAM_FILL_VALUE, ranks);
}
static double ranks_tokens(struct bench *b) {
  return with(b, CDAM_LEAVE_OUT, ranks);
}

static double gini(struct bench *b) {
  double value = 0;
  for (size_t m = b->maps; m-- > 0;)
    must(cdam_gini(b->map + m * b->patches, b->patches, &value, &err));
  return value;
}

static double entropy(struct bench *b) {
  double value = 0;
  for (size_t m = b->maps; m-- > 0;) value = cdam_entropy(b->map + m * b->patches, b->patches);
  return value;
}

static double localisation(struct bench *b) {
  struct cdam_localisation r = {0};
  for (size_t m = b->maps; m-- > 0;)
    must(cdam_localise(b->map + m * b->patches, b->coverage, b->patches, CDAM_POSITIVE, &r, &err));
  return r.mass;
}

static void measure(struct bench *b, const char *name, double (*ask)(struct bench *), int rounds) {
  double wall = INFINITY, cpu = INFINITY, value = ask(b);
  for (int i = 0; i < rounds; i++) {
    double w = now(CLOCK_MONOTONIC), c = now(CLOCK_PROCESS_CPUTIME_ID);
    value = ask(b);
    wall = fmin(wall, now(CLOCK_MONOTONIC) - w);
    cpu = fmin(cpu, now(CLOCK_PROCESS_CPUTIME_ID) - c);
  }
  printf("%s\"%s\": [%.9g, %.6f, %.6f]", b->first ? "{" : ", ", name, value, wall, cpu);
  b->first = false;
}

int main(int argc, char **argv) {
  struct bench b = {.draws = {1, 0}, .first = true};
  int threads = 0, rounds = 5;
  if (argc < 3 || argc % 2 == 0) {
    fprintf(stderr, "usage: lungcdam_bench_measures WEIGHTS INPUTS [--threads N] [--rounds R]\n");
    return 2;
  }
  for (int i = 3; i + 1 < argc; i += 2) {
    int value = (int)strtol(argv[i + 1], NULL, 10);
    if (strcmp(argv[i], "--threads") == 0) threads = value;
    if (strcmp(argv[i], "--rounds") == 0) rounds = value;
  }
  lc_threads_set(threads);
  set_up(&b, argv[1], argv[2]);
  const struct {
    const char *name;
    double (*ask)(struct bench *);
  } all[] = {{"logit", logit},
             {"forward_20", forward_20},
             {"flipping", flip_value},
             {"flipping_tokens", flip_tokens},
             {"deletion_20", deletion_tokens},
             {"subsets", subsets_value},
             {"subsets_tokens", subsets_tokens},
             {"estimate", ranks_value},
             {"estimate_tokens", ranks_tokens},
             {"gini", gini},
             {"entropy", entropy},
             {"localisation", localisation}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    measure(&b, all[i].name, all[i].ask, rounds);
  printf("}\n");
  cdam_removal_free(&b.removal);
  vit_workspace_free(&b.workspace);
  vit_model_free(&b.model);
  free(b.image);
  free(b.map);
  free(b.coverage);
  return 0;
}
