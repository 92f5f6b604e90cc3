/* Where the closed form meets the tokens: the attention of CLS, and what tokens say along w. */
#include <math.h>
#include <string.h>

#include "cdam/engine/cdam_cls_rows.h"
#include "common/lc_parallel.h"
#include "vit/kernels/vit_backend.h"

static float *panel_of(const struct cdam_cls *e, size_t input, size_t panel) {
  return e->tokens +
         (input * e->layout.panels + panel) * e->model->arch.embed_dim * e->layout.panel;
}

/* Rows that read an input's normed tokens: with the norm folded into them, a token's reading is
 * rstd * (token . row - along * mean) + constant. */
struct reader {
  size_t m;
  float *rows;             /* [m, dim]: the caller's, multiplied by the norm's weight */
  float *along, *constant; /* [m] each */
};

static struct reader key_reader(const struct cdam_cls *e, size_t m, float *rows, float *along) {
  size_t dim = e->model->arch.embed_dim;
  struct reader r = {m, rows, along, along + m};
  for (size_t k = 0; k < m && e->norm; k++) {
    float *row = rows + k * dim;
    r.constant[k] = vit_vectors()->dot(row, e->norm->bias, dim);
    vit_vectors()->multiply(row, e->norm->weight, dim, row);
    r.along[k] = vit_vectors()->sum(row, dim);
  }
  return r;
}

/* One panel's readings, out [m, ld_tokens] at the panel's first token. */
static void read_panel(const struct cdam_cls *e, const struct reader *r, size_t input, size_t panel,
                       float *out) {
  size_t dim = e->model->arch.embed_dim, n = e->layout.panel, ldt = e->layout.ld;
  vit_backend()->gemm(r->m, n, dim, r->rows, dim, 1, panel_of(e, input, panel), n, out, ldt, NULL);
  size_t at = input * ldt + panel * n;
  for (size_t k = 0; k < r->m && e->norm; k++)
    vit_vectors()->norm(e->mean + at, e->rstd + at, r->along[k], r->constant[k], n, out + k * ldt);
}

/* One input on its way through its panels. */
struct attending {
  size_t input;
  struct reader u;
  float *means;       /* [panels, heads, dim]: attended tokens */
  float *tops, *sums; /* [panels, heads]: of the softmax */
};

/* The k-th of those that are on their way together. */
static struct attending start_attending(const struct cdam_cls *e, size_t input, size_t k) {
  const struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, heads = e->model->arch.num_heads;
  size_t size = e->layout.panels * heads;
  struct reader u =
      key_reader(e, heads, r->directions + input * heads * dim, r->along + k * 2 * heads);
  return (struct attending){input, u, r->means + k * size * dim, r->tops + k * size,
                            r->sums + k * size};
}

/* Scores of one panel, and of its tokens alone: softmax, its maximum and sum, and the mean under it
 * (before the norm's weight and bias). */
static void attend_panel(const struct cdam_cls *e, const struct attending *at, size_t panel) {
  const struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, heads = at->u.m, n = e->layout.panel, ldt = e->layout.ld;
  size_t first = panel * n, left = e->layout.tokens - first, used = left < n ? left : n;
  size_t input = at->input;
  float *scores = r->scores + input * heads * ldt + first;
  float *attention = r->attention + input * heads * ldt + first;
  float *means = at->means + panel * heads * dim;
  read_panel(e, &at->u, input, panel, scores);
  for (size_t h = 0; h < heads; h++) {
    size_t k = panel * heads + h;
    float *weighted = r->weighted + h * ldt + first;
    at->tops[k] =
        vit_vectors()->softmax(scores + h * ldt, used, n, attention + h * ldt, at->sums + k);
    if (e->norm)
      vit_vectors()->multiply(attention + h * ldt, e->rstd + input * ldt + first, n, weighted);
    else
      memcpy(weighted, attention + h * ldt, n * sizeof *weighted);
  }
  vit_backend()->gemm_nt(heads, dim, n, r->weighted + first, ldt, panel_of(e, input, panel), n,
                         means, dim, false);
  for (size_t h = 0; h < heads && e->norm; h++) {
    float mean =
        vit_vectors()->dot(r->weighted + h * ldt + first, e->mean + input * ldt + first, n);
    for (size_t k = 0; k < dim; k++) means[h * dim + k] -= mean;
  }
}

