// Sends objects by C-STORE: proposes contexts, decodes to an uncompressed syntax where the archive
// takes only that and nothing is lost, and reads the answer.
#include "ct_io/net/ct_store.h"
#include "ct_io/dicom_file/ct_syntax.h"

#include <algorithm>
#include <memory>
#include <sys/stat.h>
#include <vector>

#include "common/lc_file.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_file/ct_stream.hpp"
#include "ct_io/net/ct_association.hpp"

namespace {

using ct_net::border;
using ct_net::Requestor;
using ct_net::requestor;
using ct_out::OutFailure;

// Values longer than this stay in the file until they are sent.
constexpr Uint32 longest_value = 4096;
constexpr const char *explicit_little = UID_LittleEndianExplicitTransferSyntax;
constexpr const char *implicit_little = UID_LittleEndianImplicitTransferSyntax;

std::shared_ptr<ct::File> load(DcmDataset &dataset, const char *path) {
  lc_error err;
  if (!lc_file_exists(path)) throw OutFailure(LC_ERR_NOT_FOUND, "does not exist");
  auto file = std::make_shared<ct::File>(path);
  lc_status opened = file->open(&err);
  if (opened == LC_ERR_NO_DICOM) throw OutFailure(LC_ERR_NO_DICOM, "is not a DICOM file");
  ct_out::check(opened, err);
  OFCondition read = ct::parse(file, dataset, longest_value, DCM_UndefinedTagKey);
  ct_out::check(file->check(&err), err);
  if (read.bad()) throw OutFailure(LC_ERR_FORMAT, std::string("cannot be read: ") + read.text());
  return file;
}

void copy_uid(DcmItem *item, const DcmTagKey &tag, const char *name, char (&out)[CT_UID_SIZE]) {
  OFString value;
  if (item) item->findAndGetOFString(tag, value);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\0')) value.pop_back();
  if (!ct_uid_valid(value.c_str()))
    throw OutFailure(LC_ERR_FORMAT, std::string("its ") + name + " is missing or not a UID");
  lc_text_copy(out, sizeof out, value.c_str());
}

void describe(ct_object &object, const ct_layout &layout, DcmDataset *dataset) {
  object = ct_object();
  if (strcmp(layout.media_class, UID_MediaStorageDirectoryStorage) == 0)
    throw OutFailure(LC_ERR_UNSUPPORTED, "is a DICOMDIR, which no archive stores");
  copy_uid(dataset, DCM_SOPClassUID, "SOPClassUID", object.sop_class_uid);
  copy_uid(dataset, DCM_SOPInstanceUID, "SOPInstanceUID", object.sop_instance_uid);
  copy_uid(dataset, DCM_StudyInstanceUID, "StudyInstanceUID", object.study_instance_uid);
  bool unknown = layout.syntax[0] && DcmXfer(layout.syntax).getXfer() == EXS_Unknown;
  DcmXfer syntax(dataset->getOriginalXfer());
  const char *uid = layout.deflated ? layout.syntax : syntax.getXferID();
  if (unknown || !uid || !ct_uid_valid(uid))
    throw OutFailure(LC_ERR_UNSUPPORTED, "its transfer syntax is unknown");
  lc_text_copy(object.transfer_syntax_uid, sizeof object.transfer_syntax_uid, uid);
}

// The contexts of one association, each pair once.
class Contexts {
public:
  explicit Contexts(bool commitment) {
    if (commitment) contexts_.push_back({UID_StorageCommitmentPushModelSOPClass, plain_, 2, false});
  }

  // False when they would be too many.
  bool add(const ct_object &object) {
    bool is_explicit = !strcmp(object.transfer_syntax_uid, explicit_little);
    bool is_implicit = !strcmp(object.transfer_syntax_uid, implicit_little);
    bool own = !has(object.sop_class_uid, object.transfer_syntax_uid, 1);
    const char *const *fallback = is_explicit ? plain_ + 1 : plain_;
    size_t n_fallback = is_explicit || is_implicit ? 1 : 2;
    bool other = !has(object.sop_class_uid, fallback[0], n_fallback);
    if (contexts_.size() + own + other > CT_MAX_CONTEXTS) return false;
    if (own) {
      own_.push_back(std::make_unique<const char *>(object.transfer_syntax_uid));
      contexts_.push_back({object.sop_class_uid, own_.back().get(), 1, false});
    }
    if (other) contexts_.push_back({object.sop_class_uid, fallback, n_fallback, false});
    return true;
  }

