/* An outbox on disk: objects on their way to destinations, kept until they are there.
 *
 *   destinations/NAME.yaml       a destination, as last given (no secrets)
 *   destinations/NAME.json       when it may next be tried, after how many failures
 *   entries/NAME/UID.json        one object for one destination: its state
 *   objects/UID-HASH.dcm         its bytes, kept while an entry needs them; HASH: 16 hex digits
 *   damaged/                     what could not be read any more
 *   sender.lock, entries.lock    flock: one process sends; one at a time changes entries
 *
 * An entry is queued -> sent -> confirmed, or refused for good; each change replaces its file in
 * one step, so that kill -9 at any moment leaves the state before or after. What is queued is on
 * the disk when pl_outbox_sync returns; a later state that a power failure takes back means that
 * the object is sent once more, which does no harm.
 *
 * An object is known by SOP Instance UID and content: the same again is not queued twice, another
 * content under the same UID is LC_ERR_MISMATCH unless it is said to replace.
 *
 * Thread-safety: one thread; any number of processes. */
#ifndef PL_OUTBOX_H
#define PL_OUTBOX_H

#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "ct_io/net/ct_store.h"
#include "pipeline/delivery/pl_destination.h"

enum pl_state { PL_STATE_QUEUED = 0, PL_STATE_SENT, PL_STATE_CONFIRMED, PL_STATE_REFUSED };
#define PL_STATES 4
extern const char *const pl_state_names[PL_STATES];

struct pl_entry {
  char destination[PL_DESTINATION_NAME];
  struct ct_object object;
  char sha256[LC_SHA256_HEX]; /* of the file */
  enum pl_state state;
  long long attempts; /* that ended in an answer "not now", or with the association */
  long long queued_ms, not_before_ms; /* Unix time in milliseconds; not_before_ms 0: at once */
  bool warning;                       /* stored, with a warning */
  char text[CT_STORE_TEXT_SIZE];      /* last reason or warning */
  char transaction_uid[CT_UID_SIZE];  /* of the storage commitment asked for, or "" */
  char source[512];                   /* the file it was queued from, for people */
};

struct pl_entries {
  struct pl_entry *items; /* owned; by time of queueing, then destination and UID */
  size_t n, capacity;
  size_t n_damaged; /* entry files that could not be read and are not among them */
};
void pl_entries_free(struct pl_entries *entries);

struct pl_outbox {
  char folder[LC_PATH_SIZE];
  int entries_lock, sender_lock; /* descriptors; -1 while closed */
};

/* create: makes the folders; without it LC_ERR_NOT_FOUND for a folder that is no outbox. */
LC_MUST_CHECK lc_status pl_outbox_open(struct pl_outbox *outbox, const char *folder, bool create,
                                       struct lc_error *err);
/* Safe on a zeroed struct whose descriptors are -1, and twice. */
void pl_outbox_close(struct pl_outbox *outbox);

/* -- destinations -- */

/* Keeps a destination with the outbox, so that later calls need not name it. */
LC_MUST_CHECK lc_status pl_outbox_keep_destination(struct pl_outbox *outbox,
                                                   const struct pl_destination *destination,
                                                   struct lc_error *err);
/* Adds those kept that are not in the list yet. One that cannot be read is logged and left out. */
LC_MUST_CHECK lc_status pl_outbox_kept_destinations(const struct pl_outbox *outbox,
                                                    struct pl_destinations *destinations,
                                                    struct lc_error *err);

/* How it stands with a destination; a missing or damaged file means: no failure. */
struct pl_standing {
  long long failures, not_before_ms;
  char text[512]; /* the last failure */
};
void pl_outbox_standing(const struct pl_outbox *outbox, const char *destination,
                        struct pl_standing *standing);
LC_MUST_CHECK lc_status pl_outbox_set_standing(struct pl_outbox *outbox, const char *destination,
                                               const struct pl_standing *standing,
                                               struct lc_error *err);

/* -- entries -- */

enum pl_added { PL_ADDED_QUEUED = 0, PL_ADDED_KNOWN, PL_ADDED_REFUSED_BEFORE };

/* Queues one file for one destination. replace: another content under the same UID takes the place
 * of the former. The errors of ct_object_read; LC_ERR_MISMATCH; LC_ERR_NO_SPACE. */
LC_MUST_CHECK lc_status pl_outbox_add(struct pl_outbox *outbox, const char *destination,
                                      const char *path, bool replace, enum pl_added *added,
                                      struct lc_error *err);
/* Waits until all that was queued is on the disk. */
LC_MUST_CHECK lc_status pl_outbox_sync(struct pl_outbox *outbox, struct lc_error *err);

/* All entries, of one destination or (NULL) of all. */
LC_MUST_CHECK lc_status pl_outbox_list(struct pl_outbox *outbox, const char *destination,
                                       struct pl_entries *entries, struct lc_error *err);
/* Replaces an entry's file. LC_ERR_NOT_FOUND, harmless, when the entry was given a new content
 * meanwhile: the change is about the former and is dropped. */
LC_MUST_CHECK lc_status pl_outbox_change(struct pl_outbox *outbox, const struct pl_entry *entry,
                                         struct lc_error *err);
/* Where the bytes lie. */
LC_MUST_CHECK lc_status pl_outbox_object(const struct pl_outbox *outbox,
                                         const struct pl_entry *entry, char path[LC_PATH_SIZE],
                                         struct lc_error *err);
/* The bytes are those that were queued. LC_ERR_FORMAT otherwise: they then lie in damaged/. */
LC_MUST_CHECK lc_status pl_outbox_verify(struct pl_outbox *outbox, const struct pl_entry *entry,
                                         struct lc_error *err);

/* Refused objects are queued again, and what waits may be tried at once. NULL: all destinations. */
LC_MUST_CHECK lc_status pl_outbox_retry(struct pl_outbox *outbox, const char *destination,
                                        struct lc_error *err);

/* Removes the entries of objects that have arrived and were queued before a time: final, not
 * refused, and confirmed where commitment was asked for. *n: how many. A stop in the middle leaves
 * each entry whole or gone; what is sent again because its entry is gone does no harm. NULL: all
 * destinations; final as for pl_outbox_tidy. */
LC_MUST_CHECK lc_status pl_outbox_forget(struct pl_outbox *outbox, const char *destination,
                                         long long before_ms,
                                         bool (*final)(const void *context,
                                                       const struct pl_entry *entry),
                                         const void *context, size_t *n, struct lc_error *err);

/* -- the sender -- */

/* True when this process is now the one that sends; the lock ends with the process. */
bool pl_outbox_lock_sender(struct pl_outbox *outbox);
/* For the sender, before it starts: damaged entries whose object is there are queued again, others
 * go to damaged/; objects that no open or refused entry needs, and what dead processes left, are
 * removed. final(context, entry): nothing more is to be done for this entry. */
LC_MUST_CHECK lc_status pl_outbox_tidy(struct pl_outbox *outbox,
                                       bool (*final)(const void *context,
                                                     const struct pl_entry *entry),
                                       const void *context, struct lc_error *err);
/* Removes the bytes of a finished entry unless an entry of another destination needs them. */
LC_MUST_CHECK lc_status pl_outbox_release(struct pl_outbox *outbox, const struct pl_entry *entry,
                                          bool (*final)(const void *context,
                                                        const struct pl_entry *entry),
                                          const void *context, struct lc_error *err);

/* Unix time in milliseconds. */
long long pl_now_ms(void);

#endif
