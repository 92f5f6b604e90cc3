/* Sets up a training and performs its single steps: load a batch, forward, loss and backward in
 * parts, optimiser. */
#include "vit/train/vit_train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_text.h"

/* Gradients are the tape's, which in turn wants to know what is frozen. */
static lc_status init_tape(struct vit_train *train, struct lc_error *err) {
  bool *trainable = NULL;
  const struct vit_samples *samples = train->samples;
  LC_TRY(lc_alloc(&trainable, train->parameters.n, sizeof *trainable, err));
  for (size_t i = 0; i < train->parameters.n; i++) trainable[i] = !train->trainables[i].frozen;
  const struct vit_backward_request request = {.parameters = true,
                                               .trainable = trainable,
                                               .recompute = train->settings.recompute,
                                               .dropout = train->settings.dropout};
  lc_status status = vit_tape_init(&train->tape, train->model, train->settings.part,
                                   samples->height, samples->width, NULL, &request, err);
  free(trainable);
  LC_TRY(status);
  for (size_t i = 0; i < train->parameters.n; i++)
    train->trainables[i].gradient = train->tape.d_parameters + train->parameters.list[i].offset;
  return LC_OK;
}

static lc_status list_trainables(struct vit_train *train, struct lc_error *err) {
  size_t n = train->parameters.n;
  LC_TRY(lc_alloc(&train->trainables, n, sizeof *train->trainables, err));
  for (size_t i = 0; i < n; i++) {
    const struct vit_parameter *p = &train->parameters.list[i];
    train->trainables[i] = (struct vit_trainable){.name = p->name,
                                                  .value = train->model->owned + p->offset,
                                                  .count = p->count,
                                                  .decays = vit_trainable_decays(p->name)};
  }
  for (size_t i = 0; i < train->settings.n_frozen; i++)
    LC_TRY(vit_trainable_freeze(train->trainables, n, train->settings.frozen[i], err));
  return LC_OK;
}

static lc_status check(struct vit_train *train, struct lc_error *err) {
  struct vit_train_settings *s = &train->settings;
  size_t n = train->samples->n;
  if (s->batch == 0) LC_FAIL(err, LC_ERR_CONFIG, "batch is 0, expected at least 1");
  if (n == 0 || n > UINT32_MAX || (s->whole_batches && n < s->batch))
    LC_FAIL(err, LC_ERR_CONFIG, "%zu samples do not make a batch of %zu", n, s->batch);
  if (train->samples->outputs != vit_arch_outputs(&train->model->arch))
    LC_FAIL(err, LC_ERR_USAGE, "samples have %zu outputs, expected the model's %zu",
            train->samples->outputs, vit_arch_outputs(&train->model->arch));
  if (s->batch > n) s->batch = n;
  if (s->part == 0 || s->part > s->batch) s->part = s->batch;
  train->steps_per_epoch = s->whole_batches ? n / s->batch : (n + s->batch - 1) / s->batch;
  if (s->schedule.steps_per_epoch == 0) s->schedule.steps_per_epoch = train->steps_per_epoch;
  if (s->schedule.total_steps == 0) s->schedule.total_steps = vit_train_steps(train);
  return vit_schedule_check(&s->schedule, err);
}

lc_status vit_train_init(struct vit_train *train, struct vit_model *model,
                         const struct vit_samples *samples,
                         const struct vit_train_settings *settings, struct lc_error *err) {
  lc_status status;
  memset(train, 0, sizeof *train);
  train->settings = *settings;
  train->model = model;
  train->samples = samples;
  LC_TRY_GOTO(vit_loss_init(&train->loss, &model->arch, err), fail);
  LC_TRY_GOTO(check(train, err), fail);
  LC_TRY_GOTO(vit_model_own(model, err), fail);
  LC_TRY_GOTO(vit_parameters_init(&train->parameters, &model->arch, err), fail);
  LC_TRY_GOTO(list_trainables(train, err), fail);
  LC_TRY_GOTO(init_tape(train, err), fail);
  LC_TRY_GOTO(
      vit_optim_init(&train->optim, &settings->optim, train->trainables, train->parameters.n, err),
      fail);
  LC_TRY_GOTO(vit_batch_init(&train->batch, samples, train->settings.batch, err), fail);
  LC_TRY_GOTO(lc_alloc(&train->output_gradient, train->settings.part * samples->outputs,
                       sizeof(float), err),
              fail);
  LC_TRY_GOTO(lc_alloc(&train->order, samples->n, sizeof *train->order, err), fail);
  train->settings.frozen = NULL;
  train->settings.n_frozen = 0;
  return LC_OK;
fail:
  vit_train_free(train);
  return status;
}

void vit_train_free(struct vit_train *train) {
  vit_optim_free(&train->optim);
  vit_batch_free(&train->batch);
  vit_tape_free(&train->tape);
  vit_parameters_free(&train->parameters);
  free(train->trainables);
  free(train->output_gradient);
  free(train->order);
  memset(train, 0, sizeof *train);
}

uint64_t vit_train_steps(const struct vit_train *train) {
  return train->steps_per_epoch * train->settings.epochs;
}

