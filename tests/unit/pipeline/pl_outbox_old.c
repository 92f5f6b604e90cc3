/* An outbox of earlier versions, which kept each entry in a file, is taken over whole, also when
 * the program is killed in between, and its damage is seen.
 * needs: net */
#include "tests/pl_outbox_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHA "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void put(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

/* Keys sorted, no spaces: what the digest was made of. */
static const char *const entry_format =
    "{\"SOPClassUID\":\"1.2.840.10008.5.1.4.1.1.2\",\"SOPInstanceUID\":\"%s\","
    "\"StudyInstanceUID\":\"2.25.1000\",\"TransactionUID\":\"%s\","
    "\"TransferSyntaxUID\":\"1.2.840.10008.1.2.1\",\"attempts\":%d,\"destination\":\"%s\","
    "\"not_before_ms\":%lld,\"queued_ms\":%lld,\"sha256\":\"%s\",\"source\":\"/from/here.dcm\","
    "\"state\":\"%s\",\"text\":\"a \\\"reason\\\"\",\"version\":1,\"warning\":%s}";

/* entries/DESTINATION/UID.json as those versions wrote it. */
static void old_entry(const char *destination, const char *uid, const char *sha256,
                      const char *state) {
  char json[2048], whole[2200], hex[LC_SHA256_HEX], path[LC_PATH_SIZE], folder[LC_PATH_SIZE];
  snprintf(folder, sizeof folder, "%s/outbox/entries/%s", outbox_folder, destination);
  assert_ok(lc_folder_make(folder, &test_err));
  snprintf(json, sizeof json, entry_format, uid, strcmp(state, "sent") ? "" : "2.25.77", 3,
           destination, 5000000000000LL, 1700000000000LL, sha256, state,
           strcmp(state, "sent") ? "false" : "true");
  assert_ok(lc_hash_bytes_hex(json, strlen(json), hex, &test_err));
  json[strlen(json) - 1] = '\0';
  snprintf(whole, sizeof whole, "%s,\n \"digest\": \"%s\"}\n", json, hex);
  snprintf(path, sizeof path, "%.2000s/%.64s.json", folder, uid);
  put(path, whole);
}

/* An empty outbox of earlier versions, with a destination "a". */
static int make_old(void **state) {
  static const char *const folders[] = {"entries", "destinations", "objects", "damaged"};
  outbox_test_make(state);
  pl_outbox_close(&outbox_test);
  assert_ok(lc_folder_remove(outbox_path("outbox"), &test_err));
  for (size_t i = 0; i < 4; i++) {
    char path[LC_PATH_SIZE];
    snprintf(path, sizeof path, "%s/outbox/%s", outbox_folder, folders[i]);
    assert_ok(lc_folder_make(path, &test_err));
  }
  put(outbox_path("outbox/entries.lock"), "");
  put(outbox_path("outbox/destinations/a.yaml"), "host: pacs.example.org\nport: 104\n"
                                                 "commitment: {mode: listen}\n");
  put(outbox_path("outbox/destinations/a.json"),
      "{\n \"failures\": 4,\n \"not_before_ms\": 5000000000001,\n \"text\": \"no answer\"\n}");
  return 0;
}

/* Keeps an object as those versions did; sha256: of its bytes. */
static void old_object(const char *uid, char sha256[LC_SHA256_HEX]) {
  char target[LC_PATH_SIZE];
  const char *path = outbox_object(uid, 0);
  assert_ok(lc_hash_file_hex(path, sha256, &test_err));
  snprintf(target, sizeof target, "%s/outbox/objects/%s-%.16s.dcm", outbox_folder, uid, sha256);
  assert_int_equal(rename(path, target), 0);
}

static lc_status open_outbox(void) {
  return pl_outbox_open(&outbox_test, outbox_path("outbox"), false, &test_err);
}

static void nothing_old_is_left(void) {
  assert_false(lc_folder_exists(outbox_path("outbox/entries")));
  assert_false(lc_folder_exists(outbox_path("outbox/destinations")));
  assert_false(lc_folder_exists(outbox_path("outbox/entries.old")));
  assert_false(lc_file_exists(outbox_path("outbox/entries.lock")));
}

