/* The series of 'lungcdam serve': which are complete, the job on one after the other, and where
 * each goes afterwards. */
#ifndef PL_SERVE_SERIES_H
#define PL_SERVE_SERIES_H

#include <sys/types.h>

#include "pipeline/delivery/pl_serve.h"
#include "pipeline/delivery/pl_serve_send.h"

struct pl_serve_series {
  const struct pl_serve_options *options;
  struct pl_spool *spool;
  double began;                /* by the clock of the file system */
  char running[PL_SPOOL_NAME]; /* "": none */
  char tried[PL_SPOOL_NAME];   /* the series that `attempts` counts for */
  int attempts;
  pid_t child;
  int descriptor; /* where the job's outcome comes from */
  struct pl_serve_sending *sending;
  double hold_until, looked, expired; /* monotonic seconds */
};

void pl_serve_series_start(struct pl_serve_series *series, struct pl_spool *spool,
                           struct pl_serve_sending *sending,
                           const struct pl_serve_options *options);
/* Looks for what is complete, and starts the next job when none runs. Call it often. */
void pl_serve_series_step(struct pl_serve_series *series);
/* A child has ended; false when it was not a job. */
bool pl_serve_series_ended(struct pl_serve_series *series, pid_t child, int wait_status);
bool pl_serve_series_busy(const struct pl_serve_series *series);

#endif
