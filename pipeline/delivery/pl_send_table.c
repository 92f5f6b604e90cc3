/* Prints the tables of destinations and of objects. */
#include "pipeline/delivery/pl_send.h"

#include <time.h>

#include "common/lc_scope.h"

void pl_send_time(char out[PL_TIME_SIZE], long long unix_ms) {
  struct tm parts;
  time_t seconds = (time_t)(unix_ms / 1000);
  out[0] = '\0';
  if (unix_ms > 0 && gmtime_r(&seconds, &parts))
    strftime(out, PL_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static void put_time(struct pl_table *table, long long unix_ms) {
  char text[PL_TIME_SIZE];
  pl_send_time(text, unix_ms);
  if (text[0])
    pl_table_text(table, text);
  else
    pl_table_missing(table);
}

/* -- destinations --------------------------------------------------------------------------- */

static const struct pl_column status_columns[] = {
    {"destination", "DESTINATION", false},
    {"queued", "QUEUED", true},
    {"sent", "SENT", true},
    {"confirmed", "CONFIRMED", true},
    {"refused", "REFUSED", true},
    {"warnings", "WARNINGS", true},
    {"damaged", NULL, true},
    {"failures", "FAILURES", true},
    {"next_try", "NEXT TRY", false},
    {"last_failure", "LAST FAILURE", false},
};

static lc_status put_destination(struct pl_outbox *outbox, const struct pl_destinations *known,
                                 const char *name, struct pl_table *table, struct lc_error *err) {
  struct pl_outlook outlook;
  LC_TRY(pl_outbox_look_ahead(outbox, known, name, 0, &outlook, err));
  pl_table_text(table, name);
  for (int k = 0; k < PL_STATES; k++) pl_table_integer(table, (long long)outlook.count[k]);
  pl_table_integer(table, (long long)outlook.warnings);
  pl_table_integer(table, (long long)outlook.damaged);
  pl_table_integer(table, outlook.standing.failures);
  put_time(table, outlook.next_ms);
  pl_table_text(table, outlook.standing.text);
  return LC_OK;
}

lc_status pl_send_print_status(struct pl_outbox *outbox, const struct pl_destinations *known,
                               const struct pl_destinations *chosen, enum pl_table_form form,
                               struct lc_error *err) {
  LC_SCOPED(pl_table_free) struct pl_table table;
  pl_table_init(&table, status_columns, sizeof status_columns / sizeof *status_columns);
  for (size_t i = 0; i < chosen->n; i++)
    LC_TRY(put_destination(outbox, known, chosen->items[i].name, &table, err));
  return pl_table_print(&table, form, stdout, err);
}

/* -- objects -------------------------------------------------------------------------------- */

static const struct pl_column list_columns[] = {
    {"destination", "DESTINATION", false},
    {"SOPInstanceUID", "OBJECT", false},
    {"state", "STATE", false},
    {"attempts", "TRIES", true},
    {"queued", "QUEUED", false},
    {"next_try", "NEXT TRY", false},
    {"warning", NULL, false},
    {"reason", "REASON", false},
    {"file", "FILE", false},
    {"SOPClassUID", NULL, false},
    {"StudyInstanceUID", NULL, false},
    {"sha256", NULL, false},
};

/* Why an object is in its state, where nobody gave a reason. */
static const char *default_reason(const struct pl_destinations *known,
                                  const struct pl_entry *entry) {
  switch (entry->state) {
  case PL_STATE_QUEUED:
    return "not tried yet";
  case PL_STATE_SENT:
    if (pl_entry_is_final(known, entry)) return "stored";
    if (!pl_destinations_find(known, entry->destination))
      return "stored; its destination is not known any more";
    return entry->transaction_uid[0] ? "stored; commitment is asked for, no answer yet"
                                     : "stored; commitment is not asked for yet";
  case PL_STATE_CONFIRMED:
    return "stored and committed";
  case PL_STATE_REFUSED:
    break;
  }
  return "refused without a reason";
}

static lc_status put_object(struct pl_outbox *outbox, const struct pl_destinations *known,
                            const struct pl_entry *entry, struct pl_table *table,
                            struct lc_error *err) {
  struct pl_standing standing = {0};
  long long next_ms = 0;
  const char *reason = entry->text;
  if (!pl_entry_is_final(known, entry)) {
    LC_TRY(pl_outbox_standing(outbox, entry->destination, &standing, err));
    next_ms = entry->not_before_ms;
    if (standing.not_before_ms > next_ms) next_ms = standing.not_before_ms;
    if (!reason[0]) reason = standing.text;
  }
  pl_table_text(table, entry->destination);
  pl_table_text(table, entry->object.sop_instance_uid);
  pl_table_text(table, pl_state_names[entry->state]);
  pl_table_integer(table, entry->attempts);
  put_time(table, entry->queued_ms);
  put_time(table, next_ms);
  pl_table_bool(table, entry->warning);
  pl_table_text(table, reason[0] ? reason : default_reason(known, entry));
  pl_table_text(table, entry->source);
  pl_table_text(table, entry->object.sop_class_uid);
  pl_table_text(table, entry->object.study_instance_uid);
  pl_table_text(table, entry->sha256);
  return LC_OK;
}

lc_status pl_send_print_list(struct pl_outbox *outbox, const struct pl_destinations *known,
                             const struct pl_destinations *chosen, enum pl_table_form form,
                             struct lc_error *err) {
  LC_SCOPED(pl_table_free) struct pl_table table;
  LC_SCOPED(pl_entries_free) struct pl_entries entries = {0};
  pl_table_init(&table, list_columns, sizeof list_columns / sizeof *list_columns);
  LC_TRY(pl_outbox_list(outbox, NULL, &entries, err));
  for (size_t i = 0; i < entries.n; i++)
    if (!chosen || pl_destinations_find(chosen, entries.items[i].destination))
      LC_TRY(put_object(outbox, known, &entries.items[i], &table, err));
  return pl_table_print(&table, form, stdout, err);
}
