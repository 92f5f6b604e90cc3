/* Runs the server's loop: gives those who call a child while there is a place, ends associations
 * that hold one without using it, reaps children, advances series and sending, and stops on a
 * signal. */
#include "pipeline/delivery/pl_serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lc_arena.h"
#include "common/lc_identity.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"

/* Children that only say no; beyond, connections are closed. */
#define REFUSING_MOST 16
/* What a stop leaves to objects that are on their way, and the end of its time to an association.
 */
#define STOP_S 10
/* For so long a caller waits for a place before he is told that there is none. */
#define REFUSE_S 3
/* An association that brought less than so many bytes of objects for so long may lose its place. */
#define IDLE_S 2
#define IDLE_BYTES 1024

/* A-ASSOCIATE-RJ (PS3.8 9.3.4): transient, by the service provider, local limit exceeded;
 * permanent, by the service user, calling AE title not recognised. */
static const unsigned char too_many[] = {3, 0, 0, 0, 0, 4, 0, 2, 3, 2};
static const unsigned char not_you[] = {3, 0, 0, 0, 0, 4, 0, 1, 1, 3};

struct slot {
  pid_t child; /* 0: free */
  unsigned long long number;
  uint32_t from;
  double began, active; /* monotonic seconds; active: when it last brought something */
  long long seen;       /* bytes at that time */
  bool ending, evicted;
};

struct server {
  const struct pl_serve_options *options;
  struct pl_spool spool;
  struct pl_traffic traffic;
  struct pl_serve_series series;
  struct pl_serve_sending sending;
  struct pl_door door;
  struct slot *slots;
  size_t n_slots, n_refusing;
  unsigned long long n_associations;
};

static const char *address_text(uint32_t address, char out[INET_ADDRSTRLEN]) {
  return inet_ntop(AF_INET, &address, out, INET_ADDRSTRLEN) ? out : "?";
}

static size_t n_open(const struct server *server) {
  size_t n = 0;
  for (size_t i = 0; i < server->n_slots; i++) n += server->slots[i].child != 0;
  return n;
}

static size_t n_open_of(const struct server *server, uint32_t address) {
  size_t n = 0;
  for (size_t i = 0; i < server->n_slots; i++)
    n += server->slots[i].child != 0 && server->slots[i].from == address;
  return n;
}

static bool is_open(void *context, uint32_t address) {
  return n_open_of((const struct server *)context, address) > 0;
}

/* -- a child for each ----------------------------------------------------------------------- */

/* In a child: nothing of the server's stays open. */
static void leave_server(struct server *server, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(LC_ERR_INTERNAL);
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, SIG_DFL);
  pl_door_leave();
  close(server->spool.owner);
}

static void answer_no(int descriptor, bool tls, const unsigned char reject[10]) {
  char request[65536];
  struct pollfd wait = {.fd = descriptor, .events = POLLIN};
  alarm(5);
  if (tls) return;
  if (poll(&wait, 1, 2000) > 0) (void)!read(descriptor, request, sizeof request);
  (void)!write(descriptor, reject, 10);
  shutdown(descriptor, SHUT_WR);
  if (poll(&wait, 1, 2000) > 0) (void)!read(descriptor, request, sizeof request);
}

static void refuse(struct server *server, const struct pl_waiting *one,
                   const unsigned char reject[10], const char *why) {
  char address[INET_ADDRSTRLEN];
  unsigned long long number = ++server->n_associations;
  address_text(one->address, address);
  lc_log(LC_LOG_WARNING, "association %llu from %s: refused, %s", number, address, why);
  if (reject == not_you)
    pl_audit_refused(server->options->audit,
                     &(struct pl_audit_peer){.title = "", .address = address}, why);
  if (server->n_refusing >= REFUSING_MOST) return;
  pl_spool_rest(&server->spool);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    leave_server(server, parent);
    answer_no(one->descriptor, server->options->receive.scp.self.tls, reject);
    _exit(0);
  }
  server->n_refusing += child > 0;
}

