/* The picture of one nodule in one view: the CT, then one panel for each target with its signed map
 * over the CT, with the readers' consensus outlined. Targets differ in unit (a logit, rating
 * points, mm), so that each map is divided by its largest score, which its caption names; one
 * target alone, or figure.scale 'common', shows the scores themselves on one scale.
 *
 * Thread-safety: distinct pictures may be drawn by distinct threads. */
#pragma once

#include "cdam/draw/cdam_render.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_result.h"

/* picture: cdam_picture_free. */
LC_MUST_CHECK lc_status pl_figure_draw(const struct pl_config *config,
                                       const struct pl_result *result, size_t nodule, size_t view,
                                       struct cdam_picture *picture, struct lc_error *err);

/* What stands below every figure. */
void pl_figure_footer(bool trained, const char *weights_sha256, char *out, size_t size);
/* What every output made with seeded weights says; "" for trained ones. */
const char *pl_untrained_notice(const struct pl_provenance *provenance);

/* "malignancy: probability 0.532" or "diameter: 11.3" for one target of one nodule. */
void pl_prediction_text(const struct pl_result *result, size_t nodule, size_t target, char *out,
                        size_t size);
