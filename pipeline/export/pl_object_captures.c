/* The kind "captures": the picture of a nodule in a view, with its legend, as a secondary capture.
 * A run writes it while it draws. */
#include <math.h>
#include <string.h>

#include "common/lc_scope.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_write/ct_capture.h"
#include "pipeline/export/pl_object.h"

/* Slices of the source that a view shows: the neighbours of the plane it lies in when it is
 * parallel to them, else all that the cube touches. */
static void shown_slices(const struct pl_result *result, size_t nodule, enum ct_view view,
                         size_t *first, size_t *count) {
  static const int axis_of[] = {[CT_AXIAL] = 2, [CT_CORONAL] = 1, [CT_SAGITTAL] = 0};
  const struct ct_cube *cube = &result->cubes[nodule];
  double point[3];
  memcpy(point, cube->centre_mm, sizeof point);
  int axis = axis_of[view];
  bool parallel = fabs(result->series->normal[axis]) > 0.999;
  double extent_mm = parallel ? 0 : (double)cube->edge * cube->spacing_mm;
  size_t index = cube->edge / 2;
  if (parallel) point[axis] += ((double)index - 0.5 * ((double)cube->edge - 1)) * cube->spacing_mm;
  ct_series_slab(result->series, point, extent_mm, first, count);
}

static lc_status write_capture(const struct pl_object_kind *kind, const struct pl_export *e,
                               size_t nodule, size_t view, const struct cdam_picture *picture,
                               const char *words, struct lc_error *err) {
  const struct pl_result *result = e->result;
  struct pl_object object;
  LC_FREED size_t *slices = NULL;
  size_t first, n;
  LC_TRY(pl_object_begin(&object, e, kind, nodule, PL_NONE, view, err));
  shown_slices(result, nodule, result->views[view], &first, &n);
  LC_TRY(lc_alloc(&slices, n, sizeof *slices, err));
  for (size_t i = 0; i < n; i++) slices[i] = first + i;
  struct ct_capture capture = {.about = object.about,
                               .rgb = picture->rgb,
                               .rows = picture->rows,
                               .columns = picture->columns};
  capture.about.source_slices = slices;
  capture.about.n_source_slices = n;
  capture.about.instance_number = (int)pl_result_image(result, nodule, view) + 1;
  capture.about.series_description = result->provenance.trained
                                         ? "lungcdam CDAM (research use only)"
                                         : "lungcdam CDAM UNTRAINED WEIGHTS (research use only)";
  capture.about.image_comments = words;
  return ct_capture_write(&capture, object.path, err);
}

const struct pl_object_kind pl_object_captures = {
    .name = "captures",
    .role = "capture",
    .object = &ct_capture_object,
    .doc = "pictures with legends, one object a nodule and view; a run draws them (capture.write)",
    .needs = PL_NEEDS_PICTURES,
    .is_map = true,
    .write_picture = write_capture,
};
