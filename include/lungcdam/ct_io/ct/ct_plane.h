/* A rectangle of pixels in the patient: where a slice, a map or a frame of a DICOM object lies.
 *
 * Patient coordinates are LPS in millimetres (PS3.3 C.7.6.2.1.1). The pixel at (row, column) lies
 * at position + column * spacing[1] * orientation[0..2] + row * spacing[0] * orientation[3..5].
 *
 * Thread-safety: functions may be called from any thread. */
#ifndef CT_PLANE_H
#define CT_PLANE_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_cube.h"
#include "ct_io/ct/ct_series.h"

LC_API_BEGIN

struct ct_plane {
  size_t rows, columns;
  double position_mm[3];      /* centre of the first pixel */
  double orientation[6];      /* direction cosines of a row, then of a column */
  double pixel_spacing_mm[2]; /* between rows, between columns */
  double thickness_mm;        /* along the normal; 0 when unknown */
};

/* Where slice k of a series lies. Its thickness is the series' slice spacing when none is given. */
struct ct_plane ct_plane_of_slice(const struct ct_series *series, size_t k);

/* Where a map of rows x columns cells lies that covers one slice of a cube (ct_cube_slice: the same
 * view and index, rows and columns in the same order). A cell of a patch grid is a pixel here. Of
 * the cube only edge, spacing_mm and centre_mm are read. */
struct ct_plane ct_plane_of_cube(const struct ct_cube *cube, ct_view view, size_t index,
                                 size_t rows, size_t columns);

/* Patient position of a pixel; row and column may be fractions. */
void ct_plane_to_patient(const struct ct_plane *plane, double row, double column, double lps_mm[3]);
/* Fractional row and column of the point's projection on the plane, and its distance from the plane
 * along the normal (positive along row x column). */
void ct_plane_from_patient(const struct ct_plane *plane, const double lps_mm[3], double *row,
                           double *column, double *distance_mm);

/* Brings values[from->rows, from->columns] to the pixels of another plane: out[to->rows,
 * to->columns], linear between pixel centres, edges repeated for half a pixel, NaN beyond. A
 * pixel's point is projected on `from` along its normal, so that a map of an axial cube slice can
 * be laid over the CT slice next to it. */
void ct_plane_resample(const float *values, const struct ct_plane *from, float *out,
                       const struct ct_plane *to);

LC_API_END
#endif
