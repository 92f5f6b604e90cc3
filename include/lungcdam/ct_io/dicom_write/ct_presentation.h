/* Outlines and words that a viewer lays over the CT slices themselves, without touching a pixel.
 *
 * Grayscale Softcopy Presentation State Storage (PS3.3 A.33.1): a lung window, and graphic layers
 * with the readers' outlines or those of a map. It names every slice it applies to.
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#ifndef CT_PRESENTATION_H
#define CT_PRESENTATION_H

#include "common/lc_api.h"
#include "ct_io/dicom_write/ct_derived.h"
#include "ct_io/nodule/ct_nodule.h"

LC_API_BEGIN

extern const struct ct_object_class ct_presentation_object;

#define CT_LAYER_SIZE 17 /* 16 characters of A-Z, 0-9, _ and space */

/* A line on one slice. Points are pixel indices (column, row): (0, 0) is the centre of the first
 * pixel, as in ct_outline. */
struct ct_drawn_outline {
  char layer[CT_LAYER_SIZE]; /* "READER 1"; layers are stacked in the order they appear */
  size_t slice;              /* index into the source, one of about.source_slices */
  float (*xy)[2];            /* [n_points]; the first point repeated at the end closes the line */
  size_t n_points;           /* 2 and up */
};

/* Words with their lower left corner at a point. */
struct ct_drawn_text {
  char layer[CT_LAYER_SIZE];
  size_t slice;
  float xy[2];
  const char *text; /* one line: "nodule-1 (research use only)" */
};

struct ct_presentation {
  struct ct_derived about;
  const struct ct_drawn_outline *outlines;
  size_t n_outlines;
  const struct ct_drawn_text *texts;
  size_t n_texts;
  double window_low_hu, window_high_hu; /* -1350 and 150 when both are 0 */
};

/* The readers' outlines of a nodule on the slices of the series, one layer a reading session
 * ("READER 1" and so on), exclusions too, each line closed. Outlines on slices that the series
 * lacks are left out. free with ct_drawn_outlines_free. */
LC_MUST_CHECK lc_status ct_drawn_outlines_of(struct ct_drawn_outline **outlines, size_t *n_outlines,
                                             const struct ct_nodule *nodule,
                                             const struct ct_series *series, struct lc_error *err);
void ct_drawn_outlines_free(struct ct_drawn_outline *outlines, size_t n_outlines);

/* LC_ERR_USAGE when an outline lies on a slice that the object does not name, or nothing is drawn;
 * LC_ERR_UNSUPPORTED when the slices named have different rescaling. */
LC_MUST_CHECK lc_status ct_presentation_write(const struct ct_presentation *presentation,
                                              const char *path, struct lc_error *err);

LC_API_END
#endif
