// High-Throughput JPEG 2000 (ISO/IEC 15444-15) by OpenJPH, from memory.
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

lc_status decode(ct_cells &cells, const uint8_t *stream, size_t length, int rows, int columns,
                 const char *name, lc_error *err) {
  ojph::mem_infile file;
  ojph::codestream codestream;
  file.open(stream, length);
  codestream.read_headers(&file);
  ojph::param_siz siz = codestream.access_siz();
  ojph::point extent = siz.get_image_extent(), offset = siz.get_image_offset();
  if (siz.get_num_components() != 1 || extent.x - offset.x != static_cast<ojph::ui32>(columns) ||
      extent.y - offset.y != static_cast<ojph::ui32>(rows))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: HTJ2K image of %u x %u, %u components; expected %d x %d, 1",
            name, extent.x - offset.x, extent.y - offset.y, siz.get_num_components(), columns,
            rows);
  ojph::point step = siz.get_downsampling(0);
  if (step.x != 1 || step.y != 1 || siz.get_recon_width(0) != static_cast<ojph::ui32>(columns) ||
      siz.get_recon_height(0) != static_cast<ojph::ui32>(rows))
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: HTJ2K image with a sample every %u x %u pixels, expected 1 x 1", name, step.x,
            step.y);
  if (siz.get_bit_depth(0) > 16)
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: HTJ2K image of %u bits, at most 16", name,
            siz.get_bit_depth(0));
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
  return LC_OK;
}

} // namespace

lc_status ct_htj2k_decode(struct ct_cells *cells, const uint8_t *stream, size_t length, int rows,
                          int columns, const char *name, struct lc_error *err) {
  silence();
  try {
    return decode(*cells, stream, length, rows, columns, name, err);
  } catch (const std::exception &e) {
    LC_FAIL(err, LC_ERR_FORMAT, "%s: HTJ2K pixel data cannot be decoded: %s", name, e.what());
  } catch (...) {
    LC_FAIL(err, LC_ERR_FORMAT, "%s: HTJ2K pixel data cannot be decoded", name);
  }
}

#else

lc_status ct_htj2k_decode(struct ct_cells *, const uint8_t *, size_t, int, int, const char *name,
                          struct lc_error *err) {
  LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: HTJ2K, but this program was built without OpenJPH", name);
}

#endif
