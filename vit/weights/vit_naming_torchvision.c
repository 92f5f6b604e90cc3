/* torchvision's names of a VisionTransformer (torchvision/models/vision_transformer.py). */
#include <stdio.h>
#include <string.h>

#include "vit/weights/vit_names.h"

static const char *const whole[][2] = {{"class_token", "cls_token"},
                                       {"encoder.pos_embedding", "pos_embed"},
                                       {"conv_proj.weight", "patch_embed.proj.weight"},
                                       {"conv_proj.bias", "patch_embed.proj.bias"},
                                       {"encoder.ln.weight", "norm.weight"},
                                       {"encoder.ln.bias", "norm.bias"},
                                       {"heads.head.weight", "head.weight"},
                                       {"heads.head.bias", "head.bias"}};

/* Beginnings within a block. */
static const char *const within[][2] = {{"ln_1.", "norm1."},
                                        {"ln_2.", "norm2."},
                                        {"self_attention.in_proj_", "attn.qkv."},
                                        {"self_attention.out_proj.", "attn.proj."},
                                        {"mlp.linear_1.", "mlp.fc1."},
                                        {"mlp.linear_2.", "mlp.fc2."},
                                        {"mlp.0.", "mlp.fc1."},
                                        {"mlp.3.", "mlp.fc2."}};

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  static const char layer[] = "encoder.layers.encoder_layer_";
  if (vit_name_of_pairs(whole, sizeof whole / sizeof *whole, name, out)) return true;
  if (strncmp(name, layer, sizeof layer - 1) != 0) return false;
  const char *number = name + sizeof layer - 1, *rest = strchr(number, '.');
  for (size_t i = 0; rest && i < sizeof within / sizeof *within; i++) {
    size_t length = strlen(within[i][0]);
    if (strncmp(rest + 1, within[i][0], length) != 0) continue;
    snprintf(out, VIT_PARAMETER_NAME, "blocks.%.*s.%s%s", (int)(rest - number), number,
             within[i][1], rest + 1 + length);
    return true;
  }
  return false;
}

const struct vit_naming vit_naming_torchvision = {
    .name = "torchvision",
    .doc = "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
    .canonical = canonical};
