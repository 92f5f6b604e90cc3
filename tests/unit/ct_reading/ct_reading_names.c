/* Texts in the character sets of DICOM, identifiers that no standard allows, control characters,
 * files whose meta header names another encoding than they have, and two studies that share a UID
 * of a series. */
#include "ct_io/dicom_read/ct_identity.h"
#include "tests/ct_dicom_field.h"

#include "common/lc_identity.h"

#define E "\x1b"

/* Elements of every slice that are replaced by a text. */
struct texts {
  struct {
    uint32_t tag;
    const char *vr, *value;
  } set[4];
};

static bool edit(struct dcm_set *set, int k, void *context) {
  const struct texts *texts = context;
  (void)k;
  for (int i = 0; i < 4; i++)
    if (texts->set[i].tag) dcm_text(set, texts->set[i].tag, texts->set[i].vr, texts->set[i].value);
  return true;
}

static struct field_series with_texts(struct texts *texts) {
  struct field_series s = field_series_default();
  s.slices = 4;
  s.edit = edit;
  s.context = texts;
  return s;
}

static void scan_with(struct ct_index *index, struct texts *texts) {
  struct field_series s = with_texts(texts);
  field_write(&s, field_folder);
  field_scan(index, field_folder, NULL);
  assert_int_equal(index->n_series, 1);
}

