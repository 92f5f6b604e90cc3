/* Flat messages between a process and its helpers: values are put one after the other and got in
 * the same order.
 *
 * Whoever gets does not trust who put: every value is checked against what is left, and a message
 * that is too short or holds what it must not turns `bad`, after which only zeros are got. A zeroed
 * struct is an empty message. Thread-safety: one message, one thread. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

struct lc_wire {
  unsigned char *bytes; /* owned */
  size_t size, capacity;
  size_t at;   /* of the next that is got */
  bool failed; /* memory ran out while putting */
  bool bad;    /* what was got makes no sense */
};

void lc_wire_free(struct lc_wire *wire);

void lc_wire_put(struct lc_wire *wire, const void *bytes, size_t count);
void lc_wire_put_number(struct lc_wire *wire, uint64_t value);
void lc_wire_put_text(struct lc_wire *wire, const char *text);
/* The name of a file, or its end, with its zero at most `size` bytes. */
void lc_wire_put_path(struct lc_wire *wire, const char *path, size_t size);
/* LC_ERR_MEMORY when putting failed; name is for the message. */
LC_MUST_CHECK lc_status lc_wire_check(const struct lc_wire *wire, const char *name,
                                      struct lc_error *err);

void lc_wire_get(struct lc_wire *wire, void *out, size_t count);
/* At most `most`, else bad. */
uint64_t lc_wire_get_number(struct lc_wire *wire, uint64_t most);
/* A text that fits with its zero; what is not printable becomes '?'. */
void lc_wire_get_text(struct lc_wire *wire, char *out, size_t size);
/* Whether n more things of at least `each` bytes can be there. */
bool lc_wire_holds(const struct lc_wire *wire, uint64_t n, size_t each);

LC_C_END
