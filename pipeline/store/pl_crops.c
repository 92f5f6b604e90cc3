/* Reads crops with their ratings and patients from crop sets and data sets, selects splits, and
 * deals folds. */
#include "pipeline/store/pl_crops.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/store/pl_dataset.h"
#include "pipeline/store/pl_h5.h"

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

static lc_status read_hu(struct pl_h5_in *in, struct pl_crops *crops) {
  size_t dims[3];
  pl_h5_shape(in, "hu", 3, dims);
  if (dims[0] == 0 || dims[0] > MOST_CROPS || dims[1] == 0 || dims[1] > MOST_SIZE ||
      dims[1] != dims[2])
    pl_h5_expect(in, "hu", "square crops [n, size, size]");
  crops->n = dims[0];
  crops->size = dims[1];
  crops->hu = pl_h5_read(in, "hu", PL_H5_F32, 3, dims);
  size_t area = crops->size * crops->size;
  for (size_t i = 0; in->status == LC_OK && i < crops->n * area; i++)
    if (!isfinite(crops->hu[i]))
      LC_FAIL(in->err, LC_ERR_NUMERIC, "%s: hu of row %zu is not finite", in->path, i / area);
  return in->status;
}

static lc_status read_spacing(struct pl_h5_in *in, struct pl_crops *crops) {
  LC_FREED double *values = pl_h5_read(in, "pixel_spacing_mm", PL_H5_F64, 1, &crops->n);
  for (size_t i = 0; in->status == LC_OK && i < crops->n; i++) {
    if (!(values[i] > 0 && values[i] < 100))
      LC_FAIL(in->err, LC_ERR_NUMERIC, "%s: pixel_spacing_mm of row %zu is %g", in->path, i,
              values[i]);
    struct pl_crop *crop = &crops->crops[i];
    *crop = (struct pl_crop){.spacing_mm = values[i], .fold_patient = -1, .fold_nodule = -1};
    for (int a = 0; a < 3; a++) crop->centre_mm[a] = NAN;
  }
  return in->status;
}

static void read_ratings(struct pl_h5_in *in, struct pl_crops *crops) {
  LC_FREED double *malignancy = pl_h5_read(in, "malignancy_1_to_5", PL_H5_F64, 1, &crops->n);
  for (size_t i = 0; in->status == LC_OK && i < crops->n; i++)
    crops->crops[i].malignancy = malignancy[i];
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    char name[64] = "equivalent_diameter_px";
    bool diameter = strcmp(pl_biomarker_names[b], "diameter") == 0;
    if (!diameter) snprintf(name, sizeof name, "ratings/%s", pl_biomarker_names[b]);
    LC_FREED double *values = pl_h5_read(in, name, PL_H5_F64, 1, &crops->n);
    for (size_t i = 0; in->status == LC_OK && i < crops->n; i++)
      crops->crops[i].biomarkers[b] = diameter ? values[i] * crops->crops[i].spacing_mm : values[i];
  }
}

/* Readers who rated, where the file distinguishes them: malignancy_by_reader [n, readers], 0 or NaN
 * for none. */
static void count_readers(struct pl_h5_in *in, struct pl_crops *crops) {
  size_t dims[2];
  if (in->status != LC_OK || !pl_h5_has(in, "malignancy_by_reader")) return;
  pl_h5_shape(in, "malignancy_by_reader", 2, dims);
  if (dims[0] != crops->n || dims[1] == 0 || dims[1] > 64)
    pl_h5_expect(in, "malignancy_by_reader", "1 to 64 readers of each crop");
  LC_FREED float *ratings = pl_h5_read(in, "malignancy_by_reader", PL_H5_F32, 2, dims);
  for (size_t i = 0; in->status == LC_OK && i < dims[0] * dims[1]; i++)
    crops->crops[i / dims[1]].readers += ratings[i] > 0;
}

static void read_identity(struct pl_h5_in *in, struct pl_crops *crops) {
  size_t n = crops->n;
  LC_FREED char(*patients)[PL_PATIENT_SIZE] =
      pl_h5_read_texts(in, "patient_id", PL_PATIENT_SIZE, 1, &n);
  LC_FREED char(*splits)[PL_SPLIT_SIZE] = pl_h5_read_texts(in, "split", PL_SPLIT_SIZE, 1, &n);
  LC_FREED int *nodules = pl_h5_read(in, "nodule_id", PL_H5_I32, 1, &n);
  for (size_t i = 0; in->status == LC_OK && i < n; i++) {
    memcpy(crops->crops[i].patient, patients[i], PL_PATIENT_SIZE);
    memcpy(crops->crops[i].split, splits[i], PL_SPLIT_SIZE);
    crops->crops[i].nodule = nodules[i];
  }
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
  LC_FREED struct named_row *sorted = NULL;
  LC_TRY(lc_alloc(&sorted, crops->n, sizeof *sorted, err));
  for (size_t i = 0; i < crops->n; i++) sorted[i] = (struct named_row){crops->crops[i].patient, i};
  qsort(sorted, crops->n, sizeof *sorted, compare_patients);
  for (size_t i = 0; i < crops->n; i++) {
    if (i == 0 || strcmp(sorted[i].patient, sorted[i - 1].patient) != 0) crops->n_groups++;
    crops->crops[sorted[i].row].group = (uint32_t)(crops->n_groups - 1);
  }
  return LC_OK;
}

/* -- data sets ------------------------------------------------------------------------------ */

bool pl_crops_is_dataset(const char *path) {
  char content[64];
  return pl_h5_read_attribute(path, "content", content, sizeof content, NULL) == LC_OK &&
         strcmp(content, "lungcdam nodule data set") == 0;
}

