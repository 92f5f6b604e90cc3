/* Moves series through the spool: finds complete ones, joins late slices, finishes them, and
 * removes what was kept long enough. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "pipeline/delivery/pl_spool.h"

#define COMPLETE_MARK ".complete"
#define PAST_MOST 10000

static double now_s(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* When something was last put into a folder, or a file written; 0 when there is none. */
static double changed_s(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0) return 0;
  return (double)info.st_mtim.tv_sec + 1e-9 * (double)info.st_mtim.tv_nsec;
}

static bool is_object(const char *name) {
  size_t length = strlen(name);
  return name[0] != '.' && length > 4 && strcmp(name + length - 4, ".dcm") == 0;
}

/* The series of a place that was changed first, of those that `wanted` takes (all when NULL). */
static double oldest_in(const struct pl_spool *spool, enum pl_spool_place place, const char *inside,
                        char name[PL_SPOOL_NAME]) {
  char path[LC_PATH_SIZE], series[LC_PATH_SIZE], within[LC_PATH_SIZE];
  double first = 0;
  name[0] = '\0';
  pl_spool_path(spool, place, NULL, path);
  DIR *stream = opendir(path);
  if (!stream) return 0;
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    if (entry->d_name[0] == '.' || strlen(entry->d_name) != PL_SPOOL_NAME - 1) continue;
    if (lc_path_join(series, path, entry->d_name, NULL) != LC_OK ||
        lc_path_join(within, series, inside, NULL) != LC_OK)
      continue;
    double changed = changed_s(within);
    if (name[0] && (changed > first || (changed >= first && strcmp(entry->d_name, name) > 0)))
      continue;
    first = changed;
    memcpy(name, entry->d_name, PL_SPOOL_NAME);
  }
  closedir(stream);
  return first;
}

void pl_spool_oldest(const struct pl_spool *spool, char name[PL_SPOOL_NAME]) {
  (void)oldest_in(spool, PL_SPOOL_WORK, ".", name);
}

/* past/NAME: how many objects there were. */
static void past_path(const struct pl_spool *spool, const char *name, char path[LC_PATH_SIZE]) {
  snprintf(path, LC_PATH_SIZE, "%.3900s/past/%s", spool->folder, name);
}

static size_t past_count(const struct pl_spool *spool, const char *name) {
  char path[LC_PATH_SIZE], *text;
  size_t length;
  past_path(spool, name, path);
  if (lc_file_read(path, 64, &text, &length, NULL) != LC_OK) return 0;
  size_t count = (size_t)strtoul(text, NULL, 10);
  free(text);
  return count;
}

/* Forgets the oldest when there are too many. */
static void bound_past(const struct pl_spool *spool) {
  char path[LC_PATH_SIZE], oldest[LC_PATH_SIZE] = "", file[LC_PATH_SIZE];
  size_t n = 0;
  double first = 0;
  snprintf(path, sizeof path, "%.3900s/past", spool->folder);
  DIR *stream = opendir(path);
  for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream)) {
    if (entry->d_name[0] == '.' || lc_path_join(file, path, entry->d_name, NULL) != LC_OK) continue;
    double changed = changed_s(file);
    n++;
    if (*oldest && changed >= first) continue;
    first = changed;
    memcpy(oldest, file, sizeof oldest);
  }
  if (stream) closedir(stream);
  if (n > PAST_MOST) unlink(oldest);
}

/* Removes a series of done/, remembering how large it was. */
static void forget(struct pl_spool *spool, const char *name) {
  char folder[LC_PATH_SIZE], path[LC_PATH_SIZE], text[32];
  struct lc_error err;
  long long bytes;
  pl_spool_path(spool, PL_SPOOL_DONE, name, folder);
  size_t n = pl_spool_objects(folder, &bytes);
  past_path(spool, name, path);
  snprintf(text, sizeof text, "%zu\n", n);
  lc_status status = lc_file_write(path, text, strlen(text), &err);
  if (status == LC_OK) status = lc_folder_remove(folder, &err);
  if (status != LC_OK) {
    lc_log(LC_LOG_WARNING, "%s", err.message);
    return;
  }
  atomic_fetch_sub(&spool->shared->used, bytes);
  bound_past(spool);
  lc_log(LC_LOG_INFO, "series %s: its %zu objects are no longer kept", name, n);
}

