// Starts DCMTK once a process: registers its RLE, JPEG and JPEG-LS decoders and silences its log.
#include "ct_io/dicom_read/ct_dcmtk.hpp"

#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <dcmtk/oflog/oflog.h>

#include <mutex>

namespace ct {

void start_dcmtk() {
  static std::once_flag once;
  std::call_once(once, [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    DcmRLEDecoderRegistration::registerCodecs();
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
    // Archives that did not know an attribute send it as UN: read it by the dictionary's VR.
    dcmEnableUnknownVRConversion.set(OFTrue);
  });
}

} // namespace ct
