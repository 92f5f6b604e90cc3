/* Writes and reads the nodule data set column by column, from a table of fields, and deals its
 * folds. */
#include "pipeline/store/pl_dataset.h"

#include <hdf5.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_fold.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/store/pl_h5.h"

static const char content[] = "lungcdam nodule data set";

enum field_kind { TEXT, REAL, INTEGER };

/* One column of the file: a field of struct pl_sample. */
struct field {
  const char *path;
  enum field_kind kind;
  size_t offset, count; /* numbers; bytes of a text, one more in memory for its end */
  const char *unit, *doc;
};

#define AT(member) offsetof(struct pl_sample, member)

static const struct field fields[] = {
    {"nodules/PatientID", TEXT, AT(patient_id), 64, "", "patient"},
    {"nodules/StudyInstanceUID", TEXT, AT(study_instance_uid), 64, "", "study"},
    {"nodules/SeriesInstanceUID", TEXT, AT(series_instance_uid), 64, "", "series"},
    {"nodules/nodule", TEXT, AT(nodule), 64, "", "name within the series"},
    {"nodules/centre_mm", REAL, AT(centre_mm), 3, "mm", "patient position (LPS) of the centre"},
    {"nodules/diameter_mm", REAL, AT(diameter_mm), 1, "mm",
     "largest in-slice extent of any reader's outline, or as given"},
    {"nodules/volume_mm3", REAL, AT(volume_mm3), 1, "mm3", "consensus volume on the source's grid"},
    {"nodules/n_readers", INTEGER, AT(n_readers), 1, "1", "readers who marked it"},
    {"nodules/n_marks", INTEGER, AT(n_marks), 1, "1", "marks"},
    {"nodules/label", INTEGER, AT(label), 1, "1",
     "by the median malignancy: 1 above 3, 0 below 3, -1 at 3 (left out), -2 unrated"},
    {"nodules/faults", TEXT, AT(faults), 160, "", "what is odd about the marks"},
    {"nodules/split", TEXT, AT(split), 16, "", "split the source came with"},
    {"ratings/by_mark", INTEGER, AT(ratings), PL_DATASET_MARKS *CT_RATING_COUNT, "1",
     "ratings of each mark, mark by mark; 0: not given"},
    {"ratings/mean", REAL, AT(mean), CT_RATING_COUNT, "1", "mean over marks, zeros left out"},
    {"ratings/median", REAL, AT(median), CT_RATING_COUNT, "1", "median over marks, likewise"},
    {"scanner/Manufacturer", TEXT, AT(manufacturer), 64, "", "scanner's maker"},
    {"scanner/ManufacturerModelName", TEXT, AT(model_name), 64, "", "scanner's model"},
    {"scanner/ConvolutionKernel", TEXT, AT(convolution_kernel), 32, "", "reconstruction kernel"},
    {"scanner/spacing_mm", REAL, AT(spacing_mm), 3, "mm", "between columns, rows, slices"},
    {"scanner/SliceThickness", REAL, AT(slice_thickness_mm), 1, "mm", "nominal"},
    {"scanner/lossy", INTEGER, AT(lossy), 1, "1", "1: the source was compressed with loss"},
    {"scanner/verdict", TEXT, AT(verdict), 511, "", "rule that repaired the series; or empty"},
    {"cubes/n_padded", INTEGER, AT(n_padded), 1, "1",
     "samples outside the volume, filled with air"},
    {"folds/patient", INTEGER, AT(fold_patient), 1, "1",
     "stratified by label, a patient in one fold only; -1: no folds"},
    {"folds/nodule", INTEGER, AT(fold_nodule), 1, "1",
     "stratified by label, nodule by nodule: leaks patients between folds"},
};

enum { N_FIELDS = sizeof fields / sizeof *fields };

size_t pl_dataset_voxels(const struct pl_dataset *dataset) {
  size_t area = dataset->edge * dataset->edge;
  return dataset->dims == 3 ? area * dataset->edge : area;
}

