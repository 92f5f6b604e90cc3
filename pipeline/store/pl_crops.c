/* Reads crops with their ratings and patients from HDF5, selects splits, and deals folds. */
#include "pipeline/store/pl_crops.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_random.h"
#include "common/lc_text.h"

#define MOST_CROPS 10000000
#define MOST_SIZE 1024

const char *const pl_biomarker_names[PL_BIOMARKERS] = {"subtlety",   "calcification", "margin",
                                                       "lobulation", "spiculation",   "diameter",
                                                       "texture",    "sphericity"};
const char *const pl_biomarker_units[PL_BIOMARKERS] = {"", "", "", "", "", "mm", "", ""};

const char *pl_output_unit(const char *name) {
  const char *dot = strrchr(name, '.');
  if (dot) name = dot + 1;
  for (size_t b = 0; b < PL_BIOMARKERS; b++)
    if (strcmp(name, pl_biomarker_names[b]) == 0) return pl_biomarker_units[b];
  return "";
}

/* A file that is being read. */
struct reader {
  hid_t file;
  const char *path;
  size_t n;
};

static lc_status open_dataset(const struct reader *reader, const char *name, int rank,
                              hid_t *dataset, hsize_t dims[3], struct lc_error *err) {
  *dataset = H5Dopen2(reader->file, name, H5P_DEFAULT);
  if (*dataset < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset \"%s\" is missing", reader->path, name);
  hid_t space = H5Dget_space(*dataset);
  int found = H5Sget_simple_extent_ndims(space);
  if (found == rank) H5Sget_simple_extent_dims(space, dims, NULL);
  H5Sclose(space);
  if (found != rank || (reader->n > 0 && dims[0] != reader->n)) {
    H5Dclose(*dataset);
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset \"%s\" has another shape than hu, expected %zu rows",
            reader->path, name, reader->n);
  }
  return LC_OK;
}

static lc_status read_values(const struct reader *reader, const char *name, hid_t type, void *out,
                             struct lc_error *err) {
  hid_t dataset;
  hsize_t dims[3];
  LC_TRY(open_dataset(reader, name, 1, &dataset, dims, err));
  herr_t failed = H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  H5Dclose(dataset);
  if (failed < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot read \"%s\"", reader->path, name);
  return LC_OK;
}

/* Fixed-length texts into rows of `size` bytes, cut and terminated. */
static lc_status read_texts(const struct reader *reader, const char *name, size_t size, char *out,
                            struct lc_error *err) {
  hid_t dataset;
  hsize_t dims[3];
  LC_TRY(open_dataset(reader, name, 1, &dataset, dims, err));
  hid_t stored = H5Dget_type(dataset);
  bool fits = H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) == 0;
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, size);
  H5Tset_strpad(type, H5T_STR_NULLTERM);
  if (fits) H5Tset_cset(type, H5Tget_cset(stored));
  herr_t failed = fits ? H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) : -1;
  H5Tclose(type);
  H5Tclose(stored);
  H5Dclose(dataset);
  if (failed < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: \"%s\" is not of texts of fixed length", reader->path, name);
  return LC_OK;
}

static lc_status read_hu(struct reader *reader, struct pl_crops *crops, struct lc_error *err) {
  hid_t dataset;
  hsize_t dims[3] = {0};
  LC_TRY(open_dataset(reader, "hu", 3, &dataset, dims, err));
  lc_status status = LC_OK;
  if (dims[0] == 0 || dims[0] > MOST_CROPS || dims[1] == 0 || dims[1] > MOST_SIZE ||
      dims[1] != dims[2])
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: hu is %llu x %llu x %llu, expected square crops",
                 reader->path, (unsigned long long)dims[0], (unsigned long long)dims[1],
                 (unsigned long long)dims[2]);
  reader->n = crops->n = (size_t)dims[0];
  crops->size = (size_t)dims[1];
  size_t count = crops->n * crops->size * crops->size;
  LC_TRY_GOTO(lc_alloc(&crops->hu, count, sizeof *crops->hu, err), done);
  if (H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, crops->hu) < 0)
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: cannot read \"hu\"", reader->path);
  for (size_t i = 0; i < count; i++)
    if (!isfinite(crops->hu[i]))
      LC_FAIL_GOTO(done, err, LC_ERR_NUMERIC, "%s: hu of row %zu is not finite", reader->path,
                   i / (crops->size * crops->size));
done:
  H5Dclose(dataset);
  return status;
}

