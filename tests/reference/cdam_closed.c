/* CDAM against the authors' code: both paths, classes and a concept, registers and LayerScale. */
#include "tests/lc_test.h"

#include "tests/cdam_reference.h"

#define TOLERANCE 1e-4

static void check(const struct reference *r, const struct vit_trace *trace,
                  const struct cdam_target *targets, size_t n, const char *name) {
  struct cdam_maps fast, slow;
  size_t count = n * trace->patches;
  assert_ok(cdam_maps_init(&fast, 1, n, trace->grid_height, trace->grid_width, &test_err));
  assert_ok(cdam_maps_init(&slow, 1, n, trace->grid_height, trace->grid_width, &test_err));
  assert_ok(cdam_closed_form(&r->model, NULL, trace, targets, n, &fast, NULL, NULL, &test_err));
  assert_ok(cdam_general(&r->model, trace, targets, n, &slow, &test_err));
  reference_agrees(r, name, fast.scores, count, TOLERANCE);
  reference_agrees(r, name, slow.scores, count, TOLERANCE);
  double largest, difference = lc_test_difference(fast.scores, slow.scores, count, &largest);
  assert_true(difference <= 1e-5 * largest);
  cdam_maps_free(&fast);
  cdam_maps_free(&slow);
}

/* From the input of the last block as the reference has it. */
static void test_from_the_last_block(void **state) {
  (void)state;
  static const char *const names[] = {"vit_p8_d32_l3", "vit_p8_d48_l4"};
  for (int i = 0; i < 2; i++) {
    struct reference r;
    reference_open(&r, names[i]);
    struct vit_trace trace = {
        .batch = 1, .grid_height = r.model.arch.grid_height, .grid_width = r.model.arch.grid_width};
    trace.patches = trace.grid_height * trace.grid_width;
    trace.tokens = trace.patches + 1;
    trace.last_input = reference_tensor(&r, "last_block_input", NULL);
    struct cdam_target targets[8];
    cdam_target_all(targets, &r.model);
    check(&r, &trace, targets, vit_arch_outputs(&r.model.arch), "cdam");
    float *concept_vector = reference_tensor(&r, "concept_vector", NULL);
    targets[0] = (struct cdam_target){.kind = CDAM_CONCEPT, .concept_vector = concept_vector};
    check(&r, &trace, targets, 1, "concept_cdam");
    free(concept_vector);
    free(trace.last_input);
    reference_close(&r);
  }
}

/* From the image, through the model's own forward pass. */
static void test_from_the_image(void **state) {
  (void)state;
  static const char *const names[] = {"vit_p8_d32_l3", "vit_p8_d48_l4", "dinov2_reg4_p14_d32_l3"};
  static const size_t edges[] = {32, 64, 70};
  for (int i = 0; i < 3; i++) {
    struct reference r;
    reference_open(&r, names[i]);
    struct vit_request request = {.last_input = true};
    struct vit_workspace workspace;
    struct vit_trace trace;
    float *input = reference_tensor(&r, "input", NULL);
    assert_ok(vit_workspace_init(&workspace, &r.model, 1, edges[i], edges[i], &request, &test_err));
    assert_ok(vit_forward(&workspace, input, 1, &trace, &test_err));
    struct cdam_target targets[8];
    cdam_target_all(targets, &r.model);
    check(&r, &trace, targets, vit_arch_outputs(&r.model.arch), "cdam");
    vit_workspace_free(&workspace);
    free(input);
    reference_close(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_from_the_last_block),
                                     cmocka_unit_test(test_from_the_image)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
