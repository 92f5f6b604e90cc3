/* Builds audit messages by the schema of PS3.15 A.5.1 and writes them to a file or to syslog. */
#include "pipeline/guard/pl_audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_file.h"
#include "common/lc_identity.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/report/pl_html.h"

/* Facility security/authorization (RFC 5424 table 1), severity notice and warning. */
enum { FACILITY = 10, NOTICE = 5, WARNING = 4 };

/* -- where messages go ---------------------------------------------------------------------- */

static lc_status connect_syslog(struct pl_audit *audit, const char *path, struct lc_error *err) {
  struct sockaddr_un where = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof where.sun_path)
    LC_FAIL(err, LC_ERR_USAGE, "--audit: %.80s...: too long for the path of a socket", path);
  lc_text_copy(where.sun_path, sizeof where.sun_path, path);
  audit->is_syslog = true;
  audit->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (audit->descriptor >= 0 &&
      connect(audit->descriptor, (struct sockaddr *)&where, sizeof where) == 0)
    return LC_OK;
  LC_FAIL(err, LC_ERR_NOT_WRITABLE, "--audit: %s: no syslog is there: %s", path, strerror(errno));
}

static lc_status open_file(struct pl_audit *audit, const char *path, struct lc_error *err) {
  struct stat info;
  audit->descriptor = open(
      path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0666);
  if (audit->descriptor < 0) return lc_file_write_error(path, errno, err);
  if (fstat(audit->descriptor, &info) == 0 && S_ISREG(info.st_mode)) return LC_OK;
  LC_FAIL(err, LC_ERR_NOT_WRITABLE, "--audit: %s is not a regular file", path);
}

lc_status pl_audit_open(struct pl_audit *audit, const char *where, const char *title,
                        const char *address, struct lc_error *err) {
  memset(audit, 0, sizeof *audit);
  audit->descriptor = -1;
  lc_text_copy(audit->where, sizeof audit->where, where);
  lc_text_copy(audit->title, sizeof audit->title, title);
  lc_text_copy(audit->address, sizeof audit->address, address);
  if (gethostname(audit->host, sizeof audit->host - 1) != 0 || !audit->host[0])
    lc_text_copy(audit->host, sizeof audit->host, "localhost");
  lc_status status;
  if (strcmp(where, "syslog") == 0)
    status = connect_syslog(audit, "/dev/log", err);
  else if (strncmp(where, "syslog:", 7) == 0)
    status = connect_syslog(audit, where + 7, err);
  else
    status = open_file(audit, where, err);
  if (status != LC_OK) pl_audit_close(audit);
  return status;
}

void pl_audit_close(struct pl_audit *audit) {
  if (audit->descriptor >= 0) close(audit->descriptor);
  audit->descriptor = -1;
}

