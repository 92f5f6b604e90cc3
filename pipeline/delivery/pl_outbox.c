/* Opens an outbox, queues objects in it, and reads, lists and changes its entries and
 * destinations. */
#include "pipeline/delivery/pl_outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"

const char *const pl_state_names[PL_STATES] = {"queued", "sent", "confirmed", "refused"};

#define COLUMNS PL_OUTBOX_COLUMNS
#define WHOLE PL_OUTBOX_WHOLE
#define VALUES "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14"

static const char *const tables[] = {
    "CREATE TABLE entry(sop_instance_uid TEXT, destination TEXT, sop_class_uid TEXT, "
    "study_instance_uid TEXT, transfer_syntax_uid TEXT, sha256 TEXT, state INTEGER, "
    "attempts INTEGER, queued_ms INTEGER, not_before_ms INTEGER, warning INTEGER, text TEXT, "
    "transaction_uid TEXT, source TEXT, digest TEXT, "
    "PRIMARY KEY(sop_instance_uid, destination)) STRICT, WITHOUT ROWID",
    "CREATE TABLE destination(name TEXT PRIMARY KEY, failures INTEGER, not_before_ms INTEGER, "
    "text TEXT) STRICT, WITHOUT ROWID",
    "CREATE TABLE setting(destination TEXT, key TEXT, value TEXT, digest TEXT, "
    "PRIMARY KEY(destination, key)) STRICT, WITHOUT ROWID",
    NULL};
static const struct pl_db_schema schema = {.version = 1, .tables = tables};

bool pl_entry_is_final(const struct pl_destinations *known, const struct pl_entry *entry) {
  if (entry->state == PL_STATE_CONFIRMED || entry->state == PL_STATE_REFUSED) return true;
  if (entry->state == PL_STATE_QUEUED) return false;
  const struct pl_destination *destination = pl_destinations_find(known, entry->destination);
  return destination && destination->commitment_mode == PL_COMMITMENT_NONE;
}

/* -- opening -------------------------------------------------------------------------------- */

static lc_status open_lock(const struct pl_outbox *outbox, const char *name, int *fd,
                           struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, outbox->folder, name, err));
  *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  return *fd >= 0 ? LC_OK : lc_file_write_error(path, errno, err);
}

static lc_status make_folders(struct pl_outbox *outbox, bool create, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  if (create && !lc_folder_exists(outbox->folder)) {
    LC_TRY(lc_folder_make(outbox->folder, err));
    /* Patients' data for nobody but us, until someone decides otherwise. */
    if (chmod(outbox->folder, 0700) != 0) return lc_file_write_error(outbox->folder, errno, err);
  }
  LC_TRY(lc_path_join(path, outbox->folder, "objects", err));
  if (!create && !lc_folder_exists(path))
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no outbox (it has no folder objects)", outbox->folder);
  LC_TRY(lc_folder_make(path, err));
  LC_TRY(lc_path_join(path, outbox->folder, "damaged", err));
  LC_TRY(lc_folder_make(path, err));
  LC_TRY(open_lock(outbox, "outbox.lock", &outbox->lock, err));
  return open_lock(outbox, "sender.lock", &outbox->sender_lock, err);
}

/* Whoever is alone makes outbox.db, or makes it anew, and takes over what earlier versions left;
 * others wait meanwhile. */
static lc_status open_db(struct pl_outbox *outbox, struct lc_error *err) {
  char path[LC_PATH_SIZE], damaged[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, outbox->folder, "outbox.db", err));
  LC_TRY(lc_path_join(damaged, outbox->folder, "damaged", err));
  bool alone = flock(outbox->lock, LOCK_EX | LOCK_NB) == 0, is_new = false;
  if (alone) {
    LC_TRY(pl_db_open_alone(&outbox->db, path, &schema, damaged, &is_new, err));
    LC_TRY(pl_outbox_take_over(outbox, err));
    if (is_new) LC_TRY(pl_outbox_adopt(outbox, err));
    if (is_new) LC_TRY(pl_db_finish(&outbox->db, &schema, err));
  }
  while (flock(outbox->lock, LOCK_SH) != 0)
    if (errno != EINTR) return lc_file_write_error(path, errno, err);
  return alone ? LC_OK : pl_db_open(&outbox->db, path, &schema, err);
}

