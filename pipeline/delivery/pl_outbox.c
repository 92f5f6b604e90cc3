/* Opens and locks an outbox, queues objects in it, and reads, lists and changes its entries. */
#include "pipeline/delivery/pl_outbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "ct_io/ct/ct_uid.h"
#include "pipeline/delivery/pl_entry.h"
#include "pipeline/delivery/pl_outbox_files.h"
#include "pipeline/store/pl_output.h"

long long pl_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -- opening -------------------------------------------------------------------------------- */

static lc_status open_lock(const struct pl_outbox *outbox, const char *name, int *fd,
                           struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, outbox->folder, name, err));
  *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  return *fd >= 0 ? LC_OK : lc_file_write_error(path, errno, err);
}

static lc_status prepare(struct pl_outbox *outbox, bool create, struct lc_error *err) {
  static const char *const folders[] = {"destinations", "entries", "objects", "damaged"};
  if (create && !lc_folder_exists(outbox->folder)) {
    LC_TRY(lc_folder_make(outbox->folder, err));
    /* Patients' data for nobody but us, until someone decides otherwise. */
    if (chmod(outbox->folder, 0700) != 0) return lc_file_write_error(outbox->folder, errno, err);
  }
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    char path[LC_PATH_SIZE];
    LC_TRY(lc_path_join(path, outbox->folder, folders[i], err));
    if (!create && !lc_folder_exists(path))
      LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no outbox (it has no folder %s)", outbox->folder,
              folders[i]);
    if (create) LC_TRY(lc_folder_make(path, err));
  }
  LC_TRY(open_lock(outbox, "entries.lock", &outbox->entries_lock, err));
  return open_lock(outbox, "sender.lock", &outbox->sender_lock, err);
}

lc_status pl_outbox_open(struct pl_outbox *outbox, const char *folder, bool create,
                         struct lc_error *err) {
  *outbox = (struct pl_outbox){.entries_lock = -1, .sender_lock = -1};
  /* Room for the longest name below it. */
  if (strlen(folder) + 256 > sizeof outbox->folder)
    LC_FAIL(err, LC_ERR_USAGE, "outbox: path of more than %d bytes", LC_PATH_SIZE - 257);
  lc_text_copy(outbox->folder, sizeof outbox->folder, folder);
  lc_status status = prepare(outbox, create, err);
  if (status != LC_OK) pl_outbox_close(outbox);
  return status;
}

void pl_outbox_close(struct pl_outbox *outbox) {
  if (outbox->entries_lock >= 0) close(outbox->entries_lock);
  if (outbox->sender_lock >= 0) close(outbox->sender_lock);
  outbox->entries_lock = outbox->sender_lock = -1;
}

bool pl_outbox_lock_sender(struct pl_outbox *outbox) {
  return flock(outbox->sender_lock, LOCK_EX | LOCK_NB) == 0;
}

lc_status pl_outbox_lock(struct pl_outbox *outbox, struct lc_error *err) {
  while (flock(outbox->entries_lock, LOCK_EX) != 0)
    if (errno != EINTR)
      LC_FAIL(err, LC_ERR_NOT_WRITABLE, "%s/entries.lock: %s", outbox->folder, strerror(errno));
  return LC_OK;
}

void pl_outbox_unlock(struct pl_outbox *outbox) {
  flock(outbox->entries_lock, LOCK_UN);
}

lc_status pl_outbox_sync(struct pl_outbox *outbox, struct lc_error *err) {
  return lc_folder_sync_all(outbox->folder, err);
}

/* -- one entry ------------------------------------------------------------------------------ */

lc_status pl_outbox_path(const struct pl_outbox *outbox, char out[LC_PATH_SIZE],
                         struct lc_error *err, const char *fmt, ...) {
  char below[512];
  va_list words;
  va_start(words, fmt);
  int n = vsnprintf(below, sizeof below, fmt, words);
  va_end(words);
  if (n < 0 || n >= (int)sizeof below) LC_FAIL(err, LC_ERR_USAGE, "a name is too long");
  return lc_path_join(out, outbox->folder, below, err);
}

static lc_status entry_path(const struct pl_outbox *outbox, const char *destination,
                            const char *sop_instance_uid, char out[LC_PATH_SIZE],
                            struct lc_error *err) {
  return pl_outbox_path(outbox, out, err, "entries/%s/%s.json", destination, sop_instance_uid);
}

lc_status pl_outbox_object(const struct pl_outbox *outbox, const struct pl_entry *entry,
                           char path[LC_PATH_SIZE], struct lc_error *err) {
  return pl_outbox_path(outbox, path, err, "objects/%s-%.16s.dcm", entry->object.sop_instance_uid,
                        entry->sha256);
}

lc_status pl_outbox_load(const struct pl_outbox *outbox, const char *destination,
                         const char *sop_instance_uid, struct pl_entry *entry,
                         struct lc_error *err) {
  char path[LC_PATH_SIZE], *json;
  size_t length;
  LC_TRY(entry_path(outbox, destination, sop_instance_uid, path, err));
  LC_TRY(lc_file_read(path, 1 << 16, &json, &length, err));
  lc_status status = pl_entry_read(entry, json, length, path, err);
  free(json);
  if (status == LC_OK && (strcmp(entry->destination, destination) != 0 ||
                          strcmp(entry->object.sop_instance_uid, sop_instance_uid) != 0))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: damaged: it belongs to another file", path);
  return status;
}

