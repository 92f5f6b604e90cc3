/* What must hold for the estimators on any model: completeness, zero targets, same bits for any
 * number of threads and any batch, agreement of methods where they mean the same, and refusals. */
#include "tests/lc_test.h"

#include <math.h>

#include "cdam/engine/cdam_noise.h"
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_lrp.h"
#include "common/lc_parallel.h"
#include "tests/cdam_oracle.h"
#include "tests/cdam_settings.h"

enum { ROWS = 3, COLUMNS = 4, PATCH = 8, IMAGES = 3, PIXELS = 3 * ROWS * PATCH * COLUMNS * PATCH };

struct fixture {
  struct vit_model model;
  struct vit_workspace workspace;
  struct vit_trace trace;
  struct cdam_target targets[3];
  struct cdam_task task;
  float images[IMAGES * PIXELS];
};

static void open_fixture(struct fixture *f, size_t images, size_t registers) {
  memset(f, 0, sizeof *f);
  struct vit_arch arch = {.image_height = ROWS * PATCH,
                          .image_width = COLUMNS * PATCH,
                          .grid_height = ROWS,
                          .grid_width = COLUMNS,
                          .patch_size = PATCH,
                          .embed_dim = 24,
                          .depth = 3,
                          .num_heads = 3,
                          .mlp_dim = 48,
                          .num_registers = registers,
                          .layer_scale = registers > 0,
                          .position_on_cls = true,
                          .layer_norm_eps = 1e-6F};
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 7, 2, false, &test_err));
  oracle_model(&f->model, &arch);
  oracle_fill(f->images, sizeof f->images / sizeof *f->images, "images", 0, 1);
  struct vit_request request = {
      .last_input = true, .all_inputs = true, .last_cls_attention = true, .all_attention = true};
  assert_ok(vit_workspace_init(&f->workspace, &f->model, images, ROWS * PATCH, COLUMNS * PATCH,
                               &request, &test_err));
  assert_ok(vit_forward(&f->workspace, f->images, images, &f->trace, &test_err));
  cdam_target_all(f->targets, &f->model);
  f->task = (struct cdam_task){.model = &f->model,
                               .images = f->images,
                               .height = ROWS * PATCH,
                               .width = COLUMNS * PATCH,
                               .trace = &f->trace,
                               .targets = f->targets,
                               .n_targets = 3};
}

static void close_fixture(struct fixture *f) {
  vit_workspace_free(&f->workspace);
  vit_model_free(&f->model);
}

static struct cdam_maps estimate(const struct fixture *f, const char *name,
                                 const struct cdam_settings *settings) {
  struct cdam_task task = f->task;
  struct cdam_maps maps;
  task.settings = settings;
  assert_ok(cdam_estimate(find_estimator(name), &task, &maps, &test_err));
  return maps;
}

static size_t image_size(const struct cdam_maps *maps) {
  return maps->targets * maps->grid_height * maps->grid_width;
}

static void assert_close(const float *a, const float *b, size_t n, double tolerance) {
  double largest, difference = lc_test_difference(a, b, n, &largest);
  if (!(difference <= tolerance * largest)) fail_msg("differs by %g of %g", difference, largest);
}

