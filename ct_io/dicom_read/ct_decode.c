/* Decodes the slices of a volume in parallel and converts stored pixels to Hounsfield units. */
#include "ct_io/dicom_read/ct_decode.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/dicom_read/ct_pixels.h"
#include "ct_io/dicom_read/ct_remote.h"

/* How a stored value lies in a cell. */
struct place {
  int shift, bits;
  bool is_signed;
};

/* The header's word, unless the code stream has more bits than that: then those at its low end
 * count. A stream of fewer bits has no room for the header's sign. */
static lc_status find_place(struct place *place, const struct ct_cells *cells,
                            const struct ct_slice *slice, struct lc_error *err) {
  *place = (struct place){slice->high_bit + 1 - slice->bits_stored, slice->bits_stored,
                          slice->pixel_signed};
  if (cells->decoded_signed || cells->precision == 0 || cells->precision == slice->high_bit + 1)
    return LC_OK;
  place->shift = 0;
  if (cells->precision > slice->bits_stored) {
    place->bits = cells->precision;
    return LC_OK;
  }
  unsigned sign = 1u << (cells->precision - 1), any = 0;
  for (size_t i = 0; slice->pixel_signed && i < cells->count; i++) any |= cells->cell[i];
  if (any & sign)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: signed pixels of %d bits in a code stream of %d: the sign cannot be known",
            slice->path, slice->bits_stored, cells->precision);
  return LC_OK;
}

static long stored_value(const struct place *place, uint16_t cell) {
  int unused = 16 - place->bits;
  uint16_t high = (uint16_t)(cell >> place->shift << unused);
  return place->is_signed ? (int16_t)high >> unused : high >> unused;
}

enum { PADDING = 1, REACHED = 2 };

/* Marks the pixels of a padding area that starts at a corner; true when it is large. */
static bool flood(uint8_t *kind, size_t rows, size_t columns, size_t corner, uint32_t *stack) {
  size_t n = 0, reached = 0;
  if (kind[corner] != PADDING) return false;
  kind[corner] = REACHED;
  stack[n++] = (uint32_t)corner;
  while (n > 0) {
    size_t at = stack[--n], row = at / columns, column = at % columns;
    const size_t next[] = {row > 0 ? at - columns : at, row + 1 < rows ? at + columns : at,
                           column > 0 ? at - 1 : at, column + 1 < columns ? at + 1 : at};
    reached++;
    for (int i = 0; i < 4; i++)
      if (kind[next[i]] == PADDING) {
        kind[next[i]] = REACHED;
        stack[n++] = (uint32_t)next[i];
      }
  }
  return 100 * reached >= rows * columns;
}

/* What is written for voxels that a scanner did not measure lies outside the range of tissue: it
 * rescales to air or less, or to more than the 12-bit scale of CT holds. A range that reaches over
 * more than 100 HU of what is denser than lung would take the patient for padding. */
enum padding { OUTSIDE_TISSUE, A_VALUE_OF_TISSUE, RANGE_OF_TISSUE };

static enum padding judge_padding(const struct ct_slice *slice) {
  double a = slice->slope * (double)slice->padding_low + slice->intercept;
  double b = slice->slope * (double)slice->padding_high + slice->intercept;
  double low = fmax(fmin(a, b), -700), high = fmin(fmax(a, b), 3071);
  if (fmax(a, b) <= CT_AIR_HU || fmin(a, b) > 3071) return OUTSIDE_TISSUE;
  return high - low > 100 ? RANGE_OF_TISSUE : A_VALUE_OF_TISSUE;
}

/* Padding that looks like tissue stays only where it fills a corner of the image. */
static lc_status believe_padding(uint8_t *kind, const struct ct_cells *cells,
                                 const struct ct_slice *slice, struct lc_error *err) {
  uint32_t *stack = NULL;
  size_t columns = cells->columns, rows = cells->count / columns, last = cells->count - 1;
  const size_t corners[] = {0, columns - 1, last - (columns - 1), last};
  bool large = false;
  LC_TRY(lc_alloc(&stack, cells->count, sizeof *stack, err));
  for (int i = 0; i < 4; i++) large = flood(kind, rows, columns, corners[i], stack) || large;
  free(stack);
  for (size_t i = 0; i < cells->count; i++) kind[i] = large && kind[i] == REACHED;
  lc_log(LC_LOG_DEBUG, "%s: padding %ld to %ld is within the range of tissue: %s", slice->path,
         slice->padding_low, slice->padding_high,
         large ? "believed where it fills a corner" : "not believed");
  return LC_OK;
}

