// Which compressed fragments belong to a frame (PS3.5 A.4). Used only inside this room.
#pragma once

#include "ct_io/dicom_file/ct_dcmtk.hpp"

#include <cstdint>
#include <vector>

namespace ct {

// The items of one image's compressed pixel data, each looked at once whatever the number of
// frames. Thread-safety: one object, one thread.
class Fragments {
public:
  // LC_ERR_FORMAT when there are none. pixels must outlive it.
  lc_status open(DcmPixelData *pixels, const char *path, lc_error *err);
  // The compressed bytes of one frame: the only frame, or one fragment a frame, or by the offset
  // table, or (a table being optional) from one start-of-image marker to the next. Leaves them in
  // the file again.
  lc_status gather(unsigned long frame, unsigned long n_frames, const char *path,
                   std::vector<uint8_t> &stream, lc_error *err);

private:
  bool by_offsets(unsigned long frame, unsigned long n_frames, size_t &first, size_t &end);
  bool by_markers(unsigned long frame, size_t &first, size_t &end);
  std::vector<DcmPixelItem *> items_; // the offset table, then the fragments
  std::vector<uint64_t> places_;      // [fragments] as the table counts, from the first fragment
  std::vector<size_t> starts_;        // fragments that start an image
  bool starts_known_ = false;
};

// A single-frame copy of an image without its pixels: what DCMTK's codecs, which disagree on
// several fragments a frame, need to see the plain case. Sequences and long values are left out.
void copy_description(DcmDataset &to, DcmDataset &from);
// Puts one frame into it in a single fragment, in place of the one before. Owned by image.
DcmPixelData *put_frame(DcmDataset &image, E_TransferSyntax syntax,
                        const std::vector<uint8_t> &stream);

} // namespace ct
