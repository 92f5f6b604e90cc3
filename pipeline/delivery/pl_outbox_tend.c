/* Makes a damaged outbox anew, repairs damaged entries, removes objects that nothing needs, and
 * retries and forgets entries. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "pipeline/delivery/pl_outbox.h"
#include "pipeline/store/pl_output.h"

/* Moves a file to damaged/; what has that name there gives way. */
static lc_status set_aside(struct pl_outbox *outbox, const char *path, const char *name,
                           struct lc_error *err) {
  char folder[LC_PATH_SIZE], target[LC_PATH_SIZE];
  LC_TRY(lc_path_join(folder, outbox->folder, "damaged", err));
  LC_TRY(lc_path_join(target, folder, name, err));
  if (rename(path, target) != 0 && errno != ENOENT) return lc_file_write_error(target, errno, err);
  return LC_OK;
}

lc_status pl_outbox_verify(struct pl_outbox *outbox, const struct pl_entry *entry,
                           struct lc_error *err) {
  char path[LC_PATH_SIZE], hex[LC_SHA256_HEX] = "";
  struct lc_error why;
  LC_TRY(pl_outbox_object(outbox, entry, path, err));
  if (lc_hash_file_hex(path, hex, &why) == LC_OK && strcmp(hex, entry->sha256) == 0) return LC_OK;
  const char *name = strrchr(path, '/');
  LC_TRY(set_aside(outbox, path, name + 1, err));
  LC_FAIL(err, LC_ERR_FORMAT, "%s: %s in the outbox; queue %.300s again", path,
          hex[0] ? "damaged" : "missing", entry->source);
}

/* -- objects -------------------------------------------------------------------------------- */

/* Calls visit for each object's file, "UID-HASH.dcm" or a stranger, until one fails. */
static lc_status each_object(struct pl_outbox *outbox, void *context,
                             lc_status (*visit)(void *context, const char *path, const char *name,
                                                struct lc_error *err),
                             struct lc_error *err) {
  char folder[LC_PATH_SIZE], path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(folder, outbox->folder, "objects", err));
  DIR *stream = opendir(folder);
  if (!stream) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", folder, strerror(errno));
  lc_status status = LC_OK;
  for (struct dirent *file = readdir(stream); file && status == LC_OK; file = readdir(stream)) {
    if (file->d_name[0] == '.') continue;
    status = lc_path_join(path, folder, file->d_name, err);
    if (status == LC_OK) status = visit(context, path, file->d_name, err);
  }
  closedir(stream);
  return status;
}

/* Cuts "UID-HASH.dcm"; false for another name. */
static bool cut_name(const char *name, char uid[CT_UID_SIZE], char hash[17]) {
  const char *dash = strchr(name, '-');
  if (!dash || dash - name >= CT_UID_SIZE || strlen(dash) != 21 || strcmp(dash + 17, ".dcm") != 0)
    return false;
  lc_text_copy(uid, (size_t)(dash - name) + 1, name);
  lc_text_copy(hash, 17, dash + 1);
  return ct_uid_valid(uid);
}

