/* Turns a DIMSE status of C-STORE into words and an outcome: stored, to be tried again, or
 * refused. */
#include <stdio.h>
#include <string.h>

#include "ct_io/net/ct_store.h"

static const struct {
  uint16_t low, high;
  ct_store_outcome outcome;
  bool warning;
  const char *text;
} statuses[] = {
    {0x0000, 0x0000, CT_STORE_STORED, false, ""},
    {0x0001, 0x0001, CT_STORE_STORED, true, "optional attributes are not supported"},
    {0x0107, 0x0107, CT_STORE_STORED, true, "attribute list error"},
    {0x0110, 0x0110, CT_STORE_RETRY, false, "processing failure"},
    {0x0111, 0x0111, CT_STORE_STORED, true, "it was there already"},
    {0x0116, 0x0116, CT_STORE_STORED, true, "attribute value out of range"},
    {0x0117, 0x0117, CT_STORE_REFUSED, false, "invalid SOP instance"},
    {0x0122, 0x0122, CT_STORE_REFUSED, false, "SOP class not supported"},
    {0x0124, 0x0124, CT_STORE_REFUSED, false, "not authorised"},
    {0x0212, 0x0212, CT_STORE_REFUSED, false, "mistyped argument"},
    {0xa700, 0xa7ff, CT_STORE_RETRY, false, "out of resources"},
    {0xa900, 0xa9ff, CT_STORE_REFUSED, false, "the data set does not match its SOP class"},
    {0xb000, 0xb000, CT_STORE_STORED, true, "values were coerced"},
    {0xb006, 0xb006, CT_STORE_STORED, true, "elements were discarded"},
    {0xb007, 0xb007, CT_STORE_STORED, true, "the data set does not match its SOP class"},
    {0xb000, 0xbfff, CT_STORE_STORED, true, "stored with a warning"},
    {0xc000, 0xcfff, CT_STORE_REFUSED, false, "cannot be understood"},
    {0xfe00, 0xfe00, CT_STORE_RETRY, false, "cancelled"},
};

void ct_store_judge(uint16_t status, struct ct_store_answer *answer) {
  *answer = (struct ct_store_answer){.outcome = CT_STORE_REFUSED, .status = status};
  const char *text = "failure";
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    if (status < statuses[i].low || status > statuses[i].high) continue;
    answer->outcome = statuses[i].outcome;
    answer->warning = statuses[i].warning;
    text = statuses[i].text;
    break;
  }
  if (status != 0)
    snprintf(answer->text, sizeof answer->text, "status %04X: %s", (unsigned)status, text);
}

void ct_store_answer_set(struct ct_store_answer *answer, ct_store_outcome outcome, const char *fmt,
                         ...) {
  *answer = (struct ct_store_answer){.outcome = outcome};
  va_list words;
  va_start(words, fmt);
  vsnprintf(answer->text, sizeof answer->text, fmt, words);
  va_end(words);
}