static void start_association(struct server *server, size_t slot, const struct pl_waiting *one) {
  char address[INET_ADDRSTRLEN];
  struct pl_receiver receiver = {.spool = &server->spool,
                                 .traffic = &server->traffic,
                                 .options = server->options,
                                 .slot = slot,
                                 .number = ++server->n_associations,
                                 .from = one->address};
  pl_traffic_begin(&server->traffic, slot, one->address, is_open, server);
  pl_spool_rest(&server->spool);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    leave_server(server, parent);
    pl_receive(&receiver, one->descriptor);
    _exit(0);
  }
  address_text(one->address, address);
  if (child < 0) {
    lc_log(LC_LOG_ERROR, "association %llu from %s: no process for it: %s", receiver.number,
           address, strerror(errno));
    return;
  }
  double now = pl_now_s();
  server->slots[slot] = (struct slot){
      .child = child, .number = receiver.number, .from = one->address, .began = now, .active = now};
  lc_log(LC_LOG_DEBUG, "association %llu from %s: opened", receiver.number, address);
}

/* -- places --------------------------------------------------------------------------------- */

/* The place whose association brings nothing: of an address alone (0: of any), then of the address
 * with the most, then for the longest time. n_slots: there is none. */
static size_t idle_slot(const struct server *server, uint32_t address) {
  size_t chosen = server->n_slots, most = 0;
  double longest = 0, now = pl_now_s();
  for (size_t i = 0; i < server->n_slots; i++) {
    const struct slot *slot = &server->slots[i];
    double idle = now - slot->active;
    if (!slot->child || slot->evicted || idle < IDLE_S || (address && slot->from != address) ||
        atomic_load(&server->traffic.slots[i].busy))
      continue;
    size_t n = n_open_of(server, slot->from);
    if (n < most || (n == most && idle <= longest)) continue;
    chosen = i;
    most = n;
    longest = idle;
  }
  return chosen;
}

/* Makes a place for a caller; true while one is on its way. */
static bool make_place(struct server *server, const struct pl_waiting *one, bool own_limit) {
  char address[INET_ADDRSTRLEN];
  for (size_t i = 0; i < server->n_slots; i++)
    if (server->slots[i].evicted && (!own_limit || server->slots[i].from == one->address))
      return true;
  size_t at = idle_slot(server, own_limit ? one->address : 0);
  if (at == server->n_slots) return false;
  struct slot *slot = &server->slots[at];
  slot->evicted = true;
  lc_log(LC_LOG_WARNING,
         "association %llu from %s: ended, it brought nothing for %.0f s and its "
         "place is wanted",
         slot->number, address_text(slot->from, address), pl_now_s() - slot->active);
  kill(slot->child, SIGKILL);
  return true;
}

/* Serves or refuses the caller; false: he waits for a place. */
static bool admit_one(struct server *server, size_t i) {
  const struct pl_waiting one = server->door.waiting[i];
  size_t slot = 0;
  bool may = pl_listen_knows(&server->options->listen, one.address);
  bool own_limit =
      n_open_of(server, one.address) >= (size_t)server->options->bounds.peer_associations;
  while (slot < server->n_slots && server->slots[slot].child) slot++;
  bool full = own_limit || slot == server->n_slots;
  if (may && full && (make_place(server, &one, own_limit) || pl_now_s() - one.spoken < REFUSE_S))
    return false;
  pl_door_take(&server->door, i);
  if (!may)
    refuse(server, &one, not_you, "nobody may call from there");
  else if (full)
    refuse(server, &one, too_many,
           own_limit ? "as many are open as one address may have" : "all places are taken");
  else
    start_association(server, slot, &one);
  close(one.descriptor);
  return true;
}

/* Addresses with few associations go first, then who came first. */
static bool admit_next(struct server *server) {
  for (size_t open = 0; open <= server->n_slots; open++)
    for (size_t i = 0; i < server->door.n; i++)
      if (server->door.waiting[i].spoken > 0 &&
          n_open_of(server, server->door.waiting[i].address) == open && admit_one(server, i))
        return true;
  return false;
}

