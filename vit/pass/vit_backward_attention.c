/* Attention backward, head by head: o = V softmax(K' q / sqrt(width)).
 *
 * Nothing quadratic is kept from the forward pass: with the softmax's maximum and sum of each query
 * the probabilities of a panel of keys are formed again, a row a query. Then, with g the gradient
 * of o and delta = g . o for each query, dP = V' g,  dS = scale * P (dP - delta),  dV = sum_q g P,
 * dK = sum_q q dS,  dQ = sum_k k dS. The sums run over queries or keys in their order. See
 * vit_attention.c for the way there. */
#include <string.h>

#include "common/lc_parallel.h"
#include "vit/pass/vit_tape.h"

/* Scratch of one head: probabilities and their gradients, [tokens, panel] each; one panel's keys
 * turned, [panel, width, padded], and the gradients of the queries so, [tokens, width, padded];
 * delta. What is quadratic is read as it lies. */
struct head_scratch {
  vit_real *p, *d, *keys, *d_queries, *delta;
};

size_t vit_backward_attention_size(const struct vit_workspace *w) {
  size_t padded = w->panels * w->panel;
  size_t width = vit_pad(w->model->arch.embed_dim / w->model->arch.num_heads);
  return (2 * padded + width) * w->panel + padded * (width + 1);
}

struct head {
  struct vit_part *part;
  size_t image, within; /* number in the batch, and in the group */
  size_t number, width, queries, padded;
  vit_real scale;
  const vit_real *qkv, *d_attended; /* of this image */
  vit_real *d_qkv;
  struct head_scratch s;
};

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Rows of this head in one panel of an image's queries (0), keys (1) or values (2). */
static size_t offset(const struct head *h, size_t panel, size_t which) {
  const struct vit_workspace *w = &h->part->tape->workspace;
  size_t dim = w->model->arch.embed_dim;
  return (panel * 3 * dim + which * dim + h->number * h->width) * w->panel;
}

static const vit_real *d_out(const struct head *h, size_t panel) {
  const struct vit_workspace *w = &h->part->tape->workspace;
  return h->d_attended + (panel * w->model->arch.embed_dim + h->number * h->width) * w->panel;
}

/* delta of every query */
static void dots(const struct head *h) {
  struct vit_tape *tape = h->part->tape;
  const struct vit_workspace *w = &tape->workspace;
  size_t dim = w->model->arch.embed_dim, ld = w->panel;
  for (size_t p = 0; p * ld < h->queries; p++) {
    const vit_real *out =
        vit_tape_panel(tape, tape->blocks[h->part->block].attended, dim, h->image, p);
    size_t n = vit_pad(smaller(ld, h->queries - p * ld));
    vit_backend()->column_dots(h->width, n, d_out(h, p), out + h->number * h->width * ld, ld,
                               h->s.delta + p * ld);
  }
}

/* Gradients of the probabilities as the caller asked for them. */
static void export_attention(const struct head *h, size_t first, size_t keys) {
  struct vit_tape *tape = h->part->tape;
  const struct vit_workspace *w = &tape->workspace;
  if (!tape->gradients.attention) return;
  size_t heads = w->model->arch.num_heads;
  vit_real *out = tape->gradients.attention[h->part->block] +
                  (h->image * heads + h->number) * w->tokens * w->tokens + first;
  for (size_t q = 0; q < w->tokens; q++) {
    if (q < h->queries)
      memcpy(out + q * w->tokens, h->s.d + q * w->panel, keys * sizeof *out);
    else
      memset(out + q * w->tokens, 0, keys * sizeof *out);
  }
}

static void show(const struct head *h, size_t first, size_t keys) {
  const struct vit_tape *tape = h->part->tape;
  const struct vit_attention_visitor *visitor = tape->request.visitor;
  if (!visitor) return;
  struct vit_attention_part part = {.block = h->part->block,
                                    .image = h->image,
                                    .head = h->number,
                                    .first = first,
                                    .keys = keys,
                                    .queries = h->queries,
                                    .ld = tape->workspace.panel,
                                    .probability = h->s.p,
                                    .gradient = h->s.d};
  visitor->see(visitor->context, &part);
}

/* dQ of all queries from one panel of keys. */
static void add_query_gradient(const struct head *h, size_t panel, size_t keys) {
  const struct vit_backend *k = vit_backend();
  size_t ld = h->part->tape->workspace.panel, width = vit_pad(h->width);
  const struct vit_epilogue add = {.accumulate = true};
  k->transpose(h->width, keys, h->qkv + offset(h, panel, 1), ld, h->s.keys, width);
  for (size_t i = 0; i < keys && width > h->width; i++)
    memset(h->s.keys + i * width + h->width, 0, (width - h->width) * sizeof *h->s.keys);
  k->gemm(h->queries, width, keys, h->s.d, ld, 1, h->s.keys, width, h->s.d_queries, width,
          panel ? &add : NULL);
}

