/* Lists the tensors of a weight file by canonical name, and finds the architecture from their
 * shapes and the file's metadata. */
#include "vit/weights/vit_entries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"

static int compare(const void *a, const void *b) {
  const struct vit_entry *left = a, *right = b;
  int order = strcmp(left->name, right->name);
  if (order != 0) return order;
  if (left->rank != right->rank) return left->rank > right->rank ? -1 : 1;
  return strcmp(left->tensor->name, right->tensor->name);
}

static void sort(struct vit_entries *entries) {
  qsort(entries->list, entries->n, sizeof *entries->list, compare);
}

lc_status vit_entries_init(struct vit_entries *entries, const struct vit_tensor_file *file,
                           struct lc_error *err) {
  *entries = (struct vit_entries){.n = file->n_tensors};
  LC_TRY(lc_alloc(&entries->list, entries->n + 1, sizeof *entries->list, err));
  for (size_t i = 0; i < entries->n; i++) {
    entries->list[i].tensor = &file->tensors[i];
    entries->list[i].rank = vit_name_canonical(file->tensors[i].name, entries->list[i].name);
  }
  sort(entries);
  return LC_OK;
}

void vit_entries_free(struct vit_entries *entries) {
  free(entries->list);
  *entries = (struct vit_entries){0};
}

struct vit_entry *vit_entries_find(const struct vit_entries *entries, const char *name) {
  size_t low = 0, high = entries->n;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (strcmp(entries->list[middle].name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  bool found = low < entries->n && strcmp(entries->list[low].name, name) == 0;
  return found ? &entries->list[low] : NULL;
}

/* Equal but for axes of size 1, which wrappers add and drop. */
static bool same_shape(const struct vit_tensor *tensor, const struct vit_parameter *p) {
  size_t i = 0, k = 0;
  while (i < tensor->rank || k < p->rank) {
    if (i < tensor->rank && tensor->shape[i] == 1)
      i++;
    else if (k < p->rank && p->shape[k] == 1)
      k++;
    else if (i >= tensor->rank || k >= p->rank || tensor->shape[i++] != p->shape[k++])
      return false;
  }
  return true;
}

static void shape_text(const size_t *shape, size_t rank, struct lc_text *text) {
  lc_text_add(text, "[");
  for (size_t i = 0; i < rank; i++) lc_text_add(text, "%s%zu", i ? ", " : "", shape[i]);
  lc_text_add(text, "]");
}

static lc_status other_shape(const struct vit_tensor *tensor, const struct vit_parameter *p,
                             struct lc_error *err) {
  struct lc_text has = {0}, wants = {0};
  shape_text(tensor->shape, tensor->rank, &has);
  shape_text(p->shape, p->rank, &wants);
  lc_status status =
      lc_fail(err, LC_ERR_TENSOR, __FILE__, __LINE__, "tensor \"%s\" has shape %s, expected %s",
              tensor->name, lc_text_get(&has), lc_text_get(&wants));
  lc_text_free(&has);
  lc_text_free(&wants);
  return status;
}

lc_status vit_entry_fits(const struct vit_entry *entry, const struct vit_parameter *p,
                         struct lc_error *err) {
  if (!same_shape(entry->tensor, p)) return other_shape(entry->tensor, p, err);
  if (entry->tensor->dtype > VIT_F64)
    LC_FAIL(err, LC_ERR_TENSOR, "tensor \"%s\" holds %s, expected floating point numbers",
            entry->tensor->name, vit_dtype_name(entry->tensor->dtype));
  return LC_OK;
}

/* Size of one axis of a tensor that must exist; axes counted from the last when negative. */
static lc_status axis_of(const struct vit_entries *entries, const struct vit_tensor_file *file,
                         const char *name, int axis, size_t *size, struct lc_error *err) {
  const struct vit_entry *entry = vit_entries_find(entries, name);
  if (!entry) LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\" is missing", file->path, name);
  size_t rank = entry->tensor->rank;
  size_t at = axis < 0 ? rank - (size_t)-axis : (size_t)axis;
  if (at >= rank)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\" has %zu dimensions, which is too few",
            file->path, entry->tensor->name, rank);
  *size = entry->tensor->shape[at];
  return LC_OK;
}

