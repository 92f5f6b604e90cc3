/* Architectures, seeded weights, and files written and read back. */
#include "common/lc_file.h"
#include "tests/vit_test.h"
#include "vit/loading/vit_report.h"
#include "vit/naming/vit_names.h"
#include "vit/weights/vit_parameter.h"

static char folder[256], path[512];

static int make_folder(void **state) {
  (void)state;
  lc_test_folder(folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) == LC_OK ? 0 : 1;
}

/* Parameter counts of the published backbones (their repositories' tables; DINO's ViT-S/8 is
 * 21.67 M, ViT-B/16 85.80 M). */
static void published_sizes(void **state) {
  (void)state;
  const struct {
    const char *name;
    size_t parameters;
  } known[] = {{"vit_small_patch8", 21670272}, {"vit_small_patch16", 21665664},
               {"vit_base_patch16", 85798656}, {"vit_base_patch8", 85807872},
               {"dinov2_vits14", 22056192},    {"dinov2_vitb14", 86579712}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    struct vit_arch arch;
    assert_ok(vit_arch_named(&arch, known[i].name, &test_err));
    assert_ok(vit_arch_check(&arch, &test_err));
    assert_int_equal(vit_arch_parameters(&arch), known[i].parameters);
  }
  struct vit_arch arch;
  assert_fails(vit_arch_named(&arch, "vit_huge", &test_err), LC_ERR_NOT_FOUND, "vit_small_patch8");
}

static struct vit_arch small_arch(void) {
  struct vit_arch arch;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch16", &test_err));
  arch.depth = 2;
  arch.grid_height = 5;
  arch.grid_width = 3;
  arch.image_height = 80;
  arch.image_width = 48;
  arch.layer_norm_eps = 1e-5F;
  arch.position_rule = VIT_POSITION_SIZE;
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 16, 8, false, &test_err));
  return arch;
}

static void outputs(void **state) {
  (void)state;
  struct vit_arch arch = small_arch();
  char name[VIT_NAME_SIZE];
  size_t output = 0;
  assert_int_equal(vit_arch_outputs(&arch), 9);
  vit_arch_output_name(&arch, 0, name);
  assert_string_equal(name, "malignancy");
  vit_arch_output_name(&arch, 5, name);
  assert_string_equal(name, "biomarkers.spiculation");
  assert_ok(vit_arch_find_output(&arch, "biomarkers.texture", &output, &test_err));
  assert_int_equal(output, 7);
  assert_ok(vit_arch_find_output(&arch, "3", &output, &test_err));
  assert_int_equal(output, 3);
  assert_fails(vit_arch_find_output(&arch, "9", &output, &test_err), LC_ERR_NOT_FOUND,
               "biomarkers.margin");
  assert_true(vit_arch_output_is_logit(&arch, 0));
  assert_false(vit_arch_output_is_logit(&arch, 1));
  assert_fails(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err), LC_ERR_USAGE,
               "twice");
}

static void bad_shapes(void **state) {
  (void)state;
  struct vit_arch arch = small_arch();
  arch.num_heads = 5;
  assert_fails(vit_arch_check(&arch, &test_err), LC_ERR_CONFIG, "num_heads 5");
  arch = small_arch();
  arch.image_width = 50;
  assert_fails(vit_arch_check(&arch, &test_err), LC_ERR_CONFIG, "patch_size 16");
  arch = small_arch();
  arch.depth = 0;
  assert_fails(vit_arch_check(&arch, &test_err), LC_ERR_CONFIG, "depth");
  arch = small_arch();
  arch.embed_dim = 16384;
  arch.mlp_dim = 131072;
  arch.num_heads = 1;
  arch.depth = 256;
  assert_fails(vit_arch_check(&arch, &test_err), LC_ERR_CONFIG, "parameters");
}