lc_status pl_outbox_open(struct pl_outbox *outbox, const char *folder, bool create,
                         struct lc_error *err) {
  *outbox = (struct pl_outbox){.lock = -1, .sender_lock = -1};
  /* Room for the longest name below it. */
  if (strlen(folder) + 256 > sizeof outbox->folder)
    LC_FAIL(err, LC_ERR_USAGE, "outbox: path of more than %d bytes", LC_PATH_SIZE - 257);
  lc_text_copy(outbox->folder, sizeof outbox->folder, folder);
  lc_status status = make_folders(outbox, create, err);
  if (status == LC_OK) status = open_db(outbox, err);
  if (status != LC_OK) pl_outbox_close(outbox);
  return status;
}

void pl_outbox_close(struct pl_outbox *outbox) {
  if (!outbox->folder[0]) return;
  pl_db_close(&outbox->db);
  if (outbox->lock >= 0) close(outbox->lock);
  if (outbox->sender_lock >= 0) close(outbox->sender_lock);
  outbox->folder[0] = '\0';
}

bool pl_outbox_lock_sender(struct pl_outbox *outbox) {
  return flock(outbox->sender_lock, LOCK_EX | LOCK_NB) == 0;
}

lc_status pl_outbox_sync(struct pl_outbox *outbox, struct lc_error *err) {
  return lc_folder_sync_all(outbox->folder, err);
}

/* -- one entry ------------------------------------------------------------------------------ */

lc_status pl_outbox_object(const struct pl_outbox *outbox, const struct pl_entry *entry,
                           char path[LC_PATH_SIZE], struct lc_error *err) {
  char name[LC_PATH_SIZE];
  snprintf(name, sizeof name, "objects/%s-%.16s.dcm", entry->object.sop_instance_uid,
           entry->sha256);
  return lc_path_join(path, outbox->folder, name, err);
}

lc_status pl_entry_new(struct pl_entry *entry, const char *destination, const char *path,
                       struct lc_error *err) {
  *entry = (struct pl_entry){.state = PL_STATE_QUEUED, .queued_ms = pl_now_ms()};
  lc_text_copy(entry->destination, sizeof entry->destination, destination);
  lc_text_copy(entry->source, sizeof entry->source, path);
  LC_TRY(ct_object_read(&entry->object, path, err));
  return lc_hash_file_hex(path, entry->sha256, err);
}

static void read_entry(const struct pl_rows *rows, struct pl_entry *entry) {
  memset(entry, 0, sizeof *entry);
  PL_ROWS_COPY(rows, 0, entry->object.sop_instance_uid);
  PL_ROWS_COPY(rows, 1, entry->destination);
  PL_ROWS_COPY(rows, 2, entry->object.sop_class_uid);
  PL_ROWS_COPY(rows, 3, entry->object.study_instance_uid);
  PL_ROWS_COPY(rows, 4, entry->object.transfer_syntax_uid);
  PL_ROWS_COPY(rows, 5, entry->sha256);
  entry->state = (enum pl_state)(pl_rows_number(rows, 6) & (PL_STATES - 1));
  entry->attempts = pl_rows_number(rows, 7);
  entry->queued_ms = pl_rows_number(rows, 8);
  entry->not_before_ms = pl_rows_number(rows, 9);
  entry->warning = pl_rows_number(rows, 10) != 0;
  PL_ROWS_COPY(rows, 11, entry->text);
  PL_ROWS_COPY(rows, 12, entry->transaction_uid);
  PL_ROWS_COPY(rows, 13, entry->source);
}

