/* Shared by the fuzzing programs of databases: a good file whose bytes the input changes, each by
 * three: where, in two, and what. */
#pragma once

#include "common/lc_file.h"
#include "ct_io/dicom_write/ct_write.h"
#include "tests/fuzz/lc_fuzz.h"

/* A slice in memory, where there is such a place. */
static inline void db_slice(const char *path) {
  static int16_t hu[64];
  const struct ct_volume volume = {.hu = hu,
                                   .size = {8, 8, 1},
                                   .spacing_mm = {1, 1, 1},
                                   .direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  const struct ct_write_header header = {.patient_id = "P",
                                         .study_instance_uid = "2.25.1000",
                                         .series_instance_uid = "2.25.1001",
                                         .frame_of_reference_uid = "2.25.1002"};
  struct lc_error err;
  if (ct_write_slice(&header, &volume, 0, "2.25.1", path, &err) != LC_OK) abort();
}

/* Joins; of the last four the texts stay. */
static inline const char *db_path(const char *folder, const char *name) {
  static char paths[4][512];
  static int turn;
  char *path = paths[turn++ % 4];
  snprintf(path, 512, "%s/%s", folder, name);
  return path;
}

/* Writes the good file, changed, in the place of the one that is there. */
static inline void db_change(const char *path, const char *good, size_t n, const uint8_t *data,
                             size_t size) {
  struct fuzz_bytes in = {data, size};
  char *copy = malloc(n), beside[600];
  if (!copy) abort();
  memcpy(copy, good, n);
  while (in.size >= 3) {
    size_t at = fuzz_short(&in);
    copy[at % n] = (char)fuzz_byte(&in);
  }
  snprintf(beside, sizeof beside, "%s-wal", path);
  remove(beside);
  snprintf(beside, sizeof beside, "%s-shm", path);
  remove(beside);
  fuzz_write(path, copy, n);
  free(copy);
}
