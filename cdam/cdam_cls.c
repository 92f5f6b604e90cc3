#include "cdam_cls.h"

#include <math.h>
#include <string.h>

#include "cdam_cls_rows.h"
#include "cdam_vector.h"

static size_t hidden_total(const struct vit_arch *arch, size_t *widest) {
  size_t total = 0;
  for (size_t i = 0; i < arch->n_heads; i++) {
    total += arch->heads[i].hidden;
    if (arch->heads[i].hidden > *widest) *widest = arch->heads[i].hidden;
  }
  return total;
}

static void take_rows(struct cdam_cls *e, size_t group, struct lc_arena *arena) {
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, heads = arch->num_heads, mlp = arch->mlp_dim, ld = CDAM_GROUP;
  size_t chunk = e->n_targets < CDAM_CHUNK ? e->n_targets : CDAM_CHUNK, widest = mlp;
  size_t hidden = hidden_total(arch, &widest), wide = vit_pad(group * chunk);
  struct cdam_cls_rows *r = lc_arena_take(arena, 1, sizeof *r), unused;
  e->rows = r;
  if (!r) r = &unused;
  const struct {
    float **at;
    size_t count;
  } parts[] = {{&e->normed, (e->shared ? 1 : group) * dim * e->ld_tokens},
               {&e->factor, e->shared ? group * e->ld_tokens : 0},
               {&e->offset, e->shared ? group * dim : 0},
               {&e->cls, dim * ld},
               {&r->first, dim * ld},
               {&r->query, dim * ld},
               {&r->folded, heads * dim * ld},
               {&r->directions, heads * dim},
               {&r->scores, group * heads * e->ld_tokens},
               {&r->attention, group * heads * e->ld_tokens},
               {&r->means, group * heads * dim},
               {&r->mixed, dim * ld},
               {&r->after, dim * ld},
               {&r->normed2, dim * ld},
               {&r->pre, mlp * ld},
               {&r->active, mlp * ld},
               {&r->last, dim * ld},
               {&r->embedding, dim * ld},
               {&r->relu, hidden * ld},
               {&r->moments, 4 * ld},
               {&r->upstream, dim * wide},
               {&r->branch, dim * wide},
               {&r->wide, widest * wide},
               {&r->values, heads * dim * wide},
               {&r->reading, chunk * heads * dim},
               {&r->reads, chunk * heads * e->ld_tokens},
               {&r->sum, e->ld_tokens},
               {&r->weighted, e->shared ? heads * e->ld_tokens : 0}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    *parts[i].at = lc_arena_floats(arena, parts[i].count);
}

/* The width of a panel, 96 to 192 columns, that pads least; the wider of two. */
static size_t choose_panel(size_t tokens) {
  size_t best = vit_pad(tokens), least = SIZE_MAX;
  if (tokens <= 192) return best;
  for (size_t panel = 96; panel <= 192; panel += 2 * VIT_LANES) {
    size_t padded = (tokens + panel - 1) / panel * panel;
    if (padded > least) continue;
    least = padded;
    best = panel;
  }
  return best;
}

lc_status cdam_cls_init(struct cdam_cls *engine, const struct vit_model *model,
                        const struct cdam_target *targets, size_t n_targets, size_t tokens,
                        size_t group, bool shared, struct lc_error *err) {
  memset(engine, 0, sizeof *engine);
  engine->model = model;
  engine->targets = targets;
  engine->n_targets = n_targets;
  engine->tokens = tokens;
  engine->width = model->arch.embed_dim / model->arch.num_heads;
  engine->panel = choose_panel(tokens);
  engine->panels = (tokens + engine->panel - 1) / engine->panel;
  engine->ld_tokens = engine->panel * engine->panels;
  engine->shared = shared;
  struct lc_arena counting;
  lc_arena_init_counting(&counting);
  take_rows(engine, group, &counting);
  LC_TRY(lc_arena_init(&engine->arena, counting.peak, err));
  take_rows(engine, group, &engine->arena);
  return LC_OK;
}

void cdam_cls_free(struct cdam_cls *engine) {
  lc_arena_free(&engine->arena);
  memset(engine, 0, sizeof *engine);
}

static const float *tokens_of(const struct cdam_cls *e, size_t input) {
  return e->normed + (e->shared ? 0 : input * e->model->arch.embed_dim * e->ld_tokens);
}

/* rows [m, dim] against all tokens of an input: out [m, ld_tokens]. */
static void read_tokens(const struct cdam_cls *e, size_t input, size_t m, const float *rows,
                        float *out) {
  size_t dim = e->model->arch.embed_dim, ldt = e->ld_tokens;
  const float *tokens = tokens_of(e, input);
  for (size_t p = 0; p < e->panels; p++)
    vit_kernels()->gemm(m, e->panel, dim, rows, dim, 1, tokens + p * dim * e->panel, e->panel,
                        out + p * e->panel, ldt, NULL);
  if (!e->shared) return;
  const float *offset = e->offset + input * dim;
  for (size_t r = 0; r < m; r++)
    cdam_vector_affine(e->factor + input * ldt, cdam_vector_dot(rows + r * dim, offset, dim), ldt,
                       out + r * ldt);
}

/* weights [m, ld_tokens], each row summing to one: out [m, dim] gets the weighted sums of tokens.
 */
static void mean_tokens(struct cdam_cls *e, size_t input, size_t m, const float *weights,
                        float *out) {
  size_t dim = e->model->arch.embed_dim, ldt = e->ld_tokens;
  const float *tokens = tokens_of(e, input), *factor = e->factor + input * ldt;
  for (size_t r = 0; r < m && e->shared; r++)
    cdam_vector_multiply(weights + r * ldt, factor, ldt, e->rows->weighted + r * ldt);
  if (e->shared) weights = e->rows->weighted;
  for (size_t p = 0; p < e->panels; p++)
    vit_kernels()->gemm_nt(m, dim, e->panel, weights + p * e->panel, ldt,
                           tokens + p * dim * e->panel, e->panel, out, dim, p > 0);
  for (size_t r = 0; r < m && e->shared; r++)
    cdam_vector_add(out + r * dim, e->offset + input * dim, dim, 1, out + r * dim);
}

/* From the normed tokens to what the heads hand to the projection of the CLS row. */
static void attend(struct cdam_cls *e, size_t n) {
  const struct vit_kernels *kernels = vit_kernels();
  const struct vit_arch *arch = &e->model->arch;
  const struct vit_block *block = &e->model->blocks[arch->depth - 1];
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads, width = e->width;
  size_t ld = CDAM_GROUP, ldt = e->ld_tokens;
  const float *wk = block->qkv.weight + dim * dim, *wv = wk + dim * dim;
  const float *bias = block->qkv.bias;
  float temperature = 1 / sqrtf((float)width);

  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < dim; k++) {
      float first = tokens_of(e, i)[k * e->panel];
      r->first[k * ld + i] =
          e->shared ? e->factor[i * ldt] * first + e->offset[i * dim + k] : first;
    }
  struct vit_epilogue with_bias = {.bias = bias};
  kernels->gemm(dim, ld, dim, block->qkv.weight, dim, 1, r->first, ld, r->query, ld, &with_bias);
  for (size_t k = 0; k < dim * ld; k++) r->query[k] *= temperature;
  for (size_t h = 0; h < heads; h++)
    kernels->gemm(dim, ld, width, wk + h * width * dim, 1, dim, r->query + h * width * ld, ld,
                  r->folded + h * dim * ld, ld, NULL);
  for (size_t i = 0; i < n; i++) {
    float *scores = r->scores + i * heads * ldt, *attention = r->attention + i * heads * ldt;
    float *means = r->means + i * heads * dim;
    for (size_t k = 0; k < heads * dim; k++) r->directions[k] = r->folded[k * ld + i];
    read_tokens(e, i, heads, r->directions, scores);
    for (size_t h = 0; h < heads; h++)
      cdam_vector_softmax(scores + h * ldt, e->tokens, ldt, attention + h * ldt);
    mean_tokens(e, i, heads, attention, means);
    /* From here on scores hold a * s, which is all that the routed part needs. */
    cdam_vector_multiply(attention, scores, heads * ldt, scores);
    for (size_t k = 0; k < heads * dim; k++) r->folded[k * ld + i] = means[k];
  }
  for (size_t h = 0; h < heads; h++) {
    with_bias.bias = bias ? bias + 2 * dim + h * width : NULL;
    kernels->gemm(width, ld, dim, wv + h * width * dim, dim, 1, r->folded + h * dim * ld, ld,
                  r->mixed + h * width * ld, ld, &with_bias);
  }
}

