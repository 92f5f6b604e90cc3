/* A server on the hospital's network hears everything: scanners for open ports, broken devices,
 * attackers. Whatever comes, it stays, answers the next, and writes nothing beside its spool.
 * needs: net */
#include "pipeline/delivery/pl_serve.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "common/lc_log.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/report/pl_signal.h"
#include "tests/lc_test.h"
#include "tests/pl_dicom_net.h"

#define WAIT_MS 60000
#define SLOTS 4
#define DISK ((long long)6 << 20)

extern const struct pl_command pl_command_weights;

static char folder[256]; /* holds box/, which holds the spool: "../.." would be seen */
static char spool[512], log_path[512];
static pid_t server;
static int port;
static struct net_bytes out, in;

static uint64_t seed = 88172645463325252U;
static uint32_t draw(uint32_t below) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 11) % below;
}

static void sink(void *context, lc_log_level level, const char *line) {
  (void)level;
  fprintf((FILE *)context, "%s\n", line);
  fflush((FILE *)context);
}

static char weights[512], results[512];

static void serve_in_child(void) {
  FILE *log = fopen(log_path, "w");
  struct pl_config config;
  struct pl_overrides overrides = {.weights = weights, .output = results};
  struct pl_destinations none = {0};
  if (!log || pl_config_make(&config, &overrides, NULL) != LC_OK) _exit(99);
  lc_log_set_sink(sink, log);
  pl_signal_start();
  struct pl_serve_options options = {.spool = spool,
                                     .listen = {.address = "127.0.0.1"},
                                     .bounds = {.associations = SLOTS,
                                                .peer_associations = SLOTS,
                                                .waiting = 32,
                                                .association_s = 600},
                                     .quiet_s = 3600,
                                     .limits = {.max_bytes = DISK,
                                                .max_series = 30,
                                                .keep_s = 60,
                                                .quarantine_series = 10,
                                                .quarantine_bytes = DISK},
                                     .config = &config,
                                     .destinations = &none,
                                     .outbox = "unused"};
  ct_peer_init(&options.receive.scp.self);
  options.receive.scp.self.called_ae = "LUNGCDAM";
  options.receive.scp.self.association_s = options.receive.scp.self.dimse_s = 4;
  options.receive.scp.object_s = 6;
  options.receive.memory_bytes = (long long)1 << 30;
  struct lc_error err;
  lc_status status = pl_serve(&options, &err);
  if (status != LC_OK) fprintf(stderr, "%s\n", err.message);
  _exit((int)status);
}

/* The port that the log names. */
static int port_in_log(void) {
  char line[1024];
  int found = 0;
  FILE *log = fopen(log_path, "r");
  while (log && !found && fgets(line, sizeof line, log)) {
    const char *at = strstr(line, "listening on 127.0.0.1:");
    if (at) found = atoi(at + strlen("listening on 127.0.0.1:"));
  }
  if (log) fclose(log);
  return found;
}

static int start(void **state) {
  (void)state;
  char box[300], path[512];
  lc_test_folder(folder);
  snprintf(box, sizeof box, "%s/box", folder);
  assert_ok(lc_folder_make(box, &test_err));
  snprintf(spool, sizeof spool, "%s/spool", box);
  snprintf(results, sizeof results, "%s/results", box);
  snprintf(log_path, sizeof log_path, "%s/log", folder);
  snprintf(weights, sizeof weights, "%s/w.safetensors", folder);
  snprintf(path, sizeof path, "%s", weights);
  char *argv[] = {"weights", "init", "vit_tiny_patch16", "-o", path, NULL};
  assert_ok(pl_options_run(&pl_command_weights, 5, argv, &test_err));
  fflush(NULL);
  server = fork();
  if (server == 0) serve_in_child();
  for (int i = 0; i < 1200 && !(port = port_in_log()); i++) {
    int status;
    if (waitpid(server, &status, WNOHANG) != 0) fail_msg("the server did not start");
    usleep(50000);
  }
  assert_true(port > 0);
  return 0;
}

/* Sends what is in `out`, says no more, and reads to the end. */
static void throw_at(void) {
  int s = net_connect(port);
  assert_true(s >= 0);
  (void)net_send(s, &out);
  shutdown(s, SHUT_WR);
  for (uint8_t byte[4096]; net_read(s, byte, 1, WAIT_MS);) {
  }
  close(s);
}

