/* CDAM (Brocki, Binda, Chung, arXiv 2312.02364, eq. 5) by the closed form, and its two parts:
 *
 *   score_i = sum_j T_ij df/dT_ij = routed_i + content_i
 *
 * with T the tokens that enter the last block's attention. Signed; docs/cdam.md derives it. */
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimators.h"

CDAM_RUN(cdam) {
  return cdam_sampling_run(&(struct cdam_sampling){.maps = maps}, task, err);
}

CDAM_RUN(cdam_routed) {
  return cdam_sampling_run(&(struct cdam_sampling){.routed = maps}, task, err);
}

CDAM_RUN(cdam_content) {
  return cdam_sampling_run(&(struct cdam_sampling){.content = maps}, task, err);
}
