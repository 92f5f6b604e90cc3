/* Reads the columns of a crop set, checks their shapes, and resamples each crop to the edge and
 * spacing of a data set. */
#include "pipeline/store/pl_crop_set.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_parallel.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume.h"

enum { TEXT_SIZE = 80, READERS = 4 };

/* Columns of the crop set; what is optional may be NULL. */
struct crop_set {
  const char *path;
  hid_t file;
  size_t n, size;
  int16_t *hu;
  double *spacing, *nodule, *malignancy, *by_reader, *diameter, *z, *known;
  double *ratings[CT_RATING_COUNT];
  char (*patient)[TEXT_SIZE], (*series)[TEXT_SIZE], (*sop)[TEXT_SIZE], (*maker)[TEXT_SIZE],
      (*split)[TEXT_SIZE];
};

static bool has_shape(hid_t set, size_t rank, const hsize_t *dims) {
  hsize_t found[H5S_MAX_RANK];
  hid_t space = H5Dget_space(set);
  bool same = H5Sget_simple_extent_ndims(space) == (int)rank;
  if (same) H5Sget_simple_extent_dims(space, found, NULL);
  for (size_t i = 0; same && i < rank; i++) same = found[i] == dims[i];
  H5Sclose(space);
  return same;
}

/* Opens a column; *set is -1 for one that is optional and not there. */
static lc_status open_column(const struct crop_set *crops, const char *name, bool needed,
                             size_t per_row, hid_t *set, struct lc_error *err) {
  hsize_t dims[2] = {crops->n, per_row};
  *set = -1;
  if (strncmp(name, "ratings/", 8) == 0 && H5Lexists(crops->file, "ratings", H5P_DEFAULT) <= 0)
    return LC_OK;
  if (H5Lexists(crops->file, name, H5P_DEFAULT) > 0)
    *set = H5Dopen2(crops->file, name, H5P_DEFAULT);
  if (*set < 0) {
    if (!needed) return LC_OK;
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no dataset %s, see docs/dataset.md", crops->path, name);
  }
  if (has_shape(*set, per_row > 1 ? 2 : 1, dims)) return LC_OK;
  H5Dclose(*set);
  LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset %s is not of %zu crops", crops->path, name, crops->n);
}

static lc_status read_numbers(const struct crop_set *crops, const char *name, bool needed,
                              size_t per_row, double **out, struct lc_error *err) {
  hid_t set;
  LC_TRY(open_column(crops, name, needed, per_row, &set, err));
  if (set < 0) return LC_OK;
  lc_status status = lc_alloc(out, crops->n * per_row, sizeof **out, err);
  if (status == LC_OK && H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: dataset %s is not numbers",
                     crops->path, name);
  H5Dclose(set);
  return status;
}

static lc_status read_texts(const struct crop_set *crops, const char *name, bool needed,
                            char (**out)[TEXT_SIZE], struct lc_error *err) {
  hid_t set;
  LC_TRY(open_column(crops, name, needed, 1, &set, err));
  if (set < 0) return LC_OK;
  hid_t stored = H5Dget_type(set), type = H5Tcopy(H5T_C_S1);
  bool fixed = H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) <= 0;
  if (fixed) {
    H5Tset_size(type, TEXT_SIZE - 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5Tget_cset(stored));
  }
  char *texts = NULL;
  lc_status status = lc_alloc(out, crops->n, sizeof **out, err);
  if (status == LC_OK) status = lc_alloc(&texts, crops->n, TEXT_SIZE - 1, err);
  if (status == LC_OK && (!fixed || H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) < 0))
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                     "%s: dataset %s is not texts of fixed length", crops->path, name);
  for (size_t i = 0; i < crops->n && status == LC_OK; i++)
    memcpy((*out)[i], texts + i * (TEXT_SIZE - 1), TEXT_SIZE - 1);
  free(texts);
  H5Tclose(type);
  H5Tclose(stored);
  H5Dclose(set);
  return status;
}

