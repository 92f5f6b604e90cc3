/* Opens the output folder, removes stale drafts of dead processes, and makes, publishes and
 * discards drafts. */
#include "pipeline/store/pl_output.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"

#define DRAFT_PREFIX ".lungcdam-"
#define PARTIAL_SUFFIX ".partial"
/* A free lock of a living process may belong to a draft that is just being made. */
#define FRESH_S 60

/* The process id in ".NAME.PID.partial", or 0 when the name is not of that form. */
static long partial_process(const char *name) {
  size_t n = strlen(name), suffix = strlen(PARTIAL_SUFFIX);
  if (name[0] != '.' || n <= suffix || strcmp(name + n - suffix, PARTIAL_SUFFIX) != 0) return 0;
  size_t end = n - suffix, start = end;
  while (start > 0 && isdigit((unsigned char)name[start - 1])) start--;
  if (start == end || start < 2 || name[start - 1] != '.') return 0;
  return strtol(name + start, NULL, 10);
}

static bool is_alive(long process) {
  return kill((pid_t)process, 0) == 0 || errno != ESRCH;
}

static bool is_stale(const char *path, long process) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  struct stat info;
  bool is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
  bool old = fstat(fd, &info) == 0 && time(NULL) - info.st_mtime > FRESH_S;
  close(fd);
  return is_free && (old || process == (long)getpid() || !is_alive(process));
}

static void remove_stale(const char *folder) {
  LC_SCOPED(lc_close_folder) DIR *stream = opendir(folder);
  if (!stream) return;
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    long process = partial_process(entry->d_name);
    char path[LC_PATH_SIZE];
    if (process <= 0 || lc_path_join(path, folder, entry->d_name, NULL) != LC_OK) continue;
    if (!is_stale(path, process)) continue;
    struct lc_error err;
    if (lc_folder_remove(path, &err) == LC_OK)
      lc_log(LC_LOG_INFO, "%s: removed, left by a run that did not finish", path);
    else
      lc_log(LC_LOG_WARNING, "%s", err.message);
  }
}

lc_status pl_output_open(struct pl_output *output, const char *folder, struct lc_error *err) {
  memset(output, 0, sizeof *output);
  if (strlen(folder) >= sizeof output->folder)
    LC_FAIL(err, LC_ERR_USAGE, "output folder: path of more than %d bytes", LC_PATH_SIZE - 1);
  lc_text_copy(output->folder, sizeof output->folder, folder);
  bool existed = lc_file_exists(folder);
  LC_TRY(lc_folder_make(folder, err));
  output->made = !existed;
  if (access(folder, W_OK | X_OK) != 0) return lc_file_write_error(folder, errno, err);
  remove_stale(folder);
  return LC_OK;
}

void pl_output_close(struct pl_output *output) {
  if (output->made) rmdir(output->folder); /* fails, rightly, when something is in it */
  output->made = false;
}

void pl_output_name(char out[129], const char *identifier) {
  size_t n = 0;
  for (; identifier[n] && n < 128; n++) {
    unsigned char c = (unsigned char)identifier[n];
    out[n] = c < 0x80 && (isalnum(c) || strchr("._-", c)) ? (char)c : '_';
  }
  if (n == 0) out[n++] = '_';
  out[n] = '\0';
  if (out[0] == '.') out[0] = '_';
}

void pl_output_name_of(char out[129], const char *identifier, int number) {
  pl_output_name(out, identifier);
  size_t used = strlen(out);
  if (number > 1) snprintf(out + used, 129 - used, "_%d", number);
}

lc_status pl_draft_begin(struct pl_draft *draft, const struct pl_output *output, const char *name,
                         struct lc_error *err) {
  memset(draft, 0, sizeof *draft);
  draft->lock = -1;
  char hidden[256];
  snprintf(hidden, sizeof hidden, DRAFT_PREFIX "%.128s.%ld" PARTIAL_SUFFIX, name, (long)getpid());
  LC_TRY(lc_path_join(draft->target, output->folder, name, err));
  LC_TRY(lc_path_join(draft->folder, output->folder, hidden, err));
  LC_TRY(lc_folder_remove(draft->folder, err));
  if (mkdir(draft->folder, 0777) != 0) {
    lc_status status = lc_file_write_error(draft->folder, errno, err);
    draft->folder[0] = '\0';
    return status;
  }
  draft->lock = open(draft->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (draft->lock >= 0) flock(draft->lock, LOCK_EX | LOCK_NB);
  return LC_OK;
}

lc_status pl_draft_begin_path(struct pl_draft *draft, struct pl_output *output, const char *path,
                              struct lc_error *err) {
  char parent[LC_PATH_SIZE], name[LC_PATH_SIZE];
  lc_text_copy(parent, sizeof parent, path);
  size_t length = strlen(parent);
  while (length > 1 && parent[length - 1] == '/') parent[--length] = '\0';
  char *slash = strrchr(parent, '/');
  lc_text_copy(name, sizeof name, slash ? slash + 1 : parent);
  if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    LC_FAIL(err, LC_ERR_USAGE, "\"%s\": expected the name of a folder to make", path);
  if (!slash)
    lc_text_copy(parent, sizeof parent, ".");
  else
    slash[slash == parent] = '\0';
  LC_TRY(pl_output_open(output, parent, err));
  lc_status status = pl_draft_begin(draft, output, name, err);
  if (status != LC_OK) pl_output_close(output);
  return status;
}

lc_status pl_draft_publish(struct pl_draft *draft, bool replace, struct lc_error *err) {
  lc_status status = lc_folder_publish(draft->folder, draft->target, replace, err);
  if (status == LC_OK) draft->folder[0] = '\0';
  pl_draft_discard(draft);
  return status;
}

void pl_draft_discard(struct pl_draft *draft) {
  struct lc_error err;
  if (draft->folder[0] && lc_folder_remove(draft->folder, &err) != LC_OK)
    lc_log(LC_LOG_WARNING, "%s", err.message);
  draft->folder[0] = '\0';
  if (draft->lock >= 0) close(draft->lock);
  draft->lock = -1;
}
