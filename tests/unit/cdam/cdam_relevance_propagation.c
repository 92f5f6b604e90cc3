/* Relevance propagation over images whose tokens fill several panels, which other numbers of
 * threads cut differently (vit_workspace.c). */
#include "tests/lc_test.h"

#include "cdam/estimators/cdam_estimator.h"
#include "common/lc_parallel.h"
#include "tests/cdam_oracle.h"
#include "vit/kernels/vit_backend.h"

enum { SIDE = 15, PATCH = 8, PIXELS = 3 * SIDE * PATCH * SIDE * PATCH, THREADS = 4 };

static void same_bits_for_any_number_of_threads(void **state) {
  (void)state;
  static float image[PIXELS];
  struct vit_arch arch = {.image_height = SIDE * PATCH,
                          .image_width = SIDE * PATCH,
                          .grid_height = SIDE,
                          .grid_width = SIDE,
                          .patch_size = PATCH,
                          .embed_dim = 40,
                          .depth = 3,
                          .num_heads = 5,
                          .mlp_dim = 96,
                          .position_on_cls = true,
                          .layer_norm_eps = 1e-6F};
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 7, 2, false, &test_err));
  struct vit_model model;
  oracle_model(&model, &arch);
  oracle_fill(image, PIXELS, "images", 0, 1);
  const struct cdam_estimator *estimator;
  assert_ok(cdam_estimator_find("relevance_propagation", &estimator, &test_err));
  struct cdam_target targets[2];
  cdam_target_all(targets, &model);
  struct cdam_maps first = {0};
  size_t panel[THREADS + 1] = {0};
  for (int threads = 1; threads <= THREADS; threads++) {
    lc_threads_set(threads);
    struct vit_workspace workspace;
    struct vit_trace trace;
    struct cdam_maps maps;
    assert_ok(
        vit_workspace_init(&workspace, &model, 1, SIDE * PATCH, SIDE * PATCH, NULL, &test_err));
    assert_ok(vit_forward(&workspace, image, 1, &trace, &test_err));
    struct cdam_task task = {.model = &model,
                             .images = image,
                             .height = SIDE * PATCH,
                             .width = SIDE * PATCH,
                             .trace = &trace,
                             .targets = targets,
                             .n_targets = 2};
    assert_ok(cdam_estimate(estimator, &task, &maps, &test_err));
    panel[threads] = workspace.panel;
    vit_workspace_free(&workspace);
    if (threads == 1) {
      first = maps;
      continue;
    }
    if (memcmp(first.scores, maps.scores, sizeof(float) * 2 * SIDE * SIDE) != 0)
      fail_msg("other bits for %d threads", threads);
    cdam_maps_free(&maps);
  }
  if (vit_backend()->fixed_panel == 0) assert_int_not_equal(panel[1], panel[THREADS]);
  lc_threads_set(0);
  cdam_maps_free(&first);
  vit_model_free(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits_for_any_number_of_threads)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
