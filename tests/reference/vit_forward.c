/* The forward pass against the published implementations' results (tests/reference/README.md). */
#include "common/lc_parallel.h"
#include "tests/vit_test.h"

struct fixture {
  struct vit_model model;
  struct vit_tensor_file expected;
  struct vit_workspace workspace;
  struct vit_trace trace;
};

static void start(struct fixture *f, const char *name, const struct vit_request *request) {
  assert_ok(vit_model_load(&f->model, vit_test_path(name, "weights"), NULL, &test_err));
  assert_ok(vit_tensor_file_open(&f->expected, vit_test_path(name, "expected"), &test_err));
  const struct vit_tensor *input = vit_test_tensor(&f->expected, "input");
  assert_ok(vit_workspace_init(&f->workspace, &f->model, input->shape[0], input->shape[2],
                               input->shape[3], request, &test_err));
  assert_ok(vit_forward(&f->workspace, input->data, input->shape[0], &f->trace, &test_err));
}

static void stop(struct fixture *f) {
  vit_workspace_free(&f->workspace);
  vit_tensor_file_close(&f->expected);
  vit_model_free(&f->model);
}

/* Mean over the heads of the CLS row without the tokens before the patches, as DINO draws it. */
static void check_attention(const struct fixture *f) {
  size_t heads = f->model.arch.num_heads, tokens = f->trace.tokens, patches = f->trace.patches;
  vit_real *mean = calloc(patches, sizeof *mean);
  assert_non_null(mean);
  for (size_t h = 0; h < heads; h++)
    for (size_t i = 0; i < patches; i++)
      mean[i] += f->trace.last_cls_attention[h * tokens + tokens - patches + i] / (vit_real)heads;
  vit_test_close(mean, patches, &f->expected, "attention_map", 1e-4);
  free(mean);
}

static void check_vit(const char *name, bool full) {
  struct fixture f = {0};
  struct vit_request request = {
      .last_input = true, .last_cls_attention = true, .all_attention = full, .all_inputs = full};
  start(&f, name, &request);
  const struct vit_arch *arch = &f.model.arch;
  vit_test_close(f.trace.logits, vit_arch_outputs(arch), &f.expected, "logits", 1e-4);
  vit_test_close(f.trace.cls_embedding, arch->embed_dim, &f.expected, "cls_embedding", 1e-4);
  vit_test_close(f.trace.last_input, f.trace.tokens * arch->embed_dim, &f.expected,
                 "last_block_input", 1e-4);
  check_attention(&f);
  if (full)
    assert_memory_equal(f.trace.inputs[arch->depth - 1], f.trace.last_input,
                        f.trace.tokens * arch->embed_dim * sizeof(float));
  stop(&f);
}

/* Each model by each back end, with the last block on CLS alone and in full. */
static void small_models(void **state) {
  (void)state;
  for (const struct vit_backend *const *set = vit_backends(); *set; set++) {
    assert_ok(vit_backend_select((*set)->name, &test_err));
    for (int full = 0; full < 2; full++) {
      check_vit("vit_p8_d32_l3", full);
      check_vit("vit_p8_d48_l4", full);
    }
  }
  assert_ok(vit_backend_select("auto", &test_err));
}

static void dinov2_registers(void **state) {
  (void)state;
  struct fixture f = {0};
  struct vit_request request = {.last_cls_attention = true, .all_inputs = true};
  start(&f, "dinov2_reg4_p14_d32_l3", &request);
  const struct vit_arch *arch = &f.model.arch;
  assert_int_equal(arch->num_registers, 4);
  assert_int_equal(arch->image_height, 70);
  assert_int_equal(arch->grid_height, 9);
  assert_true(arch->layer_scale);
  vit_test_close(f.trace.inputs[0], f.trace.tokens * arch->embed_dim, &f.expected,
                 "tokens_after_position_encoding", 1e-4);
  vit_test_close(f.trace.logits, 1, &f.expected, "logits", 1e-4);
  check_attention(&f);
  stop(&f);
}

/* The models with mlp_head and the "backbone." prefix: the output of the first step's batch. */
static void heads_of_training(void **state) {
  (void)state;
  const struct {
    const char *file, *head;
    size_t outputs, hidden;
    bool logit;
  } cases[] = {{"train_malignancy_p8_d32_l3", "malignancy", 1, 0, true},
               {"train_biomarkers_p8_d32_l2", "biomarkers", 8, 32, false}};
  for (size_t i = 0; i < 2; i++) {
    struct fixture f = {0};
    assert_ok(vit_model_load(&f.model, vit_test_path(cases[i].file, "weights"), NULL, &test_err));
    assert_ok(
        vit_tensor_file_open(&f.expected, vit_test_path(cases[i].file, "expected"), &test_err));
    const struct vit_head_shape *head = &f.model.arch.heads[0];
    assert_string_equal(head->name, cases[i].head);
    assert_int_equal(head->outputs, cases[i].outputs);
    assert_int_equal(head->hidden, cases[i].hidden);
    assert_int_equal(vit_arch_output_is_logit(&f.model.arch, 0), cases[i].logit);
    assert_ok(vit_workspace_init(&f.workspace, &f.model, 4, 32, 32, NULL, &test_err));
    assert_ok(vit_forward(&f.workspace, vit_test_tensor(&f.expected, "input")->data, 4, &f.trace,
                          &test_err));
    vit_test_close(f.trace.logits, 4 * cases[i].outputs, &f.expected, "output", 1e-4);
    stop(&f);
  }
}

