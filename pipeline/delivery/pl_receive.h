/* One association of 'lungcdam serve', in a child process of its own: objects come into a slot of
 * the spool and, when they are whole, on the disk and what they claim to be, into their series.
 * Only then are they confirmed. */
#ifndef PL_RECEIVE_H
#define PL_RECEIVE_H

#include "ct_io/net/ct_scp.h"
#include "pipeline/delivery/pl_spool.h"

struct pl_receive_options {
  struct ct_scp_options scp;
  bool commitment;        /* offer storage commitment */
  long long memory_bytes; /* bound on what the process may take; 0: none */
};

/* Serves the association on the descriptor to its end and logs what happened. number: of the
 * association, for the log. address: of the peer. Call it in a fresh child, then leave. */
void pl_receive(struct pl_spool *spool, size_t slot, int descriptor,
                const struct pl_receive_options *options, unsigned long long number,
                const char *address);

#endif