static lc_status write_entry(struct pl_outbox *outbox, const char *sql, const struct pl_entry *e,
                             size_t *changed, struct lc_error *err) {
  return pl_db_run(&outbox->db, sql,
                   PL_VALUES(PL_T(e->object.sop_instance_uid), PL_T(e->destination),
                             PL_T(e->object.sop_class_uid), PL_T(e->object.study_instance_uid),
                             PL_T(e->object.transfer_syntax_uid), PL_T(e->sha256), PL_I(e->state),
                             PL_I(e->attempts), PL_I(e->queued_ms), PL_I(e->not_before_ms),
                             PL_I(e->warning), PL_T(e->text), PL_T(e->transaction_uid),
                             PL_T(e->source)),
                   changed, err);
}

lc_status pl_outbox_save(struct pl_outbox *outbox, const struct pl_entry *entry,
                         struct lc_error *err) {
  return write_entry(outbox, "REPLACE INTO entry VALUES(" VALUES ", digest(" VALUES "))", entry,
                     NULL, err);
}

lc_status pl_outbox_change(struct pl_outbox *outbox, const struct pl_entry *entry,
                           struct lc_error *err) {
  size_t changed;
  LC_TRY(pl_db_wait_for_disk(&outbox->db, true, err));
  LC_TRY(write_entry(outbox,
                     "REPLACE INTO entry SELECT " VALUES ", digest(" VALUES ") WHERE NOT EXISTS "
                     "(SELECT 1 FROM entry WHERE sop_instance_uid = ?1 AND destination = ?2 AND "
                     "sha256 <> ?6)",
                     entry, &changed, err));
  if (changed == 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: %s has a new content", entry->destination,
            entry->object.sop_instance_uid);
  return LC_OK;
}

/* -- all entries ---------------------------------------------------------------------------- */

void pl_entries_free(struct pl_entries *entries) {
  free(entries->items);
  memset(entries, 0, sizeof *entries);
}

/* Entries that are not damaged. rest: conditions, and the order. */
static lc_status list(struct pl_outbox *outbox, const char *rest, const struct pl_value *values,
                      size_t n, struct pl_entries *entries, struct lc_error *err) {
  char sql[1024];
  LC_SCOPED(pl_rows_drop) struct pl_rows rows = {0};
  memset(entries, 0, sizeof *entries);
  snprintf(sql, sizeof sql, "SELECT " COLUMNS " FROM entry WHERE " WHOLE " AND %s", rest);
  LC_TRY(pl_rows_begin(&rows, &outbox->db, sql, values, n, err));
  lc_status status = LC_OK;
  while (status == LC_OK && pl_rows_next(&rows)) {
    status = pl_rows_room(&entries->items, entries->n, sizeof *entries->items, err);
    if (status == LC_OK) read_entry(&rows, &entries->items[entries->n++]);
  }
  if (status == LC_OK) status = pl_rows_end(&rows, err);
  if (status != LC_OK) pl_entries_free(entries);
  return status;
}

lc_status pl_outbox_list(struct pl_outbox *outbox, const char *destination,
                         struct pl_entries *entries, struct lc_error *err) {
  return list(outbox, "?1 IN ('', destination) ORDER BY queued_ms, destination, sop_instance_uid",
              PL_VALUES(PL_T(destination ? destination : "")), entries, err);
}

lc_status pl_outbox_due(struct pl_outbox *outbox, const char *destination, enum pl_state state,
                        long long due_ms, struct pl_entries *entries, struct lc_error *err) {
  return list(outbox,
              "destination = ?1 AND state = ?2 AND not_before_ms <= ?3 "
              "ORDER BY attempts, queued_ms, sop_instance_uid",
              PL_VALUES(PL_T(destination), PL_I(state), PL_I(due_ms)), entries, err);
}

