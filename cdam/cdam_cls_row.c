/* The CLS row forward through projection, MLP, final norm and heads, and back again. */
#include <string.h>

#include "cdam_cls_rows.h"
#include "cdam_vector.h"

void cdam_cls_forward(struct cdam_cls *e, size_t n) {
  const struct vit_kernels *kernels = vit_kernels();
  const struct vit_model *model = e->model;
  const struct vit_arch *arch = &model->arch;
  const struct vit_block *block = &model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, ld = e->ld;
  struct vit_epilogue to_trunk = {
      .bias = block->proj.bias, .row_scale = block->scale1, .residual = e->cls, .ld_residual = ld};
  kernels->gemm(dim, ld, dim, block->proj.weight, dim, 1, r->mixed, ld, r->after, ld, &to_trunk);
  kernels->layer_norm(dim, ld, r->after, ld, block->norm2.weight, block->norm2.bias,
                      arch->layer_norm_eps, r->normed2, ld, r->moments, r->moments + ld);
  struct vit_epilogue to_hidden = {.bias = block->fc1.bias, .pre = r->pre, .activation = VIT_GELU};
  kernels->gemm(mlp, ld, dim, block->fc1.weight, dim, 1, r->normed2, ld, r->active, ld, &to_hidden);
  to_trunk = (struct vit_epilogue){
      .bias = block->fc2.bias, .row_scale = block->scale2, .residual = r->after, .ld_residual = ld};
  kernels->gemm(dim, ld, mlp, block->fc2.weight, mlp, 1, r->active, ld, r->last, ld, &to_trunk);
  kernels->layer_norm(dim, ld, r->last, ld, model->norm.weight, model->norm.bias,
                      arch->layer_norm_eps, r->embedding, ld, r->moments + 2 * ld,
                      r->moments + 3 * ld);
  float *relu = r->relu;
  size_t hidden_units = 0;
  for (size_t i = 0; i < arch->n_heads; i++) {
    size_t hidden = arch->heads[i].hidden;
    if (!hidden) continue;
    struct vit_epilogue bias = {.bias = model->heads[i].hidden.bias};
    kernels->gemm(hidden, ld, dim, model->heads[i].hidden.weight, dim, 1, r->embedding, ld, relu,
                  ld, &bias);
    for (size_t k = 0; k < hidden * ld; k++) relu[k] = relu[k] > 0;
    relu += hidden * ld;
    hidden_units += hidden;
  }
  kernels->transpose(dim, ld, r->after, ld, r->after_rows, dim);
  kernels->transpose(dim, ld, r->last, ld, r->last_rows, dim);
  kernels->transpose(mlp, ld, r->pre, ld, r->slope, mlp);
  kernels->transpose(mlp, ld, r->active, ld, r->active_rows, mlp);
  kernels->transpose(hidden_units, ld, r->relu, ld, r->relu_rows, hidden_units);
  cdam_vector_gelu_slope(r->slope, r->active_rows, n * mlp, r->slope);
}

/* Sign of a target's share in an output: 1, -1 or 0. */
static float share_of(const struct cdam_target *target, size_t output) {
  float share = target->kind != CDAM_CONCEPT && target->a == output ? 1 : 0;
  if (target->kind == CDAM_DIFFERENCE && target->b == output) share -= 1;
  return share;
}

void cdam_cls_product(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                      size_t ldb, float *c, size_t ldc, bool accumulate) {
  struct vit_epilogue add = {.accumulate = accumulate};
  size_t whole = n / VIT_LANES * VIT_LANES;
  vit_kernels()->gemm(m, whole, k, a, lda, 1, b, ldb, c, ldc, &add);
  for (size_t i = 0; i < m; i++)
    for (size_t j = whole; j < n; j++) {
      float sum = accumulate ? c[i * ldc + j] : 0;
      for (size_t p = 0; p < k; p++) sum += a[i * lda + p] * b[p * ldb + j];
      c[i * ldc + j] = sum;
    }
}

/* Adds what the chunk's targets read from one head to d/d(embedding). relu: [input, units of all
 * heads], at this head's first unit. */
