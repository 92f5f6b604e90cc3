/* Holds the table of estimators, finds one by name, checks its task, and runs it. */
#include "cdam/estimators/cdam_estimator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"

/* In the order of help, reports and "all". */
#define ESTIMATORS(ENTRY)                                                                          \
  ENTRY(cdam)                                                                                      \
  ENTRY(cdam_routed)                                                                               \
  ENTRY(cdam_content)                                                                              \
  ENTRY(smooth_cdam)                                                                               \
  ENTRY(integrated_cdam)                                                                           \
  ENTRY(attention_map)                                                                             \
  ENTRY(attention_rollout)                                                                         \
  ENTRY(relevance_propagation)                                                                     \
  ENTRY(partial_lrp)                                                                               \
  ENTRY(transformer_attribution)                                                                   \
  ENTRY(libragrad)                                                                                 \
  ENTRY(attnlrp)                                                                                   \
  ENTRY(attention_gradcam)                                                                         \
  ENTRY(token_ablation)                                                                            \
  ENTRY(input_x_gradient)                                                                          \
  ENTRY(integrated_gradients)                                                                      \
  ENTRY(smoothgrad)                                                                                \
  ENTRY(occlusion)                                                                                 \
  ENTRY(rise)                                                                                      \
  ENTRY(shapley)

#define DECLARE(name) extern const struct cdam_estimator cdam_estimator_##name;
ESTIMATORS(DECLARE)
#define POINT(name) &cdam_estimator_##name,
static const struct cdam_estimator *const table[] = {ESTIMATORS(POINT)};
#define NUMBER(name) NUMBER_##name,
enum { ESTIMATORS(NUMBER) N_ESTIMATORS };
_Static_assert(N_ESTIMATORS <= CDAM_ESTIMATORS_MOST, "more estimators than CDAM_ESTIMATORS_MOST");

const struct cdam_estimator *const *cdam_estimators(size_t *count) {
  *count = N_ESTIMATORS;
  return table;
}

/* What was meant, else all that there is. */
static lc_status unknown(const char *what, const char *name, const char *const *names, size_t n,
                         struct lc_error *err) {
  const char *near = lc_text_nearest(name, names, n);
  if (near) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s \"%s\": did you mean \"%s\"?", what, name, near);
  LC_SCOPED(lc_text_free) struct lc_text list = {0};
  for (size_t i = 0; i < n; i++) lc_text_add(&list, "%s%s", i ? ", " : "", names[i]);
  LC_FAIL(err, LC_ERR_NOT_FOUND, "%s \"%s\": expected %s%s", what, name, n ? "one of " : "none",
          lc_text_get(&list));
}

lc_status cdam_estimator_find(const char *name, const struct cdam_estimator **estimator,
                              struct lc_error *err) {
  const char *names[N_ESTIMATORS];
  for (size_t i = 0; i < N_ESTIMATORS; i++) {
    names[i] = table[i]->name;
    if (strcmp(name, table[i]->name) != 0) continue;
    *estimator = table[i];
    return LC_OK;
  }
  return unknown("estimator", name, names, N_ESTIMATORS, err);
}

void cdam_settings_init(const struct cdam_estimator *estimator, struct cdam_settings *settings) {
  memset(settings, 0, sizeof *settings);
  for (size_t i = 0; i < estimator->n_parameters; i++)
    settings->values[i] = estimator->parameters[i].initial;
}

size_t cdam_parameter_find(const struct cdam_estimator *estimator, const char *name) {
  size_t i = 0;
  while (i < estimator->n_parameters && strcmp(estimator->parameters[i].name, name) != 0) i++;
  return i;
}

lc_status cdam_settings_set(const struct cdam_estimator *estimator, struct cdam_settings *settings,
                            const char *name, double value, struct lc_error *err) {
  size_t at = cdam_parameter_find(estimator, name);
  if (at < estimator->n_parameters) {
    settings->values[at] = value;
    return cdam_settings_check(estimator, settings, err);
  }
  const char *names[CDAM_PARAMETERS_MOST];
  char what[96];
  for (size_t i = 0; i < estimator->n_parameters; i++) names[i] = estimator->parameters[i].name;
  snprintf(what, sizeof what, "%s: parameter", estimator->name);
  return unknown(what, name, names, estimator->n_parameters, err);
}

lc_status cdam_settings_check(const struct cdam_estimator *estimator,
                              const struct cdam_settings *settings, struct lc_error *err) {
  for (size_t i = 0; i < estimator->n_parameters; i++) {
    const struct cdam_parameter *p = &estimator->parameters[i];
    char expected[160];
    if (cdam_parameter_takes(p, settings->values[i])) continue;
    cdam_parameter_expects(p, expected, sizeof expected);
    LC_FAIL(err, LC_ERR_USAGE, "%s: %s is %g, expected %s", estimator->name, p->name,
            settings->values[i], expected);
  }
  return LC_OK;
}

