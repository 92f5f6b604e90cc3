/* Moves series through the spool: puts objects into them, finds complete ones, joins late slices,
 * finishes them, and removes what was kept long enough. */
#include "pipeline/delivery/pl_spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"

#define PAST_MOST 10000
#define FILE_NAME 45 /* 40 hexadecimal digits, ".dcm" and the final zero */

const char *const pl_spool_place_names[PL_SPOOL_PLACES] = {"receiving", "work", "done",
                                                           "quarantine", "past"};

/* complete: declared to be. before: how many objects the series had when it was no longer kept.
 * seen: by the last comparison with the files. */
static const char *const tables[] = {
    "CREATE TABLE series(name TEXT, place INTEGER, study_instance_uid TEXT DEFAULT '', "
    "series_instance_uid TEXT DEFAULT '', modality TEXT DEFAULT '', objects INTEGER DEFAULT 0, "
    "bytes INTEGER DEFAULT 0, changed_ms INTEGER, complete INTEGER DEFAULT 0, "
    "before INTEGER DEFAULT 0, seen INTEGER DEFAULT 1, outcome TEXT DEFAULT '', "
    "status TEXT DEFAULT '', reason TEXT DEFAULT '', results TEXT DEFAULT '', "
    "PRIMARY KEY(name, place)) STRICT, WITHOUT ROWID",
    "CREATE TABLE uids(uid TEXT, name TEXT, PRIMARY KEY(uid, name)) STRICT, WITHOUT ROWID", NULL};
const struct pl_db_schema pl_spool_schema = {.version = 2, .tables = tables};

#define SELECT                                                                                     \
  "SELECT name, place, study_instance_uid, series_instance_uid, modality, objects, bytes, "        \
  "changed_ms, outcome, status, reason, results, before FROM series "
/* Places in SQL: 0 receiving, 1 work, 2 done, 3 quarantine, 4 past. */
_Static_assert(PL_SPOOL_RECEIVING == 0 && PL_SPOOL_WORK == 1 && PL_SPOOL_DONE == 2 &&
                   PL_SPOOL_QUARANTINE == 3 && PL_SPOOL_PAST == 4,
               "the statements name places by number");

static void read_series(const struct pl_rows *rows, struct pl_spool_series *series) {
  PL_ROWS_COPY(rows, 0, series->name);
  series->place = (enum pl_spool_place)pl_rows_number(rows, 1);
  PL_ROWS_COPY(rows, 2, series->study_instance_uid);
  PL_ROWS_COPY(rows, 3, series->series_instance_uid);
  PL_ROWS_COPY(rows, 4, series->modality);
  series->objects = pl_rows_number(rows, 5);
  series->bytes = pl_rows_number(rows, 6);
  series->changed_ms = pl_rows_number(rows, 7);
  PL_ROWS_COPY(rows, 8, series->outcome);
  PL_ROWS_COPY(rows, 9, series->status);
  PL_ROWS_COPY(rows, 10, series->reason);
  PL_ROWS_COPY(rows, 11, series->results);
  series->before = pl_rows_number(rows, 12);
}

lc_status pl_spool_first(struct pl_spool *spool, const char *condition,
                         const struct pl_value *values, size_t n, struct pl_spool_series *series,
                         struct lc_error *err) {
  struct pl_rows rows;
  char sql[1024];
  snprintf(sql, sizeof sql, SELECT "%.700s", condition);
  memset(series, 0, sizeof *series);
  LC_TRY(pl_spool_ready(spool, err));
  LC_TRY(pl_rows_begin(&rows, &spool->db, sql, values, n, err));
  if (pl_rows_next(&rows)) read_series(&rows, series);
  return pl_rows_end(&rows, err);
}

static lc_status find(struct pl_spool *spool, const char *name, bool receiving,
                      struct pl_spool_series *series, struct lc_error *err) {
  return pl_spool_first(spool, "WHERE name = ?1 AND (place = 0) = ?2",
                        PL_VALUES(PL_T(name), PL_I(receiving)), series, err);
}

void pl_spool_list_free(struct pl_spool_list *list) {
  free(list->items);
  memset(list, 0, sizeof *list);
}

