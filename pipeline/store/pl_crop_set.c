/* Reads the columns of a crop set, checks their shapes, and resamples each crop to the edge and
 * spacing of a data set. */
#include "pipeline/store/pl_dataset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume.h"
#include "pipeline/store/pl_h5.h"

enum { TEXT_SIZE = 80, READERS = 4 };

/* Columns of the crop set; what is optional may be NULL. */
struct crop_set {
  const char *path;
  size_t n, size;
  int16_t *hu;
  double *spacing, *nodule, *malignancy, *by_reader, *diameter, *z, *known;
  double *ratings[CT_RATING_COUNT];
  char (*patient)[TEXT_SIZE], (*series)[TEXT_SIZE], (*sop)[TEXT_SIZE], (*maker)[TEXT_SIZE],
      (*split)[TEXT_SIZE];
};

static void read_hu(struct pl_h5_in *in, struct crop_set *crops) {
  size_t dims[3];
  pl_h5_shape(in, "hu", 3, dims);
  if (dims[1] != dims[2] || dims[0] < 1 || dims[0] > 10000000 || dims[1] < 2 || dims[1] > 1024)
    pl_h5_expect(in, "hu", "square crops [n, size, size], see docs/dataset.md");
  crops->n = dims[0];
  crops->size = dims[1];
  crops->hu = pl_h5_read(in, "hu", PL_H5_I16, 3, dims);
}

/* What is optional stays NULL where it is not there. */
static double *numbers(struct pl_h5_in *in, const char *name, bool needed, size_t n) {
  return needed || pl_h5_has(in, name) ? pl_h5_read(in, name, PL_H5_F64, 1, &n) : NULL;
}

static void *texts(struct pl_h5_in *in, const char *name, bool needed, size_t n) {
  return needed || pl_h5_has(in, name) ? pl_h5_read_texts(in, name, TEXT_SIZE, 1, &n) : NULL;
}

static lc_status read_columns(struct crop_set *crops, struct lc_error *err) {
  LC_SCOPED(pl_h5_close) struct pl_h5_in in;
  LC_TRY(pl_h5_open(&in, crops->path, err));
  read_hu(&in, crops);
  size_t n = crops->n;
  crops->spacing = numbers(&in, "pixel_spacing_mm", true, n);
  crops->nodule = numbers(&in, "nodule_id", true, n);
  crops->malignancy = numbers(&in, "malignancy_1_to_5", true, n);
  crops->diameter = numbers(&in, "equivalent_diameter_px", false, n);
  crops->z = numbers(&in, "slice_z_mm", false, n);
  crops->known = numbers(&in, "rescale_intercept_known", false, n);
  if (pl_h5_has(&in, "malignancy_by_reader"))
    crops->by_reader =
        pl_h5_read(&in, "malignancy_by_reader", PL_H5_F64, 2, (const size_t[]){n, READERS});
  for (int r = 0; r < CT_RATING_COUNT; r++) {
    char name[64];
    snprintf(name, sizeof name, "ratings/%s", ct_rating_name((ct_rating)r));
    crops->ratings[r] = numbers(&in, name, false, n);
  }
  crops->patient = texts(&in, "patient_id", true, n);
  crops->series = texts(&in, "series_instance_uid", false, n);
  crops->sop = texts(&in, "sop_instance_uid", false, n);
  crops->maker = texts(&in, "manufacturer", false, n);
  crops->split = texts(&in, "split", false, n);
  return in.status;
}

static void free_columns(struct crop_set *crops) {
  void *columns[] = {crops->hu,        crops->spacing,  crops->nodule, crops->malignancy,
                     crops->by_reader, crops->diameter, crops->z,      crops->known,
                     crops->patient,   crops->series,   crops->sop,    crops->maker,
                     crops->split};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) free(columns[i]);
  for (int r = 0; r < CT_RATING_COUNT; r++) free(crops->ratings[r]);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Median of the readers who rated (0 and NaN did not), or the consensus without them. */
static double median_malignancy(const struct crop_set *crops, size_t i, struct pl_sample *sample) {
  double given[READERS];
  size_t n = 0;
  for (size_t r = 0; crops->by_reader && r < READERS; r++) {
    double rating = crops->by_reader[i * READERS + r];
    if (!(rating >= 1 && rating <= 5)) continue;
    sample->ratings[n][CT_MALIGNANCY] = (int)lrint(rating);
    given[n++] = rating;
  }
  sample->n_readers = sample->n_marks = (int)n;
  if (n == 0) return crops->malignancy[i];
  qsort(given, n, sizeof *given, by_value);
  return 0.5 * (given[(n - 1) / 2] + given[n / 2]);
}

