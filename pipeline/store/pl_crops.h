/* Real nodules as axial crops: the data set that models are trained on.
 *
 * The HDF5 file holds, for n nodules: hu [n, size, size] (axial slice of largest extent, native
 * in-plane spacing, centred on the nodule), pixel_spacing_mm, malignancy_1_to_5,
 * equivalent_diameter_px, ratings/NAME, patient_id, nodule_id and split. docs/training.md lists
 * them. A nodule data set (docs/dataset.md) is taken as well: its cubes, and as hu the middle axial
 * slice of each, malignancy the median of the readers, and, where it names no split, patient fold 0
 * as "validate" and the others as "train". Thread-safety: what was read may be used by many
 * threads. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

#define PL_BIOMARKERS 8
#define PL_PATIENT_SIZE 80
#define PL_SPLIT_SIZE 16

/* "subtlety", "calcification", "margin", "lobulation", "spiculation", "diameter", "texture",
 * "sphericity": the order of a model's biomarker outputs. */
extern const char *const pl_biomarker_names[PL_BIOMARKERS];
/* What each is measured in: "mm", or "" for a mean rating. */
extern const char *const pl_biomarker_units[PL_BIOMARKERS];
/* The unit of an output with the name of a biomarker, alone or after its head ("diameter",
 * "biomarkers.diameter"); "" for every other output. */
const char *pl_output_unit(const char *name);

struct pl_crop {
  double spacing_mm;
  double centre_mm[3];              /* LPS, of the slice's middle; NaN where not known */
  double malignancy;                /* median of the readers, 1 to 5 */
  double biomarkers[PL_BIOMARKERS]; /* mean ratings; diameter in mm; NaN where not given */
  char patient[PL_PATIENT_SIZE];
  uint32_t group; /* number of the patient, 0 .. n_groups - 1 */
  int nodule;
  char split[PL_SPLIT_SIZE];     /* "train", "validate" */
  int readers;                   /* who rated malignancy; 0: not known */
  int fold_patient, fold_nodule; /* that the file holds; -1: none */
};

struct pl_crops {
  char *path;
  size_t n, size, n_groups;
  float *hu;      /* [n, size, size] */
  uint8_t *mask;  /* likewise, 1 inside the readers' consensus; NULL when the file has none */
  int16_t *cubes; /* [n, size, size, size] (z, y, x) at spacing_mm; NULL when the file has none */
  struct pl_crop *crops; /* [n] */
};

/* LC_ERR_NOT_FOUND, LC_ERR_FORMAT (a dataset that is missing or of another shape is named),
 * LC_ERR_NUMERIC for a spacing or HU that cannot be. */
LC_MUST_CHECK lc_status pl_crops_read(struct pl_crops *crops, const char *path,
                                      struct lc_error *err);
void pl_crops_free(struct pl_crops *crops);

/* The second kind of file. */
bool pl_crops_is_dataset(const char *path);

/* Rows of one split, in the order of the file: free(*rows). LC_ERR_NOT_FOUND lists the splits. */
LC_MUST_CHECK lc_status pl_crops_split(const struct pl_crops *crops, const char *split,
                                       uint32_t **rows, size_t *n, struct lc_error *err);

/* What stays together when nodules are dealt into folds. By nodule, a patient's nodules can lie on
 * both sides, which flatters a model; it is there because published numbers were made so. */
enum pl_fold_unit { PL_FOLD_PATIENT = 0, PL_FOLD_NODULE };

/* Replaces the splits of the file: fold `fold` of `folds` becomes "validate", the others "train".
 * Units are dealt in an order drawn from the seed, so that the folds of one seed are disjoint,
 * cover everything, and differ by at most one unit in size. LC_ERR_CONFIG when there are fewer
 * units than folds or fold is not below folds. */
LC_MUST_CHECK lc_status pl_crops_fold(struct pl_crops *crops, enum pl_fold_unit unit,
                                      uint32_t folds, uint32_t fold, uint64_t seed,
                                      struct lc_error *err);

/* Number of the folds that the file itself holds; 0: none. */
uint32_t pl_crops_stored_folds(const struct pl_crops *crops, enum pl_fold_unit unit);
/* The same with those. LC_ERR_CONFIG when there are none, or fewer. */
LC_MUST_CHECK lc_status pl_crops_stored_fold(struct pl_crops *crops, enum pl_fold_unit unit,
                                             uint32_t fold, struct lc_error *err);
