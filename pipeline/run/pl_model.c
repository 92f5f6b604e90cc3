/* Opens a model with the preparation that a run of it would use. */
#include "pipeline/run/pl_model.h"

#include "pipeline/config/pl_prepared.h"

static lc_status prepare(struct pl_model *model, const struct pl_config *config,
                         struct lc_error *err) {
  LC_TRY(vit_model_load(&model->model, config->model.path, NULL, err));
  model->cube_edge = (size_t)config->cube_edge;
  model->cube_spacing_mm = config->cube_spacing_mm;
  return pl_config_preparation(config, &model->model.arch, &model->preparation, err);
}

lc_status pl_model_open(struct pl_model *model, const char *what, struct lc_error *err) {
  const struct pl_overrides overrides = {.weights = what};
  struct pl_config config;
  *model = (struct pl_model){0};
  LC_TRY(pl_config_make(&config, &overrides, err));
  lc_status status = pl_config_take_model(&config, err);
  if (status == LC_OK) status = prepare(model, &config, err);
  pl_config_free(&config);
  if (status != LC_OK) pl_model_close(model);
  return status;
}

void pl_model_close(struct pl_model *model) {
  vit_model_free(&model->model);
  *model = (struct pl_model){0};
}
