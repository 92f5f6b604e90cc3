/* CDAM in closed form against the full backward pass and against finite differences in double, and
 * what must hold for any model. */
#include "tests/lc_test.h"

#include "cdam/engine/cdam_map.h"
#include "common/lc_parallel.h"
#include "tests/cdam_oracle.h"

struct shape {
  const char *what;
  size_t dim, heads, mlp, registers, grid_height, grid_width;
  bool layer_scale;
};

static const struct shape shapes[] = {
    {"plain", 24, 3, 96, 0, 3, 4, false},
    {"one head, odd widths", 20, 1, 36, 0, 2, 3, false},
    {"registers and LayerScale", 32, 4, 64, 4, 3, 3, true},
    {"single patch", 16, 2, 32, 0, 1, 1, false},
    {"one row of patches", 16, 4, 64, 1, 1, 9, true},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, N_TARGETS = 7 };

struct fixture {
  struct vit_model model;
  struct vit_trace trace;
  struct cdam_target targets[N_TARGETS];
  float concept_vector[64];
};

static void open_fixture(struct fixture *f, const struct shape *shape, size_t batch) {
  memset(f, 0, sizeof *f);
  struct vit_arch arch = {.image_height = 8 * shape->grid_height,
                          .image_width = 8 * shape->grid_width,
                          .grid_height = shape->grid_height,
                          .grid_width = shape->grid_width,
                          .patch_size = 8,
                          .embed_dim = shape->dim,
                          .depth = 1,
                          .num_heads = shape->heads,
                          .mlp_dim = shape->mlp,
                          .num_registers = shape->registers,
                          .layer_scale = shape->layer_scale,
                          .position_on_cls = true,
                          .layer_norm_eps = 1e-6F};
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 11, 3, false, &test_err));
  arch.heads[1].activation = (vit_head_activation)((size_t)(shape - shapes) % 3);
  oracle_model(&f->model, &arch);
  f->trace = oracle_trace(&arch, batch, shape->grid_height, shape->grid_width);
  cdam_target_all(f->targets, &f->model);
  assert_ok(cdam_target_parse(&f->targets[4], &f->model, "malignancy-biomarkers.2", &test_err));
  assert_ok(cdam_target_parse(&f->targets[5], &f->model, "biomarkers.1-3", &test_err));
  oracle_fill(f->concept_vector, shape->dim, "concept", 0, 1);
  f->targets[6] = (struct cdam_target){.kind = CDAM_CONCEPT, .concept_vector = f->concept_vector};
}

static void close_fixture(struct fixture *f) {
  vit_model_free(&f->model);
  free(f->trace.last_input);
}

static struct cdam_maps maps_for(const struct fixture *f) {
  struct cdam_maps maps;
  assert_ok(cdam_maps_init(&maps, f->trace.batch, N_TARGETS, f->trace.grid_height,
                           f->trace.grid_width, &test_err));
  return maps;
}

static size_t score_count(const struct cdam_maps *maps) {
  return maps->images * maps->targets * maps->grid_height * maps->grid_width;
}

static struct cdam_maps closed(const struct fixture *f) {
  struct cdam_maps maps = maps_for(f);
  assert_ok(cdam_closed_form(&f->model, NULL, &f->trace, f->targets, N_TARGETS, &maps, NULL, NULL,
                             &test_err));
  return maps;
}

static void test_closed_form_equals_full_backward(void **state) {
  (void)state;
  for (size_t s = 0; s < N_SHAPES; s++) {
    struct fixture f;
    open_fixture(&f, &shapes[s], 2);
    struct cdam_maps fast = closed(&f), slow = maps_for(&f);
    assert_ok(cdam_general(&f.model, &f.trace, f.targets, N_TARGETS, &slow, &test_err));
    size_t patches = f.trace.patches;
    for (size_t k = 0; k < 2 * N_TARGETS; k++) {
      double largest, difference = lc_test_difference(fast.scores + k * patches,
                                                      slow.scores + k * patches, patches, &largest);
      if (!(difference <= 1e-5 * largest) || largest == 0)
        fail_msg("%s, map %zu: differs by %g of %g", shapes[s].what, k, difference, largest);
    }
    cdam_maps_free(&fast);
    cdam_maps_free(&slow);
    close_fixture(&f);
  }
}

