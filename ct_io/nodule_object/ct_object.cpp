// Opens DICOM objects, calls the parser of their class, and turns what it found into annotations.
#include "ct_io/nodule_object/ct_object.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_file/ct_stream.hpp"

#define PARSERS(ENTRY)                                                                             \
  ENTRY(seg)                                                                                       \
  ENTRY(rtstruct)                                                                                  \
  ENTRY(report)                                                                                    \
  ENTRY(cad_report)

namespace ct_object {

#define DECLARE(name) extern const Parser parser_##name;
PARSERS(DECLARE)

namespace {

#define POINT(name) &parser_##name,
const Parser *const parsers[] = {PARSERS(POINT)};

// Longer values stay in the file until they are asked for.
constexpr Uint32 longest_value = 4096;

bool has_word(const std::string &text, const char *const *words) {
  for (; *words; words++)
    if (text.find(*words) != std::string::npos) return true;
  return false;
}

// Whether a word stands in a text by itself, a number behind it or not ("GTV1", "mass_2").
bool stands_alone(const std::string &text, const char *word) {
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    size_t end = at + strlen(word);
    bool starts = at == 0 || !isalpha(static_cast<unsigned char>(text[at - 1]));
    bool ends = end >= text.size() || !isalpha(static_cast<unsigned char>(text[end]));
    if (starts && ends) return true;
  }
  return false;
}

ct_mark *new_mark(ct_annotation &annotation, lc_error *err) {
  auto *grown = static_cast<ct_mark *>(
      realloc(annotation.marks, (annotation.n_marks + 1) * sizeof *annotation.marks));
  if (!grown) {
    (void)lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", annotation.path);
    return nullptr;
  }
  annotation.marks = grown;
  ct_mark *mark = &grown[annotation.n_marks++];
  *mark = {};
  return mark;
}

lc_status put_contours(ct_region &region, const Thing &thing, lc_error *err) {
  LC_TRY(lc_alloc(&region.contours, thing.contours.size(), sizeof *region.contours, err));
  for (const Contour &from : thing.contours) {
    ct_contour &to = region.contours[region.n_contours++];
    to.in_pixels = from.in_pixels;
    lc_text_copy(to.sop_instance_uid, sizeof to.sop_instance_uid, from.image.c_str());
    LC_TRY(lc_alloc(&to.mm, from.points.size(), sizeof *to.mm, err));
    to.n_points = from.points.size();
    for (size_t i = 0; i < to.n_points; i++)
      std::copy(from.points[i].begin(), from.points[i].end(), to.mm[i]);
  }
  return LC_OK;
}

lc_status put_region(ct_mark &mark, const Thing &thing, lc_error *err) {
  LC_TRY(lc_alloc(&mark.region, 1, sizeof *mark.region, err));
  ct_region &region = *mark.region;
  region.has_probability = !std::isnan(thing.probability);
  region.probability = region.has_probability ? thing.probability : 0;
  region.segment = thing.segment;
  lc_text_copy(region.segmentation_uid, sizeof region.segmentation_uid, thing.segmentation.c_str());
  lc_text_copy(region.tracking_uid, sizeof region.tracking_uid, thing.tracking_uid.c_str());
  if (!thing.contours.empty()) LC_TRY(put_contours(region, thing, err));
  if (thing.mask.inside.empty()) return LC_OK;
  LC_TRY(lc_alloc(&region.mask.inside, thing.mask.inside.size(), 1, err));
  memcpy(region.mask.inside, thing.mask.inside.data(), thing.mask.inside.size());
  for (size_t c = 0; c < 3; c++) {
    region.mask.origin_mm[c] = thing.mask.origin[c];
    region.mask.size[c] = thing.mask.size[c];
    for (size_t axis = 0; axis < 3; axis++) region.mask.step_mm[axis][c] = thing.mask.step[axis][c];
  }
  return LC_OK;
}

lc_status put_mark(ct_annotation &annotation, const Thing &thing, int session, lc_error *err) {
  ct_mark *mark = new_mark(annotation, err);
  if (!mark) return LC_ERR_MEMORY;
  mark->session = session;
  annotation.n_sessions = std::max(annotation.n_sessions, session + 1);
  lc_text_copy(mark->reader, sizeof mark->reader, thing.reader.c_str());
  lc_text_copy(mark->nodule_id, sizeof mark->nodule_id, thing.name.c_str());
  for (size_t i = 0; i < CT_RATING_COUNT; i++) {
    mark->rating[i] = thing.rating[i];
    mark->has_ratings = mark->has_ratings || thing.rating[i] > 0;
  }
  for (int i = 0; i < CT_RATING_COUNT && mark->has_ratings; i++)
    if (mark->rating[i] == 0) mark->faults |= CT_FAULT_RATING_ZERO;
  return put_region(*mark, thing, err);
}

lc_status put_place(ct_annotation &annotation, const Thing &thing, size_t number, lc_error *err) {
  ct_point point = {};
  point.line = number;
  point.diameter_mm = thing.diameter_mm;
  point.probability = thing.probability;
  lc_text_copy(point.name, sizeof point.name, thing.name.c_str());
  lc_text_copy(point.sop_instance_uid, sizeof point.sop_instance_uid, thing.place_image.c_str());
  if (thing.place_image.empty())
    std::copy(thing.place.begin(), thing.place.end(), point.centre_mm);
  else
    std::copy(thing.place.begin(), thing.place.begin() + 2, point.pixel);
  return ct_annotation_add_point(&annotation, &point, err);
}

// The annotation of a series and frame of reference among those of this object.
lc_status annotation_of(ct_annotations *found, size_t first, const std::string &series,
                        const std::string &frame, const Object &object, ct_annotation **out,
                        lc_error *err) {
  for (size_t i = first; i < found->n; i++)
    if (series == found->items[i].series_instance_uid &&
        frame == found->items[i].frame_of_reference_uid) {
      *out = &found->items[i];
      return LC_OK;
    }
  LC_TRY(ct_annotations_add(found, out, err));
  (*out)->path = strdup(object.path.c_str());
  if (!(*out)->path) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", object.path.c_str());
  lc_text_copy((*out)->series_instance_uid, CT_UID_SIZE, series.c_str());
  lc_text_copy((*out)->frame_of_reference_uid, CT_UID_SIZE, frame.c_str());
  lc_text_copy((*out)->study_instance_uid, CT_UID_SIZE,
               object.uid(&object.data, DCM_StudyInstanceUID).c_str());
  return LC_OK;
}

lc_status read_object(ct_annotations *found, int descriptor, const char *path, lc_error *err) {
  auto file = std::make_shared<ct::File>(path, descriptor);
  LC_TRY(file->open_object(err));
  DcmDataset dataset;
  OFCondition parsed =
      ct::parse(file, dataset, longest_value, DcmTagKey(0xfffc, 0xfffc)); // to the end
  LC_TRY(file->check(err));
  if (parsed == EC_MemoryExhausted) throw std::bad_alloc();
  if (parsed.bad())
    LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read to its end: %s", path, parsed.text());
  Object object(dataset, path);
  std::string sop_class = object.uid(&dataset, DCM_SOPClassUID);
  for (const Parser *parser : parsers)
    for (const char *const *one = parser->classes; *one; one++)
      if (sop_class == *one) {
        try {
          parser->parse(object);
        } catch (const Refusal &refusal) {
          LC_TRY(file->check(err));
          LC_FAIL(err, LC_ERR_FORMAT, "%s: %s", path, refusal.what());
        }
        LC_TRY(file->check(err));
        return object.deliver(found, err);
      }
  LC_FAIL(err, LC_ERR_FORMAT, "%s: %s holds no nodules that are read here", path,
          dcmFindNameOfUID(sop_class.c_str(), sop_class.c_str()));
}

} // namespace

