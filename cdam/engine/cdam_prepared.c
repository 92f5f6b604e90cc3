/* Makes the products of a model's weights that the closed form reads, once a model and under a
 * lock, and keeps a pool of scratch memory. */
#include "cdam/engine/cdam_prepared.h"

#include <stdlib.h>
#include <string.h>

#include "cdam/engine/cdam_cls_weights.h"
#include "common/lc_parallel.h"
#include "vit/kernels/vit_backend.h"

#define LINE 16 /* floats of a cache line */
#define ROWS 96 /* that one thread carries at a time */

struct product {
  size_t m, n, k, lda, ldb, ldc;
  const float *a, *b;
  float *c;
  bool accumulate;
};

#define COLUMNS 64    /* of one task */
#define WORTH 1000000 /* terms from which on a product is shared out */

static void product_columns(void *context, size_t task, int worker) {
  (void)worker;
  const struct product *p = context;
  struct vit_epilogue add = {.accumulate = p->accumulate};
  size_t first = task * COLUMNS, left = p->n - first, n = left < COLUMNS ? left : COLUMNS;
  vit_backend()->gemm(p->m, n, p->k, p->a, p->lda, 1, p->b + first, p->ldb, p->c + first, p->ldc,
                      &add);
}

void cdam_cls_product(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                      size_t ldb, float *c, size_t ldc, bool accumulate) {
  size_t whole = n / VIT_LANES * VIT_LANES;
  struct product p = {m, whole, k, lda, ldb, ldc, a, b, c, accumulate};
  struct vit_epilogue add = {.accumulate = accumulate};
  if (lc_threads() > 1 && !lc_in_parallel() && m * n * k >= WORTH)
    lc_parallel_for((whole + COLUMNS - 1) / COLUMNS, product_columns, &p);
  else
    vit_backend()->gemm(m, whole, k, a, lda, 1, b, ldb, c, ldc, &add);
  for (size_t i = 0; i < m; i++)
    for (size_t j = whole; j < n; j++) {
      float sum = accumulate ? c[i * ldc + j] : 0;
      for (size_t t = 0; t < k; t++) sum += a[i * lda + t] * b[t * ldb + j];
      c[i * ldc + j] = sum;
    }
}

/* out = in * scale, row by row; out may be in. Without LayerScale in itself. */
static const float *scaled(const float *in, size_t rows, size_t dim, const float *scale,
                           float *out) {
  for (size_t k = 0; k < rows && scale; k++)
    vit_vectors()->multiply(in + k * dim, scale, dim, out + k * dim);
  return scale ? out : in;
}

void cdam_cls_carry_proj(const struct cdam_prepared *prepared, size_t m, const float *rows,
                         float *scratch, float *out, size_t ldo) {
  const struct vit_arch *arch = &prepared->model->arch;
  const struct vit_block *block = &prepared->model->blocks[arch->depth - 1];
  size_t dim = arch->embed_dim;
  cdam_cls_product(m, dim, dim, scaled(rows, m, dim, block->scale1, scratch), dim,
                   block->proj.weight, dim, out, ldo, false);
}

void cdam_cls_carry(const struct cdam_prepared *prepared, size_t m, const float *rows,
                    float *scratch, float *out) {
  const struct vit_arch *arch = &prepared->model->arch;
  const struct vit_block *block = &prepared->model->blocks[arch->depth - 1];
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, row = prepared->row;
  cdam_cls_product(m, mlp, dim, scaled(rows, m, dim, block->scale2, scratch), dim,
                   block->fc2.weight, mlp, out, row, false);
  cdam_cls_carry_proj(prepared, m, rows, scratch, out + mlp, row);
}

/* The hidden units' weights, times the final norm's, and what they read where z is zero. */
static void take_units(struct cdam_prepared *p, float *weights) {
  const struct vit_model *model = p->model;
  size_t dim = model->arch.embed_dim, unit = 0;
  for (size_t h = 0; h < model->arch.n_heads; h++) {
    const struct vit_linear *from = &model->heads[h].hidden;
    for (size_t u = 0; u < model->arch.heads[h].hidden; u++, unit++) {
      const float *weight = from->weight + u * dim;
      float *to = weights + unit * dim;
      vit_vectors()->multiply(weight, model->norm.weight, dim, to);
      p->mean[unit] = vit_vectors()->sum(to, dim) / (float)dim;
      p->constant[unit] =
          vit_vectors()->dot(weight, model->norm.bias, dim) + (from->bias ? from->bias[u] : 0);
    }
  }
  vit_backend()->transpose(p->units, dim, weights, dim, p->hidden, p->units);
}

