/* Accepts connections, keeps those that wait for a place, and closes those that are too many. */
#include "pipeline/guard/pl_door.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "pipeline/report/pl_progress.h"

#define TELL_EVERY_S 10
/* Of a request that is this long no more needs to be there. */
#define ENOUGH 2048

static struct pl_door *open_door;

lc_status pl_door_open(struct pl_door *door, int listening, size_t most, double silent_s,
                       struct lc_error *err) {
  *door = (struct pl_door){.listening = listening, .most = most, .silent_s = silent_s};
  LC_TRY(lc_alloc(&door->waiting, most, sizeof *door->waiting, err));
  LC_TRY(lc_alloc(&door->polls, most + 1, sizeof *door->polls, err));
  open_door = door;
  return LC_OK;
}

void pl_door_leave(void) {
  if (!open_door) return;
  for (size_t i = 0; i < open_door->n; i++) close(open_door->waiting[i].descriptor);
  if (open_door->listening >= 0) close(open_door->listening);
}

struct pl_waiting pl_door_take(struct pl_door *door, size_t i) {
  struct pl_waiting one = door->waiting[i];
  door->n--;
  memmove(door->waiting + i, door->waiting + i + 1, (door->n - i) * sizeof one);
  return one;
}

/* Children may have it open too: the peer sees its end all the same. */
static void turn_away(struct pl_door *door, size_t i) {
  struct pl_waiting one = pl_door_take(door, i);
  shutdown(one.descriptor, SHUT_RDWR);
  close(one.descriptor);
}

void pl_door_close(struct pl_door *door) {
  while (door->n > 0) turn_away(door, door->n - 1);
  if (door->listening >= 0) {
    shutdown(door->listening, SHUT_RDWR);
    close(door->listening);
  }
  door->listening = -1;
  free(door->waiting);
  free(door->polls);
  door->waiting = NULL;
  door->polls = NULL;
  open_door = NULL;
}

static size_t count_of(const struct pl_door *door, uint32_t address) {
  size_t n = 0;
  for (size_t i = 0; i < door->n; i++) n += door->waiting[i].address == address;
  return n;
}

/* Of the address with the most, the one that came first; the silent go before the others. */
static void make_room(struct pl_door *door) {
  size_t chosen = 0, most = 0;
  for (size_t i = 0; i < door->n; i++) {
    size_t n =
        count_of(door, door->waiting[i].address) + (door->waiting[i].spoken > 0 ? 0 : door->most);
    if (n <= most) continue;
    most = n;
    chosen = i;
  }
  turn_away(door, chosen);
  door->n_closed++;
}

/* Bytes that must be there until poll says so (tcp(7)). */
static void wait_for_bytes(int descriptor, int n) {
  (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof n);
}

/* How many bytes the first message has: an A-ASSOCIATE-RQ (PS3.8 9.3.2) or a TLS handshake (RFC
 * 8446 5.1); 0 for anything else. */
static int length_of(const unsigned char head[6]) {
  unsigned long length = 0;
  if (head[0] == 1)
    length = 6 + ((unsigned long)head[2] << 24 | (unsigned long)head[3] << 16 |
                  (unsigned long)head[4] << 8 | head[5]);
  else if (head[0] == 0x16)
    length = 5 + ((unsigned long)head[3] << 8 | head[4]);
  return length < ENOUGH ? (int)length : ENOUGH;
}

/* Somebody has sent something: is it his whole request, or the end? */
static bool has_spoken(struct pl_waiting *one, bool at_end) {
  unsigned char head[6];
  ssize_t got = recv(one->descriptor, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
  if (got < (ssize_t)sizeof head) return at_end;
  if (one->awaited == 0) one->awaited = length_of(head);
  int here = 0;
  if (at_end || one->awaited == 0 || ioctl(one->descriptor, FIONREAD, &here) != 0 ||
      here >= one->awaited) {
    wait_for_bytes(one->descriptor, 1);
    return true;
  }
  wait_for_bytes(one->descriptor, one->awaited);
  return false;
}

static void take_in(struct pl_door *door) {
  for (;;) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    socklen_t length = sizeof from;
    int descriptor = accept4(door->listening, (struct sockaddr *)&from, &length, SOCK_CLOEXEC);
    if (descriptor < 0) return; /* none waits, or no descriptor is left: later */
    if (door->n == door->most) make_room(door);
    wait_for_bytes(descriptor, 6);
    door->waiting[door->n++] = (struct pl_waiting){
        .descriptor = descriptor, .address = from.sin_addr.s_addr, .since = pl_now_s()};
  }
}

/* Who has spoken is only asked whether he is still there. */
static void look_at(struct pl_door *door) {
  for (size_t i = door->n; i-- > 0;) {
    short seen = door->polls[i + 1].revents;
    struct pl_waiting *one = &door->waiting[i];
    char first;
    bool at_end = (seen & POLLRDHUP) && one->spoken <= 0 &&
                  recv(one->descriptor, &first, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
    if (at_end || (seen & (POLLHUP | POLLERR | POLLNVAL))) {
      turn_away(door, i);
    } else if (one->spoken <= 0 && seen && has_spoken(one, (seen & POLLRDHUP) != 0)) {
      one->spoken = pl_now_s();
    } else if (one->spoken <= 0 && pl_now_s() - one->since > door->silent_s) {
      turn_away(door, i);
      door->n_closed++;
    }
  }
}

static void tell(struct pl_door *door) {
  double now = pl_now_s();
  if (door->n_closed == 0 || now - door->told < TELL_EVERY_S) return;
  lc_log(LC_LOG_WARNING, "%zu connections closed: they said nothing, or too many wait",
         door->n_closed);
  door->n_closed = 0;
  door->told = now;
}

void pl_door_watch(struct pl_door *door, int timeout_ms) {
  size_t n = door->n;
  door->polls[0] = (struct pollfd){.fd = door->listening, .events = POLLIN};
  for (size_t i = 0; i < n; i++)
    door->polls[i + 1] =
        (struct pollfd){.fd = door->waiting[i].descriptor,
                        .events = door->waiting[i].spoken > 0 ? 0 : POLLIN | POLLRDHUP};
  int got = poll(door->polls, n + 1, timeout_ms);
  if (got < 0)
    for (size_t i = 0; i <= n; i++) door->polls[i].revents = 0;
  look_at(door);
  if (got > 0 && door->polls[0].revents) take_in(door);
  tell(door);
}
