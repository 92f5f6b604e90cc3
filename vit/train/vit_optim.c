/* Performs a step of Adam or AdamW over chunks of the parameters, with clipping by the global norm
 * and a moving average of the weights. */
#include "vit/train/vit_optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"

/* Part of one parameter; the unit of work and of the sums for the norm. */
struct vit_optim_chunk {
  size_t parameter, start, count;
};

#define CHUNK 32768

/* What one step needs in every chunk, already in the float that the elements are. */
struct step_job {
  const struct vit_optim *optim;
  float clip;
  float decay;  /* Adam: added times the value */
  float shrink; /* AdamW: factor of the value */
  float beta2, lerp1, lerp2;
  float step_size, root_correction, epsilon;
  float ema_keep, ema_take;
};

void vit_optim_defaults(struct vit_optim_settings *settings) {
  memset(settings, 0, sizeof *settings);
  settings->beta1 = 0.9;
  settings->beta2 = 0.999;
  settings->epsilon = 1e-8;
}

static lc_status check_settings(const struct vit_optim_settings *s, struct lc_error *err) {
  if (!(s->beta1 >= 0 && s->beta1 < 1))
    LC_FAIL(err, LC_ERR_CONFIG, "beta1 is %g, expected 0 to below 1", s->beta1);
  if (!(s->beta2 >= 0 && s->beta2 < 1))
    LC_FAIL(err, LC_ERR_CONFIG, "beta2 is %g, expected 0 to below 1", s->beta2);
  if (!(s->epsilon > 0 && isfinite(s->epsilon)))
    LC_FAIL(err, LC_ERR_CONFIG, "epsilon is %g, expected a number above 0", s->epsilon);
  if (!(s->weight_decay >= 0 && isfinite(s->weight_decay)))
    LC_FAIL(err, LC_ERR_CONFIG, "weight_decay is %g, expected at least 0", s->weight_decay);
  if (!(s->clip_norm >= 0 && isfinite(s->clip_norm)))
    LC_FAIL(err, LC_ERR_CONFIG, "clip_norm is %g, expected at least 0", s->clip_norm);
  if (!(s->ema_decay >= 0 && s->ema_decay < 1))
    LC_FAIL(err, LC_ERR_CONFIG, "ema_decay is %g, expected 0 to below 1", s->ema_decay);
  return LC_OK;
}

static void fill_chunks(struct vit_optim *optim) {
  size_t at = 0;
  for (size_t p = 0; p < optim->n_parameters; p++)
    for (size_t start = 0; start < optim->parameters[p].count; start += CHUNK) {
      size_t left = optim->parameters[p].count - start;
      optim->chunks[at++] = (struct vit_optim_chunk){
          .parameter = p, .start = start, .count = left < CHUNK ? left : CHUNK};
    }
}

lc_status vit_optim_init(struct vit_optim *optim, const struct vit_optim_settings *settings,
                         const struct vit_trainable *parameters, size_t n, struct lc_error *err) {
  lc_status status;
  memset(optim, 0, sizeof *optim);
  LC_TRY(check_settings(settings, err));
  if (n == 0) LC_FAIL(err, LC_ERR_USAGE, "an optimiser needs at least one parameter");
  optim->settings = *settings;
  optim->n_parameters = n;
  LC_TRY_GOTO(lc_alloc(&optim->parameters, n, sizeof *optim->parameters, err), fail);
  LC_TRY_GOTO(lc_alloc(&optim->offsets, n + 1, sizeof *optim->offsets, err), fail);
  memcpy(optim->parameters, parameters, n * sizeof *parameters);
  for (size_t p = 0; p < n; p++) {
    optim->offsets[p + 1] = optim->offsets[p] + parameters[p].count;
    optim->n_chunks += (parameters[p].count + CHUNK - 1) / CHUNK;
  }
  size_t total = optim->offsets[n];
  LC_TRY_GOTO(lc_alloc(&optim->first, total, sizeof(float), err), fail);
  LC_TRY_GOTO(lc_alloc(&optim->second, total, sizeof(float), err), fail);
  LC_TRY_GOTO(lc_alloc(&optim->norms, optim->n_chunks, sizeof(double), err), fail);
  LC_TRY_GOTO(lc_alloc(&optim->chunks, optim->n_chunks, sizeof *optim->chunks, err), fail);
  fill_chunks(optim);
  if (settings->ema_decay > 0) {
    LC_TRY_GOTO(lc_alloc(&optim->average, total, sizeof(float), err), fail);
    for (size_t p = 0; p < n; p++)
      memcpy(optim->average + optim->offsets[p], parameters[p].value,
             parameters[p].count * sizeof(float));
  }
  return LC_OK;
fail:
  vit_optim_free(optim);
  return status;
}

