/* The DICOM network protocol byte by byte (PS3.8 section 9.3), for tests that must also say it
 * wrong.
 */
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct net_bytes {
  uint8_t data[1 << 17];
  size_t n;
};

static inline void net_add(struct net_bytes *b, const void *bytes, size_t n) {
  if (b->n + n > sizeof b->data) return;
  memcpy(b->data + b->n, bytes, n);
  b->n += n;
}
static inline void net_number(struct net_bytes *b, uint32_t value, int width, bool big) {
  for (int i = 0; i < width; i++) {
    uint8_t byte = (uint8_t)(value >> 8 * (big ? width - 1 - i : i));
    net_add(b, &byte, 1);
  }
}
/* A sub-item of A-ASSOCIATE. */
static inline void net_item(struct net_bytes *b, uint32_t type, const void *value, size_t n) {
  net_number(b, type, 1, true);
  net_number(b, 0, 1, true);
  net_number(b, (uint32_t)n, 2, true);
  net_add(b, value, n);
}
/* type, length, value. */
static inline void net_pdu(struct net_bytes *out, uint32_t type, const struct net_bytes *body) {
  net_number(out, type, 1, true);
  net_number(out, 0, 1, true);
  net_number(out, (uint32_t)body->n, 4, true);
  net_add(out, body->data, body->n);
}

#define NET_VERIFICATION "1.2.840.10008.1.1"
#define NET_CT_STORAGE "1.2.840.10008.5.1.4.1.1.2"
#define NET_IMPLICIT "1.2.840.10008.1.2"

/* A-ASSOCIATE-RQ with two contexts: 1 Verification, 3 CT Image Storage, both implicit little
 * endian.
 */
static inline void net_associate(struct net_bytes *out, const char *called, const char *calling) {
  static struct net_bytes body, user, context;
  static const char *const syntaxes[] = {NET_VERIFICATION, NET_CT_STORAGE};
  char titles[33];
  body.n = user.n = 0;
  snprintf(titles, sizeof titles, "%-16.16s%-16.16s", called, calling);
  net_number(&body, 1, 2, true);
  net_number(&body, 0, 2, true);
  net_add(&body, titles, 32);
  for (int i = 0; i < 8; i++) net_number(&body, 0, 4, true);
  net_item(&body, 0x10, "1.2.840.10008.3.1.1.1", 21);
  for (uint32_t i = 0; i < 2; i++) {
    context.n = 0;
    net_number(&context, 2 * i + 1, 1, true);
    net_number(&context, 0, 3, true);
    net_item(&context, 0x30, syntaxes[i], strlen(syntaxes[i]));
    net_item(&context, 0x40, NET_IMPLICIT, strlen(NET_IMPLICIT));
    net_item(&body, 0x20, context.data, context.n);
  }
  net_item(&user, 0x51, "\0\0\x40\0", 4);
  net_item(&user, 0x52, "1.2.3.4", 7);
  net_item(&body, 0x50, user.data, user.n);
  net_pdu(out, 1, &body);
}

/* One data element in implicit little endian; text is padded to even length. */
static inline void net_element(struct net_bytes *b, uint32_t tag, const void *value, size_t n) {
  net_number(b, tag >> 16, 2, false);
  net_number(b, tag & 0xffff, 2, false);
  net_number(b, (uint32_t)(n + n % 2), 4, false);
  net_add(b, value, n);
  if (n % 2) net_add(b, "", 1);
}
static inline void net_short(struct net_bytes *b, uint32_t tag, uint32_t value) {
  net_number(b, tag >> 16, 2, false);
  net_number(b, tag & 0xffff, 2, false);
  net_number(b, 2, 4, false);
  net_number(b, value, 2, false);
}

/* P-DATA-TF of one fragment. */
static inline void net_data(struct net_bytes *out, uint32_t context, bool command,
                            const struct net_bytes *fragment) {
  static struct net_bytes body;
  body.n = 0;
  net_number(&body, (uint32_t)fragment->n + 2, 4, true);
  net_number(&body, context, 1, true);
  net_number(&body, command ? 3 : 2, 1, true);
  net_add(&body, fragment->data, fragment->n);
  net_pdu(out, 4, &body);
}

static inline void net_command(struct net_bytes *out, uint32_t context,
                               const struct net_bytes *elements) {
  static struct net_bytes command;
  command.n = 0;
  net_number(&command, 0, 4, false); /* (0000,0000) group length */
  net_number(&command, 4, 4, false);
  net_number(&command, (uint32_t)elements->n, 4, false);
  net_add(&command, elements->data, elements->n);
  net_data(out, context, true, &command);
}

