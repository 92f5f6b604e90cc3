// The nodule source "Chest CAD SR": findings of computer-aided detection (PS3.16 TID 4100 to 4107):
// centre, outlines, certainty.
#include "common/lc_log.h"
#include "ct_io/nodule_object/ct_content.hpp"

namespace ct_object {
namespace {

struct Report {
  Object &object;
  std::string reader;
  size_t n_findings = 0, points_left = CT_MOST_CONTOUR_POINTS;
};

// Of a finding: a probability, whatever of the three certainties is given. Units of percent, or 1.
void read_certainty(const Object &object, DcmItem &item, Thing &thing) {
  std::string units;
  double value = 0;
  if (!measured(object, item, value, units)) throw Refusal("a certainty that is no number");
  double probability = units == "%" ? value / 100 : value;
  if (!(probability >= 0 && probability <= 1))
    throw Refusal("a certainty of " + std::to_string(value) + " " + units +
                  ", expected 0 to 100 % or 0 to 1");
  thing.probability = probability;
}

void read_item(Report &report, DcmItem &item, Thing &thing, bool &hidden) {
  const Object &object = report.object;
  std::string type = value_type(object, item), what = concept_of(object, item);
  double mm = 0;
  if (type == "SCOORD" || type == "SCOORD3D") {
    Drawing drawing = read_drawing(object, item, report.points_left);
    bool centre = what == "DCM 111010", outline = what == "DCM 111041" || what == "DCM 121057";
    if (centre || outline) draw(thing, drawing);
  } else if (what == "DCM 111011" || what == "DCM 111012" || what == "DCM 111047") {
    read_certainty(object, item, thing);
  } else if (what == "DCM 112039") {
    thing.name = object.text(&item, DCM_TextValue);
  } else if (what == "DCM 112040") {
    thing.tracking_uid = object.uid(&item, DCM_UID);
  } else if (what == "DCM 111056") {
    hidden = hidden || coded_value(object, item) == "DCM 111152";
  } else if (type == "NUM" && (what == "SCT 81827009" || what == "SRT M-02550")) {
    if (measured_mm(object, item, mm) && mm > thing.diameter_mm) thing.diameter_mm = mm;
  } else if (what == "DCM 111059" || type == "CONTAINER") {
    /* Parts of a composite feature: what one image shows of it. */
    for_each_content(item, [&](DcmItem &below) { read_item(report, below, thing, hidden); });
  }
}

void read_finding(Report &report, DcmItem &item) {
  Object &object = report.object;
  Thing thing;
  bool hidden = false;
  std::string name = "finding " + std::to_string(++report.n_findings);
  thing.name = name;
  thing.reader = report.reader;
  thing.nature = nature_of(coded_meaning(object, item));
  try {
    for_each_content(item, [&](DcmItem &below) { read_item(report, below, thing, hidden); });
    if (hidden) {
      lc_log(LC_LOG_INFO, "%s: %s: is not for presentation", object.path.c_str(), name.c_str());
      return;
    }
    if (!thing.has_shape() && !thing.is_place)
      throw Refusal("a finding without centre and outline");
    object.add(std::move(thing));
  } catch (const Refusal &refusal) {
    object.leave_out(name, refusal.what());
  }
}

// Single image findings and composite features, wherever they are; those of a feature are its
// parts.
void find_findings(Report &report, DcmItem &item) {
  for_each_content(item, [&](DcmItem &below) {
    std::string what = concept_of(report.object, below);
    if (what == "DCM 111059" || what == "DCM 111015")
      read_finding(report, below);
    else
      find_findings(report, below);
  });
}

void parse(Object &object) {
  Report report = {object, observer_of(object, object.data)};
  if (report.reader.empty()) report.reader = object.text(&object.data, DCM_ManufacturerModelName);
  object.series = evidence_series(object);
  find_findings(report, object.data);
  if (report.n_findings == 0)
    lc_log(LC_LOG_INFO, "%s: a report of computer-aided detection without findings",
           object.path.c_str());
}

const char *const classes[] = {"1.2.840.10008.5.1.4.1.1.88.65", nullptr};

} // namespace

extern const Parser parser_cad_report;
const Parser parser_cad_report = {classes, parse};

} // namespace ct_object

extern "C" {
extern const struct ct_nodule_source ct_nodule_source_cad_report;
const struct ct_nodule_source ct_nodule_source_cad_report = {
    "cad_report",
    "Chest CAD SR",
    "findings of computer-aided detection: centre, outlines, certainty",
    false,
    ct_object::classes,
    nullptr,
    ct_nodule_object_read,
    nullptr,
};
}