void cdam_estimator_request(const struct cdam_estimator *estimator, struct vit_request *request) {
  unsigned needs = estimator->needs;
  if (needs & CDAM_NEEDS_LAST_INPUT) request->last_input = true;
  if (needs & CDAM_NEEDS_CLS_ATTENTION) request->last_cls_attention = true;
  if (needs & CDAM_NEEDS_ALL_INPUTS) request->all_inputs = true;
  if (needs & CDAM_NEEDS_ALL_ATTENTION) request->all_attention = true;
}

static lc_status check(const struct cdam_estimator *e, const struct cdam_task *task,
                       struct lc_error *err) {
  const struct vit_trace *trace = task->trace;
  const struct {
    unsigned need;
    const void *have;
    const char *what;
  } parts[] = {{CDAM_NEEDS_LAST_INPUT, trace->last_input, "the input of the last block"},
               {CDAM_NEEDS_CLS_ATTENTION, trace->last_cls_attention, "the attention of CLS"},
               {CDAM_NEEDS_ALL_INPUTS, trace->inputs, "the input of every block"},
               {CDAM_NEEDS_ALL_ATTENTION, trace->attention, "the attention of every block"},
               {CDAM_NEEDS_IMAGES | CDAM_NEEDS_GRADIENT, task->images, "the images"}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if ((e->needs & parts[i].need) && !parts[i].have)
      LC_FAIL(err, LC_ERR_USAGE, "%s: needs %s", e->name, parts[i].what);
  if (trace->patches != trace->grid_height * trace->grid_width)
    LC_FAIL(err, LC_ERR_UNSUPPORTED,
            "%s: %zu of %zu patches were kept; maps need all patches of the grid", e->name,
            trace->patches, trace->grid_height * trace->grid_width);
  if (task->settings) LC_TRY(cdam_settings_check(e, task->settings, err));
  if (e->target_dependent)
    return cdam_target_check(task->targets, task->n_targets, task->model, err);
  return LC_OK;
}

static lc_status check_finite(const struct cdam_estimator *e, const struct cdam_maps *maps,
                              struct lc_error *err) {
  size_t size = maps->targets * maps->grid_height * maps->grid_width;
  for (size_t i = 0; i < maps->images * size; i++)
    if (!isfinite(maps->scores[i]))
      LC_FAIL(err, LC_ERR_NUMERIC, "%s: image %zu has a score that is not finite", e->name,
              i / size);
  return LC_OK;
}

lc_status cdam_estimate(const struct cdam_estimator *estimator, const struct cdam_task *task,
                        struct cdam_maps *maps, struct lc_error *err) {
  memset(maps, 0, sizeof *maps);
  LC_TRY(check(estimator, task, err));
  struct cdam_task filled = *task;
  struct cdam_settings defaults;
  cdam_settings_init(estimator, &defaults);
  if (!filled.settings) filled.settings = &defaults;
  if (!estimator->target_dependent) filled.n_targets = 1;
  bool pixels = estimator->on_pixels;
  LC_TRY(cdam_maps_init(maps, task->trace->batch, filled.n_targets,
                        pixels ? task->height : task->trace->grid_height,
                        pixels ? task->width : task->trace->grid_width, err));
  lc_status status = estimator->run(&filled, maps, err);
  if (status == LC_OK) status = check_finite(estimator, maps, err);
  if (status != LC_OK) cdam_maps_free(maps);
  return status;
}

lc_status cdam_maps_to_patches(const struct cdam_maps *pixels, size_t patch_size,
                               struct cdam_maps *patches, struct lc_error *err) {
  size_t gh = pixels->grid_height / patch_size, gw = pixels->grid_width / patch_size;
  if (gh * patch_size != pixels->grid_height || gw * patch_size != pixels->grid_width)
    LC_FAIL(err, LC_ERR_USAGE, "patches of %zu pixels do not divide maps of %zu x %zu", patch_size,
            pixels->grid_height, pixels->grid_width);
  LC_TRY(cdam_maps_init(patches, pixels->images, pixels->targets, gh, gw, err));
  for (size_t k = 0; k < pixels->images * pixels->targets; k++)
    for (size_t y = 0; y < pixels->grid_height; y++)
      for (size_t x = 0; x < pixels->grid_width; x++)
        patches->scores[(k * gh + y / patch_size) * gw + x / patch_size] +=
            VIT_CHANNELS * pixels->scores[(k * pixels->grid_height + y) * pixels->grid_width + x];
  return LC_OK;
}
