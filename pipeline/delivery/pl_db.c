/* Opens SQLite databases, runs statements with bound values, and turns SQLite's errors into
 * messages that name the file. */
#include "pipeline/delivery/pl_db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_text.h"

#define WAIT_MS 60000

long long pl_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static lc_status failed(const struct pl_db *db, struct lc_error *err) {
  int code = sqlite3_errcode(db->handle), system = sqlite3_system_errno(db->handle);
  if (code == SQLITE_FULL || (code == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT)))
    LC_FAIL(err, LC_ERR_NO_SPACE, "%s: the disk is full; what it held is as before", db->path);
  switch (code) {
  case SQLITE_IOERR:
    return lc_file_write_error(db->path, system ? system : EIO, err);
  case SQLITE_CANTOPEN:
  case SQLITE_READONLY:
  case SQLITE_PERM:
    return lc_file_write_error(db->path, system ? system : EACCES, err);
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    LC_FAIL(err, LC_ERR_NOT_WRITABLE, "%s: another process has held it for %d s", db->path,
            WAIT_MS / 1000);
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: damaged (%s); it is set aside and made anew when nobody else uses it", db->path,
            sqlite3_errmsg(db->handle));
  case SQLITE_NOMEM:
    LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", db->path);
  default:
    LC_FAIL(err, LC_ERR_INTERNAL, "%s: %s", db->path, sqlite3_errmsg(db->handle));
  }
}

/* -- opening -------------------------------------------------------------------------------- */

static void sql_digest(sqlite3_context *context, int n, sqlite3_value **values) {
  struct lc_hash hash;
  uint8_t digest[LC_SHA256_BYTES];
  char hex[LC_SHA256_HEX];
  if (lc_hash_begin(&hash, NULL) != LC_OK) {
    sqlite3_result_error_nomem(context);
    return;
  }
  for (int i = 0; i < n; i++) {
    const char *text = (const char *)sqlite3_value_text(values[i]);
    if (i > 0) lc_hash_add(&hash, "", 1);
    if (text) lc_hash_add(&hash, text, strlen(text));
  }
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  sqlite3_result_text(context, hex, -1, SQLITE_TRANSIENT);
}

/* A write-ahead log needs memory that all its processes share: not where another machine may mount
 * the file system too. */
static bool is_shared_by_machines(const char *path) {
  static const unsigned long shared[] = {
      /* f_type of statfs(2): NFS, SMB (three), FUSE, Lustre, Ceph, GPFS, AFS, 9P */
      0x6969,     0x517b,     0xff534d42, 0xfe534d42, 0x65735546,
      0x0bd00bd0, 0x00c36400, 0x47504653, 0x5346414f, 0x01021997};
  struct statfs info;
  if (statfs(path, &info) != 0) return false;
  for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
    if (((unsigned long)info.f_type & 0xffffffffUL) == shared[i]) return true;
  return false;
}

static lc_status execute(struct pl_db *db, const char *sql, struct lc_error *err) {
  return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? LC_OK : failed(db, err);
}

static lc_status prepare(struct pl_db *db, const struct pl_db_schema *schema, long long *version,
                         struct lc_error *err) {
  sqlite3_busy_timeout(db->handle, WAIT_MS);
  sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  if (sqlite3_create_function(db->handle, "digest", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                              sql_digest, NULL, NULL) != SQLITE_OK)
    return failed(db, err);
  LC_TRY(execute(db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", err));
  LC_TRY(execute(db,
                 is_shared_by_machines(db->path) ? "PRAGMA journal_mode = DELETE"
                                                 : "PRAGMA journal_mode = WAL",
                 err));
  LC_TRY(pl_db_wait_for_disk(db, true, err));
  LC_TRY(pl_db_number(db, "PRAGMA user_version", PL_NO_VALUES, version, err));
  if (*version <= schema->version) return LC_OK;
  LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: written by a later lungcdam (version %lld of %d)", db->path,
          *version, schema->version);
}

static lc_status open_file(struct pl_db *db, const char *path, const struct pl_db_schema *schema,
                           int flags, long long *version, struct lc_error *err) {
  *db = (struct pl_db){.handle = NULL};
  lc_text_copy(db->path, sizeof db->path, path);
  int code =
      sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, NULL);
  if (!db->handle) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  lc_status status = code == SQLITE_OK ? prepare(db, schema, version, err) : failed(db, err);
  if (status != LC_OK) pl_db_close(db);
  return status;
}

lc_status pl_db_open(struct pl_db *db, const char *path, const struct pl_db_schema *schema,
                     struct lc_error *err) {
  long long version = 0;
  LC_TRY(open_file(db, path, schema, 0, &version, err));
  if (version > 0) return LC_OK;
  pl_db_close(db);
  LC_FAIL(err, LC_ERR_FORMAT, "%s: damaged (it has no version)", path);
}

