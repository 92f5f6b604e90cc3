/* Writes and reads an outbox entry as JSON with a SHA-256 digest over itself. */
#include "pipeline/delivery/pl_entry.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ct_io/ct/ct_uid.h"

#define VERSION 1

const char *const pl_state_names[PL_STATES] = {"queued", "sent", "confirmed", "refused"};

/* The texts of an entry and how they are called in the file. */
struct text_field {
  const char *name;
  size_t offset, size;
  bool is_uid;
};
#define TEXT(name, field, is_uid)                                                                  \
  { name, offsetof(struct pl_entry, field), sizeof(((struct pl_entry *)0)->field), is_uid }
static const struct text_field texts[] = {
    TEXT("destination", destination, false),
    TEXT("SOPClassUID", object.sop_class_uid, true),
    TEXT("SOPInstanceUID", object.sop_instance_uid, true),
    TEXT("StudyInstanceUID", object.study_instance_uid, true),
    TEXT("TransferSyntaxUID", object.transfer_syntax_uid, true),
    TEXT("sha256", sha256, false),
    TEXT("text", text, false),
    TEXT("TransactionUID", transaction_uid, false),
    TEXT("source", source, false),
};
#define N_TEXTS (sizeof texts / sizeof *texts)

/* File names and messages are bytes; JSON is UTF-8. What is not becomes '?'. */
static json_t *text_value(const char *text) {
  json_t *value = json_string(text);
  if (value) return value;
  char *copy = strdup(text);
  if (!copy) return NULL;
  for (char *c = copy; *c; c++)
    if ((unsigned char)*c >= 0x80) *c = '?';
  value = json_string(copy);
  free(copy);
  return value;
}

/* SHA-256 over the object without its digest, compact and with sorted keys. */
static lc_status digest(json_t *root, char hex[LC_SHA256_HEX], struct lc_error *err) {
  json_t *copy = json_copy(root);
  if (!copy) LC_FAIL(err, LC_ERR_MEMORY, "cannot copy an entry");
  json_object_del(copy, "digest");
  char *dump = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
  json_decref(copy);
  if (!dump) LC_FAIL(err, LC_ERR_MEMORY, "cannot write an entry");
  lc_status status = lc_hash_bytes_hex(dump, strlen(dump), hex, err);
  free(dump);
  return status;
}

static int put(json_t *root, const struct pl_entry *entry) {
  int failed = json_object_set_new(root, "version", json_integer(VERSION));
  failed |= json_object_set_new(root, "state", json_string(pl_state_names[entry->state]));
  failed |= json_object_set_new(root, "attempts", json_integer(entry->attempts));
  failed |= json_object_set_new(root, "queued_ms", json_integer(entry->queued_ms));
  failed |= json_object_set_new(root, "not_before_ms", json_integer(entry->not_before_ms));
  failed |= json_object_set_new(root, "warning", json_boolean(entry->warning));
  for (size_t i = 0; i < N_TEXTS; i++)
    failed |=
        json_object_set_new(root, texts[i].name, text_value((const char *)entry + texts[i].offset));
  return failed;
}

lc_status pl_entry_write(const struct pl_entry *entry, struct lc_text *json, struct lc_error *err) {
  char hex[LC_SHA256_HEX];
  json_t *root = json_object();
  if (!root || put(root, entry) != 0) {
    json_decref(root);
    LC_FAIL(err, LC_ERR_MEMORY, "cannot write an entry");
  }
  lc_status status = digest(root, hex, err);
  char *dump = NULL;
  if (status == LC_OK && json_object_set_new(root, "digest", json_string(hex)) == 0)
    dump = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
  json_decref(root);
  if (status != LC_OK) return status;
  if (dump) lc_text_add(json, "%s\n", dump);
  free(dump);
  if (!dump || json->failed) LC_FAIL(err, LC_ERR_MEMORY, "cannot write an entry");
  return LC_OK;
}

static bool get_text(const json_t *root, const struct text_field *field, struct pl_entry *entry) {
  const json_t *value = json_object_get(root, field->name);
  const char *text = json_string_value(value);
  if (!text || strlen(text) != json_string_length(value) || strlen(text) >= field->size)
    return false;
  if (field->is_uid && !ct_uid_valid(text)) return false;
  lc_text_copy((char *)entry + field->offset, field->size, text);
  return true;
}

static bool get_number(const json_t *root, const char *name, long long *number) {
  const json_t *value = json_object_get(root, name);
  if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
  *number = json_integer_value(value);
  return true;
}

static bool get_state(const json_t *root, enum pl_state *state) {
  const char *name = json_string_value(json_object_get(root, "state"));
  for (int i = 0; name && i < PL_STATES; i++) {
    if (strcmp(name, pl_state_names[i]) != 0) continue;
    *state = (enum pl_state)i;
    return true;
  }
  return false;
}

/* The name of what is missing or wrong, or NULL. */
static const char *get_fields(const json_t *root, struct pl_entry *entry) {
  long long version;
  if (!get_number(root, "version", &version) || version != VERSION) return "version";
  if (!get_state(root, &entry->state)) return "state";
  if (!get_number(root, "attempts", &entry->attempts)) return "attempts";
  if (!get_number(root, "queued_ms", &entry->queued_ms)) return "queued_ms";
  if (!get_number(root, "not_before_ms", &entry->not_before_ms)) return "not_before_ms";
  if (!json_is_boolean(json_object_get(root, "warning"))) return "warning";
  entry->warning = json_is_true(json_object_get(root, "warning"));
  for (size_t i = 0; i < N_TEXTS; i++)
    if (!get_text(root, &texts[i], entry)) return texts[i].name;
  return strlen(entry->sha256) == LC_SHA256_HEX - 1 ? NULL : "sha256";
}

lc_status pl_entry_read(struct pl_entry *entry, const char *json, size_t length, const char *name,
                        struct lc_error *err) {
  memset(entry, 0, sizeof *entry);
  json_error_t where;
  json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &where);
  lc_status status = LC_OK;
  char hex[LC_SHA256_HEX];
  if (!json_is_object(root))
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: damaged: %.100s", name,
                 root ? "not an object" : where.text);
  const char *wrong = get_fields(root, entry);
  if (wrong) LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: damaged: %s is wrong", name, wrong);
  LC_TRY_GOTO(digest(root, hex, err), done);
  const char *kept = json_string_value(json_object_get(root, "digest"));
  if (!kept || strcmp(kept, hex) != 0)
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: damaged: its digest does not fit", name);
done:
  json_decref(root);
  return status;
}