  const std::vector<ct_context> &list() const { return contexts_; }

private:
  bool has(const char *sop_class, const char *first_syntax, size_t n) const {
    return std::any_of(contexts_.begin(), contexts_.end(), [&](const ct_context &c) {
      return !strcmp(c.abstract_syntax, sop_class) && c.n_transfer_syntaxes == n &&
             !strcmp(c.transfer_syntaxes[0], first_syntax);
    });
  }
  static constexpr const char *plain_[2] = {explicit_little, implicit_little};
  std::vector<ct_context> contexts_;
  std::vector<std::unique_ptr<const char *>> own_;
};

// Whether decoding gives the same pixel values in the same colours.
bool lossless_to_decode(DcmDataset &dataset) {
  switch (dataset.getOriginalXfer()) {
  case EXS_LittleEndianImplicit:
  case EXS_LittleEndianExplicit:
  case EXS_BigEndianExplicit:
  case EXS_DeflatedLittleEndianExplicit:
    return true;
  case EXS_RLELossless:
  case EXS_JPEGProcess14:
  case EXS_JPEGProcess14SV1:
  case EXS_JPEGLSLossless:
    break;
  default:
    return false;
  }
  OFString colours;
  dataset.findAndGetOFString(DCM_PhotometricInterpretation, colours);
  return colours == "MONOCHROME1" || colours == "MONOCHROME2" || colours == "PALETTE COLOR" ||
         colours == "RGB";
}

// The context to send in, with the data set brought to its transfer syntax; 0 with an answer.
T_ASC_PresentationContextID choose(Requestor &r, const ct_object &object, DcmDataset &dataset,
                                   ct_store_answer &answer) {
  T_ASC_PresentationContextID id = r.context(object.sop_class_uid, object.transfer_syntax_uid);
  if (id != 0) return id;
  const char *syntax = explicit_little;
  id = r.context(object.sop_class_uid, syntax);
  if (id == 0) id = r.context(object.sop_class_uid, syntax = implicit_little);
  if (id == 0) {
    ct_store_answer_set(&answer, CT_STORE_REFUSED,
                        "the peer does not accept this kind of object (%s)",
                        dcmFindNameOfUID(object.sop_class_uid, object.sop_class_uid));
    return 0;
  }
  E_TransferSyntax target = DcmXfer(syntax).getXfer();
  if (lossless_to_decode(dataset) && dataset.chooseRepresentation(target, nullptr).good() &&
      dataset.canWriteXfer(target))
    return id;
  ct_store_answer_set(&answer, CT_STORE_REFUSED,
                      "the peer does not accept its transfer syntax (%s), and it cannot be sent in "
                      "another without loss",
                      ct_transfer_syntax_name(object.transfer_syntax_uid));
  return 0;
}

int seconds_for(const Requestor &r, const char *path) {
  struct stat info {};
  constexpr off_t a_second = 256 * 1024;
  off_t more = stat(path, &info) == 0 ? info.st_size / a_second : 0;
  return r.dimse_seconds() + static_cast<int>(std::min<off_t>(more, 24 * 3600));
}

} // namespace

lc_status ct_object_read(struct ct_object *object, const char *path, struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    DcmDataset dataset;
    auto file = load(dataset, path);
    describe(*object, file->layout(), &dataset);
  });
}

lc_status ct_store_open(struct ct_association *association, const struct ct_peer *peer,
                        const struct ct_object *objects, size_t n, bool commitment, size_t *n_fit,
                        struct lc_error *err) {
  *association = ct_association();
  *n_fit = 0;
  return border("association", &association->failure, err, [&] {
    Contexts contexts(commitment);
    while (*n_fit < n && contexts.add(objects[*n_fit])) ++*n_fit;
    auto made = std::make_unique<Requestor>(*peer);
    made->open(contexts.list().data(), contexts.list().size());
    ct_net::adopt(association, std::move(made));
  });
}

lc_status ct_store_send(struct ct_association *association, const struct ct_object *object,
                        const char *path, struct ct_store_answer *answer, struct lc_error *err) {
  *answer = ct_store_answer();
  return border(path, &association->failure, err, [&] {
    Requestor &r = requestor(association);
    DcmDataset dataset;
    ct_object found;
    try {
      auto file = load(dataset, path);
      describe(found, file->layout(), &dataset);
      if (strcmp(found.sop_instance_uid, object->sop_instance_uid) != 0)
        throw OutFailure(LC_ERR_MISMATCH, "holds another object than before");
    } catch (const OutFailure &failure) {
      ct_store_answer_set(answer, CT_STORE_REFUSED, "the file %s", failure.what());
      return;
    }
    T_ASC_PresentationContextID id = choose(r, found, dataset, *answer);
    if (id == 0) return;
    Uint16 status = 0;
    ct_net::Deadline deadline(r.watchdog(), seconds_for(r, path));
    r.check(r.sendSTORERequest(id, "", &dataset, status), "C-STORE");
    ct_store_judge(status, answer);
  });
}
