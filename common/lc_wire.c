/* Builds flat messages, and takes them apart without trust. */
#include "common/lc_wire.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_text.h"

void lc_wire_free(struct lc_wire *wire) {
  free(wire->bytes);
  memset(wire, 0, sizeof *wire);
}

void lc_wire_put(struct lc_wire *wire, const void *bytes, size_t count) {
  if (wire->failed || count == 0) return;
  if (count > wire->capacity - wire->size) {
    size_t capacity = wire->capacity ? wire->capacity : 4096;
    while (capacity - wire->size < count) capacity += capacity / 2;
    unsigned char *grown = realloc(wire->bytes, capacity);
    if (!grown) {
      wire->failed = true;
      return;
    }
    wire->bytes = grown;
    wire->capacity = capacity;
  }
  memcpy(wire->bytes + wire->size, bytes, count);
  wire->size += count;
}

void lc_wire_put_number(struct lc_wire *wire, uint64_t value) {
  lc_wire_put(wire, &value, sizeof value);
}

void lc_wire_put_text(struct lc_wire *wire, const char *text) {
  size_t length = strlen(text);
  lc_wire_put_number(wire, length);
  lc_wire_put(wire, text, length);
}

void lc_wire_put_path(struct lc_wire *wire, const char *path, size_t size) {
  size_t length = strlen(path);
  lc_wire_put_text(wire, length < size ? path : path + length - size + 1);
}

lc_status lc_wire_check(const struct lc_wire *wire, const char *name, struct lc_error *err) {
  if (wire->failed) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", name);
  return LC_OK;
}

bool lc_wire_holds(const struct lc_wire *wire, uint64_t n, size_t each) {
  return !wire->bad && n <= (wire->size - wire->at) / each;
}

void lc_wire_get(struct lc_wire *wire, void *out, size_t count) {
  if (!lc_wire_holds(wire, count, 1)) wire->bad = true;
  if (wire->bad) {
    memset(out, 0, count);
    return;
  }
  memcpy(out, wire->bytes + wire->at, count);
  wire->at += count;
}

uint64_t lc_wire_get_number(struct lc_wire *wire, uint64_t most) {
  uint64_t value;
  lc_wire_get(wire, &value, sizeof value);
  if (value <= most) return value;
  wire->bad = true;
  return 0;
}

void lc_wire_get_text(struct lc_wire *wire, char *out, size_t size) {
  size_t length = (size_t)lc_wire_get_number(wire, size - 1);
  lc_wire_get(wire, out, length);
  out[wire->bad ? 0 : length] = '\0';
  lc_text_printable(out);
}
