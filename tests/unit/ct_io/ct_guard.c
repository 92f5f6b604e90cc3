/* What the guard lets through to the parser: sequences kept as UN, nested fragments, future value
 * representations; and what it stops. */
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "ct_io/dicom_file/ct_guard.h"

enum { MAX_BYTES = 1024 };

static char folder[256];

struct bytes {
  uint8_t data[MAX_BYTES];
  size_t size;
};

static void add(struct bytes *out, const void *data, size_t size) {
  assert_true(out->size + size <= MAX_BYTES);
  memcpy(out->data + out->size, data, size);
  out->size += size;
}

#define ADD(out, literal) add(out, literal, sizeof literal - 1)

static void start(struct bytes *out, const char *syntax) {
  uint8_t length[2] = {(uint8_t)(strlen(syntax) + 1) & 0xfe, 0};
  memset(out, 0, sizeof *out);
  out->size = 128;
  ADD(out, "DICM\x02\x00\x10\x00UI");
  add(out, length, 2);
  add(out, syntax, length[0]);
}

static lc_status checked(const struct bytes *file) {
  char path[512];
  snprintf(path, sizeof path, "%s/file.dcm", folder);
  assert_ok(lc_file_write(path, file->data, file->size, &test_err));
  static struct ct_source source;
  struct ct_layout layout;
  assert_ok(ct_source_open(&source, path, &test_err));
  lc_status status = ct_guard_check(&source, &layout, &test_err);
  ct_source_close(&source);
  return status;
}

#define EXPLICIT "1.2.840.10008.1.2.1"
/* (0008,0060) CS, 2 bytes */
#define MODALITY                                                                                   \
  "\x08\x00\x60\x00"                                                                               \
  "CS\x02\x00"                                                                                     \
  "CT"
#define ITEM "\xfe\xff\x00\xe0"
#define ITEM_END "\xfe\xff\x0d\xe0\x00\x00\x00\x00"
#define SEQUENCE_END "\xfe\xff\xdd\xe0\x00\x00\x00\x00"
#define UNDEFINED "\xff\xff\xff\xff"

static void test_a_binary_vr_is_no_element(void **state) {
  (void)state;
  struct bytes file;
  start(&file, EXPLICIT);
  ADD(&file, MODALITY);
  assert_ok(checked(&file));
  ADD(&file, "\x10\x00\x10\x00\x01\x02\x02\x00"
             "AB");
  assert_fails(checked(&file), LC_ERR_FORMAT, "(0010,0010) with value representation 01 02");
}

static void test_so_inside_items(void **state) {
  (void)state;
  struct bytes file;
  start(&file, EXPLICIT);
  ADD(&file, "\x08\x00\x40\x11SQ\x00\x00" UNDEFINED ITEM UNDEFINED);
  ADD(&file, "\x08\x00\x50\x11\x00\x00\x02\x00"
             "AB" ITEM_END SEQUENCE_END);
  assert_fails(checked(&file), LC_ERR_FORMAT, "(0008,1150)");
}

static void test_and_in_the_meta_header(void **state) {
  (void)state;
  struct bytes file;
  start(&file, EXPLICIT);
  file.data[136] = 0xff;
  assert_fails(checked(&file), LC_ERR_FORMAT, "(0002,0010) with value representation ff 49");
}

/* Its content is implicit VR, whatever is around it. */
static void test_a_sequence_kept_as_un(void **state) {
  (void)state;
  struct bytes file;
  start(&file, EXPLICIT);
  ADD(&file, "\x09\x00\x10\x10UN\x00\x00" UNDEFINED ITEM UNDEFINED);
  ADD(&file, "\x09\x00\x11\x10\x02\x00\x00\x00"
             "AB" ITEM_END SEQUENCE_END MODALITY);
  assert_ok(checked(&file));
  ADD(&file, "\x10\x00\x10\x00\x01\x02\x02\x00"
             "AB");
  assert_fails(checked(&file), LC_ERR_FORMAT, "(0010,0010)");
}

/* An icon's compressed pixels are bytes, not elements. */
static void test_fragments_of_an_icon(void **state) {
  (void)state;
  struct bytes file;
  start(&file, EXPLICIT);
  ADD(&file, "\x88\x00\x00\x02SQ\x00\x00" UNDEFINED ITEM UNDEFINED);
  ADD(&file,
      "\xe0\x7f\x10\x00OB\x00\x00" UNDEFINED ITEM "\x00\x00\x00\x00" ITEM "\x0a\x00\x00\x00");
  ADD(&file, "\xff\xd8\xff\xe0\x00\x10\x00\x00\x00\x00" SEQUENCE_END ITEM_END SEQUENCE_END);
  assert_ok(checked(&file));
  ADD(&file, "\x90\x00\x10\x00\x01\x02\x02\x00"
             "AB");
  assert_fails(checked(&file), LC_ERR_FORMAT, "(0090,0010)");
}

/* PS3.5 section 7.1.2: every new one has a length of four bytes. */
static void test_a_future_vr(void **state) {
  (void)state;
  struct bytes file;
  start(&file, EXPLICIT);
  ADD(&file, "\x09\x00\x10\x10ZZ\x00\x00\x04\x00\x00\x00\x01\x01\x01\x01" MODALITY);
  assert_ok(checked(&file));
  ADD(&file, "\x10\x00\x10\x00\x01\x02\x02\x00"
             "AB");
  assert_fails(checked(&file), LC_ERR_FORMAT, "(0010,0010)");
}

static void test_implicit_vr_and_unknown_syntaxes_pass(void **state) {
  (void)state;
  struct bytes file;
  static const char *const syntaxes[] = {"1.2.840.10008.1.2", "1.2.840.113619.5.2"};
  for (size_t i = 0; i < 2; i++) {
    start(&file, syntaxes[i]);
    ADD(&file, "\x08\x00\x60\x00\x02\x00\x00\x00"
               "CT");
    assert_ok(checked(&file));
  }
}

static int make_folder(void **state) {
  (void)state;
  lc_test_folder(folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return lc_folder_remove(folder, &test_err) == LC_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_binary_vr_is_no_element),
      cmocka_unit_test(test_so_inside_items),
      cmocka_unit_test(test_and_in_the_meta_header),
      cmocka_unit_test(test_a_sequence_kept_as_un),
      cmocka_unit_test(test_fragments_of_an_icon),
      cmocka_unit_test(test_a_future_vr),
      cmocka_unit_test(test_implicit_vr_and_unknown_syntaxes_pass),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
