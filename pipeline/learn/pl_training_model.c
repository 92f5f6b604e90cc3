/* Makes the model that a training starts from, and folds the label scale into the one it leaves. */
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/learn/pl_training.h"
#include "vit/pass/vit_forward.h"
#include "vit/weights/vit_parameter.h"

static const struct vit_parameter *find(const struct vit_parameters *parameters, const char *name) {
  for (size_t i = 0; i < parameters->n; i++)
    if (strcmp(parameters->list[i].name, name) == 0) return &parameters->list[i];
  return NULL;
}

/* One position encoding to the grid of the other model. */
static lc_status copy_positions(const struct vit_model *source, struct vit_model *model,
                                float *place, struct lc_error *err) {
  const struct vit_arch *a = &model->arch;
  size_t dim = a->embed_dim, rows = a->grid_height * a->grid_width;
  LC_FREED float *encoding = NULL;
  LC_TRY(lc_alloc(&encoding, (1 + rows) * dim, sizeof *encoding, err));
  LC_TRY(vit_position_interpolate(source, a->grid_height, a->grid_width, encoding, err));
  size_t skipped = a->position_on_cls ? 0 : dim;
  memcpy(place, encoding + skipped, ((1 + rows) * dim - skipped) * sizeof *encoding);
  return LC_OK;
}

static lc_status copy_parameters(const struct vit_model *source,
                                 const struct vit_parameters *theirs, struct vit_model *model,
                                 const struct vit_parameters *mine, const char *path,
                                 struct lc_error *err) {
  for (size_t i = 0; i < mine->n; i++) {
    const struct vit_parameter *p = &mine->list[i], *q = find(theirs, p->name);
    float *place = model->owned + p->offset;
    bool head = strncmp(p->name, "head", 4) == 0;
    if (q && q->count == p->count)
      memcpy(place, source->owned + q->offset, p->count * sizeof *place);
    else if (q && strcmp(p->name, "pos_embed") == 0 &&
             source->arch.embed_dim == model->arch.embed_dim)
      LC_TRY(copy_positions(source, model, place, err));
    else if (head)
      lc_log(LC_LOG_INFO, "%s: no %s of this shape; it starts from the seed", path, p->name);
    else
      LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\" has %zu elements, expected %zu", path, p->name,
              q ? q->count : 0, p->count);
  }
  return LC_OK;
}

static lc_status start_from(struct vit_model *model, const char *weights, struct lc_error *err) {
  struct pl_model_found found;
  LC_TRY(pl_model_take(&found, weights, err));
  LC_SCOPED(vit_model_free) struct vit_model source = {0};
  LC_SCOPED(vit_parameters_free) struct vit_parameters mine = {0}, theirs = {0};
  LC_TRY(vit_model_load(&source, found.path, NULL, err));
  LC_TRY(vit_model_own(&source, err));
  LC_TRY(vit_parameters_init(&mine, &model->arch, err));
  LC_TRY(vit_parameters_init(&theirs, &source.arch, err));
  return copy_parameters(&source, &theirs, model, &mine, found.path, err);
}

lc_status pl_training_model(const struct pl_recipe *recipe, const struct vit_arch *arch,
                            struct vit_model *model, struct lc_error *err) {
  LC_TRY(vit_model_init(model, arch, (uint64_t)recipe->model_seed, err));
  if (!*recipe->model_weights) return LC_OK;
  lc_status status = start_from(model, recipe->model_weights, err);
  if (status != LC_OK) vit_model_free(model);
  return status;
}

lc_status pl_training_fold(struct vit_model *model, const struct pl_label_scale *scale,
                           struct lc_error *err) {
  LC_SCOPED(vit_parameters_free) struct vit_parameters parameters = {0};
  LC_TRY(vit_model_own(model, err));
  LC_TRY(vit_parameters_init(&parameters, &model->arch, err));
  bool hidden = false;
  for (size_t h = 0; h < model->arch.n_heads; h++)
    if (strcmp(model->arch.heads[h].name, "biomarkers") == 0)
      hidden = model->arch.heads[h].hidden > 0;
  const struct vit_parameter *weight =
      find(&parameters, hidden ? "heads.biomarkers.2.weight" : "heads.biomarkers.weight");
  const struct vit_parameter *bias =
      find(&parameters, hidden ? "heads.biomarkers.2.bias" : "heads.biomarkers.bias");
  if (weight && bias && bias->count == PL_BIOMARKERS) {
    size_t inputs = weight->count / PL_BIOMARKERS;
    for (size_t b = 0; b < PL_BIOMARKERS; b++) {
      float *row = model->owned + weight->offset + b * inputs;
      float *add = model->owned + bias->offset + b;
      for (size_t k = 0; k < inputs; k++) row[k] = (float)((double)row[k] * scale->deviation[b]);
      *add = (float)((double)*add * scale->deviation[b] + scale->mean[b]);
    }
    model->weights_sha256[0] = '\0';
  }
  return LC_OK;
}
