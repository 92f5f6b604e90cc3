// Writes masks as a binary Segmentation object on the grid of the source: one frame for each
// segment and slice that has voxels, one bit a pixel (PS3.5 8.1.1).
#include "ct_io/dicom_write/ct_segmentation.h"

#include <algorithm>

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

const Code artificial_intelligence = {"123110", "DCM", "Artificial Intelligence"};
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

/* One slice of one segment that has voxels. */
struct Frame {
  const ct_segment *segment;
  const uint8_t *mask; /* [segment->size[1], segment->size[0]] */
  uint32_t number;     /* of the segment, from 1 */
  size_t slice;        /* of the source */
};

void require(const ct_segmentation &segmentation) {
  const ct_series &source = *segmentation.about.source;
  const size_t most[] = {static_cast<size_t>(source.columns), static_cast<size_t>(source.rows),
                         source.n_slices};
  if (segmentation.n_segments == 0) throw OutFailure(LC_ERR_USAGE, "no segment is given");
  for (size_t s = 0; s < segmentation.n_segments; s++) {
    const ct_segment &segment = segmentation.segments[s];
    std::string name = "segment " + std::to_string(s + 1);
    if (!segment.label || !*segment.label) throw OutFailure(LC_ERR_USAGE, name + " has no label");
    if (segment.kind != CT_SEGMENT_NODULE &&
        (!segment.algorithm || !segmentation.name || !segmentation.version))
      throw OutFailure(LC_ERR_USAGE, name + " does not say what made it");
    if (!segment.tracking_id != !segment.tracking_uid ||
        (segment.tracking_uid && !ct_uid_valid(segment.tracking_uid)))
      throw OutFailure(LC_ERR_USAGE,
                       name + " needs a tracking identifier and a valid UID, or none");
    for (int axis = 0; axis < 3; axis++)
      if (segment.first[axis] > most[axis] || segment.size[axis] > most[axis] - segment.first[axis])
        throw OutFailure(LC_ERR_USAGE, name + " leaves the source series");
  }
}

std::vector<Frame> collect_frames(const ct_segmentation &segmentation) {
  std::vector<Frame> frames;
  for (size_t s = 0; s < segmentation.n_segments; s++) {
    const ct_segment &segment = segmentation.segments[s];
    size_t before = frames.size(), count = segment.size[0] * segment.size[1];
    for (size_t k = 0; k < segment.size[2]; k++) {
      const uint8_t *mask = segment.mask + k * count;
      if (std::any_of(mask, mask + count, [](uint8_t v) { return v != 0; }))
        frames.push_back({&segment, mask, static_cast<uint32_t>(s + 1), segment.first[2] + k});
    }
    if (frames.size() == before)
      throw OutFailure(LC_ERR_USAGE, "segment " + std::to_string(s + 1) + " (" + segment.label +
                                         ") has no voxel");
  }
  return frames;
}

/* The source slices with a frame, in their order. */
std::vector<size_t> slices_of(const std::vector<Frame> &frames) {
  std::vector<size_t> slices;
  slices.reserve(frames.size());
  for (const Frame &frame : frames) slices.push_back(frame.slice);
  std::sort(slices.begin(), slices.end());
  slices.erase(std::unique(slices.begin(), slices.end()), slices.end());
  return slices;
}