static lc_status describe(const struct crop_set *crops, size_t i, struct pl_sample *sample,
                          struct lc_error *err) {
  lc_text_copy(sample->patient_id, sizeof sample->patient_id, crops->patient[i]);
  snprintf(sample->nodule, sizeof sample->nodule, "nodule-%.0f", crops->nodule[i]);
  if (crops->series)
    lc_text_copy(sample->series_instance_uid, sizeof sample->series_instance_uid, crops->series[i]);
  if (crops->maker)
    lc_text_copy(sample->manufacturer, sizeof sample->manufacturer, crops->maker[i]);
  if (crops->split) lc_text_copy(sample->split, sizeof sample->split, crops->split[i]);
  if (crops->known && crops->known[i] == 0)
    lc_text_copy(sample->verdict, sizeof sample->verdict, "rescale intercept guessed");
  for (int c = 0; c < 3; c++) sample->centre_mm[c] = NAN;
  if (crops->z) sample->centre_mm[2] = crops->z[i];
  sample->spacing_mm[0] = sample->spacing_mm[1] = crops->spacing[i];
  sample->spacing_mm[2] = sample->slice_thickness_mm = sample->volume_mm3 = NAN;
  sample->diameter_mm = crops->diameter ? crops->diameter[i] * crops->spacing[i] : NAN;
  for (int r = 0; r < CT_RATING_COUNT; r++)
    sample->mean[r] = sample->median[r] = crops->ratings[r] ? crops->ratings[r][i] : NAN;
  sample->mean[CT_MALIGNANCY] = crops->malignancy[i];
  sample->median[CT_MALIGNANCY] = median_malignancy(crops, i, sample);
  sample->label = ct_label_of(sample->median[CT_MALIGNANCY]);
  if (!crops->sop || !crops->sop[i][0]) return LC_OK;
  LC_TRY(lc_alloc(&sample->sops, 1, sizeof *sample->sops, err));
  lc_text_copy(sample->sops[0], CT_UID_SIZE, crops->sop[i]);
  sample->n_sops = 1;
  return LC_OK;
}

struct resampling {
  const struct crop_set *crops;
  struct pl_dataset *dataset;
};

static void resample(void *context, size_t i, int worker) {
  const struct resampling *job = context;
  const struct crop_set *crops = job->crops;
  size_t size = crops->size, edge = job->dataset->edge;
  const int16_t *in = crops->hu + i * size * size;
  int16_t *out = job->dataset->hu + i * edge * edge;
  double step = job->dataset->spacing_mm / crops->spacing[i], last = (double)size - 1;
  int padded = 0;
  (void)worker;
  for (size_t row = 0; row < edge; row++)
    for (size_t column = 0; column < edge; column++) {
      double y = 0.5 * last + ((double)row - 0.5 * (double)(edge - 1)) * step;
      double x = 0.5 * last + ((double)column - 0.5 * (double)(edge - 1)) * step;
      double value = CT_AIR_HU;
      if (y >= 0 && x >= 0 && y <= last && x <= last) {
        size_t y0 = (size_t)y, x0 = (size_t)x;
        size_t y1 = y0 + (y0 + 1 < size), x1 = x0 + (x0 + 1 < size);
        double ty = y - (double)y0, tx = x - (double)x0;
        double top = (1 - tx) * in[y0 * size + x0] + tx * in[y0 * size + x1];
        double bottom = (1 - tx) * in[y1 * size + x0] + tx * in[y1 * size + x1];
        value = fmax((1 - ty) * top + ty * bottom, CT_LOWEST_HU);
      } else {
        padded++;
      }
      out[row * edge + column] = (int16_t)lrint(value);
    }
  job->dataset->samples[i].n_padded = padded;
}

lc_status pl_crop_set_read(struct pl_dataset *dataset, const char *path, size_t edge,
                           double spacing_mm, struct lc_error *err) {
  LC_SCOPED(free_columns) struct crop_set crops = {.path = path};
  memset(dataset, 0, sizeof *dataset);
  LC_TRY(read_columns(&crops, err));
  for (size_t i = 0; i < crops.n; i++)
    if (!(crops.spacing[i] > 0.01 && crops.spacing[i] < 20))
      LC_FAIL(err, LC_ERR_FORMAT, "%s: pixel_spacing_mm of crop %zu is %g, expected 0.01 to 20",
              path, i, crops.spacing[i]);
  LC_TRY(pl_dataset_alloc(dataset, crops.n, edge, 2, spacing_mm, err));
  lc_status status = LC_OK;
  for (size_t i = 0; i < crops.n && status == LC_OK; i++)
    status = describe(&crops, i, &dataset->samples[i], err);
  struct resampling job = {&crops, dataset};
  if (status == LC_OK)
    lc_parallel_for(crops.n, resample, &job);
  else
    pl_dataset_free(dataset);
  return status;
}
