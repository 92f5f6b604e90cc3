/* What a weight file holds, for people and as JSON. Thread-safety: any thread. */
#pragma once

#include <stdio.h>

#include "common/lc_status.h"

/* The tensors are listed even when they make no model; then the reason is shown beside them. */
LC_MUST_CHECK lc_status pl_weights_show(const char *path, bool json, FILE *out,
                                        struct lc_error *err);
