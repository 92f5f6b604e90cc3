/* Brings the stored position encoding to another patch grid by bicubic interpolation (Keys 1981)
 * and carries gradients back the same way. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "vit/pass/vit_tape.h"

/* Weights of one output position: out = sum of weight[i] * in[first + i]. */
struct taps {
  size_t first, n;
  double weight[64];
};

/* Cubic convolution, Keys 1981, with its parameter A: -0.75 as PyTorch interpolates, -0.5 where it
 * antialiases (as Pillow does). */
static double cubic(double x, double a) {
  x = fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/* Four taps around the half-pixel centre; those outside are clamped to the edge. */
static void plain_taps(struct taps *taps, size_t position, double step, size_t size) {
  double centre = ((double)position + 0.5) * step - 0.5;
  double below = floor(centre);
  long long lowest = (long long)below - 1;
  long long first = lowest < 0 ? 0 : lowest, end = lowest + 4;
  if (end > (long long)size) end = (long long)size;
  if (first >= end) first = end - 1;
  *taps = (struct taps){.first = (size_t)first, .n = (size_t)(end - first)};
  for (int i = 0; i < 4; i++) {
    long long at = lowest + i;
    if (at < 0) at = 0;
    if (at >= (long long)size) at = (long long)size - 1;
    taps->weight[at - first] += cubic(centre - (below - 1 + i), -0.75);
  }
}

/* The kernel is stretched by the step when the grid shrinks; weights of taps inside are normed. */
static void smooth_taps(struct taps *taps, size_t position, double step, size_t size) {
  double stretch = step > 1 ? step : 1, support = 2 * stretch;
  double centre = ((double)position + 0.5) * step, total = 0;
  long long first = (long long)(centre - support + 0.5), end = (long long)(centre + support + 0.5);
  if (first < 0) first = 0;
  if (end > (long long)size) end = (long long)size;
  if (end - first > 64) end = first + 64;
  *taps = (struct taps){.first = (size_t)first, .n = (size_t)(end - first)};
  for (size_t i = 0; i < taps->n; i++) {
    taps->weight[i] = cubic(((double)(first + (long long)i) - centre + 0.5) / stretch, -0.5);
    total += taps->weight[i];
  }
  for (size_t i = 0; i < taps->n; i++) taps->weight[i] /= total;
}

static void make_taps(struct taps *taps, size_t to, size_t from, vit_position_rule rule) {
  double step = (double)from / (double)to;
  if (rule == VIT_POSITION_DINO) step = (double)from / ((double)to + 0.1);
  for (size_t i = 0; i < to; i++) {
    if (rule == VIT_POSITION_ANTIALIAS)
      smooth_taps(&taps[i], i, step, from);
    else
      plain_taps(&taps[i], i, step, from);
  }
}

static lc_status interpolate(const struct vit_model *model, size_t grid_height, size_t grid_width,
                             const vit_real *stored, vit_real *out, struct lc_error *err) {
  const struct vit_arch *arch = &model->arch;
  size_t dim = arch->embed_dim;
  struct taps *rows = NULL, *columns = NULL;
  double *sum = NULL;
  lc_status status = LC_OK;
  if (arch->position_rule == VIT_POSITION_ANTIALIAS &&
      (arch->grid_height > 15 * grid_height || arch->grid_width > 15 * grid_width))
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "a grid of %zu x %zu patches is too small for this model",
            grid_height, grid_width);
  LC_TRY_GOTO(lc_alloc(&rows, grid_height, sizeof *rows, err), done);
  LC_TRY_GOTO(lc_alloc(&columns, grid_width, sizeof *columns, err), done);
  LC_TRY_GOTO(lc_alloc(&sum, dim, sizeof *sum, err), done);
  make_taps(rows, grid_height, arch->grid_height, arch->position_rule);
  make_taps(columns, grid_width, arch->grid_width, arch->position_rule);
  for (size_t y = 0; y < grid_height; y++)
    for (size_t x = 0; x < grid_width; x++) {
      memset(sum, 0, dim * sizeof *sum);
      for (size_t i = 0; i < rows[y].n; i++)
        for (size_t k = 0; k < columns[x].n; k++) {
          const vit_real *in =
              stored + ((rows[y].first + i) * arch->grid_width + columns[x].first + k) * dim;
          double weight = rows[y].weight[i] * columns[x].weight[k];
          for (size_t d = 0; d < dim; d++) sum[d] += weight * (double)in[d];
        }
      for (size_t d = 0; d < dim; d++) out[(y * grid_width + x) * dim + d] = (vit_real)sum[d];
    }
done:
  free(sum);
  free(columns);
  free(rows);
  return status;
}

/* Adds each output's gradient to the stored positions it was made of. */
lc_status vit_position_backward(const struct vit_model *model, size_t grid_height,
                                size_t grid_width, const vit_real *d_out, vit_real *d_stored,
                                struct lc_error *err) {
  const struct vit_arch *arch = &model->arch;
  size_t dim = arch->embed_dim, patches = grid_height * grid_width;
  if (arch->position_on_cls) {
    for (size_t d = 0; d < dim; d++) d_stored[d] += d_out[d];
    d_stored += dim;
  }
  d_out += dim;
  if (grid_height == arch->grid_height && grid_width == arch->grid_width) {
    for (size_t i = 0; i < patches * dim; i++) d_stored[i] += d_out[i];
    return LC_OK;
  }
  struct taps *rows = NULL, *columns = NULL;
  lc_status status = LC_OK;
  LC_TRY_GOTO(lc_alloc(&rows, grid_height, sizeof *rows, err), done);
  LC_TRY_GOTO(lc_alloc(&columns, grid_width, sizeof *columns, err), done);
  make_taps(rows, grid_height, arch->grid_height, arch->position_rule);
  make_taps(columns, grid_width, arch->grid_width, arch->position_rule);
  for (size_t p = 0; p < patches; p++) {
    const struct taps *row = &rows[p / grid_width], *column = &columns[p % grid_width];
    for (size_t i = 0; i < row->n * column->n; i++) {
      size_t y = row->first + i / column->n, x = column->first + i % column->n;
      vit_real weight = (vit_real)(row->weight[i / column->n] * column->weight[i % column->n]);
      vit_real *to = d_stored + (y * arch->grid_width + x) * dim;
      for (size_t d = 0; d < dim; d++) to[d] += weight * d_out[p * dim + d];
    }
  }
done:
  free(columns);
  free(rows);
  return status;
}

lc_status vit_position_interpolate(const struct vit_model *model, size_t grid_height,
                                   size_t grid_width, vit_real *out, struct lc_error *err) {
  const struct vit_arch *arch = &model->arch;
  size_t dim = arch->embed_dim, cls = arch->position_on_cls ? 1 : 0;
  if (grid_height == 0 || grid_width == 0)
    LC_FAIL(err, LC_ERR_USAGE, "a grid of %zu x %zu patches has no patch", grid_height, grid_width);
  const vit_real *stored = model->position_encoding;
  if (cls)
    memcpy(out, stored, dim * sizeof *out);
  else
    memset(out, 0, dim * sizeof *out);
  stored += cls * dim;
  out += dim;
  if (grid_height == arch->grid_height && grid_width == arch->grid_width) {
    memcpy(out, stored, grid_height * grid_width * dim * sizeof *out);
    return LC_OK;
  }
  return interpolate(model, grid_height, grid_width, stored, out, err);
}
