/* CDAM by a full backward pass through the last block, every token of it, in double: slow and
 * plain, it shares nothing with the closed form that it checks. */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam_map.h"
#include "lc_arena.h"

/* One image's pass. n tokens; matrices are row-major. */
struct pass {
  const struct vit_model *model;
  size_t n, dim, mlp, heads;
  double *qkv_weight, *proj_weight, *fc1_weight, *fc2_weight;
  double *normed, *qkv, *attention, *mixed, *after, *normed2, *hidden, *active, *last, *embedding;
  double *d_last, *d_hidden, *d_normed2, *d_mixed, *d_qkv, *d_normed, *d_attention, *spare;
};

static void take_all(struct pass *p, struct lc_arena *arena) {
  size_t n = p->n, dim = p->dim, mlp = p->mlp;
  const struct {
    double **at;
    size_t count;
  } parts[] = {{&p->qkv_weight, 3 * dim * dim},
               {&p->proj_weight, dim * dim},
               {&p->fc1_weight, mlp * dim},
               {&p->fc2_weight, mlp * dim},
               {&p->normed, n * dim},
               {&p->qkv, n * 3 * dim},
               {&p->attention, p->heads * n * n},
               {&p->mixed, n * dim},
               {&p->after, n * dim},
               {&p->normed2, n * dim},
               {&p->hidden, n * mlp},
               {&p->active, n * mlp},
               {&p->last, n * dim},
               {&p->embedding, n * dim},
               {&p->d_last, n * dim},
               {&p->d_hidden, n * mlp},
               {&p->d_normed2, n * dim},
               {&p->d_mixed, n * dim},
               {&p->d_qkv, n * 3 * dim},
               {&p->d_normed, n * dim},
               {&p->d_attention, n * n},
               {&p->spare, n * dim}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    *parts[i].at = lc_arena_take(arena, parts[i].count, sizeof(double));
}

static void widen(const float *in, size_t count, double *out) {
  for (size_t i = 0; i < count; i++) out[i] = (double)in[i];
}

/* c = scale * op(a) op(b) + beta * c, leading dimensions given. */
static void product(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, size_t m, size_t n, size_t k,
                    double scale, const double *a, size_t lda, const double *b, size_t ldb,
                    double beta, double *c, size_t ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, scale, a, (int)lda, b, (int)ldb, beta,
              c, (int)ldc);
}

/* out [n, m] = in [n, k] weight^T + bias */
static void linear(const double *in, size_t n, size_t k, const double *weight, const float *bias,
                   size_t m, double *out) {
  product(CblasNoTrans, CblasTrans, n, m, k, 1, in, k, weight, k, 0, out, m);
  for (size_t i = 0; bias && i < n; i++)
    for (size_t c = 0; c < m; c++) out[i * m + c] += (double)bias[c];
}

/* d_in [n, k] = d_out [n, m] weight */
static void linear_backward(const double *d_out, size_t n, size_t m, const double *weight, size_t k,
                            double *d_in) {
  product(CblasNoTrans, CblasNoTrans, n, k, m, 1, d_out, m, weight, k, 0, d_in, k);
}

static void row_moments(const double *x, size_t dim, double eps, double *mean, double *rstd) {
  double sum = 0, squares = 0;
  for (size_t k = 0; k < dim; k++) sum += x[k];
  *mean = sum / (double)dim;
  for (size_t k = 0; k < dim; k++) squares += (x[k] - *mean) * (x[k] - *mean);
  *rstd = 1 / sqrt(squares / (double)dim + eps);
}

static void norm(const double *x, size_t n, size_t dim, const struct vit_norm *w, double eps,
                 double *out) {
  for (size_t i = 0; i < n; i++) {
    double mean, rstd;
    row_moments(x + i * dim, dim, eps, &mean, &rstd);
    for (size_t k = 0; k < dim; k++)
      out[i * dim + k] = (x[i * dim + k] - mean) * rstd * (double)w->weight[k] + (double)w->bias[k];
  }
}

/* Adds the gradient with respect to x; d_out is used up. */
static void norm_backward(const double *x, size_t n, size_t dim, const struct vit_norm *w,
                          double eps, double *d_out, double *d_x) {
  for (size_t i = 0; i < n; i++) {
    const double *row = x + i * dim;
    double mean, rstd, straight = 0, along = 0, *g = d_out + i * dim;
    row_moments(row, dim, eps, &mean, &rstd);
    for (size_t k = 0; k < dim; k++) {
      g[k] *= (double)w->weight[k];
      straight += g[k] / (double)dim;
      along += g[k] * (row[k] - mean) * rstd / (double)dim;
    }
    for (size_t k = 0; k < dim; k++)
      d_x[i * dim + k] += rstd * (g[k] - straight - (row[k] - mean) * rstd * along);
  }
}

