/* Composes the picture of one nodule in one view. */
#include "pipeline/run/pl_figure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/run/pl_summary.h"
#include "pipeline/store/pl_crops.h"

#define CAPTION_SIZE 192
#define COLUMNS_MOST 5

const char *pl_untrained_notice(const struct pl_provenance *provenance) {
  return provenance->trained ? "" : "UNTRAINED WEIGHTS";
}

static const char *unit_of(const struct cdam_target *target) {
  return target->kind == CDAM_OUTPUT ? pl_output_unit(target->name) : "";
}

static const char *gap_of(const struct cdam_target *target) {
  return *unit_of(target) ? " " : "";
}

void pl_prediction_text(const struct pl_result *result, size_t nodule, size_t target, char *out,
                        size_t size) {
  const struct cdam_target *what = &result->targets[target];
  const float *probability = result->probability + nodule * result->n_outputs;
  const float *mean = result->mean_logit + nodule * result->n_outputs;
  double value = (double)mean[what->a];
  if (what->kind == CDAM_DIFFERENCE)
    snprintf(out, size, "difference of outputs %.3f", value - (double)mean[what->b]);
  else if (vit_arch_output_is_logit(&result->model->arch, what->a))
    snprintf(out, size, "probability %.3f", (double)probability[what->a]);
  else
    snprintf(out, size, "predicted %.2f%s%s", value, gap_of(what), unit_of(what));
}

/* The nodule's value, and what this view alone says. */
static void caption(const struct pl_result *result, size_t nodule, size_t view, size_t target,
                    char out[CAPTION_SIZE]) {
  char all[96];
  pl_prediction_text(result, nodule, target, all, sizeof all);
  const struct cdam_target *what = &result->targets[target];
  size_t at = pl_result_image(result, nodule, view) * result->n_outputs + what->a;
  if (result->n_views == 1 || what->kind != CDAM_OUTPUT)
    lc_text_copy(out, CAPTION_SIZE, all);
  else if (vit_arch_output_is_logit(&result->model->arch, what->a))
    snprintf(out, CAPTION_SIZE, "%s\nthis view alone %.3f", all,
             (double)result->view_probability[at]);
  else
    snprintf(out, CAPTION_SIZE, "%s\nthis view alone %.2f%s%s", all, (double)result->logits[at],
             gap_of(what), unit_of(what));
}

static void heading(const struct pl_result *result, size_t nodule, size_t view, char *out,
                    size_t size) {
  static const int axis_of[] = {[CT_AXIAL] = 2, [CT_CORONAL] = 1, [CT_SAGITTAL] = 0};
  const struct ct_nodule *found = &result->nodules.nodules[nodule];
  int axis = axis_of[result->views[view]];
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  lc_text_add(&text, "%s, %s, %c = %.1f mm, %.1f mm across", found->id,
              ct_view_name(result->views[view]), "xyz"[axis], found -> centre_mm[axis],
              found -> diameter_mm);
  if (found->n_readers > 0)
    lc_text_add(&text, "\n%d reader%s", found->n_readers, found->n_readers == 1 ? "" : "s");
  if (isfinite(found->median_rating[CT_MALIGNANCY]))
    lc_text_add(&text, ", median malignancy %g of 5", found->median_rating[CT_MALIGNANCY]);
  lc_text_copy(out, size, lc_text_get(&text));
}

void pl_figure_footer(bool trained, const char *weights_sha256, char *out, size_t size) {
  snprintf(out, size, "%sResearch use only. lungcdam %s, weights %.12s",
           trained ? "" : "UNTRAINED WEIGHTS: the numbers mean nothing. ", pl_version(),
           weights_sha256);
}

struct texts {
  char heading[320], footer[256];
  char (*captions)[CAPTION_SIZE];
  float *scores; /* [targets, patches] divided by their largest, or NULL */
};

