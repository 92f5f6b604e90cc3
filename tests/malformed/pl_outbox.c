/* Damaged outboxes: damage is seen, an object that is still there is queued again, what is lost is
 * logged and set aside, and nothing crashes or leaks (the sanitizers watch).
 * needs: net */
#include "tests/pl_outbox_test.h"

#include <sys/stat.h>

#include "common/lc_random.h"
#include "pipeline/delivery/pl_entry.h"

static void put(const char *path, const char *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  fclose(file);
}

static struct lc_text entry_text(void) {
  struct lc_text json = {0};
  struct pl_entry entry;
  outbox_add("a", outbox_object("2.25.1", 0), false);
  entry = outbox_entry("a");
  assert_ok(pl_entry_write(&entry, &json, &test_err));
  return json;
}

static void entries_cut_anywhere(void **state) {
  (void)state;
  struct lc_text json = entry_text();
  struct pl_entry entry;
  for (size_t n = 0; n + 2 < json.length; n++)
    assert_fails(pl_entry_read(&entry, json.data, n, "entry", &test_err), LC_ERR_FORMAT,
                 "entry: damaged");
  assert_ok(pl_entry_read(&entry, json.data, json.length, "entry", &test_err));
  lc_text_free(&json);
}

/* Any changed byte that still is JSON is caught by the digest; white space alone may pass. */
static void entries_with_bytes_changed(void **state) {
  (void)state;
  struct lc_text json = entry_text();
  struct pl_entry whole, entry;
  struct lc_random random;
  char *copy = malloc(json.length);
  assert_non_null(copy);
  assert_ok(pl_entry_read(&whole, json.data, json.length, "entry", &test_err));
  for (uint64_t i = 0; i < 2000; i++) {
    memcpy(copy, json.data, json.length);
    lc_random_init(&random, 1, "entry", i);
    copy[lc_random_below(&random, (uint32_t)json.length)] = (char)lc_random_below(&random, 256);
    lc_status status = pl_entry_read(&entry, copy, json.length, "entry", &test_err);
    if (status == LC_OK)
      assert_memory_equal(&entry, &whole, sizeof entry);
    else
      assert_int_equal(status, LC_ERR_FORMAT);
  }
  free(copy);
  lc_text_free(&json);
}

static void a_damaged_entry_is_queued_again(void **state) {
  (void)state;
  struct pl_entry before;
  outbox_add("a", outbox_object("2.25.1", 0), false);
  before = outbox_entry("a");
  const char *const damage[] = {"", "{", "not JSON", "{\"version\": 2}"};
  for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
    put(outbox_path("outbox/entries/a/2.25.1.json"), damage[i], strlen(damage[i]));
    struct pl_entries entries = outbox_list("a");
    assert_int_equal(entries.n, 0);
    assert_int_equal(entries.n_damaged, 1);
    pl_entries_free(&entries);
    outbox_tidy();
    struct pl_entry after = outbox_entry("a");
    assert_int_equal(after.state, PL_STATE_QUEUED);
    assert_string_equal(after.sha256, before.sha256);
    assert_true(outbox_has_object(&after));
  }
  assert_true(lc_file_exists(outbox_path("outbox/damaged/a_2.25.1.json")));
}

/* The entry of another object under this name is no entry of it. */
static void an_entry_under_a_wrong_name(void **state) {
  (void)state;
  outbox_add("a", outbox_object("2.25.1", 0), false);
  outbox_add("a", outbox_object("2.25.2", 0), false);
  assert_int_equal(rename(outbox_path("outbox/entries/a/2.25.1.json"),
                          outbox_path("outbox/entries/a/2.25.2.json")),
                   0);
  outbox_tidy();
  struct pl_entry entry = outbox_entry("a");
  assert_string_equal(entry.object.sop_instance_uid, "2.25.2");
  assert_true(outbox_has_object(&entry));
}

