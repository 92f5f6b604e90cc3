/* Computes the attention of one panel of queries to all tokens of its image, head by head; the sums
 * of the softmax divide the attended values at the end. */
#include "vit/pass/vit_layers.h"

void vit_attention_panel(const struct vit_workspace *w, const vit_real *qkv,
                         const struct vit_place *at, vit_real *scores, vit_real *top,
                         vit_real *inverse, size_t stats_ld, vit_real *out,
                         vit_real *probabilities) {
  const struct vit_backend *k = vit_backend();
  size_t dim = w->model->arch.embed_dim, heads = w->model->arch.num_heads, width = dim / heads;
  size_t ld = w->panel, n = at->columns;
  vit_real scale = 1 / vit_real_sqrt((vit_real)width);
  const struct vit_epilogue add = {.accumulate = true};
  for (size_t h = 0; h < heads; h++, top += stats_ld, inverse += stats_ld) {
    const vit_real *query = qkv + at->panel * 3 * dim * ld + h * width * ld;
    vit_real *mean = out + h * width * ld;
    for (size_t p = 0; p < w->panels; p++) {
      size_t first = p * ld, keys = w->tokens - first < ld ? w->tokens - first : ld;
      const vit_real *key = qkv + (p * 3 * dim + dim + h * width) * ld;
      k->gemm(keys, n, width, key, 1, ld, query, ld, scores + first * ld, ld, NULL);
    }
    k->softmax(w->tokens, n, scores, ld, scale, top, inverse);
    for (size_t p = 0; p < w->panels; p++) {
      size_t first = p * ld, keys = w->tokens - first < ld ? w->tokens - first : ld;
      const vit_real *value = qkv + (p * 3 * dim + 2 * dim + h * width) * ld;
      k->gemm(width, n, keys, value, ld, 1, scores + first * ld, ld, mean, ld, p ? &add : NULL);
    }
    k->scale_columns(width, n, mean, ld, inverse);
    if (!probabilities) continue;
    k->scale_columns(w->tokens, n, scores, ld, inverse);
    size_t queries = at->tokens < n ? at->tokens : n;
    k->transpose(w->tokens, queries, scores, ld,
                 probabilities + (h * w->tokens + at->first) * w->tokens, w->tokens);
  }
}