static void attend(struct pass *p, const struct vit_block *block) {
  size_t n = p->n, dim = p->dim, width = dim / p->heads;
  linear(p->normed, n, dim, p->qkv_weight, block->qkv.bias, 3 * dim, p->qkv);
  for (size_t h = 0; h < p->heads; h++) {
    double *a = p->attention + h * n * n;
    const double *q = p->qkv + h * width;
    product(CblasNoTrans, CblasTrans, n, n, width, 1 / sqrt((double)width), q, 3 * dim, q + dim,
            3 * dim, 0, a, n);
    for (size_t i = 0; i < n; i++) {
      double top = -INFINITY, total = 0;
      for (size_t k = 0; k < n; k++) top = fmax(top, a[i * n + k]);
      for (size_t k = 0; k < n; k++) total += a[i * n + k] = exp(a[i * n + k] - top);
      for (size_t k = 0; k < n; k++) a[i * n + k] /= total;
    }
    product(CblasNoTrans, CblasNoTrans, n, width, n, 1, a, n, q + 2 * dim, 3 * dim, 0,
            p->mixed + h * width, dim);
  }
}

static void add_branch(const double *branch, size_t n, size_t dim, const float *scale,
                       double *sum) {
  for (size_t i = 0; i < n * dim; i++) sum[i] += branch[i] * (scale ? (double)scale[i % dim] : 1);
}

static void forward(struct pass *p, const float *input) {
  const struct vit_arch *arch = &p->model->arch;
  const struct vit_block *block = &p->model->blocks[arch->depth - 1];
  size_t n = p->n, dim = p->dim, mlp = p->mlp;
  double eps = (double)arch->layer_norm_eps;
  widen(input, n * dim, p->after);
  norm(p->after, n, dim, &block->norm1, eps, p->normed);
  attend(p, block);
  linear(p->mixed, n, dim, p->proj_weight, block->proj.bias, dim, p->spare);
  add_branch(p->spare, n, dim, block->scale1, p->after);
  norm(p->after, n, dim, &block->norm2, eps, p->normed2);
  linear(p->normed2, n, dim, p->fc1_weight, block->fc1.bias, mlp, p->hidden);
  for (size_t i = 0; i < n * mlp; i++)
    p->active[i] = p->hidden[i] * 0.5 * (1 + erf(p->hidden[i] * M_SQRT1_2));
  linear(p->active, n, mlp, p->fc2_weight, block->fc2.bias, dim, p->spare);
  memcpy(p->last, p->after, n * dim * sizeof(double));
  add_branch(p->spare, n, dim, block->scale2, p->last);
  norm(p->last, n, dim, &p->model->norm, eps, p->embedding);
}

/* Adds sign * d(output)/d(CLS embedding). */
static void output_gradient(const struct vit_model *model, size_t output, double sign,
                            const double *embedding, double *g) {
  const struct vit_arch *arch = &model->arch;
  size_t head = 0, dim = arch->embed_dim;
  while (output >= arch->heads[head].outputs) output -= arch->heads[head++].outputs;
  const struct vit_head *w = &model->heads[head];
  size_t hidden = arch->heads[head].hidden;
  if (!hidden) {
    for (size_t k = 0; k < dim; k++) g[k] += sign * (double)w->output.weight[output * dim + k];
    return;
  }
  for (size_t u = 0; u < hidden; u++) {
    const float *row = w->hidden.weight + u * dim;
    double x = w->hidden.bias ? (double)w->hidden.bias[u] : 0;
    for (size_t k = 0; k < dim; k++) x += (double)row[k] * embedding[k];
    double on = x > 0 ? sign * (double)w->output.weight[output * hidden + u] : 0;
    for (size_t k = 0; k < dim; k++) g[k] += on * (double)row[k];
  }
}

static void target_gradient(const struct pass *p, const struct cdam_target *target, double *g) {
  if (target->kind == CDAM_CONCEPT) {
    widen(target->concept_vector, p->dim, g);
    return;
  }
  output_gradient(p->model, target->a, 1, p->embedding, g);
  if (target->kind == CDAM_DIFFERENCE) output_gradient(p->model, target->b, -1, p->embedding, g);
}