/* Panels' softmaxes to the one over all tokens: attention is scaled, the first panel's means become
 * the attended tokens [heads, dim]. */
static void join_panels(const struct cdam_cls *e, const struct attending *at) {
  const struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, n = e->layout.panel, panels = e->layout.panels;
  size_t heads = at->u.m;
  for (size_t h = 0; h < heads; h++) {
    float *attention = r->attention + (at->input * heads + h) * e->layout.ld, top = at->tops[h];
    float *mean = at->means + h * dim, total = 0;
    for (size_t p = 1; p < panels; p++)
      if (at->tops[p * heads + h] > top) top = at->tops[p * heads + h];
    for (size_t p = 0; p < panels; p++)
      total += at->sums[p * heads + h] *= expf(at->tops[p * heads + h] - top);
    for (size_t p = 0; p < panels; p++) {
      float share = at->sums[p * heads + h] / total;
      vit_vectors()->scale(attention + p * n, n, share);
      if (p == 0)
        vit_vectors()->scale(mean, dim, share);
      else
        vit_vectors()->add(mean, mean + p * heads * dim, dim, share, mean);
    }
    for (size_t k = 0; k < dim && e->norm; k++)
      mean[k] = mean[k] * e->norm->weight[k] + e->norm->bias[k];
  }
}

/* The normed CLS token of every input, a column each. */
static void first_tokens(const struct cdam_cls *e, size_t n) {
  size_t dim = e->model->arch.embed_dim, panel = e->layout.panel, ldt = e->layout.ld;
  for (size_t k = 0; k < dim; k++)
    for (size_t i = 0; i < n; i++) {
      float *to = e->rows->first + k * e->ld + i;
      *to = panel_of(e, i, 0)[k * panel];
      if (!e->norm) continue;
      *to = (*to - e->mean[i * ldt]) * e->rstd[i * ldt] * e->norm->weight[k] + e->norm->bias[k];
    }
}

/* query = W_q first + bias, for some columns. */
static void make_queries(const struct cdam_cls *e, size_t columns, const float *bias) {
  size_t dim = e->model->arch.embed_dim, ld = e->ld;
  struct vit_epilogue with_bias = {.bias = bias};
  vit_backend()->gemm(dim, columns, dim, e->model->blocks[e->model->arch.depth - 1].qkv.weight, dim,
                      1, e->rows->first, ld, e->rows->query, ld, &with_bias);
}

/* Columns of queries to rows of directions [columns, heads, dim], along which their heads score
 * tokens. */
static void fold_queries(const struct cdam_cls *e, size_t columns) {
  const struct vit_backend *kernels = vit_backend();
  const struct vit_arch *arch = &e->model->arch;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, width = e->width, ld = e->ld;
  const float *wk = e->model->blocks[arch->depth - 1].qkv.weight + dim * dim;
  vit_vectors()->scale(r->query, dim * ld, 1 / sqrtf((float)width));
  for (size_t h = 0; h < heads; h++)
    kernels->gemm(dim, columns, width, wk + h * width * dim, 1, dim, r->query + h * width * ld, ld,
                  r->folded + h * dim * ld, ld, NULL);
  kernels->transpose(heads * dim, columns, r->folded, ld, r->directions, heads * dim);
}

struct pair {
  struct cdam_cls *e;
  size_t count;
  struct attending at[CDAM_TOGETHER];
};

/* A panel is asked for, read and averaged while it lies in cache; two inputs go together, because
 * noisy ones are made in pairs. */
static void pair_panel(void *context, size_t panel, int worker) {
  (void)worker;
  const struct pair *pair = context;
  struct cdam_cls *e = pair->e;
  for (size_t k = 0; k < pair->count && panel > 0; k++)
    e->fill(e->context, pair->at[k].input, panel);
  for (size_t k = 0; k < pair->count; k++) attend_panel(e, &pair->at[k], panel);
}

static void attend_pair(struct cdam_cls *e, size_t first, size_t count) {
  struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, heads = e->model->arch.num_heads, ldt = e->layout.ld;
  struct pair pair = {.e = e, .count = count};
  for (size_t k = 0; k < count; k++) pair.at[k] = start_attending(e, first + k, k);
  lc_parallel_for(e->layout.panels, pair_panel, &pair);
  for (size_t k = 0; k < count; k++) {
    size_t row = (first + k) * heads * ldt;
    join_panels(e, &pair.at[k]);
    /* From here on scores hold a * s, which is all that the routed part needs. */
    vit_vectors()->multiply(r->attention + row, r->scores + row, heads * ldt, r->scores + row);
    memcpy(r->directions + (first + k) * heads * dim, pair.at[k].means,
           heads * dim * sizeof(float));
  }
}

