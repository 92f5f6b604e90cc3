/* Writes the truth of a phantom as HDF5: masks, features, and the parameters of its nodules. */
#include "pipeline/store/pl_truth.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/report/pl_version.h"
#include "pipeline/store/pl_h5.h"

#define MOST CT_PHANTOM_MAX_NODULES

#define FIELD(name) offsetof(struct ct_phantom_nodule, name)

static const struct pl_h5_field fields[] = {
    {"nodules/centre_mm", PL_H5_F64, FIELD(centre_mm), 3, 0, "mm", "x, y, z, LPS"},
    {"nodules/diameter_mm", PL_H5_F64, FIELD(diameter_mm), 0, 0, "mm", "diameter"},
    {"nodules/lobulation", PL_H5_F64, FIELD(lobulation), 0, 0, "1", "0 none to 1 strong"},
    {"nodules/spiculation", PL_H5_F64, FIELD(spiculation), 0, 0, "1", "0 none to 1 strong"},
    {"nodules/margin", PL_H5_F64, FIELD(margin), 0, 0, "1", "0 blurred to 1 sharp"},
    {"nodules/sphericity", PL_H5_F64, FIELD(sphericity), 0, 0, "1", "shortest axis by longest"},
    {"nodules/axes_mm", PL_H5_F64, FIELD(axes_mm), 3, 0, "mm", "half axes of the body"},
    {"nodules/calcification", PL_H5_F64, FIELD(calcification), 0, 0, "1", "share of the volume"},
    {"nodules/malignancy_probability", PL_H5_F64, FIELD(malignancy_probability), 0, 0, "1",
     "by the phantom's rule"},
    {"nodules/malignancy_term", PL_H5_F64, FIELD(malignancy_term), CT_TERM_COUNT, 0, "1",
     "what its logit is the sum of, in the order of axes/term"},
    {"nodules/true_rating", PL_H5_F64, FIELD(true_rating), CT_RATING_COUNT, 0, "1",
     "what an ideal reader would rate, in the order of axes/rating"},
};

static lc_status write_fields(struct pl_h5 *h5, const struct ct_phantom *phantom,
                              struct lc_error *err) {
  size_t n = phantom->n_nodules;
  const struct pl_h5_structs nodules = {(void *)(uintptr_t)phantom->nodules,
                                        sizeof *phantom->nodules, n, 0};
  LC_TRY(pl_h5_fields(h5, fields, sizeof fields / sizeof *fields, &nodules, "axes/nodule", err));
  pl_h5_attach(h5, "nodules/true_rating", 1, "axes/rating");
  pl_h5_attach(h5, "nodules/malignancy_term", 1, "axes/term");
  uint8_t texture[MOST], attachment[MOST], malignant[MOST];
  for (size_t i = 0; i < n; i++) {
    texture[i] = (uint8_t)phantom->nodules[i].texture;
    attachment[i] = (uint8_t)phantom->nodules[i].attachment;
    malignant[i] = phantom->nodules[i].malignant;
  }
  const struct pl_h5_array codes[] = {
      {"nodules/texture", PL_H5_U8, 1, {n}, texture, "1", "0 solid, 1 part-solid, 2 ground glass"},
      {"nodules/attachment", PL_H5_U8, 1, {n}, attachment, "1", "0 free, 1 on vessel, 2 on pleura"},
      {"nodules/malignant", PL_H5_U8, 1, {n}, malignant, "1", "drawn with the probability"}};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    pl_h5_array(h5, &codes[i]);
    pl_h5_attach(h5, codes[i].path, 0, "axes/nodule");
  }
  return LC_OK;
}

