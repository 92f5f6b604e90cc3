/* The last block and everything after it, for the CLS row, in double and as one reads it in a
 * textbook: what finite differences are taken of. And models with random parameters. */
#pragma once

#include <math.h>

#include "cdam/engine/cdam_map.h"
#include "common/lc_random.h"
#include "tests/lc_test.h"
#include "vit/pass/vit_forward.h"

static inline void oracle_norm(const double *x, size_t dim, const struct vit_norm *w, double eps,
                               double *out) {
  double mean = 0, var = 0;
  for (size_t k = 0; k < dim; k++) mean += x[k] / (double)dim;
  for (size_t k = 0; k < dim; k++) var += (x[k] - mean) * (x[k] - mean) / (double)dim;
  for (size_t k = 0; k < dim; k++)
    out[k] = (x[k] - mean) / sqrt(var + eps) * (double)w->weight[k] + (double)w->bias[k];
}

static inline double oracle_unit(const struct vit_linear *w, size_t row, const double *x,
                                 size_t dim) {
  double sum = w->bias ? (double)w->bias[row] : 0;
  for (size_t k = 0; k < dim; k++) sum += (double)w->weight[row * dim + k] * x[k];
  return sum;
}

/* The attention of one head for the CLS query, and its output. */
static inline void oracle_head(const struct vit_block *b, const double *t, size_t tokens,
                               size_t dim, size_t width, size_t h, double *out) {
  double *score = calloc(tokens, sizeof *score), total = 0, top = -INFINITY;
  for (size_t i = 0; i < tokens; i++) {
    for (size_t c = h * width; c < (h + 1) * width; c++)
      score[i] += oracle_unit(&b->qkv, c, t, dim) *
                  oracle_unit(&b->qkv, dim + c, t + i * dim, dim) / sqrt((double)width);
    top = fmax(top, score[i]);
  }
  for (size_t i = 0; i < tokens; i++) total += score[i] = exp(score[i] - top);
  for (size_t c = h * width; c < (h + 1) * width; c++) {
    out[c] = 0;
    for (size_t i = 0; i < tokens; i++)
      out[c] += score[i] / total * oracle_unit(&b->qkv, 2 * dim + c, t + i * dim, dim);
  }
  free(score);
}

static inline double oracle_output(const struct vit_model *m, size_t output,
                                   const double *embedding) {
  size_t head = 0, dim = m->arch.embed_dim;
  while (output >= m->arch.heads[head].outputs) output -= m->arch.heads[head++].outputs;
  size_t hidden = m->arch.heads[head].hidden;
  if (!hidden) return oracle_unit(&m->heads[head].output, output, embedding, dim);
  double *active = malloc(hidden * sizeof *active);
  for (size_t u = 0; u < hidden; u++) {
    double x = oracle_unit(&m->heads[head].hidden, u, embedding, dim);
    vit_head_activation kind = m->arch.heads[head].activation;
    active[u] = kind == VIT_HEAD_TANH   ? tanh(x)
                : kind == VIT_HEAD_GELU ? x / 2 * (1 + erf(x / sqrt(2)))
                                        : fmax(0, x);
  }
  double sum = oracle_unit(&m->heads[head].output, output, active, hidden);
  free(active);
  return sum;
}