lc_status pl_outbox_save(struct pl_outbox *outbox, const struct pl_entry *entry,
                         struct lc_error *err) {
  char path[LC_PATH_SIZE];
  struct lc_text json = {0};
  LC_TRY(entry_path(outbox, entry->destination, entry->object.sop_instance_uid, path, err));
  lc_status status = pl_entry_write(entry, &json, err);
  if (status == LC_OK) status = lc_file_write_soon(path, json.data, json.length, err);
  lc_text_free(&json);
  return status;
}

static lc_status change_locked(struct pl_outbox *outbox, const struct pl_entry *entry,
                               struct lc_error *err) {
  struct pl_entry now;
  struct lc_error why;
  if (pl_outbox_load(outbox, entry->destination, entry->object.sop_instance_uid, &now, &why) ==
          LC_OK &&
      strcmp(now.sha256, entry->sha256) != 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: %s has a new content", entry->destination,
            entry->object.sop_instance_uid);
  return pl_outbox_save(outbox, entry, err);
}

lc_status pl_outbox_change(struct pl_outbox *outbox, const struct pl_entry *entry,
                           struct lc_error *err) {
  LC_TRY(pl_outbox_lock(outbox, err));
  lc_status status = change_locked(outbox, entry, err);
  pl_outbox_unlock(outbox);
  return status;
}

/* -- queueing ------------------------------------------------------------------------------- */

static lc_status copy_bytes(FILE *from, FILE *to, const char *from_name, const char *to_name,
                            struct lc_error *err) {
  char buffer[1 << 16];
  size_t n;
  while ((n = fread(buffer, 1, sizeof buffer, from)) > 0)
    if (fwrite(buffer, 1, n, to) != n) return lc_file_write_error(to_name, errno, err);
  if (ferror(from)) LC_FAIL(err, LC_ERR_FORMAT, "%s: reading failed before its end", from_name);
  return fflush(to) == 0 ? LC_OK : lc_file_write_error(to_name, errno, err);
}

static lc_status copy_file(const char *from_name, const char *to_name, struct lc_error *err) {
  FILE *from = fopen(from_name, "rb");
  if (!from) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", from_name, strerror(errno));
  FILE *to = fopen(to_name, "wb");
  lc_status status =
      to ? copy_bytes(from, to, from_name, to_name, err) : lc_file_write_error(to_name, errno, err);
  fclose(from);
  if (to && fclose(to) != 0 && status == LC_OK) status = lc_file_write_error(to_name, errno, err);
  return status;
}

/* The bytes get into objects/ as they were when the entry's hash was made, or not at all. */
static lc_status keep_object(struct pl_outbox *outbox, const struct pl_entry *entry,
                             const char *from, struct lc_error *err) {
  char path[LC_PATH_SIZE], hex[LC_SHA256_HEX];
  struct lc_output output;
  LC_TRY(pl_outbox_object(outbox, entry, path, err));
  if (lc_file_exists(path) && lc_hash_file_hex(path, hex, err) == LC_OK &&
      strcmp(hex, entry->sha256) == 0)
    return LC_OK;
  LC_TRY(lc_output_begin(&output, path, err));
  lc_status status = copy_file(from, output.temporary, err);
  if (status == LC_OK) status = lc_hash_file_hex(output.temporary, hex, err);
  if (status == LC_OK && strcmp(hex, entry->sha256) != 0)
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: changes while it is read", from);
  if (status == LC_OK) return lc_output_commit_soon(&output, err);
  lc_output_abort(&output);
  return status;
}

/* Whether what is there already settles it. */
static lc_status compare(const struct pl_outbox *outbox, const struct pl_entry *new,
                         const struct pl_entry *known, bool replace, enum pl_added *added,
                         bool *settled, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  *settled = false;
  if (strcmp(known->sha256, new->sha256) != 0) {
    if (replace) return LC_OK;
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: its SOPInstanceUID %s was queued for %s with another content; --overwrite sends "
            "this one",
            new->source, new->object.sop_instance_uid, new->destination);
  }
  *added = known->state == PL_STATE_REFUSED ? PL_ADDED_REFUSED_BEFORE : PL_ADDED_KNOWN;
  LC_TRY(pl_outbox_object(outbox, known, path, err));
  /* Bytes that are needed and gone are taken from this file. */
  *settled =
      known->state == PL_STATE_SENT || known->state == PL_STATE_CONFIRMED || lc_file_exists(path);
  return LC_OK;
}

