/* Gives up, for good, what a parser does not need: no file is opened, created or made longer, no
 * network, no other program or process, no privilege is gained, no memory becomes code. What stays:
 * descriptors that are handed over are read, memory is taken (lc_helper.h bounds it), time passes.
 *
 * Thread-safety: one thread, once. */
#pragma once

#include <stdbool.h>

/* Each where the kernel has it; sanitizers make calls of their own and go without. */
struct pl_confined {
  bool filtered;   /* system calls, by seccomp */
  bool landlocked; /* the file system, by Landlock */
};
struct pl_confined pl_confine(void);
