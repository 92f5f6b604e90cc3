/* Learning rate by step.
 *
 * A pure function of the step, so that a resumed run needs no state. Plain data. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

typedef enum vit_schedule_kind {
  VIT_SCHEDULE_CONSTANT = 0,
  VIT_SCHEDULE_EXPONENTIAL, /* rate * decay^epoch (PyTorch's ExponentialLR stepped each epoch) */
  VIT_SCHEDULE_COSINE,      /* linear warm-up, then half a cosine (Loshchilov, arXiv 1608.03983) */
  VIT_SCHEDULE_TRIANGULAR2  /* cyclic, height halved each cycle (Smith, arXiv 1506.01186) */
} vit_schedule_kind;

struct vit_schedule {
  vit_schedule_kind kind;
  double rate;              /* the start; the highest for cosine; the lowest (base) for cyclic */
  double decay;             /* exponential: factor an epoch */
  uint64_t steps_per_epoch; /* exponential */
  double lowest;            /* cosine: where it ends */
  uint64_t warmup_steps;    /* cosine: step k of them runs at rate * (k + 1) / warmup_steps */
  uint64_t total_steps;     /* cosine, warm-up included; later steps stay at the lowest rate */
  double highest;           /* cyclic: top of the first cycle */
  uint64_t steps_up, steps_down; /* cyclic */
};

/* "constant", "exponential", "cosine", "triangular2"; false for another word. */
bool vit_schedule_parse(const char *word, vit_schedule_kind *kind);
const char *vit_schedule_name(vit_schedule_kind kind);

/* LC_ERR_CONFIG names the field that does not fit the kind. */
LC_MUST_CHECK lc_status vit_schedule_check(const struct vit_schedule *schedule,
                                           struct lc_error *err);

/* Rate of step 0, 1, ... of a checked schedule. Cyclic rates are those of PyTorch's CyclicLR with
 * mode "triangular2", in its order of operations. */
double vit_schedule_rate(const struct vit_schedule *schedule, uint64_t step);

LC_C_END