/* Projection and MLP as [in, out]. */
static void take_layers(struct cdam_prepared *p) {
  const struct vit_arch *arch = &p->model->arch;
  const struct vit_block *block = &p->model->blocks[arch->depth - 1];
  const struct vit_backend *kernels = vit_backend();
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim;
  kernels->transpose(dim, dim, block->proj.weight, dim, p->proj, dim);
  kernels->transpose(mlp, dim, block->fc1.weight, dim, p->fc1, mlp);
  kernels->transpose(dim, mlp, block->fc2.weight, mlp, p->fc2, dim);
  for (size_t k = 0; k < dim; k++) {
    p->proj_constant[k] = block->proj.bias ? block->proj.bias[k] : 0;
    if (block->qkv.bias)
      p->proj_constant[k] +=
          vit_vectors()->dot(block->proj.weight + k * dim, block->qkv.bias + 2 * dim, dim);
    p->fc2_constant[k] = block->fc2.bias ? block->fc2.bias[k] : 0;
    vit_vectors()->scale(p->fc1 + k * mlp, mlp, block->norm2.weight[k]);
  }
  (void)scaled(p->proj, dim, dim, block->scale1, p->proj);
  (void)scaled(p->proj_constant, 1, dim, block->scale1, p->proj_constant);
  (void)scaled(p->fc2, mlp, dim, block->scale2, p->fc2);
  (void)scaled(p->fc2_constant, 1, dim, block->scale2, p->fc2_constant);
}

/* Values with norm1 folded into them. */
static void take_values(struct cdam_prepared *p) {
  const struct vit_arch *arch = &p->model->arch;
  const struct vit_block *block = &p->model->blocks[arch->depth - 1];
  size_t dim = arch->embed_dim;
  for (size_t k = 0; k < dim; k++) {
    const float *weight = block->qkv.weight + (2 * dim + k) * dim;
    float *to = p->values + k * dim;
    vit_vectors()->multiply(weight, block->norm1.weight, dim, to);
    p->values_along[k] = vit_vectors()->sum(to, dim);
    p->values_constant[k] = vit_vectors()->dot(weight, block->norm1.bias, dim);
  }
}

struct job {
  struct cdam_prepared *prepared;
  float *weights; /* [units, dim]: F_u */
  float *scratch; /* [units or mlp_dim, dim] */
};

static void carry_units(void *context, size_t task, int worker) {
  (void)worker;
  const struct job *job = context;
  const struct cdam_prepared *p = job->prepared;
  size_t dim = p->model->arch.embed_dim, first = task * ROWS;
  size_t m = p->units - first < ROWS ? p->units - first : ROWS;
  cdam_cls_carry(p, m, job->weights + first * dim, job->scratch + first * dim,
                 p->carried + first * p->row);
}

static void make_back(void *context, size_t task, int worker) {
  (void)worker;
  const struct job *job = context;
  const struct cdam_prepared *p = job->prepared;
  const struct vit_arch *arch = &p->model->arch;
  const struct vit_block *block = &p->model->blocks[arch->depth - 1];
  size_t dim = arch->embed_dim, first = task * ROWS;
  size_t last = first + ROWS < arch->mlp_dim ? first + ROWS : arch->mlp_dim;
  for (size_t k = first; k < last; k++) {
    const float *weight = block->fc1.weight + k * dim;
    float *to = job->scratch + k * dim;
    vit_vectors()->multiply(weight, block->norm2.weight, dim, to);
    p->back_mean[k] = vit_vectors()->sum(to, dim);
    p->fc1_constant[k] = vit_vectors()->dot(weight, block->norm2.bias, dim) +
                         (block->fc1.bias ? block->fc1.bias[k] : 0);
    if (block->scale1) vit_vectors()->multiply(to, block->scale1, dim, to);
  }
  cdam_cls_product(last - first, dim, dim, job->scratch + first * dim, dim, block->proj.weight, dim,
                   p->back + first * dim, dim, false);
}

static size_t tasks(size_t rows) {
  return (rows + ROWS - 1) / ROWS;
}

static lc_status make_products(struct cdam_prepared *p, struct lc_error *err) {
  const struct vit_arch *arch = &p->model->arch;
  size_t dim = arch->embed_dim, most = p->units > arch->mlp_dim ? p->units : arch->mlp_dim;
  struct job job = {.prepared = p};
  LC_TRY(lc_alloc(&job.scratch, (most + 1 + p->units) * dim, sizeof(float), err));
  job.weights = job.scratch + (most + 1) * dim;
  take_units(p, job.weights);
  take_layers(p);
  take_values(p);
  lc_parallel_for(tasks(p->units), carry_units, &job);
  float *ones = job.scratch + most * dim;
  for (size_t k = 0; k < dim; k++) ones[k] = 1;
  cdam_cls_carry(p, 1, ones, job.scratch, p->ones);
  lc_parallel_for(tasks(arch->mlp_dim), make_back, &job);
  free(job.scratch);
  return LC_OK;
}