lc_status pl_dataset_alloc(struct pl_dataset *dataset, size_t n, size_t edge, size_t dims,
                           double spacing_mm, struct lc_error *err) {
  memset(dataset, 0, sizeof *dataset);
  dataset->n = n;
  dataset->edge = edge;
  dataset->dims = dims;
  dataset->spacing_mm = spacing_mm;
  size_t voxels = pl_dataset_voxels(dataset);
  lc_status status = lc_alloc(&dataset->samples, n, sizeof *dataset->samples, err);
  if (status == LC_OK) status = lc_alloc(&dataset->hu, n, voxels * sizeof *dataset->hu, err);
  if (status == LC_OK && dims == 3) status = lc_alloc(&dataset->mask, n, voxels, err);
  for (size_t i = 0; i < n && status == LC_OK; i++)
    dataset->samples[i].fold_patient = dataset->samples[i].fold_nodule = -1;
  if (status != LC_OK) pl_dataset_free(dataset);
  return status;
}

void pl_dataset_free(struct pl_dataset *dataset) {
  for (size_t i = 0; dataset->samples && i < dataset->n; i++) free(dataset->samples[i].sops);
  free(dataset->samples);
  free(dataset->hu);
  free(dataset->mask);
  memset(dataset, 0, sizeof *dataset);
}

static size_t field_bytes(const struct field *field) {
  return field->kind == TEXT ? field->count
                             : field->count * (field->kind == REAL ? sizeof(double) : sizeof(int));
}

static void write_field(struct pl_h5 *h5, const struct pl_dataset *dataset,
                        const struct field *field, char *buffer) {
  size_t bytes = field_bytes(field), n = dataset->n;
  for (size_t i = 0; i < n; i++)
    memcpy(buffer + i * bytes, (const char *)&dataset->samples[i] + field->offset, bytes);
  if (field->kind == TEXT) {
    pl_h5_texts(h5, field->path, 1, &n, bytes, buffer, field->doc);
    return;
  }
  struct pl_h5_array array = {field->path,
                              field->kind == REAL ? PL_H5_F64 : PL_H5_I32,
                              field->count > 1 ? 2 : 1,
                              {n, field->count},
                              buffer,
                              field->unit,
                              field->doc};
  if (field->count == (size_t)PL_DATASET_MARKS * CT_RATING_COUNT) {
    array.rank = 3;
    array.dims[1] = PL_DATASET_MARKS;
    array.dims[2] = CT_RATING_COUNT;
  }
  pl_h5_array(h5, &array);
}

/* SOP UIDs as [n, most], short rows ending in empty texts. */
static lc_status write_sops(struct pl_h5 *h5, const struct pl_dataset *dataset,
                            struct lc_error *err) {
  size_t most = 1;
  char *texts;
  for (size_t i = 0; i < dataset->n; i++)
    if (dataset->samples[i].n_sops > most) most = dataset->samples[i].n_sops;
  LC_TRY(lc_alloc(&texts, dataset->n * most, 64, err));
  for (size_t i = 0; i < dataset->n; i++)
    for (size_t k = 0; k < dataset->samples[i].n_sops; k++) {
      const char *sop = dataset->samples[i].sops[k];
      memcpy(texts + (i * most + k) * 64, sop, strnlen(sop, 64));
    }
  pl_h5_texts(h5, "nodules/SOPInstanceUID", 2, (size_t[]){dataset->n, most}, 64, texts,
              "slices the voxels were interpolated from, along the normal");
  free(texts);
  return LC_OK;
}

static lc_status write_voxels(struct pl_h5 *h5, const struct pl_dataset *dataset,
                              pl_dataset_voxel_source source, void *context, struct lc_error *err) {
  size_t e = dataset->edge, voxels = pl_dataset_voxels(dataset);
  struct pl_h5_array hu = {"cubes/hu",
                           PL_H5_I16,
                           dataset->dims + 1,
                           {dataset->n, e, e, e},
                           NULL,
                           "HU",
                           "nodule in the centre, patient axes z, y, x (crops: row, column)"};
  struct pl_h5_array mask = {"cubes/mask",
                             PL_H5_U8,
                             dataset->dims + 1,
                             {dataset->n, e, e, e},
                             NULL,
                             "1",
                             "1 inside the readers' consensus"};
  bool masks = dataset->dims == 3;
  pl_h5_array(h5, &hu);
  if (masks) pl_h5_array(h5, &mask);
  if (!source) {
    pl_h5_rows(h5, hu.path, PL_H5_I16, 0, dataset->n, dataset->hu);
    if (masks) pl_h5_rows(h5, mask.path, PL_H5_U8, 0, dataset->n, dataset->mask);
    return LC_OK;
  }
  int16_t *one = NULL;
  uint8_t *inside = NULL;
  lc_status status = lc_alloc(&one, voxels, sizeof *one, err);
  if (status == LC_OK) status = lc_alloc(&inside, voxels, 1, err);
  for (size_t i = 0; i < dataset->n && status == LC_OK; i++) {
    status = source(context, i, one, inside, err);
    if (status != LC_OK) break;
    pl_h5_rows(h5, hu.path, PL_H5_I16, i, 1, one);
    if (masks) pl_h5_rows(h5, mask.path, PL_H5_U8, i, 1, inside);
  }
  free(one);
  free(inside);
  return status;
}

