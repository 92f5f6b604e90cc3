/* Names of transformers' Dinov2 and Dinov2 with registers where they are not those of its ViT
 * (src/transformers/models/dinov2/modeling_dinov2.py). */
#include "vit/naming/vit_names.h"

static const char *const whole[][2] = {{"embeddings.register_tokens", "register_tokens"}};

static const char *const within[][2] = {{"norm1.", "norm1."},
                                        {"norm2.", "norm2."},
                                        {"layer_scale1.lambda1", "ls1.gamma"},
                                        {"layer_scale2.lambda1", "ls2.gamma"}};

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  size_t n = sizeof within / sizeof *within;
  return vit_name_of_pairs(whole, sizeof whole / sizeof *whole, name, out) ||
         vit_name_of_block("encoder.layer.", within, n, name, out) ||
         vit_name_of_block("layers.", within, n, name, out) ||
         vit_name_of_block("layer.", within, n, name, out);
}

const struct vit_naming vit_naming_huggingface_dinov2 = {.name = "huggingface_dinov2",
                                                         .doc =
                                                             "encoder.layer.0.layer_scale1.lambda1",
                                                         .canonical = canonical};
