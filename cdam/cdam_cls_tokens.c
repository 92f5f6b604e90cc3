/* Where the closed form meets the tokens: the attention of CLS, and what tokens say along w. */
#include <math.h>
#include <string.h>

#include "cdam_cls_rows.h"
#include "cdam_vector.h"

/* rows [m, dim] against all tokens of `tokens`: out [m, ld_tokens]. */
static void against(const struct cdam_cls *e, const float *tokens, size_t m, const float *rows,
                    float *out) {
  size_t dim = e->model->arch.embed_dim, panel = e->layout.panel;
  for (size_t p = 0; p < e->layout.panels; p++)
    vit_kernels()->gemm(m, panel, dim, rows, dim, 1, tokens + p * dim * panel, panel,
                        out + p * panel, e->layout.ld, NULL);
}

static const float *tokens_of(const struct cdam_cls *e, size_t input) {
  return e->tokens + input * e->model->arch.embed_dim * e->layout.ld;
}

/* The same with an input's normed tokens: rows are multiplied by the norm's weight in place. */
static void against_normed(const struct cdam_cls *e, size_t input, size_t m, float *rows,
                           float *out) {
  size_t dim = e->model->arch.embed_dim, ldt = e->layout.ld;
  float constant[CDAM_CHUNK * 64], along[CDAM_CHUNK * 64];
  size_t most = sizeof constant / sizeof *constant;
  for (size_t first = 0; first < m; first += most) {
    size_t count = m - first < most ? m - first : most;
    float *some = rows + first * dim, *to = out + first * ldt;
    for (size_t r = 0; r < count && e->norm; r++) {
      constant[r] = cdam_vector_dot(some + r * dim, e->norm->bias, dim);
      cdam_vector_multiply(some + r * dim, e->norm->weight, dim, some + r * dim);
      along[r] = cdam_vector_sum(some + r * dim, dim);
    }
    against(e, tokens_of(e, input), count, some, to);
    for (size_t r = 0; r < count && e->norm; r++)
      cdam_vector_norm(e->mean + input * ldt, e->rstd + input * ldt, along[r], constant[r], ldt,
                       to + r * ldt);
  }
}

/* Attended tokens of an input: means [heads, dim] = sums of its normed tokens under its
 * attention. */
static void attended_tokens(const struct cdam_cls *e, size_t input) {
  const struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, heads = e->model->arch.num_heads;
  size_t panel = e->layout.panel, ldt = e->layout.ld;
  const float *weights = r->attention + input * heads * ldt;
  if (e->norm) {
    for (size_t h = 0; h < heads; h++)
      cdam_vector_multiply(weights + h * ldt, e->rstd + input * ldt, ldt, r->weighted + h * ldt);
    weights = r->weighted;
  }
  for (size_t p = 0; p < e->layout.panels; p++)
    vit_kernels()->gemm_nt(heads, dim, panel, weights + p * panel, ldt,
                           tokens_of(e, input) + p * dim * panel, panel, r->means, dim, p > 0);
  for (size_t h = 0; h < heads && e->norm; h++) {
    float mean = cdam_vector_dot(weights + h * ldt, e->mean + input * ldt, ldt);
    float *to = r->means + h * dim;
    for (size_t k = 0; k < dim; k++)
      to[k] = (to[k] - mean) * e->norm->weight[k] + e->norm->bias[k];
  }
}

/* The normed CLS token of every input, a column each. */
static void first_tokens(const struct cdam_cls *e, size_t n) {
  size_t dim = e->model->arch.embed_dim, panel = e->layout.panel, ldt = e->layout.ld;
  for (size_t k = 0; k < dim; k++)
    for (size_t i = 0; i < n; i++) {
      float *to = e->rows->first + k * e->ld + i;
      if (e->shared) {
        *to = e->factor[i * ldt] * e->common[k * panel] + e->offset[k * e->ld + i];
        continue;
      }
      *to = tokens_of(e, i)[k * panel];
      if (!e->norm) continue;
      *to = (*to - e->mean[i * ldt]) * e->rstd[i * ldt] * e->norm->weight[k] + e->norm->bias[k];
    }
}

static void softmax_rows(const struct cdam_cls *e, size_t rows, float *scores, float *attention) {
  size_t ldt = e->layout.ld;
  for (size_t h = 0; h < rows; h++)
    cdam_vector_softmax(scores + h * ldt, e->layout.tokens, ldt, attention + h * ldt);
  /* From here on scores hold a * s, which is all that the routed part needs. */
  cdam_vector_multiply(attention, scores, rows * ldt, scores);
}

