/* Holds the table of estimators, finds one by name, checks that a task has what it needs, and runs
 * it. */
#include "cdam/estimators/cdam_estimator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/estimators/cdam_estimators.h"
#include "common/lc_arena.h"
#include "common/lc_text.h"

#define BROCKI "Brocki, Binda, Chung, arXiv 2312.02364"
#define CHEFER_CVPR "Chefer, Gur, Wolf, CVPR 2021, arXiv 2012.09838"
#define CHEFER_ICCV "Chefer, Gur, Wolf, ICCV 2021, arXiv 2103.15679"

static const struct cdam_estimator table[] = {
    {.name = "cdam",
     .title = "CDAM",
     .source = BROCKI ", eq. 5",
     .needs = CDAM_NEEDS_LAST_INPUT,
     .is_signed = true,
     .target_dependent = true,
     .run = cdam_run_cdam},
    {.name = "cdam_routed",
     .title = "CDAM, re-routed part",
     .source = "docs/cdam.md",
     .needs = CDAM_NEEDS_LAST_INPUT,
     .is_signed = true,
     .target_dependent = true,
     .run = cdam_run_cdam_routed},
    {.name = "cdam_content",
     .title = "CDAM, content part",
     .source = "docs/cdam.md",
     .needs = CDAM_NEEDS_LAST_INPUT,
     .is_signed = true,
     .target_dependent = true,
     .run = cdam_run_cdam_content},
    {.name = "smooth_cdam",
     .title = "Smooth CDAM",
     .source = BROCKI,
     .needs = CDAM_NEEDS_LAST_INPUT,
     .is_signed = true,
     .target_dependent = true,
     .defaults = {.samples = 50, .level = 0.05},
     .run = cdam_run_smooth_cdam},
    {.name = "integrated_cdam",
     .title = "Integrated CDAM",
     .source = BROCKI,
     .needs = CDAM_NEEDS_LAST_INPUT,
     .is_signed = true,
     .target_dependent = true,
     .defaults = {.samples = 50},
     .run = cdam_run_integrated_cdam},
    {.name = "attention_map",
     .title = "Attention",
     .source = "Caron et al., arXiv 2104.14294",
     .needs = CDAM_NEEDS_CLS_ATTENTION,
     .defaults = {.head = -1},
     .run = cdam_run_attention_map},
    {.name = "attention_rollout",
     .title = "Attention rollout",
     .source = "Abnar, Zuidema, ACL 2020, arXiv 2005.00928",
     .needs = CDAM_NEEDS_ALL_ATTENTION,
     .run = cdam_run_attention_rollout},
    {.name = "relevance_propagation",
     .title = "Relevance propagation",
     .source = CHEFER_ICCV,
     .needs = CDAM_NEEDS_GRADIENT,
     .target_dependent = true,
     .run = cdam_run_relevance_propagation},
    {.name = "partial_lrp",
     .title = "Partial LRP",
     .source = "Voita et al., ACL 2019, arXiv 1905.09418; rules of " CHEFER_CVPR,
     .needs = CDAM_NEEDS_LAST_INPUT,
     .target_dependent = true,
     .run = cdam_run_partial_lrp},
    {.name = "transformer_attribution",
     .title = "Transformer attribution",
     .source = CHEFER_CVPR,
     .needs = CDAM_NEEDS_IMAGES,
     .target_dependent = true,
     .run = cdam_run_transformer_attribution},
    {.name = "attention_gradcam",
     .title = "Attention Grad-CAM",
     .source = "Selvaraju et al., ICCV 2017, as in " CHEFER_CVPR,
     .needs = CDAM_NEEDS_LAST_INPUT,
     .target_dependent = true,
     .run = cdam_run_attention_gradcam},
    {.name = "token_ablation",
     .title = "Token ablation",
     .source = "leave one token out",
     .needs = CDAM_NEEDS_IMAGES,
     .is_signed = true,
     .target_dependent = true,
     .run = cdam_run_token_ablation},
    {.name = "input_x_gradient",
     .title = "Input x gradient",
     .source = "Shrikumar et al., arXiv 1605.01713",
     .needs = CDAM_NEEDS_GRADIENT,
     .is_signed = true,
     .target_dependent = true,
     .on_pixels = true,
     .run = cdam_run_input_x_gradient},
    {.name = "integrated_gradients",
     .title = "Integrated gradients",
     .source = "Sundararajan, Taly, Yan, ICML 2017, arXiv 1703.01365",
     .needs = CDAM_NEEDS_GRADIENT,
     .is_signed = true,
     .target_dependent = true,
     .on_pixels = true,
     .defaults = {.samples = 50},
     .run = cdam_run_integrated_gradients},
    {.name = "smoothgrad",
     .title = "SmoothGrad",
     .source = "Smilkov et al., arXiv 1706.03825",
     .needs = CDAM_NEEDS_GRADIENT,
     .is_signed = true,
     .target_dependent = true,
     .on_pixels = true,
     .defaults = {.samples = 50, .level = 0.15},
     .run = cdam_run_smoothgrad},
    {.name = "occlusion",
     .title = "Occlusion",
     .source = "Zeiler, Fergus, ECCV 2014, arXiv 1311.2901",
     .needs = CDAM_NEEDS_IMAGES,
     .is_signed = true,
     .target_dependent = true,
     .defaults = {.box = 3, .stride = 2},
     .run = cdam_run_occlusion},
    {.name = "rise",
     .title = "RISE",
     .source = "Petsiuk, Das, Saenko, BMVC 2018, arXiv 1806.07421",
     .needs = CDAM_NEEDS_IMAGES,
     .is_signed = true,
     .target_dependent = true,
     .defaults = {.samples = 500, .cells = 7, .keep = 0.5},
     .run = cdam_run_rise},
};

const struct cdam_estimator *cdam_estimators(size_t *count) {
  *count = sizeof table / sizeof *table;
  return table;
}

lc_status cdam_estimator_find(const char *name, const struct cdam_estimator **estimator,
                              struct lc_error *err) {
  const char *names[sizeof table / sizeof *table];
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    names[i] = table[i].name;
    if (strcmp(name, table[i].name) != 0) continue;
    *estimator = &table[i];
    return LC_OK;
  }
  const char *near = lc_text_nearest(name, names, sizeof names / sizeof *names);
  if (near) LC_FAIL(err, LC_ERR_NOT_FOUND, "estimator \"%s\": did you mean \"%s\"?", name, near);
  struct lc_text list = {0};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    lc_text_add(&list, "%s%s", i ? ", " : "", names[i]);
  lc_status status = lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__,
                             "estimator \"%s\": expected one of %s", name, lc_text_get(&list));
  lc_text_free(&list);
  return status;
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
  const struct cdam_settings *s = task->settings;
  if (s && (!isfinite(s->level) || s->level < 0))
    LC_FAIL(err, LC_ERR_USAGE, "%s: noise level is %g, expected 0 or more", e->name, s->level);
  if (s && !isfinite(s->baseline))
    LC_FAIL(err, LC_ERR_USAGE, "%s: baseline is %g, expected a finite number", e->name,
            s->baseline);
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
  if (!filled.settings) filled.settings = &estimator->defaults;
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
            pixels->scores[(k * pixels->grid_height + y) * pixels->grid_width + x];
  return LC_OK;
}
