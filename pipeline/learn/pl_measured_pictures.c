/* Draws the pictures of a measurement: ROC, precision-recall, calibration, biomarkers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/learn/pl_measured.h"
#include "pipeline/report/pl_plot.h"
#include "pipeline/report/pl_version.h"

#define SIDE 520.0
#define SMALL_SIDE 300.0

static const double corner[2] = {0, 1};

const char *pl_pictures_ending(const struct pl_recipe *recipe) {
  static const char *const endings[] = {
      [PL_PICTURES_PNG] = "png", [PL_PICTURES_SVG] = "svg", [PL_PICTURES_PDF] = "pdf"};
  static bool said; /* once a process; one thread at a time, as all plots */
  if (recipe->test_pictures == PL_PICTURES_NONE) return NULL;
  if (pl_plot_available()) return endings[recipe->test_pictures];
  if (!said)
    lc_log(LC_LOG_WARNING, "no plots: they were left out when this program was built "
                           "(LUNGCDAM_WITH_PLOT is OFF)");
  said = true;
  return NULL;
}

void pl_pictures_notice(bool trained, char *out, size_t size) {
  snprintf(out, size, "%slungcdam %s, research use only", trained ? "" : "UNTRAINED WEIGHTS; ",
           pl_version());
}

static lc_status write(const struct pl_measured *m, const struct pl_plot *plot, const char *folder,
                       const char *name, struct lc_error *err) {
  char file[64], path[LC_PATH_SIZE], notice[128];
  struct pl_plot noted = *plot;
  pl_pictures_notice(m->evaluation->trained, notice, sizeof notice);
  noted.notice = notice;
  snprintf(file, sizeof file, "%s.%s", name, pl_pictures_ending(m->examples->recipe));
  LC_TRY(lc_path_join(path, folder, file, err));
  return pl_plot_write(&noted, path, err);
}

/* "95 % 0.911 to 0.968, by patient" on a line of its own, where there is an interval. */
static void add_interval(struct lc_text *out, const struct vit_interval *i, const char *how) {
  if (!isnan(i->low)) lc_text_add(out, "\n95 %% %.3f to %.3f, %s", i->low, i->high, how);
}

/* A curve of decisions whose axes are shares, from 0 to 1: points [n, 3] with x and y behind the
 * threshold, a ring at the threshold in use, and dashed what chance gives. */
static lc_status picture_curve(const struct pl_measured *m, struct pl_plot_panel panel,
                               const double *points, size_t n, const double chance[2],
                               const double ring[2], const char *folder, const char *name,
                               struct lc_error *err) {
  LC_FREED double *xy = NULL;
  LC_TRY(lc_alloc(&xy, 2 * n, sizeof *xy, err));
  for (size_t i = 0; i < n; i++) {
    xy[i] = points[3 * i + 1];
    xy[n + i] = points[3 * i + 2];
  }
  const struct pl_plot_series series[] = {
      {.kind = PL_PLOT_LINE, .n = 2, .x = corner, .y = chance, .colour = PL_PLOT_GREY, .dash = 1},
      {.kind = PL_PLOT_LINE, .n = n, .x = xy, .y = xy + n},
      {.kind = PL_PLOT_RINGS, .n = 1, .x = ring, .y = ring + 1, .colour = 1}};
  panel.series = series;
  panel.n_series = 3;
  panel.x.low = panel.y.low = -0.02;
  panel.x.high = panel.y.high = 1.02;
  panel.width = panel.height = SIDE;
  panel.square = panel.note_at_right = true;
  return write(m, &(struct pl_plot){.panels = &panel, .n_panels = 1, .n_columns = 1}, folder, name,
               err);
}

static lc_status picture_roc(const struct pl_measured *m, const struct pl_columns *c,
                             const char *folder, struct lc_error *err) {
  const struct pl_evaluation *e = m->evaluation;
  LC_FREED struct vit_roc_point *points = NULL;
  LC_SCOPED(lc_text_free) struct lc_text note = {0};
  size_t n;
  LC_TRY(vit_roc_curve(c->predicted, c->labels, c->n, &points, &n, err));
  const double ring[2] = {1 - e->malignancy[PL_SPECIFICITY].value,
                          e->malignancy[PL_SENSITIVITY].value};
  lc_text_add(&note, "AUROC %.3f", e->auroc_delong.value);
  add_interval(&note, &e->auroc_delong, "DeLong");
  add_interval(&note, &e->malignancy[PL_AUROC], "by patient");
  lc_text_add(&note, "\n%zu malignant, %zu benign\nring: threshold %g", e->malignant,
              e->decided - e->malignant, e->threshold);
  const struct pl_plot_panel panel = {.title = "Malignancy: ROC curve",
                                      .x.label = "1 - specificity",
                                      .y.label = "sensitivity",
                                      .note = lc_text_get(&note)};
  return picture_curve(m, panel, &points->threshold, n, corner, ring, folder, "roc", err);
}

