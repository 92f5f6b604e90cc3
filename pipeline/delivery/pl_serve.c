/* Runs the server's loop: accepts connections, starts a child for each, reaps children, advances
 * series and sending, and stops on a signal. */
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
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_signal.h"

/* Children that only say "too many associations"; beyond, connections are closed. */
#define REFUSING_MOST 16
/* What a stop leaves to objects that are on their way. */
#define STOP_S 10

struct slot {
  pid_t child; /* 0: free */
  unsigned long long number;
  char address[INET_ADDRSTRLEN];
};

struct server {
  const struct pl_serve_options *options;
  struct pl_spool spool;
  struct pl_serve_series series;
  struct pl_serve_sending sending;
  int listening;
  struct slot *slots;
  size_t n_refusing;
  unsigned long long n_associations;
};

lc_status pl_serve_listen(const char *address, int port, int flags, int *descriptor, int *bound,
                          struct lc_error *err) {
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  socklen_t length = sizeof where;
  int on = 1;
  if (inet_pton(AF_INET, address, &where.sin_addr) != 1)
    LC_FAIL(err, LC_ERR_USAGE, "--listen is '%s', expected an IPv4 address", address);
  *descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (*descriptor < 0 || setsockopt(*descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(*descriptor, (struct sockaddr *)&where, sizeof where) != 0 ||
      listen(*descriptor, 64) != 0 ||
      getsockname(*descriptor, (struct sockaddr *)&where, &length) != 0) {
    int error_number = errno;
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
    LC_FAIL(err, LC_ERR_NETWORK, "%s:%d: cannot be listened on: %s", address, port,
            strerror(error_number));
  }
  *bound = ntohs(where.sin_port);
  return LC_OK;
}

/* In a child: nothing of the server's stays open. */
static void leave_server(struct server *server, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(LC_ERR_INTERNAL);
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  close(server->listening);
  close(server->spool.owner);
}

/* A-ASSOCIATE-RJ (PS3.8 9.3.4): transient, by the service provider, local limit exceeded. */
static void refuse(int descriptor, bool tls) {
  static const unsigned char reject[] = {3, 0, 0, 0, 0, 4, 0, 2, 3, 2};
  char request[65536];
  struct pollfd wait = {.fd = descriptor, .events = POLLIN};
  alarm(5);
  if (tls) return;
  if (poll(&wait, 1, 2000) > 0) (void)!read(descriptor, request, sizeof request);
  (void)!write(descriptor, reject, sizeof reject);
  shutdown(descriptor, SHUT_WR);
  if (poll(&wait, 1, 2000) > 0) (void)!read(descriptor, request, sizeof request);
}

static void start_association(struct server *server, int descriptor,
                              const struct sockaddr_in *from) {
  size_t slot = 0, n = (size_t)server->options->max_associations;
  while (slot < n && server->slots[slot].child) slot++;
  bool is_full = slot == n;
  if (is_full && server->n_refusing >= REFUSING_MOST) return;
  char address[INET_ADDRSTRLEN] = "?";
  inet_ntop(AF_INET, &from->sin_addr, address, sizeof address);
  unsigned long long number = ++server->n_associations;
  pl_spool_rest(&server->spool);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    leave_server(server, parent);
    signal(SIGTERM, SIG_DFL);
    if (is_full)
      refuse(descriptor, server->options->receive.scp.self.tls);
    else
      pl_receive(&server->spool, slot, descriptor, &server->options->receive, number, address);
    _exit(0);
  }
  if (child < 0) {
    lc_log(LC_LOG_ERROR, "association %llu from %s: no process for it: %s", number, address,
           strerror(errno));
  } else if (is_full) {
    server->n_refusing++;
    lc_log(LC_LOG_WARNING, "association %llu from %s: refused, %zu are open", number, address, n);
  } else {
    server->slots[slot] = (struct slot){.child = child, .number = number};
    memcpy(server->slots[slot].address, address, sizeof address);
    lc_log(LC_LOG_DEBUG, "association %llu from %s: opened", number, address);
  }
}

static void accept_all(struct server *server) {
  for (;;) {
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    int descriptor = accept4(server->listening, (struct sockaddr *)&from, &length, SOCK_CLOEXEC);
    if (descriptor < 0) return; /* none waits, or no descriptor is left: later */
    start_association(server, descriptor, &from);
    close(descriptor);
  }
}

