/* Receives the objects of one association in a child process: reserves room in the spool, checks
 * each object, and moves it into its series. */
#include "pipeline/delivery/pl_serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"

/* Room is taken in steps, so that processes seldom look at what they share. */
#define STEP ((long long)1 << 20)
/* Refused objects that are logged one by one, of one association. */
#define LOGGED_MOST 5

struct receiving {
  const struct pl_receiver *with;
  struct pl_spool *spool;
  unsigned long long number;
  int descriptor;
  char part[LC_PATH_SIZE];
  long long written, reserved;
  size_t logged;
  bool too_full, too_many, differs; /* logged once */
  struct pl_audit_studies studies;
  struct pl_audit_peer peer;
};

static void log_refusal(struct receiving *receiving, const struct ct_scp_object *object,
                        const char *what) {
  if (receiving->logged++ < LOGGED_MOST)
    lc_log(LC_LOG_WARNING, "association %llu: object %s refused: %s", receiving->number,
           object->sop_instance_uid, what);
}

static bool reserve(struct receiving *receiving, long long bytes) {
  struct pl_spool *spool = receiving->spool;
  struct lc_error err;
  bool fits = false;
  receiving->reserved += bytes;
  atomic_store(&spool->reserved[receiving->with->slot], receiving->reserved);
  if (pl_spool_make_room(spool, &fits, &err) != LC_OK)
    lc_log(LC_LOG_ERROR, "%s", err.message);
  else if (!fits && !receiving->too_full)
    lc_log(LC_LOG_WARNING,
           "association %llu: the spool is full (%lld MiB): objects are refused as out of "
           "resources; the sender may try again later",
           receiving->number, spool->limits.max_bytes >> 20);
  receiving->too_full = !fits;
  return fits;
}

/* The peer has sent as much as it may in a minute. */
static uint16_t too_many(struct receiving *receiving) {
  if (!receiving->too_many)
    lc_log(LC_LOG_WARNING,
           "association %llu: more than one address may send in a minute: objects are refused as "
           "out of resources; the sender may try again later",
           receiving->number);
  receiving->too_many = true;
  return CT_STORE_NO_RESOURCES;
}

