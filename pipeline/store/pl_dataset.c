/* Writes and reads the nodule data set column by column, from a table of fields, and deals its
 * folds. */
#include "pipeline/store/pl_dataset.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_fold.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/store/pl_h5.h"

static const char content[] = "lungcdam nodule data set";

#define AT(member) offsetof(struct pl_sample, member)

static const struct pl_h5_field fields[] = {
    {"nodules/PatientID", PL_H5_TEXT, AT(patient_id), 64, 0, "", "patient"},
    {"nodules/StudyInstanceUID", PL_H5_TEXT, AT(study_instance_uid), 64, 0, "", "study"},
    {"nodules/SeriesInstanceUID", PL_H5_TEXT, AT(series_instance_uid), 64, 0, "", "series"},
    {"nodules/nodule", PL_H5_TEXT, AT(nodule), 64, 0, "", "name within the series"},
    {"nodules/centre_mm", PL_H5_F64, AT(centre_mm), 3, 0, "mm",
     "patient position (LPS) of the centre"},
    {"nodules/diameter_mm", PL_H5_F64, AT(diameter_mm), 0, 0, "mm",
     "largest in-slice extent of any reader's outline, or as given"},
    {"nodules/volume_mm3", PL_H5_F64, AT(volume_mm3), 0, 0, "mm3",
     "consensus volume on the source's grid"},
    {"nodules/n_readers", PL_H5_I32, AT(n_readers), 0, 0, "1", "readers who marked it"},
    {"nodules/n_marks", PL_H5_I32, AT(n_marks), 0, 0, "1", "marks"},
    {"nodules/label", PL_H5_I32, AT(label), 0, 0, "1",
     "by the median malignancy: 1 above 3, 0 below 3, -1 at 3 (left out), -2 unrated"},
    {"nodules/faults", PL_H5_TEXT, AT(faults), 160, 0, "", "what is odd about the marks"},
    {"nodules/split", PL_H5_TEXT, AT(split), 16, 0, "", "split the source came with"},
    {"ratings/by_mark", PL_H5_I32, AT(ratings), PL_DATASET_MARKS, CT_RATING_COUNT, "1",
     "ratings of each mark, mark by mark; 0: not given"},
    {"ratings/mean", PL_H5_F64, AT(mean), CT_RATING_COUNT, 0, "1",
     "mean over marks, zeros left out"},
    {"ratings/median", PL_H5_F64, AT(median), CT_RATING_COUNT, 0, "1",
     "median over marks, likewise"},
    {"scanner/Manufacturer", PL_H5_TEXT, AT(manufacturer), 64, 0, "", "scanner's maker"},
    {"scanner/ManufacturerModelName", PL_H5_TEXT, AT(model_name), 64, 0, "", "scanner's model"},
    {"scanner/ConvolutionKernel", PL_H5_TEXT, AT(convolution_kernel), 32, 0, "",
     "reconstruction kernel"},
    {"scanner/spacing_mm", PL_H5_F64, AT(spacing_mm), 3, 0, "mm", "between columns, rows, slices"},
    {"scanner/SliceThickness", PL_H5_F64, AT(slice_thickness_mm), 0, 0, "mm", "nominal"},
    {"scanner/lossy", PL_H5_I32, AT(lossy), 0, 0, "1", "1: the source was compressed with loss"},
    {"scanner/verdict", PL_H5_TEXT, AT(verdict), 511, 0, "",
     "rule that repaired the series; or empty"},
    {"cubes/n_padded", PL_H5_I32, AT(n_padded), 0, 0, "1",
     "samples outside the volume, filled with air"},
    {"folds/patient", PL_H5_I32, AT(fold_patient), 0, 0, "1",
     "stratified by label, a patient in one fold only; -1: no folds"},
    {"folds/nodule", PL_H5_I32, AT(fold_nodule), 0, 0, "1",
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

static struct pl_h5_structs samples_of(const struct pl_dataset *dataset) {
  return (struct pl_h5_structs){dataset->samples, sizeof *dataset->samples, dataset->n, 0};
}

/* SOP UIDs as [n, most], short rows ending in empty texts. */
static lc_status write_sops(struct pl_h5 *h5, const struct pl_dataset *dataset,
                            struct lc_error *err) {
  size_t most = 1;
  LC_FREED char *texts = NULL;
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
  return LC_OK;
}

static lc_status write_voxels(struct pl_h5 *h5, const struct pl_dataset *dataset,
                              pl_dataset_voxel_source source, void *context, struct lc_error *err) {
  size_t n = dataset->n, e = dataset->edge, voxels = pl_dataset_voxels(dataset);
  struct pl_h5_array hu = {
      "cubes/hu", PL_H5_I16, PL_H5_DIMS(n, e, e, e),
      NULL,       "HU",      "nodule in the centre, patient axes z, y, x (crops: row, column)"};
  struct pl_h5_array mask = {"cubes/mask", PL_H5_U8, PL_H5_DIMS(n, e, e, e),
                             NULL,         "1",      "1 inside the readers' consensus"};
  bool masks = dataset->dims == 3;
  hu.rank = dataset->dims + 1;
  pl_h5_array(h5, &hu);
  if (masks) pl_h5_array(h5, &mask);
  if (!source) {
    pl_h5_rows(h5, hu.path, hu.type, 0, n, dataset->hu);
    if (masks) pl_h5_rows(h5, mask.path, mask.type, 0, n, dataset->mask);
    return LC_OK;
  }
  LC_FREED int16_t *one = NULL;
  LC_FREED uint8_t *inside = NULL;
  LC_TRY(lc_alloc(&one, voxels, sizeof *one, err));
  LC_TRY(lc_alloc(&inside, voxels, 1, err));
  for (size_t i = 0; i < n; i++) {
    LC_TRY(source(context, i, one, inside, err));
    pl_h5_rows(h5, hu.path, hu.type, i, 1, one);
    if (masks) pl_h5_rows(h5, mask.path, mask.type, i, 1, inside);
  }
  return LC_OK;
}

/* An attribute holds less than 64 KiB: the first lines, and how many more there were. */
static void write_left_out(struct pl_h5 *h5, const char *lines) {
  enum { MOST = 32768 };
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  size_t length = strlen(lines), more = 0;
  if (length > MOST) {
    length = MOST;
    while (length > 0 && lines[length - 1] != '\n') length--;
    for (const char *c = lines + length; *c; c++) more += *c == '\n';
  }
  lc_text_add_bytes(&text, lines, length);
  if (more) lc_text_add(&text, "and %zu more\n", more);
  pl_h5_attribute_text(h5, "/", "left_out", lc_text_get(&text));
}

static void write_about(struct pl_h5 *h5, const struct pl_dataset *dataset,
                        const struct pl_dataset_about *about) {
  LC_SCOPED(lc_text_free) struct lc_text names = {0};
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
  static const char *const folds[] = {"folds/patient", "folds/nodule"};
  for (int leaks = 0; leaks < 2; leaks++) {
    pl_h5_attribute_integer(h5, folds[leaks], "n_folds", about->n_folds);
    pl_h5_attribute_integer(h5, folds[leaks], "seed", (int64_t)about->fold_seed);
    pl_h5_attribute_integer(h5, folds[leaks], "leaks_patients", leaks);
  }
}

lc_status pl_dataset_write(const struct pl_dataset *dataset, const struct pl_dataset_about *about,
                           pl_dataset_voxel_source source, void *context, const char *path,
                           struct lc_error *err) {
  struct pl_h5 h5;
  struct pl_h5_structs samples = samples_of(dataset);
  if (dataset->n == 0) LC_FAIL(err, LC_ERR_NO_NODULES, "%s: no nodule to write", path);
  pl_h5_start(&h5);
  lc_status status = write_voxels(&h5, dataset, source, context, err);
  if (status == LC_OK) status = pl_h5_fields(&h5, fields, N_FIELDS, &samples, NULL, err);
  if (status == LC_OK) status = write_sops(&h5, dataset, err);
  if (status != LC_OK) {
    pl_h5_abort(&h5);
    return status;
  }
  write_about(&h5, dataset, about);
  return pl_h5_finish(&h5, path, err);
}

static lc_status read_sops(struct pl_h5_in *in, struct pl_dataset *dataset, struct lc_error *err) {
  size_t dims[2];
  pl_h5_shape(in, "nodules/SOPInstanceUID", 2, dims);
  if (dims[0] != dataset->n) pl_h5_expect(in, "nodules/SOPInstanceUID", "UIDs of each nodule");
  LC_FREED char(*texts)[CT_UID_SIZE] =
      pl_h5_read_texts(in, "nodules/SOPInstanceUID", CT_UID_SIZE, 2, dims);
  for (size_t i = 0; i < dataset->n && in->status == LC_OK; i++) {
    struct pl_sample *sample = &dataset->samples[i];
    LC_TRY(lc_alloc(&sample->sops, dims[1], CT_UID_SIZE, err));
    memcpy(sample->sops, texts + i * dims[1], dims[1] * CT_UID_SIZE);
    for (size_t k = 0; k < dims[1]; k++)
      if (sample->sops[k][0]) sample->n_sops = k + 1;
  }
  return in->status;
}

static lc_status read_all(struct pl_h5_in *in, struct pl_dataset *dataset, bool voxels,
                          struct lc_error *err) {
  size_t dims[4], rank = pl_h5_rank(in, "cubes/hu") == 4 ? 4 : 3;
  pl_h5_shape(in, "cubes/hu", rank, dims);
  if (dims[1] != dims[2] || dims[2] != dims[rank - 1] || dims[0] > 10000000 || dims[1] < 1 ||
      dims[1] > 1024)
    pl_h5_expect(in, "cubes/hu", "cubes or squares");
  LC_TRY(in->status);
  dataset->n = dims[0];
  dataset->edge = dims[1];
  dataset->dims = rank - 1;
  dataset->spacing_mm = pl_h5_read_number(in, "spacing_mm", 1);
  LC_TRY(lc_alloc(&dataset->samples, dataset->n, sizeof *dataset->samples, err));
  if (voxels) dataset->hu = pl_h5_read(in, "cubes/hu", PL_H5_I16, rank, dims);
  if (voxels && rank == 4) dataset->mask = pl_h5_read(in, "cubes/mask", PL_H5_U8, rank, dims);
  struct pl_h5_structs samples = samples_of(dataset);
  pl_h5_read_fields(in, fields, N_FIELDS, &samples);
  return read_sops(in, dataset, err);
}

lc_status pl_dataset_read(struct pl_dataset *dataset, const char *path, bool voxels,
                          struct lc_error *err) {
  LC_SCOPED(pl_h5_close) struct pl_h5_in in = {.path = path};
  char found[64];
  memset(dataset, 0, sizeof *dataset);
  LC_TRY(pl_h5_read_attribute(path, "content", found, sizeof found, err));
  if (strcmp(found, content) != 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no nodule data set, see lungcdam prepare", path);
  LC_TRY(pl_h5_open(&in, path, err));
  lc_status status = read_all(&in, dataset, voxels, err);
  if (status != LC_OK) pl_dataset_free(dataset);
  return status;
}

lc_status pl_dataset_fold(struct pl_dataset *dataset, int n_folds, uint64_t seed,
                          struct lc_error *err) {
  size_t n = dataset->n;
  LC_FREED const char **patients = NULL;
  LC_FREED const char **identities = NULL;
  LC_FREED char(*names)[160] = NULL;
  LC_FREED int *strata = NULL;
  LC_FREED int *by_patient = NULL;
  LC_FREED int *by_nodule = NULL;
  LC_TRY(lc_alloc(&patients, n, sizeof(char *), err));
  LC_TRY(lc_alloc(&identities, n, sizeof(char *), err));
  LC_TRY(lc_alloc(&names, n, sizeof *names, err));
  LC_TRY(lc_alloc(&strata, n, sizeof *strata, err));
  LC_TRY(lc_alloc(&by_patient, n, sizeof *by_patient, err));
  LC_TRY(lc_alloc(&by_nodule, n, sizeof *by_nodule, err));
  for (size_t i = 0; i < n; i++) {
    const struct pl_sample *sample = &dataset->samples[i];
    snprintf(names[i], sizeof names[i], "%.64s %.64s", sample->series_instance_uid, sample->nodule);
    identities[i] = names[i];
    patients[i] = sample->patient_id;
    strata[i] = sample->label - CT_LABEL_UNRATED;
  }
  struct lc_error why;
  lc_status folded = ct_folds_by_group(patients, strata, n, n_folds, seed, by_patient, &why);
  if (folded == LC_OK)
    folded = ct_folds_by_item(identities, strata, n, n_folds, seed, by_nodule, &why);
  if (folded != LC_OK) lc_log(LC_LOG_WARNING, "no folds: %s", why.message);
  for (size_t i = 0; i < n; i++) {
    dataset->samples[i].fold_patient = folded == LC_OK ? by_patient[i] : -1;
    dataset->samples[i].fold_nodule = folded == LC_OK ? by_nodule[i] : -1;
  }
  return LC_OK;
}
