/* Who may call, and where it is safe to listen.
 * needs: net */
#include "pipeline/guard/pl_listen.h"

#include <arpa/inet.h>

#include "tests/lc_test.h"

static uint32_t address(const char *text) {
  uint32_t value = 0;
  assert_int_equal(inet_pton(AF_INET, text, &value), 1);
  return value;
}

static lc_status callers(struct pl_listen *listen, const char *first, const char *second) {
  char *items[] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second};
  const struct pl_list list = {.items = items, .n = second ? 2 : 1};
  return pl_listen_callers(listen, &list, &test_err);
}

static void title_and_address_belong_together(void **state) {
  (void)state;
  struct pl_listen listen = {.address = PL_LISTEN_ADDRESS};
  const char **titles;
  size_t n;
  assert_true(pl_listen_knows(&listen, address("10.0.0.9"))); /* no list: everybody */
  assert_ok(callers(&listen, "CT01@10.0.0.7", "CT@2@10.1.0.0/16"));
  assert_true(pl_listen_knows(&listen, address("10.0.0.7")));
  assert_true(pl_listen_knows(&listen, address("10.1.255.3")));
  assert_false(pl_listen_knows(&listen, address("10.0.0.8")));
  assert_false(pl_listen_knows(&listen, address("10.2.0.1")));
  assert_ok(pl_listen_titles(&listen, address("10.1.2.3"), &titles, &n, &test_err));
  assert_int_equal(n, 1);
  assert_string_equal(titles[0], "CT@2");
  free(titles);
  assert_ok(callers(&listen, "CT01@10.0.0.7", "*@10.0.0.0/8"));
  assert_ok(pl_listen_titles(&listen, address("10.0.0.7"), &titles, &n, &test_err));
  assert_int_equal(n, 0); /* any title */
  free(titles);
  assert_ok(callers(&listen, "CT01@0.0.0.0/0", NULL));
  assert_true(pl_listen_knows(&listen, address("192.168.1.1")));
  pl_listen_free(&listen);
}

static void entries_that_are_none(void **state) {
  (void)state;
  struct pl_listen listen = {.address = PL_LISTEN_ADDRESS};
  static const char *const wrong[] = {"CT01",
                                      "@10.0.0.7",
                                      "CT01@",
                                      "CT01@10.0.0",
                                      "CT01@10.0.0.7/33",
                                      "CT01@10.0.0.7/x",
                                      "SEVENTEEN-LETTERS@10.0.0.7",
                                      "CT01@pacs.example",
                                      "CT01@10.0.0.7.8.9.10.11"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_fails(callers(&listen, wrong[i], NULL), LC_ERR_USAGE, wrong[i]);
  pl_listen_free(&listen);
}

static void beyond_this_machine_it_takes_tls(void **state) {
  (void)state;
  struct ct_peer self;
  struct pl_listen listen = {.address = "127.0.0.5"};
  ct_peer_init(&self);
  assert_ok(pl_listen_check(&listen, &self, &test_err));
  listen.address = "0.0.0.0";
  assert_fails(pl_listen_check(&listen, &self, &test_err), LC_ERR_USAGE, "--insecure");
  listen.insecure = true;
  assert_ok(pl_listen_check(&listen, &self, &test_err));
  listen.insecure = false;
  self.tls = true;
  assert_fails(pl_listen_check(&listen, &self, &test_err), LC_ERR_CONFIG, "those of the system");
  self.tls_ca_file = "ca.pem";
  assert_ok(pl_listen_check(&listen, &self, &test_err));
  listen.address = "localhost";
  assert_fails(pl_listen_check(&listen, &self, &test_err), LC_ERR_USAGE, "IPv4");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(title_and_address_belong_together),
                                     cmocka_unit_test(entries_that_are_none),
                                     cmocka_unit_test(beyond_this_machine_it_takes_tls)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