/* The samples whose turn it is. */
static lc_status load_batch(struct vit_train *train, struct vit_train_report *report,
                            struct lc_error *err) {
  size_t n = train->samples->n, place = (size_t)(train->step % train->steps_per_epoch);
  uint64_t epoch = train->step / train->steps_per_epoch;
  if (train->order_epoch != epoch + 1) {
    vit_samples_order(train->settings.seed, epoch, train->order, n);
    train->order_epoch = epoch + 1;
  }
  size_t start = place * train->settings.batch;
  size_t count = n - start < train->settings.batch ? n - start : train->settings.batch;
  report->step = train->step;
  report->epoch = epoch;
  report->samples = count;
  return vit_batch_load(&train->batch, train->samples, epoch, train->order + start, count, err);
}

/* Forward, loss and backward of the images [start, start + n) of the batch. */
static lc_status add_part(struct vit_train *train, const size_t *counts, size_t start, size_t n,
                          struct vit_loss_result *total, struct lc_error *err) {
  const struct vit_batch *b = &train->batch;
  struct vit_trace trace;
  struct vit_loss_result result;
  size_t bad = SIZE_MAX;
  vit_tape_draw(&train->tape, train->settings.seed, train->step, b->indices + start, n);
  LC_TRY(vit_tape_forward(&train->tape, b->images + start * b->image_size, n, &trace, err));
  const struct vit_loss_batch part = {.n = n,
                                      .outputs = trace.logits,
                                      .targets = b->targets + start * b->outputs,
                                      .present = b->present + start * b->outputs,
                                      .sample_weights = b->weights + start};
  lc_status status =
      vit_loss_evaluate(&train->loss, &part, counts, train->output_gradient, &result, &bad, err);
  if (status != LC_OK && bad != SIZE_MAX) {
    char name[VIT_SAMPLE_NAME];
    vit_samples_name(train->samples, b->indices[start + bad], name);
    lc_error_prefix(err, "%s", name);
  }
  LC_TRY(status);
  total->total += result.total;
  for (size_t t = 0; t < train->loss.n_tasks; t++) total->tasks[t] += result.tasks[t];
  return vit_tape_backward(&train->tape, train->output_gradient, NULL, NULL, err);
}

/* Fills the tape's gradient. */
static lc_status compute_gradient(struct vit_train *train, struct vit_train_report *report,
                                  struct lc_error *err) {
  const struct vit_batch *b = &train->batch;
  const struct vit_loss_batch whole = {.n = b->n, .present = b->present};
  vit_loss_count(&train->loss, &whole, report->loss.counts);
  vit_tape_clear(&train->tape);
  for (size_t start = 0; start < b->n; start += train->settings.part) {
    size_t left = b->n - start;
    size_t n = left < train->settings.part ? left : train->settings.part;
    LC_TRY(add_part(train, report->loss.counts, start, n, &report->loss, err));
  }
  return LC_OK;
}

/* Says which samples the numbers came from: as many as fit in the message, all in the log. */
static void name_samples(const struct vit_train *train, struct lc_error *err) {
  struct lc_text names = {0};
  for (size_t i = 0; i < train->batch.n; i++) {
    char name[VIT_SAMPLE_NAME];
    vit_samples_name(train->samples, train->batch.indices[i], name);
    lc_text_add(&names, "%s%s", i ? ", " : "", name);
  }
  lc_log(LC_LOG_ERROR, "samples of step %llu: %s", (unsigned long long)train->step,
         lc_text_get(&names));
  if (err) {
    struct lc_text whole = {0};
    lc_text_add(&whole, "step %llu: %s; samples: %s", (unsigned long long)train->step, err->message,
                lc_text_get(&names));
    lc_text_copy(err->message, sizeof err->message, lc_text_get(&whole));
    lc_text_free(&whole);
  }
  lc_text_free(&names);
}

lc_status vit_train_step(struct vit_train *train, struct vit_train_report *report,
                         struct lc_error *err) {
  memset(report, 0, sizeof *report);
  LC_TRY(load_batch(train, report, err));
  report->rate = vit_schedule_rate(&train->settings.schedule, train->step);
  lc_status status = compute_gradient(train, report, err);
  if (status == LC_OK)
    status = vit_optim_step(&train->optim, report->rate, &report->gradient_norm, err);
  if (status == LC_ERR_NUMERIC) name_samples(train, err);
  if (status != LC_OK) return status;
  train->step++;
  train->model->trained = true;
  train->model->weights_sha256[0] = '\0';
  return LC_OK;
}

lc_status vit_train_result(const struct vit_train *train, struct vit_model *copy,
                           struct lc_error *err) {
  lc_status status;
  memset(copy, 0, sizeof *copy);
  copy->arch = train->model->arch;
  copy->trained = train->model->trained;
  LC_TRY_GOTO(lc_alloc(&copy->blocks, copy->arch.depth, sizeof *copy->blocks, err), fail);
  LC_TRY_GOTO(lc_alloc(&copy->owned, train->parameters.block, sizeof *copy->owned, err), fail);
  LC_TRY_GOTO(vit_model_bind(copy, copy->owned, err), fail);
  for (size_t i = 0; i < train->parameters.n; i++) {
    const struct vit_parameter *p = &train->parameters.list[i];
    memcpy(copy->owned + p->offset, vit_optim_average(&train->optim, i), p->count * sizeof(float));
  }
  return LC_OK;
fail:
  vit_model_free(copy);
  return status;
}
