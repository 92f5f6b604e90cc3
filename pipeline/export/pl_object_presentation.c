/* The kind "presentation": the readers' outlines, one layer a reader, and the nodules' names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_write/ct_presentation.h"
#include "pipeline/export/pl_object.h"

/* Outlines of all nodules, a name at each, and the slices they lie on. */
struct drawing {
  struct ct_drawn_outline *outlines;
  struct ct_drawn_text *texts; /* [nodule] */
  char (*names)[96];
  struct pl_touched touched;
  size_t n_outlines;
};

static void drawing_free(struct drawing *drawing) {
  ct_drawn_outlines_free(drawing->outlines, drawing->n_outlines);
  free(drawing->texts);
  free(drawing->names);
  pl_touched_free(&drawing->touched);
}

static lc_status draw_nodule(const struct pl_export *e, struct drawing *drawing, size_t nodule,
                             struct lc_error *err) {
  const struct ct_nodule *found = &e->result->nodules.nodules[nodule];
  struct ct_drawn_outline *outlines;
  size_t n;
  LC_TRY(ct_drawn_outlines_of(&outlines, &n, found, e->result->series, err));
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
    drawing->touched.used[all[i].slice] = true;
  /* The name stands above the box of the outlines, on the slice through its middle. */
  double corner[3] = {found->bounds_mm[0][0], found->bounds_mm[0][1], found->centre_mm[2]}, at[3];
  struct ct_drawn_text *text = &drawing->texts[nodule];
  ct_series_to_index(e->result->series, n > 0 ? corner : found->centre_mm, at);
  text->slice = ct_series_nearest_slice(e->result->series, found->centre_mm);
  text->xy[0] = (float)at[0];
  text->xy[1] = (float)at[1] - 2;
  snprintf(text->layer, sizeof text->layer, "NODULES");
  snprintf(drawing->names[nodule], sizeof *drawing->names, "%.64s (research use only)", found->id);
  text->text = drawing->names[nodule];
  drawing->touched.used[text->slice] = true;
  return LC_OK;
}

static lc_status write_drawing(const struct pl_object_kind *kind, struct pl_export *e,
                               struct drawing *drawing, struct lc_error *err) {
  size_t n = e->result->nodules.n_nodules;
  struct pl_object object;
  LC_TRY(lc_alloc(&drawing->texts, n, sizeof *drawing->texts, err));
  LC_TRY(lc_alloc(&drawing->names, n, sizeof *drawing->names, err));
  LC_TRY(pl_touched_init(&drawing->touched, e, err));
  for (size_t i = 0; i < n; i++) LC_TRY(draw_nodule(e, drawing, i, err));
  LC_TRY(pl_object_begin(&object, e, kind, PL_NONE, PL_NONE, PL_NONE, err));
  LC_TRY(pl_touched_list(&drawing->touched, e, &object, err));
  const struct ct_presentation presentation = {.about = object.about,
                                               .outlines = drawing->outlines,
                                               .n_outlines = drawing->n_outlines,
                                               .texts = drawing->texts,
                                               .n_texts = n,
                                               .window_low_hu = e->options->window_low_hu,
                                               .window_high_hu = e->options->window_high_hu};
  LC_TRY(ct_presentation_write(&presentation, object.path, err));
  return pl_object_done(&object, e, err);
}

static lc_status write_presentation(const struct pl_object_kind *kind, struct pl_export *e,
                                    struct lc_error *err) {
  struct drawing drawing = {0};
  lc_status status = write_drawing(kind, e, &drawing, err);
  drawing_free(&drawing);
  return status;
}

const struct pl_object_kind pl_object_presentation = {
    .name = "presentation",
    .role = "export presentation",
    .object = &ct_presentation_object,
    .series_offset = 500,
    .of_readers = true,
    .doc = "the readers' outlines, one layer a reader, and the nodules' names",
    .write = write_presentation,
};