/* Queries and keys so large that scores reach thousands: attention is 1 for few tokens, and the
 * routed part is a difference of what nearly cancels. */
static void test_saturated_attention(void **state) {
  (void)state;
  for (size_t s = 0; s < N_SHAPES; s++)
    for (float factor = 4; factor <= 64; factor *= 2) { /* scores grow by the square */
      struct fixture f;
      open_fixture(&f, &shapes[s], 3);
      size_t dim = shapes[s].dim, patches = f.trace.patches;
      for (size_t i = 0; i < 2 * dim * dim; i++) /* the block's weights lie in f.model.owned */
        f.model.owned[(size_t)(f.model.blocks[0].qkv.weight - f.model.owned) + i] *= factor;
      struct cdam_maps fast = maps_for(&f), slow = maps_for(&f), routed = maps_for(&f),
                       content = maps_for(&f);
      assert_ok(cdam_closed_form(&f.model, NULL, &f.trace, f.targets, N_TARGETS, &fast, &routed,
                                 &content, &test_err));
      assert_ok(cdam_general(&f.model, &f.trace, f.targets, N_TARGETS, &slow, &test_err));
      for (size_t k = 0; k < 3 * N_TARGETS; k++) {
        size_t at = k * patches;
        double largest,
            difference = lc_test_difference(fast.scores + at, slow.scores + at, patches, &largest);
        if (!(difference <= 3e-4 * largest + 1e-30)) /* the general form is in float */
          fail_msg("%s, factor %g, map %zu: differs by %g of %g", shapes[s].what, (double)factor, k,
                   difference, largest);
        for (size_t i = at; i < at + patches; i++)
          assert_near((double)routed.scores[i] + (double)content.scores[i], (double)fast.scores[i],
                      1e-4 * (largest + fabs((double)content.scores[i])) + 1e-30);
      }
      cdam_maps_free(&fast);
      cdam_maps_free(&slow);
      cdam_maps_free(&routed);
      cdam_maps_free(&content);
      close_fixture(&f);
    }
}

static void test_full_backward_equals_differences(void **state) {
  (void)state;
  for (size_t s = 0; s < N_SHAPES; s++) {
    struct fixture f;
    open_fixture(&f, &shapes[s], 1);
    struct cdam_maps slow = maps_for(&f);
    assert_ok(cdam_general(&f.model, &f.trace, f.targets, N_TARGETS, &slow, &test_err));
    double *expected = malloc(f.trace.patches * sizeof *expected);
    for (size_t t = 0; t < N_TARGETS; t++) {
      oracle_cdam(&f.model, &f.targets[t], f.trace.last_input, f.trace.tokens, expected);
      const float *map = cdam_maps_get(&slow, 0, t);
      double worst = 0, largest = 0;
      for (size_t i = 0; i < f.trace.patches; i++) {
        worst = fmax(worst, fabs((double)map[i] - expected[i]));
        largest = fmax(largest, fabs(expected[i]));
      }
      if (!(worst <= 1e-6 * largest))
        fail_msg("%s, target %zu: differs by %g of %g", shapes[s].what, t, worst, largest);
    }
    free(expected);
    cdam_maps_free(&slow);
    close_fixture(&f);
  }
}

static void test_parts_add_up(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, &shapes[2], 2);
  struct cdam_maps whole = maps_for(&f), routed = maps_for(&f), content = maps_for(&f);
  assert_ok(cdam_closed_form(&f.model, NULL, &f.trace, f.targets, N_TARGETS, &whole, &routed,
                             &content, &test_err));
  double largest_routed = 0, largest_content = 0;
  for (size_t i = 0; i < score_count(&whole); i++) {
    double sum = (double)routed.scores[i] + (double)content.scores[i];
    assert_true(fabs(sum - (double)whole.scores[i]) <= 1e-5 * (1 + fabs(sum)));
    largest_routed = fmax(largest_routed, fabs((double)routed.scores[i]));
    largest_content = fmax(largest_content, fabs((double)content.scores[i]));
  }
  assert_true(largest_routed > 0.01 && largest_content > 0.01);
  cdam_maps_free(&whole);
  cdam_maps_free(&routed);
  cdam_maps_free(&content);
  close_fixture(&f);
}

