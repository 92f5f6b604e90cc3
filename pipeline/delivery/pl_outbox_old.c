/* Takes over an outbox of earlier versions, which kept each entry and destination in a file:
 *
 *   entries/NAME/UID.json     an entry, with a digest over itself
 *   destinations/NAME.yaml    a destination
 *   destinations/NAME.json    how it stands with it
 *   entries.lock              flock: one at a time changed entries
 *
 * All goes into outbox.db in one transaction; then the old files are removed. What is there already
 * is newer and stays, so that after a stop in between the next call goes on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_files.h"
#include "pipeline/delivery/pl_outbox.h"

/* The name without its suffix; false for another suffix or a name that is too long. */
static bool cut_suffix(const char *name, const char *suffix, char *out, size_t size) {
  size_t n = strlen(name), m = strlen(suffix);
  if (n <= m || n - m >= size || strcmp(name + n - m, suffix) != 0) return false;
  lc_text_copy(out, n - m + 1, name);
  return true;
}

/* Keeps what cannot be read in damaged/, under its name with '_' for '/'. The file stays until all
 * is taken over. The object of a damaged entry is seen to by pl_outbox_tidy. */
static void keep_damaged(const struct pl_outbox *outbox, const char *path, const char *name) {
  char target[LC_PATH_SIZE + 512];
  size_t n = (size_t)snprintf(target, sizeof target, "%s/damaged/", outbox->folder);
  for (lc_text_copy(target + n, sizeof target - n, name); target[n]; n++)
    if (target[n] == '/') target[n] = '_';
  unlink(target);
  if (link(path, target) != 0) lc_log(LC_LOG_WARNING, "%s: %s", target, strerror(errno));
  lc_log(LC_LOG_WARNING, "%s: damaged; moved to %s", path, target);
}

/* name: "DESTINATION/UID.json"; JSON that was written with sorted keys, and a digest over the rest
 * of it. */
static lc_status take_entry(struct pl_outbox *outbox, const char *path, const char *name,
                            struct lc_error *err) {
  char destination[PL_DESTINATION_NAME] = "", uid[CT_UID_SIZE] = "";
  LC_FREED char *json = NULL;
  const char *slash = strchr(name, '/');
  size_t length;
  long long known = 0;
  if (slash && slash - name < PL_DESTINATION_NAME)
    lc_text_copy(destination, (size_t)(slash - name) + 1, name);
  const bool read = *destination && cut_suffix(slash + 1, ".json", uid, sizeof uid) &&
                    lc_file_read(path, 1 << 16, &json, &length, NULL) == LC_OK;
  const struct pl_value values[] = {PL_T(json), PL_T(uid), PL_T(destination)};
  if (read)
    LC_TRY(pl_db_number(
        &outbox->db,
        "SELECT iif(json_valid(?1), digest(json_remove(?1, '$.digest')) = ?1 ->> 'digest' AND "
        "?1 ->> 'version' = 1 AND ?1 ->> 'SOPInstanceUID' = ?2 AND ?1 ->> 'destination' = ?3, 0)",
        values, 3, &known, err));
  if (!known) {
    keep_damaged(outbox, path, name);
    return LC_OK;
  }
  return pl_db_run(
      &outbox->db,
      "INSERT OR IGNORE INTO entry SELECT *, digest(" PL_OUTBOX_COLUMNS ") FROM (SELECT ?2 AS "
      "sop_instance_uid, ?3 AS destination, ?1 ->> 'SOPClassUID' AS sop_class_uid, "
      "?1 ->> 'StudyInstanceUID' AS study_instance_uid, "
      "?1 ->> 'TransferSyntaxUID' AS transfer_syntax_uid, ?1 ->> 'sha256' AS sha256, "
      "CASE ?1 ->> 'state' WHEN 'queued' THEN 0 WHEN 'sent' THEN 1 WHEN 'confirmed' THEN 2 "
      "ELSE 3 END AS state, ?1 ->> 'attempts' AS attempts, ?1 ->> 'queued_ms' AS queued_ms, "
      "?1 ->> 'not_before_ms' AS not_before_ms, ?1 ->> 'warning' AS warning, "
      "?1 ->> 'text' AS text, ?1 ->> 'TransactionUID' AS transaction_uid, "
      "?1 ->> 'source' AS source)",
      values, 3, NULL, err);
}

