// Finds the fragments of a compressed frame by the basic offset table or, without one, by the
// markers that start an image, and joins them.
#include "ct_io/dicom_read/ct_fragments.hpp"

#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>

#include <cstring>

namespace {

// Longest compressed frame: a raw frame of the largest size with room for headers.
constexpr size_t longest_stream = 256u << 20;

// The bytes of one item, borrowed; empty when it has none.
struct fragment {
  const uint8_t *bytes;
  size_t length;
};

fragment at(DcmPixelSequence *sequence, unsigned long index) {
  DcmPixelItem *item = nullptr;
  Uint8 *bytes = nullptr;
  if (sequence->getItem(item, index).bad() || !item || item->getLength() == 0 ||
      item->getLength() > longest_stream || item->getUint8Array(bytes).bad() || !bytes)
    return {nullptr, 0};
  return {bytes, item->getLength()};
}

// Does a fragment start a JPEG, JPEG-LS or JPEG 2000 image?
bool starts_image(const fragment &f) {
  static const uint8_t box[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
  if (f.length < 8) return false;
  return (f.bytes[0] == 0xff && (f.bytes[1] == 0xd8 || f.bytes[1] == 0x4f)) ||
         memcmp(f.bytes, box, sizeof box) == 0;
}

// Item range [first, end) of a frame by the basic offset table (PS3.5 A.4); false without one.
bool by_offsets(DcmPixelSequence *sequence, unsigned long frame, unsigned long n_frames,
                unsigned long &first, unsigned long &end) {
  fragment table = at(sequence, 0);
  if (table.length < 4 * n_frames) return false;
  auto offset = [&](unsigned long i) {
    const uint8_t *b = table.bytes + 4 * i;
    return static_cast<uint64_t>(b[0]) | static_cast<uint64_t>(b[1]) << 8 |
           static_cast<uint64_t>(b[2]) << 16 | static_cast<uint64_t>(b[3]) << 24;
  };
  uint64_t place = 0;
  bool found = false;
  unsigned long count = sequence->card();
  end = count;
  for (unsigned long i = 1; i < count; i++) {
    if (place == offset(frame)) {
      first = i;
      found = true;
    }
    if (frame + 1 < n_frames && place == offset(frame + 1)) end = i;
    DcmPixelItem *item = nullptr;
    if (sequence->getItem(item, i).bad() || !item) return false;
    place += 8 + static_cast<uint64_t>(item->getLength());
  }
  return found && end > first;
}

// Without a table: a frame starts where an image starts.
bool by_markers(DcmPixelSequence *sequence, unsigned long frame, unsigned long &first,
                unsigned long &end) {
  unsigned long seen = 0, count = sequence->card();
  bool found = false;
  for (unsigned long i = 1; i < count; i++) {
    if (!starts_image(at(sequence, i))) continue;
    if (seen == frame) {
      first = i;
      found = true;
    } else if (seen == frame + 1) {
      end = i;
      return found;
    }
    seen++;
  }
  end = count;
  return found;
}

} // namespace

lc_status ct::gather_frame(DcmPixelData *pixels, unsigned long frame, unsigned long n_frames,
                           const char *path, std::vector<uint8_t> &stream, lc_error *err) {
  DcmPixelSequence *sequence = nullptr;
  E_TransferSyntax syntax = EXS_Unknown;
  const DcmRepresentationParameter *parameter = nullptr;
  pixels->getOriginalRepresentationKey(syntax, parameter);
  if (pixels->getEncapsulatedRepresentation(syntax, parameter, sequence).bad() || !sequence ||
      sequence->card() < 2)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no compressed pixel data", path);
  unsigned long first = 1, end = sequence->card();
  if (n_frames > 1 && end == n_frames + 1) {
    first = frame + 1;
    end = first + 1;
  } else if (n_frames > 1 && !by_offsets(sequence, frame, n_frames, first, end) &&
             !by_markers(sequence, frame, first, end)) {
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no compressed pixel data for frame %lu of %lu", path,
            frame + 1, n_frames);
  }
  for (unsigned long i = first; i < end; i++) {
    fragment f = at(sequence, i);
    if (stream.size() + f.length > longest_stream)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: compressed frame of more than %zu bytes", path,
              longest_stream);
    stream.insert(stream.end(), f.bytes, f.bytes + f.length);
  }
  if (stream.empty()) LC_FAIL(err, LC_ERR_FORMAT, "%s: compressed pixel data is empty", path);
  return LC_OK;
}

DcmPixelData *ct::single_frame(DcmDataset *dataset, const std::vector<uint8_t> &stream) {
  E_TransferSyntax syntax = dataset->getOriginalXfer();
  auto *sequence = new DcmPixelSequence(DcmTag(DCM_PixelData, EVR_OB));
  auto *table = new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB));
  auto *item = new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB));
  std::vector<uint8_t> even(stream);
  if (even.size() & 1) even.push_back(0);
  sequence->insert(table);
  sequence->insert(item);
  item->putUint8Array(even.data(), static_cast<unsigned long>(even.size()));
  auto *pixels = new DcmPixelData(DCM_PixelData);
  pixels->putOriginalRepresentation(syntax, nullptr, sequence);
  dataset->putAndInsertString(DCM_NumberOfFrames, "1");
  dataset->insert(pixels, OFTrue);
  return pixels;
}
