/* Opens and locks a spool, names series and files by hashes of their UIDs, and counts bytes and
 * series. */
#include "pipeline/delivery/pl_spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_hash.h"
#include "common/lc_log.h"

#define BLOCK 4096

static const char *const places[PL_SPOOL_PLACES] = {
    [PL_SPOOL_RECEIVING] = "receiving",
    [PL_SPOOL_WORK] = "work",
    [PL_SPOOL_DONE] = "done",
    [PL_SPOOL_QUARANTINE] = "quarantine",
};

/* Paths in the spool fit: pl_spool_open refuses a longer folder. */
#define LONGEST_FOLDER (LC_PATH_SIZE - 128)

void pl_spool_path(const struct pl_spool *spool, enum pl_spool_place place, const char *name,
                   char path[LC_PATH_SIZE]) {
  snprintf(path, LC_PATH_SIZE, "%.*s/%s%s%s", LONGEST_FOLDER, spool->folder, places[place],
           name ? "/" : "", name ? name : "");
}

void pl_spool_part(const struct pl_spool *spool, size_t slot, char path[LC_PATH_SIZE]) {
  snprintf(path, LC_PATH_SIZE, "%.*s/incoming/%zu.part", LONGEST_FOLDER, spool->folder, slot);
}

static lc_status hash_name(char *name, size_t digits, const char *first, const char *second,
                           struct lc_error *err) {
  struct lc_hash hash;
  uint8_t digest[LC_SHA256_BYTES];
  char hex[LC_SHA256_HEX];
  LC_TRY(lc_hash_begin(&hash, err));
  lc_hash_add_text(&hash, first);
  if (second) lc_hash_add_text(&hash, second);
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  memcpy(name, hex, digits);
  name[digits] = '\0';
  return LC_OK;
}

lc_status pl_spool_series_name(char name[PL_SPOOL_NAME], const struct ct_identity *identity,
                               struct lc_error *err) {
  return hash_name(name, PL_SPOOL_NAME - 1, identity->study_instance_uid,
                   identity->series_instance_uid, err);
}

lc_status pl_spool_file_name(char name[PL_SPOOL_FILE_NAME], const char *sop_instance_uid,
                             struct lc_error *err) {
  LC_TRY(hash_name(name, PL_SPOOL_FILE_NAME - 5, sop_instance_uid, NULL, err));
  memcpy(name + PL_SPOOL_FILE_NAME - 5, ".dcm", 5);
  return LC_OK;
}

bool pl_spool_has(const struct pl_spool *spool, enum pl_spool_place place, const char *name) {
  char path[LC_PATH_SIZE];
  pl_spool_path(spool, place, name, path);
  return lc_folder_exists(path);
}

size_t pl_spool_count(const struct pl_spool *spool, enum pl_spool_place place) {
  char path[LC_PATH_SIZE];
  size_t n = 0;
  pl_spool_path(spool, place, NULL, path);
  DIR *stream = opendir(path);
  if (!stream) return 0;
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
    n += entry->d_name[0] != '.';
  closedir(stream);
  return n;
}

size_t pl_spool_objects(const char *series_folder, long long *bytes) {
  size_t n = 0;
  *bytes = 0;
  DIR *stream = opendir(series_folder);
  if (!stream) return 0;
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    struct stat info;
    size_t length = strlen(entry->d_name);
    if (fstatat(dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(info.st_mode)) continue;
    n += length > 4 && strcmp(entry->d_name + length - 4, ".dcm") == 0;
    *bytes += (info.st_size + BLOCK - 1) / BLOCK * BLOCK;
  }
  closedir(stream);
  return n;
}

long long pl_spool_used(const struct pl_spool *spool) {
  long long sum = atomic_load(&spool->shared->used);
  for (size_t i = 0; i < spool->n_slots; i++) sum += atomic_load(&spool->shared->reserved[i]);
  return sum;
}

