// Reads the stored pixels of slices, each file parsed once for all its frames: by DCMTK, or for
// JPEG 2000 and HTJ2K by OpenJPEG and OpenJPH.
#include "ct_io/dicom_read/ct_pixels.h"
#include "ct_io/dicom_file/ct_syntax.h"

#include "ct_io/dicom_file/ct_dcmtk_version.hpp"
#include "ct_io/dicom_file/ct_stream.hpp"
#include "ct_io/dicom_read/ct_codestream.h"
#include "ct_io/dicom_read/ct_fragments.hpp"
#include "ct_io/dicom_read/ct_header.h"

#include <dcmtk/dcmdata/dcpixel.h>

#include <cstring>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

// A file whose elements are parsed, with what its frames share.
struct ct_pixel_file {
  std::string path;
  struct stat info = {};
  std::shared_ptr<ct::File> file;
  DcmDataset dataset, image; // image: of one frame, for decoders
  DcmPixelData *pixels = nullptr;
  Sint32 n_frames = 1;
  ct::Fragments fragments;
  std::vector<uint8_t> stream;
  bool compressed = false, overlays = false;
};

namespace {

// Frames that are decoded here rather than by DCMTK.
enum class decoder { none, jpeg2000, htj2k };

decoder own_decoder(const char *syntax) {
  if (strncmp(syntax, "1.2.840.10008.1.2.4.20", 22) == 0) return decoder::htj2k;
  if (strcmp(syntax, UID_JPEG2000LosslessOnlyTransferSyntax) == 0 ||
      strcmp(syntax, UID_JPEG2000TransferSyntax) == 0)
    return decoder::jpeg2000;
  return decoder::none;
}

// Everything DCMTK decodes, and raw pixels; only the frame asked for is read.
lc_status read_frame(DcmDataset *dataset, DcmPixelData *pixels, const ct_slice &slice, int frame,
                     ct_cells &cells, lc_error *err) {
  size_t bytes = cells.count * static_cast<size_t>(slice.bits_allocated / 8);
  Uint32 fragment = 0;
  OFString colours;
  std::vector<uint16_t> buffer((bytes + 3) / 2);
  ct::Warnings warnings;
  OFCondition read =
      pixels->getUncompressedFrame(dataset, static_cast<Uint32>(frame), fragment, buffer.data(),
                                   static_cast<Uint32>(bytes + (bytes & 1)), colours);
  if (read == EC_MemoryExhausted) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", slice.path);
  if (read.bad() || !warnings.first().empty())
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %s pixel data of frame %d cannot be decoded: %s", slice.path,
            ct_transfer_syntax_name(slice.transfer_syntax_uid), slice.frame + 1,
            read.bad() ? read.text() : warnings.first().c_str());
  if (slice.bits_allocated == 16) {
    memcpy(cells.cell, buffer.data(), bytes);
  } else {
    const auto *byte = reinterpret_cast<const uint8_t *>(buffer.data());
    for (size_t i = 0; i < cells.count; i++) cells.cell[i] = byte[i];
  }
  return LC_OK;
}

// Whether some cell has bits above those of the header that are neither 0 nor copies of its sign.
bool beyond_header(const ct_cells &cells, const ct_slice &slice) {
  const int bits = slice.high_bit + 1;
  for (size_t i = 0; i < cells.count; i++) {
    const int above = cells.cell[i] >> bits, sign = cells.cell[i] >> (bits - 1) & 1;
    if (above != 0 && !(slice.pixel_signed && sign && above == 0xffff >> bits)) return true;
  }
  return false;
}

lc_status read_compressed(ct_pixel_file &f, const ct_series &series, const ct_slice &slice,
                          ct_cells &cells, lc_error *err) {
  decoder own = own_decoder(slice.transfer_syntax_uid);
  if (own == decoder::none && !f.pixels->canChooseRepresentation(EXS_LittleEndianExplicit, nullptr))
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: transfer syntax %s has no decoder here", slice.path,
            ct_transfer_syntax_name(slice.transfer_syntax_uid));
  const std::vector<uint8_t> &stream = f.stream;
  LC_TRY(f.fragments.gather(static_cast<unsigned long>(slice.frame),
                            static_cast<unsigned long>(f.n_frames), slice.path, f.stream, err));
  if (own == decoder::jpeg2000)
    return ct_jpeg2000_decode(&cells, stream.data(), stream.size(), series.rows, series.columns,
                              slice.path, err);
  if (own == decoder::htj2k)
    return ct_htj2k_decode(&cells, stream.data(), stream.size(), series.rows, series.columns,
                           slice.path, err);
  if (strcmp(slice.transfer_syntax_uid, UID_RLELosslessTransferSyntax) == 0)
    LC_TRY(ct_rle_check(stream.data(), stream.size(), cells.count, slice.bits_allocated / 8,
                        slice.path, err));
  else if ((cells.precision = ct_jpeg_precision(stream.data(), stream.size())) == 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %s pixel data of frame %d cannot be decoded: no frame header",
            slice.path, ct_transfer_syntax_name(slice.transfer_syntax_uid), slice.frame + 1);
  DcmPixelData *frame = ct::put_frame(f.image, f.dataset.getOriginalXfer(), stream);
  LC_TRY(read_frame(&f.image, frame, slice, 0, cells, err));
  // A JPEG stream has no sign, and may hold whole cells of which the header uses less.
  if (cells.precision > slice.high_bit + 1 && !beyond_header(cells, slice)) cells.precision = 0;
  return LC_OK;
}