/* Looks at what each association brought, and ends those whose time is over. */
static void look_at_slots(struct server *server) {
  double now = pl_now_s();
  for (size_t i = 0; i < server->n_slots; i++) {
    struct slot *slot = &server->slots[i];
    char address[INET_ADDRSTRLEN];
    if (!slot->child) continue;
    long long bytes = atomic_load(&server->traffic.slots[i].bytes);
    if (bytes - slot->seen >= IDLE_BYTES) {
      slot->seen = bytes;
      slot->active = now;
    }
    double over = now - slot->began - server->options->bounds.association_s;
    if (over > STOP_S && !slot->evicted) {
      slot->evicted = true;
      kill(slot->child, SIGKILL);
    } else if (over > 0 && !slot->ending) {
      slot->ending = true;
      lc_log(LC_LOG_WARNING, "association %llu from %s: ended, it was open for %d s", slot->number,
             address_text(slot->from, address), server->options->bounds.association_s);
      kill(slot->child, SIGTERM);
    }
  }
}

static void association_ended(struct server *server, size_t slot, int wait_status) {
  const struct slot *ended = &server->slots[slot];
  char address[INET_ADDRSTRLEN];
  if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGTERM && !ended->evicted)
    lc_log(LC_LOG_ERROR, "association %llu from %s: its process was ended by signal %d (%s)",
           ended->number, address_text(ended->from, address), WTERMSIG(wait_status),
           strsignal(WTERMSIG(wait_status)));
  server->slots[slot].child = 0;
  pl_spool_clear_slot(&server->spool, slot);
}

