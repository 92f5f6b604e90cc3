/* Writes DICOM files in plain C, independent of the program: what the reader makes of them can be
 * held against what was put in. A data set is a list of elements, sorted by tag when it is written;
 * sequences hold data sets. It is written in any of five encodings, or with pixel data that
 * somebody else compressed. ct_dicom_field.h makes series of known voxels with it. */
#pragma once

#include <zlib.h>

#include "tests/lc_test.h"

enum dcm_coding { DCM_IMPLICIT, DCM_EXPLICIT, DCM_BIG, DCM_DEFLATED, DCM_RLE, DCM_CODINGS };

static inline const char *dcm_syntax(enum dcm_coding coding) {
  static const char *const uids[] = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1",
                                     "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
                                     "1.2.840.10008.1.2.5"};
  return uids[coding];
}

struct dcm_bytes {
  uint8_t *at;
  size_t n, room;
};

static inline void dcm_add(struct dcm_bytes *out, const void *bytes, size_t n) {
  if (out->n + n > out->room) {
    out->room = 2 * (out->n + n) + 256;
    out->at = realloc(out->at, out->room);
    assert_non_null(out->at);
  }
  if (n > 0) memcpy(out->at + out->n, bytes, n);
  out->n += n;
}

static inline void dcm_number(struct dcm_bytes *out, uint64_t value, int bytes, bool big) {
  for (int i = 0; i < bytes; i++) {
    uint8_t byte = (uint8_t)(value >> 8 * (big ? bytes - 1 - i : i));
    dcm_add(out, &byte, 1);
  }
}

struct dcm_set;

/* Values of two bytes are kept in little endian. */
struct dcm_element {
  uint32_t tag;
  char vr[3];
  uint8_t *bytes;
  size_t n;
  struct dcm_set *items; /* [n_items] of a sequence */
  size_t n_items;
};

struct dcm_set {
  struct dcm_element elements[96];
  size_t n;
};

static inline void dcm_free(struct dcm_set *set) {
  for (size_t i = 0; i < set->n; i++) {
    for (size_t k = 0; k < set->elements[i].n_items; k++) dcm_free(&set->elements[i].items[k]);
    free(set->elements[i].items);
    free(set->elements[i].bytes);
  }
  set->n = 0;
}

static inline void dcm_remove(struct dcm_set *set, uint32_t tag) {
  for (size_t i = 0; i < set->n; i++)
    if (set->elements[i].tag == tag) {
      struct dcm_set gone = {.elements = {set->elements[i]}, .n = 1};
      dcm_free(&gone);
      set->elements[i] = set->elements[--set->n];
      return;
    }
}

/* Puts an element in the place of another with its tag, if there is one. */
static inline struct dcm_element *dcm_put(struct dcm_set *set, uint32_t tag, const char *vr,
                                          const void *bytes, size_t n) {
  dcm_remove(set, tag);
  assert_true(set->n < sizeof set->elements / sizeof *set->elements);
  struct dcm_element *element = &set->elements[set->n++];
  *element = (struct dcm_element){.tag = tag, .n = n};
  memcpy(element->vr, vr, 2);
  if (n > 0) {
    element->bytes = malloc(n);
    assert_non_null(element->bytes);
    memcpy(element->bytes, bytes, n);
  }
  return element;
}

static inline void dcm_text(struct dcm_set *set, uint32_t tag, const char *vr, const char *text) {
  char padded[1024];
  size_t n = strlen(text);
  assert_true(n + 1 < sizeof padded);
  memcpy(padded, text, n);
  if (n & 1) padded[n++] = strcmp(vr, "UI") == 0 ? '\0' : ' ';
  dcm_put(set, tag, vr, padded, n);
}

__attribute__((format(printf, 4, 5))) static inline void
dcm_print(struct dcm_set *set, uint32_t tag, const char *vr, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  dcm_text(set, tag, vr, text);
}

/* US, or SS for what is negative too. */
static inline void dcm_short(struct dcm_set *set, uint32_t tag, const char *vr, long value) {
  const uint8_t bytes[] = {(uint8_t)(value & 0xff), (uint8_t)(value >> 8 & 0xff)};
  dcm_put(set, tag, vr, bytes, 2);
}

