// Writes masks as a binary Segmentation object: one frame for each segment and plane that has
// pixels, one bit a pixel (PS3.5 8.1.1).
#include "ct_io/dicom_write/ct_segmentation.h"

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
using ct_out::put_utf8;

const Code lung = {"39607008", "SCT", "Lung"};

/* What each kind of segment is, and the colour it is shown in: CIELab as PS3.3 C.10.7.1.1 scales
 * it, of the overlay's outline (yellow green) and of its positive end (orange). */
const struct {
  Code category, type;
  const char *algorithm_type;
  Uint16 lab[3];
} kinds[] = {
    {{"49755003", "SCT", "Morphologically Abnormal Structure"},
     {"27925004", "SCT", "Nodule"},
     "MANUAL",
     {61493, 22661, 52322}},
    {{"309825002", "SCT", "Spatial and Relational Concept"},
     {"111099", "DCM", "Selected region"},
     "AUTOMATIC",
     {41786, 45056, 51328}},
};

/* One plane of one segment that has pixels. */
struct Frame {
  const ct_plane *plane;
  const uint8_t *mask;
  uint32_t segment;  /* counted from 1 */
  uint32_t position; /* of the plane among all distinct planes, from 1 */
};

bool same_place(const ct_plane &a, const ct_plane &b) {
  return std::equal(a.position_mm, a.position_mm + 3, b.position_mm) &&
         std::equal(a.orientation, a.orientation + 6, b.orientation);
}

void require(const ct_segmentation &segmentation) {
  if (segmentation.n_segments == 0) throw OutFailure(LC_ERR_USAGE, "no segment is given");
  const ct_plane *first = nullptr;
  for (size_t s = 0; s < segmentation.n_segments; s++) {
    const ct_segment &segment = segmentation.segments[s];
    std::string name = "segment " + std::to_string(s + 1);
    if (!segment.label || !*segment.label) throw OutFailure(LC_ERR_USAGE, name + " has no label");
    if (segment.kind != CT_SEGMENT_NODULE && !segment.algorithm)
      throw OutFailure(LC_ERR_USAGE, name + " does not say what made it");
    if (!segment.tracking_id != !segment.tracking_uid ||
        (segment.tracking_uid && !ct_uid_valid(segment.tracking_uid)))
      throw OutFailure(LC_ERR_USAGE,
                       name + " needs a tracking identifier and a valid UID, or none");
    for (size_t i = 0; i < segment.n_planes; i++) {
      if (!first) first = &segment.planes[0];
      if (segment.planes[i].rows != first->rows || segment.planes[i].columns != first->columns)
        throw OutFailure(LC_ERR_USAGE, name + " has planes of another size than the first");
    }
  }
}

std::vector<Frame> collect_frames(const ct_segmentation &segmentation) {
  std::vector<Frame> frames;
  std::vector<const ct_plane *> places;
  for (size_t s = 0; s < segmentation.n_segments; s++) {
    const ct_segment &segment = segmentation.segments[s];
    size_t before = frames.size();
    for (size_t i = 0; i < segment.n_planes; i++) {
      const ct_plane &plane = segment.planes[i];
      size_t count = plane.rows * plane.columns;
      const uint8_t *mask = segment.mask + i * count;
      if (std::none_of(mask, mask + count, [](uint8_t v) { return v != 0; })) continue;
      auto place = std::find_if(places.begin(), places.end(),
                                [&](const ct_plane *other) { return same_place(*other, plane); });
      if (place == places.end()) place = places.insert(places.end(), &plane);
      frames.push_back({&plane, mask, static_cast<uint32_t>(s + 1),
                        static_cast<uint32_t>(place - places.begin()) + 1});
    }
    if (frames.size() == before)
      throw OutFailure(LC_ERR_USAGE, "segment " + std::to_string(s + 1) + " (" + segment.label +
                                         ") has no pixel");
  }
  return frames;
}

void put_image(DcmItem &to, const ct_segmentation &segmentation, const std::vector<Frame> &frames) {
  put(to, DCM_ImageType, "DERIVED\\PRIMARY");
  ct_out::put_comments(to, segmentation.about);
  ct_out::put_content_identification(to, segmentation.about);
  put(to, DCM_BurnedInAnnotation, "NO");
  put(to, DCM_RecognizableVisualFeatures, "NO");
  put(to, DCM_SegmentationType, "BINARY");
  put_us(to, DCM_SamplesPerPixel, 1);
  put(to, DCM_PhotometricInterpretation, "MONOCHROME2");
  put_us(to, DCM_Rows, frames[0].plane->rows);
  put_us(to, DCM_Columns, frames[0].plane->columns);
  put_us(to, DCM_BitsAllocated, 1);
  put_us(to, DCM_BitsStored, 1);
  put_us(to, DCM_HighBit, 0);
  put_us(to, DCM_PixelRepresentation, 0);
  put(to, DCM_NumberOfFrames, std::to_string(frames.size()));
}

