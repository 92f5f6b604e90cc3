/* The backward pass against PyTorch's gradients (tests/reference/README.md): parameters of the two
 * training models, pixels and CDAM's tensor of the others; and the back ends among each other. */
#include "vit/pass/vit_backward.h"
#include "common/lc_parallel.h"
#include "tests/vit_test.h"

/* Gradient of the loss at the logits: binary cross-entropy with logits, or Huber with delta 1, each
 * the mean over all values. */
static void loss_gradient(bool logit, const vit_real *output, const float *target, size_t n,
                          vit_real *d) {
  for (size_t i = 0; i < n; i++) {
    vit_real difference = output[i] - target[i];
    if (logit)
      d[i] = (1 / (1 + expf(-output[i])) - target[i]) / (vit_real)n;
    else
      d[i] = fmaxf(-1, fminf(1, difference)) / (vit_real)n;
  }
}

/* PyTorch's name of a parameter in the training files. */
static void file_name(const char *name, char out[256]) {
  if (strncmp(name, "heads.malignancy.", 17) == 0)
    snprintf(out, 256, "grad/mlp_head.0.%s", name + 17);
  else if (strncmp(name, "heads.biomarkers.", 17) == 0)
    snprintf(out, 256, "grad/mlp_head.%s", name + 17);
  else
    snprintf(out, 256, "grad/backbone.%s", name);
}

static void check_training(const char *name, bool logit, size_t outputs) {
  struct vit_model model;
  struct vit_tensor_file expected;
  struct vit_tape tape;
  struct vit_trace trace;
  vit_real d[32];
  assert_ok(vit_model_load(&model, vit_test_path(name, "weights"), NULL, &test_err));
  assert_ok(vit_tensor_file_open(&expected, vit_test_path(name, "expected"), &test_err));
  assert_ok(vit_tape_init(&tape, &model, 4, 32, 32, NULL,
                          &(struct vit_backward_request){.parameters = true}, &test_err));
  assert_ok(
      vit_tape_forward(&tape, vit_test_tensor(&expected, "input")->data, 4, &trace, &test_err));
  vit_test_close(trace.logits, 4 * outputs, &expected, "output", 1e-4);
  loss_gradient(logit, trace.logits, vit_test_tensor(&expected, "target")->data, 4 * outputs, d);
  assert_ok(vit_tape_backward(&tape, d, NULL, NULL, &test_err));
  for (size_t i = 0; i < tape.parameters.n; i++) {
    const struct vit_parameter *p = &tape.parameters.list[i];
    char reference[256];
    file_name(p->name, reference);
    vit_test_close(tape.d_parameters + p->offset, p->count, &expected, reference, 1e-3);
  }
  vit_tape_free(&tape);
  vit_tensor_file_close(&expected);
  vit_model_free(&model);
}

static void parameters(void **state) {
  (void)state;
  for (const struct vit_backend *const *set = vit_backends(); *set; set++) {
    assert_ok(vit_backend_select((*set)->name, &test_err));
    check_training("train_malignancy_p8_d32_l3", true, 1);
    check_training("train_biomarkers_p8_d32_l2", false, 8);
  }
  assert_ok(vit_backend_select("auto", &test_err));
}

/* CDAM = sum over the dimension of normed tokens times their gradient, for every class. Normed
 * tokens come from the last block's input. */
static void check_explanation(const char *name, const char *pixel_name) {
  struct vit_model model;
  struct vit_tensor_file expected;
  struct vit_tape tape;
  struct vit_trace trace;
  struct vit_gradients gradients;
  assert_ok(vit_model_load(&model, vit_test_path(name, "weights"), NULL, &test_err));
  assert_ok(vit_tensor_file_open(&expected, vit_test_path(name, "expected"), &test_err));
  const struct vit_tensor *input = vit_test_tensor(&expected, "input");
  struct vit_request keep = {.last_input = true};
  assert_ok(vit_tape_init(
      &tape, &model, 1, input->shape[2], input->shape[3], &keep,
      &(struct vit_backward_request){.last_normed = true, .pixels = pixel_name != NULL},
      &test_err));
  assert_ok(vit_tape_forward(&tape, input->data, 1, &trace, &test_err));
  size_t classes = vit_arch_outputs(&model.arch), dim = model.arch.embed_dim;
  size_t prefix = trace.tokens - trace.patches;
  const struct vit_norm *norm = &model.blocks[model.arch.depth - 1].norm1;
  vit_real *cdam = calloc(classes * trace.patches, sizeof *cdam);
  vit_real *pixels = calloc(classes * input->count, sizeof *pixels);
  assert_true(cdam && pixels);
  for (size_t c = 0; c < classes; c++) {
    vit_real d[16] = {0};
    d[c] = 1;
    assert_ok(vit_tape_backward(&tape, d, NULL, &gradients, &test_err));
    if (pixel_name)
      memcpy(pixels + c * input->count, gradients.pixels, input->count * sizeof *pixels);
    for (size_t i = 0; i < trace.patches; i++) {
      const vit_real *x = trace.last_input + (prefix + i) * dim;
      const vit_real *g = gradients.last_normed + (prefix + i) * dim;
      double mean = 0, variance = 0, sum = 0;
      for (size_t k = 0; k < dim; k++) mean += (double)x[k] / (double)dim;
      for (size_t k = 0; k < dim; k++)
        variance += ((double)x[k] - mean) * ((double)x[k] - mean) / (double)dim;
      for (size_t k = 0; k < dim; k++)
        sum += (double)g[k] *
               (((double)x[k] - mean) / sqrt(variance + 1e-6) * (double)norm->weight[k] +
                (double)norm->bias[k]);
      cdam[c * trace.patches + i] = (vit_real)sum;
    }
  }
  vit_test_close(cdam, classes * trace.patches, &expected, "cdam", 1e-3);
  if (pixel_name) vit_test_close(pixels, classes * input->count, &expected, pixel_name, 1e-3);
  free(pixels);
  free(cdam);
  vit_tape_free(&tape);
  vit_tensor_file_close(&expected);
  vit_model_free(&model);
}

