/* Integrated CDAM (Brocki, Binda, Chung, arXiv 2312.02364): the mean of CDAM on the way from a
 * baseline to the tokens.
 *
 *   score_i = mean over k = 1 ... n - 1 of sum_j T_k,ij df/dT_k,ij,   n = `samples`
 *
 * With `place` at the last block's input X (the authors' code), T_k = norm1(b + k/n (X - b))
 * and the residual branch is scaled with it; otherwise T_k = b + k/n (T - b), T = norm1(X). b is
 * `baseline` in every element. The ends of the way are left out. Signed as CDAM. */
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimator.h"

enum { SAMPLES, BASELINE, PLACE };

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  const double *values = task->settings->values;
  const struct cdam_sampling sampling = {.kind = CDAM_SCALED,
                                         .place = (cdam_place)values[PLACE],
                                         .samples = (size_t)values[SAMPLES],
                                         .baseline = values[BASELINE],
                                         .maps = maps};
  return cdam_sampling_run(&sampling, task, err);
}

static const char *const places[] = {
    [CDAM_AT_LAST_INPUT] = "input", [CDAM_AT_NORMED_TOKENS] = "normed", NULL};

static const struct cdam_parameter parameters[] = {
    [SAMPLES] = {"samples", CDAM_WHOLE, 50, 2, 1e6, NULL, "steps"},
    [BASELINE] = {"baseline", CDAM_NUMBER, 0, -1e6, 1e6, NULL,
                  "value that every element starts from"},
    [PLACE] = {"place", CDAM_CHOICE, 0, 0, 0, places,
               "where the scaling acts: at the last block's input, or at the normed tokens"}};

const struct cdam_estimator cdam_estimator_integrated_cdam = {
    .name = "integrated_cdam",
    .title = "Integrated CDAM",
    .source = "Brocki, Binda, Chung, arXiv 2312.02364",
    .needs = CDAM_NEEDS_LAST_INPUT,
    .is_signed = true,
    .target_dependent = true,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
