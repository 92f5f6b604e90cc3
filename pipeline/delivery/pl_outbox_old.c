/* Takes over an outbox of earlier versions, which kept each entry and destination in a file:
 *
 *   entries/NAME/UID.json     an entry, with a digest over itself
 *   destinations/NAME.yaml    a destination
 *   destinations/NAME.json    how it stands with it
 *   entries.lock              flock: one at a time changed entries
 *
 * All goes into outbox.db in one transaction; then the old files are removed. What is there already
 * is newer and stays, so that after a stop in between the next call goes on. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "pipeline/delivery/pl_outbox.h"

/* -- one entry ------------------------------------------------------------------------------ */

struct field {
  const char *name;
  size_t offset, size; /* size 0: a number */
  bool is_uid;
};
#define TEXT(name, field, is_uid)                                                                  \
  { name, offsetof(struct pl_entry, field), sizeof(((struct pl_entry *)0)->field), is_uid }
#define NUMBER(field)                                                                              \
  { #field, offsetof(struct pl_entry, field), 0, false }
static const struct field fields[] = {
    TEXT("destination", destination, false),
    TEXT("SOPClassUID", object.sop_class_uid, true),
    TEXT("SOPInstanceUID", object.sop_instance_uid, true),
    TEXT("StudyInstanceUID", object.study_instance_uid, true),
    TEXT("TransferSyntaxUID", object.transfer_syntax_uid, true),
    TEXT("sha256", sha256, false),
    TEXT("text", text, false),
    TEXT("TransactionUID", transaction_uid, false),
    TEXT("source", source, false),
    NUMBER(attempts),
    NUMBER(queued_ms),
    NUMBER(not_before_ms),
};

static bool get_field(const json_t *root, const struct field *field, struct pl_entry *entry) {
  const json_t *value = json_object_get(root, field->name);
  char *target = (char *)entry + field->offset;
  if (field->size == 0) {
    long long number = json_integer_value(value);
    memcpy(target, &number, sizeof number);
    return json_is_integer(value) && number >= 0;
  }
  const char *text = json_string_value(value);
  if (!text || strlen(text) >= field->size || (field->is_uid && !ct_uid_valid(text))) return false;
  lc_text_copy(target, field->size, text);
  return true;
}

/* SHA-256 over the object without its digest, compact and with sorted keys. */
static bool has_its_digest(const json_t *root) {
  char hex[LC_SHA256_HEX];
  json_t *copy = json_copy((json_t *)(uintptr_t)root);
  json_object_del(copy, "digest");
  char *dump = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
  const char *kept = json_string_value(json_object_get(root, "digest"));
  bool fits = dump && kept && lc_hash_bytes_hex(dump, strlen(dump), hex, NULL) == LC_OK &&
              strcmp(kept, hex) == 0;
  json_decref(copy);
  free(dump);
  return fits;
}

static bool parse_entry(const json_t *root, struct pl_entry *entry) {
  const char *state = json_string_value(json_object_get(root, "state"));
  int k = 0;
  while (state && k < PL_STATES && strcmp(state, pl_state_names[k]) != 0) k++;
  if (!state || k == PL_STATES || json_integer_value(json_object_get(root, "version")) != 1)
    return false;
  entry->state = (enum pl_state)k;
  entry->warning = json_is_true(json_object_get(root, "warning"));
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (!get_field(root, &fields[i], entry)) return false;
  return strlen(entry->sha256) == LC_SHA256_HEX - 1 && has_its_digest(root);
}

static json_t *read_json(const char *path) {
  char *json;
  size_t length;
  if (lc_file_read(path, 1 << 16, &json, &length, NULL) != LC_OK) return NULL;
  json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, NULL);
  free(json);
  return root;
}

/* -- all of them ---------------------------------------------------------------------------- */

struct visit {
  struct pl_outbox *outbox;
  const char *destination;
};

