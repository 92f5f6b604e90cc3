/* What a phantom shows: organs with the HU that a reader of chest CT expects, nodules of the
 * promised size inside the lungs, outlines that run just outside them, and DICOM that a validator
 * accepts.
 * needs: phantom
 * slow: 20 */
#include "ct_io/dicom_read/ct_index.h"
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/phantom/ct_phantom.h"

/* Two patients: with several nodules each, at a spacing that resolves the smallest. */
static struct ct_phantom phantoms[2];

static int make_phantoms(void **state) {
  (void)state;
  const struct ct_phantom_options options[2] = {{.seed = 13, .matrix = 208, .slice_spacing_mm = 2},
                                                {.seed = 15, .matrix = 208, .slice_spacing_mm = 2}};
  for (int i = 0; i < 2; i++)
    assert_ok(ct_phantom_make(&phantoms[i], &options[i], NULL, &test_err));
  return 0;
}

static int free_phantoms(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) ct_phantom_free(&phantoms[i]);
  return 0;
}

static int16_t hu_at(const struct ct_phantom *p, long i, long j, long k) {
  const size_t *n = p->volume.size;
  return p->volume.hu[((size_t)k * n[1] + (size_t)j) * n[0] + (size_t)i];
}

/* Share of the voxels inside the circle of reconstruction with HU in [low, high). */
static double share(const struct ct_phantom *p, int low, int high) {
  size_t inside = 0, counted = 0;
  double half = ((double)p->volume.size[0] - 1) / 2;
  for (size_t k = 0; k < p->volume.size[2]; k++)
    for (size_t j = 0; j < p->volume.size[1]; j++)
      for (size_t i = 0; i < p->volume.size[0]; i++) {
        double x = (double)i - half, y = (double)j - half;
        if (x * x + y * y >= half * half) continue;
        counted++;
        int hu = hu_at(p, (long)i, (long)j, (long)k);
        inside += hu >= low && hu < high;
      }
  return (double)inside / (double)counted;
}

/* Most frequent HU between low and high, in steps of 10. */
static int peak(const struct ct_phantom *p, int low, int high) {
  size_t voxels = p->volume.size[0] * p->volume.size[1] * p->volume.size[2], counts[400] = {0};
  for (size_t v = 0; v < voxels; v++) {
    int hu = p->volume.hu[v];
    if (hu >= low && hu < high) counts[(hu - low) / 10]++;
  }
  int best = 0;
  for (int b = 1; b < (high - low) / 10; b++)
    if (counts[b] > counts[best]) best = b;
  return low + 10 * best + 5;
}

static void test_tissues_have_their_hu(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    const struct ct_phantom *p = &phantoms[i];
    assert_int_equal(hu_at(p, 0, 0, 0), -1024);      /* outside the circle */
    assert_in_range(-peak(p, -925, -700), 820, 900); /* lung; the table is lighter */
    assert_in_range(-peak(p, -180, -40), 85, 120);
    assert_in_range(peak(p, 10, 90), 25, 75);
    assert_in_range(-peak(p, -1024 + 5, -950), 980, 1015);
    /* Lungs hold a fifth to a half of a chest scan's field, bone a few percent. */
    double lung = share(p, -950, -600), bone = share(p, 250, 3000);
    assert_true(lung > 0.12 && lung < 0.5);
    assert_true(bone > 0.01 && bone < 0.12);
    assert_true(share(p, 600, 3000) > 0.001); /* cortical bone */
    assert_true(share(p, 1600, 3072) < 1e-4);
  }
}

/* The trachea: a column of air in the middle of the patient above the lungs' roots, in soft tissue.
 */
static void test_trachea_is_air(void **state) {
  (void)state;
  const struct ct_phantom *p = &phantoms[0];
  long n = (long)p->volume.size[0], k = (long)p->volume.size[2] - 1 - (long)(25 / 2);
  long best = 0;
  for (long j = n / 3; j < n * 2 / 3; j++)
    for (long i = n * 2 / 5; i < n * 3 / 5; i++) {
      long air = 0;
      for (long b = -2; b <= 2; b++)
        for (long a = -2; a <= 2; a++) air += hu_at(p, i + a, j + b, k) < -900;
      if (air > best) best = air;
    }
  assert_int_equal(best, 25);
}