static void attend_own(struct cdam_cls *e, size_t n) {
  const struct vit_arch *arch = &e->model->arch;
  const struct vit_linear *qkv = &e->model->blocks[arch->depth - 1].qkv;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, ld = e->ld;
  const float *wv = qkv->weight + 2 * dim * dim;
  for (size_t i = 0; i < n; i++) e->fill(e->context, i, 0);
  first_tokens(e, n);
  make_queries(e, ld, qkv->bias);
  fold_queries(e, ld);
  for (size_t i = 0; i < n; i += CDAM_TOGETHER)
    attend_pair(e, i, n - i < CDAM_TOGETHER ? n - i : CDAM_TOGETHER);
  /* In the directions' place there are now the attended tokens, in the queries' their values. */
  vit_backend()->transpose(ld, arch->num_heads * dim, r->directions, arch->num_heads * dim,
                           r->folded, ld);
  for (size_t h = 0; h < arch->num_heads; h++)
    vit_backend()->gemm(e->width, ld, dim, wv + h * e->width * dim, dim, 1,
                        r->folded + h * dim * ld, ld, r->query + h * e->width * ld, ld, NULL);
  vit_backend()->transpose(dim, ld, r->query, ld, r->attended, dim);
}

/* rows [m, dim] against all shared tokens: out [m, ld_tokens]. */
static void against_common(const struct cdam_cls *e, size_t m, const float *rows, float *out) {
  size_t dim = e->model->arch.embed_dim, panel = e->layout.panel;
  for (size_t p = 0; p < e->layout.panels; p++)
    vit_backend()->gemm(m, panel, dim, rows, dim, 1, e->common + p * dim * panel, panel,
                        out + p * panel, e->layout.ld, NULL);
}

/* Scores are linear in the query, and queries in what CLS is made of: its shared token, the
 * direction of the offset, and the bias. So three directions a head, read once, serve all inputs:
 * basis [3, heads, ld_tokens], and along [3, heads] what they read of the offset's direction. */
static void make_basis(struct cdam_cls *e) {
  const struct vit_linear *qkv = &e->model->blocks[e->model->arch.depth - 1].qkv;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, heads = e->model->arch.num_heads, ld = e->ld;
  memset(r->first, 0, dim * ld * sizeof *r->first);
  for (size_t k = 0; k < dim; k++) {
    r->first[k * ld] = e->common[k * e->layout.panel];
    r->first[k * ld + 1] = e->direction[k];
  }
  make_queries(e, VIT_LANES, NULL);
  for (size_t k = 0; k < dim && qkv->bias; k++) r->query[k * ld + 2] = qkv->bias[k];
  fold_queries(e, VIT_LANES);
  against_common(e, 3 * heads, r->directions, r->basis);
  for (size_t k = 0; k < 3 * heads; k++)
    r->along[k] = vit_vectors()->dot(r->directions + k * dim, e->direction, dim);
  for (size_t k = 0; k < dim; k++)
    r->shift[k] = vit_vectors()->dot(qkv->weight + (2 * dim + k) * dim, e->direction, dim);
}

static void attend_shared(struct cdam_cls *e, size_t n) {
  const struct vit_arch *arch = &e->model->arch;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, ldt = e->layout.ld;
  size_t panel = e->layout.panel, width = e->width, size = heads * ldt;
  make_basis(e);
  for (size_t i = 0; i < n; i++) {
    const float *factor = e->factor + i * ldt, x = factor[0], y = e->offset[i];
    for (size_t h = 0; h < heads; h++) {
      const float *b = r->basis + h * ldt, *d = r->along + h;
      float *s = r->scores + i * size + h * ldt, *a = r->attention + i * size + h * ldt, sum;
      vit_vectors()->mix(factor, b, b + size, b + 2 * size, x, y,
                         y * (x * d[0] + y * d[heads] + d[2 * heads]), ldt, s);
      (void)vit_vectors()->softmax(s, e->layout.tokens, ldt, a, &sum);
      vit_vectors()->multiply(a, s, ldt, s);
      vit_vectors()->multiply(a, factor, ldt, r->weighted + i * size + h * ldt);
    }
  }
  for (size_t h = 0; h < heads; h++)
    for (size_t p = 0; p < e->layout.panels; p++)
      vit_backend()->gemm_nt(n, width, panel, r->weighted + h * ldt + p * panel, size,
                             e->values + (p * dim + h * width) * panel, panel,
                             r->attended + h * width, dim, p > 0);
  for (size_t i = 0; i < n; i++)
    vit_vectors()->add(r->attended + i * dim, r->shift, dim, e->offset[i], r->attended + i * dim);
}

