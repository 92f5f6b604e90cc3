/* Keeps counts of objects and bytes by minute and peer in shared memory. */
#include "pipeline/guard/pl_traffic.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define OBJECT_DONE 4096

static void *share(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

lc_status pl_traffic_open(struct pl_traffic *traffic, size_t n_slots, struct lc_error *err) {
  traffic->n_slots = n_slots;
  traffic->peers = share(PL_TRAFFIC_PEERS * sizeof *traffic->peers);
  traffic->slots = share(n_slots * sizeof *traffic->slots);
  if (traffic->peers && traffic->slots) return LC_OK;
  LC_FAIL(err, LC_ERR_MEMORY, "no memory to share: %s", strerror(errno));
}

void pl_traffic_close(struct pl_traffic *traffic) {
  if (traffic->peers) munmap(traffic->peers, PL_TRAFFIC_PEERS * sizeof *traffic->peers);
  if (traffic->slots) munmap(traffic->slots, traffic->n_slots * sizeof *traffic->slots);
  traffic->peers = NULL;
  traffic->slots = NULL;
}

static long long this_minute(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1 + now.tv_sec / 60;
}

void pl_traffic_begin(struct pl_traffic *traffic, size_t slot, uint32_t address,
                      bool (*is_open)(void *context, uint32_t address), void *context) {
  size_t chosen = 0;
  long long oldest = INT64_MAX;
  for (size_t i = 0; i < PL_TRAFFIC_PEERS; i++) {
    struct pl_traffic_peer *peer = &traffic->peers[i];
    long long minute = peer->address ? atomic_load(&peer->minute) : -1;
    if (peer->address == address) {
      chosen = i;
      break;
    }
    if (minute >= oldest || (peer->address && is_open(context, peer->address))) continue;
    chosen = i;
    oldest = minute;
  }
  struct pl_traffic_peer *peer = &traffic->peers[chosen];
  if (peer->address != address) {
    peer->address = address;
    atomic_store(&peer->minute, 0);
  }
  atomic_store(&traffic->slots[slot].bytes, 0);
  atomic_store(&traffic->slots[slot].busy, 0);
  traffic->slots[slot].peer = chosen;
}

/* The first of a new minute clears the counts. */
static struct pl_traffic_peer *peer_now(struct pl_traffic *traffic, size_t slot) {
  struct pl_traffic_peer *peer = &traffic->peers[traffic->slots[slot].peer];
  long long now = this_minute(), before = atomic_load(&peer->minute);
  if (before != now && atomic_compare_exchange_strong(&peer->minute, &before, now)) {
    atomic_store(&peer->objects, 0);
    atomic_store(&peer->bytes, 0);
  }
  return peer;
}

bool pl_traffic_object(struct pl_traffic *traffic, size_t slot) {
  struct pl_traffic_peer *peer = peer_now(traffic, slot);
  long long n = atomic_fetch_add(&peer->objects, 1) + 1;
  return traffic->most_objects == 0 || n <= traffic->most_objects;
}

bool pl_traffic_bytes(struct pl_traffic *traffic, size_t slot, long long count) {
  struct pl_traffic_peer *peer = peer_now(traffic, slot);
  long long n = atomic_fetch_add(&peer->bytes, count) + count;
  atomic_fetch_add(&traffic->slots[slot].bytes, count);
  return traffic->most_bytes == 0 || n <= traffic->most_bytes;
}

void pl_traffic_busy(struct pl_traffic *traffic, size_t slot, bool busy) {
  atomic_store(&traffic->slots[slot].busy, busy);
  if (!busy) atomic_fetch_add(&traffic->slots[slot].bytes, OBJECT_DONE);
}
