/* Where a listener listens and who may call it: the rules of 'lungcdam serve', of 'fetch --move'
 * and of the port on which 'send' hears of storage commitment.
 *
 * As it comes a listener is on 127.0.0.1. Anywhere else it needs TLS, or the word of its user that
 * the network is to be trusted. Callers are admitted by AE title and address together: a title
 * alone is what anybody may say of himself.
 *
 * Addresses are IPv4, in network byte order. Thread-safety: distinct objects, distinct threads. */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#include "ct_io/net/ct_peer.h"
#include "pipeline/config/pl_schema.h"

/* One entry of the list of callers: TITLE@ADDRESS or TITLE@ADDRESS/BITS, where the title may be "*"
 * for any. */
struct pl_caller {
  char title[CT_AE_SIZE];
  uint32_t network, mask;
};

struct pl_listen {
  const char *address;       /* IPv4 address to listen on */
  int port;                  /* 0: any that is free */
  bool insecure;             /* beyond this machine without TLS */
  struct pl_caller *callers; /* owned; none: everybody */
  size_t n_callers;
};
#define PL_LISTEN_ADDRESS "127.0.0.1" /* by default */

void pl_listen_free(struct pl_listen *listen);
/* Adds the entries. LC_ERR_USAGE for one without an address, or that is none. */
LC_MUST_CHECK lc_status pl_listen_callers(struct pl_listen *listen, const struct pl_list *entries,
                                          struct lc_error *err);
/* LC_ERR_USAGE for an address that is none, or beyond this machine without TLS or `insecure`;
 * LC_ERR_CONFIG where callers' certificates are to be checked and no authority is given. */
LC_MUST_CHECK lc_status pl_listen_check(const struct pl_listen *listen, const struct ct_peer *self,
                                        struct lc_error *err);
/* Listens; *bound is the port. flags: of the socket. LC_ERR_NETWORK. */
LC_MUST_CHECK lc_status pl_listen_open(const struct pl_listen *listen, int flags, int *descriptor,
                                       int *bound, struct lc_error *err);

/* Whether anybody may call from an address. */
bool pl_listen_knows(const struct pl_listen *listen, uint32_t address);
/* The titles that may call from it, borrowed, in *titles; none: everybody. Free the array. */
LC_MUST_CHECK lc_status pl_listen_titles(const struct pl_listen *listen, uint32_t address,
                                         const char ***titles, size_t *n, struct lc_error *err);