static size_t square_root(size_t n) {
  size_t root = 0;
  while ((root + 1) * (root + 1) <= n) root++;
  return root;
}

/* The whole number behind a metadata key; *value keeps what it has when the key is absent. */
static lc_status read_size(const struct vit_tensor_file *file, const char *key, size_t *value,
                           struct lc_error *err) {
  const char *text = vit_tensor_file_metadata(file, key);
  long long number = 0;
  if (!text) return LC_OK;
  if (!lc_text_to_long(text, &number) || number < 0 || number > 1000000)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: metadata \"%s\" is \"%.40s\", expected a whole number",
            file->path, key, text);
  *value = (size_t)number;
  return LC_OK;
}

static bool is_true(const char *text) {
  return text && (strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "1") == 0);
}

/* Logits, unless the head's name or the file says that it is a regression. */
static bool kind_of_head(const struct vit_tensor_file *file, const char *name) {
  char key[VIT_NAME_SIZE + 16];
  snprintf(key, sizeof key, "heads.%s.kind", name);
  const char *kind = vit_tensor_file_metadata(file, key);
  if (kind) return strcmp(kind, "value") != 0;
  return strcmp(name, "biomarkers") != 0;
}

static void rename_prefix(struct vit_entries *entries, const char *from, const char *to) {
  size_t length = strlen(from);
  for (size_t i = 0; i < entries->n; i++) {
    char *name = entries->list[i].name, rest[VIT_PARAMETER_NAME], whole[2 * VIT_PARAMETER_NAME];
    if (strncmp(name, from, length) != 0) continue;
    lc_text_copy(rest, sizeof rest, name + length);
    snprintf(whole, sizeof whole, "%s%s", to, rest);
    lc_text_copy(name, VIT_PARAMETER_NAME, whole);
  }
  sort(entries);
}

/* "heads.NAME.": where the parameters of a head are listed; a plain "head" keeps its own. */
static void head_prefix(const char *name, bool hidden, char out[VIT_PARAMETER_NAME]) {
  if (!hidden && strcmp(name, "head") == 0)
    snprintf(out, VIT_PARAMETER_NAME, "head.");
  else
    snprintf(out, VIT_PARAMETER_NAME, "heads.%s.", name);
}

static void rename_mlp_head(struct vit_entries *entries, const char *name) {
  char to[VIT_PARAMETER_NAME];
  bool hidden = vit_entries_find(entries, "mlp_head.2.weight") != NULL;
  head_prefix(name, hidden, to);
  if (hidden) {
    rename_prefix(entries, "mlp_head.", to);
  } else {
    rename_prefix(entries, "mlp_head.0.", to);
    rename_prefix(entries, "mlp_head.", to);
  }
}

/* Adds the head NAME whose tensors are named "heads.NAME.weight" or "heads.NAME.0.weight". */
static lc_status add_head(const struct vit_entries *entries, const struct vit_tensor_file *file,
                          struct vit_arch *arch, const char *name, struct lc_error *err) {
  char prefix[VIT_PARAMETER_NAME], full[VIT_PARAMETER_NAME + 16];
  size_t hidden = 0, outputs = 0;
  head_prefix(name, true, prefix);
  snprintf(full, sizeof full, "%s0.weight", prefix);
  if (vit_entries_find(entries, full)) {
    LC_TRY(axis_of(entries, file, full, 0, &hidden, err));
    snprintf(full, sizeof full, "%s2.weight", prefix);
  } else {
    head_prefix(name, false, prefix);
    snprintf(full, sizeof full, "%sweight", prefix);
  }
  LC_TRY(axis_of(entries, file, full, 0, &outputs, err));
  return vit_arch_add_head(arch, name, hidden, outputs, kind_of_head(file, name), err);
}

