/* Tables of configuration keys, and the YAML they describe.
 *
 * A schema lists every key with its type, default, range and meaning; values go straight into the
 * fields of a plain struct. Reading is strict: an unknown key, a wrong type, a value out of range
 * and a repeated key are errors (LC_ERR_CONFIG) that name file and line, and for an unknown key the
 * nearest valid one. The same table prints the effective configuration.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "common/lc_text.h"

typedef enum pl_type {
  PL_BOOL = 0,  /* bool: true or false */
  PL_INTEGER,   /* long long */
  PL_REAL,      /* double */
  PL_TEXT,      /* char *, owned, never NULL; "" means not given */
  PL_CHOICE,    /* int: index into choices */
  PL_LIST,      /* struct pl_list of texts; one word stands for a list of one */
  PL_PARAMETER, /* double: of an estimator, as its own table says; NaN: not given (pl_parameters.h)
                 */
  PL_PARAMETERS /* struct pl_parameters: stands for a key of each estimator and parameter,
                   "estimators.rise.keep" */
} pl_type;

/* Whether a key is hashed and stored. */
enum pl_keeping {
  PL_KEEP = 0,
  PL_PLACE,     /* no: it says where something lies, not what it is */
  PL_KEEP_GIVEN /* only a list that is not empty, or a parameter that is given: keys that are
                   younger than results change no hash of those without them */
};

struct pl_list {
  char **items; /* owned */
  size_t n;
};

struct pl_key {
  const char *name; /* "figure.opacity"; keys of one group stand together in the table */
  pl_type type;
  size_t offset;              /* of the field in the struct */
  const char *initial;        /* the default as YAML says it */
  double low, high;           /* accepted numbers, inclusive; any when both are 0 */
  const char *const *choices; /* NULL-ended: words of a PL_CHOICE, allowed items of a PL_LIST */
  enum pl_keeping keeping;
  const char *doc; /* one sentence, with the unit */
};

/* Rows of a table of keys, where KEY_OBJECT is the struct: the key "group.name" goes into its field
 * group_name. After the meaning another member may follow (.keeping = PL_PLACE). */
#define KEY_ROW(group, key, of_type, value, ...)                                                   \
  {                                                                                                \
    .name = #group "." #key, .type = (of_type), .offset = offsetof(KEY_OBJECT, group##_##key),     \
    .initial = (value), __VA_ARGS__                                                                \
  }
#define KEY_BOOL(group, key, value, ...) KEY_ROW(group, key, PL_BOOL, value, .doc = __VA_ARGS__)
#define KEY_TEXT(group, key, value, ...) KEY_ROW(group, key, PL_TEXT, value, .doc = __VA_ARGS__)
#define KEY_INTEGER(group, key, value, least, most, ...)                                           \
  KEY_ROW(group, key, PL_INTEGER, value, .low = (least), .high = (most), .doc = __VA_ARGS__)
#define KEY_REAL(group, key, value, least, most, ...)                                              \
  KEY_ROW(group, key, PL_REAL, value, .low = (least), .high = (most), .doc = __VA_ARGS__)
#define KEY_CHOICE(group, key, value, words, ...)                                                  \
  KEY_ROW(group, key, PL_CHOICE, value, .choices = (words), .doc = __VA_ARGS__)
#define KEY_LIST(group, key, value, words, ...)                                                    \
  KEY_ROW(group, key, PL_LIST, value, .choices = (words), .doc = __VA_ARGS__)

struct pl_schema {
  const char *what; /* "run configuration", for messages */
  const struct pl_key *keys;
  size_t n_keys;
};

/* Fills a zeroed struct with the defaults. */
LC_MUST_CHECK lc_status pl_schema_init(const struct pl_schema *schema, void *object,
                                       struct lc_error *err);
void pl_schema_free(const struct pl_schema *schema, void *object);

/* Overrides what the file (at most 1 MiB, one YAML document, a mapping) gives. */
LC_MUST_CHECK lc_status pl_schema_read(const struct pl_schema *schema, void *object,
                                       const char *path, struct lc_error *err);
