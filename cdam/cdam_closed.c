#include <stdlib.h>
#include <string.h>

#include "cdam_cls.h"
#include "lc_parallel.h"

struct job {
  const struct vit_model *model;
  const struct vit_trace *trace;
  struct cdam_maps *maps, *routed, *content;
  struct cdam_cls *engines; /* one a worker */
  float *normed;            /* [worker, tokens, dim] */
};

static void explain_image(void *context, size_t image, int worker) {
  const struct job *job = context;
  const struct vit_arch *arch = &job->model->arch;
  size_t dim = arch->embed_dim, size = job->trace->tokens * dim;
  const float *input = job->trace->last_input + image * size;
  float *normed = job->normed + (size_t)worker * size;
  cdam_norm_rows(input, job->trace->tokens, dim, &job->model->blocks[arch->depth - 1].norm1,
                 arch->layer_norm_eps, normed);
  struct cdam_cls_sum sum = {.maps = cdam_maps_get(job->maps, image, 0),
                             .routed = job->routed ? cdam_maps_get(job->routed, image, 0) : NULL,
                             .content = job->content ? cdam_maps_get(job->content, image, 0) : NULL,
                             .weight = 1};
  cdam_cls_run(&job->engines[worker], 1, normed, input, &sum);
}

lc_status cdam_closed_form(const struct vit_model *model, const struct vit_trace *trace,
                           const struct cdam_target *targets, size_t n_targets,
                           struct cdam_maps *maps, struct cdam_maps *routed,
                           struct cdam_maps *content, struct lc_error *err) {
  LC_TRY(cdam_target_check(targets, n_targets, model, err));
  if (!trace->last_input)
    LC_FAIL(err, LC_ERR_USAGE, "CDAM needs the input of the last block in the trace");
  LC_TRY(cdam_maps_check(maps, trace, n_targets, err));
  if (routed) LC_TRY(cdam_maps_check(routed, trace, n_targets, err));
  if (content) LC_TRY(cdam_maps_check(content, trace, n_targets, err));
  cdam_maps_clear(maps);
  cdam_maps_clear(routed);
  cdam_maps_clear(content);

  struct job job = {
      .model = model, .trace = trace, .maps = maps, .routed = routed, .content = content};
  size_t workers = (size_t)lc_threads(), ready = 0;
  lc_status status = lc_alloc(&job.engines, workers, sizeof *job.engines, err);
  if (status == LC_OK)
    status =
        lc_alloc(&job.normed, workers * trace->tokens * model->arch.embed_dim, sizeof(float), err);
  for (; status == LC_OK && ready < workers; ready++)
    status = cdam_cls_init(&job.engines[ready], model, targets, n_targets, trace->tokens, 1, err);
  if (status == LC_OK) {
    int blas = cdam_blas_begin();
    lc_parallel_for(trace->batch, explain_image, &job);
    cdam_blas_end(blas);
  }
  for (size_t i = 0; job.engines && i < ready; i++) cdam_cls_free(&job.engines[i]);
  free(job.engines);
  free(job.normed);
  return status;
}