static void all_of_it_is_taken_over(void **state) {
  (void)state;
  old_entry("a", "2.25.1", SHA, "queued");
  old_entry("a", "2.25.2", SHA, "sent");
  old_entry("a", "2.25.3", SHA, "confirmed");
  old_entry("a", "2.25.4", SHA, "refused");
  old_entry("b", "2.25.1", SHA, "sent");
  assert_ok(open_outbox());
  nothing_old_is_left();
  struct pl_entries entries = outbox_list("a");
  assert_int_equal(entries.n, PL_STATES);
  for (size_t i = 0; i < entries.n; i++) {
    const struct pl_entry *entry = &entries.items[i];
    char uid[32];
    snprintf(uid, sizeof uid, "2.25.%zu", i + 1);
    assert_string_equal(entry->object.sop_instance_uid, uid);
    assert_string_equal(entry->object.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
    assert_string_equal(entry->object.study_instance_uid, "2.25.1000");
    assert_string_equal(entry->object.transfer_syntax_uid, "1.2.840.10008.1.2.1");
    assert_string_equal(entry->sha256, SHA);
    assert_int_equal(entry->state, i);
    assert_int_equal(entry->attempts, 3);
    assert_true(entry->queued_ms == 1700000000000LL && entry->not_before_ms == 5000000000000LL);
    assert_int_equal(entry->warning, i == PL_STATE_SENT);
    assert_string_equal(entry->transaction_uid, i == PL_STATE_SENT ? "2.25.77" : "");
    assert_string_equal(entry->text, "a \"reason\"");
    assert_string_equal(entry->source, "/from/here.dcm");
  }
  pl_entries_free(&entries);
  assert_int_equal(outbox_entry("b").state, PL_STATE_SENT);
  struct pl_destinations kept = {0};
  assert_ok(pl_outbox_kept_destinations(&outbox_test, &kept, &test_err));
  assert_int_equal(kept.n, 1);
  assert_string_equal(kept.items[0].name, "a");
  assert_string_equal(kept.items[0].host, "pacs.example.org");
  assert_int_equal(kept.items[0].port, 104);
  assert_int_equal(kept.items[0].commitment_mode, PL_COMMITMENT_LISTEN);
  pl_destinations_free(&kept);
  struct pl_standing standing;
  assert_ok(pl_outbox_standing(&outbox_test, "a", &standing, &test_err));
  assert_int_equal(standing.failures, 4);
  assert_true(standing.not_before_ms == 5000000000001LL);
  assert_string_equal(standing.text, "no answer");
}

/* What is in outbox.db is newer than a file that a stop left. */
static void what_is_there_stays(void **state) {
  (void)state;
  old_entry("a", "2.25.1", SHA, "queued");
  assert_ok(open_outbox());
  struct pl_entry entry = outbox_entry("a");
  entry.state = PL_STATE_CONFIRMED;
  assert_ok(pl_outbox_change(&outbox_test, &entry, &test_err));
  pl_outbox_close(&outbox_test);
  old_entry("a", "2.25.1", SHA, "queued");
  assert_ok(open_outbox());
  nothing_old_is_left();
  assert_int_equal(outbox_entry("a").state, PL_STATE_CONFIRMED);
}

/* Damaged entries are set aside; their objects are queued again, because there is one
 * destination. */
static void damage_is_seen(void **state) {
  (void)state;
  static const char *const damage[] = {"", "{", "not JSON", "{\"version\": 2}"};
  char sha256[LC_SHA256_HEX];
  for (int i = 0; i < 4; i++) {
    char uid[32], path[LC_PATH_SIZE];
    snprintf(uid, sizeof uid, "2.25.%d", i + 1);
    old_object(uid, sha256);
    old_entry("a", uid, sha256, "refused");
    snprintf(path, sizeof path, "%s/outbox/entries/a/%s.json", outbox_folder, uid);
    put(path, damage[i]);
  }
  /* A state that somebody changed; the entry of another object; no object; strangers. */
  char path[LC_PATH_SIZE], *json, *at;
  size_t length;
  old_object("2.25.5", sha256);
  old_entry("a", "2.25.5", sha256, "queued");
  lc_text_copy(path, sizeof path, outbox_path("outbox/entries/a/2.25.5.json"));
  assert_ok(lc_file_read(path, 4096, &json, &length, &test_err));
  at = strstr(json, "\"attempts\":3");
  assert_non_null(at);
  at[11] = '0';
  put(path, json);
  free(json);
  old_object("2.25.6", sha256);
  old_entry("a", "2.25.7", SHA, "sent");
  assert_int_equal(rename(outbox_path("outbox/entries/a/2.25.7.json"),
                          outbox_path("outbox/entries/a/2.25.6.json")),
                   0);
  put(outbox_path("outbox/entries/a/2.25.8.json"), "{}");
  put(outbox_path("outbox/entries/a/no-uid.json"), "x");
  put(outbox_path("outbox/destinations/broken.yaml"), "host: [");
  put(outbox_path("outbox/destinations/none.yaml"), "port: 104\n");
  put(outbox_path("outbox/destinations/b.json"), "{\"failures\": \"many\"");
  assert_ok(open_outbox());
  nothing_old_is_left();
  struct pl_destinations kept = {0};
  assert_ok(pl_outbox_kept_destinations(&outbox_test, &kept, &test_err));
  assert_int_equal(kept.n, 1);
  assert_ok(pl_outbox_tidy(&outbox_test, &kept, &test_err));
  pl_destinations_free(&kept);
  struct pl_entries entries = outbox_list(NULL);
  assert_int_equal(entries.n, 6);
  for (size_t i = 0; i < entries.n; i++) {
    assert_int_equal(entries.items[i].state, PL_STATE_QUEUED);
    assert_string_equal(entries.items[i].destination, "a");
    assert_ok(pl_outbox_verify(&outbox_test, &entries.items[i], &test_err));
  }
  pl_entries_free(&entries);
  static const char *const aside[] = {"a_2.25.1.json", "a_2.25.6.json", "a_2.25.5.json",
                                      "a_2.25.8.json", "a_no-uid.json", "broken.yaml",
                                      "none.yaml"};
  for (size_t i = 0; i < sizeof aside / sizeof *aside; i++) {
    snprintf(path, sizeof path, "%s/outbox/damaged/%s", outbox_folder, aside[i]);
    if (!lc_file_exists(path)) fail_msg("%s is not there", path);
  }
  struct pl_standing standing;
  assert_ok(pl_outbox_standing(&outbox_test, "b", &standing, &test_err));
  assert_int_equal(standing.failures, 0);
}

/* Killed at any moment: the entries are all in their files, or all in outbox.db. */
static void killed_in_between(void **state) {
  (void)state;
  enum { N = 400 };
  for (int i = 0; i < N; i++) {
    char uid[32];
    snprintf(uid, sizeof uid, "2.25.%d", i + 1);
    old_entry("a", uid, SHA, i % 2 ? "sent" : "queued");
  }
  for (int kills = 0; kills < 40; kills++) {
    pid_t child = fork();
    if (child == 0) _exit(open_outbox() == LC_OK ? 0 : 1);
    usleep((useconds_t)(1500 * kills));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    /* A state of earlier versions, untouched, until outbox.db has it all. */
    if (!lc_folder_exists(outbox_path("outbox/entries"))) break;
    assert_true(lc_file_exists(outbox_path("outbox/entries/a/2.25.1.json")));
    assert_true(lc_file_exists(outbox_path("outbox/entries/a/2.25.400.json")));
  }
  assert_ok(open_outbox());
  nothing_old_is_left();
  struct pl_entries entries = outbox_list("a");
  assert_int_equal(entries.n, N);
  for (size_t i = 0; i < N; i++) assert_int_equal(entries.items[i].attempts, 3);
  pl_entries_free(&entries);
}

/* An earlier version that still sends is not pulled the ground from under. */
static void an_earlier_version_at_work(void **state) {
  (void)state;
  old_entry("a", "2.25.1", SHA, "queued");
  int lock = open(outbox_path("outbox/sender.lock"), O_RDWR | O_CREAT, 0666);
  assert_true(lock >= 0 && flock(lock, LOCK_EX) == 0);
  assert_fails(open_outbox(), LC_ERR_NOT_WRITABLE, "an earlier version of lungcdam sends from it");
  assert_true(lc_file_exists(outbox_path("outbox/entries/a/2.25.1.json")));
  close(lock);
  assert_ok(open_outbox());
  assert_int_equal(outbox_entry("a").state, PL_STATE_QUEUED);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_old, outbox_test_remove)
  const struct CMUnitTest tests[] = {TEST(all_of_it_is_taken_over), TEST(what_is_there_stays),
                                     TEST(damage_is_seen), TEST(killed_in_between),
                                     TEST(an_earlier_version_at_work)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
