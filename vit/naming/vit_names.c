/* The table of naming schemes, and the prefixes that training code puts before any name. */
#include "vit/naming/vit_names.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"

#define NAMINGS(ENTRY)                                                                             \
  ENTRY(timm)                                                                                      \
  ENTRY(torchvision)                                                                               \
  ENTRY(dinov2)                                                                                    \
  ENTRY(huggingface)                                                                               \
  ENTRY(huggingface_dinov2)                                                                        \
  ENTRY(monai)                                                                                     \
  ENTRY(openclip)
#define DECLARE(name) extern const struct vit_naming vit_naming_##name;
NAMINGS(DECLARE)
#define POINT(name) &vit_naming_##name,
/* The first that knows a name decides. */
static const struct vit_naming *const table[] = {NAMINGS(POINT) NULL};

struct prefix {
  const char *text;
  int rank;
};

/* Wrappers that training code puts around a model; any number of them, in any order. The network
 * that is averaged over time is the one to use (timm's load_state_dict and DINO's evaluation take
 * it), the student is the last choice. */
static const struct prefix wrappers[] = {
    {"module.", 0},    {"_orig_mod.", 0},       {"state_dict.", 0}, {"model_state_dict.", 0},
    {"model_ema.", 1}, {"state_dict_ema.", 1},  {"teacher.", 1},    {"target_encoder.", 1},
    {"student.", -1},  {"backbone.", 0},        {"model.", 0},      {"net.", 0},
    {"vit.", 0},       {"base_model.model.", 0}};
/* Of models around a backbone. */
static const struct prefix around[] = {{"encoder.", 0},     {"trunk.", 0},
                                       {"visual.", 0},      {"dinov2.", 0},
                                       {"deit.", 0},        {"dinov2_with_registers.", 0},
                                       {"vision_model.", 0}};

static bool starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

static const char *strip_one(const struct prefix *prefixes, size_t n, const char *name, int *rank) {
  for (size_t i = 0; i < n; i++) {
    if (!starts_with(name, prefixes[i].text)) continue;
    if (prefixes[i].rank != 0) *rank = prefixes[i].rank;
    return name + strlen(prefixes[i].text);
  }
  return NULL;
}

static const char *strip(const char *name, int *rank) {
  const char *next;
  while ((next = strip_one(wrappers, sizeof wrappers / sizeof *wrappers, name, rank)) != NULL)
    name = next;
  return name;
}

void vit_name_canonical(const char *name, struct vit_name *out) {
  *out = (struct vit_name){.rank = 0};
  const char *next = strip(name, &out->rank);
  do {
    name = strip(next, &out->rank);
    for (size_t i = 0; table[i]; i++) {
      if (!table[i]->canonical(name, out->canonical)) continue;
      out->scheme = table[i];
      return;
    }
    next = strip_one(around, sizeof around / sizeof *around, name, &out->rank);
  } while (next);
  lc_text_copy(out->canonical, sizeof out->canonical, name);
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

bool vit_name_of_block(const char *layer, const char *const (*pairs)[2], size_t n, const char *name,
                       char out[VIT_PARAMETER_NAME]) {
  if (!starts_with(name, layer)) return false;
  const char *number = name + strlen(layer), *rest = number + strspn(number, "0123456789");
  if (rest == number || *rest != '.') return false;
  for (size_t i = 0; i < n; i++) {
    size_t length = strlen(pairs[i][0]);
    bool open = length > 0 && strchr("._", pairs[i][0][length - 1]) != NULL;
    if (strncmp(rest + 1, pairs[i][0], length) != 0 || (!open && rest[1 + length])) continue;
    snprintf(out, VIT_PARAMETER_NAME, "blocks.%.*s.%s%s", (int)(rest - number), number, pairs[i][1],
             rest + 1 + length);
    return true;
  }
  return false;
}
