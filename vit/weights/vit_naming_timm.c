/* timm's names where they are not DINO's. */
#include "vit/weights/vit_names.h"

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  static const char *const pairs[][2] = {{"reg_token", "register_tokens"}};
  return vit_name_of_pairs(pairs, sizeof pairs / sizeof *pairs, name, out);
}

const struct vit_naming vit_naming_timm = {
    .name = "timm", .doc = "reg_token", .canonical = canonical};
