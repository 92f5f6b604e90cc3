/* Sets, frees and prints the fields that a schema describes. */
#include "pipeline/config/pl_schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "pipeline/config/pl_parameters.h"

/* Where the parameters of estimators stand; n_keys when the schema has none. */
static size_t parameters_at(const struct pl_schema *schema) {
  size_t i = 0;
  while (i < schema->n_keys && schema->keys[i].type != PL_PARAMETERS) i++;
  return i;
}

size_t pl_schema_count(const struct pl_schema *schema) {
  bool some = parameters_at(schema) < schema->n_keys;
  return schema->n_keys + (some ? pl_parameter_count() - 1 : 0);
}

const struct pl_key *pl_schema_key(const struct pl_schema *schema, size_t i) {
  size_t at = parameters_at(schema), n = pl_parameter_count();
  if (i < at) return &schema->keys[i];
  return i < at + n ? pl_parameter_key(i - at) : &schema->keys[i - n + 1];
}

size_t pl_schema_offset(const struct pl_schema *schema, const struct pl_key *key) {
  size_t start = key->type == PL_PARAMETER ? schema->keys[parameters_at(schema)].offset : 0;
  return start + key->offset;
}

size_t pl_schema_find(const struct pl_schema *schema, const char *name) {
  size_t i = 0, n = pl_schema_count(schema);
  while (i < n && strcmp(pl_schema_key(schema, i)->name, name) != 0) i++;
  return i;
}

void pl_list_free(struct pl_list *list) {
  for (size_t i = 0; i < list->n; i++) free(list->items[i]);
  free(list->items);
  memset(list, 0, sizeof *list);
}

lc_status pl_list_add(struct pl_list *list, const char *item, struct lc_error *err) {
  char **items = realloc(list->items, (list->n + 1) * sizeof *items);
  if (!items) LC_FAIL(err, LC_ERR_MEMORY, "cannot allocate a list of %zu texts", list->n + 1);
  list->items = items;
  items[list->n] = strdup(item);
  if (!items[list->n]) LC_FAIL(err, LC_ERR_MEMORY, "cannot copy a text");
  list->n++;
  return LC_OK;
}

bool pl_list_has(const struct pl_list *list, const char *item) {
  for (size_t i = 0; i < list->n; i++)
    if (strcmp(list->items[i], item) == 0) return true;
  return false;
}

lc_status pl_schema_init(const struct pl_schema *schema, void *object, struct lc_error *err) {
  for (size_t i = 0; i < pl_schema_count(schema); i++) {
    const struct pl_key *key = pl_schema_key(schema, i);
    LC_TRY(pl_schema_set(schema, object, "default", key->name, key->initial, err));
  }
  return LC_OK;
}

void pl_schema_free(const struct pl_schema *schema, void *object) {
  for (size_t i = 0; i < schema->n_keys; i++) {
    void *field = (char *)object + schema->keys[i].offset;
    if (schema->keys[i].type == PL_TEXT) {
      char **text = (char **)field;
      free(*text);
      *text = NULL;
    } else if (schema->keys[i].type == PL_LIST) {
      pl_list_free((struct pl_list *)field);
    }
  }
}

lc_status pl_schema_set_pair(const struct pl_schema *schema, void *object, const char *pair,
                             const char *example, struct lc_error *err) {
  const char *equals = strchr(pair, '=');
  if (!equals || equals == pair)
    LC_FAIL(err, LC_ERR_USAGE, "--set %s: expected key=value, for example %s", pair, example);
  char origin[160], key[160];
  snprintf(origin, sizeof origin, "--set %s", pair);
  snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
  return pl_schema_set(schema, object, origin, key, equals + 1, err);
}

lc_status pl_schema_set_text(const struct pl_schema *schema, void *object, const char *key,
                             const char *text, struct lc_error *err) {
  size_t i = pl_schema_find(schema, key);
  if (!text) return LC_OK;
  if (i == pl_schema_count(schema))
    LC_FAIL(err, LC_ERR_INTERNAL, "%s has no %s", schema->what, key);
  const struct pl_key *found = pl_schema_key(schema, i);
  void *field = (char *)object + found->offset;
  if (found->type == PL_LIST) {
    pl_list_free((struct pl_list *)field);
    return pl_list_add((struct pl_list *)field, text, err);
  }
  char *copy = strdup(text);
  if (!copy) LC_FAIL(err, LC_ERR_MEMORY, "cannot copy a text");
  free(*(char **)field);
  *(char **)field = copy;
  return LC_OK;
}

static lc_status check_file(const char *key, const char *text, struct lc_error *err) {
  if (text && lc_file_is_special(text))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %s: not a regular file (a pipe, a device or a socket)", key,
            text);
  return LC_OK;
}

/* No key may name what would be waited for. */
static lc_status check_files(const struct pl_schema *schema, const void *object,
                             struct lc_error *err) {
  for (size_t i = 0; i < schema->n_keys; i++) {
    const struct pl_key *key = &schema->keys[i];
    const char *field = (const char *)object + key->offset;
    const char *text = NULL;
    struct pl_list list = {.n = 0};
    if (key->type == PL_TEXT) memcpy(&text, field, sizeof text);
    if (key->type == PL_LIST) memcpy(&list, field, sizeof list);
    LC_TRY(check_file(key->name, text, err));
    for (size_t k = 0; k < list.n; k++) LC_TRY(check_file(key->name, list.items[k], err));
  }
  return LC_OK;
}

lc_status pl_schema_layer(const struct pl_schema *schema, void *object,
                          const struct pl_overrides *overrides, const char *example,
                          struct lc_error *err) {
  if (overrides->file) LC_TRY(pl_schema_read(schema, object, overrides->file, err));
  for (size_t i = 0; i < overrides->keys.n; i++)
    LC_TRY(pl_schema_set_pair(schema, object, overrides->keys.items[i], example, err));
  return check_files(schema, object, err);
}

