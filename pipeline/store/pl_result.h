/* What the main job found out about one series: nodules, cubes, predictions, maps. Everything that
 * is written (store, figures, DICOM objects, tables) is written from this, in the run that made it
 * or after pl_store_read.
 *
 * Thread-safety: a finished result may be read by many threads. */
#pragma once

#include "cdam/engine/cdam_map.h"
#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "ct_io/ct/ct_cube.h"
#include "ct_io/nodule/ct_nodule.h"

/* What all series of one run share. Texts are owned by the job. */
struct pl_provenance {
  const char *configuration; /* canonical text */
  char configuration_sha256[LC_SHA256_HEX];
  char weights_sha256[LC_SHA256_HEX];
  const char *architecture; /* "vit_small_patch8: 224x224, patch 8, ..." */
  /* The weight file's metadata model_name and model_version; else the architecture's name, or its
   * shape where it has none, and "". */
  char model_name[65], model_version[65];
  bool trained;
  const char *kernels; /* name of the back end: the one machine setting that can change bits */
};

/* A nodule that could not be cut. */
struct pl_left_out {
  char nodule[64];
  double centre_mm[3];
  char reason[LC_ERROR_SIZE];
  lc_status status;
};

/* What is said where a result and its series are of different identity. */
#define PL_OTHER_IDENTITY                                                                          \
  "patient or study is another than when it was made (PatientID, its issuer, name, birth date, "   \
  "sex, StudyID or AccessionNumber)"

#define PL_NAME_SIZE 65 /* 64 bytes, as a store has them, and the final zero */

/* What pl_store_read does not read is marked "run": NULL or 0 in a result that was read. */
struct pl_result {
  char path[LC_PATH_SIZE]; /* of its store; "" before it is written */
  char key[LC_SHA256_HEX]; /* pl_result_key */
  char series_instance_uid[CT_UID_SIZE];
  struct pl_provenance provenance; /* a store gives hashes, architecture and trained */
  char *architecture;              /* owned, of a result that was read */

  const struct ct_series *series;     /* borrowed; of a result that was read, pl_export_attach */
  const struct vit_model *model;      /* run: borrowed */
  const struct cdam_target *targets;  /* run: borrowed, [maps.targets] */
  char (*output_names)[PL_NAME_SIZE]; /* [n_outputs] */
  char (*target_names)[PL_NAME_SIZE]; /* [maps.targets] */

  /* Those that were cut; their marks are borrowed. A store gives their names and centres. */
  struct ct_nodule_list nodules;
  struct pl_left_out *left_out; /* [n_left_out], the others */
  size_t n_left_out;
  const char *nodule_source;             /* run: title of its kind: "LIDC XML" */
  char nodule_source_path[LC_PATH_SIZE]; /* run: the first file that named them */
  char nodule_source_sha256[LC_SHA256_HEX];
  char input_manifest_sha256[LC_SHA256_HEX];
  char identity_sha256[LC_SHA256_HEX]; /* ct_series_identity_hex; "" in older stores */
  char voxels_sha256[LC_SHA256_HEX];   /* of the slices that nodules were cut from, in HU */

  struct ct_cube *cubes; /* [nodule]: what the network saw; hu after pl_store_read_hu */
  double step_mm;        /* distance of their samples as the axes of the store say it */
  /* run: the same slices sampled more finely for the eye: [nodule, view, row, column]; NULL without
   * pictures. shown_mask is 0 where there are no outlines. */
  size_t shown_edge;
  float *shown_hu;
  uint8_t *shown_mask;

  enum ct_view views[CT_VIEW_COUNT];
  size_t n_views;
  size_t n_outputs;
  float *logits;           /* run: [nodule, view, output] */
  float *view_probability; /* run: [nodule, view, output]; NaN for regression outputs */
  float *mean_logit;       /* [nodule, output]: mean over the views */
  float *probability;      /* [nodule, output]: sigmoid of the mean logit; NaN for regression */
  struct cdam_maps maps;   /* [nodule * n_views + view, target, grid row, grid column] */
};

void pl_result_free(struct pl_result *result);

static inline size_t pl_result_image(const struct pl_result *result, size_t nodule, size_t view) {
  return nodule * result->n_views + view;
}

/* Offset of sample i of a cube from its centre along each axis, mm. */
static inline double pl_result_offset(const struct ct_cube *cube, size_t i) {
  return -0.5 * ((double)cube->edge - 1) * cube->spacing_mm + (double)i * cube->spacing_mm;
}
/* Where the nodule's cube lies: edge, centre, and step_mm as spacing, so that objects are the same
 * before and after the result is stored. Without voxels. */
struct ct_cube pl_result_place(const struct pl_result *result, size_t nodule);

/* SHA-256 that says whether two results were made from the same input of the same patient and
 * study, weights and configuration by the same version of the program; --resume compares it, and
 * voxels_sha256, since the manifest is of headers. */
LC_MUST_CHECK lc_status pl_result_key(const struct pl_provenance *provenance,
                                      const char *input_manifest_sha256,
                                      const char *identity_sha256, const char *nodule_source_sha256,
                                      char hex[LC_SHA256_HEX], struct lc_error *err);
