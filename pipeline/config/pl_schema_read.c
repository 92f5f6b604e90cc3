/* Reads YAML into the fields that a schema describes (libyaml), strictly, with file and line in
 * every error. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_parameters.h"

#define FILE_LIMIT ((size_t)1 << 20)
#define NAME_LIMIT 256
#define DEPTH_LIMIT 64

/* Where a value stands, for messages. */
struct reading {
  const struct pl_schema *schema;
  void *object;
  const char *origin; /* file name, or "--set key=value" */
  bool has_lines;
  yaml_document_t *document;
  bool *seen;            /* [pl_schema_count] */
  pl_schema_begin begin; /* of pl_schema_read_named */
  void *context;
};

static void place(const struct reading *reading, const yaml_node_t *node, char out[LC_PATH_SIZE]) {
  if (reading->has_lines)
    snprintf(out, LC_PATH_SIZE, "%s:%zu", reading->origin, node->start_mark.line + 1);
  else
    snprintf(out, LC_PATH_SIZE, "%s", reading->origin);
}

static const char *scalar(const yaml_node_t *node) {
  return (const char *)node->data.scalar.value;
}

static bool is_plain(const yaml_node_t *node) {
  return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* What a node is in the reader's words. */
static const char *describe(const yaml_node_t *node, char out[96]) {
  if (node->type == YAML_MAPPING_NODE) return "a mapping";
  if (node->type == YAML_SEQUENCE_NODE) return "a list";
  if (is_plain(node))
    snprintf(out, 96, "%.60s", *scalar(node) ? scalar(node) : "empty");
  else
    snprintf(out, 96, "the text \"%.60s\"", scalar(node));
  return out;
}

static lc_status wrong(const struct reading *reading, const struct pl_key *key,
                       const yaml_node_t *node, const char *expected, struct lc_error *err) {
  char where[LC_PATH_SIZE], what[96];
  place(reading, node, where);
  LC_FAIL(err, LC_ERR_CONFIG, "%.600s: %s is %s, expected %s", where, key->name,
          describe(node, what), expected);
}

static lc_status check_range(const struct reading *reading, const struct pl_key *key,
                             const yaml_node_t *node, double value, struct lc_error *err) {
  if (key->low == 0 && key->high == 0) return LC_OK;
  if (value >= key->low && value <= key->high) return LC_OK;
  char expected[96];
  snprintf(expected, sizeof expected, "a number from %g to %g", key->low, key->high);
  return wrong(reading, key, node, expected, err);
}

/* Index of word among the choices, or -1 with `expected` naming them. */
static int find_choice(const struct pl_key *key, const char *word, char *expected, size_t size) {
  size_t n = 0;
  while (key->choices[n]) n++;
  for (size_t i = 0; i < n; i++)
    if (strcmp(key->choices[i], word) == 0) return (int)i;
  struct lc_text list = {0};
  lc_text_add(&list, "one of");
  for (size_t i = 0; i < n; i++) lc_text_add(&list, "%s %s", i > 0 ? "," : "", key->choices[i]);
  const char *nearest = lc_text_nearest(word, key->choices, n);
  if (nearest) lc_text_add(&list, " (nearest: %s)", nearest);
  lc_text_copy(expected, size, lc_text_get(&list));
  lc_text_free(&list);
  return -1;
}

static lc_status set_list(const struct reading *reading, const struct pl_key *key,
                          const yaml_node_t *node, struct pl_list *list, struct lc_error *err) {
  pl_list_free(list);
  const yaml_node_t *const one[] = {node};
  size_t n = 1;
  if (node->type == YAML_SEQUENCE_NODE)
    n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
  else if (is_plain(node) && !*scalar(node))
    n = 0;
  for (size_t i = 0; i < n; i++) {
    const yaml_node_t *item = one[0];
    if (node->type == YAML_SEQUENCE_NODE)
      item = yaml_document_get_node(reading->document, node->data.sequence.items.start[i]);
    if (item->type != YAML_SCALAR_NODE) return wrong(reading, key, item, "a list of words", err);
    char expected[512];
    if (key->choices && find_choice(key, scalar(item), expected, sizeof expected) < 0)
      return wrong(reading, key, item, expected, err);
    LC_TRY(pl_list_add(list, scalar(item), err));
  }
  return LC_OK;
}

/* An empty value is the estimator's own. */
static lc_status set_parameter(const struct reading *reading, const struct pl_key *key,
                               const yaml_node_t *node, double *field, struct lc_error *err) {
  const struct cdam_parameter *parameter = pl_parameter_of(key);
  char expected[160];
  *field = NAN;
  if (is_plain(node) && (!*scalar(node) || cdam_parameter_read(parameter, scalar(node), field)))
    return LC_OK;
  cdam_parameter_expects(parameter, expected, sizeof expected);
  return wrong(reading, key, node, expected, err);
}

static lc_status set_value(const struct reading *reading, const struct pl_key *key,
                           const yaml_node_t *node, struct lc_error *err) {
  void *field = (char *)reading->object + pl_schema_offset(reading->schema, key);
  if (key->type == PL_LIST) {
    if (node->type == YAML_MAPPING_NODE) return wrong(reading, key, node, "a list of words", err);
    return set_list(reading, key, node, (struct pl_list *)field, err);
  }
  char expected[512];
  switch (key->type) {
  case PL_BOOL:
    if (!is_plain(node) ||
        (strcmp(scalar(node), "true") != 0 && strcmp(scalar(node), "false") != 0))
      return wrong(reading, key, node, "true or false", err);
    *(bool *)field = scalar(node)[0] == 't';
    return LC_OK;
  case PL_INTEGER: {
    long long value;
    if (!is_plain(node) || !lc_text_to_long(scalar(node), &value))
      return wrong(reading, key, node, "a whole number", err);
    LC_TRY(check_range(reading, key, node, (double)value, err));
    *(long long *)field = value;
    return LC_OK;
  }
  case PL_REAL: {
    double value;
    if (!is_plain(node) || !lc_text_to_double(scalar(node), &value))
      return wrong(reading, key, node, "a number", err);
    LC_TRY(check_range(reading, key, node, value, err));
    *(double *)field = value;
    return LC_OK;
  }
  case PL_CHOICE: {
    if (node->type != YAML_SCALAR_NODE) return wrong(reading, key, node, "one word", err);
    int choice = find_choice(key, scalar(node), expected, sizeof expected);
    if (choice < 0) return wrong(reading, key, node, expected, err);
    *(int *)field = choice;
    return LC_OK;
  }
  case PL_PARAMETER:
    return set_parameter(reading, key, node, (double *)field, err);
  default:
    if (node->type != YAML_SCALAR_NODE) return wrong(reading, key, node, "a text", err);
    return pl_schema_set_text(reading->schema, reading->object, key->name, scalar(node), err);
  }
}

/* True when the schema has keys below "prefix." */
static bool is_group(const struct pl_schema *schema, const char *prefix) {
  size_t n = strlen(prefix);
  for (size_t i = 0; i < pl_schema_count(schema); i++) {
    const char *name = pl_schema_key(schema, i)->name;
    if (strncmp(name, prefix, n) == 0 && name[n] == '.') return true;
  }
  return false;
}

/* Best guess at what was meant: the same last word in another group (not of an estimator: many have
 * samples), else the nearest full name. */
static const char *guess(const struct pl_schema *schema, const char *name, char out[NAME_LIMIT]) {
  const char *dot = strrchr(name, '.');
  const char *last = dot ? dot + 1 : name;
  const char *best = NULL;
  size_t best_distance = strlen(name) / 3 + 2;
  bool of_group = dot == strchr(name, '.');
  for (size_t i = 0; i < pl_schema_count(schema); i++) {
    const char *key = pl_schema_key(schema, i)->name;
    const char *key_dot = strrchr(key, '.');
    bool alike = of_group && pl_schema_key(schema, i)->type != PL_PARAMETER;
    if (alike && strcmp(last, key_dot ? key_dot + 1 : key) == 0) return key;
    for (size_t end = 1; end <= strlen(key); end++) { /* the key, and every group above it */
      if (key[end] != '.' && key[end] != '\0') continue;
      char part[NAME_LIMIT];
      snprintf(part, sizeof part, "%.*s", (int)end, key);
      size_t distance = lc_text_distance(name, part);
      if (distance < best_distance) {
        best_distance = distance;
        lc_text_copy(out, NAME_LIMIT, part);
        best = out;
      }
    }
  }
  return best;
}

static lc_status unknown_key(const struct pl_schema *schema, const char *where, const char *name,
                             struct lc_error *err) {
  char nearest[NAME_LIMIT];
  const char *meant = guess(schema, name, nearest);
  if (meant)
    LC_FAIL(err, LC_ERR_CONFIG, "%.600s: unknown key '%.100s', the nearest valid key is '%s'",
            where, name, meant);
  LC_FAIL(err, LC_ERR_CONFIG,
          "%.600s: unknown key '%.100s' in the %s ('lungcdam config --print' lists all)", where,
          name, schema->what);
}

static lc_status read_mapping(const struct reading *reading, const yaml_node_t *node,
                              const char *prefix, struct lc_error *err);

static lc_status read_pair(const struct reading *reading, const yaml_node_t *key_node,
                           const yaml_node_t *value, const char *prefix, struct lc_error *err) {
  char where[LC_PATH_SIZE], name[NAME_LIMIT];
  place(reading, key_node, where);
  if (key_node->type != YAML_SCALAR_NODE)
    LC_FAIL(err, LC_ERR_CONFIG, "%.600s: a key is not a word", where);
  if (snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", scalar(key_node)) >=
      (int)sizeof name)
    LC_FAIL(err, LC_ERR_CONFIG, "%.600s: key of more than %d bytes", where, NAME_LIMIT - 1);
  size_t at = pl_schema_find(reading->schema, name);
  if (at < pl_schema_count(reading->schema)) {
    if (reading->seen[at])
      LC_FAIL(err, LC_ERR_CONFIG, "%.600s: key '%s' is given twice", where, name);
    reading->seen[at] = true;
    return set_value(reading, pl_schema_key(reading->schema, at), value, err);
  }
  if (!is_group(reading->schema, name)) return unknown_key(reading->schema, where, name, err);
  if (is_plain(value) && !*scalar(value)) return LC_OK; /* "figure:" with nothing below it */
  if (value->type != YAML_MAPPING_NODE) {
    char what[96];
    LC_FAIL(err, LC_ERR_CONFIG, "%.600s: '%s' is %s, expected a mapping of keys", where, name,
            describe(value, what));
  }
  return read_mapping(reading, value, name, err);
}

static lc_status read_mapping(const struct reading *reading, const yaml_node_t *node,
                              const char *prefix, struct lc_error *err) {
  const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
  for (; pair < node->data.mapping.pairs.top; pair++)
    LC_TRY(read_pair(reading, yaml_document_get_node(reading->document, pair->key),
                     yaml_document_get_node(reading->document, pair->value), prefix, err));
  return LC_OK;
}

static lc_status syntax_error(const struct reading *reading, const yaml_parser_t *parser,
                              struct lc_error *err) {
  LC_FAIL(err, LC_ERR_CONFIG, "%.600s:%zu: not YAML: %s", reading->origin,
          parser->problem_mark.line + 1, parser->problem ? parser->problem : "malformed");
}

/* One thing of a file of several. */
static lc_status read_named(struct reading *reading, const yaml_node_t *key,
                            const yaml_node_t *value, struct lc_error *err) {
  char where[LC_PATH_SIZE];
  place(reading, key, where);
  if (key->type != YAML_SCALAR_NODE)
    LC_FAIL(err, LC_ERR_CONFIG, "%.600s: a name is not a word", where);
  if (value->type != YAML_MAPPING_NODE) {
    char what[96];
    LC_FAIL(err, LC_ERR_CONFIG, "%.600s: '%.100s' is %s, expected a mapping of keys of the %s",
            where, scalar(key), describe(value, what), reading->schema->what);
  }
  lc_status status = reading->begin(reading->context, scalar(key), &reading->object, err);
  if (status != LC_OK) {
    lc_error_prefix(err, "%.600s", where);
    return status;
  }
  memset(reading->seen, 0, pl_schema_count(reading->schema) * sizeof *reading->seen);
  return read_mapping(reading, value, "", err);
}

static lc_status read_all_named(struct reading *reading, const yaml_node_t *root,
                                struct lc_error *err) {
  const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
  for (; pair < root->data.mapping.pairs.top; pair++)
    LC_TRY(read_named(reading, yaml_document_get_node(reading->document, pair->key),
                      yaml_document_get_node(reading->document, pair->value), err));
  return LC_OK;
}

static lc_status read_root(struct reading *reading, const yaml_node_t *root,
                           const struct pl_key *only, struct lc_error *err) {
  if (only) {
    if (!root && only->type == PL_TEXT)
      return pl_schema_set_text(reading->schema, reading->object, only->name, "", err);
    if (!root && only->type == PL_PARAMETER) {
      *(double *)(void *)((char *)reading->object + pl_schema_offset(reading->schema, only)) = NAN;
      return LC_OK;
    }
    if (!root) LC_FAIL(err, LC_ERR_CONFIG, "%.600s: %s got no value", reading->origin, only->name);
    return set_value(reading, only, root, err);
  }
  if (!root) return LC_OK; /* an empty file changes nothing */
  if (root->type != YAML_MAPPING_NODE)
    LC_FAIL(err, LC_ERR_CONFIG, "%.600s: expected a mapping of keys at the top of the %s",
            reading->origin, reading->schema->what);
  if (reading->begin) return read_all_named(reading, root, err);
  return read_mapping(reading, root, "", err);
}

/* Reads one document; `only` set: the document is the value of that key. */
static lc_status read_yaml(struct reading *reading, const char *bytes, size_t count,
                           const struct pl_key *only, struct lc_error *err) {
  LC_SCOPED(yaml_parser_delete) yaml_parser_t parser = {0};
  LC_SCOPED(yaml_document_delete) yaml_document_t document = {0};
  LC_SCOPED(yaml_document_delete) yaml_document_t second = {0};
  LC_FREED bool *seen = NULL;
  if (!yaml_parser_initialize(&parser)) LC_FAIL(err, LC_ERR_MEMORY, "cannot start a YAML parser");
  yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, count);
  if (!yaml_parser_load(&parser, &document)) return syntax_error(reading, &parser, err);
  LC_TRY(lc_alloc(&seen, pl_schema_count(reading->schema), sizeof *seen, err));
  reading->document = &document;
  reading->seen = seen;
  const yaml_node_t *root = yaml_document_get_root_node(&document);
  lc_status status = read_root(reading, root, only, err);
  reading->document = NULL;
  reading->seen = NULL;
  LC_TRY(status);
  if (!root) return LC_OK;
  if (!yaml_parser_load(&parser, &second)) return syntax_error(reading, &parser, err);
  if (yaml_document_get_root_node(&second))
    LC_FAIL(err, LC_ERR_CONFIG, "%.600s: holds several YAML documents, expected one",
            reading->origin);
  return LC_OK;
}

