/* Integrated gradients (Sundararajan, Taly, Yan, ICML 2017, arXiv 1703.01365):
 *
 *   score of a pixel = mean over channels of (x - b) * integral over t in [0, 1] of df/dx at
 *                      b + t (x - b)
 *
 * with b `baseline` in every element, the integral by a `rule` of n nodes: Gauss-Legendre, or the
 * paper's Riemann sum. Signed; on pixels. Three times the sum of a map is f(x) - f(b)
 * (completeness); the map's gap says how far it is off. */
#include <math.h>

#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_gradient.h"
#include "cdam/estimators/cdam_masked.h"
#include "cdam/estimators/cdam_quadrature.h"
#include "common/lc_scope.h"

enum { SAMPLES, BASELINE, RULE };

static void make(const struct cdam_pixel_pass *pass, const float *image, size_t k, float *out) {
  const struct cdam_task *task = pass->task;
  const double *nodes = pass->context;
  double b = task->settings->values[BASELINE];
  for (size_t i = 0; i < VIT_CHANNELS * task->height * task->width; i++)
    out[i] = (float)(b + nodes[k] * ((double)image[i] - b));
}

static void use(const struct cdam_task *task, const float *image, const double *mean, float *map) {
  size_t plane = task->height * task->width;
  for (size_t i = 0; i < plane; i++) {
    double score = 0;
    for (size_t c = 0; c < VIT_CHANNELS; c++)
      score +=
          ((double)image[c * plane + i] - task->settings->values[BASELINE]) * mean[c * plane + i];
    map[i] = (float)(score / VIT_CHANNELS);
  }
}

/* How far each map is from what the image adds over the baseline. */
static lc_status fill_gaps(const struct cdam_task *task, struct cdam_maps *maps,
                           struct lc_error *err) {
  size_t size = VIT_CHANNELS * task->height * task->width, plane = task->height * task->width;
  LC_SCOPED(vit_workspace_free) struct vit_workspace workspace = {0};
  LC_FREED float *image = NULL;
  LC_FREED double *values = NULL;
  struct vit_trace trace;
  LC_TRY(lc_alloc(&maps->gaps, maps->images * maps->targets, sizeof *maps->gaps, err));
  LC_TRY(lc_alloc(&values, maps->images * maps->targets, sizeof *values, err));
  LC_TRY(lc_alloc(&image, size, sizeof *image, err));
  for (size_t i = 0; i < size; i++) image[i] = (float)task->settings->values[BASELINE];
  LC_TRY(vit_workspace_init(&workspace, task->model, 1, task->height, task->width, NULL, err));
  LC_TRY(vit_forward(&workspace, image, 1, &trace, err));
  cdam_full_values(task, values);
  for (size_t k = 0; k < maps->images * maps->targets; k++) {
    double sum = 0,
           change = values[k] - cdam_target_value(&task->targets[k % maps->targets], task->model,
                                                  trace.logits, trace.cls_embedding);
    for (size_t i = 0; i < plane; i++) sum += (double)maps->scores[k * plane + i];
    maps->gaps[k] = (float)(fabs(VIT_CHANNELS * sum - change) / fabs(change));
  }
  return LC_OK;
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  size_t n = (size_t)task->settings->values[SAMPLES];
  LC_FREED double *nodes = NULL;
  LC_TRY(lc_alloc(&nodes, 2 * n, sizeof *nodes, err));
  cdam_quadrature((cdam_rule)task->settings->values[RULE], n, nodes, nodes + n);
  struct cdam_pixel_pass pass = {
      .task = task, .count = n, .weights = nodes + n, .context = nodes, .make = make, .use = use};
  LC_TRY(cdam_pixel_run(&pass, maps, err));
  return fill_gaps(task, maps, err);
}

static const char *const rules[] = {[CDAM_GAUSS] = "gauss", [CDAM_RIEMANN] = "riemann", NULL};

static const struct cdam_parameter parameters[] = {
    [SAMPLES] = {"samples", CDAM_WHOLE, 50, 1, 1e4, NULL, "nodes of the integral"},
    [BASELINE] = {"baseline", CDAM_NUMBER, 0, -1e6, 1e6, NULL,
                  "value that every element starts from"},
    [RULE] = {"rule", CDAM_CHOICE, CDAM_GAUSS, 0, 0, rules,
              "where the nodes lie: Gauss-Legendre, or equal steps (the paper)"}};

const struct cdam_estimator cdam_estimator_integrated_gradients = {
    .name = "integrated_gradients",
    .title = "Integrated gradients",
    .source = "Sundararajan, Taly, Yan, ICML 2017, arXiv 1703.01365",
    .needs = CDAM_NEEDS_GRADIENT,
    .is_signed = true,
    .target_dependent = true,
    .on_pixels = true,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