void pl_spool_recount(struct pl_spool *spool) {
  long long sum = 0;
  for (enum pl_spool_place place = 0; place < PL_SPOOL_PLACES; place++) {
    char path[LC_PATH_SIZE], series[LC_PATH_SIZE];
    pl_spool_path(spool, place, NULL, path);
    DIR *stream = opendir(path);
    for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream)) {
      long long bytes;
      if (entry->d_name[0] == '.') continue;
      if (lc_path_join(series, path, entry->d_name, NULL) != LC_OK) continue;
      (void)pl_spool_objects(series, &bytes);
      sum += bytes;
    }
    if (stream) closedir(stream);
  }
  atomic_store(&spool->shared->used, sum);
}

void pl_spool_clear_slot(struct pl_spool *spool, size_t slot) {
  char path[LC_PATH_SIZE];
  pl_spool_part(spool, slot, path);
  unlink(path);
  atomic_store(&spool->shared->reserved[slot], 0);
}

static int open_lock(const struct pl_spool *spool, const char *name) {
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%.*s/%s", LONGEST_FOLDER, spool->folder, name);
  return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
}

int pl_spool_lock(const struct pl_spool *spool) {
  /* Opened again: a descriptor shared by fork would share the lock too. */
  int lock = open_lock(spool, "moving.lock");
  while (lock >= 0 && flock(lock, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    close(lock);
    lock = -1;
  }
  return lock;
}

void pl_spool_unlock(int lock) {
  if (lock >= 0) close(lock);
}

static lc_status make_folders(struct pl_spool *spool, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(lc_folder_make(spool->folder, err));
  for (enum pl_spool_place place = 0; place < PL_SPOOL_PLACES; place++) {
    pl_spool_path(spool, place, NULL, path);
    LC_TRY(lc_folder_make(path, err));
  }
  LC_TRY(lc_path_join(path, spool->folder, "past", err));
  return lc_folder_make(path, err);
}

/* What was on its way when the server was killed was never confirmed. */
static lc_status clear_incoming(struct pl_spool *spool, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, spool->folder, "incoming", err));
  LC_TRY(lc_folder_remove(path, err));
  return lc_folder_make(path, err);
}

static lc_status own(struct pl_spool *spool, struct lc_error *err) {
  spool->owner = open_lock(spool, "server.lock");
  if (spool->owner < 0) return lc_file_write_error(spool->folder, errno, err);
  if (flock(spool->owner, LOCK_EX | LOCK_NB) != 0)
    LC_FAIL(err, LC_ERR_EXISTS, "%s: another server uses this spool", spool->folder);
  spool->shared_bytes = sizeof *spool->shared + spool->n_slots * sizeof *spool->shared->reserved;
  void *memory =
      mmap(NULL, spool->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) LC_FAIL(err, LC_ERR_MEMORY, "no memory to share: %s", strerror(errno));
  spool->shared = memory;
  LC_TRY(clear_incoming(spool, err));
  int lock = pl_spool_lock(spool);
  pl_spool_recount(spool);
  pl_spool_unlock(lock);
  return LC_OK;
}

lc_status pl_spool_open(struct pl_spool *spool, const char *folder,
                        const struct pl_spool_limits *limits, size_t n_slots,
                        struct lc_error *err) {
  memset(spool, 0, sizeof *spool);
  spool->owner = -1;
  spool->limits = *limits;
  spool->n_slots = n_slots;
  if (strlen(folder) > LONGEST_FOLDER)
    LC_FAIL(err, LC_ERR_USAGE, "spool: path of more than %d bytes", LONGEST_FOLDER);
  snprintf(spool->folder, sizeof spool->folder, "%s", folder);
  lc_status status = make_folders(spool, err);
  if (status == LC_OK) status = own(spool, err);
  if (status != LC_OK) pl_spool_close(spool);
  return status;
}

void pl_spool_close(struct pl_spool *spool) {
  if (spool->shared) munmap(spool->shared, spool->shared_bytes);
  if (spool->owner >= 0) close(spool->owner);
  memset(spool, 0, sizeof *spool);
  spool->owner = -1;
}
