/* Turns readers' outlines into the lines that a presentation state draws. */
#include <stdio.h>
#include <stdlib.h>

#include "common/lc_arena.h"
#include "ct_io/dicom_write/ct_presentation.h"
#include "ct_io/nodule/ct_place.h"

/* Copies one outline, its first point again at the end unless it is there already. */
static lc_status draw(struct ct_drawn_outline *drawn, const struct ct_outline *outline,
                      size_t slice, int session, struct lc_error *err) {
  size_t n = outline->n_points;
  bool closed = n > 1 && outline->xy[0][0] == outline->xy[n - 1][0] &&
                outline->xy[0][1] == outline->xy[n - 1][1];
  drawn->n_points = closed ? n : n + 1;
  drawn->slice = slice;
  snprintf(drawn->layer, sizeof drawn->layer, "READER %d", session + 1);
  LC_TRY(lc_alloc(&drawn->xy, drawn->n_points, sizeof *drawn->xy, err));
  for (size_t i = 0; i < drawn->n_points; i++) {
    drawn->xy[i][0] = (float)outline->xy[i % n][0];
    drawn->xy[i][1] = (float)outline->xy[i % n][1];
  }
  return LC_OK;
}

lc_status ct_drawn_outlines_of(struct ct_drawn_outline **outlines, size_t *n_outlines,
                               const struct ct_nodule *nodule, const struct ct_series *series,
                               struct lc_error *err) {
  size_t most = 0, n = 0;
  for (size_t m = 0; m < nodule->n_marks; m++) most += nodule->marks[m]->n_outlines;
  *outlines = NULL;
  *n_outlines = 0;
  struct ct_drawn_outline *drawn = NULL;
  LC_TRY(lc_alloc(&drawn, most ? most : 1, sizeof *drawn, err));
  for (size_t m = 0; m < nodule->n_marks; m++) {
    const struct ct_mark *mark = nodule->marks[m];
    for (size_t i = 0; i < mark->n_outlines; i++) {
      long slice = ct_outline_slice(series, &mark->outlines[i]);
      if (slice < 0 || mark->outlines[i].n_points == 0) continue;
      lc_status status = draw(&drawn[n], &mark->outlines[i], (size_t)slice, mark->session, err);
      if (status != LC_OK) {
        ct_drawn_outlines_free(drawn, n);
        return status;
      }
      n++;
    }
  }
  *outlines = drawn;
  *n_outlines = n;
  return LC_OK;
}

void ct_drawn_outlines_free(struct ct_drawn_outline *outlines, size_t n_outlines) {
  for (size_t i = 0; i < n_outlines; i++) free(outlines[i].xy);
  free(outlines);
}