bool pl_spool_make_room(struct pl_spool *spool, long long bytes) {
  char name[PL_SPOOL_NAME];
  while (pl_spool_used(spool) + bytes > spool->limits.max_bytes) {
    (void)oldest_in(spool, PL_SPOOL_DONE, "outcome.json", name);
    if (!name[0]) return false;
    forget(spool, name);
    if (pl_spool_has(spool, PL_SPOOL_DONE, name)) return false;
  }
  return true;
}

void pl_spool_expire(struct pl_spool *spool) {
  char name[PL_SPOOL_NAME];
  for (;;) {
    double when = oldest_in(spool, PL_SPOOL_DONE, "outcome.json", name);
    if (!name[0] || now_s() - when <= spool->limits.keep_s) return;
    forget(spool, name);
    if (pl_spool_has(spool, PL_SPOOL_DONE, name)) return;
  }
}

static bool is_marked(const char *series) {
  char path[LC_PATH_SIZE];
  return lc_path_join(path, series, COMPLETE_MARK, NULL) == LC_OK && lc_file_exists(path);
}

void pl_spool_mark_complete(const struct pl_spool *spool, const char *name) {
  char series[LC_PATH_SIZE], path[LC_PATH_SIZE];
  pl_spool_path(spool, PL_SPOOL_RECEIVING, name, series);
  if (lc_path_join(path, series, COMPLETE_MARK, NULL) != LC_OK) return;
  int mark = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (mark >= 0) close(mark);
}

bool pl_spool_holds(const struct pl_spool *spool, const char *sop_instance_uid) {
  char file[PL_SPOOL_FILE_NAME], path[LC_PATH_SIZE], object[LC_PATH_SIZE];
  bool found = false;
  if (pl_spool_file_name(file, sop_instance_uid, NULL) != LC_OK) return false;
  for (enum pl_spool_place place = 0; place < PL_SPOOL_QUARANTINE && !found; place++) {
    pl_spool_path(spool, place, NULL, path);
    DIR *stream = opendir(path);
    struct dirent *entry = stream ? readdir(stream) : NULL;
    for (; entry && !found; entry = readdir(stream)) {
      snprintf(object, sizeof object, "%.3900s/%.32s/%s", path, entry->d_name, file);
      found = entry->d_name[0] != '.' && lc_file_exists(object);
      if (found && place == PL_SPOOL_RECEIVING) pl_spool_mark_complete(spool, entry->d_name);
    }
    if (stream) closedir(stream);
  }
  return found;
}

/* Moves what came of a series before into receiving/; of two objects with one UID the one that came
 * first stays. A crash in the middle leaves both folders, and the next attempt goes on. */
static lc_status join(const struct pl_spool *spool, enum pl_spool_place place, const char *name,
                      struct lc_error *err) {
  char from[LC_PATH_SIZE], to[LC_PATH_SIZE], source[LC_PATH_SIZE], target[LC_PATH_SIZE];
  pl_spool_path(spool, place, name, from);
  pl_spool_path(spool, PL_SPOOL_RECEIVING, name, to);
  DIR *stream = opendir(from);
  if (!stream) return LC_OK;
  lc_status status = LC_OK;
  for (struct dirent *entry = readdir(stream); entry && status == LC_OK; entry = readdir(stream)) {
    if (!is_object(entry->d_name)) continue;
    status = lc_path_join(source, from, entry->d_name, err);
    if (status == LC_OK) status = lc_path_join(target, to, entry->d_name, err);
    if (status == LC_OK && rename(source, target) != 0)
      status = lc_file_write_error(target, errno, err);
  }
  closedir(stream);
  if (status == LC_OK) status = lc_folder_remove(from, err);
  return status;
}

