/* 'lungcdam serve': receives series over the DICOM network, processes each when it is complete, and
 * hands the results on.
 *
 * One process watches: it accepts connections, gives each that speaks a child while there is a
 * place (pl_door.h, pl_traffic.h), looks for series that are complete (pl_spool.h) and runs the job
 * on one after the other in a child. It parses nothing that was received. All state is in the
 * spool: after kill -9 of everything the next server goes on where this one was.
 *
 * Thread-safety: one thread; it forks, so no other thread may exist. */
#pragma once

#include <sys/types.h>

#include "ct_io/net/ct_scp.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/delivery/pl_destination.h"
#include "pipeline/delivery/pl_spool.h"
#include "pipeline/guard/pl_audit.h"
#include "pipeline/guard/pl_door.h"
#include "pipeline/guard/pl_listen.h"
#include "pipeline/guard/pl_traffic.h"

struct pl_receive_options {
  struct ct_scp_options scp; /* its callers and classes are filled in */
  bool replace; /* an object that differs from the one that is here under its UID takes its place;
                   else it is refused as a duplicate (0111) */
  bool commitment;        /* offer storage commitment */
  long long memory_bytes; /* bound on what the process of an association may take; 0: none */
};

/* Bounds on peers and jobs; 0: none, where not said otherwise. */
struct pl_serve_bounds {
  int associations, peer_associations; /* open at once, of all and of one address; at least 1 */
  int waiting;                         /* connections without a process; at least 1 */
  int association_s;                   /* life time of an association; at least 1 */
  long long peer_objects, peer_bytes;  /* of one address in a minute */
  int job_s;                           /* time of one series' job */
  long long job_bytes;                 /* its memory (RLIMIT_DATA) */
};

struct pl_serve_options {
  const char *spool;
  struct pl_listen listen; /* the log says which port */
  struct pl_serve_bounds bounds;
  double quiet_s;       /* a series to which nothing was added for so long is complete */
  double nodule_wait_s; /* for so long images wait for nodules before they count as without */
  struct pl_receive_options receive;
  struct pl_audit *audit; /* or NULL */
  struct pl_spool_limits limits;
  const struct pl_config *config;             /* of the job; input.* does not matter */
  const struct pl_destinations *destinations; /* where results go; none: they stay */
  const char *outbox;                         /* folder of what is on its way there */
};

/* Serves until SIGTERM or SIGINT, then finishes the series that is being processed: LC_OK.
 * LC_ERR_NETWORK when the port cannot be had, LC_ERR_EXISTS when another server has the spool, and
 * what pl_serve_job_check finds. */
LC_MUST_CHECK lc_status pl_serve(const struct pl_serve_options *options, struct lc_error *err);

/* -- the parts of the server, for its sources: used only there. They fork, so that no other thread
 * may exist -- */

/* Bounds the memory of this process (RLIMIT_DATA: heap, stacks of threads, private mappings that
 * can be written); 0: as it is. Hostile bytes can make a parser ask for a lot. */
void pl_serve_bound_memory(long long bytes);

/* -- one association, in a child process of its own: objects come into a slot of the spool and,
 * when they are whole, on the disk and what they claim to be, into their series. Only then are they
 * confirmed. -- */

/* What the process of an association works with. */
struct pl_receiver {
  struct pl_spool *spool;
  struct pl_traffic *traffic;
  const struct pl_serve_options *options;
  size_t slot;
  unsigned long long number; /* of the association, for the log */
  uint32_t from;             /* address of the peer */
};

/* Serves the association on the descriptor to its end and logs what happened. Call it in a fresh
 * child, then leave. */
void pl_receive(const struct pl_receiver *receiver, int descriptor);

/* -- the job on one series: what 'lungcdam run' does, in a child process of its own, so that a
 * series that breaks a decoder or asks for too much memory breaks nothing else -- */

/* What a series is to the server. */
enum pl_received {
  PL_RECEIVED_IMAGES,  /* to be worked on */
  PL_RECEIVED_NODULES, /* of images: a segmentation, structure set or report */
  PL_RECEIVED_OWN,     /* results of this program that were routed back */
  PL_RECEIVED_OTHER    /* a report and the like that tells of no nodule */
};
#define PL_OUTCOME_UIDS 8

