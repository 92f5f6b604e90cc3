/* Exports the readers' consensus and relevance as segmentations, the readers' outlines as
 * presentation state, and the report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/dicom_write/ct_presentation.h"
#include "ct_io/dicom_write/ct_report.h"
#include "ct_io/dicom_write/ct_segmentation.h"
#include "pipeline/export/pl_exporting.h"

static const char segmentation_storage[] = "1.2.840.10008.5.1.4.1.1.66.4";
static const char presentation_storage[] = "1.2.840.10008.5.1.4.1.1.11.1";
static const char report_storage[] = "1.2.840.10008.5.1.4.1.1.88.33";

/* Segments of several nodules on their way, and the slices they touch. */
struct regions {
  struct ct_segment *segments; /* [nodule] */
  char (*labels)[80];
  char (*tracking)[CT_UID_SIZE];
  struct ct_plane *planes; /* [nodule, planes of one] */
  uint8_t *masks;          /* [nodule, plane, row, column], or NULL */
  bool *used;
  size_t *slices;
  size_t n, n_slices;
};

static void regions_free(struct regions *regions) {
  free(regions->segments);
  free(regions->labels);
  free(regions->tracking);
  free(regions->planes);
  free(regions->masks);
  free(regions->used);
  free(regions->slices);
}

static lc_status regions_init(const struct pl_exporting *e, struct regions *regions, size_t planes,
                              struct lc_error *err) {
  size_t n = e->stored->n_nodules;
  LC_TRY(lc_alloc(&regions->segments, n, sizeof *regions->segments, err));
  LC_TRY(lc_alloc(&regions->labels, n, sizeof *regions->labels, err));
  LC_TRY(lc_alloc(&regions->tracking, n, sizeof *regions->tracking, err));
  LC_TRY(lc_alloc(&regions->planes, n * planes, sizeof *regions->planes, err));
  return lc_alloc(&regions->used, e->series->n_slices, sizeof *regions->used, err);
}

/* Takes the next segment for a nodule, and marks the slices that its cube touches. */
static lc_status add_region(const struct pl_exporting *e, struct regions *regions, size_t nodule,
                            const struct ct_segment *segment, struct lc_error *err) {
  size_t i = regions->n++;
  regions->segments[i] = *segment;
  regions->segments[i].label = regions->labels[i];
  regions->segments[i].tracking_id = e->stored->nodules[nodule];
  regions->segments[i].tracking_uid = regions->tracking[i];
  pl_export_touch(e, nodule, regions->used);
  return pl_export_tracking(e, nodule, regions->tracking[i], err);
}

static lc_status write_regions(struct pl_exporting *e, struct regions *regions,
                               enum pl_export_kind kind, size_t target,
                               struct ct_segmentation *segmentation, struct lc_error *err) {
  struct pl_export_texts texts;
  char path[LC_PATH_SIZE];
  LC_TRY(pl_export_list(regions->used, e->series->n_slices, &regions->slices, &regions->n_slices,
                        err));
  segmentation->segments = regions->segments;
  segmentation->n_segments = regions->n;
  LC_TRY(pl_export_describe(e, kind, (size_t)-1, target, &texts, &segmentation->about, err));
  segmentation->about.source_slices = regions->slices;
  segmentation->about.n_source_slices = regions->n_slices;
  LC_TRY(pl_export_path(e, kind, (size_t)-1, target, path, err));
  LC_TRY(ct_segmentation_write(segmentation, path, err));
  return pl_export_done(e, kind, &segmentation->about, segmentation_storage, err);
}

static bool any(const uint8_t *mask, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (mask[i]) return true;
  return false;
}

