/* Holds the table of named architectures, checks shapes, adds heads and names the outputs. */
#include "vit/weights/vit_arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"

struct named {
  const char *name;
  size_t image, grid, patch, dim, depth, heads, registers;
  bool dinov2;
};

static const struct named table[] = {
    {"vit_tiny_patch8", 224, 28, 8, 192, 12, 3, 0, false},
    {"vit_tiny_patch16", 224, 14, 16, 192, 12, 3, 0, false},
    {"vit_small_patch8", 224, 28, 8, 384, 12, 6, 0, false},
    {"vit_small_patch16", 224, 14, 16, 384, 12, 6, 0, false},
    {"vit_base_patch8", 224, 28, 8, 768, 12, 12, 0, false},
    {"vit_base_patch16", 224, 14, 16, 768, 12, 12, 0, false},
    {"dinov2_vits14", 224, 37, 14, 384, 12, 6, 0, true},
    {"dinov2_vits14_reg", 224, 37, 14, 384, 12, 6, 4, true},
    {"dinov2_vitb14", 224, 37, 14, 768, 12, 12, 0, true},
    {"dinov2_vitb14_reg", 224, 37, 14, 768, 12, 12, 4, true},
};

#define N_NAMED (sizeof table / sizeof table[0])

static const char *const names[N_NAMED + 1] = {
    "vit_tiny_patch8",
    "vit_tiny_patch16",
    "vit_small_patch8",
    "vit_small_patch16",
    "vit_base_patch8",
    "vit_base_patch16",
    "dinov2_vits14",
    "dinov2_vits14_reg",
    "dinov2_vitb14",
    "dinov2_vitb14_reg",
    NULL,
};

static const char *const biomarkers[] = {"subtlety",    "calcification", "margin",  "lobulation",
                                         "spiculation", "diameter",      "texture", "sphericity"};

const char *const *vit_arch_names(void) {
  return names;
}

lc_status vit_arch_named(struct vit_arch *arch, const char *name, struct lc_error *err) {
  for (size_t i = 0; i < N_NAMED; i++) {
    const struct named *n = &table[i];
    if (strcmp(n->name, name) != 0) continue;
    *arch = (struct vit_arch){.image_height = n->image,
                              .image_width = n->image,
                              .grid_height = n->grid,
                              .grid_width = n->grid,
                              .patch_size = n->patch,
                              .embed_dim = n->dim,
                              .depth = n->depth,
                              .num_heads = n->heads,
                              .mlp_dim = 4 * n->dim,
                              .num_registers = n->registers,
                              .layer_scale = n->dinov2,
                              .position_on_cls = true,
                              .layer_norm_eps = 1e-6F,
                              .position_rule =
                                  n->registers > 0 ? VIT_POSITION_ANTIALIAS : VIT_POSITION_DINO};
    lc_text_copy(arch->name, sizeof arch->name, n->name);
    return LC_OK;
  }
  struct lc_text list = {0};
  for (size_t i = 0; i < N_NAMED; i++) lc_text_add(&list, "%s%s", i ? ", " : "", names[i]);
  lc_status status =
      lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__,
              "architecture \"%s\" is not known; expected one of %s", name, lc_text_get(&list));
  lc_text_free(&list);
  return status;
}

lc_status vit_arch_add_head(struct vit_arch *arch, const char *name, size_t hidden, size_t outputs,
                            bool sigmoid, struct lc_error *err) {
  if (arch->n_heads >= VIT_MAX_HEADS)
    LC_FAIL(err, LC_ERR_USAGE, "head \"%s\": a model holds at most %d heads", name, VIT_MAX_HEADS);
  if (name[0] == '\0' || strlen(name) >= VIT_NAME_SIZE || strpbrk(name, ". \t\n"))
    LC_FAIL(err, LC_ERR_USAGE, "head \"%.80s\": expected a name of 1 to %d letters without dots",
            name, VIT_NAME_SIZE - 1);
  for (size_t i = 0; i < arch->n_heads; i++)
    if (strcmp(arch->heads[i].name, name) == 0)
      LC_FAIL(err, LC_ERR_USAGE, "head \"%s\" is given twice", name);
  struct vit_head_shape *head = &arch->heads[arch->n_heads++];
  *head = (struct vit_head_shape){.hidden = hidden, .outputs = outputs, .sigmoid = sigmoid};
  lc_text_copy(head->name, sizeof head->name, name);
  return LC_OK;
}

