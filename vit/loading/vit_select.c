/* Chooses among the networks of one file, knows what is harmless, and names what is not used. */
#include "vit/loading/vit_select.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* Parts of files that no forward pass reads: the token that self-supervised training puts for
 * hidden patches, its projection heads, losses and decoders; the other tower; the optimiser. */
static const char *const harmless[] = {"mask_token",
                                       "embeddings.mask_token",
                                       "embeddings.position_ids",
                                       "dino_head.*",
                                       "ibot_head.*",
                                       "dino_loss.*",
                                       "ibot_patch_loss.*",
                                       "decoder.*",
                                       "decoder_blocks.*",
                                       "decoder_embed.*",
                                       "decoder_norm.*",
                                       "decoder_pred.*",
                                       "decoder_pos_embed",
                                       "text.*",
                                       "logit_scale",
                                       "logit_bias",
                                       "optimizer.*",
                                       "optimizer_states.*",
                                       "lr_schedulers.*",
                                       "amp_scaler.*"};
/* MONAI makes layers for attention to a text in every block, and a ViT has no text. */
static const char *const harmless_of_monai[] = {"blocks.*.norm_cross_attn.*",
                                                "blocks.*.cross_attn.*"};
/* DINO's projection head has the name of a classifier, and a last layer that none has. */
static const char *const harmless_of_dino[] = {"head.mlp.*", "head.last_layer.*"};

static bool matches(const char *const *patterns, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (fnmatch(patterns[i], name, 0) == 0) return true;
  return false;
}

static void leave_out_harmless(struct vit_entries *entries) {
  bool monai = entries->scheme && strcmp(entries->scheme->name, "monai") == 0, dino = false;
  for (size_t i = 0; i < entries->n; i++)
    dino = dino || strncmp(entries->list[i].name, "head.last_layer.", 16) == 0;
  for (size_t i = 0; i < entries->n; i++) {
    struct vit_entry *entry = &entries->list[i];
    if (matches(harmless, sizeof harmless / sizeof *harmless, entry->name) ||
        (monai && matches(harmless_of_monai, 2, entry->name)) ||
        (dino && matches(harmless_of_dino, 2, entry->name)))
      entry->left_out = true;
  }
}

/* "teacher" is a part of "teacher.backbone.norm.weight" and of "state.teacher.norm.weight". */
static bool has_part(const char *name, const char *part) {
  size_t length = strlen(part);
  for (const char *at = name; (at = strstr(at, part)) != NULL; at++)
    if ((at == name || at[-1] == '.') && at[length] == '.') return true;
  return false;
}

static lc_status leave_out_others(struct vit_entries *entries, const char *which,
                                  struct lc_error *err) {
  size_t kept = 0;
  for (size_t i = 0; i < entries->n; i++) {
    struct vit_entry *entry = &entries->list[i];
    if (has_part(entry->tensor->name, which))
      kept++;
    else
      entry->left_out = true;
  }
  if (kept == 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND,
            "%s: no tensor is below \"%s\"; the first is \"%s\", see 'lungcdam weights show'",
            entries->file->path, which, entries->n > 0 ? entries->list[0].tensor->name : "none");
  vit_entries_assume(entries, "only what is below %s", which);
  return LC_OK;
}

static lc_status ignore(struct vit_entries *entries, const char *pattern, struct lc_error *err) {
  size_t count = 0;
  for (size_t i = 0; i < entries->n; i++) {
    struct vit_entry *entry = &entries->list[i];
    if (fnmatch(pattern, entry->tensor->name, 0) != 0 && fnmatch(pattern, entry->name, 0) != 0)
      continue;
    entry->left_out = true;
    count++;
  }
  if (count == 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no tensor is called \"%s\", which is to be ignored",
            entries->file->path, pattern);
  vit_entries_assume(entries, "%zu tensors \"%s\" ignored", count, pattern);
  return LC_OK;
}

/* A patch embedding makes a network; index: rank + 1. */
static void find_networks(const struct vit_entries *entries, const struct vit_entry *found[3]) {
  for (size_t i = 0; i < entries->n; i++) {
    const struct vit_entry *entry = &entries->list[i];
    if (!entry->left_out && strcmp(entry->name, "patch_embed.proj.weight") == 0)
      found[entry->rank + 1] = entry;
  }
}

