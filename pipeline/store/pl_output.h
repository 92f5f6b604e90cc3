/* The output folder: finished parts appear in it by one rename, unfinished ones never do.
 *
 * A part (the results of one series, one phantom patient) is made in a hidden draft folder
 * ".lungcdam-NAME.PID.partial" beside its place. Drafts and temporary files that dead processes
 * left are removed when the output is opened: a draft whose lock is free and whose process is gone
 * is stale.
 *
 * Thread-safety: one thread; several processes may share an output folder. */
#pragma once

#include "common/lc_file.h"
#include "pipeline/store/pl_existing.h"

struct pl_output {
  char folder[LC_PATH_SIZE];
  bool made; /* by us: removed at the end when nothing came of it */
};

/* Makes the folder when needed, checks that it can be written, removes what is stale. */
LC_MUST_CHECK lc_status pl_output_open(struct pl_output *output, const char *folder,
                                       struct lc_error *err);
/* Removes the folder when it was made by pl_output_open and is empty. */
void pl_output_close(struct pl_output *output);

struct pl_draft {
  char target[LC_PATH_SIZE];
  char folder[LC_PATH_SIZE]; /* hidden; fill it */
  int lock;                  /* descriptor; -1 when closed */
};

/* name: one path component, see pl_output_name. */
LC_MUST_CHECK lc_status pl_draft_begin(struct pl_draft *draft, const struct pl_output *output,
                                       const char *name, struct lc_error *err);
/* The same for a folder named by its path: opens its parent as output. LC_ERR_USAGE when the path
 * ends in no name. */
LC_MUST_CHECK lc_status pl_draft_begin_path(struct pl_draft *draft, struct pl_output *output,
                                            const char *path, struct lc_error *err);
/* One rename. LC_ERR_EXISTS when the target exists and replace is not set; the draft is then gone.
 */
LC_MUST_CHECK lc_status pl_draft_publish(struct pl_draft *draft, bool replace,
                                         struct lc_error *err);
/* Removes the draft; safe after publishing. */
void pl_draft_discard(struct pl_draft *draft);

/* Turns an identifier from a file (a UID, a patient's ID) into a safe path component: letters,
 * digits, '.', '-', '_'; others become '_'; never empty, hidden or longer than 128 bytes. */
void pl_output_name(char out[129], const char *identifier);
/* The same for one of several that share the identifier (ct_index_number): "_2" follows for the
 * second. */
void pl_output_name_of(char out[129], const char *identifier, int number);