/* An attribute holds less than 64 KiB: the first lines, and how many more there were. */
static void write_left_out(struct pl_h5 *h5, const char *lines) {
  enum { MOST = 32768 };
  struct lc_text text = {0};
  size_t length = strlen(lines), more = 0;
  if (length > MOST) {
    length = MOST;
    while (length > 0 && lines[length - 1] != '\n') length--;
    for (const char *c = lines + length; *c; c++) more += *c == '\n';
  }
  lc_text_add_bytes(&text, lines, length);
  if (more) lc_text_add(&text, "and %zu more\n", more);
  pl_h5_attribute_text(h5, "/", "left_out", lc_text_get(&text));
  lc_text_free(&text);
}

static void write_about(struct pl_h5 *h5, const struct pl_dataset *dataset,
                        const struct pl_dataset_about *about) {
  struct lc_text names = {0};
  for (int r = 0; r < CT_RATING_COUNT; r++)
    lc_text_add(&names, "%s%s", r ? " " : "", ct_rating_name((ct_rating)r));
  pl_h5_attribute_text(h5, "/", "content", content);
  pl_h5_attribute_integer(h5, "/", "schema_version", PL_DATASET_SCHEMA);
  pl_h5_attribute_text(h5, "/", "program_version", pl_version());
  pl_h5_attribute_text(h5, "/", "use", "research use only");
  pl_h5_attribute_text(h5, "/", "settings", about->settings);
  pl_h5_attribute_text(h5, "/", "key", about->key);
  write_left_out(h5, about->left_out);
  pl_h5_attribute_real(h5, "/", "spacing_mm", dataset->spacing_mm);
  pl_h5_attribute_text(h5, "ratings/mean", "names", lc_text_get(&names));
  pl_h5_attribute_integer(h5, "folds/patient", "n_folds", about->n_folds);
  pl_h5_attribute_integer(h5, "folds/patient", "seed", (int64_t)about->fold_seed);
  pl_h5_attribute_integer(h5, "folds/patient", "leaks_patients", 0);
  pl_h5_attribute_integer(h5, "folds/nodule", "n_folds", about->n_folds);
  pl_h5_attribute_integer(h5, "folds/nodule", "seed", (int64_t)about->fold_seed);
  pl_h5_attribute_integer(h5, "folds/nodule", "leaks_patients", 1);
  lc_text_free(&names);
}

lc_status pl_dataset_write(const struct pl_dataset *dataset, const struct pl_dataset_about *about,
                           pl_dataset_voxel_source source, void *context, const char *path,
                           struct lc_error *err) {
  struct pl_h5 h5;
  char *buffer;
  if (dataset->n == 0) LC_FAIL(err, LC_ERR_NO_NODULES, "%s: no nodule to write", path);
  LC_TRY(lc_alloc(&buffer, dataset->n, sizeof(struct pl_sample), err));
  pl_h5_start(&h5);
  lc_status status = write_voxels(&h5, dataset, source, context, err);
  for (size_t f = 0; f < N_FIELDS && status == LC_OK; f++)
    write_field(&h5, dataset, &fields[f], buffer);
  if (status == LC_OK) status = write_sops(&h5, dataset, err);
  free(buffer);
  if (status != LC_OK) {
    pl_h5_abort(&h5);
    return status;
  }
  write_about(&h5, dataset, about);
  return pl_h5_finish(&h5, path, err);
}