void pl_db_close(struct pl_db *db) {
  sqlite3_close_v2(db->handle);
  db->handle = NULL;
}

lc_status pl_db_wait_for_disk(struct pl_db *db, bool wait, struct lc_error *err) {
  if (db->waits == wait) return LC_OK;
  LC_TRY(execute(db, wait ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err));
  db->waits = wait;
  return LC_OK;
}

/* -- damage --------------------------------------------------------------------------------- */

static lc_status check(struct pl_db *db, const struct pl_db_schema *schema, struct lc_error *err) {
  struct pl_rows rows;
  char found[200] = "";
  for (const char *const *table = schema->tables; *table; table++) {
    long long same;
    LC_TRY(pl_db_number(db, "SELECT count(*) FROM sqlite_schema WHERE sql = ?1",
                        PL_VALUES(PL_T(*table)), &same, err));
    if (same != 1) LC_FAIL(err, LC_ERR_FORMAT, "%s: damaged (its tables are others)", db->path);
  }
  LC_TRY(pl_rows_begin(&rows, db, "PRAGMA integrity_check(1)", PL_NO_VALUES, err));
  if (pl_rows_next(&rows)) lc_text_copy(found, sizeof found, pl_rows_text(&rows, 0));
  LC_TRY(pl_rows_end(&rows, err));
  if (strcmp(found, "ok") == 0) return LC_OK;
  LC_FAIL(err, LC_ERR_FORMAT, "%s: damaged (%s)", db->path, found);
}

/* Moves a damaged file and its log to a folder. Killed in between, it leaves a log without a file,
 * which SQLite removes. */
static lc_status set_aside(const char *path, const char *folder, char aside[LC_PATH_SIZE],
                           struct lc_error *err) {
  static const char *const suffixes[] = {"", "-wal", "-journal", "-shm"};
  const char *slash = strrchr(path, '/');
  char name[300], from[LC_PATH_SIZE + 16], to[LC_PATH_SIZE + 16];
  snprintf(name, sizeof name, "%.200s.%lld", slash ? slash + 1 : path, pl_now_ms());
  LC_TRY(lc_folder_make(folder, err));
  LC_TRY(lc_path_join(aside, folder, name, err));
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
    snprintf(to, sizeof to, "%s%s", aside, suffixes[i]);
    if (rename(from, to) != 0 && errno != ENOENT) return lc_file_write_error(to, errno, err);
  }
  return LC_OK;
}

/* Copies the tables that can be read to their end; row by row, for which the WHERE is there: SQLite
 * would else copy whole pages, damage included. */
static void salvage(struct pl_db *db, const char *aside, const struct pl_db_schema *schema) {
  struct lc_error why;
  if (pl_db_run(db, "ATTACH ?1 AS damaged", PL_VALUES(PL_T(aside)), NULL, &why) != LC_OK) return;
  for (const char *const *table = schema->tables; *table; table++) {
    char sql[200];
    int n = (int)strcspn(*table + strlen("CREATE TABLE "), "(");
    snprintf(sql, sizeof sql,
             "INSERT OR IGNORE INTO main.%.*s SELECT * FROM damaged.%.*s WHERE true", n,
             *table + strlen("CREATE TABLE "), n, *table + strlen("CREATE TABLE "));
    if (pl_db_run(db, sql, PL_NO_VALUES, NULL, &why) != LC_OK)
      lc_log(LC_LOG_DEBUG, "%s", why.message);
  }
}

static lc_status make_tables(struct pl_db *db, const struct pl_db_schema *schema,
                             struct lc_error *err) {
  for (const char *const *table = schema->tables; *table; table++) {
    long long there;
    LC_TRY(pl_db_number(db, "SELECT count(*) FROM sqlite_schema WHERE sql = ?1",
                        PL_VALUES(PL_T(*table)), &there, err));
    if (there == 0 && execute(db, *table, err) == LC_ERR_INTERNAL) return LC_ERR_FORMAT;
  }
  return LC_OK;
}

/* *version 0: it is new. */
static lc_status open_and_check(struct pl_db *db, const char *path,
                                const struct pl_db_schema *schema, long long *version,
                                struct lc_error *err) {
  LC_TRY(open_file(db, path, schema, SQLITE_OPEN_CREATE, version, err));
  lc_status status = *version < schema->version ? make_tables(db, schema, err) : LC_OK;
  if (status == LC_OK && *version > 0 && *version < schema->version)
    status = pl_db_finish(db, schema, err);
  if (status == LC_OK) status = check(db, schema, err);
  if (status != LC_OK) pl_db_close(db);
  return status;
}

