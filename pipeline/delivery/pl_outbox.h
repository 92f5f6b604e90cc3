/* An outbox on disk: objects on their way to destinations, kept until they are there.
 *
 *   outbox.db              SQLite: entries, destinations as last given (no secrets), and how it
 * stands with each objects/UID-HASH.dcm   the bytes of an object, kept while an entry needs them;
 * HASH: 16 hex digits damaged/               what could not be read any more outbox.lock flock:
 * shared by all that use outbox.db, exclusive for making it anew sender.lock            flock: one
 * process sends
 *
 * An entry is one object for one destination: queued -> sent -> confirmed, or refused for good;
 * each change is a transaction, so that kill -9 at any moment leaves the state before or after.
 * What is queued is on the disk when pl_outbox_sync returns.
 *
 * An object is known by SOP Instance UID and content: the same again is not queued twice, another
 * content under the same UID is LC_ERR_MISMATCH unless it is said to replace.
 *
 * Errors of all functions: those of pl_db.h, LC_ERR_MEMORY.
 * Thread-safety: one thread; any number of processes. Close it before a fork. */
#pragma once

#include "common/lc_hash.h"
#include "ct_io/net/ct_store.h"
#include "pipeline/delivery/pl_db.h"
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

/* Nothing more is to be done: confirmed, refused, or sent where no commitment is asked for. */
bool pl_entry_is_final(const struct pl_destinations *known, const struct pl_entry *entry);

struct pl_entries {
  struct pl_entry *items; /* owned */
  size_t n;
};
void pl_entries_free(struct pl_entries *entries);

struct pl_outbox {
  char folder[LC_PATH_SIZE];
  struct pl_db db;       /* closed while the outbox is */
  int lock, sender_lock; /* descriptors */
};

/* create: makes the folders; without it LC_ERR_NOT_FOUND for a folder that is no outbox. An outbox
 * of earlier versions (a file an entry) is taken over; a damaged outbox.db goes to damaged/ and is
 * made anew from what can be read and from the objects. */
LC_MUST_CHECK lc_status pl_outbox_open(struct pl_outbox *outbox, const char *folder, bool create,
                                       struct lc_error *err);
/* Safe on a zeroed struct, and twice. */
void pl_outbox_close(struct pl_outbox *outbox);

/* -- destinations -- */

/* Keeps a destination with the outbox, so that later calls need not name it. */
LC_MUST_CHECK lc_status pl_outbox_keep_destination(struct pl_outbox *outbox,
                                                   const struct pl_destination *destination,
                                                   struct lc_error *err);
/* Adds those kept that are not in the list yet. One that does not work is logged and left out. */
LC_MUST_CHECK lc_status pl_outbox_kept_destinations(struct pl_outbox *outbox,
                                                    struct pl_destinations *destinations,
                                                    struct lc_error *err);

/* How it stands with a destination; all 0 where nothing is known. */
struct pl_standing {
  long long failures, not_before_ms;
  char text[512]; /* the last failure */
};
LC_MUST_CHECK lc_status pl_outbox_standing(struct pl_outbox *outbox, const char *destination,
                                           struct pl_standing *standing, struct lc_error *err);
LC_MUST_CHECK lc_status pl_outbox_set_standing(struct pl_outbox *outbox, const char *destination,
                                               const struct pl_standing *standing,
                                               struct lc_error *err);

