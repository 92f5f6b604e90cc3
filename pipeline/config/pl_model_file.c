/* Reads the shape of a model from a name or a YAML model file, parses heads given as words, and
 * describes a shape in words. */
#include "pipeline/config/pl_model_file.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"

/* What a model file may say; 0 and "" leave the base's value. */
struct model_file {
  char *base, *name;
  long long image_height, image_width, grid_height, grid_width, patch_size;
  long long embed_dim, depth, num_heads, mlp_dim, num_registers;
  int layer_scale, position_on_cls; /* index into same_words */
  double layer_norm_eps;
  int position_rule;
  struct pl_list heads;
};

static const char *const same_words[] = {"same", "true", "false", NULL};
static const char *const rule_words[] = {"same", "dino", "size", "antialias", NULL};

#define AT(field) offsetof(struct model_file, field)
#define COUNT(field, high, doc)                                                                    \
  { #field, PL_INTEGER, AT(field), "0", 0, high, NULL, false, doc }

static const struct pl_key keys[] = {
    {"base", PL_TEXT, AT(base), "\"\"", 0, 0, NULL, false, "Named architecture to start from."},
    {"name", PL_TEXT, AT(name), "\"\"", 0, 0, NULL, false, "Name of this architecture."},
    COUNT(image_height, 8192, "Rows of the image."),
    COUNT(image_width, 8192, "Columns of the image."),
    COUNT(grid_height, 1024, "Rows of patches in the stored position encoding."),
    COUNT(grid_width, 1024, "Columns of patches in the stored position encoding."),
    COUNT(patch_size, 1024, "Edge of a patch in pixels."),
    COUNT(embed_dim, 16384, "Length of a token."),
    COUNT(depth, 256, "Number of blocks."),
    COUNT(num_heads, 256, "Attention heads of a block."),
    COUNT(mlp_dim, 65536, "Hidden length of the MLP."),
    COUNT(num_registers, 64, "Register tokens."),
    {"layer_scale", PL_CHOICE, AT(layer_scale), "same", 0, 0, same_words, false, "LayerScale."},
    {"position_on_cls", PL_CHOICE, AT(position_on_cls), "same", 0, 0, same_words, false,
     "The position encoding has a row for CLS."},
    {"layer_norm_eps", PL_REAL, AT(layer_norm_eps), "0", 0, 1, NULL, false, "Epsilon of norms."},
    {"position_rule", PL_CHOICE, AT(position_rule), "same", 0, 0, rule_words, false,
     "How the position encoding is brought to another grid."},
    {"heads", PL_LIST, AT(heads), "[]", 0, 0, NULL, false,
     "Prediction heads: NAME[:outputs=N][:hidden=N][:relu|gelu|tanh][:regression]."},
};

static const struct pl_schema schema = {
    .what = "model file", .keys = keys, .n_keys = sizeof keys / sizeof *keys};

static void take(size_t *field, long long value) {
  if (value > 0) *field = (size_t)value;
}

static void take_shape(struct vit_arch *arch, const struct model_file *file) {
  lc_text_copy(arch->name, sizeof arch->name, *file->name ? file->name : "custom");
  bool image = file->image_height > 0 || file->image_width > 0 || file->patch_size > 0;
  take(&arch->image_height, file->image_height);
  take(&arch->image_width, file->image_width);
  take(&arch->patch_size, file->patch_size);
  if (image && arch->patch_size > 0) { /* the stored grid follows the image unless it is given */
    arch->grid_height = arch->image_height / arch->patch_size;
    arch->grid_width = arch->image_width / arch->patch_size;
  }
  take(&arch->grid_height, file->grid_height);
  take(&arch->grid_width, file->grid_width);
  take(&arch->embed_dim, file->embed_dim);
  if (file->embed_dim > 0) arch->mlp_dim = 4 * arch->embed_dim;
  take(&arch->mlp_dim, file->mlp_dim);
  take(&arch->depth, file->depth);
  take(&arch->num_heads, file->num_heads);
  take(&arch->num_registers, file->num_registers);
  if (file->layer_scale > 0) arch->layer_scale = file->layer_scale == 1;
  if (file->position_on_cls > 0) arch->position_on_cls = file->position_on_cls == 1;
  if (file->layer_norm_eps > 0) arch->layer_norm_eps = (float)file->layer_norm_eps;
  if (file->position_rule > 0) arch->position_rule = (vit_position_rule)(file->position_rule - 1);
}

static lc_status from_file(struct vit_arch *arch, const char *path, struct model_file *file,
                           struct lc_error *err) {
  LC_TRY(pl_schema_init(&schema, file, err));
  LC_TRY(pl_schema_read(&schema, file, path, err));
  LC_TRY(vit_arch_named(arch, *file->base ? file->base : "vit_small_patch8", err));
  take_shape(arch, file);
  for (size_t i = 0; i < file->heads.n; i++) LC_TRY(pl_head_parse(arch, file->heads.items[i], err));
  return vit_arch_check(arch, err);
}

static bool ends_in(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n > m && strcmp(text + n - m, end) == 0;
}

lc_status pl_model_architecture(struct vit_arch *arch, const char *subject, struct lc_error *err) {
  if (!ends_in(subject, ".yaml") && !ends_in(subject, ".yml"))
    return vit_arch_named(arch, subject, err);
  struct model_file file = {0};
  lc_status status = from_file(arch, subject, &file, err);
  pl_schema_free(&schema, &file);
  if (status != LC_OK && err && strncmp(err->message, subject, strlen(subject)) != 0)
    lc_error_prefix(err, "%s", subject);
  return status;
}

lc_status pl_load_take(const struct pl_load *load, struct vit_load *how, struct vit_arch *arch,
                       struct lc_error *err) {
  *how = (struct vit_load){.arch = NULL};
  if (!load) return LC_OK;
  how->which = load->which;
  how->ignore = (const char *const *)load->ignore.items;
  how->n_ignore = load->ignore.n;
  if (!load->architecture || !*load->architecture) return LC_OK;
  how->arch = arch;
  return pl_model_architecture(arch, load->architecture, err);
}

lc_status pl_model_load(struct vit_model *model, const char *path, const struct pl_load *load,
                        struct lc_error *err) {
  struct vit_arch arch;
  struct vit_load how;
  LC_TRY(pl_load_take(load, &how, &arch, err));
  LC_TRY(vit_model_load_with(model, path, &how, err));
  if (model->assumed) lc_log(LC_LOG_WARNING, "%s: assumed %s", path, model->assumed);
  return LC_OK;
}

static bool count_of(const char *part, const char *word, long long *value) {
  size_t n = strlen(word);
  return strncmp(part, word, n) == 0 && lc_text_to_long(part + n, value) && *value >= 0 &&
         *value <= 65536;
}

lc_status pl_model_check_finished(const struct vit_model *model, const char *path,
                                  struct lc_error *err) {
  const char *note = vit_tensor_file_metadata(&model->file, "note");
  bool between = note && (strncmp(note, "checkpoint of a training", 24) == 0 ||
                          strncmp(note, "best of a training", 18) == 0);
  for (size_t h = 0; between && h < model->arch.n_heads; h++)
    if (strcmp(model->arch.heads[h].name, "biomarkers") == 0)
      LC_FAIL(err, LC_ERR_MISMATCH,
              "%s: %s, whose biomarkers are z-scores; expected the model.safetensors of a finished "
              "run",
              path, note);
  return LC_OK;
}

lc_status pl_head_parse(struct vit_arch *arch, const char *spec, struct lc_error *err) {
  char copy[256], *rest = NULL;
  if (strlen(spec) >= sizeof copy) LC_FAIL(err, LC_ERR_USAGE, "head %.40s...: too long", spec);
  lc_text_copy(copy, sizeof copy, spec);
  const char *name = strtok_r(copy, ":", &rest);
  long long outputs = 1, hidden = 0;
  bool regression = false;
  vit_head_activation activation = VIT_HEAD_RELU;
  if (!name || spec[0] == ':' || strlen(name) >= VIT_NAME_SIZE)
    LC_FAIL(err, LC_ERR_USAGE,
            "head '%s': expected NAME[:outputs=N][:hidden=N][:ACTIVATION][:regression]", spec);
  for (const char *part = strtok_r(NULL, ":", &rest); part; part = strtok_r(NULL, ":", &rest)) {
    if (strcmp(part, "regression") == 0)
      regression = true;
    else if (!vit_head_activation_parse(part, &activation) &&
             !count_of(part, "outputs=", &outputs) && !count_of(part, "hidden=", &hidden))
      LC_FAIL(err, LC_ERR_USAGE,
              "head '%s': '%s' is not understood, expected outputs=N, hidden=N, relu, gelu, tanh "
              "or regression",
              spec, part);
  }
  if (outputs == 0) LC_FAIL(err, LC_ERR_USAGE, "head '%s': expected at least one output", spec);
  LC_TRY(vit_arch_add_head(arch, name, (size_t)hidden, (size_t)outputs, !regression, err));
  arch->heads[arch->n_heads - 1].activation = activation;
  return LC_OK;
}

void pl_model_describe(const struct vit_arch *arch, struct lc_text *out) {
  lc_text_add(out,
              "%s: image %zux%zu, stored grid %zux%zu, patch %zu, dim %zu, depth %zu, heads %zu, "
              "mlp %zu, registers %zu, layer scale %s, position on cls %s, eps %g, position rule "
              "%s; outputs",
              arch->name, arch->image_height, arch->image_width, arch->grid_height,
              arch->grid_width, arch->patch_size, arch->embed_dim, arch->depth, arch->num_heads,
              arch->mlp_dim, arch->num_registers, arch->layer_scale ? "yes" : "no",
              arch->position_on_cls ? "yes" : "no", (double)arch->layer_norm_eps,
              rule_words[(int)arch->position_rule + 1]);
  for (size_t i = 0; i < arch->n_heads; i++) {
    const struct vit_head_shape *head = &arch->heads[i];
    lc_text_add(out, "%s %s:outputs=%zu", i > 0 ? "," : "", head->name, head->outputs);
    if (head->hidden > 0) lc_text_add(out, ":hidden=%zu", head->hidden);
    if (head->hidden > 0 && head->activation != VIT_HEAD_RELU)
      lc_text_add(out, ":%s", vit_head_activation_name(head->activation));
    if (!head->sigmoid) lc_text_add(out, ":regression");
  }
}
