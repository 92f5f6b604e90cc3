/* What an explanation explains: one output of the model, a difference of two, or the similarity of
 * the CLS embedding to a concept vector.
 *
 * Plain data. */
#ifndef CDAM_TARGET_H
#define CDAM_TARGET_H

#include "common/lc_api.h"
#include "vit/weights/vit_model.h"

LC_API_BEGIN

typedef enum cdam_target_kind {
  CDAM_OUTPUT = 0, /* f = output `a` (a logit or a regression value) */
  CDAM_DIFFERENCE, /* f = output a - output b */
  CDAM_CONCEPT     /* f = CLS embedding . concept */
} cdam_target_kind;

struct cdam_target {
  cdam_target_kind kind;
  char name[VIT_NAME_SIZE]; /* "malignancy", "malignancy-benign", "concept:spiculated" */
  size_t a, b;
  const float *concept_vector; /* [dim], borrowed */
};

/* "malignancy", "3", "a-b". LC_ERR_NOT_FOUND lists the outputs of the model. */
LC_MUST_CHECK lc_status cdam_target_parse(struct cdam_target *target, const struct vit_model *model,
                                          const char *text, struct lc_error *err);
/* One target for each output. targets: vit_arch_outputs() entries. */
void cdam_target_all(struct cdam_target *targets, const struct vit_model *model);

/* LC_ERR_USAGE names a target that the model does not have. cdam_estimate calls it, so that
 * estimators need not. */
LC_MUST_CHECK lc_status cdam_target_check(const struct cdam_target *targets, size_t n_targets,
                                          const struct vit_model *model, struct lc_error *err);

/* f for one image: its row of logits and its CLS embedding (vit_trace). */
double cdam_target_value(const struct cdam_target *target, const struct vit_model *model,
                         const float *logits, const float *cls_embedding);

LC_API_END
#endif
