/* Tells the audit trail which studies are sent to a destination and which of their objects arrived.
 */
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "pipeline/delivery/pl_send.h"

struct pl_send_study {
  char uid[CT_UID_SIZE], patient[CT_TEXT_SIZE];
};

void pl_send_audit_free(struct pl_send_audit *audit) {
  free(audit->studies);
  memset(audit, 0, sizeof *audit);
}

static const char *patient_of(const struct pl_send_audit *audit, const char *study) {
  for (size_t i = 0; i < audit->n; i++)
    if (strcmp(audit->studies[i].uid, study) == 0) return audit->studies[i].patient;
  return NULL;
}

/* arrived: only those that did. */
static void tell(const struct pl_send_audit *audit, const struct pl_route *route,
                 const struct pl_entries *due, bool arrived) {
  const struct pl_destination *to = route->destination;
  bool web = pl_destination_is_web(to), all = true;
  const struct pl_audit_peer peer = {.title = web ? to->name : to->called_ae,
                                     .address = web ? to->url : to->host};
  for (size_t i = 0; i < due->n; i++)
    all =
        all && (due->items[i].state == PL_STATE_SENT || due->items[i].state == PL_STATE_CONFIRMED);
  for (size_t i = 0; i < due->n;) {
    struct pl_audit_studies studies = {.n = 0};
    for (; i < due->n; i++) {
      const struct pl_entry *entry = &due->items[i];
      const char *patient = patient_of(audit, entry->object.study_instance_uid);
      if (arrived && entry->state != PL_STATE_SENT && entry->state != PL_STATE_CONFIRMED) continue;
      if (!pl_audit_add(&studies, entry->object.study_instance_uid, patient ? patient : "",
                        entry->object.sop_class_uid))
        break;
    }
    if (arrived)
      pl_audit_transferred(route->audit, &peer, false, all ? PL_AUDIT_GOOD : PL_AUDIT_MINOR,
                           &studies);
    else
      pl_audit_begin(route->audit, &peer, &studies);
  }
}

lc_status pl_send_audit_begin(struct pl_send_audit *audit, const struct pl_route *route,
                              const struct pl_entries *due, struct lc_error *err) {
  if (!route->audit) return LC_OK;
  LC_TRY(lc_alloc(&audit->studies, due->n, sizeof *audit->studies, err));
  for (size_t i = 0; i < due->n; i++) {
    const char *uid = due->items[i].object.study_instance_uid;
    struct ct_identity identity;
    char path[LC_PATH_SIZE];
    if (patient_of(audit, uid)) continue;
    struct pl_send_study *study = &audit->studies[audit->n++];
    lc_text_copy(study->uid, sizeof study->uid, uid);
    LC_TRY(pl_outbox_object(route->outbox, &due->items[i], path, err));
    if (ct_identity_read(&identity, path, NULL) == LC_OK)
      lc_text_copy(study->patient, sizeof study->patient, identity.patient_id);
  }
  tell(audit, route, due, false);
  return LC_OK;
}

void pl_send_audit_end(const struct pl_send_audit *audit, const struct pl_route *route,
                       const struct pl_entries *due) {
  if (route->audit) tell(audit, route, due, true);
}
