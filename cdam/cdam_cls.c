#include "cdam_cls.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

/* Targets that go through the backward pass together; bounds the scratch memory. */
#define TARGET_CHUNK 16

/* Scratch of one engine. m: inputs in the call, g: m times targets of a chunk. */
struct cdam_cls_rows {
  float *query, *directions; /* [m, dim], [m, heads, dim]: q and u */
  float *scores, *attention; /* [m, heads, tokens]: s and a */
  float *means, *mixed;      /* [m, heads, dim], [m, dim]: attended tokens, o */
  float *after, *normed2;    /* [m, dim]: x after attention, its norm2 */
  float *hidden, *slope;     /* [m, mlp]: GELU and its derivative */
  float *last, *embedding;   /* [m, dim]: block output, final norm */
  float *relu;               /* [m, hidden of all heads]: 1 where the unit is on */
  float *upstream, *branch;  /* [g, dim] */
  float *wide;               /* [g, max(mlp, hidden)] */
  float *values;             /* [m, chunk, heads, dim]: w */
  float *reads;              /* [chunk * heads, tokens]: r */
};

int cdam_blas_begin(void) {
  int threads = openblas_get_num_threads();
  openblas_set_num_threads(1);
  return threads;
}

void cdam_blas_end(int threads) {
  openblas_set_num_threads(threads);
}

/* c [m, n] = a [m, k] (row stride lda) times b [k, n] (row stride n), all row-major. */
static void multiply(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                     size_t ldb, float *c, size_t ldc) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)lda, b,
              (int)ldb, 0, c, (int)ldc);
}

/* c [m, n] = a [m, k] times b [n, k] transposed. */
static void multiply_t(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                       size_t ldb, float *c, size_t ldc) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a, (int)lda, b,
              (int)ldb, 0, c, (int)ldc);
}

static void add_bias(float *rows, size_t m, size_t n, const float *bias) {
  for (size_t i = 0; bias && i < m; i++)
    for (size_t k = 0; k < n; k++) rows[i * n + k] += bias[k];
}

static void scale_columns(float *rows, size_t m, size_t n, const float *scale) {
  for (size_t i = 0; scale && i < m; i++)
    for (size_t k = 0; k < n; k++) rows[i * n + k] *= scale[k];
}

static void moments(const float *x, size_t dim, float eps, float *mean, float *rstd) {
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (size_t k = 0; k < dim; k++) sum += x[k];
  *mean = sum / (float)dim;
  const float centre = *mean;
#pragma omp simd reduction(+ : squares)
  for (size_t k = 0; k < dim; k++) {
    float d = x[k] - centre;
    squares += d * d;
  }
  *rstd = 1 / sqrtf(squares / (float)dim + eps);
}

void cdam_norm_rows(const float *x, size_t rows, size_t dim, const struct vit_norm *norm, float eps,
                    float *out) {
  for (size_t i = 0; i < rows; i++) {
    const float *row = x + i * dim;
    float mean, rstd, *o = out + i * dim;
    moments(row, dim, eps, &mean, &rstd);
    for (size_t k = 0; k < dim; k++)
      o[k] = (row[k] - mean) * rstd * norm->weight[k] + norm->bias[k];
  }
}

/* Gradient through a layer norm whose input row was x; g is replaced. */
static void norm_backward(const float *x, size_t dim, const struct vit_norm *norm, float eps,
                          float *g) {
  float mean, rstd, along = 0, straight = 0;
  moments(x, dim, eps, &mean, &rstd);
  for (size_t k = 0; k < dim; k++) {
    g[k] *= norm->weight[k];
    straight += g[k];
    along += g[k] * (x[k] - mean) * rstd;
  }
  straight /= (float)dim;
  along /= (float)dim;
  for (size_t k = 0; k < dim; k++) g[k] = rstd * (g[k] - straight - (x[k] - mean) * rstd * along);
}

static size_t hidden_total(const struct vit_arch *arch, size_t *widest) {
  size_t total = 0;
  for (size_t i = 0; i < arch->n_heads; i++) {
    total += arch->heads[i].hidden;
    if (arch->heads[i].hidden > *widest) *widest = arch->heads[i].hidden;
  }
  return total;
}