static lc_status picture_precision(const struct pl_measured *m, const struct pl_columns *c,
                                   const char *folder, struct lc_error *err) {
  const struct pl_evaluation *e = m->evaluation;
  LC_FREED struct vit_precision_point *points = NULL;
  LC_SCOPED(lc_text_free) struct lc_text note = {0};
  size_t n;
  LC_TRY(vit_precision_curve(c->predicted, c->labels, c->n, &points, &n, err));
  double share = (double)e->malignant / (double)e->decided;
  const double shares[2] = {share, share};
  const double ring[2] = {e->malignancy[PL_SENSITIVITY].value, e->malignancy[PL_PRECISION].value};
  lc_text_add(&note, "average precision %.3f", e->malignancy[PL_AVERAGE_PRECISION].value);
  add_interval(&note, &e->malignancy[PL_AVERAGE_PRECISION], "by patient");
  lc_text_add(&note, "\nring: threshold %g\ndashed: share of malignant nodules, %.2f", e->threshold,
              share);
  const struct pl_plot_panel panel = {.title = "Malignancy: precision and recall",
                                      .x.label = "recall (sensitivity)",
                                      .y.label = "precision (positive predictive value)",
                                      .note = lc_text_get(&note)};
  return picture_curve(m, panel, &points->threshold, n, shares, ring, folder, "precision_recall",
                       err);
}

static lc_status picture_calibration(const struct pl_measured *m, const char *folder,
                                     struct lc_error *err) {
  const struct pl_evaluation *e = m->evaluation;
  double x[PL_CALIBRATION_BINS], y[PL_CALIBRATION_BINS], middles[PL_CALIBRATION_BINS];
  double counts[PL_CALIBRATION_BINS], most = 1;
  for (size_t i = 0; i < PL_CALIBRATION_BINS; i++) {
    x[i] = e->bins[i].mean_probability;
    y[i] = e->bins[i].positive_share;
    middles[i] = (e->bins[i].low + e->bins[i].high) / 2;
    counts[i] = (double)e->bins[i].count;
    most = fmax(most, counts[i]);
  }
  LC_SCOPED(lc_text_free) struct lc_text note = {0};
  lc_text_add(&note, "calibration error %.3f", e->malignancy[PL_CALIBRATION_ERROR].value);
  add_interval(&note, &e->malignancy[PL_CALIBRATION_ERROR], "by patient");
  lc_text_add(&note, "\nBrier score %.3f", e->malignancy[PL_BRIER].value);
  add_interval(&note, &e->malignancy[PL_BRIER], "by patient");
  const struct pl_plot_series curve[] = {
      {.kind = PL_PLOT_LINE, .n = 2, .x = corner, .y = corner, .colour = PL_PLOT_GREY, .dash = 1},
      {.kind = PL_PLOT_LINE, .n = PL_CALIBRATION_BINS, .x = x, .y = y},
      {.kind = PL_PLOT_RINGS, .n = PL_CALIBRATION_BINS, .x = x, .y = y}};
  const struct pl_plot_series bars = {.kind = PL_PLOT_BARS,
                                      .n = PL_CALIBRATION_BINS,
                                      .x = middles,
                                      .y = counts,
                                      .width = 0.09,
                                      .numbers = true};
  const struct pl_plot_panel panels[] = {
      {.title = "Malignancy: calibration",
       .x = {.label = "predicted probability, mean of the bin", .low = -0.02, .high = 1.02},
       .y = {.label = "share of malignant nodules", .low = -0.02, .high = 1.02},
       .width = SIDE,
       .height = SIDE + 2, /* the inside is as wide as that of the panel below */
       .square = true,
       .series = curve,
       .n_series = 3,
       .note = lc_text_get(&note)},
      {.title = "Nodules in each bin",
       .x = {.label = "predicted probability", .low = -0.02, .high = 1.02},
       .y = {.label = "nodules", .low = 0, .high = 1.2 * most},
       .width = SIDE,
       .height = 210,
       .series = &bars,
       .n_series = 1}};
  const struct pl_plot plot = {.panels = panels, .n_panels = 2, .n_columns = 1};
  return write(m, &plot, folder, "calibration", err);
}