static void attend_own(struct cdam_cls *e, size_t n) {
  const struct vit_arch *arch = &e->model->arch;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, ld = e->ld, ldt = e->layout.ld;
  const float *wv = e->model->blocks[arch->depth - 1].qkv.weight + 2 * dim * dim;
  for (size_t i = 0; i < n; i++) {
    float *scores = r->scores + i * heads * ldt, *attention = r->attention + i * heads * ldt;
    against_normed(e, i, heads, r->directions + i * heads * dim, scores);
    softmax_rows(e, heads, scores, attention);
    attended_tokens(e, i);
    for (size_t k = 0; k < heads * dim; k++) r->folded[k * ld + i] = r->means[k];
  }
  for (size_t h = 0; h < heads; h++)
    vit_kernels()->gemm(e->width, ld, dim, wv + h * e->width * dim, dim, 1,
                        r->folded + h * dim * ld, ld, r->mixed + h * e->width * ld, ld, NULL);
  vit_kernels()->transpose(dim, ld, r->mixed, ld, r->attended, dim);
}

static void attend_shared(struct cdam_cls *e, size_t n) {
  const struct vit_kernels *kernels = vit_kernels();
  const struct vit_arch *arch = &e->model->arch;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, ld = e->ld, ldt = e->layout.ld;
  size_t panel = e->layout.panel, width = e->width;
  const float *wv = e->model->blocks[arch->depth - 1].qkv.weight + 2 * dim * dim;
  float *shift = r->shift + dim * ld;
  kernels->gemm(dim, ld, dim, wv, dim, 1, e->offset, ld, r->shift, ld, NULL);
  kernels->transpose(dim, ld, r->shift, ld, shift, dim);
  kernels->transpose(dim, ld, e->offset, ld, r->mixed, dim);
  against(e, e->common, n * heads, r->directions, r->scores);
  for (size_t i = 0; i < n; i++) {
    float *scores = r->scores + i * heads * ldt, *attention = r->attention + i * heads * ldt;
    for (size_t h = 0; h < heads; h++) {
      const float *u = r->directions + (i * heads + h) * dim;
      cdam_vector_affine(e->factor + i * ldt, cdam_vector_dot(u, r->mixed + i * dim, dim), ldt,
                         scores + h * ldt);
    }
    softmax_rows(e, heads, scores, attention);
    for (size_t h = 0; h < heads; h++)
      cdam_vector_multiply(attention + h * ldt, e->factor + i * ldt, ldt,
                           r->weighted + (i * heads + h) * ldt);
  }
  for (size_t h = 0; h < heads; h++)
    for (size_t p = 0; p < e->layout.panels; p++)
      kernels->gemm_nt(n, width, panel, r->weighted + h * ldt + p * panel, heads * ldt,
                       e->values + (p * dim + h * width) * panel, panel, r->attended + h * width,
                       dim, p > 0);
  cdam_vector_add(r->attended, shift, n * dim, 1, r->attended);
  kernels->transpose(ld, dim, r->attended, dim, r->mixed, ld);
}

void cdam_cls_attend(struct cdam_cls *e, size_t n) {
  const struct vit_kernels *kernels = vit_kernels();
  const struct vit_arch *arch = &e->model->arch;
  const struct vit_block *block = &e->model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, width = e->width, ld = e->ld;
  const float *wk = block->qkv.weight + dim * dim, *bias = block->qkv.bias;
  float temperature = 1 / sqrtf((float)width);
  first_tokens(e, n);
  struct vit_epilogue with_bias = {.bias = bias};
  kernels->gemm(dim, ld, dim, block->qkv.weight, dim, 1, r->first, ld, r->query, ld, &with_bias);
  for (size_t k = 0; k < dim * ld; k++) r->query[k] *= temperature;
  for (size_t h = 0; h < heads; h++)
    kernels->gemm(dim, ld, width, wk + h * width * dim, 1, dim, r->query + h * width * ld, ld,
                  r->folded + h * dim * ld, ld, NULL);
  kernels->transpose(heads * dim, ld, r->folded, ld, r->directions, heads * dim);
  if (e->shared)
    attend_shared(e, n);
  else
    attend_own(e, n);
  for (size_t k = 0; bias && k < dim; k++)
    for (size_t i = 0; i < n; i++) r->mixed[k * ld + i] += bias[2 * dim + k];
}

/* Attention Grad-CAM of one target: df/da_hi = r_ih + b_v,h . g_h, averaged over the patches, times
 * a_hi, averaged over the heads, negative sums dropped. g: df/do; reads: [heads, ld_tokens]. */
