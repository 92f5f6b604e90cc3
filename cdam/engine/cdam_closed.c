/* Computes CDAM and its two parts for a trace: checks the arguments and runs the closed form on the
 * inputs as they are. */
#include "cdam/engine/cdam_sampling.h"

lc_status cdam_closed_form(const struct vit_model *model, struct cdam_prepared *prepared,
                           const struct vit_trace *trace, const struct cdam_target *targets,
                           size_t n_targets, struct cdam_maps *maps, struct cdam_maps *routed,
                           struct cdam_maps *content, struct lc_error *err) {
  LC_TRY(cdam_target_check(targets, n_targets, model, err));
  if (!trace->last_input)
    LC_FAIL(err, LC_ERR_USAGE, "CDAM needs the input of the last block in the trace");
  if (maps) LC_TRY(cdam_maps_check(maps, trace, n_targets, err));
  if (routed) LC_TRY(cdam_maps_check(routed, trace, n_targets, err));
  if (content) LC_TRY(cdam_maps_check(content, trace, n_targets, err));
  cdam_maps_clear(maps);
  cdam_maps_clear(routed);
  cdam_maps_clear(content);
  struct cdam_task task = {.model = model,
                           .trace = trace,
                           .targets = targets,
                           .n_targets = n_targets,
                           .prepared = prepared};
  struct cdam_sampling sampling = {
      .kind = CDAM_PLAIN, .maps = maps, .routed = routed, .content = content};
  return cdam_sampling_run(&sampling, &task, err);
}