/* Heads in the order of the file's data: "head.*", "mlp_head.*", then each "heads.NAME.*". */
static lc_status find_heads(struct vit_entries *entries, const struct vit_tensor_file *file,
                            struct vit_arch *arch, struct lc_error *err) {
  if (vit_entries_find(entries, "mlp_head.0.weight") ||
      vit_entries_find(entries, "mlp_head.weight")) {
    const char *task = vit_tensor_file_metadata(file, "task");
    const char *name = task && task[0] && !strpbrk(task, ". \t\n") ? task : "head";
    rename_mlp_head(entries, name);
  }
  if (vit_entries_find(entries, "head.weight")) LC_TRY(add_head(entries, file, arch, "head", err));
  for (size_t i = 0; i < file->n_tensors; i++) {
    char canonical[VIT_PARAMETER_NAME];
    const struct vit_entry *entry = NULL;
    for (size_t k = 0; k < entries->n && !entry; k++)
      if (entries->list[k].tensor == &file->tensors[i]) entry = &entries->list[k];
    if (!entry || strncmp(entry->name, "heads.", 6) != 0) continue;
    lc_text_copy(canonical, sizeof canonical, entry->name + 6);
    char *dot = strchr(canonical, '.');
    if (!dot) continue;
    *dot = '\0';
    bool known = false;
    for (size_t k = 0; k < arch->n_heads; k++)
      known = known || strcmp(arch->heads[k].name, canonical) == 0;
    if (!known) LC_TRY(add_head(entries, file, arch, canonical, err));
  }
  return LC_OK;
}

void vit_entries_rename_heads(struct vit_entries *entries, const struct vit_arch *arch) {
  if (arch->n_heads != 1) return;
  const char *name = arch->heads[0].name;
  if (vit_entries_find(entries, "mlp_head.0.weight") ||
      vit_entries_find(entries, "mlp_head.weight"))
    rename_mlp_head(entries, name);
  else if (strcmp(name, "head") != 0 && vit_entries_find(entries, "head.weight")) {
    char to[VIT_PARAMETER_NAME];
    head_prefix(name, false, to);
    rename_prefix(entries, "head.", to);
  }
}

static lc_status shape_from_tensors(const struct vit_entries *entries,
                                    const struct vit_tensor_file *file, struct vit_arch *arch,
                                    struct lc_error *err) {
  size_t positions = 0;
  LC_TRY(axis_of(entries, file, "cls_token", -1, &arch->embed_dim, err));
  LC_TRY(axis_of(entries, file, "patch_embed.proj.weight", -1, &arch->patch_size, err));
  LC_TRY(axis_of(entries, file, "pos_embed", -2, &positions, err));
  LC_TRY(axis_of(entries, file, "blocks.0.mlp.fc1.weight", 0, &arch->mlp_dim, err));
  for (arch->depth = 0; arch->depth < 1000; arch->depth++) {
    char name[64];
    snprintf(name, sizeof name, "blocks.%zu.norm1.weight", arch->depth);
    if (!vit_entries_find(entries, name)) break;
  }
  if (vit_entries_find(entries, "register_tokens"))
    LC_TRY(axis_of(entries, file, "register_tokens", -2, &arch->num_registers, err));
  arch->layer_scale = vit_entries_find(entries, "blocks.0.ls1.gamma") != NULL;
  arch->num_heads = arch->embed_dim >= 64 ? arch->embed_dim / 64 : 1;
  arch->layer_norm_eps = 1e-6F;
  arch->position_rule = arch->num_registers > 0 ? VIT_POSITION_ANTIALIAS : VIT_POSITION_DINO;
  if (positions > (size_t)1 << 20)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"pos_embed\" has %zu positions, which is too many",
            file->path, positions);
  size_t side = square_root(positions);
  arch->position_on_cls = side * side != positions;
  if (arch->position_on_cls) side = square_root(positions > 0 ? positions - 1 : 0);
  arch->grid_height = arch->grid_width = side;
  return LC_OK;
}