static void take_rows(struct cdam_cls *e, struct lc_arena *arena) {
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, heads = arch->num_heads, m = e->group;
  size_t chunk = e->n_targets < TARGET_CHUNK ? e->n_targets : TARGET_CHUNK, widest = arch->mlp_dim;
  size_t hidden = hidden_total(arch, &widest);
  struct cdam_cls_rows *r = lc_arena_take(arena, 1, sizeof *r), unused;
  if (!r) r = &unused;
  r->query = lc_arena_floats(arena, m * dim);
  r->directions = lc_arena_floats(arena, m * heads * dim);
  r->scores = lc_arena_floats(arena, m * heads * e->tokens);
  r->attention = lc_arena_floats(arena, m * heads * e->tokens);
  r->means = lc_arena_floats(arena, m * heads * dim);
  r->mixed = lc_arena_floats(arena, m * dim);
  r->after = lc_arena_floats(arena, m * dim);
  r->normed2 = lc_arena_floats(arena, m * dim);
  r->hidden = lc_arena_floats(arena, m * arch->mlp_dim);
  r->slope = lc_arena_floats(arena, m * arch->mlp_dim);
  r->last = lc_arena_floats(arena, m * dim);
  r->embedding = lc_arena_floats(arena, m * dim);
  r->relu = lc_arena_floats(arena, m * hidden);
  r->upstream = lc_arena_floats(arena, m * chunk * dim);
  r->branch = lc_arena_floats(arena, m * chunk * dim);
  r->wide = lc_arena_floats(arena, m * chunk * widest);
  r->values = lc_arena_floats(arena, m * chunk * heads * dim);
  r->reads = lc_arena_floats(arena, chunk * heads * e->tokens);
  e->rows = r == &unused ? NULL : r;
}

lc_status cdam_cls_init(struct cdam_cls *engine, const struct vit_model *model,
                        const struct cdam_target *targets, size_t n_targets, size_t tokens,
                        size_t group, struct lc_error *err) {
  memset(engine, 0, sizeof *engine);
  engine->model = model;
  engine->targets = targets;
  engine->n_targets = n_targets;
  engine->tokens = tokens;
  engine->group = group;
  struct lc_arena counting;
  lc_arena_init_counting(&counting);
  take_rows(engine, &counting);
  LC_TRY(lc_arena_init(&engine->arena, counting.peak, err));
  take_rows(engine, &engine->arena);
  return LC_OK;
}

void cdam_cls_free(struct cdam_cls *engine) {
  lc_arena_free(&engine->arena);
  memset(engine, 0, sizeof *engine);
}

static void softmax(const float *scores, size_t n, float *out) {
  float top = scores[0], total = 0;
  for (size_t i = 1; i < n; i++) top = scores[i] > top ? scores[i] : top;
  for (size_t i = 0; i < n; i++) total += out[i] = expf(scores[i] - top);
  for (size_t i = 0; i < n; i++) out[i] /= total;
}

/* From the normed tokens to what the heads hand to the projection of the CLS row. */
static void attend(struct cdam_cls *e, size_t m, const float *normed) {
  const struct vit_arch *arch = &e->model->arch;
  const struct vit_block *block = &e->model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, width = dim / heads, tokens = e->tokens;
  const float *wk = block->qkv.weight + dim * dim, *wv = wk + dim * dim;
  float temperature = 1 / sqrtf((float)width);

  multiply_t(m, dim, dim, normed, tokens * dim, block->qkv.weight, dim, r->query, dim);
  add_bias(r->query, m, dim, block->qkv.bias);
  for (size_t k = 0; k < m * dim; k++) r->query[k] *= temperature;
  for (size_t h = 0; h < heads; h++)
    multiply(m, dim, width, r->query + h * width, dim, wk + h * width * dim, dim,
             r->directions + h * dim, heads * dim);
  for (size_t i = 0; i < m; i++) {
    const float *t = normed + i * tokens * dim;
    float *scores = r->scores + i * heads * tokens, *attention = r->attention + i * heads * tokens;
    multiply_t(heads, tokens, dim, r->directions + i * heads * dim, dim, t, dim, scores, tokens);
    for (size_t h = 0; h < heads; h++) softmax(scores + h * tokens, tokens, attention + h * tokens);
    multiply(heads, dim, tokens, attention, tokens, t, dim, r->means + i * heads * dim, dim);
  }
  for (size_t h = 0; h < heads; h++)
    multiply_t(m, width, dim, r->means + h * dim, heads * dim, wv + h * width * dim, dim,
               r->mixed + h * width, dim);
  if (block->qkv.bias) add_bias(r->mixed, m, dim, block->qkv.bias + 2 * dim);
}

