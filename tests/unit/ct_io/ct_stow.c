/* What follows from a server's answer and from a status, by the standard's tables.
 * needs: net */
#include "ct_io/net/ct_stow.h"

#include "tests/lc_test.h"

static void statuses_have_consequences(void **state) {
  (void)state;
  const struct {
    uint16_t status;
    ct_store_outcome outcome;
    bool warning;
  } cases[] = {
      {0x0000, CT_STORE_STORED, false},  {0xb000, CT_STORE_STORED, true},
      {0xb006, CT_STORE_STORED, true},   {0xb007, CT_STORE_STORED, true},
      {0xbabe, CT_STORE_STORED, true},   {0x0107, CT_STORE_STORED, true},
      {0x0111, CT_STORE_STORED, true},   {0xa700, CT_STORE_RETRY, false},
      {0xa7ff, CT_STORE_RETRY, false},   {0x0110, CT_STORE_RETRY, false},
      {0xa900, CT_STORE_REFUSED, false}, {0xc000, CT_STORE_REFUSED, false},
      {0xcfff, CT_STORE_REFUSED, false}, {0x0122, CT_STORE_REFUSED, false},
      {0x0124, CT_STORE_REFUSED, false}, {0x1234, CT_STORE_REFUSED, false},
      {0xa800, CT_STORE_REFUSED, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct ct_store_answer answer;
    ct_store_judge(cases[i].status, &answer);
    if (answer.outcome != cases[i].outcome || answer.warning != cases[i].warning)
      fail_msg("status %04X: outcome %d, warning %d", cases[i].status, (int)answer.outcome,
               answer.warning);
    assert_true((answer.text[0] == '\0') == (cases[i].status == 0));
  }
}

static struct ct_object objects[3] = {
    {.sop_instance_uid = "1.2.1"}, {.sop_instance_uid = "1.2.2"}, {.sop_instance_uid = "1.2.3"}};
static struct ct_store_answer answers[3];

static lc_status read_answer(const char *json) {
  memset(answers, 0x55, sizeof answers);
  return ct_stow_read_answer(json, strlen(json), objects, 3, answers, &test_err);
}

/* PS3.18 table I.1-1: one stored, one stored with a warning, one failed. */
static void each_object_has_its_answer(void **state) {
  (void)state;
  assert_ok(read_answer(
      "{\"00081198\":{\"vr\":\"SQ\",\"Value\":[{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2.3\"]},"
      "\"00081197\":{\"vr\":\"US\",\"Value\":[43264]}}]},"
      "\"00081199\":{\"vr\":\"SQ\",\"Value\":[{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2.1\"]}},"
      "{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2.2\"]},\"00081196\":{\"vr\":\"US\",\"Value\":"
      "[45056]}}]}}"));
  assert_int_equal(answers[0].outcome, CT_STORE_STORED);
  assert_false(answers[0].warning);
  assert_int_equal(answers[1].outcome, CT_STORE_STORED);
  assert_true(answers[1].warning);
  assert_int_equal(answers[1].status, 0xb000);
  assert_int_equal(answers[2].outcome, CT_STORE_REFUSED);
  assert_int_equal(answers[2].status, 0xa900);
}

static void what_is_not_named_is_sent_again(void **state) {
  (void)state;
  const char *const silent[] = {
      "{}",
      "[{}]",
      "{\"00081199\":{\"vr\":\"SQ\"}}",
      "{\"00081199\":{\"Value\":[{}, 7, null]}}",
      "{\"00081199\":7,\"00081198\":\"x\"}",
      "{\"00081199\":{\"Value\":[{\"00081155\":{\"Value\":[\"1.2.4\"]}}]}}"};
  for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
    assert_ok(read_answer(silent[i]));
    for (int k = 0; k < 3; k++) assert_int_equal(answers[k].outcome, CT_STORE_RETRY);
  }
  /* Failed without a reason, or with one that says success: not stored. */
  assert_ok(
      read_answer("{\"00081198\":{\"Value\":[{\"00081155\":{\"Value\":[\"1.2.1\"]}},{\"00081155\":"
                  "{\"Value\":[\"1.2.2\"]},\"00081197\":{\"Value\":[0]}}]}}"));
  assert_int_equal(answers[0].outcome, CT_STORE_RETRY);
  assert_int_equal(answers[1].outcome, CT_STORE_RETRY);
}

static void answers_that_are_none(void **state) {
  (void)state;
  const char *const bad[] = {"", "<xml/>", "[]", "7", "{", "{\"a\":1,\"a\":2}", "\"text\""};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_fails(read_answer(bad[i]), LC_ERR_FORMAT, "not DICOM JSON");
}

static lc_status check(const char *url, ct_login login, const char *secret) {
  const struct ct_web_peer peer = {
      .url = url, .login = login, .secret = secret, .connect_s = 1, .answer_s = 1};
  return ct_web_peer_check(&peer, &test_err);
}

static void credentials_go_to_the_right_place(void **state) {
  (void)state;
  assert_ok(check("https://archive.example.org/dicom-web", CT_LOGIN_BASIC, "a:b"));
  assert_ok(check("http://localhost:8042/dicom-web", CT_LOGIN_BASIC, "a:b"));
  assert_ok(check("http://[::1]:8042/dicom-web", CT_LOGIN_BEARER, "t"));
  assert_ok(check("http://archive.example.org/dicom-web", CT_LOGIN_NONE, NULL));
  const char *const plain[] = {"http://archive.example.org/", "http://localhost.example.org/",
                               "http://127.0.0.1.example.org", "http://10.0.0.1:8042/"};
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    assert_fails(check(plain[i], CT_LOGIN_BASIC, "a:b"), LC_ERR_CONFIG, "over https only");
  assert_fails(check("https://a:b@archive/", CT_LOGIN_NONE, NULL), LC_ERR_CONFIG, "user in it");
  assert_fails(check("https://archive/", CT_LOGIN_BEARER, "a\r\nX: y"), LC_ERR_CONFIG, "lines");
  const char *const none[] = {"ftp://archive/", "https://",    "https:///path",
                              "archive",        "https://a b", "https://archive/?q=1"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    assert_fails(check(none[i], CT_LOGIN_NONE, NULL), LC_ERR_CONFIG, "expected https://HOST");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(statuses_have_consequences), cmocka_unit_test(each_object_has_its_answer),
      cmocka_unit_test(what_is_not_named_is_sent_again), cmocka_unit_test(answers_that_are_none),
      cmocka_unit_test(credentials_go_to_the_right_place)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
