/* What the two files of the library for LD_PRELOAD share (fault.c says what it does). */
#pragma once

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define FAULT_FILES 4096
#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Whether a path counts; whether this call of its kind is the one that fails. */
bool fault_below(const char *path);
bool fault_here(const char *name, const char *path);
/* The same for what writes, of whose calls the one that fails sets errno: the odd ones that the
 * disk is full, which it then stays; the even ones EIO, once. */
bool fault_writing(const char *name, const char *path);
/* A stream for a file that is written, whose writes are calls of write() here; NULL with errno. */
FILE *fault_stream(int file, const char *mode);

/* Descriptors of files that count, and of those among them that are written. */
extern bool fault_watched[FAULT_FILES], fault_written[FAULT_FILES];
static inline bool fault_is(const bool *set, int file) {
  return file >= 0 && file < FAULT_FILES && set[file];
}
