/* Reads volumes of labels, and checks that they lie where the CT does. */

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/lc_arena.h"
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/ct/ct_volume_header.h"
#include "ct_io/ct/ct_volume_itk.h"

/* Voxels on their way. */
struct grid {
  double origin[3], step[3][3];
  size_t size[3];
};

/* Whether a word of the file's name, without the ending, begins so; whole: is so. */
static bool has_word(const char *path, const char *word, bool whole) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  size_t length = strlen(word), end = strlen(path);
  (void)ct_volume_format_of(path, &end);
  const char *stop = path + end;
  for (const char *at = name; at + length <= stop; at++) {
    bool begins = at == name || !isalpha((unsigned char)at[-1]);
    if (begins && strncasecmp(at, word, length) == 0 &&
        (!whole || at + length == stop || !isalpha((unsigned char)at[length])))
      return true;
  }
  return false;
}

bool ct_label_volume_of_nodules(const char *path) {
  return ct_volume_file_named(path) &&
         (has_word(path, "nodule", false) || has_word(path, "lesion", false) ||
          has_word(path, "tumor", false) || has_word(path, "tumour", false));
}

bool ct_label_volume_named(const char *path) {
  return ct_volume_file_named(path) &&
         (has_word(path, "seg", true) || has_word(path, "segment", false) ||
          has_word(path, "label", false) || has_word(path, "mask", false) ||
          ct_label_volume_of_nodules(path));
}

static lc_status read_header(struct ct_volume_header *header, const char *path,
                             struct lc_error *err) {
  LC_TRY(ct_volume_header_read_labels(header, path, err));
  if (!header->placed) LC_TRY(ct_volume_itk_place(header, path, err));
  ct_volume_judge_place(header);
  if (header->refusal[0]) LC_FAIL(err, LC_ERR_FORMAT, "%s: %s", path, header->refusal);
  if (header->size[0] * header->size[1] * header->size[2] > CT_MOST_LABEL_VOXELS)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %zu x %zu x %zu voxels, expected at most %zu", path,
            header->size[0], header->size[1], header->size[2], CT_MOST_LABEL_VOXELS);
  return LC_OK;
}

static lc_status read_voxels(struct ct_label_volume *volume, const struct ct_volume_header *header,
                             const char *path, struct lc_error *err) {
  static const size_t none[3] = {0, 0, 0};
  struct ct_value_range range = {INFINITY, -INFINITY, false};
  if (header->compressed) LC_TRY(ct_volume_check_packed(header, err));
  LC_TRY(lc_alloc(&volume->label, header->size[0] * header->size[1] * header->size[2],
                  sizeof *volume->label, err));
  LC_TRY((header->format->voxels ? header->format->voxels : ct_volume_itk_read)(
      header, path, none, header->size, volume->label, &range, err));
  if (range.fractional)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: values from %g to %g that are no whole numbers: no labels",
            path, range.low, range.high);
  if (range.low < 0 || range.high > INT16_MAX)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: values from %g to %g are no labels, expected 0 to %d%s", path,
            range.low, range.high, INT16_MAX, range.low < -500 ? " (a CT?)" : "");
  volume->highest = (int)range.high;
  return LC_OK;
}

lc_status ct_label_volume_read(struct ct_label_volume *volume, const char *path,
                               struct lc_error *err) {
  struct ct_volume_header header;
  memset(volume, 0, sizeof *volume);
  LC_TRY(read_header(&header, path, err));
  memcpy(volume->size, header.size, sizeof volume->size);
  memcpy(volume->origin_mm, header.origin_mm, sizeof volume->origin_mm);
  memcpy(volume->step_mm, header.step_mm, sizeof volume->step_mm);
  lc_status status = read_voxels(volume, &header, path, err);
  if (status != LC_OK) ct_label_volume_free(volume);
  return status;
}

void ct_label_volume_free(struct ct_label_volume *volume) {
  free(volume->label);
  memset(volume, 0, sizeof *volume);
}

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void grid_of_series(struct grid *grid, const struct ct_series *series) {
  size_t n = series->n_slices;
  *grid = (struct grid){.size = {(size_t)series->columns, (size_t)series->rows, n}};
  for (int x = 0; x < 3; x++) {
    grid->origin[x] = series->slices[0].position_mm[x];
    grid->step[0][x] = series->pixel_spacing_mm[1] * series->orientation[x];
    grid->step[1][x] = series->pixel_spacing_mm[0] * series->orientation[3 + x];
    grid->step[2][x] =
        n > 1 ? (series->slices[n - 1].position_mm[x] - grid->origin[x]) / (double)(n - 1)
              : series->slice_spacing_mm * series->normal[x];
  }
}

static void place_of(const struct grid *grid, const double index[3], double mm[3]) {
  for (int x = 0; x < 3; x++) {
    mm[x] = grid->origin[x];
    for (int a = 0; a < 3; a++) mm[x] += index[a] * grid->step[a][x];
  }
}

/* Which axis of the labels runs along each of the CT, and whether against it; false where some run
 * along none, or have another number of voxels. */
static bool pair_axes(const struct grid *labels, const struct grid *ct, int axis[3], bool flip[3]) {
  bool used[3] = {false};
  for (int a = 0; a < 3; a++) {
    double best = 0;
    for (int f = 0; f < 3; f++) {
      double cosine = dot(labels->step[f], ct->step[a]) /
                      sqrt(dot(labels->step[f], labels->step[f]) * dot(ct->step[a], ct->step[a]));
      if (fabs(cosine) > fabs(best)) best = cosine, axis[a] = f;
    }
    flip[a] = best < 0;
    if (fabs(best) < 0.99 || used[axis[a]] || labels->size[axis[a]] != ct->size[a]) return false;
    used[axis[a]] = true;
  }
  return true;
}

