/* Joins, adds and spreads tensors of other libraries into the parameters of the model. */
#include "vit/loading/vit_fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"

static struct vit_entry *find_in_block(const struct vit_entries *entries, size_t block,
                                       const char *name) {
  char full[VIT_PARAMETER_NAME];
  snprintf(full, sizeof full, "blocks.%zu.%s", block, name);
  return vit_entries_find(entries, full);
}

/* Query, key and value of one block, "weight" or "bias"; absent ones make nothing. */
static lc_status join(struct vit_entries *entries, size_t block, const char *what,
                      struct lc_error *err) {
  static const char parts[] = "qkv";
  char name[VIT_PARAMETER_NAME];
  const struct vit_tensor *of[3];
  size_t found = 0, rows = 0;
  for (int i = 0; i < 3; i++) {
    snprintf(name, sizeof name, "attn.%c.%s", parts[i], what);
    struct vit_entry *entry = find_in_block(entries, block, name);
    of[i] = entry ? entry->tensor : NULL;
    if (!entry) continue;
    entry->used = true;
    found++;
    rows += entry->tensor->rank > 0 ? entry->tensor->shape[0] : 0;
  }
  if (found == 0) return LC_OK;
  for (int i = 0; i < 3; i++) {
    const struct vit_tensor *any = of[0] ? of[0] : of[1] ? of[1] : of[2];
    if (!of[i] || of[i]->rank != any->rank || of[i]->rank == 0 || of[i]->rank > 2 ||
        of[i]->shape[of[i]->rank - 1] != any->shape[any->rank - 1])
      LC_FAIL(err, LC_ERR_TENSOR,
              "%s: block %zu: attn.%c.%s is missing or of another shape than the other two",
              entries->file->path, block, parts[i], what);
  }
  float *values;
  snprintf(name, sizeof name, "blocks.%zu.attn.qkv.%s", block, what);
  LC_TRY(vit_entries_make(entries, name, of[0]->rank, (size_t[2]){rows, of[0]->shape[1]}, &values,
                          err));
  for (int i = 0; i < 3; i++) {
    LC_TRY(vit_tensor_to_float(of[i], values, err));
    values += of[i]->count;
  }
  return LC_OK;
}

/* A layer without bias in every block is one with zeros. */
static lc_status add_biases(struct vit_entries *entries, const char *layer, struct lc_error *err) {
  char weight[64], bias[64], name[VIT_PARAMETER_NAME];
  size_t depth = 0, biases = 0;
  snprintf(weight, sizeof weight, "%s.weight", layer);
  snprintf(bias, sizeof bias, "%s.bias", layer);
  for (; find_in_block(entries, depth, weight); depth++)
    biases += find_in_block(entries, depth, bias) != NULL;
  if (biases > 0) return LC_OK;
  for (size_t block = 0; block < depth; block++) {
    float *zeros;
    size_t rows = find_in_block(entries, block, weight)->tensor->shape[0];
    snprintf(name, sizeof name, "blocks.%zu.%s", block, bias);
    LC_TRY(vit_entries_make(entries, name, 1, &rows, &zeros, err));
  }
  return LC_OK;
}

/* Images have three equal channels. */
static lc_status spread_channels(struct vit_entries *entries, struct lc_error *err) {
  struct vit_entry *entry = vit_entries_find(entries, "patch_embed.proj.weight");
  if (!entry || entry->tensor->rank != 4 || entry->tensor->shape[1] != 1) return LC_OK;
  LC_FREED float *one = NULL;
  const size_t *from = entry->tensor->shape;
  size_t shape[4] = {from[0], VIT_CHANNELS, from[2], from[3]}, pixels = from[2] * from[3];
  float *values;
  LC_TRY(vit_entry_values(entry, &one, err));
  entry->used = true;
  char *moved = entry->name + strlen(entry->name);
  snprintf(moved, 8, ".one");
  LC_TRY(vit_entries_make(entries, "patch_embed.proj.weight", 4, shape, &values, err));
  for (size_t d = 0; d < shape[0]; d++)
    for (size_t c = 0; c < VIT_CHANNELS; c++)
      for (size_t p = 0; p < pixels; p++)
        values[(d * VIT_CHANNELS + c) * pixels + p] = one[d * pixels + p] / VIT_CHANNELS;
  vit_entries_assume(entries, "one input channel, a third of it for each of three");
  return LC_OK;
}