lc_status pl_spool_list(struct pl_spool *spool, struct pl_spool_list *list, struct lc_error *err) {
  LC_SCOPED(pl_rows_drop) struct pl_rows rows = {0};
  memset(list, 0, sizeof *list);
  LC_TRY(pl_spool_ready(spool, err));
  LC_TRY(pl_rows_begin(&rows, &spool->db, SELECT "WHERE place < 4 ORDER BY place, changed_ms, name",
                       PL_NO_VALUES, err));
  lc_status status = LC_OK;
  while (status == LC_OK && pl_rows_next(&rows)) {
    status = pl_rows_room(&list->items, list->n, sizeof *list->items, err);
    if (status == LC_OK) read_series(&rows, &list->items[list->n++]);
  }
  if (status == LC_OK) status = pl_rows_end(&rows, err);
  if (status != LC_OK) pl_spool_list_free(list);
  return status;
}

/* -- names and paths ------------------------------------------------------------------------ */

static lc_status hash_name(char *name, size_t digits, const char *first_uid, const char *second_uid,
                           struct lc_error *err) {
  struct lc_hash hash;
  uint8_t digest[LC_SHA256_BYTES];
  char hex[LC_SHA256_HEX];
  LC_TRY(lc_hash_begin(&hash, err));
  lc_hash_add_text(&hash, first_uid);
  if (second_uid) lc_hash_add_text(&hash, second_uid);
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  lc_text_copy(name, digits + 1, hex);
  return LC_OK;
}

static lc_status file_name(char name[FILE_NAME], const char *sop_instance_uid,
                           struct lc_error *err) {
  LC_TRY(hash_name(name, FILE_NAME - 5, sop_instance_uid, NULL, err));
  memcpy(name + FILE_NAME - 5, ".dcm", 5);
  return LC_OK;
}

void pl_spool_folder(const struct pl_spool *spool, bool receiving, const char *name,
                     char path[LC_PATH_SIZE]) {
  snprintf(path, LC_PATH_SIZE, "%.*s/%s/%.64s", PL_SPOOL_LONGEST, spool->folder,
           receiving ? "receiving" : "series", name);
}

void pl_spool_part(const struct pl_spool *spool, size_t slot, char path[LC_PATH_SIZE]) {
  snprintf(path, LC_PATH_SIZE, "%.*s/incoming/%zu.part", PL_SPOOL_LONGEST, spool->folder, slot);
}

void pl_spool_clear_slot(struct pl_spool *spool, size_t slot) {
  char path[LC_PATH_SIZE];
  pl_spool_part(spool, slot, path);
  unlink(path);
  atomic_store(&spool->reserved[slot], 0);
}

static void sync_folder(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

lc_status pl_spool_join(const char *from, const char *to, struct lc_error *err) {
  char source[LC_PATH_SIZE], target[LC_PATH_SIZE];
  LC_SCOPED(lc_close_folder) DIR *stream = opendir(from);
  if (!stream) return errno == ENOENT ? LC_OK : lc_file_write_error(from, errno, err);
  LC_TRY(lc_folder_make(to, err));
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    if (entry->d_name[0] == '.') continue;
    LC_TRY(lc_path_join(source, from, entry->d_name, err));
    LC_TRY(lc_path_join(target, to, entry->d_name, err));
    if (rename(source, target) != 0) return lc_file_write_error(target, errno, err);
  }
  sync_folder(to);
  return lc_folder_remove(from, err);
}

/* -- receiving ------------------------------------------------------------------------------ */

/* May a series begin to grow, or is the queue full? */
static lc_status admit(struct pl_spool *spool, const struct pl_spool_series *settled,
                       struct lc_error *err) {
  long long open;
  if (settled->name[0] && settled->place == PL_SPOOL_WORK) return LC_OK;
  LC_TRY(pl_db_number(&spool->db, "SELECT count(*) FROM series WHERE place IN (0, 1)", PL_NO_VALUES,
                      &open, err));
  if ((size_t)open < spool->limits.max_series) return LC_OK;
  LC_FAIL(err, LC_ERR_NO_SPACE, "%zu series wait already; a new one is not taken",
          spool->limits.max_series);
}

