/* Reading pickles in a helper process (lc_helper.h): what is asked and answered, and what of an
 * answer is believed.
 *
 * Thread-safety: any thread. */
#pragma once

#include "common/lc_helper.h"
#include "vit/weights/vit_pickle.h"

/* vit_pickle_read in a helper; in this process where there is none. Its errors, and LC_ERR_FORMAT
 * when the helper died or went beyond its limits. */
LC_MUST_CHECK lc_status vit_pickle_ask(struct vit_pickle *pickle, const char *path,
                                       const unsigned char *bytes, size_t size,
                                       struct lc_error *err);

extern const struct lc_helper_task vit_task_pickle;
