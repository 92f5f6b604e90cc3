// What the readers of DICOM objects share: the parsed object, the nodules that are found in it, and
// which of the things in it are nodules. Used only inside this room.
#pragma once

#include "ct_io/dicom_file/ct_value.hpp"
#include "ct_io/nodule_object/ct_nodule_object.h"

#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace ct_object {

using Point = std::array<double, 3>;

// Why an object cannot be read at all.
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Contour {
  std::vector<Point> points; // millimetres, or column and row of the image
  std::string image;         // SOPInstanceUID, or ""
  bool in_pixels = false;
};

struct Mask {
  Point origin = {};
  std::array<Point, 3> step = {};
  std::array<size_t, 3> size = {};
  std::vector<uint8_t> inside; // empty: no mask
};

// How sure the object is that a thing is a nodule.
enum class Nature { nodule, unknown, other };

// A thing that may be a nodule: a shape, or a place alone.
struct Thing {
  std::string name; // for the log and as nodule_id
  Nature nature = Nature::unknown;
  std::string reader;        // who or what found it
  std::string series, frame; // UIDs; "": the object's
  std::string tracking_uid;
  std::vector<Contour> contours;
  Mask mask;
  std::string segmentation; // UID of the object that has its shape, or that it is from
  int segment = 0;
  double probability = NAN;
  std::array<int, CT_RATING_COUNT> rating = {};
  // A place alone, where there is no shape.
  bool is_place = false;
  Point place = {};        // millimetres, or column and row
  std::string place_image; // of an image
  double diameter_mm = 0,
         line_length = 0; // line_length: of the line that the place is the middle of

  bool has_shape() const {
    return !contours.empty() || !mask.inside.empty() || !segmentation.empty();
  }
};

// What a name, a label or a code's meaning says: nodule, lesion, tumour, mass, GTV and the like; or
// organs, margins (PTV, CTV, ITV) and what is called no nodule.
Nature nature_of(const std::string &words);

// An object whose data set was parsed.
class Object {
public:
  Object(DcmDataset &dataset, const char *path);

  DcmDataset &data;
  const std::string path;
  std::string series, frame; // UIDs of what it annotates, as far as it says; for the parser to set

  std::string uid(DcmItem *item, const DcmTagKey &tag) const;  // or ""
  std::string text(DcmItem *item, const DcmTagKey &tag) const; // in UTF-8, or ""

  // Takes a thing for what it is.
  void add(Thing thing) { things_.push_back(std::move(thing)); }
  // Names what is left out, and counts it, for the results are then not whole.
  void leave_out(const std::string &name, const std::string &why);

  // Hands the nodules over: those that the object calls so, or, where there is none, those that
  // nothing says are something else. The others are named.
  lc_status deliver(ct_annotations *found, lc_error *err);

private:
  void choose();
  OFString charset_;
  std::vector<Thing> things_;
  size_t n_left_out_ = 0;
};

// A kind of object.
struct Parser {
  const char *const *classes; // SOP classes, the last one null
  void (*parse)(Object &object);
};

// Calls function(item) for each item of a sequence, in turn.
template <typename Function> void for_each(DcmItem *item, const DcmTagKey &tag, Function function) {
  DcmSequenceOfItems *sequence = ct::sequence_of(item, tag);
  if (!sequence) return;
  for (DcmObject *at = sequence->nextInContainer(nullptr); at; at = sequence->nextInContainer(at))
    if (auto *one = dynamic_cast<DcmItem *>(at)) function(*one);
}

// All numbers of a value; false when one is none, there are more than `most`, or it is not there.
bool all_numbers(DcmItem *item, const DcmTagKey &tag, size_t most, std::vector<double> &values);
// Whether a place is where a patient may be: finite, and not farther than any scanner reaches.
bool plausible(const Point &point);

} // namespace ct_object