/* Settled entries keep no bytes: nothing can be queued, and nothing was lost. */
static void a_damaged_entry_without_object_is_set_aside(void **state) {
  (void)state;
  outbox_add("a", outbox_object("2.25.1", 0), false);
  struct pl_entry entry = outbox_entry("a");
  entry.state = PL_STATE_SENT;
  assert_ok(pl_outbox_change(&outbox_test, &entry, &test_err));
  assert_ok(pl_outbox_release(&outbox_test, &entry, pl_send_final, &outbox_known, &test_err));
  put(outbox_path("outbox/entries/a/2.25.1.json"), "{}", 2);
  outbox_tidy();
  struct pl_entries entries = outbox_list("a");
  assert_int_equal(entries.n + entries.n_damaged, 0);
  pl_entries_free(&entries);
  assert_true(lc_file_exists(outbox_path("outbox/damaged/a_2.25.1.json")));
}

static void damaged_bytes_are_not_sent(void **state) {
  (void)state;
  char path[LC_PATH_SIZE], source[LC_PATH_SIZE];
  lc_text_copy(source, sizeof source, outbox_object("2.25.1", 0));
  outbox_add("a", source, false);
  struct pl_entry entry = outbox_entry("a");
  assert_ok(pl_outbox_verify(&outbox_test, &entry, &test_err));
  assert_ok(pl_outbox_object(&outbox_test, &entry, path, &test_err));
  put(path, "DICM?", 5);
  assert_fails(pl_outbox_verify(&outbox_test, &entry, &test_err), LC_ERR_FORMAT,
               "damaged in the outbox");
  assert_false(lc_file_exists(path)); /* set aside */
  assert_fails(pl_outbox_verify(&outbox_test, &entry, &test_err), LC_ERR_FORMAT, "missing");
  assert_int_equal(outbox_add("a", source, false), PL_ADDED_QUEUED);
  assert_ok(pl_outbox_verify(&outbox_test, &entry, &test_err));
}

static void strangers_in_the_folders(void **state) {
  (void)state;
  outbox_add("a", outbox_object("2.25.1", 0), false);
  put(outbox_path("outbox/entries/a/..json"), "x", 1);
  put(outbox_path("outbox/entries/a/no-uid.json"), "x", 1);
  put(outbox_path("outbox/entries/a/2.25.9"), "x", 1);
  put(outbox_path("outbox/objects/left-over.dcm"), "x", 1);
  put(outbox_path("outbox/objects/2.25.7-0123456789abcdef.dcm"), "x", 1);
  put(outbox_path("outbox/destinations/a.json"), "{\"failures\": \"many\"", 19);
  put(outbox_path("outbox/destinations/broken.yaml"), "host: [", 7);
  put(outbox_path("outbox/destinations/none.yaml"), "port: 104\n", 10);
  outbox_tidy();
  struct pl_entry entry = outbox_entry("a");
  assert_true(outbox_has_object(&entry));
  assert_false(lc_file_exists(outbox_path("outbox/objects/left-over.dcm")));
  assert_false(lc_file_exists(outbox_path("outbox/objects/2.25.7-0123456789abcdef.dcm")));
  struct pl_standing standing;
  pl_outbox_standing(&outbox_test, "a", &standing);
  assert_int_equal(standing.failures, 0);
  struct pl_destinations kept = {0};
  assert_ok(pl_outbox_kept_destinations(&outbox_test, &kept, &test_err));
  assert_int_equal(kept.n, 0);
  pl_destinations_free(&kept);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, outbox_test_make, outbox_test_remove)
  const struct CMUnitTest tests[] = {TEST(entries_cut_anywhere),
                                     TEST(entries_with_bytes_changed),
                                     TEST(a_damaged_entry_is_queued_again),
                                     TEST(an_entry_under_a_wrong_name),
                                     TEST(a_damaged_entry_without_object_is_set_aside),
                                     TEST(damaged_bytes_are_not_sent),
                                     TEST(strangers_in_the_folders)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
