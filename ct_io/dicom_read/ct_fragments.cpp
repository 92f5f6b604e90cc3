// Finds the fragments of a compressed frame by the basic offset table or, without one, by the
// markers that start an image, and joins them.
#include "ct_io/dicom_read/ct_fragments.hpp"

#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>

#include <algorithm>
#include <cstring>

namespace {

// Longest compressed frame: a raw frame of the largest size with room for headers.
constexpr size_t longest_stream = 256u << 20;

// The bytes of one item, borrowed; empty when it has none.
struct fragment {
  const uint8_t *bytes;
  size_t length;
};

fragment at(DcmPixelItem *item) {
  Uint8 *bytes = nullptr;
  if (item->getLength() == 0 || item->getLength() > longest_stream ||
      item->getUint8Array(bytes).bad() || !bytes)
    return {nullptr, 0};
  return {bytes, item->getLength()};
}

// Does a fragment start a JPEG, JPEG-LS or JPEG 2000 image?
bool starts_image(DcmPixelItem *item) {
  static const uint8_t box[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
  uint8_t b[8];
  if (item->getLength() < sizeof b || item->getLength() > longest_stream ||
      item->getPartialValue(b, 0, sizeof b).bad())
    return false;
  return (b[0] == 0xff && (b[1] == 0xd8 || b[1] == 0x4f)) || memcmp(b, box, sizeof box) == 0;
}

} // namespace

lc_status ct::Fragments::open(DcmPixelData *pixels, const char *path, lc_error *err) {
  DcmPixelSequence *sequence = nullptr;
  E_TransferSyntax syntax = EXS_Unknown;
  const DcmRepresentationParameter *parameter = nullptr;
  pixels->getOriginalRepresentationKey(syntax, parameter);
  if (pixels->getEncapsulatedRepresentation(syntax, parameter, sequence).bad() || !sequence ||
      sequence->card() < 2)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no compressed pixel data", path);
  // By number each item is looked for from the first.
  DcmObject *object = sequence->nextInContainer(nullptr);
  for (; object; object = sequence->nextInContainer(object)) {
    auto *item = dynamic_cast<DcmPixelItem *>(object);
    if (!item) LC_FAIL(err, LC_ERR_FORMAT, "%s: no compressed pixel data", path);
    items_.push_back(item);
  }
  uint64_t place = 0;
  for (size_t i = 1; i < items_.size(); i++) {
    places_.push_back(place);
    place += 8 + static_cast<uint64_t>(items_[i]->getLength());
  }
  return LC_OK;
}

// Item range [first, end) of a frame by the basic offset table (PS3.5 A.4); false without one.
bool ct::Fragments::by_offsets(unsigned long frame, unsigned long n_frames, size_t &first,
                               size_t &end) {
  fragment table = at(items_[0]);
  if (!table.bytes || table.length < 4 * n_frames) return false;
  // The item at the offset of frame i; all of them when there is none.
  auto item = [&](unsigned long i) {
    const uint8_t *b = table.bytes + 4 * i;
    uint64_t offset = static_cast<uint64_t>(b[0]) | static_cast<uint64_t>(b[1]) << 8 |
                      static_cast<uint64_t>(b[2]) << 16 | static_cast<uint64_t>(b[3]) << 24;
    auto place = std::lower_bound(places_.begin(), places_.end(), offset);
    if (place == places_.end() || *place != offset) return items_.size();
    return static_cast<size_t>(place - places_.begin()) + 1;
  };
  first = item(frame);
  end = frame + 1 < n_frames ? item(frame + 1) : items_.size();
  return end > first;
}

// Without a table: a frame starts where an image starts.
bool ct::Fragments::by_markers(unsigned long frame, size_t &first, size_t &end) {
  for (size_t i = 1; !starts_known_ && i < items_.size(); i++)
    if (starts_image(items_[i])) starts_.push_back(i);
  starts_known_ = true;
  if (frame >= starts_.size()) return false;
  first = starts_[frame];
  end = frame + 1 < starts_.size() ? starts_[frame + 1] : items_.size();
  return true;
}

lc_status ct::Fragments::gather(unsigned long frame, unsigned long n_frames, const char *path,
                                std::vector<uint8_t> &stream, lc_error *err) {
  size_t first = 1, end = items_.size();
  stream.clear();
  if (n_frames > 1 && end == n_frames + 1 && frame < n_frames) {
    first = frame + 1;
    end = first + 1;
  } else if (n_frames > 1 && !by_offsets(frame, n_frames, first, end) &&
             !by_markers(frame, first, end)) {
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no compressed pixel data for frame %lu of %lu", path,
            frame + 1, n_frames);
  }
  for (size_t i = first; i < end; i++) {
    fragment f = at(items_[i]);
    if (stream.size() + f.length > longest_stream)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: compressed frame of more than %zu bytes", path,
              longest_stream);
    stream.insert(stream.end(), f.bytes, f.bytes + f.length);
    if (n_frames > 1) items_[i]->compact();
  }
  if (stream.empty()) LC_FAIL(err, LC_ERR_FORMAT, "%s: compressed pixel data is empty", path);
  return LC_OK;
}

void ct::copy_description(DcmDataset &to, DcmDataset &from) {
  constexpr Uint32 longest = 4096;
  for (DcmObject *object = from.nextInContainer(nullptr); object;
       object = from.nextInContainer(object))
    if (object->isLeaf() && object->getTag() != DCM_PixelData &&
        object->getLengthField() <= longest)
      to.insert(dynamic_cast<DcmElement *>(object->clone()), OFTrue);
  to.putAndInsertString(DCM_NumberOfFrames, "1");
}

DcmPixelData *ct::put_frame(DcmDataset &image, E_TransferSyntax syntax,
                            const std::vector<uint8_t> &stream) {
  auto *sequence = new DcmPixelSequence(DcmTag(DCM_PixelData, EVR_OB));
  auto *table = new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB));
  auto *item = new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB));
  sequence->insert(table);
  sequence->insert(item);
  std::vector<uint8_t> even(stream);
  if (even.size() & 1) even.push_back(0);
  item->putUint8Array(even.data(), static_cast<unsigned long>(even.size()));
  auto *pixels = new DcmPixelData(DCM_PixelData);
  pixels->putOriginalRepresentation(syntax, nullptr, sequence);
  image.insert(pixels, OFTrue);
  return pixels;
}