static uint16_t begin(void *context, const struct ct_scp_object *object, int *descriptor) {
  struct receiving *receiving = (struct receiving *)context;
  if (!ct_uid_plausible(object->sop_instance_uid)) {
    log_refusal(receiving, object, "its UID is not 1 to 64 digits and dots");
    return CT_STORE_NOT_UNDERSTOOD;
  }
  if (!pl_traffic_object(receiving->with->traffic, receiving->with->slot))
    return too_many(receiving);
  receiving->written = receiving->reserved = 0;
  unlink(receiving->part);
  receiving->descriptor =
      open(receiving->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (receiving->descriptor < 0) {
    log_refusal(receiving, object, strerror(errno));
    return CT_STORE_NO_RESOURCES;
  }
  *descriptor = receiving->descriptor;
  return CT_STORE_OK;
}

static uint16_t room(void *context, size_t count) {
  struct receiving *receiving = (struct receiving *)context;
  if (!pl_traffic_bytes(receiving->with->traffic, receiving->with->slot, (long long)count))
    return too_many(receiving);
  receiving->written += (long long)count;
  while (receiving->written > receiving->reserved)
    if (!reserve(receiving, STEP)) return CT_STORE_NO_RESOURCES;
  return CT_STORE_OK;
}

static void tell_studies(struct receiving *receiving) {
  pl_audit_transferred(receiving->with->options->audit, &receiving->peer, true, PL_AUDIT_GOOD,
                       &receiving->studies);
  receiving->studies.n = 0;
}

static void note_study(struct receiving *receiving, const struct ct_identity *identity) {
  const char *study = identity->study_instance_uid;
  if (pl_audit_add(&receiving->studies, study, identity->patient_id, identity->sop_class_uid))
    return;
  tell_studies(receiving);
  (void)pl_audit_add(&receiving->studies, study, identity->patient_id, identity->sop_class_uid);
}

/* An object came with another data set than the one that is here under its UID. */
static uint16_t changed(struct receiving *receiving, const struct ct_identity *identity,
                        struct lc_error *err) {
  if (!receiving->with->options->receive.replace) {
    snprintf(err->message, sizeof err->message,
             "it differs from the object that is here under its UID, which stays");
    return CT_STORE_DUPLICATE;
  }
  if (!receiving->differs)
    lc_log(LC_LOG_WARNING,
           "association %llu: series %s: objects differ from those that are here under their UIDs: "
           "they replace them, and the series is worked on again",
           receiving->number, identity->series_instance_uid);
  receiving->differs = true;
  return CT_STORE_OK;
}

static uint16_t keep(struct receiving *receiving, const struct ct_scp_object *object,
                     struct lc_error *err) {
  struct ct_identity identity;
  struct pl_spool_put put;
  if (ct_identity_read(&identity, receiving->part, err) != LC_OK) return CT_STORE_NOT_UNDERSTOOD;
  if (strcmp(identity.sop_instance_uid, object->sop_instance_uid) != 0 ||
      strcmp(identity.sop_class_uid, object->sop_class_uid) != 0) {
    snprintf(err->message, sizeof err->message, "it is announced as another object than it is");
    return CT_STORE_MISMATCH;
  }
  if (pl_spool_put(receiving->spool, &identity, receiving->part,
                   receiving->with->options->receive.replace, &put, err) != LC_OK)
    return CT_STORE_NO_RESOURCES;
  uint16_t answer = put.differs ? changed(receiving, &identity, err) : CT_STORE_OK;
  if (put.is_new && answer == CT_STORE_OK)
    lc_log(LC_LOG_INFO, "association %llu: series %s begins (%s, kept as %s)", receiving->number,
           identity.series_instance_uid, identity.modality, put.name);
  if (answer == CT_STORE_OK) note_study(receiving, &identity);
  return answer;
}

static uint16_t end(void *context, const struct ct_scp_object *object, uint16_t so_far) {
  struct receiving *receiving = (struct receiving *)context;
  struct lc_error err = {{0}};
  uint16_t answer = so_far;
  pl_traffic_busy(receiving->with->traffic, receiving->with->slot, true);
  if (answer == CT_STORE_OK && fsync(receiving->descriptor) != 0) {
    answer = CT_STORE_NO_RESOURCES;
    snprintf(err.message, sizeof err.message, "%s", strerror(errno));
  }
  if (close(receiving->descriptor) != 0 && answer == CT_STORE_OK) answer = CT_STORE_NO_RESOURCES;
  if (answer == CT_STORE_OK) answer = keep(receiving, object, &err);
  if (answer != CT_STORE_OK) unlink(receiving->part);
  if (answer != CT_STORE_OK && *err.message) log_refusal(receiving, object, err.message);
  receiving->reserved = 0;
  atomic_store(&receiving->spool->reserved[receiving->with->slot], 0);
  pl_traffic_busy(receiving->with->traffic, receiving->with->slot, false);
  return answer;
}

static bool holds(void *context, const char *sop_instance_uid) {
  struct receiving *receiving = (struct receiving *)context;
  struct lc_error err;
  bool held = false;
  if (pl_spool_holds(receiving->spool, sop_instance_uid, &held, &err) == LC_OK) return held;
  lc_log(LC_LOG_ERROR, "%s", err.message);
  return false;
}

/* What 'run' works on, and the kinds of file that nodules are read from (docs/nodules.md). */
static const char *const sop_classes[] = {
    "1.2.840.10008.5.1.4.1.1.2",      /* CT Image */
    "1.2.840.10008.5.1.4.1.1.2.1",    /* Enhanced CT Image */
    "1.2.840.10008.5.1.4.1.1.2.2",    /* Legacy Converted Enhanced CT Image */
    "1.2.840.10008.5.1.4.1.1.66.4",   /* Segmentation */
    "1.2.840.10008.5.1.4.1.1.481.3",  /* RT Structure Set */
    "1.2.840.10008.5.1.4.1.1.88.11",  /* Basic Text SR */
    "1.2.840.10008.5.1.4.1.1.88.22",  /* Enhanced SR */
    "1.2.840.10008.5.1.4.1.1.88.33",  /* Comprehensive SR */
    "1.2.840.10008.5.1.4.1.1.88.34",  /* Comprehensive 3D SR */
    "1.2.840.10008.5.1.4.1.1.88.35",  /* Extensible SR */
    "1.2.840.10008.5.1.4.1.1.88.65"}; /* Chest CAD SR */

static lc_status serve(struct receiving *receiving, int descriptor, struct ct_scp_summary *summary,
                       struct lc_error *err) {
  const struct pl_serve_options *options = receiving->with->options;
  const struct ct_scp_store store = {.context = receiving,
                                     .begin = begin,
                                     .room = room,
                                     .end = end,
                                     .holds = options->receive.commitment ? holds : NULL};
  struct ct_scp_options scp = options->receive.scp;
  LC_FREED const char **titles = NULL;
  LC_TRY(pl_listen_titles(&options->listen, receiving->with->from, &titles, &scp.n_callers, err));
  scp.callers = titles;
  scp.sop_classes = sop_classes;
  scp.n_sop_classes = sizeof sop_classes / sizeof *sop_classes;
  return ct_scp_serve(descriptor, &scp, &store, summary, err);
}

void pl_receive(const struct pl_receiver *receiver, int descriptor) {
  struct receiving receiving = {
      .with = receiver, .spool = receiver->spool, .number = receiver->number, .descriptor = -1};
  struct ct_scp_summary summary = {.calling = ""};
  struct lc_error err = {{0}};
  char address[INET_ADDRSTRLEN] = "?";
  LC_SCOPED(lc_text_free) struct lc_text why = {0};
  inet_ntop(AF_INET, &receiver->from, address, sizeof address);
  pl_spool_part(receiver->spool, receiver->slot, receiving.part);
  pl_serve_bound_memory(receiver->options->receive.memory_bytes);
  receiving.peer = (struct pl_audit_peer){.title = summary.calling, .address = address};
  lc_status status = serve(&receiving, descriptor, &summary, &err);
  lc_text_add(&why, "%s", status == LC_OK ? summary.released ? "released" : "ended" : err.message);
  for (size_t i = 0; i < why.length; i++)
    if (why.data[i] < ' ' || why.data[i] > '~') why.data[i] = ' ';
  tell_studies(&receiving);
  if (summary.refused)
    pl_audit_refused(receiver->options->audit, &receiving.peer, lc_text_get(&why));
  lc_log(status == LC_OK ? LC_LOG_INFO : LC_LOG_WARNING,
         "association %llu from %s (%s): %s; %llu objects stored, %llu refused, %.1f MiB",
         receiver->number, address, summary.calling, lc_text_get(&why),
         (unsigned long long)summary.n_stored, (unsigned long long)summary.n_refused,
         (double)summary.n_bytes / 1048576.0);
}