static void sync_folder(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

/* One rename between two places; a target that is there already was left by a crash in between and
 * holds nothing that is not in the source. */
static lc_status move(const struct pl_spool *spool, const char *name, enum pl_spool_place from,
                      enum pl_spool_place to, struct lc_error *err) {
  char source[LC_PATH_SIZE], target[LC_PATH_SIZE], place[LC_PATH_SIZE];
  pl_spool_path(spool, from, name, source);
  pl_spool_path(spool, to, name, target);
  LC_TRY(lc_folder_remove(target, err));
  if (rename(source, target) != 0) return lc_file_write_error(target, errno, err);
  pl_spool_path(spool, to, NULL, place);
  sync_folder(place);
  pl_spool_path(spool, from, NULL, place);
  sync_folder(place);
  return LC_OK;
}

static lc_status take(struct pl_spool *spool, const char *name, struct lc_error *err) {
  char series[LC_PATH_SIZE], mark[LC_PATH_SIZE], past[LC_PATH_SIZE];
  size_t before = past_count(spool, name);
  bool kept = pl_spool_has(spool, PL_SPOOL_DONE, name);
  for (enum pl_spool_place place = PL_SPOOL_WORK; place < PL_SPOOL_PLACES; place++)
    LC_TRY(join(spool, place, name, err));
  pl_spool_path(spool, PL_SPOOL_RECEIVING, name, series);
  long long bytes;
  size_t n = pl_spool_objects(series, &bytes);
  if (lc_path_join(mark, series, COMPLETE_MARK, NULL) == LC_OK) unlink(mark);
  if (!kept && n < before)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%zu objects came late for a series whose earlier %zu are no longer kept; send the "
            "whole series again",
            n, before);
  if (lc_path_join(mark, series, "reason.json", NULL) == LC_OK) unlink(mark);
  past_path(spool, name, past);
  unlink(past);
  return move(spool, name, PL_SPOOL_RECEIVING, PL_SPOOL_WORK, err);
}

/* Is this series of receiving/ to be taken now? An empty folder, left by a crash, is removed. */
static bool is_complete(const char *series, double quiet_s, double began) {
  long long bytes;
  double since = changed_s(series), now = now_s();
  if (began > since) since = began;
  /* A clock that was set back does not hold a series for ever. */
  if (!is_marked(series) && now - since < quiet_s && since - now < quiet_s) return false;
  if (pl_spool_objects(series, &bytes) > 0) return true;
  struct lc_error err;
  if (lc_folder_remove(series, &err) != LC_OK) lc_log(LC_LOG_WARNING, "%s", err.message);
  return false;
}

lc_status pl_spool_complete(struct pl_spool *spool, double quiet_s, double began,
                            const char *running, char name[PL_SPOOL_NAME], struct lc_error *err) {
  char path[LC_PATH_SIZE], series[LC_PATH_SIZE];
  lc_status status = LC_OK;
  name[0] = '\0';
  int lock = pl_spool_lock(spool);
  pl_spool_path(spool, PL_SPOOL_RECEIVING, NULL, path);
  DIR *stream = opendir(path);
  struct dirent *entry = stream ? readdir(stream) : NULL;
  for (; entry && !name[0]; entry = readdir(stream)) {
    if (entry->d_name[0] == '.' || strlen(entry->d_name) != PL_SPOOL_NAME - 1) continue;
    if (running && strcmp(running, entry->d_name) == 0) continue;
    if (lc_path_join(series, path, entry->d_name, NULL) == LC_OK &&
        is_complete(series, quiet_s, began))
      memcpy(name, entry->d_name, PL_SPOOL_NAME);
  }
  if (stream) closedir(stream);
  if (name[0]) {
    status = take(spool, name, err);
    pl_spool_recount(spool);
  }
  pl_spool_unlock(lock);
  return status;
}

lc_status pl_spool_finish(struct pl_spool *spool, const char *name, enum pl_spool_place from,
                          enum pl_spool_place to, const char *json, struct lc_error *err) {
  char series[LC_PATH_SIZE], path[LC_PATH_SIZE];
  pl_spool_path(spool, from, name, series);
  LC_TRY(lc_path_join(path, series, to == PL_SPOOL_DONE ? "outcome.json" : "reason.json", err));
  LC_TRY(lc_file_write(path, json, strlen(json), err));
  int lock = pl_spool_lock(spool);
  lc_status status = move(spool, name, from, to, err);
  pl_spool_unlock(lock);
  return status;
}