/* Adds an empty item to a sequence, made when it is not there; valid until the next. */
static inline struct dcm_set *dcm_item(struct dcm_set *set, uint32_t tag) {
  struct dcm_element *sequence = NULL;
  for (size_t i = 0; i < set->n; i++)
    if (set->elements[i].tag == tag) sequence = &set->elements[i];
  if (!sequence) sequence = dcm_put(set, tag, "SQ", NULL, 0);
  sequence->items = realloc(sequence->items, (sequence->n_items + 1) * sizeof *sequence->items);
  assert_non_null(sequence->items);
  struct dcm_set *item = &sequence->items[sequence->n_items++];
  item->n = 0;
  return item;
}

static inline int dcm_by_tag(const void *a, const void *b) {
  uint32_t x = ((const struct dcm_element *)a)->tag, y = ((const struct dcm_element *)b)->tag;
  return (x > y) - (x < y);
}

static inline void dcm_tag(struct dcm_bytes *out, uint32_t tag, bool big) {
  dcm_number(out, tag >> 16, 2, big);
  dcm_number(out, tag & 0xffff, 2, big);
}

static inline void dcm_head(struct dcm_bytes *out, uint32_t tag, const char *vr, size_t n,
                            bool is_explicit, bool big) {
  dcm_tag(out, tag, big);
  if (!is_explicit) {
    dcm_number(out, n, 4, big);
    return;
  }
  dcm_add(out, vr, 2);
  if (strcmp(vr, "OB") == 0 || strcmp(vr, "OW") == 0 || strcmp(vr, "SQ") == 0 ||
      strcmp(vr, "UN") == 0 || strcmp(vr, "UT") == 0) {
    dcm_number(out, 0, 2, big);
    dcm_number(out, n, 4, big);
  } else {
    dcm_number(out, n, 2, big);
  }
}

static inline void dcm_encode(struct dcm_bytes *out, struct dcm_set *set, bool is_explicit,
                              bool big) {
  qsort(set->elements, set->n, sizeof *set->elements, dcm_by_tag);
  for (size_t i = 0; i < set->n; i++) {
    struct dcm_element *element = &set->elements[i];
    if (strcmp(element->vr, "SQ") == 0) {
      struct dcm_bytes items = {0};
      for (size_t k = 0; k < element->n_items; k++) {
        struct dcm_bytes item = {0};
        dcm_encode(&item, &element->items[k], is_explicit, big);
        dcm_tag(&items, 0xfffee000, big);
        dcm_number(&items, item.n, 4, big);
        dcm_add(&items, item.at, item.n);
        free(item.at);
      }
      dcm_head(out, element->tag, "SQ", items.n, is_explicit, big);
      dcm_add(out, items.at, items.n);
      free(items.at);
      continue;
    }
    dcm_head(out, element->tag, element->vr, element->n, is_explicit, big);
    bool shorts = strcmp(element->vr, "US") == 0 || strcmp(element->vr, "SS") == 0 ||
                  strcmp(element->vr, "OW") == 0;
    if (!big || !shorts) dcm_add(out, element->bytes, element->n);
    for (size_t b = 0; big && shorts && b + 1 < element->n; b += 2) {
      const uint8_t swapped[] = {element->bytes[b + 1], element->bytes[b]};
      dcm_add(out, swapped, 2);
    }
  }
}

/* PackBits of one row. */
static inline void dcm_pack(struct dcm_bytes *out, const uint8_t *row, size_t n) {
  for (size_t i = 0; i < n;) {
    size_t run = 1, literal = 1;
    while (i + run < n && run < 128 && row[i + run] == row[i]) run++;
    if (run > 1) {
      dcm_number(out, 257 - run, 1, false);
      dcm_number(out, row[i], 1, false);
      i += run;
      continue;
    }
    while (i + literal < n && literal < 128 &&
           (i + literal + 1 == n || row[i + literal] != row[i + literal + 1]))
      literal++;
    dcm_number(out, literal - 1, 1, false);
    dcm_add(out, row + i, literal);
    i += literal;
  }
}

