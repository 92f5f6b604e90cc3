// The nodule source "SR TID 1500": the measurement groups of measurement reports (PS3.16 TID 1410,
// 1411, 1501), with a place, contours or a segment of a segmentation, and ratings as the public
// DICOM version of LIDC-IDRI codes them (Fedorov et al., Med Phys 47:5953, 2020).
#include <algorithm>
#include <map>

#include "common/lc_log.h"
#include "ct_io/nodule_object/ct_content.hpp"

namespace ct_object {
namespace {

// The code of each rating; the first ones in the order of ct_rating, then what drafts of that data
// set had.
const struct {
  ct_rating rating;
  const char *code;
} concepts[] = {
    {CT_SUBTLETY, "NCIt C45992"},        {CT_INTERNAL_STRUCTURE, "99LIDCQIICR 200"},
    {CT_CALCIFICATION, "NCIt C3672"},    {CT_SPHERICITY, "99LIDCQIICR 400"},
    {CT_MARGIN, "NCIt C25563"},          {CT_LOBULATION, "NCIt C62175"},
    {CT_SPICULATION, "NCIt C28749"},     {CT_TEXTURE, "NCIt C41144"},
    {CT_MALIGNANCY, "RADLEX RID36042"},  {CT_LOBULATION, "99LIDCQIICR 600"},
    {CT_SPICULATION, "99LIDCQIICR 700"}, {CT_MALIGNANCY, "99LIDCQIICR 900"},
};

// What each value means.
const struct {
  ct_rating rating;
  const char *code;
  int value;
} values[] = {
    {CT_INTERNAL_STRUCTURE, "NCIt C12471", 1},
    {CT_INTERNAL_STRUCTURE, "NCIt C25278", 2},
    {CT_INTERNAL_STRUCTURE, "NCIt C12472", 3},
    {CT_INTERNAL_STRUCTURE, "NCIt C73434", 4},
    {CT_CALCIFICATION, "RADLEX RID35453", 1},
    {CT_CALCIFICATION, "99LIDCQIICR 302", 2},
    {CT_CALCIFICATION, "RADLEX RID5741", 3},
    {CT_CALCIFICATION, "99LIDCQIICR 303", 3},
    {CT_CALCIFICATION, "99LIDCQIICR 304", 4},
    {CT_CALCIFICATION, "RADLEX RID5827", 5},
    {CT_CALCIFICATION, "99LIDCQIICR 305", 5},
    {CT_CALCIFICATION, "RADLEX RID28473", 6},
    {CT_SPHERICITY, "RADLEX RID5811", 1},
    {CT_SPHERICITY, "RADLEX RID5800", 3},
    {CT_SPHERICITY, "RADLEX RID5799", 5},
    {CT_MARGIN, "RADLEX RID5709", 1},
    {CT_MARGIN, "RADLEX RID5707", 5},
    {CT_LOBULATION, "99LIDCQIICR 601", 1},
    {CT_LOBULATION, "99LIDCQIICR 605", 5},
    {CT_SPICULATION, "99LIDCQIICR 701", 1},
    {CT_SPICULATION, "99LIDCQIICR 705", 5},
    {CT_TEXTURE, "RADLEX RID50153", 1},
    {CT_TEXTURE, "RADLEX RID50152", 3},
    {CT_TEXTURE, "RADLEX RID50151", 5},
    {CT_SUBTLETY, "99LIDCQIICR 101", 1},
    {CT_SUBTLETY, "99LIDCQIICR 102", 2},
    {CT_SUBTLETY, "99LIDCQIICR 103", 3},
    {CT_SUBTLETY, "99LIDCQIICR 104", 4},
    {CT_SUBTLETY, "99LIDCQIICR 105", 5},
    {CT_MALIGNANCY, "99LIDCQIICR 901", 1},
    {CT_MALIGNANCY, "99LIDCQIICR 902", 2},
    {CT_MALIGNANCY, "99LIDCQIICR 903", 3},
    {CT_MALIGNANCY, "99LIDCQIICR 904", 4},
    {CT_MALIGNANCY, "99LIDCQIICR 905", 5},
    /* "n out of 5", of any rating but those of structure and calcification. */
    {CT_RATING_COUNT, "99LIDCQIICR 001", 1},
    {CT_RATING_COUNT, "99LIDCQIICR 002", 2},
    {CT_RATING_COUNT, "99LIDCQIICR 003", 3},
    {CT_RATING_COUNT, "99LIDCQIICR 004", 4},
    {CT_RATING_COUNT, "99LIDCQIICR 005", 5},
};

// Lengths that are a nodule's diameter: SCT and SRT diameter, long axis, length.
const char *const diameters[] = {"SCT 81827009", "SRT M-02550",   "SCT 103339001",
                                 "SRT G-A185",   "SCT 410668003", "SRT G-D7FE"};

void rate(const Object &object, DcmItem &item, Thing &thing) {
  std::string what = concept_of(object, item), value = coded_value(object, item);
  for (const auto &known : concepts) {
    if (what != known.code) continue;
    bool of_five = known.rating != CT_INTERNAL_STRUCTURE && known.rating != CT_CALCIFICATION;
    for (const auto &one : values)
      if ((one.rating == known.rating || (one.rating == CT_RATING_COUNT && of_five)) &&
          value == one.code) {
        thing.rating[known.rating] = one.value;
        return;
      }
    throw Refusal(std::string(ct_rating_name(known.rating)) + " with the value " + value +
                  ", which is none of its codes");
  }
}

struct Group {
  Thing thing;
  size_t *points_left;
};

void read_segment(const Object &object, DcmItem &item, Thing &thing) {
  DcmItem *image = ct::sequence_item(&item, DCM_ReferencedSOPSequence);
  long number = 0;
  thing.segmentation = object.uid(image, DCM_ReferencedSOPInstanceUID);
  if (thing.segmentation.empty() || !ct::whole(image, DCM_ReferencedSegmentNumber, number) ||
      number < 1 || number > 65535)
    throw Refusal("a referenced segment without UID and number");
  thing.segment = static_cast<int>(number);
}

// An item of a measurement group; what is drawn below a measurement is of the group too.
void read_item(const Object &object, DcmItem &item, Group &group, bool below_number) {
  Thing &thing = group.thing;
  std::string type = value_type(object, item), what = concept_of(object, item);
  double mm = 0;
  if (type == "SCOORD" || type == "SCOORD3D") {
    draw(thing, read_drawing(object, item, *group.points_left));
  } else if (below_number) {
    return;
  } else if (what == "DCM 112039") {
    thing.name = object.text(&item, DCM_TextValue);
  } else if (what == "DCM 112040") {
    thing.tracking_uid = object.uid(&item, DCM_UID);
  } else if (what == "DCM 121071") {
    Nature found = nature_of(coded_meaning(object, item));
    if (found != Nature::unknown) thing.nature = found;
  } else if (type == "IMAGE" && (what == "DCM 121191" || what == "DCM 121214")) {
    read_segment(object, item, thing);
  } else if (what == "DCM 121232") {
    thing.series = object.uid(&item, DCM_UID);
  } else if (type == "CODE") {
    rate(object, item, thing);
  } else if (type == "NUM") {
    bool across =
        std::find(std::begin(diameters), std::end(diameters), what) != std::end(diameters);
    if (across && measured_mm(object, item, mm) && mm > thing.diameter_mm) thing.diameter_mm = mm;
    for_each_content(item, [&](DcmItem &below) { read_item(object, below, group, true); });
  }
}

struct Report {
  Object &object;
  std::string reader;
  size_t n_groups = 0, points_left = CT_MOST_CONTOUR_POINTS;
};

void read_group(Report &report, DcmItem &item) {
  Object &object = report.object;
  Group group = {Thing(), &report.points_left};
  Thing &thing = group.thing;
  std::string name = "measurement group " + std::to_string(++report.n_groups);
  thing.reader = observer_of(object, item);
  if (thing.reader.empty()) thing.reader = report.reader;
  try {
    for_each_content(item, [&](DcmItem &below) { read_item(object, below, group, false); });
    if (thing.name.empty()) thing.name = name;
    if (thing.nature == Nature::unknown) thing.nature = nature_of(thing.name);
    if (!thing.has_shape() && !thing.is_place) {
      lc_log(LC_LOG_INFO, "%s: %s (%s): measures, but says no place", object.path.c_str(),
             name.c_str(), thing.name.c_str());
      return;
    }
    object.add(std::move(thing));
  } catch (const Refusal &refusal) {
    object.leave_out(name + (thing.name.empty() ? "" : " (" + thing.name + ")"), refusal.what());
  }
}

void find_groups(Report &report, DcmItem &item) {
  for_each_content(item, [&](DcmItem &below) {
    if (value_type(report.object, below) != "CONTAINER") return;
    if (concept_of(report.object, below) == "DCM 125007")
      read_group(report, below);
    else
      find_groups(report, below);
  });
}

void parse(Object &object) {
  Report report = {object, observer_of(object, object.data)};
  object.series = evidence_series(object);
  find_groups(report, object.data);
  if (report.n_groups == 0)
    lc_log(LC_LOG_INFO, "%s: a report without measurement groups", object.path.c_str());
}

/* Enhanced, Comprehensive, Comprehensive 3D, Extensible. */
const char *const classes[] = {"1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.33",
                               "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.88.35",
                               nullptr};

} // namespace

extern const Parser parser_report;
const Parser parser_report = {classes, parse};

} // namespace ct_object

extern "C" {
extern const struct ct_nodule_source ct_nodule_source_report;
const struct ct_nodule_source ct_nodule_source_report = {
    "report",
    "SR TID 1500",
    "measurement reports: groups with a place, contours or a segment; ratings coded as in the "
    "DICOM "
    "version of LIDC-IDRI",
    false,
    ct_object::classes,
    nullptr,
    ct_nodule_object_read,
    nullptr,
};
}