/* An association and its acceptance; -1 when it was not accepted. */
static int associate(void) {
  int s = net_connect(port);
  assert_true(s >= 0);
  out.n = 0;
  net_associate(&out, "LUNGCDAM", "TEST");
  if (net_send(s, &out) && net_next(s, &in, WAIT_MS) == 2) return s;
  close(s);
  return -1;
}

/* An honest peer gets its answer, as soon as there is a place for it. */
static void answers(void) {
  for (int tries = 0; tries < 600; tries++) {
    int s = associate();
    if (s < 0) {
      usleep(100000);
      continue;
    }
    out.n = 0;
    net_echo(&out);
    assert_true(net_send(s, &out));
    assert_int_equal(net_next(s, &in, WAIT_MS), 4);
    assert_int_equal(net_status(&in), 0);
    out.n = 0;
    net_release(&out);
    assert_true(net_send(s, &out));
    assert_int_equal(net_next(s, &in, WAIT_MS), 6);
    close(s);
    return;
  }
  fail_msg("no association in a minute");
}

/* The answer to one C-STORE; -1 when the server hung up. */
static long store(const struct net_object *object) {
  int s = -1;
  for (int tries = 0; s < 0 && tries < 600; tries++)
    if ((s = associate()) < 0) usleep(100000);
  assert_true(s >= 0);
  out.n = 0;
  net_store(&out, object);
  long status = net_send(s, &out) && net_next(s, &in, WAIT_MS) == 4 ? net_status(&in) : -1;
  close(s);
  return status;
}

/* Bytes in use by a process, from /proc. */
static long resident_kib(pid_t process) {
  char path[64], line[256];
  long kib = -1;
  snprintf(path, sizeof path, "/proc/%d/status", (int)process);
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
  if (file) fclose(file);
  return kib;
}

static size_t count_in(const char *place, bool deep) {
  char path[600], inside[900];
  size_t n = 0;
  snprintf(path, sizeof path, "%s/%s", spool, place);
  DIR *stream = opendir(path);
  for (struct dirent *e = stream ? readdir(stream) : NULL; e; e = readdir(stream)) {
    if (e->d_name[0] == '.') continue;
    snprintf(inside, sizeof inside, "%s/%s", place, e->d_name);
    n += deep ? count_in(inside, false) : 1;
  }
  if (stream) closedir(stream);
  return n;
}

static void an_honest_object_is_stored(void **state) {
  (void)state;
  const struct net_object object = {
      .command_uid = "1.2.3.1", .sop_uid = "1.2.3.1", .series_uid = "1.2.3", .study_uid = "1.2"};
  answers();
  assert_int_equal(store(&object), 0);
  assert_int_equal(count_in("receiving", true), 1);
  assert_int_equal(store(&object), 0); /* once more does no harm */
  assert_int_equal(count_in("receiving", true), 1);
}

static void random_bytes(void **state) {
  (void)state;
  for (int i = 0; i < 60; i++) {
    out.n = 0;
    size_t n = 1 + draw(3000);
    for (size_t k = 0; k < n; k++) net_number(&out, draw(256), 1, true);
    if (i % 2) out.data[0] = (uint8_t)(1 + draw(7));
    if (i % 4 == 3) memset(out.data + 1, 0, 3); /* a length that may be true */
    throw_at();
  }
  answers();
}

static void giant_and_wrong_lengths(void **state) {
  (void)state;
  static const uint32_t lengths[] = {0, 1, 5, 0x10000, 0xfffff, 0x7fffffff, 0xffffffff};
  for (uint32_t type = 0; type <= 8; type++)
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
      out.n = 0;
      if (type > 1) net_associate(&out, "LUNGCDAM", "TEST");
      net_number(&out, type, 1, true);
      net_number(&out, 0, 1, true);
      net_number(&out, lengths[i], 4, true);
      net_number(&out, 0x01020304, 4, true);
      throw_at();
    }
  answers();
}

