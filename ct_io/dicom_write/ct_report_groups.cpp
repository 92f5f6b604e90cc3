// Writes the measurement groups of a report: TID 1411 where a nodule has a segment, else TID 1410.
#include "ct_io/dicom_write/ct_report_groups.hpp"

namespace {

using ct_out::add_item;
using ct_out::check;
using ct_out::Code;
using ct_out::OutFailure;
using ct_out::put;
using ct_out::put_utf8;

constexpr const char *imaging_measurements = "126010"; /* DCM */
const Code measurement_group = {"125007", "DCM", "Measurement Group"};
const Code observer_type = {"121005", "DCM", "Observer Type"};
const Code person = {"121006", "DCM", "Person"};
const Code observer_name = {"121008", "DCM", "Person Observer Name"};
const Code tracking_identifier = {"112039", "DCM", "Tracking Identifier"};
const Code tracking_uid = {"112040", "DCM", "Tracking Unique Identifier"};
const Code finding_concept = {"121071", "DCM", "Finding"};
const Code finding_site = {"363698007", "SCT", "Finding Site"};
const Code nodule = {"27925004", "SCT", "Nodule"};
const Code lung = {"39607008", "SCT", "Lung"};
const Code algorithm_name = {"111001", "DCM", "Algorithm Name"};
const Code algorithm_version = {"111003", "DCM", "Algorithm Version"};
const Code algorithm_parameters = {"111002", "DCM", "Algorithm Parameters"};
const Code measurement_method = {"370129005", "SCT", "Measurement Method"};
const Code predicted = {"predicted", "99LUNGCDAM", "Predicted by a neural network"};
const Code referenced_segment = {"121191", "DCM", "Referenced Segment"};
const Code source_series = {"121232", "DCM", "Source series for segmentation"};
const Code image_region = {"111030", "DCM", "Image Region"};
const Code comment = {"121106", "DCM", "Comment"};

/* One report on its way. */
struct Groups {
  const ct_report &report;
  std::string set, frame_of_reference;

  void put_code(DcmItem &item, const DcmTagKey &sequence, const ct_code &code) const {
    DcmItem &entry = add_item(item, sequence);
    put_utf8(entry, DCM_CodeValue, code.value, set);
    put_utf8(entry, DCM_CodingSchemeDesignator, code.scheme, set);
    put_utf8(entry, DCM_CodeMeaning, code.meaning, set);
  }

  static DcmItem &content(DcmItem &parent, const char *relation, const char *type,
                          const Code &name) {
    DcmItem &item = add_item(parent, DCM_ContentSequence);
    put(item, DCM_RelationshipType, relation);
    put(item, DCM_ValueType, type);
    ct_out::add_code(item, DCM_ConceptNameCodeSequence, name);
    return item;
  }

  static void code(DcmItem &parent, const char *relation, const Code &name, const Code &value) {
    ct_out::add_code(content(parent, relation, "CODE", name), DCM_ConceptCodeSequence, value);
  }

  void text(DcmItem &parent, const char *relation, const Code &name, const char *value) const {
    put_utf8(content(parent, relation, "TEXT", name), DCM_TextValue, value, set);
  }

  static void uid(DcmItem &parent, const char *relation, const Code &name, const char *value) {
    put(content(parent, relation, "UIDREF", name), DCM_UID, value);
  }

  /* The segment of the nodule, or its centre. */
  void place(DcmItem &group, const ct_finding &finding) const {
    if (const ct_reference *segmentation = finding.segmentation) {
      DcmItem &object = add_item(content(group, "CONTAINS", "IMAGE", referenced_segment),
                                 DCM_ReferencedSOPSequence);
      put(object, DCM_ReferencedSOPClassUID, segmentation->sop_class_uid);
      put(object, DCM_ReferencedSOPInstanceUID, segmentation->sop_instance_uid);
      ct_out::put_us(object, DCM_ReferencedSegmentNumber, finding.segment_number);
      uid(group, "CONTAINS", source_series, report.about.source->series_instance_uid);
      return;
    }
    const double *at = finding.centre_mm;
    const Float32 point[] = {static_cast<Float32>(at[0]), static_cast<Float32>(at[1]),
                             static_cast<Float32>(at[2])};
    DcmItem &region = content(group, "CONTAINS", "SCOORD3D", image_region);
    check(region.putAndInsertFloat32Array(DCM_GraphicData, point, 3), DCM_GraphicData);
    put(region, DCM_GraphicType, "POINT");
    put(region, DCM_ReferencedFrameOfReferenceUID, frame_of_reference);
  }

