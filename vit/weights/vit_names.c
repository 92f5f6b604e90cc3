/* Translates the parameter names of torchvision, DINOv2 and wrappers of training code to canonical
 * names by tables. */
#include "vit/weights/vit_names.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"

/* Wrappers that training code puts around a model; any number of them, in any order. The network
 * that is averaged over time is the one to use, the student is the second choice. */
static const struct {
  const char *text;
  int rank;
} prefixes[] = {{"module.", 0},    {"_orig_mod.", 0}, {"state_dict.", 0}, {"model_state_dict.", 0},
                {"model_ema.", 2}, {"teacher.", 2},   {"student.", -2},   {"backbone.", 0},
                {"model.", 0},     {"net.", 0},       {"vit.", 0},        {"target_encoder.", 2}};

static const struct {
  const char *from, *to;
} whole[] = {{"class_token", "cls_token"},
             {"reg_token", "register_tokens"},
             {"encoder.pos_embedding", "pos_embed"},
             {"conv_proj.weight", "patch_embed.proj.weight"},
             {"conv_proj.bias", "patch_embed.proj.bias"},
             {"encoder.ln.weight", "norm.weight"},
             {"encoder.ln.bias", "norm.bias"},
             {"heads.head.weight", "head.weight"},
             {"heads.head.bias", "head.bias"}};

/* Endings within a block of torchvision. */
static const struct {
  const char *from, *to;
} within[] = {{"ln_1.", "norm1."},
              {"ln_2.", "norm2."},
              {"self_attention.in_proj_", "attn.qkv."},
              {"self_attention.out_proj.", "attn.proj."},
              {"mlp.linear_1.", "mlp.fc1."},
              {"mlp.linear_2.", "mlp.fc2."},
              {"mlp.0.", "mlp.fc1."},
              {"mlp.3.", "mlp.fc2."}};

static bool starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

static const char *strip(const char *name, int *rank) {
  for (bool again = true; again;) {
    again = false;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
      if (!starts_with(name, prefixes[i].text)) continue;
      name += strlen(prefixes[i].text);
      *rank += prefixes[i].rank;
      again = true;
    }
  }
  return name;
}

int vit_name_canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  static const char layer[] = "encoder.layers.encoder_layer_";
  int rank = 0;
  name = strip(name, &rank);
  for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
    if (strcmp(name, whole[i].from) == 0) name = whole[i].to;
  lc_text_copy(out, VIT_PARAMETER_NAME, name);
  if (!starts_with(name, layer)) return rank;
  const char *rest = strchr(name + sizeof layer - 1, '.');
  if (!rest) return rank;
  int digits = (int)(rest - (name + sizeof layer - 1));
  for (size_t i = 0; i < sizeof within / sizeof within[0]; i++)
    if (starts_with(rest + 1, within[i].from))
      snprintf(out, VIT_PARAMETER_NAME, "blocks.%.*s.%s%s", digits, name + sizeof layer - 1,
               within[i].to, rest + 1 + strlen(within[i].from));
  return rank;
}
