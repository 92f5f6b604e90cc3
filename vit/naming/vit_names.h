/* What the parameters of published models are called, brought to one naming: a table of naming
 * schemes, one file each (docs/extending.md shows how to add one).
 *
 * Canonical names are DINO's, DINOv2's and timm's (blocks.0.attn.qkv.weight); docs/weights.md lists
 * them with their shapes. Besides those a scheme may answer with what vit_fold.h and vit_heads.h
 * make parameters of: blocks.N.attn.q.weight, .k. and .v.; dist_token; pooler.dense.weight;
 * pre_logits.fc.weight; classifier.weight and the other roots of heads.
 *
 * The prefixes that training code puts before any name ("module.", "teacher.", ...) are taken off
 * first, any number in any order: a scheme never sees them. Those of whole models around a backbone
 * ("encoder.", "visual.", "trunk.", ...) are taken off where no scheme knows the name with them.
 *
 * Thread-safety: pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define VIT_PARAMETER_NAME 128

struct vit_naming {
  const char *name; /* "torchvision" */
  const char *doc;  /* an example: "encoder.layers.encoder_layer_0.self_attention.in_proj_weight" */
  /* Writes the canonical name of a parameter that the scheme calls `name`; false, and nothing
   * written, for a name that is not the scheme's. */
  bool (*canonical)(const char *name, char out[VIT_PARAMETER_NAME]);
  /* Epsilon of the norms of models that have these names, where the file does not say it: 0 for
   * 1e-6, negative when models with these names differ. */
  double layer_norm_eps;
};

struct vit_name {
  char canonical[VIT_PARAMETER_NAME];
  const struct vit_naming *scheme; /* NULL: canonical already, or known to none */
  int rank; /* of the network among those of one file: 1 averaged over time, 0, -1 the student */
};

/* A name that none knows stays as it is without prefixes; one that is too long is cut, and so
 * matches nothing. */
void vit_name_canonical(const char *name, struct vit_name *out);

/* For schemes that rename whole names: when `name` is the first of one of the n pairs, writes the
 * pair's second into out and says true; else false, and nothing is written. */
bool vit_name_of_pairs(const char *const (*pairs)[2], size_t n, const char *name,
                       char out[VIT_PARAMETER_NAME]);
/* For schemes that number blocks: when `name` is `layer`, digits, a dot and then the first of one
 * of the n pairs, writes "blocks.DIGITS." with the pair's second. A pair that ends in a dot stands
 * for all names that go on from there. */
bool vit_name_of_block(const char *layer, const char *const (*pairs)[2], size_t n, const char *name,
                       char out[VIT_PARAMETER_NAME]);
