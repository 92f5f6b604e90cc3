// Writes the attributes that all derived objects share: identification, derivation, functional
// groups (pixel measures, plane position and orientation, derivation image), dimensions.
#include "ct_io/dicom_write/ct_derived_out.hpp"

#include <strings.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ct_io/ct/ct_uid.h"

namespace ct_out {

namespace {

const char research_use[] = "research use only";

bool says_research_use(const char *text) {
  return text && strcasestr(text, research_use) != nullptr;
}

void require(const ct_derived &about) {
  const ct_series &source = *about.source;
  if (!ct_uid_valid(about.series_instance_uid) || !ct_uid_valid(about.sop_instance_uid))
    throw OutFailure(LC_ERR_USAGE, "a derived object needs valid series and SOP instance UIDs");
  if (strcmp(about.series_instance_uid, source.series_instance_uid) == 0)
    throw OutFailure(LC_ERR_USAGE, "a derived object cannot join its source series");
  if (!says_research_use(about.series_description))
    throw OutFailure(LC_ERR_USAGE, "SeriesDescription must say \"research use only\"");
  if (about.n_source_slices == 0)
    throw OutFailure(LC_ERR_USAGE, "a derived object names at least one slice of its source");
  for (size_t i = 0; i < about.n_source_slices; i++)
    if (about.source_slices[i] >= source.n_slices)
      throw OutFailure(LC_ERR_USAGE, "source slice " + std::to_string(about.source_slices[i]) +
                                         " of a series with " + std::to_string(source.n_slices));
}

std::string first_value(DcmItem &from, std::initializer_list<DcmTagKey> tags,
                        const char *otherwise) {
  for (const DcmTagKey &tag : tags) {
    OFString value;
    if (from.findAndGetOFString(tag, value).good() && !value.empty()) return value;
  }
  return otherwise;
}

std::string uid_of(const char *uid_from, const char *role) {
  char uid[CT_UID_SIZE];
  const char *parts[] = {uid_from, role};
  lc_error err = {};
  check(ct_uid_make(uid, nullptr, parts, 2, &err), err);
  return uid;
}

} // namespace

std::string frame_of_reference(const ct_series &series) {
  return series.frame_of_reference_uid[0]
             ? series.frame_of_reference_uid
             : uid_of(series.series_instance_uid, "frame of reference");
}

std::unique_ptr<Object> begin_object(const ct_derived &about, const ct_object_class &kind) {
  require(about);
  auto object = std::make_unique<Object>();
  object->source_file = load_header(about.source->slices[about.source_slices[0]]);
  DcmItem &from = object->from(), &to = object->to();
  copy_patient_and_study(to, from, *about.source);
  put(to, DCM_Modality, kind.modality);
  put(to, DCM_SeriesInstanceUID, about.series_instance_uid);
  put(to, DCM_SeriesNumber, std::to_string(about.series_number));
  put_utf8(to, DCM_SeriesDescription, about.series_description);
  put_equipment(to, from, about.software_version);
  put(to, DCM_SOPClassUID, kind.sop_class_uid);
  put(to, DCM_SOPInstanceUID, about.sop_instance_uid);
  put(to, DCM_InstanceNumber, std::to_string(about.instance_number));
  return object;
}

void put_body_part(DcmItem &to, DcmItem &from) {
  /* The defined terms of PS3.16 annex L for the trunk and head that do not come in pairs. */
  static const char *const unpaired[] = {"ABDOMEN",
                                         "ABDOMENPELVIS",
                                         "AORTA",
                                         "BRAIN",
                                         "CHEST",
                                         "CHESTABDOMEN",
                                         "CHESTABDPELVIS",
                                         "CSPINE",
                                         "ESOPHAGUS",
                                         "HEAD",
                                         "HEADNECK",
                                         "HEART",
                                         "LIVER",
                                         "LSPINE",
                                         "MEDIASTINUM",
                                         "NECK",
                                         "NECKCHEST",
                                         "NECKCHESTABDOMEN",
                                         "NECKCHESTABDPELV",
                                         "PANCREAS",
                                         "PELVIS",
                                         "SKULL",
                                         "SPINE",
                                         "SPLEEN",
                                         "STERNUM",
                                         "TRACHEA",
                                         "TSPINE",
                                         "WHOLEBODY"};
  copy_if_present(to, from, DCM_BodyPartExamined);
  copy_if_present(to, from, DCM_Laterality);
  OFString part;
  to.findAndGetOFString(DCM_BodyPartExamined, part);
  bool known = std::any_of(std::begin(unpaired), std::end(unpaired),
                           [&](const char *name) { return part == name; });
  if (!known && !to.tagExists(DCM_Laterality)) put(to, DCM_Laterality, "");
}

std::unique_ptr<Object> begin_image(const ct_derived &about, const ct_object_class &kind) {
  auto object = begin_object(about, kind);
  copy_frame_of_reference(object->to(), object->from(), *about.source);
  bool must_have = strcmp(kind.sop_class_uid, UID_SecondaryCaptureImageStorage) != 0;
  if (must_have && !object->to().tagExistsWithValue(DCM_FrameOfReferenceUID)) {
    put(object->to(), DCM_FrameOfReferenceUID, frame_of_reference(*about.source));
    put(object->to(), DCM_PositionReferenceIndicator, "");
  }
  put_source_series(object->to(), *about.source, about.source_slices, about.n_source_slices);
  copy_times(object->to(), object->from());
  put_body_part(object->to(), object->from());
  return object;
}

void put_comments(DcmItem &to, const ct_derived &about) {
  std::string comments = about.image_comments ? about.image_comments : "";
  if (!says_research_use(comments.c_str()))
    comments = "Research use only." + (comments.empty() ? "" : " " + comments);
  put_utf8(to, DCM_ImageComments, comments.c_str());
}

void put_derivation(DcmItem &to, const ct_derived &about, const std::string &set,
                    const Code &first) {
  put_utf8(to, DCM_DerivationDescription, about.derivation_description, set);
  add_code(to, DCM_DerivationCodeSequence, first);
  if (about.is_class_activation) add_code(to, DCM_DerivationCodeSequence, class_activation);
}

std::string first_date(DcmItem &from) {
  return first_value(from, {DCM_ContentDate, DCM_AcquisitionDate, DCM_SeriesDate, DCM_StudyDate},
                     "19000101");
}

std::string first_time(DcmItem &from) {
  return first_value(from, {DCM_ContentTime, DCM_AcquisitionTime, DCM_SeriesTime, DCM_StudyTime},
                     "000000");
}

void put_content_time(DcmItem &to, DcmItem &from) {
  put(to, DCM_ContentDate, first_date(from));
  put(to, DCM_ContentTime, first_time(from));
}

void put_content_identification(DcmItem &to, const ct_derived &about) {
  put_utf8(to, DCM_ContentLabel, about.content_label ? about.content_label : "CDAM");
  put_utf8(to, DCM_ContentDescription, about.content_description);
  put(to, DCM_ContentCreatorName, "");
}

void put_enhanced_equipment(DcmItem &to) {
  put(to, DCM_DeviceSerialNumber, "none (software)");
}

void put_pixel_measures(DcmItem &groups, const ct_plane &plane, double between_slices_mm) {
  DcmItem &item = add_item(groups, DCM_PixelMeasuresSequence);
  put(item, DCM_PixelSpacing,
      decimal_strings({plane.pixel_spacing_mm[0], plane.pixel_spacing_mm[1]}));
  if (plane.thickness_mm > 0) put(item, DCM_SliceThickness, decimal_string(plane.thickness_mm));
  if (between_slices_mm > 0) put(item, DCM_SpacingBetweenSlices, decimal_string(between_slices_mm));
}

void put_plane_position(DcmItem &groups, const ct_plane &plane) {
  DcmItem &item = add_item(groups, DCM_PlanePositionSequence);
  const double *p = plane.position_mm;
  put(item, DCM_ImagePositionPatient, decimal_strings({p[0], p[1], p[2]}));
}

void put_plane_orientation(DcmItem &groups, const ct_plane &plane) {
  DcmItem &item = add_item(groups, DCM_PlaneOrientationSequence);
  const double *o = plane.orientation;
  put(item, DCM_ImageOrientationPatient, decimal_strings({o[0], o[1], o[2], o[3], o[4], o[5]}));
}

void put_derivation_image(DcmItem &groups, const ct_derived &about, const size_t *slices,
                          size_t n_slices, const std::string &set, const Code &first,
                          bool spatial_locations_preserved) {
  DcmItem &item = add_item(groups, DCM_DerivationImageSequence);
  put_derivation(item, about, set, first);
  put_source_images(item, *about.source, slices, n_slices, spatial_locations_preserved);
}

namespace {

DcmItem &add_frame_content(DcmItem &groups, const std::vector<Uint32> &dimension_values) {
  DcmItem &item = add_item(groups, DCM_FrameContentSequence);
  check(item.putAndInsertUint32Array(DCM_DimensionIndexValues, dimension_values.data(),
                                     static_cast<unsigned long>(dimension_values.size())),
        DCM_DimensionIndexValues);
  return item;
}

} // namespace

void put_frame_content(DcmItem &groups, std::initializer_list<uint32_t> dimension_values) {
  add_frame_content(groups, dimension_values);
}

void put_frame_in_stack(DcmItem &groups, uint32_t stack, uint32_t position) {
  DcmItem &item = add_frame_content(groups, {stack, position});
  put(item, DCM_StackID, std::to_string(stack));
  check(item.putAndInsertUint32(DCM_InStackPositionNumber, position), DCM_InStackPositionNumber);
}

void put_dimensions(DcmItem &to, const ct_derived &about,
                    std::initializer_list<Dimension> dimensions) {
  std::string uid = uid_of(about.sop_instance_uid, "dimension organization");
  put(add_item(to, DCM_DimensionOrganizationSequence), DCM_DimensionOrganizationUID, uid);
  for (const Dimension &dimension : dimensions) {
    DcmItem &item = add_item(to, DCM_DimensionIndexSequence);
    put(item, DCM_DimensionOrganizationUID, uid);
    check(item.putAndInsertTagKey(DCM_DimensionIndexPointer, dimension.index),
          DCM_DimensionIndexPointer);
    check(item.putAndInsertTagKey(DCM_FunctionalGroupPointer, dimension.group),
          DCM_FunctionalGroupPointer);
    put(item, DCM_DimensionDescriptionLabel, dimension.label);
  }
}

} // namespace ct_out

lc_status ct_source_check_anonymised(const struct ct_series *source, struct lc_error *err) {
  return ct_out::border(source->series_instance_uid, err, [&] {
    for (size_t i = 0; i < source->n_slices; i++) {
      const ct_slice &slice = source->slices[i];
      if (i > 0 && strcmp(slice.path, source->slices[i - 1].path) == 0) continue;
      auto file = ct_out::load_header(slice);
      OFString removed, burned;
      file->getDataset()->findAndGetOFString(DCM_PatientIdentityRemoved, removed);
      file->getDataset()->findAndGetOFString(DCM_BurnedInAnnotation, burned);
      if (removed != "YES")
        throw ct_out::OutFailure(LC_ERR_UNSUPPORTED,
                                 std::string(slice.path) + ": PatientIdentityRemoved is \"" +
                                     removed + "\", expected YES of an anonymised series",
                                 true);
      if (burned == "YES")
        throw ct_out::OutFailure(LC_ERR_UNSUPPORTED,
                                 std::string(slice.path) +
                                     ": BurnedInAnnotation is YES: its pixels may name the patient",
                                 true);
    }
  });
}
