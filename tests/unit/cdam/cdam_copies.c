/* Smooth and Integrated CDAM on more tokens than a panel holds and a wide hidden layer: they are
 * means of plain CDAM, drawn noise comes in opposite pairs, and what is kept of a model between
 * calls changes no bit. */
#include "tests/lc_test.h"

#include <math.h>

#include "cdam/engine/cdam_noise.h"
#include "cdam/estimators/cdam_estimator.h"
#include "common/lc_parallel.h"
#include "tests/cdam_oracle.h"
#include "tests/cdam_settings.h"

enum { ROWS = 14, COLUMNS = 15, PATCHES = ROWS * COLUMNS, DIM = 24, HIDDEN = 300, TARGETS = 4 };

struct fixture {
  struct vit_model model;
  struct vit_trace trace;
  struct cdam_target targets[TARGETS];
  float concept_vector[DIM];
  struct cdam_prepared *prepared;
};

static void open_fixture(struct fixture *f, size_t images) {
  memset(f, 0, sizeof *f);
  struct vit_arch arch = {.image_height = 8 * ROWS,
                          .image_width = 8 * COLUMNS,
                          .grid_height = ROWS,
                          .grid_width = COLUMNS,
                          .patch_size = 8,
                          .embed_dim = DIM,
                          .depth = 1,
                          .num_heads = 3,
                          .mlp_dim = 52,
                          .position_on_cls = true,
                          .layer_norm_eps = 1e-6F};
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", HIDDEN, 2, false, &test_err));
  oracle_model(&f->model, &arch);
  f->trace = oracle_trace(&arch, images, ROWS, COLUMNS);
  cdam_target_all(f->targets, &f->model);
  oracle_fill(f->concept_vector, DIM, "concept", 0, 1);
  f->targets[3] = (struct cdam_target){.kind = CDAM_CONCEPT, .concept_vector = f->concept_vector};
  assert_ok(cdam_prepared_init(&f->prepared, &f->model, &test_err));
}

static void close_fixture(struct fixture *f) {
  cdam_prepared_free(f->prepared);
  vit_model_free(&f->model);
  free(f->trace.last_input);
}

static struct cdam_maps estimate(const struct fixture *f, const char *name, bool kept,
                                 const struct cdam_settings *settings) {
  struct cdam_task task = {.model = &f->model,
                           .trace = &f->trace,
                           .targets = f->targets,
                           .n_targets = TARGETS,
                           .settings = settings,
                           .prepared = kept ? f->prepared : NULL};
  struct cdam_maps maps;
  assert_ok(cdam_estimate(find_estimator(name), &task, &maps, &test_err));
  return maps;
}

/* Target by target, because their scores differ in size. */
static void assert_close(const struct cdam_maps *a, const float *b, double tolerance) {
  for (size_t t = 0; t < TARGETS; t++) {
    double largest,
        difference = lc_test_difference(cdam_maps_get(a, 0, t), b + t * PATCHES, PATCHES, &largest);
    if (!(difference <= tolerance * largest) || largest == 0)
      fail_msg("target %zu: differs by %g of %g", t, difference, largest);
  }
}

/* sum += the plain maps at another input of the last block, times share. */
static void add_plain(struct fixture *f, const float *input, double share, float *sum) {
  size_t size = f->trace.tokens * DIM * sizeof *input;
  float *kept = malloc(size);
  memcpy(kept, f->trace.last_input, size);
  memcpy(f->trace.last_input, input, size);
  struct cdam_maps plain = estimate(f, "cdam", true, NULL);
  for (size_t i = 0; i < (size_t)TARGETS * PATCHES; i++)
    sum[i] += (float)(share * (double)plain.scores[i]);
  memcpy(f->trace.last_input, kept, size);
  cdam_maps_free(&plain);
  free(kept);
}

/* So strong a noise that many hidden units go on and off. */
static void test_smooth_is_a_mean(void **state) {
  (void)state;
  enum { SAMPLES = 21 };
  struct fixture f;
  open_fixture(&f, 1);
  size_t size = f.trace.tokens * DIM;
  float *noise = malloc(SAMPLES * size * sizeof *noise), *input = malloc(size * sizeof *input);
  float *mean = calloc((size_t)TARGETS * PATCHES, sizeof *mean);
  oracle_fill(noise, SAMPLES * size, "noise", 0, 6);
  for (size_t s = 0; s < SAMPLES; s++) {
    for (size_t i = 0; i < size; i++) input[i] = f.trace.last_input[i] + noise[s * size + i];
    add_plain(&f, input, 1.0 / (double)SAMPLES, mean);
  }
  struct cdam_settings settings = settings_with("smooth_cdam", "");
  settings.noise = noise;
  settings.noise_samples = SAMPLES;
  struct cdam_maps smooth = estimate(&f, "smooth_cdam", true, &settings);
  assert_close(&smooth, mean, 1e-4);
  cdam_maps_free(&smooth);
  free(noise);
  free(input);
  free(mean);
  close_fixture(&f);
}

