/* DICOM objects that hold nodules (segmentations, structure sets, reports), read in a helper
 * process where there is one. Used only inside this room, but for the task, which is
 * pipeline/reader's.
 *
 * Thread-safety: distinct files may be read from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "common/lc_helper.h"
#include "ct_io/nodule/ct_nodule_source.h"

LC_C_BEGIN

/* What struct ct_nodule_source's read does, for all kinds of objects: by its SOP class. */
LC_MUST_CHECK lc_status ct_nodule_object_read(struct ct_annotations *found, const char *path,
                                              struct lc_error *err);
/* The same in this process. file: a descriptor of it, taken over. */
LC_MUST_CHECK lc_status ct_nodule_object_parse(struct ct_annotations *found, int file,
                                               const char *path, struct lc_error *err);

extern const struct lc_helper_task ct_task_nodules;

LC_C_END
