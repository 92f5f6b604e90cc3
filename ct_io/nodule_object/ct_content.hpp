// The content tree of structured reports (PS3.3 C.17.3) as plain data sets. Used only inside this
// room.
#pragma once

#include "ct_io/nodule_object/ct_object.hpp"

namespace ct_object {

// The items below an item, those that it has by value.
template <typename Function> void for_each_content(DcmItem &item, Function function) {
  for_each(&item, DCM_ContentSequence, function);
}

// "DCM 125007", of the concept of an item: scheme and value. Schemes by one name: SRT, SNM3 and
// 99SDM are SRT, and RadLex is in capitals.
std::string concept_of(const Object &object, DcmItem &item);
// The same of the value of a CODE item.
std::string coded_value(const Object &object, DcmItem &item);
// The meaning of that value.
std::string coded_meaning(const Object &object, DcmItem &item);
// "CONTAINER", "NUM", ...
std::string value_type(const Object &object, DcmItem &item);

// A number of an item NUM with its units' code ("mm"); false where it has none.
bool measured(const Object &object, DcmItem &item, double &value, std::string &units);
// The number in millimetres, where its units are a length.
bool measured_mm(const Object &object, DcmItem &item, double &mm);

// What an item SCOORD or SCOORD3D draws.
struct Drawing {
  enum class Kind { point, line, contour, ellipsoid } kind = Kind::point;
  std::vector<Point> points; // closed contours as such: ellipses and circles are polygons already
  std::string image;         // in pixels of this image; "": millimetres
  std::string frame;         // of reference, of millimetres
};

// Takes from points_left. Throws a Refusal for what cannot be read.
Drawing read_drawing(const Object &object, DcmItem &item, size_t &points_left);
// Adds what was drawn to a thing: contours to its shape, a point as its place, a line as its place
// and, in millimetres, its diameter.
void draw(Thing &thing, const Drawing &drawing);

// The one series of CT that the evidence of a report names, or "".
std::string evidence_series(const Object &object);
// Person or device that observed, among the items below an item; or "".
std::string observer_of(const Object &object, DcmItem &item);

} // namespace ct_object
