// The nodule source "DICOM SEG": segmentations (PS3.3 A.51), binary, fractional or label maps, one
// nodule a segment. Frames may lie anywhere, as long as those of a segment make one even stack.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "ct_io/dicom_file/ct_dcmtk_version.hpp"
#include "ct_io/nodule_object/ct_object.hpp"

namespace ct_object {
namespace {

constexpr size_t most_frames = 65536, most_side = 8192;
// Of the distance of frames, and of a pixel: how far a frame may lie off its place in the stack.
constexpr double even = 0.1;
// Planes that are nearer to each other are one.
constexpr double smallest_mm = 1e-2;
// Frames of all segments of a label map.
constexpr size_t most_uses = 1000000;

struct Plane {
  Point position = {}, row = {}, column = {}; // row: along a row; with the spacing
  double between_mm = 0, thickness_mm = 0;    // as far as they are said; 0
};

struct Frame {
  size_t number = 0; // in the pixel data
  Plane plane;
  double along = 0;
  long layer = 0;
};

struct Pixels {
  const uint8_t *bytes = nullptr;
  size_t rows = 0, columns = 0, n_frames = 0;
  int bits = 1;        // 1, 8 or 16
  bool labels = false; // a pixel is the number of its segment
  double least = 1;    // of fractions: what is inside

