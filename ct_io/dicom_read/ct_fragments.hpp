// Which compressed fragments belong to a frame (PS3.5 A.4). Used only inside this room.
#pragma once

#include "ct_io/dicom_file/ct_dcmtk.hpp"

#include <cstdint>
#include <vector>

namespace ct {

// The compressed bytes of one frame: the only frame, or one fragment a frame, or by the offset
// table, or (a table being optional) from one start-of-image marker to the next.
lc_status gather_frame(DcmPixelData *pixels, unsigned long frame, unsigned long n_frames,
                       const char *path, std::vector<uint8_t> &stream, lc_error *err);

// Puts the frame back into the data set as its only frame, in a single fragment, so that DCMTK's
// codecs, which disagree on several fragments a frame, all see the plain case. Owned by dataset.
DcmPixelData *single_frame(DcmDataset *dataset, const std::vector<uint8_t> &stream);

} // namespace ct