static lc_status read_hu(struct crop_set *crops, struct lc_error *err) {
  hsize_t dims[H5S_MAX_RANK] = {0};
  hid_t set =
      H5Lexists(crops->file, "hu", H5P_DEFAULT) > 0 ? H5Dopen2(crops->file, "hu", H5P_DEFAULT) : -1;
  if (set < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: no dataset hu, see docs/dataset.md", crops->path);
  hid_t space = H5Dget_space(set);
  int rank = H5Sget_simple_extent_ndims(space);
  if (rank == 3) H5Sget_simple_extent_dims(space, dims, NULL);
  H5Sclose(space);
  lc_status status = LC_OK;
  if (rank != 3 || dims[1] != dims[2] || dims[0] < 1 || dims[0] > 10000000 || dims[1] < 2 ||
      dims[1] > 1024) {
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                     "%s: dataset hu is not square crops [n, size, size]", crops->path);
  } else {
    crops->n = (size_t)dims[0];
    crops->size = (size_t)dims[1];
    status = lc_alloc(&crops->hu, crops->n, crops->size * crops->size * sizeof *crops->hu, err);
  }
  if (status == LC_OK &&
      H5Dread(set, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, crops->hu) < 0)
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: dataset hu cannot be read",
                     crops->path);
  H5Dclose(set);
  return status;
}

static lc_status read_columns(struct crop_set *crops, struct lc_error *err) {
  LC_TRY(read_hu(crops, err));
  LC_TRY(read_numbers(crops, "pixel_spacing_mm", true, 1, &crops->spacing, err));
  LC_TRY(read_numbers(crops, "nodule_id", true, 1, &crops->nodule, err));
  LC_TRY(read_numbers(crops, "malignancy_1_to_5", true, 1, &crops->malignancy, err));
  LC_TRY(read_numbers(crops, "malignancy_by_reader", false, READERS, &crops->by_reader, err));
  LC_TRY(read_numbers(crops, "equivalent_diameter_px", false, 1, &crops->diameter, err));
  LC_TRY(read_numbers(crops, "slice_z_mm", false, 1, &crops->z, err));
  LC_TRY(read_numbers(crops, "rescale_intercept_known", false, 1, &crops->known, err));
  for (int r = 0; r < CT_RATING_COUNT; r++) {
    char name[64];
    snprintf(name, sizeof name, "ratings/%s", ct_rating_name((ct_rating)r));
    LC_TRY(read_numbers(crops, name, false, 1, &crops->ratings[r], err));
  }
  LC_TRY(read_texts(crops, "patient_id", true, &crops->patient, err));
  LC_TRY(read_texts(crops, "series_instance_uid", false, &crops->series, err));
  LC_TRY(read_texts(crops, "sop_instance_uid", false, &crops->sop, err));
  LC_TRY(read_texts(crops, "manufacturer", false, &crops->maker, err));
  return read_texts(crops, "split", false, &crops->split, err);
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

static lc_status convert(struct crop_set *crops, struct pl_dataset *dataset, size_t edge,
                         double spacing_mm, struct lc_error *err) {
  LC_TRY(read_columns(crops, err));
  for (size_t i = 0; i < crops->n; i++)
    if (!(crops->spacing[i] > 0.01 && crops->spacing[i] < 20))
      LC_FAIL(err, LC_ERR_FORMAT, "%s: pixel_spacing_mm of crop %zu is %g, expected 0.01 to 20",
              crops->path, i, crops->spacing[i]);
  LC_TRY(pl_dataset_alloc(dataset, crops->n, edge, 2, spacing_mm, err));
  for (size_t i = 0; i < crops->n; i++) LC_TRY(describe(crops, i, &dataset->samples[i], err));
  struct resampling job = {crops, dataset};
  lc_parallel_for(crops->n, resample, &job);
  return LC_OK;
}

lc_status pl_crop_set_read(struct pl_dataset *dataset, const char *path, size_t edge,
                           double spacing_mm, struct lc_error *err) {
  struct crop_set crops = {.path = path};
  memset(dataset, 0, sizeof *dataset);
  if (!lc_file_exists(path)) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no such file", path);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  crops.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (crops.file < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be opened as HDF5", path);
  lc_status status = convert(&crops, dataset, edge, spacing_mm, err);
  free_columns(&crops);
  H5Fclose(crops.file);
  if (status != LC_OK) pl_dataset_free(dataset);
  return status;
}
