/* Gathers the pixels of patches into columns and turns them into tokens: patch embedding, position
 * encoding, CLS and register tokens. */
#include <string.h>

#include "vit/pass/vit_layers.h"

/* Rows (channel, y, x) of the patches' pixels, one column a token; prefix and padding columns are
 * zero. */
void vit_gather_patches(const struct vit_workspace *w, const struct vit_place *at,
                        const vit_real *image, vit_real *patches) {
  size_t patch = w->model->arch.patch_size, prefix = vit_arch_prefix(&w->model->arch);
  size_t features = VIT_CHANNELS * patch * patch;
  size_t skip = at->first < prefix ? prefix - at->first : 0;
  if (skip > at->tokens) skip = at->tokens;
  if (skip > 0 || at->columns > at->tokens)
    for (size_t f = 0; f < features; f++) {
      memset(patches + f * w->panel, 0, skip * sizeof *patches);
      memset(patches + f * w->panel + at->tokens, 0, (at->columns - at->tokens) * sizeof *patches);
    }
  for (size_t t = skip; t < at->tokens; t++) {
    size_t number = at->first + t - prefix;
    if (w->request.kept) number = w->request.kept[number];
    const vit_real *corner =
        image + (number / w->grid_width) * patch * w->width + (number % w->grid_width) * patch;
    vit_real *out = patches + t;
    for (size_t c = 0; c < VIT_CHANNELS; c++)
      for (size_t y = 0; y < patch; y++) {
        const vit_real *in = corner + (c * w->height + y) * w->width;
        for (size_t x = 0; x < patch; x++, out += w->panel) *out = in[x];
      }
  }
}

void vit_embed_panel(const struct vit_workspace *w, const struct vit_place *at,
                     const vit_real *image, vit_real *patches, vit_real *x) {
  const struct vit_model *model = w->model;
  size_t dim = model->arch.embed_dim, prefix = vit_arch_prefix(&model->arch);
  size_t features = VIT_CHANNELS * model->arch.patch_size * model->arch.patch_size;
  const vit_real *base = w->base + at->panel * dim * w->panel;
  vit_gather_patches(w, at, image, patches);
  struct vit_epilogue add = {
      .bias = model->patch_embed.bias, .residual = base, .ld_residual = w->panel};
  vit_backend()->gemm(dim, at->columns, features, model->patch_embed.weight, features, 1, patches,
                      w->panel, x, w->panel, &add);
  for (size_t t = 0; t < at->tokens && at->first + t < prefix; t++)
    for (size_t d = 0; d < dim; d++) x[d * w->panel + t] = base[d * w->panel + t];
}
