/* Stores fetched objects in their folders after checking that they were asked for; for C-MOVE a
 * child process listens and forks for each association. */
#include "pipeline/delivery/pl_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/net/ct_scp.h"
#include "pipeline/store/pl_output.h"

/* Associations of the archive that may be open at once. */
#define RECEIVERS_MOST 8

/* What a process with this number left goes; a link is not followed. */
static int make_part(const struct pl_fetch_store *store) {
  unlink(store->part);
  return open(store->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
}

lc_status pl_fetch_path(const struct pl_fetch_options *options, const char *study,
                        const char *series, const char *object, char path[LC_PATH_SIZE],
                        struct lc_error *err) {
  const char *uids[] = {study, series, object};
  char names[3][129], longer[LC_PATH_SIZE], file[140];
  for (int i = 0; i < (object ? 3 : 2); i++) {
    if (!ct_uid_plausible(uids[i]))
      LC_FAIL(err, LC_ERR_FORMAT, "UID '%.80s' of the archive: expected 1 to 64 digits and dots",
              uids[i]);
    pl_output_name(names[i], uids[i]);
  }
  LC_TRY(lc_path_join(longer, options->folder, names[0], err));
  LC_TRY(lc_path_join(path, longer, names[1], err));
  if (!object) return LC_OK;
  memcpy(longer, path, sizeof longer);
  snprintf(file, sizeof file, "%s.dcm", names[2]);
  return lc_path_join(path, longer, file, err);
}

bool pl_fetch_has(const char *path, const char *object) {
  struct ct_identity identity;
  return lc_file_exists(path) && ct_identity_read(&identity, path, NULL) == LC_OK &&
         strcmp(identity.sop_instance_uid, object) == 0;
}

static bool is_wanted(const struct pl_fetch *wanted, const struct ct_identity *identity) {
  for (size_t i = 0; i < wanted->n; i++)
    if (strcmp(wanted->items[i].series.series_instance_uid, identity->series_instance_uid) == 0 &&
        strcmp(wanted->items[i].study.study_instance_uid, identity->study_instance_uid) == 0)
      return true;
  return false;
}

static lc_status begin_part(struct pl_fetch_store *store, struct lc_error *err) {
  char name[64];
  snprintf(name, sizeof name, ".object.%ld.partial", (long)getpid());
  return lc_path_join(store->part, store->options->folder, name, err);
}

static lc_status sync_and_rename(const char *part, const char *path, const char *folder,
                                 struct lc_error *err) {
  int descriptor = open(part, O_RDONLY | O_CLOEXEC);
  bool synced = descriptor >= 0 && fsync(descriptor) == 0;
  int error_number = errno;
  if (descriptor >= 0) close(descriptor);
  if (!synced) return lc_file_write_error(part, error_number, err);
  LC_TRY(lc_folder_make(folder, err));
  return rename(part, path) == 0 ? LC_OK : lc_file_write_error(path, errno, err);
}

/* The part is written: is it what was asked for, and what it was announced as? */
static lc_status keep(struct pl_fetch_store *store, const struct ct_scp_object *object,
                      struct lc_error *err) {
  struct ct_identity identity;
  char folder[LC_PATH_SIZE], path[LC_PATH_SIZE];
  LC_TRY(ct_identity_read(&identity, store->part, err));
  if (strcmp(identity.sop_instance_uid, object->sop_instance_uid) != 0)
    LC_FAIL(err, LC_ERR_FORMAT, "object %s was announced as %s", identity.sop_instance_uid,
            object->sop_instance_uid);
  if (!is_wanted(store->wanted, &identity))
    LC_FAIL(err, LC_ERR_MISMATCH, "object %s belongs to series %s, which was not asked for",
            identity.sop_instance_uid, identity.series_instance_uid);
  LC_TRY(pl_fetch_path(store->options, identity.study_instance_uid, identity.series_instance_uid,
                       NULL, folder, err));
  LC_TRY(pl_fetch_path(store->options, identity.study_instance_uid, identity.series_instance_uid,
                       identity.sop_instance_uid, path, err));
  return sync_and_rename(store->part, path, folder, err);
}

/* C-GET. A bad object is logged and left out; only our own disk ends the retrieval. */

static lc_status get_begin(void *context, const struct ct_scp_object *object, char path[4096],
                           struct lc_error *err) {
  struct pl_fetch_store *store = (struct pl_fetch_store *)context;
  (void)object;
  LC_TRY(begin_part(store, err));
  int descriptor = make_part(store);
  if (descriptor < 0) return lc_file_write_error(store->part, errno, err);
  close(descriptor);
  memcpy(path, store->part, sizeof store->part);
  return LC_OK;
}

static lc_status get_end(void *context, const struct ct_scp_object *object, bool whole,
                         struct lc_error *err) {
  struct pl_fetch_store *store = (struct pl_fetch_store *)context;
  lc_status status = whole ? keep(store, object, err) : LC_OK;
  unlink(store->part);
  if (status == LC_OK || status == LC_ERR_NO_SPACE || status == LC_ERR_NOT_WRITABLE) return status;
  lc_log(LC_LOG_WARNING, "%s; left out", err->message);
  return LC_OK;
}

struct ct_file_store pl_fetch_store_files(struct pl_fetch_store *store) {
  return (struct ct_file_store){.context = store, .begin = get_begin, .end = get_end};
}

/* C-MOVE: answers report to the archive how it went. */

static uint16_t move_begin(void *context, const struct ct_scp_object *object, int *descriptor) {
  struct pl_fetch_store *store = (struct pl_fetch_store *)context;
  struct lc_error err;
  (void)object;
  if (begin_part(store, &err) != LC_OK) return CT_STORE_NO_RESOURCES;
  unlink(store->part);
  store->descriptor = open(store->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  *descriptor = store->descriptor;
  if (store->descriptor >= 0) return CT_STORE_OK;
  lc_log(LC_LOG_ERROR, "%s: %s", store->part, strerror(errno));
  return CT_STORE_NO_RESOURCES;
}

static uint16_t move_room(void *context, size_t count) {
  (void)context, (void)count;
  return CT_STORE_OK;
}

static uint16_t move_end(void *context, const struct ct_scp_object *object, uint16_t so_far) {
  struct pl_fetch_store *store = (struct pl_fetch_store *)context;
  struct lc_error err = {{0}};
  uint16_t answer = so_far;
  if (close(store->descriptor) != 0 && answer == CT_STORE_OK) answer = CT_STORE_NO_RESOURCES;
  if (answer == CT_STORE_OK) {
    lc_status status = keep(store, object, &err);
    if (status == LC_ERR_NO_SPACE || status == LC_ERR_NOT_WRITABLE)
      answer = CT_STORE_NO_RESOURCES;
    else if (status != LC_OK)
      answer = status == LC_ERR_FORMAT ? CT_STORE_NOT_UNDERSTOOD : CT_STORE_MISMATCH;
    if (status != LC_OK) lc_log(LC_LOG_WARNING, "%s; refused", err.message);
  }
  unlink(store->part);
  return answer;
}

static void receive(struct pl_fetch_store *store, int descriptor, uint32_t from) {
  const struct ct_scp_store objects = {
      .context = store, .begin = move_begin, .room = move_room, .end = move_end};
  struct ct_scp_options options = {.self = store->options->peer,
                                   .object_s = store->options->peer.dimse_s};
  options.self.called_ae = store->options->peer.calling_ae;
  options.self.calling_ae = store->options->peer.called_ae;
  struct ct_scp_summary summary = {.calling = ""};
  struct lc_error err;
  LC_FREED const char **titles = NULL;
  lc_status status =
      pl_listen_titles(&store->options->listen, from, &titles, &options.n_callers, &err);
  options.callers = titles;
  if (status == LC_OK) status = ct_scp_serve(descriptor, &options, &objects, &summary, &err);
  if (status != LC_OK)
    lc_log(LC_LOG_WARNING, "association of the archive (%s): %s", summary.calling, err.message);
}

/* The listening child, and one child of it for each association. */
static void listen_for_ever(struct pl_fetch_store *store, int listening) {
  pid_t self = getpid();
  int running = 0;
  for (;;) {
    while (running > 0 && waitpid(-1, NULL, running < RECEIVERS_MOST ? WNOHANG : 0) > 0) running--;
    struct sockaddr_in from = {.sin_family = AF_INET};
    socklen_t length = sizeof from;
    int descriptor = accept4(listening, (struct sockaddr *)&from, &length, SOCK_CLOEXEC);
    if (descriptor < 0) continue;
    if (!pl_listen_knows(&store->options->listen, from.sin_addr.s_addr)) {
      lc_log(LC_LOG_WARNING, "a caller was refused: nobody may call from its address");
      close(descriptor);
      continue;
    }
    pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (getppid() != self) _exit(1);
      close(listening);
      receive(store, descriptor, from.sin_addr.s_addr);
      _exit(0);
    }
    running += child > 0;
    close(descriptor);
  }
}

lc_status pl_fetch_receiver_start(pid_t *receiver, struct pl_fetch_store *store,
                                  struct lc_error *err) {
  const struct pl_fetch_options *options = store->options;
  int listening, port;
  LC_TRY(pl_listen_check(&options->listen, &options->peer, err));
  LC_TRY(pl_listen_open(&options->listen, 0, &listening, &port, err));
  lc_log(LC_LOG_INFO, "listening on %s:%d as %s for what the archive moves",
         options->listen.address, port, options->peer.calling_ae);
  fflush(NULL);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    listen_for_ever(store, listening);
    _exit(0);
  }
  close(listening);
  if (child < 0) LC_FAIL(err, LC_ERR_MEMORY, "no process to receive in: %s", strerror(errno));
  *receiver = child;
  return LC_OK;
}

void pl_fetch_receiver_stop(const pid_t *receiver) {
  if (*receiver <= 0) return;
  kill(*receiver, SIGTERM); /* its children go with it, after the object they are at */
  while (waitpid(*receiver, NULL, 0) < 0 && errno == EINTR) {
  }
}
