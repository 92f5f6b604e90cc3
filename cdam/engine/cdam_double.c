/* Brings pixels to tokens, runs one transformer block forward and backward, and computes the
 * gradient of a target, in double with dense matrix products; and CDAM by all of this, which shares
 * nothing with the closed form that it checks. */
#include "cdam/engine/cdam_double.h"

#include <math.h>
#include <string.h>

#include "common/lc_scope.h"
#include "vit/kernels/vit_backend.h"
#include "vit/pass/vit_forward.h"

static void take_all(struct cdam_double *d, struct lc_arena *arena) {
  size_t n = d->n, dim = d->dim, mlp = d->mlp, square = d->heads * n * n;
  const struct {
    double **at;
    size_t count;
  } parts[] = {{&d->qkv_weight, 3 * dim * dim},
               {&d->proj_weight, dim * dim},
               {&d->fc1_weight, mlp * dim},
               {&d->fc2_weight, mlp * dim},
               {&d->input, n * dim},
               {&d->normed, n * dim},
               {&d->qkv, n * 3 * dim},
               {&d->attention, square},
               {&d->mixed, n * dim},
               {&d->attended, n * dim},
               {&d->after, n * dim},
               {&d->normed2, n * dim},
               {&d->hidden, n * mlp},
               {&d->active, n * mlp},
               {&d->mlp_out, n * dim},
               {&d->output, n * dim},
               {&d->d_normed, n * dim},
               {&d->d_attention, square},
               {&d->spare, n * dim},
               {&d->spare_wide, n * mlp},
               {&d->d_mixed, n * dim},
               {&d->d_qkv, n * 3 * dim},
               {&d->d_scores, n * n}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    *parts[i].at = lc_arena_take(arena, parts[i].count, sizeof(double));
}

lc_status cdam_double_init(struct cdam_double *d, const struct vit_model *model, size_t tokens,
                           struct lc_error *err) {
  memset(d, 0, sizeof *d);
  d->model = model;
  d->n = tokens;
  d->dim = model->arch.embed_dim;
  d->mlp = model->arch.mlp_dim;
  d->heads = model->arch.num_heads;
  d->block = model->arch.depth;
  struct lc_arena counting;
  lc_arena_init_counting(&counting);
  take_all(d, &counting);
  LC_TRY(lc_arena_init(&d->arena, counting.peak, err));
  take_all(d, &d->arena);
  return LC_OK;
}

void cdam_double_free(struct cdam_double *d) {
  lc_arena_free(&d->arena);
  memset(d, 0, sizeof *d);
}

static void widen(const float *in, size_t count, double *out) {
  for (size_t i = 0; i < count; i++) out[i] = (double)in[i];
}

static void load(struct cdam_double *d, size_t index) {
  if (d->block == index) return;
  const struct vit_block *block = &d->model->blocks[index];
  widen(block->qkv.weight, 3 * d->dim * d->dim, d->qkv_weight);
  widen(block->proj.weight, d->dim * d->dim, d->proj_weight);
  widen(block->fc1.weight, d->mlp * d->dim, d->fc1_weight);
  widen(block->fc2.weight, d->mlp * d->dim, d->fc2_weight);
  d->block = index;
}

/* out [n, m] = in [n, k] weight^T + bias */
static void linear(const double *in, size_t n, size_t k, const double *weight, const float *bias,
                   size_t m, double *out) {
  vit_backend()->product(false, true, n, m, k, 1, in, k, weight, k, out, m);
  for (size_t i = 0; bias && i < n; i++)
    for (size_t c = 0; c < m; c++) out[i * m + c] += (double)bias[c];
}

/* d_in [n, k] = d_out [n, m] weight */
static void linear_backward(const double *d_out, size_t n, size_t m, const double *weight, size_t k,
                            double *d_in) {
  vit_backend()->product(false, false, n, k, m, 1, d_out, m, weight, k, d_in, k);
}

static void scale_rows(const double *in, size_t n, size_t dim, const float *scale, double *out) {
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < dim; k++)
      out[i * dim + k] = scale ? in[i * dim + k] * (double)scale[k] : in[i * dim + k];
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

/* Adds the gradient with respect to x to d_x. fixed: of the deviation taken as a constant. */
static void norm_backward(const double *x, size_t n, size_t dim, const struct vit_norm *w,
                          double eps, bool fixed, const double *d_out, double *d_x) {
  for (size_t i = 0; i < n; i++) {
    const double *row = x + i * dim, *g = d_out + i * dim;
    double mean, rstd, straight = 0, along = 0;
    row_moments(row, dim, eps, &mean, &rstd);
    for (size_t k = 0; k < dim; k++) {
      straight += g[k] * (double)w->weight[k] / (double)dim;
      along += g[k] * (double)w->weight[k] * (row[k] - mean) * rstd / (double)dim;
    }
    if (fixed) along = 0;
    for (size_t k = 0; k < dim; k++)
      d_x[i * dim + k] +=
          rstd * (g[k] * (double)w->weight[k] - straight - (row[k] - mean) * rstd * along);
  }
}

/* What the first block gets must not be rounded to float32 where sums of later blocks nearly
 * cancel. */
static double patch_value(const struct vit_model *model, const float *corner, size_t height,
                          size_t width, size_t row) {
  size_t patch = model->arch.patch_size, features = VIT_CHANNELS * patch * patch;
  const float *weight = model->patch_embed.weight + row * features;
  double sum = model->patch_embed.bias ? (double)model->patch_embed.bias[row] : 0;
  for (size_t c = 0; c < VIT_CHANNELS; c++)
    for (size_t y = 0; y < patch; y++)
      for (size_t x = 0; x < patch; x++, weight++)
        sum += (double)*weight * (double)corner[(c * height + y) * width + x];
  return sum;
}

lc_status cdam_double_embed(const struct cdam_double *d, const float *image, size_t height,
                            size_t width, double *tokens, struct lc_error *err) {
  const struct vit_model *model = d->model;
  size_t patch = model->arch.patch_size, across = width / patch, down = height / patch;
  size_t dim = d->dim, prefix = vit_arch_prefix(&model->arch);
  LC_FREED float *position = NULL;
  LC_TRY(lc_alloc(&position, (1 + down * across) * dim, sizeof *position, err));
  LC_TRY(vit_position_interpolate(model, down, across, position, err));
  for (size_t k = 0; k < dim; k++) {
    tokens[k] = (double)model->cls_token[k] + (double)position[k];
    for (size_t r = 1; r < prefix; r++)
      tokens[r * dim + k] = (double)model->register_tokens[(r - 1) * dim + k];
    for (size_t i = 0; i < down * across; i++)
      tokens[(prefix + i) * dim + k] =
          (double)position[(1 + i) * dim + k] +
          patch_value(model, image + (i / across * width + i % across) * patch, height, width, k);
  }
  return LC_OK;
}

static void attend(struct cdam_double *d, const struct vit_block *block) {
  size_t n = d->n, dim = d->dim, width = dim / d->heads;
  linear(d->normed, n, dim, d->qkv_weight, block->qkv.bias, 3 * dim, d->qkv);
  for (size_t h = 0; h < d->heads; h++) {
    double *a = d->attention + h * n * n;
    const double *q = d->qkv + h * width;
    vit_backend()->product(false, true, n, n, width, 1 / sqrt((double)width), q, 3 * dim, q + dim,
                           3 * dim, a, n);
    for (size_t i = 0; i < n; i++) {
      double top = -INFINITY, total = 0;
      for (size_t k = 0; k < n; k++) top = fmax(top, a[i * n + k]);
      for (size_t k = 0; k < n; k++) total += a[i * n + k] = exp(a[i * n + k] - top);
      for (size_t k = 0; k < n; k++) a[i * n + k] /= total;
    }
    vit_backend()->product(false, false, n, width, n, 1, a, n, q + 2 * dim, 3 * dim,
                           d->mixed + h * width, dim);
  }
}

void cdam_double_forward(struct cdam_double *d, size_t index, const double *input) {
  const struct vit_block *block = &d->model->blocks[index];
  size_t n = d->n, dim = d->dim, mlp = d->mlp;
  double eps = (double)d->model->arch.layer_norm_eps;
  load(d, index);
  memcpy(d->input, input, n * dim * sizeof(double));
  norm(d->input, n, dim, &block->norm1, eps, d->normed);
  attend(d, block);
  linear(d->mixed, n, dim, d->proj_weight, block->proj.bias, dim, d->spare);
  scale_rows(d->spare, n, dim, block->scale1, d->attended);
  for (size_t i = 0; i < n * dim; i++) d->after[i] = d->input[i] + d->attended[i];
  norm(d->after, n, dim, &block->norm2, eps, d->normed2);
  linear(d->normed2, n, dim, d->fc1_weight, block->fc1.bias, mlp, d->hidden);
  for (size_t i = 0; i < n * mlp; i++)
    d->active[i] = d->hidden[i] * 0.5 * (1 + erf(d->hidden[i] * M_SQRT1_2));
  linear(d->active, n, mlp, d->fc2_weight, block->fc2.bias, dim, d->spare);
  scale_rows(d->spare, n, dim, block->scale2, d->mlp_out);
  for (size_t i = 0; i < n * dim; i++) d->output[i] = d->after[i] + d->mlp_out[i];
}

/* From d(mixed heads) to d(normed tokens), through values, softmax, keys and queries. */
static void attend_backward(struct cdam_double *d) {
  size_t n = d->n, dim = d->dim, width = dim / d->heads;
  static const struct {
    double values, queries; /* and keys */
  } factors[] = {[CDAM_ATTENTION_PLAIN] = {1, 1},
                 [CDAM_ATTENTION_FIXED] = {1, 0},
                 [CDAM_ATTENTION_ROUTED] = {0, 1},
                 [CDAM_ATTENTION_HALVED] = {0.5, 0.25}};
  double values = factors[d->rules.attention].values, *d_s = d->d_scores;
  double temperature = factors[d->rules.attention].queries / sqrt((double)width);
  for (size_t h = 0; h < d->heads; h++) {
    const double *a = d->attention + h * n * n, *q = d->qkv + h * width;
    const double *d_o = d->d_mixed + h * width;
    double *d_a = d->d_attention + h * n * n, *d_q = d->d_qkv + h * width;
    vit_backend()->product(true, false, n, width, n, values, a, n, d_o, dim, d_q + 2 * dim,
                           3 * dim);
    vit_backend()->product(false, true, n, n, width, 1, d_o, dim, q + 2 * dim, 3 * dim, d_a, n);
    for (size_t i = 0; i < n; i++) {
      double mean = vit_backend()->dot(n, a + i * n, d_a + i * n);
      for (size_t k = 0; k < n; k++) d_s[i * n + k] = a[i * n + k] * (d_a[i * n + k] - mean);
    }
    vit_backend()->product(false, false, n, width, n, temperature, d_s, n, q + dim, 3 * dim, d_q,
                           3 * dim);
    vit_backend()->product(true, false, n, width, n, temperature, d_s, n, q, 3 * dim, d_q + dim,
                           3 * dim);
  }
  linear_backward(d->d_qkv, n, 3 * dim, d->qkv_weight, dim, d->d_normed);
}

void cdam_double_backward(struct cdam_double *d, double *g) {
  const struct vit_block *block = &d->model->blocks[d->block];
  size_t n = d->n, dim = d->dim, mlp = d->mlp;
  double eps = (double)d->model->arch.layer_norm_eps;
  scale_rows(g, n, dim, block->scale2, d->spare);
  linear_backward(d->spare, n, dim, d->fc2_weight, mlp, d->spare_wide);
  for (size_t i = 0; i < n * mlp; i++) {
    double x = d->hidden[i];
    double gate = 0.5 * (1 + erf(x * M_SQRT1_2));
    if (!d->rules.gate_fixed) gate += x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
    d->spare_wide[i] *= gate;
  }
  linear_backward(d->spare_wide, n, mlp, d->fc1_weight, dim, d->spare);
  norm_backward(d->after, n, dim, &block->norm2, eps, d->rules.norm_fixed, d->spare, g);
  scale_rows(g, n, dim, block->scale1, d->spare);
  linear_backward(d->spare, n, dim, d->proj_weight, dim, d->d_mixed);
  attend_backward(d);
  norm_backward(d->input, n, dim, &block->norm1, eps, d->rules.norm_fixed, d->d_normed, g);
}

void cdam_double_embedding(const struct cdam_double *d, double *embedding) {
  norm(d->output, 1, d->dim, &d->model->norm, (double)d->model->arch.layer_norm_eps, embedding);
}

void cdam_double_hidden(const struct vit_model *model, size_t head, const double *embedding,
                        double *hidden) {
  const struct vit_linear *w = &model->heads[head].hidden;
  size_t dim = model->arch.embed_dim;
  for (size_t u = 0; u < model->arch.heads[head].hidden; u++) {
    hidden[u] = w->bias ? (double)w->bias[u] : 0;
    for (size_t k = 0; k < dim; k++) hidden[u] += (double)w->weight[u * dim + k] * embedding[k];
  }
}

/* Adds sign * d(output)/d(CLS embedding). */
static void output_gradient(struct cdam_double *d, size_t output, double sign,
                            const double *embedding, double *g) {
  const struct vit_arch *arch = &d->model->arch;
  size_t head = 0, dim = d->dim;
  while (output >= arch->heads[head].outputs) output -= arch->heads[head++].outputs;
  const struct vit_head *w = &d->model->heads[head];
  size_t hidden = arch->heads[head].hidden;
  if (!hidden) {
    for (size_t k = 0; k < dim; k++) g[k] += sign * (double)w->output.weight[output * dim + k];
    return;
  }
  for (size_t u = 0; u < hidden; u++) {
    const float *row = w->hidden.weight + u * dim;
    double x = w->hidden.bias ? (double)w->hidden.bias[u] : 0;
    for (size_t k = 0; k < dim; k++) x += (double)row[k] * embedding[k];
    vit_head_activation kind = arch->heads[head].activation;
    bool gate = d->rules.gate_fixed && fabs(x) > 0;
    double on = (gate ? vit_head_activate(kind, x) / x : vit_head_slope(kind, x)) * sign *
                (double)w->output.weight[output * hidden + u];
    for (size_t k = 0; k < dim; k++) g[k] += on * (double)row[k];
  }
}

void cdam_double_target(struct cdam_double *d, const struct cdam_target *target, double *g) {
  size_t dim = d->dim;
  double *embedding = d->spare, *start = d->d_mixed;
  cdam_double_embedding(d, embedding);
  memset(start, 0, dim * sizeof *start);
  if (target->kind == CDAM_CONCEPT)
    widen(target->concept_vector, dim, start);
  else
    output_gradient(d, target->a, 1, embedding, start);
  if (target->kind == CDAM_DIFFERENCE) output_gradient(d, target->b, -1, embedding, start);
  memset(g, 0, d->n * dim * sizeof *g);
  norm_backward(d->output, 1, dim, &d->model->norm, (double)d->model->arch.layer_norm_eps,
                d->rules.norm_fixed, start, g);
}

/* Token times gradient at every patch: [patch]. */
static void products(struct cdam_double *d, const struct vit_trace *trace,
                     const struct cdam_target *target, double *work, float *map) {
  size_t skip = d->n - trace->patches;
  cdam_double_target(d, target, work);
  cdam_double_backward(d, work);
  for (size_t i = 0; i < trace->patches; i++)
    map[i] = (float)vit_backend()->dot(d->dim, d->normed + (i + skip) * d->dim,
                                       d->d_normed + (i + skip) * d->dim);
}

void cdam_double_explain(struct cdam_double *d, const struct vit_trace *trace, size_t image,
                         const struct cdam_target *targets, size_t n_targets, double *work,
                         struct cdam_maps *maps, struct cdam_maps *routed,
                         struct cdam_maps *content) {
  size_t count = d->n * d->dim;
  const struct cdam_rules rules = d->rules;
  const float *input = trace->last_input + image * count;
  for (size_t i = 0; i < count; i++) work[i] = (double)input[i];
  cdam_double_forward(d, d->model->arch.depth - 1, work);
  for (size_t t = 0; t < n_targets; t++) {
    if (maps) products(d, trace, &targets[t], work, cdam_maps_get(maps, image, t));
    if (content) {
      d->rules.attention = CDAM_ATTENTION_FIXED;
      products(d, trace, &targets[t], work, cdam_maps_get(content, image, t));
    }
    if (routed) {
      d->rules.attention = CDAM_ATTENTION_ROUTED;
      products(d, trace, &targets[t], work, cdam_maps_get(routed, image, t));
    }
    d->rules = rules;
  }
}

lc_status cdam_general(const struct vit_model *model, const struct vit_trace *trace,
                       const struct cdam_target *targets, size_t n_targets, struct cdam_maps *maps,
                       struct lc_error *err) {
  LC_TRY(cdam_target_check(targets, n_targets, model, err));
  if (!trace->last_input)
    LC_FAIL(err, LC_ERR_USAGE, "CDAM needs the input of the last block in the trace");
  LC_TRY(cdam_maps_check(maps, trace, n_targets, err));
  LC_SCOPED(cdam_double_free) struct cdam_double d = {0};
  LC_TRY(cdam_double_init(&d, model, trace->tokens, err));
  LC_FREED double *work = NULL;
  LC_TRY(lc_alloc(&work, d.n * d.dim, sizeof *work, err));
  for (size_t i = 0; i < trace->batch; i++)
    cdam_double_explain(&d, trace, i, targets, n_targets, work, maps, NULL, NULL);
  return LC_OK;
}
