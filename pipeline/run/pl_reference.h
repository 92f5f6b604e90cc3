/* The DICOM that volume files were made from: objects need one to refer to.
 *
 * Thread-safety: one thread an index. */
#pragma once

#include "ct_io/dicom_read/ct_index.h"

/* Gives each of n series of the index that come from a volume file the identity and the slices of
 * one DICOM series below the folder: the one with its identifier, else the only one that can be
 * used. Its voxels must lie in the same places. LC_ERR_GEOMETRY says what differs, LC_ERR_NO_DICOM
 * and LC_ERR_AMBIGUOUS that there is none to take; among several series one that fails is refused
 * for that reason, and the others go on. An empty folder name: nothing happens. */
LC_MUST_CHECK lc_status pl_reference_apply(const char *folder, struct ct_index *index,
                                           const struct ct_series *const *series, size_t n,
                                           struct lc_error *err);
