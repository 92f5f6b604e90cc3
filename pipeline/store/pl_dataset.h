/* The nodule data set: one HDF5 file of cubes (or two-dimensional crops), masks, ratings,
 * identities and folds. docs/dataset.md gives the layout with the h5py lines that read it.
 *
 * The same content gives the same bytes. Thread-safety: HDF5 is used from one thread at a time. */
#pragma once

#include "ct_io/nodule/ct_nodule.h"

#define PL_DATASET_SCHEMA 1
#define PL_DATASET_MARKS 8 /* marks of one nodule whose ratings are kept one by one */

/* Everything about one nodule but its voxels. Numbers that are not known are NaN. */
struct pl_sample {
  char patient_id[65], study_instance_uid[65], series_instance_uid[65], nodule[65];
  char manufacturer[65], model_name[65], convolution_kernel[33];
  char verdict[512]; /* how the series was repaired; "" when usable as it is */
  char split[17];    /* of a crop set; "" otherwise */
  char faults[161];
  int n_readers, n_marks, n_padded, lossy;
  int label;                                      /* enum ct_label, by the median malignancy */
  int ratings[PL_DATASET_MARKS][CT_RATING_COUNT]; /* 0: not given */
  double mean[CT_RATING_COUNT], median[CT_RATING_COUNT];
  double centre_mm[3];
  double spacing_mm[3]; /* of the source: between columns, rows, slices */
  double slice_thickness_mm, diameter_mm, volume_mm3;
  int fold_patient, fold_nodule; /* -1: no folds */
  char (*sops)[CT_UID_SIZE];     /* [n_sops] slices the voxels came from */
  size_t n_sops;
};

struct pl_dataset {
  size_t n, edge, dims;      /* dims 3: cubes [edge, edge, edge]; 2: crops [edge, edge] */
  double spacing_mm;         /* between samples */
  struct pl_sample *samples; /* [n] */
  int16_t *hu;               /* [n, edge, ...], or NULL where voxels were not asked for */
  uint8_t *mask;             /* likewise; crops have none */
};

/* Values of one sample: edge ^ dims. */
size_t pl_dataset_voxels(const struct pl_dataset *dataset);
LC_MUST_CHECK lc_status pl_dataset_alloc(struct pl_dataset *dataset, size_t n, size_t edge,
                                         size_t dims, double spacing_mm, struct lc_error *err);
void pl_dataset_free(struct pl_dataset *dataset);

/* What is said of the file as a whole. */
struct pl_dataset_about {
  const char *settings; /* rules and sizes, one text */
  const char *key;      /* of a part: SHA-256 of its input and settings; "" for a whole */
  const char *left_out; /* one line for each nodule and series that is not in it */
  int n_folds;          /* 0: none */
  uint64_t fold_seed;
};

/* Where the voxels of one sample come from while a file is written; called once a sample in order.
 */
typedef lc_status (*pl_dataset_voxel_source)(void *context, size_t sample, int16_t *hu,
                                             uint8_t *mask, struct lc_error *err);

/* Writes a whole data set, voxels one sample at a time. source NULL: dataset->hu and mask. */
LC_MUST_CHECK lc_status pl_dataset_write(const struct pl_dataset *dataset,
                                         const struct pl_dataset_about *about,
                                         pl_dataset_voxel_source source, void *context,
                                         const char *path, struct lc_error *err);

/* Reads samples, and the voxels too when asked. LC_ERR_FORMAT names what is missing or of another
 * shape. Free with pl_dataset_free. */
LC_MUST_CHECK lc_status pl_dataset_read(struct pl_dataset *dataset, const char *path, bool voxels,
                                        struct lc_error *err);

/* Fills both folds of all samples from the seed. With too few patients for n_folds every fold is -1
 * and the reason is logged. */
LC_MUST_CHECK lc_status pl_dataset_fold(struct pl_dataset *dataset, int n_folds, uint64_t seed,
                                        struct lc_error *err);

/* Reads a two-dimensional crop set (axial crops in HU, such as lidc_nodule_crops.h5) and resamples
 * every crop to edge x edge samples of spacing_mm, bilinear, about the centre of the crop; samples
 * outside are air and counted. Needed: hu [n, s, s], pixel_spacing_mm, patient_id, nodule_id,
 * malignancy_1_to_5; used when there: ratings/NAME, malignancy_by_reader, series_instance_uid,
 * sop_instance_uid, manufacturer, equivalent_diameter_px, slice_z_mm, split,
 * rescale_intercept_known (0 becomes the verdict "rescale intercept guessed"). LC_ERR_FORMAT names
 * what is missing or of another shape. */
LC_MUST_CHECK lc_status pl_crop_set_read(struct pl_dataset *dataset, const char *path, size_t edge,
                                         double spacing_mm, struct lc_error *err);