/* Lengths of fragments inside a P-DATA-TF. */
static void wrong_fragments(void **state) {
  (void)state;
  static const uint32_t lengths[] = {0, 1, 2, 3, 40, 0x7fffffff, 0xfffffffe, 0xffffffff};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    for (uint32_t flags = 0; flags < 4; flags++) {
      static struct net_bytes body;
      body.n = 0;
      net_number(&body, lengths[i], 4, true);
      net_number(&body, 3, 1, true);
      net_number(&body, flags, 1, true);
      for (int k = 0; k < 5; k++) net_number(&body, 0, 4, true);
      out.n = 0;
      net_associate(&out, "LUNGCDAM", "TEST");
      net_pdu(&out, 4, &body);
      throw_at();
    }
  answers();
}

/* A whole honest conversation with some bytes changed, or cut off. */
static void changed_conversations(void **state) {
  (void)state;
  const struct net_object object = {
      .command_uid = "1.2.3.2", .sop_uid = "1.2.3.2", .series_uid = "1.2.3", .study_uid = "1.2"};
  for (int i = 0; i < 200; i++) {
    out.n = 0;
    net_associate(&out, "LUNGCDAM", "TEST");
    net_store(&out, &object);
    net_release(&out);
    if (i % 3 == 0) out.n = 1 + draw((uint32_t)out.n - 1);
    uint32_t changes = 1 + draw(4);
    for (uint32_t k = 0; k < changes; k++)
      out.data[draw((uint32_t)out.n)] = (uint8_t)(draw(2) ? draw(256) : 0xff * draw(2));
    throw_at();
  }
  answers();
}

static void wrong_order(void **state) {
  (void)state;
  const struct net_object object = {
      .command_uid = "1.2.3.3", .sop_uid = "1.2.3.3", .series_uid = "1.2.3", .study_uid = "1.2"};
  static const char abort_pdu[] = "\7\0\0\0\0\4\0\0\0\0";
  for (int order = 0; order < 6; order++) {
    out.n = 0;
    if (order == 0) net_store(&out, &object); /* without an association */
    if (order > 0) net_associate(&out, "LUNGCDAM", "TEST");
    if (order == 1) net_associate(&out, "LUNGCDAM", "TEST"); /* twice */
    if (order == 2) net_release(&out);                       /* after its end */
    if (order == 3) net_add(&out, abort_pdu, 10);
    if (order == 4) net_echo(&out);
    if (order == 4) out.n -= 7; /* in the middle of a command */
    net_store(&out, &object);
    if (order == 5) out.n -= 20; /* in the middle of a data set */
    net_release(&out);
    net_release(&out);
    throw_at();
  }
  answers();
}

static void hostile_names(void **state) {
  (void)state;
  static char longest[4000];
  memset(longest, '1', sizeof longest - 1);
  static const struct {
    const char *uid;
    size_t n;
    bool harmless; /* may be stored, cleaned or cut */
  } hostile[] = {{"../../x", 0, false},
                 {"/tmp/lungcdam-hostile", 0, false},
                 {"..", 0, true},
                 {"1.2\0/../../x", 12, true},
                 {"\0", 1, false},
                 {"1.2.3/../../../../x", 0, false},
                 {"%s%n%s%n", 0, false},
                 {"1.2.\xff\xfe", 0, false},
                 {"1.2\n3", 0, true},
                 {"1.2.3;rm -rf x", 0, false},
                 {"\xe2\x80\xae"
                  "1.2.3",
                  0, false},
                 {longest, 0, true}};
  size_t before = count_in("receiving", true);
  for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
    for (int where = 0; where < 4; where++) {
      struct net_object object = {.command_uid = "1.2.9.1",
                                  .sop_uid = "1.2.9.1",
                                  .series_uid = "1.2.9",
                                  .study_uid = "1.2"};
      const char *uid = hostile[i].uid;
      size_t n = hostile[i].n;
      if (where == 0) object.command_uid = object.sop_uid = uid;
      if (where == 0) object.n_command_uid = object.n_sop_uid = n;
      if (where == 1) object.sop_uid = uid, object.n_sop_uid = n;
      if (where == 2) object.series_uid = uid, object.n_series_uid = n;
      if (where == 3) object.study_uid = uid, object.n_study_uid = n;
      long status = store(&object);
      if (!hostile[i].harmless && status == 0) fail_msg("UID %zu, place %d, was stored", i, where);
      /* DCMTK drops white space, and all that follows a NUL. */
      if (where == 1 && status == 0) fail_msg("UID %zu: stored as what it is not", i);
    }
  answers();
  assert_true(count_in("receiving", true) <= before + 10);
}

