/* The CLS row forward through projection, MLP, final norm and heads, and back again. */
#include <string.h>

#include "cdam_cls_rows.h"
#include "cdam_vector.h"

#define LD ((size_t)CDAM_GROUP)

void cdam_cls_forward(struct cdam_cls *e, size_t n) {
  const struct vit_kernels *kernels = vit_kernels();
  const struct vit_model *model = e->model;
  const struct vit_arch *arch = &model->arch;
  const struct vit_block *block = &model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim;
  struct vit_epilogue to_trunk = {
      .bias = block->proj.bias, .row_scale = block->scale1, .residual = e->cls, .ld_residual = LD};
  kernels->gemm(dim, LD, dim, block->proj.weight, dim, 1, r->mixed, LD, r->after, LD, &to_trunk);
  kernels->layer_norm(dim, LD, r->after, LD, block->norm2.weight, block->norm2.bias,
                      arch->layer_norm_eps, r->normed2, LD, r->moments, r->moments + LD);
  struct vit_epilogue to_hidden = {.bias = block->fc1.bias, .pre = r->pre, .activation = VIT_GELU};
  kernels->gemm(mlp, LD, dim, block->fc1.weight, dim, 1, r->normed2, LD, r->active, LD, &to_hidden);
  to_trunk = (struct vit_epilogue){
      .bias = block->fc2.bias, .row_scale = block->scale2, .residual = r->after, .ld_residual = LD};
  kernels->gemm(dim, LD, mlp, block->fc2.weight, mlp, 1, r->active, LD, r->last, LD, &to_trunk);
  kernels->layer_norm(dim, LD, r->last, LD, model->norm.weight, model->norm.bias,
                      arch->layer_norm_eps, r->embedding, LD, r->moments + 2 * LD,
                      r->moments + 3 * LD);
  /* Few inputs: their columns only. */
  for (size_t k = 0; k < mlp && n <= 4; k++)
    cdam_vector_gelu_slope(r->pre + k * LD, r->active + k * LD, n, r->pre + k * LD);
  if (n > 4) cdam_vector_gelu_slope(r->pre, r->active, mlp * LD, r->pre);
  float *relu = r->relu;
  for (size_t i = 0; i < arch->n_heads; i++) {
    size_t hidden = arch->heads[i].hidden;
    if (!hidden) continue;
    struct vit_epilogue bias = {.bias = model->heads[i].hidden.bias};
    kernels->gemm(hidden, LD, dim, model->heads[i].hidden.weight, dim, 1, r->embedding, LD, relu,
                  LD, &bias);
    for (size_t k = 0; k < hidden * LD; k++) relu[k] = relu[k] > 0;
    relu += hidden * LD;
  }
}

/* Sign of a target's share in an output: 1, -1 or 0. */
static float share_of(const struct cdam_target *target, size_t output) {
  float share = target->kind != CDAM_CONCEPT && target->a == output ? 1 : 0;
  if (target->kind == CDAM_DIFFERENCE && target->b == output) share -= 1;
  return share;
}

/* Adds what the chunk's targets read from one head to d/d(embedding). */
static void start_head(struct cdam_cls *e, size_t n, size_t first, size_t chunk, size_t head,
                       size_t first_output, const float *relu) {
  const struct vit_arch *arch = &e->model->arch;
  const struct vit_head *w = &e->model->heads[head];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, hidden = arch->heads[head].hidden, ldg = vit_pad(n * chunk);
  size_t rows = hidden ? hidden : dim;
  float *g = hidden ? r->wide : r->upstream;
  bool any = false;
  if (hidden) memset(g, 0, hidden * ldg * sizeof *g);
  for (size_t t = 0; t < chunk; t++)
    for (size_t o = 0; o < arch->heads[head].outputs; o++) {
      float share = share_of(&e->targets[first + t], first_output + o);
      if (share == 0) continue;
      any = true;
      const float *row = w->output.weight + o * rows;
      for (size_t k = 0; k < rows; k++)
        for (size_t i = 0; i < n; i++)
          g[k * ldg + i * chunk + t] += share * row[k] * (hidden ? relu[k * LD + i] : 1);
    }
  struct vit_epilogue add = {.accumulate = true};
  if (hidden && any)
    vit_kernels()->gemm(dim, ldg, hidden, w->hidden.weight, 1, dim, g, ldg, r->upstream, ldg, &add);
}

