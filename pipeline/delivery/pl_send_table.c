/* Prints the tables of destinations and of objects, and finds out what a destination waits for. */
#include "pipeline/delivery/pl_send_table.h"

#include <string.h>
#include <time.h>

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

static void look_ahead(const struct pl_destinations *known, const struct pl_entries *entries,
                       const struct pl_standing *standing, struct pl_prospect *prospect) {
  const struct pl_entry *next = NULL;
  memset(prospect, 0, sizeof *prospect);
  for (size_t i = 0; i < entries->n; i++) {
    const struct pl_entry *entry = &entries->items[i];
    prospect->refused += entry->state == PL_STATE_REFUSED;
    if (pl_send_final(known, entry)) continue;
    prospect->open++;
    if (!next || entry->not_before_ms < next->not_before_ms) next = entry;
  }
  if (!next) return;
  bool waits = standing->not_before_ms > next->not_before_ms;
  prospect->next_ms = waits ? standing->not_before_ms : next->not_before_ms;
  lc_text_copy(prospect->reason, sizeof prospect->reason,
               standing->failures > 0 ? standing->text : next->text);
}

lc_status pl_send_prospect(struct pl_outbox *outbox, const struct pl_destinations *known,
                           const char *name, struct pl_prospect *prospect, struct lc_error *err) {
  struct pl_entries entries;
  struct pl_standing standing;
  LC_TRY(pl_outbox_list(outbox, name, &entries, err));
  pl_outbox_standing(outbox, name, &standing);
  look_ahead(known, &entries, &standing, prospect);
  pl_entries_free(&entries);
  return LC_OK;
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
  struct pl_entries entries;
  struct pl_standing standing;
  struct pl_prospect prospect;
  size_t count[PL_STATES] = {0}, warnings = 0;
  LC_TRY(pl_outbox_list(outbox, name, &entries, err));
  pl_outbox_standing(outbox, name, &standing);
  for (size_t i = 0; i < entries.n; i++) {
    count[entries.items[i].state]++;
    warnings += entries.items[i].warning;
  }
  look_ahead(known, &entries, &standing, &prospect);
  pl_table_text(table, name);
  for (int k = 0; k < PL_STATES; k++) pl_table_integer(table, (long long)count[k]);
  pl_table_integer(table, (long long)warnings);
  pl_table_integer(table, (long long)entries.n_damaged);
  pl_table_integer(table, standing.failures);
  put_time(table, prospect.next_ms);
  pl_table_text(table, standing.text);
  pl_entries_free(&entries);
  return LC_OK;
}

lc_status pl_send_print_status(struct pl_outbox *outbox, const struct pl_destinations *known,
                               const struct pl_destinations *chosen, enum pl_table_form form,
                               struct lc_error *err) {
  struct pl_table table;
  lc_status status = LC_OK;
  pl_table_init(&table, status_columns, sizeof status_columns / sizeof *status_columns);
  for (size_t i = 0; i < chosen->n && status == LC_OK; i++)
    status = put_destination(outbox, known, chosen->items[i].name, &table, err);
  if (status == LC_OK) status = pl_table_print(&table, form, stdout, err);
  pl_table_free(&table);
  return status;
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
    if (pl_send_final(known, entry)) return "stored";
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

static void put_object(struct pl_outbox *outbox, const struct pl_destinations *known,
                       const struct pl_entry *entry, struct pl_table *table) {
  struct pl_standing standing = {0};
  long long next_ms = 0;
  const char *reason = entry->text;
  if (!pl_send_final(known, entry)) {
    pl_outbox_standing(outbox, entry->destination, &standing);
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
}

lc_status pl_send_print_list(struct pl_outbox *outbox, const struct pl_destinations *known,
                             const struct pl_destinations *chosen, enum pl_table_form form,
                             struct lc_error *err) {
  struct pl_table table;
  struct pl_entries entries;
  LC_TRY(pl_outbox_list(outbox, NULL, &entries, err));
  pl_table_init(&table, list_columns, sizeof list_columns / sizeof *list_columns);
  for (size_t i = 0; i < entries.n; i++)
    if (!chosen || pl_destinations_find(chosen, entries.items[i].destination))
      put_object(outbox, known, &entries.items[i], &table);
  lc_status status = pl_table_print(&table, form, stdout, err);
  pl_table_free(&table);
  pl_entries_free(&entries);
  return status;
}