/* An RLE frame (PS3.5 annex G) of samples of one or two bytes, little endian. */
static inline struct dcm_bytes dcm_rle(const uint8_t *pixels, size_t rows, size_t columns,
                                       size_t sample_bytes) {
  struct dcm_bytes out = {0}, planes[2] = {{0}};
  size_t start = 64;
  uint8_t *row = malloc(columns);
  assert_non_null(row);
  dcm_number(&out, sample_bytes, 4, false);
  for (size_t p = 0; p < sample_bytes; p++) {
    size_t byte = sample_bytes - 1 - p; /* most significant first */
    for (size_t r = 0; r < rows; r++) {
      for (size_t c = 0; c < columns; c++) row[c] = pixels[(r * columns + c) * sample_bytes + byte];
      dcm_pack(&planes[p], row, columns);
    }
    if (planes[p].n & 1) dcm_number(&planes[p], 0, 1, false);
    dcm_number(&out, start, 4, false);
    start += planes[p].n;
  }
  while (out.n < 64) dcm_number(&out, 0, 4, false);
  for (size_t p = 0; p < sample_bytes; p++) dcm_add(&out, planes[p].at, planes[p].n);
  free(planes[0].at);
  free(planes[1].at);
  free(row);
  return out;
}

static inline void dcm_meta(struct dcm_bytes *out, const char *syntax) {
  struct dcm_set meta = {.n = 0};
  struct dcm_bytes body = {0};
  dcm_put(&meta, 0x00020001, "OB", "\0\1", 2);
  dcm_text(&meta, 0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.2");
  dcm_text(&meta, 0x00020003, "UI", "2.25.1");
  dcm_text(&meta, 0x00020010, "UI", syntax);
  dcm_encode(&body, &meta, true, false);
  dcm_free(&meta);
  for (int i = 0; i < 128; i++) dcm_number(out, 0, 1, false);
  dcm_add(out, "DICM", 4);
  dcm_head(out, 0x00020000, "UL", 4, true, false);
  dcm_number(out, body.n, 4, false);
  dcm_add(out, body.at, body.n);
  free(body.at);
}

static inline void dcm_deflate(struct dcm_bytes *bytes) {
  z_stream stream = {0};
  uint8_t *packed = malloc(bytes->n + 1024);
  assert_non_null(packed);
  assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = bytes->at;
  stream.avail_in = (uInt)bytes->n;
  stream.next_out = packed;
  stream.avail_out = (uInt)(bytes->n + 1024);
  assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
  size_t n = stream.total_out;
  deflateEnd(&stream);
  free(bytes->at);
  *bytes = (struct dcm_bytes){packed, n, bytes->n + 1024};
  if (n & 1) dcm_number(bytes, 0, 1, false);
}

static inline void dcm_save(const struct dcm_bytes *bytes, const char *path) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes->at, 1, bytes->n, file), bytes->n);
  assert_int_equal(fclose(file), 0);
}

/* Writes a data set with pixel data in one fragment a frame, which the set lacks. */
static inline void dcm_write_frames(struct dcm_set *set, const char *syntax,
                                    const struct dcm_bytes *frames, size_t n_frames,
                                    const char *path) {
  struct dcm_bytes out = {0};
  dcm_meta(&out, syntax);
  dcm_encode(&out, set, true, false);
  dcm_head(&out, 0x7fe00010, "OB", 0xffffffff, true, false);
  dcm_tag(&out, 0xfffee000, false);
  dcm_number(&out, 0, 4, false); /* no offsets */
  for (size_t i = 0; i < n_frames; i++) {
    dcm_tag(&out, 0xfffee000, false);
    dcm_number(&out, frames[i].n + (frames[i].n & 1), 4, false);
    dcm_add(&out, frames[i].at, frames[i].n);
    if (frames[i].n & 1) dcm_number(&out, 0, 1, false);
  }
  dcm_tag(&out, 0xfffee0dd, false);
  dcm_number(&out, 0, 4, false);
  dcm_save(&out, path);
  free(out.at);
}

/* Writes a data set whose PixelData, if any, is not compressed; `declared`: what its meta header
 * says, true or not. */
static inline void dcm_write_as(struct dcm_set *set, enum dcm_coding coding, const char *declared,
                                const char *path) {
  struct dcm_bytes out = {0}, data = {0};
  dcm_meta(&out, declared);
  dcm_encode(&data, set, coding != DCM_IMPLICIT, coding == DCM_BIG);
  if (coding == DCM_DEFLATED) dcm_deflate(&data);
  dcm_add(&out, data.at, data.n);
  dcm_save(&out, path);
  free(data.at);
  free(out.at);
}