static const char *const activations[] = {"relu", "gelu", "tanh"};

const char *vit_head_activation_name(vit_head_activation activation) {
  return activations[activation];
}

bool vit_head_activation_parse(const char *word, vit_head_activation *activation) {
  for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
    if (strcmp(word, activations[i]) != 0) continue;
    *activation = (vit_head_activation)i;
    return true;
  }
  return false;
}

double vit_head_activate(vit_head_activation activation, double x) {
  if (activation == VIT_HEAD_TANH) return tanh(x);
  if (activation == VIT_HEAD_GELU) return x * 0.5 * (1 + erf(x * sqrt(0.5)));
  return x > 0 ? x : 0;
}

double vit_head_slope(vit_head_activation activation, double x) {
  const double density = 0.3989422804014327; /* 1 / sqrt(2 pi) */
  if (activation == VIT_HEAD_TANH) return 1 - tanh(x) * tanh(x);
  if (activation == VIT_HEAD_GELU)
    return 0.5 * (1 + erf(x * sqrt(0.5))) + x * density * exp(-0.5 * x * x);
  return x > 0 ? 1 : 0;
}

static lc_status check_range(const char *field, size_t value, size_t low, size_t high,
                             struct lc_error *err) {
  if (value < low || value > high)
    LC_FAIL(err, LC_ERR_CONFIG, "model shape: %s is %zu, expected %zu to %zu", field, value, low,
            high);
  return LC_OK;
}

static lc_status check_heads(const struct vit_arch *arch, struct lc_error *err) {
  LC_TRY(check_range("number of prediction heads", arch->n_heads, 0, VIT_MAX_HEADS, err));
  size_t outputs = 0;
  for (size_t i = 0; i < arch->n_heads; i++) {
    LC_TRY(check_range("outputs of a head", arch->heads[i].outputs, 1, VIT_MAX_OUTPUTS, err));
    LC_TRY(check_range("hidden width of a head", arch->heads[i].hidden, 0, 65536, err));
    outputs += arch->heads[i].outputs;
  }
  return check_range("outputs of all heads", outputs, 0, VIT_MAX_OUTPUTS, err);
}

lc_status vit_arch_check(const struct vit_arch *arch, struct lc_error *err) {
  LC_TRY(check_range("patch_size", arch->patch_size, 1, 256, err));
  LC_TRY(check_range("embed_dim", arch->embed_dim, 1, 16384, err));
  LC_TRY(check_range("depth", arch->depth, 1, 256, err));
  LC_TRY(check_range("num_heads", arch->num_heads, 1, 1024, err));
  LC_TRY(check_range("mlp_dim", arch->mlp_dim, 1, 131072, err));
  LC_TRY(check_range("num_register_tokens", arch->num_registers, 0, 1024, err));
  LC_TRY(check_range("grid_height", arch->grid_height, 1, 1024, err));
  LC_TRY(check_range("grid_width", arch->grid_width, 1, 1024, err));
  LC_TRY(check_range("image_height", arch->image_height, arch->patch_size, 16384, err));
  LC_TRY(check_range("image_width", arch->image_width, arch->patch_size, 16384, err));
  if (arch->embed_dim % arch->num_heads != 0)
    LC_FAIL(err, LC_ERR_CONFIG, "model shape: num_heads %zu does not divide embed_dim %zu",
            arch->num_heads, arch->embed_dim);
  if (arch->image_height % arch->patch_size != 0 || arch->image_width % arch->patch_size != 0)
    LC_FAIL(err, LC_ERR_CONFIG, "model shape: patch_size %zu does not divide the image %zu x %zu",
            arch->patch_size, arch->image_height, arch->image_width);
  if (!(arch->layer_norm_eps > 0.0F && arch->layer_norm_eps < 1.0F))
    LC_FAIL(err, LC_ERR_CONFIG, "model shape: layer_norm_eps is %g, expected between 0 and 1",
            (double)arch->layer_norm_eps);
  LC_TRY(check_heads(arch, err));
  if (vit_arch_parameters(arch) > ((size_t)1 << 33))
    LC_FAIL(err, LC_ERR_CONFIG, "model shape: %zu parameters, expected at most 2^33",
            vit_arch_parameters(arch));
  return LC_OK;
}

