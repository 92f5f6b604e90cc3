/* CDAM (Brocki, Binda, Chung, arXiv 2312.02364, eq. 5) by the closed form, and its two parts:
 *
 *   score_i = sum_j T_ij df/dT_ij = routed_i + content_i
 *
 * with T the tokens that enter the last block's attention. Signed; docs/cdam.md derives it. */
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimator.h"

static lc_status run_cdam(const struct cdam_task *task, struct cdam_maps *maps,
                          struct lc_error *err) {
  return cdam_sampling_run(&(struct cdam_sampling){.maps = maps}, task, err);
}

static lc_status run_cdam_routed(const struct cdam_task *task, struct cdam_maps *maps,
                                 struct lc_error *err) {
  return cdam_sampling_run(&(struct cdam_sampling){.routed = maps}, task, err);
}

static lc_status run_cdam_content(const struct cdam_task *task, struct cdam_maps *maps,
                                  struct lc_error *err) {
  return cdam_sampling_run(&(struct cdam_sampling){.content = maps}, task, err);
}

const struct cdam_estimator cdam_estimator_cdam = {
    .name = "cdam",
    .title = "CDAM",
    .source = "Brocki, Binda, Chung, arXiv 2312.02364, eq. 5",
    .needs = CDAM_NEEDS_LAST_INPUT,
    .is_signed = true,
    .target_dependent = true,
    .run = run_cdam};

const struct cdam_estimator cdam_estimator_cdam_routed = {.name = "cdam_routed",
                                                          .title = "CDAM, re-routed part",
                                                          .source = "docs/cdam.md",
                                                          .needs = CDAM_NEEDS_LAST_INPUT,
                                                          .is_signed = true,
                                                          .target_dependent = true,
                                                          .run = run_cdam_routed};

const struct cdam_estimator cdam_estimator_cdam_content = {.name = "cdam_content",
                                                           .title = "CDAM, content part",
                                                           .source = "docs/cdam.md",
                                                           .needs = CDAM_NEEDS_LAST_INPUT,
                                                           .is_signed = true,
                                                           .target_dependent = true,
                                                           .run = run_cdam_content};
