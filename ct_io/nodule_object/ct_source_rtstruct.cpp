// The nodule source "RTSTRUCT": structure sets (PS3.3 A.19), one nodule a region of interest, of
// closed planar contours.
#include <map>

#include "ct_io/nodule_object/ct_object.hpp"

namespace ct_object {
namespace {

struct Roi {
  std::string name, frame, reader, type; // type: RTROIInterpretedType
};

// Regions that are called nodules are; of the others those that planning calls something else are
// not.
Nature nature_of_roi(const Roi &roi) {
  Nature called = nature_of(roi.name);
  if (called != Nature::unknown) return called;
  if (roi.type == "GTV") return Nature::nodule;
  return roi.type.empty() || roi.type == "NONE" ? Nature::unknown : Nature::other;
}

std::map<long, Roi> read_rois(Object &object) {
  std::map<long, Roi> rois;
  std::string author = object.text(&object.data, DCM_OperatorsName);
  for_each(&object.data, DCM_StructureSetROISequence, [&](DcmItem &item) {
    long number = 0;
    if (!ct::whole(&item, DCM_ROINumber, number))
      throw Refusal("a region of interest without ROINumber");
    if (rois.count(number))
      throw Refusal("two regions with the ROINumber " + std::to_string(number));
    Roi &roi = rois[number];
    roi.name = object.text(&item, DCM_ROIName);
    roi.frame = object.uid(&item, DCM_ReferencedFrameOfReferenceUID);
    roi.reader = author;
  });
  for_each(&object.data, DCM_RTROIObservationsSequence, [&](DcmItem &item) {
    long number = 0;
    if (!ct::whole(&item, DCM_ReferencedROINumber, number) || !rois.count(number)) return;
    rois[number].type = object.text(&item, DCM_RTROIInterpretedType);
    std::string who = object.text(&item, DCM_ROIInterpreter);
    if (!who.empty()) rois[number].reader = who;
  });
  return rois;
}

void read_contour(const Object &object, DcmItem &item, Thing &thing, size_t &points_left) {
  std::vector<double> values;
  std::string type = object.text(&item, DCM_ContourGeometricType);
  bool closed = type == "CLOSED_PLANAR" || type == "CLOSEDPLANAR_XOR";
  if (!closed && type != "POINT")
    throw Refusal("a contour of the type \"" + type + "\", expected CLOSED_PLANAR or POINT");
  if (!all_numbers(&item, DCM_ContourData, 3 * points_left, values))
    throw Refusal("ContourData that is no list of numbers, or too long");
  if (values.size() % 3 != 0 || (closed ? values.size() < 9 : values.size() != 3))
    throw Refusal("a " + type + " contour of " + std::to_string(values.size()) + " numbers");
  points_left -= values.size() / 3;
  Contour contour;
  for (size_t i = 0; i < values.size(); i += 3) {
    contour.points.push_back({values[i], values[i + 1], values[i + 2]});
    if (!plausible(contour.points.back())) throw Refusal("a point that lies in no patient");
  }
  if (!closed) {
    thing.is_place = true;
    thing.place = contour.points[0];
    return;
  }
  DcmItem *image = ct::sequence_item(&item, DCM_ContourImageSequence);
  contour.image = object.uid(image, DCM_ReferencedSOPInstanceUID);
  thing.contours.push_back(std::move(contour));
}

// The one series that contours of a frame of reference were drawn on.
void read_references(Object &object, std::map<std::string, std::string> &series_of) {
  for_each(&object.data, DCM_ReferencedFrameOfReferenceSequence, [&](DcmItem &frame) {
    std::string uid = object.uid(&frame, DCM_FrameOfReferenceUID);
    size_t n = 0;
    for_each(&frame, DCM_RTReferencedStudySequence, [&](DcmItem &study) {
      for_each(&study, DCM_RTReferencedSeriesSequence, [&](DcmItem &series) {
        series_of[uid] = object.uid(&series, DCM_SeriesInstanceUID);
        n++;
      });
    });
    if (n > 1) series_of[uid] = "";
    if (object.frame.empty()) {
      object.frame = uid;
      object.series = series_of[uid];
    }
  });
}

void parse(Object &object) {
  std::map<std::string, std::string> series_of;
  std::map<long, Roi> rois = read_rois(object);
  std::map<long, DcmItem *> contours;
  size_t points_left = CT_MOST_CONTOUR_POINTS;
  read_references(object, series_of);
  if (object.frame.empty()) object.frame = object.uid(&object.data, DCM_FrameOfReferenceUID);
  if (rois.empty()) throw Refusal("a structure set without a region of interest");
  for_each(&object.data, DCM_ROIContourSequence, [&](DcmItem &item) {
    long number = 0;
    if (!ct::whole(&item, DCM_ReferencedROINumber, number) || !rois.count(number))
      throw Refusal("contours of a region that the StructureSetROISequence lacks");
    contours[number] = &item;
  });
  for (const auto &entry : rois) {
    Thing thing;
    const Roi &roi = entry.second;
    thing.name = roi.name.empty() ? "region " + std::to_string(entry.first) : roi.name;
    thing.nature = nature_of_roi(roi);
    thing.reader = roi.reader;
    thing.frame = roi.frame;
    thing.series = series_of.count(roi.frame) ? series_of[roi.frame] : "";
    try {
      if (thing.nature != Nature::other)
        for_each(contours[entry.first], DCM_ContourSequence,
                 [&](DcmItem &item) { read_contour(object, item, thing, points_left); });
      if (thing.nature != Nature::other && !thing.has_shape() && !thing.is_place)
        throw Refusal("a region without contours");
      object.add(std::move(thing));
    } catch (const Refusal &refusal) {
      object.leave_out("region " + std::to_string(entry.first) + " (" + thing.name + ")",
                       refusal.what());
    }
  }
}

const char *const classes[] = {"1.2.840.10008.5.1.4.1.1.481.3", nullptr};

} // namespace

extern const Parser parser_rtstruct;
const Parser parser_rtstruct = {classes, parse};

} // namespace ct_object

extern "C" {
extern const struct ct_nodule_source ct_nodule_source_rtstruct;
const struct ct_nodule_source ct_nodule_source_rtstruct = {
    "rtstruct",
    "RTSTRUCT",
    "closed planar contours, one nodule a region of interest whose name says so",
    false,
    ct_object::classes,
    nullptr,
    ct_nodule_object_read,
    nullptr,
};
}
