/* Receives the objects of one association in a child process: reserves room in the spool, checks
 * each object, and moves it into its series. */
#include "pipeline/delivery/pl_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
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
  struct pl_spool *spool;
  size_t slot;
  unsigned long long number;
  int descriptor;
  char part[LC_PATH_SIZE];
  long long written, reserved;
  size_t logged;
  bool too_full; /* logged once */
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
  atomic_store(&spool->reserved[receiving->slot], receiving->reserved);
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

static uint16_t begin(void *context, const struct ct_scp_object *object, int *descriptor) {
  struct receiving *receiving = (struct receiving *)context;
  if (!ct_uid_plausible(object->sop_instance_uid)) {
    log_refusal(receiving, object, "its UID is not 1 to 64 digits and dots");
    return CT_STORE_NOT_UNDERSTOOD;
  }
  receiving->written = receiving->reserved = 0;
  receiving->descriptor =
      open(receiving->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (receiving->descriptor < 0) {
    log_refusal(receiving, object, strerror(errno));
    return CT_STORE_NO_RESOURCES;
  }
  *descriptor = receiving->descriptor;
  return CT_STORE_OK;
}

static uint16_t room(void *context, size_t count) {
  struct receiving *receiving = (struct receiving *)context;
  receiving->written += (long long)count;
  while (receiving->written > receiving->reserved)
    if (!reserve(receiving, STEP)) return CT_STORE_NO_RESOURCES;
  return CT_STORE_OK;
}

static uint16_t keep(struct receiving *receiving, const struct ct_scp_object *object,
                     struct lc_error *err) {
  struct ct_identity identity;
  char name[PL_SPOOL_NAME];
  bool is_new;
  if (ct_identity_read(&identity, receiving->part, err) != LC_OK) return CT_STORE_NOT_UNDERSTOOD;
  if (strcmp(identity.sop_instance_uid, object->sop_instance_uid) != 0 ||
      strcmp(identity.sop_class_uid, object->sop_class_uid) != 0) {
    snprintf(err->message, sizeof err->message, "it is announced as another object than it is");
    return CT_STORE_MISMATCH;
  }
  if (pl_spool_put(receiving->spool, &identity, receiving->part, name, &is_new, err) != LC_OK)
    return CT_STORE_NO_RESOURCES;
  if (is_new)
    lc_log(LC_LOG_INFO, "association %llu: series %s begins (%s, kept as %s)", receiving->number,
           identity.series_instance_uid, identity.modality, name);
  return CT_STORE_OK;
}

static uint16_t end(void *context, const struct ct_scp_object *object, uint16_t so_far) {
  struct receiving *receiving = (struct receiving *)context;
  struct lc_error err = {{0}};
  uint16_t answer = so_far;
  if (answer == CT_STORE_OK && fsync(receiving->descriptor) != 0) {
    answer = CT_STORE_NO_RESOURCES;
    snprintf(err.message, sizeof err.message, "%s", strerror(errno));
  }
  if (close(receiving->descriptor) != 0 && answer == CT_STORE_OK) answer = CT_STORE_NO_RESOURCES;
  if (answer == CT_STORE_OK) answer = keep(receiving, object, &err);
  if (answer != CT_STORE_OK) unlink(receiving->part);
  if (answer != CT_STORE_OK && *err.message) log_refusal(receiving, object, err.message);
  receiving->reserved = 0;
  atomic_store(&receiving->spool->reserved[receiving->slot], 0);
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

/* Hostile bytes can make a parser ask for a lot of memory; it then fails in this process alone. */
static void bound_memory(long long bytes) {
#if defined(__SANITIZE_ADDRESS__)
  (void)bytes; /* the sanitizer's own memory would count */
#else
  struct rlimit limit;
  if (bytes <= 0 || getrlimit(RLIMIT_DATA, &limit) != 0) return;
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < (rlim_t)bytes) return;
  limit.rlim_cur = (rlim_t)bytes;
  (void)setrlimit(RLIMIT_DATA, &limit);
#endif
}

void pl_receive(struct pl_spool *spool, size_t slot, int descriptor,
                const struct pl_receive_options *options, unsigned long long number,
                const char *address) {
  struct receiving receiving = {.spool = spool, .slot = slot, .number = number, .descriptor = -1};
  struct ct_scp_store store = {.context = &receiving,
                               .begin = begin,
                               .room = room,
                               .end = end,
                               .holds = options->commitment ? holds : NULL};
  struct ct_scp_summary summary;
  struct lc_error err = {{0}};
  LC_SCOPED(lc_text_free) struct lc_text why = {0};
  pl_spool_part(spool, slot, receiving.part);
  bound_memory(options->memory_bytes);
  lc_status status = ct_scp_serve(descriptor, &options->scp, &store, &summary, &err);
  lc_text_add(&why, "%s", status == LC_OK ? summary.released ? "released" : "ended" : err.message);
  for (size_t i = 0; i < why.length; i++)
    if (why.data[i] < ' ' || why.data[i] > '~') why.data[i] = ' ';
  lc_log(status == LC_OK ? LC_LOG_INFO : LC_LOG_WARNING,
         "association %llu from %s (%s): %s; %llu objects stored, %llu refused, %.1f MiB", number,
         address, summary.calling, lc_text_get(&why), (unsigned long long)summary.n_stored,
         (unsigned long long)summary.n_refused, (double)summary.n_bytes / 1048576.0);
}