static inline void net_echo(struct net_bytes *out) {
  static struct net_bytes elements;
  elements.n = 0;
  net_element(&elements, 0x00000002, NET_VERIFICATION, strlen(NET_VERIFICATION));
  net_short(&elements, 0x00000100, 0x0030);
  net_short(&elements, 0x00000110, 1);
  net_short(&elements, 0x00000800, 0x0101);
  net_command(out, 1, &elements);
}

/* What a C-STORE says in its command and in its data set. */
struct net_object {
  const char *command_uid, *sop_uid, *series_uid, *study_uid;
  size_t n_command_uid, n_sop_uid, n_series_uid, n_study_uid; /* 0: as the text is long */
  size_t n_filling;                                           /* bytes of a private element */
};

static inline size_t net_length(const char *text, size_t n) {
  return n ? n : strlen(text);
}

static inline void net_store(struct net_bytes *out, const struct net_object *object) {
  static struct net_bytes elements, data;
  static const uint8_t filling[65536];
  elements.n = data.n = 0;
  net_element(&elements, 0x00000002, NET_CT_STORAGE, strlen(NET_CT_STORAGE));
  net_short(&elements, 0x00000100, 0x0001);
  net_short(&elements, 0x00000110, 7);
  net_short(&elements, 0x00000700, 0);
  net_short(&elements, 0x00000800, 0x0000);
  net_element(&elements, 0x00001000, object->command_uid,
              net_length(object->command_uid, object->n_command_uid));
  net_command(out, 3, &elements);
  net_element(&data, 0x00080016, NET_CT_STORAGE, strlen(NET_CT_STORAGE));
  net_element(&data, 0x00080018, object->sop_uid, net_length(object->sop_uid, object->n_sop_uid));
  net_element(&data, 0x00080060, "CT", 2);
  net_element(&data, 0x00100020, "P", 1);
  net_element(&data, 0x0020000d, object->study_uid,
              net_length(object->study_uid, object->n_study_uid));
  net_element(&data, 0x0020000e, object->series_uid,
              net_length(object->series_uid, object->n_series_uid));
  if (object->n_filling) net_element(&data, 0x00290010, "TEST", 4);
  if (object->n_filling) net_element(&data, 0x00291001, filling, object->n_filling);
  net_element(&data, 0x7fe00010, "\0\0", 2); /* an image has pixels */
  net_data(out, 3, false, &data);
}

static inline void net_release(struct net_bytes *out) {
  net_add(out, "\5\0\0\0\0\4\0\0\0\0", 10);
}

static inline int net_connect(int port) {
  struct sockaddr_in where = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s >= 0 && connect(s, (struct sockaddr *)&where, sizeof where) == 0) return s;
  if (s >= 0) close(s);
  return -1;
}
static inline bool net_send(int s, const struct net_bytes *b) {
  for (size_t at = 0; at < b->n;) {
    ssize_t n = send(s, b->data + at, b->n - at, MSG_NOSIGNAL);
    if (n <= 0) return false;
    at += (size_t)n;
  }
  return true;
}
static inline bool net_read(int s, uint8_t *out, size_t n, int wait_ms) {
  for (size_t got = 0; got < n;) {
    struct pollfd p = {.fd = s, .events = POLLIN};
    if (poll(&p, 1, wait_ms) <= 0) return false;
    ssize_t r = read(s, out + got, n - got);
    if (r <= 0) return false;
    got += (size_t)r;
  }
  return true;
}
/* The next PDU: its type, or -1 when the peer hung up or said nothing. */
static inline int net_next(int s, struct net_bytes *body, int wait_ms) {
  uint8_t head[6];
  if (!net_read(s, head, 6, wait_ms)) return -1;
  body->n = (size_t)head[2] << 24 | (size_t)head[3] << 16 | (size_t)head[4] << 8 | head[5];
  if (body->n > sizeof body->data || !net_read(s, body->data, body->n, wait_ms)) return -1;
  return head[0];
}
/* The status of a DIMSE response in a P-DATA-TF, or -1. */
static inline long net_status(const struct net_bytes *body) {
  static const uint8_t tag[] = {0, 0, 0, 9, 2, 0, 0, 0};
  for (size_t i = 0; i + sizeof tag + 2 <= body->n; i++)
    if (memcmp(body->data + i, tag, sizeof tag) == 0)
      return body->data[i + 8] | body->data[i + 9] << 8;
  return -1;
}
