#include "ct_volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ct_group.h"
#include "ct_pixels.h"
#include "lc_arena.h"
#include "lc_parallel.h"

void ct_cells_to_hu(const struct ct_cells *cells, const struct ct_slice *slice, int16_t *hu) {
  int shift = cells->decoded_signed ? 0 : slice->high_bit + 1 - slice->bits_stored;
  int unused = 16 - slice->bits_stored;
  for (size_t i = 0; i < cells->count; i++) {
    uint16_t cell = cells->cell[i];
    long whole = slice->pixel_signed ? (int16_t)cell : cell, stored;
    if (cells->decoded_signed)
      stored = (int16_t)cell;
    else if (slice->pixel_signed)
      stored = (int16_t)(uint16_t)(cell >> shift << unused) >> unused;
    else
      stored = (uint16_t)(cell >> shift << unused) >> unused;
    /* Padding may use bits above those stored, so the whole cell counts too. */
    bool padding =
        slice->padding_given && ((stored >= slice->padding_low && stored <= slice->padding_high) ||
                                 (whole >= slice->padding_low && whole <= slice->padding_high));
    double value = padding ? CT_AIR_HU : slice->slope * (double)stored + slice->intercept;
    value = fmin(fmax(value, CT_LOWEST_HU), INT16_MAX);
    hu[i] = (int16_t)lrint(value);
  }
}

struct decoding {
  const struct ct_series *series;
  struct ct_volume *volume;
  struct lc_progress *progress;
  lc_status *status;
  struct lc_error *errors;
};

static void decode_slice(void *context, size_t i, int worker) {
  struct decoding *job = context;
  const struct ct_series *series = job->series;
  const struct ct_slice *slice = &series->slices[job->volume->first_slice + i];
  struct ct_cells cells = {.count = (size_t)series->rows * (size_t)series->columns};
  (void)worker;
  job->status[i] = lc_alloc(&cells.cell, cells.count, sizeof *cells.cell, &job->errors[i]);
  if (job->status[i] == LC_OK)
    job->status[i] = ct_cells_read(&cells, series, slice, &job->errors[i]);
  if (job->status[i] == LC_OK) ct_cells_to_hu(&cells, slice, job->volume->hu + i * cells.count);
  free(cells.cell);
  lc_progress_step(job->progress, 1);
}

/* Geometry of the slab: its own first and last slice decide the third axis, so that a tilted gantry
 * gives an axis that is not along the normal. */
static lc_status slab_geometry(struct ct_volume *volume, const struct ct_series *series,
                               size_t first, size_t count, struct lc_error *err) {
  const struct ct_slice *slices = series->slices + first;
  double step[3], length = 0;
  memcpy(volume->origin_mm, slices[0].position_mm, sizeof volume->origin_mm);
  for (int c = 0; c < 3; c++) {
    step[c] = count == 1 ? series->slice_spacing_mm * series->normal[c]
                         : (slices[count - 1].position_mm[c] - slices[0].position_mm[c]) /
                               (double)(count - 1);
    length += step[c] * step[c];
  }
  length = sqrt(length);
  volume->spacing_mm[0] = series->pixel_spacing_mm[1];
  volume->spacing_mm[1] = series->pixel_spacing_mm[0];
  volume->spacing_mm[2] = length;
  for (int c = 0; c < 3; c++) {
    volume->direction[3 * c] = series->orientation[c];
    volume->direction[3 * c + 1] = series->orientation[3 + c];
    volume->direction[3 * c + 2] = step[c] / length;
  }
  if (count == 1) return LC_OK;
  double expected = series->slice_spacing_mm, tolerance = ct_spacing_tolerance(expected);
  double each = (slices[count - 1].along_mm - slices[0].along_mm) / (double)(count - 1);
  for (size_t i = 1; i < count; i++) {
    double distance = slices[i].along_mm - slices[i - 1].along_mm;
    if (fabs(distance - expected) > tolerance)
      LC_FAIL(err, LC_ERR_GEOMETRY,
              "%s: slice %zu lies %.2f mm from its neighbour, expected %.2f mm", slices[i].path,
              first + i + 1, distance, expected);
  }
  for (size_t i = 1; i < count; i++) {
    double off = slices[i].along_mm - slices[0].along_mm - each * (double)i;
    if (fabs(off) > tolerance)
      LC_FAIL(err, LC_ERR_GEOMETRY, "%s: slice %zu lies %.2f mm off even spacing of %.2f mm",
              slices[i].path, first + i + 1, off, each);
  }
  return LC_OK;
}

lc_status ct_volume_decode(struct ct_volume *volume, const struct ct_series *series, size_t first,
                           size_t count, struct lc_progress *progress, struct lc_error *err) {
  memset(volume, 0, sizeof *volume);
  if (series->verdict == CT_REFUSED)
    LC_FAIL(err, LC_ERR_GEOMETRY, "series %s cannot be used: %s", series->series_instance_uid,
            series->reason);
  if (count == 0 || first >= series->n_slices || count > series->n_slices - first)
    LC_FAIL(err, LC_ERR_USAGE, "slices %zu to %zu of a series of %zu", first + 1, first + count,
            series->n_slices);
  LC_TRY(slab_geometry(volume, series, first, count, err));
  volume->first_slice = first;
  volume->size[0] = (size_t)series->columns;
  volume->size[1] = (size_t)series->rows;
  volume->size[2] = count;
  struct decoding job = {series, volume, progress, NULL, NULL};
  lc_status status =
      lc_alloc(&volume->hu, volume->size[0] * volume->size[1] * count, sizeof *volume->hu, err);
  if (status == LC_OK) status = lc_alloc(&job.status, count, sizeof *job.status, err);
  if (status == LC_OK) status = lc_alloc(&job.errors, count, sizeof *job.errors, err);
  if (status == LC_OK) lc_parallel_for(count, decode_slice, &job);
  for (size_t i = 0; i < count && status == LC_OK; i++) {
    status = job.status[i];
    if (status != LC_OK && err) *err = job.errors[i];
  }
  free(job.status);
  free(job.errors);
  if (status != LC_OK) ct_volume_free(volume);
  return status;
}

void ct_volume_free(struct ct_volume *volume) {
  free(volume->hu);
  memset(volume, 0, sizeof *volume);
}
