/* What the peers of a server send: counted by the processes that receive, in memory that they share
 * with the server, which decides by it.
 *
 * A slot is a place for one association; a peer is an address, with all its associations of the
 * last minute. Thread-safety: any number of processes; peers are given out by the server alone. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

#define PL_TRAFFIC_PEERS 1024

struct pl_traffic_peer {
  uint32_t address; /* network byte order; 0: free */
  _Atomic long long minute, objects, bytes;
};

struct pl_traffic_slot {
  _Atomic long long bytes; /* received, of objects; a finished object counts as 4096 more */
  _Atomic int busy;        /* the process is working on an object that has come whole */
  size_t peer;
};

/* A zeroed struct holds nothing. */
struct pl_traffic {
  struct pl_traffic_peer *peers; /* [PL_TRAFFIC_PEERS], shared */
  struct pl_traffic_slot *slots; /* [n_slots], shared */
  size_t n_slots;
  long long most_objects, most_bytes; /* of a peer in a minute; 0: any */
};

LC_MUST_CHECK lc_status pl_traffic_open(struct pl_traffic *traffic, size_t n_slots,
                                        struct lc_error *err);
void pl_traffic_close(struct pl_traffic *traffic);

/* In the server: a slot begins to serve a peer. is_open: of a peer, whether it has associations, so
 * that its count is not given to another. */
void pl_traffic_begin(struct pl_traffic *traffic, size_t slot, uint32_t address,
                      bool (*is_open)(void *context, uint32_t address), void *context);

/* In the process of a slot: an object of the peer begins, or further bytes of it have come. False:
 * it has sent as much as it may in this minute. */
bool pl_traffic_object(struct pl_traffic *traffic, size_t slot);
bool pl_traffic_bytes(struct pl_traffic *traffic, size_t slot, long long count);
/* The same: the object has come whole, and is worked on, or is done with. */
void pl_traffic_busy(struct pl_traffic *traffic, size_t slot, bool busy);
