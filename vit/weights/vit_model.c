/* Makes models with random weights, saves models as safetensors with their architecture as
 * metadata, and hashes them. */
#include "vit/weights/vit_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_hash.h"
#include "common/lc_random.h"
#include "common/lc_text.h"
#include "vit/weights/vit_parameter.h"

void vit_model_free(struct vit_model *model) {
  free(model->blocks);
  free(model->owned);
  free(model->assumed);
  vit_tensor_file_close(&model->file);
  *model = (struct vit_model){0};
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

/* Truncated normal of standard deviation 0.02 within two standard deviations, as timm's
 * trunc_normal_ is used by the published models (cut at +-2 there means +-100 sigma: none). */
static void fill(const struct vit_parameter *p, size_t index, uint64_t seed, vit_real *out) {
  if (ends_with(p->name, "gamma")) {
    for (size_t i = 0; i < p->count; i++) out[i] = (vit_real)1;
    return;
  }
  bool norm = strstr(p->name, "norm") != NULL;
  if (ends_with(p->name, ".bias") || norm) {
    for (size_t i = 0; i < p->count; i++) out[i] = ends_with(p->name, ".bias") ? 0 : (vit_real)1;
    return;
  }
  struct lc_random random;
  lc_random_init(&random, seed, "vit-weights", index);
  for (size_t i = 0; i < p->count; i++) {
    double value;
    do value = lc_random_normal(&random);
    while (value < -2.0 || value > 2.0);
    out[i] = (vit_real)(float)(0.02 * value);
  }
}

lc_status vit_model_init(struct vit_model *model, const struct vit_arch *arch, uint64_t seed,
                         struct lc_error *err) {
  *model = (struct vit_model){0};
  struct vit_parameters parameters = {0};
  lc_status status = LC_OK;
  LC_TRY(vit_arch_check(arch, err));
  model->arch = *arch;
  LC_TRY_GOTO(lc_alloc(&model->blocks, arch->depth, sizeof *model->blocks, err), failed);
  LC_TRY_GOTO(vit_parameters_init(&parameters, arch, err), failed);
  LC_TRY_GOTO(lc_alloc(&model->owned, parameters.block, sizeof *model->owned, err), failed);
  for (size_t i = 0; i < parameters.n; i++)
    fill(&parameters.list[i], i, seed, model->owned + parameters.list[i].offset);
  LC_TRY_GOTO(vit_model_bind(model, model->owned, err), failed);
  vit_parameters_free(&parameters);
  return LC_OK;
failed:
  vit_parameters_free(&parameters);
  vit_model_free(model);
  return status;
}

/* Metadata on its way to a file. */
struct pairs {
  char text[128][LC_ERROR_SIZE];
  const char *pointer[128];
  size_t n; /* texts, two a pair */
};

LC_PRINTF(3, 4)
static void add_pair(struct pairs *pairs, const char *key, const char *fmt, ...) {
  if (pairs->n + 2 > sizeof pairs->text / sizeof pairs->text[0]) return;
  lc_text_copy(pairs->text[pairs->n], sizeof pairs->text[0], key);
  va_list arguments;
  va_start(arguments, fmt);
  /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is begun on the line before. */
  vsnprintf(pairs->text[pairs->n + 1], sizeof pairs->text[0], fmt, arguments);
  va_end(arguments);
  for (size_t i = pairs->n; i < pairs->n + 2; i++) pairs->pointer[i] = pairs->text[i];
  pairs->n += 2;
}

static void describe(const struct vit_model *model, const char *note, struct pairs *pairs) {
  const struct vit_arch *a = &model->arch;
  add_pair(pairs, "format", "pt");
  if (a->name[0]) add_pair(pairs, "architecture", "%s", a->name);
  add_pair(pairs, "image_height", "%zu", a->image_height);
  add_pair(pairs, "image_width", "%zu", a->image_width);
  add_pair(pairs, "grid_height", "%zu", a->grid_height);
  add_pair(pairs, "grid_width", "%zu", a->grid_width);
  add_pair(pairs, "patch_size", "%zu", a->patch_size);
  add_pair(pairs, "embed_dim", "%zu", a->embed_dim);
  add_pair(pairs, "depth", "%zu", a->depth);
  add_pair(pairs, "num_heads", "%zu", a->num_heads);
  add_pair(pairs, "mlp_dim", "%zu", a->mlp_dim);
  add_pair(pairs, "num_classes", "%zu", vit_arch_outputs(a));
  add_pair(pairs, "num_register_tokens", "%zu", a->num_registers);
  add_pair(pairs, "layer_scale", "%s", a->layer_scale ? "true" : "false");
  add_pair(pairs, "layer_norm_eps", "%.9g", (double)a->layer_norm_eps);
  add_pair(pairs, "interpolate_antialias", "%s",
           a->position_rule == VIT_POSITION_ANTIALIAS ? "true" : "false");
  add_pair(pairs, "interpolate_offset", "%s",
           a->position_rule == VIT_POSITION_DINO ? "0.1" : "0.0");
  for (size_t i = 0; i < a->n_heads; i++) {
    char key[VIT_NAME_SIZE + 24];
    snprintf(key, sizeof key, "heads.%s.kind", a->heads[i].name);
    add_pair(pairs, key, "%s", a->heads[i].sigmoid ? "logit" : "value");
    snprintf(key, sizeof key, "heads.%s.activation", a->heads[i].name);
    if (a->heads[i].activation != VIT_HEAD_RELU)
      add_pair(pairs, key, "%s", vit_head_activation_name(a->heads[i].activation));
  }
  add_pair(pairs, "trained", "%s", model->trained ? "true" : "false");
  if (model->assumed) add_pair(pairs, "assumed", "%s", model->assumed);
  if (note) add_pair(pairs, "note", "%s", note);
}

static void fill_tensor(struct vit_tensor *tensor, struct vit_parameter *p, const void *data) {
  *tensor = (struct vit_tensor){
      .name = p->name, .dtype = VIT_F32, .rank = p->rank, .count = p->count, .data = data};
  memcpy(tensor->shape, p->shape, p->rank * sizeof p->shape[0]);
}

lc_status vit_model_save(const struct vit_model *model, const char *path, const char *note,
                         struct lc_error *err) {
  return vit_model_save_with(model, path, note, NULL, 0, err);
}

lc_status vit_model_save_with(const struct vit_model *model, const char *path, const char *note,
                              const char *const *metadata, size_t n, struct lc_error *err) {
  struct vit_parameters parameters = {0};
  const vit_real ***slots = NULL;
  struct vit_tensor *tensors = NULL;
  struct pairs *pairs = NULL;
  float *block = NULL;
  lc_status status = LC_OK;
  LC_TRY(vit_parameters_init(&parameters, &model->arch, err));
  LC_TRY_GOTO(lc_alloc(&slots, parameters.n, sizeof *slots, err), done);
  LC_TRY_GOTO(lc_alloc(&tensors, parameters.n, sizeof *tensors, err), done);
  LC_TRY_GOTO(lc_alloc(&pairs, 1, sizeof *pairs, err), done);
  /* Only reads through the slots. */
  struct vit_model view = *model;
  vit_model_slots(&view, slots);
  if (sizeof(vit_real) != sizeof(float))
    LC_TRY_GOTO(lc_alloc(&block, parameters.block, sizeof *block, err), done);
  for (size_t i = 0; i < parameters.n; i++) {
    struct vit_parameter *p = &parameters.list[i];
    const vit_real *values = *slots[i];
    if (block) {
      for (size_t k = 0; k < p->count; k++) block[p->offset + k] = (float)values[k];
      fill_tensor(&tensors[i], p, block + p->offset);
    } else
      fill_tensor(&tensors[i], p, values);
  }
  describe(model, note, pairs);
  for (size_t i = 0; i < n; i++) add_pair(pairs, metadata[2 * i], "%s", metadata[2 * i + 1]);
  LC_TRY_GOTO(vit_tensor_file_write(path, tensors, parameters.n, pairs->pointer, pairs->n / 2, err),
              done);
done:
  free(block);
  free(pairs);
  free(tensors);
  free((void *)slots);
  vit_parameters_free(&parameters);
  return status;
}

lc_status vit_model_hash(struct vit_model *model, struct lc_error *err) {
  if (model->weights_sha256[0]) return LC_OK;
  if (model->file.path && model->file.n_parts == 0)
    return lc_hash_file_hex(model->file.path, model->weights_sha256, err);
  struct vit_parameters parameters;
  LC_TRY(vit_parameters_init(&parameters, &model->arch, err));
  size_t bytes = parameters.block * sizeof *model->owned;
  vit_parameters_free(&parameters);
  return lc_hash_bytes_hex(model->owned, bytes, model->weights_sha256, err);
}
