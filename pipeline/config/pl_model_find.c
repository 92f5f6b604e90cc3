/* Finds the weight file that a name or path means, lists the models of each folder, and reads what
 * a model is for. */
#include "pipeline/config/pl_model_find.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_table.h"
#include "vit/weights/vit_tensor_file.h"

#define MODELS "/configs/models"
#define PURPOSE_LIMIT ((size_t)1 << 20)

static bool ends_in(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n > m && strcmp(text + n - m, end) == 0;
}

/* A name of a model: nothing hidden, so that files on their way are none. */
static bool is_model_file(const char *name) {
  return name[0] != '.' && ends_in(name, PL_MODEL_ENDING);
}

static void name_of(const char *path, char *name, size_t size) {
  const char *slash = strrchr(path, '/');
  lc_text_copy(name, size, slash ? slash + 1 : path);
  if (ends_in(name, PL_MODEL_ENDING)) name[strlen(name) - strlen(PL_MODEL_ENDING)] = '\0';
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return strcmp(a, b) == 0 ||
         (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static lc_status add_folder(struct pl_list *folders, const char *folder, struct lc_error *err) {
  for (size_t i = 0; i < folders->n; i++)
    if (same_file(folders->items[i], folder)) return LC_OK;
  return pl_list_add(folders, folder, err);
}

static lc_status add_own_folders(struct pl_list *folders, struct lc_error *err) {
  const char *text = getenv(PL_MODEL_FOLDERS);
  char folder[LC_PATH_SIZE];
  for (size_t length; text && *text; text += length + (text[length] == ':')) {
    length = strcspn(text, ":");
    if (length >= sizeof folder)
      LC_FAIL(err, LC_ERR_CONFIG, "%s: a folder of more than %zu bytes", PL_MODEL_FOLDERS,
              sizeof folder - 1);
    snprintf(folder, sizeof folder, "%.*s", (int)length, text);
    if (length > 0) LC_TRY(add_folder(folders, folder, err));
  }
  return LC_OK;
}

/* Data of the installation, from the folder of the program, which has no link in it. */
static lc_status add_share(struct pl_list *folders, const char *program, const char *share,
                           struct lc_error *err) {
  char folder[LC_PATH_SIZE], base[LC_PATH_SIZE];
  lc_text_copy(base, sizeof base, program);
  for (char *slash; strncmp(share, "../", 3) == 0 && (slash = strrchr(base, '/')); share += 3)
    *slash = '\0';
  LC_TRY(lc_path_join(folder, base, share, err));
  LC_FREED char *real = realpath(folder, NULL);
  return add_folder(folders, real ? real : folder, err);
}

lc_status pl_model_folders(struct pl_list *folders, struct lc_error *err) {
  char program[LC_PATH_SIZE], library[LC_PATH_SIZE];
  LC_TRY(add_own_folders(folders, err));
  bool has_program = lc_program_folder(program);
  if (lc_library_folder(library) && !(has_program && strcmp(library, program) == 0))
    LC_TRY(add_share(folders, library, LUNGCDAM_LIBRARY_SHARE MODELS, err));
  if (!has_program) return LC_OK;
  LC_TRY(add_share(folders, program, LUNGCDAM_SHARE MODELS, err));
  if (strcmp(LUNGCDAM_SHARE, "../share/lungcdam") == 0) return LC_OK;
  return add_share(folders, program, "../share/lungcdam" MODELS, err); /* in a build folder */
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

lc_status pl_model_names(const char *folder, struct pl_list *names, struct lc_error *err) {
  size_t first = names->n;
  LC_SCOPED(lc_close_folder) DIR *stream = opendir(folder);
  if (!stream && (errno == ENOENT || errno == ENOTDIR)) return LC_OK;
  if (!stream) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", folder, strerror(errno));
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    char name[256];
    if (!is_model_file(entry->d_name)) continue;
    name_of(entry->d_name, name, sizeof name);
    LC_TRY(pl_list_add(names, name, err));
  }
  if (names->n > first)
    qsort(names->items + first, names->n - first, sizeof *names->items, by_bytes);
  return LC_OK;
}

/* Whether the folder has the model. What is there and cannot be looked at is a failure: another
 * model of the same name must not take its place. */
static lc_status look(const char *folder, const char *name, char path[LC_PATH_SIZE], bool *there,
                      struct lc_error *err) {
  char file[512];
  struct stat info;
  *there = false;
  snprintf(file, sizeof file, "%s" PL_MODEL_ENDING, name);
  LC_TRY(lc_path_join(path, folder, file, err));
  if (lstat(path, &info) == 0)
    *there = !lc_folder_exists(path);
  else if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be looked at: %s", path, strerror(errno));
  return LC_OK;
}

static lc_status search(struct pl_model_found *found, const struct pl_list *folders,
                        struct lc_error *err) {
  for (size_t i = 0; i < folders->n; i++) {
    char path[LC_PATH_SIZE];
    bool there;
    LC_TRY(look(folders->items[i], found->name, path, &there, err));
    if (!there) continue;
    if (!found->path[0])
      lc_text_copy(found->path, sizeof found->path, path);
    else if (!same_file(path, found->path))
      lc_log(LC_LOG_WARNING, "model %s is %s; it hides %s", found->name, found->path, path);
  }
  return LC_OK;
}

/* A folder that was asked for and is not there would let another model take the place. */
static void log_missing(const struct pl_list *folders) {
  LC_SCOPED(pl_list_free) struct pl_list own = {0};
  if (add_own_folders(&own, NULL) == LC_OK)
    for (size_t i = 0; i < own.n; i++)
      if (!lc_folder_exists(own.items[i]))
        lc_log(LC_LOG_WARNING, "%s: %s is no folder", PL_MODEL_FOLDERS, own.items[i]);
  if (folders->n == 0) lc_log(LC_LOG_WARNING, "/proc/self/exe does not say where the program lies");
}

static void add_list(struct lc_text *text, const struct pl_list *list) {
  for (size_t i = 0; i < list->n; i++) lc_text_add(text, "%s%s", i > 0 ? ", " : "", list->items[i]);
  if (list->n == 0) lc_text_add(text, "none");
}

static lc_status all_names(const struct pl_list *folders, struct pl_list *names,
                           struct lc_error *err) {
  for (size_t i = 0; i < folders->n; i++) {
    LC_SCOPED(pl_list_free) struct pl_list some = {0};
    LC_TRY(pl_model_names(folders->items[i], &some, err));
    for (size_t k = 0; k < some.n; k++)
      if (!pl_list_has(names, some.items[k])) LC_TRY(pl_list_add(names, some.items[k], err));
  }
  return LC_OK;
}

static lc_status unknown(const struct pl_model_found *found, const char *text,
                         const struct pl_list *folders, struct lc_error *err) {
  LC_SCOPED(pl_list_free) struct pl_list names = {0};
  LC_SCOPED(lc_text_free) struct lc_text more = {0};
  LC_TRY(all_names(folders, &names, err));
  const char *nearest = lc_text_nearest(found->name, (const char *const *)names.items, names.n);
  if (nearest) lc_text_add(&more, ", the nearest is '%s'", nearest);
  lc_text_add(&more, "; models at hand: ");
  add_list(&more, &names);
  lc_text_add(&more, "; searched: ");
  add_list(&more, folders);
  if (strcmp(found->name, PL_MODEL_SHIPPED) == 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND,
            "%s%s, the model that ships, is not beside this program: install the whole of it "
            "('./run install' in the source), name a folder with " PL_MODEL_SHIPPED PL_MODEL_ENDING
            " in %s, or give --weights FILE%s",
            found->by_default ? "no weights were given, and " : "", PL_MODEL_SHIPPED,
            PL_MODEL_FOLDERS, lc_text_get(&more));
  LC_FAIL(err, LC_ERR_NOT_FOUND,
          "%s: neither a file here nor a model at hand%s; %s names more folders, and the model "
          "that ships is %s",
          text, lc_text_get(&more), PL_MODEL_FOLDERS, PL_MODEL_SHIPPED);
}

/* The file here is what was meant; that a model has the same name is logged, once. */
static void log_model_of_same_name(const struct pl_model_found *file,
                                   const struct pl_list *folders) {
  for (size_t i = 0; i < folders->n; i++) {
    char path[LC_PATH_SIZE];
    bool there;
    if (look(folders->items[i], file->name, path, &there, NULL) != LC_OK || !there) continue;
    if (!same_file(path, file->path))
      lc_log(LC_LOG_WARNING,
             "%s: the file of that name in the working directory, not the model %s; ./%s or %s "
             "would say so without this line",
             file->path, path, file->path, path);
    return;
  }
}

static lc_status find_in(struct pl_model_found *found, const char *text,
                         const struct pl_list *folders, struct lc_error *err) {
  if (*text && lc_file_exists(text) && !lc_folder_exists(text)) {
    lc_text_copy(found->path, sizeof found->path, text);
    log_model_of_same_name(found, folders);
    return LC_OK;
  }
  found->by_name = true;
  log_missing(folders);
  if (found->name[0] != '.') LC_TRY(search(found, folders, err));
  found->absent = !found->path[0];
  return found->absent ? unknown(found, text, folders, err) : LC_OK;
}

lc_status pl_model_find(struct pl_model_found *found, const char *text, struct lc_error *err) {
  LC_SCOPED(pl_list_free) struct pl_list folders = {0};
  memset(found, 0, sizeof *found);
  if (!text) text = "";
  if (strlen(text) >= sizeof found->path)
    LC_FAIL(err, LC_ERR_USAGE, "a weight file of more than %zu bytes", sizeof found->path - 1);
  found->by_default = !*text;
  name_of(*text ? text : PL_MODEL_SHIPPED, found->name, sizeof found->name);
  if (strchr(text, '/')) {
    lc_text_copy(found->path, sizeof found->path, text);
    return LC_OK;
  }
  LC_TRY(pl_model_folders(&folders, err));
  return find_in(found, text, &folders, err);
}

static lc_status from_text_file(const char *path, struct lc_text *out, struct lc_error *err) {
  char file[LC_PATH_SIZE];
  LC_FREED char *text = NULL;
  size_t stem = strlen(path) - (ends_in(path, PL_MODEL_ENDING) ? strlen(PL_MODEL_ENDING) : 0);
  size_t count;
  if (snprintf(file, sizeof file, "%.*s.txt", (int)stem, path) >= (int)sizeof file) return LC_OK;
  if (!lc_file_exists(file)) return LC_OK;
  LC_TRY(lc_file_read(file, PURPOSE_LIMIT, &text, &count, err));
  lc_text_add(out, "%.*s", (int)strcspn(text, "\r\n"), text);
  return LC_OK;
}

lc_status pl_model_purpose(const char *path, const struct vit_tensor_file *opened,
                           struct lc_text *out, struct lc_error *err) {
  LC_TRY(from_text_file(path, out, err));
  if (out->length > 0) return LC_OK;
  LC_SCOPED(vit_tensor_file_close) struct vit_tensor_file file = {0};
  if (!opened) LC_TRY(vit_tensor_file_open(&file, path, err));
  const char *note = vit_tensor_file_metadata(opened ? opened : &file, "note");
  if (note) lc_text_add(out, "%.*s", (int)strcspn(note, "\r\n"), note);
  return LC_OK;
}

void pl_model_say(const struct pl_model_found *found, const struct vit_tensor_file *opened) {
  LC_SCOPED(lc_text_free) struct lc_text purpose = {0};
  LC_SCOPED(lc_text_free) struct lc_text safe = {0};
  if (!found->by_name || !found->path[0]) return;
  /* A file that cannot be read is reported when its weights are loaded. */
  if (pl_model_purpose(found->path, opened, &purpose, NULL) == LC_OK)
    pl_text_safe(&safe, lc_text_get(&purpose));
  const char *text = lc_text_get(&safe);
  lc_log(LC_LOG_INFO, "%smodel %s (%s)%s%s%s", found->by_default ? "no weights given: " : "",
         found->name, found->path, *text ? ": " : "", text,
         strstr(text, "research use only") ? "" : "; research use only");
}

lc_status pl_model_take(struct pl_model_found *found, const char *text, struct lc_error *err) {
  LC_TRY(pl_model_find(found, text, err));
  pl_model_say(found, NULL);
  return LC_OK;
}