lc_status pl_outbox_retry(struct pl_outbox *outbox, const char *destination, struct lc_error *err) {
  LC_TRY(pl_db_run(&outbox->db,
                   "UPDATE entry SET state = iif(state = 3, 0, state), attempts = 0, "
                   "not_before_ms = 0, digest = digest(sop_instance_uid, destination, "
                   "sop_class_uid, study_instance_uid, transfer_syntax_uid, sha256, "
                   "iif(state = 3, 0, state), 0, queued_ms, 0, warning, text, transaction_uid, "
                   "source) WHERE destination = ?1 AND (state = 3 OR not_before_ms > 0) AND " WHOLE,
                   PL_VALUES(PL_T(destination)), NULL, err));
  return pl_db_run(&outbox->db, "DELETE FROM destination WHERE name = ?1",
                   PL_VALUES(PL_T(destination)), NULL, err);
}

lc_status pl_outbox_forget(struct pl_outbox *outbox, const char *destination, long long before_ms,
                           const struct pl_destinations *known, size_t *n, struct lc_error *err) {
  struct pl_entry sent = {.state = PL_STATE_SENT};
  lc_text_copy(sent.destination, sizeof sent.destination, destination);
  LC_TRY(pl_db_wait_for_disk(&outbox->db, true, err));
  /* The destination may have been set since to do without the commitment that was asked for. */
  return pl_db_run(
      &outbox->db,
      "DELETE FROM entry WHERE destination = ?1 AND queued_ms < ?2 AND (state = 2 OR "
      "(state = 1 AND ?3 AND transaction_uid = '')) AND " WHOLE,
      PL_VALUES(PL_T(destination), PL_I(before_ms), PL_I(pl_entry_is_final(known, &sent))), n, err);
}

/* -- queueing ------------------------------------------------------------------------------- */

static void close_file(FILE **file) {
  if (*file) fclose(*file);
}

static lc_status copy_file(const char *from_name, const struct lc_output *output,
                           struct lc_error *err) {
  char buffer[1 << 16];
  size_t n;
  LC_SCOPED(close_file) FILE *from = NULL;
  FILE *to;
  LC_TRY(lc_file_open(from_name, &from, err));
  LC_TRY(lc_output_open(output, &to, err));
  bool written = true; /* what cannot be read is seen by the hash */
  while (written && (n = fread(buffer, 1, sizeof buffer, from)) > 0)
    written = fwrite(buffer, 1, n, to) == n;
  if (fclose(to) != 0) written = false;
  return written ? LC_OK : lc_file_write_error(output->path, errno, err);
}

/* The bytes get into objects/ as they were when the entry's hash was made, or not at all. */
static lc_status keep_object(struct pl_outbox *outbox, const struct pl_entry *entry,
                             const char *from, struct lc_error *err) {
  char path[LC_PATH_SIZE], hex[LC_SHA256_HEX];
  LC_SCOPED(lc_output_abort) struct lc_output output = {.path = ""};
  LC_TRY(pl_outbox_object(outbox, entry, path, err));
  if (lc_file_exists(path) && lc_hash_file_hex(path, hex, err) == LC_OK &&
      strcmp(hex, entry->sha256) == 0)
    return LC_OK;
  LC_TRY(lc_output_begin(&output, path, err));
  LC_TRY(copy_file(from, &output, err));
  LC_TRY(lc_hash_file_hex(output.temporary, hex, err));
  if (strcmp(hex, entry->sha256) != 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: changes while it is read", from);
  return lc_output_commit_soon(&output, err);
}

/* Whether what is there already settles it. */
static lc_status compare(struct pl_outbox *outbox, const struct pl_entry *new, bool replace,
                         enum pl_added *added, bool *settled, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_SCOPED(pl_entries_free) struct pl_entries known = {0};
  *settled = false;
  LC_TRY(list(outbox, "sop_instance_uid = ?1 AND destination = ?2",
              PL_VALUES(PL_T(new->object.sop_instance_uid), PL_T(new->destination)), &known, err));
  if (known.n == 0) return LC_OK;
  const struct pl_entry *entry = &known.items[0];
  if (strcmp(entry->sha256, new->sha256) != 0) {
    if (replace) return LC_OK;
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: its SOPInstanceUID %s was queued for %s with another content; --overwrite sends "
            "this one",
            new->source, new->object.sop_instance_uid, new->destination);
  }
  *added = entry->state == PL_STATE_REFUSED ? PL_ADDED_REFUSED_BEFORE : PL_ADDED_KNOWN;
  LC_TRY(pl_outbox_object(outbox, entry, path, err));
  /* Bytes that are needed and gone are taken from this file. */
  *settled =
      entry->state == PL_STATE_SENT || entry->state == PL_STATE_CONFIRMED || lc_file_exists(path);
  return LC_OK;
}

