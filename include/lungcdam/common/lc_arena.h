/* A bump allocator over one block that is sized before work starts: no allocation in the hot path.
 *
 * Every piece is 64-byte aligned. A mark remembers a position, and a release goes back to it, so
 * that a phase's scratch memory is reused by the next. An arena of capacity 0 that only counts
 * (lc_arena_init_counting) reports how large the block must be: run the same allocation code twice.
 *
 * Thread-safety: one arena, one thread. */
#ifndef LC_ARENA_H
#define LC_ARENA_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

#define LC_ARENA_ALIGN 64

/* Where blocks come from. allocate: zeroed, 64-byte aligned; LC_ERR_MEMORY. */
struct lc_memory {
  lc_status (*allocate)(void **block, size_t bytes, struct lc_error *err);
  void (*release)(void *block);
};
extern const struct lc_memory lc_host_memory; /* lc_alloc and free */

struct lc_arena {
  const struct lc_memory *memory;
  unsigned char *base; /* NULL while counting */
  size_t capacity;
  size_t used;
  size_t peak;
  bool counting;
};

/* Owns one zero-filled block of `bytes` of the host, or of another memory. */
LC_MUST_CHECK lc_status lc_arena_init(struct lc_arena *arena, size_t bytes, struct lc_error *err);
LC_MUST_CHECK lc_status lc_arena_init_in(struct lc_arena *arena, const struct lc_memory *memory,
                                         size_t bytes, struct lc_error *err);
void lc_arena_init_counting(struct lc_arena *arena);
void lc_arena_free(struct lc_arena *arena);

/* `count` elements of `size` bytes, not cleared. NULL while counting, and NULL when it does not fit
 * (a programming error: size the arena by counting). */
void *lc_arena_take(struct lc_arena *arena, size_t count, size_t size);
static inline float *lc_arena_floats(struct lc_arena *arena, size_t count) {
  return (float *)lc_arena_take(arena, count, sizeof(float));
}

static inline size_t lc_arena_mark(const struct lc_arena *arena) {
  return arena->used;
}
static inline void lc_arena_release(struct lc_arena *arena, size_t mark) {
  arena->used = mark;
}

/* malloc of count * size with an overflow check; calloc-like (zeroed) and 64-byte aligned. Blocks
 * of 4 MiB and more ask for huge pages. Free with free(). */
LC_MUST_CHECK lc_status lc_alloc(void *pointer_to_pointer, size_t count, size_t size,
                                 struct lc_error *err);

LC_API_END
#endif
