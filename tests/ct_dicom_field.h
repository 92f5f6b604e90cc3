/* Series of CT whose Hounsfield units are a linear function of the place in the patient: every
 * voxel and every interpolated sample of a cube is known without the program. The files are written
 * by ct_dicom_build.h. */
#pragma once

#include <math.h>

#include "common/lc_file.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_index.h"
#include "tests/ct_dicom_build.h"

/* HU at a place (LPS, mm). */
static inline double field_hu(const double mm[3]) {
  return 6 * mm[0] + 4 * mm[1] + 3 * mm[2] - 200;
}

/* One volume; field_series_default has an axial one. */
struct field_series {
  int rows, columns, slices;
  double spacing[2]; /* between rows, between columns */
  double origin[3];  /* first pixel of slice 0 */
  double orientation[6];
  double step[3]; /* from slice to slice */
  double offset;  /* added to the field */
  bool is_signed;
  int allocated, stored, high_bit;
  double slope, intercept;
  enum dcm_coding coding;
  const char *declared; /* transfer syntax that the meta header names; NULL: the true one */
  const char *series_uid, *study_uid, *frame_uid;
  int acquisition, first_number;
  int objects;        /* of the SOPInstanceUIDs */
  const char *prefix; /* of file names */
  /* Changes what was made of slice k before it is written; false: it is not. */
  bool (*edit)(struct dcm_set *set, int k, void *context);
  void *context;
};

static inline struct field_series field_series_default(void) {
  return (struct field_series){.rows = 24,
                               .columns = 20,
                               .slices = 20,
                               .spacing = {1, 1},
                               .origin = {-10, -12, -20},
                               .orientation = {1, 0, 0, 0, 1, 0},
                               .step = {0, 0, 2},
                               .is_signed = true,
                               .allocated = 16,
                               .stored = 16,
                               .high_bit = 15,
                               .slope = 1,
                               .intercept = -1024,
                               .coding = DCM_EXPLICIT,
                               .series_uid = "2.25.1001",
                               .study_uid = "2.25.1000",
                               .frame_uid = "2.25.1002",
                               .acquisition = 1,
                               .first_number = 1,
                               .objects = 1,
                               .prefix = "a"};
}

static inline void field_place(const struct field_series *s, double i, double j, double k,
                               double mm[3]) {
  for (int c = 0; c < 3; c++)
    mm[c] = s->origin[c] + k * s->step[c] + i * s->spacing[1] * s->orientation[c] +
            j * s->spacing[0] * s->orientation[3 + c];
}

/* Cells of slice k, two bytes each or one, as the file holds them. */
static inline uint8_t *field_pixels(const struct field_series *s, int k, size_t *n) {
  size_t bytes = (size_t)s->allocated / 8, at = 0;
  uint32_t mask = (uint32_t)((1ull << s->stored) - 1);
  *n = (size_t)s->rows * (size_t)s->columns * bytes;
  uint8_t *pixels = malloc(*n + 1);
  assert_non_null(pixels);
  for (int j = 0; j < s->rows; j++)
    for (int i = 0; i < s->columns; i++) {
      double mm[3];
      field_place(s, i, j, k, mm);
      long value = lround((field_hu(mm) + s->offset - s->intercept) / s->slope);
      uint32_t cell = ((uint32_t)value & mask) << (s->high_bit + 1 - s->stored);
      for (size_t b = 0; b < bytes; b++) pixels[at++] = (uint8_t)(cell >> 8 * b);
    }
  if (*n & 1) pixels[(*n)++] = 0;
  return pixels;
}