static void test_noise(void **state) {
  (void)state;
  /* The first words of xoshiro128++ from the state 1, 2, 3, 4 (the authors' code). */
  const uint32_t words[] = {641,        1573767,    3222811527, 3517856514, 836907274,
                            4247214768, 3867114732, 1355841295, 495546011,  621204420};
  uint32_t generator[4] = {1, 2, 3, 4};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    assert_int_equal(cdam_xoshiro128pp(generator), words[i]);

  enum { N = 200000 };
  float *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b);
  cdam_noise_fill(1, "a", 0, a, N);
  double moments[5] = {0}, neighbours = 0, others = 0;
  size_t beyond = 0;
  cdam_noise_fill(1, "a", 1, b, N);
  for (size_t i = 0; i < N; i++) {
    double x = (double)a[i], power = 1;
    for (int k = 0; k < 5; k++, power *= x) moments[k] += power / (double)N;
    if (i) neighbours += x * (double)a[i - 1] / (double)N;
    others += x * (double)b[i] / (double)N;
    beyond += fabs(x) > 1.959964;
  }
  assert_true(fabs(moments[1]) < 0.01 && fabs(moments[2] - 1) < 0.015);
  assert_true(fabs(moments[3]) < 0.03 && fabs(moments[4] - 3) < 0.1);
  assert_true(fabs(neighbours) < 0.01 && fabs(others) < 0.01);
  assert_true(fabs((double)beyond / (double)N - 0.05) < 0.002);
  cdam_noise_fill(1, "a", 0, b, 777); /* a shorter draw is the start of a longer one */
  assert_memory_equal(a, b, 777 * sizeof *a);
  free(a);
  free(b);
}

/* The same bits for one, two and three threads, and for an image alone and in a batch. */
static void test_same_bits(void **state) {
  (void)state;
  struct fixture batch, alone;
  open_fixture(&batch, IMAGES, 0);
  open_fixture(&alone, 1, 0);
  size_t count;
  const struct cdam_estimator *const *estimators = cdam_estimators(&count);
  for (size_t i = 0; i < count; i++) {
    struct cdam_settings settings = settings_small(estimators[i]->name, 20);
    lc_threads_set(1);
    struct cdam_maps first = estimate(&batch, estimators[i]->name, &settings);
    struct cdam_maps single = estimate(&alone, estimators[i]->name, &settings);
    if (memcmp(first.scores, single.scores, image_size(&single) * sizeof(float)) != 0)
      fail_msg("%s: an image's map depends on its batch", estimators[i]->name);
    for (int threads = 2; threads <= 3; threads++) {
      lc_threads_set(threads);
      struct cdam_maps again = estimate(&batch, estimators[i]->name, &settings);
      if (memcmp(first.scores, again.scores, IMAGES * image_size(&first) * sizeof(float)) != 0)
        fail_msg("%s: other bits for %d threads", estimators[i]->name, threads);
      cdam_maps_free(&again);
    }
    cdam_maps_free(&first);
    cdam_maps_free(&single);
  }
  lc_threads_set(0);
  close_fixture(&batch);
  close_fixture(&alone);
}

static void test_zero_weights_give_zero_maps(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 1, 2);
  static const float zero[64];
  f.model.heads[0].output = (struct vit_linear){zero, zero};
  assert_ok(vit_forward(&f.workspace, f.images, 1, &f.trace, &test_err));
  f.targets[1] = (struct cdam_target){.kind = CDAM_CONCEPT, .concept_vector = zero};
  size_t count;
  const struct cdam_estimator *const *estimators = cdam_estimators(&count);
  for (size_t i = 0; i < count; i++) {
    if (!estimators[i]->target_dependent) continue;
    struct cdam_settings settings = settings_small(estimators[i]->name, 10);
    struct cdam_maps maps = estimate(&f, estimators[i]->name, &settings);
    size_t size = maps.grid_height * maps.grid_width;
    double other = 0;
    for (size_t k = 0; k < size; k++) {
      if (maps.scores[k] != 0 || maps.scores[size + k] != 0)
        fail_msg("%s: a target of zero weight has a score", estimators[i]->name);
      other = fmax(other, fabs((double)maps.scores[2 * size + k]));
    }
    if (other == 0) fail_msg("%s: no score for a target that has weights", estimators[i]->name);
    cdam_maps_free(&maps);
  }
  close_fixture(&f);
}

/* An output that is the same for every image owes nothing to any patch: in RISE the mean over the
 * masks that keep a patch is then the mean over all masks. */
