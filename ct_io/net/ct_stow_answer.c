/* Reads a STOW-RS server's answer, the Store Instances Response Module in DICOM JSON, object by
 * object. */
#include <jansson.h>
#include <string.h>

#include "ct_io/net/ct_stow.h"

/* Attributes by tag, as DICOM JSON names them. */
static const char failed_sequence[] = "00081198", stored_sequence[] = "00081199";
static const char instance_uid[] = "00081155", failure_reason[] = "00081197",
                  warning_reason[] = "00081196";

static const json_t *values(const json_t *item, const char *tag) {
  return json_object_get(json_object_get(item, tag), "Value");
}

/* The item for this object in a sequence, or NULL. */
static const json_t *find_item(const json_t *sequence, const char *sop_instance_uid) {
  for (size_t i = 0; i < json_array_size(sequence); i++) {
    const json_t *item = json_array_get(sequence, i);
    const char *uid = json_string_value(json_array_get(values(item, instance_uid), 0));
    if (uid && strcmp(uid, sop_instance_uid) == 0) return item;
  }
  return NULL;
}

static bool get_code(const json_t *item, const char *tag, uint16_t *code) {
  const json_t *value = json_array_get(values(item, tag), 0);
  if (!json_is_integer(value)) return false;
  json_int_t number = json_integer_value(value);
  if (number < 0 || number > UINT16_MAX) return false;
  *code = (uint16_t)number;
  return true;
}

/* Status 200 alone proves nothing: there are servers that send it with an empty answer when they
 * stored nothing. Stored is what the answer names. */
static void read_one(const json_t *root, const struct ct_object *object,
                     struct ct_store_answer *answer) {
  const json_t *stored = values(root, stored_sequence), *failed = values(root, failed_sequence);
  const json_t *item = find_item(failed, object->sop_instance_uid);
  uint16_t code = 0;
  if (item) {
    ct_store_judge(get_code(item, failure_reason, &code) ? code : 0x0110, answer);
    if (answer->outcome == CT_STORE_STORED && code == 0) ct_store_judge(0x0110, answer);
    return;
  }
  item = find_item(stored, object->sop_instance_uid);
  if (item) {
    ct_store_judge(0, answer);
    if (get_code(item, warning_reason, &code) && code != 0) {
      ct_store_judge(code, answer);
      answer->outcome = CT_STORE_STORED;
      answer->warning = true;
    }
    return;
  }
  ct_store_answer_set(answer, CT_STORE_RETRY, "the server's answer does not name it");
}

lc_status ct_stow_read_answer(const char *json, size_t length, const struct ct_object *objects,
                              size_t n, struct ct_store_answer *answers, struct lc_error *err) {
  json_error_t where;
  json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &where);
  /* Some servers put the one data set into an array, as query results have it. */
  const json_t *module = json_is_array(root) ? json_array_get(root, 0) : root;
  if (!json_is_object(module)) {
    json_decref(root);
    LC_FAIL(err, LC_ERR_FORMAT, "the server's answer is not DICOM JSON: %.100s",
            root ? "no object" : where.text);
  }
  for (size_t i = 0; i < n; i++) read_one(module, &objects[i], &answers[i]);
  json_decref(root);
  return LC_OK;
}
