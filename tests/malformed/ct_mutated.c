/* One slice of a small series, changed by one small recipe at a time: what the reader makes of it.
 *
 * Five slices of 32 x 32 pixels are written, slice 3 is changed, and the outcome is the verdict of
 * what was found, or the message of the scan or of the decoding, without the folder's name. Alone:
 * only the changed file is read. Among: all five are. */
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_index.h"
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_write/ct_write.h"
#include "tests/malformed/ct_mutated_recipes.h"

enum { SIDE = 32, SLICES = 5, CHANGED = 2, MAX_BYTES = 1 << 20 };

static char folder[256];
static uint8_t *original;
static size_t original_size;

static void name_slice(char path[512], int k) {
  snprintf(path, 512, "%s/%d.dcm", folder, k + 1);
}

static int write_series(void **state) {
  (void)state;
  struct ct_write_header header = {.patient_id = "MUTATED",
                                   .patient_name = "Mutated^Case",
                                   .patient_sex = "O",
                                   .study_instance_uid = "2.25.1",
                                   .series_instance_uid = "2.25.2",
                                   .frame_of_reference_uid = "2.25.3",
                                   .study_date = "20000101",
                                   .study_time = "120000",
                                   .manufacturer = "lungcdam",
                                   .series_number = 1,
                                   .kvp = 120,
                                   .slice_thickness_mm = 2};
  struct ct_volume volume = {.size = {SIDE, SIDE, SLICES},
                             .spacing_mm = {0.5, 0.5, 2},
                             .origin_mm = {-8, -8, 100},
                             .direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  char path[512], uid[32], *bytes;
  volume.hu = calloc(SIDE * SIDE * SLICES, sizeof *volume.hu);
  assert_non_null(volume.hu);
  for (int i = 0; i < SIDE * SIDE * SLICES; i++) volume.hu[i] = (int16_t)(i % 997 - 500);
  lc_test_folder(folder);
  for (int k = 0; k < SLICES; k++) {
    snprintf(uid, sizeof uid, "2.25.10%d", k);
    name_slice(path, k);
    assert_ok(ct_write_slice(&header, &volume, (size_t)k, uid, path, &test_err));
  }
  free(volume.hu);
  name_slice(path, CHANGED);
  assert_ok(lc_file_read(path, MAX_BYTES, &bytes, &original_size, &test_err));
  original = (uint8_t *)bytes;
  return 0;
}

static int remove_series(void **state) {
  (void)state;
  free(original);
  return lc_folder_remove(folder, &test_err) == LC_OK ? 0 : -1;
}

/* Where a top-level element of the unchanged file lies. */
struct element {
  size_t start, header, length;
};

static bool long_form(const uint8_t *vr) {
  return strchr("OSU", vr[0]) &&
         (memcmp(vr, "OB", 2) == 0 || memcmp(vr, "OW", 2) == 0 || memcmp(vr, "SQ", 2) == 0 ||
          memcmp(vr, "UN", 2) == 0 || memcmp(vr, "UT", 2) == 0);
}

/* false: start is where the element would be inserted. */
static bool find(uint32_t tag, struct element *element) {
  size_t at = 132;
  while (at + 8 <= original_size) {
    const uint8_t *b = original + at;
    uint32_t here = (uint32_t)(b[0] | b[1] << 8) << 16 | (uint32_t)(b[2] | b[3] << 8);
    bool wide = long_form(b + 4);
    size_t length = wide ? (size_t)b[8] | (size_t)b[9] << 8 | (size_t)b[10] << 16
                         : (size_t)b[6] | (size_t)b[7] << 8;
    *element = (struct element){at, wide ? 12 : 8, length};
    if (here == tag) return true;
    if (here > tag) return false;
    at += element->header + length;
  }
  *element = (struct element){original_size, 0, 0};
  return false;
}

struct buffer {
  uint8_t bytes[2 * MAX_BYTES];
  size_t size;
};

static void add(struct buffer *out, const void *bytes, size_t count) {
  assert_true(out->size + count <= sizeof out->bytes);
  memcpy(out->bytes + out->size, bytes, count);
  out->size += count;
}

static void add_number(struct buffer *out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    uint8_t byte = (uint8_t)(value >> 8 * i);
    add(out, &byte, 1);
  }
}

