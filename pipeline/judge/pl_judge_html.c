/* Writes the report as one HTML file with its pictures inside. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cdam/draw/cdam_render.h"
#include "cdam/measures/cdam_similarity.h"
#include "common/lc_scope.h"
#include "pipeline/judge/pl_judged.h"
#include "pipeline/report/pl_html.h"
#include "pipeline/report/pl_plot.h"
#include "pipeline/report/pl_version.h"

#define MOST_PICTURE_BYTES (64U << 20)

static const char style[] =
    "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1280px;padding:0 "
    "1em;color:#1a1a1a}"
    "table{border-collapse:collapse;font-size:13px;margin:.6em 0 1.6em}"
    "th,td{padding:.25em .6em;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:#fff}td.b{"
    "font-weight:600;background:#e8f2fa}"
    "td small{color:#666}.o{overflow-x:auto}.n{background:#fff3cd;padding:.6em 1em;font-weight:600}"
    "pre{background:#f5f5f5;padding:1em;overflow-x:auto;font-size:12px}img{max-width:100%}";

static void write_head(const struct pl_judged *judged, struct lc_text *out) {
  const struct pl_judge *judge = judged->judge;
  lc_text_add(out,
              "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Judging "
              "explanations</title><style>%s</style></head><body>\n<h1>Judging explanations</h1>\n",
              style);
  lc_text_add(out,
              "<p class=\"n\">Research use only.%s</p>\n<p>%zu nodules of %zu patients, split "
              "\"",
              judge->model.trained ? "" : " Untrained weights: these numbers mean nothing.",
              judge->n_items, judged->n_groups);
  pl_html_escape(out, judge->config->data_split);
  lc_text_add(out, "\"; target \"");
  pl_html_escape(out, judge->targets[0].name);
  lc_text_add(out,
              "\"; %zu estimators. Cells: mean over nodules, the %g %% interval from a bootstrap "
              "over patients, and the rank. An estimator is better than another when the interval "
              "of their paired difference leaves out zero; ranks from the same number on are ties. "
              "Shaded: rank 1. Intervals are not corrected for the number of comparisons.</p>\n",
              judge->n_contestants, 100 * judge->config->bootstrap_level);
}

/* What few nodules define is not shaded, and says so. */
static void write_cell(const struct cdam_contest *contest, size_t c, struct lc_text *out) {
  const struct vit_interval *mean = &contest->mean[c];
  size_t most = 0;
  for (size_t i = 0; i < contest->contestants; i++)
    if (contest->counts[i] > most) most = contest->counts[i];
  bool few = 2 * contest->counts[c] < most;
  if (contest->counts[c] == 0) {
    lc_text_add(out, "<td>-</td>");
    return;
  }
  lc_text_add(out, "<td%s>%.3g", contest->rank[c] == 1 && !few ? " class=\"b\"" : "", mean->value);
  if (!isnan(mean->low)) lc_text_add(out, " <small>[%.3g, %.3g]</small>", mean->low, mean->high);
  lc_text_add(out, " %zu", contest->rank[c]);
  if (contest->last_rank[c] != contest->rank[c]) lc_text_add(out, "-%zu", contest->last_rank[c]);
  if (contest->counts[c] < most) lc_text_add(out, " <small>n=%zu</small>", contest->counts[c]);
  lc_text_add(out, "</td>");
}

/* What the model says of the targets themselves, to be read beside the likeness of their maps. */
static lc_status write_agreement(const struct pl_judged *judged, struct lc_text *out,
                                 struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  size_t n = judge->n_targets;
  LC_FREED double *values = NULL, *agreement = NULL;
  LC_TRY(lc_alloc(&values, judge->n_items * n, sizeof *values, err));
  LC_TRY(lc_alloc(&agreement, n * n, sizeof *agreement, err));
  for (size_t i = 0; i < judge->n_items; i++)
    memcpy(values + i * n, judged->scored[i].outputs, n * sizeof *values);
  LC_TRY(cdam_target_agreement(values, judge->n_items, n, agreement, err));
  lc_text_add(out, "<p>Correlation over nodules of the model's outputs with ");
  for (size_t t = 0; t < n; t++) {
    pl_html_escape(out, judge->targets[t].name);
    if (t > 0) lc_text_add(out, " %.2f", agreement[t]);
    lc_text_add(out, t == 0 ? ": " : t + 1 < n ? ", " : ".</p>\n");
  }
  return LC_OK;
}