  /* What a group of the model and of a reader have in common. */
  DcmItem &begin(DcmItem &container, const ct_finding &finding, const char *reader) const {
    DcmItem &group = content(container, "CONTAINS", "CONTAINER", measurement_group);
    put(group, DCM_ContinuityOfContent, "SEPARATE");
    DcmItem &pattern = add_item(group, DCM_ContentTemplateSequence);
    put(pattern, DCM_MappingResource, "DCMR");
    put(pattern, DCM_TemplateIdentifier, finding.segmentation ? "1411" : "1410");
    if (reader) {
      code(group, "HAS OBS CONTEXT", observer_type, person);
      put_utf8(content(group, "HAS OBS CONTEXT", "PNAME", observer_name), DCM_PersonName, reader,
               set);
    }
    text(group, "HAS OBS CONTEXT", tracking_identifier, finding.tracking_id);
    uid(group, "HAS OBS CONTEXT", tracking_uid, finding.tracking_uid);
    code(group, "CONTAINS", finding_concept, nodule);
    place(group, finding);
    code(group, "HAS CONCEPT MOD", finding_site, lung);
    return group;
  }

  void of_model(DcmItem &container, const ct_finding &finding) const {
    DcmItem &group = begin(container, finding, nullptr);
    text(group, "HAS CONCEPT MOD", algorithm_name, report.model_name);
    text(group, "HAS CONCEPT MOD", algorithm_version, report.model_version);
    text(group, "HAS CONCEPT MOD", algorithm_parameters, report.parameters);
    for (size_t i = 0; i < finding.n_measurements; i++) {
      const ct_measurement &m = finding.measurements[i];
      DcmItem &item = add_item(group, DCM_ContentSequence);
      put(item, DCM_RelationshipType, "CONTAINS");
      put(item, DCM_ValueType, "NUM");
      put_code(item, DCM_ConceptNameCodeSequence, m.quantity);
      DcmItem &value = add_item(item, DCM_MeasuredValueSequence);
      put(value, DCM_NumericValue, ct_out::decimal_string(m.value));
      put_code(value, DCM_MeasurementUnitsCodeSequence, m.units);
      code(item, "HAS CONCEPT MOD", measurement_method, predicted);
    }
    if (finding.comment) text(group, "CONTAINS", comment, finding.comment);
  }

  void of_reader(DcmItem &container, const ct_finding &finding, const ct_opinion &opinion) const {
    DcmItem &group = begin(container, finding, opinion.reader);
    for (size_t i = 0; i < opinion.n_evaluations; i++) {
      DcmItem &item = add_item(group, DCM_ContentSequence);
      put(item, DCM_RelationshipType, "CONTAINS");
      put(item, DCM_ValueType, "CODE");
      put_code(item, DCM_ConceptNameCodeSequence, opinion.evaluations[i].name);
      put_code(item, DCM_ConceptCodeSequence, opinion.evaluations[i].value);
    }
  }
};

} // namespace

void ct_report_add_groups(DcmItem &to, const ct_report &report) {
  DcmSequenceOfItems *contents = nullptr;
  DcmItem *container = nullptr;
  check(to.findAndGetSequence(DCM_ContentSequence, contents), DCM_ContentSequence);
  for (unsigned long i = 0; i < contents->card() && !container; i++) {
    DcmItem *name = nullptr;
    OFString value;
    contents->getItem(i)->findAndGetSequenceItem(DCM_ConceptNameCodeSequence, name);
    if (name && name->findAndGetOFString(DCM_CodeValue, value).good() &&
        value == imaging_measurements)
      container = contents->getItem(i);
  }
  if (!container) throw OutFailure(LC_ERR_INTERNAL, "the report has no place for measurements");
  const Groups groups = {report, ct_out::character_set(to),
                         ct_out::frame_of_reference(*report.about.source)};
  for (size_t i = 0; i < report.n_findings; i++) {
    const ct_finding &finding = report.findings[i];
    groups.of_model(*container, finding);
    for (size_t k = 0; k < finding.n_opinions; k++)
      groups.of_reader(*container, finding, finding.opinions[k]);
  }
}