/* The CLS row through the rest of the model, keeping what the way back needs. */
static void cls_forward(struct cdam_cls *e, size_t m, const float *cls) {
  const struct vit_model *model = e->model;
  const struct vit_arch *arch = &model->arch;
  const struct vit_block *block = &model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim;
  multiply_t(m, dim, dim, r->mixed, dim, block->proj.weight, dim, r->after, dim);
  add_bias(r->after, m, dim, block->proj.bias);
  scale_columns(r->after, m, dim, block->scale1);
  for (size_t k = 0; k < m * dim; k++) r->after[k] += cls[k];
  cdam_norm_rows(r->after, m, dim, &block->norm2, arch->layer_norm_eps, r->normed2);
  multiply_t(m, mlp, dim, r->normed2, dim, block->fc1.weight, dim, r->hidden, mlp);
  add_bias(r->hidden, m, mlp, block->fc1.bias);
  for (size_t k = 0; k < m * mlp; k++) {
    float x = r->hidden[k], below = 0.5f + 0.5f * erff(x * 0.70710678f);
    r->slope[k] = below + x * 0.39894228f * expf(-0.5f * x * x);
    r->hidden[k] = x * below;
  }
  multiply_t(m, dim, mlp, r->hidden, mlp, block->fc2.weight, mlp, r->last, dim);
  add_bias(r->last, m, dim, block->fc2.bias);
  scale_columns(r->last, m, dim, block->scale2);
  for (size_t k = 0; k < m * dim; k++) r->last[k] += r->after[k];
  cdam_norm_rows(r->last, m, dim, &model->norm, arch->layer_norm_eps, r->embedding);

  float *relu = r->relu;
  for (size_t i = 0; i < arch->n_heads; i++) {
    size_t hidden = arch->heads[i].hidden;
    if (!hidden) continue;
    multiply_t(m, hidden, dim, r->embedding, dim, model->heads[i].hidden.weight, dim, relu, hidden);
    add_bias(relu, m, hidden, model->heads[i].hidden.bias);
    for (size_t k = 0; k < m * hidden; k++) relu[k] = relu[k] > 0;
    relu += m * hidden;
  }
}

/* Adds sign * d(output)/d(embedding) of m inputs to rows with a stride of `chunk` rows. */
static void add_output_gradient(struct cdam_cls *e, size_t m, size_t output, float sign,
                                float *rows, size_t stride) {
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, head = 0;
  const float *relu = e->rows->relu;
  for (; output >= arch->heads[head].outputs; head++) {
    output -= arch->heads[head].outputs;
    relu += m * arch->heads[head].hidden;
  }
  size_t hidden = arch->heads[head].hidden;
  const float *row = e->model->heads[head].output.weight + output * (hidden ? hidden : dim);
  if (!hidden) {
    for (size_t i = 0; i < m; i++)
      for (size_t k = 0; k < dim; k++) rows[i * stride + k] += sign * row[k];
    return;
  }
  float *gate = e->rows->wide;
  for (size_t i = 0; i < m; i++)
    for (size_t k = 0; k < hidden; k++) gate[i * hidden + k] = sign * row[k] * relu[i * hidden + k];
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)dim, (int)hidden, 1, gate,
              (int)hidden, e->model->heads[head].hidden.weight, (int)dim, 1, rows, (int)stride);
}

/* d(target)/d(embedding), [m, chunk, dim]. */
static void start_gradient(struct cdam_cls *e, size_t m, size_t first, size_t chunk) {
  size_t dim = e->model->arch.embed_dim;
  float *g = e->rows->upstream;
  memset(g, 0, m * chunk * dim * sizeof *g);
  for (size_t t = 0; t < chunk; t++) {
    const struct cdam_target *target = &e->targets[first + t];
    float *rows = g + t * dim;
    if (target->kind == CDAM_CONCEPT) {
      for (size_t i = 0; i < m; i++)
        memcpy(rows + i * chunk * dim, target->concept_vector, dim * sizeof *rows);
      continue;
    }
    add_output_gradient(e, m, target->a, 1, rows, chunk * dim);
    if (target->kind == CDAM_DIFFERENCE)
      add_output_gradient(e, m, target->b, -1, rows, chunk * dim);
  }
}