static void reap(struct server *server) {
  int wait_status;
  for (pid_t child; (child = waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    if (pl_serve_series_ended(&server->series, child, wait_status) ||
        pl_serve_send_ended(&server->sending, child, wait_status))
      continue;
    size_t slot = 0;
    while (slot < server->n_slots && server->slots[slot].child != child) slot++;
    if (slot < server->n_slots)
      association_ended(server, slot, wait_status);
    else if (server->n_refusing > 0)
      server->n_refusing--;
  }
}

static void signal_peers(const struct server *server, int number) {
  for (size_t i = 0; i < server->n_slots; i++)
    if (server->slots[i].child) kill(server->slots[i].child, number);
  if (server->sending.child > 0) kill(server->sending.child, number);
}

/* Objects on their way get their answer, the present series its results; what could not be sent
 * stays in the outbox. */
static void stop(struct server *server) {
  pl_door_close(&server->door);
  lc_log(LC_LOG_INFO, "stopping%s",
         pl_serve_series_busy(&server->series) ? " after the series that is being worked on" : "");
  signal_peers(server, SIGTERM);
  double until = pl_now_s() + STOP_S;
  bool killed = false;
  while (n_open(server) > 0 || pl_serve_series_busy(&server->series) || server->sending.child > 0) {
    poll(NULL, 0, 50);
    pl_serve_series_watch(&server->series);
    reap(server);
    if (killed || pl_now_s() < until) continue;
    signal_peers(server, SIGKILL);
    killed = true;
  }
  lc_log(LC_LOG_INFO, "stopped");
}

static void watch(struct server *server) {
  while (pl_signal_check(NULL) == LC_OK) {
    bool children = n_open(server) > 0 || pl_serve_series_busy(&server->series);
    pl_door_watch(&server->door, children || server->door.n > 0 ? 100 : 500);
    reap(server);
    look_at_slots(server);
    while (admit_next(server)) {
    }
    pl_serve_series_watch(&server->series);
    pl_serve_series_step(&server->series);
    pl_serve_send_step(&server->sending, &server->spool);
  }
  stop(server);
}

static void check_job(void *context, struct pl_serve_outcome *outcome) {
  const struct pl_serve_options *options = context;
  pl_serve_job_check(options->config, outcome);
}

/* In a child too: the library that multiplies matrices must not start threads here. */
static lc_status check(const struct pl_serve_options *options, struct lc_error *err) {
  int descriptor, wait_status = 0;
  LC_TRY(ct_scp_check(&options->receive.scp, err));
  LC_TRY(pl_listen_check(&options->listen, &options->receive.scp.self, err));
  long child = pl_serve_job_start(check_job, (void *)(uintptr_t)options, options->bounds.job_bytes,
                                  &descriptor);
  if (child < 0) LC_FAIL(err, LC_ERR_MEMORY, "no process to check the job: %s", strerror(errno));
  while (waitpid((pid_t)child, &wait_status, 0) < 0 && errno == EINTR) {
  }
  struct pl_serve_outcome outcome;
  pl_serve_job_end(descriptor, wait_status, &outcome);
  if (outcome.status != LC_OK) LC_FAIL(err, outcome.status, "%s", outcome.message);
  return LC_OK;
}

static void free_server(struct server *server) {
  pl_door_close(&server->door);
  free(server->slots);
  pl_traffic_close(&server->traffic);
  pl_spool_close(&server->spool);
}

/* Pseudonyms of patients stay the same for a spool: its key is made once. */
static lc_status take_key(const char *spool, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  uint8_t key[LC_IDENTITY_KEY];
  LC_FREED char *bytes = NULL;
  size_t count;
  LC_TRY(lc_path_join(path, spool, "pseudonym.key", err));
  if (!lc_file_exists(path)) {
    if (!lc_identity_draw_key(key)) LC_FAIL(err, LC_ERR_INTERNAL, "%s: no random bytes", path);
    LC_TRY(lc_file_write(path, key, sizeof key, err));
  }
  LC_TRY(lc_file_read(path, sizeof key, &bytes, &count, err));
  if (count != sizeof key)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %zu bytes, expected %zu", path, count, sizeof key);
  memcpy(key, bytes, sizeof key);
  lc_identity_set_key(key);
  return LC_OK;
}

static lc_status start(struct server *server, struct lc_error *err) {
  const struct pl_serve_options *options = server->options;
  const struct ct_peer *self = &options->receive.scp.self;
  int listening, port;
  LC_TRY(pl_spool_open(&server->spool, options->spool, &options->limits, server->n_slots, err));
  LC_TRY(take_key(options->spool, err));
  server->sending = (struct pl_serve_sending){.outbox = options->outbox,
                                              .destinations = options->destinations,
                                              .audit = options->audit,
                                              .pending = true};
  LC_TRY(pl_serve_series_start(&server->series, &server->spool, &server->sending, options, err));
  LC_TRY(lc_alloc(&server->slots, server->n_slots, sizeof *server->slots, err));
  server->traffic.most_objects = options->bounds.peer_objects;
  server->traffic.most_bytes = options->bounds.peer_bytes;
  LC_TRY(pl_traffic_open(&server->traffic, server->n_slots, err));
  LC_TRY(pl_listen_open(&options->listen, SOCK_NONBLOCK, &listening, &port, err));
  LC_TRY(pl_door_open(&server->door, listening, (size_t)options->bounds.waiting,
                      self->association_s, err));
  lc_log(LC_LOG_INFO, "listening on %s:%d as %s%s", options->listen.address, port, self->called_ae,
         self->tls ? " with TLS" : "");
  return LC_OK;
}

lc_status pl_serve(const struct pl_serve_options *options, struct lc_error *err) {
  LC_SCOPED(free_server)
  struct server server = {.options = options,
                          .door.listening = -1,
                          .spool.owner = -1,
                          .n_slots = (size_t)options->bounds.associations};
  LC_TRY(check(options, err));
  signal(SIGPIPE, SIG_IGN);
  LC_TRY(start(&server, err));
  pl_audit_application(options->audit, true);
  watch(&server);
  pl_audit_application(options->audit, false);
  return LC_OK;
}