static void add_element(struct buffer *out, uint32_t tag, const char *vr, const void *value,
                        size_t length) {
  add_number(out, tag >> 16, 2);
  add_number(out, tag & 0xffff, 2);
  add(out, vr, 2);
  if (long_form((const uint8_t *)vr)) {
    add_number(out, 0, 2);
    add_number(out, length, 4);
  } else {
    add_number(out, length, 2);
  }
  add(out, value, length);
}

/* The original with one element replaced, or inserted in its place. */
static void replace(struct buffer *out, const struct recipe *recipe, const void *value,
                    size_t length) {
  struct element element;
  bool found = find(recipe->tag, &element);
  char vr[3] = "";
  memcpy(vr, recipe->vr ? recipe->vr : (const char *)original + element.start + 4, 2);
  add(out, original, element.start);
  add_element(out, recipe->tag, vr, value, length);
  size_t rest = found ? element.start + element.header + element.length : element.start;
  add(out, original + rest, original_size - rest);
}

static void nest(struct buffer *out, const struct recipe *recipe) {
  struct element element;
  find(recipe->tag, &element);
  add(out, original, element.start);
  for (long i = 0; i < recipe->number; i++) {
    add_number(out, recipe->tag >> 16, 2);
    add_number(out, recipe->tag & 0xffff, 2);
    add(out, "SQ\0\0", 4);
    add_number(out, 0xffffffff, 4);
    add_number(out, 0xe000fffe, 4);
    add_number(out, 0xffffffff, 4);
  }
  for (long i = 0; i < recipe->number; i++) {
    add_number(out, 0xe00dfffe, 4);
    add_number(out, 0, 4);
    add_number(out, 0xe0ddfffe, 4);
    add_number(out, 0, 4);
  }
  add(out, original + element.start, original_size - element.start);
}

static void change(struct buffer *out, const struct recipe *recipe) {
  struct element element;
  char text[256] = "";
  size_t length;
  out->size = 0;
  switch (recipe->action) {
  case CUT_AT:
    length = recipe->number >= 0 ? (size_t)recipe->number : original_size - (size_t)-recipe->number;
    add(out, original, length < original_size ? length : original_size);
    break;
  case CUT_IN:
    assert_true(find(recipe->tag, &element));
    add(out, original, element.start + (size_t)recipe->number);
    break;
  case REMOVE:
    assert_true(find(recipe->tag, &element));
    length = element.start + element.header + element.length;
    add(out, original, element.start);
    add(out, original + length, original_size - length);
    break;
  case TEXT:
    length = (size_t)snprintf(text, sizeof text - 1, "%s", recipe->text);
    if (length & 1) text[length++] = ' ';
    replace(out, recipe, text, length);
    break;
  case NUMBER:
    text[0] = (char)(recipe->number & 0xff);
    text[1] = (char)(recipe->number >> 8 & 0xff);
    replace(out, recipe, text, 2);
    break;
  case LENGTH:
  case VR:
  case BYTES:
    assert_true(find(recipe->tag, &element));
    add(out, original, original_size);
    uint8_t *header = out->bytes + element.start;
    if (recipe->action == VR) memcpy(header + 4, recipe->text, 2);
    if (recipe->action == BYTES)
      memset(header + element.header, (int)recipe->number, element.length);
    for (size_t i = 0; recipe->action == LENGTH && i < (element.header == 12 ? 4 : 2); i++)
      header[element.header - (element.header == 12 ? 4 : 2) + i] =
          (uint8_t)((uint64_t)recipe->number >> 8 * i);
    break;
  case BYTE_AT:
    add(out, original, original_size);
    out->bytes[recipe->tag] = (uint8_t)recipe->number;
    break;
  case NEST:
    nest(out, recipe);
    break;
  case APPEND:
    add(out, original, original_size);
    for (long i = 0; i < recipe->number; i++) add(out, "\xa5", 1);
    break;
  case PIXELS_ENCAPSULATED:
    assert_true(find(0x7fe00010, &element));
    replace(out, &(struct recipe){.tag = 0x00020010, .vr = "UI"}, recipe->text,
            strlen(recipe->text) + (strlen(recipe->text) & 1));
    length = out->size - (original_size - element.start);
    out->size = length;
    add_number(out, 0x00107fe0, 4);
    add(out, "OB\0\0", 4);
    add_number(out, 0xffffffff, 4);
    add_number(out, 0xe000fffe, 4);
    add_number(out, 0, 4);
    add_number(out, 0xe000fffe, 4);
    add_number(out, 64, 4);
    for (int i = 0; i < 64; i++) add_number(out, (uint64_t)recipe->number, 1);
    add_number(out, 0xe0ddfffe, 4);
    add_number(out, 0, 4);
    break;
  }
}