static void association_ended(struct server *server, size_t slot, int wait_status) {
  const struct slot *ended = &server->slots[slot];
  if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGTERM)
    lc_log(LC_LOG_ERROR, "association %llu from %s: its process was ended by signal %d (%s)",
           ended->number, ended->address, WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
  server->slots[slot].child = 0;
  pl_spool_clear_slot(&server->spool, slot);
}

static void reap(struct server *server) {
  int wait_status;
  for (pid_t child; (child = waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    if (pl_serve_series_ended(&server->series, child, wait_status) ||
        pl_serve_send_ended(&server->sending, child, wait_status))
      continue;
    size_t slot = 0, n = (size_t)server->options->max_associations;
    while (slot < n && server->slots[slot].child != child) slot++;
    if (slot < n)
      association_ended(server, slot, wait_status);
    else if (server->n_refusing > 0)
      server->n_refusing--;
  }
}

static size_t n_open(const struct server *server) {
  size_t n = 0;
  for (int i = 0; i < server->options->max_associations; i++) n += server->slots[i].child != 0;
  return n;
}

static void signal_peers(const struct server *server, int number) {
  for (int i = 0; i < server->options->max_associations; i++)
    if (server->slots[i].child) kill(server->slots[i].child, number);
  if (server->sending.child > 0) kill(server->sending.child, number);
}

/* Objects on their way get their answer, the present series its results; what could not be sent
 * stays in the outbox. */
static void stop(struct server *server) {
  shutdown(server->listening, SHUT_RDWR); /* children have it open too */
  close(server->listening);
  server->listening = -1;
  lc_log(LC_LOG_INFO, "stopping%s",
         pl_serve_series_busy(&server->series) ? " after the series that is being worked on" : "");
  signal_peers(server, SIGTERM);
  double until = pl_serve_now_s() + STOP_S;
  bool killed = false;
  while (n_open(server) > 0 || pl_serve_series_busy(&server->series) || server->sending.child > 0) {
    poll(NULL, 0, 50);
    reap(server);
    if (killed || pl_serve_now_s() < until) continue;
    signal_peers(server, SIGKILL);
    killed = true;
  }
  lc_log(LC_LOG_INFO, "stopped");
}

static void watch(struct server *server) {
  while (pl_signal_check(NULL) == LC_OK) {
    struct pollfd wait = {.fd = server->listening, .events = POLLIN};
    bool children = n_open(server) > 0 || pl_serve_series_busy(&server->series);
    if (poll(&wait, 1, children ? 100 : 500) > 0) accept_all(server);
    reap(server);
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
  long child = pl_serve_job_start(check_job, (void *)(uintptr_t)options, &descriptor);
  if (child < 0) LC_FAIL(err, LC_ERR_MEMORY, "no process to check the job: %s", strerror(errno));
  while (waitpid((pid_t)child, &wait_status, 0) < 0 && errno == EINTR) {
  }
  struct pl_serve_outcome outcome;
  pl_serve_job_end(descriptor, wait_status, &outcome);
  if (outcome.status != LC_OK) LC_FAIL(err, outcome.status, "%s", outcome.message);
  return LC_OK;
}

static void free_server(struct server *server) {
  if (server->listening >= 0) close(server->listening);
  free(server->slots);
  pl_spool_close(&server->spool);
}

lc_status pl_serve(const struct pl_serve_options *options, struct lc_error *err) {
  LC_SCOPED(free_server)
  struct server server = {.options = options, .listening = -1, .spool.owner = -1};
  size_t n = (size_t)options->max_associations;
  int port = 0;
  LC_TRY(check(options, err));
  LC_TRY(pl_spool_open(&server.spool, options->spool, &options->limits, n, err));
  signal(SIGPIPE, SIG_IGN);
  server.sending = (struct pl_serve_sending){
      .outbox = options->outbox, .destinations = options->destinations, .pending = true};
  LC_TRY(pl_serve_series_start(&server.series, &server.spool, &server.sending, options, err));
  LC_TRY(lc_alloc(&server.slots, n, sizeof *server.slots, err));
  LC_TRY(pl_serve_listen(options->address, options->port, SOCK_NONBLOCK, &server.listening, &port,
                         err));
  lc_log(LC_LOG_INFO, "listening on %s:%d as %s%s", options->address, port,
         options->receive.scp.self.called_ae, options->receive.scp.self.tls ? " with TLS" : "");
  watch(&server);
  return LC_OK;
}
