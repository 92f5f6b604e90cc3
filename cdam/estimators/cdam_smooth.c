/* Smooth CDAM (Brocki, Binda, Chung, arXiv 2312.02364): the mean of CDAM over noisy copies.
 *
 *   score_i = mean over samples of sum_j T'_ij df/dT'_ij
 *
 * With settings.place at the last block's input X (the authors' code), T' = norm1(X + e), e normal
 * with standard deviation level * (max X - min X), drawn for every element of every token, and the
 * noise goes through the residual branch too; otherwise T' = T + e with T = norm1(X) and its range.
 * Signed as CDAM. The same noise is drawn for every image. */
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimators.h"

CDAM_RUN(smooth_cdam) {
  return cdam_sampling_run(&(struct cdam_sampling){.kind = CDAM_NOISY, .maps = maps}, task, err);
}