Nature nature_of(const std::string &words) {
  static const char *const nots[] = {"non-nodul", "nonnodul", "non nodul",
                                     "no nodul",  "lymph",    nullptr};
  static const char *const nodules[] = {"nodul",  "lesion",    "tumor",     "tumour",
                                        "gtv",    "neoplasm",  "cancer",    "carcinoma",
                                        "metast", "granuloma", "hamartoma", nullptr};
  static const char *const organs[] = {
      "lung",  "lobe",    "airway",   "trachea", "bronch", "pleura",  "heart",  "atrium",
      "ventr", "mediast", "aorta",    "artery",  "vein",   "vessel",  "esoph",  "spin",
      "cord",  "vertebr", "rib",      "liver",   "spleen", "stomach", "kidney", "thyr",
      "body",  "skin",    "external", "thorax",  "chest",  "couch",   "table",  nullptr};
  static const char *const margins[] = {"ptv", "ctv", "itv"};
  std::string lower;
  for (char c : words) lower += static_cast<char>(tolower(static_cast<unsigned char>(c)));
  for (const char *margin : margins)
    if (stands_alone(lower, margin)) return Nature::other;
  if (has_word(lower, nots)) return Nature::other;
  if (has_word(lower, nodules) || stands_alone(lower, "mass") || stands_alone(lower, "masses"))
    return Nature::nodule;
  return has_word(lower, organs) ? Nature::other : Nature::unknown;
}