/* A file of several things of one kind: a mapping from names to mappings that the schema describes.
 * begin is called for each name in the order of the file, and gives the object, with its defaults,
 * that is filled; a failure of it (a name that is not allowed) names the line like the others. */
typedef lc_status (*pl_schema_begin)(void *context, const char *name, void **object,
                                     struct lc_error *err);
LC_MUST_CHECK lc_status pl_schema_read_named(const struct pl_schema *schema, const char *path,
                                             pl_schema_begin begin, void *context,
                                             struct lc_error *err);
/* Overrides one key; value is YAML ("0.5", "[axial, coronal]"). origin names the place in messages.
 */
LC_MUST_CHECK lc_status pl_schema_set(const struct pl_schema *schema, void *object,
                                      const char *origin, const char *key, const char *value,
                                      struct lc_error *err);
/* The same for "key=value" as --set got it; example stands in the message when it is no pair. */
LC_MUST_CHECK lc_status pl_schema_set_pair(const struct pl_schema *schema, void *object,
                                           const char *pair, const char *example,
                                           struct lc_error *err);
/* The same for a text that is taken as it is, for example a path from the command line; NULL
 * changes nothing. A PL_LIST becomes a list of one. */
LC_MUST_CHECK lc_status pl_schema_set_text(const struct pl_schema *schema, void *object,
                                           const char *key, const char *text, struct lc_error *err);

/* What the command line says on top of a file of the user; any of it may be missing. */
/* What the command line says of a weight file (struct vit_load); zeros say nothing. */
struct pl_load {
  const char *architecture; /* pl_model_architecture */
  const char *which;
  struct pl_list ignore;
};

/* What it says of nodules: where they are, and how they are read (words of pl_nodule_words). */
struct pl_nodule_files {
  struct pl_list paths; /* --nodules, repeated */
  bool components, keep_duplicates, strict;
};

struct pl_overrides {
  const char *file;      /* YAML */
  struct pl_list keys;   /* "key=value" as --set got them */
  struct pl_list inputs; /* --input, repeated */
  const char *weights, *series, *reference, *output, *crops;
  struct pl_nodule_files nodules;
  bool assume_hu, allow_missing; /* struct ct_index_rules */
  long long shifts;              /* explain.shifts; 0: not said */
  struct pl_load load;
  const struct vit_tensor_file *opened; /* the weights, when they are open already */
};
void pl_overrides_free(struct pl_overrides *overrides);
/* Overrides what the file gives, then the keys; example as above. */
LC_MUST_CHECK lc_status pl_schema_layer(const struct pl_schema *schema, void *object,
                                        const struct pl_overrides *overrides, const char *example,
                                        struct lc_error *err);

enum pl_print {
  PL_PRINT_CANONICAL = 0, /* no comments, no places: what is hashed and stored */
  PL_PRINT_ALL            /* every key, with its meaning as a comment */
};
void pl_schema_print(const struct pl_schema *schema, const void *object, enum pl_print how,
                     struct lc_text *out);

/* One value as YAML; `key` must exist. */
void pl_schema_print_value(const struct pl_schema *schema, const void *object, const char *key,
                           struct lc_text *out);

/* All keys, those of PL_PARAMETERS among them: key number i of pl_schema_count, where its value is,
 * and the number of the key with this name (the count when there is none). */
size_t pl_schema_count(const struct pl_schema *schema);
const struct pl_key *pl_schema_key(const struct pl_schema *schema, size_t i);
size_t pl_schema_offset(const struct pl_schema *schema, const struct pl_key *key);
size_t pl_schema_find(const struct pl_schema *schema, const char *name);

LC_MUST_CHECK lc_status pl_list_add(struct pl_list *list, const char *item, struct lc_error *err);
void pl_list_free(struct pl_list *list);
bool pl_list_has(const struct pl_list *list, const char *item);
