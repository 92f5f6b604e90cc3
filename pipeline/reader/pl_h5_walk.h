/* The task that follows an HDF5 file of someone else to its ends before the program does: what
 * makes HDF5 crash, or take more time or memory than its helper has, does so there, and the file is
 * refused. pl_h5_open (pipeline/store) asks for it. */
#pragma once

#include "common/lc_helper.h"

/* One file; no request, no answer. What is merely wrong is left for the program to name. */
extern const struct lc_helper_task pl_task_hdf5;