static void start_head(struct cdam_cls *e, size_t n, size_t first, size_t chunk, size_t head,
                       size_t first_output, const float *relu, size_t units) {
  const struct vit_arch *arch = &e->model->arch;
  const struct vit_head *w = &e->model->heads[head];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, hidden = arch->heads[head].hidden, width = hidden ? hidden : dim;
  float *g = hidden ? r->wide : r->upstream;
  bool any = false;
  if (hidden) memset(g, 0, n * chunk * hidden * sizeof *g);
  for (size_t t = 0; t < chunk; t++)
    for (size_t o = 0; o < arch->heads[head].outputs; o++) {
      float share = share_of(&e->targets[first + t], first_output + o);
      if (share == 0) continue;
      any = true;
      for (size_t i = 0; i < n; i++) {
        float *to = g + (i * chunk + t) * width;
        cdam_vector_add(to, w->output.weight + o * width, width, share, to);
      }
    }
  if (!hidden || !any) return;
  for (size_t i = 0; i < n; i++)
    for (size_t t = 0; t < chunk; t++) {
      float *row = g + (i * chunk + t) * hidden;
      cdam_vector_multiply(row, relu + i * units, hidden, row);
    }
  cdam_cls_product(n * chunk, dim, hidden, g, hidden, w->hidden.weight, dim, r->upstream, dim,
                   true);
}

/* d(target)/d(embedding) in upstream. */
static void start(struct cdam_cls *e, size_t n, size_t first, size_t chunk) {
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, output = 0, units = 0;
  float *g = e->rows->upstream;
  const float *relu = e->rows->relu_rows;
  for (size_t head = 0; head < arch->n_heads; head++) units += arch->heads[head].hidden;
  memset(g, 0, n * chunk * dim * sizeof *g);
  for (size_t head = 0; head < arch->n_heads; head++) {
    start_head(e, n, first, chunk, head, output, relu, units);
    output += arch->heads[head].outputs;
    relu += arch->heads[head].hidden;
  }
  for (size_t t = 0; t < chunk; t++)
    for (size_t i = 0; i < n && e->targets[first + t].kind == CDAM_CONCEPT; i++)
      memcpy(g + (i * chunk + t) * dim, e->targets[first + t].concept_vector, dim * sizeof *g);
}

/* Gradients of the chunk's targets through a layer norm, in place. x: its inputs, a row an input.
 */
static void norm_backward(const struct cdam_cls *e, size_t n, size_t chunk, const float *x,
                          const float *moments, const float *weight, float *g) {
  size_t dim = e->model->arch.embed_dim;
  for (size_t i = 0; i < n; i++)
    for (size_t t = 0; t < chunk; t++)
      cdam_vector_norm_backward(x + i * dim, moments[i], moments[e->ld + i], weight, dim,
                                g + (i * chunk + t) * dim);
}

/* out = in * scale, row by row; without LayerScale a copy. */
static void scaled(const float *in, size_t rows, size_t dim, const float *scale, float *out) {
  for (size_t k = 0; k < rows && scale; k++)
    cdam_vector_multiply(in + k * dim, scale, dim, out + k * dim);
  if (!scale) memcpy(out, in, rows * dim * sizeof *out);
}

void cdam_cls_backward(struct cdam_cls *e, size_t n, size_t first, size_t chunk) {
  const struct vit_model *model = e->model;
  const struct vit_arch *arch = &model->arch;
  const struct vit_block *block = &model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, rows = n * chunk;
  start(e, n, first, chunk);
  norm_backward(e, n, chunk, r->last_rows, r->moments + 2 * e->ld, model->norm.weight, r->upstream);
  scaled(r->upstream, rows, dim, block->scale2, r->branch);
  cdam_cls_product(rows, mlp, dim, r->branch, dim, block->fc2.weight, mlp, r->wide, mlp, false);
  for (size_t i = 0; i < n; i++)
    for (size_t t = 0; t < chunk; t++) {
      float *row = r->wide + (i * chunk + t) * mlp;
      cdam_vector_multiply(row, r->slope + i * mlp, mlp, row);
    }
  cdam_cls_product(rows, dim, mlp, r->wide, mlp, block->fc1.weight, dim, r->branch, dim, false);
  norm_backward(e, n, chunk, r->after_rows, r->moments, block->norm2.weight, r->branch);
  cdam_vector_add(r->upstream, r->branch, rows * dim, 1, r->branch);
  scaled(r->branch, rows, dim, block->scale1, r->upstream);
  cdam_cls_product(rows, dim, dim, r->upstream, dim, block->proj.weight, dim, r->branch, dim,
                   false);
}
