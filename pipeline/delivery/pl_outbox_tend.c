/* Repairs or sets aside damaged entries, removes what is not needed, retries and forgets entries,
 * and keeps destinations and their failures. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "ct_io/ct/ct_uid.h"
#include "pipeline/delivery/pl_entry.h"
#include "pipeline/delivery/pl_outbox_files.h"
#include "pipeline/store/pl_output.h"

typedef bool (*is_final)(const void *context, const struct pl_entry *entry);

/* -- damage --------------------------------------------------------------------------------- */

/* Moves a file to damaged/; what has that name there is older and gives way. */
static lc_status set_aside(struct pl_outbox *outbox, const char *path, const char *name,
                           struct lc_error *err) {
  char target[LC_PATH_SIZE];
  LC_TRY(pl_outbox_path(outbox, target, err, "damaged/%.250s", name));
  if (rename(path, target) != 0 && errno != ENOENT) return lc_file_write_error(target, errno, err);
  return LC_OK;
}

/* Looks for the object with a UID among those kept. */
struct search {
  struct pl_outbox *outbox;
  const char *uid;
  char name[256];
};

static lc_status match_object(void *context, const char *name, struct lc_error *err) {
  (void)err;
  struct search *search = (struct search *)context;
  size_t n = strlen(search->uid);
  if (strncmp(name, search->uid, n) == 0 && name[n] == '-')
    lc_text_copy(search->name, sizeof search->name, name);
  return LC_OK;
}

