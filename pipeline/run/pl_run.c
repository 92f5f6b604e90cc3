/* The main job as one call: configuration, model, batch. */
#include "pipeline/run/pl_run.h"

#include <string.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/run/pl_batch.h"

lc_status pl_run_all(struct pl_config *config, struct pl_batch *batch,
                     const struct pl_overrides *overrides, enum pl_existing existing,
                     struct lc_error *err) {
  memset(batch, 0, sizeof *batch);
  LC_TRY(pl_config_make(config, overrides, err));
  pl_config_say_parameters(config);
  LC_TRY(pl_config_take_model(config, err));
  return pl_batch_run(batch, config, existing, err);
}

static lc_status run(const struct pl_run_request *request, struct pl_overrides *overrides,
                     struct pl_batch *batch, struct lc_error *err) {
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  for (size_t i = 0; i < request->n_settings; i++)
    LC_TRY(pl_list_add(&overrides->keys, request->settings[i], err));
  for (size_t i = 0; i < request->n_inputs; i++)
    LC_TRY(pl_list_add(&overrides->inputs, request->inputs[i], err));
  if (request->nodules) LC_TRY(pl_list_add(&overrides->nodules.paths, request->nodules, err));
  return pl_run_all(&config, batch, overrides, request->existing, err);
}

lc_status pl_run(const struct pl_run_request *request, struct pl_run_counts *counts,
                 struct lc_error *err) {
  struct pl_overrides overrides = {.file = request->configuration,
                                   .series = request->series,
                                   .weights = request->weights,
                                   .output = request->output};
  struct pl_batch batch = {0};
  lc_status status = run(request, &overrides, &batch, err);
  *counts = (struct pl_run_counts){.done = batch.n_done,
                                   .kept = batch.n_kept,
                                   .failed = batch.n_failed,
                                   .without_nodules = batch.n_without,
                                   .left_out = batch.n_left_out,
                                   .trained = batch.trained};
  lc_text_copy(counts->weights_sha256, sizeof counts->weights_sha256, batch.weights_sha256);
  pl_batch_free(&batch);
  pl_overrides_free(&overrides);
  return status;
}
