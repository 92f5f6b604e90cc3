/* Asking a DICOM archive what it has, and for it: C-FIND, C-GET and C-MOVE of the Study Root model
 * (PS3.4 annex C).
 *
 * Everything ends in bounded time (ct_association.h): each answer and each object has the peer's
 * dimse_s. Thread-safety: one association, one thread. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/net/ct_association.h"
#include "ct_io/net/ct_scp.h" /* struct ct_scp_object */

LC_C_BEGIN

/* Where objects that come by C-GET go. */
struct ct_file_store {
  void *context;
  /* Path of the file to write, which is complete DICOM afterwards. */
  lc_status (*begin)(void *context, const struct ct_scp_object *object, char path[4096],
                     struct lc_error *err);
  /* It is written (whole), or not. An error ends the retrieval. */
  lc_status (*end)(void *context, const struct ct_scp_object *object, bool whole,
                   struct lc_error *err);
};

typedef enum ct_level { CT_LEVEL_STUDY = 0, CT_LEVEL_SERIES, CT_LEVEL_IMAGE } ct_level;

/* What must match; NULL or "": anything. A series or image is asked for with the UIDs of what is
 * above it. */
struct ct_query {
  ct_level level;
  const char *patient_id, *accession_number, *study_date; /* wildcards as DICOM has them */
  const char *study_instance_uid, *series_instance_uid;
  const char *modality;
  const char *const *sop_instance_uids; /* for CT_LEVEL_IMAGE retrieval */
  size_t n_sop_instance_uids;
};

/* One answer; texts in UTF-8 without control characters, UIDs printable. */
struct ct_match {
  char patient_id[CT_TEXT_SIZE], patient_name[CT_TEXT_SIZE];
  char accession_number[65], study_date[17], study_description[CT_TEXT_SIZE];
  char study_instance_uid[CT_UID_SIZE], series_instance_uid[CT_UID_SIZE];
  char sop_instance_uid[CT_UID_SIZE];
  char modality[65]; /* of a study: all of them, if the peer says */
  char series_number[17], series_description[CT_TEXT_SIZE];
  long long n_instances; /* -1: not reported */
};

struct ct_matches {
  struct ct_match *items; /* owned; in the order of the answers */
  size_t n, capacity;
};
void ct_matches_free(struct ct_matches *matches);

typedef enum ct_retrieval { CT_FIND_ONLY = 0, CT_BY_GET, CT_BY_MOVE } ct_retrieval;

/* Connects and negotiates C-FIND and what the retrieval needs. For C-GET, store gets the objects
 * (holds is not used); it is borrowed until the association is closed. */
LC_MUST_CHECK lc_status ct_query_open(struct ct_association *association,
                                      const struct ct_peer *peer, ct_retrieval retrieval,
                                      const struct ct_file_store *store, struct lc_error *err);

/* C-FIND; adds to matches. LC_ERR_MEMORY for more than CT_MOST_MATCHES answers; LC_ERR_NETWORK with
 * failure CT_NET_NONE when the peer refuses, and the association then goes on. */
#define CT_MOST_MATCHES 100000
LC_MUST_CHECK lc_status ct_query_find(struct ct_association *association,
                                      const struct ct_query *query, struct ct_matches *matches,
                                      struct lc_error *err);

struct ct_retrieved {
  long long n_completed, n_failed, n_warning; /* as the peer counts; -1: not reported */
};

/* C-GET or C-MOVE of what the UIDs of the query name. Objects that the peer could not send are
 * counted, not an error. destination: our AE title as the peer knows it, for C-MOVE. The same
 * errors as ct_query_find. */
LC_MUST_CHECK lc_status ct_query_retrieve(struct ct_association *association,
                                          const struct ct_query *query, const char *destination,
                                          struct ct_retrieved *retrieved, struct lc_error *err);

LC_C_END