/* Names of PS3.5 annexes H to K and of one-byte sets. */
static const struct {
  const char *charset, *bytes, *utf8;
} names[] = {
    {"\\ISO 2022 IR 87",
     "Yamada^Tarou=" E "$B;3ED" E "(B^" E "$BB@O:" E "(B=" E "$B$d$^$@" E "(B^" E "$B$?$m$&" E "(B",
     "Yamada^Tarou=山田^太郎=やまだ^たろう"},
    {"ISO 2022 IR 13\\ISO 2022 IR 87",
     "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=" E "$B;3ED" E "(J^" E "$BB@O:" E "(J=" E "$B$d$^$@" E "(J^" E
     "$B$?$m$&" E "(J",
     "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
    {"ISO_IR 13", "\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"},
    {"\\ISO 2022 IR 149",
     "Hong^Gildong=" E "$)C\xfb\xf3^" E "$)C\xd1\xce\xd4\xd7=" E "$)C\xc8\xab^" E
     "$)C\xb1\xe6\xb5\xbf",
     "Hong^Gildong=洪^吉洞=홍^길동"},
    {"\\ISO 2022 IR 58",
     "Zhang^XiaoDong=" E "$)A\xd5\xc5^" E "$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东="},
    {"\\ISO 2022 IR 159", "A^B=" E "$(D0!" E "(B", "A^B=丂"},
    {"\\ISO 2022 IR 87\\ISO 2022 IR 149", "Li^Bo=" E "$B;3ED" E "(B^" E "$)C\xb1\xe6",
     "Li^Bo=山田^길"},
    {"GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
    {"GBK", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
    {"ISO_IR 192", "Wang^XiaoDong=王^小东", "Wang^XiaoDong=王^小东"},
    {"ISO_IR 100", "M\xfcller^\xc9va", "Müller^Éva"},
    {"ISO_IR 101", "\xa3ukasz", "Łukasz"},
    {"ISO_IR 144", "\xb0\xd1^\xb2", "Аб^В"},
    {"ISO_IR 126", "\xc4\xe9", "Δι"},
    {"ISO_IR 166", "\xa1\xa2", "กข"},
    {"ISO 2022 IR 100\\ISO 2022 IR 144", "M\xfcller^" E "-L\xb0\xd1^\xe9", "Müller^Аб^é"},
};

static void names_in_every_character_set(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct texts texts = {{{0x00080005, "CS", names[i].charset},
                           {0x00100010, "PN", names[i].bytes},
                           {0x0008103e, "LO", names[i].bytes}}};
    struct ct_index index;
    scan_with(&index, &texts);
    if (strcmp(index.series[0].patient_name, names[i].utf8) != 0)
      fail_msg("%s: %s, expected %s", names[i].charset, index.series[0].patient_name,
               names[i].utf8);
    assert_string_equal(index.series[0].series_description, names[i].utf8);
    field_verdict(&index.series[0], CT_USABLE, "");
    ct_index_free(&index);
  }
}

/* Without letters that steer terminals or break lines, whatever the set. */
static void assert_printable(const char *text) {
  for (const char *c = text; *c; c++)
    if ((uint8_t)*c < ' ' || *c == 0x7f || ((uint8_t)*c == 0xc2 && (uint8_t)c[1] < 0xa0))
      fail_msg("control character %02x in %s", (uint8_t)*c, text);
}

static void control_characters_are_marked(void **state) {
  (void)state;
  static const struct {
    const char *charset, *bytes, *shown;
  } cases[] = {
      {"ISO_IR 100", "ID\x1b[2J\r\n\x07,=\x9b", NULL},
      {"ISO_IR 192",
       "a\xe2\x80\xae"
       "b",
       "a?b"}, /* right to left */
      {"ISO_IR 192",
       "a\xc2\x9b"
       "b",
       "a?b"},
      {"ISO_IR 192",
       "a\xff"
       "b",
       "a?b"}, /* no UTF-8 */
      {"ISO_IR 6",
       "a\xe4"
       "b",
       "a?b"},
      {"NO SUCH SET",
       "a\xe4"
       "b",
       "a?b"},
      {"\\ISO 2022 IR 87", "a" E "$Bx", NULL},  /* half a character */
      {"\\ISO 2022 IR 87", "a" E "$Z;3", NULL}, /* no such escape */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct texts texts = {{{0x00080005, "CS", cases[i].charset},
                           {0x00100020, "LO", cases[i].bytes},
                           {0x00100010, "PN", cases[i].bytes},
                           {0x00080070, "LO", cases[i].bytes}}};
    struct ct_index index;
    scan_with(&index, &texts);
    const struct ct_series *series = &index.series[0];
    assert_printable(series->patient_id);
    assert_printable(series->patient_name);
    assert_printable(series->manufacturer);
    assert_true(strlen(series->patient_id) > 1);
    if (cases[i].shown) assert_string_equal(series->patient_id, cases[i].shown);
    ct_index_free(&index);
  }
}

static void uids_with_letters_are_read(void **state) {
  (void)state;
  static const char *const uids[] = {"2bfbb7fd2e8b", "ANON-1.2_3", "1.2.840.abc", "x"};
  for (int which = 0; which < 3; which++)
    for (int i = 0; i < 4; i++) {
      static const uint32_t tags[] = {0x0020000e, 0x0020000d, 0x00080018};
      struct texts texts = {{{tags[which], "UI", uids[i]}}};
      struct ct_index index;
      const struct ct_series *chosen;
      if (which == 2) texts.set[0].tag = 0;
      struct field_series s = with_texts(&texts);
      char own[64];
      snprintf(own, sizeof own, "%.40s.x", uids[i]);
      if (which == 2) s.series_uid = own; /* and the SOPInstanceUIDs that are made of it */
      field_write(&s, field_folder);
      field_scan(&index, field_folder, NULL);
      field_verdict(&index.series[0], CT_REPAIRED, "UIDs with letters");
      field_check(&index.series[0], 0);
      assert_ok(ct_index_choose(&index, index.series[0].series_instance_uid, &chosen, &test_err));
      if (which == 0) assert_string_equal(chosen->series_instance_uid, uids[i]);
      ct_index_free(&index);
    }
}

/* A UID names files and folders: it must not lead out of them. */
static void hostile_uids_are_refused(void **state) {
  (void)state;
  static const char *const uids[] = {
      "../x", "..",
      ".",    "/etc/passwd",
      "a/b",  "1.2\x1b[2J",
      "-",    "1.2:3",
      "~",    "12345678901234567890123456789012345678901234567890123456789012345"};
  for (size_t i = 0; i < sizeof uids / sizeof *uids; i++)
    for (int in_study = 0; in_study < 2; in_study++) {
      struct texts texts = {{{in_study ? 0x0020000d : 0x0020000e, "UI", uids[i]}}};
      struct field_series s = with_texts(&texts);
      struct ct_index index;
      struct ct_identity identity;
      char path[LC_PATH_SIZE];
      const char *paths = field_folder;
      field_write(&s, field_folder);
      field_file(&s, field_folder, 0, path);
      test_err.message[0] = '\0';
      if (ct_index_scan(&index, &paths, 1, NULL, NULL, &test_err) != LC_ERR_FORMAT)
        fail_msg("%s: read", uids[i]);
      assert_non_null(
          strstr(test_err.message, in_study ? "StudyInstanceUID" : "SeriesInstanceUID"));
      assert_printable(test_err.message);
      assert_fails(ct_identity_read(&identity, path, &test_err), LC_ERR_FORMAT, "UID");
    }
}

/* Names of files are not written as they are where a terminal may show them. */
static void a_file_name_with_control_characters(void **state) {
  (void)state;
  struct texts none = {{{0}}};
  struct field_series s = with_texts(&none);
  struct ct_index index;
  char path[LC_PATH_SIZE], renamed[LC_PATH_SIZE];
  field_write(&s, field_folder);
  snprintf(path, sizeof path, "%s/\x1b[2J\n.dcm", field_folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (int i = 0; i < 40; i++) assert_true(fputs("no DICOM", file) >= 0);
  fclose(file);
  field_file(&s, field_folder, 2, path);
  snprintf(renamed, sizeof renamed, "%s/\x1b[3m\t.dcm", field_folder);
  assert_int_equal(rename(path, renamed), 0);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_problems, 1);
  assert_printable(index.problems[0].message);
  assert_string_equal(strrchr(index.problems[0].path, '/'), "/\x1b[2J\n.dcm");
  assert_printable(index.series[0].reason);
  field_check(&index.series[0], 0); /* by its own path */
  ct_index_free(&index);
}

/* The meta header says one thing, the elements another. */
static void the_encoding_is_what_the_elements_are(void **state) {
  (void)state;
  static const enum dcm_coding plain[] = {DCM_IMPLICIT, DCM_EXPLICIT, DCM_BIG};
  for (int told = 0; told < 3; told++)
    for (int is = 0; is < 3; is++) {
      struct field_series s = field_series_default();
      struct ct_index index;
      s.slices = 3;
      s.coding = plain[is];
      s.declared = dcm_syntax(plain[told]);
      field_write(&s, field_folder);
      field_scan(&index, field_folder, NULL);
      field_verdict(&index.series[0], CT_USABLE, "");
      field_check(&index.series[0], 0);
      ct_index_free(&index);
      char path[LC_PATH_SIZE];
      s.rows = s.columns = 16;
      s.declared = NULL;
      snprintf(path, sizeof path, "%s/enhanced", field_folder);
      if (is != told) continue;
      field_write_enhanced(&s, path, NULL);
      field_scan(&index, path, NULL);
      field_check(&index.series[0], 0);
      ct_index_free(&index);
      unlink(path);
    }
}

/* One SeriesInstanceUID in two studies. */
static void two_studies_are_two_series(void **state) {
  (void)state;
  struct field_series a = field_series_default(), b = a;
  struct ct_index index;
  const struct ct_series *chosen;
  b.study_uid = "2.25.2000";
  b.prefix = "b";
  b.offset = 400;
  field_write(&a, field_folder);
  field_write(&b, field_folder);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_series, 2);
  static const char *const own[] = {"2.25.1000/2.25.1001", "2.25.2000/2.25.1001"};
  for (int i = 0; i < 2; i++) {
    char name[CT_SERIES_NAME_SIZE];
    assert_int_equal(index.series[i].n_slices, 20);
    assert_int_equal(index.series[i].n_parts, 1);
    field_verdict(&index.series[i], CT_USABLE, "");
    field_check(&index.series[i], 400 * i);
    ct_index_name(&index, &index.series[i], name);
    assert_string_equal(name, own[i]);
    assert_ok(ct_index_choose(&index, name, &chosen, &test_err));
    assert_ptr_equal(chosen, &index.series[i]);
  }
  assert_fails(ct_index_choose(&index, "2.25.1001", &chosen, &test_err), LC_ERR_AMBIGUOUS,
               "2.25.1000/2.25.1001 (FIELD, 20 slices), 2.25.2000/2.25.1001 (FIELD, 20 slices)");
  ct_index_free(&index);
  /* A part of one of them. */
  struct field_series c = b;
  c.prefix = "c";
  c.acquisition = 2;
  c.objects = 2;
  c.first_number = 100;
  c.origin[2] += 1;
  field_write(&c, field_folder);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_series, 3);
  assert_ok(ct_index_choose(&index, "2.25.2000/2.25.1001:2", &chosen, &test_err));
  assert_string_equal(chosen->study_instance_uid, "2.25.2000");
  field_check(chosen, 400);
  assert_ok(ct_index_choose(&index, "2.25.1000/2.25.1001", &chosen, &test_err));
  field_check(chosen, 0);
  ct_index_free(&index);
}

int main(void) {
  lc_identity_show();
  const struct CMUnitTest tests[] = {
      field_test(names_in_every_character_set),
      field_test(control_characters_are_marked),
      field_test(uids_with_letters_are_read),
      field_test(hostile_uids_are_refused),
      field_test(a_file_name_with_control_characters),
      field_test(the_encoding_is_what_the_elements_are),
      field_test(two_studies_are_two_series),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