static lc_status collect_consensus(struct pl_exporting *e, struct regions *regions,
                                   struct lc_error *err) {
  const struct pl_stored *stored = e->stored;
  size_t edge = stored->edge, voxels = edge * edge * edge;
  for (size_t n = 0; n < stored->n_nodules; n++) {
    const uint8_t *mask = stored->mask + n * voxels;
    e->segment_of[n] = 0;
    if (!stored->has_mask[n] || !any(mask, voxels)) continue;
    struct ct_cube cube = pl_stored_cube(stored, n);
    struct ct_plane *planes = regions->planes + n * edge;
    ct_segment_planes_of_cube(&cube, planes);
    snprintf(regions->labels[regions->n], sizeof *regions->labels, "%.40s consensus of %d",
             stored->nodules[n], e->nodules->nodules[n].n_readers);
    LC_TRY(
        add_region(e, regions, n,
                   &(struct ct_segment){
                       .kind = CT_SEGMENT_NODULE, .planes = planes, .n_planes = edge, .mask = mask},
                   err));
    e->segment_of[n] = (unsigned)regions->n;
  }
  return LC_OK;
}

lc_status pl_export_segmentation(struct pl_exporting *e, struct lc_error *err) {
  struct regions regions = {0};
  struct ct_segmentation segmentation = {0};
  lc_status status = regions_init(e, &regions, e->stored->edge, err);
  if (status == LC_OK) status = collect_consensus(e, &regions, err);
  if (status == LC_OK && regions.n > 0) {
    status = write_regions(e, &regions, PL_EXPORT_SEGMENTATION, (size_t)-1, &segmentation, err);
    if (status == LC_OK) e->segmentation = e->references[e->n_references - 1];
  } else if (status == LC_OK) {
    lc_log(LC_LOG_INFO, "%s: no nodule has outlines, so there is no segmentation", e->stored->path);
  }
  regions_free(&regions);
  return status;
}

/* The patches of every view whose score is at least a share of the map's largest. */
static lc_status collect_relevance(const struct pl_exporting *e, struct regions *regions,
                                   size_t target, const char *algorithm, struct lc_error *err) {
  const struct pl_stored *stored = e->stored;
  size_t patches = stored->grid_height * stored->grid_width, views = stored->n_views;
  LC_TRY(lc_alloc(&regions->masks, stored->n_nodules * views * patches, 1, err));
  for (size_t n = 0; n < stored->n_nodules; n++) {
    struct ct_cube cube = pl_stored_cube(stored, n);
    uint8_t *mask = regions->masks + n * views * patches;
    for (size_t v = 0; v < views; v++) {
      const float *map = pl_stored_map(stored, n, v, target);
      float top = 0;
      for (size_t i = 0; i < patches; i++) top = fmaxf(top, map[i]);
      double least = e->options->relevance * (double)top;
      for (size_t i = 0; i < patches; i++)
        mask[v * patches + i] = map[i] > 0 && (double)map[i] >= least;
      regions->planes[n * views + v] = ct_plane_of_cube(&cube, stored->views[v], cube.edge / 2,
                                                        stored->grid_height, stored->grid_width);
    }
    if (!any(mask, views * patches)) continue;
    snprintf(regions->labels[regions->n], sizeof *regions->labels, "%.30s for %.24s",
             stored->nodules[n], stored->targets[target]);
    LC_TRY(add_region(e, regions, n,
                      &(struct ct_segment){.kind = CT_SEGMENT_RELEVANCE,
                                           .algorithm = algorithm,
                                           .planes = regions->planes + n * views,
                                           .n_planes = views,
                                           .mask = mask},
                      err));
  }
  return LC_OK;
}

lc_status pl_export_relevance(struct pl_exporting *e, struct lc_error *err) {
  lc_status status = LC_OK;
  for (size_t t = 0; status == LC_OK && t < e->stored->n_targets; t++) {
    struct regions regions = {0};
    struct ct_segmentation segmentation = {0};
    char algorithm[65];
    snprintf(algorithm, sizeof algorithm, "CDAM %.32s >= %g of largest", e->stored->targets[t],
             e->options->relevance);
    status = regions_init(e, &regions, e->stored->n_views, err);
    if (status == LC_OK) status = collect_relevance(e, &regions, t, algorithm, err);
    if (status == LC_OK && regions.n > 0)
      status = write_regions(e, &regions, PL_EXPORT_RELEVANCE, t, &segmentation, err);
    else if (status == LC_OK)
      lc_log(LC_LOG_INFO, "%s: nothing speaks for %s, so there is no region", e->stored->path,
             e->stored->targets[t]);
    regions_free(&regions);
  }
  return status;
}

