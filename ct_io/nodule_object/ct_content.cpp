// Reads items of structured reports.
#include "ct_io/nodule_object/ct_content.hpp"

#include <algorithm>

namespace ct_object {
namespace {

constexpr double pi = 3.14159265358979323846;
constexpr int corners = 72;      // of an ellipse
constexpr size_t ellipsoid = 64; // voxels along each axis of one

std::string code(const Object &object, DcmItem *item) {
  if (!item) return "";
  std::string scheme = object.text(item, DCM_CodingSchemeDesignator);
  std::string value = object.text(item, DCM_CodeValue);
  if (value.empty()) value = object.text(item, DCM_LongCodeValue);
  if (scheme == "SNM3" || scheme == "99SDM") scheme = "SRT";
  if (scheme == "RadLex") scheme = "RADLEX";
  return scheme + " " + value;
}

Point middle(const Point &a, const Point &b) {
  return {(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2};
}

double distance(const Point &a, const Point &b) {
  return std::sqrt(std::pow(a[0] - b[0], 2) + std::pow(a[1] - b[1], 2) + std::pow(a[2] - b[2], 2));
}

// The polygon of an ellipse, by the ends of its axes.
std::vector<Point> polygon(const Point &a0, const Point &a1, const Point &b0, const Point &b1) {
  std::vector<Point> points;
  Point centre = middle(a0, a1);
  for (int i = 0; i < corners; i++) {
    double angle = 2 * pi * i / corners;
    Point point;
    for (size_t c = 0; c < 3; c++)
      point[c] =
          centre[c] + std::cos(angle) * (a1[c] - a0[c]) / 2 + std::sin(angle) * (b1[c] - b0[c]) / 2;
    points.push_back(point);
  }
  return points;
}

// The voxels of an ellipsoid, by the ends of its axes.
Mask solid(const std::vector<Point> &ends) {
  Mask mask;
  const auto n = static_cast<double>(ellipsoid);
  mask.origin = middle(ends[0], ends[1]);
  mask.size = {ellipsoid, ellipsoid, ellipsoid};
  for (size_t axis = 0; axis < 3; axis++)
    for (size_t c = 0; c < 3; c++) {
      mask.step[axis][c] = (ends[2 * axis + 1][c] - ends[2 * axis][c]) / n;
      mask.origin[c] -= mask.step[axis][c] * (n - 1) / 2;
    }
  for (size_t i = 0; i < ellipsoid * ellipsoid * ellipsoid; i++) {
    double square = 0;
    for (size_t at : {i % ellipsoid, i / ellipsoid % ellipsoid, i / (ellipsoid * ellipsoid)})
      square += std::pow((static_cast<double>(at) - (n - 1) / 2) / (n / 2), 2);
    mask.inside.push_back(square <= 1);
  }
  return mask;
}

// Graphic types of more points than one, and how many: those of ellipses are ends of axes.
void shape(Drawing &drawing, const std::string &type, std::vector<Point> points) {
  using Kind = Drawing::Kind;
  size_t n = points.size();
  auto expect = [&](bool fits) {
    if (!fits) throw Refusal("a " + type + " of " + std::to_string(n) + " points");
  };
  if (type == "POINT") {
    expect(n == 1);
    drawing.kind = Kind::point;
  } else if (type == "MULTIPOINT") {
    expect(n >= 1);
    for (size_t i = 1; i < n; i++)
      for (size_t c = 0; c < 3; c++) points[0][c] += points[i][c];
    for (size_t c = 0; c < 3; c++) points[0][c] /= static_cast<double>(n);
    points.resize(1);
    drawing.kind = Kind::point;
  } else if (type == "POLYLINE" || type == "POLYGON") {
    expect(n >= 2);
    drawing.kind = n == 2 ? Kind::line : Kind::contour;
  } else if (type == "ELLIPSE") {
    expect(n == 4);
    points = polygon(points[0], points[1], points[2], points[3]);
    drawing.kind = Kind::contour;
  } else if (type == "CIRCLE" && !drawing.image.empty()) {
    expect(n == 2);
    double radius = distance(points[0], points[1]), x = points[0][0], y = points[0][1];
    points =
        polygon({x - radius, y, 0}, {x + radius, y, 0}, {x, y - radius, 0}, {x, y + radius, 0});
    drawing.kind = Kind::contour;
  } else if (type == "ELLIPSOID" && drawing.image.empty()) {
    expect(n == 6);
    drawing.kind = Kind::ellipsoid;
  } else {
    throw Refusal("a drawing of the type \"" + type + "\"");
  }
  drawing.points = std::move(points);
}

} // namespace

std::string concept_of(const Object &object, DcmItem &item) {
  return code(object, ct::sequence_item(&item, DCM_ConceptNameCodeSequence));
}

std::string coded_value(const Object &object, DcmItem &item) {
  return code(object, ct::sequence_item(&item, DCM_ConceptCodeSequence));
}

std::string coded_meaning(const Object &object, DcmItem &item) {
  return object.text(ct::sequence_item(&item, DCM_ConceptCodeSequence), DCM_CodeMeaning);
}

std::string value_type(const Object &object, DcmItem &item) {
  return object.text(&item, DCM_ValueType);
}

bool measured(const Object &object, DcmItem &item, double &value, std::string &units) {
  DcmItem *number = ct::sequence_item(&item, DCM_MeasuredValueSequence);
  if (!ct::number(number, DCM_NumericValue, value)) return false;
  units = object.text(ct::sequence_item(number, DCM_MeasurementUnitsCodeSequence), DCM_CodeValue);
  return true;
}

bool measured_mm(const Object &object, DcmItem &item, double &mm) {
  std::string units;
  if (!measured(object, item, mm, units) || (units != "mm" && units != "cm")) return false;
  if (units == "cm") mm *= 10;
  return mm > 0 && mm < 1e4;
}

Drawing read_drawing(const Object &object, DcmItem &item, size_t &points_left) {
  Drawing drawing;
  std::vector<double> values;
  std::vector<Point> points;
  bool flat = value_type(object, item) == "SCOORD";
  size_t each = flat ? 2 : 3;
  if (flat) {
    std::string origin = object.text(&item, DCM_PixelOriginInterpretation);
    if (!origin.empty() && origin != "FRAME")
      throw Refusal("pixels that are counted from " + origin + ", expected FRAME");
    for_each_content(item, [&](DcmItem &below) {
      DcmItem *image = ct::sequence_item(&below, DCM_ReferencedSOPSequence);
      if (value_type(object, below) == "IMAGE")
        drawing.image = object.uid(image, DCM_ReferencedSOPInstanceUID);
    });
    if (drawing.image.empty()) throw Refusal("a drawing on an image that is not named");
  } else {
    drawing.frame = object.uid(&item, DCM_ReferencedFrameOfReferenceUID);
    if (drawing.frame.empty()) throw Refusal("coordinates without a frame of reference");
  }
  if (!all_numbers(&item, DCM_GraphicData, each * points_left, values) || values.size() % each != 0)
    throw Refusal("GraphicData that is no list of points");
  points_left -= values.size() / each;
  for (size_t i = 0; i < values.size(); i += each) {
    /* Pixels are counted from the corner of the first, here from its centre. */
    Point point = flat ? Point{values[i] - 0.5, values[i + 1] - 0.5, 0}
                       : Point{values[i], values[i + 1], values[i + 2]};
    if (!plausible(point)) throw Refusal("a point that lies in no patient");
    points.push_back(point);
  }
  shape(drawing, object.text(&item, DCM_GraphicType), std::move(points));
  return drawing;
}

void draw(Thing &thing, const Drawing &drawing) {
  using Kind = Drawing::Kind;
  if (!drawing.frame.empty()) {
    if (!thing.frame.empty() && thing.frame != drawing.frame)
      throw Refusal("coordinates in the frames of reference " + thing.frame + " and " +
                    drawing.frame);
    thing.frame = drawing.frame;
  }
  if (drawing.kind == Kind::contour) {
    Contour contour;
    contour.points = drawing.points;
    contour.image = drawing.image;
    contour.in_pixels = !drawing.image.empty();
    thing.contours.push_back(std::move(contour));
  } else if (drawing.kind == Kind::ellipsoid) {
    thing.mask = solid(drawing.points);
  } else {
    bool line = drawing.kind == Kind::line;
    double length = line ? distance(drawing.points[0], drawing.points[1]) : 0;
    if (line && thing.is_place && length < thing.line_length) return;
    thing.is_place = true;
    thing.line_length = length;
    thing.place = line ? middle(drawing.points[0], drawing.points[1]) : drawing.points[0];
    thing.place_image = drawing.image;
    if (line && drawing.image.empty() && thing.diameter_mm == 0) thing.diameter_mm = length;
  }
}

std::string evidence_series(const Object &object) {
  std::string found;
  bool several = false;
  for_each(&object.data, DCM_CurrentRequestedProcedureEvidenceSequence, [&](DcmItem &study) {
    for_each(&study, DCM_ReferencedSeriesSequence, [&](DcmItem &series) {
      DcmItem *first = ct::sequence_item(&series, DCM_ReferencedSOPSequence);
      std::string of = object.uid(first, DCM_ReferencedSOPClassUID);
      std::string uid = object.uid(&series, DCM_SeriesInstanceUID);
      bool image = of == UID_CTImageStorage || of == UID_EnhancedCTImageStorage ||
                   of == UID_LegacyConvertedEnhancedCTImageStorage;
      if (!image) return;
      several = several || (!found.empty() && found != uid);
      found = uid;
    });
  });
  return several ? "" : found;
}

std::string observer_of(const Object &object, DcmItem &item) {
  std::string person, device;
  for_each_content(item, [&](DcmItem &below) {
    std::string what = concept_of(object, below);
    if (what == "DCM 121008" && person.empty()) person = object.text(&below, DCM_PersonName);
    if (what == "DCM 121013" && device.empty()) device = object.text(&below, DCM_TextValue);
  });
  return person.empty() ? device : person;
}

} // namespace ct_object
