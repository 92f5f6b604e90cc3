/* A CSV file that grows by one line a step or epoch, whose first column counts them.
 *
 * A run that goes on from a checkpoint drops the lines of steps that it will do again.
 * Thread-safety: one log, one thread. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "common/lc_file.h"

struct pl_runlog {
  FILE *file;
  char path[LC_PATH_SIZE];
};

/* Opens FOLDER/NAME; of lines that are there, those whose number is below `keep_below` stay.
 * header: the first line, without newline. */
LC_MUST_CHECK lc_status pl_runlog_open(struct pl_runlog *log, const char *folder, const char *name,
                                       const char *header, uint64_t keep_below,
                                       struct lc_error *err);
/* Adds one line (the newline is added) and hands it to the system. */
LC_PRINTF(3, 4)
LC_MUST_CHECK lc_status pl_runlog_add(struct pl_runlog *log, struct lc_error *err, const char *fmt,
                                      ...);
/* Waits until what was added is on the disk. */
LC_MUST_CHECK lc_status pl_runlog_sync(struct pl_runlog *log, struct lc_error *err);
void pl_runlog_close(struct pl_runlog *log);

#define PL_RUNLOG_NAME 32

/* A log read back. */
struct pl_runlog_table {
  size_t n_columns, n_rows;
  char (*names)[PL_RUNLOG_NAME]; /* [n_columns] */
  double *values;                /* [n_columns, n_rows] */
};
/* LC_ERR_FORMAT names a line that does not hold one number a column. */
LC_MUST_CHECK lc_status pl_runlog_read(struct pl_runlog_table *table, const char *path,
                                       struct lc_error *err);
void pl_runlog_table_free(struct pl_runlog_table *table);
/* A column [n_rows] by its name, or NULL. */
const double *pl_runlog_column(const struct pl_runlog_table *table, const char *name);