// Overlays in the bits above the stored ones (PS3.3 C.9.2, retired): the code stream holds them
// too.
bool overlays_in_pixels(DcmDataset *dataset) {
  for (Uint16 group = 0x6000; group < 0x6020; group = static_cast<Uint16>(group + 2)) {
    Uint16 position = 0;
    if (dataset->findAndGetUint16(DcmTagKey(group, 0x0102), position).good() && position > 0)
      return true;
  }
  return false;
}

// Why a file could not be read. Where uncompressed pixels say they are too short, what is left of
// them was taken for elements, and the parser complains about those.
lc_status report_unread(DcmDataset *dataset, const ct_series &series, const ct_slice &slice,
                        const char *reason, lc_error *err) {
  DcmElement *pixels = nullptr;
  size_t needed = static_cast<size_t>(series.rows) * series.columns *
                  static_cast<size_t>(slice.bits_allocated / 8) *
                  static_cast<size_t>(slice.frame + 1);
  if (!ct::is_encapsulated(DcmXfer(dataset->getOriginalXfer())) &&
      dataset->findAndGetElement(DCM_PixelData, pixels).good() && pixels &&
      pixels->getLengthField() < needed)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %lu bytes of pixel data, expected %zu", slice.path,
            static_cast<unsigned long>(pixels->getLengthField()), needed);
  LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read to its end: %s", slice.path, reason);
}

// What all frames of a parsed file share.
lc_status find_pixels(ct_pixel_file &f, const ct_slice &slice, lc_error *err) {
  DcmDataset *dataset = &f.dataset;
  DcmElement *element = nullptr;
  if (dataset->findAndGetElement(DCM_PixelData, element).bad() || !element)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no pixel data", slice.path);
  f.pixels = dynamic_cast<DcmPixelData *>(element);
  if (!f.pixels) LC_FAIL(err, LC_ERR_FORMAT, "%s: pixel data of an unknown kind", slice.path);
  // DCMTK insists on these two; a slice of one sample is what was accepted.
  if (!dataset->tagExistsWithValue(DCM_SamplesPerPixel))
    dataset->putAndInsertUint16(DCM_SamplesPerPixel, 1);
  if (!dataset->tagExistsWithValue(DCM_PhotometricInterpretation))
    dataset->putAndInsertString(DCM_PhotometricInterpretation, "MONOCHROME2");
  if (dataset->findAndGetSint32(DCM_NumberOfFrames, f.n_frames).bad() || f.n_frames < 1)
    f.n_frames = 1;
  f.overlays = overlays_in_pixels(dataset);
  f.compressed = ct::is_encapsulated(DcmXfer(dataset->getOriginalXfer())) ||
                 own_decoder(slice.transfer_syntax_uid) != decoder::none;
  if (!f.compressed) return LC_OK;
  ct::copy_description(f.image, *dataset);
  return f.fragments.open(f.pixels, slice.path, err);
}

lc_status read_pixels(ct_pixel_file &f, ct_cells &cells, const ct_series &series,
                      const ct_slice &slice, lc_error *err) {
  Uint16 rows = 0, columns = 0;
  f.dataset.findAndGetUint16(DCM_Rows, rows);
  f.dataset.findAndGetUint16(DCM_Columns, columns);
  if (rows != series.rows || columns != series.columns)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %u x %u pixels, expected %d x %d (changed since the scan?)",
            slice.path, columns, rows, series.columns, series.rows);
  if (!f.compressed) return read_frame(&f.dataset, f.pixels, slice, slice.frame, cells, err);
  LC_TRY(read_compressed(f, series, slice, cells, err));
  if (f.overlays) cells.precision = 0;
  return LC_OK;
}

lc_status open_file(ct_pixel_file &f, int descriptor, const ct_series &series,
                    const ct_slice &slice, lc_error *err) {
  f.path = slice.path;
  f.file = std::make_shared<ct::File>(slice.path, descriptor);
  LC_TRY(f.file->open_object(err));
  if (fstat(f.file->source()->file, &f.info) != 0) f.info = {};
  // What follows the pixels does not matter, and is often damaged.
  OFCondition loaded = ct::parse(f.file, f.dataset, DCM_MaxReadLength, DcmTagKey(0x7fe0, 0x0011));
  LC_TRY(f.file->check(err));
  if (loaded == EC_MemoryExhausted) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", slice.path);
  if (loaded.bad()) return report_unread(&f.dataset, series, slice, loaded.text(), err);
  return find_pixels(f, slice, err);
}

// The descriptor is of the file that was parsed.
bool is_same(const ct_pixel_file &f, const char *path, int descriptor) {
  struct stat info = {};
  if (f.path != path) return false;
  return fstat(descriptor, &info) == 0 && info.st_dev == f.info.st_dev &&
         info.st_ino == f.info.st_ino && info.st_size == f.info.st_size &&
         info.st_mtim.tv_sec == f.info.st_mtim.tv_sec &&
         info.st_mtim.tv_nsec == f.info.st_mtim.tv_nsec;
}

} // namespace

lc_status ct_pixel_file_read(struct ct_pixel_file **kept, int descriptor, struct ct_cells *cells,
                             const struct ct_series *series, const struct ct_slice *slice,
                             struct lc_error *err) {
  std::unique_ptr<ct_pixel_file> file(*kept);
  *kept = nullptr;
  return ct::guarded(slice->path, err, [&]() -> lc_status {
    if (file && is_same(*file, slice->path, descriptor)) {
      close(descriptor);
    } else {
      file = std::make_unique<ct_pixel_file>();
      LC_TRY(open_file(*file, descriptor, *series, *slice, err));
    }
    lc_status status = read_pixels(*file, *cells, *series, *slice, err);
    LC_TRY(file->file->check(err));
    LC_TRY(status);
    if (file->n_frames > 1) *kept = file.release();
    return LC_OK;
  });
}

void ct_pixel_file_close(struct ct_pixel_file *file) {
  delete file;
}
