/* The voxels of a NIfTI-1 file: plain arrays, read here because ITK 5.2 refuses files with an sform
 * alone, as nibabel writes them ("no orthonormal definition"), before it reads a voxel. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <zlib.h>

#include "common/lc_scope.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/ct/ct_volume_header.h"

static void close_file(gzFile *file) {
  if (*file) gzclose(*file);
}

/* One number of the file. */
static double number_at(const uint8_t *bytes, const struct ct_volume_header *header) {
  const struct ct_voxel_type *type = &header->type;
  size_t n = (size_t)type->bytes;
  uint64_t bits = 0;
  for (size_t i = 0; i < n; i++)
    bits |= (uint64_t)bytes[header->big_endian ? n - 1 - i : i] << 8 * i;
  if (type->is_float && n == 8) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
  if (type->is_float) {
    uint32_t half = (uint32_t)bits;
    float value;
    memcpy(&value, &half, sizeof value);
    return (double)value;
  }
  if (type->is_signed && bits >> (8 * n - 1)) return (double)bits - ldexp(1, 8 * (int)n);
  return (double)bits;
}

/* Reads `size` bytes at a position; a file that is compressed is unpacked up to there. */
static lc_status read_at(gzFile file, uint64_t at, uint8_t *out, size_t size, const char *path,
                         struct lc_error *err) {
  int code;
  errno = 0;
  if (gzseek(file, (z_off_t)at, SEEK_SET) == (z_off_t)at && gzfread(out, size, 1, file) == 1)
    return LC_OK;
  const char *why = gzerror(file, &code);
  if (code == Z_ERRNO) why = strerror(errno);
  if (code == Z_MEM_ERROR) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read: %s", path, code == Z_OK ? "it ends early" : why);
}

lc_status ct_volume_nifti_read(const struct ct_volume_header *header, const char *path,
                               const size_t start[3], const size_t size[3], int16_t *hu,
                               struct ct_value_range *range, struct lc_error *err) {
  size_t bytes = (size_t)header->type.bytes, row = header->size[0] * bytes;
  uint64_t first = header->compressed ? header->packed_skip : header->data_offset;
  LC_FREED uint8_t *plane = NULL;
  LC_SCOPED(close_file) gzFile file = gzopen(path, "rbe");
  if (!file) LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read: %s", path, strerror(errno));
  if (!header->compressed && !gzdirect(file)) /* packed under a name that promises it is not */
    LC_FAIL(err, LC_ERR_FORMAT, "%s: is compressed, expected a name that ends in .gz", path);
  (void)gzbuffer(file, 1 << 17);
  LC_TRY(lc_alloc(&plane, size[1], row, err));
  for (size_t k = 0; k < size[2]; k++) {
    uint64_t at = first + ((start[2] + k) * header->size[1] + start[1]) * row;
    LC_TRY(read_at(file, at, plane, size[1] * row, path, err));
    for (size_t j = 0; j < size[1]; j++)
      for (size_t i = 0; i < size[0]; i++) {
        double value = header->slope * number_at(plane + j * row + (start[0] + i) * bytes, header) +
                       header->intercept;
        range->low = fmin(range->low, value); /* passes over NaN */
        range->high = fmax(range->high, value);
        if (!(value == nearbyint(value))) range->fractional = true;
        value = isnan(value) ? CT_AIR_HU : fmin(fmax(value, CT_LOWEST_HU), INT16_MAX);
        *hu++ = (int16_t)lrint(value);
      }
  }
  return LC_OK;
}