/* Attention Grad-CAM of one target: df/da_hi = r_ih + b_v,h . g_h, averaged over the patches, times
 * a_hi, averaged over the heads, negative sums dropped. column: of g in branch. */
static void add_gradcam(const struct cdam_cls *e, size_t input, size_t column, size_t ldg,
                        const float *reads, size_t reads_stride, float weight, float *map) {
  const struct vit_arch *arch = &e->model->arch;
  const float *bias = e->model->blocks[arch->depth - 1].qkv.bias;
  size_t dim = arch->embed_dim, heads = arch->num_heads, width = e->width, ldt = e->ld_tokens;
  size_t skip = vit_arch_prefix(arch), patches = e->tokens - skip;
  float *sum = e->rows->sum;
  memset(sum, 0, patches * sizeof *sum);
  for (size_t h = 0; h < heads; h++) {
    double gradient = 0, constant = 0;
    for (size_t i = skip; i < e->tokens; i++) gradient += (double)reads[h * reads_stride + i];
    for (size_t k = h * width; bias && k < (h + 1) * width; k++)
      constant += (double)bias[2 * dim + k] * (double)e->rows->branch[k * ldg + column];
    float mean = (float)(gradient / (double)patches + constant) / (float)heads;
    const float *attention = e->rows->attention + (input * heads + h) * ldt + skip;
    for (size_t i = 0; i < patches; i++) sum[i] += mean * attention[i];
  }
  for (size_t i = 0; i < patches; i++) map[i] += weight * (sum[i] > 0 ? sum[i] : 0);
}

