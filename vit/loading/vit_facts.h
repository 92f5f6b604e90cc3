/* What is said of a model beside its tensors: the metadata of its file, the config.json that lies
 * beside the file (as transformers and timm write it), and the names of published architectures.
 *
 * Thread-safety: facts that are made may be read by many threads. */
#pragma once

#include "vit/weights/vit_tensor_file.h"

#define VIT_FACT_SIZE 128

struct vit_facts {
  const struct vit_tensor_file *file;
  void *config;      /* json_t *; NULL when there is none */
  char *config_path; /* NULL when there is none */
};

/* Reads config.json in the folder of the file, unless the file's metadata has its shape.
 * LC_ERR_FORMAT for one that is no JSON object. */
LC_MUST_CHECK lc_status vit_facts_init(struct vit_facts *facts, const struct vit_tensor_file *file,
                                       struct lc_error *err);
void vit_facts_free(struct vit_facts *facts);

/* The text of a fact by its key in the metadata (docs/weights.md), from there, else from
 * config.json under the words that transformers and timm have for it. NULL when neither has it;
 * *whence (may be NULL) becomes "metadata" or "config.json". buffer holds what is not text in the
 * file. */
const char *vit_facts_get(const struct vit_facts *facts, const char *key,
                          char buffer[VIT_FACT_SIZE], const char **whence);
/* The whole number behind a key; *value keeps what it has, and false is returned, when it is
 * absent. */
LC_MUST_CHECK lc_status vit_facts_size(const struct vit_facts *facts, const char *key,
                                       size_t *value, bool *found, struct lc_error *err);

/* The attention heads of the published architecture whose name is in `text` ("vit_base" in
 * "vit-base-patch16-224.pth"), when it has this width and depth; 0 when there is none. *name (may
 * be NULL) becomes the name that was found. */
size_t vit_facts_heads_of(const char *text, size_t embed_dim, size_t depth, const char **name);
