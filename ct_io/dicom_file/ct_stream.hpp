// DCMTK's parser on a ct_source. Used only inside ct_io.
#pragma once

#include "ct_io/dicom_file/ct_dcmtk.hpp"
#include "ct_io/dicom_file/ct_guard.h"

#include <memory>
#include <string>

namespace ct {

// One opened file: its bytes, and what its first elements say of the rest. Values that stay in the
// file until asked for keep it open.
class File {
public:
  // `file`: a descriptor of it that is taken over, or -1.
  explicit File(const char *path, int file = -1) : path_(path), given_(file) {
    source_.file = -1;
    source_.error = 0;
    source_.inflated = nullptr;
  }
  ~File() { ct_source_close(&source_); }
  File(const File &) = delete;
  File &operator=(const File &) = delete;

  // LC_ERR_NOT_FOUND when it cannot be read, LC_ERR_NO_DICOM, or what ct_guard_check refuses.
  lc_status open(struct lc_error *err);
  // The same for a file that is known to be an object: else LC_ERR_FORMAT.
  lc_status open_object(struct lc_error *err) {
    lc_status status = open(err);
    return status == LC_ERR_NO_DICOM ? LC_ERR_FORMAT : status;
  }
  // What failed while it was read, also within DCMTK: ct_source_check, or LC_ERR_FORMAT for
  // sequences nested deeper than the parser's stack goes.
  lc_status check(struct lc_error *err) const;
  // Whether the parser has gone too deep; once it has, nothing more is read. Called at each read of
  // the parser, which recurses once a level and reads at each: whatever it takes for a sequence
  // counts, by its own view of the bytes.
  bool too_deep();

  const ct_layout &layout() const { return layout_; }
  uint64_t size() const { return source_.size; }
  ct_source *source() { return &source_; }

private:
  friend OFCondition parse(const std::shared_ptr<File> &, DcmDataset &, Uint32, const DcmTagKey &);
  std::string path_;
  int given_;
  ct_source source_;
  ct_layout layout_ = {};
  const char *stack_ = nullptr; // where the parser started, while it runs
  bool too_deep_ = false;
};

// Parses the data set of an opened file until `stop`; longer values than `longest` stay in the
// file. The encoding is what the data are, not what the meta header says.
OFCondition parse(const std::shared_ptr<File> &file, DcmDataset &dataset, Uint32 longest,
                  const DcmTagKey &stop);

} // namespace ct