static void now_text(char out[40]) {
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &parts));
  snprintf(out + n, 40 - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* One write a message: lines of several processes do not run into each other. */
static void write_message(struct pl_audit *audit, struct lc_text *message, bool is_alert) {
  LC_SCOPED(lc_text_free) struct lc_text whole = {0};
  char when[40];
  lc_text_add(message, "</AuditMessage>");
  if (audit->is_syslog) {
    now_text(when);
    lc_text_add(&whole, "<%d>1 %s %s lungcdam %ld DICOM+RFC3881 - \xef\xbb\xbf",
                8 * FACILITY + (is_alert ? WARNING : NOTICE), when, audit->host, (long)getpid());
  }
  lc_text_add(&whole, "%s%s", lc_text_get(message), audit->is_syslog ? "" : "\n");
  ssize_t written = -1;
  if (!message->failed && !whole.failed) {
    do written = write(audit->descriptor, lc_text_get(&whole), whole.length);
    while (written < 0 && errno == EINTR);
  }
  if (written != (ssize_t)whole.length)
    lc_log(LC_LOG_ERROR, "%s: an audit message is lost: %s", audit->where,
           written < 0 ? strerror(errno) : "the disk is full");
}

/* -- parts of a message (PS3.15 A.5.1.1) ---------------------------------------------------- */

static void add_attribute(struct lc_text *out, const char *name, const char *value) {
  lc_text_add(out, " %s=\"", name);
  pl_html_escape(out, value);
  lc_text_add(out, "\"");
}

static void add_code(struct lc_text *out, const char *element, const char *code,
                     const char *meaning) {
  lc_text_add(out, "<%s csd-code=\"%s\" codeSystemName=\"DCM\" originalText=\"%s\"/>", element,
              code, meaning);
}

static void begin(struct lc_text *out, char action, enum pl_audit_outcome outcome, const char *code,
                  const char *meaning, const char *type, const char *type_meaning) {
  char when[40];
  now_text(when);
  lc_text_add(out,
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage><EventIdentification "
              "EventActionCode=\"%c\" EventDateTime=\"%s\" EventOutcomeIndicator=\"%d\">",
              action, when, (int)outcome);
  add_code(out, "EventID", code, meaning);
  if (type) add_code(out, "EventTypeCode", type, type_meaning);
  lc_text_add(out, "</EventIdentification>");
}

/* NetworkAccessPointTypeCode: 1 a name, 2 an address, 5 a URI. */
static int kind_of_address(const char *address) {
  if (strstr(address, "://")) return 5;
  return strspn(address, "0123456789.") == strlen(address) ? 2 : 1;
}

static void add_participant(struct lc_text *out, const char *id, const char *title,
                            const char *address, bool is_requestor, const char *role,
                            const char *role_meaning) {
  lc_text_add(out, "<ActiveParticipant");
  add_attribute(out, "UserID", *id ? id : "unknown");
  if (title && *title) {
    lc_text_add(out, " AlternativeUserID=\"AETITLES=");
    pl_html_escape(out, title);
    lc_text_add(out, "\"");
  }
  lc_text_add(out, " UserIsRequestor=\"%s\"", is_requestor ? "true" : "false");
  if (*address) {
    add_attribute(out, "NetworkAccessPointID", address);
    lc_text_add(out, " NetworkAccessPointTypeCode=\"%d\"", kind_of_address(address));
  }
  lc_text_add(out, ">");
  if (role) add_code(out, "RoleIDCode", role, role_meaning);
  lc_text_add(out, "</ActiveParticipant>");
}

static void add_self(const struct pl_audit *audit, struct lc_text *out, bool is_requestor,
                     const char *role, const char *role_meaning) {
  char process[32];
  snprintf(process, sizeof process, "%ld", (long)getpid());
  add_participant(out, process, audit->title, *audit->address ? audit->address : audit->host,
                  is_requestor, role, role_meaning);
}

/* An application server process (A.5.1.2.1). */
static void add_source(const struct pl_audit *audit, struct lc_text *out) {
  lc_text_add(out, "<AuditSourceIdentification");
  add_attribute(out, "AuditSourceID", audit->host);
  lc_text_add(out, "><AuditSourceTypeCode csd-code=\"4\"/></AuditSourceIdentification>");
}

/* The study, a report, and the patient. */
static void add_study(struct lc_text *out, const struct pl_audit_study *study) {
  char patient[LC_IDENTITY_SIZE];
  lc_identity(patient, study->patient);
  lc_text_add(out, "<ParticipantObjectIdentification");
  add_attribute(out, "ParticipantObjectID", study->study_instance_uid);
  lc_text_add(out, " ParticipantObjectTypeCode=\"2\" ParticipantObjectTypeCodeRole=\"3\">");
  add_code(out, "ParticipantObjectIDTypeCode", "110180", "Study Instance UID");
  lc_text_add(out, "<ParticipantObjectName>study</ParticipantObjectName>");
  if (study->n_classes > 0) lc_text_add(out, "<ParticipantObjectDescription>");
  for (size_t i = 0; i < study->n_classes; i++) {
    lc_text_add(out, "<SOPClass");
    if (study->classes[i].uid[0]) add_attribute(out, "UID", study->classes[i].uid);
    lc_text_add(out, " NumberOfInstances=\"%zu\"/>", study->classes[i].n);
  }
  if (study->n_classes > 0) lc_text_add(out, "</ParticipantObjectDescription>");
  lc_text_add(out, "</ParticipantObjectIdentification><ParticipantObjectIdentification");
  add_attribute(out, "ParticipantObjectID", *patient ? patient : "unknown");
  lc_text_add(out, " ParticipantObjectTypeCode=\"1\" ParticipantObjectTypeCodeRole=\"1\">"
                   "<ParticipantObjectIDTypeCode csd-code=\"2\" codeSystemName=\"RFC-3881\" "
                   "originalText=\"Patient Number\"/><ParticipantObjectName>");
  pl_html_escape(out, *patient ? patient : "unknown");
  lc_text_add(out, "</ParticipantObjectName></ParticipantObjectIdentification>");
}

bool pl_audit_add(struct pl_audit_studies *studies, const char *study_instance_uid,
                  const char *patient, const char *sop_class_uid) {
  size_t i = 0, k = 0;
  while (i < studies->n && (strcmp(studies->items[i].study_instance_uid, study_instance_uid) != 0 ||
                            strcmp(studies->items[i].patient, patient) != 0))
    i++;
  if (i == PL_AUDIT_STUDIES) return false;
  struct pl_audit_study *study = &studies->items[i];
  if (i == studies->n) {
    studies->n++;
    memset(study, 0, sizeof *study);
    lc_text_copy(study->study_instance_uid, sizeof study->study_instance_uid, study_instance_uid);
    lc_text_copy(study->patient, sizeof study->patient, patient);
  }
  while (k < study->n_classes && strcmp(study->classes[k].uid, sop_class_uid) != 0) k++;
  if (k >= PL_AUDIT_CLASSES - 1) {
    k = PL_AUDIT_CLASSES - 1;
    sop_class_uid = "";
  }
  if (k == study->n_classes) {
    lc_text_copy(study->classes[k].uid, sizeof study->classes[k].uid, sop_class_uid);
    study->n_classes++;
  }
  study->classes[k].n++;
  return true;
}

/* -- messages (A.5.3) ----------------------------------------------------------------------- */

void pl_audit_application(struct pl_audit *audit, bool starts) {
  LC_SCOPED(lc_text_free) struct lc_text out = {0};
  char user[32];
  if (!audit) return;
  begin(&out, 'E', PL_AUDIT_GOOD, "110100", "Application Activity", starts ? "110120" : "110121",
        starts ? "Application Start" : "Application Stop");
  add_self(audit, &out, false, "110150", "Application");
  snprintf(user, sizeof user, "uid %ld", (long)getuid());
  add_participant(&out, user, NULL, audit->host, true, "110151", "Application Launcher");
  add_source(audit, &out);
  write_message(audit, &out, false);
}

static void transfer(struct pl_audit *audit, const struct pl_audit_peer *peer, bool received,
                     bool begins, enum pl_audit_outcome outcome,
                     const struct pl_audit_study *study) {
  static const char *const roles[2][2] = {{"110153", "Source Role ID"},
                                          {"110152", "Destination Role ID"}};
  LC_SCOPED(lc_text_free) struct lc_text out = {0};
  if (begins)
    begin(&out, 'E', outcome, "110102", "Begin Transferring DICOM Instances", NULL, NULL);
  else
    begin(&out, 'C', outcome, "110104", "DICOM Instances Transferred", NULL, NULL);
  if (!received) add_self(audit, &out, true, roles[0][0], roles[0][1]);
  add_participant(&out, peer->title, peer->title, peer->address, received, roles[!received][0],
                  roles[!received][1]);
  if (received) add_self(audit, &out, false, roles[1][0], roles[1][1]);
  add_source(audit, &out);
  add_study(&out, study);
  write_message(audit, &out, outcome != PL_AUDIT_GOOD);
}

void pl_audit_transferred(struct pl_audit *audit, const struct pl_audit_peer *peer, bool received,
                          enum pl_audit_outcome outcome, const struct pl_audit_studies *studies) {
  for (size_t i = 0; audit && i < studies->n; i++)
    transfer(audit, peer, received, false, outcome, &studies->items[i]);
}

void pl_audit_begin(struct pl_audit *audit, const struct pl_audit_peer *peer,
                    const struct pl_audit_studies *studies) {
  for (size_t i = 0; audit && i < studies->n; i++)
    transfer(audit, peer, false, true, PL_AUDIT_GOOD, &studies->items[i]);
}

void pl_audit_made(struct pl_audit *audit, const struct pl_audit_studies *studies) {
  for (size_t i = 0; audit && i < studies->n; i++) {
    LC_SCOPED(lc_text_free) struct lc_text out = {0};
    begin(&out, 'C', PL_AUDIT_GOOD, "110103", "DICOM Instances Accessed", NULL, NULL);
    add_self(audit, &out, true, "110150", "Application");
    add_source(audit, &out);
    add_study(&out, &studies->items[i]);
    write_message(audit, &out, false);
  }
}

static void add_detail(struct lc_text *out, const char *type, const char *value) {
  lc_text_add(out, "<ParticipantObjectDetail type=\"%s\" value=\"", type);
  pl_base64(out, (const unsigned char *)value, strlen(value));
  lc_text_add(out, "\"/>");
}

void pl_audit_refused(struct pl_audit *audit, const struct pl_audit_peer *peer, const char *why) {
  LC_SCOPED(lc_text_free) struct lc_text out = {0};
  if (!audit) return;
  begin(&out, 'E', PL_AUDIT_MINOR, "110113", "Security Alert", "110126", "Node Authentication");
  add_self(audit, &out, false, NULL, NULL);
  add_participant(&out, peer->title, peer->title, peer->address, true, NULL, NULL);
  add_source(audit, &out);
  lc_text_add(&out, "<ParticipantObjectIdentification");
  add_attribute(&out, "ParticipantObjectID", peer->address);
  lc_text_add(&out, " ParticipantObjectTypeCode=\"2\">");
  add_code(&out, "ParticipantObjectIDTypeCode", "110182", "Node ID");
  lc_text_add(&out, "<ParticipantObjectName>");
  pl_html_escape(&out, *peer->title ? peer->title : peer->address);
  lc_text_add(&out, "</ParticipantObjectName>");
  add_detail(&out, "Alert Description", why);
  lc_text_add(&out, "</ParticipantObjectIdentification>");
  write_message(audit, &out, true);
}