static void add_gradcam(const struct cdam_cls *e, size_t input, const float *g, const float *reads,
                        float weight, float *map) {
  const struct vit_arch *arch = &e->model->arch;
  const float *bias = e->model->blocks[arch->depth - 1].qkv.bias;
  size_t dim = arch->embed_dim, heads = arch->num_heads, width = e->width, ldt = e->layout.ld;
  size_t skip = vit_arch_prefix(arch), patches = e->layout.tokens - skip;
  float *sum = e->rows->sum;
  memset(sum, 0, patches * sizeof *sum);
  for (size_t h = 0; h < heads; h++) {
    double gradient = 0, constant = 0;
    for (size_t i = skip; i < e->layout.tokens; i++) gradient += (double)reads[h * ldt + i];
    for (size_t k = h * width; bias && k < (h + 1) * width; k++)
      constant += (double)bias[2 * dim + k] * (double)g[k];
    float mean = (float)(gradient / (double)patches + constant) / (float)heads;
    const float *attention = e->rows->attention + (input * heads + h) * ldt + skip;
    for (size_t i = 0; i < patches; i++) sum[i] += mean * attention[i];
  }
  for (size_t i = 0; i < patches; i++) map[i] += weight * (sum[i] > 0 ? sum[i] : 0);
}

/* One head's share of one input's scores for one target. g: its df/do; reads: r. */
static void add_head(const struct cdam_cls *e, size_t input, size_t head, const float *g,
                     const float *reads, const struct cdam_cls_sum *sum, size_t at) {
  const struct cdam_cls_rows *r = e->rows;
  const struct vit_arch *arch = &e->model->arch;
  size_t skip = vit_arch_prefix(arch), patches = e->layout.tokens - skip;
  size_t row = (input * arch->num_heads + head) * e->layout.ld + skip;
  const float *a = r->attention + row, *k = r->scores + row;
  /* sum_j a_j r_j */
  float mean = cdam_vector_dot(r->attended + input * arch->embed_dim + head * e->width,
                               g + head * e->width, e->width);
  reads += skip;
  if (sum->maps) cdam_vector_add_scores(a, k, reads, patches, mean, sum->weight, sum->maps + at);
  if (sum->routed) cdam_vector_add_routed(k, reads, patches, mean, sum->weight, sum->routed + at);
  if (sum->content) cdam_vector_add_content(a, reads, patches, sum->weight, sum->content + at);
}

static size_t map_at(const struct cdam_cls *e, const struct cdam_cls_sum *sum, size_t input,
                     size_t target) {
  size_t patches = e->layout.tokens - vit_arch_prefix(&e->model->arch);
  return input * sum->map_stride + target * patches;
}

static void read_own(struct cdam_cls *e, size_t n, size_t first, size_t chunk,
                     const struct cdam_cls_sum *sum) {
  const struct vit_arch *arch = &e->model->arch;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, ldt = e->layout.ld;
  const float *wv = e->model->blocks[arch->depth - 1].qkv.weight + 2 * dim * dim;
  for (size_t h = 0; h < heads; h++)
    cdam_cls_product(n * chunk, dim, e->width, r->branch + h * e->width, dim,
                     wv + h * e->width * dim, dim, r->reading + h * dim, heads * dim, false);
  for (size_t i = 0; i < n; i++) {
    against_normed(e, i, chunk * heads, r->reading + i * chunk * heads * dim, r->reads);
    for (size_t t = 0; t < chunk; t++) {
      const float *g = r->branch + (i * chunk + t) * dim, *reads = r->reads + t * heads * ldt;
      size_t at = map_at(e, sum, i, first + t);
      for (size_t h = 0; h < heads; h++) add_head(e, i, h, g, reads + h * ldt, sum, at);
      if (sum->gradcam) add_gradcam(e, i, g, reads, sum->weight, sum->gradcam + at);
    }
  }
}

static void read_shared(struct cdam_cls *e, size_t n, size_t first, size_t chunk,
                        const struct cdam_cls_sum *sum) {
  const struct vit_arch *arch = &e->model->arch;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, width = e->width, panel = e->layout.panel, ldt = e->layout.ld;
  const float *shift = r->shift + dim * e->ld;
  for (size_t h = 0; h < arch->num_heads; h++) {
    for (size_t p = 0; p < e->layout.panels; p++)
      vit_kernels()->gemm(n * chunk, panel, width, r->branch + h * width, dim, 1,
                          e->values + (p * dim + h * width) * panel, panel, r->reads + p * panel,
                          ldt, NULL);
    for (size_t i = 0; i < n; i++)
      for (size_t t = 0; t < chunk; t++) {
        const float *g = r->branch + (i * chunk + t) * dim;
        float *reads = r->reads + (i * chunk + t) * ldt;
        float constant = cdam_vector_dot(shift + i * dim + h * width, g + h * width, width);
        cdam_vector_affine(e->factor + i * ldt, constant, ldt, reads);
        add_head(e, i, h, g, reads, sum, map_at(e, sum, i, first + t));
      }
  }
}

void cdam_cls_read(struct cdam_cls *e, size_t n, size_t first, size_t chunk,
                   const struct cdam_cls_sum *sum) {
  if (e->shared)
    read_shared(e, n, first, chunk, sum);
  else
    read_own(e, n, first, chunk, sum);
}
