/* A transformer that answers with patches missing: token ablation of the reference models, and the
 * ways of replacing pixels. */
#include <math.h>

#include "cdam/measures/cdam_curve.h"
#include "cdam/measures/cdam_probe.h"
#include "cdam/measures/cdam_removal.h"
#include "common/lc_parallel.h"
#include "tests/vit_test.h"

struct scene {
  struct vit_model model;
  struct vit_tensor_file file;
  struct cdam_target targets[8];
  size_t outputs, edge, patches;
  const float *image;
  struct cdam_removal removal;
};

static void scene_open(struct scene *scene, const char *name,
                       const struct cdam_removal_settings *settings) {
  assert_ok(vit_model_load(&scene->model, vit_test_path(name, "weights"), NULL, &test_err));
  assert_ok(vit_tensor_file_open(&scene->file, vit_test_path(name, "expected"), &test_err));
  scene->outputs = vit_arch_outputs(&scene->model.arch);
  cdam_target_all(scene->targets, &scene->model);
  const struct vit_tensor *input = vit_test_tensor(&scene->file, "input");
  scene->edge = input->shape[2];
  scene->image = input->data;
  assert_ok(cdam_removal_init(&scene->removal, &scene->model, scene->targets, scene->outputs,
                              scene->edge, scene->edge, settings, &test_err));
  assert_ok(cdam_removal_set_image(&scene->removal, scene->image, 0, &test_err));
  scene->patches = scene->removal.patches;
}

static void scene_close(struct scene *scene) {
  cdam_removal_free(&scene->removal);
  vit_tensor_file_close(&scene->file);
  vit_model_free(&scene->model);
}

static void tokens_left_out_are_ablation(void **state) {
  (void)state;
  const char *const names[2] = {"vit_p8_d32_l3", "vit_p8_d48_l4"};
  for (size_t m = 0; m < 2; m++) {
    struct scene scene;
    struct cdam_probe probe;
    scene_open(&scene, names[m], NULL);
    struct cdam_evaluator evaluator = cdam_removal_evaluator(&scene.removal);
    assert_ok(cdam_probe_tokens(&evaluator, &probe, &test_err));
    float *drops = calloc(scene.patches * scene.outputs, sizeof *drops), whole[8];
    for (size_t t = 0; t < scene.outputs; t++) {
      whole[t] = (float)probe.whole[t];
      for (size_t p = 0; p < scene.patches; p++)
        drops[t * scene.patches + p] = (float)probe.drop[p * scene.outputs + t];
    }
    vit_test_close(whole, scene.outputs, &scene.file, "logits", 1e-4);
    vit_test_close(drops, scene.patches * scene.outputs, &scene.file, "token_ablation", 1e-4);
    /* As a map, token ablation is its own perfect correlation. */
    struct cdam_faithfulness r;
    assert_ok(cdam_probe_judge(&probe, drops + scene.patches, 1, &r, &test_err));
    assert_near(r.pearson, 1, 1e-6);
    assert_near(r.infidelity_scaled, 0, 1e-6);
    free(drops);
    cdam_probe_free(&probe);
    scene_close(&scene);
  }
}

/* The same bits whichever variants share a call, and with any number of threads. */
static void variants_stand_alone(void **state) {
  (void)state;
  for (int kind = 0; kind <= (int)CDAM_FILL_IMPUTED; kind++) {
    struct scene scene;
    struct cdam_removal_settings settings = {
        .kind = (cdam_removal_kind)kind, .value = -0.5F, .noise = 0.01, .seed = 4, .batch = 3};
    scene_open(&scene, "vit_p8_d32_l3", &settings);
    struct cdam_evaluator evaluator = cdam_removal_evaluator(&scene.removal);
    uint8_t kept[9 * 16];
    double together[9 * 3], alone[3];
    for (size_t v = 0; v < 9; v++)
      for (size_t p = 0; p < 16; p++) kept[v * 16 + p] = v == 8 || p % 8 < v;
    assert_ok(evaluator.evaluate(&scene.removal, kept, 9, together, &test_err));
    int threads = lc_threads();
    for (size_t v = 0; v < 9; v++) {
      lc_threads_set(v % 2 ? 1 : 3);
      assert_ok(cdam_removal_set_image(&scene.removal, scene.image, 0, &test_err));
      assert_ok(evaluator.evaluate(&scene.removal, kept + v * 16, 1, alone, &test_err));
      assert_memory_equal(alone, together + 3 * v, sizeof alone);
    }
    lc_threads_set(threads);
    /* Nothing missing (twice) is the plain forward pass. */
    float whole[3] = {(float)together[24], (float)together[25], (float)together[26]};
    vit_test_close(whole, 3, &scene.file, "logits", 1e-4);
    scene_close(&scene);
  }
}

