/* Walks over the parameters of a model in their fixed order, to list names, shapes and offsets and
 * to bind the model to a block of numbers. */
#include "vit/weights/vit_parameter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"

#define ALIGN_ELEMENTS ((size_t)LC_ARENA_ALIGN / sizeof(float))

/* One walk over the model serves the list, the slots and their number. */
struct walk {
  struct vit_parameter *list; /* NULL: names and shapes are not wanted */
  const vit_real ***slots;    /* NULL: pointers are not wanted */
  size_t n, block;
};

static void visit(struct walk *walk, const vit_real **slot, const char *prefix, const char *name,
                  size_t rank, const size_t shape[4]) {
  size_t count = 1;
  for (size_t i = 0; i < rank; i++) count *= shape[i];
  if (walk->list) {
    struct vit_parameter *p = &walk->list[walk->n];
    snprintf(p->name, sizeof p->name, "%s%s", prefix, name);
    p->rank = rank;
    for (size_t i = 0; i < rank; i++) p->shape[i] = shape[i];
    p->count = count;
    p->offset = walk->block;
  }
  if (walk->slots) walk->slots[walk->n] = slot;
  walk->n++;
  walk->block += (count + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
}

static void visit_vector(struct walk *walk, const vit_real **slot, const char *prefix,
                         const char *name, size_t count) {
  visit(walk, slot, prefix, name, 1, (size_t[4]){count});
}

static void visit_norm(struct walk *walk, struct vit_norm *norm, const char *prefix, size_t dim) {
  visit_vector(walk, &norm->weight, prefix, "weight", dim);
  visit_vector(walk, &norm->bias, prefix, "bias", dim);
}

static void visit_linear(struct walk *walk, struct vit_linear *linear, const char *prefix,
                         size_t out, size_t in) {
  visit(walk, &linear->weight, prefix, "weight", 2, (size_t[4]){out, in});
  visit_vector(walk, &linear->bias, prefix, "bias", out);
}

static void visit_block(struct walk *walk, struct vit_block *block, const struct vit_arch *arch,
                        size_t index) {
  size_t dim = arch->embed_dim;
  char prefix[64];
  snprintf(prefix, sizeof prefix, "blocks.%zu.norm1.", index);
  visit_norm(walk, &block->norm1, prefix, dim);
  snprintf(prefix, sizeof prefix, "blocks.%zu.attn.qkv.", index);
  visit_linear(walk, &block->qkv, prefix, 3 * dim, dim);
  snprintf(prefix, sizeof prefix, "blocks.%zu.attn.proj.", index);
  visit_linear(walk, &block->proj, prefix, dim, dim);
  snprintf(prefix, sizeof prefix, "blocks.%zu.", index);
  if (arch->layer_scale) visit_vector(walk, &block->scale1, prefix, "ls1.gamma", dim);
  snprintf(prefix, sizeof prefix, "blocks.%zu.norm2.", index);
  visit_norm(walk, &block->norm2, prefix, dim);
  snprintf(prefix, sizeof prefix, "blocks.%zu.mlp.fc1.", index);
  visit_linear(walk, &block->fc1, prefix, arch->mlp_dim, dim);
  snprintf(prefix, sizeof prefix, "blocks.%zu.mlp.fc2.", index);
  visit_linear(walk, &block->fc2, prefix, dim, arch->mlp_dim);
  snprintf(prefix, sizeof prefix, "blocks.%zu.", index);
  if (arch->layer_scale) visit_vector(walk, &block->scale2, prefix, "ls2.gamma", dim);
}

/* A lone linear head called "head" keeps the name that DINO and timm use. */
static void visit_head(struct walk *walk, struct vit_head *head, const struct vit_head_shape *shape,
                       size_t dim) {
  char prefix[VIT_NAME_SIZE + 16];
  if (shape->hidden == 0) {
    if (strcmp(shape->name, "head") == 0)
      snprintf(prefix, sizeof prefix, "head.");
    else
      snprintf(prefix, sizeof prefix, "heads.%s.", shape->name);
    visit_linear(walk, &head->output, prefix, shape->outputs, dim);
    return;
  }
  snprintf(prefix, sizeof prefix, "heads.%s.0.", shape->name);
  visit_linear(walk, &head->hidden, prefix, shape->hidden, dim);
  snprintf(prefix, sizeof prefix, "heads.%s.2.", shape->name);
  visit_linear(walk, &head->output, prefix, shape->outputs, shape->hidden);
}

static void walk_model(struct walk *walk, struct vit_model *model, const struct vit_arch *arch) {
  size_t dim = arch->embed_dim, patch = arch->patch_size;
  size_t positions = arch->grid_height * arch->grid_width + (arch->position_on_cls ? 1 : 0);
  visit(walk, &model->cls_token, "", "cls_token", 3, (size_t[4]){1, 1, dim});
  if (arch->num_registers > 0)
    visit(walk, &model->register_tokens, "", "register_tokens", 3,
          (size_t[4]){1, arch->num_registers, dim});
  visit(walk, &model->position_encoding, "", "pos_embed", 3, (size_t[4]){1, positions, dim});
  visit(walk, &model->patch_embed.weight, "patch_embed.proj.", "weight", 4,
        (size_t[4]){dim, VIT_CHANNELS, patch, patch});
  visit_vector(walk, &model->patch_embed.bias, "patch_embed.proj.", "bias", dim);
  struct vit_block none;
  for (size_t i = 0; i < arch->depth; i++)
    visit_block(walk, model->blocks ? &model->blocks[i] : &none, arch, i);
  visit_norm(walk, &model->norm, "norm.", dim);
  for (size_t i = 0; i < arch->n_heads; i++)
    visit_head(walk, &model->heads[i], &arch->heads[i], dim);
}

lc_status vit_parameters_init(struct vit_parameters *parameters, const struct vit_arch *arch,
                              struct lc_error *err) {
  *parameters = (struct vit_parameters){0};
  struct vit_model shape = {0};
  struct walk walk = {0};
  walk_model(&walk, &shape, arch);
  LC_TRY(lc_alloc(&parameters->list, walk.n, sizeof *parameters->list, err));
  walk = (struct walk){.list = parameters->list};
  walk_model(&walk, &shape, arch);
  parameters->n = walk.n;
  parameters->block = walk.block;
  return LC_OK;
}

void vit_parameters_free(struct vit_parameters *parameters) {
  free(parameters->list);
  *parameters = (struct vit_parameters){0};
}

void vit_model_slots(struct vit_model *model, const vit_real **slots[]) {
  struct walk walk = {.slots = slots};
  walk_model(&walk, model, &model->arch);
}

lc_status vit_model_bind(struct vit_model *model, const vit_real *block, struct lc_error *err) {
  struct vit_parameters parameters;
  const vit_real ***slots = NULL;
  lc_status status = LC_OK;
  LC_TRY(vit_parameters_init(&parameters, &model->arch, err));
  LC_TRY_GOTO(lc_alloc(&slots, parameters.n, sizeof *slots, err), done);
  vit_model_slots(model, slots);
  for (size_t i = 0; i < parameters.n; i++) *slots[i] = block + parameters.list[i].offset;
done:
  free((void *)slots);
  vit_parameters_free(&parameters);
  return status;
}

lc_status vit_model_own(struct vit_model *model, struct lc_error *err) {
  if (model->owned) {
    vit_tensor_file_close(&model->file);
    model->weights_sha256[0] = '\0';
    return LC_OK;
  }
  struct vit_parameters parameters;
  const vit_real ***slots = NULL;
  vit_real *block = NULL;
  lc_status status = LC_OK;
  LC_TRY(vit_parameters_init(&parameters, &model->arch, err));
  LC_TRY_GOTO(lc_alloc(&slots, parameters.n, sizeof *slots, err), done);
  LC_TRY_GOTO(lc_alloc(&block, parameters.block, sizeof *block, err), done);
  vit_model_slots(model, slots);
  for (size_t i = 0; i < parameters.n; i++) {
    vit_real *place = block + parameters.list[i].offset;
    memcpy(place, *slots[i], parameters.list[i].count * sizeof *place);
    *slots[i] = place;
  }
  model->owned = block;
  vit_tensor_file_close(&model->file);
  model->weights_sha256[0] = '\0';
done:
  free((void *)slots);
  vit_parameters_free(&parameters);
  return status;
}