/* A stored grid that is not square is given by metadata; it decides whether CLS has a position. */
static lc_status grid_from_metadata(const struct vit_entries *entries,
                                    const struct vit_tensor_file *file, struct vit_arch *arch,
                                    struct lc_error *err) {
  LC_TRY(read_size(file, "grid_height", &arch->grid_height, err));
  LC_TRY(read_size(file, "grid_width", &arch->grid_width, err));
  size_t positions = 0, patches = arch->grid_height * arch->grid_width;
  LC_TRY(axis_of(entries, file, "pos_embed", -2, &positions, err));
  if (positions != patches && positions != patches + 1)
    LC_FAIL(err, LC_ERR_TENSOR,
            "%s: tensor \"pos_embed\" has %zu positions, expected %zu x %zu patches with or "
            "without CLS (metadata grid_height and grid_width tell a grid that is not square)",
            file->path, positions, arch->grid_height, arch->grid_width);
  arch->position_on_cls = positions == patches + 1;
  return LC_OK;
}

static lc_status shape_from_metadata(const struct vit_entries *entries,
                                     const struct vit_tensor_file *file, struct vit_arch *arch,
                                     struct lc_error *err) {
  size_t image = 0;
  LC_TRY(read_size(file, "patch_size", &arch->patch_size, err));
  LC_TRY(read_size(file, "embed_dim", &arch->embed_dim, err));
  LC_TRY(read_size(file, "depth", &arch->depth, err));
  LC_TRY(read_size(file, "num_heads", &arch->num_heads, err));
  LC_TRY(read_size(file, "mlp_dim", &arch->mlp_dim, err));
  LC_TRY(read_size(file, "num_register_tokens", &arch->num_registers, err));
  const char *scale = vit_tensor_file_metadata(file, "layer_scale");
  if (scale) arch->layer_scale = is_true(scale);
  LC_TRY(grid_from_metadata(entries, file, arch, err));
  arch->image_height = arch->grid_height * arch->patch_size;
  arch->image_width = arch->grid_width * arch->patch_size;
  LC_TRY(read_size(file, "img_size", &image, err));
  LC_TRY(read_size(file, "input_size", &image, err));
  if (image > 0) arch->image_height = arch->image_width = image;
  LC_TRY(read_size(file, "image_height", &arch->image_height, err));
  LC_TRY(read_size(file, "image_width", &arch->image_width, err));
  const char *text = vit_tensor_file_metadata(file, "layer_norm_eps");
  double number = 0;
  if (text && !lc_text_to_double(text, &number))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: metadata \"layer_norm_eps\" is \"%.40s\", expected a number",
            file->path, text);
  if (text) arch->layer_norm_eps = (float)number;
  const char *offset = vit_tensor_file_metadata(file, "interpolate_offset");
  const char *antialias = vit_tensor_file_metadata(file, "interpolate_antialias");
  if (offset && lc_text_to_double(offset, &number))
    arch->position_rule = number > 0 ? VIT_POSITION_DINO : VIT_POSITION_SIZE;
  if (antialias && is_true(antialias)) arch->position_rule = VIT_POSITION_ANTIALIAS;
  const char *name = vit_tensor_file_metadata(file, "architecture");
  lc_text_copy(arch->name, sizeof arch->name, name ? name : "custom");
  return LC_OK;
}

lc_status vit_entries_arch(struct vit_entries *entries, const struct vit_tensor_file *file,
                           struct vit_arch *arch, struct lc_error *err) {
  *arch = (struct vit_arch){0};
  LC_TRY(shape_from_tensors(entries, file, arch, err));
  LC_TRY(shape_from_metadata(entries, file, arch, err));
  LC_TRY(find_heads(entries, file, arch, err));
  lc_status status = vit_arch_check(arch, err);
  if (status != LC_OK) {
    lc_error_prefix(err, "%s", file->path);
    return LC_ERR_TENSOR;
  }
  return LC_OK;
}
