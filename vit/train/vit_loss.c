/* Computes the training loss and its gradient over the labels that are present: binary
 * cross-entropy on logits and the Huber loss. */
#include "vit/train/vit_loss.h"

#include <math.h>
#include <string.h>

#include "common/lc_text.h"

lc_status vit_loss_init(struct vit_loss *loss, const struct vit_arch *arch, struct lc_error *err) {
  memset(loss, 0, sizeof *loss);
  if (arch->n_heads == 0) LC_FAIL(err, LC_ERR_USAGE, "a model without heads has nothing to train");
  loss->n_tasks = arch->n_heads;
  for (size_t h = 0; h < arch->n_heads; h++) {
    struct vit_loss_task *task = &loss->tasks[h];
    lc_text_copy(task->name, sizeof task->name, arch->heads[h].name);
    task->kind = arch->heads[h].sigmoid ? VIT_LOSS_BCE : VIT_LOSS_HUBER;
    task->first = loss->outputs;
    task->outputs = arch->heads[h].outputs;
    task->weight = 1;
    task->delta = 1;
    loss->outputs += task->outputs;
  }
  return LC_OK;
}

static bool is_present(const struct vit_loss *loss, const struct vit_loss_batch *batch,
                       size_t sample, size_t output) {
  return !batch->present || batch->present[sample * loss->outputs + output];
}

void vit_loss_count(const struct vit_loss *loss, const struct vit_loss_batch *batch,
                    size_t counts[VIT_MAX_HEADS]) {
  for (size_t t = 0; t < loss->n_tasks; t++) {
    const struct vit_loss_task *task = &loss->tasks[t];
    counts[t] = 0;
    for (size_t i = 0; i < batch->n; i++)
      for (size_t j = 0; j < task->outputs; j++)
        counts[t] += is_present(loss, batch, i, task->first + j);
  }
}

/* Loss of one entry and its slope. The form with |x| never overflows. */
static double cross_entropy(double x, double y, double positive, double *slope) {
  double factor = 1 + (positive - 1) * y;
  double e = exp(-fabs(x));
  double softplus_minus = log1p(e) + (x < 0 ? -x : 0); /* log(1 + exp(-x)) */
  double sigmoid_minus = x < 0 ? 1 / (1 + e) : e / (1 + e);
  *slope = (1 - y) - factor * sigmoid_minus;
  return (1 - y) * x + factor * softplus_minus;
}

static double huber(double x, double y, double delta, double *slope) {
  double d = x - y, a = fabs(d);
  if (a <= delta) {
    *slope = d;
    return 0.5 * d * d;
  }
  *slope = d < 0 ? -delta : delta;
  return delta * (a - 0.5 * delta);
}

static lc_status check_entry(const struct vit_loss_task *task, size_t sample, size_t column,
                             double x, double y, struct lc_error *err) {
  if (!isfinite(y))
    LC_FAIL(err, LC_ERR_USAGE,
            "%s: the label of sample %zu, output %zu is not a finite number; mark it as absent",
            task->name, sample, column);
  if (task->kind == VIT_LOSS_BCE && (y < 0 || y > 1))
    LC_FAIL(err, LC_ERR_USAGE, "%s: the label of sample %zu, output %zu is %g, expected 0 to 1",
            task->name, sample, column, y);
  if (!isfinite(x))
    LC_FAIL(err, LC_ERR_NUMERIC, "%s: output %zu of sample %zu is %g, expected a finite number",
            task->name, column, sample, x);
  return LC_OK;
}

static lc_status evaluate_task(const struct vit_loss *loss, const struct vit_loss_task *task,
                               const struct vit_loss_batch *batch, size_t count, float *gradient,
                               double *sum, size_t *bad_sample, struct lc_error *err) {
  double share = 1 / (double)count, total = 0;
  for (size_t i = 0; i < batch->n; i++) {
    double sample_weight = batch->sample_weights ? batch->sample_weights[i] : 1;
    for (size_t j = 0; j < task->outputs; j++) {
      size_t column = task->first + j, at = i * loss->outputs + column;
      if (!is_present(loss, batch, i, column)) continue;
      double x = batch->outputs[at], y = batch->targets[at], slope;
      lc_status status = check_entry(task, i, column, x, y, err);
      if (status != LC_OK) {
        *bad_sample = i;
        return status;
      }
      double l;
      if (task->kind == VIT_LOSS_BCE)
        l = cross_entropy(x, y, task->positive_weights ? task->positive_weights[j] : 1, &slope);
      else
        l = huber(x, y, task->delta, &slope);
      double w = sample_weight * (task->output_weights ? task->output_weights[j] : 1) * share;
      if (!isfinite(w * l)) {
        *bad_sample = i;
        LC_FAIL(err, LC_ERR_NUMERIC, "%s: the loss of sample %zu, output %zu is %g", task->name, i,
                column, w * l);
      }
      total += w * l;
      if (gradient) gradient[at] = (float)(task->weight * w * slope);
    }
  }
  *sum = total;
  return LC_OK;
}

lc_status vit_loss_evaluate(const struct vit_loss *loss, const struct vit_loss_batch *batch,
                            const size_t *counts, float *gradient, struct vit_loss_result *result,
                            size_t *bad_sample, struct lc_error *err) {
  size_t nobody = 0;
  if (!bad_sample) bad_sample = &nobody;
  memset(result, 0, sizeof *result);
  if (gradient) memset(gradient, 0, batch->n * loss->outputs * sizeof *gradient);
  for (size_t t = 0; t < loss->n_tasks; t++) {
    const struct vit_loss_task *task = &loss->tasks[t];
    if (task->outputs > loss->outputs || task->first > loss->outputs - task->outputs)
      LC_FAIL(err, LC_ERR_USAGE, "task %s has outputs %zu to %zu of a row of %zu", task->name,
              task->first, task->first + task->outputs, loss->outputs);
  }
  if (counts)
    memcpy(result->counts, counts, loss->n_tasks * sizeof *counts);
  else
    vit_loss_count(loss, batch, result->counts);
  for (size_t t = 0; t < loss->n_tasks; t++) {
    const struct vit_loss_task *task = &loss->tasks[t];
    if (result->counts[t] == 0) continue;
    LC_TRY(evaluate_task(loss, task, batch, result->counts[t], gradient, &result->tasks[t],
                         bad_sample, err));
    result->total += task->weight * result->tasks[t];
  }
  return LC_OK;
}
