// Lets DCMTK read through a ct_source, so that a failing disk is told from the end of a file.
#include "ct_io/dicom_file/ct_stream.hpp"

#include <dcmtk/dcmdata/dcistrma.h>

#include <cstddef>
#include <cstring>

namespace {

// Stack that the parser may use: many times what CT_MAX_NESTING levels take, with sanitizers too.
constexpr std::ptrdiff_t deepest_stack = 512 * 1024;

// Where the stack is now. Not the address of a variable: sanitizers may keep those on the heap.
inline const char *stack_here() {
  return static_cast<const char *>(__builtin_frame_address(0));
}

using shared_file = std::shared_ptr<ct::File>;

class Producer : public DcmProducer {
public:
  Producer(shared_file file, offile_off_t at) : file_(std::move(file)), at_(at) {}
  OFBool good() const override { return file_->source()->error == 0 && !file_->too_deep(); }
  OFCondition status() const override { return good() ? EC_Normal : EC_InvalidStream; }
  OFBool eos() override { return left() <= 0; }
  offile_off_t avail() override { return left(); }
  offile_off_t read(void *buffer, offile_off_t count) override {
    if (count <= 0 || file_->too_deep()) return 0;
    auto got = static_cast<offile_off_t>(ct_source_read(file_->source(), static_cast<uint64_t>(at_),
                                                        buffer, static_cast<size_t>(count)));
    at_ += got;
    return got;
  }
  offile_off_t skip(offile_off_t count) override {
    if (count > left()) count = left();
    if (count < 0) count = 0;
    at_ += count;
    return count;
  }
  void putback(offile_off_t count) override { at_ -= count < at_ ? count : at_; }

private:
  offile_off_t left() const { return static_cast<offile_off_t>(file_->size()) - at_; }
  shared_file file_;
  offile_off_t at_;
};

class Stream : public DcmInputStream {
public:
  Stream(const shared_file &file, offile_off_t start)
      : DcmInputStream(&producer_), producer_(file, start), file_(file), start_(start) {}
  DcmInputStreamFactory *newFactory() const override;

private:
  Producer producer_;
  shared_file file_;
  offile_off_t start_;
};

// Opens the stream again where a value starts that DCMTK did not load.
class Factory : public DcmInputStreamFactory {
public:
  Factory(shared_file file, offile_off_t at) : file_(std::move(file)), at_(at) {}
  DcmInputStream *create() const override { return new Stream(file_, at_); }
  DcmInputStreamFactory *clone() const override { return new Factory(file_, at_); }
  // Not the type for which DCMTK knows a path.
  DcmInputStreamFactoryType ident() const override { return DFT_DcmInputTempFileStreamFactory; }

private:
  shared_file file_;
  offile_off_t at_;
};

DcmInputStreamFactory *Stream::newFactory() const {
  return new Factory(file_, start_ + tell());
}

E_TransferSyntax encoding(const ct_layout &layout) {
  E_TransferSyntax plain = layout.big           ? EXS_BigEndianExplicit
                           : layout.is_explicit ? EXS_LittleEndianExplicit
                                                : EXS_LittleEndianImplicit;
  if (!layout.syntax[0]) return plain;
  if (layout.deflated) return EXS_LittleEndianExplicit; // inflated already
  DcmXfer declared(layout.syntax);
  switch (declared.getXfer()) {
  case EXS_Unknown: // its header may be plain all the same
  case EXS_LittleEndianImplicit:
  case EXS_LittleEndianExplicit:
  case EXS_BigEndianExplicit:
    return plain;
  default:
    return declared.getXfer();
  }
}

} // namespace

lc_status ct::File::open(lc_error *err) {
  int file = given_;
  given_ = -1;
  if (file < 0)
    LC_TRY(ct_source_open(&source_, path_.c_str(), err));
  else
    LC_TRY(ct_source_adopt(&source_, file, path_.c_str(), err));
  bool dicom = ct_guard_looks_like_dicom(&source_);
  LC_TRY(check(err));
  if (!dicom) LC_FAIL(err, LC_ERR_NO_DICOM, "%s: not a DICOM object", path_.c_str());
  lc_status status = ct_guard_check(&source_, &layout_, err);
  LC_TRY(check(err));
  return status;
}

lc_status ct::File::check(lc_error *err) const {
  LC_TRY(ct_source_check(&source_, err));
  if (too_deep_)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: sequences nested too deeply, expected at most %d",
            path_.c_str(), CT_MAX_NESTING / 2);
  return LC_OK;
}

bool ct::File::too_deep() {
  if (stack_ && stack_ - stack_here() > deepest_stack) too_deep_ = true;
  return too_deep_;
}

OFCondition ct::parse(const std::shared_ptr<File> &file, DcmDataset &dataset, Uint32 longest,
                      const DcmTagKey &stop) {
  start_dcmtk();
  Stream stream(file, static_cast<offile_off_t>(file->layout().dataset));
  dataset.transferInit();
  file->stack_ = stack_here();
  OFCondition read =
      dataset.readUntilTag(stream, encoding(file->layout()), EGL_noChange, longest, stop);
  file->stack_ = nullptr;
  dataset.transferEnd();
  return read;
}