/* f(T): normed tokens t [tokens, dim] and the CLS row of the block's input to the target. */
static inline double oracle_target(const struct vit_model *m, const struct cdam_target *target,
                                   const double *t, const float *cls, size_t tokens) {
  const struct vit_arch *arch = &m->arch;
  const struct vit_block *b = &m->blocks[arch->depth - 1];
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, width = dim / arch->num_heads;
  double eps = (double)arch->layer_norm_eps;
  double *mixed = malloc((4 * dim + mlp) * sizeof *mixed), *x = mixed + dim, *n = x + dim,
         *e = n + dim, *hidden = e + dim;
  for (size_t h = 0; h < arch->num_heads; h++) oracle_head(b, t, tokens, dim, width, h, mixed);
  for (size_t k = 0; k < dim; k++)
    x[k] = (double)cls[k] +
           oracle_unit(&b->proj, k, mixed, dim) * (b->scale1 ? (double)b->scale1[k] : 1);
  oracle_norm(x, dim, &b->norm2, eps, n);
  for (size_t k = 0; k < mlp; k++) {
    double v = oracle_unit(&b->fc1, k, n, dim);
    hidden[k] = v * 0.5 * (1 + erf(v / sqrt(2)));
  }
  for (size_t k = 0; k < dim; k++)
    x[k] += oracle_unit(&b->fc2, k, hidden, mlp) * (b->scale2 ? (double)b->scale2[k] : 1);
  oracle_norm(x, dim, &m->norm, eps, e);
  double f = 0;
  if (target->kind == CDAM_CONCEPT)
    for (size_t k = 0; k < dim; k++) f += e[k] * (double)target->concept_vector[k];
  else
    f = oracle_output(m, target->a, e);
  if (target->kind == CDAM_DIFFERENCE) f -= oracle_output(m, target->b, e);
  free(mixed);
  return f;
}

/* CDAM of one image by central differences: how f changes when token i grows by a factor. */
static inline void oracle_cdam(const struct vit_model *m, const struct cdam_target *target,
                               const float *input, size_t tokens, double *map) {
  size_t dim = m->arch.embed_dim, skip = vit_arch_prefix(&m->arch);
  double *t = malloc(tokens * dim * sizeof *t), *row = malloc(2 * dim * sizeof *row);
  for (size_t i = 0; i < tokens; i++) {
    for (size_t k = 0; k < dim; k++) row[k] = (double)input[i * dim + k];
    oracle_norm(row, dim, &m->blocks[m->arch.depth - 1].norm1, (double)m->arch.layer_norm_eps,
                t + i * dim);
  }
  const double step = 1e-4;
  for (size_t i = skip; i < tokens; i++) {
    double f[2];
    memcpy(row, t + i * dim, dim * sizeof *row);
    for (int side = 0; side < 2; side++) {
      for (size_t k = 0; k < dim; k++) t[i * dim + k] = row[k] * (side ? 1 + step : 1 - step);
      f[side] = oracle_target(m, target, t, input, tokens);
    }
    memcpy(t + i * dim, row, dim * sizeof *row);
    map[i - skip] = (f[1] - f[0]) / (2 * step);
  }
  free(t);
  free(row);
}

static inline void oracle_fill(float *values, size_t n, const char *purpose, uint64_t index,
                               double scale) {
  struct lc_random random;
  lc_random_init(&random, 11, purpose, index);
  for (size_t i = 0; i < n; i++) values[i] = (float)(scale * lc_random_normal(&random));
}

/* A model all of whose parameters are random and large enough to matter. */
static inline void oracle_model(struct vit_model *model, const struct vit_arch *arch) {
  assert_ok(vit_model_init(model, arch, 5, &test_err));
  oracle_fill(model->owned, vit_arch_parameters(arch), "parameters", arch->embed_dim, 0.35);
}

/* A trace that holds nothing but random tokens at the input of the last block; free last_input. */
static inline struct vit_trace oracle_trace(const struct vit_arch *arch, size_t batch,
                                            size_t grid_height, size_t grid_width) {
  struct vit_trace trace = {.batch = batch,
                            .patches = grid_height * grid_width,
                            .grid_height = grid_height,
                            .grid_width = grid_width};
  trace.tokens = trace.patches + vit_arch_prefix(arch);
  size_t count = batch * trace.tokens * arch->embed_dim;
  trace.last_input = malloc(count * sizeof(float));
  oracle_fill(trace.last_input, count, "tokens", arch->embed_dim, 1.5);
  return trace;
}
