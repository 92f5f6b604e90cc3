/* A program's own malloc, calloc and realloc, which do not return NULL: the libraries beneath do
 * not all look at what they are given; DCMTK reads its dictionary into NULL, others report a
 * damaged file. pl_malloc.c is linked into programs, never into the library.
 *
 * Thread-safety: any thread. */
#pragma once

#include <stddef.h>
#include <stdnoreturn.h>

/* Called for want of `size` bytes, and there is nothing to go back to; the program defines it. */
noreturn void pl_malloc_failed(size_t size);
