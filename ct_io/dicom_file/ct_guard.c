/* Walks the raw elements of a DICOM file before DCMTK parses it, and refuses sequences nested too
 * deeply, deflated data that unfolds too far, and impossible value representations. */
#include "ct_io/dicom_file/ct_guard.h"
#include "ct_io/dicom_file/ct_syntax.h"

#include <stdint.h>
#include <string.h>

#include "common/lc_text.h"

static const size_t preamble = 132;
static const uint32_t undefined = 0xffffffff;

static bool get(struct ct_source *source, uint64_t at, uint8_t *out, size_t count) {
  return ct_source_read(source, at, out, count) == count;
}

struct element {
  uint32_t tag;
  uint32_t length;
  char vr[3]; /* "" in implicit VR */
  size_t header;
};

static uint32_t number(const uint8_t *b, bool big, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; i++) value |= (uint32_t)b[i] << 8 * (big ? bytes - 1 - i : i);
  return value;
}

/* Two capitals that are none of the old ones announce a length of four bytes (PS3.5 section 7.1.2):
 * so will every one to come. */
static bool long_form(const char *vr) {
  static const char *const shorts[] = {"AE", "AS", "AT", "CS", "DA", "DS", "DT",
                                       "FD", "FL", "IS", "LO", "LT", "PN", "SH",
                                       "SL", "SS", "ST", "TM", "UI", "UL", "US"};
  for (size_t i = 0; i < sizeof shorts / sizeof *shorts; i++)
    if (strcmp(vr, shorts[i]) == 0) return false;
  return vr[0] >= 'A' && vr[0] <= 'Z' && vr[1] >= 'A' && vr[1] <= 'Z';
}

static bool read_element(struct ct_source *source, uint64_t at, bool is_explicit, bool big,
                         struct element *element) {
  uint8_t b[12];
  if (!get(source, at, b, 8)) return false;
  element->tag = number(b, big, 2) << 16 | number(b + 2, big, 2);
  element->vr[0] = '\0';
  element->header = 8;
  if (!is_explicit || element->tag >> 16 == 0xfffe) {
    element->length = number(b + 4, big, 4);
    return true;
  }
  element->vr[0] = (char)b[4];
  element->vr[1] = (char)b[5];
  element->vr[2] = '\0';
  if (!long_form(element->vr)) {
    element->length = number(b + 6, big, 2);
    return true;
  }
  element->header = 12;
  if (!get(source, at, b, 12)) return false;
  element->length = number(b + 8, big, 4);
  return true;
}

static bool is_delimiter_or_item(const struct element *element) {
  return element->tag >> 16 == 0xfffe;
}

/* Two bytes that are no letters mean that this is no element: a length before it is wrong. Releases
 * of DCMTK differ in what they make of that, and some read on. */
static lc_status check_vr(const struct element *element, uint64_t at, const char *path,
                          struct lc_error *err) {
  const uint8_t *vr = (const uint8_t *)element->vr;
  if (is_delimiter_or_item(element) ||
      (vr[0] >= ' ' && vr[0] <= '~' && vr[1] >= ' ' && vr[1] <= '~'))
    return LC_OK;
  LC_FAIL(err, LC_ERR_FORMAT,
          "%s: no element at byte %llu: tag (%04x,%04x) with value representation %02x %02x, "
          "expected two letters",
          path, (unsigned long long)at, element->tag >> 16, element->tag & 0xffff, vr[0], vr[1]);
}

/* What an element with elements inside is, as far as its inside depends on it. */
struct level {
  uint64_t end; /* UINT64_MAX: ends with a delimiter */
  bool is_explicit;
  bool fragments; /* of pixel data: its items hold bytes, not elements */
};

/* Only containers are entered; implicit VR has no VR that marks them, but their first value is an
 * item. */
static bool is_container(struct ct_source *source, uint64_t value, const struct element *element,
                         const struct level *outer, bool big) {
  uint8_t b[4];
  if (element->length == 0) return false;
  if (element->tag == 0xfffee000) return !outer->fragments || element->length == undefined;
  if (strcmp(element->vr, "SQ") == 0 || element->length == undefined) return true;
  bool untyped = !element->vr[0] || strcmp(element->vr, "UN") == 0;
  return untyped && element->length >= 8 && get(source, value, b, 4) &&
         (number(b, big, 2) << 16 | number(b + 2, big, 2)) == 0xfffee000;
}

/* The inside of an element whose value starts at `value`. UN keeps a sequence in implicit VR
 * (PS3.5 section 6.2.2). */
static struct level inside(const struct element *element, const struct level *outer,
                           uint64_t value) {
  struct level level = *outer;
  level.end = element->length == undefined ? UINT64_MAX : value + element->length;
  if (strcmp(element->vr, "UN") == 0) level.is_explicit = false;
  if (!is_delimiter_or_item(element))
    level.fragments = element->vr[0] == 'O' && element->length == undefined;
  return level;
}

