/* The receiving side of the DICOM network: one association on a connected socket.
 *
 * Verification (PS3.4 annex A), Storage (annex B) of the classes that are asked for or all that
 * DCMTK knows, and on request Storage Commitment Push Model (annex J). Data sets go to a file
 * descriptor as they come, in the transfer syntax that was negotiated; they are neither held in
 * memory nor changed, and the file is complete DICOM (PS3.10 section 7). Everything ends in bounded
 * time, however the peer dribbles.
 *
 * Isolation: ct_scp_serve belongs in a process of its own, which does nothing else and ends after
 * it: it sets DCMTK's global socket and the handler of SIGTERM, and a parser that fails on hostile
 * bytes then costs one process and nothing more. SIGTERM ends that process at once between two
 * objects, or after the object that is on its way has been answered.
 *
 * Thread-safety: ct_scp_serve once a process, from its only thread; the functions of ct_scp_store
 * are called from there. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/net/ct_peer.h"

LC_C_BEGIN

/* Answers to C-STORE, PS3.4 table B.2-1 and PS3.7 annex C. */
enum ct_store_status {
  CT_STORE_OK = 0x0000,
  CT_STORE_DUPLICATE = 0x0111,
  CT_STORE_NO_SUCH_CLASS = 0x0122,
  CT_STORE_NO_RESOURCES = 0xa700,
  CT_STORE_MISMATCH = 0xa900,
  CT_STORE_NOT_UNDERSTOOD = 0xc000
};

/* What the peer says of the object it sends; printable, not yet compared with the data set. */
struct ct_scp_object {
  char sop_class_uid[CT_UID_SIZE];
  char sop_instance_uid[CT_UID_SIZE];
  char transfer_syntax_uid[CT_UID_SIZE];
};

/* What happens with objects. Every function gets `context`. */
struct ct_scp_store {
  void *context;
  /* A new object: CT_STORE_OK and an open descriptor for its file, or the answer it gets. */
  uint16_t (*begin)(void *context, const struct ct_scp_object *object, int *descriptor);
  /* May `count` further bytes be written? CT_STORE_OK or the answer the object gets. */
  uint16_t (*room)(void *context, size_t count);
  /* After each begin that said CT_STORE_OK: so_far is CT_STORE_OK when the last byte is written, or
   * the answer that is due. Closes the descriptor; returns the final answer. After CT_STORE_OK the
   * object must survive. */
  uint16_t (*end)(void *context, const struct ct_scp_object *object, uint16_t so_far);
  /* Storage commitment: is the object here? NULL: the service is not offered. */
  bool (*holds)(void *context, const char *sop_instance_uid);
};

struct ct_scp_options {
  /* Ourselves: called_ae is our title; TLS as in ct_peer.h, where the certificate is required and
   * verify asks callers for theirs; association_s from connection to accepted association, dimse_s
   * between two messages; max_pdu. */
  struct ct_peer self;
  int object_s;               /* longest time for one object */
  bool check_called;          /* refuse associations that call another title */
  const char *const *callers; /* titles that may call; none: everybody */
  size_t n_callers;
  const char *const *sop_classes; /* storage classes that are taken; none: all that DCMTK knows */
  size_t n_sop_classes;
};

/* What an association did. */
struct ct_scp_summary {
  char calling[CT_AE_SIZE]; /* printable; "" before it was received */
  uint64_t n_stored, n_refused, n_bytes;
  bool released; /* ended as the standard asks */
  bool refused;  /* a caller that may not call: by title, or by its certificate */
};

/* Checks titles, numbers and certificates without any connection. LC_ERR_CONFIG. */
LC_MUST_CHECK lc_status ct_scp_check(const struct ct_scp_options *options, struct lc_error *err);

/* Serves the association until its end and closes the socket. LC_OK when the peer released or
 * aborted it; LC_ERR_NETWORK says why it was refused or cut off. summary is filled whatever the
 * status. */
LC_MUST_CHECK lc_status ct_scp_serve(int descriptor, const struct ct_scp_options *options,
                                     const struct ct_scp_store *store,
                                     struct ct_scp_summary *summary, struct lc_error *err);

LC_C_END
