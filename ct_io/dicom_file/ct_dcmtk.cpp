// Starts DCMTK once a process: registers its RLE, JPEG and JPEG-LS decoders and collects its
// warnings.
#include "ct_io/dicom_file/ct_dcmtk.hpp"
#include "ct_io/dicom_file/ct_dcmtk_start.h"

#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <dcmtk/oflog/appender.h>
#include <dcmtk/oflog/logger.h>
#include <dcmtk/oflog/oflog.h>
#include <dcmtk/oflog/spi/logevent.h>

#include <mutex>

namespace ct {

namespace {
thread_local Warnings *collecting;
} // namespace

Warnings::Warnings() {
  collecting = this;
}

Warnings::~Warnings() {
  collecting = nullptr;
}

// Takes what DCMTK logs, from any thread.
class Collector : public dcmtk::log4cplus::Appender {
public:
  ~Collector() override { destructorImpl(); }
  void close() override {}

protected:
  void append(const dcmtk::log4cplus::spi::InternalLoggingEvent &event) override {
    const auto &message = event.getMessage();
    if (collecting && collecting->first_.empty())
      collecting->first_.assign(message.data(), message.size());
  }
};

void start_dcmtk() {
  static std::once_flag once;
  std::call_once(once, [] {
    OFLog::configure(OFLogger::WARN_LOG_LEVEL);
    dcmtk::log4cplus::Logger root = dcmtk::log4cplus::Logger::getRoot();
    root.removeAllAppenders();
    root.addAppender(dcmtk::log4cplus::SharedAppenderPtr(new Collector));
    DcmRLEDecoderRegistration::registerCodecs();
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
    // Archives that did not know an attribute send it as UN: read it by the dictionary's VR.
    dcmEnableUnknownVRConversion.set(OFTrue);
  });
}

} // namespace ct

void ct_dcmtk_prepare() {
  ct::start_dcmtk();
  dcmDataDict.rdlock();
  dcmDataDict.rdunlock();
  // A converter that stays open keeps the tables of its set in memory.
  static DcmSpecificCharacterSet sets[4];
  (void)sets[0].selectCharacterSet(
      "ISO 2022 IR 6\\ISO 2022 IR 100\\ISO 2022 IR 101\\ISO 2022 IR 109\\ISO 2022 IR 110\\"
      "ISO 2022 IR 144\\ISO 2022 IR 127\\ISO 2022 IR 126\\ISO 2022 IR 138\\ISO 2022 IR 148\\"
      "ISO 2022 IR 203\\ISO 2022 IR 13\\ISO 2022 IR 166\\ISO 2022 IR 87\\ISO 2022 IR 159\\"
      "ISO 2022 IR 149\\ISO 2022 IR 58");
  (void)sets[1].selectCharacterSet("ISO_IR 192");
  (void)sets[2].selectCharacterSet("GB18030");
  (void)sets[3].selectCharacterSet("GBK");
}