/* Notes that an object of so many bytes came; 0 bytes: one that was there. */
static lc_status note(struct pl_spool *spool, const struct ct_identity *identity, const char *name,
                      long long bytes, struct lc_error *err) {
  return pl_db_run(&spool->db,
                   "INSERT INTO series(name, place, study_instance_uid, series_instance_uid, "
                   "modality, objects, bytes, changed_ms) VALUES(?1, 0, ?2, ?3, ?4, ?5, ?6, ?7) "
                   "ON CONFLICT DO UPDATE SET objects = objects + excluded.objects, "
                   "bytes = bytes + excluded.bytes, changed_ms = excluded.changed_ms, "
                   "study_instance_uid = excluded.study_instance_uid, "
                   "series_instance_uid = excluded.series_instance_uid, "
                   "modality = excluded.modality",
                   PL_VALUES(PL_T(name), PL_T(identity->study_instance_uid),
                             PL_T(identity->series_instance_uid), PL_T(identity->modality),
                             PL_I(bytes > 0), PL_I(bytes), PL_I(pl_now_ms())),
                   NULL, err);
}

struct putting {
  const char *part;
  bool replace, moved, grows; /* grows: it was not there */
  struct pl_spool_put *put;
  char file[FILE_NAME], target[LC_PATH_SIZE];
  int folder; /* the series', to be synced without the lock; the server may have moved it by then */
};

/* Where the data set begins: the meta information before it (PS3.10 7.1) names who sent it. */
static long data_set_at(FILE *file) {
  unsigned char head[144];
  bool meta = fread(head, 1, sizeof head, file) == sizeof head &&
              memcmp(head + 128, "DICM\2\0\0\0UL\4\0", 12) == 0;
  return meta ? 144L + head[140] + 256L * head[141] + 65536L * head[142] : 0;
}

static void close_file(FILE **file) {
  if (*file) fclose(*file);
}

static lc_status same_data_set(const char *a, const char *b, bool *same, struct lc_error *err) {
  char bytes[2][16384];
  LC_SCOPED(close_file) FILE *one = fopen(a, "rb");
  if (!one) return lc_file_write_error(a, errno, err);
  LC_SCOPED(close_file) FILE *two = fopen(b, "rb");
  if (!two) return lc_file_write_error(b, errno, err);
  if (fseek(one, data_set_at(one), SEEK_SET) != 0 || fseek(two, data_set_at(two), SEEK_SET) != 0)
    return lc_file_write_error(b, errno, err);
  for (size_t n = 1; n > 0;) {
    n = fread(bytes[0], 1, sizeof bytes[0], one);
    *same = fread(bytes[1], 1, sizeof bytes[1], two) == n && memcmp(bytes[0], bytes[1], n) == 0;
    if (ferror(one) || ferror(two)) return lc_file_write_error(b, EIO, err);
    if (!*same) break;
  }
  return LC_OK;
}

/* Whether the object is here, growing or settled, and with another data set. */
static lc_status compare(const struct pl_spool *spool, struct putting *p, bool *here,
                         struct lc_error *err) {
  char folder[LC_PATH_SIZE], settled[LC_PATH_SIZE];
  bool same = true;
  pl_spool_folder(spool, false, p->put->name, folder);
  LC_TRY(lc_path_join(settled, folder, p->file, err));
  p->grows = !lc_file_exists(p->target);
  *here = !p->grows || lc_file_exists(settled);
  if (*here) LC_TRY(same_data_set(p->part, p->grows ? settled : p->target, &same, err));
  p->put->differs = !same;
  return LC_OK;
}

static lc_status put(struct pl_spool *spool, const struct ct_identity *identity, struct putting *p,
                     struct lc_error *err) {
  struct pl_spool_series grown, settled;
  char folder[LC_PATH_SIZE], above[LC_PATH_SIZE];
  struct stat info;
  bool here;
  LC_SCOPED(pl_db_take_back) struct pl_db *open_db = NULL;
  LC_TRY(pl_spool_begin(&open_db, spool, err));
  LC_TRY(find(spool, p->put->name, true, &grown, err));
  LC_TRY(find(spool, p->put->name, false, &settled, err));
  p->put->is_new = !grown.name[0];
  pl_spool_folder(spool, true, "", above);
  pl_spool_folder(spool, true, p->put->name, folder);
  LC_TRY(lc_path_join(p->target, folder, p->file, err));
  LC_TRY(compare(spool, p, &here, err));
  if (p->put->differs && !p->replace) {
    unlink(p->part);
    return pl_db_commit(&open_db, err);
  }
  if (p->put->is_new) LC_TRY(admit(spool, &settled, err));
  LC_TRY(lc_folder_make(folder, err));
  if (p->put->is_new) sync_folder(above);
  if (stat(p->part, &info) != 0) return lc_file_write_error(p->part, errno, err);
  if (here && !p->put->differs) {
    lc_log(LC_LOG_DEBUG, "%s is here already", p->file);
    unlink(p->part);
  } else if (rename(p->part, p->target) == 0) {
    p->moved = true;
  } else {
    return lc_file_write_error(p->target, errno, err);
  }
  p->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (p->folder < 0) return lc_file_write_error(folder, errno, err);
  long long bytes = p->moved && p->grows ? pl_spool_blocks(info.st_size) : 0;
  LC_TRY(note(spool, identity, p->put->name, bytes, err));
  return pl_db_commit(&open_db, err);
}