static void test_a_constant_output_has_no_score(void **state) {
  (void)state;
  static const float zero[64], bias[1] = {3};
  struct fixture f;
  open_fixture(&f, 1, 0);
  f.model.heads[0].output = (struct vit_linear){zero, bias};
  assert_ok(vit_forward(&f.workspace, f.images, 1, &f.trace, &test_err));
  assert_true(f.trace.logits[0] == 3);
  static const char *const names[] = {"rise", "occlusion", "token_ablation"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    struct cdam_settings settings = settings_small(names[k], 50);
    struct cdam_maps maps = estimate(&f, names[k], &settings);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) assert_near((double)maps.scores[i], 0, 1e-6);
    cdam_maps_free(&maps);
  }
  close_fixture(&f);
}

/* Integrated gradients: the patches' scores add up to f(x) - f(baseline), and the gap says so;
 * equal steps are much further off. */
static void test_completeness(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 1, 0);
  static const double baselines[] = {0, -0.7, -0.7};
  static const char *const set[] = {"samples=60,baseline=0", "samples=60,baseline=-0.7",
                                    "samples=60,baseline=-0.7,rule=riemann"};
  for (int k = 0; k < 3; k++) {
    double largest = 0;
    struct cdam_settings settings = settings_with("integrated_gradients", set[k]);
    struct cdam_maps maps = estimate(&f, "integrated_gradients", &settings), patches;
    assert_int_equal(maps.grid_height, ROWS * PATCH);
    assert_ok(cdam_maps_to_patches(&maps, PATCH, &patches, &test_err));
    struct vit_workspace workspace;
    struct vit_trace trace;
    float flat[PIXELS];
    for (size_t i = 0; i < PIXELS; i++) flat[i] = (float)baselines[k];
    assert_ok(
        vit_workspace_init(&workspace, &f.model, 1, f.task.height, f.task.width, NULL, &test_err));
    assert_ok(vit_forward(&workspace, flat, 1, &trace, &test_err));
    for (size_t t = 0; t < 3; t++) {
      double change = (double)f.trace.logits[t] - (double)trace.logits[t], sum = 0;
      for (size_t i = 0; i < ROWS * COLUMNS; i++) sum += (double)cdam_maps_get(&patches, 0, t)[i];
      double gap = fabs(sum - change) / fabs(change);
      if (fabs(change) < 1e-2) continue; /* the output does not see the image: rounding alone */
      if (k < 2 && !(gap < 1e-4))
        fail_msg("target %zu: scores add up to %g, the output changes by %g", t, sum, change);
      assert_near((double)maps.gaps[t], gap, 1e-5);
      largest = fmax(largest, gap);
    }
    assert_true(k < 2 || largest > 1e-3);
    vit_workspace_free(&workspace);
    cdam_maps_free(&maps);
    cdam_maps_free(&patches);
  }
  close_fixture(&f);
}

/* The mean of plain CDAM over inputs that are made by hand. */
static void test_integrated_is_a_mean(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 1, 2);
  size_t count = f.trace.tokens * f.model.arch.embed_dim;
  float *input = malloc(count * sizeof *input);
  memcpy(input, f.trace.last_input, count * sizeof *input);
  for (int k = 0; k < 2; k++) {
    double baseline = k ? 0.4 : 0;
    struct cdam_settings settings =
        settings_with("integrated_cdam", k ? "samples=7,baseline=0.4" : "samples=7");
    struct cdam_maps whole = estimate(&f, "integrated_cdam", &settings);
    float *mean = calloc(image_size(&whole), sizeof *mean);
    for (int step = 1; step < 7; step++) {
      for (size_t i = 0; i < count; i++)
        f.trace.last_input[i] = (float)(baseline + step / 7.0 * ((double)input[i] - baseline));
      struct cdam_maps one = estimate(&f, "cdam", NULL);
      for (size_t i = 0; i < image_size(&one); i++) mean[i] += one.scores[i] / 6;
      cdam_maps_free(&one);
    }
    memcpy(f.trace.last_input, input, count * sizeof *input);
    assert_close(whole.scores, mean, image_size(&whole), 1e-4);
    free(mean);
    cdam_maps_free(&whole);
  }
  free(input);
  close_fixture(&f);
}

