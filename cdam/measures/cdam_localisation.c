/* Computes what a mask covers, and how a map lies on it. */
#include "cdam/measures/cdam_localisation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/measures/cdam_measure.h"
#include "common/lc_scope.h"

/* Length shared by mask pixel `i` of `n` and patch `cell` of `cells`, in patches. */
static double overlap(size_t i, size_t n, size_t cell, size_t cells) {
  double scale = (double)cells / (double)n;
  double low = fmax((double)i * scale, (double)cell);
  double high = fmin((double)(i + 1) * scale, (double)(cell + 1));
  return fmax(0, high - low);
}

static void add_pixel(size_t row, size_t column, size_t rows, size_t columns, size_t grid_height,
                      size_t grid_width, double *coverage) {
  size_t top = row * grid_height / rows, left = column * grid_width / columns;
  for (size_t y = top; y < grid_height && y * rows < (row + 1) * grid_height; y++)
    for (size_t x = left; x < grid_width && x * columns < (column + 1) * grid_width; x++)
      coverage[y * grid_width + x] +=
          overlap(row, rows, y, grid_height) * overlap(column, columns, x, grid_width);
}

void cdam_coverage(const uint8_t *mask, size_t rows, size_t columns, size_t grid_height,
                   size_t grid_width, double *coverage) {
  memset(coverage, 0, grid_height * grid_width * sizeof *coverage);
  for (size_t row = 0; row < rows; row++)
    for (size_t column = 0; column < columns; column++)
      if (mask[row * columns + column])
        add_pixel(row, column, rows, columns, grid_height, grid_width, coverage);
  for (size_t i = 0; i < grid_height * grid_width; i++)
    if (coverage[i] > 1 - 1e-9) coverage[i] = 1; /* rounding of the sum */
}

static double speaks(float score, cdam_reading reading) {
  return reading == CDAM_ABSOLUTE ? fabs((double)score) : fmax((double)score, 0);
}

struct place {
  double score, inside;
};

static int fall(const void *a, const void *b) {
  const struct place *x = a, *y = b;
  return (x->score < y->score) - (x->score > y->score);
}

/* Patches that tie share what is left of the top K by area. */
static double rank_of(const struct place *sorted, size_t n, double size) {
  double left = size, found = 0;
  for (size_t i = 0, end; i < n && left > 0; i = end) {
    double inside = 0;
    for (end = i; end < n && sorted[end].score >= sorted[i].score; end++)
      inside += sorted[end].inside;
    double taken = fmin(left, (double)(end - i));
    found += inside * taken / (double)(end - i);
    left -= taken;
  }
  return found / size;
}

static double auroc_of(const struct place *sorted, size_t n, double size) {
  double above = 0, area = 0;
  for (size_t i = 0, end; i < n; i = end) {
    double inside = 0, outside = 0;
    for (end = i; end < n && sorted[end].score >= sorted[i].score; end++) {
      inside += sorted[end].inside;
      outside += 1 - sorted[end].inside;
    }
    area += outside * (above + 0.5 * inside);
    above += inside;
  }
  return area / (size * ((double)n - size));
}

static double pointing_of(const struct place *sorted, size_t n) {
  size_t ties = 0, hits = 0;
  for (; ties < n && sorted[ties].score >= sorted[0].score; ties++)
    hits += sorted[ties].inside >= 0.5;
  return (double)hits / (double)ties;
}

lc_status cdam_localise(const float *scores, const double *coverage, size_t n, cdam_reading reading,
                        struct cdam_localisation *result, struct lc_error *err) {
  LC_FREED struct place *places = NULL;
  double size = 0, total = 0, inside = 0;
  *result = (struct cdam_localisation){NAN, NAN, NAN, NAN};
  LC_TRY(lc_alloc(&places, n + 1, sizeof *places, err));
  for (size_t i = 0; i < n; i++) {
    places[i] = (struct place){speaks(scores[i], reading), coverage[i]};
    size += coverage[i];
    total += places[i].score;
    inside += places[i].score * coverage[i];
  }
  if (size > 0 && size < (double)n) {
    qsort(places, n, sizeof *places, fall);
    result->rank = rank_of(places, n, size);
    result->auroc = auroc_of(places, n, size);
    if (total > 0) {
      result->mass = inside / total;
      result->pointing = pointing_of(places, n);
    }
  }
  return LC_OK;
}

double cdam_mass_between(const float *scores, const double *first, const double *second, size_t n,
                         cdam_reading reading) {
  double a = 0, b = 0;
  for (size_t i = 0; i < n; i++) {
    double score = speaks(scores[i], reading);
    a += score * first[i];
    b += score * second[i];
  }
  return a + b > 0 ? a / (a + b) : NAN;
}

enum { MASS, RANK, POINTING, AUROC, N_READING, N_VALUES = 2 * N_READING };

static lc_status run(struct cdam_subject *subject, double *values, struct lc_error *err) {
  for (size_t m = 0; m < subject->maps; m++)
    for (int reading = CDAM_POSITIVE; reading <= CDAM_ABSOLUTE; reading++, values += N_READING) {
      struct cdam_localisation r;
      LC_TRY(cdam_localise(cdam_subject_finer(subject, m), subject->coverage, subject->cells,
                           (cdam_reading)reading, &r, err));
      values[MASS] = r.mass;
      values[RANK] = r.rank;
      values[POINTING] = r.pointing;
      values[AUROC] = r.auroc;
    }
  return LC_OK;
}

static const struct cdam_value values_of[N_VALUES] = {
    [MASS] = {"mass", CDAM_LARGER, "positive scores inside the nodule / all positive scores"},
    [RANK] = {"rank", CDAM_LARGER, "share of the highest pixels inside, as many as the nodule has"},
    [POINTING] = {"pointing", CDAM_LARGER, "highest score inside"},
    [AUROC] = {"auroc", CDAM_LARGER, "area under the ROC of positive scores against the nodule"},
    [N_READING + MASS] = {"mass_absolute", CDAM_LARGER, "as mass, of |scores|"},
    [N_READING + RANK] = {"rank_absolute", CDAM_LARGER, "as rank, of |scores|"},
    [N_READING + POINTING] = {"pointing_absolute", CDAM_LARGER, "as pointing, of |scores|"},
    [N_READING + AUROC] = {"auroc_absolute", CDAM_LARGER, "as auroc, of |scores|"}};

const struct cdam_measure cdam_measure_localisation = {
    .group = "localisation", .values = values_of, .n_values = N_VALUES, .run = run};
