/* Other patches through one workspace. */
#include "tests/vit_test.h"
#include "vit/weights/vit_parameter.h"

enum { ROWS = 5, COLUMNS = 9, PATCH = 16, KEPT = 20, PIXELS = 3 * ROWS * PATCH * COLUMNS * PATCH };

struct fixture {
  struct vit_model model;
  vit_real image[PIXELS];
};

static void open_fixture(struct fixture *f, size_t registers) {
  struct vit_arch arch;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch16", &test_err));
  arch.depth = 2;
  arch.num_registers = registers;
  arch.grid_height = ROWS;
  arch.grid_width = COLUMNS;
  arch.image_height = ROWS * PATCH;
  arch.image_width = COLUMNS * PATCH;
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 16, 8, false, &test_err));
  assert_ok(vit_model_init(&f->model, &arch, 5, &test_err));
  for (size_t i = 0; i < PIXELS; i++) f->image[i] = (vit_real)(i * 7919 % 1000) / 500 - 1;
}

static void choose(uint32_t kept[KEPT], uint32_t first, uint32_t step) {
  for (uint32_t i = 0; i < KEPT; i++) kept[i] = first + i * step;
}

static void open_workspace(const struct fixture *f, struct vit_workspace *w,
                           const uint32_t kept[KEPT]) {
  struct vit_request request = {
      .kept = kept, .n_kept = KEPT, .last_input = true, .last_cls_attention = true};
  assert_ok(
      vit_workspace_init(w, &f->model, 1, ROWS * PATCH, COLUMNS * PATCH, &request, &test_err));
}

static struct vit_trace forward(const struct fixture *f, struct vit_workspace *w) {
  struct vit_trace trace;
  assert_ok(vit_forward(w, f->image, 1, &trace, &test_err));
  return trace;
}

static void assert_same_bits(const struct fixture *f, const struct vit_trace *a,
                             const struct vit_trace *b) {
  const struct vit_arch *arch = &f->model.arch;
  assert_int_equal(a->tokens, b->tokens);
  assert_memory_equal(a->logits, b->logits, 9 * sizeof(vit_real));
  assert_memory_equal(a->last_input, b->last_input, a->tokens * arch->embed_dim * sizeof(vit_real));
  assert_memory_equal(a->last_cls_attention, b->last_cls_attention,
                      a->tokens * arch->num_heads * sizeof(vit_real));
}

/* A workspace that was used for other patches gives the bits of one made for these. */
static void as_made_for_them(void **state) {
  (void)state;
  static struct fixture f;
  uint32_t first[KEPT], second[KEPT];
  choose(first, 0, 1);
  choose(second, 4, 2);
  for (size_t registers = 0; registers <= 2; registers += 2) {
    open_fixture(&f, registers);
    struct vit_workspace used, fresh;
    open_workspace(&f, &used, first);
    open_workspace(&f, &fresh, second);
    vit_real before[9];
    memcpy(before, forward(&f, &used).logits, sizeof before);
    assert_ok(vit_workspace_keep(&used, second, KEPT, &test_err));
    struct vit_trace a = forward(&f, &used), b = forward(&f, &fresh);
    assert_same_bits(&f, &a, &b);
    assert_memory_not_equal(a.logits, before, sizeof before);
    /* And back again; the list was copied. */
    memcpy(second, first, sizeof second);
    assert_ok(vit_workspace_keep(&used, first, KEPT, &test_err));
    assert_memory_equal(forward(&f, &used).logits, before, sizeof before);
    choose(second, 4, 2);
    vit_workspace_free(&used);
    vit_workspace_free(&fresh);
    vit_model_free(&f.model);
  }
}

/* A refused list changes nothing. */
static void refusals(void **state) {
  (void)state;
  static struct fixture f;
  open_fixture(&f, 0);
  uint32_t kept[KEPT], other[KEPT];
  choose(kept, 1, 2);
  struct vit_workspace w;
  open_workspace(&f, &w, kept);
  vit_real before[9];
  memcpy(before, forward(&f, &w).logits, sizeof before);
  choose(other, 0, 1);
  assert_fails(vit_workspace_keep(&w, other, KEPT - 1, &test_err), LC_ERR_USAGE,
               "19 in a workspace for 20");
  other[3] = other[4];
  assert_fails(vit_workspace_keep(&w, other, KEPT, &test_err), LC_ERR_USAGE, "ascending");
  choose(other, ROWS * COLUMNS - KEPT + 1, 1);
  assert_fails(vit_workspace_keep(&w, other, KEPT, &test_err), LC_ERR_USAGE, "below 45");
  assert_memory_equal(forward(&f, &w).logits, before, sizeof before);
  vit_workspace_free(&w);
  assert_ok(vit_workspace_init(&w, &f.model, 1, ROWS * PATCH, COLUMNS * PATCH, NULL, &test_err));
  choose(other, 0, 1);
  assert_fails(vit_workspace_keep(&w, other, KEPT, &test_err), LC_ERR_USAGE, "workspace for 0");
  vit_workspace_free(&w);
  vit_model_free(&f.model);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(as_made_for_them),
                                     cmocka_unit_test(refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
