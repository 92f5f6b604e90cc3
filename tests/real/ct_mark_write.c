/* TCIA's own annotation files, the awkward ones among them: read, written and read again they say
 * the same. */
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "ct_io/nodule/ct_mark.h"

static const char *const files[] = {"157_158", "185_069", "185_071", "185_072",
                                    "185_121", "186_017", "186_270", "187_044",
                                    "188_011", "188_264", "189_109", "189_110"};

/* The i-th mark in writing order: by session, nodules before non-nodules. */
static const struct ct_mark *in_order(const struct ct_annotation *a, size_t wanted) {
  size_t seen = 0;
  for (int session = 0; session < a->n_sessions; session++)
    for (int pass = 0; pass < 2; pass++)
      for (size_t m = 0; m < a->n_marks; m++) {
        const struct ct_mark *mark = &a->marks[m];
        if (mark->session != session || (mark->kind == CT_MARK_NON_NODULE) != (pass == 1)) continue;
        if (seen++ == wanted) return mark;
      }
  return NULL;
}

static void test_round_trip(void **state) {
  (void)state;
  char folder[256], from[LC_PATH_SIZE], to[LC_PATH_SIZE];
  lc_test_folder(folder);
  for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
    struct ct_annotation a, b;
    snprintf(from, sizeof from, LC_TEST_DATA_DIR "/lidc_xml/picked/%s.xml", files[f]);
    assert_ok(lc_path_join(to, folder, "copy.xml", &test_err));
    assert_ok(ct_annotation_read(&a, from, &test_err));
    assert_ok(ct_annotation_write(&a, to, &test_err));
    assert_ok(ct_annotation_read(&b, to, &test_err));
    assert_string_equal(a.series_instance_uid, b.series_instance_uid);
    assert_string_equal(a.study_instance_uid, b.study_instance_uid);
    assert_int_equal(a.n_sessions, b.n_sessions);
    assert_int_equal(a.n_marks, b.n_marks);
    for (size_t m = 0; m < a.n_marks; m++) {
      const struct ct_mark *x = in_order(&a, m), *y = &b.marks[m];
      assert_int_equal(x->kind, y->kind);
      assert_int_equal(x->session, y->session);
      assert_int_equal(x->faults, y->faults);
      assert_int_equal(x->has_ratings, y->has_ratings);
      assert_memory_equal(x->rating, y->rating, sizeof x->rating);
      assert_string_equal(x->nodule_id, y->nodule_id);
      assert_int_equal(x->n_outlines, y->n_outlines);
      for (size_t o = 0; o < x->n_outlines; o++) {
        const struct ct_outline *u = &x->outlines[o], *v = &y->outlines[o];
        assert_string_equal(u->sop_instance_uid, v->sop_instance_uid);
        assert_int_equal(u->inclusion, v->inclusion);
        assert_true(u->z_mm == v->z_mm);
        assert_int_equal(u->n_points, v->n_points);
        assert_memory_equal(u->xy, v->xy, u->n_points * sizeof *u->xy);
      }
    }
    ct_annotation_free(&a);
    ct_annotation_free(&b);
  }
  assert_ok(lc_folder_remove(folder, &test_err));
}

int main(void) {
  lc_test_need_data();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
