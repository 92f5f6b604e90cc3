/* Opens a model with the preparation that a run of it would use. */
#include "pipeline/run/pl_model.h"

#include "common/lc_scope.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/config/pl_prepared.h"

lc_status pl_model_open(struct pl_model *model, const char *what, struct lc_error *err) {
  const struct pl_overrides overrides = {.weights = what};
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  *model = (struct pl_model){0};
  LC_TRY(pl_config_make(&config, &overrides, err));
  LC_TRY(pl_config_take_model(&config, err));
  model->cube_edge = (size_t)config.cube_edge;
  model->cube_spacing_mm = config.cube_spacing_mm;
  LC_TRY(pl_model_load(&model->model, config.model.path, NULL, err));
  lc_status status = pl_config_preparation(&config, &model->model.arch, &model->preparation, err);
  if (status != LC_OK) pl_model_close(model);
  return status;
}

void pl_model_close(struct pl_model *model) {
  vit_model_free(&model->model);
  *model = (struct pl_model){0};
}
