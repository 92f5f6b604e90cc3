/* What an HDF5 file of someone else may ask for, checked before HDF5 follows, decodes or allocates
 * it: docs/store.md lists what is refused. Used only inside this folder.
 *
 * Thread-safety: HDF5 is used from one thread at a time. */
#pragma once

#include <hdf5.h>

#include "pipeline/store/pl_h5.h"

/* Before HDF5 is used: it prints nothing and loads no plugins, whatever the environment says. */
void pl_h5_begin(void);
/* A property list for opening links and datasets that never opens another file. */
hid_t pl_h5_stay_inside(void);
/* Opens a dataset that pl_h5_has. -1 when there is none, and when there is one that is refused:
 * then in->status is set. */
hid_t pl_h5_open_dataset(struct pl_h5_in *in, const char *name);
/* Whether an attribute is one text of fixed length, or one number, of sensible size. */
bool pl_h5_is_text(hid_t attribute);
bool pl_h5_is_number(hid_t attribute);