static void explanations(void **state) {
  (void)state;
  check_explanation("vit_p8_d32_l3", "pixel_gradient");
  check_explanation("vit_p8_d48_l4", "pixel_gradient");
  check_explanation("dinov2_reg4_p14_d32_l3", NULL);
}

/* Same bits for one thread and three; the same gradients by each back end to rounding. */
static void threads_and_kernels(void **state) {
  (void)state;
  struct vit_arch arch;
  struct vit_model model;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch16", &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 24, 8, false, &test_err));
  arch.depth = 2;
  assert_ok(vit_model_init(&model, &arch, 7, &test_err));
  enum { N = 3, HEIGHT = 176, WIDTH = 112, PIXELS = 3 * HEIGHT * WIDTH };
  vit_real *images = calloc((size_t)N * PIXELS, sizeof *images), d[N * 8], *first = NULL;
  vit_real *plain = NULL;
  assert_non_null(images);
  for (size_t i = 0; i < (size_t)N * PIXELS; i++) images[i] = (vit_real)(i * 7919 % 1000) / 500 - 1;
  for (size_t i = 0; i < N * 8; i++) d[i] = (vit_real)(i % 5) - 2;
  const char *const sets[] = {"plain", "openblas", "avx2", "avx512"};
  for (size_t set = 0; set < 4; set++) {
    if (vit_backend_select(sets[set], NULL) != LC_OK) continue;
    for (int threads = 1; threads <= 3; threads += 2) {
      struct vit_tape tape;
      lc_threads_set(threads);
      assert_ok(vit_tape_init(&tape, &model, N, HEIGHT, WIDTH, NULL,
                              &(struct vit_backward_request){.parameters = true}, &test_err));
      assert_ok(vit_tape_forward(&tape, images, N, NULL, &test_err));
      assert_ok(vit_tape_backward(&tape, d, NULL, NULL, &test_err));
      size_t n = tape.parameters.block;
      if (!first) first = malloc(n * sizeof *first);
      if (!plain) plain = malloc(n * sizeof *plain);
      assert_true(first && plain);
      if (threads == 1)
        memcpy(first, tape.d_parameters, n * sizeof *first);
      else
        assert_memory_equal(first, tape.d_parameters, n * sizeof *first);
      if (set == 0) memcpy(plain, tape.d_parameters, n * sizeof *plain);
      for (size_t i = 0; i < tape.parameters.n; i++) {
        size_t at = tape.parameters.list[i].offset;
        double top = 0;
        double worst = lc_test_difference(tape.d_parameters + at, plain + at,
                                          tape.parameters.list[i].count, &top);
        if (!(worst <= 1e-4 * top))
          fail_msg("%s by %s: %g of %g", tape.parameters.list[i].name, sets[set], worst, top);
      }
      vit_tape_free(&tape);
    }
  }
  lc_threads_set(0);
  assert_ok(vit_backend_select("auto", &test_err));
  free(plain);
  free(first);
  free(images);
  vit_model_free(&model);
}

static void misuse(void **state) {
  (void)state;
  struct vit_model model;
  struct vit_tape tape;
  assert_ok(vit_model_load(&model, vit_test_path("vit_p8_d32_l3", "weights"), NULL, &test_err));
  assert_ok(vit_tape_init(&tape, &model, 1, 32, 32, NULL,
                          &(struct vit_backward_request){.pixels = true}, &test_err));
  vit_real d[3] = {1, 0, 0}, tokens[17 * 32] = {0};
  assert_fails(vit_tape_backward(&tape, d, NULL, NULL, &test_err), LC_ERR_USAGE, "without");
  assert_ok(vit_tape_forward_from(&tape, 1, tokens, 1, NULL, &test_err));
  assert_fails(vit_tape_backward(&tape, d, NULL, NULL, &test_err), LC_ERR_USAGE, "pixels");
  assert_fails(vit_tape_forward_from(&tape, 3, tokens, 1, NULL, &test_err), LC_ERR_USAGE,
               "block 3");
  d[1] = INFINITY;
  vit_real image[3 * 32 * 32] = {0};
  assert_ok(vit_tape_forward(&tape, image, 1, NULL, &test_err));
  assert_fails(vit_tape_backward(&tape, d, NULL, NULL, &test_err), LC_ERR_NUMERIC, "value 1");
  vit_tape_free(&tape);
  vit_model_free(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parameters),
      cmocka_unit_test(explanations),
      cmocka_unit_test(threads_and_kernels),
      cmocka_unit_test(misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
