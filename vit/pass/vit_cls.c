/* The last block when only its CLS row is wanted.
 *
 * With T the normed tokens, q_h the CLS query and u_h = W_k,h' q_h, the scores are T u_h: the key
 * bias adds the same to every score of a head and cancels in the softmax. The attended value is
 * W_v,h (sum_i a_ih T_i) + b_v,h, since the attention sums to one. So neither keys nor values of
 * the patches are formed: O(tokens * dim * heads) instead of O(tokens * dim^2).
 *
 * Matrices of CLS tokens have one column an image, padded; one column a head where it says so. */
#include <string.h>

#include "common/lc_parallel.h"
#include "vit/pass/vit_layers.h"

struct columns {
  size_t images, ld, head_ld; /* ld: images padded; head_ld: heads padded */
  vit_real *x;                /* [dim, ld] residual stream of CLS */
  vit_real *normed;           /* [dim, ld] */
  vit_real *query;            /* [dim, ld] */
  vit_real *hidden;           /* [largest of mlp_dim and head widths, ld] */
  vit_real *output;           /* [outputs, ld] */
  vit_real *folded;           /* [heads, dim, ld]: u_h, later the mean token of each head */
  vit_real *weights;          /* [images, dim, head_ld]: u_h with a column a head */
  vit_real *scores;           /* [images, tokens, head_ld] */
  vit_real *mean;             /* [images, dim, head_ld] */
  vit_real *top, *inverse;    /* [images, head_ld] */
};

static size_t hidden_rows(const struct vit_arch *arch) {
  size_t rows = arch->mlp_dim;
  for (size_t i = 0; i < arch->n_heads; i++)
    if (arch->heads[i].hidden > rows) rows = arch->heads[i].hidden;
  return rows;
}

static size_t align16(size_t count) {
  return (count + 15) / 16 * 16;
}

static size_t lay_out(const struct vit_workspace *w, size_t images, struct columns *c) {
  const struct vit_arch *arch = &w->model->arch;
  size_t dim = arch->embed_dim, heads = arch->num_heads, used = 0;
  size_t ld = vit_pad(images), head_ld = vit_pad(heads);
  *c = (struct columns){.images = images, .ld = ld, .head_ld = head_ld};
  struct {
    vit_real **place;
    size_t count;
  } parts[] = {{&c->x, dim * ld},
               {&c->normed, dim * ld},
               {&c->query, dim * ld},
               {&c->hidden, hidden_rows(arch) * ld},
               {&c->output, (vit_arch_outputs(arch) + 1) * ld},
               {&c->folded, heads * dim * ld},
               {&c->weights, images * dim * head_ld},
               {&c->scores, images * w->tokens * head_ld},
               {&c->mean, images * dim * head_ld},
               {&c->top, images * head_ld},
               {&c->inverse, images * head_ld}};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    *parts[i].place = w->cls ? w->cls + used : NULL;
    used += align16(parts[i].count);
  }
  return used;
}

size_t vit_cls_size(const struct vit_workspace *w) {
  struct columns c;
  return lay_out(w, w->group, &c);
}

/* A product over few columns: the rows are what can be shared out. */
struct wide {
  size_t m, n, k, a_row, a_col;
  const vit_real *a, *b;
  vit_real *c;
  struct vit_epilogue e;
};

#define ROWS_A_TASK 96

static void wide_rows(void *context, size_t task, int worker) {
  (void)worker;
  const struct wide *g = context;
  size_t first = task * ROWS_A_TASK;
  size_t rows = g->m - first < ROWS_A_TASK ? g->m - first : ROWS_A_TASK;
  struct vit_epilogue e = g->e;
  if (e.bias) e.bias += first;
  if (e.row_scale) e.row_scale += first;
  if (e.residual) e.residual += first * e.ld_residual;
  vit_backend()->gemm(rows, g->n, g->k, g->a + first * g->a_row, g->a_row, g->a_col, g->b, g->n,
                      g->c + first * g->n, g->n, &e);
}

static void product(struct wide g) {
  lc_parallel_for((g.m + ROWS_A_TASK - 1) / ROWS_A_TASK, wide_rows, &g);
}

