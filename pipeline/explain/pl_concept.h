/* Concepts: the mean CLS embedding of nodules that satisfy a rule on ratings or are named, or the
 * difference of two such means (Brocki, Binda, Chung, arXiv 2312.02364). A concept is the target f
 * = CLS embedding . concept of any estimator.
 *
 * Stored as safetensors: concept_vector [dim]; metadata name, rule, against, members,
 * against_members (names with commas), weights_sha256. Thread-safety: distinct objects, distinct
 * threads. */
#pragma once

#include "pipeline/config/pl_recipe.h"
#include "vit/weights/vit_model.h"

struct pl_concept_request {
  const char *name;
  const char *rule;    /* "spiculation>=4": a rating or malignancy, one of >= <= > <, a number; or
                          NULL when members are given */
  const char *members; /* "LIDC-IDRI-0001-nodule-1,...": names as in lungcdam explain; or NULL */
  const char *against; /* a rule, or NULL */
  const char *split;   /* NULL: data.train of the recipe */
};

/* Makes a concept from nodule crops and writes it. members, against: how many nodules there were.
 * LC_ERR_USAGE for a rule that cannot be read, LC_ERR_NO_NODULES when none satisfies it,
 * LC_ERR_NOT_FOUND for a name that no nodule of the split has. */
LC_MUST_CHECK lc_status pl_concept_create(struct vit_model *model,
                                          const struct pl_overrides *overrides,
                                          const struct pl_concept_request *request,
                                          const char *path, size_t *members, size_t *against,
                                          struct lc_error *err);

/* The vector of a concept file: free(*vector) whatever the status. LC_ERR_MISMATCH when it was made
 * with other weights.
 */
LC_MUST_CHECK lc_status pl_concept_read(const struct vit_model *model, const char *path,
                                        char name[VIT_NAME_SIZE], float **vector,
                                        struct lc_error *err);