void pl_overrides_free(struct pl_overrides *overrides) {
  pl_list_free(&overrides->keys);
  pl_list_free(&overrides->inputs);
  pl_list_free(&overrides->nodules.paths);
  pl_list_free(&overrides->load.ignore);
}

/* A double-quoted YAML scalar. */
static void print_quoted(struct lc_text *out, const char *text) {
  lc_text_add(out, "\"");
  for (const char *p = text; *p; p++) {
    if (*p == '"' || *p == '\\')
      lc_text_add(out, "\\%c", *p);
    else if ((unsigned char)*p < 0x20 || *p == 0x7f)
      lc_text_add(out, "\\x%02x", (unsigned)(unsigned char)*p);
    else
      lc_text_add_bytes(out, p, 1);
  }
  lc_text_add(out, "\"");
}

/* The shortest decimal that reads back as the same number, always recognisable as a number. */
static void print_real(struct lc_text *out, double value) {
  char text[40];
  if (value > -1e15 && value < 1e15 && value == (double)(long long)value) {
    lc_text_add(out, "%lld", (long long)value);
    return;
  }
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  lc_text_add(out, "%s", text);
}

static void print_value(struct lc_text *out, const struct pl_schema *schema,
                        const struct pl_key *key, const void *object) {
  const void *field = (const char *)object + pl_schema_offset(schema, key);
  switch (key->type) {
  case PL_BOOL:
    lc_text_add(out, "%s", *(const bool *)field ? "true" : "false");
    break;
  case PL_INTEGER:
    lc_text_add(out, "%lld", *(const long long *)field);
    break;
  case PL_REAL:
    print_real(out, *(const double *)field);
    break;
  case PL_TEXT:
    print_quoted(out, *(char *const *)field);
    break;
  case PL_CHOICE:
    lc_text_add(out, "%s", key->choices[*(const int *)field]);
    break;
  case PL_LIST: {
    const struct pl_list *list = (const struct pl_list *)field;
    lc_text_add(out, "[");
    for (size_t i = 0; i < list->n; i++) {
      if (i > 0) lc_text_add(out, ", ");
      print_quoted(out, list->items[i]);
    }
    lc_text_add(out, "]");
    break;
  }
  case PL_PARAMETER: {
    const struct cdam_parameter *parameter = pl_parameter_of(key);
    double value = *(const double *)field;
    if (isnan(value)) break;
    if (parameter->kind == CDAM_CHOICE)
      lc_text_add(out, "%s", parameter->choices[(size_t)value]);
    else
      print_real(out, value);
    break;
  }
  case PL_PARAMETERS:
    break; /* no key of its own */
  }
}

/* False for what PL_KEEP_GIVEN leaves out. */
static bool is_given(const struct pl_schema *schema, const struct pl_key *key, const void *object) {
  const void *field = (const char *)object + pl_schema_offset(schema, key);
  if (key->type == PL_PARAMETER) return !isnan(*(const double *)field);
  return key->type != PL_LIST || ((const struct pl_list *)field)->n > 0;
}

static bool is_kept(const struct pl_schema *schema, const struct pl_key *key, const void *object) {
  enum pl_keeping keeping = key->keeping;
  if (key->type == PL_PARAMETER) keeping = schema->keys[parameters_at(schema)].keeping;
  return keeping == PL_KEEP || (keeping == PL_KEEP_GIVEN && is_given(schema, key, object));
}

void pl_schema_print_value(const struct pl_schema *schema, const void *object, const char *key,
                           struct lc_text *out) {
  size_t i = pl_schema_find(schema, key);
  if (i < pl_schema_count(schema)) print_value(out, schema, pl_schema_key(schema, i), object);
}

static void print_doc(struct lc_text *out, const struct pl_key *key, int indent) {
  lc_text_add(out, "%*s# %s", indent, "", key->doc);
  if (key->choices) {
    lc_text_add(out, " One of:");
    for (size_t i = 0; key->choices[i]; i++)
      lc_text_add(out, "%s %s", i > 0 ? "," : "", key->choices[i]);
    lc_text_add(out, ".");
  }
  if (key->low != 0 || key->high != 0) lc_text_add(out, " From %g to %g.", key->low, key->high);
  lc_text_add(out, "\n");
}

/* Opens the groups of `name` that differ from those of the key before, and returns the depth. */
static int print_groups(struct lc_text *out, const char *before, const char *name) {
  int depth = 0;
  size_t start = 0;
  bool same = true;
  for (size_t i = 0; name[i]; i++) {
    if (name[i] != '.') continue;
    same = same && strncmp(before, name, i + 1) == 0;
    if (!same) lc_text_add(out, "%*s%.*s:\n", 2 * depth, "", (int)(i - start), name + start);
    start = i + 1;
    depth++;
  }
  return depth;
}

void pl_schema_print(const struct pl_schema *schema, const void *object, enum pl_print how,
                     struct lc_text *out) {
  const char *before = "";
  for (size_t i = 0; i < pl_schema_count(schema); i++) {
    const struct pl_key *key = pl_schema_key(schema, i);
    if (how == PL_PRINT_CANONICAL && !is_kept(schema, key, object)) continue;
    int depth = print_groups(out, before, key->name);
    if (how == PL_PRINT_ALL) print_doc(out, key, 2 * depth);
    const char *dot = strrchr(key->name, '.');
    lc_text_add(out, "%*s%s: ", 2 * depth, "", dot ? dot + 1 : key->name);
    print_value(out, schema, key, object);
    lc_text_add(out, "\n");
    before = key->name;
  }
}