lc_status pl_spool_put(struct pl_spool *spool, const struct ct_identity *identity, const char *part,
                       bool replace, struct pl_spool_put *out, struct lc_error *err) {
  struct putting p = {.part = part, .replace = replace, .put = out, .folder = -1};
  memset(out, 0, sizeof *out);
  LC_TRY(hash_name(out->name, PL_SPOOL_NAME - 1, identity->study_instance_uid,
                   identity->series_instance_uid, err));
  LC_TRY(file_name(p.file, identity->sop_instance_uid, err));
  lc_status status = put(spool, identity, &p, err);
  if (status == LC_OK && p.folder >= 0 && fsync(p.folder) != 0 && errno != EINVAL &&
      errno != ENOTSUP)
    status = lc_file_write_error(p.target, errno, err);
  else if (status != LC_OK && p.moved && p.grows) /* it will not be confirmed */
    unlink(p.target);
  if (p.folder >= 0) close(p.folder);
  return status;
}

lc_status pl_spool_holds(struct pl_spool *spool, const char *sop_instance_uid, bool *holds,
                         struct lc_error *err) {
  LC_SCOPED(pl_rows_drop) struct pl_rows rows = {0};
  char file[FILE_NAME], folder[LC_PATH_SIZE], path[LC_PATH_SIZE], name[PL_SPOOL_NAME] = "";
  *holds = false;
  LC_TRY(file_name(file, sop_instance_uid, err));
  LC_TRY(pl_spool_ready(spool, err));
  LC_TRY(pl_rows_begin(&rows, &spool->db,
                       "SELECT name, place FROM series WHERE place < 3 ORDER BY place",
                       PL_NO_VALUES, err));
  while (!*holds && pl_rows_next(&rows)) {
    lc_text_copy(name, sizeof name, pl_rows_text(&rows, 0));
    pl_spool_folder(spool, pl_rows_number(&rows, 1) == 0, name, folder);
    *holds = lc_path_join(path, folder, file, NULL) == LC_OK && lc_file_exists(path);
  }
  LC_TRY(pl_rows_end(&rows, err));
  if (!*holds) return LC_OK;
  return pl_db_run(&spool->db, "UPDATE series SET complete = 1 WHERE name = ?1 AND place = 0",
                   PL_VALUES(PL_T(name)), NULL, err);
}

/* -- room ----------------------------------------------------------------------------------- */

/* The series of done/ that has been there longest and does not grow again. */
static lc_status oldest_done(struct pl_spool *spool, struct pl_spool_series *series,
                             struct lc_error *err) {
  return pl_spool_first(spool,
                        "WHERE place = 2 AND name NOT IN (SELECT name FROM series WHERE place = 0) "
                        "ORDER BY changed_ms, name LIMIT 1",
                        PL_NO_VALUES, series, err);
}

/* Removes the objects of a series that is complete. In a transaction. */
static lc_status remove_objects(struct pl_spool *spool, const char *name, struct lc_error *err) {
  char folder[LC_PATH_SIZE], gone[LC_PATH_SIZE];
  pl_spool_folder(spool, false, name, folder);
  LC_TRY(lc_path_join(gone, spool->folder, "incoming", err));
  LC_TRY(lc_path_join(gone, gone, name, err));
  /* One step, so that a stop in between leaves no part of it. */
  if (rename(folder, gone) != 0 && errno != ENOENT) return lc_file_write_error(gone, errno, err);
  return lc_folder_remove(gone, err);
}