/* The biomarker's mean rating; the diameter is measured. */
static double biomarker(const struct pl_sample *sample, const char *name) {
  if (strcmp(name, "diameter") == 0) return sample->diameter_mm;
  for (int r = 0; r < CT_RATING_COUNT; r++)
    if (strcmp(name, ct_rating_name((ct_rating)r)) == 0) return sample->mean[r];
  return NAN;
}

static void describe(struct pl_crop *crop, const struct pl_sample *sample,
                     const struct pl_dataset *dataset) {
  long long number = 0;
  crop->spacing_mm = dataset->spacing_mm;
  memcpy(crop->centre_mm, sample->centre_mm, sizeof crop->centre_mm);
  if (dataset->dims == 3 && dataset->edge % 2 == 0) /* the middle lies between two slices */
    crop->centre_mm[2] += dataset->spacing_mm / 2;
  crop->readers = sample->n_readers;
  crop->fold_patient = sample->fold_patient;
  crop->fold_nodule = sample->fold_nodule;
  crop->malignancy = sample->median[CT_MALIGNANCY];
  for (size_t b = 0; b < PL_BIOMARKERS; b++)
    crop->biomarkers[b] = biomarker(sample, pl_biomarker_names[b]);
  lc_text_copy(crop->patient, sizeof crop->patient, sample->patient_id);
  if (strncmp(sample->nodule, "nodule-", 7) == 0)
    (void)lc_text_to_long(sample->nodule + 7, &number);
  crop->nodule = (int)number;
  if (sample->split[0])
    lc_text_copy(crop->split, sizeof crop->split, sample->split);
  else
    lc_text_copy(crop->split, sizeof crop->split, sample->fold_patient == 0 ? "validate" : "train");
}

/* Its cubes, and the axial slice through the middle of each. */
static lc_status read_dataset(struct pl_crops *crops, const char *path, struct lc_error *err) {
  LC_SCOPED(pl_dataset_free) struct pl_dataset dataset;
  LC_TRY(pl_dataset_read(&dataset, path, true, err));
  size_t area = dataset.edge * dataset.edge, voxels = pl_dataset_voxels(&dataset);
  size_t middle = dataset.dims == 3 ? dataset.edge / 2 * area : 0;
  crops->n = dataset.n;
  crops->size = dataset.edge;
  LC_TRY(lc_alloc(&crops->hu, dataset.n * area, sizeof *crops->hu, err));
  if (dataset.mask) LC_TRY(lc_alloc(&crops->mask, dataset.n * area, sizeof *crops->mask, err));
  LC_TRY(lc_alloc(&crops->crops, dataset.n, sizeof *crops->crops, err));
  for (size_t i = 0; i < dataset.n; i++) {
    for (size_t v = 0; v < area; v++)
      crops->hu[i * area + v] = (float)dataset.hu[i * voxels + middle + v];
    if (dataset.mask) memcpy(crops->mask + i * area, dataset.mask + i * voxels + middle, area);
    describe(&crops->crops[i], &dataset.samples[i], &dataset);
  }
  if (dataset.dims == 3) { /* the voxels change hands */
    crops->cubes = dataset.hu;
    dataset.hu = NULL;
  }
  return LC_OK;
}

/* -- both kinds of file --------------------------------------------------------------------- */

static lc_status read_crops(struct pl_crops *crops, const char *path, struct lc_error *err) {
  LC_SCOPED(pl_h5_close) struct pl_h5_in in;
  LC_TRY(pl_h5_open(&in, path, err));
  LC_TRY(read_hu(&in, crops));
  LC_TRY(lc_alloc(&crops->crops, crops->n, sizeof *crops->crops, err));
  LC_TRY(read_spacing(&in, crops));
  read_ratings(&in, crops);
  read_identity(&in, crops);
  count_readers(&in, crops);
  return in.status;
}

lc_status pl_crops_read(struct pl_crops *crops, const char *path, struct lc_error *err) {
  memset(crops, 0, sizeof *crops);
  lc_status status =
      pl_crops_is_dataset(path) ? read_dataset(crops, path, err) : read_crops(crops, path, err);
  crops->path = strdup(path);
  if (status == LC_OK) status = number_patients(crops, err);
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
  LC_SCOPED(lc_text_free) struct lc_text splits = {0};
  list_splits(crops, &splits);
  LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no nodule is in split \"%s\", expected one of: %s",
          crops->path, split, lc_text_get(&splits));
}

lc_status pl_crops_fold(struct pl_crops *crops, enum pl_fold_unit unit, uint32_t folds,
                        uint32_t fold, uint64_t seed, struct lc_error *err) {
  bool patients = unit == PL_FOLD_PATIENT;
  size_t units = patients ? crops->n_groups : crops->n;
  if (folds < 2 || folds > units || fold >= folds)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: fold %u of %u cannot be made of %zu %s", crops->path, fold,
            folds, units, patients ? "patients" : "nodules");
  struct lc_random random;
  LC_FREED uint32_t *order = NULL;
  LC_FREED uint32_t *place = NULL;
  LC_TRY(lc_alloc(&order, units, sizeof *order, err));
  LC_TRY(lc_alloc(&place, units, sizeof *place, err));
  lc_random_init(&random, seed, "folds", 0);
  lc_random_permutation(&random, order, (uint32_t)units);
  for (uint32_t i = 0; i < units; i++) place[order[i]] = i;
  for (size_t i = 0; i < crops->n; i++) {
    uint32_t at = place[patients ? crops->crops[i].group : i];
    lc_text_copy(crops->crops[i].split, PL_SPLIT_SIZE, at % folds == fold ? "validate" : "train");
  }
  return LC_OK;
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