void put_image(DcmItem &to, const ct_segmentation &segmentation, size_t n_frames) {
  put(to, DCM_ImageType, "DERIVED\\PRIMARY");
  ct_out::put_comments(to, segmentation.about);
  ct_out::put_content_identification(to, segmentation.about);
  put(to, DCM_BurnedInAnnotation, "NO");
  put(to, DCM_RecognizableVisualFeatures, "NO");
  put(to, DCM_SegmentationType, "BINARY");
  put_us(to, DCM_SamplesPerPixel, 1);
  put(to, DCM_PhotometricInterpretation, "MONOCHROME2");
  put_us(to, DCM_Rows, static_cast<size_t>(segmentation.about.source->rows));
  put_us(to, DCM_Columns, static_cast<size_t>(segmentation.about.source->columns));
  put_us(to, DCM_BitsAllocated, 1);
  put_us(to, DCM_BitsStored, 1);
  put_us(to, DCM_HighBit, 0);
  put_us(to, DCM_PixelRepresentation, 0);
  put(to, DCM_NumberOfFrames, std::to_string(n_frames));
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
    if (segment.kind != CT_SEGMENT_NODULE) {
      put_utf8(item, DCM_SegmentAlgorithmName, segment.algorithm, set);
      DcmItem &by = add_item(item, DCM_SegmentationAlgorithmIdentificationSequence);
      add_code(by, DCM_AlgorithmFamilyCodeSequence, artificial_intelligence);
      put_utf8(by, DCM_AlgorithmName, segmentation.name, set);
      put_utf8(by, DCM_AlgorithmVersion, segmentation.version, set);
    }
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

void put_frames(DcmItem &to, const ct_derived &about, const std::vector<Frame> &frames) {
  const ct_series &source = *about.source;
  std::string set = ct_out::character_set(to);
  ct_plane first = ct_plane_of_slice(&source, frames[0].slice);
  DcmItem &shared = add_item(to, DCM_SharedFunctionalGroupsSequence);
  ct_out::put_plane_orientation(shared, first);
  ct_out::put_pixel_measures(shared, first, source.slice_spacing_mm);
  for (const Frame &frame : frames) {
    DcmItem &groups = add_item(to, DCM_PerFrameFunctionalGroupsSequence);
    const size_t *place = std::lower_bound(
        about.source_slices, about.source_slices + about.n_source_slices, frame.slice);
    ct_out::put_derivation_image(groups, about, &frame.slice, 1, set, ct_out::segmentation, true);
    ct_out::put_frame_content(
        groups, {frame.number, static_cast<uint32_t>(place - about.source_slices) + 1});
    ct_out::put_plane_position(groups, ct_plane_of_slice(&source, frame.slice));
    put_us(add_item(groups, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber,
           frame.number);
  }
}

/* One bit a pixel, the first pixel in the lowest bit, frame after frame without a gap (PS3.5
 * 8.1.1). */
void put_pixels(DcmItem &to, const ct_series &source, const std::vector<Frame> &frames) {
  size_t columns = static_cast<size_t>(source.columns);
  size_t count = static_cast<size_t>(source.rows) * columns;
  std::vector<uint8_t> bits((frames.size() * count + 7) / 8);
  for (size_t f = 0; f < frames.size(); f++) {
    const ct_segment &segment = *frames[f].segment;
    for (size_t row = 0; row < segment.size[1]; row++)
      for (size_t column = 0; column < segment.size[0]; column++) {
        if (!frames[f].mask[row * segment.size[0] + column]) continue;
        size_t at = f * count + (segment.first[1] + row) * columns + segment.first[0] + column;
        bits[at / 8] = static_cast<uint8_t>(bits[at / 8] | (1U << (at % 8)));
      }
  }
  ct_out::put_bytes(to, DCM_PixelData, bits.data(), bits.size());
}

} // namespace

const struct ct_object_class ct_segmentation_object = {UID_SegmentationStorage, "SEG"};

lc_status ct_segmentation_write(const struct ct_segmentation *segmentation, const char *path,
                                struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    require(*segmentation);
    std::vector<Frame> frames = collect_frames(*segmentation);
    std::vector<size_t> slices = slices_of(frames);
    ct_derived about = segmentation->about;
    about.source_slices = slices.data();
    about.n_source_slices = slices.size();
    auto object = ct_out::begin_image(about, ct_segmentation_object);
    DcmItem &to = object->to(), &from = object->from();
    /* The segments say what they lie in; the series' side may then not even be empty. */
    to.findAndDeleteElement(DCM_Laterality);
    ct_out::put_content_time(to, from);
    ct_out::put_enhanced_equipment(to);
    put_image(to, *segmentation, frames.size());
    ct_out::put_lossy_history(to, from, *about.source);
    put_segments(to, *segmentation);
    ct_out::put_dimensions(
        to, about,
        {{DCM_ReferencedSegmentNumber, DCM_SegmentIdentificationSequence, "Segment Number"},
         {DCM_ImagePositionPatient, DCM_PlanePositionSequence, "Image Position (Patient)"}});
    put_frames(to, about, frames);
    put_pixels(to, *about.source, frames);
    ct_out::write_file(object->file, path);
  });
}
