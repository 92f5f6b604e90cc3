/* Repairs damaged entries, and verifies, adopts and removes objects. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_read/ct_files.h"
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

/* Cuts "UID-HASH.dcm"; false for another name. */
static bool cut_name(const char *name, char uid[CT_UID_SIZE]) {
  const char *dash = strchr(name, '-');
  if (!dash || dash - name >= CT_UID_SIZE || strlen(dash) != 21 || strcmp(dash + 17, ".dcm") != 0)
    return false;
  lc_text_copy(uid, (size_t)(dash - name) + 1, name);
  return ct_uid_valid(uid);
}

/* Queues a kept object for a destination as if it were new. */
static lc_status queue_again(struct pl_outbox *outbox, const char *destination, const char *path,
                             struct lc_error *err) {
  struct pl_entry entry;
  char expected[LC_PATH_SIZE];
  LC_TRY(pl_entry_new(&entry, destination, path, err));
  LC_TRY(pl_outbox_object(outbox, &entry, expected, err));
  if (strcmp(path, expected) != 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: damaged", path);
  return pl_outbox_save(outbox, &entry, err);
}

/* What the whole entries say of the object in a file. n: how many are about the UID. */
static lc_status is_needed(struct pl_outbox *outbox, const char *uid, const char *name,
                           const struct pl_destinations *known, bool *needed, size_t *n,
                           struct lc_error *err) {
  struct pl_rows rows;
  *needed = false;
  *n = 0;
  LC_TRY(
      pl_rows_begin(&rows, &outbox->db,
                    "SELECT destination, state, sop_instance_uid || '-' || substr(sha256, 1, 16)"
                    " || '.dcm' = ?2 FROM entry WHERE sop_instance_uid = ?1 AND " PL_OUTBOX_WHOLE,
                    PL_VALUES(PL_T(uid), PL_T(name)), err));
  for (; pl_rows_next(&rows); ++*n) {
    struct pl_entry entry = {.state = (enum pl_state)(pl_rows_number(&rows, 1) & (PL_STATES - 1))};
    lc_text_copy(entry.destination, sizeof entry.destination, pl_rows_text(&rows, 0));
    *needed = *needed || (pl_rows_number(&rows, 2) != 0 &&
                          (entry.state == PL_STATE_REFUSED || !pl_entry_is_final(known, &entry)));
  }
  return pl_rows_end(&rows, err);
}

/* Queues an object again for the known destinations whose entry of it is damaged. */
static lc_status repair(struct pl_outbox *outbox, const struct pl_destinations *known,
                        const char *path, const char *uid, struct lc_error *err) {
  for (size_t i = 0; i < known->n; i++) {
    const char *destination = known->items[i].name;
    struct lc_error why;
    long long damaged;
    LC_TRY(pl_db_number(&outbox->db,
                        "SELECT count(*) FROM entry WHERE sop_instance_uid = ?1 AND destination = "
                        "?2 AND NOT " PL_OUTBOX_WHOLE,
                        PL_VALUES(PL_T(uid), PL_T(destination)), &damaged, err));
    if (damaged > 0 && queue_again(outbox, destination, path, &why) == LC_OK)
      lc_log(LC_LOG_WARNING, "%s: its entry was damaged; queued again for %s", path, destination);
  }
  return LC_OK;
}

struct clearing {
  struct pl_outbox *outbox;
  const struct pl_destinations *known;
  bool damaged;     /* entries: what has none may have lost it */
  const char *only; /* destination of objects without an entry, or NULL */
};

/* An object without any entry. */
static lc_status adopt_one(const struct clearing *c, const char *path, const char *name,
                           struct lc_error *err) {
  struct lc_error why;
  if (c->only && queue_again(c->outbox, c->only, path, &why) == LC_OK) {
    lc_log(LC_LOG_WARNING, "%s: its entry was lost; queued again for %s", path, c->only);
    return LC_OK;
  }
  lc_log(LC_LOG_WARNING,
         "%s: its entry was lost, and where it goes is not known; moved to damaged/: send it again "
         "from there",
         path);
  return set_aside(c->outbox, path, name, err);
}

static lc_status clear_one(const struct clearing *c, const char *path, const char *name,
                           struct lc_error *err) {
  char uid[CT_UID_SIZE];
  bool needed = false, named = cut_name(name, uid);
  size_t n = 0;
  if (named && c->damaged) LC_TRY(repair(c->outbox, c->known, path, uid, err));
  if (named) LC_TRY(is_needed(c->outbox, uid, name, c->known, &needed, &n, err));
  if (needed) return LC_OK;
  if (named && n == 0 && c->damaged) return adopt_one(c, path, name, err);
  if (unlink(path) != 0 && errno != ENOENT)
    lc_log(LC_LOG_WARNING, "%s: cannot be removed: %s", path, strerror(errno));
  return LC_OK;
}

static lc_status clear(const struct clearing *c, struct lc_error *err) {
  char folder[LC_PATH_SIZE];
  struct pl_output output;
  LC_SCOPED(ct_files_free) struct ct_files files = {0};
  LC_TRY(lc_path_join(folder, c->outbox->folder, "objects", err));
  LC_TRY(pl_output_open(&output, folder, err)); /* removes what dead processes left */
  LC_TRY(ct_files_walk(&files, folder, NULL, NULL, err));
  for (size_t i = 0; i < files.count; i++) {
    const char *name = files.paths[i] + strlen(folder) + 1;
    if (name[0] != '.') LC_TRY(clear_one(c, files.paths[i], name, err));
  }
  return LC_OK;
}

lc_status pl_outbox_adopt(struct pl_outbox *outbox, struct lc_error *err) {
  LC_SCOPED(pl_destinations_free) struct pl_destinations kept = {0};
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(pl_outbox_kept_destinations(outbox, &kept, err));
  const struct clearing clearing = {outbox, &kept, true, kept.n == 1 ? kept.items[0].name : NULL};
  LC_TRY(pl_db_begin(&open, &outbox->db, err));
  LC_TRY(clear(&clearing, err));
  return pl_db_commit(&open, err);
}

lc_status pl_outbox_tidy(struct pl_outbox *outbox, const struct pl_destinations *known,
                         struct lc_error *err) {
  long long damaged;
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(pl_db_begin(&open, &outbox->db, err));
  LC_TRY(pl_db_number(open, "SELECT count(*) FROM entry WHERE NOT " PL_OUTBOX_WHOLE, PL_NO_VALUES,
                      &damaged, err));
  const struct clearing clearing = {outbox, known, damaged > 0, NULL};
  LC_TRY(clear(&clearing, err));
  if (damaged > 0) {
    lc_log(LC_LOG_WARNING, "%s: %lld entries were damaged", outbox->db.path, damaged);
    LC_TRY(
        pl_db_run(open, "DELETE FROM entry WHERE NOT " PL_OUTBOX_WHOLE, PL_NO_VALUES, NULL, err));
  }
  return pl_db_commit(&open, err);
}

lc_status pl_outbox_release(struct pl_outbox *outbox, const struct pl_entry *entry,
                            const struct pl_destinations *known, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  bool needed;
  size_t n;
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(pl_outbox_object(outbox, entry, path, err));
  LC_TRY(pl_db_begin(&open, &outbox->db, err));
  LC_TRY(is_needed(outbox, entry->object.sop_instance_uid, strrchr(path, '/') + 1, known, &needed,
                   &n, err));
  if (!needed && unlink(path) != 0 && errno != ENOENT) return lc_file_write_error(path, errno, err);
  return pl_db_commit(&open, err);
}