/* Takes every mention of the test's folder out of a message. */
static void shorten(char *text) {
  size_t length = strlen(folder) + 1;
  for (char *at; (at = strstr(text, folder));) memmove(at, at + length, strlen(at + length) + 1);
}

static void outcome(bool among, char out[1200]) {
  char path[512];
  const char *paths = among ? folder : path;
  struct ct_index found;
  struct ct_volume volume;
  name_slice(path, CHANGED);
  lc_status status = ct_index_scan(&found, &paths, 1, NULL, NULL, &test_err);
  if (status != LC_OK) {
    snprintf(out, 1200, "%s: %s", lc_status_name(status), test_err.message);
    shorten(out);
    return;
  }
  const struct ct_series *series = &found.series[0];
  int used = snprintf(out, 1200, "%s%s%s", ct_verdict_name(series->verdict),
                      series->reason[0] ? ": " : "", series->reason);
  if (found.n_problems)
    snprintf(out + used, 1200 - (size_t)used, "; problem: %s", found.problems[0].message);
  if (found.n_series > 1) {
    used = (int)strlen(out);
    snprintf(out + used, 1200 - (size_t)used, "; besides %s: %s",
             ct_verdict_name(found.series[1].verdict), found.series[1].reason);
  }
  if (series->verdict != CT_REFUSED) {
    status = ct_volume_decode(&volume, series, 0, series->n_slices, NULL, &test_err);
    used = (int)strlen(out);
    if (status != LC_OK)
      snprintf(out + used, 1200 - (size_t)used, "; %s: %s", lc_status_name(status),
               test_err.message);
    else
      ct_volume_free(&volume);
  }
  ct_index_free(&found);
  shorten(out);
}

static void test_recipes(void **state) {
  (void)state;
  char path[512], found[1200];
  struct buffer *out = malloc(sizeof *out);
  size_t wrong = 0, n = sizeof recipes / sizeof *recipes;
  bool show = getenv("LUNGCDAM_SHOW_RECIPES") != NULL;
  assert_non_null(out);
  name_slice(path, CHANGED);
  for (size_t i = 0; i < n; i++) {
    const struct recipe *recipe = &recipes[i];
    change(out, recipe);
    assert_ok(lc_file_write(path, out->bytes, out->size, &test_err));
    outcome(recipe->among, found);
    if (show) printf("%s\n", found);
    if (strcmp(found, recipe->expected) == 0) continue;
    wrong++;
    if (!show)
      printf("recipe %zu (%s):\n  found    %s\n  expected %s\n", i + 1, recipe->what, found,
             recipe->expected);
  }
  assert_ok(lc_file_write(path, original, original_size, &test_err));
  free(out);
  printf("%zu recipes\n", n);
  assert_true(n >= 150);
  assert_int_equal(wrong, 0);
}

static void test_the_unchanged_series_is_usable(void **state) {
  (void)state;
  char found[1200];
  outcome(true, found);
  assert_string_equal(found, "usable");
}

int main(void) {
  (void)setenv("LUNGCDAM_READER", "none", 1); /* the parser's own words, not those of its limits */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_unchanged_series_is_usable),
      cmocka_unit_test(test_recipes),
      cmocka_unit_test(test_the_unchanged_series_is_usable),
  };
  return cmocka_run_group_tests(tests, write_series, remove_series);
}