/* Peers that send a byte now and then hold a place for a few seconds only. */
static void dribbling(void **state) {
  (void)state;
  int sockets[SLOTS];
  for (int i = 0; i < SLOTS; i++) {
    do sockets[i] = i % 2 ? associate() : net_connect(port);
    while (sockets[i] < 0 && usleep(100000) == 0);
    assert_true(sockets[i] >= 0);
  }
  out.n = 0;
  net_associate(&out, "LUNGCDAM", "TEST");
  time_t began = time(NULL);
  int open = SLOTS;
  for (size_t at = 0; open > 0 && time(NULL) - began < 60; at++) {
    for (int i = 0; i < SLOTS; i++) {
      struct pollfd ended = {.fd = sockets[i], .events = POLLIN};
      uint8_t byte = i % 2 ? (uint8_t)(at == 0 ? 4 : 0) : out.data[at % out.n], got[64];
      if (sockets[i] < 0) continue;
      (void)send(sockets[i], &byte, 1, MSG_NOSIGNAL);
      if (poll(&ended, 1, 0) > 0 && read(sockets[i], got, sizeof got) <= 0) {
        close(sockets[i]);
        sockets[i] = -1;
        open--;
      }
    }
    usleep(200000);
  }
  assert_int_equal(open, 0);
  answers();
}

/* The spool is bounded: what does not fit is refused as out of resources, what fits stays. */
static void a_full_spool(void **state) {
  (void)state;
  char uid[32];
  long status = 0;
  size_t before = count_in("receiving", true), stored = 0;
  for (unsigned i = 0; i < 400 && status == 0; i++) {
    snprintf(uid, sizeof uid, "1.2.4.%u", i);
    const struct net_object object = {.command_uid = uid,
                                      .sop_uid = uid,
                                      .series_uid = "1.2.4",
                                      .study_uid = "1.2",
                                      .n_filling = 60000};
    status = store(&object);
    stored += status == 0;
  }
  assert_int_equal(status, CT_STORE_NO_RESOURCES);
  assert_int_equal(count_in("receiving", true), before + stored);
  assert_true(stored > 10 && (long long)stored * 60000 < DISK);
  answers();
}

static void nothing_else_was_written(void **state) {
  (void)state;
  static const char *const expected[] = {"log", "w.safetensors", "box"};
  size_t n = 0;
  DIR *stream = opendir(folder);
  assert_non_null(stream);
  for (struct dirent *e = readdir(stream); e; e = readdir(stream)) {
    bool known = e->d_name[0] == '.';
    for (size_t i = 0; i < 3; i++) known = known || strcmp(e->d_name, expected[i]) == 0;
    if (!known) fail_msg("%s/%s was written", folder, e->d_name);
    n++;
  }
  closedir(stream);
  assert_true(n >= 4);
  assert_int_equal(access("/tmp/lungcdam-hostile", F_OK), -1);
  assert_int_equal(count_in("../../box", false), 2); /* spool, results */
  assert_int_equal(count_in("incoming", false), 0);
#if !defined(__SANITIZE_ADDRESS__)
  assert_true(resident_kib(server) < 200 * 1024);
#else
  assert_true(resident_kib(server) > 0);
#endif
}

static int stop(void **state) {
  (void)state;
  int status = -1;
  kill(server, SIGTERM);
  for (int i = 0; i < 600 && waitpid(server, &status, WNOHANG) == 0; i++) usleep(100000);
  kill(server, SIGKILL);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return lc_folder_remove(folder, &test_err) == LC_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(an_honest_object_is_stored),
                                     cmocka_unit_test(random_bytes),
                                     cmocka_unit_test(giant_and_wrong_lengths),
                                     cmocka_unit_test(wrong_fragments),
                                     cmocka_unit_test(changed_conversations),
                                     cmocka_unit_test(wrong_order),
                                     cmocka_unit_test(hostile_names),
                                     cmocka_unit_test(dribbling),
                                     cmocka_unit_test(a_full_spool),
                                     cmocka_unit_test(nothing_else_was_written)};
  return cmocka_run_group_tests(tests, start, stop);
}
