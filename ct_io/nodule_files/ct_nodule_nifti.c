/* Writes nodules as a label volume: NIfTI-1 (https://nifti.nimh.nih.gov/nifti-1), little endian,
 * with an sform alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "ct_io/nodule_files/ct_nodule_convert.h"

enum { HEADER = 348, FIRST_VOXEL = 352, UINT16 = 512, MILLIMETRES = 2, ALIGNED = 2 };

static void put(uint8_t *header, size_t at, size_t bytes, uint32_t value) {
  for (size_t i = 0; i < bytes; i++) header[at + i] = (uint8_t)(value >> 8 * i);
}

static void put_real(uint8_t *header, size_t at, double value) {
  float real = (float)value;
  uint32_t bits;
  memcpy(&bits, &real, sizeof bits);
  put(header, at, 4, bits);
}

/* LPS to RAS: x and y change their signs. */
static void fill_header(uint8_t header[FIRST_VOXEL], const struct ct_series *series) {
  size_t n = series->n_slices;
  const double *first = series->slices[0].position_mm, *last = series->slices[n - 1].position_mm;
  memset(header, 0, FIRST_VOXEL);
  put(header, 0, 4, HEADER);
  put(header, 40, 2, 3);
  put(header, 42, 2, (uint32_t)series->columns);
  put(header, 44, 2, (uint32_t)series->rows);
  put(header, 46, 2, (uint32_t)n);
  for (size_t a = 4; a < 8; a++) put(header, 40 + 2 * a, 2, 1);
  put(header, 70, 2, UINT16);
  put(header, 72, 2, 16);
  put_real(header, 76, 1);
  put_real(header, 80, series->pixel_spacing_mm[1]);
  put_real(header, 84, series->pixel_spacing_mm[0]);
  put_real(header, 88, series->slice_spacing_mm);
  put_real(header, 108, FIRST_VOXEL);
  put_real(header, 112, 1);
  header[123] = MILLIMETRES;
  put(header, 254, 2, ALIGNED);
  for (size_t x = 0; x < 3; x++) {
    double sign = x < 2 ? -1 : 1;
    double step = n > 1 ? (last[x] - first[x]) / (double)(n - 1)
                        : series->slice_spacing_mm * series->normal[x];
    put_real(header, 280 + 16 * x, sign * series->pixel_spacing_mm[1] * series->orientation[x]);
    put_real(header, 284 + 16 * x, sign * series->pixel_spacing_mm[0] * series->orientation[3 + x]);
    put_real(header, 288 + 16 * x, sign * step);
    put_real(header, 292 + 16 * x, sign * first[x]);
  }
  memcpy(header + 344, "n+1", 4);
}

/* The voxels of one nodule on one slice, where none is before it. */
static void fill_slice(uint8_t *slice, const struct ct_consensus *mask, size_t k, size_t number,
                       size_t columns) {
  if (k < mask->first[2] || k >= mask->first[2] + mask->size[2]) return;
  const uint8_t *inside = mask->mask + (k - mask->first[2]) * mask->size[1] * mask->size[0];
  for (size_t j = 0; j < mask->size[1]; j++)
    for (size_t i = 0; i < mask->size[0]; i++, inside++) {
      uint8_t *voxel = slice + 2 * ((mask->first[1] + j) * columns + mask->first[0] + i);
      if (*inside && !voxel[0] && !voxel[1]) put(voxel, 0, 2, (uint32_t)number);
    }
}

static lc_status write_voxels(gzFile file, const struct ct_nodules_of *of,
                              const struct ct_consensus *masks, const char *path,
                              struct lc_error *err) {
  size_t columns = (size_t)of->series->columns, bytes = 2 * columns * (size_t)of->series->rows;
  uint8_t header[FIRST_VOXEL];
  LC_FREED uint8_t *slice = NULL;
  LC_TRY(lc_alloc(&slice, bytes, 1, err));
  fill_header(header, of->series);
  bool whole = gzfwrite(header, sizeof header, 1, file) == 1;
  for (size_t k = 0; k < of->series->n_slices && whole; k++) {
    memset(slice, 0, bytes);
    for (size_t n = 0; n < of->nodules->n_nodules; n++)
      if (masks[n].mask) fill_slice(slice, &masks[n], k, n + 1, columns);
    whole = gzfwrite(slice, bytes, 1, file) == 1;
  }
  return whole ? LC_OK : lc_file_write_error(path, errno, err);
}

static lc_status write_file(const struct ct_nodules_of *of, const struct ct_consensus *masks,
                            const char *path, struct lc_error *err) {
  struct lc_output output;
  LC_TRY(lc_output_begin(&output, path, err));
  gzFile file = gzopen(output.temporary, ct_path_ends(path, ".gz") ? "wbxe6" : "wbxeT");
  if (!file) return lc_file_write_error(path, errno, err);
  lc_status status = write_voxels(file, of, masks, path, err);
  if (gzclose(file) != Z_OK && status == LC_OK) status = lc_file_write_error(path, errno, err);
  if (status == LC_OK) return lc_output_commit(&output, err);
  lc_output_abort(&output);
  return status;
}

lc_status ct_nodules_write_nifti(const struct ct_nodules_of *of, const char *path,
                                 struct lc_error *err) {
  size_t n = of->nodules->n_nodules, drawn = 0;
  struct ct_consensus *masks = NULL;
  lc_status status = lc_alloc(&masks, n ? n : 1, sizeof *masks, err);
  for (size_t i = 0; i < n && status == LC_OK; i++) {
    const struct ct_nodule *nodule = &of->nodules->nodules[i];
    if (nodule->n_marks == 0)
      lc_log(LC_LOG_WARNING, "series %s, %s has no outline: left out of %s",
             of->series->series_instance_uid, nodule->id, path);
    else
      status = ct_nodule_consensus(&masks[i], nodule, of->series, of->level, err);
    drawn += nodule->n_marks > 0;
  }
  if (status == LC_OK && drawn == 0)
    status = lc_fail(err, LC_ERR_NO_NODULES, __FILE__, __LINE__,
                     "%s: has points alone, a label volume holds masks", of->annotation->path);
  if (status == LC_OK) status = write_file(of, masks, path, err);
  for (size_t i = 0; i < n && masks; i++) ct_consensus_free(&masks[i]);
  free(masks);
  return status;
}
