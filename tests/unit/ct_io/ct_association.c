/* Peers that do not answer as they should: each failure is distinguished, and all end in time. The
 * peer is a thread of the test on a free loopback port.
 * needs: net */
#include "ct_io/net/ct_association.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/lc_test.h"

/* What the peer does with a connection. */
enum behaviour {
  SILENT,   /* accepts and says nothing */
  TRICKLES, /* sends a byte of an endless PDU now and then */
  HANGS_UP, /* closes */
  REJECTS,  /* A-ASSOCIATE-RJ with the bytes below */
  ABORTS,   /* A-ABORT */
  BABBLES   /* bytes that are no PDU */
};

struct scripted {
  enum behaviour behaviour;
  unsigned char result, source, reason;
  int listener, port;
  pthread_t thread;
};

static void talk(const struct scripted *peer, int fd) {
  unsigned char pdu[10] = {3, 0, 0, 0, 0, 4, 0, peer->result, peer->source, peer->reason};
  static const unsigned char abort_pdu[10] = {7, 0, 0, 0, 0, 4, 0, 0, 2, 0};
  unsigned char buffer[4096];
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  switch (peer->behaviour) {
  case REJECTS:
  case ABORTS:
    if (recv(fd, buffer, sizeof buffer, 0) > 0)
      (void)!send(fd, peer->behaviour == REJECTS ? pdu : abort_pdu, 10, MSG_NOSIGNAL);
    break;
  case BABBLES:
    (void)!send(fd, "220 mail.example.org ESMTP\r\n", 28, MSG_NOSIGNAL);
    break;
  case TRICKLES: /* an A-ASSOCIATE-AC that never ends */
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) != 0) {
      static const unsigned char start[6] = {2, 0, 0, 1, 0, 0};
      static size_t sent;
      unsigned char byte = sent < sizeof start ? start[sent] : 0;
      sent++;
      if (send(fd, &byte, 1, MSG_NOSIGNAL) < 0) return;
      nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return;
  case SILENT:
    while (poll(&readable, 1, 20000) > 0 && recv(fd, buffer, sizeof buffer, 0) > 0) {
    }
    return;
  case HANGS_UP:
    return;
  }
  while (poll(&readable, 1, 2000) > 0 && recv(fd, buffer, sizeof buffer, 0) > 0) {
  }
}

static void *serve(void *context) {
  struct scripted *peer = (struct scripted *)context;
  int fd = accept(peer->listener, NULL, NULL);
  if (fd < 0) return NULL;
  talk(peer, fd);
  close(fd);
  return NULL;
}

static void start(struct scripted *peer) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  peer->listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(peer->listener >= 0);
  assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(peer->listener, 4), 0);
  assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &size), 0);
  peer->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void stop(struct scripted *peer) {
  shutdown(peer->listener, SHUT_RDWR);
  pthread_join(peer->thread, NULL);
  close(peer->listener);
}

static struct ct_peer at(int port) {
  struct ct_peer peer;
  ct_peer_init(&peer);
  peer.host = "127.0.0.1";
  peer.port = port;
  peer.called_ae = "PACS";
  peer.connect_s = peer.association_s = peer.dimse_s = 1;
  return peer;
}

static void fails_with(struct scripted script, ct_net_failure expected, const char *text) {
  start(&script);
  struct ct_peer peer = at(script.port);
  ct_net_failure failure;
  char name[64];
  assert_fails(ct_echo(&peer, &failure, &test_err), LC_ERR_NETWORK, text);
  snprintf(name, sizeof name, "PACS@127.0.0.1:%d: ", script.port);
  assert_memory_equal(test_err.message, name, strlen(name));
  assert_string_equal(ct_net_failure_name(failure), ct_net_failure_name(expected));
  stop(&script);
}

static void rejections_say_why(void **state) {
  (void)state;
  fails_with((struct scripted){REJECTS, 1, 1, 7, 0, 0, 0}, CT_NET_REJECTED,
             "rejected the association: called AE title not recognised");
  fails_with((struct scripted){REJECTS, 1, 1, 3, 0, 0, 0}, CT_NET_REJECTED,
             "rejected the association: calling AE title not recognised");
  fails_with((struct scripted){REJECTS, 2, 3, 2, 0, 0, 0}, CT_NET_BUSY,
             "rejected the association for now: local limit exceeded");
  fails_with((struct scripted){REJECTS, 2, 3, 1, 0, 0, 0}, CT_NET_BUSY, "temporary congestion");
}

static void peers_that_break_off(void **state) {
  (void)state;
  fails_with((struct scripted){.behaviour = HANGS_UP}, CT_NET_ABORTED, "closed the connection");
  fails_with((struct scripted){.behaviour = ABORTS}, CT_NET_ABORTED, "closed the connection");
  fails_with((struct scripted){.behaviour = BABBLES}, CT_NET_PROTOCOL, "no association");
}

static void peers_that_hang_are_left(void **state) {
  (void)state;
  fails_with((struct scripted){.behaviour = SILENT}, CT_NET_TIMEOUT, "no answer within 1 s");
  fails_with((struct scripted){.behaviour = TRICKLES}, CT_NET_TIMEOUT, "no answer within 1 s");
}

static void nobody_listens(void **state) {
  (void)state;
  struct scripted script = {.behaviour = SILENT};
  start(&script); /* takes a port */
  stop(&script);  /* and leaves it */
  struct ct_peer peer = at(script.port);
  ct_net_failure failure;
  assert_fails(ct_echo(&peer, &failure, &test_err), LC_ERR_NETWORK,
               "cannot connect: Connection refused");
  assert_int_equal(failure, CT_NET_CONNECT);
}

static void peers_that_can_never_work(void **state) {
  (void)state;
  struct ct_peer peer = at(104);
  peer.host = "";
  assert_fails(ct_echo(&peer, NULL, &test_err), LC_ERR_CONFIG, "no host");
  peer = at(70000);
  assert_fails(ct_echo(&peer, NULL, &test_err), LC_ERR_CONFIG, "port is 70000");
  peer = at(104);
  peer.called_ae = "SEVENTEEN-LETTERS";
  assert_fails(ct_echo(&peer, NULL, &test_err), LC_ERR_CONFIG, "SEVENTEEN-LETTERS");
  peer.called_ae = "A\\B";
  assert_fails(ct_echo(&peer, NULL, &test_err), LC_ERR_CONFIG, "AE title");
  peer = at(104);
  peer.tls = true;
  peer.tls_ca_file = "/nonexistent/ca.pem";
  assert_fails(ct_echo(&peer, NULL, &test_err), LC_ERR_CONFIG, "/nonexistent/ca.pem");
  peer.tls_ca_file = LC_TEST_SOURCE_DIR "/README.md";
  assert_fails(ct_echo(&peer, NULL, &test_err), LC_ERR_CONFIG, "README.md cannot be used");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rejections_say_why), cmocka_unit_test(peers_that_break_off),
      cmocka_unit_test(peers_that_hang_are_left), cmocka_unit_test(nobody_listens),
      cmocka_unit_test(peers_that_can_never_work)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
