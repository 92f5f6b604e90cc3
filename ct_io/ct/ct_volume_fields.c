/* Reads the lines of a text header. */
#include "ct_io/ct/ct_volume_fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/lc_arena.h"

static char *trim(char *text) {
  text += strspn(text, " \t");
  size_t length = strlen(text);
  while (length && strchr(" \t\r", text[length - 1])) text[--length] = '\0';
  return text;
}

/* Cuts a line in two at the first separator. NRRD's own "key:=value" are no fields. What another
 * reader could take otherwise (a field twice, a control character) is refused: this one checks for
 * that reader. */
static lc_status add(struct ct_fields *fields, char *line, const char *path, const char *separators,
                     struct lc_error *err) {
  char *at = strpbrk(line, separators);
  for (const char *c = line; *c; c++)
    if ((unsigned char)*c < 32 && *c != '\t')
      LC_FAIL(err, LC_ERR_FORMAT, "%s: control character in the header", path);
  if (*line == '#' || !at || (*at == ':' && at[1] == '=')) return LC_OK;
  if (fields->n == sizeof fields->fields / sizeof *fields->fields)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: header of more than %zu fields", path, fields->n);
  *at = '\0';
  char *name = trim(line);
  if (ct_fields_get(fields, name, NULL, NULL))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: header has %.80s twice", path, name);
  fields->fields[fields->n++] = (struct ct_field){name, trim(at + 1)};
  return LC_OK;
}

static lc_status split(struct ct_fields *fields, const char *path, const char *separators,
                       const char *last, size_t count, struct lc_error *err) {
  char *line = fields->text, *stop = fields->text + count;
  bool whole = count < CT_FIELDS_BYTES;
  while (line < stop) {
    char *end = memchr(line, '\n', (size_t)(stop - line));
    if (!end && !whole) break;
    if (!end) end = stop;
    *end = '\0';
    fields->bytes = (uint64_t)(end - fields->text) + (end < stop);
    char *content = trim(line);
    if (!last && !*content) return LC_OK;
    size_t n = fields->n;
    LC_TRY(add(fields, content, path, separators, err));
    if (last && fields->n > n && strcmp(fields->fields[n].name, last) == 0) return LC_OK;
    line = end + 1;
  }
  if (last) LC_FAIL(err, LC_ERR_FORMAT, "%s: header without %s", path, last);
  if (whole) return LC_OK;
  LC_FAIL(err, LC_ERR_FORMAT, "%s: header does not end within %d bytes", path, CT_FIELDS_BYTES);
}

lc_status ct_fields_read(struct ct_fields *fields, const char *path, const char *separators,
                         const char *last, struct lc_error *err) {
  memset(fields, 0, sizeof *fields);
  FILE *file = fopen(path, "rb");
  if (!file) LC_FAIL(err, LC_ERR_FORMAT, "%s: %s", path, strerror(errno));
  lc_status status = lc_alloc(&fields->text, CT_FIELDS_BYTES + 1, 1, err);
  size_t got = 0;
  if (status == LC_OK) got = fread(fields->text, 1, CT_FIELDS_BYTES, file);
  fclose(file);
  if (status == LC_OK) status = split(fields, path, separators, last, got, err);
  if (status != LC_OK) ct_fields_free(fields);
  return status;
}

void ct_fields_free(struct ct_fields *fields) {
  free(fields->text);
  memset(fields, 0, sizeof *fields);
}

const char *ct_fields_get(const struct ct_fields *fields, const char *a, const char *b,
                          const char *c) {
  const char *const names[] = {a, b, c};
  for (size_t i = 0; i < fields->n; i++)
    for (size_t k = 0; k < 3; k++)
      if (names[k] && strcasecmp(fields->fields[i].name, names[k]) == 0)
        return fields->fields[i].value;
  return NULL;
}

long long ct_fields_numbers(const char *value, long long *numbers, long long most) {
  long long n = 0;
  while (*(value += strspn(value, " \t"))) {
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end == value || errno != 0 || !strchr(" \t", *end)) return -1;
    if (n < most) numbers[n] = number;
    n++;
    value = end;
  }
  return n;
}