/* torchvision's and timm's names of parameters (vision_transformer.py of each). */
static void names_of_other_libraries(void **state) {
  (void)state;
  static const char *const names[][2] = {
      {"encoder.layers.encoder_layer_11.self_attention.in_proj_weight",
       "blocks.11.attn.qkv.weight"},
      {"module.encoder.layers.encoder_layer_0.mlp.linear_2.bias", "blocks.0.mlp.fc2.bias"},
      {"encoder.layers.encoder_layer_3.mlp.3.weight", "blocks.3.mlp.fc2.weight"},
      {"encoder.layers.encoder_layer_3.ln_1.weight", "blocks.3.norm1.weight"},
      {"conv_proj.weight", "patch_embed.proj.weight"},
      {"reg_token", "register_tokens"},
      {"blocks.3.gamma_1", "blocks.3.ls1.gamma"},
      {"blocks.3.gamma_10", "blocks.3.gamma_10"},
      {"blocks.0.11.mlp.fc1.weight", "blocks.11.mlp.fc1.weight"},
      {"vit.encoder.layer.7.attention.attention.query.bias", "blocks.7.attn.q.bias"},
      {"vit.layers.7.attention.o_proj.weight", "blocks.7.attn.proj.weight"},
      {"encoder.layer.7.output.dense.weight", "blocks.7.mlp.fc2.weight"},
      {"dinov2.encoder.layer.7.layer_scale2.lambda1", "blocks.7.ls2.gamma"},
      {"patch_embedding.cls_token", "cls_token"},
      {"visual.trunk.blocks.2.attn.proj.bias", "blocks.2.attn.proj.bias"},
      {"visual.head.proj.weight", "heads.proj.weight"},
      {"state_dict.model.cls_token", "cls_token"},
      {"blocks.2.attn.proj.bias", "blocks.2.attn.proj.bias"},
      {"encoder.layers.encoder_layer_3.dropout", "layers.encoder_layer_3.dropout"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct vit_name name;
    vit_name_canonical(names[i][0], &name);
    assert_string_equal(name.canonical, names[i][1]);
  }
}

/* Of the networks in one checkpoint the one averaged over time is used (DINO's eval_linear.py takes
 * "teacher"), the one that was trained only where there is no other. */
static void teachers_go_before_students(void **state) {
  (void)state;
  static const char *const by_worth[] = {"student.backbone.blocks.0.norm1.weight",
                                         "module.blocks.0.norm1.weight",
                                         "teacher.backbone.blocks.0.norm1.weight"};
  int last = -100;
  for (size_t i = 0; i < 3; i++) {
    struct vit_name name;
    vit_name_canonical(by_worth[i], &name);
    assert_string_equal(name.canonical, "blocks.0.norm1.weight");
    assert_true(name.rank > last);
    last = name.rank;
  }
}

static void save_and_load(void **state) {
  (void)state;
  struct vit_arch arch = small_arch();
  struct vit_model made, read, again;
  assert_ok(vit_model_init(&made, &arch, 11, &test_err));
  assert_false(made.trained);
  assert_ok(vit_model_save(&made, path, "a note", &test_err));
  assert_ok(vit_model_load(&read, path, NULL, &test_err));
  assert_null(read.owned);
  assert_false(read.trained);
  assert_memory_equal(&read.arch, &made.arch, sizeof made.arch);
  assert_string_equal(vit_tensor_file_metadata(&read.file, "note"), "a note");
  assert_memory_equal(read.blocks[1].fc2.weight, made.blocks[1].fc2.weight,
                      arch.embed_dim * arch.mlp_dim * sizeof(float));
  assert_memory_equal(read.heads[1].hidden.weight, made.heads[1].hidden.weight,
                      16 * arch.embed_dim * sizeof(float));
  char first[65];
  assert_ok(vit_model_hash(&read, &test_err));
  memcpy(first, read.weights_sha256, sizeof first);
  assert_int_equal(strlen(first), 64);
  /* Owned parameters are the same numbers in one block that may be changed. */
  assert_ok(vit_model_own(&read, &test_err));
  assert_non_null(read.owned);
  read.trained = true;
  assert_ok(vit_model_save(&read, path, NULL, &test_err));
  assert_ok(vit_model_load(&again, path, &arch, &test_err));
  assert_true(again.trained);
  assert_memory_equal(again.norm.bias, made.norm.bias, arch.embed_dim * sizeof(float));
  vit_model_free(&made);
  vit_model_free(&read);
  vit_model_free(&again);
}

/* Seeded weights: same seed, same bits; the distribution is the stated one. */
static void seeds(void **state) {
  (void)state;
  struct vit_arch arch = small_arch();
  struct vit_model a, b, c;
  assert_ok(vit_model_init(&a, &arch, 1, &test_err));
  assert_ok(vit_model_init(&b, &arch, 1, &test_err));
  assert_ok(vit_model_init(&c, &arch, 2, &test_err));
  size_t n = arch.embed_dim * arch.mlp_dim;
  assert_memory_equal(a.blocks[0].fc1.weight, b.blocks[0].fc1.weight, n * sizeof(float));
  assert_memory_not_equal(a.blocks[0].fc1.weight, c.blocks[0].fc1.weight, n * sizeof(float));
  double sum = 0, squares = 0, top = 0;
  for (size_t i = 0; i < n; i++) {
    double v = (double)a.blocks[0].fc1.weight[i];
    sum += v;
    squares += v * v;
    if (fabs(v) > top) top = fabs(v);
  }
  /* A normal of 0.02 cut at two standard deviations has a standard deviation of 0.0176. */
  assert_true(fabs(sum / (double)n) < 3e-4);
  assert_true(fabs(sqrt(squares / (double)n) - 0.0176) < 2e-4);
  assert_true(top <= 0.04 + 1e-6);
  assert_true(a.blocks[1].norm1.weight[5] == 1 && a.blocks[1].norm1.bias[5] == 0);
  assert_true(a.blocks[1].qkv.bias[5] == 0);
  vit_model_free(&a);
  vit_model_free(&b);
  vit_model_free(&c);
}

static const struct vit_tensor *rename_tensors(struct vit_tensor *tensors, size_t n,
                                               char names[][128], const char *prefix) {
  for (size_t i = 0; i < n; i++) {
    snprintf(names[i], 128, "%s%s", prefix, tensors[i].name);
    tensors[i].name = names[i];
  }
  return tensors;
}

/* Wrappers' prefixes, narrow number types and inferred shapes. */
static void other_files(void **state) {
  (void)state;
  struct vit_tensor_file source;
  struct vit_model model;
  assert_ok(vit_tensor_file_open(&source, vit_test_path("vit_p8_d32_l3", "weights"), &test_err));
  struct vit_tensor *tensors = calloc(source.n_tensors, sizeof *tensors);
  char(*names)[128] = calloc(source.n_tensors, sizeof *names);
  uint16_t *narrow = calloc(1 << 17, sizeof *narrow);
  assert_true(tensors && names && narrow);
  memcpy(tensors, source.tensors, source.n_tensors * sizeof *tensors);
  rename_tensors(tensors, source.n_tensors, names, "module.backbone.");
  size_t used = 0;
  for (size_t i = 0; i < source.n_tensors; i++) {
    const float *from = source.tensors[i].data;
    for (size_t k = 0; k < tensors[i].count; k++) {
      uint32_t bits;
      memcpy(&bits, &from[k], sizeof bits);
      narrow[used + k] = (uint16_t)(bits >> 16);
    }
    tensors[i].data = narrow + used;
    tensors[i].dtype = VIT_BF16;
    used += tensors[i].count;
  }
  assert_ok(vit_tensor_file_write(path, tensors, source.n_tensors, NULL, 0, &test_err));
  /* The number of attention heads is in no tensor. */
  assert_fails(vit_model_load(&model, path, NULL, &test_err), LC_ERR_TENSOR, "attention heads");
  const char *metadata[] = {"num_heads", "4"};
  assert_ok(vit_tensor_file_write(path, tensors, source.n_tensors, metadata, 1, &test_err));
  assert_ok(vit_model_load(&model, path, NULL, &test_err));
  assert_string_equal(model.assumed, "epsilon 1e-06 of timm and DINO");
  assert_int_equal(model.arch.embed_dim, 32);
  assert_int_equal(model.arch.depth, 3);
  assert_int_equal(model.arch.num_heads, 4);
  assert_int_equal(model.arch.image_width, 32);
  assert_string_equal(model.arch.heads[0].name, "head");
  assert_true(model.trained);
  const float *exact = vit_test_tensor(&source, "norm.weight")->data;
  for (size_t i = 0; i < 32; i++)
    assert_true(fabs((double)(model.norm.weight[i] - exact[i])) <= fabs((double)exact[i]) / 128);
  vit_model_free(&model);
  free(narrow);
  free(names);
  free(tensors);
  vit_tensor_file_close(&source);
}

/* Canonical names as torchvision writes them. */
static void torchvision_name(const char *name, char out[128]) {
  static const struct {
    const char *from, *to;
  } parts[] = {{"norm1.", "ln_1."},
               {"norm2.", "ln_2."},
               {"attn.qkv.", "self_attention.in_proj_"},
               {"attn.proj.", "self_attention.out_proj."},
               {"mlp.fc1.", "mlp.0."},
               {"mlp.fc2.", "mlp.3."}};
  static const struct {
    const char *from, *to;
  } whole[] = {{"cls_token", "class_token"},
               {"pos_embed", "encoder.pos_embedding"},
               {"patch_embed.proj.weight", "conv_proj.weight"},
               {"patch_embed.proj.bias", "conv_proj.bias"},
               {"norm.weight", "encoder.ln.weight"},
               {"norm.bias", "encoder.ln.bias"},
               {"head.weight", "heads.head.weight"},
               {"head.bias", "heads.head.bias"}};
  for (size_t i = 0; i < 8; i++)
    if (strcmp(name, whole[i].from) == 0) snprintf(out, 128, "%s", whole[i].to);
  for (size_t i = 0; i < 6; i++) {
    const char *at = strstr(name, parts[i].from);
    if (strncmp(name, "blocks.", 7) != 0 || !at) continue;
    snprintf(out, 128, "encoder.layers.encoder_layer_%c.%s%s", name[7], parts[i].to,
             at + strlen(parts[i].from));
  }
}

/* A file with torchvision's names is the same model; a tensor too many, one too few and one of
 * another shape are listed. */
static void converting(void **state) {
  (void)state;
  struct vit_tensor_file source;
  struct vit_model model, twin;
  struct vit_report report;
  char out[520];
  snprintf(out, sizeof out, "%s/converted.safetensors", folder);
  assert_ok(vit_tensor_file_open(&source, vit_test_path("vit_p8_d32_l3", "weights"), &test_err));
  size_t n = source.n_tensors;
  struct vit_tensor *tensors = calloc(n + 1, sizeof *tensors);
  char(*names)[128] = calloc(n, sizeof *names);
  assert_true(tensors && names);
  memcpy(tensors, source.tensors, n * sizeof *tensors);
  for (size_t i = 0; i < n; i++) {
    torchvision_name(source.tensors[i].name, names[i]);
    tensors[i].name = names[i];
  }
  char extra[] = "extra.weight";
  tensors[n] = tensors[0];
  tensors[n].name = extra;
  const char *metadata[] = {"num_heads", "4"};
  assert_ok(vit_tensor_file_write(path, tensors, n + 1, metadata, 1, &test_err));
  assert_fails(vit_model_convert(path, out, NULL, NULL, &report, &test_err), LC_ERR_TENSOR,
               "\"extra.weight\" is not used");
  assert_int_equal(report.n_missing + report.n_misfits, 0);
  assert_int_equal(report.n_unused, 1);
  assert_string_equal(report.unused[0], "extra.weight");
  vit_report_free(&report);
  const char *patterns[] = {"extra.*"};
  const struct vit_load brave = {.ignore = patterns, .n_ignore = 1};
  assert_ok(vit_model_convert(path, out, &brave, NULL, &report, &test_err));
  assert_int_equal(report.n_unused, 0);
  assert_int_equal(report.n_left_out, 1);
  assert_string_equal(report.left_out[0], "extra.weight");
  assert_int_equal(report.n_parameters, n);
  vit_report_free(&report);
  assert_ok(vit_model_load(&model, out, NULL, &test_err));
  assert_ok(vit_model_load(&twin, source.path, NULL, &test_err));
  assert_memory_equal(model.blocks[2].fc2.weight, twin.blocks[2].fc2.weight, 128 * 32 * 4);
  assert_memory_equal(model.heads[0].output.weight, twin.heads[0].output.weight, 3 * 32 * 4);
  assert_string_equal(vit_tensor_file_metadata(&model.file, "note"),
                      "converted from model.safetensors");
  struct vit_arch other = twin.arch;
  other.layer_scale = true;
  other.mlp_dim = 96;
  const struct vit_load told = {.arch = &other, .ignore = patterns, .n_ignore = 1};
  assert_fails(vit_model_convert(path, out, &told, NULL, &report, &test_err), LC_ERR_TENSOR,
               "blocks.0.ls1.gamma");
  assert_int_equal(report.n_missing, 6);
  assert_int_equal(report.n_misfits, 9);
  assert_non_null(strstr(report.misfits[0], "has shape [128, 32], expected [96, 32]"));
  vit_report_free(&report);
  vit_model_free(&model);
  vit_model_free(&twin);
  free(names);
  free(tensors);
  vit_tensor_file_close(&source);
}

/* Bit patterns of IEEE 754 binary16 with their values. */
static void half_precision(void **state) {
  (void)state;
  const uint16_t bits[] = {0x0000, 0x8000, 0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001, 0x83FF, 0x3555};
  const float values[] = {0.0F,     -0.0F,    1.0F,          -2.0F,       65504.0F,
                          0x1p-14F, 0x1p-24F, -0x1.FF8p-15F, 0.333251953F};
  float out[9];
  struct vit_tensor tensor = {.dtype = VIT_F16, .count = 9, .data = bits};
  assert_ok(vit_tensor_to_float(&tensor, out, &test_err));
  assert_memory_equal(out, values, sizeof values);
  tensor.dtype = VIT_I64;
  assert_fails(vit_tensor_to_float(&tensor, out, &test_err), LC_ERR_TENSOR, "I64");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(published_sizes),
      cmocka_unit_test(outputs),
      cmocka_unit_test(bad_shapes),
      cmocka_unit_test(teachers_go_before_students),
      cmocka_unit_test(names_of_other_libraries),
      cmocka_unit_test(save_and_load),
      cmocka_unit_test(seeds),
      cmocka_unit_test(other_files),
      cmocka_unit_test(half_precision),
      cmocka_unit_test(converting),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
