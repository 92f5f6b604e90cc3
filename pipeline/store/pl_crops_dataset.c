/* Reads a data set made by `lungcdam prepare` as crops: its cubes, and the axial slice through the
 * middle of each. */
#include <math.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/store/pl_crops.h"
#include "pipeline/store/pl_dataset.h"
#include "pipeline/store/pl_h5.h"

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

lc_status pl_crops_from_dataset(struct pl_crops *crops, const char *path, struct lc_error *err) {
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
