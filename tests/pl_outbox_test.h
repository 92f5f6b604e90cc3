/* What the tests of the outbox share: a folder with an outbox and small CT slices to queue. */
#pragma once

#include "tests/lc_test.h"

#include "ct_io/dicom_write/ct_write.h"
#include "pipeline/delivery/pl_outbox.h"
#include "pipeline/delivery/pl_send.h"

static char outbox_folder[256];
static struct pl_outbox outbox_test;
static struct pl_destinations outbox_known; /* "a" and "b", without commitment */

/* A path in the folder; the last four stay. */
static inline const char *outbox_path(const char *name) {
  static char paths[4][LC_PATH_SIZE];
  static int turn;
  char *path = paths[turn++ % 4];
  assert_ok(lc_path_join(path, outbox_folder, name, &test_err));
  return path;
}

/* Writes a slice with this UID; value makes its content. */
static inline const char *outbox_object(const char *uid, int value) {
  static char path[LC_PATH_SIZE];
  int16_t hu[64];
  for (int i = 0; i < 64; i++) hu[i] = (int16_t)(value + i);
  struct ct_volume volume = {.hu = hu,
                             .size = {8, 8, 1},
                             .spacing_mm = {1, 1, 1},
                             .direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  struct ct_write_header header = {.patient_id = "P",
                                   .patient_name = "Test",
                                   .study_instance_uid = "2.25.1000",
                                   .series_instance_uid = "2.25.1001",
                                   .frame_of_reference_uid = "2.25.1002",
                                   .study_date = "20000102",
                                   .study_time = "101112",
                                   .manufacturer = "M"};
  char name[128];
  snprintf(name, sizeof name, "%s-%d.dcm", uid, value);
  lc_text_copy(path, sizeof path, outbox_path(name));
  assert_ok(ct_write_slice(&header, &volume, 0, uid, path, &test_err));
  return path;
}

static inline int outbox_test_make(void **state) {
  (void)state;
  lc_test_folder(outbox_folder);
  assert_ok(pl_outbox_open(&outbox_test, outbox_path("outbox"), true, &test_err));
  for (int i = 0; i < 2; i++) {
    struct pl_destination *added = NULL;
    assert_ok(pl_destinations_add(&outbox_known, i == 0 ? "a" : "b", &added, &test_err));
    assert_ok(pl_schema_set(&pl_destination_schema, added, "test", "host", "localhost", &test_err));
  }
  return 0;
}

static inline int outbox_test_remove(void **state) {
  (void)state;
  pl_outbox_close(&outbox_test);
  pl_destinations_free(&outbox_known);
  return lc_folder_remove(outbox_folder, NULL) != LC_OK;
}

static inline enum pl_added outbox_add(const char *destination, const char *path, bool replace) {
  enum pl_added added = PL_ADDED_QUEUED;
  assert_ok(pl_outbox_add(&outbox_test, destination, path, replace, &added, &test_err));
  return added;
}

/* All entries of a destination; free with pl_entries_free. */
static inline struct pl_entries outbox_list(const char *destination) {
  struct pl_entries entries;
  assert_ok(pl_outbox_list(&outbox_test, destination, &entries, &test_err));
  return entries;
}

/* The only entry of a destination. */
static inline struct pl_entry outbox_entry(const char *destination) {
  struct pl_entries entries = outbox_list(destination);
  assert_int_equal(entries.n, 1);
  struct pl_entry entry = entries.items[0];
  pl_entries_free(&entries);
  return entry;
}

static inline void outbox_tidy(void) {
  assert_ok(pl_outbox_tidy(&outbox_test, &outbox_known, &test_err));
}

static inline bool outbox_has_object(const struct pl_entry *entry) {
  char path[LC_PATH_SIZE];
  assert_ok(pl_outbox_object(&outbox_test, entry, path, &test_err));
  return lc_file_exists(path);
}