/* d(target)/d(embedding) in upstream. */
static void start(struct cdam_cls *e, size_t n, size_t first, size_t chunk) {
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, ldg = vit_pad(n * chunk), output = 0;
  float *g = e->rows->upstream;
  const float *relu = e->rows->relu;
  memset(g, 0, dim * ldg * sizeof *g);
  for (size_t head = 0; head < arch->n_heads; head++) {
    start_head(e, n, first, chunk, head, output, relu);
    output += arch->heads[head].outputs;
    relu += arch->heads[head].hidden * LD;
  }
  for (size_t t = 0; t < chunk; t++) {
    if (e->targets[first + t].kind != CDAM_CONCEPT) continue;
    for (size_t k = 0; k < dim; k++)
      for (size_t i = 0; i < n; i++)
        g[k * ldg + i * chunk + t] = e->targets[first + t].concept_vector[k];
  }
}

/* Gradient through a layer norm of the input's column x, for its columns of g, in place. */
static void norm_backward(const float *x, const float *moments, const float *weight, size_t dim,
                          size_t chunk, size_t ldg, float *g) {
  float straight[CDAM_CHUNK] = {0}, along[CDAM_CHUNK] = {0};
  const float mean = moments[0], rstd = moments[LD];
  for (size_t k = 0; k < dim; k++) {
    float unit = (x[k * LD] - mean) * rstd, *row = g + k * ldg;
    for (size_t t = 0; t < chunk; t++) {
      row[t] *= weight[k];
      straight[t] += row[t];
      along[t] += row[t] * unit;
    }
  }
  for (size_t k = 0; k < dim; k++) {
    float unit = (x[k * LD] - mean) * rstd, *row = g + k * ldg;
    for (size_t t = 0; t < chunk; t++)
      row[t] = rstd * (row[t] - (straight[t] + unit * along[t]) / (float)dim);
  }
}

static void copy_scaled(const float *in, size_t rows, size_t ld, const float *scale, float *out) {
  for (size_t k = 0; k < rows; k++)
    for (size_t c = 0; c < ld; c++)
      out[k * ld + c] = scale ? in[k * ld + c] * scale[k] : in[k * ld + c];
}

void cdam_cls_backward(struct cdam_cls *e, size_t n, size_t first, size_t chunk) {
  const struct vit_kernels *kernels = vit_kernels();
  const struct vit_model *model = e->model;
  const struct vit_arch *arch = &model->arch;
  const struct vit_block *block = &model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, heads = arch->num_heads, width = dim / heads;
  size_t ldg = vit_pad(n * chunk);
  start(e, n, first, chunk);
  for (size_t i = 0; i < n; i++)
    norm_backward(r->last + i, r->moments + 2 * LD + i, model->norm.weight, dim, chunk, ldg,
                  r->upstream + i * chunk);
  copy_scaled(r->upstream, dim, ldg, block->scale2, r->branch);
  kernels->gemm(mlp, ldg, dim, block->fc2.weight, 1, mlp, r->branch, ldg, r->wide, ldg, NULL);
  for (size_t k = 0; k < mlp; k++)
    for (size_t i = 0; i < n; i++)
      for (size_t t = 0; t < chunk; t++) r->wide[k * ldg + i * chunk + t] *= r->pre[k * LD + i];
  kernels->gemm(dim, ldg, mlp, block->fc1.weight, 1, dim, r->wide, ldg, r->branch, ldg, NULL);
  for (size_t i = 0; i < n; i++)
    norm_backward(r->after + i, r->moments + i, block->norm2.weight, dim, chunk, ldg,
                  r->branch + i * chunk);
  cdam_vector_add(r->upstream, r->branch, dim * ldg, 1, r->branch);
  copy_scaled(r->branch, dim, ldg, block->scale1, r->upstream);
  kernels->gemm(dim, ldg, dim, block->proj.weight, 1, dim, r->upstream, ldg, r->branch, ldg, NULL);
  const float *wv = block->qkv.weight + 2 * dim * dim;
  for (size_t h = 0; h < heads; h++)
    kernels->gemm(dim, ldg, width, wv + h * width * dim, 1, dim, r->branch + h * width * ldg, ldg,
                  r->values + h * dim * ldg, ldg, NULL);
}