/* CDAM at tokens of one's own: how f changes when token i grows, by central differences. */
static void differences_at(const struct fixture *f, const double *tokens, size_t target,
                           double share, double *map) {
  size_t n = f->trace.tokens, dim = f->model.arch.embed_dim, skip = n - f->trace.patches;
  double *t = malloc(n * dim * sizeof *t);
  memcpy(t, tokens, n * dim * sizeof *t);
  for (size_t i = skip; i < n; i++) {
    double side[2];
    for (int s = 0; s < 2; s++) {
      for (size_t k = 0; k < dim; k++) t[i * dim + k] = tokens[i * dim + k] * (s ? 1.0001 : 0.9999);
      side[s] = oracle_target(&f->model, &f->targets[target], t, f->trace.last_input, n);
    }
    memcpy(t + i * dim, tokens + i * dim, dim * sizeof *t);
    map[i - skip] += share * (side[1] - side[0]) / 0.0002;
  }
  free(t);
}

/* Noise and scaling on the normed tokens leave the residual branch alone. */
static void test_on_normed_tokens(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 1, 0);
  size_t n = f.trace.tokens, dim = f.model.arch.embed_dim, patches = f.trace.patches;
  double *normed = malloc(n * dim * sizeof *normed), *moved = malloc(n * dim * sizeof *moved);
  double *row = malloc(dim * sizeof *row);
  float *noise = malloc(2 * n * dim * sizeof *noise);
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < dim; k++) row[k] = (double)f.trace.last_input[i * dim + k];
    oracle_norm(row, dim, &f.model.blocks[2].norm1, 1e-6, normed + i * dim);
  }
  oracle_fill(noise, 2 * n * dim, "noise", 0, 0.2);
  for (int kind = 0; kind < 2; kind++) {
    double expected[ROWS * COLUMNS] = {0};
    for (int s = 0; s < 2; s++) {
      for (size_t i = 0; i < n * dim; i++)
        moved[i] = kind ? 0.3 + (s + 1) / 3.0 * (normed[i] - 0.3)
                        : normed[i] + (double)noise[(size_t)s * n * dim + i];
      differences_at(&f, moved, 1, 0.5, expected);
    }
    struct cdam_settings settings =
        kind ? settings_with("integrated_cdam", "place=normed,samples=3,baseline=0.3")
             : settings_with("smooth_cdam", "place=normed");
    if (!kind) {
      settings.noise = noise;
      settings.noise_samples = 2;
    }
    struct cdam_maps maps = estimate(&f, kind ? "integrated_cdam" : "smooth_cdam", &settings);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < patches; i++) {
      worst = fmax(worst, fabs((double)cdam_maps_get(&maps, 0, 1)[i] - expected[i]));
      largest = fmax(largest, fabs(expected[i]));
    }
    assert_true(worst <= 1e-4 * largest);
    cdam_maps_free(&maps);
  }
  free(normed);
  free(moved);
  free(row);
  free(noise);
  close_fixture(&f);
}

static void test_noise_of_level_zero_changes_nothing(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 2, 2);
  struct cdam_maps plain = estimate(&f, "cdam", NULL);
  for (int place = 0; place < 2; place++) {
    struct cdam_settings settings = settings_with(
        "smooth_cdam", place ? "samples=19,level=0,place=normed" : "samples=19,level=0");
    struct cdam_maps smooth = estimate(&f, "smooth_cdam", &settings);
    assert_close(smooth.scores, plain.scores, 2 * image_size(&plain), 1e-5);
    cdam_maps_free(&smooth);
    settings_change(&settings, "smooth_cdam", "level=0.1");
    smooth = estimate(&f, "smooth_cdam", &settings);
    settings.seed = 1;
    struct cdam_maps seeded = estimate(&f, "smooth_cdam", &settings);
    double largest;
    assert_true(lc_test_difference(smooth.scores, plain.scores, image_size(&plain), &largest) >
                1e-3 * largest);
    assert_true(lc_test_difference(smooth.scores, seeded.scores, image_size(&plain), &largest) >
                1e-4 * largest);
    cdam_maps_free(&smooth);
    cdam_maps_free(&seeded);
  }
  cdam_maps_free(&plain);
  close_fixture(&f);
}

