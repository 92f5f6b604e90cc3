/* Reads JSON with limits on size and depth. */
#include "ct_io/nodule_files/ct_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"

/* jansson allows 2048 levels. */
static lc_status check_depth(const char *text, size_t n, const char *path, struct lc_error *err) {
  bool quoted = false;
  int depth = 0;
  for (size_t i = 0; i < n; i++) {
    if (quoted && text[i] == '\\')
      i++;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > CT_JSON_DEPTH)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: JSON nested deeper than %d", path, CT_JSON_DEPTH);
    else if (!quoted && (text[i] == ']' || text[i] == '}'))
      depth--;
  }
  return LC_OK;
}

static lc_status parse(json_t **root, const char *path, const char *text, size_t n,
                       struct lc_error *err) {
  static const char mark[] = "\xef\xbb\xbf";
  json_error_t why;
  size_t skip = strncmp(text, mark, strlen(mark)) == 0 ? strlen(mark) : 0;
  LC_TRY(check_depth(text, n, path, err));
  *root = json_loadb(text + skip, n - skip, JSON_REJECT_DUPLICATES, &why);
  if (!*root) LC_FAIL(err, LC_ERR_FORMAT, "%s:%d: %s", path, why.line, why.text);
  if (json_is_object(*root)) return LC_OK;
  json_decref(*root);
  LC_FAIL(err, LC_ERR_FORMAT, "%s: JSON that is no object, expected one", path);
}

lc_status ct_json_read(json_t **root, const char *path, struct lc_error *err) {
  char *text = NULL;
  size_t n;
  LC_TRY(lc_file_read(path, CT_JSON_BYTES, &text, &n, err));
  lc_status status = parse(root, path, text, n, err);
  free(text);
  return status;
}

bool ct_json_numbers(const json_t *value, double *out, size_t n) {
  if (!json_is_array(value) || json_array_size(value) != n) return false;
  for (size_t i = 0; i < n; i++) {
    const json_t *number = json_array_get(value, i);
    out[i] = json_number_value(number);
    if (!json_is_number(number) || !isfinite(out[i])) return false;
  }
  return true;
}

const char *ct_json_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}
