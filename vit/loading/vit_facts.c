/* Reads config.json beside a weight file, and knows the head counts of published architectures. */
#include "vit/loading/vit_facts.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_text.h"

#define CONFIG_LIMIT ((size_t)4 << 20)

lc_status vit_facts_init(struct vit_facts *facts, const struct vit_tensor_file *file,
                         struct lc_error *err) {
  char path[LC_PATH_SIZE];
  char *text = NULL;
  size_t count = 0;
  json_error_t why;
  *facts = (struct vit_facts){.file = file};
  const char *slash = strrchr(file->path, '/');
  int folder = slash ? (int)(slash - file->path) + 1 : 0;
  if (vit_tensor_file_metadata(file, "num_heads") ||
      snprintf(path, sizeof path, "%.*sconfig.json", folder, file->path) >= (int)sizeof path ||
      !lc_file_exists(path))
    return LC_OK;
  LC_TRY(lc_file_read(path, CONFIG_LIMIT, &text, &count, err));
  facts->config = json_loadb(text, count, 0, &why);
  free(text);
  if (!json_is_object((json_t *)facts->config)) {
    vit_facts_free(facts);
    LC_FAIL(err, LC_ERR_FORMAT, "%s: is no JSON object, and lies beside %s", path, file->path);
  }
  facts->config_path = strdup(path);
  if (!facts->config_path) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  return LC_OK;
}

void vit_facts_free(struct vit_facts *facts) {
  json_decref(facts->config);
  free(facts->config_path);
  *facts = (struct vit_facts){0};
}

/* What config.json calls a fact: transformers' words, then timm's. */
static const struct {
  const char *key, *words[3];
} words[] = {{"num_heads", {"num_attention_heads", "num_heads"}},
             {"embed_dim", {"hidden_size", "embed_dim", "num_features"}},
             {"depth", {"num_hidden_layers", "depth"}},
             {"patch_size", {"patch_size"}},
             {"image_height", {"image_size", "img_size"}},
             {"image_width", {"image_size", "img_size"}},
             {"layer_norm_eps", {"layer_norm_eps"}},
             {"activation", {"hidden_act", "act_layer"}},
             {"pooling", {"global_pool"}},
             {"model_type", {"model_type"}},
             {"architecture", {"architecture"}}};

/* "[224, 192]" is height, then width. */
static const json_t *axis_of(const json_t *value, const char *key) {
  return json_is_array(value) ? json_array_get(value, strcmp(key, "image_width") == 0) : value;
}

static const char *as_text(const json_t *value, char buffer[VIT_FACT_SIZE]) {
  if (json_is_string(value)) return json_string_value(value);
  if (json_is_integer(value))
    snprintf(buffer, VIT_FACT_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  else if (json_is_real(value))
    snprintf(buffer, VIT_FACT_SIZE, "%.9g", json_real_value(value));
  else if (json_is_boolean(value))
    snprintf(buffer, VIT_FACT_SIZE, "%s", json_is_true(value) ? "true" : "false");
  else
    return NULL;
  return buffer;
}

/* A model of two towers describes the one for images in "vision_config". */
static const char *from_config(const json_t *config, const char *key, char buffer[VIT_FACT_SIZE]) {
  const json_t *within[] = {json_object_get(config, "model_args"),
                            json_object_get(config, "vision_config"), config};
  for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
    if (strcmp(words[k].key, key) != 0) continue;
    for (size_t i = 0; i < 3; i++)
      for (size_t w = 0; w < 3 && words[k].words[w]; w++) {
        const json_t *value = axis_of(json_object_get(within[i], words[k].words[w]), key);
        const char *text = as_text(value, buffer);
        if (text) return text;
      }
  }
  return NULL;
}

const char *vit_facts_get(const struct vit_facts *facts, const char *key,
                          char buffer[VIT_FACT_SIZE], const char **whence) {
  const char *text = vit_tensor_file_metadata(facts->file, key);
  if (whence) *whence = text ? "metadata" : "config.json";
  if (text || !facts->config) return text;
  return from_config(facts->config, key, buffer);
}

lc_status vit_facts_size(const struct vit_facts *facts, const char *key, size_t *value, bool *found,
                         struct lc_error *err) {
  char buffer[VIT_FACT_SIZE];
  const char *whence, *text = vit_facts_get(facts, key, buffer, &whence);
  long long number = 0;
  if (found) *found = text != NULL;
  if (!text) return LC_OK;
  if (!lc_text_to_long(text, &number) || number < 0 || number > 1000000)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %s \"%s\" is \"%.40s\", expected a whole number",
            facts->file->path, whence, key, text);
  *value = (size_t)number;
  return LC_OK;
}

/* timm, DeiT, DINO, DINOv2, torchvision; dashes and underscores are the same. */
static const struct {
  const char *name;
  size_t embed_dim, depth, heads;
} published[] = {
    {"vit_tiny", 192, 12, 3},     {"vit_small", 384, 12, 6},      {"vit_medium", 512, 12, 8},
    {"vit_base", 768, 12, 12},    {"vit_large", 1024, 24, 16},    {"vit_huge", 1280, 32, 16},
    {"vit_giant", 1408, 40, 16},  {"vit_gigantic", 1664, 48, 16}, {"deit_tiny", 192, 12, 3},
    {"deit_small", 384, 12, 6},   {"deit_base", 768, 12, 12},     {"deit3_small", 384, 12, 6},
    {"deit3_medium", 512, 12, 8}, {"deit3_base", 768, 12, 12},    {"deit3_large", 1024, 24, 16},
    {"deit3_huge", 1280, 32, 16}, {"deitsmall", 384, 12, 6},      {"vitbase", 768, 12, 12},
    {"vits8", 384, 12, 6},        {"vits16", 384, 12, 6},         {"vitb8", 768, 12, 12},
    {"vitb16", 768, 12, 12},      {"vits14", 384, 12, 6},         {"vitb14", 768, 12, 12},
    {"vitl14", 1024, 24, 16},     {"vit_b_16", 768, 12, 12},      {"vit_b_32", 768, 12, 12},
    {"vit_l_16", 1024, 24, 16},   {"vit_l_32", 1024, 24, 16},     {"vit_h_14", 1280, 32, 16}};

size_t vit_facts_heads_of(const char *text, size_t embed_dim, size_t depth, const char **name) {
  char low[256];
  lc_text_copy(low, sizeof low, text);
  for (char *c = low; *c; c++) *c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
  for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
    if (published[i].embed_dim != embed_dim || published[i].depth != depth) continue;
    if (!strstr(low, published[i].name)) continue;
    if (name) *name = published[i].name;
    return published[i].heads;
  }
  return 0;
}
