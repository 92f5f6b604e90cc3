/* Finds the architecture from the shapes of tensors, the file's metadata, config.json and names. */
#include "vit/loading/vit_shape.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"
#include "vit/loading/vit_fold.h"

/* Size of one axis of a tensor that must exist; axes counted from the last when negative. */
static lc_status axis_of(const struct vit_entries *entries, const char *name, int axis,
                         size_t *size, struct lc_error *err) {
  const struct vit_entry *entry = vit_entries_find(entries, name);
  const char *path = entries->file->path;
  if (!entry) LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\" is missing", path, name);
  size_t rank = entry->tensor->rank;
  size_t at = axis < 0 ? rank - (size_t)-axis : (size_t)axis;
  if (at >= rank)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\" has %zu dimensions, which is too few", path,
            entry->tensor->name, rank);
  *size = entry->tensor->shape[at];
  return LC_OK;
}

static size_t square_root(size_t n) {
  size_t root = 0;
  while ((root + 1) * (root + 1) <= n) root++;
  return root;
}

static bool is_true(const char *text) {
  return text && (strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "1") == 0);
}

static lc_status from_tensors(const struct vit_entries *entries, struct vit_arch *arch,
                              struct lc_error *err) {
  LC_TRY(axis_of(entries, "cls_token", -1, &arch->embed_dim, err));
  LC_TRY(axis_of(entries, "patch_embed.proj.weight", -1, &arch->patch_size, err));
  LC_TRY(axis_of(entries, "blocks.0.mlp.fc1.weight", 0, &arch->mlp_dim, err));
  for (arch->depth = 0; arch->depth < 1000; arch->depth++) {
    char name[64];
    snprintf(name, sizeof name, "blocks.%zu.norm1.weight", arch->depth);
    if (!vit_entries_find(entries, name)) break;
  }
  if (vit_entries_find(entries, "register_tokens"))
    LC_TRY(axis_of(entries, "register_tokens", -2, &arch->num_registers, err));
  arch->layer_scale = vit_entries_find(entries, "blocks.0.ls1.gamma") != NULL;
  arch->position_rule = arch->num_registers > 0 ? VIT_POSITION_ANTIALIAS : VIT_POSITION_DINO;
  return LC_OK;
}

/* The shape that the metadata says is that of the tensors, or they do not fit it later; config.json
 * may be another model's. */
static lc_status said_shape(const struct vit_entries *entries, struct vit_arch *arch,
                            struct lc_error *err) {
  static const char *const keys[] = {"patch_size", "embed_dim", "depth"};
  size_t *values[] = {&arch->patch_size, &arch->embed_dim, &arch->depth};
  const struct vit_facts *facts = &entries->facts;
  for (int i = 0; i < 3; i++) {
    size_t said = *values[i];
    LC_TRY(vit_facts_size(facts, keys[i], &said, NULL, err));
    if (!vit_tensor_file_metadata(facts->file, keys[i]) && said != *values[i])
      LC_FAIL(err, LC_ERR_MISMATCH, "%s: says %s %zu, and lies beside %s, whose tensors have %zu",
              facts->config_path, keys[i], said, facts->file->path, *values[i]);
    *values[i] = said;
  }
  LC_TRY(vit_facts_size(facts, "mlp_dim", &arch->mlp_dim, NULL, err));
  LC_TRY(vit_facts_size(facts, "num_register_tokens", &arch->num_registers, NULL, err));
  const char *scale = vit_tensor_file_metadata(facts->file, "layer_scale");
  if (scale) arch->layer_scale = is_true(scale);
  return LC_OK;
}

static bool fits(size_t positions, size_t patches, size_t tokens) {
  return positions == patches || positions == patches + 1 ||
         (tokens > 0 && positions == patches + 1 + tokens);
}

/* The one square of patches that leaves rows for nothing, for CLS, or for CLS and other tokens. */
static lc_status square_grid(const struct vit_entries *entries, size_t positions, size_t tokens,
                             struct vit_arch *arch, struct lc_error *err) {
  const size_t others[] = {0, 1, 1 + tokens};
  size_t found = 0;
  for (int i = 0; i < (tokens > 0 ? 3 : 2); i++) {
    size_t side = positions > others[i] ? square_root(positions - others[i]) : 0;
    if (side == 0 || side * side + others[i] != positions) continue;
    if (found > 0 && found != side)
      LC_FAIL(err, LC_ERR_TENSOR,
              "%s: tensor \"pos_embed\" has %zu positions, which may be %zu x %zu or %zu x %zu "
              "patches; metadata grid_height and grid_width, or --arch, tell",
              entries->file->path, positions, found, found, side, side);
    found = side;
  }
  arch->grid_height = arch->grid_width = found;
  return LC_OK;
}

