// High-Throughput JPEG 2000 (ISO/IEC 15444-15) by OpenJPH, from memory.
#include "ct_io/dicom_read/ct_codestream.h"
#include "ct_io/dicom_read/ct_pixels.h"

#ifdef CT_WITH_OPENJPH

#include <openjph/ojph_arch.h>

#include <openjph/ojph_codestream.h>
#include <openjph/ojph_file.h>
#include <openjph/ojph_mem.h>
#include <openjph/ojph_message.h>
#include <openjph/ojph_params.h>

#include <cstdio>
#include <exception>
#include <mutex>

namespace {

// OpenJPH prints what it dislikes and then throws; only the exception is wanted.
void silence() {
  static std::once_flag once;
  std::call_once(once, [] {
    static FILE *nowhere = fopen("/dev/null", "w");
    if (!nowhere) return;
    ojph::set_info_stream(nowhere);
    ojph::set_warning_stream(nowhere);
    ojph::set_error_stream(nowhere);
  });
}

void decode(ct_cells &cells, const uint8_t *stream, size_t length, int rows, int columns) {
  ojph::mem_infile file;
  ojph::codestream codestream;
  file.open(stream, length);
  codestream.read_headers(&file);
  ojph::param_siz siz = codestream.access_siz();
  cells.precision = static_cast<int>(siz.get_bit_depth(0));
  cells.decoded_signed = siz.is_signed(0);
  codestream.set_planar(true);
  codestream.create();
  for (int row = 0; row < rows; row++) {
    ojph::ui32 component = 0;
    const ojph::line_buf *line = codestream.pull(component);
    for (int column = 0; column < columns; column++)
      cells.cell[static_cast<size_t>(row) * static_cast<size_t>(columns) +
                 static_cast<size_t>(column)] = static_cast<uint16_t>(line->i32[column]);
  }
  codestream.close();
}

} // namespace

lc_status ct_htj2k_decode(struct ct_cells *cells, const uint8_t *stream, size_t length, int rows,
                          int columns, const char *name, struct lc_error *err) {
  silence();
  LC_TRY(ct_j2k_check(stream, length, rows, columns, "HTJ2K", name, err));
  try {
    decode(*cells, stream, length, rows, columns);
    return LC_OK;
  } catch (const std::exception &e) {
    LC_FAIL(err, LC_ERR_FORMAT, "%s: HTJ2K pixel data cannot be decoded: %s", name, e.what());
  } catch (...) {
    LC_FAIL(err, LC_ERR_FORMAT, "%s: HTJ2K pixel data cannot be decoded", name);
  }
}

void ct_htj2k_prepare(void) {
  silence();
}

#else

void ct_htj2k_prepare(void) {}

lc_status ct_htj2k_decode(struct ct_cells *, const uint8_t *, size_t, int, int, const char *name,
                          struct lc_error *err) {
  LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: HTJ2K, but this program was built without OpenJPH", name);
}

#endif