/* Outlines of all nodules, a name at each, and the slices they lie on. */
struct drawing {
  struct ct_drawn_outline *outlines;
  struct ct_drawn_text *texts; /* [nodule] */
  char (*names)[96];
  bool *used;
  size_t *slices;
  size_t n_outlines, n_slices;
};

static void drawing_free(struct drawing *drawing) {
  ct_drawn_outlines_free(drawing->outlines, drawing->n_outlines);
  free(drawing->texts);
  free(drawing->names);
  free(drawing->used);
  free(drawing->slices);
}

static lc_status draw_nodule(const struct pl_exporting *e, struct drawing *drawing, size_t nodule,
                             struct lc_error *err) {
  const struct ct_nodule *found = &e->nodules->nodules[nodule];
  struct ct_drawn_outline *outlines;
  size_t n;
  LC_TRY(ct_drawn_outlines_of(&outlines, &n, found, e->series, err));
  struct ct_drawn_outline *all =
      realloc(drawing->outlines, (drawing->n_outlines + n + 1) * sizeof *all);
  if (!all) {
    ct_drawn_outlines_free(outlines, n);
    LC_FAIL(err, LC_ERR_MEMORY, "cannot keep %zu outlines", n);
  }
  drawing->outlines = all;
  if (n > 0) memcpy(all + drawing->n_outlines, outlines, n * sizeof *all);
  drawing->n_outlines += n;
  free(outlines); /* the points are the drawing's now */
  for (size_t i = drawing->n_outlines - n; i < drawing->n_outlines; i++)
    drawing->used[all[i].slice] = true;
  /* The name stands above the box of the outlines, on the slice through its middle. */
  double corner[3] = {found->bounds_mm[0][0], found->bounds_mm[0][1], found->centre_mm[2]}, at[3];
  struct ct_drawn_text *text = &drawing->texts[nodule];
  ct_series_to_index(e->series, n > 0 ? corner : found->centre_mm, at);
  text->slice = ct_series_nearest_slice(e->series, found->centre_mm);
  text->xy[0] = (float)at[0];
  text->xy[1] = (float)at[1] - 2;
  snprintf(text->layer, sizeof text->layer, "NODULES");
  snprintf(drawing->names[nodule], sizeof *drawing->names, "%.64s (research use only)", found->id);
  text->text = drawing->names[nodule];
  drawing->used[text->slice] = true;
  return LC_OK;
}

lc_status pl_export_presentation(struct pl_exporting *e, struct lc_error *err) {
  size_t n = e->stored->n_nodules;
  struct drawing drawing = {0};
  struct pl_export_texts texts;
  char path[LC_PATH_SIZE];
  struct ct_presentation presentation = {.n_texts = n,
                                         .window_low_hu = e->options->window_low_hu,
                                         .window_high_hu = e->options->window_high_hu};
  lc_status status;
  LC_TRY_GOTO(lc_alloc(&drawing.texts, n, sizeof *drawing.texts, err), done);
  LC_TRY_GOTO(lc_alloc(&drawing.names, n, sizeof *drawing.names, err), done);
  LC_TRY_GOTO(lc_alloc(&drawing.used, e->series->n_slices, sizeof *drawing.used, err), done);
  for (size_t i = 0; i < n; i++) LC_TRY_GOTO(draw_nodule(e, &drawing, i, err), done);
  LC_TRY_GOTO(
      pl_export_list(drawing.used, e->series->n_slices, &drawing.slices, &drawing.n_slices, err),
      done);
  presentation.outlines = drawing.outlines;
  presentation.n_outlines = drawing.n_outlines;
  presentation.texts = drawing.texts;
  LC_TRY_GOTO(pl_export_describe(e, PL_EXPORT_PRESENTATION, (size_t)-1, (size_t)-1, &texts,
                                 &presentation.about, err),
              done);
  presentation.about.source_slices = drawing.slices;
  presentation.about.n_source_slices = drawing.n_slices;
  LC_TRY_GOTO(pl_export_path(e, PL_EXPORT_PRESENTATION, (size_t)-1, (size_t)-1, path, err), done);
  LC_TRY_GOTO(ct_presentation_write(&presentation, path, err), done);
  status =
      pl_export_done(e, PL_EXPORT_PRESENTATION, &presentation.about, presentation_storage, err);
done:
  drawing_free(&drawing);
  return status;
}

