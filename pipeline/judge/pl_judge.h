/* Judging explanations: a data set of images, estimators and measures. Everything that is fixed
 * before the first item, which is one image.
 *
 * Draws depend on seed and item, never on order. docs/judging.md explains settings and outputs. The
 * parts: pl_judge_config.h, this, and pl_judged.h for what is found and the whole command.
 * Thread-safety: read by many threads once it is set up. */
#pragma once

#include "cdam/engine/cdam_shift.h"
#include "cdam/estimators/cdam_estimator.h"
#include "cdam/measures/cdam_measure.h"
#include "pipeline/judge/pl_judge_config.h"
#include "pipeline/learn/pl_examples.h"

#define PL_JUDGE_SIZES 64 /* of sets, and of boxes */

/* One who is judged: an estimator, or a control that knows nothing of model and image. */
struct pl_judge_contestant {
  const char *name, *title;
  const struct cdam_estimator *estimator; /* NULL: a control */
  bool centre; /* the control whose scores fall with the distance from the middle; else drawn */
  struct cdam_settings settings;
};

struct pl_judge {
  const struct pl_judge_config *config;
  struct pl_recipe recipe; /* how images are made */
  struct vit_model model;
  struct cdam_prepared *prepared; /* of the model */
  struct pl_crops crops;
  struct pl_examples examples;
  uint32_t *items; /* [n_items] of examples */
  size_t n_items;
  size_t pixels, grid, patches; /* square */
  struct cdam_shifts shifts;
  size_t cells;                /* along an edge of maps: the grid, or with shifts a finer one */
  uint8_t *features;           /* [n_items, pixels, pixels] flags of enum ct_feature, or NULL */
  struct cdam_target *targets; /* [n_targets]; the first is the judged one */
  size_t n_targets;
  struct pl_judge_contestant *contestants;
  size_t n_contestants;
  struct cdam_listed *measures;
  size_t n_measures, points, stages;
  struct cdam_measure_settings measuring;
  size_t shares[PL_JUDGE_SIZES], boxes[PL_JUDGE_SIZES]; /* of measuring */
  struct cdam_randomised *randomised;                   /* or NULL */
  char key[65]; /* SHA-256 of all that decides an item's numbers */
};

/* Free with pl_judge_free whatever the status. */
LC_MUST_CHECK lc_status pl_judge_init(struct pl_judge *judge, const struct pl_judge_config *config,
                                      struct lc_error *err);
void pl_judge_free(struct pl_judge *judge);

/* The measures that the configuration asks for and the data allow, and how they measure; called by
 * pl_judge_init. LC_ERR_NOT_FOUND for a name that there is not. */
LC_MUST_CHECK lc_status pl_judge_list_measures(struct pl_judge *judge, struct lc_error *err);
/* True when this measure, or another of the same evaluation, is among them: its curve is there. */
bool pl_judge_measures(const struct pl_judge *judge, const char *name);
/* Reads where the features of each item's nodule are, when the configuration names a truth. */
LC_MUST_CHECK lc_status pl_judge_read_truth(struct pl_judge *judge, struct lc_error *err);
/* Share of each cell that they cover, [CDAM_FEATURES, cell], and that nodule and spicules cover,
 * touched [cell]. Only where the judge has features. */
LC_MUST_CHECK lc_status pl_judge_features(const struct pl_judge *judge, size_t item,
                                          double *features, double *touched, struct lc_error *err);

/* HU of an example of the split as the network sees it, [pixels, pixels], and where the nodule is
 * in the same pixels: the readers' consensus, or without outlines the disc of the nodule's
 * diameter. Item i is example items[i]. */
LC_MUST_CHECK lc_status pl_judge_hu(const struct pl_judge *judge, size_t example, float *hu,
                                    struct lc_error *err);
LC_MUST_CHECK lc_status pl_judge_mask(const struct pl_judge *judge, size_t example, uint8_t *mask,
                                      struct lc_error *err);

/* True when readers rate what is judged: malignancy or a biomarker. */
bool pl_judge_rated(const struct pl_judge *judge);
/* An image of two nodules side by side, the item's and one that is drawn by seed and item; which
 * one is left is drawn too. The two differ in what the readers say about the judged target (the
 * partner is of the split), or one is spiculated and the other calcified by the truth (an item
 * too). Fills *pair, whose memory is the caller's; found is false when the split has no such
 * partner. */
LC_MUST_CHECK lc_status pl_judge_pair_make(const struct pl_judge *judge, size_t item,
                                           enum cdam_pair_kind kind, struct cdam_pair *pair,
                                           bool *found, struct lc_error *err);

/* A wish for maps. */
struct pl_judge_ask {
  const struct vit_model *model;
  const float *image;  /* [3, pixels, pixels] */
  size_t n_targets;    /* the first of the judge's */
  size_t first, count; /* contestants */
  uint64_t item, turn; /* distinguish draws of the control */
  uint64_t run;        /* distinguishes draws of estimators */
};
/* scores: [count, n_targets, cells, cells]. Beyond the edge of a shifted image its nearest pixel is
 * seen. */
LC_MUST_CHECK lc_status pl_judge_explain(const struct pl_judge *judge,
                                         const struct pl_judge_ask *ask, float *scores,
                                         struct lc_error *err);
/* Sums of n maps of cells in each patch: scores [n, patches]. */
void pl_judge_to_patches(const struct pl_judge *judge, const float *maps, size_t n, float *scores);
/* True for the control and for estimators that draw noise or masks. */
bool pl_judge_draws(const struct pl_judge_contestant *contestant);
