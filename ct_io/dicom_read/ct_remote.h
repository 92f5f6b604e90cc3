/* DICOM files parsed in a helper process (lc_helper.h), or here where there is none. Used only
 * inside this room, but for the tasks, which are pipeline/reader's.
 *
 * Thread-safety: distinct files may be read from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "common/lc_helper.h"
#include "ct_io/dicom_read/ct_header.h"
#include "ct_io/dicom_read/ct_pixels.h"

LC_C_BEGIN

/* One file whose header is read. */
struct ct_header_item {
  const char *path;
  struct ct_header header;
  ct_file_kind kind;
  struct lc_error err;
};

/* ct_header_read for at most LC_HELPER_FILES files, sooner than one by one. */
void ct_headers_read(struct ct_header_item *items, size_t n);

/* Reads and decompresses one frame into cells (allocated by the caller, rows * columns). *kept as
 * of ct_pixel_file_read. */
LC_MUST_CHECK lc_status ct_cells_read(struct ct_pixel_file **kept, struct ct_cells *cells,
                                      const struct ct_series *series, const struct ct_slice *slice,
                                      struct lc_error *err);

extern const struct lc_helper_task ct_task_header, ct_task_cells;
/* Opens what the tasks would open: dictionary, decoders, character sets. */
void ct_remote_prepare(void);

LC_C_END