static void write_group(const struct pl_judged *judged, const char *group, struct lc_text *out) {
  const struct pl_judge *judge = judged->judge;
  lc_text_add(out, "<h2>%c%s</h2>\n<div class=\"o\"><table><tr><th>estimator</th>",
              group[0] - 'a' + 'A', group + 1);
  for (size_t m = 0; m < judge->n_measures; m++)
    if (strcmp(judge->measures[m].group, group) == 0)
      lc_text_add(out, "<th title=\"%s\">%s %s</th>", judge->measures[m].doc,
                  judge->measures[m].name,
                  judge->measures[m].larger_is_better ? "&uarr;" : "&darr;");
  lc_text_add(out, "</tr>\n");
  for (size_t c = 0; c < judge->n_contestants; c++) {
    lc_text_add(out, "<tr><td>");
    pl_html_escape(out, judge->contestants[c].title);
    lc_text_add(out, "</td>");
    for (size_t m = 0; m < judge->n_measures; m++)
      if (strcmp(judge->measures[m].group, group) == 0) write_cell(&judged->contests[m], c, out);
    lc_text_add(out, "</tr>\n");
  }
  lc_text_add(out, "</table></div>\n<ul>");
  for (size_t m = 0; m < judge->n_measures; m++)
    if (strcmp(judge->measures[m].group, group) == 0)
      lc_text_add(out, "<li><b>%s</b> (%s is better): %s</li>\n", judge->measures[m].name,
                  judge->measures[m].larger_is_better ? "larger" : "smaller",
                  judge->measures[m].doc);
  lc_text_add(out, "</ul>\n");
}

/* A curve of each contestant: where its numbers are in a scored item, at field[c * stride + first +
 * point], and after the contestants, where there is one, the line of the random order. */
struct curve {
  const char *measure, *title, *x_label, *y_label;
  size_t field, stride, first, n_points;
  const double *x;
  const char *const *words;
  bool random;
};

/* Mean over items at one point of one line, NaN left out. */
static double mean_at(const struct pl_judged *judged, const struct curve *curve, size_t c,
                      size_t point) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < judged->judge->n_items; i++) {
    const struct pl_scored_item *scored = &judged->scored[i];
    const double *field = *(double *const *)(const void *)((const char *)scored + curve->field);
    double value = c < judged->judge->n_contestants
                       ? field[c * curve->stride + curve->first + point]
                       : scored->random[point];
    if (isnan(value)) continue;
    sum += value;
    count++;
  }
  return count > 0 ? sum / (double)count : NAN;
}

static lc_status draw_curve(const struct pl_judge *judge, const struct curve *curve,
                            const struct pl_plot_series *series, size_t n, struct lc_text *out,
                            struct lc_error *err) {
  if (!pl_plot_available()) {
    lc_text_add(out, "<p>%s: no plot, this program was built without them.</p>\n", curve->title);
    return LC_OK;
  }
  const struct pl_plot_panel panel = {.title = curve->title,
                                      .x = {.label = curve->x_label,
                                            .words = curve->words,
                                            .n_words = curve->words ? curve->n_points : 0},
                                      .y = {.label = curve->y_label},
                                      .width = 560,
                                      .height = 420,
                                      .series = series,
                                      .n_series = n,
                                      .legend = PL_PLOT_LEGEND_RIGHT};
  const struct pl_plot plot = {.panels = &panel,
                               .n_panels = 1,
                               .n_columns = 1,
                               .notice = judge->model.trained
                                             ? "research use only"
                                             : "research use only; untrained weights"};
  LC_SCOPED(lc_text_free) struct lc_text picture = {0};
  LC_TRY(pl_plot_bytes(&plot, CDAM_SVG, &picture, err));
  pl_html_image(out, curve->title, "image/svg+xml", lc_text_get(&picture), picture.length);
  return LC_OK;
}