/* Calls visit for each name in a folder that is not hidden, until one fails. */
static lc_status each_file(const char *folder,
                           lc_status (*visit)(const struct visit *visit, const char *path,
                                              const char *name, struct lc_error *err),
                           const struct visit *context, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  DIR *stream = opendir(folder);
  if (!stream && (errno == ENOENT || errno == ENOTDIR)) return LC_OK;
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

/* The name without its suffix; false for another suffix or a name that is too long. */
static bool cut_suffix(const char *name, const char *suffix, char *out, size_t size) {
  size_t n = strlen(name), m = strlen(suffix);
  if (n <= m || n - m >= size || strcmp(name + n - m, suffix) != 0) return false;
  lc_text_copy(out, n - m + 1, name);
  return true;
}

/* Keeps what cannot be read in damaged/. The file stays until all is taken over. */
static void keep_damaged(const struct pl_outbox *outbox, const char *path, const char *name) {
  char target[LC_PATH_SIZE + 512];
  snprintf(target, sizeof target, "%s/damaged/%s", outbox->folder, name);
  unlink(target);
  if (link(path, target) != 0) lc_log(LC_LOG_WARNING, "%s: %s", target, strerror(errno));
}

/* A damaged entry: its object is queued again where it is kept. */
static lc_status repair(const struct visit *visit, const char *path, const char *name,
                        const char *uid) {
  char aside[256];
  struct lc_error why;
  bool queued = uid && pl_outbox_requeue(visit->outbox, visit->destination, uid, &why) == LC_OK;
  snprintf(aside, sizeof aside, "%.64s_%.180s", visit->destination, name);
  keep_damaged(visit->outbox, path, aside);
  lc_log(LC_LOG_WARNING, "%s: damaged; %s", path,
         queued ? "its object is queued again" : "its object is not kept; moved to damaged/");
  return LC_OK;
}

static lc_status take_entry(const struct visit *visit, const char *path, const char *name,
                            struct lc_error *err) {
  struct pl_entry entry = {.warning = false};
  char uid[CT_UID_SIZE];
  long long there = 0;
  bool named = cut_suffix(name, ".json", uid, sizeof uid) && ct_uid_valid(uid);
  if (named)
    LC_TRY(
        pl_db_number(&visit->outbox->db,
                     "SELECT count(*) FROM entry WHERE sop_instance_uid = ?1 AND destination = ?2",
                     PL_VALUES(PL_T(uid), PL_T(visit->destination)), &there, err));
  if (there > 0) return LC_OK;
  json_t *root = named ? read_json(path) : NULL;
  bool whole = root && parse_entry(root, &entry) &&
               strcmp(entry.destination, visit->destination) == 0 &&
               strcmp(entry.object.sop_instance_uid, uid) == 0;
  json_decref(root);
  if (whole) return pl_outbox_save(visit->outbox, &entry, err);
  return repair(visit, path, name, named ? uid : NULL);
}

static lc_status take_entries(const struct visit *visit, const char *path, const char *name,
                              struct lc_error *err) {
  const struct visit inside = {visit->outbox, name};
  return each_file(path, take_entry, &inside, err);
}

static lc_status take_standing(struct pl_outbox *outbox, const char *path, const char *name,
                               struct lc_error *err) {
  struct pl_standing standing;
  LC_TRY(pl_outbox_standing(outbox, name, &standing, err));
  if (standing.failures > 0) return LC_OK;
  json_t *root = read_json(path);
  const char *text = json_string_value(json_object_get(root, "text"));
  standing.failures = json_integer_value(json_object_get(root, "failures"));
  standing.not_before_ms = json_integer_value(json_object_get(root, "not_before_ms"));
  lc_text_copy(standing.text, sizeof standing.text, text ? text : "");
  json_decref(root);
  bool known = text && standing.failures > 0 && standing.not_before_ms >= 0;
  return known ? pl_outbox_set_standing(outbox, name, &standing, err) : LC_OK;
}

static lc_status take_settings(struct pl_outbox *outbox, const char *path, const char *file,
                               const char *name, struct lc_error *err) {
  struct pl_destinations one = {0};
  struct pl_destination *added = NULL;
  struct lc_error why;
  long long there;
  LC_TRY(pl_db_number(&outbox->db, "SELECT count(*) FROM setting WHERE destination = ?1",
                      PL_VALUES(PL_T(name)), &there, err));
  if (there > 0) return LC_OK;
  lc_status status = pl_destinations_add(&one, name, &added, &why);
  if (status == LC_OK) status = pl_schema_read(&pl_destination_schema, added, path, &why);
  if (status == LC_OK) status = pl_destination_check(added, &why);
  bool works = status == LC_OK;
  if (works) {
    status = pl_outbox_keep_settings(outbox, added, err);
  } else {
    keep_damaged(outbox, path, file);
    lc_log(LC_LOG_WARNING, "%s: left out, moved to damaged/: %s", path, why.message);
  }
  pl_destinations_free(&one);
  return works ? status : LC_OK;
}

static lc_status take_destination(const struct visit *visit, const char *path, const char *file,
                                  struct lc_error *err) {
  char name[PL_DESTINATION_NAME];
  if (cut_suffix(file, ".json", name, sizeof name))
    return take_standing(visit->outbox, path, name, err);
  if (cut_suffix(file, ".yaml", name, sizeof name))
    return take_settings(visit->outbox, path, file, name, err);
  return LC_OK;
}

/* -- the outbox ----------------------------------------------------------------------------- */

static const char *const old_folders[] = {"entries", "destinations"};

bool pl_outbox_is_old(const struct pl_outbox *outbox) {
  char path[LC_PATH_SIZE];
  for (size_t i = 0; i < 2; i++)
    if (lc_path_join(path, outbox->folder, old_folders[i], NULL) == LC_OK && lc_folder_exists(path))
      return true;
  return false;
}

static lc_status take_all(struct pl_outbox *outbox, struct lc_error *err) {
  const struct visit visit = {.outbox = outbox};
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, outbox->folder, "entries", err));
  LC_TRY(each_file(path, take_entries, &visit, err));
  LC_TRY(lc_path_join(path, outbox->folder, "destinations", err));
  return each_file(path, take_destination, &visit, err);
}

