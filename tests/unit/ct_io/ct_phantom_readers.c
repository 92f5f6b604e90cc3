/* Many nodules and readings in one chest: malignancy follows its stated rule, readers' ratings
 * follow the truth with the stated errors, and one to four readers mark each nodule.
 * needs: phantom
 * slow: 20 */
#include "tests/lc_test.h"

#include <math.h>

#include "ct_io/phantom/ct_ph_scene.h"

enum { DRAWS = 150, MOST = DRAWS * CT_PHANTOM_MAX_NODULES };

struct sample {
  struct ct_phantom_nodule truth;
  int readers, small_marks;
  double mean[CT_RATING_COUNT];
  double spread; /* largest difference between two readers' malignancy */
};

static struct sample samples[MOST];
static int n_samples;
static struct ct_ph_scene *scene;

static void collect(const struct ct_phantom *p) {
  for (size_t n = 0; n < p->n_nodules; n++) {
    struct sample *s = &samples[n_samples++];
    memset(s, 0, sizeof *s);
    s->truth = p->nodules[n];
    double low = 9, high = 0;
    for (size_t m = 0; m < p->annotation.n_marks; m++) {
      const struct ct_mark *mark = &p->annotation.marks[m];
      if (mark->kind == CT_MARK_NON_NODULE) continue;
      const struct ct_outline *o = &mark->outlines[mark->n_outlines / 2];
      double x = 0, y = 0;
      for (size_t i = 0; i < o->n_points; i++) {
        x += o->xy[i][0] / (double)o->n_points;
        y += o->xy[i][1] / (double)o->n_points;
      }
      double dx = p->volume.origin_mm[0] + x * p->volume.spacing_mm[0] - s->truth.centre_mm[0];
      double dy = p->volume.origin_mm[1] + y * p->volume.spacing_mm[1] - s->truth.centre_mm[1];
      double dz = o->z_mm - s->truth.centre_mm[2];
      if (sqrt(dx * dx + dy * dy + dz * dz) > 0.5 * s->truth.diameter_mm + 3) continue;
      if (mark->kind == CT_MARK_SMALL) {
        s->small_marks++;
        continue;
      }
      s->readers++;
      for (int r = 0; r < CT_RATING_COUNT; r++) {
        int most = r == CT_CALCIFICATION ? 6 : 5;
        assert_in_range(mark->rating[r], 1, most);
        s->mean[r] += mark->rating[r];
      }
      low = fmin(low, mark->rating[CT_MALIGNANCY]);
      high = fmax(high, mark->rating[CT_MALIGNANCY]);
    }
    for (int r = 0; s->readers > 0 && r < CT_RATING_COUNT; r++) s->mean[r] /= s->readers;
    s->spread = high - low;
  }
}

/* One chest is grown once; its nodules and readers are drawn again and again. */
static int draw_many(void **state) {
  (void)state;
  const struct ct_phantom_options options = {.seed = 1, .matrix = 400, .slice_spacing_mm = 2};
  scene = calloc(1, sizeof *scene);
  assert_non_null(scene);
  ct_ph_choose(scene, &options);
  assert_ok(ct_ph_build_mediastinum(scene, &test_err));
  assert_ok(ct_ph_build_grid(scene, &test_err));
  assert_ok(ct_ph_build_trees(scene, &test_err));
  for (int draw = 0; draw < DRAWS; draw++) {
    struct ct_phantom p;
    memset(&p, 0, sizeof p);
    scene->seed = 1000 + (uint64_t)draw;
    scene->n_micro = 0;
    assert_ok(ct_ph_build_nodules(scene, 0, p.nodules, &test_err));
    p.n_nodules = scene->n_nodules;
    p.sop_instance_uids = calloc(scene->n_slices, sizeof *p.sop_instance_uids);
    assert_non_null(p.sop_instance_uids);
    const float first[3] = {scene->first.x + scene->shift_mm.x, scene->first.y + scene->shift_mm.y,
                            scene->first.z + scene->shift_mm.z};
    for (int a = 0; a < 3; a++) {
      p.volume.origin_mm[a] = (double)first[a];
      p.volume.spacing_mm[a] = (double)(a < 2 ? scene->pixel_mm : scene->spacing_mm);
    }
    assert_ok(ct_ph_read(scene, &p, &test_err));
    collect(&p);
    ct_phantom_free(&p);
  }
  return 0;
}

static int free_scene(void **state) {
  (void)state;
  ct_ph_scene_free(scene);
  free(scene);
  return 0;
}

/* Values worked out by hand from the rule in docs/phantom.md. */
static void test_rule(void **state) {
  (void)state;
  struct ct_phantom_nodule n = {.diameter_mm = 12, .margin = 0.6, .texture = CT_SOLID};
  assert_true(fabs(ct_ph_malignancy(&n) - 0.2141650) < 1e-6); /* L = -1.3 */
  n.spiculation = 0.5;
  n.lobulation = 0.5;
  n.texture = CT_PART_SOLID;
  assert_true(fabs(ct_ph_malignancy(&n) - 0.7858350) < 1e-6); /* L = 1.3 */
  n.calcification = 0.1;
  assert_true(fabs(ct_ph_malignancy(&n) - 0.3318122) < 1e-6); /* L = -0.7 */
  n.calcification = 0.8;
  n.diameter_mm = 40;
  n.texture = CT_SOLID;
  n.margin = 1;
  assert_true(fabs(ct_ph_malignancy(&n) - 1 / (1 + exp(2.0))) <
              1e-6); /* 2.08 + 1.7 - 1.3 - 4 - 0.48 */
}