static lc_status read_ratings(const struct reader *reader, struct pl_crops *crops, double *values,
                              struct lc_error *err) {
  LC_TRY(read_values(reader, "pixel_spacing_mm", H5T_NATIVE_DOUBLE, values, err));
  for (size_t i = 0; i < crops->n; i++) {
    if (!(values[i] > 0 && values[i] < 100))
      LC_FAIL(err, LC_ERR_NUMERIC, "%s: pixel_spacing_mm of row %zu is %g", reader->path, i,
              values[i]);
    crops->crops[i].spacing_mm = values[i];
    for (int a = 0; a < 3; a++) crops->crops[i].centre_mm[a] = NAN;
  }
  LC_TRY(read_values(reader, "malignancy_1_to_5", H5T_NATIVE_DOUBLE, values, err));
  for (size_t i = 0; i < crops->n; i++) crops->crops[i].malignancy = values[i];
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    char name[64];
    bool diameter = strcmp(pl_biomarker_names[b], "diameter") == 0;
    snprintf(name, sizeof name, "ratings/%s", pl_biomarker_names[b]);
    LC_TRY(read_values(reader, diameter ? "equivalent_diameter_px" : name, H5T_NATIVE_DOUBLE,
                       values, err));
    for (size_t i = 0; i < crops->n; i++)
      crops->crops[i].biomarkers[b] = diameter ? values[i] * crops->crops[i].spacing_mm : values[i];
  }
  return LC_OK;
}

/* Readers who rated, where the file distinguishes them: malignancy_by_reader [n, readers], 0 or NaN
 * for none. */
static lc_status count_readers(const struct reader *reader, struct pl_crops *crops,
                               struct lc_error *err) {
  hid_t dataset;
  hsize_t dims[3] = {0};
  float *ratings = NULL;
  for (size_t i = 0; i < crops->n; i++)
    crops->crops[i].fold_patient = crops->crops[i].fold_nodule = -1;
  if (H5Lexists(reader->file, "malignancy_by_reader", H5P_DEFAULT) <= 0) return LC_OK;
  LC_TRY(open_dataset(reader, "malignancy_by_reader", 2, &dataset, dims, err));
  lc_status status = LC_OK;
  if (dims[1] == 0 || dims[1] > 64)
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: malignancy_by_reader has %llu columns",
                 reader->path, (unsigned long long)dims[1]);
  LC_TRY_GOTO(lc_alloc(&ratings, crops->n * (size_t)dims[1], sizeof *ratings, err), done);
  if (H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, ratings) < 0)
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: cannot read \"malignancy_by_reader\"",
                 reader->path);
  for (size_t i = 0; i < crops->n; i++)
    for (size_t k = 0; k < (size_t)dims[1]; k++)
      crops->crops[i].readers += ratings[i * (size_t)dims[1] + k] > 0;
done:
  H5Dclose(dataset);
  free(ratings);
  return status;
}

static lc_status read_identity(const struct reader *reader, struct pl_crops *crops,
                               struct lc_error *err) {
  lc_status status = LC_OK;
  char *texts = NULL;
  int *numbers = NULL;
  LC_TRY_GOTO(lc_alloc(&texts, crops->n, PL_PATIENT_SIZE, err), done);
  LC_TRY_GOTO(lc_alloc(&numbers, crops->n, sizeof *numbers, err), done);
  LC_TRY_GOTO(read_texts(reader, "patient_id", PL_PATIENT_SIZE, texts, err), done);
  for (size_t i = 0; i < crops->n; i++)
    lc_text_copy(crops->crops[i].patient, PL_PATIENT_SIZE, texts + i * PL_PATIENT_SIZE);
  LC_TRY_GOTO(read_texts(reader, "split", PL_SPLIT_SIZE, texts, err), done);
  for (size_t i = 0; i < crops->n; i++)
    lc_text_copy(crops->crops[i].split, PL_SPLIT_SIZE, texts + i * PL_SPLIT_SIZE);
  LC_TRY_GOTO(read_values(reader, "nodule_id", H5T_NATIVE_INT, numbers, err), done);
  for (size_t i = 0; i < crops->n; i++) crops->crops[i].nodule = numbers[i];
  LC_TRY_GOTO(count_readers(reader, crops, err), done);
done:
  free(texts);
  free(numbers);
  return status;
}

struct named_row {
  const char *patient;
  size_t row;
};

static int compare_patients(const void *a, const void *b) {
  const struct named_row *x = a, *y = b;
  return strcmp(x->patient, y->patient);
}

static lc_status number_patients(struct pl_crops *crops, struct lc_error *err) {
  struct named_row *sorted = NULL;
  LC_TRY(lc_alloc(&sorted, crops->n, sizeof *sorted, err));
  for (size_t i = 0; i < crops->n; i++) sorted[i] = (struct named_row){crops->crops[i].patient, i};
  qsort(sorted, crops->n, sizeof *sorted, compare_patients);
  for (size_t i = 0; i < crops->n; i++) {
    if (i == 0 || strcmp(sorted[i].patient, sorted[i - 1].patient) != 0) crops->n_groups++;
    crops->crops[sorted[i].row].group = (uint32_t)(crops->n_groups - 1);
  }
  free(sorted);
  return LC_OK;
}