/* Earlier versions hold this while they change entries, and sender.lock while they send. */
static lc_status lock_old(struct pl_outbox *outbox, const char *path, int *lock,
                          struct lc_error *err) {
  *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (*lock < 0 || flock(*lock, LOCK_EX) != 0) return lc_file_write_error(path, errno, err);
  if (!pl_outbox_lock_sender(outbox))
    LC_FAIL(err, LC_ERR_NOT_WRITABLE, "%s: an earlier version of lungcdam sends from it; end that",
            outbox->folder);
  return LC_OK;
}

/* One rename takes the entries away from earlier versions, which would take an outbox with a part
 * of them for whole. */
static lc_status remove_old(const struct pl_outbox *outbox, struct lc_error *err) {
  char path[LC_PATH_SIZE], gone[LC_PATH_SIZE];
  for (size_t i = 0; i < 2; i++) {
    char hidden[32];
    snprintf(hidden, sizeof hidden, ".old-%s", old_folders[i]);
    LC_TRY(lc_path_join(path, outbox->folder, old_folders[i], err));
    LC_TRY(lc_path_join(gone, outbox->folder, hidden, err));
    LC_TRY(lc_folder_remove(gone, err));
    if (rename(path, gone) != 0 && errno != ENOENT) return lc_file_write_error(path, errno, err);
    LC_TRY(lc_folder_remove(gone, err));
  }
  return LC_OK;
}

lc_status pl_outbox_take_over(struct pl_outbox *outbox, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  int lock = -1;
  LC_TRY(lc_path_join(path, outbox->folder, "entries.lock", err));
  lc_status status = lock_old(outbox, path, &lock, err);
  if (status == LC_OK) status = pl_db_begin(&outbox->db, err);
  if (status == LC_OK) status = pl_db_end(&outbox->db, take_all(outbox, err), err);
  if (status == LC_OK) status = remove_old(outbox, err);
  if (status == LC_OK) unlink(path);
  if (lock >= 0) close(lock);
  flock(outbox->sender_lock, LOCK_UN);
  if (status == LC_OK)
    lc_log(LC_LOG_INFO, "%s: the entries of an earlier version are in outbox.db now",
           outbox->folder);
  return status;
}
