/* What the parameters of published models are called, brought to one naming.
 *
 * Canonical names are DINO's and timm's (blocks.0.attn.qkv.weight). torchvision's
 * (encoder.layers.encoder_layer_0.self_attention.in_proj_weight), DINOv2's and wrappers' prefixes
 * ("module.", "backbone.", "model.", "teacher.", ...) are translated. */
#ifndef VIT_NAMES_H
#define VIT_NAMES_H

#include "vit/weights/vit_parameter.h"

/* out: VIT_PARAMETER_NAME bytes; a name that is too long is cut (and so matches nothing). Returns
 * how good a source this is when several tensors have one canonical name: higher wins (a teacher
 * before a student). */
int vit_name_canonical(const char *name, char out[VIT_PARAMETER_NAME]);

#endif
