/* Opens a spool: takes it for a server, compares spool.db with the files, makes it anew when it is
 * damaged, and takes over spools of earlier versions, in which the folder of a series said where it
 * stood:
 *
 *   receiving/NAME/         as now; .complete: declared complete
 *   work/NAME/              waited
 *   done/NAME/              outcome.json
 *   quarantine/NAME/        reason.json
 *   past/NAME               how many objects a series had that was no longer kept */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/delivery/pl_spool.h"

lc_status pl_spool_ready(struct pl_spool *spool, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  if (spool->db.handle) return LC_OK;
  LC_TRY(lc_path_join(path, spool->folder, "spool.db", err));
  LC_TRY(pl_db_open(&spool->db, path, &pl_spool_schema, err));
  /* What a power failure takes back is made good from the files. */
  return pl_db_wait_for_disk(&spool->db, false, err);
}

lc_status pl_spool_begin(struct pl_db **open, struct pl_spool *spool, struct lc_error *err) {
  LC_TRY(pl_spool_ready(spool, err));
  return pl_db_begin(open, &spool->db, err);
}

void pl_spool_rest(struct pl_spool *spool) {
  pl_db_close(&spool->db);
}

/* Calls visit for each name in a folder below the spool that is not hidden, until one fails. */
static lc_status each_in(struct pl_spool *spool, const char *below,
                         lc_status (*visit)(struct pl_spool *spool, const char *path,
                                            const char *name, struct lc_error *err),
                         struct lc_error *err) {
  char folder[LC_PATH_SIZE], path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(folder, spool->folder, below, err));
  LC_SCOPED(lc_close_folder) DIR *stream = opendir(folder);
  if (!stream && errno == ENOENT) return LC_OK;
  if (!stream) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", folder, strerror(errno));
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    if (entry->d_name[0] == '.' || strlen(entry->d_name) != PL_SPOOL_NAME - 1) continue;
    LC_TRY(lc_path_join(path, folder, entry->d_name, err));
    LC_TRY(visit(spool, path, entry->d_name, err));
  }
  return LC_OK;
}

/* -- spool.db and the files ----------------------------------------------------------------- */

