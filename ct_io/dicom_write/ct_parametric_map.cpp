// Writes a map as a Parametric Map object: float pixels of one plane, and the meaning of the values
// in Real World Value Mapping.
#include "ct_io/dicom_write/ct_parametric_map.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_write/ct_derived_out.hpp"

namespace {

using ct_out::add_code;
using ct_out::add_item;
using ct_out::Code;
using ct_out::OutFailure;
using ct_out::put;
using ct_out::put_us;

const Code saliency = {"130404", "DCM", "Saliency"};
const Code quantity_concept = {"246205007", "SCT", "Quantity"};
const Code tracking_identifier = {"112039", "DCM", "Tracking Identifier"};
const Code tracking_uid = {"112040", "DCM", "Tracking Unique Identifier"};
const Code chest = {"51185008", "SCT", "Chest"};
const Code no_units = {"1", "UCUM", "no units"};

constexpr const char *image_type = "DERIVED\\PRIMARY\\VOLUME\\NONE";

/* Smallest and largest value, and zero. */
struct Range {
  double low = 0, high = 0;
  double scale() const { return std::max({std::fabs(low), std::fabs(high), 1e-6}); }
};

Range require(const ct_parametric_map &map) {
  size_t count = map.plane.rows * map.plane.columns;
  if (!map.values || count == 0) throw OutFailure(LC_ERR_USAGE, "a parametric map needs values");
  if (!map.tracking_id != !map.tracking_uid ||
      (map.tracking_uid && !ct_uid_valid(map.tracking_uid)))
    throw OutFailure(LC_ERR_USAGE,
                     "a parametric map needs a tracking identifier and a valid UID, or none");
  if (!map.quantity || strlen(map.quantity) > 16)
    throw OutFailure(LC_ERR_USAGE, "a parametric map needs a quantity of at most 16 characters");
  Range range;
  for (size_t k = 0; k < count; k++) {
    double value = static_cast<double>(map.values[k]);
    if (!std::isfinite(value)) throw OutFailure(LC_ERR_NUMERIC, "holds a value that is no number");
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  }
  return range;
}

void put_image(DcmItem &to, const ct_parametric_map &map) {
  put(to, DCM_ImageType, image_type);
  ct_out::put_comments(to, map.about);
  ct_out::put_content_identification(to, map.about);
  put(to, DCM_ContentQualification, "RESEARCH");
  put(to, DCM_BurnedInAnnotation, "NO");
  put(to, DCM_RecognizableVisualFeatures, "NO");
  put(to, DCM_PresentationLUTShape, "IDENTITY");
  put_us(to, DCM_SamplesPerPixel, 1);
  put(to, DCM_PhotometricInterpretation, "MONOCHROME2");
  put_us(to, DCM_Rows, map.plane.rows);
  put_us(to, DCM_Columns, map.plane.columns);
  put_us(to, DCM_BitsAllocated, 32);
  put(to, DCM_NumberOfFrames, "1");
  ct_out::check(to.insertEmptyElement(DCM_AcquisitionContextSequence),
                DCM_AcquisitionContextSequence);
}

void put_value_mapping(DcmItem &groups, const ct_parametric_map &map, const Range &range,
                       const std::string &set) {
  DcmItem &item = add_item(groups, DCM_RealWorldValueMappingSequence);
  const struct {
    DcmTagKey tag;
    double value;
  } numbers[] = {{DCM_DoubleFloatRealWorldValueFirstValueMapped, range.low},
                 {DCM_DoubleFloatRealWorldValueLastValueMapped, range.high},
                 {DCM_RealWorldValueIntercept, 0},
                 {DCM_RealWorldValueSlope, 1}};
  for (const auto &number : numbers)
    ct_out::check(item.putAndInsertFloat64(number.tag, number.value), number.tag);
  put(item, DCM_LUTExplanation, "Signed score of a patch for the target");
  ct_out::put_utf8(item, DCM_LUTLabel, map.quantity, set);
  add_code(item, DCM_MeasurementUnitsCodeSequence, no_units);
  DcmItem &quantity = add_item(item, DCM_QuantityDefinitionSequence);
  put(quantity, DCM_ValueType, "CODE");
  add_code(quantity, DCM_ConceptNameCodeSequence, quantity_concept);
  add_code(quantity, DCM_ConceptCodeSequence,
           map.about.is_class_activation ? ct_out::class_activation : saliency);
  if (!map.tracking_id) return;
  DcmItem &name = add_item(item, DCM_QuantityDefinitionSequence);
  put(name, DCM_ValueType, "TEXT");
  add_code(name, DCM_ConceptNameCodeSequence, tracking_identifier);
  ct_out::put_utf8(name, DCM_TextValue, map.tracking_id, set);
  DcmItem &uid = add_item(item, DCM_QuantityDefinitionSequence);
  put(uid, DCM_ValueType, "UIDREF");
  add_code(uid, DCM_ConceptNameCodeSequence, tracking_uid);
  put(uid, DCM_UID, map.tracking_uid);
}

void put_anatomy(DcmItem &groups) {
  DcmItem &item = add_item(groups, DCM_FrameAnatomySequence);
  put(item, DCM_FrameLaterality, "U");
  add_code(item, DCM_AnatomicRegionSequence, chest);
}

void put_groups(DcmItem &to, const ct_parametric_map &map, const Range &range) {
  std::string set = ct_out::character_set(to);
  DcmItem &groups = add_item(to, DCM_SharedFunctionalGroupsSequence);
  put(add_item(groups, DCM_ParametricMapFrameTypeSequence), DCM_FrameType, image_type);
  DcmItem &identity = add_item(groups, DCM_PixelValueTransformationSequence);
  put(identity, DCM_RescaleIntercept, "0");
  put(identity, DCM_RescaleSlope, "1");
  put(identity, DCM_RescaleType, "US");
  DcmItem &window = add_item(groups, DCM_FrameVOILUTSequence);
  put(window, DCM_WindowCenter, "0");
  put(window, DCM_WindowWidth, ct_out::decimal_string(2 * range.scale()));
  put(window, DCM_VOILUTFunction, "LINEAR_EXACT");
  put_value_mapping(groups, map, range, set);
  put_anatomy(groups);
  ct_out::put_pixel_measures(groups, map.plane, map.plane.thickness_mm);
  ct_out::put_plane_orientation(groups, map.plane);
  ct_out::put_derivation_image(groups, map.about, map.about.source_slices,
                               map.about.n_source_slices, set);
  DcmItem &frame = add_item(to, DCM_PerFrameFunctionalGroupsSequence);
  ct_out::put_plane_position(frame, map.plane);
  ct_out::put_frame_content(frame, {1});
}

void put_pixels(DcmItem &to, const ct_parametric_map &map) {
  auto pixels = std::make_unique<DcmOtherFloat>(DcmTag(DCM_FloatPixelData, EVR_OF));
  ct_out::check(pixels->putFloat32Array(
                    map.values, static_cast<unsigned long>(map.plane.rows * map.plane.columns)),
                DCM_FloatPixelData);
  ct_out::check(to.insert(pixels.get()), DCM_FloatPixelData);
  (void)pixels.release(); /* the dataset's from here on */
}

} // namespace

const struct ct_object_class ct_parametric_map_object = {UID_ParametricMapStorage, "OT"};

lc_status ct_parametric_map_write(const struct ct_parametric_map *map, const char *path,
                                  struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    Range range = require(*map);
    auto object = ct_out::begin_image(map->about, ct_parametric_map_object);
    DcmItem &to = object->to(), &from = object->from();
    /* The frame says where it lies; the series' side may then not even be empty. */
    to.findAndDeleteElement(DCM_Laterality);
    ct_out::put_content_time(to, from);
    ct_out::put_enhanced_equipment(to);
    put_image(to, *map);
    ct_out::put_lossy_history(to, from, *map->about.source);
    ct_out::put_dimensions(
        to, map->about,
        {{DCM_ImagePositionPatient, DCM_PlanePositionSequence, "Image Position (Patient)"}});
    put_groups(to, *map, range);
    put_pixels(to, *map);
    ct_out::write_file(object->file, path);
  });
}