static void linear(const struct vit_linear *layer, size_t out, size_t in, const vit_real *x,
                   vit_real *y, size_t ld, struct vit_epilogue e) {
  e.bias = layer->bias;
  product((struct wide){.m = out,
                        .n = ld,
                        .k = in,
                        .a_row = in,
                        .a_col = 1,
                        .a = layer->weight,
                        .b = x,
                        .c = y,
                        .e = e});
}

struct cls_job {
  struct vit_workspace *w;
  struct columns *c;
  size_t first;
};

/* Scores, softmax and mean token of every head of one image. */
static void attend_image(void *context, size_t image, int worker) {
  (void)worker;
  const struct cls_job *job = context;
  const struct vit_workspace *w = job->w;
  const struct columns *c = job->c;
  const struct vit_backend *k = vit_backend();
  size_t dim = w->model->arch.embed_dim, heads = w->model->arch.num_heads, ld = c->head_ld;
  size_t width = dim / heads;
  size_t last = w->model->arch.depth - 1;
  vit_real *weights = c->weights + image * dim * ld, *scores = c->scores + image * w->tokens * ld;
  vit_real *mean = c->mean + image * dim * ld, *inverse = c->inverse + image * ld;
  memset(weights, 0, dim * ld * sizeof *weights);
  for (size_t h = 0; h < heads; h++)
    for (size_t d = 0; d < dim; d++) weights[d * ld + h] = c->folded[(h * dim + d) * c->ld + image];
  const struct vit_epilogue add = {.accumulate = true};
  for (size_t p = 0; p < w->panels; p++) {
    struct vit_place at = vit_place_of(w, image * w->panels + p);
    k->gemm(at.tokens, ld, dim, vit_panel_qkv(w, last, image, p), 1, w->panel, weights, ld,
            scores + at.first * ld, ld, NULL);
  }
  k->softmax(w->tokens, ld, scores, ld, 1 / vit_real_sqrt((vit_real)width), c->top + image * ld,
             inverse);
  for (size_t p = 0; p < w->panels; p++) {
    struct vit_place at = vit_place_of(w, image * w->panels + p);
    k->gemm(dim, ld, at.tokens, vit_panel_qkv(w, last, image, p), w->panel, 1,
            scores + at.first * ld, ld, mean, ld, p ? &add : NULL);
  }
  k->scale_columns(dim, ld, mean, ld, inverse);
  for (size_t h = 0; h < heads; h++)
    for (size_t d = 0; d < dim; d++) c->folded[(h * dim + d) * c->ld + image] = mean[d * ld + h];
  if (!w->trace.last_cls_attention) return;
  vit_real *out = w->trace.last_cls_attention + (job->first + image) * heads * w->tokens;
  for (size_t h = 0; h < heads; h++)
    for (size_t t = 0; t < w->tokens; t++) out[h * w->tokens + t] = scores[t * ld + h] * inverse[h];
}

/* CLS columns of the residual stream. */
static void gather(const struct vit_workspace *w, struct columns *c) {
  size_t dim = w->model->arch.embed_dim;
  memset(c->x, 0, dim * c->ld * sizeof *c->x);
  for (size_t i = 0; i < c->images; i++) {
    const vit_real *from = vit_panel_x(w, i, 0);
    for (size_t d = 0; d < dim; d++) c->x[d * c->ld + i] = from[d * w->panel];
  }
}

static void scatter(const struct columns *c, const vit_real *from, size_t rows, vit_real *out) {
  for (size_t i = 0; i < c->images; i++)
    for (size_t r = 0; r < rows; r++) out[i * rows + r] = from[r * c->ld + i];
}