static lc_status take_standing(struct pl_outbox *outbox, const char *path, const char *name,
                               struct lc_error *err) {
  LC_FREED char *json = NULL;
  size_t length;
  if (lc_file_read(path, 1 << 16, &json, &length, NULL) != LC_OK) return LC_OK;
  return pl_db_run(
      &outbox->db,
      "INSERT OR IGNORE INTO destination SELECT ?2, ?1 ->> 'failures', ?1 ->> 'not_before_ms', "
      "?1 ->> 'text' WHERE iif(json_valid(?1), typeof(?1 ->> 'failures') = 'integer' AND "
      "typeof(?1 ->> 'not_before_ms') = 'integer' AND typeof(?1 ->> 'text') = 'text', 0)",
      PL_VALUES(PL_T(json), PL_T(name)), NULL, err);
}

static lc_status take_destination(struct pl_outbox *outbox, const char *path, const char *file,
                                  struct lc_error *err) {
  LC_SCOPED(pl_destinations_free) struct pl_destinations one = {0};
  struct pl_destination *added = NULL;
  struct lc_error why;
  char name[PL_DESTINATION_NAME];
  long long there;
  if (cut_suffix(file, ".json", name, sizeof name)) return take_standing(outbox, path, name, err);
  if (!cut_suffix(file, ".yaml", name, sizeof name)) return LC_OK;
  LC_TRY(pl_db_number(&outbox->db, "SELECT count(*) FROM setting WHERE destination = ?1",
                      PL_VALUES(PL_T(name)), &there, err));
  if (there > 0) return LC_OK;
  if (pl_destinations_add(&one, name, &added, &why) == LC_OK &&
      pl_schema_read(&pl_destination_schema, added, path, &why) == LC_OK &&
      pl_destination_check(added, &why) == LC_OK)
    return pl_outbox_keep_destination(outbox, added, err);
  keep_damaged(outbox, path, file);
  return LC_OK;
}

/* Takes each file below a folder that is not hidden; name: its path from there. */
static lc_status take_each(struct pl_outbox *outbox, const char *folder,
                           lc_status (*take)(struct pl_outbox *outbox, const char *path,
                                             const char *name, struct lc_error *err),
                           struct lc_error *err) {
  LC_SCOPED(ct_files_free) struct ct_files files = {0};
  if (lc_folder_exists(folder)) LC_TRY(ct_files_walk(&files, folder, NULL, NULL, err));
  for (size_t i = 0; i < files.count; i++) {
    const char *path = files.paths[i], *name = path + strlen(folder) + 1;
    if (name[0] != '.' && !strstr(name, "/.")) LC_TRY(take(outbox, path, name, err));
  }
  return LC_OK;
}

/* In one step, so that earlier versions do not take an outbox with a part of its entries for whole.
 */
static lc_status remove_folder(const char *path, struct lc_error *err) {
  char gone[LC_PATH_SIZE + 8];
  snprintf(gone, sizeof gone, "%s.old", path);
  LC_TRY(lc_folder_remove(gone, err));
  if (rename(path, gone) != 0 && errno != ENOENT) return lc_file_write_error(path, errno, err);
  return lc_folder_remove(gone, err);
}

static void close_lock(const int *lock) {
  if (*lock >= 0) close(*lock);
}

/* Earlier versions hold entries.lock while they change entries, and sender.lock while they send. */
lc_status pl_outbox_take_over(struct pl_outbox *outbox, struct lc_error *err) {
  char path[LC_PATH_SIZE], entries[LC_PATH_SIZE], destinations[LC_PATH_SIZE];
  LC_SCOPED(pl_db_take_back) struct pl_db *open_db = NULL;
  LC_TRY(lc_path_join(entries, outbox->folder, "entries", err));
  LC_TRY(lc_path_join(destinations, outbox->folder, "destinations", err));
  LC_TRY(lc_path_join(path, outbox->folder, "entries.lock", err));
  if (!lc_folder_exists(entries) && !lc_folder_exists(destinations)) return LC_OK;
  LC_SCOPED(close_lock) int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) return lc_file_write_error(entries, errno, err);
  if (!pl_outbox_lock_sender(outbox))
    LC_FAIL(err, LC_ERR_NOT_WRITABLE, "%s: an earlier version of lungcdam sends from it; end that",
            outbox->folder);
  LC_TRY(pl_db_begin(&open_db, &outbox->db, err));
  LC_TRY(take_each(outbox, entries, take_entry, err));
  LC_TRY(take_each(outbox, destinations, take_destination, err));
  LC_TRY(pl_db_commit(&open_db, err));
  LC_TRY(remove_folder(entries, err));
  LC_TRY(remove_folder(destinations, err));
  flock(outbox->sender_lock, LOCK_UN);
  lc_log(LC_LOG_INFO, "%s: the entries of an earlier version are in outbox.db now", outbox->folder);
  unlink(path);
  return LC_OK;
}
