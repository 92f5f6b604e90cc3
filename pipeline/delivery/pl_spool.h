/* The spool of 'lungcdam serve': what was received lies here until it is processed.
 *
 *   spool.db               SQLite: each series, where it stands, how large it is, what came of it
 *   incoming/SLOT.part     an object that is being received; of no value after a crash
 *   receiving/NAME/        the objects of a series that may still grow
 *   series/NAME/           the objects of a series that is complete
 *   pseudonym.key          of the pseudonyms of patients (common/lc_identity.h)
 *   damaged/               a spool.db that could not be read any more
 *
 * NAME and file names are hashes of UIDs: nothing that was received becomes a path. A series is in
 * one place, and may at the same time grow again, by slices that come late or that were corrected;
 * what grows is joined with the rest when it is complete. An object is on the disk when
 * pl_spool_put returns. The files are the truth on which objects there are: opening compares
 * spool.db with them, so that what a crash came between, and a spool.db that is lost, are made
 * good.
 *
 * The folder is open to its owner alone, or to whom the umask of the server admits.
 *
 * Many processes share a spool: one server, and its children that receive. Each change is a
 * transaction of spool.db, and holds the others up.
 * Errors of all functions: those of pl_db.h, LC_ERR_MEMORY.
 * Thread-safety: one thread a process; pl_spool_rest before a fork. */
#pragma once

#include "ct_io/dicom_read/ct_identity.h"
#include "pipeline/delivery/pl_db.h"

#define PL_SPOOL_NAME 33 /* 32 hexadecimal digits and the final zero */

enum pl_spool_place {
  PL_SPOOL_RECEIVING = 0, /* may still grow */
  PL_SPOOL_WORK,          /* waits, or is being processed */
  PL_SPOOL_DONE,          /* kept for a while, for slices that come late */
  PL_SPOOL_QUARANTINE,    /* could not be processed */
  PL_SPOOL_PAST,          /* was done, and is no longer kept */
  PL_SPOOL_PLACES
};
extern const char *const pl_spool_place_names[PL_SPOOL_PLACES];

/* A series in a place. */
struct pl_spool_series {
  char name[PL_SPOOL_NAME]; /* "": none */
  enum pl_spool_place place;
  char study_instance_uid[CT_UID_SIZE], series_instance_uid[CT_UID_SIZE]; /* "": not known yet */
  char modality[17];
  long long objects, bytes; /* in blocks of 4096 */
  long long changed_ms;     /* Unix time: the last object came, or the place changed */
  long long before; /* objects it had when it was no longer kept; 0 once it is whole again */
  char outcome[24]; /* "done", "quarantined"...; "" before */
  char status[24], reason[LC_ERROR_SIZE];
  char results[LC_PATH_SIZE]; /* their folder, or "" */
};
struct pl_spool_list {
  struct pl_spool_series *items; /* owned */
  size_t n;
};
void pl_spool_list_free(struct pl_spool_list *list);

struct pl_spool_limits {
  long long max_bytes;        /* of everything in the spool, in blocks of 4096 */
  size_t max_series;          /* receiving and waiting */
  double keep_s;              /* how long a series that is done is kept */
  size_t quarantine_series;   /* in quarantine; beyond, the oldest are removed */
  long long quarantine_bytes; /* the same, in blocks of 4096 */
};

struct pl_spool {
  char folder[LC_PATH_SIZE];
  struct pl_spool_limits limits;
  struct pl_db db;             /* opened when needed */
  _Atomic long long *reserved; /* [n_slots] bytes of the object that each receives; shared memory */
  size_t n_slots;
  int owner; /* descriptor of the lock that says that a server is here */
};

/* Makes what is missing, takes the spool for this server, takes over a spool of earlier versions (a
 * folder a place), and clears incoming/. n_slots: how many may receive at once. LC_ERR_EXISTS when
 * another server has it. */
LC_MUST_CHECK lc_status pl_spool_open(struct pl_spool *spool, const char *folder,
                                      const struct pl_spool_limits *limits, size_t n_slots,
                                      struct lc_error *err);
void pl_spool_close(struct pl_spool *spool);
/* Closes spool.db, for a fork. It is opened again when it is needed. */
void pl_spool_rest(struct pl_spool *spool);

/* What is in a spool, but for the past, while a server may work: by place, then time.
 * LC_ERR_NOT_FOUND for a folder that is no spool. */
LC_MUST_CHECK lc_status pl_spool_look(const char *folder, struct pl_spool_list *list,
                                      struct lc_error *err);
LC_MUST_CHECK lc_status pl_spool_list(struct pl_spool *spool, struct pl_spool_list *list,
                                      struct lc_error *err);

/* The folder of a series; receiving: of what grows. */
void pl_spool_folder(const struct pl_spool *spool, bool receiving, const char *name,
                     char path[LC_PATH_SIZE]);

/* -- receiving -- */

void pl_spool_part(const struct pl_spool *spool, size_t slot, char path[LC_PATH_SIZE]);
/* A slot whose process is gone: its part and its reservation go too. */
void pl_spool_clear_slot(struct pl_spool *spool, size_t slot);
/* Whether what is there and what all slots reserve fits; series that are done make room, the oldest
 * first. */
LC_MUST_CHECK lc_status pl_spool_make_room(struct pl_spool *spool, bool *fits,
                                           struct lc_error *err);
