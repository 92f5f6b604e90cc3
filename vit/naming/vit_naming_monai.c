/* MONAI's names of a two-dimensional ViT with a convolution as patch embedding
 * (monai/networks/nets/vit.py), whose norms have PyTorch's epsilon. A head within
 * "classification_head.0" is followed by a tanh, and so stays unknown. */
#include "vit/naming/vit_names.h"

static const char *const whole[][2] = {
    {"patch_embedding.position_embeddings", "pos_embed"},
    {"patch_embedding.cls_token", "cls_token"},
    {"patch_embedding.patch_embeddings.weight", "patch_embed.proj.weight"},
    {"patch_embedding.patch_embeddings.bias", "patch_embed.proj.bias"},
    {"classification_head.weight", "head.weight"},
    {"classification_head.bias", "head.bias"}};

static const char *const within[][2] = {
    {"attn.out_proj.", "attn.proj."}, {"mlp.linear1.", "mlp.fc1."}, {"mlp.linear2.", "mlp.fc2."}};

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  return vit_name_of_pairs(whole, sizeof whole / sizeof *whole, name, out) ||
         vit_name_of_block("blocks.", within, sizeof within / sizeof *within, name, out);
}

const struct vit_naming vit_naming_monai = {.name = "monai",
                                            .doc = "patch_embedding.patch_embeddings.weight",
                                            .canonical = canonical,
                                            .layer_norm_eps = 1e-5};
