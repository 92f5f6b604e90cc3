/* The door of 'lungcdam serve': connections that were accepted by the system and have no process
 * yet. Nobody gets one before his request is there (an A-ASSOCIATE-RQ or the beginning of TLS, or
 * 2048 bytes of it), so that peers which connect and say nothing, or a byte a second, cost a
 * descriptor each; and no more of them wait than a bound: beyond it the one that has been silent
 * longest goes, of the address with the most.
 *
 * Of what was received the first six bytes are looked at, and left where they are. Thread-safety:
 * one thread. */
#pragma once

#include <poll.h>
#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

struct pl_waiting {
  int descriptor;
  uint32_t address;     /* network byte order */
  double since, spoken; /* monotonic seconds; spoken 0: no request has come yet */
  int awaited;          /* bytes of the request; 0: not known */
};

struct pl_door {
  int listening;              /* owned; -1: closed */
  struct pl_waiting *waiting; /* [n] of [most], in the order in which they came; owned */
  struct pollfd *polls;       /* [most + 1] */
  size_t n, most;
  double silent_s; /* after which a silent one is closed */
  size_t n_closed; /* silent ones, not told yet */
  double told;
};

/* Takes over the listening socket, which does not block. */
LC_MUST_CHECK lc_status pl_door_open(struct pl_door *door, int listening, size_t most,
                                     double silent_s, struct lc_error *err);
/* Closes everything; safe on a zeroed struct whose listening is -1, and twice. */
void pl_door_close(struct pl_door *door);
/* In a child of the server: closes what the door that is open holds, which is not the child's. */
void pl_door_leave(void);

/* Waits for at most so many milliseconds, takes in who has come, notes who has spoken, and closes
 * those who were silent too long or have gone. */
void pl_door_watch(struct pl_door *door, int timeout_ms);
/* Takes one that has spoken out of the door; its descriptor is the caller's. */
struct pl_waiting pl_door_take(struct pl_door *door, size_t i);
