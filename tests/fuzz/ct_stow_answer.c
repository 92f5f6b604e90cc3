/* The answer of a STOW-RS server: whatever it says, objects that are not stored have a reason. */
#include "ct_io/net/ct_stow.h"
#include "tests/fuzz/lc_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const struct ct_object objects[] = {{.sop_instance_uid = "1.2.3"}, {.sop_instance_uid = "1.2.4"}};
  struct ct_store_answer answers[2] = {{0}};
  struct lc_error err;
  if (ct_stow_read_answer((const char *)data, size, objects, 2, answers, &err) != LC_OK) return 0;
  for (size_t i = 0; i < 2; i++)
    if (answers[i].outcome != CT_STORE_STORED && answers[i].text[0] == '\0') abort();
  return 0;
}