/* Divides a map by its largest absolute score, and says so in the caption. */
static const float *relative(const struct cdam_maps *maps, size_t image, size_t target,
                             float *scores, char caption[CAPTION_SIZE]) {
  const float *map = cdam_maps_get(maps, image, target);
  size_t patches = maps->grid_height * maps->grid_width, used = strlen(caption);
  float largest = 0;
  for (size_t i = 0; i < patches; i++) largest = fmaxf(largest, fabsf(map[i]));
  for (size_t i = 0; i < patches; i++) scores[i] = largest > 0 ? map[i] / largest : 0;
  snprintf(caption + used, CAPTION_SIZE - used, "\nlargest score %.3g", (double)largest);
  return scores;
}

static void fill_panels(const struct pl_result *result, size_t nodule, size_t view,
                        struct cdam_panel *panels, struct texts *texts) {
  size_t image = pl_result_image(result, nodule, view), edge = result->shown_edge;
  bool outlined = result->cubes[nodule].mask != NULL;
  for (size_t p = 0; p <= result->maps.targets; p++) {
    panels[p] =
        (struct cdam_panel){.hu = result->shown_hu + image * edge * edge,
                            .rows = edge,
                            .columns = edge,
                            .mask = outlined ? result->shown_mask + image * edge * edge : NULL};
    if (p == 0) {
      panels[p].title = "CT";
      panels[p].caption = outlined ? "outline: consensus of the readers" : "no outlines given";
      continue;
    }
    caption(result, nodule, view, p - 1, texts->captions[p - 1]);
    panels[p].map = cdam_maps_get(&result->maps, image, p - 1);
    if (texts->scores)
      panels[p].map =
          relative(&result->maps, image, p - 1,
                   texts->scores + (p - 1) * result->maps.grid_height * result->maps.grid_width,
                   texts->captions[p - 1]);
    panels[p].grid_height = result->maps.grid_height;
    panels[p].grid_width = result->maps.grid_width;
    panels[p].title = pl_short_name(result->targets[p - 1].name);
    panels[p].caption = texts->captions[p - 1];
  }
}

lc_status pl_figure_draw(const struct pl_config *config, const struct pl_result *result,
                         size_t nodule, size_t view, struct cdam_picture *picture,
                         struct lc_error *err) {
  size_t n = result->maps.targets + 1;
  bool each = config->figure_scale == PL_SCALE_EACH && result->maps.targets > 1;
  size_t n_scores = result->maps.targets * result->maps.grid_height * result->maps.grid_width;
  LC_FREED struct cdam_panel *panels = NULL;
  LC_FREED char(*captions)[CAPTION_SIZE] = NULL;
  LC_FREED float *scores = NULL;
  LC_TRY(lc_alloc(&panels, n, sizeof *panels, err));
  LC_TRY(lc_alloc(&captions, n, sizeof *captions, err));
  if (each) LC_TRY(lc_alloc(&scores, n_scores, sizeof *scores, err));
  struct texts texts = {.captions = captions, .scores = scores};
  heading(result, nodule, view, texts.heading, sizeof texts.heading);
  pl_figure_footer(result->provenance.trained, result->provenance.weights_sha256, texts.footer,
                   sizeof texts.footer);
  fill_panels(result, nodule, view, panels, &texts);
  const struct cdam_figure figure = {
      .panels = panels,
      .n_panels = n,
      .n_columns = n < COLUMNS_MOST ? n : COLUMNS_MOST,
      .panel_pixels = (size_t)config->figure_panel_pixels,
      .window_low_hu = config->figure_window_low_hu,
      .window_high_hu = config->figure_window_high_hu,
      .opacity = config->figure_opacity,
      .colours = (cdam_colours)config->figure_colours,
      .enlarge = (cdam_enlarge)config->figure_enlarge,
      .heading = texts.heading,
      .footer = texts.footer,
      .scale = each ? 1 : 0,
      .scale_label = each ? "CDAM score / largest" : "CDAM score",
  };
  return cdam_figure_draw(&figure, picture, err);
}
