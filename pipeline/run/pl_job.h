/* The main job on one series: nodules, cubes, images, predictions, maps. It joins the rooms and
 * computes nothing itself; what it finds goes into a struct pl_result.
 *
 * Thread-safety: one job, one thread; inside, the rooms use lc_threads(). */
#pragma once

#include "ct_io/ct/ct_image.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/run/pl_nodules.h"
#include "pipeline/run/pl_variants.h"
#include "pipeline/store/pl_result.h"

/* What all series of a run share: the model, its workspace, the targets. */
struct pl_job {
  const struct pl_config *config; /* borrowed */
  struct vit_model model;
  bool borrowed;                  /* the model is the caller's */
  struct cdam_prepared *prepared; /* of the model */
  struct vit_workspace workspace;
  struct cdam_target *targets;
  size_t n_targets;
  struct ct_preparation preparation;
  struct pl_variants variants;
  float *images;            /* [batch, 3, height, width] */
  float *unshifted;         /* [3, height, width] of the last one, with shifts */
  struct cdam_maps variant; /* of one batch, with several variants */
  struct ct_nodule_finder finder;
  const struct ct_series *const *at_hand; /* all series of the run, borrowed; NULL: one alone */
  size_t n_at_hand;
  struct lc_text configuration, architecture; /* what provenance points to */
  struct pl_provenance provenance;
};

/* Sizes the workspace for the configuration's weights, which it loads, or for a model that is
 * loaded and hashed and outlives the job; NULL: none. */
LC_MUST_CHECK lc_status pl_job_open(struct pl_job *job, const struct pl_config *config,
                                    const struct vit_model *model, struct lc_error *err);
void pl_job_close(struct pl_job *job);

/* First half, cheap: nodules and hashes, enough for pl_result_key. result is zeroed first; free it
 * with pl_result_free whatever happens. */
LC_MUST_CHECK lc_status pl_job_find(struct pl_job *job, const struct ct_series *series,
                                    struct pl_result *result, struct lc_error *err);
/* Decodes the slabs that the nodules need for voxels_sha256 alone. */
LC_MUST_CHECK lc_status pl_job_hash(const struct pl_job *job, struct pl_result *result,
                                    struct lc_error *err);
/* Decodes the slabs that the nodules need, each slice once, and cuts the cubes. */
LC_MUST_CHECK lc_status pl_job_cut(struct pl_job *job, struct pl_result *result,
                                   struct lc_error *err);
/* Second half: decodes the slabs that the nodules need, each slice once, and runs the network. */
LC_MUST_CHECK lc_status pl_job_compute(struct pl_job *job, struct pl_result *result,
                                       struct lc_error *err);