/* Opens a dataset and checks its first dimension and how many values it holds a sample. */
static lc_status open_column(hid_t file, const char *path, const char *name, size_t n,
                             hsize_t dims[PL_H5_MAX_RANK], int *rank, hid_t *set,
                             struct lc_error *err) {
  *set = H5Dopen2(file, name, H5P_DEFAULT);
  if (*set < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: no dataset %s", path, name);
  hid_t space = H5Dget_space(*set);
  *rank = H5Sget_simple_extent_ndims(space);
  if (*rank >= 1 && *rank <= PL_H5_MAX_RANK) H5Sget_simple_extent_dims(space, dims, NULL);
  H5Sclose(space);
  if (*rank < 1 || *rank > PL_H5_MAX_RANK || (n && dims[0] != n)) {
    H5Dclose(*set);
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset %s is not of %zu nodules", path, name, n);
  }
  return LC_OK;
}

/* Reads texts cut to `width` bytes, whatever their width in the file. */
static herr_t read_texts(hid_t set, size_t width, char *out) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, width);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  hid_t stored = H5Dget_type(set);
  if (H5Tget_class(stored) == H5T_STRING) H5Tset_cset(type, H5Tget_cset(stored));
  herr_t result = H5Tget_class(stored) == H5T_STRING
                      ? H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out)
                      : -1;
  H5Tclose(stored);
  H5Tclose(type);
  return result;
}

static lc_status read_field(hid_t file, const char *path, struct pl_dataset *dataset,
                            const struct field *field, char *buffer, struct lc_error *err) {
  hsize_t dims[PL_H5_MAX_RANK] = {0}, values = 1;
  int rank = 0;
  hid_t set = -1;
  LC_TRY(open_column(file, path, field->path, dataset->n, dims, &rank, &set, err));
  for (int d = 1; d < rank; d++) values *= dims[d];
  herr_t result = -1;
  if (field->kind == TEXT && rank == 1)
    result = read_texts(set, field->count, buffer);
  else if (field->kind != TEXT && values == field->count)
    result = H5Dread(set, field->kind == REAL ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT, H5S_ALL,
                     H5S_ALL, H5P_DEFAULT, buffer);
  H5Dclose(set);
  if (result < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset %s is of another shape or type", path, field->path);
  size_t bytes = field_bytes(field);
  for (size_t i = 0; i < dataset->n; i++) {
    char *out = (char *)&dataset->samples[i] + field->offset;
    memcpy(out, buffer + i * bytes, bytes);
  }
  return LC_OK;
}

static lc_status read_sops(hid_t file, const char *path, struct pl_dataset *dataset,
                           struct lc_error *err) {
  hsize_t dims[PL_H5_MAX_RANK] = {0};
  int rank = 0;
  hid_t set = -1;
  char *texts = NULL;
  LC_TRY(open_column(file, path, "nodules/SOPInstanceUID", dataset->n, dims, &rank, &set, err));
  size_t most = rank == 2 ? (size_t)dims[1] : 0;
  lc_status status = lc_alloc(&texts, dataset->n * (most ? most : 1), 64, err);
  if (status == LC_OK && (rank != 2 || read_texts(set, 64, texts) < 0))
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                     "%s: dataset nodules/SOPInstanceUID is of another shape or type", path);
  H5Dclose(set);
  for (size_t i = 0; i < dataset->n && status == LC_OK; i++) {
    struct pl_sample *sample = &dataset->samples[i];
    status = lc_alloc(&sample->sops, most, CT_UID_SIZE, err);
    for (size_t k = 0; k < most && status == LC_OK; k++) {
      memcpy(sample->sops[k], texts + (i * most + k) * 64, 64);
      if (sample->sops[k][0]) sample->n_sops = k + 1;
    }
  }
  free(texts);
  return status;
}

static lc_status read_voxels(hid_t file, const char *path, const char *name, hid_t type, void *out,
                             struct lc_error *err) {
  hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
  herr_t result = set >= 0 ? H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) : -1;
  if (set >= 0) H5Dclose(set);
  if (result < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset %s cannot be read", path, name);
  return LC_OK;
}

