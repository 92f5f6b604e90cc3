/* The shape of a model from a name, a YAML model file, or words on the command line.
 *
 * A YAML model file has the keys of struct vit_arch (docs/weights.md); everything that is not given
 * comes from `base`, a named architecture. Thread-safety: any thread. */
#pragma once

#include "common/lc_text.h"
#include "pipeline/config/pl_schema.h"
#include "vit/weights/vit_model.h"

/* subject: a name of vit_arch_named, or a path that ends in .yaml or .yml. */
LC_MUST_CHECK lc_status pl_model_architecture(struct vit_arch *arch, const char *subject,
                                              struct lc_error *err);

/* `load` (NULL: nothing) as the loader takes it; arch holds the shape, and must stay with `how`. */
LC_MUST_CHECK lc_status pl_load_take(const struct pl_load *load, struct vit_load *how,
                                     struct vit_arch *arch, struct lc_error *err);
/* vit_model_load_with as `load` says (NULL: nothing); what was assumed is logged. */
LC_MUST_CHECK lc_status pl_model_load(struct vit_model *model, const char *path,
                                      const struct pl_load *load, struct lc_error *err);

/* Refuses what a training keeps on its way (checkpoints, best.safetensors) when it has biomarkers,
 * which are z-scores there: LC_ERR_MISMATCH. For everyone but the training itself. */
LC_MUST_CHECK lc_status pl_model_check_finished(const struct vit_model *model, const char *path,
                                                struct lc_error *err);

/* Adds "NAME[:outputs=N][:hidden=N][:relu|gelu|tanh][:regression]". */
LC_MUST_CHECK lc_status pl_head_parse(struct vit_arch *arch, const char *spec,
                                      struct lc_error *err);

/* One line that says everything that decides the numbers: stored and hashed with results. */
void pl_model_describe(const struct vit_arch *arch, struct lc_text *out);