/* ... to their place; padding columns are zero. */
static void store_query_gradient(const struct head *h) {
  size_t ld = h->part->tape->workspace.panel, width = vit_pad(h->width);
  size_t columns = vit_pad(h->queries);
  memset(h->s.d_queries + h->queries * width, 0,
         (columns - h->queries) * width * sizeof *h->s.d_queries);
  for (size_t p = 0; p * ld < columns; p++)
    vit_backend()->transpose(smaller(ld, columns - p * ld), h->width,
                             h->s.d_queries + p * ld * width, width, h->d_qkv + offset(h, p, 0),
                             ld);
}

static void clear_padding(vit_real *x, size_t rows, size_t ld, size_t used, size_t columns) {
  for (size_t r = 0; r < rows && used < columns; r++)
    memset(x + r * ld + used, 0, (columns - used) * sizeof *x);
}

/* One panel of keys against all queries. */
static void key_panel(const struct head *h, size_t panel) {
  struct vit_tape *tape = h->part->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_tape_block *kept = &tape->blocks[h->part->block];
  const struct vit_backend *k = vit_backend();
  const struct vit_epilogue add = {.accumulate = true};
  bool entry = tape->work->wants[h->part->block].entry;
  size_t ld = w->panel, first = panel * ld, keys = smaller(ld, w->tokens - first);
  size_t n = vit_pad(keys), stats = (h->image * w->model->arch.num_heads + h->number) * h->padded;
  const vit_real *key = h->qkv + offset(h, panel, 1), *value = h->qkv + offset(h, panel, 2);
  vit_real *d_key = h->d_qkv + offset(h, panel, 1), *d_value = h->d_qkv + offset(h, panel, 2);
  for (size_t p = 0; p * ld < h->queries; p++) {
    size_t count = smaller(ld, h->queries - p * ld), at = p * ld;
    vit_real *probability = h->s.p + at * ld, *d = h->s.d + at * ld;
    k->gemm(count, n, h->width, h->qkv + offset(h, p, 0), 1, ld, key, ld, probability, ld, NULL);
    k->probabilities(count, n, probability, ld, h->scale, kept->top + stats + at,
                     kept->inverse + stats + at);
    k->gemm(count, n, h->width, d_out(h, p), 1, ld, value, ld, d, ld, NULL);
    if (entry)
      k->gemm(h->width, n, count, d_out(h, p), ld, 1, probability, ld, d_value, ld,
              p ? &add : NULL);
  }
  export_attention(h, first, keys);
  show(h, first, keys);
  if (!entry) return;
  for (size_t p = 0; p * ld < h->queries; p++) {
    size_t count = smaller(ld, h->queries - p * ld), at = p * ld;
    vit_real *d = h->s.d + at * ld;
    k->softmax_backward(count, n, h->s.p + at * ld, d, ld, h->scale, h->s.delta + at);
    k->gemm(h->width, n, count, h->qkv + offset(h, p, 0), ld, 1, d, ld, d_key, ld, p ? &add : NULL);
  }
  clear_padding(d_key, h->width, ld, keys, n);
  clear_padding(d_value, h->width, ld, keys, n);
  add_query_gradient(h, panel, keys);
}

static void attention_head(void *context, size_t index, int worker) {
  struct vit_part *part = context;
  struct vit_tape *tape = part->tape;
  const struct vit_workspace *w = &tape->workspace;
  size_t dim = w->model->arch.embed_dim, heads = w->model->arch.num_heads, ld = w->panel;
  bool last = part->block + 1 == w->model->arch.depth;
  struct head h = {.part = part,
                   .within = index / heads,
                   .image = part->first + index / heads,
                   .number = index % heads,
                   .width = dim / heads,
                   .queries = last ? 1 : w->tokens,
                   .padded = w->panels * ld};
  h.scale = 1 / vit_real_sqrt((vit_real)h.width);
  h.qkv = vit_tape_panel(tape, tape->blocks[part->block].qkv, 3 * dim, h.image, 0);
  h.d_attended = vit_tape_panel(tape, tape->work->d_attended, dim, h.within, 0);
  h.d_qkv = vit_tape_panel(tape, tape->work->d_qkv, 3 * dim, h.within, 0);
  h.s.p = tape->work->scratch + (size_t)worker * tape->work->scratch_size;
  h.s.d = h.s.p + h.padded * ld;
  h.s.keys = h.s.d + h.padded * ld;
  h.s.d_queries = h.s.keys + vit_pad(h.width) * ld;
  h.s.delta = h.s.d_queries + vit_pad(h.width) * h.padded;
  if (last)
    for (size_t p = 0; p < w->panels; p++)
      memset(h.d_qkv + offset(&h, p, 0), 0, h.width * ld * sizeof *h.d_qkv);
  dots(&h);
  for (size_t p = 0; p < w->panels; p++) key_panel(&h, p);
  if (tape->work->wants[part->block].entry) store_query_gradient(&h);
}

void vit_backward_attention(struct vit_part *part) {
  size_t heads = part->tape->workspace.model->arch.num_heads;
  lc_parallel_for(part->images * heads, attention_head, part);
}
