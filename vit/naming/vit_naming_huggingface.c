/* Names of transformers' ViT, MSN and DeiT, as files have them and as state_dict() of transformers
 * 5 has them (src/transformers/models/vit/modeling_vit.py). ViT and DeiT have 1e-12 as epsilon, MSN
 * 1e-6: config.json says it. */
#include "vit/naming/vit_names.h"

static const char *const whole[][2] = {
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.position_embeddings", "pos_embed"},
    {"embeddings.distillation_token", "dist_token"},
    {"embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight"},
    {"embeddings.patch_embeddings.projection.bias", "patch_embed.proj.bias"},
    {"layernorm.weight", "norm.weight"},
    {"layernorm.bias", "norm.bias"}};

static const char *const within[][2] = {{"layernorm_before.", "norm1."},
                                        {"layernorm_after.", "norm2."},
                                        {"attention.attention.query.", "attn.q."},
                                        {"attention.attention.key.", "attn.k."},
                                        {"attention.attention.value.", "attn.v."},
                                        {"attention.output.dense.", "attn.proj."},
                                        {"attention.q_proj.", "attn.q."},
                                        {"attention.k_proj.", "attn.k."},
                                        {"attention.v_proj.", "attn.v."},
                                        {"attention.o_proj.", "attn.proj."},
                                        {"intermediate.dense.", "mlp.fc1."},
                                        {"output.dense.", "mlp.fc2."},
                                        {"mlp.fc1.", "mlp.fc1."},
                                        {"mlp.fc2.", "mlp.fc2."}};

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  size_t n = sizeof within / sizeof *within;
  return vit_name_of_pairs(whole, sizeof whole / sizeof *whole, name, out) ||
         vit_name_of_block("encoder.layer.", within, n, name, out) ||
         vit_name_of_block("layers.", within, n, name, out) ||
         vit_name_of_block("layer.", within, n, name, out);
}

const struct vit_naming vit_naming_huggingface = {
    .name = "huggingface",
    .doc = "encoder.layer.0.attention.attention.query.weight",
    .canonical = canonical,
    .layer_norm_eps = -1};