static void test_malignancy_happens_as_often_as_said(void **state) {
  (void)state;
  double expected = 0, variance = 0, happened = 0;
  for (int i = 0; i < n_samples; i++) {
    const struct ct_phantom_nodule *t = &samples[i].truth;
    assert_true(fabs(t->malignancy_probability - ct_ph_malignancy(t)) < 1e-12);
    expected += t->malignancy_probability;
    variance += t->malignancy_probability * (1 - t->malignancy_probability);
    happened += t->malignant;
  }
  assert_true(fabs(happened - expected) < 3.3 * sqrt(variance));
  /* Both kinds are common enough to learn from. */
  assert_true(happened > 0.2 * n_samples && happened < 0.6 * n_samples);
}

static double correlation(double (*truth)(const struct sample *), ct_rating rating) {
  double n = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
  for (int i = 0; i < n_samples; i++) {
    if (samples[i].readers == 0) continue;
    double x = truth(&samples[i]), y = samples[i].mean[rating];
    n++;
    sx += x;
    sy += y;
    sxx += x * x;
    syy += y * y;
    sxy += x * y;
  }
  return (n * sxy - sx * sy) / sqrt((n * sxx - sx * sx) * (n * syy - sy * sy));
}

static double spiculation(const struct sample *s) {
  return s->truth.spiculation;
}
static double lobulation(const struct sample *s) {
  return s->truth.lobulation;
}
static double margin(const struct sample *s) {
  return s->truth.margin;
}
static double sphericity(const struct sample *s) {
  return s->truth.sphericity;
}
static double solidity(const struct sample *s) {
  return -(double)s->truth.texture;
}
static double probability(const struct sample *s) {
  return s->truth.malignancy_probability;
}
static double absence_of_calcium(const struct sample *s) {
  return s->truth.calcification > 0 ? 0 : 1;
}
static double diameter(const struct sample *s) {
  return s->truth.diameter_mm;
}

static void test_ratings_follow_truth(void **state) {
  (void)state;
  assert_true(correlation(spiculation, CT_SPICULATION) > 0.85);
  assert_true(correlation(lobulation, CT_LOBULATION) > 0.85);
  assert_true(correlation(margin, CT_MARGIN) > 0.75);
  assert_true(correlation(sphericity, CT_SPHERICITY) > 0.75);
  assert_true(correlation(solidity, CT_TEXTURE) > 0.9);
  assert_true(correlation(probability, CT_MALIGNANCY) > 0.85);
  assert_true(correlation(absence_of_calcium, CT_CALCIFICATION) > 0.8);
  assert_true(correlation(diameter, CT_SUBTLETY) > 0.5);
  /* Unrelated properties stay unrelated: the truth has no hidden link between them. */
  assert_true(fabs(correlation(sphericity, CT_SPICULATION)) < 0.2);
  assert_true(fabs(correlation(lobulation, CT_TEXTURE)) < 0.2);
}

static void test_readers_differ(void **state) {
  (void)state;
  int by_readers[5] = {0}, differing = 0, small_found = 0, small_all = 0, large_found = 0,
      large_all = 0;
  for (int i = 0; i < n_samples; i++) {
    const struct sample *s = &samples[i];
    int marks = s->readers + s->small_marks;
    assert_true(marks >= 1);
    assert_true(s->readers <= 4);
    by_readers[s->readers]++;
    if (s->readers > 1 && s->spread > 0) differing++;
    if (s->truth.diameter_mm < 6) {
      small_found += marks > 4 ? 4 : marks;
      small_all += 4;
    }
    if (s->truth.diameter_mm > 15) {
      large_found += marks > 4 ? 4 : marks;
      large_all += 4;
    }
  }
  for (int r = 1; r <= 4; r++) assert_true(by_readers[r] > 0);
  assert_true(differing > n_samples / 2);
  double small = (double)small_found / small_all, large = (double)large_found / large_all;
  assert_true(large > 0.9);
  assert_true(small < large - 0.1);
}

static void test_nodules_vary_and_keep_apart(void **state) {
  (void)state;
  int texture[3] = {0}, attachment[3] = {0}, calcified = 0;
  double smallest = 99, largest = 0;
  for (int i = 0; i < n_samples; i++) {
    const struct ct_phantom_nodule *t = &samples[i].truth;
    texture[t->texture]++;
    attachment[t->attachment]++;
    calcified += t->calcification > 0;
    smallest = fmin(smallest, t->diameter_mm);
    largest = fmax(largest, t->diameter_mm);
  }
  for (int k = 0; k < 3; k++) assert_true(texture[k] > n_samples / 20);
  for (int k = 0; k < 3; k++) assert_true(attachment[k] > n_samples / 20);
  assert_true(calcified > n_samples / 30);
  assert_true(smallest < 4.6 && largest > 24);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rule), cmocka_unit_test(test_malignancy_happens_as_often_as_said),
      cmocka_unit_test(test_ratings_follow_truth), cmocka_unit_test(test_readers_differ),
      cmocka_unit_test(test_nodules_vary_and_keep_apart)};
  return cmocka_run_group_tests(tests, draw_many, free_scene);
}