lc_status pl_db_open_alone(struct pl_db *db, const char *path, const struct pl_db_schema *schema,
                           const char *damaged, bool *is_new, struct lc_error *err) {
  char aside[LC_PATH_SIZE];
  struct lc_error why;
  long long version = 0;
  lc_status status = open_and_check(db, path, schema, &version, &why);
  *is_new = status != LC_OK || version == 0;
  if (status == LC_OK) return LC_OK;
  if (status != LC_ERR_FORMAT) LC_FAIL(err, status, "%s", why.message);
  LC_TRY(set_aside(path, damaged, aside, err));
  lc_log(LC_LOG_WARNING, "%s; made anew, the damaged file is %s", why.message, aside);
  LC_TRY(open_and_check(db, path, schema, &version, err));
  salvage(db, aside, schema);
  pl_db_close(db); /* with the damaged one */
  return open_and_check(db, path, schema, &version, err);
}

lc_status pl_db_finish(struct pl_db *db, const struct pl_db_schema *schema, struct lc_error *err) {
  char sql[64];
  snprintf(sql, sizeof sql, "PRAGMA user_version = %d", schema->version);
  return execute(db, sql, err);
}

/* -- statements ----------------------------------------------------------------------------- */

lc_status pl_rows_begin(struct pl_rows *rows, struct pl_db *db, const char *sql,
                        const struct pl_value *values, size_t n, struct lc_error *err) {
  *rows = (struct pl_rows){.db = db};
  int code = sqlite3_prepare_v2(db->handle, sql, -1, &rows->statement, NULL);
  for (size_t i = 0; i < n && code == SQLITE_OK; i++)
    code = values[i].text
               ? sqlite3_bind_text(rows->statement, (int)i + 1, values[i].text, -1, SQLITE_STATIC)
               : sqlite3_bind_int64(rows->statement, (int)i + 1, values[i].number);
  if (code == SQLITE_OK) return LC_OK;
  lc_status status = failed(db, err);
  pl_rows_drop(rows);
  return status;
}

bool pl_rows_next(struct pl_rows *rows) {
  rows->code = sqlite3_step(rows->statement);
  return rows->code == SQLITE_ROW;
}

lc_status pl_rows_end(struct pl_rows *rows, struct lc_error *err) {
  bool good = rows->code == SQLITE_OK || rows->code == SQLITE_ROW || rows->code == SQLITE_DONE;
  lc_status status = good ? LC_OK : failed(rows->db, err);
  pl_rows_drop(rows);
  return status;
}

void pl_rows_drop(struct pl_rows *rows) {
  sqlite3_finalize(rows->statement);
  rows->statement = NULL;
}

lc_status pl_rows_room(void *pointer_to_items, size_t n, size_t size, struct lc_error *err) {
  void *items = *(void **)pointer_to_items;
  if (n & (n - 1)) return LC_OK; /* it grows at 0, 1, 2, 4, 8, ... */
  items = realloc(items, (n ? 2 * n : 1) * size);
  if (!items) LC_FAIL(err, LC_ERR_MEMORY, "cannot list more than %zu", n);
  *(void **)pointer_to_items = items;
  return LC_OK;
}

const char *pl_rows_text(const struct pl_rows *rows, int column) {
  const char *text = (const char *)sqlite3_column_text(rows->statement, column);
  return text ? text : "";
}

void pl_rows_copy(const struct pl_rows *rows, int column, char *out, size_t size) {
  lc_text_copy(out, size, pl_rows_text(rows, column));
}

long long pl_rows_number(const struct pl_rows *rows, int column) {
  return sqlite3_column_int64(rows->statement, column);
}

lc_status pl_db_run(struct pl_db *db, const char *sql, const struct pl_value *values, size_t n,
                    size_t *changed, struct lc_error *err) {
  struct pl_rows rows;
  LC_TRY(pl_rows_begin(&rows, db, sql, values, n, err));
  while (pl_rows_next(&rows)) {
  }
  if (changed) *changed = (size_t)sqlite3_changes(db->handle);
  return pl_rows_end(&rows, err);
}

lc_status pl_db_number(struct pl_db *db, const char *sql, const struct pl_value *values, size_t n,
                       long long *number, struct lc_error *err) {
  struct pl_rows rows;
  *number = 0;
  LC_TRY(pl_rows_begin(&rows, db, sql, values, n, err));
  if (pl_rows_next(&rows)) *number = pl_rows_number(&rows, 0);
  return pl_rows_end(&rows, err);
}

lc_status pl_db_begin(struct pl_db **open, struct pl_db *db, struct lc_error *err) {
  if (db->depth == 0) LC_TRY(execute(db, "BEGIN IMMEDIATE", err));
  db->depth++;
  *open = db;
  return LC_OK;
}

lc_status pl_db_commit(struct pl_db **open, struct lc_error *err) {
  if ((*open)->depth == 1) LC_TRY(execute(*open, "COMMIT", err));
  (*open)->depth--;
  *open = NULL;
  return LC_OK;
}

void pl_db_take_back(struct pl_db **open) {
  if (*open && --(*open)->depth == 0) sqlite3_exec((*open)->handle, "ROLLBACK", NULL, NULL, NULL);
}
