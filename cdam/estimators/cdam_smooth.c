/* Smooth CDAM (Brocki, Binda, Chung, arXiv 2312.02364): the mean of CDAM over noisy copies.
 *
 *   score_i = mean over samples of sum_j T'_ij df/dT'_ij
 *
 * With `place` at the last block's input X (the authors' code), T' = norm1(X + e), e normal
 * with standard deviation `level` * (max X - min X), drawn for every element of every token, and
 * the noise goes through the residual branch too; otherwise T' = T + e with T = norm1(X) and its
 * range. Signed as CDAM. The same noise is drawn for every image. */
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimator.h"

enum { SAMPLES, LEVEL, PLACE };

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  const double *values = task->settings->values;
  const struct cdam_sampling sampling = {.kind = CDAM_NOISY,
                                         .place = (cdam_place)values[PLACE],
                                         .samples = (size_t)values[SAMPLES],
                                         .level = values[LEVEL],
                                         .maps = maps};
  return cdam_sampling_run(&sampling, task, err);
}

static const char *const places[] = {
    [CDAM_AT_LAST_INPUT] = "input", [CDAM_AT_NORMED_TOKENS] = "normed", NULL};

static const struct cdam_parameter parameters[] = {
    [SAMPLES] = {"samples", CDAM_WHOLE, 50, 1, 1e6, NULL, "noisy copies"},
    [LEVEL] = {"level", CDAM_NUMBER, 0.05, 0, 1000, NULL,
               "standard deviation of the noise, as a share of the range"},
    [PLACE] = {"place", CDAM_CHOICE, 0, 0, 0, places,
               "where the noise acts: at the last block's input, or at the normed tokens"}};

const struct cdam_estimator cdam_estimator_smooth_cdam = {
    .name = "smooth_cdam",
    .title = "Smooth CDAM",
    .source = "Brocki, Binda, Chung, arXiv 2312.02364",
    .needs = CDAM_NEEDS_LAST_INPUT,
    .is_signed = true,
    .target_dependent = true,
    .draws = true,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
