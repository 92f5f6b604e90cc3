/* Draws a random variation of an image and applies it in one bilinear interpolation, then gain,
 * offset and noise in HU. */
#include "ct_io/ct/ct_augment.h"

#include <math.h>
#include <string.h>

#include "common/lc_random.h"

static lc_status check_value(const char *name, double value, struct lc_error *err) {
  if (!isfinite(value) || value < 0)
    LC_FAIL(err, LC_ERR_CONFIG, "augmentation: %s is %g, expected a number of at least 0", name,
            value);
  return LC_OK;
}

lc_status ct_augment_check(const struct ct_augment *augment, struct lc_error *err) {
  LC_TRY(check_value("rotation_deg", augment->rotation_deg, err));
  LC_TRY(check_value("shift_px", augment->shift_px, err));
  LC_TRY(check_value("scale", augment->scale, err));
  LC_TRY(check_value("offset_hu", augment->offset_hu, err));
  LC_TRY(check_value("gain", augment->gain, err));
  LC_TRY(check_value("noise_hu", augment->noise_hu, err));
  if (!isfinite(augment->gain_centre_hu))
    LC_FAIL(err, LC_ERR_CONFIG, "augmentation: gain_centre_hu is %g, expected a number",
            augment->gain_centre_hu);
  return LC_OK;
}

void ct_augment_none(struct ct_augment_draw *draw) {
  memset(draw, 0, sizeof *draw);
  draw->magnification = 1;
  draw->gain = 1;
}

void ct_augment_draw(const struct ct_augment *augment, uint64_t seed, uint64_t epoch,
                     uint64_t sample, struct ct_augment_draw *draw) {
  struct lc_random random;
  ct_augment_none(draw);
  draw->seed = seed;
  draw->noise_index = epoch << 32 | (sample & 0xFFFFFFFFu);
  lc_random_init(&random, seed, "augment", draw->noise_index);
  /* Every number is drawn whether used or not, so that switching one variation off leaves the
   * others as they were. */
  uint32_t turns = lc_random_below(&random, 4), flip = lc_random_below(&random, 2);
  double angle = lc_random_between(&random, -1, 1), rows = lc_random_between(&random, -1, 1);
  double columns = lc_random_between(&random, -1, 1), size = lc_random_between(&random, -1, 1);
  double offset = lc_random_normal(&random), gain = lc_random_normal(&random);
  double noise = lc_random_uniform(&random);
  if (augment->quarter_turns) draw->quarter_turns = (int)turns;
  if (augment->flips) draw->flip = flip != 0;
  draw->rotation_deg = augment->rotation_deg * angle;
  draw->shift_rows = augment->shift_px * rows;
  draw->shift_columns = augment->shift_px * columns;
  draw->magnification = exp(size * log1p(augment->scale));
  draw->offset_hu = augment->offset_hu * offset;
  draw->gain = exp(augment->gain * gain);
  draw->gain_centre_hu = augment->gain_centre_hu;
  draw->noise_hu = augment->noise_hu * noise;
}

void ct_augment_symmetry(unsigned k, struct ct_augment_draw *draw) {
  ct_augment_none(draw);
  draw->quarter_turns = (int)(k & 3);
  draw->flip = (k & 4) != 0;
}

/* From a place in the output, relative to its middle, to one in the source, relative to its. */
struct mapping {
  double row_row, row_column, column_row, column_column;
  double shift_rows, shift_columns;
};

static struct mapping make_mapping(const struct ct_augment_draw *draw, double step) {
  /* Quarter turns from a table: cos(90 degrees) is not zero in floating point. */
  static const double turn_cos[] = {1, 0, -1, 0}, turn_sin[] = {0, 1, 0, -1};
  double angle = draw->rotation_deg * (3.14159265358979323846 / 180);
  double c0 = turn_cos[draw->quarter_turns & 3], s0 = turn_sin[draw->quarter_turns & 3];
  double c = c0 * cos(angle) - s0 * sin(angle), s = s0 * cos(angle) + c0 * sin(angle);
  double k = step / draw->magnification, mirror = draw->flip ? -1 : 1;
  /* Rows grow downwards, so a counter-clockwise turn of the content by (c, s) is undone by
   * column = c * column - s * row and row = s * column + c * row. */
  return (struct mapping){.row_row = k * c,
                          .row_column = k * s,
                          .column_row = -k * s * mirror,
                          .column_column = k * c * mirror,
                          .shift_rows = draw->shift_rows,
                          .shift_columns = draw->shift_columns};
}

static double pixel(const struct ct_augment_source *source, double row, double column) {
  double last = (double)(source->size - 1);
  if (row < 0 || column < 0 || row > last || column > last) {
    if (!source->repeat_edge) return source->outside_hu;
    row = fmin(fmax(row, 0), last);
    column = fmin(fmax(column, 0), last);
  }
  return source->hu[(size_t)row * source->size + (size_t)column];
}

/* With an edge in it, or outside. */
static double bilinear_edge(const struct ct_augment_source *source, double row, double column) {
  double r = floor(row), c = floor(column), down = row - r, right = column - c;
  double top = pixel(source, r, c), bottom = 0;
  if (right > 0) top += right * (pixel(source, r, c + 1) - top);
  if (down > 0) {
    bottom = pixel(source, r + 1, c);
    if (right > 0) bottom += right * (pixel(source, r + 1, c + 1) - bottom);
    top += down * (bottom - top);
  }
  return top;
}

/* The same, bit by bit, where all four pixels are there. */
static inline double bilinear(const struct ct_augment_source *source, double row, double column,
                              double last) {
  if (!(row >= 0 && column >= 0 && row < last && column < last))
    return bilinear_edge(source, row, column);
  size_t r = (size_t)row, c = (size_t)column;
  const float *at = source->hu + r * source->size + c;
  double down = row - (double)r, right = column - (double)c;
  double top = at[0], bottom = at[source->size];
  top += right * (at[1] - top);
  bottom += right * (at[source->size + 1] - bottom);
  return top + down * (bottom - top);
}

void ct_augment_apply(const struct ct_augment_draw *draw, const struct ct_augment_source *source,
                      float *out, size_t out_size) {
  struct mapping m = make_mapping(draw, source->step);
  double middle = 0.5 * (double)(out_size - 1), source_middle = 0.5 * (double)(source->size - 1);
  double last = (double)(source->size - 1);
  struct lc_random random;
  lc_random_init(&random, draw->seed, "augment-noise", draw->noise_index);
  for (size_t i = 0; i < out_size; i++) {
    double y = (double)i - middle - m.shift_rows;
    double row_start = source_middle + m.row_row * y;
    double column_start = source_middle + m.column_row * y;
    for (size_t j = 0; j < out_size; j++) {
      double x = (double)j - middle - m.shift_columns;
      double row = row_start + m.row_column * x, column = column_start + m.column_column * x;
      double hu = bilinear(source, row, column, last);
      hu = draw->gain_centre_hu + draw->gain * (hu - draw->gain_centre_hu) + draw->offset_hu;
      if (draw->noise_hu > 0) hu += draw->noise_hu * lc_random_normal(&random);
      out[i * out_size + j] = (float)hu;
    }
  }
}
