/* Noisy linear imputation: fills missing pixels so that little shows where they were (ROAD: Rong,
 * Leemann, Borisov, Kasneci, Kasneci, ICML 2022, section 4.2).
 *
 * Thread-safety: no state. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

/* Each missing pixel becomes the weighted mean of its eight neighbours, missing ones included:
 * weight 1/6 for those that share an edge and 1/12 for those that share a corner, scaled to sum 1
 * at the border of the image. The sparse system is symmetric and positive definite; it is solved by
 * conjugate gradients in double to a relative residual of 1e-10. Without any known pixel there is
 * no answer: all pixels become the mean that the image had.
 *
 * image: [rows, columns], changed in place; missing: [rows, columns], not 0 where missing.
 * LC_ERR_NUMERIC when the residual is not reached. */
LC_MUST_CHECK lc_status cdam_impute(float *image, const uint8_t *missing, size_t rows,
                                    size_t columns, struct lc_error *err);
