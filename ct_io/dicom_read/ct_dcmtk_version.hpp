// What DCMTK 3.6.7 and the releases after it call by different names. Used only inside this room:
// no other file asks for DCMTK's version.
#ifndef CT_DCMTK_VERSION_HPP
#define CT_DCMTK_VERSION_HPP

#include "ct_dcmtk.hpp"

#include <dcmtk/dcmtls/tlslayer.h>

namespace ct {

// Whether pixel data is stored in fragments, each an item of a sequence (PS3.5 A.4).
inline bool is_encapsulated(const DcmXfer &syntax) {
#if PACKAGE_VERSION_NUMBER >= 368
  return syntax.usesEncapsulatedFormat();
#else
  return syntax.isEncapsulated();
#endif
}

// Gives the layer its own certificate from a PEM file; `profile` is what it will be used with.
inline OFCondition set_certificate(DcmTLSTransportLayer &layer, const char *path,
                                   DcmTLSSecurityProfile profile) {
#if PACKAGE_VERSION_NUMBER >= 368
  return layer.setCertificateFile(path, DCF_Filetype_PEM, profile);
#else
  (void)profile;
  return layer.setCertificateFile(path, DCF_Filetype_PEM);
#endif
}

} // namespace ct

#endif
