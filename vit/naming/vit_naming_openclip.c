/* OpenCLIP's names beyond those of the timm model that is its visual tower, as BiomedCLIP has it
 * (open_clip/timm_model.py): the projection into the space that images and texts share. */
#include "vit/naming/vit_names.h"

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  static const char *const pairs[][2] = {{"head.proj.weight", "heads.proj.weight"},
                                         {"head.proj.bias", "heads.proj.bias"}};
  return vit_name_of_pairs(pairs, sizeof pairs / sizeof *pairs, name, out);
}

const struct vit_naming vit_naming_openclip = {
    .name = "openclip", .doc = "visual.head.proj.weight", .canonical = canonical};
