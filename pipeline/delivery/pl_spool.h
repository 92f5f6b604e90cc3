/* The spool of 'lungcdam serve': what was received lies here until it is processed, and all that
 * must survive a crash is in the names of its folders.
 *
 *   incoming/SLOT.part     an object that is being received; of no value after a crash
 *   receiving/NAME/        a series that may still grow
 *   work/NAME/             a series that is complete and waits, or is being processed
 *   done/NAME/             processed; kept for a while, for slices that come late; outcome.json
 *   quarantine/NAME/       could not be processed; reason.json says why
 *   past/NAME              how many objects a series had that was done and is no longer kept
 *
 * NAME and file names are hashes of UIDs: nothing that was received becomes a path. A series moves
 * from folder to folder by rename.
 *
 * Many processes share a spool: one server, and its children that receive. What they count together
 * lies in memory that they share; pl_spool_lock keeps them apart where they move files.
 * Thread-safety: one thread a process. */
#ifndef PL_SPOOL_H
#define PL_SPOOL_H

#include <stdatomic.h>

#include "common/lc_file.h"
#include "ct_io/dicom_read/ct_identity.h"

#define PL_SPOOL_NAME 33      /* 32 hexadecimal digits and the final zero */
#define PL_SPOOL_FILE_NAME 45 /* 40 digits, ".dcm" and the final zero */

enum pl_spool_place {
  PL_SPOOL_RECEIVING = 0,
  PL_SPOOL_WORK,
  PL_SPOOL_DONE,
  PL_SPOOL_QUARANTINE,
  PL_SPOOL_PLACES
};

struct pl_spool_limits {
  long long max_bytes; /* of everything in the spool, in blocks of 4096 */
  size_t max_series;   /* receiving and waiting */
  double keep_s;       /* how long a series that is done is kept */
};

/* Shared by the server and its children. */
struct pl_spool_shared {
  _Atomic long long used;       /* bytes in the four places */
  _Atomic long long reserved[]; /* by each slot, for the object it receives */
};

struct pl_spool {
  char folder[LC_PATH_SIZE];
  struct pl_spool_limits limits;
  struct pl_spool_shared *shared;
  size_t n_slots, shared_bytes;
  int owner; /* descriptor of the lock that says that a server is here */
};

/* Makes what is missing, takes the spool for this server, clears incoming/ and counts. n_slots:
 * how many may receive at once. LC_ERR_EXISTS when another server has it. */
LC_MUST_CHECK lc_status pl_spool_open(struct pl_spool *spool, const char *folder,
                                      const struct pl_spool_limits *limits, size_t n_slots,
                                      struct lc_error *err);
void pl_spool_close(struct pl_spool *spool);

/* One process at a time between the two; -1 when it cannot be had. Ends with the process. */
int pl_spool_lock(const struct pl_spool *spool);
void pl_spool_unlock(int lock);

/* Names for UIDs. */
LC_MUST_CHECK lc_status pl_spool_series_name(char name[PL_SPOOL_NAME],
                                             const struct ct_identity *identity,
                                             struct lc_error *err);
LC_MUST_CHECK lc_status pl_spool_file_name(char name[PL_SPOOL_FILE_NAME],
                                           const char *sop_instance_uid, struct lc_error *err);

/* Path of a place, or of a series in it (name not NULL). */
void pl_spool_path(const struct pl_spool *spool, enum pl_spool_place place, const char *name,
                   char path[LC_PATH_SIZE]);
void pl_spool_part(const struct pl_spool *spool, size_t slot, char path[LC_PATH_SIZE]);
bool pl_spool_has(const struct pl_spool *spool, enum pl_spool_place place, const char *name);
/* Number of series in a place. */
size_t pl_spool_count(const struct pl_spool *spool, enum pl_spool_place place);
/* Objects and bytes (in blocks) of a series. */
size_t pl_spool_objects(const char *series_folder, long long *bytes);

/* Bytes used and reserved by all slots. */
long long pl_spool_used(const struct pl_spool *spool);
/* Counts `used` again; under the lock. */
void pl_spool_recount(struct pl_spool *spool);
/* A slot whose process is gone: its part and its reservation go too. */
void pl_spool_clear_slot(struct pl_spool *spool, size_t slot);

/* Removes the oldest series of done/ until `bytes` are free or none is left; under the lock. True
 * when there is room. */
bool pl_spool_make_room(struct pl_spool *spool, long long bytes);
/* Removes what was done longer ago than limits.keep_s; under the lock. */
void pl_spool_expire(struct pl_spool *spool);

/* The next series of receiving/ that nothing was added to for quiet_s (or since the server began at
 * `began`), or that was declared complete. It is joined with what came of it before, and moved to
 * work/. running: the series that is being processed, which must wait, or NULL. name is "" when
 * there is none. LC_ERR_MISMATCH: it is left in receiving/ and belongs into quarantine, because it
 * is a rest of a series that is no longer kept. */
LC_MUST_CHECK lc_status pl_spool_complete(struct pl_spool *spool, double quiet_s, double began,
                                          const char *running, char name[PL_SPOOL_NAME],
                                          struct lc_error *err);
/* Marks a series of receiving/ as complete. */
void pl_spool_mark_complete(const struct pl_spool *spool, const char *name);
/* Whether an object is in receiving/, work/ or done/; its series is then marked as complete. */
bool pl_spool_holds(const struct pl_spool *spool, const char *sop_instance_uid);

/* The series of work/ that waits longest; "" when there is none. */
void pl_spool_oldest(const struct pl_spool *spool, char name[PL_SPOOL_NAME]);
/* Moves a series to done/ or quarantine/ together with a text (JSON) that says what came of it. */
LC_MUST_CHECK lc_status pl_spool_finish(struct pl_spool *spool, const char *name,
                                        enum pl_spool_place from, enum pl_spool_place to,
                                        const char *json, struct lc_error *err);

#endif
