/* Explanations of prepared images: estimators and targets, maps to safetensors, HDF5 and figures.
 * It joins the rooms and computes nothing itself.
 *
 * Thread-safety: one job, one thread; inside, the rooms use lc_threads(). */
#pragma once

#include "cdam/draw/cdam_render.h"
#include "cdam/estimators/cdam_estimator.h"
#include "common/lc_log.h"
#include "ct_io/ct/ct_image.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/config/pl_recipe.h"
#include "pipeline/run/pl_variants.h"

/* What was given; the rest is the estimators' own. */
struct pl_explain_settings {
  struct pl_parameters parameters; /* of each estimator */
  struct pl_explain_general {      /* of every estimator that has one of this name, where the above
                                      does not say it */
    const char *parameter;
    double value;
  } general[CDAM_PARAMETERS_MOST];
  size_t n_general;
  uint64_t seed;
  size_t shifts; /* images shifted by parts of a patch that maps are means of; 0: not said */
};

/* Images that go through a model, and where they came from. */
struct pl_explain_input {
  size_t n, height, width;
  size_t turns;                           /* 1, or CT_SYMMETRIES: results are means over them */
  float *images;                          /* [n, turn, 3, height, width]; the first is upright */
  char (*names)[128];                     /* [n] */
  float *concept_vector;                  /* [dim], or NULL */
  char concept_name[VIT_NAME_SIZE];       /* "": "concept" */
  float *smooth_noise, *smoothgrad_noise; /* given noise, or NULL */
  size_t n_smooth_noise, n_smoothgrad_noise;
};

struct pl_explain {
  struct vit_model model;
  struct cdam_prepared *prepared; /* of the model */
  const struct cdam_estimator *estimators[CDAM_ESTIMATORS_MOST];
  size_t n_estimators;
  struct cdam_target *targets; /* outputs and differences, then the concept when there is one */
  size_t n_targets;
  bool has_concept;
  struct pl_explain_settings settings;
  struct pl_explain_input input;
  size_t n_left_out; /* nodules of series that could not be cut; logged */

  struct pl_variants variants;                 /* of each image; after pl_explain_choose */
  size_t n_outputs, grid_height, grid_width;   /* of the maps of patches */
  float *logits, *cls_embedding;               /* [n, outputs], [n, dim]; over the turns */
  struct cdam_maps maps[CDAM_ESTIMATORS_MOST]; /* of all images */
  bool keep_gradient;                          /* wanted: pixel_gradient */
  float *pixel_gradient;                       /* [n, targets, 3, height, width], or NULL */
  struct cdam_settings effective[CDAM_ESTIMATORS_MOST]; /* what each estimator runs with */
};

/* Reads `input` [n, 3, h, w] and, when they are there, `concept_vector` or the
 * `concept_images` [n, 3, h, w] whose mean CLS embedding it is, `smooth_noise` [sample,
 * token, dim] and `smoothgrad_noise` [sample, 3, h, w] from a safetensors file. Call after the
 * model is loaded: shapes are held against it. */
LC_MUST_CHECK lc_status pl_explain_read_tensors(struct pl_explain *explain, const char *path,
                                                struct lc_error *err);
/* Nodules of DICOM series, prepared as the run's configuration says, one image a nodule and view: n
 * of them from number `first` on, counted through the series that the configuration names. The
 * model is loaded. LC_ERR_NO_NODULES when there are none. */
LC_MUST_CHECK lc_status pl_explain_read_series(struct pl_explain *explain,
                                               const struct pl_overrides *overrides, size_t first,
                                               size_t n, struct lc_error *err);
/* The same from the folder of one series in the output of lungcdam run, whose cubes and
 * configuration are used; keys override the latter. */
LC_MUST_CHECK lc_status pl_explain_read_result(struct pl_explain *explain, const char *folder,
                                               const struct pl_list *keys, size_t first, size_t n,
                                               struct lc_error *err);
/* n nodules of a split (NULL: the recipe's data.validate) from number `first` on; fewer when the
 * split ends. The model is loaded. */
LC_MUST_CHECK lc_status pl_explain_read_crops(struct pl_explain *explain,
                                              const struct pl_overrides *overrides,
                                              const char *split, size_t first, size_t n,
                                              struct lc_error *err);
/* Makes room for `more` images, whose names are zeros. height, width and turns are set. */
LC_MUST_CHECK lc_status pl_explain_grow(struct pl_explain_input *input, size_t more,
                                        struct lc_error *err);
/* Makes image `index` of a nodule in all its turns. */
LC_MUST_CHECK lc_status pl_explain_make(struct pl_explain_input *input, size_t index,
                                        const struct ct_preparation *how,
                                        const struct ct_image_source *source,
                                        struct ct_image_place place, struct lc_error *err);
/* Comma-separated lists; "all" for every estimator or every output. An estimator may be followed by
 * parameters, which are added to settings: "cdam,rise:samples=1000,keep=0.4,occlusion:box=4". Call
 * after the images are read and all settings are known; LC_ERR_USAGE for a number of shifts that
 * the patch does not allow. */
LC_MUST_CHECK lc_status pl_explain_choose(struct pl_explain *explain, const char *estimators,
                                          const char *targets, struct lc_error *err);
LC_MUST_CHECK lc_status pl_explain_run(struct pl_explain *explain, struct lc_progress *progress,
                                       struct lc_error *err);
/* A zeroed job, and its end; NULL is tolerated. */
LC_MUST_CHECK lc_status pl_explain_new(struct pl_explain **explain, struct lc_error *err);
void pl_explain_free(struct pl_explain *explain);

/* `logits`, `cls_embedding`, and NAME [n, target, patch] (pixels: [n, target, h, w]; without
 * targets: [n, patch]) for each estimator; pixel_gradient [n, target, 3, h, w] when it was kept;
 * with a concept, concept_NAME [n, patch], concept_vector [dim] and concept_score [n]. */
LC_MUST_CHECK lc_status pl_explain_write_tensors(const struct pl_explain *explain, const char *path,
                                                 struct lc_error *err);
/* docs/explain.md gives the layout. */
LC_MUST_CHECK lc_status pl_explain_write_h5(const struct pl_explain *explain, const char *path,
                                            struct lc_error *err);

struct pl_explain_figures {
  const char *format; /* "png", "svg" or "pdf" */
  cdam_colours colours;
  cdam_enlarge enlarge;
  cdam_theme theme;
};
/* One figure for each image and estimator (the image, then its targets), and with several
 * estimators one for each image and target, every estimator on its own scale brought to 1. */
LC_MUST_CHECK lc_status pl_explain_write_figures(const struct pl_explain *explain,
                                                 const struct pl_explain_figures *figures,
                                                 const char *folder, struct lc_error *err);
