/* The outbox: what is queued stays until it is settled, the same is not queued twice, and waits
 * grow as documented.
 * needs: net */
#include "tests/pl_outbox_test.h"

#include <sys/stat.h>

static void settle(const char *destination, enum pl_state state) {
  struct pl_entry entry = outbox_entry(destination);
  entry.state = state;
  assert_ok(pl_outbox_change(&outbox_test, &entry, &test_err));
  if (state != PL_STATE_REFUSED)
    assert_ok(pl_outbox_release(&outbox_test, &entry, &outbox_known, &test_err));
}

static void the_same_is_queued_once(void **state) {
  (void)state;
  const char *path = outbox_object("2.25.1", 0);
  assert_int_equal(outbox_add("a", path, false), PL_ADDED_QUEUED);
  assert_int_equal(outbox_add("a", path, false), PL_ADDED_KNOWN);
  assert_int_equal(outbox_add("b", path, false), PL_ADDED_QUEUED);
  struct pl_entry entry = outbox_entry("a");
  assert_string_equal(entry.object.sop_instance_uid, "2.25.1");
  assert_string_equal(entry.object.transfer_syntax_uid, "1.2.840.10008.1.2.1");
  assert_string_equal(entry.source, path);
  assert_int_equal(entry.state, PL_STATE_QUEUED);
}

static void bytes_stay_while_a_destination_needs_them(void **state) {
  (void)state;
  const char *path = outbox_object("2.25.1", 0);
  outbox_add("a", path, false);
  outbox_add("b", path, false);
  struct pl_entry entry = outbox_entry("a");
  assert_int_equal(remove(path), 0); /* the source may go once it is queued */
  settle("a", PL_STATE_SENT);
  assert_true(outbox_has_object(&entry));
  settle("b", PL_STATE_REFUSED);
  outbox_tidy();
  assert_true(outbox_has_object(&entry)); /* may be tried again */
  assert_ok(pl_outbox_retry(&outbox_test, "b", &test_err));
  assert_int_equal(outbox_entry("b").state, PL_STATE_QUEUED);
  settle("b", PL_STATE_CONFIRMED);
  assert_false(outbox_has_object(&entry));
}

static void what_is_sent_is_not_queued_again(void **state) {
  (void)state;
  const char *path = outbox_object("2.25.1", 0);
  outbox_add("a", path, false);
  settle("a", PL_STATE_SENT);
  assert_int_equal(outbox_add("a", path, false), PL_ADDED_KNOWN);
  assert_int_equal(outbox_entry("a").state, PL_STATE_SENT);
  settle("a", PL_STATE_REFUSED);
  /* Its bytes are gone: it is queued with those of the file. */
  assert_int_equal(outbox_add("a", path, false), PL_ADDED_QUEUED);
  settle("a", PL_STATE_REFUSED);
  assert_int_equal(outbox_add("a", path, false), PL_ADDED_REFUSED_BEFORE);
}

static void another_content_replaces_only_when_asked(void **state) {
  (void)state;
  enum pl_added added;
  char changed[LC_PATH_SIZE];
  outbox_add("a", outbox_object("2.25.1", 0), false);
  settle("a", PL_STATE_SENT);
  struct pl_entry before = outbox_entry("a");
  lc_text_copy(changed, sizeof changed, outbox_object("2.25.1", 5));
  assert_fails(pl_outbox_add(&outbox_test, "a", changed, false, &added, &test_err), LC_ERR_MISMATCH,
               "with another content");
  assert_int_equal(outbox_add("a", changed, true), PL_ADDED_QUEUED);
  assert_int_equal(outbox_entry("a").state, PL_STATE_QUEUED);
  /* A sender that still had the former does not undo that. */
  assert_int_equal(pl_outbox_change(&outbox_test, &before, &test_err), LC_ERR_NOT_FOUND);
  assert_int_equal(outbox_entry("a").state, PL_STATE_QUEUED);
}

static void one_process_sends(void **state) {
  (void)state;
  struct pl_outbox other;
  assert_true(pl_outbox_lock_sender(&outbox_test));
  assert_ok(pl_outbox_open(&other, outbox_path("outbox"), false, &test_err));
  assert_false(pl_outbox_lock_sender(&other));
  pl_outbox_close(&outbox_test);
  assert_true(pl_outbox_lock_sender(&other));
  pl_outbox_close(&other);
}

static void folders_that_are_none(void **state) {
  (void)state;
  struct pl_outbox other;
  struct stat info;
  assert_int_equal(stat(outbox_path("outbox"), &info), 0);
  assert_int_equal(info.st_mode & 0777, 0700); /* patients' data */
  assert_fails(pl_outbox_open(&other, outbox_path("nowhere"), false, &test_err), LC_ERR_NOT_FOUND,
               "no outbox");
  enum pl_added added;
  assert_fails(
      pl_outbox_add(&outbox_test, "a", LC_TEST_SOURCE_DIR "/README.md", false, &added, &test_err),
      LC_ERR_NO_DICOM, "is not a DICOM file");
}

/* Doubling from the first wait to the longest, times 0.5 to 1, the same for the same. */
static void waits_grow_and_end(void **state) {
  (void)state;
  struct pl_destination destination = outbox_known.items[0];
  destination.retry_first_s = 2;
  destination.retry_most_s = 100;
  bool differ = false;
  for (long long failures = 1; failures < 200; failures++) {
    double full_s = failures < 7 ? 2.0 * (double)(1 << (failures - 1)) : 100;
    if (full_s > 100) full_s = 100;
    long long a = pl_send_delay_ms(&destination, "a", failures);
    assert_true((double)a >= 500 * full_s && (double)a <= 1000 * full_s + 1);
    assert_int_equal(a, pl_send_delay_ms(&destination, "a", failures));
    differ = differ || a != pl_send_delay_ms(&destination, "b", failures);
  }
  assert_true(differ); /* two outboxes do not knock in step */
}