/* Queues a kept object for a destination as if it were new. */
static lc_status queue_again(struct pl_outbox *outbox, const char *destination, const char *path,
                             struct lc_error *err) {
  struct pl_entry entry = {.state = PL_STATE_QUEUED, .queued_ms = pl_now_ms()};
  char expected[LC_PATH_SIZE];
  LC_TRY(ct_object_read(&entry.object, path, err));
  LC_TRY(lc_hash_file_hex(path, entry.sha256, err));
  LC_TRY(pl_outbox_object(outbox, &entry, expected, err));
  if (strcmp(path, expected) != 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: damaged", path);
  lc_text_copy(entry.destination, sizeof entry.destination, destination);
  lc_text_copy(entry.source, sizeof entry.source, path);
  return pl_outbox_save(outbox, &entry, err);
}

struct search {
  const char *uid;
  char path[LC_PATH_SIZE];
};

static lc_status match(void *context, const char *path, const char *name, struct lc_error *err) {
  struct search *search = (struct search *)context;
  size_t n = strlen(search->uid);
  (void)err;
  if (strncmp(name, search->uid, n) == 0 && name[n] == '-')
    lc_text_copy(search->path, sizeof search->path, path);
  return LC_OK;
}

lc_status pl_outbox_requeue(struct pl_outbox *outbox, const char *destination, const char *uid,
                            struct lc_error *err) {
  struct search search = {.uid = uid};
  LC_TRY(each_object(outbox, &search, match, err));
  if (!search.path[0]) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no object is kept", uid);
  return queue_again(outbox, destination, search.path, err);
}

/* An object of an entry that was lost: queued again where there is but one destination, else set
 * aside, because it could go to the wrong one. */
static lc_status adopt(struct pl_outbox *outbox, const char *path, const char *name,
                       struct lc_error *err) {
  struct pl_rows rows;
  char only[PL_DESTINATION_NAME] = "";
  size_t n = 0;
  LC_TRY(pl_rows_begin(&rows, &outbox->db,
                       "SELECT DISTINCT destination FROM setting WHERE "
                       "digest IS digest(destination, key, value) LIMIT 2",
                       PL_NO_VALUES, err));
  for (; pl_rows_next(&rows); n++) lc_text_copy(only, sizeof only, pl_rows_text(&rows, 0));
  LC_TRY(pl_rows_end(&rows, err));
  struct lc_error why;
  if (n == 1 && queue_again(outbox, only, path, &why) == LC_OK) {
    lc_log(LC_LOG_WARNING, "%s: its entry was damaged; queued again for %s", path, only);
    return LC_OK;
  }
  lc_log(LC_LOG_WARNING,
         "%s: its entry was damaged, and where it goes is not known; moved to damaged/: send it "
         "again from there",
         path);
  return set_aside(outbox, path, name, err);
}

/* Whether an entry needs the bytes; known NULL: any entry does. */
static lc_status is_needed(struct pl_outbox *outbox, const char *uid, const char *hash,
                           const struct pl_destinations *known, bool *needed,
                           struct lc_error *err) {
  struct pl_rows rows;
  *needed = false;
  LC_TRY(pl_rows_begin(&rows, &outbox->db,
                       "SELECT destination, state FROM entry WHERE sop_instance_uid = ?1 AND "
                       "substr(sha256, 1, 16) = substr(?2, 1, 16)",
                       PL_VALUES(PL_T(uid), PL_T(hash)), err));
  while (!*needed && pl_rows_next(&rows)) {
    struct pl_entry entry = {.state = (enum pl_state)(pl_rows_number(&rows, 1) & (PL_STATES - 1))};
    lc_text_copy(entry.destination, sizeof entry.destination, pl_rows_text(&rows, 0));
    *needed = !known || entry.state == PL_STATE_REFUSED || !pl_entry_is_final(known, &entry);
  }
  return pl_rows_end(&rows, err);
}

struct clearing {
  struct pl_outbox *outbox;
  const struct pl_destinations *known;
  bool lost; /* an entry: what seems not to be needed may be its object */
};

static lc_status clear(void *context, const char *path, const char *name, struct lc_error *err) {
  const struct clearing *clearing = (const struct clearing *)context;
  char uid[CT_UID_SIZE], hash[17];
  bool needed = false, named = cut_name(name, uid, hash);
  if (named) LC_TRY(is_needed(clearing->outbox, uid, hash, clearing->known, &needed, err));
  if (needed) return LC_OK;
  if (named && clearing->lost) return adopt(clearing->outbox, path, name, err);
  if (unlink(path) != 0 && errno != ENOENT)
    lc_log(LC_LOG_WARNING, "%s: cannot be removed: %s", path, strerror(errno));
  return LC_OK;
}

lc_status pl_outbox_release(struct pl_outbox *outbox, const struct pl_entry *entry,
                            const struct pl_destinations *known, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  bool needed;
  LC_TRY(pl_outbox_object(outbox, entry, path, err));
  LC_TRY(pl_db_begin(&outbox->db, err));
  lc_status status =
      is_needed(outbox, entry->object.sop_instance_uid, entry->sha256, known, &needed, err);
  if (status == LC_OK && !needed && unlink(path) != 0 && errno != ENOENT)
    status = lc_file_write_error(path, errno, err);
  return pl_db_end(&outbox->db, status, err);
}

/* -- damage --------------------------------------------------------------------------------- */

/* Objects without an entry, in an outbox that was made anew. */
static lc_status adopt_all(void *context, struct lc_error *err) {
  struct clearing clearing = {.outbox = (struct pl_outbox *)context, .lost = true};
  return each_object(clearing.outbox, &clearing, clear, err);
}

lc_status pl_outbox_mend(struct pl_outbox *outbox, struct lc_error *err) {
  char path[LC_PATH_SIZE], damaged[LC_PATH_SIZE];
  struct stat info;
  LC_TRY(lc_path_join(path, outbox->folder, "outbox.db", err));
  LC_TRY(lc_path_join(damaged, outbox->folder, "damaged", err));
  lc_status status = LC_ERR_FORMAT;
  bool is_new = stat(path, &info) != 0 || info.st_size == 0;
  if (!pl_db_is_aside(path, damaged)) {
    status = pl_db_open(&outbox->db, path, &pl_outbox_schema, err);
    if (status == LC_OK) status = pl_db_check(&outbox->db, &pl_outbox_schema, err);
    if (status == LC_OK && is_new && !pl_outbox_is_old(outbox)) status = adopt_all(outbox, err);
  }
  if (status == LC_ERR_FORMAT) {
    pl_db_close(&outbox->db);
    status = pl_db_rebuild(&outbox->db, path, damaged, &pl_outbox_schema, adopt_all, outbox, err);
  }
  if (status == LC_OK && pl_outbox_is_old(outbox)) status = pl_outbox_take_over(outbox, err);
  return status;
}

/* Entries whose digest does not fit: their objects are queued again. *lost: one had none. */
static lc_status repair_entries(struct pl_outbox *outbox, const struct pl_destinations *known,
                                const struct pl_entries *damaged, bool *lost,
                                struct lc_error *err) {
  for (size_t i = 0; i < damaged->n; i++) {
    const char *uid = damaged->items[i].object.sop_instance_uid;
    const char *destination = damaged->items[i].destination;
    struct lc_error why;
    LC_TRY(pl_outbox_remove(outbox, &damaged->items[i], err));
    bool queued = pl_destinations_find(known, destination) && ct_uid_valid(uid) &&
                  pl_outbox_requeue(outbox, destination, uid, &why) == LC_OK;
    *lost = *lost || !queued;
    lc_log(LC_LOG_WARNING, "%s: the entry of %.64s for %s was damaged; %s", outbox->db.path, uid,
           destination, queued ? "its object is queued again" : "its object is not kept");
  }
  return LC_OK;
}

static lc_status tidy(struct pl_outbox *outbox, const struct pl_destinations *known,
                      struct lc_error *err) {
  struct clearing clearing = {.outbox = outbox, .known = known};
  struct pl_entries damaged;
  struct pl_output folder;
  char path[LC_PATH_SIZE];
  LC_TRY(pl_outbox_list_damaged(outbox, &damaged, err));
  lc_status status = repair_entries(outbox, known, &damaged, &clearing.lost, err);
  pl_entries_free(&damaged);
  if (status == LC_OK) status = lc_path_join(path, outbox->folder, "objects", err);
  /* Removes what dead processes left. */
  if (status == LC_OK) status = pl_output_open(&folder, path, err);
  return status == LC_OK ? each_object(outbox, &clearing, clear, err) : status;
}

lc_status pl_outbox_tidy(struct pl_outbox *outbox, const struct pl_destinations *known,
                         struct lc_error *err) {
  LC_TRY(pl_db_begin(&outbox->db, err));
  return pl_db_end(&outbox->db, tidy(outbox, known, err), err);
}

/* -- all entries ---------------------------------------------------------------------------- */

static lc_status retry(struct pl_outbox *outbox, const char *destination, struct lc_error *err) {
  struct pl_entries entries;
  LC_TRY(pl_outbox_list(outbox, destination, &entries, err));
  lc_status status = LC_OK;
  for (size_t i = 0; i < entries.n && status == LC_OK; i++) {
    struct pl_entry *entry = &entries.items[i];
    if (entry->state != PL_STATE_REFUSED && entry->not_before_ms == 0) continue;
    if (entry->state == PL_STATE_REFUSED) entry->state = PL_STATE_QUEUED;
    entry->attempts = entry->not_before_ms = 0;
    status = pl_outbox_save(outbox, entry, err);
  }
  pl_entries_free(&entries);
  if (status != LC_OK) return status;
  return pl_db_run(&outbox->db, "DELETE FROM destination WHERE ?1 IN ('', name)",
                   PL_VALUES(PL_T(destination ? destination : "")), NULL, err);
}

lc_status pl_outbox_retry(struct pl_outbox *outbox, const char *destination, struct lc_error *err) {
  LC_TRY(pl_db_begin(&outbox->db, err));
  return pl_db_end(&outbox->db, retry(outbox, destination, err), err);
}

static bool has_arrived(const struct pl_entry *entry, const struct pl_destinations *known) {
  if (entry->state == PL_STATE_CONFIRMED) return true;
  /* The destination may have been set since to do without the commitment that was asked for. */
  return entry->state == PL_STATE_SENT && !entry->transaction_uid[0] &&
         pl_entry_is_final(known, entry);
}

static lc_status forget(struct pl_outbox *outbox, const char *destination, long long before_ms,
                        const struct pl_destinations *known, size_t *n, struct lc_error *err) {
  struct pl_entries entries;
  LC_TRY(pl_outbox_list(outbox, destination, &entries, err));
  lc_status status = LC_OK;
  for (size_t i = 0; i < entries.n && status == LC_OK; i++) {
    const struct pl_entry *entry = &entries.items[i];
    if (entry->queued_ms >= before_ms || !has_arrived(entry, known)) continue;
    status = pl_outbox_remove(outbox, entry, err);
    ++*n;
  }
  pl_entries_free(&entries);
  return status;
}

lc_status pl_outbox_forget(struct pl_outbox *outbox, const char *destination, long long before_ms,
                           const struct pl_destinations *known, size_t *n, struct lc_error *err) {
  *n = 0;
  LC_TRY(pl_db_wait_for_disk(&outbox->db, true, err));
  LC_TRY(pl_db_begin(&outbox->db, err));
  return pl_db_end(&outbox->db, forget(outbox, destination, before_ms, known, n, err), err);
}
