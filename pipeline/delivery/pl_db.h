/* One SQLite database file: opened with what several processes on one machine need, statements with
 * bound values, and errors that name the file.
 *
 * Each change is a transaction: after kill -9 at any moment the file holds the state before or
 * after. It is kept with a write-ahead log, or with a rollback journal on file systems that others
 * may mount too. A process that must wait for another waits up to a minute.
 *
 * Errors of all functions: LC_ERR_NO_SPACE for a full disk, LC_ERR_NOT_WRITABLE for a place that
 * cannot be written or that another process holds too long, LC_ERR_FORMAT for a damaged file.
 *
 * Thread-safety: one database, one thread. A child of fork must not touch what its parent opened,
 * nor close it: close before the fork. */
#pragma once

#include "common/lc_file.h"

struct pl_db {
  struct sqlite3 *handle; /* NULL: closed */
  char path[LC_PATH_SIZE];
  bool waits; /* for the disk */
  int depth;  /* of transactions */
};

struct pl_db_schema {
  int version;               /* above 0; a later one has more tables, which are added */
  const char *const *tables; /* "CREATE TABLE name(...": the statements that make them, then NULL */
};

/* Opens a file that was made. LC_ERR_UNSUPPORTED for one of a later version. Adds digest(...) to
 * SQL: SHA-256, in hexadecimal, over the texts of its arguments with zeros between them. */
LC_MUST_CHECK lc_status pl_db_open(struct pl_db *db, const char *path,
                                   const struct pl_db_schema *schema, struct lc_error *err);
/* The same when nobody else opens it: looks through the whole file. A damaged one is moved to a
 * folder, which is made; a new one takes its place, with those tables that can still be read.
 * *is_new: it is new, for this reason or because there was none; fill it, then call pl_db_finish.
 * Killed before, the next call says so again. */
LC_MUST_CHECK lc_status pl_db_open_alone(struct pl_db *db, const char *path,
                                         const struct pl_db_schema *schema, const char *damaged,
                                         bool *is_new, struct lc_error *err);
LC_MUST_CHECK lc_status pl_db_finish(struct pl_db *db, const struct pl_db_schema *schema,
                                     struct lc_error *err);
/* Safe on a zeroed struct, and twice. */
void pl_db_close(struct pl_db *db);
/* Whether each commit waits for the disk; after opening it does. Without it a power failure may
 * take back the last commits, but not a part of one. */
LC_MUST_CHECK lc_status pl_db_wait_for_disk(struct pl_db *db, bool wait, struct lc_error *err);

/* -- statements -- */

/* A value for a "?" of a statement: PL_VALUES(PL_T("text"), PL_I(number)). */
struct pl_value {
  const char *text; /* NULL: the number */
  long long number;
};
#define PL_T(words)                                                                                \
  { .text = (words) }
#define PL_I(value)                                                                                \
  { .number = (long long)(value) }
#define PL_VALUES(...)                                                                             \
  (const struct pl_value[]){__VA_ARGS__},                                                          \
      sizeof((const struct pl_value[]){__VA_ARGS__}) / sizeof(struct pl_value)
#define PL_NO_VALUES NULL, 0

/* Runs one statement. *changed (may be NULL): how many rows it changed. */
LC_MUST_CHECK lc_status pl_db_run(struct pl_db *db, const char *sql, const struct pl_value *values,
                                  size_t n, size_t *changed, struct lc_error *err);
/* The first number of the first row; 0 when there is none. */
LC_MUST_CHECK lc_status pl_db_number(struct pl_db *db, const char *sql,
                                     const struct pl_value *values, size_t n, long long *number,
                                     struct lc_error *err);

/* Rows of a query:
 *   LC_TRY(pl_rows_begin(&rows, db, "SELECT ...", PL_VALUES(...), err));
 *   while (pl_rows_next(&rows)) ...pl_rows_text(&rows, 0)...
 *   return pl_rows_end(&rows, err);
 * Texts are good until the next row. A row may be left before the last. */
struct pl_rows {
  struct pl_db *db;
  struct sqlite3_stmt *statement;
  int code;
};
LC_MUST_CHECK lc_status pl_rows_begin(struct pl_rows *rows, struct pl_db *db, const char *sql,
                                      const struct pl_value *values, size_t n,
                                      struct lc_error *err);
bool pl_rows_next(struct pl_rows *rows);
LC_MUST_CHECK lc_status pl_rows_end(struct pl_rows *rows, struct lc_error *err);
/* Ends it early; safe on zeros, and after pl_rows_end. */
void pl_rows_drop(struct pl_rows *rows);
/* Room for one item more than n in an array that grows; *items is at first NULL, with n 0. */
LC_MUST_CHECK lc_status pl_rows_room(void *pointer_to_items, size_t n, size_t size,
                                     struct lc_error *err);
const char *pl_rows_text(const struct pl_rows *rows, int column); /* never NULL */
long long pl_rows_number(const struct pl_rows *rows, int column);
void pl_rows_copy(const struct pl_rows *rows, int column, char *out, size_t size);
#define PL_ROWS_COPY(rows, column, array) pl_rows_copy(rows, column, array, sizeof(array))

/* A transaction of several statements; nobody else writes meanwhile. One in another is a part of
 * it. LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL; LC_TRY(pl_db_begin(&open, db, err));
 *   ...
 *   return pl_db_commit(&open, err);
 * What was not committed is taken back at the end of the scope. */
LC_MUST_CHECK lc_status pl_db_begin(struct pl_db **open, struct pl_db *db, struct lc_error *err);
LC_MUST_CHECK lc_status pl_db_commit(struct pl_db **open, struct lc_error *err);
void pl_db_take_back(struct pl_db **open);

/* Unix time in milliseconds, as the databases keep it. */
long long pl_now_ms(void);