/* A box of one patch in steps of one is token ablation. */
static void test_smallest_box_is_ablation(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 2, 0);
  struct cdam_maps ablation = estimate(&f, "token_ablation", NULL);
  struct cdam_settings one = settings_with("occlusion", "box=1,stride=1");
  struct cdam_settings high = settings_with("occlusion", "box=3,stride=1"); /* ROWS */
  struct cdam_maps boxes = estimate(&f, "occlusion", &one);
  assert_memory_equal(boxes.scores, ablation.scores, 2 * image_size(&boxes) * sizeof(float));
  cdam_maps_free(&boxes);
  /* A box as high as the grid covers whole columns, whose patches then share their score. */
  boxes = estimate(&f, "occlusion", &high);
  for (size_t i = COLUMNS; i < ROWS * COLUMNS; i++)
    assert_true(boxes.scores[i] == boxes.scores[i % COLUMNS]);
  assert_true(boxes.scores[0] != boxes.scores[COLUMNS - 1]);
  cdam_maps_free(&boxes);
  cdam_maps_free(&ablation);
  close_fixture(&f);
}

static void test_attention(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 1, 2);
  struct cdam_maps mean = estimate(&f, "attention_map", NULL);
  float sum[ROWS * COLUMNS] = {0};
  for (int head = 0; head < 3; head++) {
    char pair[] = "head=0";
    pair[5] = (char)('0' + head);
    struct cdam_settings settings = settings_with("attention_map", pair);
    struct cdam_maps one = estimate(&f, "attention_map", &settings);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) sum[i] += one.scores[i] / 3;
    cdam_maps_free(&one);
  }
  assert_close(sum, mean.scores, ROWS * COLUMNS, 1e-6);
  struct cdam_task task = f.task;
  struct cdam_maps maps;
  struct cdam_settings settings = settings_with("attention_map", "head=3");
  task.settings = &settings;
  assert_fails(cdam_estimate(find_estimator("attention_map"), &task, &maps, &test_err),
               LC_ERR_USAGE, "head 3");
  /* A rollout's row is a distribution over all tokens. */
  struct cdam_maps rollout = estimate(&f, "attention_rollout", NULL);
  double total = 0;
  for (size_t i = 0; i < ROWS * COLUMNS; i++) {
    assert_true(rollout.scores[i] > 0);
    total += (double)rollout.scores[i];
  }
  assert_true(total > 0.05 && total < 1 - 1.0 / 8); /* CLS keeps at least (1/2)^depth */
  cdam_maps_free(&rollout);
  cdam_maps_free(&mean);
  close_fixture(&f);
}

/* What is linear in the target gives for a difference the difference of the maps. */
static void test_differences_of_targets(void **state) {
  (void)state;
  static const char *const linear[] = {"cdam",           "smooth_cdam",         "integrated_cdam",
                                       "token_ablation", "occlusion",           "rise",
                                       "smoothgrad",     "integrated_gradients"};
  struct fixture f;
  open_fixture(&f, 1, 0);
  f.targets[2] = (struct cdam_target){.kind = CDAM_DIFFERENCE, .a = 0, .b = 1};
  for (size_t k = 0; k < sizeof linear / sizeof *linear; k++) {
    struct cdam_settings settings = settings_small(linear[k], 10);
    struct cdam_maps maps = estimate(&f, linear[k], &settings);
    size_t size = maps.grid_height * maps.grid_width;
    double worst = 0, largest = 0;
    for (size_t i = 0; i < size; i++) {
      double d = (double)maps.scores[i] - (double)maps.scores[size + i];
      worst = fmax(worst, fabs(d - (double)maps.scores[2 * size + i]));
      largest = fmax(largest, fabs(d));
    }
    if (!(worst <= 1e-4 * largest)) fail_msg("%s: %g of %g", linear[k], worst, largest);
    cdam_maps_free(&maps);
  }
  close_fixture(&f);
}