void pl_spool_measure(const char *folder, long long *objects, long long *bytes) {
  *objects = *bytes = 0;
  LC_SCOPED(lc_close_folder) DIR *stream = opendir(folder);
  for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream)) {
    struct stat info;
    size_t length = strlen(entry->d_name);
    if (length < 5 || strcmp(entry->d_name + length - 4, ".dcm") != 0 ||
        fstatat(dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    ++*objects;
    *bytes += pl_spool_blocks(info.st_size);
  }
}

/* Measures what a folder holds. One that spool.db does not know: what is complete is processed once
 * more. */
static lc_status see(struct pl_spool *spool, bool receiving, const char *path, const char *name,
                     struct lc_error *err) {
  long long objects, bytes;
  size_t known;
  struct stat info = {.st_mtime = 0};
  pl_spool_measure(path, &objects, &bytes);
  (void)stat(path, &info);
  const struct pl_value values[] = {PL_T(name), PL_I(!receiving), PL_I(objects), PL_I(bytes),
                                    PL_I(1000 * (long long)info.st_mtime)};
  LC_TRY(pl_db_run(&spool->db,
                   "UPDATE series SET objects = ?3, bytes = ?4, seen = 1 WHERE name = ?1 AND "
                   "(place > 0) = ?2 AND place < 4",
                   values, 4, &known, err));
  if (objects == 0) (void)rmdir(path);
  if (known > 0 || objects == 0) return LC_OK;
  return pl_db_run(&spool->db,
                   "INSERT INTO series(name, place, objects, bytes, changed_ms) "
                   "VALUES(?1, ?2, ?3, ?4, ?5)",
                   values, 5, NULL, err);
}

static lc_status see_receiving(struct pl_spool *spool, const char *path, const char *name,
                               struct lc_error *err) {
  return see(spool, true, path, name, err);
}

static lc_status see_complete(struct pl_spool *spool, const char *path, const char *name,
                              struct lc_error *err) {
  return see(spool, false, path, name, err);
}

lc_status pl_spool_reconcile(struct pl_spool *spool, struct lc_error *err) {
  struct pl_db *db = &spool->db;
  LC_TRY(pl_db_run(db, "UPDATE series SET seen = 0", PL_NO_VALUES, NULL, err));
  LC_TRY(each_in(spool, "receiving", see_receiving, err));
  LC_TRY(each_in(spool, "series", see_complete, err));
  LC_TRY(pl_db_run(db, "DELETE FROM uids WHERE name NOT IN (SELECT name FROM series)", PL_NO_VALUES,
                   NULL, err));
  /* What is gone was done, or somebody removed it. */
  LC_TRY(
      pl_db_run(db,
                "UPDATE series SET before = iif(place = 2, objects, before), place = 4, "
                "objects = 0, bytes = 0 WHERE place BETWEEN 1 AND 3 AND (seen = 0 OR objects = 0)",
                PL_NO_VALUES, NULL, err));
  LC_TRY(pl_db_run(db, "UPDATE series SET objects = 0, bytes = 0 WHERE place = 0 AND seen = 0",
                   PL_NO_VALUES, NULL, err));
  /* What grows may be nothing but objects that were there: then all is processed once more. */
  return pl_db_run(db,
                   "DELETE FROM series WHERE (place = 4 AND before = 0) OR (place = 0 AND "
                   "objects = 0 AND name NOT IN (SELECT name FROM series WHERE place BETWEEN 1 AND "
                   "3))",
                   PL_NO_VALUES, NULL, err);
}

/* -- earlier versions ----------------------------------------------------------------------- */

static const char *const old_places[] = {"work", "done", "quarantine", "past"};

static lc_status move_old(struct pl_spool *spool, const char *path, const char *name,
                          struct lc_error *err) {
  char series[LC_PATH_SIZE];
  pl_spool_folder(spool, false, name, series);
  if (lc_folder_exists(series)) return pl_spool_join(path, series, err);
  return rename(path, series) == 0 ? LC_OK : lc_file_write_error(series, errno, err);
}

/* outcome.json or reason.json of a series becomes its row. */
static lc_status read_outcome(struct pl_spool *spool, const char *folder, const char *name,
                              const char *file, enum pl_spool_place place, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_FREED char *json = NULL;
  size_t length;
  struct stat info;
  LC_TRY(lc_path_join(path, folder, file, err));
  if (stat(path, &info) != 0 || lc_file_read(path, 1 << 16, &json, &length, NULL) != LC_OK)
    return LC_OK;
  return pl_db_run(
      &spool->db,
      "UPDATE series SET place = ?3, changed_ms = ?4, study_instance_uid = o ->> "
      "'StudyInstanceUID', series_instance_uid = o ->> 'SeriesInstanceUID', modality = o ->> "
      "'modality', outcome = o ->> 'outcome', status = o ->> 'status', reason = o ->> 'reason', "
      "results = coalesce(o ->> 'results', '') FROM (SELECT iif(json_valid(?2), ?2, '{}') AS o) "
      "WHERE name = ?1 AND place = 1 AND outcome = ''",
      PL_VALUES(PL_T(name), PL_T(json), PL_I(place), PL_I(1000 * (long long)info.st_mtime)), NULL,
      err);
}

static lc_status read_outcomes(struct pl_spool *spool, const char *path, const char *name,
                               struct lc_error *err) {
  LC_TRY(read_outcome(spool, path, name, "outcome.json", PL_SPOOL_DONE, err));
  return read_outcome(spool, path, name, "reason.json", PL_SPOOL_QUARANTINE, err);
}

static lc_status read_mark(struct pl_spool *spool, const char *path, const char *name,
                           struct lc_error *err) {
  char mark[LC_PATH_SIZE];
  LC_TRY(lc_path_join(mark, path, ".complete", err));
  if (!lc_file_exists(mark)) return LC_OK;
  return pl_db_run(&spool->db, "UPDATE series SET complete = 1 WHERE name = ?1 AND place = 0",
                   PL_VALUES(PL_T(name)), NULL, err);
}

/* A series that is no longer kept, or whose rest is in quarantine. */
static lc_status read_past(struct pl_spool *spool, const char *path, const char *name,
                           struct lc_error *err) {
  LC_FREED char *text = NULL;
  size_t length;
  if (lc_file_read(path, 64, &text, &length, NULL) != LC_OK) return LC_OK;
  LC_TRY(pl_db_run(&spool->db,
                   "INSERT INTO series(name, place, changed_ms) SELECT ?1, 4, ?2 WHERE NOT EXISTS "
                   "(SELECT 1 FROM series WHERE name = ?1 AND place > 0)",
                   PL_VALUES(PL_T(name), PL_I(pl_now_ms())), NULL, err));
  return pl_db_run(&spool->db, "UPDATE series SET before = ?2 WHERE name = ?1 AND place > 2",
                   PL_VALUES(PL_T(name), PL_I(strtoll(text, NULL, 10))), NULL, err);
}

static lc_status remove_marks(struct pl_spool *spool, const char *path, const char *name,
                              struct lc_error *err) {
  static const char *const marks[] = {"outcome.json", "reason.json", ".complete"};
  char mark[LC_PATH_SIZE];
  (void)spool, (void)name;
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
    LC_TRY(lc_path_join(mark, path, marks[i], err));
    if (unlink(mark) != 0 && errno != ENOENT) return lc_file_write_error(mark, errno, err);
  }
  return LC_OK;
}

