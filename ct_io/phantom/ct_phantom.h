/* Synthetic chest CT with nodules whose properties are known exactly.
 *
 * Everything is a function of (seed, patient): anatomy, scanner settings, nodules, malignancy, and
 * the four simulated readers. docs/phantom.md states the model: shapes, HU, noise, the rule that
 * gives malignancy from the features, and how readers err.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "common/lc_log.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_write/ct_write.h"
#include "ct_io/nodule/ct_mark.h"

LC_C_BEGIN

typedef enum ct_texture { CT_SOLID = 0, CT_PART_SOLID, CT_GROUND_GLASS } ct_texture;
typedef enum ct_attachment { CT_FREE = 0, CT_ON_VESSEL, CT_ON_PLEURA } ct_attachment;

/* What the logit of a nodule's malignancy is the sum of, besides a constant (docs/phantom.md). */
typedef enum ct_term {
  CT_TERM_SIZE = 0,
  CT_TERM_SPICULATION,
  CT_TERM_LOBULATION,
  CT_TERM_MARGIN,
  CT_TERM_TEXTURE,
  CT_TERM_CALCIFICATION,
  CT_TERM_COUNT
} ct_term;
const char *ct_term_name(ct_term term); /* "size", "spiculation", ... */

/* Where the features of nodules are: flags of a voxel. */
enum ct_feature {
  CT_FEATURE_BODY = 1,     /* inside the body */
  CT_FEATURE_SPICULES = 2, /* on a spicule and outside the body */
  CT_FEATURE_LOBES = 4,    /* in the body, but outside what it would be without lobes */
  CT_FEATURE_CORE = 8,     /* solid core of a part-solid nodule */
  CT_FEATURE_CALCIUM = 16, /* more than half calcium */
  CT_FEATURE_CAUSE = 32    /* spicules, lobes or core, whichever raises malignancy most, by at least
                              CT_CAUSE_LEAST, of a nodule that is more likely malignant than not */
};
#define CT_CAUSE_LEAST 0.5 /* of the logit */

/* True properties of one nodule. Ratings are what an ideal reader would give, on LIDC's scales. */
struct ct_phantom_nodule {
  double centre_mm[3]; /* LPS */
  double diameter_mm;
  double lobulation, spiculation; /* 0 none to 1 strong */
  double margin;                  /* 0 blurred to 1 sharp */
  double sphericity;              /* ratio of shortest to longest axis, (0, 1] */
  double axes_mm[3];              /* half axes of the body */
  ct_texture texture;
  double calcification; /* volume share of calcium, 0 to 1 */
  ct_attachment attachment;
  double malignancy_term[CT_TERM_COUNT];
  double malignancy_probability;
  bool malignant;
  double true_rating[CT_RATING_COUNT];
};

#define CT_PHANTOM_MAX_NODULES 4
#define CT_PHANTOM_READERS 4

struct ct_phantom {
  struct ct_write_header header;
  struct ct_volume volume;
  uint8_t *truth;    /* [slice, row, column]: 0 background, n + 1 inside nodule n */
  uint8_t *features; /* [slice, row, column]: flags of enum ct_feature */
  struct ct_phantom_nodule nodules[CT_PHANTOM_MAX_NODULES];
  size_t n_nodules;
  struct ct_annotation annotation;        /* four reading sessions */
  char (*sop_instance_uids)[CT_UID_SIZE]; /* one a slice */
};

/* How large and fine the phantom is; zeroes mean the seed chooses. */
struct ct_phantom_options {
  uint64_t seed;
  uint64_t patient; /* 0-based */
  size_t matrix;    /* rows = columns; 0: 512. Tests use less */
  double slice_spacing_mm;
  size_t nodules; /* wanted, at most CT_PHANTOM_MAX_NODULES; where no place is found, fewer */
};

/* The PatientID that a phantom of these options has, without making it. */
void ct_phantom_patient_id(const struct ct_phantom_options *options, char id[64]);

LC_MUST_CHECK lc_status ct_phantom_make(struct ct_phantom *phantom,
                                        const struct ct_phantom_options *options,
                                        struct lc_progress *progress, struct lc_error *err);
/* Writes DICOM and XML in TCIA's layout: ROOT/<PatientID>/<StudyUID>/<SeriesUID>/000001.dcm ... and
 * one XML beside them; the folder of the series is returned in series_folder. Whole or not at all.
 */
LC_MUST_CHECK lc_status ct_phantom_write(const struct ct_phantom *phantom, const char *root,
                                         bool replace, char *series_folder,
                                         size_t series_folder_size, struct lc_error *err);
void ct_phantom_free(struct ct_phantom *phantom);

LC_C_END