/* Relevance is shared out in fixed proportions, so that of a difference is the difference. */
static void test_relevance_of_a_difference(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 1, 0);
  struct cdam_double d;
  struct cdam_lrp lrp;
  size_t count = f.trace.tokens * f.model.arch.embed_dim;
  double *input = malloc(count * sizeof *input), *r = calloc(4 * count, sizeof *r);
  assert_true(input && r);
  for (size_t i = 0; i < count; i++) input[i] = (double)f.trace.last_input[i];
  assert_ok(cdam_double_init(&d, &f.model, f.trace.tokens, &test_err));
  assert_ok(cdam_lrp_init(&lrp, &d, &test_err));
  cdam_double_forward(&d, f.model.arch.depth - 1, input);
  const struct cdam_target targets[4] = {
      {.kind = CDAM_OUTPUT, .a = 1},
      {.kind = CDAM_OUTPUT, .a = 2},
      {.kind = CDAM_DIFFERENCE, .a = 1, .b = 2}, /* of one head */
      {.kind = CDAM_DIFFERENCE, .a = 1, .b = 0}, /* of two */
  };
  for (size_t t = 0; t < 4; t++) cdam_lrp_start(&lrp, &d, &targets[t], r + t * count);
  cdam_lrp_start(&lrp, &d, &(struct cdam_target){.kind = CDAM_OUTPUT, .a = 0}, input);
  double largest = 0;
  for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(r[i]));
  for (size_t i = 0; i < count; i++) {
    assert_near(r[2 * count + i], r[i] - r[count + i], 1e-9 * largest);
    assert_near(r[3 * count + i], r[i] - input[i], 1e-9 * largest);
  }
  assert_true(largest > 0);
  cdam_lrp_free(&lrp);
  cdam_double_free(&d);
  free(input);
  free(r);
  close_fixture(&f);
}

/* Every table is in order, and what it says is what is taken. */
static void test_parameters(void **state) {
  (void)state;
  size_t count;
  const struct cdam_estimator *const *estimators = cdam_estimators(&count);
  for (size_t i = 0; i < count; i++) {
    const struct cdam_estimator *e = estimators[i];
    struct cdam_settings settings;
    assert_true(e->n_parameters <= CDAM_PARAMETERS_MOST);
    cdam_settings_init(e, &settings);
    assert_ok(cdam_settings_check(e, &settings, &test_err)); /* the defaults */
    for (size_t k = 0; k < i; k++) assert_string_not_equal(e->name, estimators[k]->name);
    for (size_t k = 0; k < e->n_parameters; k++) {
      const struct cdam_parameter *p = &e->parameters[k];
      assert_int_equal(cdam_parameter_find(e, p->name), k); /* no name twice */
      assert_true(p->doc && *p->doc && settings.values[k] == p->initial);
      if (p->kind == CDAM_CHOICE) continue;
      assert_true(cdam_parameter_takes(p, p->low) && cdam_parameter_takes(p, p->high));
      assert_false(cdam_parameter_takes(p, p->low - 1e-6));
      assert_false(cdam_parameter_takes(p, p->high + 1));
      assert_false(cdam_parameter_takes(p, NAN));
    }
  }
  const struct cdam_estimator *rise = find_estimator("rise");
  struct cdam_settings settings;
  double value;
  cdam_settings_init(rise, &settings);
  assert_fails(cdam_settings_set(rise, &settings, "sampels", 9, &test_err), LC_ERR_NOT_FOUND,
               "rise: parameter \"sampels\": did you mean \"samples\"?");
  assert_fails(cdam_settings_set(rise, &settings, "box", 9, &test_err), LC_ERR_NOT_FOUND,
               "expected one of samples, cells, keep");
  assert_fails(cdam_settings_set(rise, &settings, "cells", 61, &test_err), LC_ERR_USAGE,
               "rise: cells is 61, expected a whole number from 1 to 60");
  assert_fails(cdam_settings_set(find_estimator("cdam"), &settings, "samples", 9, &test_err),
               LC_ERR_NOT_FOUND, "expected none");
  const struct cdam_estimator *smooth = find_estimator("smooth_cdam");
  const struct cdam_parameter *place = &smooth->parameters[cdam_parameter_find(smooth, "place")];
  assert_true(cdam_parameter_read(place, "normed", &value) && value == CDAM_AT_NORMED_TOKENS);
  assert_false(cdam_parameter_read(place, "norm", &value));
  assert_false(cdam_parameter_read(&rise->parameters[0], "1.5", &value));
  assert_false(cdam_parameter_read(&rise->parameters[0], "1e9", &value));
}

