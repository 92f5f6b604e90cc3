/* Reads lists of callers, checks where it is safe to listen, and opens the listening socket. */
#include "pipeline/guard/pl_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"

#define BACKLOG 128

void pl_listen_free(struct pl_listen *listen) {
  free(listen->callers);
  listen->callers = NULL;
  listen->n_callers = 0;
}

static lc_status read_caller(struct pl_caller *caller, const char *entry, struct lc_error *err) {
  const char *at = strrchr(entry, '@');
  char address[INET_ADDRSTRLEN];
  long long bits = 32;
  size_t title = at ? (size_t)(at - entry) : 0;
  if (!at)
    LC_FAIL(err, LC_ERR_USAGE,
            "caller '%.80s' has no address, expected TITLE@ADDRESS or TITLE@ADDRESS/BITS: a title "
            "alone protects nothing",
            entry);
  const char *slash = strchr(at, '/');
  size_t length = slash ? (size_t)(slash - at - 1) : strlen(at + 1);
  if (title == 0 || title >= CT_AE_SIZE || length >= sizeof address ||
      (slash && (!lc_text_to_long(slash + 1, &bits) || bits < 0 || bits > 32)))
    LC_FAIL(err, LC_ERR_USAGE,
            "caller '%.80s': expected TITLE@ADDRESS or TITLE@ADDRESS/BITS, with 1 to 16 characters "
            "and 0 to 32 bits",
            entry);
  memcpy(caller->title, entry, title);
  caller->title[title] = '\0';
  memcpy(address, at + 1, length);
  address[length] = '\0';
  if (inet_pton(AF_INET, address, &caller->network) != 1)
    LC_FAIL(err, LC_ERR_USAGE, "caller '%.80s': '%s' is no IPv4 address", entry, address);
  caller->mask = bits == 0 ? 0 : htonl(0xffffffffU << (32 - bits));
  caller->network &= caller->mask;
  return LC_OK;
}

lc_status pl_listen_callers(struct pl_listen *listen, const struct pl_list *entries,
                            struct lc_error *err) {
  if (entries->n == 0) return LC_OK;
  pl_listen_free(listen);
  LC_TRY(lc_alloc(&listen->callers, entries->n, sizeof *listen->callers, err));
  for (; listen->n_callers < entries->n; listen->n_callers++)
    LC_TRY(
        read_caller(&listen->callers[listen->n_callers], entries->items[listen->n_callers], err));
  return LC_OK;
}

static lc_status read_address(const struct pl_listen *listen, struct in_addr *address,
                              struct lc_error *err) {
  if (inet_pton(AF_INET, listen->address, address) == 1) return LC_OK;
  LC_FAIL(err, LC_ERR_USAGE, "to listen on '%.80s': expected an IPv4 address", listen->address);
}

lc_status pl_listen_check(const struct pl_listen *listen, const struct ct_peer *self,
                          struct lc_error *err) {
  struct in_addr address;
  LC_TRY(read_address(listen, &address, err));
  bool is_here = ntohl(address.s_addr) >> 24 == 127;
  if (!is_here && !self->tls && !listen->insecure)
    LC_FAIL(err, LC_ERR_USAGE,
            "to listen on %s is beyond this machine: DICOM without TLS is neither secret nor "
            "authenticated; give --tls-cert and --tls-key (a destination: tls), or --insecure "
            "(commitment.insecure) on a network you trust",
            listen->address);
  bool authority =
      (self->tls_ca_file && *self->tls_ca_file) || (self->tls_ca_folder && *self->tls_ca_folder);
  if (self->tls && self->tls_verify && !authority)
    LC_FAIL(err, LC_ERR_CONFIG,
            "TLS checks the certificates of callers: give the authorities that sign them "
            "(--tls-ca); those of the system do not count");
  return LC_OK;
}

lc_status pl_listen_open(const struct pl_listen *listening, int flags, int *descriptor, int *bound,
                         struct lc_error *err) {
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)listening->port)};
  socklen_t length = sizeof where;
  int on = 1;
  LC_TRY(read_address(listening, &where.sin_addr, err));
  *descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (*descriptor < 0 || setsockopt(*descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(*descriptor, (struct sockaddr *)&where, sizeof where) != 0 ||
      listen(*descriptor, BACKLOG) != 0 ||
      getsockname(*descriptor, (struct sockaddr *)&where, &length) != 0) {
    int error_number = errno;
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
    LC_FAIL(err, LC_ERR_NETWORK, "%s:%d: cannot be listened on: %s", listening->address,
            listening->port, strerror(error_number));
  }
  *bound = ntohs(where.sin_port);
  return LC_OK;
}

static bool covers(const struct pl_caller *caller, uint32_t address) {
  return (address & caller->mask) == caller->network;
}

bool pl_listen_knows(const struct pl_listen *listen, uint32_t address) {
  for (size_t i = 0; i < listen->n_callers; i++)
    if (covers(&listen->callers[i], address)) return true;
  return listen->n_callers == 0;
}

lc_status pl_listen_titles(const struct pl_listen *listen, uint32_t address, const char ***titles,
                           size_t *n, struct lc_error *err) {
  *n = 0;
  LC_TRY(lc_alloc(titles, listen->n_callers + 1, sizeof **titles, err));
  for (size_t i = 0; i < listen->n_callers; i++) {
    const struct pl_caller *caller = &listen->callers[i];
    if (!covers(caller, address)) continue;
    if (strcmp(caller->title, "*") == 0) {
      *n = 0;
      return LC_OK;
    }
    (*titles)[(*n)++] = caller->title;
  }
  return LC_OK;
}
