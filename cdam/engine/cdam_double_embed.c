/* Pixels to tokens in double: what the first block gets must not be rounded to float32 where sums
 * of later blocks nearly cancel. */
#include "cdam/engine/cdam_double.h"
#include "common/lc_scope.h"
#include "vit/pass/vit_forward.h"

static double patch_value(const struct vit_model *model, const float *corner, size_t height,
                          size_t width, size_t row) {
  size_t patch = model->arch.patch_size, features = VIT_CHANNELS * patch * patch;
  const float *weight = model->patch_embed.weight + row * features;
  double sum = model->patch_embed.bias ? (double)model->patch_embed.bias[row] : 0;
  for (size_t c = 0; c < VIT_CHANNELS; c++)
    for (size_t y = 0; y < patch; y++)
      for (size_t x = 0; x < patch; x++, weight++)
        sum += (double)*weight * (double)corner[(c * height + y) * width + x];
  return sum;
}

lc_status cdam_double_embed(const struct cdam_double *d, const float *image, size_t height,
                            size_t width, double *tokens, struct lc_error *err) {
  const struct vit_model *model = d->model;
  size_t patch = model->arch.patch_size, across = width / patch, down = height / patch;
  size_t dim = d->dim, prefix = vit_arch_prefix(&model->arch);
  LC_FREED float *position = NULL;
  LC_TRY(lc_alloc(&position, (1 + down * across) * dim, sizeof *position, err));
  LC_TRY(vit_position_interpolate(model, down, across, position, err));
  for (size_t k = 0; k < dim; k++) {
    tokens[k] = (double)model->cls_token[k] + (double)position[k];
    for (size_t r = 1; r < prefix; r++)
      tokens[r * dim + k] = (double)model->register_tokens[(r - 1) * dim + k];
    for (size_t i = 0; i < down * across; i++)
      tokens[(prefix + i) * dim + k] =
          (double)position[(1 + i) * dim + k] +
          patch_value(model, image + (i / across * width + i % across) * patch, height, width, k);
  }
  return LC_OK;
}