/* What the child reports to its parent through a pipe: plain data of less than PIPE_BUF bytes. */
struct pl_serve_outcome {
  lc_status status;
  bool is_environment; /* the failure is not the series': it may work later */
  char message[LC_ERROR_SIZE];
  char series_instance_uid[CT_UID_SIZE], study_instance_uid[CT_UID_SIZE], modality[17];
  char uids[PL_OUTCOME_UIDS][CT_UID_SIZE]; /* pl_spool_relate */
  size_t n_uids;
  enum pl_received is;
  size_t n_marks;   /* of a source of nodules */
  char result[129]; /* name of the folder of results */
  size_t n_done, n_kept;
};

/* Runs the job on the objects in a folder. The identity of the series is in the outcome, or is
 * found and put there. sources: folders of files that hold nodules of it, beside those of the
 * configuration; NULL-ended. Results that are there are kept when they come from the same input,
 * weights and configuration, and replaced otherwise. */
void pl_serve_job(const struct pl_config *config, const char *series_folder,
                  const char *const *sources, struct pl_serve_outcome *outcome);
/* Identity of a series by one of its objects, where nobody noted it when they came. */
void pl_serve_identify(const char *folder, struct pl_serve_outcome *outcome);
/* Reads a series of files that are no images: which images' nodules it holds. */
void pl_serve_nodules(const char *series_folder, struct pl_serve_outcome *outcome);

/* Whether the weights load, the nodules' source is there and the output can be written; done once
 * before a server listens. */
void pl_serve_job_check(const struct pl_config *config, struct pl_serve_outcome *outcome);

/* Runs work(context, outcome) in a child with that much memory (0: any); *descriptor is where its
 * outcome comes from. The child ignores SIGINT and SIGTERM and dies with its parent. Returns its
 * process id, or -1. */
long pl_serve_job_start(void (*work)(void *context, struct pl_serve_outcome *outcome),
                        void *context, long long memory_bytes, int *descriptor);
/* What a child that has ended reported; wait_status as waitpid gave it. Closes the descriptor. */
void pl_serve_job_end(int descriptor, int wait_status, struct pl_serve_outcome *outcome);

/* -- the results on their way back: a job queues them in an outbox, and a child sends what is there
 * for as long as something is open -- */

struct pl_serve_sending {
  const char *outbox;                         /* folder */
  const struct pl_destinations *destinations; /* none: results stay where they are */
  struct pl_audit *audit;                     /* or NULL */
  pid_t child;                                /* that sends; 0: none */
  bool pending;                               /* something was queued since it began */
  double not_before;                          /* monotonic seconds */
};

/* In the job's child: queues the DICOM objects of a result folder for every destination. */
LC_MUST_CHECK lc_status pl_serve_send_queue(const struct pl_serve_sending *sending,
                                            const char *result_folder, struct lc_error *err);

/* Starts the child when something is pending and none runs; call it often. spool: closed for that.
 */
void pl_serve_send_step(struct pl_serve_sending *sending, struct pl_spool *spool);
/* A child has ended; false when it was not ours. */
bool pl_serve_send_ended(struct pl_serve_sending *sending, pid_t child, int wait_status);

/* -- the series: which are complete, the job on one after the other, and where each goes
 * afterwards -- */

struct pl_serve_series {
  const struct pl_serve_options *options;
  struct pl_spool *spool;
  long long began_ms;
  struct pl_spool_series running; /* name "": none */
  char tried[PL_SPOOL_NAME];      /* the series that `attempts` counts for */
  int attempts;
  pid_t child;    /* that runs the job; 0: none */
  int descriptor; /* where the job's outcome comes from */
  struct pl_serve_sending *sending;
  double hold_until, looked, expired; /* monotonic seconds */
  double job_began;
  bool overtime; /* the job was ended because of its time */
};

LC_MUST_CHECK lc_status pl_serve_series_start(struct pl_serve_series *series,
                                              struct pl_spool *spool,
                                              struct pl_serve_sending *sending,
                                              const struct pl_serve_options *options,
                                              struct lc_error *err);
/* Looks for what is complete, and starts the next job when none runs. Call it often. */
void pl_serve_series_step(struct pl_serve_series *series);
/* Ends a job that takes longer than it may. Call it often, also while the server stops. */
void pl_serve_series_watch(struct pl_serve_series *series);
/* A child has ended; false when it was not a job. */
bool pl_serve_series_ended(struct pl_serve_series *series, pid_t child, int wait_status);
bool pl_serve_series_busy(const struct pl_serve_series *series);