static void pictures_are_what_they_say(void **state) {
  (void)state;
  uint8_t kept[16];
  float picture[3 * 32 * 32];
  for (size_t p = 0; p < 16; p++) kept[p] = p != 5; /* rows and columns 8 to 15 */
  for (int kind = 0; kind <= (int)CDAM_FILL_IMPUTED; kind++) {
    struct scene scene;
    struct cdam_removal_settings settings = {.kind = (cdam_removal_kind)kind, .value = -0.5F};
    scene_open(&scene, "vit_p8_d32_l3", &settings);
    assert_ok(cdam_removal_picture(&scene.removal, kept, picture, &test_err));
    double inside = 0, mean = 0, spread = 0;
    for (size_t i = 0; i < 3 * 1024; i++) {
      size_t y = i % 1024 / 32, x = i % 32;
      bool gone = y >= 8 && y < 16 && x >= 8 && x < 16;
      if (!gone) assert_near((double)picture[i], (double)scene.image[i], 0);
      if (i < 1024) mean += (double)scene.image[i] / 1024;
      if (gone && i < 1024) inside += (double)picture[i] / 64;
      if (gone && i < 1024) spread += fabs((double)picture[i] - (double)scene.image[i]) / 64;
    }
    if (kind == (int)CDAM_FILL_MEAN) assert_near(inside, mean, 1e-6);
    if (kind == (int)CDAM_FILL_VALUE) assert_near(inside, -0.5, 1e-6);
    if (kind == (int)CDAM_LEAVE_OUT) assert_near(inside, 0, 0);
    assert_true(spread > 0.01);
    scene_close(&scene);
  }
}

/* A constant image is its own mean, blur and imputation: removing from it changes nothing, but for
 * leaving out. */
static void flat_images_hide_nothing(void **state) {
  (void)state;
  static float flat[3 * 32 * 32];
  for (size_t i = 0; i < 3 * 1024; i++) flat[i] = 0.25F;
  for (int kind = 0; kind <= (int)CDAM_FILL_IMPUTED; kind++) {
    struct scene scene;
    struct cdam_probe probe;
    struct cdam_removal_settings settings = {.kind = (cdam_removal_kind)kind, .value = 0.25F};
    scene_open(&scene, "vit_p8_d32_l3", &settings);
    assert_ok(cdam_removal_set_image(&scene.removal, flat, 0, &test_err));
    struct cdam_evaluator evaluator = cdam_removal_evaluator(&scene.removal);
    assert_ok(cdam_probe_subsets(&evaluator, 5, 4, &(struct cdam_draws){1, 1}, &probe, &test_err));
    for (size_t i = 0; i < 4 * 3; i++) {
      if (kind == (int)CDAM_LEAVE_OUT)
        assert_true(fabs(probe.drop[i]) > 1e-5);
      else
        assert_near(probe.drop[i], 0, 1e-5);
    }
    cdam_probe_free(&probe);
    scene_close(&scene);
  }
}

/* Deletion of the reference model in the order of token ablation falls faster than in the order of
 * its contrary, and the ends of every curve are the same. */
static void curves_of_a_transformer(void **state) {
  (void)state;
  struct scene scene;
  scene_open(&scene, "vit_p8_d48_l4", NULL);
  struct cdam_evaluator evaluator = cdam_removal_evaluator(&scene.removal);
  const float *ablation = vit_test_tensor(&scene.file, "token_ablation")->data;
  float maps[2 * 64];
  for (size_t p = 0; p < 64; p++) {
    maps[p] = ablation[p];
    maps[64 + p] = -ablation[p];
  }
  struct cdam_curves curves;
  struct cdam_curve_summary good, bad;
  assert_ok(cdam_curves_measure(&evaluator, maps, (size_t[]){0, 0}, 2, NULL,
                                &(struct cdam_draws){1, 1}, &curves, &test_err));
  cdam_curves_summarise(&curves, 0, 0, &good);
  cdam_curves_summarise(&curves, 1, 0, &bad);
  assert_true(good.gap > 0 && bad.gap < 0);
  assert_near(curves.most[0], curves.least[curves.points], 0);
  assert_near(curves.most[20], curves.least[20], 0);
  assert_near(curves.most[20], curves.random[20], 1e-12);
  cdam_curves_free(&curves);
  scene_close(&scene);
}

static void wrong_requests_are_refused(void **state) {
  (void)state;
  struct scene scene;
  struct cdam_removal removal;
  scene_open(&scene, "vit_p8_d32_l3", NULL);
  assert_fails(cdam_removal_init(&removal, &scene.model, scene.targets, 3, 30, 32, NULL, &test_err),
               LC_ERR_USAGE, "patches of 8 x 8");
  struct cdam_target wrong = {.kind = CDAM_OUTPUT, .a = 3};
  assert_fails(cdam_removal_init(&removal, &scene.model, &wrong, 1, 32, 32, NULL, &test_err),
               LC_ERR_USAGE, "output 3");
  scene_close(&scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tokens_left_out_are_ablation), cmocka_unit_test(variants_stand_alone),
      cmocka_unit_test(pictures_are_what_they_say),   cmocka_unit_test(flat_images_hide_nothing),
      cmocka_unit_test(curves_of_a_transformer),      cmocka_unit_test(wrong_requests_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