static lc_status find_grid(const struct vit_entries *entries, struct vit_arch *arch,
                           struct lc_error *err) {
  size_t positions = 0, tokens = arch->num_registers, rows = 0, columns = 0;
  bool given = false;
  const struct vit_facts *facts = &entries->facts;
  LC_TRY(axis_of(entries, "pos_embed", -2, &positions, err));
  if (vit_entries_find(entries, "dist_token")) tokens++;
  if (positions > (size_t)1 << 20)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"pos_embed\" has %zu positions, which is too many",
            facts->file->path, positions);
  LC_TRY(vit_facts_size(facts, "image_height", &rows, NULL, err));
  LC_TRY(vit_facts_size(facts, "image_width", &columns, NULL, err));
  rows /= arch->patch_size > 0 ? arch->patch_size : 1;
  columns /= arch->patch_size > 0 ? arch->patch_size : 1;
  if (facts->config && rows > 0 && fits(positions, rows * columns, tokens)) {
    arch->grid_height = rows;
    arch->grid_width = columns;
    given = true;
  }
  if (vit_tensor_file_metadata(facts->file, "grid_height")) given = true;
  if (!given) LC_TRY(square_grid(entries, positions, tokens, arch, err));
  LC_TRY(vit_facts_size(facts, "grid_height", &arch->grid_height, NULL, err));
  LC_TRY(vit_facts_size(facts, "grid_width", &arch->grid_width, NULL, err));
  size_t patches = arch->grid_height * arch->grid_width;
  if (!fits(positions, patches, tokens))
    LC_FAIL(err, LC_ERR_TENSOR,
            "%s: tensor \"pos_embed\" has %zu positions, expected %zu x %zu patches with or "
            "without CLS (metadata grid_height and grid_width tell a grid that is not square)",
            facts->file->path, positions, arch->grid_height, arch->grid_width);
  arch->position_on_cls = positions != patches;
  return LC_OK;
}

static lc_status find_image(const struct vit_entries *entries, struct vit_arch *arch,
                            struct lc_error *err) {
  size_t image = 0;
  const struct vit_facts *facts = &entries->facts;
  arch->image_height = arch->grid_height * arch->patch_size;
  arch->image_width = arch->grid_width * arch->patch_size;
  LC_TRY(vit_facts_size(facts, "img_size", &image, NULL, err));
  LC_TRY(vit_facts_size(facts, "input_size", &image, NULL, err));
  if (image > 0) arch->image_height = arch->image_width = image;
  LC_TRY(vit_facts_size(facts, "image_height", &arch->image_height, NULL, err));
  return vit_facts_size(facts, "image_width", &arch->image_width, NULL, err);
}

static void find_position_rule(const struct vit_entries *entries, struct vit_arch *arch) {
  double number = 0;
  const char *offset = vit_tensor_file_metadata(entries->file, "interpolate_offset");
  const char *antialias = vit_tensor_file_metadata(entries->file, "interpolate_antialias");
  if (offset && lc_text_to_double(offset, &number))
    arch->position_rule = number > 0 ? VIT_POSITION_DINO : VIT_POSITION_SIZE;
  if (antialias && is_true(antialias)) arch->position_rule = VIT_POSITION_ANTIALIAS;
}

/* From what is said, else from the name of a published architecture. */
static lc_status find_heads(struct vit_entries *entries, struct vit_arch *arch,
                            struct lc_error *err) {
  bool found = false;
  char buffer[VIT_FACT_SIZE];
  const char *whence, *known = "", *path = entries->file->path, *slash = strrchr(path, '/');
  LC_TRY(vit_facts_size(&entries->facts, "num_heads", &arch->num_heads, &found, err));
  if (found) {
    if (!vit_tensor_file_metadata(entries->file, "num_heads"))
      vit_entries_assume(entries, "%zu heads by config.json", arch->num_heads);
    return LC_OK;
  }
  const char *name = vit_facts_get(&entries->facts, "architecture", buffer, &whence);
  if (name) arch->num_heads = vit_facts_heads_of(name, arch->embed_dim, arch->depth, &known);
  if (arch->num_heads == 0) {
    whence = "the file's name";
    arch->num_heads =
        vit_facts_heads_of(slash ? slash + 1 : path, arch->embed_dim, arch->depth, &known);
  }
  if (arch->num_heads == 0)
    LC_FAIL(err, LC_ERR_TENSOR,
            "%s: the number of attention heads is in no tensor, and no metadata, config.json or "
            "known name of an architecture says it; give --arch (a name, or a YAML model file with "
            "num_heads)",
            path);
  vit_entries_assume(entries, "%zu heads as %s by %s", arch->num_heads, known, whence);
  return LC_OK;
}