static void test_truth_has_the_promised_size(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    const struct ct_phantom *p = &phantoms[i];
    size_t voxels = p->volume.size[0] * p->volume.size[1] * p->volume.size[2];
    double voxel_mm3 = p->volume.spacing_mm[0] * p->volume.spacing_mm[1] * p->volume.spacing_mm[2];
    for (size_t n = 0; n < p->n_nodules; n++) {
      const struct ct_phantom_nodule *t = &p->nodules[n];
      size_t count = 0;
      for (size_t v = 0; v < voxels; v++) count += p->truth[v] == n + 1;
      double diameter = cbrt((double)count * voxel_mm3 * 6 / 3.141592653589793);
      /* A nodule on the pleura is cut off by it a little. */
      double slack = t->attachment == CT_ON_PLEURA ? 0.12 : 0.05;
      if (t->diameter_mm < 6) slack += 0.1;
      assert_true(fabs(diameter / t->diameter_mm - 1) < slack);
      assert_true(t->diameter_mm >= 3.9 && t->diameter_mm <= 30.01);
      double volume = t->axes_mm[0] * t->axes_mm[1] * t->axes_mm[2];
      assert_true(fabs(2 * cbrt(volume) / t->diameter_mm - 1) < 1e-9);
      assert_true(fabs(t->axes_mm[2] / t->axes_mm[0] - t->sphericity) < 1e-9);
    }
  }
}

/* Around a free nodule there is lung; inside a solid one there is soft tissue or calcium. */
static void test_nodules_lie_in_lung(void **state) {
  (void)state;
  int seen = 0;
  for (int i = 0; i < 2; i++) {
    const struct ct_phantom *p = &phantoms[i];
    for (size_t n = 0; n < p->n_nodules; n++) {
      const struct ct_phantom_nodule *t = &p->nodules[n];
      long c[3], air = 0, points = 0;
      for (int a = 0; a < 3; a++)
        c[a] = lrint((t->centre_mm[a] - p->volume.origin_mm[a]) / p->volume.spacing_mm[a]);
      double reach = t->axes_mm[0] * (1.2 + 0.3 * t->lobulation) + 2.5;
      for (int turn = 0; turn < 64; turn++) {
        double z = 1 - (turn + 0.5) / 32, angle = 2.399963 * turn, r = sqrt(1 - z * z);
        long at[3] = {c[0] + lrint(reach * r * cos(angle) / p->volume.spacing_mm[0]),
                      c[1] + lrint(reach * r * sin(angle) / p->volume.spacing_mm[1]),
                      c[2] + lrint(reach * z / p->volume.spacing_mm[2])};
        points++;
        air += hu_at(p, at[0], at[1], at[2]) < -600;
      }
      if (t->attachment != CT_ON_PLEURA)
        assert_true((double)air > 0.55 * (double)points);
      else
        assert_true((double)air > 0.25 * (double)points);
      int hu = hu_at(p, c[0], c[1], c[2]);
      bool cavity = t->true_rating[CT_INTERNAL_STRUCTURE] > 1;
      if (t->texture == CT_SOLID && t->diameter_mm > 8 && !cavity) assert_true(hu > -150);
      if (t->texture == CT_GROUND_GLASS && t->diameter_mm > 8) assert_in_range(-hu, 250, 800);
      seen++;
    }
  }
  assert_true(seen >= 4);
}

/* Even-odd rule on pixel centres. */
static bool enclosed(const struct ct_outline *o, int x, int y) {
  bool inside = false;
  for (size_t a = 0, b = o->n_points - 1; a < o->n_points; b = a++) {
    double xa = o->xy[a][0], ya = o->xy[a][1], xb = o->xy[b][0], yb = o->xy[b][1];
    if ((ya > y) != (yb > y) && x < (xb - xa) * (y - ya) / (yb - ya) + xa) inside = !inside;
  }
  return inside;
}

