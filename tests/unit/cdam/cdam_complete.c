/* Tests estimators whose scores add up: LibraGrad's on a model without biases, Shapley values
 * against all sets of patches. */
#include "tests/lc_test.h"

#include <math.h>

#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_masked.h"
#include "tests/cdam_oracle.h"
#include "tests/cdam_settings.h"
#include "vit/weights/vit_parameter.h"

enum { EDGE = 2, PATCHES = EDGE * EDGE, PATCH = 8, PIXELS = EDGE * PATCH, TARGETS = 3 };

struct fixture {
  struct vit_model model;
  struct vit_workspace workspace;
  struct vit_trace trace;
  struct cdam_target targets[TARGETS];
  struct cdam_task task;
  float image[3 * PIXELS * PIXELS];
};

/* Biases, CLS token, and the position of CLS at zero. */
static void clear_constants(struct vit_model *model) {
  struct vit_parameters parameters;
  assert_ok(vit_parameters_init(&parameters, &model->arch, &test_err));
  for (size_t i = 0; i < parameters.n; i++) {
    const struct vit_parameter *p = &parameters.list[i];
    size_t count = strcmp(p->name, "pos_embed") == 0 ? model->arch.embed_dim : p->count;
    if (strstr(p->name, "bias") || strstr(p->name, "token") || count < p->count)
      memset(model->owned + p->offset, 0, count * sizeof *model->owned);
  }
  vit_parameters_free(&parameters);
}

static void open_fixture(struct fixture *f, bool constants) {
  memset(f, 0, sizeof *f);
  struct vit_arch arch = {.image_height = PIXELS,
                          .image_width = PIXELS,
                          .grid_height = EDGE,
                          .grid_width = EDGE,
                          .patch_size = PATCH,
                          .embed_dim = 24,
                          .depth = 3,
                          .num_heads = 3,
                          .mlp_dim = 48,
                          .position_on_cls = true,
                          .layer_norm_eps = 1e-6F};
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 7, 2, false, &test_err));
  oracle_model(&f->model, &arch);
  if (!constants) clear_constants(&f->model);
  oracle_fill(f->image, sizeof f->image / sizeof *f->image, "images", 0, 1);
  assert_ok(vit_workspace_init(&f->workspace, &f->model, 1, PIXELS, PIXELS, NULL, &test_err));
  assert_ok(vit_forward(&f->workspace, f->image, 1, &f->trace, &test_err));
  cdam_target_all(f->targets, &f->model);
  f->task = (struct cdam_task){.model = &f->model,
                               .images = f->image,
                               .height = PIXELS,
                               .width = PIXELS,
                               .trace = &f->trace,
                               .targets = f->targets,
                               .n_targets = TARGETS};
}

static void close_fixture(struct fixture *f) {
  vit_workspace_free(&f->workspace);
  vit_model_free(&f->model);
}

/* Without biases and with CLS at zero the patches' tokens make all of the output. */
static void libragrad_is_complete(void **state) {
  (void)state;
  struct fixture f;
  struct cdam_maps maps;
  open_fixture(&f, false);
  assert_ok(cdam_estimate(find_estimator("libragrad"), &f.task, &maps, &test_err));
  for (size_t t = 0; t < TARGETS; t++) {
    double sum = 0;
    for (size_t i = 0; i < PATCHES; i++) sum += (double)cdam_maps_get(&maps, 0, t)[i];
    assert_near(sum, (double)f.trace.logits[t], 1e-6 + 1e-4 * fabs(sum));
  }
  cdam_maps_free(&maps);
  close_fixture(&f);
}

static size_t subset(const void *context, size_t mask, uint32_t *kept) {
  size_t n = 0;
  (void)context;
  for (uint32_t p = 0; p < PATCHES; p++)
    if (mask >> p & 1) kept[n++] = p;
  return n;
}

/* From the values of all sets: weight (size! (n - size - 1)!) / n! for each set without p. */
static void exact_shapley(const double *values, size_t target, double out[PATCHES]) {
  static const double weight[PATCHES] = {1.0 / 4, 1.0 / 12, 1.0 / 12, 1.0 / 4};
  for (size_t p = 0; p < PATCHES; p++) {
    out[p] = 0;
    for (size_t mask = 0; mask < 1 << PATCHES; mask++)
      if (!(mask >> p & 1))
        out[p] +=
            weight[__builtin_popcountl(mask)] *
            (values[(mask | (size_t)1 << p) * TARGETS + target] - values[mask * TARGETS + target]);
  }
}

/* One order is complete already; many come near the exact values. */
static void shapley_values(void **state) {
  (void)state;
  struct fixture f;
  open_fixture(&f, true);
  static double values[(1 << PATCHES) * TARGETS];
  const struct cdam_masked all = {.task = &f.task, .n_masks = 1 << PATCHES, .keep = subset};
  assert_ok(cdam_masked_values(&all, values, &test_err));
  static const char *const orders[] = {"samples=1", "samples=3", "samples=1000"};
  for (int k = 0; k < 3; k++) {
    struct cdam_settings settings = settings_with("shapley", orders[k]);
    struct cdam_maps maps;
    f.task.settings = &settings;
    assert_ok(cdam_estimate(find_estimator("shapley"), &f.task, &maps, &test_err));
    for (size_t t = 0; t < TARGETS; t++) {
      const float *map = cdam_maps_get(&maps, 0, t);
      double exact[PATCHES], sum = 0, largest = 0;
      double change = values[((1 << PATCHES) - 1) * TARGETS + t] - values[t];
      exact_shapley(values, t, exact);
      for (size_t p = 0; p < PATCHES; p++) sum += (double)map[p];
      assert_near(sum, change, 1e-5);
      assert_near((double)maps.gaps[t], 0, 1e-4);
      for (size_t p = 0; p < PATCHES; p++) largest = fmax(largest, fabs(exact[p]));
      for (size_t p = 0; p < PATCHES && k == 2; p++)
        assert_near((double)map[p], exact[p], 0.06 * largest);
    }
    cdam_maps_free(&maps);
  }
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(libragrad_is_complete),
                                     cmocka_unit_test(shapley_values)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
