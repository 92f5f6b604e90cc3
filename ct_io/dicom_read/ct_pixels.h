/* One slice's stored pixels as Hounsfield units. Used only inside this room.
 *
 * Thread-safety: distinct slices may be decoded from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"

LC_C_BEGIN

/* Stored cells of one frame before masking: 16-bit cells hold what the file holds. */
struct ct_cells {
  uint16_t *cell; /* [row, column] */
  size_t count, columns;
  int precision; /* bits a sample by the code stream's own word, at its low end; 0: by the header */
  bool decoded_signed; /* cells are values already, sign extended by the decoder (JPEG 2000) */
};

/* A file whose elements are parsed, for the next of its frames. */
struct ct_pixel_file;

/* Reads and decompresses one frame into cells (allocated by the caller, rows * columns). *kept is
 * NULL or what the call before left there, and is used again where it is of the same file; at the
 * end ct_pixel_file_close. descriptor: of the slice's file, taken over, or -1 to open its path;
 * with -1 the caller knows that the file stays as it is between calls. */
LC_MUST_CHECK lc_status ct_pixel_file_read(struct ct_pixel_file **kept, int descriptor,
                                           struct ct_cells *cells, const struct ct_series *series,
                                           const struct ct_slice *slice, struct lc_error *err);
void ct_pixel_file_close(struct ct_pixel_file *file); /* NULL is nothing to close */

/* hu[rows * columns]: slope * stored + intercept; padding is CT_AIR_HU, the rest at least
 * CT_LOWEST_HU. Padding whose value lies within the range of tissue is believed only in areas that
 * reach from a corner over a hundredth of the image. LC_ERR_FORMAT when the sign of a sample
 * cannot be known. */
LC_MUST_CHECK lc_status ct_cells_to_hu(const struct ct_cells *cells, const struct ct_slice *slice,
                                       int16_t *hu, struct lc_error *err);

/* hu[rows * columns] of one slice: the two above, with what
 * ct_pixel_file_read keeps. */
LC_MUST_CHECK lc_status ct_slice_decode(struct ct_pixel_file **kept, const struct ct_series *series,
                                        const struct ct_slice *slice, int16_t *hu,
                                        struct lc_error *err);

/* Decodes one JPEG 2000 code stream of rows x columns into cells. name is for messages. */
LC_MUST_CHECK lc_status ct_jpeg2000_decode(struct ct_cells *cells, const uint8_t *stream,
                                           size_t length, int rows, int columns, const char *name,
                                           struct lc_error *err);

/* The same for High-Throughput JPEG 2000; LC_ERR_UNSUPPORTED in a build without OpenJPH. */
LC_MUST_CHECK lc_status ct_htj2k_decode(struct ct_cells *cells, const uint8_t *stream,
                                        size_t length, int rows, int columns, const char *name,
                                        struct lc_error *err);

/* Opens what the decoder would open at its first call. */
void ct_htj2k_prepare(void);

LC_C_END