static lc_status write_curve(const struct pl_judged *judged, const struct curve *curve,
                             struct lc_text *out, struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  size_t n = judge->n_contestants + curve->random;
  LC_FREED double *means = NULL;
  LC_FREED struct pl_plot_series *series = NULL;
  LC_TRY(lc_alloc(&means, n * curve->n_points, sizeof *means, err));
  LC_TRY(lc_alloc(&series, n, sizeof *series, err));
  for (size_t c = 0; c < n; c++) {
    for (size_t p = 0; p < curve->n_points; p++)
      means[c * curve->n_points + p] = mean_at(judged, curve, c, p);
    series[c] = (struct pl_plot_series){
        .kind = PL_PLOT_LINE,
        .n = curve->n_points,
        .x = curve->x,
        .y = means + c * curve->n_points,
        .label = c < judge->n_contestants ? judge->contestants[c].title : "(random order)",
        .colour = (int)(c % PL_PLOT_COLOURS),
        .dash = (int)(c / PL_PLOT_COLOURS)};
  }
  return draw_curve(judge, curve, series, n, out, err);
}

static lc_status write_stages(const struct pl_judged *judged, struct lc_text *out,
                              struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  LC_FREED char(*names)[VIT_NAME_SIZE] = NULL;
  LC_FREED const char **words = NULL;
  LC_FREED double *x = NULL;
  if (!judge->randomised) return LC_OK;
  LC_TRY(lc_alloc(&names, judge->stages, sizeof *names, err));
  LC_TRY(lc_alloc(&words, judge->stages, sizeof *words, err));
  LC_TRY(lc_alloc(&x, judge->stages, sizeof *x, err));
  for (size_t s = 0; s < judge->stages; s++) {
    cdam_randomised_name(judge->randomised, s, names[s]);
    words[s] = names[s];
    x[s] = (double)s;
  }
  struct curve curve = {.measure = "randomised_heads",
                        .title = "Weights randomised from the top",
                        .x_label = "randomised down to",
                        .y_label = "Spearman of |scores| with the original",
                        .field = offsetof(struct pl_scored_item, randomised),
                        .stride = judge->stages,
                        .n_points = judge->stages,
                        .x = x,
                        .words = words};
  return write_curve(judged, &curve, out, err);
}

static lc_status write_curves(const struct pl_judged *judged, struct lc_text *out,
                              struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  double thresholds[CDAM_COMPACT_POINTS];
  for (size_t i = 0; i < CDAM_COMPACT_POINTS; i++)
    thresholds[i] = (double)i / (CDAM_COMPACT_POINTS - 1);
  const double *share = judged->scored[0].share;
  size_t points = judge->points, both = 2 * CDAM_COMPACT_POINTS;
  const struct curve curves[] = {
      {"deletion", "Deletion: most important first", "share of patches removed", "target",
       offsetof(struct pl_scored_item, most), points, 0, points, share, NULL, true},
      {"insertion", "Least important first (insertion, read backwards)", "share of patches removed",
       "target", offsetof(struct pl_scored_item, least), points, 0, points, share, NULL, true},
      {"gini", "Compactness", "threshold, share of the largest |score|", "share of patches below",
       offsetof(struct pl_scored_item, compact), both, CDAM_COMPACT_POINTS, CDAM_COMPACT_POINTS,
       thresholds, NULL, false}};
  lc_text_add(out, "<h2>Curves</h2>\n<p>Means over nodules.</p>\n");
  for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
    if (pl_judge_measures(judge, curves[i].measure))
      LC_TRY(write_curve(judged, &curves[i], out, err));
  return write_stages(judged, out, err);
}

