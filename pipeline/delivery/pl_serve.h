/* 'lungcdam serve': receives series over the DICOM network, processes each when it is complete, and
 * hands the results on.
 *
 * One process watches: it accepts connections, gives each a child, looks for series that are
 * complete (pl_spool.h) and runs the job on one after the other in a child. It parses nothing that
 * was received. All state is in the spool: after kill -9 of everything the next server goes on
 * where this one was.
 *
 * Thread-safety: one thread; it forks, so no other thread may exist. */
#pragma once

#include "ct_io/net/ct_scp.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/delivery/pl_destination.h"
#include "pipeline/delivery/pl_spool.h"

struct pl_receive_options {
  struct ct_scp_options scp;
  bool commitment;        /* offer storage commitment */
  long long memory_bytes; /* bound on what the process of an association may take; 0: none */
};

struct pl_serve_options {
  const char *spool;
  const char *address; /* IPv4 address to listen on */
  int port;            /* 0: any that is free; the log says which */
  int max_associations;
  double quiet_s; /* a series to which nothing was added for so long is complete */
  struct pl_receive_options receive;
  struct pl_spool_limits limits;
  const struct pl_config *config;             /* of the job; input.* does not matter */
  const struct pl_destinations *destinations; /* where results go; none: they stay */
  const char *outbox;                         /* folder of what is on its way there */
};

/* Serves until SIGTERM or SIGINT, then finishes the series that is being processed: LC_OK.
 * LC_ERR_NETWORK when the port cannot be had, LC_ERR_EXISTS when another server has the spool, and
 * what pl_serve_job_check finds. */
LC_MUST_CHECK lc_status pl_serve(const struct pl_serve_options *options, struct lc_error *err);