size_t vit_arch_outputs(const struct vit_arch *arch) {
  size_t outputs = 0;
  for (size_t i = 0; i < arch->n_heads; i++) outputs += arch->heads[i].outputs;
  return outputs;
}

/* The head that an output belongs to; the output's number within it goes to *within. */
static const struct vit_head_shape *head_of(const struct vit_arch *arch, size_t output,
                                            size_t *within) {
  for (size_t i = 0; i < arch->n_heads; i++) {
    if (output < arch->heads[i].outputs) {
      *within = output;
      return &arch->heads[i];
    }
    output -= arch->heads[i].outputs;
  }
  return NULL;
}

void vit_arch_output_name(const struct vit_arch *arch, size_t output, char name[VIT_NAME_SIZE]) {
  size_t within = 0;
  const struct vit_head_shape *head = head_of(arch, output, &within);
  char number[24];
  const char *last = number;
  snprintf(number, sizeof number, "%zu", within);
  if (!head) {
    lc_text_copy(name, VIT_NAME_SIZE, number);
    return;
  }
  if (head->outputs == 1) {
    lc_text_copy(name, VIT_NAME_SIZE, head->name);
    return;
  }
  if (strcmp(head->name, "biomarkers") == 0 && head->outputs == 8) last = biomarkers[within];
  snprintf(name, VIT_NAME_SIZE, "%.*s.%s", (int)(VIT_NAME_SIZE - 2 - strlen(last)), head->name,
           last);
}

lc_status vit_arch_find_output(const struct vit_arch *arch, const char *name, size_t *output,
                               struct lc_error *err) {
  size_t outputs = vit_arch_outputs(arch);
  for (size_t i = 0; i < outputs; i++) {
    char full[VIT_NAME_SIZE];
    vit_arch_output_name(arch, i, full);
    const char *dot = strchr(full, '.');
    if (strcmp(full, name) == 0 || (dot && strcmp(dot + 1, name) == 0 && arch->n_heads == 1)) {
      *output = i;
      return LC_OK;
    }
  }
  long long number = 0;
  if (lc_text_to_long(name, &number) && number >= 0 && (unsigned long long)number < outputs) {
    *output = (size_t)number;
    return LC_OK;
  }
  struct lc_text list = {0};
  for (size_t i = 0; i < outputs && i < 16; i++) {
    char full[VIT_NAME_SIZE];
    vit_arch_output_name(arch, i, full);
    lc_text_add(&list, "%s%s", i ? ", " : "", full);
  }
  if (outputs > 16) lc_text_add(&list, " ... (%zu in all)", outputs);
  lc_status status = lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__,
                             "output \"%s\" is not in the model; expected an index below %zu or "
                             "one of: %s",
                             name, outputs, lc_text_get(&list));
  lc_text_free(&list);
  return status;
}

bool vit_arch_output_is_logit(const struct vit_arch *arch, size_t output) {
  size_t within = 0;
  const struct vit_head_shape *head = head_of(arch, output, &within);
  return head && head->sigmoid;
}

size_t vit_arch_parameters(const struct vit_arch *arch) {
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim;
  size_t block =
      4 * dim + 3 * dim * (dim + 1) + dim * (dim + 1) + mlp * (dim + 1) + dim * (mlp + 1);
  if (arch->layer_scale) block += 2 * dim;
  size_t positions = arch->grid_height * arch->grid_width + (arch->position_on_cls ? 1 : 0);
  size_t total = dim + arch->num_registers * dim + positions * dim + arch->depth * block +
                 dim * (VIT_CHANNELS * arch->patch_size * arch->patch_size + 1) + 2 * dim;
  for (size_t i = 0; i < arch->n_heads; i++) {
    const struct vit_head_shape *head = &arch->heads[i];
    size_t width = dim;
    if (head->hidden > 0) {
      total += head->hidden * (dim + 1);
      width = head->hidden;
    }
    total += head->outputs * (width + 1);
  }
  return total;
}
