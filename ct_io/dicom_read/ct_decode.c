/* Decodes the slices of a volume in parallel and converts stored pixels to Hounsfield units. */
#include "ct_io/dicom_read/ct_decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/dicom_read/ct_pixels.h"

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

lc_status ct_volume_decode(struct ct_volume *volume, const struct ct_series *series, size_t first,
                           size_t count, struct lc_progress *progress, struct lc_error *err) {
  memset(volume, 0, sizeof *volume);
  if (series->verdict == CT_REFUSED)
    LC_FAIL(err, LC_ERR_GEOMETRY, "series %s cannot be used: %s", series->series_instance_uid,
            series->reason);
  if (count == 0 || first >= series->n_slices || count > series->n_slices - first)
    LC_FAIL(err, LC_ERR_USAGE, "slices %zu to %zu of a series of %zu", first + 1, first + count,
            series->n_slices);
  LC_TRY(ct_volume_place(volume, series, first, count, err));
  if (series->file) return ct_volume_file_decode(volume, series, progress, err);
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