lc_status vit_fold(struct vit_entries *entries, struct lc_error *err) {
  static const char *const layers[] = {"attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"};
  for (size_t block = 0; find_in_block(entries, block, "attn.q.weight"); block++) {
    LC_TRY(join(entries, block, "weight", err));
    LC_TRY(join(entries, block, "bias", err));
  }
  vit_entries_sort(entries);
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    LC_TRY(add_biases(entries, layers[i], err));
  LC_TRY(spread_channels(entries, err));
  vit_entries_sort(entries);
  return LC_OK;
}

static size_t rows_of(const struct vit_entry *entry, size_t dim) {
  return entry && dim > 0 ? entry->tensor->count / dim : 0;
}

/* Puts the made tensor of that name in the place of the file's. */
static lc_status replace(struct vit_entries *entries, const char *name, size_t rows, size_t dim,
                         float **values, struct lc_error *err) {
  struct vit_entry *old = vit_entries_find(entries, name);
  size_t shape[3] = {1, rows, dim};
  if (old) {
    old->used = true;
    snprintf(old->name, sizeof old->name, "%s.stored", name);
  }
  return vit_entries_make(entries, name, 3, shape, values, err);
}

/* Tokens before the patches, from the file's order: DeiT's distillation token, then registers;
 * rows: of positions, [CLS, tokens, patches]; or NULL. */
static lc_status make_tokens(struct vit_entries *entries, const float *positions, size_t dim,
                             struct lc_error *err) {
  struct vit_entry *parts[2] = {vit_entries_find(entries, "dist_token"),
                                vit_entries_find(entries, "register_tokens")};
  LC_FREED float *first = NULL;
  LC_FREED float *second = NULL;
  size_t counts[2] = {rows_of(parts[0], dim), rows_of(parts[1], dim)};
  if (parts[0]) LC_TRY(vit_entry_values(parts[0], &first, err));
  if (parts[1]) LC_TRY(vit_entry_values(parts[1], &second, err));
  if (parts[0]) parts[0]->used = true;
  float *values;
  LC_TRY(replace(entries, "register_tokens", counts[0] + counts[1], dim, &values, err));
  if (first) memcpy(values, first, counts[0] * dim * sizeof *values);
  if (second) memcpy(values + counts[0] * dim, second, counts[1] * dim * sizeof *values);
  for (size_t k = 0; positions && k < (counts[0] + counts[1]) * dim; k++)
    values[k] += positions[dim + k];
  return LC_OK;
}

lc_status vit_fold_positions(struct vit_entries *entries, size_t patches, struct lc_error *err) {
  struct vit_entry *entry = vit_entries_find(entries, "pos_embed");
  const struct vit_entry *cls = vit_entries_find(entries, "cls_token");
  size_t dim = cls ? cls->tensor->count : 0, rows = rows_of(entry, dim);
  size_t tokens = rows_of(vit_entries_find(entries, "dist_token"), dim) +
                  rows_of(vit_entries_find(entries, "register_tokens"), dim);
  bool own_rows = tokens > 0 && rows == 1 + tokens + patches;
  if (!own_rows && !vit_entries_find(entries, "dist_token")) return LC_OK;
  LC_FREED float *positions = NULL;
  LC_TRY(vit_entry_values(entry, &positions, err));
  LC_TRY(make_tokens(entries, own_rows ? positions : NULL, dim, err));
  if (own_rows) {
    float *values;
    LC_TRY(replace(entries, "pos_embed", 1 + patches, dim, &values, err));
    memcpy(values, positions, dim * sizeof *values);
    memcpy(values + dim, positions + (1 + tokens) * dim, patches * dim * sizeof *values);
  }
  vit_entries_sort(entries);
  return LC_OK;
}
