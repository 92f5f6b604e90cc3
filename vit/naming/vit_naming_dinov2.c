/* DINOv2's names of a model whose blocks lie in chunks: blocks.CHUNK.N.norm1.weight, N counted
 * through all chunks (dinov2/models/vision_transformer.py, block_chunks). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vit/naming/vit_names.h"

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  if (strncmp(name, "blocks.", 7) != 0) return false;
  const char *chunk = name + 7, *number = chunk + strspn(chunk, "0123456789");
  if (number == chunk || *number != '.' || !isdigit((unsigned char)number[1])) return false;
  snprintf(out, VIT_PARAMETER_NAME, "blocks%s", number);
  return true;
}

const struct vit_naming vit_naming_dinov2 = {
    .name = "dinov2", .doc = "blocks.0.11.norm1.weight", .canonical = canonical};
