/* The job of 'lungcdam serve' on one series: what 'lungcdam run' does, in a child process of its
 * own, so that a series that breaks a decoder or asks for too much memory breaks nothing else. */
#ifndef PL_SERVE_JOB_H
#define PL_SERVE_JOB_H

#include "ct_io/dicom_read/ct_identity.h"
#include "pipeline/config/pl_config.h"

/* What the child reports to its parent through a pipe: plain data of less than PIPE_BUF bytes. */
struct pl_serve_outcome {
  lc_status status;
  bool is_environment; /* the failure is not the series': it may work later */
  char message[LC_ERROR_SIZE];
  char series_instance_uid[CT_UID_SIZE], study_instance_uid[CT_UID_SIZE], modality[17];
  size_t n_objects, n_done, n_kept;
};

/* Runs the job on the objects in a folder. Results that are there are kept when they come from the
 * same input, weights and configuration, and replaced otherwise. */
void pl_serve_job(const struct pl_config *config, const char *series_folder,
                  struct pl_serve_outcome *outcome);

/* Whether the weights load, the nodules' source is there and the output can be written; done once
 * before a server listens. */
void pl_serve_job_check(const struct pl_config *config, struct pl_serve_outcome *outcome);

/* Runs work(context, outcome) in a child; *descriptor is where its outcome comes from. The child
 * ignores SIGINT and SIGTERM and dies with its parent. Returns its process id, or -1. */
long pl_serve_job_start(void (*work)(void *context, struct pl_serve_outcome *outcome),
                        void *context, int *descriptor);
/* What a child that has ended reported; wait_status as waitpid gave it. Closes the descriptor. */
void pl_serve_job_end(int descriptor, int wait_status, struct pl_serve_outcome *outcome);

#endif