static void finish(struct vit_workspace *w, struct columns *c, size_t first,
                   const struct vit_drops *drops) {
  const struct vit_model *model = w->model;
  const struct vit_arch *arch = &model->arch;
  size_t dim = arch->embed_dim, outputs = vit_arch_outputs(arch), row = 0;
  vit_backend()->layer_norm(dim, c->ld, c->x, c->ld, model->norm.weight, model->norm.bias,
                            (vit_real)arch->layer_norm_eps, c->normed, c->ld, NULL, NULL);
  scatter(c, c->normed, dim, w->trace.cls_embedding + first * dim);
  if (arch->n_heads == 0) {
    scatter(c, c->normed, dim, w->trace.logits + first * dim);
    return;
  }
  if (drops) (void)vit_drops_columns(drops, c->images, dim, c->normed, c->ld);
  for (size_t i = 0; i < arch->n_heads; i++) {
    const struct vit_head_shape *shape = &arch->heads[i];
    const vit_real *in = c->normed;
    size_t width = dim;
    if (shape->hidden > 0) {
      bool relu = shape->activation == VIT_HEAD_RELU;
      linear(&model->heads[i].hidden, shape->hidden, dim, in, c->hidden, c->ld,
             (struct vit_epilogue){.activation = relu ? VIT_RELU : VIT_IDENTITY});
      for (size_t k = 0; !relu && k < shape->hidden * c->ld; k++)
        c->hidden[k] = (vit_real)vit_head_activate(shape->activation, (double)c->hidden[k]);
      in = c->hidden;
      width = shape->hidden;
    }
    linear(&model->heads[i].output, shape->outputs, width, in, c->output + row * c->ld, c->ld,
           (struct vit_epilogue){0});
    row += shape->outputs;
  }
  scatter(c, c->output, outputs, w->trace.logits + first * outputs);
}

void vit_cls_heads(struct vit_workspace *w, size_t first, size_t images,
                   const struct vit_drops *drops) {
  struct columns c;
  (void)lay_out(w, images, &c);
  gather(w, &c);
  finish(w, &c, first, drops);
}

void vit_cls_block(struct vit_workspace *w, size_t first, size_t images) {
  const struct vit_arch *arch = &w->model->arch;
  const struct vit_block *block = &w->model->blocks[arch->depth - 1];
  size_t dim = arch->embed_dim, width = dim / arch->num_heads;
  struct columns c;
  (void)lay_out(w, images, &c);
  gather(w, &c);
  vit_backend()->layer_norm(dim, c.ld, c.x, c.ld, block->norm1.weight, block->norm1.bias,
                            (vit_real)arch->layer_norm_eps, c.normed, c.ld, NULL, NULL);
  linear(&block->qkv, dim, dim, c.normed, c.query, c.ld, (struct vit_epilogue){0});
  for (size_t h = 0; h < arch->num_heads; h++)
    product((struct wide){.m = dim,
                          .n = c.ld,
                          .k = width,
                          .a_row = 1,
                          .a_col = dim,
                          .a = block->qkv.weight + (dim + h * width) * dim,
                          .b = c.query + h * width * c.ld,
                          .c = c.folded + h * dim * c.ld});
  struct cls_job job = {w, &c, first};
  lc_parallel_for(images, attend_image, &job);
  for (size_t h = 0; h < arch->num_heads; h++) {
    struct vit_linear value = {block->qkv.weight + (2 * dim + h * width) * dim,
                               block->qkv.bias ? block->qkv.bias + 2 * dim + h * width : NULL};
    linear(&value, width, dim, c.folded + h * dim * c.ld, c.query + h * width * c.ld, c.ld,
           (struct vit_epilogue){0});
  }
  linear(&block->proj, dim, dim, c.query, c.x, c.ld,
         (struct vit_epilogue){.row_scale = block->scale1, .residual = c.x, .ld_residual = c.ld});
  vit_backend()->layer_norm(dim, c.ld, c.x, c.ld, block->norm2.weight, block->norm2.bias,
                            (vit_real)arch->layer_norm_eps, c.normed, c.ld, NULL, NULL);
  linear(&block->fc1, arch->mlp_dim, dim, c.normed, c.hidden, c.ld,
         (struct vit_epilogue){.activation = VIT_GELU});
  linear(&block->fc2, dim, arch->mlp_dim, c.hidden, c.x, c.ld,
         (struct vit_epilogue){.row_scale = block->scale2, .residual = c.x, .ld_residual = c.ld});
  finish(w, &c, first, NULL);
}