/* Texts and numbers of the report. */
struct findings {
  struct ct_finding *findings;         /* [nodule] */
  struct ct_measurement *measurements; /* [nodule, output] */
  char (*tracking)[CT_UID_SIZE];
  bool *used;
  size_t *slices, n_slices;
};

static void findings_free(struct findings *f) {
  free(f->findings);
  free(f->measurements);
  free(f->tracking);
  free(f->used);
  free(f->slices);
}

static lc_status collect_findings(const struct pl_exporting *e, struct findings *f,
                                  struct lc_error *err) {
  const struct pl_stored *stored = e->stored;
  size_t n = stored->n_nodules, outputs = stored->n_outputs;
  LC_TRY(lc_alloc(&f->findings, n, sizeof *f->findings, err));
  LC_TRY(lc_alloc(&f->measurements, n * outputs, sizeof *f->measurements, err));
  LC_TRY(lc_alloc(&f->tracking, n, sizeof *f->tracking, err));
  LC_TRY(lc_alloc(&f->used, e->series->n_slices, sizeof *f->used, err));
  for (size_t i = 0; i < n; i++) {
    for (size_t o = 0; o < outputs; o++) {
      size_t at = i * outputs + o;
      float value =
          isnan(stored->probability[at]) ? stored->mean_logit[at] : stored->probability[at];
      f->measurements[at] = ct_measurement_named(stored->outputs[o], (double)value);
    }
    LC_TRY(pl_export_tracking(e, i, f->tracking[i], err));
    pl_export_touch(e, i, f->used);
    bool segmented = e->segment_of[i] > 0;
    f->findings[i] = (struct ct_finding){
        .tracking_id = stored->nodules[i],
        .tracking_uid = f->tracking[i],
        .measurements = f->measurements + i * outputs,
        .n_measurements = outputs,
        .comment = stored->trained ? NULL : "UNTRAINED WEIGHTS: the numbers mean nothing",
        .segmentation = segmented ? &e->segmentation : NULL,
        .segment_number = e->segment_of[i],
    };
  }
  return pl_export_list(f->used, e->series->n_slices, &f->slices, &f->n_slices, err);
}

lc_status pl_export_report(struct pl_exporting *e, struct lc_error *err) {
  struct findings findings = {0};
  struct pl_export_texts texts;
  char path[LC_PATH_SIZE], version[LC_SHA256_HEX + 16];
  snprintf(version, sizeof version, "%s%s", e->stored->weights_sha256,
           e->stored->trained ? "" : ", untrained");
  struct ct_report report = {.model_name = e->model_name,
                             .model_version = version,
                             .n_findings = e->stored->n_nodules,
                             .evidence = e->references,
                             .n_evidence = e->n_references};
  lc_status status;
  LC_TRY_GOTO(collect_findings(e, &findings, err), done);
  report.findings = findings.findings;
  LC_TRY_GOTO(
      pl_export_describe(e, PL_EXPORT_REPORT, (size_t)-1, (size_t)-1, &texts, &report.about, err),
      done);
  report.about.source_slices = findings.slices;
  report.about.n_source_slices = findings.n_slices;
  LC_TRY_GOTO(pl_export_path(e, PL_EXPORT_REPORT, (size_t)-1, (size_t)-1, path, err), done);
  LC_TRY_GOTO(ct_report_write(&report, path, err), done);
  status = pl_export_done(e, PL_EXPORT_REPORT, &report.about, report_storage, err);
done:
  findings_free(&findings);
  return status;
}
