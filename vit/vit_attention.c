#include "vit_layers.h"

void vit_attention_panel(const struct vit_workspace *w, size_t block, const struct vit_place *at,
                         vit_real *scores, vit_real *inverse, vit_real *out,
                         vit_real *probabilities) {
  const struct vit_kernels *k = vit_kernels();
  size_t dim = w->model->arch.embed_dim, heads = w->model->arch.num_heads, width = dim / heads;
  size_t ld = w->panel, n = at->columns;
  vit_real scale = 1 / vit_real_sqrt((vit_real)width);
  const struct vit_epilogue add = {.accumulate = true};
  for (size_t h = 0; h < heads; h++) {
    const vit_real *query = vit_panel_qkv(w, block, at->image, at->panel) + h * width * ld;
    vit_real *mean = out + h * width * ld;
    for (size_t p = 0; p < w->panels; p++) {
      size_t first = p * w->panel, keys = w->tokens - first < ld ? w->tokens - first : ld;
      const vit_real *key = vit_panel_qkv(w, block, at->image, p) + (dim + h * width) * ld;
      k->gemm(keys, n, width, key, 1, ld, query, ld, scores + first * ld, ld, NULL);
    }
    k->softmax(w->tokens, n, scores, ld, scale, inverse);
    for (size_t p = 0; p < w->panels; p++) {
      size_t first = p * w->panel, keys = w->tokens - first < ld ? w->tokens - first : ld;
      const vit_real *value = vit_panel_qkv(w, block, at->image, p) + (2 * dim + h * width) * ld;
      k->gemm(width, n, keys, value, ld, 1, scores + first * ld, ld, mean, ld, p ? &add : NULL);
    }
    k->scale_columns(width, n, mean, ld, inverse);
    if (!probabilities) continue;
    k->scale_columns(w->tokens, n, scores, ld, inverse);
    k->transpose(w->tokens, at->tokens, scores, ld,
                 probabilities + (h * w->tokens + at->first) * w->tokens, w->tokens);
  }
}