bool all_numbers(DcmItem *item, const DcmTagKey &tag, size_t most, std::vector<double> &values) {
  DcmElement *element = nullptr;
  values.clear();
  if (!item || item->findAndGetElement(tag, element).bad() || !element) return false;
  if (element->ident() == EVR_FL || element->ident() == EVR_FD) {
    unsigned long n = element->getVM();
    for (unsigned long i = 0; i < n && n <= most; i++) {
      Float32 narrow = 0;
      Float64 wide = 0;
      if (element->ident() == EVR_FL ? element->getFloat32(narrow, i).bad()
                                     : element->getFloat64(wide, i).bad())
        return false;
      values.push_back(element->ident() == EVR_FL ? static_cast<double>(narrow) : wide);
    }
    return n > 0 && n <= most;
  }
  OFString all;
  if (element->getOFStringArray(all).bad() || all.empty()) return false;
  for (size_t at = 0; at <= all.size();) {
    size_t end = all.find('\\', at);
    if (end == OFString_npos) end = all.size();
    double value = 0;
    if (values.size() == most ||
        !lc_text_to_double(ct::trimmed(all.substr(at, end - at)).c_str(), &value))
      return false;
    values.push_back(value);
    at = end + 1;
  }
  return true;
}

bool plausible(const Point &point) {
  return std::all_of(point.begin(), point.end(), [](double c) { return std::fabs(c) <= 1e5; });
}

Object::Object(DcmDataset &dataset, const char *path_in) : data(dataset), path(path_in) {
  OFString set;
  ct::components(&dataset, DCM_SpecificCharacterSet, set);
  charset_ = set;
}

std::string Object::uid(DcmItem *item, const DcmTagKey &tag) const {
  char value[2 * CT_UID_SIZE];
  ct::copy(item, tag, value);
  return ct_uid_plausible(value) ? value : "";
}

std::string Object::text(DcmItem *item, const DcmTagKey &tag) const {
  char value[CT_TEXT_SIZE];
  ct::copy_text(item, tag, charset_, value);
  const OFString kept = ct::trimmed(value);
  return {kept.data(), kept.length()};
}

void Object::leave_out(const std::string &name, const std::string &why) {
  n_left_out_++;
  lc_log(LC_LOG_WARNING, "%s: %s: %s: it is left out", path.c_str(), name.c_str(), why.c_str());
}

void Object::choose() {
  bool certain = std::any_of(things_.begin(), things_.end(),
                             [](const Thing &t) { return t.nature == Nature::nodule; });
  Nature worst = certain ? Nature::nodule : Nature::unknown;
  auto gone = std::stable_partition(things_.begin(), things_.end(),
                                    [&](const Thing &t) { return t.nature <= worst; });
  for (auto at = gone; at != things_.end(); ++at)
    lc_log(LC_LOG_INFO, "%s: %s: not taken for a nodule, by its name and kind", path.c_str(),
           at->name.c_str());
  things_.erase(gone, things_.end());
}

lc_status Object::deliver(ct_annotations *found, lc_error *err) {
  size_t first = found->n, number = 0;
  std::map<std::string, int> readings; // of one nodule, by what tracks it
  ct_annotation *annotation = nullptr;
  choose();
  if (series.empty() && frame.empty() &&
      std::all_of(things_.begin(), things_.end(), [](const Thing &t) {
        return t.series.empty() && t.frame.empty() && t.segmentation.empty();
      }))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: names neither a series nor a frame of reference",
            path.c_str());
  LC_TRY(annotation_of(found, first, series, frame, *this, &annotation, err));
  annotation->n_unreadable = n_left_out_;
  for (const Thing &thing : things_) {
    LC_TRY(annotation_of(found, first, thing.series.empty() ? series : thing.series,
                         thing.frame.empty() ? frame : thing.frame, *this, &annotation, err));
    int session = thing.tracking_uid.empty() ? 0 : readings[thing.tracking_uid]++;
    number++;
    LC_TRY(thing.has_shape() ? put_mark(*annotation, thing, session, err)
                             : put_place(*annotation, thing, number, err));
  }
  return LC_OK;
}

} // namespace ct_object

lc_status ct_nodule_object_parse(struct ct_annotations *found, int file, const char *path,
                                 struct lc_error *err) {
  return ct::guarded(path, err, [&] { return ct_object::read_object(found, file, path, err); });
}