/* Everything but the pixels. */
static inline void field_describe(const struct field_series *s, struct dcm_set *set, int k) {
  double mm[3];
  field_place(s, 0, 0, k, mm);
  dcm_text(set, 0x00080005, "CS", "ISO_IR 100");
  dcm_text(set, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL");
  dcm_text(set, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
  dcm_print(set, 0x00080018, "UI", "%s.%d.%d", s->series_uid, s->objects, k + 1);
  dcm_text(set, 0x00080020, "DA", "20000102");
  dcm_text(set, 0x00080060, "CS", "CT");
  dcm_text(set, 0x00080070, "LO", "TESTS");
  dcm_text(set, 0x00100010, "PN", "Field^Linear");
  dcm_text(set, 0x00100020, "LO", "FIELD");
  dcm_print(set, 0x00180050, "DS", "%g", fabs(s->step[2]) > 0 ? fabs(s->step[2]) : 1);
  dcm_text(set, 0x0020000d, "UI", s->study_uid);
  dcm_text(set, 0x0020000e, "UI", s->series_uid);
  dcm_text(set, 0x00200011, "IS", "2");
  dcm_print(set, 0x00200012, "IS", "%d", s->acquisition);
  dcm_print(set, 0x00200013, "IS", "%d", s->first_number + k);
  dcm_print(set, 0x00200032, "DS", "%.10g\\%.10g\\%.10g", mm[0], mm[1], mm[2]);
  dcm_print(set, 0x00200037, "DS", "%.10f\\%.10f\\%.10f\\%.10f\\%.10f\\%.10f", s->orientation[0],
            s->orientation[1], s->orientation[2], s->orientation[3], s->orientation[4],
            s->orientation[5]);
  dcm_text(set, 0x00200052, "UI", s->frame_uid);
  dcm_short(set, 0x00280002, "US", 1);
  dcm_text(set, 0x00280004, "CS", "MONOCHROME2");
  dcm_short(set, 0x00280010, "US", s->rows);
  dcm_short(set, 0x00280011, "US", s->columns);
  dcm_print(set, 0x00280030, "DS", "%.10g\\%.10g", s->spacing[0], s->spacing[1]);
  dcm_short(set, 0x00280100, "US", s->allocated);
  dcm_short(set, 0x00280101, "US", s->stored);
  dcm_short(set, 0x00280102, "US", s->high_bit);
  dcm_short(set, 0x00280103, "US", s->is_signed);
  dcm_print(set, 0x00281052, "DS", "%.10g", s->intercept);
  dcm_print(set, 0x00281053, "DS", "%.10g", s->slope);
}

/* The PixelData of a set, taken out of it, as an RLE frame. */
static inline struct dcm_bytes field_rle(const struct field_series *s, struct dcm_set *set) {
  struct dcm_bytes frame = {0};
  for (size_t i = 0; i < set->n; i++)
    if (set->elements[i].tag == 0x7fe00010)
      frame = dcm_rle(set->elements[i].bytes, (size_t)s->rows, (size_t)s->columns,
                      (size_t)s->allocated / 8);
  dcm_remove(set, 0x7fe00010);
  return frame;
}

static inline void field_path(const struct field_series *s, const char *folder, int k,
                              char path[LC_PATH_SIZE]) {
  snprintf(path, LC_PATH_SIZE, "%s/%s%03d.dcm", folder, s->prefix, k + 1);
}

/* Writes all slices into a folder; their names run against their places. */
static inline void field_write(const struct field_series *s, const char *folder) {
  for (int k = 0; k < s->slices; k++) {
    char path[LC_PATH_SIZE];
    size_t n;
    struct dcm_set set = {.n = 0};
    uint8_t *pixels = field_pixels(s, k, &n);
    field_describe(s, &set, k);
    dcm_put(&set, 0x7fe00010, s->allocated == 8 ? "OB" : "OW", pixels, n);
    free(pixels);
    bool wanted = !s->edit || s->edit(&set, k, s->context);
    field_path(s, folder, s->slices - 1 - k, path);
    if (wanted && s->coding == DCM_RLE) {
      struct dcm_bytes frame = field_rle(s, &set);
      dcm_write_frames(&set, dcm_syntax(DCM_RLE), &frame, 1, path);
      free(frame.at);
    } else if (wanted) {
      dcm_write_as(&set, s->coding, s->declared ? s->declared : dcm_syntax(s->coding), path);
    }
    dcm_free(&set);
  }
}

/* Path of the file that field_write made of slice k. */
static inline void field_file(const struct field_series *s, const char *folder, int k,
                              char path[LC_PATH_SIZE]) {
  field_path(s, folder, s->slices - 1 - k, path);
}

static inline void field_scan(struct ct_index *index, const char *folder,
                              const struct ct_index_rules *rules) {
  assert_ok(ct_index_scan(index, &folder, 1, rules, NULL, &test_err));
}

/* Holds every voxel of slices [first, first + count) to the field at the place that the program
 * says it has: since the field tells places apart, both are right or the test fails. */
static inline void field_check_slab(const struct ct_series *series, size_t first, size_t count,
                                    double offset, double tolerance) {
  struct ct_volume volume;
  if (series->verdict == CT_REFUSED) fail_msg("refused: %s", series->reason);
  assert_ok(ct_volume_decode(&volume, series, first, count, NULL, &test_err));
  size_t at = 0;
  for (size_t k = 0; k < count; k++)
    for (size_t j = 0; j < volume.size[1]; j++)
      for (size_t i = 0; i < volume.size[0]; i++, at++) {
        const double ijk[] = {(double)i, (double)j, (double)(first + k)};
        double mm[3];
        ct_series_to_patient(series, ijk, mm);
        double expected = field_hu(mm) + offset;
        if (!(fabs(volume.hu[at] - expected) <= tolerance))
          fail_msg("voxel (%zu, %zu, %zu) at (%.3f, %.3f, %.3f): %d HU, expected %.3f", i, j,
                   first + k, mm[0], mm[1], mm[2], volume.hu[at], expected);
      }
  ct_volume_free(&volume);
}

static inline void field_check(const struct ct_series *series, double offset) {
  field_check_slab(series, 0, series->n_slices, offset, 1);
}

/* Asserts a verdict and words in its reason. */
static inline void field_verdict(const struct ct_series *series, ct_verdict verdict,
                                 const char *words) {
  if (series->verdict != verdict || !strstr(series->reason, words))
    fail_msg("%s: \"%s\", expected %s with \"%s\"", ct_verdict_name(series->verdict),
             series->reason, ct_verdict_name(verdict), words);
}

/* A folder of one test. */
static char field_folder[256];

static inline int field_setup(void **state) {
  (void)state;
  lc_test_folder(field_folder);
  return 0;
}

static inline int field_teardown(void **state) {
  (void)state;
  return lc_folder_remove(field_folder, NULL) != LC_OK;
}

#define field_test(function) cmocka_unit_test_setup_teardown(function, field_setup, field_teardown)

/* Writes all slices as the frames of one enhanced image; s->edit changes the functional groups of
 * each frame, `finish` the whole. Rescaling is in the shared groups. */
static inline void field_write_enhanced(const struct field_series *s, const char *path,
                                        void (*finish)(struct dcm_set *set)) {
  struct dcm_set set = {.n = 0};
  struct dcm_bytes all = {0};
  field_describe(s, &set, 0);
  static const uint32_t elsewhere[] = {0x00200032, 0x00200037, 0x00280030,
                                       0x00281052, 0x00281053, 0x00200012};
  for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) dcm_remove(&set, elsewhere[i]);
  dcm_text(&set, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2.1");
  dcm_print(&set, 0x00280008, "IS", "%d", s->slices);
  struct dcm_set *shared = dcm_item(&set, 0x52009229);
  dcm_print(dcm_item(shared, 0x00289110), 0x00280030, "DS", "%g\\%g", s->spacing[0], s->spacing[1]);
  dcm_print(dcm_item(shared, 0x00209116), 0x00200037, "DS", "%g\\%g\\%g\\%g\\%g\\%g",
            s->orientation[0], s->orientation[1], s->orientation[2], s->orientation[3],
            s->orientation[4], s->orientation[5]);
  struct dcm_set *transform = dcm_item(shared, 0x00289145);
  dcm_print(transform, 0x00281052, "DS", "%g", s->intercept);
  dcm_print(transform, 0x00281053, "DS", "%g", s->slope);
  dcm_text(transform, 0x00281054, "LO", "HU");
  for (int k = 0; k < s->slices; k++) {
    double mm[3];
    size_t n;
    uint8_t *pixels = field_pixels(s, k, &n);
    dcm_add(&all, pixels, n);
    free(pixels);
    field_place(s, 0, 0, k, mm);
    struct dcm_set *frame = dcm_item(&set, 0x52009230);
    dcm_print(dcm_item(frame, 0x00209113), 0x00200032, "DS", "%.10g\\%.10g\\%.10g", mm[0], mm[1],
              mm[2]);
    if (s->edit) s->edit(frame, k, s->context);
  }
  dcm_put(&set, 0x7fe00010, "OW", all.at, all.n);
  if (finish) finish(&set);
  dcm_write_as(&set, s->coding, dcm_syntax(s->coding), path);
  free(all.at);
  dcm_free(&set);
}
