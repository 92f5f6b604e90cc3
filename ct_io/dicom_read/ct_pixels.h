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

/* Reads and decompresses one frame into cells (allocated by the caller, rows * columns). */
LC_MUST_CHECK lc_status ct_cells_read(struct ct_cells *cells, const struct ct_series *series,
                                      const struct ct_slice *slice, struct lc_error *err);

/* hu[rows * columns]: slope * stored + intercept; padding is CT_AIR_HU, the rest at least
 * CT_LOWEST_HU. Padding whose value lies within the range of tissue is believed only in areas that
 * reach from a corner over a hundredth of the image. LC_ERR_FORMAT when the sign of a sample
 * cannot be known. */
LC_MUST_CHECK lc_status ct_cells_to_hu(const struct ct_cells *cells, const struct ct_slice *slice,
                                       int16_t *hu, struct lc_error *err);

/* hu[rows * columns] of one slice: the two above. */
LC_MUST_CHECK lc_status ct_slice_decode(const struct ct_series *series,
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

LC_C_END