static bool on_outline(const struct ct_outline *o, int x, int y) {
  for (size_t a = 0; a < o->n_points; a++)
    if (o->xy[a][0] == x && o->xy[a][1] == y) return true;
  return false;
}

static long slice_of(const struct ct_phantom *p, const char *sop) {
  for (size_t k = 0; k < p->volume.size[2]; k++)
    if (strcmp(p->sop_instance_uids[k], sop) == 0) return (long)k;
  return -1;
}

struct overlap {
  double both, either, one;
};

static void compare_outline(const struct ct_phantom *p, const struct ct_outline *o, int label,
                            struct overlap *overlap) {
  long k = slice_of(p, o->sop_instance_uid);
  assert_true(k >= 0);
  size_t n = p->volume.size[0];
  assert_memory_equal(o->xy[0], o->xy[o->n_points - 1], sizeof o->xy[0]);
  int low[2] = {1 << 20, 1 << 20}, high[2] = {0, 0};
  for (size_t a = 0; a < o->n_points; a++) {
    for (int d = 0; d < 2; d++) {
      low[d] = o->xy[a][d] < low[d] ? o->xy[a][d] : low[d];
      high[d] = o->xy[a][d] > high[d] ? o->xy[a][d] : high[d];
    }
    if (a == 0) continue;
    int dx = abs(o->xy[a][0] - o->xy[a - 1][0]), dy = abs(o->xy[a][1] - o->xy[a - 1][1]);
    assert_true(dx <= 1 && dy <= 1 && dx + dy > 0);
  }
  for (int y = low[1]; y <= high[1]; y++)
    for (int x = low[0]; x <= high[0]; x++) {
      bool drawn = enclosed(o, x, y) && !on_outline(o, x, y);
      bool truth = p->truth[((size_t)k * n + (size_t)y) * n + (size_t)x] == label;
      overlap->both += drawn && truth;
      overlap->one += drawn;
    }
}

/* Readers' volumes against the truth: Dice above 0.7 for each nodule of 6 mm and more. */
static void test_outlines_run_just_outside(void **state) {
  (void)state;
  int compared = 0;
  for (int i = 0; i < 2; i++) {
    const struct ct_phantom *p = &phantoms[i];
    size_t voxels = p->volume.size[0] * p->volume.size[1] * p->volume.size[2];
    for (size_t m = 0; m < p->annotation.n_marks; m++) {
      const struct ct_mark *mark = &p->annotation.marks[m];
      if (mark->kind != CT_MARK_NODULE) continue;
      /* The nodule whose centre lies nearest to the mark's first outline. */
      size_t best = 0;
      double least = 1e9;
      const struct ct_outline *o = &mark->outlines[mark->n_outlines / 2];
      for (size_t n = 0; n < p->n_nodules; n++) {
        const double *c = p->nodules[n].centre_mm;
        double x = p->volume.origin_mm[0] + o->xy[0][0] * p->volume.spacing_mm[0] - c[0];
        double y = p->volume.origin_mm[1] + o->xy[0][1] * p->volume.spacing_mm[1] - c[1];
        double d = sqrt(x * x + y * y + (o->z_mm - c[2]) * (o->z_mm - c[2]));
        if (d < least) {
          least = d;
          best = n;
        }
      }
      struct overlap overlap = {0};
      for (size_t s = 0; s < mark->n_outlines; s++)
        compare_outline(p, &mark->outlines[s], (int)best + 1, &overlap);
      double truth = 0;
      for (size_t v = 0; v < voxels; v++) truth += p->truth[v] == best + 1;
      double dice = 2 * overlap.both / (overlap.one + truth);
      if (p->nodules[best].diameter_mm >= 6)
        assert_true(dice > 0.7);
      else
        assert_true(overlap.both > 0);
      compared++;
    }
  }
  assert_true(compared >= 8);
}

