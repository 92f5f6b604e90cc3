/* What of a helper's answer about a header is believed: what a parser may say, and nothing else. */
#include "ct_io/dicom_read/ct_answer.h"
#include "tests/lc_test.h"

#include <math.h>
#include <stdlib.h>

static struct ct_frame frames[2];

static struct ct_header_item good(void) {
  struct ct_header_item item = {.path = "a.dcm", .kind = CT_FILE_OBJECT};
  struct ct_series *series = &item.header.series;
  strcpy(series->series_instance_uid, "1.2.3");
  strcpy(series->study_instance_uid, "1.2");
  strcpy(series->modality, "CT");
  series->rows = series->columns = 64;
  item.header.is_image = item.header.sign_given = true;
  item.header.frames = frames;
  item.header.n_frames = 2;
  memset(frames, 0, sizeof frames);
  for (int i = 0; i < 2; i++)
    frames[i].slice = (struct ct_slice){
        .frame = i, .slope = 1, .bits_allocated = 16, .bits_stored = 12, .high_bit = 11};
  return item;
}

/* Through a message, of which `cut` bytes are left out at its end. */
static lc_status through(const struct ct_header_item *item, struct ct_header_item *got,
                         size_t cut) {
  struct lc_wire wire = {0};
  *got = (struct ct_header_item){.path = "a.dcm"};
  ct_answer_put_header(&wire, item);
  wire.size -= cut;
  lc_status status = ct_answer_get_header(&wire, got, &test_err);
  lc_wire_free(&wire);
  return status;
}

static void test_a_header_comes_through(void **state) {
  (void)state;
  struct ct_header_item item = good(), got;
  memset(item.header.series.patient_id, 'x', CT_TEXT_SIZE); /* does not end */
  item.header.series.n_slices = 7;
  item.header.series.slices = (struct ct_slice *)8;
  frames[1].slice.path = (char *)8;
  assert_ok(through(&item, &got, 0));
  assert_int_equal(got.kind, CT_FILE_OBJECT);
  assert_int_equal(got.header.n_frames, 2);
  assert_int_equal(got.header.frames[1].slice.bits_stored, 12);
  assert_int_equal(strlen(got.header.series.patient_id), CT_TEXT_SIZE - 1);
  /* No pointer and no number of the helper's own. */
  assert_null(got.header.series.slices);
  assert_int_equal(got.header.series.n_slices, 0);
  assert_null(got.header.frames[1].slice.path);
  ct_header_free(&got.header);
}

#define REFUSED(change)                                                                            \
  do {                                                                                             \
    struct ct_header_item item = good(), got;                                                      \
    change;                                                                                        \
    assert_fails(through(&item, &got, 0), LC_ERR_FORMAT,                                           \
                 "a.dcm: the reader of it gave an answer");                                        \
    ct_header_free(&got.header);                                                                   \
  } while (0)

static void test_nonsense_does_not(void **state) {
  (void)state;
  const unsigned char two = 2;
  REFUSED(strcpy(item.header.series.series_instance_uid, "../1"));
  REFUSED(strcpy(item.header.series.study_instance_uid, "/tmp"));
  REFUSED(item.header.series.rows = 0);
  REFUSED(item.header.series.columns = CT_MAX_SIDE + 1);
  REFUSED(item.header.tilt_degrees = NAN);
  REFUSED(memcpy(&item.header.series.lossy, &two, 1));
  REFUSED(memcpy(&frames[1].slice.pixel_signed, &two, 1));
  REFUSED(frames[1].slice.frame = 7);
  REFUSED(frames[0].slice.bits_stored = 17);
  REFUSED(frames[0].slice.high_bit = 16);
  REFUSED(frames[0].slice.slope = INFINITY);
  REFUSED(frames[0].slice.padding_low = 1L << 40);
  REFUSED(item.header.n_frames = 0);
  REFUSED(item.kind = (ct_file_kind)9);
}

static void test_nor_does_what_is_cut_short(void **state) {
  (void)state;
  struct ct_header_item item = good(), got;
  assert_fails(through(&item, &got, 1), LC_ERR_FORMAT, "makes no sense");
  assert_fails(through(&item, &got, 2 * sizeof *frames), LC_ERR_FORMAT, "makes no sense");
  assert_fails(through(&item, &got, 2 * sizeof *frames + sizeof item.header), LC_ERR_FORMAT,
               "makes no sense");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_header_comes_through),
      cmocka_unit_test(test_nonsense_does_not),
      cmocka_unit_test(test_nor_does_what_is_cut_short),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