void put_segments(DcmItem &to, const ct_segmentation &segmentation) {
  std::string set = ct_out::character_set(to);
  for (size_t s = 0; s < segmentation.n_segments; s++) {
    const ct_segment &segment = segmentation.segments[s];
    const auto &kind = kinds[segment.kind];
    DcmItem &item = add_item(to, DCM_SegmentSequence);
    put_us(item, DCM_SegmentNumber, s + 1);
    put_utf8(item, DCM_SegmentLabel, segment.label, set);
    put(item, DCM_SegmentAlgorithmType, kind.algorithm_type);
    if (segment.kind != CT_SEGMENT_NODULE)
      put_utf8(item, DCM_SegmentAlgorithmName, segment.algorithm, set);
    add_code(item, DCM_SegmentedPropertyCategoryCodeSequence, kind.category);
    add_code(item, DCM_SegmentedPropertyTypeCodeSequence, kind.type);
    add_code(item, DCM_AnatomicRegionSequence, lung);
    ct_out::check(item.putAndInsertUint16Array(DCM_RecommendedDisplayCIELabValue, kind.lab, 3),
                  DCM_RecommendedDisplayCIELabValue);
    if (segment.tracking_id) {
      put_utf8(item, DCM_TrackingID, segment.tracking_id, set);
      put(item, DCM_TrackingUID, segment.tracking_uid);
    }
  }
}

/* The one of about.source_slices whose plane is nearest to the middle of a frame. */
size_t nearest_source(const ct_derived &about, const ct_plane &plane) {
  double middle[3];
  ct_plane_to_patient(&plane, static_cast<double>(plane.rows - 1) / 2,
                      static_cast<double>(plane.columns - 1) / 2, middle);
  const ct_series &source = *about.source;
  double along = 0;
  for (int axis = 0; axis < 3; axis++) along += middle[axis] * source.normal[axis];
  auto distance = [&](size_t k) { return std::fabs(source.slices[k].along_mm - along); };
  return *std::min_element(about.source_slices, about.source_slices + about.n_source_slices,
                           [&](size_t a, size_t b) { return distance(a) < distance(b); });
}

void put_frames(DcmItem &to, const ct_derived &about, const std::vector<Frame> &frames) {
  std::string set = ct_out::character_set(to);
  add_item(to, DCM_SharedFunctionalGroupsSequence);
  for (const Frame &frame : frames) {
    DcmItem &groups = add_item(to, DCM_PerFrameFunctionalGroupsSequence);
    size_t source = nearest_source(about, *frame.plane);
    ct_out::put_derivation_image(groups, about, &source, 1, set, ct_out::segmentation);
    ct_out::put_frame_content(groups, {frame.segment, frame.position});
    ct_out::put_plane_position(groups, *frame.plane);
    ct_out::put_plane_orientation(groups, *frame.plane);
    ct_out::put_pixel_measures(groups, *frame.plane);
    put_us(add_item(groups, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber,
           frame.segment);
  }
}

/* One bit a pixel, the first pixel in the lowest bit, frame after frame without a gap (PS3.5
 * 8.1.1). */
void put_pixels(DcmItem &to, const std::vector<Frame> &frames) {
  size_t count = frames[0].plane->rows * frames[0].plane->columns;
  std::vector<uint8_t> bits((frames.size() * count + 7) / 8);
  size_t at = 0;
  for (const Frame &frame : frames)
    for (size_t i = 0; i < count; i++, at++)
      if (frame.mask[i]) bits[at / 8] = static_cast<uint8_t>(bits[at / 8] | (1U << (at % 8)));
  ct_out::put_bytes(to, DCM_PixelData, bits.data(), bits.size());
}

} // namespace

const struct ct_object_class ct_segmentation_object = {UID_SegmentationStorage, "SEG"};

void ct_segment_planes_of_cube(const struct ct_cube *cube, struct ct_plane *planes) {
  for (size_t k = 0; k < cube->edge; k++)
    planes[k] = ct_plane_of_cube(cube, CT_AXIAL, k, cube->edge, cube->edge);
}

lc_status ct_segmentation_write(const struct ct_segmentation *segmentation, const char *path,
                                struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    require(*segmentation);
    std::vector<Frame> frames = collect_frames(*segmentation);
    const ct_derived &about = segmentation->about;
    auto object = ct_out::begin_image(about, ct_segmentation_object);
    DcmItem &to = object->to(), &from = object->from();
    /* The segments say what they lie in; the series' side may then not even be empty. */
    to.findAndDeleteElement(DCM_Laterality);
    ct_out::put_content_time(to, from);
    ct_out::put_enhanced_equipment(to);
    put_image(to, *segmentation, frames);
    ct_out::put_lossy_history(to, from, *about.source);
    put_segments(to, *segmentation);
    ct_out::put_dimensions(
        to, about,
        {{DCM_ReferencedSegmentNumber, DCM_SegmentIdentificationSequence, "Segment Number"},
         {DCM_ImagePositionPatient, DCM_PlanePositionSequence, "Image Position (Patient)"}});
    put_frames(to, about, frames);
    put_pixels(to, frames);
    ct_out::write_file(object->file, path);
  });
}