static void position_encoding(void **state) {
  (void)state;
  struct vit_tensor_file file;
  assert_ok(vit_tensor_file_open(&file, vit_test_path("position_encoding_dino", ""), &test_err));
  struct vit_model model = {.arch = {.embed_dim = 16,
                                     .grid_height = 8,
                                     .grid_width = 8,
                                     .position_on_cls = true,
                                     .position_rule = VIT_POSITION_DINO},
                            .position_encoding = vit_test_tensor(&file, "pos_embed")->data};
  vit_real out[131 * 16];
  assert_ok(vit_position_interpolate(&model, 10, 13, out, &test_err));
  vit_test_close(out, 131 * 16, &file, "interpolated_10x13", 1e-4);
  assert_ok(vit_position_interpolate(&model, 8, 8, out, &test_err));
  vit_test_close(out, 65 * 16, &file, "pos_embed", 0.0);
  vit_tensor_file_close(&file);
}

/* Same bits for one thread and three, for a batch and its images one by one. */
static void same_bits(void **state) {
  (void)state;
  struct vit_arch arch;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch16", &test_err));
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 24, 8, false, &test_err));
  arch.depth = 3;
  struct vit_model model;
  assert_ok(vit_model_init(&model, &arch, 7, &test_err));
  enum { N = 9, PIXELS = 3 * 160 * 96 };
  vit_real *images = calloc((size_t)N * PIXELS, sizeof *images), first[N][9];
  assert_non_null(images);
  for (size_t i = 0; i < (size_t)N * PIXELS; i++) images[i] = (vit_real)(i * 7919 % 1000) / 500 - 1;
  for (const struct vit_backend *const *set = vit_backends(); *set; set++) {
    assert_ok(vit_backend_select((*set)->name, &test_err));
    for (int threads = 1; threads <= 3; threads += 2) {
      lc_threads_set(threads);
      struct vit_workspace workspace;
      struct vit_trace trace;
      assert_ok(vit_workspace_init(&workspace, &model, N, 160, 96, NULL, &test_err));
      assert_ok(vit_forward(&workspace, images, N, &trace, &test_err));
      if (threads == 1)
        memcpy(first, trace.logits, sizeof first);
      else
        assert_memory_equal(first, trace.logits, sizeof first);
      vit_workspace_free(&workspace);
      assert_ok(vit_workspace_init(&workspace, &model, 1, 160, 96, NULL, &test_err));
      for (size_t i = 0; i < N; i++) {
        assert_ok(vit_forward(&workspace, images + i * PIXELS, 1, &trace, &test_err));
        assert_memory_equal(first[i], trace.logits, sizeof first[i]);
      }
      vit_workspace_free(&workspace);
    }
  }
  lc_threads_set(0);
  assert_ok(vit_backend_select("auto", &test_err));
  free(images);
  vit_model_free(&model);
}

/* Leaving no patch out changes nothing; leaving some out is what the full pass gives when the
 * others are all there is, and differs from the full image. */
static void kept_patches(void **state) {
  (void)state;
  struct fixture all = {0}, same = {0}, some = {0};
  uint32_t every[16], few[5] = {0, 3, 7, 8, 15};
  for (uint32_t i = 0; i < 16; i++) every[i] = i;
  start(&all, "vit_p8_d32_l3", &(struct vit_request){.all_inputs = true});
  start(&same, "vit_p8_d32_l3", &(struct vit_request){.kept = every, .n_kept = 16});
  start(&some, "vit_p8_d32_l3",
        &(struct vit_request){.kept = few, .n_kept = 5, .all_inputs = true, .all_attention = true});
  assert_memory_equal(all.trace.logits, same.trace.logits, 3 * sizeof(float));
  assert_int_equal(some.trace.tokens, 6);
  assert_memory_not_equal(all.trace.logits, some.trace.logits, 3 * sizeof(float));
  for (size_t i = 0; i < 5; i++)
    assert_memory_equal(some.trace.inputs[0] + (1 + i) * 32,
                        all.trace.inputs[0] + (1 + few[i]) * 32, 32 * sizeof(float));
  for (size_t row = 0; row < 4 * 6; row++) {
    double sum = 0;
    for (size_t i = 0; i < 6; i++) sum += (double)some.trace.attention[1][row * 6 + i];
    assert_true(fabs(sum - 1) < 1e-5);
  }
  stop(&all);
  stop(&same);
  stop(&some);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_models),      cmocka_unit_test(dinov2_registers),
      cmocka_unit_test(heads_of_training), cmocka_unit_test(position_encoding),
      cmocka_unit_test(same_bits),         cmocka_unit_test(kept_patches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