/* Removes a series that is done, remembering how large it was; the oldest are forgotten when there
 * are too many. In a transaction. */
static lc_status forget(struct pl_spool *spool, const struct pl_spool_series *series,
                        struct lc_error *err) {
  LC_TRY(remove_objects(spool, series->name, err));
  LC_TRY(pl_db_run(&spool->db,
                   "UPDATE series SET place = 4, before = objects, objects = 0, bytes = 0, "
                   "changed_ms = ?2 WHERE name = ?1 AND place = 2",
                   PL_VALUES(PL_T(series->name), PL_I(pl_now_ms())), NULL, err));
  lc_log(LC_LOG_INFO, "series %s: its %lld objects are no longer kept", series->name,
         series->objects);
  return pl_db_run(&spool->db,
                   "DELETE FROM series WHERE place = 4 AND name NOT IN (SELECT name FROM series "
                   "WHERE place = 4 ORDER BY changed_ms DESC LIMIT ?1)",
                   PL_VALUES(PL_I(PAST_MOST)), NULL, err);
}

static lc_status fits_now(struct pl_spool *spool, bool *fits, struct lc_error *err) {
  long long used;
  LC_TRY(pl_spool_ready(spool, err));
  LC_TRY(pl_db_number(&spool->db, "SELECT total(bytes) FROM series WHERE place < 4", PL_NO_VALUES,
                      &used, err));
  for (size_t i = 0; i < spool->n_slots; i++) used += atomic_load(&spool->reserved[i]);
  *fits = used <= spool->limits.max_bytes;
  return LC_OK;
}

lc_status pl_spool_make_room(struct pl_spool *spool, bool *fits, struct lc_error *err) {
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(fits_now(spool, fits, err));
  if (*fits) return LC_OK;
  LC_TRY(pl_spool_begin(&open, spool, err));
  for (;;) {
    struct pl_spool_series series;
    LC_TRY(fits_now(spool, fits, err));
    if (!*fits) LC_TRY(oldest_done(spool, &series, err));
    if (*fits || !series.name[0]) return pl_db_commit(&open, err);
    LC_TRY(forget(spool, &series, err));
  }
}

lc_status pl_spool_expire(struct pl_spool *spool, struct lc_error *err) {
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(pl_spool_begin(&open, spool, err));
  for (;;) {
    struct pl_spool_series series;
    LC_TRY(oldest_done(spool, &series, err));
    if (!series.name[0] || (double)(pl_now_ms() - series.changed_ms) <= 1000 * spool->limits.keep_s)
      break;
    LC_TRY(forget(spool, &series, err));
  }
  LC_TRY(pl_spool_reconcile(spool, err));
  return pl_db_commit(&open, err);
}

lc_status pl_spool_bound_quarantine(struct pl_spool *spool, struct lc_error *err) {
  for (;;) {
    LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
    struct pl_spool_series oldest;
    long long n, bytes;
    LC_TRY(pl_spool_begin(&open, spool, err));
    LC_TRY(
        pl_db_number(open, "SELECT count(*) FROM series WHERE place = 3", PL_NO_VALUES, &n, err));
    LC_TRY(pl_db_number(open, "SELECT total(bytes) FROM series WHERE place = 3", PL_NO_VALUES,
                        &bytes, err));
    if ((size_t)n <= spool->limits.quarantine_series && bytes <= spool->limits.quarantine_bytes)
      return pl_db_commit(&open, err);
    LC_TRY(pl_spool_first(spool, "WHERE place = 3 ORDER BY changed_ms, name LIMIT 1", PL_NO_VALUES,
                          &oldest, err));
    LC_TRY(remove_objects(spool, oldest.name, err));
    LC_TRY(pl_db_run(open, "DELETE FROM series WHERE name = ?1 AND place = 3",
                     PL_VALUES(PL_T(oldest.name)), NULL, err));
    LC_TRY(pl_db_commit(&open, err));
    lc_log(
        LC_LOG_WARNING,
        "series %s: removed from quarantine with its %lld objects (%lld series and %lld MiB were "
        "there, at most %zu and %lld MiB are kept)",
        oldest.series_instance_uid[0] ? oldest.series_instance_uid : oldest.name, oldest.objects, n,
        bytes >> 20, spool->limits.quarantine_series, spool->limits.quarantine_bytes >> 20);
  }
}