static void lay_out(struct cdam_prepared *p, struct lc_arena *arena) {
  const struct vit_arch *arch = &p->model->arch;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim;
  p->hidden = lc_arena_floats(arena, p->units * dim);
  p->proj = lc_arena_floats(arena, dim * dim);
  p->proj_constant = lc_arena_floats(arena, dim);
  p->fc1 = lc_arena_floats(arena, dim * mlp);
  p->fc2 = lc_arena_floats(arena, mlp * dim);
  p->fc2_constant = lc_arena_floats(arena, dim);
  p->constant = lc_arena_floats(arena, p->units);
  p->mean = lc_arena_floats(arena, p->units);
  p->carried = lc_arena_floats(arena, p->units * p->row);
  p->ones = lc_arena_floats(arena, p->row);
  p->back = lc_arena_floats(arena, mlp * dim);
  p->back_mean = lc_arena_floats(arena, mlp);
  p->fc1_constant = lc_arena_floats(arena, mlp);
  p->values = lc_arena_floats(arena, dim * dim);
  p->values_along = lc_arena_floats(arena, dim);
  p->values_constant = lc_arena_floats(arena, dim);
}

lc_status cdam_prepared_init(struct cdam_prepared **prepared, const struct vit_model *model,
                             struct lc_error *err) {
  struct cdam_prepared *p;
  LC_TRY(lc_alloc(prepared, 1, sizeof **prepared, err));
  p = *prepared;
  p->model = model;
  /* An odd number of cache lines: rows an even number apart share a few sets of the cache. */
  p->row = (model->arch.mlp_dim + model->arch.embed_dim + LINE - 1) / LINE;
  p->row = (p->row | 1) * LINE;
  for (size_t h = 0; h < model->arch.n_heads; h++) p->units += model->arch.heads[h].hidden;
  (void)pthread_mutex_init(&p->lock, NULL);
  return LC_OK;
}

static lc_status make_all(struct cdam_prepared *p, struct lc_error *err) {
  struct lc_arena counting;
  lc_arena_init_counting(&counting);
  lay_out(p, &counting);
  LC_TRY(lc_arena_init_in(&p->arena, vit_backend()->memory, counting.peak, err));
  lay_out(p, &p->arena);
  lc_status status = make_products(p, err);
  if (status != LC_OK) lc_arena_free(&p->arena);
  return status;
}

lc_status cdam_prepared_ready(struct cdam_prepared *prepared, struct lc_error *err) {
  (void)pthread_mutex_lock(&prepared->lock);
  lc_status status = prepared->arena.base ? LC_OK : make_all(prepared, err);
  (void)pthread_mutex_unlock(&prepared->lock);
  return status;
}

void cdam_prepared_free(struct cdam_prepared *prepared) {
  if (!prepared) return;
  for (size_t i = 0; i < CDAM_POOL; i++) lc_arena_free(&prepared->pool[i]);
  lc_arena_free(&prepared->arena);
  (void)pthread_mutex_destroy(&prepared->lock);
  free(prepared);
}

/* The smallest waiting piece that is large enough. */
lc_status cdam_prepared_take(struct cdam_prepared *prepared, size_t bytes, struct lc_arena *arena,
                             struct lc_error *err) {
  struct lc_arena *best = NULL;
  (void)pthread_mutex_lock(&prepared->lock);
  for (size_t i = 0; i < CDAM_POOL; i++) {
    struct lc_arena *piece = &prepared->pool[i];
    if (piece->base && piece->capacity >= bytes && (!best || piece->capacity < best->capacity))
      best = piece;
  }
  if (best) {
    *arena = *best;
    *best = (struct lc_arena){0};
  }
  (void)pthread_mutex_unlock(&prepared->lock);
  if (!best) return lc_arena_init_in(arena, vit_backend()->memory, bytes, err);
  arena->used = arena->peak = 0;
  return LC_OK;
}

/* A full pool lets go of its smallest piece. */
void cdam_prepared_give(struct cdam_prepared *prepared, struct lc_arena *arena) {
  (void)pthread_mutex_lock(&prepared->lock);
  struct lc_arena *least = &prepared->pool[0];
  for (size_t i = 1; i < CDAM_POOL; i++)
    if (prepared->pool[i].capacity < least->capacity) least = &prepared->pool[i];
  if (least->capacity < arena->capacity) {
    struct lc_arena other = *least;
    *least = *arena;
    *arena = other;
  }
  (void)pthread_mutex_unlock(&prepared->lock);
  lc_arena_free(arena);
}