/* The old folders stay until the end: a stop in between begins again. */
static lc_status take_over(struct pl_spool *spool, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  for (size_t i = 0; i < 3; i++) LC_TRY(each_in(spool, old_places[i], move_old, err));
  LC_TRY(pl_spool_begin(&open, spool, err));
  LC_TRY(pl_spool_reconcile(spool, err));
  LC_TRY(each_in(spool, "series", read_outcomes, err));
  LC_TRY(each_in(spool, "receiving", read_mark, err));
  LC_TRY(each_in(spool, "past", read_past, err));
  LC_TRY(pl_db_commit(&open, err));
  LC_TRY(lc_folder_sync_all(spool->folder, err));
  LC_TRY(each_in(spool, "series", remove_marks, err));
  LC_TRY(each_in(spool, "receiving", remove_marks, err));
  LC_TRY(lc_path_join(path, spool->folder, "moving.lock", err));
  unlink(path);
  for (size_t i = 0; i < sizeof old_places / sizeof *old_places; i++) {
    LC_TRY(lc_path_join(path, spool->folder, old_places[i], err));
    LC_TRY(lc_folder_remove(path, err));
  }
  lc_log(LC_LOG_INFO, "%s: the series of an earlier version are in spool.db now", spool->folder);
  return LC_OK;
}

static bool is_old(const struct pl_spool *spool) {
  char path[LC_PATH_SIZE];
  for (size_t i = 0; i < sizeof old_places / sizeof *old_places; i++)
    if (lc_path_join(path, spool->folder, old_places[i], NULL) == LC_OK && lc_folder_exists(path))
      return true;
  return false;
}

/* -- opening -------------------------------------------------------------------------------- */

/* What was on its way when the server was killed was never confirmed. */
static lc_status make_folders(struct pl_spool *spool, struct lc_error *err) {
  static const char *const folders[] = {"incoming", "receiving", "series", "damaged"};
  char path[LC_PATH_SIZE];
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    LC_TRY(lc_path_join(path, spool->folder, folders[i], err));
    if (i == 0) LC_TRY(lc_folder_remove(path, err));
    LC_TRY(lc_folder_make(path, err));
  }
  return LC_OK;
}

static lc_status own(struct pl_spool *spool, struct lc_error *err) {
  char path[LC_PATH_SIZE], damaged[LC_PATH_SIZE];
  mode_t others = umask(0777);
  umask(others);
  LC_TRY(lc_folder_make(spool->folder, err));
  /* One that is there may be of a version that left it open. */
  if (chmod(spool->folder, 0777 & ~others) != 0)
    return lc_file_write_error(spool->folder, errno, err);
  LC_TRY(lc_path_join(path, spool->folder, "server.lock", err));
  spool->owner = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (spool->owner < 0) return lc_file_write_error(path, errno, err);
  if (flock(spool->owner, LOCK_EX | LOCK_NB) != 0)
    LC_FAIL(err, LC_ERR_EXISTS, "%s: another server uses this spool", spool->folder);
  void *memory = mmap(NULL, spool->n_slots * sizeof *spool->reserved, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) LC_FAIL(err, LC_ERR_MEMORY, "no memory to share: %s", strerror(errno));
  spool->reserved = memory;
  LC_TRY(make_folders(spool, err));
  LC_TRY(lc_path_join(path, spool->folder, "spool.db", err));
  LC_TRY(lc_path_join(damaged, spool->folder, "damaged", err));
  bool is_new;
  LC_TRY(pl_db_open_alone(&spool->db, path, &pl_spool_schema, damaged, &is_new, err));
  if (is_new) LC_TRY(pl_db_finish(&spool->db, &pl_spool_schema, err));
  if (is_old(spool)) LC_TRY(take_over(spool, err));
  LC_SCOPED(pl_db_take_back) struct pl_db *open_db = NULL;
  LC_TRY(pl_spool_begin(&open_db, spool, err));
  LC_TRY(pl_spool_reconcile(spool, err));
  return pl_db_commit(&open_db, err);
}

/* Paths in the spool fit. */
static lc_status set_folder(struct pl_spool *spool, const char *folder, struct lc_error *err) {
  memset(spool, 0, sizeof *spool);
  spool->owner = -1;
  if (strlen(folder) > PL_SPOOL_LONGEST)
    LC_FAIL(err, LC_ERR_USAGE, "spool: path of more than %d bytes", PL_SPOOL_LONGEST);
  lc_text_copy(spool->folder, sizeof spool->folder, folder);
  return LC_OK;
}

lc_status pl_spool_open(struct pl_spool *spool, const char *folder,
                        const struct pl_spool_limits *limits, size_t n_slots,
                        struct lc_error *err) {
  LC_TRY(set_folder(spool, folder, err));
  spool->limits = *limits;
  spool->n_slots = n_slots;
  lc_status status = own(spool, err);
  if (status != LC_OK) pl_spool_close(spool);
  return status;
}

void pl_spool_close(struct pl_spool *spool) {
  pl_spool_rest(spool);
  if (spool->reserved) munmap(spool->reserved, spool->n_slots * sizeof *spool->reserved);
  if (spool->owner >= 0) close(spool->owner);
  memset(spool, 0, sizeof *spool);
  spool->owner = -1;
}

lc_status pl_spool_look(const char *folder, struct pl_spool_list *list, struct lc_error *err) {
  struct pl_spool spool;
  char path[LC_PATH_SIZE];
  LC_TRY(set_folder(&spool, folder, err));
  LC_TRY(lc_path_join(path, folder, "spool.db", err));
  if (!lc_file_exists(path))
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no spool (it has no spool.db)", folder);
  lc_status status = pl_spool_list(&spool, list, err);
  pl_spool_rest(&spool);
  return status;
}
