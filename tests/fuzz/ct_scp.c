/* The receiving side of the DICOM network: the input is all that a peer sends. Whatever it is, the
 * association ends, and objects are begun and ended in pairs. */
#include "ct_io/net/ct_scp.h"
#include "tests/fuzz/lc_fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { MOST_BYTES = 65536 };

struct received {
  int open, descriptor;
  size_t bytes;
};

static uint16_t begin(void *context, const struct ct_scp_object *object, int *descriptor) {
  struct received *received = context;
  if (received->open++ != 0 || strlen(object->sop_instance_uid) >= CT_UID_SIZE) abort();
  received->descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC);
  *descriptor = received->descriptor;
  return CT_STORE_OK;
}

static uint16_t room(void *context, size_t count) {
  struct received *received = context;
  received->bytes += count;
  return received->bytes > 1 << 20 ? CT_STORE_NO_RESOURCES : CT_STORE_OK;
}

static uint16_t end(void *context, const struct ct_scp_object *object, uint16_t so_far) {
  struct received *received = context;
  (void)object;
  if (--received->open != 0) abort();
  close(received->descriptor);
  return so_far;
}

static bool holds(void *context, const char *sop_instance_uid) {
  (void)context;
  return sop_instance_uid[0] == '1';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int pair[2], room_for = 4 * MOST_BYTES;
  struct ct_scp_options options = {.object_s = 2};
  struct ct_scp_summary summary;
  struct received received = {0};
  struct lc_error err;
  const struct ct_scp_store store = {&received, begin, room, end, holds};
  if (size > MOST_BYTES || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 0;
  setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room_for, sizeof room_for);
  if (send(pair[0], data, size, MSG_NOSIGNAL) != (ssize_t)size) abort();
  shutdown(pair[0], SHUT_WR);
  ct_peer_init(&options.self);
  options.self.called_ae = "LUNGCDAM";
  options.self.association_s = options.self.dimse_s = 2;
  lc_status status = ct_scp_serve(pair[1], &options, &store, &summary, &err);
  if (received.open != 0 || (status != LC_OK && err.message[0] == '\0')) abort();
  close(pair[0]);
  return 0;
}