static lc_status add_locked(struct pl_outbox *outbox, struct pl_entry *new, const char *path,
                            bool replace, enum pl_added *added, struct lc_error *err) {
  struct pl_entry known;
  struct lc_error why;
  bool settled = false;
  if (pl_outbox_load(outbox, new->destination, new->object.sop_instance_uid, &known, &why) == LC_OK)
    LC_TRY(compare(outbox, new, &known, replace, added, &settled, err));
  if (settled) return LC_OK;
  *added = PL_ADDED_QUEUED;
  LC_TRY(keep_object(outbox, new, path, err));
  return pl_outbox_save(outbox, new, err);
}

lc_status pl_outbox_add(struct pl_outbox *outbox, const char *destination, const char *path,
                        bool replace, enum pl_added *added, struct lc_error *err) {
  struct pl_entry new = {.state = PL_STATE_QUEUED, .queued_ms = pl_now_ms()};
  char folder[LC_PATH_SIZE];
  lc_text_copy(new.destination, sizeof new.destination, destination);
  lc_text_copy(new.source, sizeof new.source, path);
  LC_TRY(ct_object_read(&new.object, path, err));
  LC_TRY(lc_hash_file_hex(path, new.sha256, err));
  LC_TRY(pl_outbox_path(outbox, folder, err, "entries/%s", destination));
  LC_TRY(lc_folder_make(folder, err));
  LC_TRY(pl_outbox_lock(outbox, err));
  lc_status status = add_locked(outbox, &new, path, replace, added, err);
  pl_outbox_unlock(outbox);
  return status;
}

/* -- all entries ---------------------------------------------------------------------------- */

void pl_entries_free(struct pl_entries *entries) {
  free(entries->items);
  memset(entries, 0, sizeof *entries);
}

static struct pl_entry *next_entry(struct pl_entries *entries, struct lc_error *err) {
  if (entries->n == entries->capacity) {
    size_t capacity = entries->capacity ? 2 * entries->capacity : 64;
    struct pl_entry *items = realloc(entries->items, capacity * sizeof *items);
    if (!items) {
      (void)!lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "cannot list %zu entries", capacity);
      return NULL;
    }
    entries->items = items;
    entries->capacity = capacity;
  }
  return &entries->items[entries->n];
}

bool pl_outbox_uid_of(const char *file_name, char uid[CT_UID_SIZE]) {
  const char *dot = strrchr(file_name, '.');
  if (!dot || strcmp(dot, ".json") != 0 || dot - file_name >= CT_UID_SIZE) return false;
  memcpy(uid, file_name, (size_t)(dot - file_name));
  uid[dot - file_name] = '\0';
  return ct_uid_valid(uid);
}

lc_status pl_outbox_each_file(const struct pl_outbox *outbox, const char *below,
                              lc_status (*visit)(void *context, const char *name,
                                                 struct lc_error *err),
                              void *context, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(pl_outbox_path(outbox, path, err, "%s", below));
  DIR *stream = opendir(path);
  if (!stream) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", path, strerror(errno));
  lc_status status = LC_OK;
  for (struct dirent *file = readdir(stream); file && status == LC_OK; file = readdir(stream))
    if (file->d_name[0] != '.') status = visit(context, file->d_name, err);
  closedir(stream);
  return status;
}

struct listing {
  const struct pl_outbox *outbox;
  const char *only, *destination;
  struct pl_entries *entries;
};

static lc_status list_file(void *context, const char *name, struct lc_error *err) {
  struct listing *listing = (struct listing *)context;
  struct lc_error why;
  char uid[CT_UID_SIZE];
  struct pl_entry *entry = next_entry(listing->entries, err);
  if (!entry) return LC_ERR_MEMORY;
  if (pl_outbox_uid_of(name, uid) &&
      pl_outbox_load(listing->outbox, listing->destination, uid, entry, &why) == LC_OK)
    listing->entries->n++;
  else
    listing->entries->n_damaged++;
  return LC_OK;
}

static lc_status list_destination(void *context, const char *name, struct lc_error *err) {
  struct listing *listing = (struct listing *)context;
  char below[256];
  if (listing->only && strcmp(listing->only, name) != 0) return LC_OK;
  snprintf(below, sizeof below, "entries/%.200s", name);
  listing->destination = name;
  return pl_outbox_each_file(listing->outbox, below, list_file, listing, err);
}

static int by_time(const void *a, const void *b) {
  const struct pl_entry *x = (const struct pl_entry *)a, *y = (const struct pl_entry *)b;
  if (x->queued_ms != y->queued_ms) return x->queued_ms < y->queued_ms ? -1 : 1;
  int order = strcmp(x->destination, y->destination);
  return order ? order : strcmp(x->object.sop_instance_uid, y->object.sop_instance_uid);
}

lc_status pl_outbox_list(struct pl_outbox *outbox, const char *destination,
                         struct pl_entries *entries, struct lc_error *err) {
  struct listing listing = {.outbox = outbox, .only = destination, .entries = entries};
  memset(entries, 0, sizeof *entries);
  lc_status status = pl_outbox_each_file(outbox, "entries", list_destination, &listing, err);
  if (status == LC_OK && entries->n > 0)
    qsort(entries->items, entries->n, sizeof *entries->items, by_time);
  if (status != LC_OK) pl_entries_free(entries);
  return status;
}
