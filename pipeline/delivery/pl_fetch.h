/* Studies from a DICOM archive into a folder (docs/fetch.md).
 *
 *   FOLDER/StudyInstanceUID/SeriesInstanceUID/SOPInstanceUID.dcm
 *
 * UIDs of the archive become names only when they are 1 to 64 digits and dots. A file is whole or
 * absent; what is there, by SOP Instance UID, is not fetched again.
 *
 * Thread-safety: one thread; C-MOVE forks, so no other thread may exist. */
#pragma once

#include <sys/types.h>

#include "common/lc_file.h"
#include "ct_io/dicom_read/ct_identity.h"
#include "ct_io/net/ct_query.h"
#include "pipeline/config/pl_schema.h"
#include "pipeline/guard/pl_listen.h"

struct pl_fetch_options {
  struct ct_peer peer;
  struct ct_query query; /* patient_id, accession_number, study_instance_uid, study_date */
  struct pl_list modalities, series; /* only these; none: all */
  const char *folder;
  bool by_move;
  struct pl_listen listen; /* for C-MOVE; port 0: any that is free, named in the log */
};

/* One series of the archive, and what became of it. */
struct pl_fetched {
  struct ct_match study, series;
  size_t n_listed, n_here, n_fetched, n_missing; /* objects; n_listed: by C-FIND of images */
};

struct pl_fetch {
  struct pl_fetched *items; /* owned; sorted by study and series UID */
  size_t n;
};
void pl_fetch_free(struct pl_fetch *fetch);

/* C-FIND of studies and of the series wanted in them. LC_ERR_NOT_FOUND when nothing matches,
 * LC_ERR_FORMAT when the archive's UIDs cannot be names; what was found stays. Opens and closes the
 * association. */
LC_MUST_CHECK lc_status pl_fetch_list(struct pl_fetch *fetch,
                                      const struct pl_fetch_options *options, struct lc_error *err);

/* Fetches what is missing of the series listed, and counts. LC_ERR_PARTIAL when objects that the
 * archive has did not come; LC_ERR_NETWORK when it could not be asked; what came stays. */
LC_MUST_CHECK lc_status pl_fetch_run(struct pl_fetch *fetch, const struct pl_fetch_options *options,
                                     struct lc_error *err);

/* -- where objects go, by C-GET in the same process or by C-MOVE in a child that listens; used by
 * the sources of fetch only (pl_fetch_store.c) -- */

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
/* Is there an object in the file, with this SOP Instance UID? */
bool pl_fetch_has(const char *path, const char *object);

/* For C-GET. */
struct ct_file_store pl_fetch_store_files(struct pl_fetch_store *store);

/* For C-MOVE: starts a child that accepts associations of the archive; *receiver 0: none. */
LC_MUST_CHECK lc_status pl_fetch_receiver_start(pid_t *receiver, struct pl_fetch_store *store,
                                                struct lc_error *err);
void pl_fetch_receiver_stop(const pid_t *receiver);
