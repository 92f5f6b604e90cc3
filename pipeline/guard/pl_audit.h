/* The audit trail of a node: who sent what, what was made of it, and what was sent where, as
 * messages of DICOM PS3.15 A.5 (the audit messages of IHE ATNA), one XML document a message. They
 * hold UIDs, titles and addresses, no pixel data; a patient is a pseudonym (common/lc_identity.h).
 *
 * Messages go to a file, a line each, or to the syslog of this machine in the form of RFC 5424
 * (facility 10, MSGID "DICOM+RFC3881"). A message that cannot be written is an error in the log,
 * and the work goes on.
 *
 * Functions take NULL for no trail. Thread-safety: any number of processes may write to one trail;
 * one object, one thread. */
#pragma once

#include "ct_io/dicom_read/ct_identity.h"
#include "ct_io/net/ct_peer.h"

struct pl_audit {
  int descriptor; /* -1: closed */
  bool is_syslog;
  char where[256];
  char title[CT_AE_SIZE];     /* ours */
  char host[65], address[65]; /* of this machine; where it listens, or "" */
};

/* where: a file, which is made (0600, further users by umask) or appended to; "syslog" for the
 * socket /dev/log; "syslog:PATH" for another one. LC_ERR_NOT_WRITABLE. */
LC_MUST_CHECK lc_status pl_audit_open(struct pl_audit *audit, const char *where, const char *title,
                                      const char *address, struct lc_error *err);
void pl_audit_close(struct pl_audit *audit);

/* Objects of one study that were sent together. */
#define PL_AUDIT_CLASSES 8
#define PL_AUDIT_STUDIES 8
struct pl_audit_study {
  char study_instance_uid[CT_UID_SIZE];
  char patient[CT_TEXT_SIZE]; /* PatientID as it is; never written as it is */
  struct {
    char uid[CT_UID_SIZE]; /* "": the rest */
    size_t n;
  } classes[PL_AUDIT_CLASSES];
  size_t n_classes;
};
struct pl_audit_studies {
  struct pl_audit_study items[PL_AUDIT_STUDIES];
  size_t n;
};
/* Adds one object. False, with nothing added, when there is no room for its study. */
bool pl_audit_add(struct pl_audit_studies *studies, const char *study_instance_uid,
                  const char *patient, const char *sop_class_uid);

/* The other side. */
struct pl_audit_peer {
  const char *title;
  const char *address; /* IPv4 address, host name or URL */
};

/* EventOutcomeIndicator. */
enum pl_audit_outcome { PL_AUDIT_GOOD = 0, PL_AUDIT_MINOR = 4, PL_AUDIT_SERIOUS = 8 };

/* Application Activity: start or stop. */
void pl_audit_application(struct pl_audit *audit, bool starts);
/* DICOM Instances Transferred, a message a study: from the peer to us (received) or to it. */
void pl_audit_transferred(struct pl_audit *audit, const struct pl_audit_peer *peer, bool received,
                          enum pl_audit_outcome outcome, const struct pl_audit_studies *studies);
/* Begin Transferring DICOM Instances: from us to the peer. */
void pl_audit_begin(struct pl_audit *audit, const struct pl_audit_peer *peer,
                    const struct pl_audit_studies *studies);
/* DICOM Instances Accessed (create): objects were made. */
void pl_audit_made(struct pl_audit *audit, const struct pl_audit_studies *studies);
/* Security Alert, node authentication: a peer was refused, and why. */
void pl_audit_refused(struct pl_audit *audit, const struct pl_audit_peer *peer, const char *why);
