/* The program that makes helper processes, and one helper: started, spoken to, ended. lc_helper.c
 * keeps them.
 *
 * Thread-safety: one thread for the program; distinct helpers may be used from distinct threads. */
#pragma once

#include <sys/types.h>
#include <time.h>

#include "common/lc_helper.h"

/* The program that helpers are copies of: it holds what takes long to load, and sees no file. */
struct lc_helper_program {
  pid_t pid; /* 0: not started */
  int socket;
};

struct lc_helper {
  struct lc_helper *next;
  pid_t pid;
  int socket;
  clockid_t clock; /* its processor time */
  struct lc_helper_hello hello;
  size_t memory; /* the limit that it has */
  bool used;     /* it had a job before this one */
  uint64_t affinity;
  int shared; /* descriptor of shared memory, or -1 */
  void *map;
  size_t map_size;
};

/* Why an exchange failed. */
enum lc_helper_end {
  LC_HELPER_DONE = 0, /* it did not */
  LC_HELPER_DIED,     /* or hung up */
  LC_HELPER_SLOW,
  LC_HELPER_NONSENSE,
  LC_HELPER_NO_MEMORY, /* in this process */
};

/* Starts the program at path, without waiting for it. `why` says why it cannot be, "" when memory
 * ran out. */
bool lc_helper_program_start(struct lc_helper_program *program, const char *path, char *why,
                             size_t size);
/* Ends it; its wait status, or -1 when the system does not say. */
int lc_helper_program_stop(struct lc_helper_program *program);
/* Asks for a helper, and waits until it is there: the socket on which it will say hello; -1 when
 * there is none. */
int lc_helper_ask_for(const struct lc_helper_program *program, pid_t *helper);
/* Waits for the hello; takes the socket over. NULL when none of this version comes: *ended is then
 * its wait status, or -1. */
struct lc_helper *lc_helper_meet(int socket, pid_t pid, int *ended);
/* Whether a wait status says that memory ran out. */
bool lc_helper_lacked_memory(int ended);
/* Sends a job and waits for its answer: status and what follows. */
enum lc_helper_end lc_helper_exchange(struct lc_helper *helper, const struct lc_helper_job *job,
                                      lc_status *status, struct lc_wire *answer);
/* Ends it and frees it; its wait status, or -1 when the system does not say. */
int lc_helper_stop(struct lc_helper *helper);
/* Frees what this process holds of a helper of another. */
void lc_helper_forget(struct lc_helper *helper);
