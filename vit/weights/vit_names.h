/* What the parameters of published models are called, brought to one naming: a table of naming
 * schemes, one file each (docs/extending.md shows how to add one).
 *
 * Canonical names are DINO's, DINOv2's and timm's (blocks.0.attn.qkv.weight); docs/weights.md lists
 * them with their shapes, and the prefixes that training code puts before any name ("module.",
 * "teacher.", ...), which are taken off first, any number in any order: a scheme never sees them.
 *
 * A scheme renames whole tensors, one to one. A library whose query, key and value are tensors of
 * their own, or whose matrices are turned, needs more than a scheme: something that joins or turns
 * tensors before the model is built, which is not here.
 *
 * Thread-safety: pure functions. */
#pragma once

#include "vit/weights/vit_parameter.h"

struct vit_naming {
  const char *name; /* "torchvision" */
  const char *doc;  /* an example: "encoder.layers.encoder_layer_0.self_attention.in_proj_weight" */
  /* Writes the canonical name of a parameter that the scheme calls `name`; false, and nothing
   * written, for a name that is not the scheme's. */
  bool (*canonical)(const char *name, char out[VIT_PARAMETER_NAME]);
};

/* Prefixes off, then the first scheme of the table that knows the name; a name that none knows
 * stays as it is. out: VIT_PARAMETER_NAME bytes; a name that is too long is cut (and so matches
 * nothing). Returns how good a source this is when several tensors have one canonical name: higher
 * wins (a teacher before a student). */
int vit_name_canonical(const char *name, char out[VIT_PARAMETER_NAME]);

/* For schemes that rename whole names: when `name` is the first of one of the n pairs, writes the
 * pair's second into out and says true; else false, and nothing is written. */
bool vit_name_of_pairs(const char *const (*pairs)[2], size_t n, const char *name,
                       char out[VIT_PARAMETER_NAME]);