lc_status pl_outbox_add(struct pl_outbox *outbox, const char *destination, const char *path,
                        bool replace, enum pl_added *added, struct lc_error *err) {
  struct pl_entry new;
  bool settled;
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(pl_entry_new(&new, destination, path, err));
  LC_TRY(pl_db_wait_for_disk(&outbox->db, false, err));
  LC_TRY(pl_db_begin(&open, &outbox->db, err));
  LC_TRY(compare(outbox, &new, replace, added, &settled, err));
  if (!settled) {
    *added = PL_ADDED_QUEUED;
    LC_TRY(keep_object(outbox, &new, path, err));
    LC_TRY(pl_outbox_save(outbox, &new, err));
  }
  return pl_db_commit(&open, err);
}

/* -- destinations --------------------------------------------------------------------------- */

lc_status pl_outbox_keep_destination(struct pl_outbox *outbox,
                                     const struct pl_destination *destination,
                                     struct lc_error *err) {
  const struct pl_schema *all = &pl_destination_schema;
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(pl_db_begin(&open, &outbox->db, err));
  LC_TRY(pl_db_run(open, "DELETE FROM setting WHERE destination = ?1",
                   PL_VALUES(PL_T(destination->name)), NULL, err));
  for (size_t i = 0; i < all->n_keys; i++) {
    LC_SCOPED(lc_text_free) struct lc_text value = {0};
    pl_schema_print_value(all, destination, all->keys[i].name, &value);
    if (value.failed) LC_FAIL(err, LC_ERR_MEMORY, "cannot keep a destination");
    LC_TRY(pl_db_run(
        open, "INSERT INTO setting VALUES(?1, ?2, ?3, digest(?1, ?2, ?3))",
        PL_VALUES(PL_T(destination->name), PL_T(all->keys[i].name), PL_T(lc_text_get(&value))),
        NULL, err));
  }
  return pl_db_commit(&open, err);
}

static lc_status read_settings(struct pl_outbox *outbox, struct pl_destination *destination,
                               struct lc_error *err) {
  LC_SCOPED(pl_rows_drop) struct pl_rows rows = {0};
  LC_TRY(pl_rows_begin(&rows, &outbox->db,
                       "SELECT key, value, digest IS NOT digest(destination, key, value) "
                       "FROM setting WHERE destination = ?1",
                       PL_VALUES(PL_T(destination->name)), err));
  while (pl_rows_next(&rows)) {
    if (pl_rows_number(&rows, 2) != 0) LC_FAIL(err, LC_ERR_CONFIG, "its settings are damaged");
    LC_TRY(pl_schema_set(&pl_destination_schema, destination, outbox->db.path,
                         pl_rows_text(&rows, 0), pl_rows_text(&rows, 1), err));
  }
  LC_TRY(pl_rows_end(&rows, err));
  return pl_destination_check(destination, err);
}

static lc_status add_kept(struct pl_outbox *outbox, const char *name,
                          struct pl_destinations *destinations, struct lc_error *err) {
  struct pl_destination *added = NULL;
  struct lc_error why;
  lc_status status = pl_destinations_add(destinations, name, &added, &why);
  if (status == LC_OK) status = read_settings(outbox, added, &why);
  if (status == LC_OK) return LC_OK;
  if (added) { /* it is the last */
    pl_schema_free(&pl_destination_schema, added);
    destinations->n--;
  }
  if (status != LC_ERR_CONFIG) LC_FAIL(err, status, "%s", why.message);
  lc_log(LC_LOG_WARNING, "%s: destination %s is left out: %s", outbox->db.path, name, why.message);
  return LC_OK;
}

