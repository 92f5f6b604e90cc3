/* What a phantom really is: masks and parameters of its nodules in an HDF5 file beside its DICOM.
 *
 * docs/store.md gives the layout. Thread-safety: HDF5 is used from one thread at a time. */
#pragma once

#include "ct_io/phantom/ct_phantom.h"

#define PL_TRUTH_FILE "truth.h5"

/* "seed 3, patient 0, ..." and the program's version: what a phantom was made from. Stored with the
 * truth, so that --resume keeps only what would be made again. */
#define PL_TRUTH_OPTIONS_SIZE 192
void pl_truth_options(const struct ct_phantom_options *options, char out[PL_TRUTH_OPTIONS_SIZE]);

LC_MUST_CHECK lc_status pl_truth_write(const struct ct_phantom *phantom,
                                       const struct ct_phantom_options *options, const char *path,
                                       struct lc_error *err);

/* Flags of enum ct_feature on the axial plane through a point (LPS): features [pixels, pixels], the
 * nearest voxel of each pixel; the point is in the middle, outside the volume there is nothing.
 * LC_ERR_FORMAT for a truth without features, or of slices that are not axial. */
LC_MUST_CHECK lc_status pl_truth_features(const char *path, const double centre_mm[3],
                                          double spacing_mm, size_t pixels, uint8_t *features,
                                          struct lc_error *err);