/* A commitment that is asked for keeps an object open until it is given. */
static void sent_is_final_without_commitment_only(void **state) {
  (void)state;
  struct pl_entry entry = {.destination = "a", .state = PL_STATE_SENT};
  assert_true(pl_entry_is_final(&outbox_known, &entry));
  outbox_known.items[0].commitment_mode = PL_COMMITMENT_LISTEN;
  assert_false(pl_entry_is_final(&outbox_known, &entry));
  entry.state = PL_STATE_CONFIRMED;
  assert_true(pl_entry_is_final(&outbox_known, &entry));
  outbox_known.items[0].commitment_mode = PL_COMMITMENT_NONE;
}

/* NULL: both destinations. */
static size_t forget(const char *destination, long long before_ms) {
  if (!destination) return forget("a", before_ms) + forget("b", before_ms);
  size_t n = 99;
  assert_ok(pl_outbox_forget(&outbox_test, destination, before_ms, &outbox_known, &n, &test_err));
  return n;
}

static void what_has_arrived_may_be_forgotten(void **state) {
  (void)state;
  const long long later = pl_now_ms() + 60000;
  const char *path = outbox_object("2.25.1", 0);
  outbox_add("a", path, false);
  outbox_add("b", path, false);
  assert_int_equal(forget(NULL, later), 0); /* they wait */
  settle("b", PL_STATE_REFUSED);
  assert_int_equal(forget(NULL, later), 0);
  struct pl_entry entry = outbox_entry("a");
  settle("a", PL_STATE_SENT);
  assert_int_equal(forget("b", later), 0);
  assert_int_equal(forget("a", entry.queued_ms), 0); /* not older */
  /* Commitment that was asked for is waited for, whatever the destination says now. */
  entry = outbox_entry("a");
  lc_text_copy(entry.transaction_uid, sizeof entry.transaction_uid, "2.25.7");
  assert_ok(pl_outbox_change(&outbox_test, &entry, &test_err));
  assert_int_equal(forget(NULL, later), 0);
  entry.transaction_uid[0] = '\0';
  assert_ok(pl_outbox_change(&outbox_test, &entry, &test_err));
  outbox_known.items[0].commitment_mode = PL_COMMITMENT_SAME;
  assert_int_equal(forget(NULL, later), 0);
  settle("a", PL_STATE_CONFIRMED);
  assert_int_equal(forget(NULL, later), 1);
  outbox_known.items[0].commitment_mode = PL_COMMITMENT_NONE;
  assert_int_equal(outbox_entry("b").state, PL_STATE_REFUSED);
  assert_true(outbox_has_object(&entry)); /* the other needs it still */
  assert_int_equal(forget(NULL, later), 0);
  /* It is unknown again. */
  assert_int_equal(outbox_add("a", path, false), PL_ADDED_QUEUED);
}

static void destinations_are_kept_without_secrets(void **state) {
  (void)state;
  struct pl_destinations kept = {0};
  struct pl_destination *web = NULL;
  assert_ok(
      pl_destinations_add_address(&outbox_known, "https://archive/dicom-web", &web, &test_err));
  assert_ok(
      pl_schema_set(&pl_destination_schema, web, "t", "credentials.kind", "bearer", &test_err));
  assert_ok(
      pl_schema_set(&pl_destination_schema, web, "t", "credentials.variable", "TOKEN", &test_err));
  assert_ok(pl_destination_check(web, &test_err));
  assert_ok(pl_outbox_keep_destination(&outbox_test, web, &test_err));
  assert_ok(pl_outbox_kept_destinations(&outbox_test, &kept, &test_err));
  assert_int_equal(kept.n, 1);
  assert_string_equal(kept.items[0].name, "https___archive_dicom-web");
  assert_string_equal(kept.items[0].url, "https://archive/dicom-web");
  struct ct_web_peer peer;
  struct lc_text secret = {0};
  assert_int_equal(setenv("TOKEN", "abc", 1), 0);
  assert_ok(pl_destination_web(&kept.items[0], &peer, &secret, &test_err));
  assert_string_equal(peer.secret, "abc");
  pl_secret_free(&secret);
  assert_int_equal(unsetenv("TOKEN"), 0);
  assert_fails(pl_destination_web(&kept.items[0], &peer, &secret, &test_err), LC_ERR_CONFIG,
               "environment variable TOKEN");
  pl_secret_free(&secret);
  pl_destinations_free(&kept);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, outbox_test_make, outbox_test_remove)
  const struct CMUnitTest tests[] = {TEST(the_same_is_queued_once),
                                     TEST(bytes_stay_while_a_destination_needs_them),
                                     TEST(what_is_sent_is_not_queued_again),
                                     TEST(another_content_replaces_only_when_asked),
                                     TEST(one_process_sends),
                                     TEST(folders_that_are_none),
                                     TEST(waits_grow_and_end),
                                     TEST(sent_is_final_without_commitment_only),
                                     TEST(what_has_arrived_may_be_forgotten),
                                     TEST(destinations_are_kept_without_secrets)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
