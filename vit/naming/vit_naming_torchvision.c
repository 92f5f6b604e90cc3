/* torchvision's names of a VisionTransformer (torchvision/models/vision_transformer.py). */
#include "vit/naming/vit_names.h"

static const char *const whole[][2] = {{"class_token", "cls_token"},
                                       {"encoder.pos_embedding", "pos_embed"},
                                       {"conv_proj.weight", "patch_embed.proj.weight"},
                                       {"conv_proj.bias", "patch_embed.proj.bias"},
                                       {"encoder.ln.weight", "norm.weight"},
                                       {"encoder.ln.bias", "norm.bias"},
                                       {"heads.pre_logits.weight", "pre_logits.fc.weight"},
                                       {"heads.pre_logits.bias", "pre_logits.fc.bias"},
                                       {"heads.head.weight", "head.weight"},
                                       {"heads.head.bias", "head.bias"}};

static const char *const within[][2] = {{"ln_1.", "norm1."},
                                        {"ln_2.", "norm2."},
                                        {"self_attention.in_proj_", "attn.qkv."},
                                        {"self_attention.out_proj.", "attn.proj."},
                                        {"mlp.linear_1.", "mlp.fc1."},
                                        {"mlp.linear_2.", "mlp.fc2."},
                                        {"mlp.0.", "mlp.fc1."},
                                        {"mlp.3.", "mlp.fc2."}};

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  return vit_name_of_pairs(whole, sizeof whole / sizeof *whole, name, out) ||
         vit_name_of_block("encoder.layers.encoder_layer_", within, sizeof within / sizeof *within,
                           name, out);
}

const struct vit_naming vit_naming_torchvision = {
    .name = "torchvision",
    .doc = "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
    .canonical = canonical};
