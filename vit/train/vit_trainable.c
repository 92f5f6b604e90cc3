/* Decides by published names which parameters decay and which are frozen. */
#include <stdio.h>
#include <string.h>

#include "vit/train/vit_optim.h"

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

bool vit_trainable_decays(const char *name) {
  static const char *const never[] = {"cls_token",   "register_tokens", "pos_embed",
                                      "norm.weight", "norm1.weight",    "norm2.weight",
                                      "ls1.gamma",   "ls2.gamma",       ".bias"};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    if (ends_with(name, never[i])) return false;
  return true;
}

/* The pattern is the name or its leading words up to a dot. */
static bool leads(const char *name, const char *pattern) {
  size_t n = strlen(pattern);
  return n > 0 && strncmp(name, pattern, n) == 0 && (name[n] == '\0' || name[n] == '.');
}

static bool matches(const char *name, const char *pattern) {
  unsigned low, high, block;
  int end = 0;
  if (strcmp(pattern, "embedding") == 0)
    return leads(name, "patch_embed") || leads(name, "cls_token") || leads(name, "pos_embed") ||
           leads(name, "register_tokens");
  if (strcmp(pattern, "heads") == 0) return leads(name, "heads") || leads(name, "head");
  if (sscanf(pattern, "blocks.%u-%u%n", &low, &high, &end) == 2 && pattern[end] == '\0')
    return sscanf(name, "blocks.%u.", &block) == 1 && low <= block && block <= high;
  return leads(name, pattern);
}

lc_status vit_trainable_freeze(struct vit_trainable *parameters, size_t n, const char *pattern,
                               struct lc_error *err) {
  size_t found = 0;
  for (size_t i = 0; i < n; i++)
    if (matches(parameters[i].name, pattern)) {
      parameters[i].frozen = true;
      found++;
    }
  if (found == 0)
    LC_FAIL(err, LC_ERR_CONFIG,
            "freeze: no parameter is called \"%s\"; expected \"embedding\", \"blocks.0-5\", "
            "\"norm\", \"heads\" or the beginning of a parameter's name",
            pattern);
  return LC_OK;
}