/* What became of an object. */
struct pl_spool_put {
  char name[PL_SPOOL_NAME]; /* of its series */
  bool is_new;              /* which begins */
  bool differs;             /* from the data set that is here under its UID */
};
/* Moves a part, which is on the disk, into its series. The same data set may be here already, and
 * then stays. Another one is replaced when the series is next complete, so that all is processed
 * again; without `replace` it stays, and the part is gone. LC_ERR_NO_SPACE when no further series
 * may begin. */
LC_MUST_CHECK lc_status pl_spool_put(struct pl_spool *spool, const struct ct_identity *identity,
                                     const char *part, bool replace, struct pl_spool_put *put,
                                     struct lc_error *err);
/* Whether an object is here and not in quarantine. What grows of its series is then complete. */
LC_MUST_CHECK lc_status pl_spool_holds(struct pl_spool *spool, const char *sop_instance_uid,
                                       bool *holds, struct lc_error *err);

/* -- processing -- */

/* The next series that nothing was added to for quiet_s (or since the server began at began_ms), or
 * that was declared complete: what grew is joined with what was there, and waits. running: the
 * series that is being processed, which must not change; "": none. series->name is "" when there is
 * none. LC_ERR_MISMATCH: it is left where it was and belongs into quarantine, because it is a rest
 * of a series that is no longer kept. */
LC_MUST_CHECK lc_status pl_spool_complete(struct pl_spool *spool, double quiet_s,
                                          long long began_ms, const char *running,
                                          struct pl_spool_series *series, struct lc_error *err);
/* The series that waits longest; name "": none. */
LC_MUST_CHECK lc_status pl_spool_next(struct pl_spool *spool, struct pl_spool_series *series,
                                      struct lc_error *err);
/* Moves a series from its place to another, with its outcome, status, reason and results. */
LC_MUST_CHECK lc_status pl_spool_finish(struct pl_spool *spool,
                                        const struct pl_spool_series *series,
                                        enum pl_spool_place to, struct lc_error *err);
/* Removes the oldest of quarantine, each with a line in the log, until the rest fits the limits. */
LC_MUST_CHECK lc_status pl_spool_bound_quarantine(struct pl_spool *spool, struct lc_error *err);
/* Removes what was done longer ago than limits.keep_s, and compares spool.db with the files. */
LC_MUST_CHECK lc_status pl_spool_expire(struct pl_spool *spool, struct lc_error *err);

/* -- images and the files that hold their nodules -- */

#define PL_SPOOL_NODULES "nodules"         /* outcome of a series of files that hold nodules */
#define PL_SPOOL_WITHOUT "without nodules" /* of images for which none came yet */
#define PL_SPOOL_SOURCES_MOST 64
struct pl_spool_names {
  char items[PL_SPOOL_SOURCES_MOST][PL_SPOOL_NAME];
  size_t n;
};
/* Notes UIDs of a series: of images their own and that of their frame of reference, of files with
 * nodules those that they name. Empty ones are left out. */
LC_MUST_CHECK lc_status pl_spool_relate(struct pl_spool *spool, const char *name,
                                        const char *const *uids, size_t n, struct lc_error *err);
/* The series of files that hold nodules of a series of images, the oldest first. */
LC_MUST_CHECK lc_status pl_spool_sources(struct pl_spool *spool, const char *name,
                                         struct pl_spool_names *names, struct lc_error *err);
/* Nodules have come: the images that they are of, and that were done, wait again; *n_wait: those
 * that come or wait anyway. */
LC_MUST_CHECK lc_status pl_spool_wake(struct pl_spool *spool, const char *name, size_t *n_woken,
                                      size_t *n_wait, struct lc_error *err);
/* A series of images for which no nodules came in wait_s; name "": none. */
LC_MUST_CHECK lc_status pl_spool_given_up(struct pl_spool *spool, double wait_s,
                                          struct pl_spool_series *series, struct lc_error *err);

/* -- between the sources of the spool -- */

/* The first series of a query, which a condition ("WHERE ...") makes; name "" when there is none.
 */
LC_MUST_CHECK lc_status pl_spool_first(struct pl_spool *spool, const char *condition,
                                       const struct pl_value *values, size_t n,
                                       struct pl_spool_series *series, struct lc_error *err);

extern const struct pl_db_schema pl_spool_schema;
#define PL_SPOOL_LONGEST (LC_PATH_SIZE - 128) /* path of a spool: those in it fit */
/* Opens spool.db when it is not open. */
LC_MUST_CHECK lc_status pl_spool_ready(struct pl_spool *spool, struct lc_error *err);
/* The same, and begins a transaction (pl_db_begin). */
LC_MUST_CHECK lc_status pl_spool_begin(struct pl_db **open, struct pl_spool *spool,
                                       struct lc_error *err);
/* Moves the objects of a folder into another, which is made, over those of the same name. Removes
 * the folder. */
LC_MUST_CHECK lc_status pl_spool_join(const char *from, const char *to, struct lc_error *err);
/* Bytes in blocks. */
static inline long long pl_spool_blocks(long long bytes) {
  return (bytes + 4095) / 4096 * 4096;
}
/* Objects in a folder and their bytes in blocks; 0 when it is not there. */
void pl_spool_measure(const char *folder, long long *objects, long long *bytes);
/* Compares spool.db with the files; in a transaction. */
LC_MUST_CHECK lc_status pl_spool_reconcile(struct pl_spool *spool, struct lc_error *err);
