/* Two-dimensional crop sets (axial crops in HU, such as lidc_nodule_crops.h5) as nodule data sets.
 *
 * Thread-safety: HDF5 is used from one thread at a time. */
#pragma once

#include "pipeline/store/pl_dataset.h"

/* Reads a crop set and resamples every crop to edge x edge samples of spacing_mm, bilinear, about
 * the centre of the crop; samples outside are air and counted. Needed: hu [n, s, s],
 * pixel_spacing_mm, patient_id, nodule_id, malignancy_1_to_5; used when there: ratings/NAME,
 * malignancy_by_reader, series_instance_uid, sop_instance_uid, manufacturer,
 * equivalent_diameter_px, slice_z_mm, split, rescale_intercept_known (0 becomes the verdict
 * "rescale intercept guessed"). LC_ERR_FORMAT names what is missing or of another shape. */
LC_MUST_CHECK lc_status pl_crop_set_read(struct pl_dataset *dataset, const char *path, size_t edge,
                                         double spacing_mm, struct lc_error *err);