/* Makes an entry again from its object. LC_ERR_NOT_FOUND when there is none. */
static lc_status rebuild(struct pl_outbox *outbox, const char *destination, const char *uid,
                         struct lc_error *err) {
  struct search search = {.outbox = outbox, .uid = uid};
  struct pl_entry entry = {.state = PL_STATE_QUEUED, .queued_ms = pl_now_ms()};
  char path[LC_PATH_SIZE], expected[LC_PATH_SIZE];
  LC_TRY(pl_outbox_each_file(outbox, "objects", match_object, &search, err));
  if (!search.name[0]) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no object is kept", uid);
  LC_TRY(pl_outbox_path(outbox, path, err, "objects/%s", search.name));
  LC_TRY(ct_object_read(&entry.object, path, err));
  LC_TRY(lc_hash_file_hex(path, entry.sha256, err));
  LC_TRY(pl_outbox_object(outbox, &entry, expected, err));
  if (strcmp(path, expected) != 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: damaged", path);
  lc_text_copy(entry.destination, sizeof entry.destination, destination);
  lc_text_copy(entry.source, sizeof entry.source, path);
  return pl_outbox_save(outbox, &entry, err);
}

struct repair {
  struct pl_outbox *outbox;
  const char *destination;
};

static lc_status repair_file(void *context, const char *name, struct lc_error *err) {
  const struct repair *repair = (const struct repair *)context;
  struct pl_entry entry;
  struct lc_error why;
  char uid[CT_UID_SIZE], path[LC_PATH_SIZE], aside[256];
  LC_TRY(pl_outbox_path(repair->outbox, path, err, "entries/%s/%.250s", repair->destination, name));
  bool named = pl_outbox_uid_of(name, uid);
  if (named &&
      pl_outbox_load(repair->outbox, repair->destination, uid, &entry, &why) != LC_ERR_FORMAT)
    return LC_OK;
  snprintf(aside, sizeof aside, "%.64s_%.180s", repair->destination, name);
  LC_TRY(set_aside(repair->outbox, path, aside, err));
  if (named && rebuild(repair->outbox, repair->destination, uid, &why) == LC_OK)
    lc_log(LC_LOG_WARNING, "%s: damaged; its object is queued again", path);
  else
    lc_log(LC_LOG_WARNING, "%s: damaged, and its object is not kept; moved to damaged/", path);
  return LC_OK;
}

static lc_status repair_destination(void *context, const char *name, struct lc_error *err) {
  struct repair *repair = (struct repair *)context;
  struct pl_output folder;
  char path[LC_PATH_SIZE], below[256];
  repair->destination = name;
  LC_TRY(pl_outbox_path(repair->outbox, path, err, "entries/%s", name));
  if (!lc_folder_exists(path)) return LC_OK;
  LC_TRY(pl_output_open(&folder, path, err)); /* removes what dead processes left */
  snprintf(below, sizeof below, "entries/%.200s", name);
  return pl_outbox_each_file(repair->outbox, below, repair_file, repair, err);
}

lc_status pl_outbox_verify(struct pl_outbox *outbox, const struct pl_entry *entry,
                           struct lc_error *err) {
  char path[LC_PATH_SIZE], hex[LC_SHA256_HEX] = "";
  struct lc_error why;
  LC_TRY(pl_outbox_object(outbox, entry, path, err));
  if (lc_hash_file_hex(path, hex, &why) == LC_OK && strcmp(hex, entry->sha256) == 0) return LC_OK;
  const char *name = strrchr(path, '/');
  LC_TRY(set_aside(outbox, path, name + 1, err));
  LC_FAIL(err, LC_ERR_FORMAT, "%s: %s in the outbox; queue %.300s again", path,
          hex[0] ? "damaged" : "missing", entry->source);
}

/* -- leftovers ------------------------------------------------------------------------------ */

/* What objects/ must keep: sorted names. */
struct needed {
  char (*names)[96];
  size_t n;
  struct pl_outbox *outbox;
};

static int by_name(const void *a, const void *b) {
  return strcmp((const char *)a, (const char *)b);
}

static lc_status remove_unneeded(void *context, const char *name, struct lc_error *err) {
  const struct needed *needed = (const struct needed *)context;
  char key[96], path[LC_PATH_SIZE];
  if (strlen(name) < sizeof key) {
    lc_text_copy(key, sizeof key, name);
    if (needed->n > 0 && bsearch(key, needed->names, needed->n, sizeof *needed->names, by_name))
      return LC_OK;
  }
  LC_TRY(pl_outbox_path(needed->outbox, path, err, "objects/%.250s", name));
  if (unlink(path) != 0 && errno != ENOENT)
    lc_log(LC_LOG_WARNING, "%s: cannot be removed: %s", path, strerror(errno));
  return LC_OK;
}

static lc_status remove_leftovers(struct pl_outbox *outbox, is_final final, const void *context,
                                  struct lc_error *err) {
  struct pl_entries entries;
  struct pl_output folder;
  struct needed needed = {.outbox = outbox};
  char path[LC_PATH_SIZE];
  LC_TRY(pl_outbox_path(outbox, path, err, "objects"));
  LC_TRY(pl_output_open(&folder, path, err));
  LC_TRY(pl_outbox_list(outbox, NULL, &entries, err));
  lc_status status = LC_OK;
  needed.names = calloc(entries.n + 1, sizeof *needed.names);
  if (!needed.names) LC_FAIL_GOTO(done, err, LC_ERR_MEMORY, "cannot list %zu objects", entries.n);
  for (size_t i = 0; i < entries.n; i++) {
    const struct pl_entry *entry = &entries.items[i];
    if (final(context, entry) && entry->state != PL_STATE_REFUSED) continue;
    LC_TRY_GOTO(pl_outbox_object(outbox, entry, path, err), done);
    const char *name = strrchr(path, '/');
    lc_text_copy(needed.names[needed.n++], sizeof *needed.names, name + 1);
  }
  qsort(needed.names, needed.n, sizeof *needed.names, by_name);
  status = pl_outbox_each_file(outbox, "objects", remove_unneeded, &needed, err);
done:
  free(needed.names);
  pl_entries_free(&entries);
  return status;
}

lc_status pl_outbox_tidy(struct pl_outbox *outbox, is_final final, const void *context,
                         struct lc_error *err) {
  struct repair repair = {.outbox = outbox};
  LC_TRY(pl_outbox_lock(outbox, err));
  lc_status status = pl_outbox_each_file(outbox, "entries", repair_destination, &repair, err);
  if (status == LC_OK) status = remove_leftovers(outbox, final, context, err);
  pl_outbox_unlock(outbox);
  return status;
}

struct release {
  struct pl_outbox *outbox;
  const struct pl_entry *entry;
  is_final final;
  const void *context;
  bool needed;
};

static lc_status look_for_need(void *context, const char *name, struct lc_error *err) {
  (void)err;
  struct release *release = (struct release *)context;
  struct pl_entry other;
  struct lc_error why;
  lc_status status =
      pl_outbox_load(release->outbox, name, release->entry->object.sop_instance_uid, &other, &why);
  if (status == LC_ERR_NOT_FOUND) return LC_OK;
  /* A damaged entry may need it. */
  if (status != LC_OK ||
      (strcmp(other.sha256, release->entry->sha256) == 0 &&
       (!release->final(release->context, &other) || other.state == PL_STATE_REFUSED)))
    release->needed = true;
  return LC_OK;
}

lc_status pl_outbox_release(struct pl_outbox *outbox, const struct pl_entry *entry, is_final final,
                            const void *context, struct lc_error *err) {
  struct release release = {outbox, entry, final, context, false};
  char path[LC_PATH_SIZE];
  LC_TRY(pl_outbox_object(outbox, entry, path, err));
  LC_TRY(pl_outbox_lock(outbox, err));
  lc_status status = pl_outbox_each_file(outbox, "entries", look_for_need, &release, err);
  if (status == LC_OK && !release.needed && unlink(path) != 0 && errno != ENOENT)
    status = lc_file_write_error(path, errno, err);
  pl_outbox_unlock(outbox);
  return status;
}

/* -- retries -------------------------------------------------------------------------------- */

static lc_status retry_one(struct pl_outbox *outbox, const struct pl_entry *listed,
                           struct lc_error *err) {
  struct pl_entry entry;
  struct lc_error why;
  /* As it is now, not as it was listed. */
  if (pl_outbox_load(outbox, listed->destination, listed->object.sop_instance_uid, &entry, &why) !=
      LC_OK)
    return LC_OK;
  if (entry.state != PL_STATE_REFUSED && entry.not_before_ms == 0) return LC_OK;
  if (entry.state == PL_STATE_REFUSED) entry.state = PL_STATE_QUEUED;
  entry.attempts = 0;
  entry.not_before_ms = 0;
  return pl_outbox_save(outbox, &entry, err);
}

struct which {
  struct pl_outbox *outbox;
  const char *only;
};

static lc_status forget_failures(void *context, const char *name, struct lc_error *err) {
  const struct pl_standing none = {0};
  struct pl_standing now;
  const struct which *which = (const struct which *)context;
  if (which->only && strcmp(which->only, name) != 0) return LC_OK;
  pl_outbox_standing(which->outbox, name, &now);
  return now.failures > 0 ? pl_outbox_set_standing(which->outbox, name, &none, err) : LC_OK;
}

lc_status pl_outbox_retry(struct pl_outbox *outbox, const char *destination, struct lc_error *err) {
  struct pl_entries entries;
  struct which which = {outbox, destination};
  LC_TRY(pl_outbox_lock(outbox, err));
  lc_status status = pl_outbox_list(outbox, destination, &entries, err);
  if (status == LC_OK) {
    for (size_t i = 0; i < entries.n && status == LC_OK; i++)
      status = retry_one(outbox, &entries.items[i], err);
    pl_entries_free(&entries);
  }
  if (status == LC_OK)
    status = pl_outbox_each_file(outbox, "entries", forget_failures, &which, err);
  pl_outbox_unlock(outbox);
  return status;
}

/* -- what has arrived ----------------------------------------------------------------------- */

static bool has_arrived(const struct pl_entry *entry, is_final final, const void *context) {
  if (entry->state == PL_STATE_CONFIRMED) return true;
  /* The destination may have been set since to do without the commitment that was asked for. */
  return entry->state == PL_STATE_SENT && !entry->transaction_uid[0] && final(context, entry);
}

static lc_status forget_one(struct pl_outbox *outbox, const struct pl_entry *entry,
                            struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(pl_outbox_path(outbox, path, err, "entries/%s/%s.json", entry->destination,
                        entry->object.sop_instance_uid));
  return unlink(path) == 0 || errno == ENOENT ? LC_OK : lc_file_write_error(path, errno, err);
}

lc_status pl_outbox_forget(struct pl_outbox *outbox, const char *destination, long long before_ms,
                           is_final final, const void *context, size_t *n, struct lc_error *err) {
  struct pl_entries entries;
  *n = 0;
  LC_TRY(pl_outbox_lock(outbox, err));
  lc_status status = pl_outbox_list(outbox, destination, &entries, err);
  if (status == LC_OK) {
    for (size_t i = 0; i < entries.n && status == LC_OK; i++) {
      const struct pl_entry *entry = &entries.items[i];
      if (entry->queued_ms >= before_ms || !has_arrived(entry, final, context)) continue;
      status = forget_one(outbox, entry, err);
      *n += status == LC_OK;
    }
    pl_entries_free(&entries);
  }
  pl_outbox_unlock(outbox);
  return status == LC_OK ? pl_outbox_sync(outbox, err) : status;
}

/* -- destinations --------------------------------------------------------------------------- */

lc_status pl_outbox_keep_destination(struct pl_outbox *outbox,
                                     const struct pl_destination *destination,
                                     struct lc_error *err) {
  char path[LC_PATH_SIZE];
  struct lc_text yaml = {0};
  LC_TRY(pl_outbox_path(outbox, path, err, "destinations/%s.yaml", destination->name));
  pl_schema_print(&pl_destination_schema, destination, PL_PRINT_ALL, &yaml);
  lc_status status = LC_OK;
  if (yaml.failed)
    status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  else
    status = lc_file_write_soon(path, yaml.data, yaml.length, err);
  lc_text_free(&yaml);
  return status;
}

struct keeping {
  const struct pl_outbox *outbox;
  struct pl_destinations *destinations;
};

static lc_status read_kept(void *context, const char *file, struct lc_error *err) {
  const struct keeping *keeping = (const struct keeping *)context;
  char path[LC_PATH_SIZE], name[PL_DESTINATION_NAME];
  struct pl_destination *added = NULL;
  struct lc_error why;
  size_t n = strlen(file);
  if (n <= 5 || n - 5 >= sizeof name || strcmp(file + n - 5, ".yaml") != 0) return LC_OK;
  lc_text_copy(name, n - 4, file);
  if (pl_destinations_find(keeping->destinations, name)) return LC_OK;
  LC_TRY(pl_outbox_path(keeping->outbox, path, err, "destinations/%s", file));
  lc_status status = pl_destinations_add(keeping->destinations, name, &added, &why);
  if (status == LC_OK) status = pl_schema_read(&pl_destination_schema, added, path, &why);
  if (status == LC_OK) status = pl_destination_check(added, &why);
  if (status == LC_OK) return LC_OK;
  lc_log(LC_LOG_WARNING, "%s: left out: %s", path, why.message);
  if (added) { /* it is the last */
    pl_schema_free(&pl_destination_schema, added);
    keeping->destinations->n--;
  }
  return LC_OK;
}

lc_status pl_outbox_kept_destinations(const struct pl_outbox *outbox,
                                      struct pl_destinations *destinations, struct lc_error *err) {
  struct keeping keeping = {outbox, destinations};
  return pl_outbox_each_file(outbox, "destinations", read_kept, &keeping, err);
}

void pl_outbox_standing(const struct pl_outbox *outbox, const char *destination,
                        struct pl_standing *standing) {
  char path[LC_PATH_SIZE], *json;
  size_t length;
  struct lc_error why;
  memset(standing, 0, sizeof *standing);
  if (pl_outbox_path(outbox, path, &why, "destinations/%s.json", destination) != LC_OK ||
      lc_file_read(path, 1 << 16, &json, &length, &why) != LC_OK)
    return;
  json_t *root = json_loadb(json, length, 0, NULL);
  const char *text = json_string_value(json_object_get(root, "text"));
  json_int_t failures = json_integer_value(json_object_get(root, "failures"));
  json_int_t not_before = json_integer_value(json_object_get(root, "not_before_ms"));
  if (text && failures > 0 && not_before >= 0) {
    standing->failures = failures;
    standing->not_before_ms = not_before;
    lc_text_copy(standing->text, sizeof standing->text, text);
  }
  json_decref(root);
  free(json);
}

lc_status pl_outbox_set_standing(struct pl_outbox *outbox, const char *destination,
                                 const struct pl_standing *standing, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(pl_outbox_path(outbox, path, err, "destinations/%s.json", destination));
  char text[sizeof standing->text];
  lc_text_copy(text, sizeof text, standing->text);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c >= 0x80) *c = '?'; /* a cut could have left half a character */
  json_t *root = json_pack("{s:I, s:I, s:s}", "failures", (json_int_t)standing->failures,
                           "not_before_ms", (json_int_t)standing->not_before_ms, "text", text);
  char *dump = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  json_decref(root);
  if (!dump) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  lc_status status = lc_file_write_soon(path, dump, strlen(dump), err);
  free(dump);
  return status;
}
