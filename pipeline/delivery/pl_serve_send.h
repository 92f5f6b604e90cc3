/* The results of 'lungcdam serve' on their way back: a job queues them in an outbox (pl_outbox.h),
 * and a child sends what is there for as long as something is open. */
#ifndef PL_SERVE_SEND_H
#define PL_SERVE_SEND_H

#include <sys/types.h>

#include "pipeline/delivery/pl_destination.h"

struct pl_serve_sending {
  const char *outbox;                         /* folder */
  const struct pl_destinations *destinations; /* none: results stay where they are */
  pid_t child;                                /* that sends; 0: none */
  bool pending;                               /* something was queued since it began */
  double not_before;                          /* monotonic seconds */
};

/* Destinations from a file (or NULL) and names or addresses; without names all of the file.
 * Checked; free with pl_destinations_free. */
LC_MUST_CHECK lc_status pl_serve_send_choose(struct pl_destinations *chosen, const char *file,
                                             const struct pl_list *to, struct lc_error *err);

/* In the job's child: queues the DICOM objects of a result folder for every destination. */
LC_MUST_CHECK lc_status pl_serve_send_queue(const struct pl_serve_sending *sending,
                                            const char *result_folder, struct lc_error *err);

/* Starts the child when something is pending and none runs; call it often. */
void pl_serve_send_step(struct pl_serve_sending *sending);
/* A child has ended; false when it was not ours. */
bool pl_serve_send_ended(struct pl_serve_sending *sending, pid_t child, int wait_status);

#endif
