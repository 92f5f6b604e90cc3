// The data set of a storage commitment result (PS3.4 table J.3-2). Used only inside this room.
#pragma once

#include "ct_io/dicom_file/ct_dcmtk.hpp"
#include "ct_io/net/ct_commitment.h"

namespace ct_net {

// False for a data set without a valid transaction UID. Items without a UID are left out.
bool read_commitment(DcmDataset &dataset, ct_commitment_result &result);

} // namespace ct_net
