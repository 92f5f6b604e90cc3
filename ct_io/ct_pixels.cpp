#include "ct_pixels.h"

#include "ct_dcmtk.hpp"
#include "ct_header.h"

#include <dcmtk/dcmdata/dccodec.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>

#include <cstring>
#include <vector>

namespace {

// Longest compressed frame: a raw frame of the largest size with room for headers.
constexpr size_t longest_stream = 256u << 20;

bool is_jpeg2000(E_TransferSyntax syntax) {
  return syntax == EXS_JPEG2000LosslessOnly || syntax == EXS_JPEG2000;
}

// The fragments of one frame joined.
lc_status gather(DcmPixelSequence *sequence, Uint32 first, Uint32 end, const char *path,
                 std::vector<uint8_t> &stream, lc_error *err) {
  for (Uint32 i = first; i < end; i++) {
    DcmPixelItem *item = nullptr;
    Uint8 *bytes = nullptr;
    if (sequence->getItem(item, i).bad() || !item) break;
    Uint32 length = item->getLength();
    if (length > longest_stream || stream.size() + length > longest_stream)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: compressed frame of more than %zu bytes", path,
              longest_stream);
    if (length && item->getUint8Array(bytes).good() && bytes)
      stream.insert(stream.end(), bytes, bytes + length);
  }
  if (stream.empty()) LC_FAIL(err, LC_ERR_FORMAT, "%s: no compressed pixel data", path);
  return LC_OK;
}

lc_status read_jpeg2000(DcmDataset *dataset, DcmPixelData *pixels, const ct_series &series,
                        const ct_slice &slice, ct_cells &cells, lc_error *err) {
  DcmPixelSequence *sequence = nullptr;
  E_TransferSyntax syntax = EXS_Unknown;
  const DcmRepresentationParameter *parameter = nullptr;
  pixels->getOriginalRepresentationKey(syntax, parameter);
  if (pixels->getEncapsulatedRepresentation(syntax, parameter, sequence).bad() || !sequence)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no compressed pixel data", slice.path);
  Sint32 n_frames = 1;
  if (dataset->findAndGetSint32(DCM_NumberOfFrames, n_frames).bad() || n_frames < 1) n_frames = 1;
  auto frame = static_cast<Uint32>(slice.frame);
  Uint32 first = 1, end = static_cast<Uint32>(sequence->card());
  if (n_frames > 1) {
    if (DcmCodec::determineStartFragment(frame, n_frames, sequence, first).bad())
      LC_FAIL(err, LC_ERR_FORMAT, "%s: frame %u of %d has no pixel data", slice.path, frame + 1,
              n_frames);
    Uint32 next = 0;
    if (static_cast<Sint32>(frame) + 1 < n_frames &&
        DcmCodec::determineStartFragment(frame + 1, n_frames, sequence, next).good())
      end = next;
  }
  std::vector<uint8_t> stream;
  LC_TRY(gather(sequence, first, end, slice.path, stream, err));
  return ct_jpeg2000_decode(&cells, stream.data(), stream.size(), series.rows, series.columns,
                            slice.path, err);
}

// Everything DCMTK decodes, and raw pixels; only the frame asked for is read.
lc_status read_frame(DcmDataset *dataset, DcmPixelData *pixels, const ct_slice &slice,
                     ct_cells &cells, lc_error *err) {
  size_t bytes = cells.count * static_cast<size_t>(slice.bits_allocated / 8);
  Uint32 fragment = 0;
  OFString colours;
  std::vector<uint16_t> buffer((bytes + 3) / 2);
  OFCondition read = pixels->getUncompressedFrame(
      dataset, static_cast<Uint32>(slice.frame), fragment, buffer.data(),
      static_cast<Uint32>(bytes + (bytes & 1)), colours);
  if (read.bad())
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %s pixel data of frame %d cannot be decoded: %s", slice.path,
            ct_transfer_syntax_name(slice.transfer_syntax_uid), slice.frame + 1, read.text());
  if (slice.bits_allocated == 16) {
    memcpy(cells.cell, buffer.data(), bytes);
  } else {
    const auto *byte = reinterpret_cast<const uint8_t *>(buffer.data());
    for (size_t i = 0; i < cells.count; i++) cells.cell[i] = byte[i];
  }
  return LC_OK;
}

lc_status read_cells(ct_cells &cells, const ct_series &series, const ct_slice &slice,
                     lc_error *err) {
  ct::start_dcmtk();
  DcmFileFormat file;
  OFCondition loaded = file.loadFile(slice.path);
  if (loaded.bad())
    LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read: %s", slice.path, loaded.text());
  DcmDataset *dataset = file.getDataset();
  DcmElement *element = nullptr;
  if (dataset->findAndGetElement(DCM_PixelData, element).bad() || !element)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no pixel data", slice.path);
  auto *pixels = dynamic_cast<DcmPixelData *>(element);
  if (!pixels) LC_FAIL(err, LC_ERR_FORMAT, "%s: pixel data of an unknown kind", slice.path);
  Uint16 rows = 0, columns = 0;
  dataset->findAndGetUint16(DCM_Rows, rows);
  dataset->findAndGetUint16(DCM_Columns, columns);
  if (rows != series.rows || columns != series.columns)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %u x %u pixels, expected %d x %d (changed since the scan?)",
            slice.path, columns, rows, series.columns, series.rows);
  DcmXfer syntax(dataset->getOriginalXfer());
  if (is_jpeg2000(syntax.getXfer()))
    return read_jpeg2000(dataset, pixels, series, slice, cells, err);
  if (syntax.isEncapsulated() &&
      !pixels->canChooseRepresentation(EXS_LittleEndianExplicit, nullptr))
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: transfer syntax %s has no decoder here", slice.path,
            ct_transfer_syntax_name(slice.transfer_syntax_uid));
  return read_frame(dataset, pixels, slice, cells, err);
}

} // namespace

lc_status ct_cells_read(struct ct_cells *cells, const struct ct_series *series,
                        const struct ct_slice *slice, struct lc_error *err) {
  return ct::guarded(slice->path, err, [&] { return read_cells(*cells, *series, *slice, err); });
}
