/* Computes values of the targets with patches left out, the masks in parallel. */
#include <stdlib.h>
#include <string.h>

#include "cdam/estimators/cdam_masked.h"
#include "common/lc_arena.h"
#include "common/lc_parallel.h"

/* What one worker holds: a failure is kept until the loop is over; the workspace serves masks that
 * keep as many patches as the one before. */
struct worker {
  struct vit_workspace workspace; /* zeroed: none yet */
  lc_status status;
  struct lc_error err;
  uint32_t *kept;
};

struct job {
  const struct cdam_masked *masked;
  double *values;
  struct worker *workers;
};

/* Makes the worker's workspace one for its kept patches. */
static lc_status prepare(const struct cdam_task *task, size_t n_kept, struct worker *worker) {
  struct vit_workspace *w = &worker->workspace;
  if (w->request.kept && w->request.n_kept == n_kept)
    return vit_workspace_keep(w, worker->kept, n_kept, &worker->err);
  vit_workspace_free(w);
  struct vit_request request = {.kept = worker->kept, .n_kept = n_kept};
  return vit_workspace_init(w, task->model, 1, task->height, task->width, &request, &worker->err);
}

static lc_status run_mask(const struct job *job, size_t mask, struct worker *worker) {
  const struct cdam_task *task = job->masked->task;
  size_t images = task->trace->batch, outputs = vit_arch_outputs(&task->model->arch);
  size_t size = VIT_CHANNELS * task->height * task->width;
  size_t n_kept = job->masked->keep(job->masked->context, mask, worker->kept);
  LC_TRY(prepare(task, n_kept, worker));
  for (size_t i = 0; i < images; i++) {
    struct vit_trace trace;
    LC_TRY(vit_forward(&worker->workspace, task->images + i * size, 1, &trace, &worker->err));
    for (size_t t = 0; t < task->n_targets; t++)
      job->values[(mask * images + i) * task->n_targets + t] = cdam_target_value(
          &task->targets[t], task->model, outputs ? trace.logits : NULL, trace.cls_embedding);
  }
  lc_progress_step(task->progress, images);
  return LC_OK;
}

static void mask_body(void *context, size_t mask, int index) {
  const struct job *job = context;
  struct worker *worker = &job->workers[index];
  if (worker->status == LC_OK) worker->status = run_mask(job, mask, worker);
}

lc_status cdam_masked_values(const struct cdam_masked *masked, double *values,
                             struct lc_error *err) {
  struct job job = {.masked = masked, .values = values};
  size_t workers = (size_t)lc_threads(), patches = masked->task->trace->patches;
  LC_TRY(lc_alloc(&job.workers, workers, sizeof *job.workers, err));
  lc_status status = LC_OK;
  for (size_t i = 0; i < workers && status == LC_OK; i++)
    status = lc_alloc(&job.workers[i].kept, patches, sizeof(uint32_t), err);
  if (status == LC_OK) lc_parallel_for(masked->n_masks, mask_body, &job);
  for (size_t i = 0; i < workers; i++) {
    if (status == LC_OK && job.workers[i].status != LC_OK) {
      status = job.workers[i].status;
      if (err) *err = job.workers[i].err;
    }
    vit_workspace_free(&job.workers[i].workspace);
    free(job.workers[i].kept);
  }
  free(job.workers);
  return status;
}

void cdam_full_values(const struct cdam_task *task, double *values) {
  size_t outputs = vit_arch_outputs(&task->model->arch), dim = task->model->arch.embed_dim;
  for (size_t i = 0; i < task->trace->batch; i++)
    for (size_t t = 0; t < task->n_targets; t++)
      values[i * task->n_targets + t] =
          cdam_target_value(&task->targets[t], task->model, task->trace->logits + i * outputs,
                            task->trace->cls_embedding + i * dim);
}