/* All heads' shares of one input's scores. reads: [head, target of the chunk, ld_tokens]. */
static void add_scores(const struct cdam_cls *e, size_t input, size_t first, size_t chunk,
                       size_t ldg, const struct cdam_cls_sum *sum) {
  const struct cdam_cls_rows *r = e->rows;
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, heads = arch->num_heads, ldt = e->ld_tokens;
  size_t skip = vit_arch_prefix(arch), patches = e->tokens - skip;
  for (size_t t = 0; t < chunk; t++) {
    size_t at = input * sum->map_stride + (first + t) * patches;
    for (size_t h = 0; h < heads; h++) {
      const float *a = r->attention + (input * heads + h) * ldt + skip;
      const float *k = r->scores + (input * heads + h) * ldt + skip;
      const float *reads = r->reads + (h * chunk + t) * ldt + skip;
      float mean = cdam_vector_dot(r->means + (input * heads + h) * dim,
                                   r->reading + (h * chunk + t) * dim, dim);
      if (sum->maps)
        cdam_vector_add_scores(a, k, reads, patches, mean, sum->weight, sum->maps + at);
      if (sum->routed)
        cdam_vector_add_routed(k, reads, patches, mean, sum->weight, sum->routed + at);
      if (sum->content) cdam_vector_add_content(a, reads, patches, sum->weight, sum->content + at);
    }
    if (sum->gradcam)
      add_gradcam(e, input, input * chunk + t, ldg, r->reads + t * ldt, chunk * ldt, sum->weight,
                  sum->gradcam + at);
  }
}

void cdam_cls_run(struct cdam_cls *engine, size_t n, const struct cdam_cls_sum *sum) {
  const struct vit_arch *arch = &engine->model->arch;
  struct cdam_cls_rows *r = engine->rows;
  size_t dim = arch->embed_dim, heads = arch->num_heads;
  attend(engine, n);
  cdam_cls_forward(engine, n);
  for (size_t first = 0; first < engine->n_targets; first += CDAM_CHUNK) {
    size_t chunk = engine->n_targets - first < CDAM_CHUNK ? engine->n_targets - first : CDAM_CHUNK;
    size_t ldg = vit_pad(n * chunk);
    cdam_cls_backward(engine, n, first, chunk);
    for (size_t i = 0; i < n; i++) {
      for (size_t h = 0; h < heads; h++)
        for (size_t k = 0; k < dim; k++)
          for (size_t t = 0; t < chunk; t++)
            r->reading[(h * chunk + t) * dim + k] = r->values[(h * dim + k) * ldg + i * chunk + t];
      read_tokens(engine, i, heads * chunk, r->reading, r->reads);
      add_scores(engine, i, first, chunk, ldg, sum);
    }
  }
}