/* The largest distance of corners that mean the same voxel; infinity with other axes or sizes. */
static double apart(const struct grid *labels, const struct grid *ct) {
  int axis[3] = {0, 1, 2};
  bool flip[3];
  double most = 0;
  if (!pair_axes(labels, ct, axis, flip)) return INFINITY;
  for (int corner = 0; corner < 8; corner++) {
    double at_ct[3], at_labels[3], here[3], there[3], square = 0;
    for (int a = 0; a < 3; a++) {
      double last = (double)ct->size[a] - 1;
      at_ct[a] = corner >> a & 1 ? last : 0;
      at_labels[axis[a]] = flip[a] ? last - at_ct[a] : at_ct[a];
    }
    place_of(ct, at_ct, here);
    place_of(labels, at_labels, there);
    for (int x = 0; x < 3; x++) square += (here[x] - there[x]) * (here[x] - there[x]);
    most = fmax(most, sqrt(square));
  }
  return most;
}

static double shortest(const struct grid *grid) {
  return sqrt(fmin(fmin(dot(grid->step[0], grid->step[0]), dot(grid->step[1], grid->step[1])),
                   dot(grid->step[2], grid->step[2])));
}

/* How many voxels of the larger kind the labels' box reaches beyond the CT's. */
static double beyond(const struct grid *labels, const struct grid *ct) {
  double most = 0;
  for (int corner = 0; corner < 8; corner++) {
    double index[3], mm[3];
    for (int a = 0; a < 3; a++) index[a] = corner >> a & 1 ? (double)labels->size[a] - 0.5 : -0.5;
    place_of(labels, index, mm);
    for (int a = 0; a < 3; a++) {
      double square = dot(ct->step[a], ct->step[a]), own = 0, at = 0;
      for (int x = 0; x < 3; x++) at += (mm[x] - ct->origin[x]) * ct->step[a][x] / square;
      for (int f = 0; f < 3; f++) /* of the labels' voxel along this axis, in voxels of the CT */
        own += fabs(dot(labels->step[f], ct->step[a])) / square;
      double over = fmax(-0.5 - at, at - ((double)ct->size[a] - 0.5));
      most = fmax(most, over / fmax(1, own));
    }
  }
  return most;
}

static bool lies_there(const struct grid *labels, const struct grid *ct, bool same_size) {
  return same_size ? apart(labels, ct) <= 0.1 * shortest(ct) + CT_SAME_PLACE_MM
                   : beyond(labels, ct) <= 1;
}

/* Says what has to be flipped for the labels to lie where the CT does, if that does it: patient
 * axes, as when RAS is taken for LPS, or axes of the file whose first voxel stayed where it was. */
static const char *flipped(const struct grid *labels, const struct grid *ct, bool same_size) {
  static const char *const patient[] = {
      NULL,
      "left and right are flipped",
      "front and back are flipped",
      "left and right, front and back are flipped (RAS taken for LPS, or the other way)",
      "head and foot are flipped",
      "left and right, head and foot are flipped",
      "front and back, head and foot are flipped",
      "all three sides of the patient are flipped"};
  static const char *const own[] = {NULL,
                                    "the direction of its first axis is flipped",
                                    "the direction of its second axis is flipped",
                                    "the directions of its first and second axes are flipped",
                                    "the direction of its third axis is flipped",
                                    "the directions of its first and third axes are flipped",
                                    "the directions of its second and third axes are flipped",
                                    "the directions of all its axes are flipped"};
  for (int bits = 1; bits < 8; bits++) {
    struct grid turned = *labels;
    for (int x = 0; x < 3; x++) {
      double sign = bits >> x & 1 ? -1 : 1;
      turned.origin[x] *= sign;
      for (int a = 0; a < 3; a++) turned.step[a][x] *= sign;
    }
    if (lies_there(&turned, ct, same_size)) return patient[bits];
  }
  for (int bits = 1; bits < 8; bits++) {
    struct grid turned = *labels;
    for (int a = 0; a < 3; a++)
      for (int x = 0; x < 3; x++) turned.step[a][x] *= bits >> a & 1 ? -1 : 1;
    if (lies_there(&turned, ct, same_size)) return own[bits];
  }
  return NULL;
}

lc_status ct_label_volume_fits(const char *path, const struct ct_series *series,
                               struct lc_error *err) {
  struct ct_volume_header header;
  struct grid labels, ct;
  LC_TRY(read_header(&header, path, err));
  memcpy(labels.origin, header.origin_mm, sizeof labels.origin);
  memcpy(labels.step, header.step_mm, sizeof labels.step);
  memcpy(labels.size, header.size, sizeof labels.size);
  grid_of_series(&ct, series);
  double off = apart(&labels, &ct);
  bool same_size = isfinite(off);
  if (lies_there(&labels, &ct, same_size)) return LC_OK;
  const char *flip = flipped(&labels, &ct, same_size);
  if (flip)
    LC_FAIL(err, LC_ERR_GEOMETRY, "%s: %s against series %s", path, flip,
            series->series_instance_uid);
  if (same_size)
    LC_FAIL(err, LC_ERR_GEOMETRY,
            "%s: as many voxels as series %s, but up to %.3g mm beside them, expected the same "
            "places",
            path, series->series_instance_uid, off);
  LC_FAIL(err, LC_ERR_GEOMETRY,
          "%s: %zu x %zu x %zu voxels that reach %.3g voxels beyond series %s (%zu x %zu x %zu), "
          "expected a part of it, or all of it in another resolution",
          path, labels.size[0], labels.size[1], labels.size[2], beyond(&labels, &ct),
          series->series_instance_uid, ct.size[0], ct.size[1], ct.size[2]);
}