/* From d(mixed heads) to d(normed tokens), through values, softmax, keys and queries. */
static void attend_backward(struct pass *p) {
  size_t n = p->n, dim = p->dim, width = dim / p->heads;
  double temperature = 1 / sqrt((double)width);
  for (size_t h = 0; h < p->heads; h++) {
    const double *a = p->attention + h * n * n, *q = p->qkv + h * width;
    const double *d_o = p->d_mixed + h * width;
    double *d_a = p->d_attention, *d_q = p->d_qkv + h * width;
    product(CblasTrans, CblasNoTrans, n, width, n, 1, a, n, d_o, dim, 0, d_q + 2 * dim, 3 * dim);
    product(CblasNoTrans, CblasTrans, n, n, width, 1, d_o, dim, q + 2 * dim, 3 * dim, 0, d_a, n);
    for (size_t i = 0; i < n; i++) {
      double mean = 0;
      for (size_t k = 0; k < n; k++) mean += a[i * n + k] * d_a[i * n + k];
      for (size_t k = 0; k < n; k++) d_a[i * n + k] = a[i * n + k] * (d_a[i * n + k] - mean);
    }
    product(CblasNoTrans, CblasNoTrans, n, width, n, temperature, d_a, n, q + dim, 3 * dim, 0, d_q,
            3 * dim);
    product(CblasTrans, CblasNoTrans, n, width, n, temperature, d_a, n, q, 3 * dim, 0, d_q + dim,
            3 * dim);
  }
  linear_backward(p->d_qkv, n, 3 * dim, p->qkv_weight, dim, p->d_normed);
}

static void backward(struct pass *p, const struct cdam_target *target) {
  const struct vit_arch *arch = &p->model->arch;
  const struct vit_block *block = &p->model->blocks[arch->depth - 1];
  size_t n = p->n, dim = p->dim, mlp = p->mlp;
  double eps = (double)arch->layer_norm_eps;
  memset(p->spare, 0, n * dim * sizeof(double));
  memset(p->d_last, 0, n * dim * sizeof(double));
  target_gradient(p, target, p->spare);
  norm_backward(p->last, n, dim, &p->model->norm, eps, p->spare, p->d_last);
  for (size_t i = 0; i < n * dim; i++)
    p->spare[i] = p->d_last[i] * (block->scale2 ? (double)block->scale2[i % dim] : 1);
  linear_backward(p->spare, n, dim, p->fc2_weight, mlp, p->d_hidden);
  for (size_t i = 0; i < n * mlp; i++) {
    double x = p->hidden[i];
    p->d_hidden[i] *= 0.5 * (1 + erf(x * M_SQRT1_2)) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
  }
  linear_backward(p->d_hidden, n, mlp, p->fc1_weight, dim, p->d_normed2);
  norm_backward(p->after, n, dim, &block->norm2, eps, p->d_normed2, p->d_last);
  for (size_t i = 0; i < n * dim; i++)
    p->spare[i] = p->d_last[i] * (block->scale1 ? (double)block->scale1[i % dim] : 1);
  linear_backward(p->spare, n, dim, p->proj_weight, dim, p->d_mixed);
  attend_backward(p);
}

lc_status cdam_general(const struct vit_model *model, const struct vit_trace *trace,
                       const struct cdam_target *targets, size_t n_targets, struct cdam_maps *maps,
                       struct lc_error *err) {
  const struct vit_arch *arch = &model->arch;
  LC_TRY(cdam_target_check(targets, n_targets, model, err));
  if (!trace->last_input)
    LC_FAIL(err, LC_ERR_USAGE, "CDAM needs the input of the last block in the trace");
  LC_TRY(cdam_maps_check(maps, trace, n_targets, err));
  struct pass p = {.model = model,
                   .n = trace->tokens,
                   .dim = arch->embed_dim,
                   .mlp = arch->mlp_dim,
                   .heads = arch->num_heads};
  struct lc_arena arena;
  lc_arena_init_counting(&arena);
  take_all(&p, &arena);
  LC_TRY(lc_arena_init(&arena, arena.peak, err));
  take_all(&p, &arena);
  const struct vit_block *block = &model->blocks[arch->depth - 1];
  widen(block->qkv.weight, 3 * p.dim * p.dim, p.qkv_weight);
  widen(block->proj.weight, p.dim * p.dim, p.proj_weight);
  widen(block->fc1.weight, p.mlp * p.dim, p.fc1_weight);
  widen(block->fc2.weight, p.mlp * p.dim, p.fc2_weight);
  size_t skip = vit_arch_prefix(arch);
  for (size_t image = 0; image < trace->batch; image++) {
    forward(&p, trace->last_input + image * p.n * p.dim);
    for (size_t t = 0; t < n_targets; t++) {
      backward(&p, &targets[t]);
      float *map = cdam_maps_get(maps, image, t);
      for (size_t i = 0; i < trace->patches; i++)
        map[i] = (float)cblas_ddot((int)p.dim, p.normed + (i + skip) * p.dim, 1,
                                   p.d_normed + (i + skip) * p.dim, 1);
    }
  }
  lc_arena_free(&arena);
  return LC_OK;
}
