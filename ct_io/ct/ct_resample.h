/* Linear interpolation of a volume by ITK. Used only inside this room.
 *
 * Thread-safety: distinct cubes may be filled from distinct threads. */
#ifndef CT_RESAMPLE_H
#define CT_RESAMPLE_H

#include "ct_io/ct/ct_cube.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills cube->hu (allocated, edge and centre set) and n_padded. */
LC_MUST_CHECK lc_status ct_resample_linear(struct ct_cube *cube, const struct ct_volume *volume,
                                           struct lc_error *err);

#ifdef __cplusplus
}
#endif
#endif
