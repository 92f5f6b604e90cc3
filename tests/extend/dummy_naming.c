/* A naming scheme of weights that docs/extending.md shows: canonical names behind "dummy/". */
#include <string.h>

#include "common/lc_text.h"
#include "vit/weights/vit_names.h"

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  if (strncmp(name, "dummy/", 6) != 0) return false;
  lc_text_copy(out, VIT_PARAMETER_NAME, name + 6);
  return true;
}

const struct vit_naming vit_naming_dummy = {
    .name = "dummy", .doc = "dummy/blocks.0.attn.qkv.weight", .canonical = canonical};