static lc_status find_epsilon(struct vit_entries *entries, struct vit_arch *arch,
                              struct lc_error *err) {
  char buffer[VIT_FACT_SIZE];
  const char *whence;
  const char *text = vit_facts_get(&entries->facts, "layer_norm_eps", buffer, &whence);
  double number = entries->scheme ? entries->scheme->layer_norm_eps : 0;
  if (text && !lc_text_to_double(text, &number))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %s \"layer_norm_eps\" is \"%.40s\", expected a number",
            entries->file->path, whence, text);
  if (number < 0)
    LC_FAIL(err, LC_ERR_TENSOR,
            "%s: the epsilon of the norms is in no tensor, and models with these names differ; "
            "put config.json beside the file, or give --arch",
            entries->file->path);
  if (!text && number == 0) number = 1e-6;
  if (!text)
    vit_entries_assume(entries, "epsilon %g of %s", number,
                       entries->scheme ? entries->scheme->name : "timm and DINO");
  else if (strcmp(whence, "config.json") == 0)
    vit_entries_assume(entries, "epsilon %s by config.json", text);
  arch->layer_norm_eps = (float)number;
  return LC_OK;
}

/* A word of a fact that must be among those that mean what is computed. */
static lc_status expect(struct vit_entries *entries, const char *key, const char *const *words,
                        const char *assumed, struct lc_error *err) {
  char buffer[VIT_FACT_SIZE];
  const char *whence, *text = vit_facts_get(&entries->facts, key, buffer, &whence);
  for (size_t i = 0; text && words[i]; i++)
    if (strcmp(text, words[i]) == 0) return LC_OK;
  if (text)
    LC_FAIL(err, LC_ERR_UNSUPPORTED,
            "%s: %s says %s \"%.40s\", which this forward pass does not compute; expected %s",
            entries->file->path, whence, key, text, words[0]);
  if (!assumed) return LC_OK;
  /* Files that say the shape in their metadata are written for this program. */
  if (!vit_tensor_file_metadata(entries->file, "num_heads"))
    vit_entries_assume(entries, "%s", assumed);
  return LC_OK;
}

lc_status vit_shape_check_said(struct vit_entries *entries, struct lc_error *err) {
  static const char *const kinds[] = {"vit", "deit", "vit_msn", "dinov2", "dinov2_with_registers",
                                      NULL}; /* of transformers */
  static const char *const activations[] = {"gelu", "gelu_python", "GELU", NULL};
  static const char *const poolings[] = {"token", "cls", "", NULL};
  LC_TRY(expect(entries, "model_type", kinds, NULL, err));
  LC_TRY(expect(entries, "activation", activations, "activation GELU", err));
  return expect(entries, "pooling", poolings, "pooling CLS", err);
}

lc_status vit_shape_find(struct vit_entries *entries, struct vit_arch *arch, struct lc_error *err) {
  char buffer[VIT_FACT_SIZE];
  LC_TRY(from_tensors(entries, arch, err));
  LC_TRY(said_shape(entries, arch, err));
  LC_TRY(find_grid(entries, arch, err));
  LC_TRY(find_image(entries, arch, err));
  find_position_rule(entries, arch);
  LC_TRY(find_heads(entries, arch, err));
  LC_TRY(find_epsilon(entries, arch, err));
  const char *name = vit_facts_get(&entries->facts, "architecture", buffer, NULL);
  lc_text_copy(arch->name, sizeof arch->name, name ? name : "custom");
  LC_TRY(vit_fold_positions(entries, arch->grid_height * arch->grid_width, err));
  if (vit_entries_find(entries, "register_tokens"))
    LC_TRY(axis_of(entries, "register_tokens", -2, &arch->num_registers, err));
  return LC_OK;
}