/* Shape of the cubes, and room for what is to be read. */
static lc_status read_shape(hid_t file, const char *path, struct pl_dataset *dataset, bool voxels,
                            struct lc_error *err) {
  hsize_t dims[PL_H5_MAX_RANK] = {0};
  int rank = 0;
  hid_t set = -1;
  LC_TRY(open_column(file, path, "cubes/hu", 0, dims, &rank, &set, err));
  H5Dclose(set);
  bool square = rank == 3 || rank == 4;
  for (int d = 2; d < rank; d++) square = square && dims[d] == dims[1];
  if (!square || dims[0] > 10000000 || dims[1] < 1 || dims[1] > 1024)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset cubes/hu is neither cubes nor squares", path);
  dataset->n = (size_t)dims[0];
  dataset->edge = (size_t)dims[1];
  dataset->dims = (size_t)rank - 1;
  hid_t attribute = H5Aopen(file, "spacing_mm", H5P_DEFAULT);
  if (attribute < 0 || H5Aread(attribute, H5T_NATIVE_DOUBLE, &dataset->spacing_mm) < 0)
    dataset->spacing_mm = 1;
  if (attribute >= 0) H5Aclose(attribute);
  size_t count = pl_dataset_voxels(dataset);
  LC_TRY(lc_alloc(&dataset->samples, dataset->n, sizeof *dataset->samples, err));
  if (!voxels) return LC_OK;
  LC_TRY(lc_alloc(&dataset->hu, dataset->n, count * sizeof *dataset->hu, err));
  LC_TRY(read_voxels(file, path, "cubes/hu", H5T_NATIVE_INT16, dataset->hu, err));
  if (rank == 3) return LC_OK;
  LC_TRY(lc_alloc(&dataset->mask, dataset->n, count, err));
  LC_TRY(open_column(file, path, "cubes/mask", dataset->n, dims, &rank, &set, err));
  H5Dclose(set);
  if (rank != 4 || dims[1] != dataset->edge || dims[2] != dataset->edge || dims[3] != dataset->edge)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset cubes/mask is not of the shape of cubes/hu", path);
  return read_voxels(file, path, "cubes/mask", H5T_NATIVE_UINT8, dataset->mask, err);
}

lc_status pl_dataset_read(struct pl_dataset *dataset, const char *path, bool voxels,
                          struct lc_error *err) {
  char found[64];
  char *buffer = NULL;
  memset(dataset, 0, sizeof *dataset);
  LC_TRY(pl_h5_read_attribute(path, "content", found, sizeof found, err));
  if (strcmp(found, content) != 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no nodule data set, see lungcdam prepare", path);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be opened as HDF5", path);
  lc_status status = read_shape(file, path, dataset, voxels, err);
  if (status == LC_OK) status = lc_alloc(&buffer, dataset->n, sizeof(struct pl_sample), err);
  for (size_t f = 0; f < N_FIELDS && status == LC_OK; f++)
    status = read_field(file, path, dataset, &fields[f], buffer, err);
  if (status == LC_OK) status = read_sops(file, path, dataset, err);
  free(buffer);
  H5Fclose(file);
  if (status != LC_OK) pl_dataset_free(dataset);
  return status;
}

lc_status pl_dataset_fold(struct pl_dataset *dataset, int n_folds, uint64_t seed,
                          struct lc_error *err) {
  size_t n = dataset->n;
  const char **patients = NULL, **identities = NULL;
  char(*names)[160] = NULL;
  int *strata = NULL, *by_patient = NULL, *by_nodule = NULL;
  lc_status status = lc_alloc(&patients, n, sizeof(char *), err);
  if (status == LC_OK) status = lc_alloc(&identities, n, sizeof(char *), err);
  if (status == LC_OK) status = lc_alloc(&names, n, sizeof *names, err);
  if (status == LC_OK) status = lc_alloc(&strata, n, sizeof *strata, err);
  if (status == LC_OK) status = lc_alloc(&by_patient, n, sizeof *by_patient, err);
  if (status == LC_OK) status = lc_alloc(&by_nodule, n, sizeof *by_nodule, err);
  for (size_t i = 0; i < n && status == LC_OK; i++) {
    const struct pl_sample *sample = &dataset->samples[i];
    snprintf(names[i], sizeof names[i], "%.64s %.64s", sample->series_instance_uid, sample->nodule);
    identities[i] = names[i];
    patients[i] = sample->patient_id;
    strata[i] = sample->label - CT_LABEL_UNRATED;
  }
  if (status == LC_OK) {
    struct lc_error why;
    lc_status folded = ct_folds_by_group(patients, strata, n, n_folds, seed, by_patient, &why);
    if (folded == LC_OK)
      folded = ct_folds_by_item(identities, strata, n, n_folds, seed, by_nodule, &why);
    if (folded != LC_OK) lc_log(LC_LOG_WARNING, "no folds: %s", why.message);
    for (size_t i = 0; i < n; i++) {
      dataset->samples[i].fold_patient = folded == LC_OK ? by_patient[i] : -1;
      dataset->samples[i].fold_nodule = folded == LC_OK ? by_nodule[i] : -1;
    }
  }
  free((void *)patients);
  free((void *)identities);
  free(names);
  free(strata);
  free(by_patient);
  free(by_nodule);
  return status;
}