/* The content part is what remains when attention is held fixed: the values' gradient alone. With
 * one token besides CLS and keys of zero weight nothing can be re-routed. */
static void test_no_routing_without_keys(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, &shapes[0], 1);
  size_t dim = f.model.arch.embed_dim;
  struct vit_block *block = &f.model.blocks[0];
  float *weight = malloc(3 * dim * dim * sizeof *weight);
  memcpy(weight, block->qkv.weight, 3 * dim * dim * sizeof *weight);
  memset(weight + dim * dim, 0, dim * dim * sizeof *weight);
  block->qkv.weight = weight;
  struct cdam_maps whole = maps_for(&f), routed = maps_for(&f), content = maps_for(&f);
  assert_ok(cdam_closed_form(&f.model, NULL, &f.trace, f.targets, N_TARGETS, &whole, &routed,
                             &content, &test_err));
  for (size_t i = 0; i < score_count(&whole); i++) {
    assert_true(routed.scores[i] == 0);
    assert_true(whole.scores[i] == content.scores[i]);
  }
  free(weight);
  cdam_maps_free(&whole);
  cdam_maps_free(&routed);
  cdam_maps_free(&content);
  close_fixture(&f);
}

static void test_zero_weights_give_a_zero_map(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, &shapes[0], 1);
  float *zero = calloc(64, sizeof *zero);
  f.model.heads[0].output.weight = zero;
  f.targets[6].concept_vector = zero;
  struct cdam_maps maps = closed(&f);
  for (size_t i = 0; i < f.trace.patches; i++) {
    assert_true(cdam_maps_get(&maps, 0, 0)[i] == 0);
    assert_true(cdam_maps_get(&maps, 0, 6)[i] == 0);
  }
  double largest;
  lc_test_difference(zero, cdam_maps_get(&maps, 0, 1), f.trace.patches, &largest);
  assert_true(largest > 0);
  free(zero);
  cdam_maps_free(&maps);
  close_fixture(&f);
}

static void test_same_bits_for_any_threads(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, &shapes[0], 5);
  struct cdam_maps first = {0};
  static const int threads[] = {1, 2, 3, 5};
  for (size_t i = 0; i < 4; i++) {
    lc_threads_set(threads[i]);
    struct cdam_maps maps = closed(&f);
    if (i) assert_memory_equal(maps.scores, first.scores, score_count(&maps) * sizeof(float));
    if (i)
      cdam_maps_free(&maps);
    else
      first = maps;
  }
  lc_threads_set(0);
  cdam_maps_free(&first);
  close_fixture(&f);
}

/* The order of heads is a matter of naming: heads permuted together with the columns of the
 * projection give the same map. */
static void test_permuted_heads(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, &shapes[0], 1);
  struct cdam_maps before = closed(&f);
  size_t dim = f.model.arch.embed_dim, width = dim / f.model.arch.num_heads;
  struct vit_block *block = &f.model.blocks[0];
  float *weight = malloc(3 * dim * dim * sizeof *weight), *bias = malloc(3 * dim * sizeof *bias);
  float *proj = malloc(dim * dim * sizeof *proj);
  for (size_t c = 0; c < dim; c++) {
    size_t from = ((c / width + 1) % f.model.arch.num_heads) * width + c % width;
    for (size_t part = 0; part < 3; part++) {
      memcpy(weight + (part * dim + c) * dim, block->qkv.weight + (part * dim + from) * dim,
             dim * sizeof *weight);
      bias[part * dim + c] = block->qkv.bias[part * dim + from];
    }
    for (size_t r = 0; r < dim; r++) proj[r * dim + c] = block->proj.weight[r * dim + from];
  }
  block->qkv = (struct vit_linear){weight, bias};
  block->proj.weight = proj;
  struct cdam_maps after = closed(&f);
  double largest,
      difference = lc_test_difference(after.scores, before.scores, score_count(&before), &largest);
  assert_true(difference <= 1e-5 * largest);
  free(weight);
  free(bias);
  free(proj);
  cdam_maps_free(&before);
  cdam_maps_free(&after);
  close_fixture(&f);
}

