/* Phantoms: the same bytes from the same seed, true sizes, truth that readings agree with, files
 * that read back.
 * needs: phantom
 * slow: 20 */
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_index.h"
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_parallel.h"
#include "ct_io/phantom/ct_phantom.h"

static const struct ct_phantom_options small = {.seed = 7, .matrix = 160, .slice_spacing_mm = 3};

static void digest(const struct ct_phantom *p, char hex[LC_SHA256_HEX]) {
  size_t voxels = p->volume.size[0] * p->volume.size[1] * p->volume.size[2];
  struct lc_hash hash;
  uint8_t bytes[LC_SHA256_BYTES];
  assert_ok(lc_hash_begin(&hash, &test_err));
  lc_hash_add(&hash, p->volume.hu, voxels * sizeof *p->volume.hu);
  lc_hash_add(&hash, p->truth, voxels);
  lc_hash_add(&hash, p->features, voxels);
  lc_hash_add(&hash, p->nodules, sizeof p->nodules);
  lc_hash_add_text(&hash, p->header.series_instance_uid);
  for (size_t m = 0; m < p->annotation.n_marks; m++) {
    const struct ct_mark *mark = &p->annotation.marks[m];
    lc_hash_add(&hash, mark->rating, sizeof mark->rating);
    for (size_t o = 0; o < mark->n_outlines; o++)
      lc_hash_add(&hash, mark->outlines[o].xy, mark->outlines[o].n_points * sizeof(int32_t[2]));
  }
  lc_hash_end(&hash, bytes);
  lc_hash_hex(bytes, hex);
}

static void test_same_seed_same_bytes(void **state) {
  (void)state;
  char one[LC_SHA256_HEX], two[LC_SHA256_HEX], other[LC_SHA256_HEX];
  struct ct_phantom p;
  struct ct_phantom_options options = {.seed = 3, .matrix = 96, .slice_spacing_mm = 6};
  lc_threads_set(1);
  assert_ok(ct_phantom_make(&p, &options, NULL, &test_err));
  digest(&p, one);
  ct_phantom_free(&p);
  lc_threads_set(3);
  assert_ok(ct_phantom_make(&p, &options, NULL, &test_err));
  digest(&p, two);
  ct_phantom_free(&p);
  options.patient = 1;
  assert_ok(ct_phantom_make(&p, &options, NULL, &test_err));
  digest(&p, other);
  ct_phantom_free(&p);
  assert_string_equal(one, two);
  assert_string_not_equal(one, other);
}

static void test_files_read_back(void **state) {
  (void)state;
  char folder[256], series_folder[LC_PATH_SIZE], path[LC_PATH_SIZE];
  lc_test_folder(folder);
  struct ct_phantom p;
  assert_ok(ct_phantom_make(&p, &small, NULL, &test_err));
  assert_ok(ct_phantom_write(&p, folder, false, series_folder, sizeof series_folder, &test_err));
  assert_fails(ct_phantom_write(&p, folder, false, series_folder, sizeof series_folder, &test_err),
               LC_ERR_EXISTS, p.header.patient_id);
  assert_ok(ct_phantom_write(&p, folder, true, series_folder, sizeof series_folder, &test_err));

  const char *paths[] = {folder};
  struct ct_index index;
  const struct ct_series *series;
  struct ct_volume volume;
  assert_ok(ct_index_scan(&index, paths, 1, NULL, NULL, &test_err));
  assert_ok(ct_index_choose(&index, p.header.series_instance_uid, &series, &test_err));
  assert_int_equal(series->verdict, CT_USABLE);
  assert_int_equal(series->n_slices, p.volume.size[2]);
  assert_ok(ct_volume_decode(&volume, series, 0, series->n_slices, NULL, &test_err));
  size_t voxels = p.volume.size[0] * p.volume.size[1] * p.volume.size[2];
  assert_memory_equal(volume.hu, p.volume.hu, voxels * sizeof *volume.hu);
  for (int a = 0; a < 3; a++) {
    assert_true(fabs(volume.origin_mm[a] - p.volume.origin_mm[a]) < 1e-6);
    assert_true(fabs(volume.spacing_mm[a] - p.volume.spacing_mm[a]) < 1e-5);
  }
  ct_volume_free(&volume);

  struct ct_annotation read;
  assert_ok(lc_path_join(path, series_folder, "annotation.xml", &test_err));
  assert_ok(ct_annotation_read(&read, path, &test_err));
  assert_int_equal(read.n_marks, p.annotation.n_marks);
  assert_int_equal(read.n_sessions, 4);
  assert_string_equal(read.series_instance_uid, p.header.series_instance_uid);
  for (size_t m = 0; m < read.n_marks; m++) {
    const struct ct_mark *a = &read.marks[m], *b = &p.annotation.marks[m];
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->session, b->session);
    assert_int_equal(a->faults, 0);
    assert_int_equal(a->has_ratings, b->has_ratings);
    assert_memory_equal(a->rating, b->rating, sizeof a->rating);
    assert_string_equal(a->nodule_id, b->nodule_id);
    assert_string_equal(a->reader, b->reader);
    assert_int_equal(a->n_outlines, b->n_outlines);
    for (size_t o = 0; o < a->n_outlines; o++) {
      assert_string_equal(a->outlines[o].sop_instance_uid, b->outlines[o].sop_instance_uid);
      assert_true(fabs(a->outlines[o].z_mm - b->outlines[o].z_mm) < 1e-6);
      long slice = ct_series_find_sop(series, a->outlines[o].sop_instance_uid);
      assert_true(slice >= 0);
      assert_true(fabs(series->slices[slice].position_mm[2] - a->outlines[o].z_mm) < 1e-3);
      assert_int_equal(a->outlines[o].n_points, b->outlines[o].n_points);
      assert_memory_equal(a->outlines[o].xy, b->outlines[o].xy,
                          a->outlines[o].n_points * sizeof(int32_t[2]));
    }
  }
  ct_annotation_free(&read);
  ct_index_free(&index);
  ct_phantom_free(&p);
  assert_ok(lc_folder_remove(folder, &test_err));
}

