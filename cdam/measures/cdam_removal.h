/* A transformer that answers with patches missing (cdam_evaluator.h): their tokens are left out,
 * or their pixels are replaced.
 *
 * Leaving out needs no replacement, and a pass costs only what the remaining tokens cost; variants
 * run in parallel. Replaced images go through the model in full batches. The whole image and the
 * one with everything missing are asked once an image, however often measures want them.
 *
 * Determinism: a variant's value depends on what is missing, on seed and item, not on the other
 * variants. Thread-safety: one struct, one caller; inside, lc_threads(). */
#pragma once

#include "cdam/engine/cdam_target.h"
#include "cdam/measures/cdam_evaluator.h"
#include "vit/pass/vit_forward.h"

typedef enum cdam_removal_kind {
  CDAM_LEAVE_OUT = 0, /* the token is not there */
  CDAM_FILL_MEAN,     /* mean of the image, each channel its own */
  CDAM_FILL_BLUR,     /* the image after a Gaussian blur (Petsiuk, Das, Saenko, BMVC 2018) */
  CDAM_FILL_VALUE,    /* one value: 0 is the mean of normalised training images */
  CDAM_FILL_IMPUTED   /* noisy linear imputation (cdam_impute.h) */
} cdam_removal_kind;

/* Zeroed: tokens left out. */
struct cdam_removal_settings {
  cdam_removal_kind kind;
  float value;       /* CDAM_FILL_VALUE, in units of the normalised image */
  double blur_sigma; /* CDAM_FILL_BLUR, pixels; 0: two patches */
  double noise;      /* CDAM_FILL_IMPUTED, standard deviation (0.01 in the paper's code); the same
                        draw in channels that are equal, so that grey stays grey */
  uint64_t seed;     /* of that noise */
  size_t batch;      /* replaced images a pass; 0: 8 */
};

struct cdam_removal {
  const struct vit_model *model;
  const struct cdam_target *targets;
  size_t n_targets, height, width, patches;
  struct cdam_removal_settings settings;
  const float *image; /* [3, height, width], borrowed */
  uint64_t item;
  float *fill;                    /* [3, height, width] what replaces pixels, or NULL */
  float *images;                  /* [batch, 3, height, width], or NULL */
  struct vit_workspace workspace; /* of replaced images */
  double *known;                  /* [2, n_targets]: of the empty and the whole image, once asked */
  bool knows[2];
};

/* model and targets are borrowed. LC_ERR_USAGE for targets that the model lacks, or an image that
 * cannot be cut into patches. Free with cdam_removal_free whatever the status. */
LC_MUST_CHECK lc_status cdam_removal_init(struct cdam_removal *removal,
                                          const struct vit_model *model,
                                          const struct cdam_target *targets, size_t n_targets,
                                          size_t height, size_t width,
                                          const struct cdam_removal_settings *settings,
                                          struct lc_error *err);
void cdam_removal_free(struct cdam_removal *removal);

/* The image that is asked about from now on, [3, height, width], borrowed; item keys the noise. */
LC_MUST_CHECK lc_status cdam_removal_set_image(struct cdam_removal *removal, const float *image,
                                               uint64_t item, struct lc_error *err);

/* The evaluator for the measures; valid as long as removal is. */
struct cdam_evaluator cdam_removal_evaluator(struct cdam_removal *removal);

/* What one variant looks like to the model: out [3, height, width], for figures and tests. Patches
 * that are left out are shown as zeros. */
LC_MUST_CHECK lc_status cdam_removal_picture(const struct cdam_removal *removal,
                                             const uint8_t *kept, float *out, struct lc_error *err);