void cdam_cls_attend(struct cdam_cls *e, size_t n) {
  if (e->shared)
    attend_shared(e, n);
  else
    attend_own(e, n);
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
  float mean = vit_vectors()->dot(r->attended + input * arch->embed_dim + head * e->width,
                                  g + head * e->width, e->width);
  reads += skip;
  if (sum->maps) vit_vectors()->add_scores(a, k, reads, patches, mean, sum->weight, sum->maps + at);
  if (sum->routed)
    vit_vectors()->add_routed(k, reads, patches, mean, sum->weight, sum->routed + at);
  if (sum->content) vit_vectors()->add_content(a, reads, patches, sum->weight, sum->content + at);
}

static size_t map_at(const struct cdam_cls *e, const struct cdam_cls_sum *sum, size_t input,
                     size_t target) {
  size_t patches = e->layout.tokens - vit_arch_prefix(&e->model->arch);
  return input * sum->map_stride + target * patches;
}

/* What reads one input for the chunk's targets, of all heads. */
static struct reader value_reader(const struct cdam_cls *e, size_t input, size_t chunk) {
  const struct cdam_prepared *p = e->prepared;
  size_t dim = e->model->arch.embed_dim, heads = e->model->arch.num_heads, m = chunk * heads;
  const float *g = e->rows->branch + input * chunk * dim;
  struct reader r = {m, e->rows->reading + input * m * dim, e->rows->along, e->rows->along + m};
  for (size_t k = 0; k < m && e->norm; k++) {
    size_t head = k % heads * e->width, at = k / heads * dim + head;
    r.along[k] = vit_vectors()->dot(p->values_along + head, g + at, e->width);
    r.constant[k] = vit_vectors()->dot(p->values_constant + head, g + at, e->width);
  }
  return r;
}

struct reading {
  const struct cdam_cls *e;
  const struct reader *r;
  size_t input;
};

static void reading_panel(void *context, size_t panel, int worker) {
  (void)worker;
  const struct reading *reading = context;
  const struct cdam_cls *e = reading->e;
  read_panel(e, reading->r, reading->input, panel, e->rows->reads + panel * e->layout.panel);
}

static void read_own(struct cdam_cls *e, size_t n, size_t first, size_t chunk,
                     const struct cdam_cls_sum *sum) {
  const struct vit_arch *arch = &e->model->arch;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, ldt = e->layout.ld;
  const float *wv =
      e->norm ? e->prepared->values : e->model->blocks[arch->depth - 1].qkv.weight + 2 * dim * dim;
  for (size_t h = 0; h < heads; h++)
    cdam_cls_product(n * chunk, dim, e->width, r->branch + h * e->width, dim,
                     wv + h * e->width * dim, dim, r->reading + h * dim, heads * dim, false);
  for (size_t i = 0; i < n; i++) {
    struct reader w = value_reader(e, i, chunk);
    struct reading reading = {e, &w, i};
    lc_parallel_for(e->layout.panels, reading_panel, &reading);
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
  for (size_t h = 0; h < arch->num_heads; h++) {
    for (size_t p = 0; p < e->layout.panels; p++)
      vit_backend()->gemm(n * chunk, panel, width, r->branch + h * width, dim, 1,
                          e->values + (p * dim + h * width) * panel, panel, r->reads + p * panel,
                          ldt, NULL);
    for (size_t i = 0; i < n; i++)
      for (size_t t = 0; t < chunk; t++) {
        const float *g = r->branch + (i * chunk + t) * dim;
        float *reads = r->reads + (i * chunk + t) * ldt;
        float constant =
            e->offset[i] * vit_vectors()->dot(r->shift + h * width, g + h * width, width);
        vit_vectors()->affine(e->factor + i * ldt, constant, ldt, reads);
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