  bool inside(size_t frame, size_t pixel, long segment) const {
    size_t at = frame * rows * columns + pixel;
    if (bits == 1) return (bytes[at / 8] >> (at % 8) & 1) != 0;
    unsigned value =
        bits == 8 ? bytes[at] : bytes[2 * at] | static_cast<unsigned>(bytes[2 * at + 1]) << 8;
    return labels ? value == static_cast<unsigned long>(segment) : value >= least;
  }
};

double dot(const Point &a, const Point &b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

Point cross(const Point &a, const Point &b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

Point minus(const Point &a, const Point &b) {
  return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}

Point times(const Point &a, double factor) {
  return {a[0] * factor, a[1] * factor, a[2] * factor};
}

double length(const Point &a) {
  return std::sqrt(dot(a, a));
}

// The macro of one frame: from its own functional groups, or else from the shared ones.
DcmItem *macro(DcmItem *own, DcmItem *shared, const DcmTagKey &tag) {
  DcmItem *item = ct::sequence_item(own, tag);
  return item ? item : ct::sequence_item(shared, tag);
}

bool read_plane(DcmItem *own, DcmItem *shared, Plane &plane) {
  double direction[6], spacing[2];
  DcmItem *measures = macro(own, shared, DCM_PixelMeasuresSequence);
  if (!ct::numbers(macro(own, shared, DCM_PlanePositionSequence), DCM_ImagePositionPatient,
                   plane.position.data(), 3) ||
      !ct::numbers(macro(own, shared, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient,
                   direction, 6) ||
      !ct::numbers(measures, DCM_PixelSpacing, spacing, 2))
    return false;
  for (size_t c = 0; c < 3; c++) {
    plane.row[c] = direction[c] * spacing[1];
    plane.column[c] = direction[3 + c] * spacing[0];
  }
  (void)ct::number(measures, DCM_SpacingBetweenSlices, plane.between_mm);
  (void)ct::number(measures, DCM_SliceThickness, plane.thickness_mm);
  double rows = length(plane.row), columns = length(plane.column);
  return plausible(plane.position) && rows > 1e-3 && columns > 1e-3 && rows < 1e3 &&
         columns < 1e3 && std::fabs(dot(plane.row, plane.column)) < 1e-3 * rows * columns;
}

bool same_direction(const Plane &a, const Plane &b) {
  return length(minus(a.row, b.row)) < 1e-3 * length(a.row) &&
         length(minus(a.column, b.column)) < 1e-3 * length(a.column);
}

Pixels read_pixels(Object &object) {
  Pixels pixels;
  DcmItem *data = &object.data;
  long rows = 0, columns = 0, frames = 1, bits = 0, samples = 1, most = 0;
  OFString type;
  if (!ct::whole(data, DCM_Rows, rows) || !ct::whole(data, DCM_Columns, columns) || rows < 1 ||
      columns < 1 || rows > long(most_side) || columns > long(most_side))
    throw Refusal("a segmentation without Rows and Columns from 1 to " + std::to_string(most_side));
  if (!ct::whole(data, DCM_NumberOfFrames, frames) || frames < 1 || frames > long(most_frames))
    throw Refusal("NumberOfFrames, expected 1 to " + std::to_string(most_frames));
  ct::whole(data, DCM_SamplesPerPixel, samples);
  ct::whole(data, DCM_BitsAllocated, bits);
  (void)ct::text(data, DCM_SegmentationType, type);
  pixels.labels = ct::trimmed(type) == "LABELMAP";
  bool fractions = ct::trimmed(type) == "FRACTIONAL", binary = ct::trimmed(type) == "BINARY";
  bool fits = pixels.labels ? bits == 8 || bits == 16 : fractions ? bits == 8 : binary && bits == 1;
  if (samples != 1 || !fits)
    throw Refusal("SegmentationType \"" + std::string(type.data(), type.length()) + "\" with " +
                  std::to_string(bits) + " bits and " + std::to_string(samples) +
                  " samples a pixel, expected BINARY with 1 bit, FRACTIONAL with 8, or LABELMAP");
  if (fractions && (!ct::whole(data, DCM_MaximumFractionalValue, most) || most < 1 || most > 255))
    throw Refusal("a fractional segmentation without MaximumFractionalValue from 1 to 255");
  pixels.least = fractions ? 0.5 * static_cast<double>(most) : 1;
  pixels.rows = static_cast<size_t>(rows);
  pixels.columns = static_cast<size_t>(columns);
  pixels.n_frames = static_cast<size_t>(frames);
  pixels.bits = static_cast<int>(bits);
  return pixels;
}

// The bytes, decompressed where they have to be; the data set keeps them.
void load_pixels(Object &object, Pixels &pixels) {
  DcmXfer syntax(object.data.getOriginalXfer());
  if (ct::is_encapsulated(syntax) &&
      object.data.chooseRepresentation(EXS_LittleEndianExplicit, nullptr).bad())
    throw Refusal(std::string("its pixel data cannot be decompressed from ") +
                  syntax.getXferName());
  DcmElement *element = nullptr;
  Uint8 *bytes = nullptr;
  Uint16 *words = nullptr;
  size_t bits = pixels.n_frames * pixels.rows * pixels.columns * static_cast<size_t>(pixels.bits);
  if (object.data.findAndGetElement(DCM_PixelData, element).bad() || !element)
    throw Refusal("a segmentation without PixelData");
  if (element->getLength() < (bits + 7) / 8)
    throw Refusal("truncated: " + std::to_string(element->getLength()) +
                  " bytes of pixel data, expected " + std::to_string((bits + 7) / 8));
  if (element->getUint8Array(bytes).good() && bytes)
    pixels.bytes = bytes;
  else if (element->getUint16Array(words).good() && words)
    pixels.bytes = reinterpret_cast<const uint8_t *>(words); // in the order of the machine: little
  else
    throw Refusal("its pixel data cannot be read");
}

// The frames of each segment; frames without a place or a segment are refused, for a mask without
// them would be another mask.
std::map<long, std::vector<Frame>> read_frames(Object &object, const Pixels &pixels,
                                               const std::vector<long> &segments) {
  std::map<long, std::vector<Frame>> frames;
  DcmItem *shared = ct::sequence_item(&object.data, DCM_SharedFunctionalGroupsSequence);
  size_t number = 0;
  for_each(&object.data, DCM_PerFrameFunctionalGroupsSequence, [&](DcmItem &own) {
    Frame frame;
    long segment = 0;
    frame.number = number++;
    if (frame.number >= pixels.n_frames) return;
    std::string name = "frame " + std::to_string(number);
    if (!read_plane(&own, shared, frame.plane))
      throw Refusal(name + " has no position, orientation and pixel spacing in the patient");
    if (pixels.labels) {
      if (pixels.n_frames * segments.size() > most_uses)
        throw Refusal("a label map of more segments and frames than nodules need");
      for (long each : segments) frames[each].push_back(frame);
      return;
    }
    if (!ct::whole(macro(&own, shared, DCM_SegmentIdentificationSequence),
                   DCM_ReferencedSegmentNumber, segment))
      throw Refusal(name + " has no ReferencedSegmentNumber");
    if (std::find(segments.begin(), segments.end(), segment) == segments.end())
      throw Refusal(name + " is of segment " + std::to_string(segment) +
                    ", which is not in the SegmentSequence");
    frames[segment].push_back(frame);
  });
  if (number != pixels.n_frames)
    throw Refusal(std::to_string(number) + " items of functional groups, expected " +
                  std::to_string(pixels.n_frames) + ", one a frame");
  return frames;
}

double smallest_distance(std::vector<double> places) {
  std::sort(places.begin(), places.end());
  double least = 0;
  for (size_t i = 1; i < places.size(); i++) {
    double d = places[i] - places[i - 1];
    if (d > smallest_mm && (least == 0 || d < least)) least = d;
  }
  return least;
}

// What the distance of layers may be, the best first: as the frames say; the smallest of two planes
// of whatever segment, for a segment may lack some of its own; the smallest of its own planes; and
// for a frame alone its thickness.
std::vector<double> layer_distances(const std::map<long, std::vector<Frame>> &segments,
                                    const std::vector<Frame> &own) {
  const Plane &like = own[0].plane;
  Point normal = cross(like.row, like.column);
  normal = times(normal, 1 / length(normal));
  std::vector<double> all, mine, distances;
  for (const auto &segment : segments)
    for (const Frame &frame : segment.second)
      if (same_direction(frame.plane, like)) all.push_back(dot(frame.plane.position, normal));
  for (const Frame &frame : own) mine.push_back(dot(frame.plane.position, normal));
  for (double each : {like.between_mm, smallest_distance(all), smallest_distance(mine)})
    if (each > smallest_mm) distances.push_back(each);
  if (distances.empty())
    distances.push_back(like.thickness_mm > smallest_mm ? like.thickness_mm : 1);
  return distances;
}

// Columns, rows and layers that have a voxel; false when none has.
bool find_box(const Pixels &pixels, const std::vector<Frame> &frames, long segment,
              std::array<size_t, 3> &low, std::array<size_t, 3> &high) {
  low = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
  high = {0, 0, 0};
  for (const Frame &frame : frames)
    for (size_t i = 0; i < pixels.rows * pixels.columns; i++) {
      if (!pixels.inside(frame.number, i, segment)) continue;
      const size_t at[3] = {i % pixels.columns, i / pixels.columns,
                            static_cast<size_t>(frame.layer)};
      for (size_t c = 0; c < 3; c++) {
        low[c] = std::min(low[c], at[c]);
        high[c] = std::max(high[c], at[c]);
      }
    }
  return low[0] != SIZE_MAX;
}

// Layers of the frames, from the lowest; the vector from one layer to the next. Throws where the
// frames make no even stack.
Point stack(std::vector<Frame> &frames, double distance) {
  const Plane &like = frames[0].plane;
  Point normal = cross(like.row, like.column);
  normal = times(normal, 1 / length(normal));
  for (Frame &frame : frames) {
    if (!same_direction(frame.plane, like))
      throw Refusal("its frames have several orientations or spacings");
    frame.along = dot(frame.plane.position, normal);
  }
  std::stable_sort(frames.begin(), frames.end(),
                   [](const Frame &a, const Frame &b) { return a.along < b.along; });
  const Frame &first = frames.front(), &last = frames.back();
  double layers = std::round((last.along - first.along) / distance);
  if (layers > static_cast<double>(most_frames))
    throw Refusal("its frames are too far apart for a stack");
  Point step = layers < 1 ? times(normal, distance)
                          : times(minus(last.plane.position, first.plane.position), 1 / layers);
  for (Frame &frame : frames) {
    frame.layer = std::lround((frame.along - first.along) / dot(step, normal));
    Point off = minus(minus(frame.plane.position, first.plane.position),
                      times(step, static_cast<double>(frame.layer)));
    if (std::fabs(dot(off, normal)) > even * distance)
      throw Refusal("its frames are not evenly spaced");
    if (std::fabs(dot(off, like.row)) > even * dot(like.row, like.row) ||
        std::fabs(dot(off, like.column)) > even * dot(like.column, like.column))
      throw Refusal("its frames are shifted against each other");
  }
  return step;
}

Point stack_somehow(std::vector<Frame> &frames, const std::vector<double> &distances) {
  for (size_t i = 0;; i++) {
    try {
      return stack(frames, distances[i]);
    } catch (const Refusal &) {
      if (i + 1 == distances.size()) throw;
    }
  }
}

void fill_mask(Mask &mask, const Pixels &pixels, std::vector<Frame> &frames, long segment,
               const std::vector<double> &distances) {
  std::array<size_t, 3> low, high;
  mask.step = {frames[0].plane.row, frames[0].plane.column, stack_somehow(frames, distances)};
  if (!find_box(pixels, frames, segment, low, high)) throw Refusal("no pixel of it is set");
  size_t voxels = 1;
  for (size_t c = 0; c < 3; c++) {
    mask.size[c] = high[c] - low[c] + 1;
    voxels *= mask.size[c];
    mask.origin[c] = frames[0].plane.position[c];
  }
  if (voxels > CT_MOST_MASK_VOXELS) throw Refusal("it is larger than a nodule");
  for (size_t axis = 0; axis < 3; axis++)
    for (size_t c = 0; c < 3; c++)
      mask.origin[c] += static_cast<double>(low[axis]) * mask.step[axis][c];
  mask.inside.assign(voxels, 0);
  for (const Frame &frame : frames) {
    auto layer = static_cast<size_t>(frame.layer);
    if (layer < low[2] || layer > high[2]) continue;
    for (size_t y = low[1]; y <= high[1]; y++)
      for (size_t x = low[0]; x <= high[0]; x++)
        if (pixels.inside(frame.number, y * pixels.columns + x, segment))
          mask.inside[((layer - low[2]) * mask.size[1] + y - low[1]) * mask.size[0] + x - low[0]] =
              1;
  }
}

// Segments of structures of the body, and regions that maps point to, are no nodules unless they
// are called so.
Nature nature_of_segment(const Object &object, DcmItem &item) {
  DcmItem *type = ct::sequence_item(&item, DCM_SegmentedPropertyTypeCodeSequence);
  DcmItem *category = ct::sequence_item(&item, DCM_SegmentedPropertyCategoryCodeSequence);
  std::string code = object.text(type, DCM_CodeValue);
  if (code == "111099" && object.text(type, DCM_CodingSchemeDesignator) == "DCM")
    return Nature::other;
  std::string words;
  for (const DcmTagKey &tag : {DCM_SegmentLabel, DCM_SegmentDescription, DCM_TrackingID})
    words += object.text(&item, tag) + " | ";
  Nature called = nature_of(words);
  if (called != Nature::unknown) return called;
  Nature kind = nature_of(object.text(type, DCM_CodeMeaning));
  if (kind != Nature::unknown) return kind;
  static const char *const anatomical[] = {"123037004", "91723000", "85756007", "T-D000A",
                                           "T-D0050"};
  std::string of = object.text(category, DCM_CodeValue);
  return std::any_of(std::begin(anatomical), std::end(anatomical),
                     [&](const char *each) { return of == each; })
             ? Nature::other
             : Nature::unknown;
}

Thing describe(const Object &object, DcmItem &item, long number) {
  Thing thing;
  thing.nature = nature_of_segment(object, item);
  thing.name = object.text(&item, DCM_TrackingID);
  if (thing.name.empty()) thing.name = object.text(&item, DCM_SegmentLabel);
  if (thing.name.empty()) thing.name = "segment " + std::to_string(number);
  thing.tracking_uid = object.uid(&item, DCM_TrackingUID);
  thing.segmentation = object.uid(&object.data, DCM_SOPInstanceUID);
  thing.segment = static_cast<int>(number);
  thing.reader = object.text(&item, DCM_SegmentAlgorithmName);
  if (object.text(&item, DCM_SegmentAlgorithmType) == "MANUAL" || thing.reader.empty())
    thing.reader = object.text(&object.data, DCM_ContentCreatorName);
  return thing;
}

// The one series that it refers to; where there are several, its frame of reference decides.
std::string referenced_series(Object &object) {
  std::string series;
  size_t n = 0;
  for_each(&object.data, DCM_ReferencedSeriesSequence, [&](DcmItem &item) {
    series = object.uid(&item, DCM_SeriesInstanceUID);
    n++;
  });
  return n == 1 ? series : "";
}

void parse(Object &object) {
  std::vector<long> numbers;
  std::map<long, DcmItem *> items;
  object.series = referenced_series(object);
  object.frame = object.uid(&object.data, DCM_FrameOfReferenceUID);
  Pixels pixels = read_pixels(object);
  for_each(&object.data, DCM_SegmentSequence, [&](DcmItem &item) {
    long number = 0;
    bool given = ct::whole(&item, DCM_SegmentNumber, number);
    if (given && number == 0 && pixels.labels) return; // what is around the segments
    if (!given || number < 1 || number > 65535)
      throw Refusal("a segment without a SegmentNumber from 1 to 65535");
    if (items.count(number))
      throw Refusal("two segments with the number " + std::to_string(number));
    items[number] = &item;
    numbers.push_back(number);
  });
  if (numbers.empty()) throw Refusal("a segmentation without segments");
  auto frames = read_frames(object, pixels, numbers);
  load_pixels(object, pixels);
  for (long number : numbers) {
    Thing thing = describe(object, *items[number], number);
    auto &own = frames[number];
    if (thing.nature == Nature::other) { // its mask is of no interest
      object.add(std::move(thing));
      continue;
    }
    try {
      if (own.empty()) throw Refusal("a segment without frames");
      fill_mask(thing.mask, pixels, own, number, layer_distances(frames, own));
      object.add(std::move(thing));
    } catch (const Refusal &refusal) {
      object.leave_out("segment " + std::to_string(number) + " (" + thing.name + ")",
                       refusal.what());
    }
  }
}

const char *const classes[] = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7",
                               nullptr};

} // namespace

extern const Parser parser_seg;
const Parser parser_seg = {classes, parse};

} // namespace ct_object

extern "C" {
extern const struct ct_nodule_source ct_nodule_source_dicom_seg;
const struct ct_nodule_source ct_nodule_source_dicom_seg = {
    "dicom_seg",
    "DICOM SEG",
    "masks, one nodule a segment: binary, fractional (half of the maximum and more) or label maps",
    false,
    ct_object::classes,
    nullptr,
    ct_nodule_object_read,
    nullptr,
};
}