lc_status pl_outbox_kept_destinations(struct pl_outbox *outbox,
                                      struct pl_destinations *destinations, struct lc_error *err) {
  LC_SCOPED(pl_list_free) struct pl_list names = {0};
  LC_SCOPED(pl_rows_drop) struct pl_rows rows = {0};
  LC_TRY(pl_rows_begin(&rows, &outbox->db,
                       "SELECT DISTINCT destination FROM setting ORDER BY destination",
                       PL_NO_VALUES, err));
  while (pl_rows_next(&rows)) LC_TRY(pl_list_add(&names, pl_rows_text(&rows, 0), err));
  LC_TRY(pl_rows_end(&rows, err));
  for (size_t i = 0; i < names.n; i++)
    if (!pl_destinations_find(destinations, names.items[i]))
      LC_TRY(add_kept(outbox, names.items[i], destinations, err));
  return LC_OK;
}

lc_status pl_outbox_standing(struct pl_outbox *outbox, const char *destination,
                             struct pl_standing *standing, struct lc_error *err) {
  struct pl_rows rows;
  memset(standing, 0, sizeof *standing);
  LC_TRY(pl_rows_begin(&rows, &outbox->db,
                       "SELECT failures, not_before_ms, text FROM destination WHERE name = ?1",
                       PL_VALUES(PL_T(destination)), err));
  if (pl_rows_next(&rows)) {
    standing->failures = pl_rows_number(&rows, 0);
    standing->not_before_ms = pl_rows_number(&rows, 1);
    lc_text_copy(standing->text, sizeof standing->text, pl_rows_text(&rows, 2));
  }
  return pl_rows_end(&rows, err);
}

lc_status pl_outbox_set_standing(struct pl_outbox *outbox, const char *destination,
                                 const struct pl_standing *standing, struct lc_error *err) {
  return pl_db_run(&outbox->db, "REPLACE INTO destination VALUES(?1, ?2, ?3, ?4)",
                   PL_VALUES(PL_T(destination), PL_I(standing->failures),
                             PL_I(standing->not_before_ms), PL_T(standing->text)),
                   NULL, err);
}

lc_status pl_outbox_look_ahead(struct pl_outbox *outbox, const struct pl_destinations *known,
                               const char *name, long long since_ms, struct pl_outlook *outlook,
                               struct lc_error *err) {
  struct pl_rows rows;
  struct pl_entry entry = {.warning = false};
  memset(outlook, 0, sizeof *outlook);
  lc_text_copy(entry.destination, sizeof entry.destination, name);
  LC_TRY(pl_outbox_standing(outbox, name, &outlook->standing, err));
  LC_TRY(pl_rows_begin(&rows, &outbox->db,
                       "SELECT state, warning, not_before_ms, text, " WHOLE
                       " FROM entry WHERE destination = ?1 "
                       "ORDER BY not_before_ms, queued_ms, sop_instance_uid",
                       PL_VALUES(PL_T(name)), err));
  while (pl_rows_next(&rows)) {
    if (pl_rows_number(&rows, 4) == 0) {
      outlook->damaged++;
      continue;
    }
    entry.state = (enum pl_state)(pl_rows_number(&rows, 0) & (PL_STATES - 1));
    outlook->count[entry.state]++;
    outlook->warnings += pl_rows_number(&rows, 1) != 0;
    if (pl_entry_is_final(known, &entry)) continue;
    long long when = pl_rows_number(&rows, 2);
    if (when < outlook->standing.not_before_ms) when = outlook->standing.not_before_ms;
    outlook->untried += when <= since_ms;
    if (outlook->open++ > 0) continue;
    outlook->next_ms = when;
    lc_text_copy(outlook->reason, sizeof outlook->reason,
                 outlook->standing.failures > 0 ? outlook->standing.text : pl_rows_text(&rows, 3));
  }
  return pl_rows_end(&rows, err);
}