static void write_axes(struct pl_h5 *h5, const struct ct_phantom *phantom) {
  char ids[MOST][16] = {{0}}, ratings[CT_RATING_COUNT][32] = {{0}},
       terms[CT_TERM_COUNT][16] = {{0}};
  for (size_t i = 0; i < phantom->n_nodules; i++)
    snprintf(ids[i], sizeof ids[i], "nodule-%zu", i + 1);
  for (int i = 0; i < CT_RATING_COUNT; i++)
    strncpy(ratings[i], ct_rating_name((ct_rating)i), sizeof ratings[i] - 1);
  for (int i = 0; i < CT_TERM_COUNT; i++)
    strncpy(terms[i], ct_term_name((ct_term)i), sizeof terms[i] - 1);
  const size_t n_ratings = CT_RATING_COUNT, n_terms = CT_TERM_COUNT;
  pl_h5_texts(h5, "axes/nodule", 1, &phantom->n_nodules, sizeof *ids, ids[0],
              "value v of truth/mask is nodule v - 1 here");
  pl_h5_scale(h5, "axes/nodule");
  pl_h5_texts(h5, "axes/rating", 1, &n_ratings, sizeof *ratings, ratings[0], "LIDC ratings");
  pl_h5_scale(h5, "axes/rating");
  pl_h5_texts(h5, "axes/term", 1, &n_terms, sizeof *terms, terms[0], "terms of malignancy");
  pl_h5_scale(h5, "axes/term");
}

static void write_volume(struct pl_h5 *h5, const struct ct_phantom *phantom) {
  const struct ct_volume *volume = &phantom->volume;
  const size_t *size = volume->size;
  const struct pl_h5_array arrays[] = {
      {"truth/mask", PL_H5_U8, PL_H5_DIMS(size[2], size[1], size[0]), phantom->truth, "1",
       "slice, row, column: 0 background, n + 1 inside nodule n"},
      {"truth/feature", PL_H5_U8, PL_H5_DIMS(size[2], size[1], size[0]), phantom->features, "1",
       "sum of 1 body, 2 spicules, 4 lobes, 8 solid core, 16 calcium, 32 cause of malignancy"},
      {"truth/spacing_mm", PL_H5_F64, PL_H5_DIMS(3), volume->spacing_mm, "mm",
       "of columns, rows, slices"},
      {"truth/origin_mm", PL_H5_F64, PL_H5_DIMS(3), volume->origin_mm, "mm",
       "centre of the first voxel, LPS"},
      {"truth/direction", PL_H5_F64, PL_H5_DIMS(3, 3), volume->direction, "1",
       "column c is the direction of index c, LPS"},
  };
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) pl_h5_array(h5, &arrays[i]);
  pl_h5_texts(h5, "truth/SOPInstanceUID", 1, &volume->size[2], CT_UID_SIZE,
              phantom->sop_instance_uids[0], "one a slice");
}

void pl_truth_options(const struct ct_phantom_options *options, char out[PL_TRUTH_OPTIONS_SIZE]) {
  snprintf(
      out, PL_TRUTH_OPTIONS_SIZE,
      "seed %llu, patient %llu, matrix %zu, slice spacing %g mm, nodules %zu, truth 2, lungcdam %s",
      (unsigned long long)options->seed, (unsigned long long)options->patient, options->matrix,
      options->slice_spacing_mm, options->nodules, pl_version());
}

lc_status pl_truth_write(const struct ct_phantom *phantom, const struct ct_phantom_options *options,
                         const char *path, struct lc_error *err) {
  char made_from[PL_TRUTH_OPTIONS_SIZE];
  pl_truth_options(options, made_from);
  struct pl_h5 h5;
  pl_h5_start(&h5);
  pl_h5_attribute_text(&h5, "/", "options", made_from);
  pl_h5_attribute_text(&h5, "/", "content", "ground truth of a synthetic patient");
  pl_h5_attribute_integer(&h5, "/", "schema_version", 1);
  pl_h5_attribute_text(&h5, "/", "program", "lungcdam");
  pl_h5_attribute_text(&h5, "/", "program_version", pl_version());
  pl_h5_attribute_text(&h5, "/", "notice", "synthetic; research use only");
  pl_h5_attribute_integer(&h5, "/", "seed", (int64_t)options->seed);
  pl_h5_attribute_integer(&h5, "/", "patient", (int64_t)options->patient);
  pl_h5_attribute_text(&h5, "/", "PatientID", phantom->header.patient_id);
  pl_h5_attribute_text(&h5, "/", "StudyInstanceUID", phantom->header.study_instance_uid);
  pl_h5_attribute_text(&h5, "/", "SeriesInstanceUID", phantom->header.series_instance_uid);
  write_axes(&h5, phantom);
  lc_status status = write_fields(&h5, phantom, err);
  write_volume(&h5, phantom);
  if (status == LC_OK) return pl_h5_finish(&h5, path, err);
  pl_h5_abort(&h5);
  return status;
}
