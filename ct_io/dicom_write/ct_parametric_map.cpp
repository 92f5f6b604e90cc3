// Writes maps as a Parametric Map object: float pixels, one stack for each orientation, and the
// meaning of the values in Real World Value Mapping.
#include "ct_io/dicom_write/ct_parametric_map.h"

#include <algorithm>
#include <cmath>
#include <cstring>

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
const Code no_units = {"1", "UCUM", "no units"};

constexpr const char *image_type = "DERIVED\\PRIMARY\\VOLUME\\NONE";

/* Smallest and largest value of all frames. */
struct Range {
  double low = 0, high = 0;
  double scale() const { return std::max({std::fabs(low), std::fabs(high), 1e-6}); }
};

Range require(const ct_parametric_map &map) {
  if (map.n_frames == 0) throw OutFailure(LC_ERR_USAGE, "a parametric map needs a frame");
  if (!map.quantity || strlen(map.quantity) > 16)
    throw OutFailure(LC_ERR_USAGE, "a parametric map needs a quantity of at most 16 characters");
  const ct_plane &first = map.frames[0].plane;
  Range range;
  for (size_t i = 0; i < map.n_frames; i++) {
    const ct_map_frame &frame = map.frames[i];
    std::string name = "frame " + std::to_string(i + 1);
    size_t count = frame.plane.rows * frame.plane.columns;
    if (!frame.values || count == 0) throw OutFailure(LC_ERR_USAGE, name + " has no values");
    if (frame.plane.rows != first.rows || frame.plane.columns != first.columns)
      throw OutFailure(LC_ERR_USAGE, name + " has another size than frame 1");
    if (frame.n_source_slices == 0)
      throw OutFailure(LC_ERR_USAGE, name + " names at least one slice of its source");
    for (size_t k = 0; k < count; k++) {
      double value = static_cast<double>(frame.values[k]);
      if (!std::isfinite(value))
        throw OutFailure(LC_ERR_NUMERIC, name + " holds a value that is no number");
      range.low = std::min(range.low, value);
      range.high = std::max(range.high, value);
    }
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
  put_us(to, DCM_Rows, map.frames[0].plane.rows);
  put_us(to, DCM_Columns, map.frames[0].plane.columns);
  put_us(to, DCM_BitsAllocated, 32);
  put(to, DCM_NumberOfFrames, std::to_string(map.n_frames));
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
}

void put_shared(DcmItem &to, const ct_parametric_map &map, const Range &range) {
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
  put_value_mapping(groups, map, range, ct_out::character_set(to));
}

/* Frames of one orientation are one stack, counted from 1 in the order given. */
void put_frames(DcmItem &to, const ct_parametric_map &map) {
  std::string set = ct_out::character_set(to);
  std::vector<std::pair<const ct_plane *, uint32_t>> stacks;
  for (size_t i = 0; i < map.n_frames; i++) {
    const ct_map_frame &frame = map.frames[i];
    auto same = [&](const auto &stack) {
      return std::equal(frame.plane.orientation, frame.plane.orientation + 6,
                        stack.first->orientation);
    };
    auto stack = std::find_if(stacks.begin(), stacks.end(), same);
    if (stack == stacks.end()) stack = stacks.insert(stacks.end(), {&frame.plane, 0});
    auto number = static_cast<uint32_t>(stack - stacks.begin()) + 1;
    uint32_t position = ++stack->second;
    DcmItem &groups = add_item(to, DCM_PerFrameFunctionalGroupsSequence);
    ct_out::put_pixel_measures(groups, frame.plane);
    ct_out::put_plane_position(groups, frame.plane);
    ct_out::put_plane_orientation(groups, frame.plane);
    ct_out::put_frame_in_stack(groups, number, position);
    ct_out::put_derivation_image(groups, map.about, frame.source_slices, frame.n_source_slices,
                                 set);
  }
}

void put_pixels(DcmItem &to, const ct_parametric_map &map) {
  size_t count = map.frames[0].plane.rows * map.frames[0].plane.columns;
  std::vector<Float32> all;
  all.reserve(count * map.n_frames);
  for (size_t i = 0; i < map.n_frames; i++)
    all.insert(all.end(), map.frames[i].values, map.frames[i].values + count);
  auto pixels = std::make_unique<DcmOtherFloat>(DcmTag(DCM_FloatPixelData, EVR_OF));
  ct_out::check(pixels->putFloat32Array(all.data(), static_cast<unsigned long>(all.size())),
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
    ct_out::put_content_time(to, from);
    ct_out::put_enhanced_equipment(to);
    put_image(to, *map);
    ct_out::put_lossy_history(to, from, *map->about.source);
    ct_out::put_dimensions(
        to, map->about,
        {{DCM_StackID, DCM_FrameContentSequence, "Stack ID"},
         {DCM_InStackPositionNumber, DCM_FrameContentSequence, "In-Stack Position Number"}});
    put_shared(to, *map, range);
    put_frames(to, *map);
    put_pixels(to, *map);
    ct_out::write_file(object->file, path);
  });
}