/* Voxels of one nodule's neighbourhood: which flags occur, and how often. */
struct counts {
  size_t body, spicules, lobes, core, calcium, cause;
};

static void count_near(const struct ct_phantom *p, size_t n, struct counts *c) {
  const struct ct_volume *v = &p->volume;
  size_t i = 0;
  *c = (struct counts){0};
  for (size_t z = 0; z < v->size[2]; z++)
    for (size_t y = 0; y < v->size[1]; y++)
      for (size_t x = 0; x < v->size[0]; x++, i++) {
        const size_t at[3] = {x, y, z};
        unsigned f = p->features[i];
        double far = 0;
        if (!f) continue;
        for (int a = 0; a < 3; a++) {
          double d =
              v->origin_mm[a] + (double)at[a] * v->spacing_mm[a] - p->nodules[n].centre_mm[a];
          far += d * d;
        }
        if (sqrt(far) > p->nodules[n].axes_mm[0] * 1.6 + 14) continue;
        if (p->truth[i] && p->truth[i] != n + 1) continue; /* a neighbour's */
        c->body += (f & CT_FEATURE_BODY) != 0;
        c->spicules += (f & CT_FEATURE_SPICULES) != 0;
        c->lobes += (f & CT_FEATURE_LOBES) != 0;
        c->core += (f & CT_FEATURE_CORE) != 0;
        c->calcium += (f & CT_FEATURE_CALCIUM) != 0;
        c->cause += (f & CT_FEATURE_CAUSE) != 0;
      }
}

/* Features lie where their nodule is, and only in nodules that have them. */
static void test_features(void **state) {
  (void)state;
  size_t seen[5] = {0}, nodules = 0;
  for (uint64_t patient = 0; patient < 2; patient++) {
    const struct ct_phantom_options options = {
        .seed = 7, .patient = patient, .matrix = 192, .slice_spacing_mm = 3, .nodules = 4};
    struct ct_phantom p;
    assert_ok(ct_phantom_make(&p, &options, NULL, &test_err));
    assert_true(p.n_nodules >= 3); /* now and then there is no place */
    nodules += p.n_nodules;
    size_t voxels = p.volume.size[0] * p.volume.size[1] * p.volume.size[2];
    for (size_t i = 0; i < voxels; i++) {
      unsigned f = p.features[i], body = f & CT_FEATURE_BODY;
      assert_int_equal(body != 0, p.truth[i] != 0);
      if (f & CT_FEATURE_SPICULES) assert_false(body);
      if (f & (CT_FEATURE_LOBES | CT_FEATURE_CORE | CT_FEATURE_CALCIUM)) assert_true(body);
      if (f & CT_FEATURE_CAUSE)
        assert_true((f & (CT_FEATURE_SPICULES | CT_FEATURE_LOBES | CT_FEATURE_CORE)) != 0);
    }
    for (size_t n = 0; n < p.n_nodules; n++) {
      const struct ct_phantom_nodule *t = &p.nodules[n];
      struct counts c;
      double logit = -1.3;
      for (int i = 0; i < CT_TERM_COUNT; i++) logit += t->malignancy_term[i];
      assert_true(fabs(1 / (1 + exp(-logit)) - t->malignancy_probability) < 1e-12);
      count_near(&p, n, &c);
      if (t->diameter_mm < 10) continue; /* too few voxels to say */
      if (t->lobulation == 0) assert_int_equal(c.lobes, 0);
      if (t->texture != CT_PART_SOLID) assert_int_equal(c.core, 0);
      if (t->calcification == 0) assert_int_equal(c.calcium, 0);
      if (t->malignancy_probability <= 0.5) assert_int_equal(c.cause, 0);
      if (t->spiculation == 0) assert_int_equal(c.spicules, 0);
      if (t->spiculation > 0.3) assert_true(c.spicules > 0);
      if (t->lobulation > 0.3) assert_true(c.lobes > 0 && c.lobes < c.body);
      seen[0] += c.spicules > 0;
      seen[1] += c.lobes > 0;
      seen[2] += c.core > 0;
      seen[3] += c.calcium > 0;
      seen[4] += c.cause > 0;
    }
    ct_phantom_free(&p);
  }
  assert_true(nodules >= 7);
  assert_true(seen[0] && seen[1] && seen[4]);
  const struct ct_phantom_options wrong = {.nodules = 5};
  struct ct_phantom p;
  assert_fails(ct_phantom_make(&p, &wrong, NULL, &test_err), LC_ERR_USAGE, "at most 4");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_seed_same_bytes),
                                     cmocka_unit_test(test_files_read_back),
                                     cmocka_unit_test(test_features)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