/* One biomarker: its columns, its series and its note stay until the picture is drawn. */
struct scatter {
  struct pl_columns columns;
  struct pl_plot_series series[2];
  double ends[2];
  char subtitle[96], title[48];
};

static lc_status make_scatter(const struct pl_measured *m, size_t b, struct scatter *s,
                              struct pl_plot_panel *panel, struct lc_error *err) {
  const struct vit_interval *r2 = &m->evaluation->biomarkers[b][PL_R2];
  struct pl_columns *c = &s->columns;
  LC_TRY(pl_columns_init(c, m->examples->n, err));
  pl_columns_biomarker(m->examples, m->predictions, b, NULL, m->examples->n, c);
  double low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < c->n; i++) {
    low = fmin(low, fmin(c->truth[i], c->predicted[i]));
    high = fmax(high, fmax(c->truth[i], c->predicted[i]));
  }
  if (!(low < high)) low = 0, high = 1;
  double room = 0.06 * (high - low);
  s->ends[0] = low - room;
  s->ends[1] = high + room;
  if (isnan(r2->low))
    snprintf(s->subtitle, sizeof s->subtitle, "R\u00b2 %.2f", r2->value);
  else
    snprintf(s->subtitle, sizeof s->subtitle, "R\u00b2 %.2f (%.2f to %.2f)", r2->value, r2->low,
             r2->high);
  const char *unit = pl_biomarker_units[b];
  snprintf(s->title, sizeof s->title, "%s%s%s", pl_biomarker_names[b], *unit ? ", " : "", unit);
  s->series[0] = (struct pl_plot_series){
      .kind = PL_PLOT_LINE, .n = 2, .x = s->ends, .y = s->ends, .colour = PL_PLOT_GREY, .dash = 1};
  s->series[1] =
      (struct pl_plot_series){.kind = PL_PLOT_POINTS, .n = c->n, .x = c->truth, .y = c->predicted};
  *panel = (struct pl_plot_panel){.title = s->title,
                                  .subtitle = s->subtitle,
                                  .x = {.label = "readers", .low = s->ends[0], .high = s->ends[1]},
                                  .y = {.label = "model", .low = s->ends[0], .high = s->ends[1]},
                                  .width = SMALL_SIDE,
                                  .height = SMALL_SIDE + 17, /* as the subtitle */
                                  .square = true,
                                  .series = s->series,
                                  .n_series = 2};
  return LC_OK;
}

static void scatters_free(struct scatter (*scatters)[PL_BIOMARKERS]) {
  for (size_t b = 0; b < PL_BIOMARKERS; b++) pl_columns_free(&(*scatters)[b].columns);
}

static lc_status picture_biomarkers(const struct pl_measured *m, const char *folder,
                                    struct lc_error *err) {
  LC_SCOPED(scatters_free) struct scatter scatters[PL_BIOMARKERS] = {0};
  struct pl_plot_panel panels[PL_BIOMARKERS];
  char heading[128];
  for (size_t b = 0; b < PL_BIOMARKERS; b++)
    LC_TRY(make_scatter(m, b, &scatters[b], &panels[b], err));
  snprintf(heading, sizeof heading, "Biomarkers: %zu nodules, mean R\u00b2 %.3f",
           m->evaluation->nodules, m->evaluation->mean_r2.value);
  const struct pl_plot plot = {
      .heading = heading, .panels = panels, .n_panels = PL_BIOMARKERS, .n_columns = 4};
  return write(m, &plot, folder, "biomarkers", err);
}

lc_status pl_measured_pictures(const struct pl_measured *m, const char *folder,
                               struct lc_error *err) {
  const struct pl_evaluation *e = m->evaluation;
  if (!pl_pictures_ending(m->examples->recipe)) return LC_OK;
  if (e->malignant > 0 && e->malignant < e->decided) {
    LC_SCOPED(pl_columns_free) struct pl_columns c = {0};
    LC_TRY(pl_columns_init(&c, m->examples->n, err));
    pl_columns_malignancy(m->examples, m->predictions, NULL, m->examples->n, &c);
    LC_TRY(picture_roc(m, &c, folder, err));
    LC_TRY(picture_precision(m, &c, folder, err));
  }
  if (e->has_malignancy && e->decided > 0) LC_TRY(picture_calibration(m, folder, err));
  return e->has_biomarkers ? picture_biomarkers(m, folder, err) : LC_OK;
}
