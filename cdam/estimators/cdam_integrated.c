/* Integrated CDAM (Brocki, Binda, Chung, arXiv 2312.02364): the mean of CDAM on the way from a
 * baseline to the tokens.
 *
 *   score_i = mean over k = 1 ... n - 1 of sum_j T_k,ij df/dT_k,ij,   n = settings.samples
 *
 * With settings.place at the last block's input X (the authors' code), T_k = norm1(b + k/n (X - b))
 * and the residual branch is scaled with it; otherwise T_k = b + k/n (T - b), T = norm1(X). b is
 * settings.baseline in every element. The ends of the way are left out. Signed as CDAM. */
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimators.h"

CDAM_RUN(integrated_cdam) {
  return cdam_sampling_run(&(struct cdam_sampling){.kind = CDAM_SCALED, .maps = maps}, task, err);
}