/* One panel a contestant, each on its own scale. */
static lc_status draw_item(const struct pl_judged *judged, size_t item, const char *path,
                           struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  size_t n = judge->n_contestants, pixels = judge->pixels, cells = judge->cells * judge->cells;
  LC_FREED struct cdam_panel *panels = NULL;
  LC_FREED float *hu = NULL, *maps = NULL;
  LC_FREED uint8_t *mask = NULL;
  LC_TRY(lc_alloc(&panels, n, sizeof *panels, err));
  LC_TRY(lc_alloc(&hu, pixels * pixels, sizeof *hu, err));
  LC_TRY(lc_alloc(&mask, pixels * pixels, sizeof *mask, err));
  LC_TRY(lc_alloc(&maps, n * cells, sizeof *maps, err));
  LC_TRY(pl_judge_hu(judge, judge->items[item], hu, err));
  LC_TRY(pl_judge_mask(judge, judge->items[item], mask, err));
  for (size_t c = 0; c < n; c++) {
    const float *scores = judged->scored[item].maps + c * judge->n_targets * cells;
    float largest = 0;
    for (size_t p = 0; p < cells; p++) largest = fmaxf(largest, fabsf(scores[p]));
    for (size_t p = 0; p < cells; p++) maps[c * cells + p] = largest > 0 ? scores[p] / largest : 0;
    panels[c] = (struct cdam_panel){.hu = hu,
                                    .rows = pixels,
                                    .columns = pixels,
                                    .map = maps + c * cells,
                                    .grid_height = judge->cells,
                                    .grid_width = judge->cells,
                                    .mask = mask,
                                    .title = judge->contestants[c].title,
                                    .pixel_mm = judge->recipe.data_spacing_mm};
  }
  struct cdam_figure figure = {
      .panels = panels,
      .n_panels = n,
      .n_columns = n < 5 ? n : 5,
      .panel_pixels = 192,
      .scale = 1,
      .footer = judge->model.trained ? "research use only" : "research use only; untrained weights",
      .scale_label = "score / largest |score|",
      .mask_label = judge->crops.mask ? "readers' consensus" : "disc of the nodule's diameter",
      .theme = CDAM_LIGHT};
  return cdam_figure_write(&figure, path, err);
}

static lc_status write_picture(const struct pl_judged *judged, size_t item, const char *folder,
                               struct lc_text *out, struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  const struct pl_crop *crop = &judge->crops.crops[judge->examples.rows[judge->items[item]]];
  LC_FREED char *bytes = NULL;
  char path[LC_PATH_SIZE], name[64];
  size_t count;
  snprintf(name, sizeof name, "maps_%05u.png", judge->items[item]);
  LC_TRY(lc_path_join(path, folder, name, err));
  LC_TRY(draw_item(judged, item, path, err));
  LC_TRY(lc_file_read(path, MOST_PICTURE_BYTES, &bytes, &count, err));
  lc_text_add(out, "<h3>");
  pl_html_escape(out, crop->patient);
  lc_text_add(out, ", nodule %d</h3>\n<p>target %.3g; readers' malignancy %.3g</p>\n", crop->nodule,
              judged->scored[item].outputs[0], crop->malignancy);
  pl_html_image(out, "maps", "image/png", bytes, count);
  return LC_OK;
}

static void write_foot(const struct pl_judged *judged, struct lc_text *out) {
  struct lc_text settings = {0};
  pl_schema_print(&pl_judge_schema, judged->judge->config, PL_PRINT_CANONICAL, &settings);
  lc_text_add(out, "<h2>Settings</h2>\n<p>lungcdam %s; weights SHA-256 %s</p>\n<pre>", pl_version(),
              judged->judge->model.weights_sha256);
  pl_html_escape(out, lc_text_get(&settings));
  lc_text_add(out, "</pre>\n<h2>How to cite</h2>\n<p>CDAM: Brocki, Binda, Chung, "
                   "Class-Discriminative Attention Maps for Vision Transformers, arXiv 2312.02364. "
                   "LIDC-IDRI: Armato et al., Med Phys 38:915, 2011. The measures' sources are in "
                   "docs/measures.md.</p>\n</body></html>\n");
  lc_text_free(&settings);
}

lc_status pl_judged_html(const struct pl_judged *judged, const char *folder, struct lc_text *out,
                         struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  size_t pictures = (size_t)judge->config->report_pictures;
  write_head(judged, out);
  for (size_t m = 0; m < judge->n_measures; m++) { /* each group where it first occurs */
    bool seen = false;
    for (size_t k = 0; k < m; k++)
      seen = seen || strcmp(judge->measures[k].group, judge->measures[m].group) == 0;
    if (seen) continue;
    write_group(judged, judge->measures[m].group, out);
    if (strcmp(judge->measures[m].group, "class sensitivity") == 0 && judge->n_targets > 1)
      LC_TRY(write_agreement(judged, out, err));
  }
  LC_TRY(write_curves(judged, out, err));
  if (pictures > 0) lc_text_add(out, "<h2>Maps</h2>\n");
  for (size_t i = 0; i < pictures && i < judge->n_items; i++)
    LC_TRY(write_picture(judged, i, folder, out, err));
  write_foot(judged, out);
  return LC_OK;
}
