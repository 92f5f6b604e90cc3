// Builds the TID 1500 measurement report with DCMTK's classes, copies its content into an object of
// our own, and holds the codes of the known measurements.
#include "ct_io/dicom_write/ct_report.h"

#include <cmath>
#include <cstring>
#include <mutex>
#include <set>

#include <dcmtk/dcmsr/cmr/tid1500.h>
#include <dcmtk/dcmsr/dsrdoc.h>

#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_write/ct_derived_out.hpp"

namespace {

using ct_out::OutFailure;
using ct_out::put;

constexpr const char *private_scheme = "99LUNGCDAM";
constexpr const char *lidc_scheme = "99LIDCQIICR"; /* of the public re-encoding of LIDC-IDRI */
constexpr const char *disclaimer = "Research use only. Not for diagnosis.";

const DSRBasicCodedEntry comment_concept("121106", "DCM", "Comment");
const DSRBasicCodedEntry algorithm_name("111001", "DCM", "Algorithm Name");
const DSRBasicCodedEntry algorithm_version("111003", "DCM", "Algorithm Version");
const DSRCodedEntryValue english("en-US", "RFC5646", "English (US)");
const DSRBasicCodedEntry nodule("27925004", "SCT", "Nodule");
const DSRBasicCodedEntry lung("39607008", "SCT", "Lung");

void check(const OFCondition &condition, const char *what) {
  if (condition.bad())
    throw OutFailure(LC_ERR_INTERNAL, std::string(what) + ": " + condition.text());
}

void require(const ct_report &report) {
  if (report.n_findings == 0) throw OutFailure(LC_ERR_USAGE, "a report needs a finding");
  if (!report.model_name || !report.model_version)
    throw OutFailure(LC_ERR_USAGE, "a report names the model and its version");
  for (size_t i = 0; i < report.n_findings; i++) {
    const ct_finding &finding = report.findings[i];
    std::string name = "finding " + std::to_string(i + 1);
    if (!finding.tracking_id || !*finding.tracking_id || !ct_uid_valid(finding.tracking_uid))
      throw OutFailure(LC_ERR_USAGE, name + " needs a tracking identifier and a valid UID");
    if (finding.segmentation && finding.segment_number == 0)
      throw OutFailure(LC_ERR_USAGE, name + " names a segmentation, but no segment of it");
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
  DSRCodedEntryValue of(const ct_code &code) const {
    return {of(code.value), of(code.scheme), ct_out::to_set(code.meaning, set, 64, "a meaning")};
  }

private:
  std::string set;
};

/* DCMTK does not check the UIDs of the source, which may have letters. */
const OFBool as_they_are = OFFalse;

/* Measurements, texts and place of one nodule; both kinds of group have the same functions. */
template <class Group>
void fill_group(Group &group, const ct_finding &finding, const Texts &texts) {
  check(group.setTrackingIdentifier(texts.of(finding.tracking_id)), "tracking identifier");
  check(group.setTrackingUniqueIdentifier(finding.tracking_uid), "tracking UID");
  check(group.setFinding(nodule), "finding");
  check(group.addFindingSite(lung), "finding site");
  for (size_t i = 0; i < finding.n_measurements; i++) {
    const ct_measurement &m = finding.measurements[i];
    std::string number = ct_out::decimal_string(m.value);
    typename Group::MeasurementValue value;
    check(value.setValue(number, texts.of(m.units)), m.quantity.meaning);
    check(group.addMeasurement(texts.of(m.quantity), value, OFFalse), m.quantity.meaning);
  }
  if (finding.comment)
    check(group.addQualitativeEvaluation(comment_concept, texts.of(finding.comment)), "comment");
}

void add_finding(TID1500_MeasurementReport &tree, const ct_report &report,
                 const ct_finding &finding, const Texts &texts) {
  std::string model = texts.of(report.model_name), version = texts.of(report.model_version);
  if (!finding.segmentation) {
    check(tree.addIndividualMeasurements(OFFalse), "measurement group");
    auto &group = tree.getIndividualMeasurements();
    fill_group(group, finding, texts);
    check(group.addQualitativeEvaluation(algorithm_name, model), "algorithm name");
    check(group.addQualitativeEvaluation(algorithm_version, version), "algorithm version");
    return;
  }
  check(tree.addVolumetricROIMeasurements(OFFalse), "measurement group");
  auto &group = tree.getVolumetricROIMeasurements();
  DSRImageReferenceValue segment(finding.segmentation->sop_class_uid,
                                 finding.segmentation->sop_instance_uid);
  segment.getSegmentList().addItem(static_cast<Uint16>(finding.segment_number));
  check(group.setReferencedSegment(segment), "referenced segment");
  check(group.setSourceSeriesForSegmentation(report.about.source->series_instance_uid, as_they_are),
        "source series");
  fill_group(group, finding, texts);
  check(group.addQualitativeEvaluation(algorithm_name, model), "algorithm name");
  check(group.addQualitativeEvaluation(algorithm_version, version), "algorithm version");
}

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
  for (size_t i = 0; i < report.n_findings; i++)
    add_finding(tree, report, report.findings[i], texts);
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

bool uses_scheme(const ct_report &report, const char *scheme) {
  for (size_t i = 0; i < report.n_findings; i++)
    for (size_t k = 0; k < report.findings[i].n_measurements; k++)
      if (strcmp(report.findings[i].measurements[k].quantity.scheme, scheme) == 0) return true;
  return false;
}

void add_schemes(DSRDocument &document, const ct_report &report) {
  auto &schemes = document.getCodingSchemeIdentification();
  if (uses_scheme(report, private_scheme)) {
    check(schemes.addItem(private_scheme), "coding scheme");
    check(schemes.setCodingSchemeName("lungcdam: outputs of a model by name"), "coding scheme");
  }
  if (uses_scheme(report, lidc_scheme)) {
    check(schemes.addItem(lidc_scheme), "coding scheme");
    check(schemes.setCodingSchemeName("LIDC-IDRI ratings, QIICR re-encoding"), "coding scheme");
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

} // namespace

const struct ct_object_class ct_report_object = {UID_ComprehensiveSRStorage, "SR"};

struct ct_measurement ct_measurement_named(const char *name, double value) {
  static const struct {
    const char *name;
    ct_code quantity, units;
  } known[] = {
      {"malignancy", {"RID36042", "RADLEX", "Malignancy"}, {"1", "UCUM", "no units"}},
      {"diameter", {"81827009", "SCT", "Diameter"}, {"mm", "UCUM", "millimeter"}},
      {"subtlety", {"C45992", "NCIt", "Subtlety score"}, {"{score}", "UCUM", "score"}},
      {"calcification", {"C3672", "NCIt", "Calcification"}, {"{score}", "UCUM", "score"}},
      {"margin", {"C25563", "NCIt", "Margin"}, {"{score}", "UCUM", "score"}},
      {"lobulation", {"C62175", "NCIt", "Lobular Pattern"}, {"{score}", "UCUM", "score"}},
      {"spiculation", {"C28749", "NCIt", "Spiculation"}, {"{score}", "UCUM", "score"}},
      {"texture", {"C41144", "NCIt", "Texture"}, {"{score}", "UCUM", "score"}},
      {"sphericity", {"400", lidc_scheme, "Sphericity"}, {"{score}", "UCUM", "score"}},
  };
  const char *dot = strrchr(name, '.');
  const char *last = dot && dot[1] ? dot + 1 : name;
  for (const auto &entry : known)
    if (strcmp(entry.name, last) == 0) return {entry.quantity, entry.units, value};
  return {{name, private_scheme, name}, {"1", "UCUM", "no units"}, value};
}

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
    DSRDocument document(DSRTypes::DT_ComprehensiveSR);
    check(document.setTreeFromRootTemplate(tree), "content tree");
    add_evidence(document, *report);
    add_schemes(document, *report);
    check(document.completeDocument(), "completion");
    DcmDataset written;
    check(document.write(written), "report");
    copy_content(to, written);
    ct_out::write_file(object->file, path);
  });
}