/* libyaml takes quadratic time for brackets within brackets, and no configuration needs many. */
static lc_status check_depth(const char *path, const char *bytes, size_t count,
                             struct lc_error *err) {
  int depth = 0;
  for (size_t i = 0; i < count; i++) {
    depth += bytes[i] == '[' || bytes[i] == '{';
    depth -= bytes[i] == ']' || bytes[i] == '}';
    if (depth > DEPTH_LIMIT)
      LC_FAIL(err, LC_ERR_CONFIG, "%.600s: brackets nested more than %d deep", path, DEPTH_LIMIT);
  }
  return LC_OK;
}

static lc_status read_file(struct reading *reading, struct lc_error *err) {
  LC_FREED char *bytes = NULL;
  size_t count;
  LC_TRY(lc_file_read(reading->origin, FILE_LIMIT, &bytes, &count, err));
  LC_TRY(check_depth(reading->origin, bytes, count, err));
  return read_yaml(reading, bytes, count, NULL, err);
}

lc_status pl_schema_read(const struct pl_schema *schema, void *object, const char *path,
                         struct lc_error *err) {
  struct reading reading = {.schema = schema, .object = object, .origin = path, .has_lines = true};
  return read_file(&reading, err);
}

lc_status pl_schema_read_named(const struct pl_schema *schema, const char *path,
                               pl_schema_begin begin, void *context, struct lc_error *err) {
  struct reading reading = {
      .schema = schema, .origin = path, .has_lines = true, .begin = begin, .context = context};
  return read_file(&reading, err);
}

lc_status pl_schema_set(const struct pl_schema *schema, void *object, const char *origin,
                        const char *key, const char *value, struct lc_error *err) {
  struct reading reading = {.schema = schema, .object = object, .origin = origin};
  size_t at = pl_schema_find(schema, key);
  if (at == pl_schema_count(schema)) return unknown_key(schema, origin, key, err);
  return read_yaml(&reading, value, strlen(value), pl_schema_key(schema, at), err);
}