/* Parts that belong to no network of their own, such as a head on a frozen teacher, stay. */
static void choose_network(struct vit_entries *entries) {
  const struct vit_entry *found[3] = {NULL, NULL, NULL};
  find_networks(entries, found);
  int best = found[2] ? 2 : found[1] ? 1 : 0, n = 0;
  for (int r = 0; r < 3; r++) n += found[r] != NULL;
  if (n < 2) return;
  const char *name = found[best]->tensor->name;
  vit_entries_assume(entries, "of %d networks the one below %.*s", n, (int)strcspn(name, "."),
                     name);
  for (size_t i = 0; i < entries->n; i++) {
    struct vit_entry *entry = &entries->list[i];
    if (entry->rank + 1 != best && found[entry->rank + 1]) entry->left_out = true;
  }
}

lc_status vit_select(struct vit_entries *entries, const struct vit_load *how,
                     struct lc_error *err) {
  if (how && how->which && *how->which) LC_TRY(leave_out_others(entries, how->which, err));
  for (size_t i = 0; how && i < how->n_ignore; i++) LC_TRY(ignore(entries, how->ignore[i], err));
  leave_out_harmless(entries);
  choose_network(entries);
  vit_entries_sort(entries);
  for (size_t i = 1; i < entries->n && !entries->list[i].left_out; i++)
    if (strcmp(entries->list[i].name, entries->list[i - 1].name) == 0)
      LC_FAIL(err, LC_ERR_TENSOR,
              "%s: tensors \"%s\" and \"%s\" are the same parameter of two networks; --which "
              "chooses one by the first part of its names",
              entries->file->path, entries->list[i - 1].tensor->name,
              entries->list[i].tensor->name);
  return LC_OK;
}

lc_status vit_select_check_used(const struct vit_entries *entries, struct lc_error *err) {
  const struct vit_entry *first = NULL;
  size_t count = 0;
  for (size_t i = 0; i < entries->n; i++) {
    const struct vit_entry *entry = &entries->list[i];
    if (entry->used || entry->left_out) continue;
    count++;
    if (!first) first = entry;
  }
  if (count == 0) return LC_OK;
  char more[40] = "";
  if (count > 1) snprintf(more, sizeof more, " (and %zu more)", count - 1);
  LC_FAIL(err, LC_ERR_TENSOR,
          "%s: tensor \"%s\"%s is not used: the model has something that this forward pass does "
          "not compute; --ignore PATTERN leaves it out",
          entries->file->path, first->tensor->name, more);
}

static const char *const within[] = {"norm1.",   "norm2.",    "attn.qkv.",  "attn.q.",
                                     "attn.k.",  "attn.v.",   "attn.proj.", "mlp.fc1.",
                                     "mlp.fc2.", "ls1.gamma", "ls2.gamma"};
static const char *const outside[] = {"cls_token", "pos_embed",  "patch_embed.proj.",
                                      "norm.",     "dist_token", "register_tokens",
                                      "head.",     "heads.",     "pooler.dense."};

static bool begins(const char *const *starts, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (strncmp(name, starts[i], strlen(starts[i])) == 0) return true;
  return false;
}

static bool is_known(const char *name) {
  if (strncmp(name, "blocks.", 7) != 0)
    return begins(outside, sizeof outside / sizeof *outside, name);
  const char *rest = name + 7 + strspn(name + 7, "0123456789");
  return *rest == '.' && begins(within, sizeof within / sizeof *within, rest + 1);
}

void vit_select_hint(const struct vit_entries *entries, struct lc_error *err) {
  for (size_t i = 0; err && i < entries->n; i++) {
    const struct vit_entry *entry = &entries->list[i];
    size_t used = strlen(err->message);
    if (entry->used || entry->left_out || is_known(entry->name)) continue;
    snprintf(err->message + used, sizeof err->message - used,
             "; \"%s\" is there, which this forward pass does not know", entry->tensor->name);
    return;
  }
}
