/* The table of nodule sources, and the choice of one for a file. */
#include "ct_io/nodule/ct_nodule_source.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/lc_file.h"
#include "ct_io/dicom_file/ct_class.h"

#define SOURCES(ENTRY)                                                                             \
  ENTRY(lidc_xml)                                                                                  \
  ENTRY(dicom_seg)                                                                                 \
  ENTRY(rtstruct)                                                                                  \
  ENTRY(report)                                                                                    \
  ENTRY(cad_report)                                                                                \
  ENTRY(slicer)                                                                                    \
  ENTRY(fcsv)                                                                                      \
  ENTRY(challenge)                                                                                 \
  ENTRY(labels)                                                                                    \
  ENTRY(csv)
#define DECLARE(name) extern const struct ct_nodule_source ct_nodule_source_##name;
SOURCES(DECLARE)
#define POINT(name) &ct_nodule_source_##name,
static const struct ct_nodule_source *const table[] = {SOURCES(POINT)};
#define NUMBER(name) NUMBER_##name,
enum { SOURCES(NUMBER) N_SOURCES, FIRST_BYTES = 4096 };

const struct ct_nodule_source *const *ct_nodule_sources(size_t *n) {
  *n = N_SOURCES;
  return table;
}

static bool has_class(const struct ct_nodule_source *source, const char *uid) {
  for (const char *const *one = source->classes; one && *one; one++)
    if (strcmp(*one, uid) == 0) return true;
  return false;
}

bool ct_nodule_source_has_class(const char *uid) {
  for (size_t i = 0; i < N_SOURCES; i++)
    if (has_class(table[i], uid)) return true;
  return false;
}

lc_status ct_nodule_source_of(const struct ct_nodule_source **source, const char *path,
                              struct lc_error *err) {
  char first[FIRST_BYTES], uid[CT_CLASS_SIZE], titles[CT_TITLES_SIZE], lists[CT_TITLES_SIZE];
  FILE *file;
  LC_TRY(lc_file_open(path, &file, err));
  size_t n = fread(first, 1, sizeof first, file);
  fclose(file);
  bool object = ct_class_of(first, n, uid);
  for (size_t i = 0; i < N_SOURCES; i++)
    if (table[i]->classes ? object && has_class(table[i], uid)
                          : table[i]->recognise(path, first, n)) {
      *source = table[i];
      return LC_OK;
    }
  LC_FAIL(err, LC_ERR_FORMAT, "%s: of no kind that nodules are read from, expected one of %s, %s",
          path, ct_nodule_source_titles(titles, false), ct_nodule_source_titles(lists, true));
}

bool ct_nodule_source_named(const char *path) {
  for (size_t i = 0; i < N_SOURCES; i++)
    if (!table[i]->is_list && !table[i]->classes && table[i]->recognise(path, "", 0)) return true;
  return false;
}

bool ct_nodule_source_wants(const char *path) {
  char first[FIRST_BYTES], uid[CT_CLASS_SIZE];
  if (ct_nodule_source_named(path)) return true;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return false;
  ssize_t n = read(file, first, sizeof first);
  close(file);
  return n > 0 && ct_class_of(first, (size_t)n, uid) && ct_nodule_source_has_class(uid);
}

const char *ct_nodule_source_titles(char out[CT_TITLES_SIZE], bool lists) {
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < N_SOURCES && used < CT_TITLES_SIZE; i++)
    if (table[i]->is_list == lists)
      used += (size_t)snprintf(out + used, CT_TITLES_SIZE - used, "%s%s", used ? ", " : "",
                               table[i]->title);
  return out;
}

bool ct_path_ends(const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n > m && strcasecmp(path + n - m, ending) == 0;
}