lc_status pl_crops_read(struct pl_crops *crops, const char *path, struct lc_error *err) {
  lc_status status = LC_OK;
  double *values = NULL;
  struct reader reader = {.path = path};
  memset(crops, 0, sizeof *crops);
  if (!lc_file_exists(path)) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no such file", path);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  if (pl_crops_is_dataset(path)) {
    crops->path = strdup(path);
    status = pl_crops_from_dataset(crops, path, err);
    if (status == LC_OK) status = number_patients(crops, err);
    if (status != LC_OK) pl_crops_free(crops);
    return status;
  }
  reader.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (reader.file < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: not an HDF5 file", path);
  crops->path = strdup(path);
  LC_TRY_GOTO(read_hu(&reader, crops, err), done);
  LC_TRY_GOTO(lc_alloc(&crops->crops, crops->n, sizeof *crops->crops, err), done);
  LC_TRY_GOTO(lc_alloc(&values, crops->n, sizeof *values, err), done);
  LC_TRY_GOTO(read_ratings(&reader, crops, values, err), done);
  LC_TRY_GOTO(read_identity(&reader, crops, err), done);
  LC_TRY_GOTO(number_patients(crops, err), done);
done:
  H5Fclose(reader.file);
  free(values);
  if (status != LC_OK) pl_crops_free(crops);
  return status;
}

void pl_crops_free(struct pl_crops *crops) {
  free(crops->path);
  free(crops->hu);
  free(crops->mask);
  free(crops->cubes);
  free(crops->crops);
  memset(crops, 0, sizeof *crops);
}

/* "train, validate": the splits that occur, each once. */
static void list_splits(const struct pl_crops *crops, struct lc_text *out) {
  for (size_t i = 0; i < crops->n; i++) {
    bool seen = false;
    for (size_t k = 0; k < i && !seen; k++)
      seen = strcmp(crops->crops[k].split, crops->crops[i].split) == 0;
    if (!seen) lc_text_add(out, "%s%s", out->length ? ", " : "", crops->crops[i].split);
  }
}

lc_status pl_crops_split(const struct pl_crops *crops, const char *split, uint32_t **rows,
                         size_t *n, struct lc_error *err) {
  LC_TRY(lc_alloc(rows, crops->n, sizeof **rows, err));
  *n = 0;
  for (size_t i = 0; i < crops->n; i++)
    if (strcmp(crops->crops[i].split, split) == 0) (*rows)[(*n)++] = (uint32_t)i;
  if (*n > 0) return LC_OK;
  free(*rows);
  *rows = NULL;
  struct lc_text splits = {0};
  list_splits(crops, &splits);
  lc_status status = lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__,
                             "%s: no nodule is in split \"%s\", expected one of: %s", crops->path,
                             split, lc_text_get(&splits));
  lc_text_free(&splits);
  return status;
}

lc_status pl_crops_fold(struct pl_crops *crops, enum pl_fold_unit unit, uint32_t folds,
                        uint32_t fold, uint64_t seed, struct lc_error *err) {
  bool patients = unit == PL_FOLD_PATIENT;
  size_t units = patients ? crops->n_groups : crops->n;
  if (folds < 2 || folds > units || fold >= folds)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: fold %u of %u cannot be made of %zu %s", crops->path, fold,
            folds, units, patients ? "patients" : "nodules");
  uint32_t *order = NULL, *place = NULL;
  lc_status status = lc_alloc(&order, units, sizeof *order, err);
  if (status == LC_OK) status = lc_alloc(&place, units, sizeof *place, err);
  if (status == LC_OK) {
    struct lc_random random;
    lc_random_init(&random, seed, "folds", 0);
    lc_random_permutation(&random, order, (uint32_t)units);
    for (uint32_t i = 0; i < units; i++) place[order[i]] = i;
    for (size_t i = 0; i < crops->n; i++) {
      uint32_t at = place[patients ? crops->crops[i].group : i];
      lc_text_copy(crops->crops[i].split, PL_SPLIT_SIZE, at % folds == fold ? "validate" : "train");
    }
  }
  free(order);
  free(place);
  return status;
}

static int stored_fold(const struct pl_crop *crop, enum pl_fold_unit unit) {
  return unit == PL_FOLD_PATIENT ? crop->fold_patient : crop->fold_nodule;
}

uint32_t pl_crops_stored_folds(const struct pl_crops *crops, enum pl_fold_unit unit) {
  int most = -1;
  for (size_t i = 0; i < crops->n; i++) {
    int fold = stored_fold(&crops->crops[i], unit);
    if (fold > most) most = fold;
  }
  return (uint32_t)(most + 1);
}

lc_status pl_crops_stored_fold(struct pl_crops *crops, enum pl_fold_unit unit, uint32_t fold,
                               struct lc_error *err) {
  uint32_t folds = pl_crops_stored_folds(crops, unit);
  if (folds < 2)
    LC_FAIL(err, LC_ERR_CONFIG,
            "%s: holds no folds, expected a data set by `lungcdam prepare` of "
            "as many patients as folds at least",
            crops->path);
  if (fold >= folds)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: holds %u folds, expected a fold below, not %u", crops->path,
            folds, fold);
  for (size_t i = 0; i < crops->n; i++)
    lc_text_copy(crops->crops[i].split, PL_SPLIT_SIZE,
                 stored_fold(&crops->crops[i], unit) == (int)fold ? "validate" : "train");
  return LC_OK;
}
