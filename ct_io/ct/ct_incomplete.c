/* Looks for signs that a series lacks slices: holes in InstanceNumbers or positions, or a stack too
 * short for lungs. */
#include <math.h>
#include <stdio.h>

#include "ct_io/ct/ct_series.h"

/* Lungs of an adult are 200 mm high and more. */
static const double shortest_mm = 100;

/* Numbers that are missing among those that count up, or down, by one from slice to slice for the
 * most part; 0 for others. */
static long missing_numbers(const struct ct_series *series, long *low, long *high) {
  size_t n = series->n_slices, up = 0, down = 0;
  long missing_up = 0, missing_down = 0;
  *low = *high = series->slices[0].instance_number;
  for (size_t i = 1; i < n; i++) {
    long number = series->slices[i].instance_number;
    long step = number - series->slices[i - 1].instance_number;
    if (number < *low) *low = number;
    if (number > *high) *high = number;
    up += step == 1;
    down += step == -1;
    if (step > 1) missing_up += step - 1;
    if (step < -1) missing_down += -step - 1;
  }
  return 2 * up > n - 1 ? missing_up : 2 * down > n - 1 ? missing_down : 0;
}

/* Slices that would fill the places where neighbours lie a multiple of the spacing apart. */
static long missing_places(const struct ct_series *series) {
  double spacing = series->slice_spacing_mm, tolerance = ct_spacing_tolerance(spacing);
  long missing = 0;
  for (size_t i = 1; i < series->n_slices; i++) {
    double distance = series->slices[i].along_mm - series->slices[i - 1].along_mm;
    double steps = round(distance / spacing);
    if (steps > 1 && steps < 1e4 && fabs(distance - steps * spacing) <= steps * tolerance)
      missing += (long)steps - 1;
  }
  return missing;
}

bool ct_series_has_holes(const struct ct_series *series) {
  long low, high;
  return series->n_slices > 0 && series->slice_spacing_mm > 0 &&
         (missing_numbers(series, &low, &high) > 0 || missing_places(series) > 0);
}

bool ct_series_seems_incomplete(const struct ct_series *series, char *signs, size_t size) {
  size_t n = series->n_slices;
  signs[0] = '\0';
  if (n == 0 || !(series->slice_spacing_mm > 0)) return false;
  long low = 0, high = 0, missing = missing_numbers(series, &low, &high);
  double extent = series->slices[n - 1].along_mm - series->slices[0].along_mm;
  if (missing > 0)
    snprintf(signs, size, "%zu slices, and %ld of InstanceNumber %ld to %ld are not among them", n,
             missing, low, high);
  else if ((missing = missing_places(series)) > 0)
    snprintf(signs, size, "%zu slices %.2f mm apart, and gaps between them where %ld more belong",
             n, series->slice_spacing_mm, missing);
  else if (extent + series->slice_spacing_mm < shortest_mm)
    snprintf(signs, size, "%zu slice%s over %.0f mm, too few for lungs", n, n == 1 ? "" : "s",
             extent + series->slice_spacing_mm);
  return signs[0] != '\0';
}