/* -- processing ----------------------------------------------------------------------------- */

/* Joins what grew of a series with what was there; all of it is then in a place. */
static lc_status settle(struct pl_spool *spool, const char *name, enum pl_spool_place to,
                        long long before, struct lc_error *err) {
  char from[LC_PATH_SIZE], series[LC_PATH_SIZE], above[LC_PATH_SIZE];
  long long objects, bytes;
  pl_spool_folder(spool, true, name, from);
  pl_spool_folder(spool, false, name, series);
  pl_spool_folder(spool, false, "", above);
  if (lc_folder_exists(series))
    LC_TRY(pl_spool_join(from, series, err));
  else if (rename(from, series) != 0 && errno != ENOENT)
    return lc_file_write_error(series, errno, err);
  sync_folder(above);
  pl_spool_measure(series, &objects, &bytes);
  LC_TRY(pl_db_run(&spool->db, "DELETE FROM series WHERE name = ?1 AND place > 0",
                   PL_VALUES(PL_T(name)), NULL, err));
  return pl_db_run(&spool->db,
                   "UPDATE series SET place = ?2, objects = ?3, bytes = ?4, before = ?5, "
                   "complete = 0 WHERE name = ?1 AND place = 0",
                   PL_VALUES(PL_T(name), PL_I(to), PL_I(objects), PL_I(bytes), PL_I(before)), NULL,
                   err);
}

lc_status pl_spool_complete(struct pl_spool *spool, double quiet_s, long long began_ms,
                            const char *running, struct pl_spool_series *series,
                            struct lc_error *err) {
  char name[PL_SPOOL_NAME];
  struct pl_spool_series settled;
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  /* A clock that was set back does not hold a series for ever. */
  LC_TRY(pl_spool_first(
      spool,
      "WHERE place = 0 AND name <> ?1 AND "
      "(complete OR abs(?2 - max(changed_ms, ?3)) >= ?4) "
      "ORDER BY changed_ms, name LIMIT 1",
      PL_VALUES(PL_T(running), PL_I(pl_now_ms()), PL_I(began_ms), PL_I(1000 * quiet_s)), series,
      err));
  if (!series->name[0]) return LC_OK;
  memcpy(name, series->name, sizeof name);
  LC_TRY(pl_spool_begin(&open, spool, err));
  LC_TRY(find(spool, name, true, series, err));
  LC_TRY(find(spool, name, false, &settled, err));
  if (!series->name[0]) return pl_db_commit(&open, err); /* gone meanwhile */
  long long n = series->objects + settled.objects;
  if (n < settled.before)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%lld objects came late for a series whose earlier %lld are no longer kept; send the "
            "whole series again",
            n, settled.before);
  LC_TRY(settle(spool, name, PL_SPOOL_WORK, 0, err));
  return pl_db_commit(&open, err);
}

lc_status pl_spool_next(struct pl_spool *spool, struct pl_spool_series *series,
                        struct lc_error *err) {
  return pl_spool_first(spool, "WHERE place = 1 ORDER BY changed_ms, name LIMIT 1", PL_NO_VALUES,
                        series, err);
}

lc_status pl_spool_finish(struct pl_spool *spool, const struct pl_spool_series *series,
                          enum pl_spool_place to, struct lc_error *err) {
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(pl_spool_begin(&open, spool, err));
  if (series->place == PL_SPOOL_RECEIVING) {
    struct pl_spool_series settled;
    LC_TRY(find(spool, series->name, false, &settled, err));
    LC_TRY(settle(spool, series->name, to, settled.before, err));
  }
  LC_TRY(pl_db_run(open,
                   "UPDATE series SET place = ?2, changed_ms = ?3, study_instance_uid = ?4, "
                   "series_instance_uid = ?5, modality = ?6, outcome = ?7, status = ?8, "
                   "reason = ?9, results = ?10 WHERE name = ?1 AND place > 0",
                   PL_VALUES(PL_T(series->name), PL_I(to), PL_I(pl_now_ms()),
                             PL_T(series->study_instance_uid), PL_T(series->series_instance_uid),
                             PL_T(series->modality), PL_T(series->outcome), PL_T(series->status),
                             PL_T(series->reason), PL_T(series->results)),
                   NULL, err));
  return pl_db_commit(&open, err);
}