static void test_integrated_is_a_mean(void **state) {
  (void)state;
  enum { STEPS = 38 };
  struct fixture f;
  open_fixture(&f, 1);
  size_t size = f.trace.tokens * DIM;
  float *input = malloc(size * sizeof *input);
  float *mean = calloc((size_t)TARGETS * PATCHES, sizeof *mean);
  const double baseline = -0.2;
  struct cdam_settings settings = settings_with("integrated_cdam", "samples=38,baseline=-0.2");
  for (size_t s = 1; s < STEPS; s++) {
    for (size_t i = 0; i < size; i++)
      input[i] = (float)(baseline +
                         (double)s / (double)STEPS * ((double)f.trace.last_input[i] - baseline));
    add_plain(&f, input, 1.0 / (STEPS - 1), mean);
  }
  struct cdam_maps integrated = estimate(&f, "integrated_cdam", true, &settings);
  assert_close(&integrated, mean, 1e-4);
  cdam_maps_free(&integrated);
  free(input);
  free(mean);
  close_fixture(&f);
}

/* Noise and its opposite cancel in first order: half the noise leaves a quarter of the change. A
 * sample without a partner would leave half. */
static void test_opposite_pairs(void **state) {
  (void)state;
  enum { N = 160 };
  float x[N], plus[N], minus[N], draw[N];
  oracle_fill(x, N, "x", 0, 1);
  cdam_noise_pair(3, "a", 7, x, 0.5F, plus, minus, N);
  cdam_noise_fill(3, "a", 7, draw, N);
  for (size_t i = 0; i < N; i++) {
    assert_true(fabsf(plus[i] - (x[i] + 0.5F * draw[i])) < 1e-6F);
    assert_true(fabsf(minus[i] - (x[i] - 0.5F * draw[i])) < 1e-6F);
  }
  struct fixture f;
  open_fixture(&f, 1);
  struct cdam_maps plain = estimate(&f, "cdam", true, NULL);
  for (size_t samples = 1; samples <= 2; samples++) {
    double change[2], largest;
    for (int k = 0; k < 2; k++) {
      struct cdam_settings settings =
          settings_with("smooth_cdam", k ? "level=0.0005" : "level=0.001");
      settings_change(&settings, "smooth_cdam", samples == 1 ? "samples=1" : "samples=2");
      struct cdam_maps smooth = estimate(&f, "smooth_cdam", true, &settings);
      /* the first target has no hidden layer, so it is smooth */
      change[k] = lc_test_difference(smooth.scores, plain.scores, PATCHES, &largest);
      cdam_maps_free(&smooth);
    }
    double expected = samples == 1 ? 0.5 : 0.25;
    if (fabs(change[1] / change[0] - expected) > 0.07)
      fail_msg("%zu samples: half the noise leaves %g", samples, change[1] / change[0]);
  }
  cdam_maps_free(&plain);
  close_fixture(&f);
}

/* Memory that another call has used, other threads, and no memory kept at all. */
static void test_kept_memory_changes_no_bit(void **state) {
  (void)state;
  const char *const names[] = {"smooth_cdam", "cdam", "integrated_cdam", "cdam_content",
                               "attention_gradcam"};
  struct fixture f;
  open_fixture(&f, 3);
  for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
    const char *name = names[i % (sizeof names / sizeof *names)];
    struct cdam_settings settings = settings_small(name, 37);
    lc_threads_set(1);
    struct cdam_maps fresh = estimate(&f, name, false, &settings);
    lc_threads_set(1 + (int)(i % 3));
    struct cdam_maps kept = estimate(&f, name, true, &settings);
    if (memcmp(fresh.scores, kept.scores, (size_t)3 * TARGETS * PATCHES * sizeof(float)) != 0)
      fail_msg("%s: other bits with kept memory", name);
    cdam_maps_free(&fresh);
    cdam_maps_free(&kept);
  }
  lc_threads_set(0);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_smooth_is_a_mean), cmocka_unit_test(test_integrated_is_a_mean),
      cmocka_unit_test(test_opposite_pairs), cmocka_unit_test(test_kept_memory_changes_no_bit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
