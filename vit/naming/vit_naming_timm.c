/* timm's and DeiT's names where they are not DINO's. */
#include "vit/naming/vit_names.h"

static const char *const whole[][2] = {{"reg_token", "register_tokens"}};

/* DeiT III and BEiT; blocks with rotary positions have attn.q_bias beside it, which is refused. */
static const char *const within[][2] = {{"gamma_1", "ls1.gamma"}, {"gamma_2", "ls2.gamma"}};

static bool canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  return vit_name_of_pairs(whole, sizeof whole / sizeof *whole, name, out) ||
         vit_name_of_block("blocks.", within, sizeof within / sizeof *within, name, out);
}

const struct vit_naming vit_naming_timm = {
    .name = "timm", .doc = "reg_token", .canonical = canonical};