static void test_a_difference_is_the_difference(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, &shapes[0], 1);
  struct cdam_maps maps = closed(&f);
  for (size_t i = 0; i < f.trace.patches; i++) {
    double a = (double)cdam_maps_get(&maps, 0, 0)[i], b = (double)cdam_maps_get(&maps, 0, 3)[i];
    assert_true(fabs(a - b - (double)cdam_maps_get(&maps, 0, 4)[i]) < 1e-5);
  }
  cdam_maps_free(&maps);
  close_fixture(&f);
}

/* More targets than go through the backward pass together. */
static void test_many_targets(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, &shapes[0], 1);
  struct cdam_maps few = closed(&f), many;
  struct cdam_target targets[40];
  for (size_t i = 0; i < 40; i++) targets[i] = f.targets[i % N_TARGETS];
  assert_ok(cdam_maps_init(&many, 1, 40, f.trace.grid_height, f.trace.grid_width, &test_err));
  assert_ok(cdam_closed_form(&f.model, NULL, &f.trace, targets, 40, &many, NULL, NULL, &test_err));
  for (size_t i = 0; i < 40; i++) {
    double largest, difference = lc_test_difference(cdam_maps_get(&many, 0, i),
                                                    cdam_maps_get(&few, 0, i % N_TARGETS),
                                                    f.trace.patches, &largest);
    assert_true(difference <= 1e-5 * largest);
  }
  cdam_maps_free(&few);
  cdam_maps_free(&many);
  close_fixture(&f);
}

static void test_targets_and_refusals(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, &shapes[0], 1);
  assert_string_equal(f.targets[0].name, "malignancy");
  assert_string_equal(f.targets[4].name, "malignancy-biomarkers.2");
  struct cdam_target target;
  assert_fails(cdam_target_parse(&target, &f.model, "malice", &test_err), LC_ERR_NOT_FOUND,
               "malignancy");
  assert_fails(cdam_target_parse(&target, &f.model, "malignancy-nothing", &test_err),
               LC_ERR_NOT_FOUND, "malignancy-nothing");
  struct cdam_maps maps = maps_for(&f);
  f.targets[1].a = 4;
  assert_fails(cdam_closed_form(&f.model, NULL, &f.trace, f.targets, N_TARGETS, &maps, NULL, NULL,
                                &test_err),
               LC_ERR_USAGE, "output 4");
  f.targets[1].a = 1;
  f.targets[6].concept_vector = NULL;
  assert_fails(cdam_general(&f.model, &f.trace, f.targets, N_TARGETS, &maps, &test_err),
               LC_ERR_USAGE, "concept vector");
  assert_fails(
      cdam_closed_form(&f.model, NULL, &f.trace, f.targets, 3, &maps, NULL, NULL, &test_err),
      LC_ERR_USAGE, "expected 1, 3");
  f.trace.patches--;
  assert_fails(
      cdam_closed_form(&f.model, NULL, &f.trace, f.targets, 6, &maps, NULL, NULL, &test_err),
      LC_ERR_UNSUPPORTED, "patches");
  struct vit_model bare = f.model;
  bare.arch.n_heads = 0;
  assert_fails(cdam_target_parse(&target, &bare, "0", &test_err), LC_ERR_NOT_FOUND, "concept");
  cdam_maps_free(&maps);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_saturated_attention),
                                     cmocka_unit_test(test_closed_form_equals_full_backward),
                                     cmocka_unit_test(test_full_backward_equals_differences),
                                     cmocka_unit_test(test_parts_add_up),
                                     cmocka_unit_test(test_no_routing_without_keys),
                                     cmocka_unit_test(test_zero_weights_give_a_zero_map),
                                     cmocka_unit_test(test_same_bits_for_any_threads),
                                     cmocka_unit_test(test_permuted_heads),
                                     cmocka_unit_test(test_a_difference_is_the_difference),
                                     cmocka_unit_test(test_many_targets),
                                     cmocka_unit_test(test_targets_and_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