/* From d/d(embedding) to w, the direction along which each token's content counts, per head. */
static void cls_backward(struct cdam_cls *e, size_t m, size_t chunk) {
  const struct vit_model *model = e->model;
  const struct vit_arch *arch = &model->arch;
  const struct vit_block *block = &model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, heads = arch->num_heads, width = dim / heads;
  size_t g = m * chunk;
  float eps = arch->layer_norm_eps;
  for (size_t i = 0; i < g; i++)
    norm_backward(r->last + i / chunk * dim, dim, &model->norm, eps, r->upstream + i * dim);
  memcpy(r->branch, r->upstream, g * dim * sizeof(float));
  scale_columns(r->branch, g, dim, block->scale2);
  multiply(g, mlp, dim, r->branch, dim, block->fc2.weight, mlp, r->wide, mlp);
  for (size_t i = 0; i < g; i++)
    for (size_t k = 0; k < mlp; k++) r->wide[i * mlp + k] *= r->slope[i / chunk * mlp + k];
  multiply(g, dim, mlp, r->wide, mlp, block->fc1.weight, dim, r->branch, dim);
  for (size_t i = 0; i < g; i++) {
    norm_backward(r->after + i / chunk * dim, dim, &block->norm2, eps, r->branch + i * dim);
    for (size_t k = 0; k < dim; k++) r->upstream[i * dim + k] += r->branch[i * dim + k];
  }
  scale_columns(r->upstream, g, dim, block->scale1);
  multiply(g, dim, dim, r->upstream, dim, block->proj.weight, dim, r->branch, dim);
  const float *wv = block->qkv.weight + 2 * dim * dim;
  for (size_t h = 0; h < heads; h++)
    multiply(g, dim, width, r->branch + h * width, dim, wv + h * width * dim, dim,
             r->values + h * dim, heads * dim);
}

/* One head's share of one target's scores; the first `skip` tokens are CLS and registers. */
static void add_scores(const float *attention, const float *scores, const float *reads,
                       size_t tokens, size_t skip, float weight, float *map, float *routed,
                       float *content) {
  float mean = 0;
#pragma omp simd reduction(+ : mean)
  for (size_t i = 0; i < tokens; i++) mean += attention[i] * reads[i];
  for (size_t i = skip; i < tokens; i++) {
    float through_keys = attention[i] * (reads[i] - mean) * scores[i];
    float through_values = attention[i] * reads[i];
    map[i - skip] += weight * (through_keys + through_values);
    if (routed) routed[i - skip] += weight * through_keys;
    if (content) content[i - skip] += weight * through_values;
  }
}

void cdam_cls_run(struct cdam_cls *engine, size_t n, const float *normed, const float *cls,
                  const struct cdam_cls_sum *sum) {
  const struct vit_arch *arch = &engine->model->arch;
  struct cdam_cls_rows *r = engine->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, tokens = engine->tokens;
  size_t skip = vit_arch_prefix(arch), patches = tokens - skip;
  attend(engine, n, normed);
  cls_forward(engine, n, cls);
  for (size_t first = 0; first < engine->n_targets; first += TARGET_CHUNK) {
    size_t chunk = engine->n_targets - first;
    if (chunk > TARGET_CHUNK) chunk = TARGET_CHUNK;
    start_gradient(engine, n, first, chunk);
    cls_backward(engine, n, chunk);
    for (size_t i = 0; i < n; i++) {
      multiply_t(chunk * heads, tokens, dim, r->values + i * chunk * heads * dim, dim,
                 normed + i * tokens * dim, dim, r->reads, tokens);
      for (size_t t = 0; t < chunk; t++) {
        size_t at = i * sum->map_stride + (first + t) * patches;
        for (size_t h = 0; h < heads; h++)
          add_scores(r->attention + (i * heads + h) * tokens, r->scores + (i * heads + h) * tokens,
                     r->reads + (t * heads + h) * tokens, tokens, skip, (float)sum->weight,
                     sum->maps + at, sum->routed ? sum->routed + at : NULL,
                     sum->content ? sum->content + at : NULL);
      }
    }
  }
}
