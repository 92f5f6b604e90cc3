/* Where objects of 'lungcdam fetch' go, by C-GET in the same process or by C-MOVE in a child that
 * listens. */
#ifndef PL_FETCH_STORE_H
#define PL_FETCH_STORE_H

#include <sys/types.h>

#include "common/lc_file.h"
#include "ct_io/dicom_read/ct_identity.h"
#include "ct_io/net/ct_query.h"
#include "pipeline/delivery/pl_fetch.h"

struct pl_fetch_store {
  const struct pl_fetch_options *options; /* borrowed */
  const struct pl_fetch *wanted;          /* only these series are taken; borrowed */
  char part[LC_PATH_SIZE];                /* the object that comes now */
  int descriptor;                         /* of part, for C-MOVE */
};

/* FOLDER/STUDY/SERIES[/OBJECT.dcm] for UIDs that are plausible; object may be NULL. */
LC_MUST_CHECK lc_status pl_fetch_path(const struct pl_fetch_options *options, const char *study,
                                      const char *series, const char *object,
                                      char path[LC_PATH_SIZE], struct lc_error *err);
/* Is the object there, with this SOP Instance UID? */
bool pl_fetch_has(const struct pl_fetch_options *options, const char *study, const char *series,
                  const char *object);

void pl_fetch_store_init(struct pl_fetch_store *store, const struct pl_fetch_options *options,
                         const struct pl_fetch *wanted);
/* For C-GET. */
struct ct_file_store pl_fetch_store_files(struct pl_fetch_store *store);

/* For C-MOVE: a child that accepts associations of the archive. */
struct pl_fetch_receiver {
  pid_t child; /* 0: none */
};
LC_MUST_CHECK lc_status pl_fetch_receiver_start(struct pl_fetch_receiver *receiver,
                                                struct pl_fetch_store *store, struct lc_error *err);
void pl_fetch_receiver_stop(struct pl_fetch_receiver *receiver);

#endif
