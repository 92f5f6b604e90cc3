/* DICOM objects sent to an archive by C-STORE (PS3.4 annex B, PS3.7 section 9.1.1).
 *
 * Thread-safety: one association, one thread. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/net/ct_association.h"

LC_C_BEGIN

/* What an object is, from its file. */
struct ct_object {
  char sop_class_uid[CT_UID_SIZE], sop_instance_uid[CT_UID_SIZE];
  char transfer_syntax_uid[CT_UID_SIZE], study_instance_uid[CT_UID_SIZE];
};

/* LC_ERR_NOT_FOUND; LC_ERR_NO_DICOM for a file that is none; LC_ERR_FORMAT for one that cannot be
 * read or has no UIDs; LC_ERR_UNSUPPORTED for a DICOMDIR. */
LC_MUST_CHECK lc_status ct_object_read(struct ct_object *object, const char *path,
                                       struct lc_error *err);

typedef enum ct_store_outcome {
  CT_STORE_STORED = 0, /* stored, also with a warning */
  CT_STORE_RETRY,      /* not now: out of resources, overloaded */
  CT_STORE_REFUSED     /* never, unless something is changed: here or there */
} ct_store_outcome;

#define CT_STORE_TEXT_SIZE 256

/* What became of one object. */
struct ct_store_answer {
  ct_store_outcome outcome;
  bool warning;
  uint16_t status;               /* DIMSE status or failure reason; 0 when there was none */
  char text[CT_STORE_TEXT_SIZE]; /* why, in words; "" for a plain success */
};

/* The outcome on a status of PS3.4 table B.2-1 and PS3.7 annex C: 0000 stored; Bxxx, 0001, 0107,
 * 0111 (is there already) and 0116 stored with a warning; A7xx, 0110 and FE00 not now; all others,
 * among them A9xx, Cxxx, 0122 and 0124, refused. */
void ct_store_judge(uint16_t status, struct ct_store_answer *answer);
/* Sets an outcome that has no status. */
LC_PRINTF(3, 4)
void ct_store_answer_set(struct ct_store_answer *answer, ct_store_outcome outcome, const char *fmt,
                         ...);

/* Opens an association with contexts for the first *n_fit of n objects (as many as 128 contexts
 * hold): for each SOP class the objects' own transfer syntax in a context of its own, and Explicit
 * and Implicit VR Little Endian in another. commitment: the Storage Commitment Push Model too. */
LC_MUST_CHECK lc_status ct_store_open(struct ct_association *association,
                                      const struct ct_peer *peer, const struct ct_object *objects,
                                      size_t n, bool commitment, size_t *n_fit,
                                      struct lc_error *err);

/* Sends one object, as it stands where the peer accepted its transfer syntax. Where not, it is sent
 * uncompressed if that loses nothing: from the uncompressed syntaxes, RLE, lossless JPEG and
 * lossless JPEG-LS of grey, palette and RGB images. LC_OK with an answer, also for a file that
 * cannot be read (refused); LC_ERR_NETWORK when the association broke. Takes at most dimse_s and
 * one second more for each 256 KiB. */
LC_MUST_CHECK lc_status ct_store_send(struct ct_association *association,
                                      const struct ct_object *object, const char *path,
                                      struct ct_store_answer *answer, struct lc_error *err);

LC_C_END