/* What is ahead of a destination. */
struct pl_outlook {
  size_t count[PL_STATES], warnings, damaged;
  size_t open;       /* not final */
  size_t untried;    /* open, and not put off beyond `since` */
  long long next_ms; /* when the first that is open may be tried; 0: at once, or none is open */
  char reason[512];  /* why it waits: the last failure of the destination or of that object; "" */
  struct pl_standing standing;
};
/* known: all destinations that the outbox knows. */
LC_MUST_CHECK lc_status pl_outbox_look_ahead(struct pl_outbox *outbox,
                                             const struct pl_destinations *known, const char *name,
                                             long long since_ms, struct pl_outlook *outlook,
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

/* All entries but damaged ones, of one destination or (NULL) of all, by time of queueing, then
 * destination and UID. */
LC_MUST_CHECK lc_status pl_outbox_list(struct pl_outbox *outbox, const char *destination,
                                       struct pl_entries *entries, struct lc_error *err);
/* Those of a destination in a state that may be tried at due_ms: the untried first, then by time of
 * queueing. */
LC_MUST_CHECK lc_status pl_outbox_due(struct pl_outbox *outbox, const char *destination,
                                      enum pl_state state, long long due_ms,
                                      struct pl_entries *entries, struct lc_error *err);
/* Replaces an entry, and waits until that is on the disk. LC_ERR_NOT_FOUND, harmless, when the
 * entry was given a new content meanwhile: the change is about the former and is dropped. */
LC_MUST_CHECK lc_status pl_outbox_change(struct pl_outbox *outbox, const struct pl_entry *entry,
                                         struct lc_error *err);
/* Where the bytes lie. */
LC_MUST_CHECK lc_status pl_outbox_object(const struct pl_outbox *outbox,
                                         const struct pl_entry *entry, char path[LC_PATH_SIZE],
                                         struct lc_error *err);
/* The bytes are those that were queued. LC_ERR_FORMAT otherwise: they then lie in damaged/. */
LC_MUST_CHECK lc_status pl_outbox_verify(struct pl_outbox *outbox, const struct pl_entry *entry,
                                         struct lc_error *err);

/* Refused objects are queued again, and what waits may be tried at once. */
LC_MUST_CHECK lc_status pl_outbox_retry(struct pl_outbox *outbox, const char *destination,
                                        struct lc_error *err);

/* Removes the entries of objects that have arrived and were queued before a time: final, not
 * refused, and confirmed where commitment was asked for. *n: how many. What is sent again because
 * its entry is gone does no harm. */
LC_MUST_CHECK lc_status pl_outbox_forget(struct pl_outbox *outbox, const char *destination,
                                         long long before_ms, const struct pl_destinations *known,
                                         size_t *n, struct lc_error *err);

/* -- the sender -- */

/* True when this process is now the one that sends; the lock ends with the process. */
bool pl_outbox_lock_sender(struct pl_outbox *outbox);
/* For the sender, before it starts: damaged entries whose object is there are queued again, others
 * are removed; so are objects that no open or refused entry needs, and what dead processes left.
 * Where an entry was damaged, objects without any go to damaged/ instead. */
LC_MUST_CHECK lc_status pl_outbox_tidy(struct pl_outbox *outbox,
                                       const struct pl_destinations *known, struct lc_error *err);
/* Removes the bytes of a finished entry unless an entry of another destination needs them. */
LC_MUST_CHECK lc_status pl_outbox_release(struct pl_outbox *outbox, const struct pl_entry *entry,
                                          const struct pl_destinations *known,
                                          struct lc_error *err);

/* -- between the sources of the outbox -- */

/* The columns of an entry, but for the digest over them. */
#define PL_OUTBOX_COLUMNS                                                                          \
  "sop_instance_uid, destination, sop_class_uid, study_instance_uid, transfer_syntax_uid, "        \
  "sha256, state, attempts, queued_ms, not_before_ms, warning, text, transaction_uid, source"

/* The digest shows damage that leaves the file in order. */
#define PL_OUTBOX_WHOLE "(digest IS digest(" PL_OUTBOX_COLUMNS "))"

/* The entry of a file as it is queued now. The errors of ct_object_read. */
LC_MUST_CHECK lc_status pl_entry_new(struct pl_entry *entry, const char *destination,
                                     const char *path, struct lc_error *err);
/* Writes an entry over whatever is there. */
LC_MUST_CHECK lc_status pl_outbox_save(struct pl_outbox *outbox, const struct pl_entry *entry,
                                       struct lc_error *err);
/* While nobody else uses the outbox: takes over what earlier versions left, if there is any. */
LC_MUST_CHECK lc_status pl_outbox_take_over(struct pl_outbox *outbox, struct lc_error *err);
/* The same: queues the objects of an outbox.db that was lost where one destination alone is kept;
 * others go to damaged/. */
LC_MUST_CHECK lc_status pl_outbox_adopt(struct pl_outbox *outbox, struct lc_error *err);
