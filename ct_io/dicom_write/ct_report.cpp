// Builds the frame of a TID 1500 measurement report with DCMTK's classes and copies its content
// into an object of our own, to which the measurement groups are added (ct_report_groups.hpp).
#include "ct_io/dicom_write/ct_report.h"

#include <cmath>
#include <cstring>
#include <mutex>
#include <set>

#include <dcmtk/dcmsr/cmr/tid1500.h>
#include <dcmtk/dcmsr/dsrdoc.h>

#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_write/ct_derived_out.hpp"
#include "ct_io/dicom_write/ct_report_groups.hpp"

namespace {

using ct_out::OutFailure;
using ct_out::put;

constexpr const char *disclaimer = "Research use only. Not for diagnosis.";

const DSRBasicCodedEntry comment_concept("121106", "DCM", "Comment");
const DSRCodedEntryValue english("en-US", "RFC5646", "English (US)");
void check(const OFCondition &condition, const char *what) {
  if (condition.bad())
    throw OutFailure(LC_ERR_INTERNAL, std::string(what) + ": " + condition.text());
}

void require(const ct_report &report) {
  if (report.n_findings == 0) throw OutFailure(LC_ERR_USAGE, "a report needs a finding");
  if (!report.model_name || !report.model_version || !report.parameters)
    throw OutFailure(LC_ERR_USAGE, "a report names the model, its version and parameters");
  for (size_t i = 0; i < report.n_findings; i++) {
    const ct_finding &finding = report.findings[i];
    std::string name = "finding " + std::to_string(i + 1);
    if (!finding.tracking_id || !*finding.tracking_id || !ct_uid_valid(finding.tracking_uid))
      throw OutFailure(LC_ERR_USAGE, name + " needs a tracking identifier and a valid UID");
    if (finding.segmentation && finding.segment_number == 0)
      throw OutFailure(LC_ERR_USAGE, name + " names a segmentation, but no segment of it");
    for (double along : finding.centre_mm)
      if (!std::isfinite(along)) throw OutFailure(LC_ERR_NUMERIC, name + " lies nowhere");
    for (size_t k = 0; k < finding.n_measurements; k++)
      if (!std::isfinite(finding.measurements[k].value))
        throw OutFailure(LC_ERR_NUMERIC, name + ": " + finding.measurements[k].quantity.meaning +
                                             " is not a number");
  }
}

/* Texts of the content tree in the character set of the object. */
class Texts {
public:
  explicit Texts(std::string set_in) : set(std::move(set_in)) {}
  std::string of(const char *text) const { return ct_out::to_set(text, set, 1024, "a text"); }

private:
  std::string set;
};

/* DCMTK does not check the UIDs of the source, which may have letters. */
const OFBool as_they_are = OFFalse;

void add_observer(TID1500_MeasurementReport &tree, const ct_report &report, const Texts &texts) {
  char uid[CT_UID_SIZE];
  const char *parts[] = {"lungcdam observer", report.about.software_version, report.model_name,
                         report.model_version};
  lc_error err = {};
  ct_out::check(ct_uid_make(uid, nullptr, parts, 4, &err), err);
  check(tree.getObservationContext().addDeviceObserver(uid, "lungcdam", "lungcdam",
                                                       texts.of(report.model_name),
                                                       texts.of(report.model_version)),
        "device observer");
}

/* The source slices with what TID 1602 says of them; what all share is said once. */
void add_library(TID1500_MeasurementReport &tree, const ct_derived &about) {
  TID1600_ImageLibrary &library = tree.getImageLibrary();
  std::set<std::string> listed;
  check(library.createNewImageLibrary(), "image library");
  check(library.addImageGroup(), "image library");
  for (size_t i = 0; i < about.n_source_slices; i++) {
    const ct_slice &slice = about.source->slices[about.source_slices[i]];
    /* Frames of one object are one entry. */
    if (!listed.insert(slice.sop_instance_uid).second) continue;
    auto header = ct_out::load_header(slice);
    /* Some headers hold what the descriptors of TID 1602 do not accept. */
    TID1600_ImageLibrary::ConceptNameList none;
    DcmItem &dataset = *header->getDataset();
    if (library.addImageEntry(dataset, TID1600_ImageLibrary::withAllDescriptors, none, OFFalse)
            .bad())
      check(library.addImageEntry(dataset, TID1600_ImageLibrary::withoutDescriptors, none, OFFalse),
            "image library entry");
  }
  check(library.moveCommonImageDescriptorsToImageGroups(), "image library");
}

void build(TID1500_MeasurementReport &tree, const ct_report &report, const Texts &texts) {
  check(tree.createNewMeasurementReport(CMR_CID7021::ImagingMeasurementReport), "report");
  check(tree.setLanguage(english), "language");
  add_observer(tree, report, texts);
  check(tree.addProcedureReported(CMR_CID100::CTUnspecifiedBodyRegion), "procedure");
  add_library(tree, report.about);
  check(tree.addQualitativeEvaluation(comment_concept, disclaimer), "comment");
}

/* What the content tree refers to is evidence of the other kind. */
bool is_content(const ct_report &report, const ct_reference &object) {
  for (size_t i = 0; i < report.n_findings; i++)
    if (report.findings[i].segmentation &&
        strcmp(report.findings[i].segmentation->sop_instance_uid, object.sop_instance_uid) == 0)
      return true;
  return false;
}

void add_evidence(DSRDocument &document, const ct_report &report) {
  const ct_derived &about = report.about;
  const ct_series &source = *about.source;
  auto &current = document.getCurrentRequestedProcedureEvidence();
  for (size_t i = 0; i < about.n_source_slices; i++) {
    const ct_slice &slice = source.slices[about.source_slices[i]];
    check(current.addItem(source.study_instance_uid, source.series_instance_uid,
                          slice.sop_class_uid, slice.sop_instance_uid, as_they_are),
          "evidence");
  }
  for (size_t i = 0; i < report.n_findings; i++)
    if (const ct_reference *segmentation = report.findings[i].segmentation)
      check(current.addItem(source.study_instance_uid, segmentation->series_instance_uid,
                            segmentation->sop_class_uid, segmentation->sop_instance_uid,
                            as_they_are),
            "evidence");
  for (size_t i = 0; i < report.n_evidence; i++)
    if (!is_content(report, report.evidence[i]))
      check(document.getPertinentOtherEvidence().addItem(
                source.study_instance_uid, report.evidence[i].series_instance_uid,
                report.evidence[i].sop_class_uid, report.evidence[i].sop_instance_uid, as_they_are),
            "evidence");
}

void add_schemes(DSRDocument &document) {
  static const char *const names[][2] = {
      {"99LUNGCDAM", "lungcdam: outputs of a model by name, and its method"},
      {"99LIDCQIICR", "LIDC-IDRI ratings, QIICR re-encoding"}};
  auto &schemes = document.getCodingSchemeIdentification();
  for (const auto &name : names) {
    check(schemes.addItem(name[0]), "coding scheme");
    check(schemes.setCodingSchemeName(name[1]), "coding scheme");
  }
}

/* From the document that DCMTK writes only what is the report's: it puts the time of writing and
 * random UIDs into the rest. */
void copy_content(DcmItem &to, DcmItem &document) {
  const DcmTagKey tags[] = {DCM_ValueType,
                            DCM_ContinuityOfContent,
                            DCM_ConceptNameCodeSequence,
                            DCM_ContentTemplateSequence,
                            DCM_ContentSequence,
                            DCM_CurrentRequestedProcedureEvidenceSequence,
                            DCM_PertinentOtherEvidenceSequence,
                            DCM_CodingSchemeIdentificationSequence,
                            DCM_CompletionFlag,
                            DCM_VerificationFlag,
                            DCM_PerformedProcedureCodeSequence,
                            DCM_ReferencedPerformedProcedureStepSequence};
  for (const DcmTagKey &tag : tags) ct_out::copy_if_present(to, document, tag);
}

/* Referenced Request Sequence (PS3.3 C.17.2) from what the source says of its requests. */
void put_requests(DcmItem &to, DcmItem &from) {
  DcmSequenceOfItems *requests = nullptr;
  if (from.findAndGetSequence(DCM_RequestAttributesSequence, requests).bad()) return;
  for (unsigned long i = 0; i < requests->card(); i++) {
    DcmItem &source = *requests->getItem(i),
            &item = ct_out::add_item(to, DCM_ReferencedRequestSequence);
    ct_out::copy_if_present(item, to, DCM_StudyInstanceUID);
    const DcmTagKey own[] = {DCM_ReferencedStudySequence, DCM_AccessionNumber,
                             DCM_RequestedProcedureID, DCM_RequestedProcedureDescription,
                             DCM_RequestedProcedureCodeSequence};
    const DcmTagKey all[] = {DCM_AccessionNumber, DCM_PlacerOrderNumberImagingServiceRequest,
                             DCM_FillerOrderNumberImagingServiceRequest};
    for (const DcmTagKey &tag : own) ct_out::copy_if_present(item, source, tag);
    for (const DcmTagKey &tag : all)
      if (!item.tagExists(tag)) ct_out::copy_if_present(item, from, tag);
    for (const DcmTagKey &tag : own)
      if (!item.tagExists(tag)) ct_out::check(item.insertEmptyElement(tag), tag);
    for (const DcmTagKey &tag : all)
      if (!item.tagExists(tag)) ct_out::check(item.insertEmptyElement(tag), tag);
  }
}

} // namespace

const struct ct_object_class ct_report_object = {UID_Comprehensive3DSRStorage, "SR"};

lc_status ct_report_write(const struct ct_report *report, const char *path, struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    require(*report);
    /* DCMTK fills its tables of codes at their first use, without a lock. */
    static std::mutex one_at_a_time;
    std::lock_guard<std::mutex> lock(one_at_a_time);
    auto object = ct_out::begin_object(report->about, ct_report_object);
    DcmItem &to = object->to();
    ct_out::put_content_time(to, object->from());
    Texts texts(ct_out::character_set(to));
    TID1500_MeasurementReport tree;
    build(tree, *report, texts);
    if (!tree.isValid()) throw OutFailure(LC_ERR_INTERNAL, "the report does not fit TID 1500");
    DSRDocument document(DSRTypes::DT_Comprehensive3DSR);
    check(document.setTreeFromRootTemplate(tree), "content tree");
    add_evidence(document, *report);
    add_schemes(document);
    check(document.completeDocument(), "completion");
    DcmDataset written;
    check(document.write(written), "report");
    copy_content(to, written);
    ct_report_add_groups(to, *report);
    put_requests(to, object->from());
    ct_out::write_file(object->file, path);
  });
}