/* kind[i]: whether a pixel is padding. */
static lc_status find_padding(uint8_t *kind, const struct ct_cells *cells,
                              const struct ct_slice *slice, const struct place *place,
                              struct lc_error *err) {
  bool any = false;
  for (size_t i = 0; i < cells->count; i++) {
    uint16_t cell = cells->cell[i];
    long stored = cells->decoded_signed ? (int16_t)cell : stored_value(place, cell);
    /* Padding may use bits above those stored, so the whole cell counts too. */
    long whole = slice->pixel_signed ? (int16_t)cell : cell;
    kind[i] = (stored >= slice->padding_low && stored <= slice->padding_high) ||
              (place->shift == 0 && whole >= slice->padding_low && whole <= slice->padding_high);
    any = any || kind[i];
  }
  if (!any) return LC_OK;
  switch (judge_padding(slice)) {
  case RANGE_OF_TISSUE:
    lc_log(LC_LOG_WARNING,
           "%s: padding %ld to %ld reaches over the range of tissue: not believed, voxels are what "
           "they say",
           slice->path, slice->padding_low, slice->padding_high);
    memset(kind, 0, cells->count);
    return LC_OK;
  case A_VALUE_OF_TISSUE:
    return believe_padding(kind, cells, slice, err);
  default:
    return LC_OK;
  }
}

lc_status ct_cells_to_hu(const struct ct_cells *cells, const struct ct_slice *slice, int16_t *hu,
                         struct lc_error *err) {
  struct place place;
  uint8_t *padding = NULL;
  LC_TRY(find_place(&place, cells, slice, err));
  if (slice->padding_given) {
    LC_TRY(lc_alloc(&padding, cells->count, 1, err));
    lc_status status = find_padding(padding, cells, slice, &place, err);
    if (status != LC_OK) {
      free(padding);
      return status;
    }
  }
  for (size_t i = 0; i < cells->count; i++) {
    uint16_t cell = cells->cell[i];
    long stored = cells->decoded_signed ? (int16_t)cell : stored_value(&place, cell);
    double value =
        padding && padding[i] ? CT_AIR_HU : slice->slope * (double)stored + slice->intercept;
    value = fmin(fmax(value, CT_LOWEST_HU), INT16_MAX);
    hu[i] = (int16_t)lrint(value);
  }
  free(padding);
  return LC_OK;
}

lc_status ct_slice_decode(struct ct_pixel_file **kept, const struct ct_series *series,
                          const struct ct_slice *slice, int16_t *hu, struct lc_error *err) {
  struct ct_cells cells = {.count = (size_t)series->rows * (size_t)series->columns,
                           .columns = (size_t)series->columns};
  LC_TRY(lc_alloc(&cells.cell, cells.count, sizeof *cells.cell, err));
  lc_status status = ct_cells_read(kept, &cells, series, slice, err);
  if (status == LC_OK) status = ct_cells_to_hu(&cells, slice, hu, err);
  free(cells.cell);
  return status;
}

struct decoding {
  const struct ct_series *series;
  struct ct_volume *volume;
  struct lc_progress *progress;
  struct ct_pixel_file **kept; /* [workers] */
  lc_status *status;
  struct lc_error *errors;
  atomic_size_t failed; /* the first slice that is known to have failed */
};

static void decode_slice(void *context, size_t i, int worker) {
  struct decoding *job = context;
  const struct ct_series *series = job->series;
  size_t count = (size_t)series->rows * (size_t)series->columns, first = job->failed;
  if (i > first) return; /* nothing of it would be used */
  job->status[i] =
      ct_slice_decode(&job->kept[worker], series, &series->slices[job->volume->first_slice + i],
                      job->volume->hu + i * count, &job->errors[i]);
  while (job->status[i] != LC_OK && i < first &&
         !atomic_compare_exchange_weak(&job->failed, &first, i)) {
  }
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
  struct decoding job = {
      .series = series, .volume = volume, .progress = progress, .failed = SIZE_MAX};
  size_t workers = (size_t)lc_threads();
  lc_status status =
      lc_alloc(&volume->hu, volume->size[0] * volume->size[1] * count, sizeof *volume->hu, err);
  if (status == LC_OK) status = lc_alloc(&job.status, count, sizeof *job.status, err);
  if (status == LC_OK) status = lc_alloc(&job.errors, count, sizeof *job.errors, err);
  if (status == LC_OK) status = lc_alloc(&job.kept, workers, sizeof(void *), err);
  if (status == LC_OK) lc_parallel_for(count, decode_slice, &job);
  if (status == LC_OK && job.failed != SIZE_MAX) {
    status = job.status[job.failed];
    if (err) *err = job.errors[job.failed];
  }
  for (size_t i = 0; job.kept && i < workers; i++) ct_pixel_file_close(job.kept[i]);
  free(job.kept);
  free(job.status);
  free(job.errors);
  if (status != LC_OK) ct_volume_free(volume);
  return status;
}
