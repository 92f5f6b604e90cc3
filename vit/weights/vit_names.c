/* The table of naming schemes, and the prefixes that training code puts before any name. */
#include "vit/weights/vit_names.h"

#include <string.h>

#include "common/lc_text.h"

#define NAMINGS(ENTRY)                                                                             \
  ENTRY(timm)                                                                                      \
  ENTRY(torchvision)
#define DECLARE(name) extern const struct vit_naming vit_naming_##name;
NAMINGS(DECLARE)
#define POINT(name) &vit_naming_##name,
/* The first that knows a name decides. */
static const struct vit_naming *const table[] = {NAMINGS(POINT) NULL};

/* Wrappers that training code puts around a model; any number of them, in any order. The network
 * that is averaged over time is the one to use, the student is the second choice. */
static const struct {
  const char *text;
  int rank;
} prefixes[] = {{"module.", 0},    {"_orig_mod.", 0}, {"state_dict.", 0}, {"model_state_dict.", 0},
                {"model_ema.", 2}, {"teacher.", 2},   {"student.", -2},   {"backbone.", 0},
                {"model.", 0},     {"net.", 0},       {"vit.", 0},        {"target_encoder.", 2}};

static bool starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

static const char *strip(const char *name, int *rank) {
  for (bool again = true; again;) {
    again = false;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
      if (!starts_with(name, prefixes[i].text)) continue;
      name += strlen(prefixes[i].text);
      *rank += prefixes[i].rank;
      again = true;
    }
  }
  return name;
}

int vit_name_canonical(const char *name, char out[VIT_PARAMETER_NAME]) {
  int rank = 0;
  name = strip(name, &rank);
  for (size_t i = 0; table[i]; i++)
    if (table[i]->canonical(name, out)) return rank;
  lc_text_copy(out, VIT_PARAMETER_NAME, name);
  return rank;
}

bool vit_name_of_pairs(const char *const (*pairs)[2], size_t n, const char *name,
                       char out[VIT_PARAMETER_NAME]) {
  for (size_t i = 0; i < n; i++) {
    if (strcmp(name, pairs[i][0]) != 0) continue;
    lc_text_copy(out, VIT_PARAMETER_NAME, pairs[i][1]);
    return true;
  }
  return false;
}