/* Through all elements before the pixels; `check` whether they have value representations, too. */
static lc_status walk(struct ct_source *source, struct ct_layout *layout, bool check,
                      struct lc_error *err) {
  /* The data set, and inside it sequences and items by turns. */
  struct level levels[1 + CT_MAX_NESTING] = {{UINT64_MAX, layout->is_explicit, false}};
  size_t depth = 0;
  uint64_t at = layout->dataset;
  struct element element;
  for (;;) {
    while (depth && levels[depth].end != UINT64_MAX && at >= levels[depth].end) depth--;
    const struct level *outer = &levels[depth];
    if (layout->deflated && at > CT_MAX_INFLATED_HEADER) return LC_OK; /* refused anyway */
    if (!read_element(source, at, outer->is_explicit, layout->big, &element)) return LC_OK;
    if (depth == 0 && element.tag >= 0x7fe00008) {
      layout->has_pixels = element.tag <= 0x7fe00010;
      layout->pixels = at + element.header;
      if (element.tag == 0x7fe00010 && element.length != undefined)
        layout->pixel_bytes = element.length;
      return LC_OK;
    }
    if (check && outer->is_explicit) LC_TRY(check_vr(&element, at, source->path, err));
    at += element.header;
    if (element.tag == 0xfffee00d || element.tag == 0xfffee0dd) {
      if (depth) depth--;
    } else if (is_container(source, at, &element, outer, layout->big)) {
      if (depth == CT_MAX_NESTING)
        LC_FAIL(err, LC_ERR_FORMAT, "%s: sequences nested deeper than %d at byte %llu",
                source->path, CT_MAX_NESTING / 2, (unsigned long long)at);
      levels[depth + 1] = inside(&element, outer, at);
      depth++;
    } else {
      at += element.length;
    }
  }
}

/* The value of a UID in the meta header. */
static void copy_uid(struct ct_source *source, uint64_t at, const struct element *element,
                     char out[65]) {
  if (element->length >= 65 || !get(source, at + element->header, (uint8_t *)out, element->length))
    return;
  out[element->length] = '\0';
  while (*out && out[strlen(out) - 1] == ' ') out[strlen(out) - 1] = '\0';
  lc_text_printable(out);
}

/* Where the data set starts, from the meta header (always explicit VR little endian, PS3.10 section
 * 7.1). */
static lc_status read_meta(struct ct_source *source, struct ct_layout *layout,
                           struct lc_error *err) {
  struct element element;
  uint8_t magic[4];
  uint64_t at = get(source, preamble - 4, magic, 4) && memcmp(magic, "DICM", 4) == 0 ? preamble : 0;
  while (read_element(source, at, true, false, &element) && element.tag >> 16 == 2) {
    LC_TRY(check_vr(&element, at, source->path, err));
    if (element.tag == 0x00020010) copy_uid(source, at, &element, layout->syntax);
    if (element.tag == 0x00020002) copy_uid(source, at, &element, layout->media_class);
    at += element.header + element.length;
  }
  layout->dataset = at;
  return LC_OK;
}

/* Whether the first two elements make sense in an encoding: letters where it has value
 * representations, and ascending tags. */
static bool makes_sense(struct ct_source *source, uint64_t at, bool is_explicit, bool big) {
  struct element first, second;
  if (!read_element(source, at, is_explicit, big, &first) || first.tag >> 16 > 0x7fe0) return false;
  if (is_explicit &&
      !(first.vr[0] >= 'A' && first.vr[0] <= 'Z' && first.vr[1] >= 'A' && first.vr[1] <= 'Z'))
    return false;
  if (first.length == undefined) return true;
  at += first.header + first.length;
  return at == source->size ||
         (read_element(source, at, is_explicit, big, &second) && second.tag > first.tag);
}

/* The declared encoding, unless the elements speak for another. */
static void find_encoding(struct ct_source *source, struct ct_layout *layout) {
  static const struct {
    bool is_explicit, big;
  } encodings[] = {{true, false}, {false, false}, {true, true}};
  bool declared = layout->syntax[0] != '\0';
  layout->big = strcmp(layout->syntax, "1.2.840.10008.1.2.2") == 0;
  layout->is_explicit = declared && strcmp(layout->syntax, "1.2.840.10008.1.2") != 0;
  if (declared && makes_sense(source, layout->dataset, layout->is_explicit, layout->big)) return;
  for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
    if (!makes_sense(source, layout->dataset, encodings[i].is_explicit, encodings[i].big)) continue;
    layout->is_explicit = encodings[i].is_explicit;
    layout->big = encodings[i].big;
    return;
  }
}

lc_status ct_guard_check(struct ct_source *source, struct ct_layout *layout, struct lc_error *err) {
  memset(layout, 0, sizeof *layout);
  LC_TRY(read_meta(source, layout, err));
  layout->deflated = strcmp(layout->syntax, "1.2.840.10008.1.2.1.99") == 0;
  if (layout->deflated) {
    LC_TRY(ct_source_inflate(source, layout->dataset, CT_MAX_INFLATED, err));
    layout->dataset = 0;
    layout->is_explicit = true;
  } else {
    find_encoding(source, layout);
  }
  /* A syntax that is not read here may store anything. */
  bool known = !layout->syntax[0] || ct_transfer_syntax_known(layout->syntax);
  LC_TRY(walk(source, layout, known, err));
  /* Small elements take many times their length in the parser: what so few bytes stand for is
   * bounded. */
  uint64_t before = layout->has_pixels ? layout->pixels : source->size;
  if (layout->deflated && before > CT_MAX_INFLATED_HEADER)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: elements of a deflated data set take more than %zu bytes before its pixel data",
            source->path, CT_MAX_INFLATED_HEADER);
  return LC_OK;
}

bool ct_guard_looks_like_dicom(struct ct_source *source) {
  uint8_t bytes[132];
  size_t count = ct_source_read(source, 0, bytes, sizeof bytes);
  if (count == sizeof bytes && memcmp(bytes + 128, "DICM", 4) == 0) return true;
  if (count < 16) return false;
  bool little = (bytes[0] == 2 || bytes[0] == 8) && bytes[1] == 0 && bytes[3] == 0;
  bool big = bytes[0] == 0 && (bytes[1] == 2 || bytes[1] == 8) && bytes[2] == 0;
  return little || big;
}