static int errors_of(const char *path) {
  char command[LC_PATH_SIZE + 32], line[1024];
  snprintf(command, sizeof command, "dciodvfy '%s' 2>&1", path);
  FILE *pipe = popen(command, "r");
  assert_non_null(pipe);
  int errors = 0;
  while (fgets(line, sizeof line, pipe))
    if (strncmp(line, "Error", 5) == 0) {
      print_message("%s", line);
      errors++;
    }
  pclose(pipe);
  return errors;
}

static void test_dicom_is_valid_and_groups(void **state) {
  (void)state;
  char folder[256], series_folder[LC_PATH_SIZE], path[LC_PATH_SIZE];
  lc_test_folder(folder);
  struct ct_phantom p;
  const struct ct_phantom_options options = {.seed = 16, .matrix = 192, .slice_spacing_mm = 2.5};
  assert_ok(ct_phantom_make(&p, &options, NULL, &test_err));
  assert_ok(ct_phantom_write(&p, folder, false, series_folder, sizeof series_folder, &test_err));
  const char *paths[] = {folder};
  struct ct_index index;
  const struct ct_series *series;
  assert_ok(ct_index_scan(&index, paths, 1, NULL, NULL, &test_err));
  assert_ok(ct_index_choose(&index, NULL, &series, &test_err));
  assert_string_equal(series->manufacturer, "lungcdam phantom");
  assert_int_equal(index.n_series, 1);

  /* The readers' marks group back to the true nodules. */
  struct ct_annotation annotation;
  struct ct_nodule_list list;
  const struct ct_grouping grouping = {0};
  assert_ok(lc_path_join(path, series_folder, "annotation.xml", &test_err));
  assert_ok(ct_annotation_read(&annotation, path, &test_err));
  assert_ok(ct_nodules_from_annotation(&list, &annotation, series, &grouping, &test_err));
  assert_true(list.n_nodules >= 1 && list.n_nodules <= p.n_nodules);
  assert_int_equal(list.n_marks_unplaced, 0);
  for (size_t i = 0; i < list.n_nodules; i++) {
    double least = 1e9;
    for (size_t n = 0; n < p.n_nodules; n++) {
      double d = 0;
      for (int a = 0; a < 3; a++)
        d += pow(list.nodules[i].centre_mm[a] - p.nodules[n].centre_mm[a], 2);
      /* Lobes move the middle of the bounding box off the centre of the body. */
      least = fmin(least, sqrt(d) / (1.5 + 0.25 * p.nodules[n].diameter_mm));
    }
    assert_true(least < 1);
  }
  ct_nodule_list_free(&list);
  ct_annotation_free(&annotation);

  if (system("command -v dciodvfy > /dev/null") == 0)
    for (size_t k = 0; k < series->n_slices; k += 40)
      assert_int_equal(errors_of(series->slices[k].path), 0);
  ct_index_free(&index);
  ct_phantom_free(&p);
  assert_ok(lc_folder_remove(folder, &test_err));
}

static void test_wrong_options(void **state) {
  (void)state;
  struct ct_phantom p;
  struct ct_phantom_options options = {.matrix = 31};
  assert_fails(ct_phantom_make(&p, &options, NULL, &test_err), LC_ERR_USAGE, "matrix 31");
  options = (struct ct_phantom_options){.matrix = 64, .slice_spacing_mm = -1};
  assert_fails(ct_phantom_make(&p, &options, NULL, &test_err), LC_ERR_USAGE, "spacing -1");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_tissues_have_their_hu),
                                     cmocka_unit_test(test_trachea_is_air),
                                     cmocka_unit_test(test_truth_has_the_promised_size),
                                     cmocka_unit_test(test_nodules_lie_in_lung),
                                     cmocka_unit_test(test_outlines_run_just_outside),
                                     cmocka_unit_test(test_dicom_is_valid_and_groups),
                                     cmocka_unit_test(test_wrong_options)};
  return cmocka_run_group_tests(tests, make_phantoms, free_phantoms);
}