static void test_refusals(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, 1, 0);
  const struct cdam_estimator *estimator;
  assert_fails(cdam_estimator_find("smoth_cdam", &estimator, &test_err), LC_ERR_NOT_FOUND,
               "smooth_cdam");
  assert_fails(cdam_estimator_find("zzzzzzzzzz", &estimator, &test_err), LC_ERR_NOT_FOUND,
               "attention_rollout");
  struct cdam_maps maps;
  struct cdam_task task = f.task;
  struct vit_trace bare = f.trace;
  bare.last_input = NULL;
  bare.attention = NULL;
  task.trace = &bare;
  assert_fails(cdam_estimate(find_estimator("cdam"), &task, &maps, &test_err), LC_ERR_USAGE,
               "input of the last block");
  assert_null(maps.scores);
  assert_fails(cdam_estimate(find_estimator("attention_rollout"), &task, &maps, &test_err),
               LC_ERR_USAGE, "attention of every block");
  task = f.task;
  task.images = NULL;
  assert_fails(cdam_estimate(find_estimator("rise"), &task, &maps, &test_err), LC_ERR_USAGE,
               "images");
  task = f.task;
  static const struct {
    const char *name, *parameter;
    double value;
  } wrong[] = {
      {"smooth_cdam", "level", -1},
      {"smooth_cdam", "samples", 0},
      {"smooth_cdam", "place", 2},
      {"integrated_cdam", "samples", 1},
      {"integrated_cdam", "baseline", NAN},
      {"integrated_gradients", "samples", 0},
      {"occlusion", "stride", 0},
      {"occlusion", "box", 2.5},
      {"rise", "keep", 1},
  };
  struct cdam_settings settings;
  task.settings = &settings;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char text[64];
    estimator = find_estimator(wrong[i].name);
    cdam_settings_init(estimator, &settings);
    settings.values[cdam_parameter_find(estimator, wrong[i].parameter)] = wrong[i].value;
    snprintf(text, sizeof text, "%s: %s is", wrong[i].name, wrong[i].parameter);
    assert_fails(cdam_estimate(estimator, &task, &maps, &test_err), LC_ERR_USAGE, text);
  }
  settings = settings_with("occlusion", "box=9");
  assert_fails(cdam_estimate(find_estimator("occlusion"), &task, &maps, &test_err),
               LC_ERR_UNSUPPORTED, "covers all");
  bare = f.trace;
  bare.patches = 5;
  task.trace = &bare;
  assert_fails(cdam_estimate(find_estimator("cdam"), &task, &maps, &test_err), LC_ERR_UNSUPPORTED,
               "5 of 12");
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_noise),
                                     cmocka_unit_test(test_same_bits),
                                     cmocka_unit_test(test_zero_weights_give_zero_maps),
                                     cmocka_unit_test(test_a_constant_output_has_no_score),

                                     cmocka_unit_test(test_completeness),
                                     cmocka_unit_test(test_integrated_is_a_mean),
                                     cmocka_unit_test(test_on_normed_tokens),
                                     cmocka_unit_test(test_noise_of_level_zero_changes_nothing),
                                     cmocka_unit_test(test_smallest_box_is_ablation),
                                     cmocka_unit_test(test_attention),
                                     cmocka_unit_test(test_differences_of_targets),
                                     cmocka_unit_test(test_relevance_of_a_difference),
                                     cmocka_unit_test(test_parameters),
                                     cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