void vit_optim_free(struct vit_optim *optim) {
  free(optim->parameters);
  free(optim->offsets);
  free(optim->first);
  free(optim->second);
  free(optim->average);
  free(optim->norms);
  free(optim->chunks);
  memset(optim, 0, sizeof *optim);
}

static void square_chunk(void *context, size_t i, int worker) {
  (void)worker;
  const struct vit_optim *optim = context;
  const struct vit_optim_chunk *chunk = &optim->chunks[i];
  const struct vit_trainable *parameter = &optim->parameters[chunk->parameter];
  double sum = 0;
  if (!parameter->frozen) {
    const float *g = parameter->gradient + chunk->start;
    for (size_t k = 0; k < chunk->count; k++) sum += (double)g[k] * (double)g[k];
  }
  optim->norms[i] = sum;
}

static lc_status global_norm(struct vit_optim *optim, double *norm, struct lc_error *err) {
  lc_parallel_for(optim->n_chunks, square_chunk, optim);
  double sum = 0;
  for (size_t i = 0; i < optim->n_chunks; i++) {
    if (!isfinite(optim->norms[i]))
      LC_FAIL(err, LC_ERR_NUMERIC, "the gradient of %s is not finite at step %llu",
              optim->parameters[optim->chunks[i].parameter].name, (unsigned long long)optim->steps);
    sum += optim->norms[i];
  }
  *norm = sqrt(sum);
  return LC_OK;
}

static void step_chunk(void *context, size_t i, int worker) {
  (void)worker;
  const struct step_job job = *(const struct step_job *)context;
  const struct vit_optim *optim = job.optim;
  const struct vit_optim_chunk *chunk = &optim->chunks[i];
  const struct vit_trainable *parameter = &optim->parameters[chunk->parameter];
  if (parameter->frozen) return;
  size_t at = optim->offsets[chunk->parameter] + chunk->start;
  const float *g = parameter->gradient + chunk->start;
  float *restrict p = parameter->value + chunk->start;
  float *restrict m = optim->first + at;
  float *restrict v = optim->second + at;
  float decay = parameter->decays ? job.decay : 0, shrink = parameter->decays ? job.shrink : 1;
  for (size_t k = 0; k < chunk->count; k++) {
    float slope = g[k] * job.clip + decay * p[k];
    m[k] += job.lerp1 * (slope - m[k]);
    v[k] = v[k] * job.beta2 + job.lerp2 * slope * slope;
    float root = sqrtf(v[k]) / job.root_correction + job.epsilon;
    p[k] = p[k] * shrink - job.step_size * (m[k] / root);
  }
  if (!optim->average) return;
  float *restrict average = optim->average + at;
  for (size_t k = 0; k < chunk->count; k++)
    average[k] = job.ema_keep * average[k] + job.ema_take * p[k];
}

lc_status vit_optim_step(struct vit_optim *optim, double rate, double *norm, struct lc_error *err) {
  const struct vit_optim_settings *s = &optim->settings;
  double total = 0;
  LC_TRY(global_norm(optim, &total, err));
  if (norm) *norm = total;
  double t = (double)++optim->steps;
  /* The small term is PyTorch's, so that clipped runs agree with it. */
  double clip = s->clip_norm > 0 ? s->clip_norm / (total + 1e-6) : 1;
  double keep = s->ema_decay;
  if (s->ema_warmup && (1 + t) / (10 + t) < keep) keep = (1 + t) / (10 + t);
  struct step_job job = {
      .optim = optim,
      .clip = clip < 1 ? (float)clip : 1,
      .decay = s->kind == VIT_ADAM ? (float)s->weight_decay : 0,
      .shrink = s->kind == VIT_ADAMW ? (float)(1 - rate * s->weight_decay) : 1,
      .beta2 = (float)s->beta2,
      .lerp1 = (float)(1 - s->beta1),
      .lerp2 = (float)(1 - s->beta2),
      .step_size = (float)(rate / (1 - pow(s->beta1, t))),
      .root_correction = (float)sqrt(1 - pow(s->beta2, t)),
      .epsilon = (float)s->epsilon,
      .ema_keep = (float)keep,
      .ema_take = (float)(1 - keep),
  };
  lc_parallel_for(optim->n_chunks, step_chunk, &job);
  return LC_OK;
}

const float *vit_optim_average(const struct vit_optim *optim, size_t parameter) {
  return optim->average ? optim->average + optim->offsets[parameter]
                        : optim->parameters[parameter].value;
}
