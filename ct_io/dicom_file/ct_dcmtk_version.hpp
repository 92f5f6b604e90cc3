// What DCMTK 3.6.7 and the releases after it call by different names. No file but this one
// and ct_connection.cpp, for TLS, asks for DCMTK's version.
#pragma once

#include "ct_io/dicom_file/ct_dcmtk.hpp"

namespace ct {

// Whether pixel data is stored in fragments, each an item of a sequence (PS3.5 A.4).
inline bool is_encapsulated(const DcmXfer &syntax) {
#if PACKAGE_VERSION_NUMBER >= 368
  return syntax.usesEncapsulatedFormat();
#else
  return syntax.isEncapsulated();
#endif
}

} // namespace ct
