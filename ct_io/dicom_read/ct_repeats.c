/* Slices that repeat an object or a position: which of them is kept, and when that cannot be known.
 */
#include "ct_io/dicom_read/ct_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_pixels.h"

/* Slices closer than this along the normal share their position. */
static const double same_place_mm = 0.01;
/* Share of repeated positions that is repaired rather than refused. */
static const double repeated_share = 0.2;

static bool same_object(const struct ct_slice *a, const struct ct_slice *b) {
  return a->along_mm == b->along_mm && a->frame == b->frame && a->sop_instance_uid[0] &&
         strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0 &&
         memcmp(a->keys, b->keys, sizeof a->keys) == 0;
}

/* Whether two slices show the same; false also where one of them cannot be decoded. */
static lc_status same_voxels(struct ct_pixel_file **kept, const struct ct_series *series,
                             const struct ct_slice *a, const struct ct_slice *b, bool *same,
                             struct lc_error *err) {
  size_t count = (size_t)series->rows * (size_t)series->columns;
  LC_FREED int16_t *hu = NULL;
  *same = false;
  LC_TRY(lc_alloc(&hu, 2 * count, sizeof *hu, err));
  lc_status status = ct_slice_decode(kept, series, a, hu, err);
  if (status == LC_OK) status = ct_slice_decode(kept, series, b, hu + count, err);
  *same = status == LC_OK && memcmp(hu, hu + count, count * sizeof *hu) == 0;
  return status == LC_ERR_MEMORY ? status : LC_OK;
}

/* Whether two files are one, by links, or hold the same bytes. */
static bool same_bytes(const char *a, const char *b) {
  static const char *const mode = "rbe";
  struct stat x, y;
  char left[16384], right[16384];
  if (stat(a, &x) != 0 || stat(b, &y) != 0 || x.st_size != y.st_size) return false;
  if (x.st_dev == y.st_dev && x.st_ino == y.st_ino) return true;
  FILE *one = fopen(a, mode), *other = fopen(b, mode);
  size_t n = 1;
  bool same = one && other;
  while (same && n > 0) {
    n = fread(left, 1, sizeof left, one);
    same = fread(right, 1, sizeof right, other) == n && memcmp(left, right, n) == 0;
  }
  same = same && !ferror(one) && !ferror(other);
  if (one) fclose(one);
  if (other) fclose(other);
  return same;
}

/* The name of a file with that of its folder: two may have one name. */
static const char *with_folder(const char *path) {
  const char *name = ct_base_name(path);
  while (name - path > 1 && name[-2] != '/') name--;
  return name > path ? name - 1 : path;
}

/* How the second of two files is called beside the first. */
static const char *other_name(const char *first, const char *second) {
  bool one_name = strcmp(ct_base_name(first), ct_base_name(second)) == 0;
  return one_name ? with_folder(second) : ct_base_name(second);
}

static void close_kept(struct ct_pixel_file **kept) {
  ct_pixel_file_close(*kept);
}

/* The same object twice (a file copied, or linked to) is no second volume. Where its pixels differ
 * nothing tells which are right. */
lc_status ct_group_drop_copies(struct ct_group *group, struct lc_error *err) {
  struct ct_series *series = &group->series;
  struct ct_slice *slices = series->slices;
  LC_SCOPED(close_kept) struct ct_pixel_file *kept = NULL;
  size_t n = series->n_slices, last = 0;
  bool same = false;
  lc_status status = LC_OK;
  if (!group->geometry_given || group->unfit[0] || n == 0) return LC_OK;
  ct_group_sort(series);
  for (size_t i = 1; i < n; i++) {
    struct ct_slice *a = &slices[last], *b = &slices[i];
    if (status != LC_OK || !same_object(a, b)) {
      slices[++last] = *b;
      continue;
    }
    /* Frames of two files follow each other: what holds for the first holds for all. */
    if (!same || a->frame == 0) same = same_bytes(a->path, b->path);
    bool alike = same;
    if (!same) status = same_voxels(&kept, series, a, b, &alike, err);
    if (!alike && !group->conflict[0])
      snprintf(group->conflict, sizeof group->conflict,
               "%.100s and %.100s have one SOPInstanceUID and place, and other pixels",
               ct_base_name(a->path), other_name(a->path, b->path));
    group->n_rescale_absent -= !b->rescale_given;
    group->n_copies++;
    free(b->path);
  }
  series->n_slices = last + 1;
  return status;
}

struct identity {
  const char *sop;
  int frame;
};

static int by_identity(const void *a, const void *b) {
  const struct identity *x = a, *y = b;
  int order = strcmp(x->sop, y->sop);
  return order ? order : (x->frame > y->frame) - (x->frame < y->frame);
}

lc_status ct_group_note_identities(struct ct_series *series, struct lc_error *err) {
  size_t n = series->n_slices, shared = 0;
  struct identity *identities = NULL;
  LC_TRY(lc_alloc(&identities, n, sizeof *identities, err));
  for (size_t i = 0; i < n; i++)
    identities[i] = (struct identity){series->slices[i].sop_instance_uid, series->slices[i].frame};
  qsort(identities, n, sizeof *identities, by_identity);
  for (size_t i = 1; i < n; i++)
    shared += identities[i].sop[0] && by_identity(&identities[i - 1], &identities[i]) == 0;
  free(identities);
  if (shared)
    ct_repair(series, "SOPInstanceUID of %zu slice%s is another's too: told apart by position",
              shared, shared > 1 ? "s" : "");
  return LC_OK;
}

/* The value that more than half of the slices have; false where none is. */
static bool usual_key(const struct ct_series *series, int key, uint64_t *value) {
  size_t lead = 0, count = 0;
  for (size_t i = 0; i < series->n_slices; i++) { /* Boyer and Moore's vote */
    uint64_t own = series->slices[i].keys[key];
    if (lead == 0) *value = own;
    lead = own == *value ? lead + 1 : lead - 1;
  }
  for (size_t i = 0; i < series->n_slices; i++) count += series->slices[i].keys[key] == *value;
  return 2 * count > series->n_slices;
}

struct repeats {
  struct ct_series *series;
  uint64_t usual[CT_KEY_COUNT];
  bool is_usual[CT_KEY_COUNT];
  struct ct_pixel_file *kept;
  size_t by_key; /* decided by an attribute */
};

/* Which of two slices is like most others by the first attribute in which they differ; NULL: both,
 * or none. */
static struct ct_slice *like_most(const struct repeats *repeats, struct ct_slice *a,
                                  struct ct_slice *b) {
  for (int key = 0; key < CT_KEY_COUNT; key++) {
    if (a->keys[key] == b->keys[key]) continue;
    if (!repeats->is_usual[key]) return NULL;
    return a->keys[key] == repeats->usual[key] ? a : b->keys[key] == repeats->usual[key] ? b : NULL;
  }
  return NULL;
}

/* Of two slices at one place keeps in `a` the one that is like most others by its attributes, else
 * that of the lower InstanceNumber, as pylidc does; with one number, either when they show the
 * same. Refuses the series, and keeps both, otherwise. */
static lc_status keep_one(struct repeats *repeats, struct ct_slice *a, struct ct_slice *b,
                          struct lc_error *err) {
  struct ct_slice *better = like_most(repeats, a, b);
  bool same = true;
  if (better)
    repeats->by_key++;
  else if (a->instance_number == b->instance_number)
    LC_TRY(same_voxels(&repeats->kept, repeats->series, a, b, &same, err));
  if (!same) {
    ct_refuse(repeats->series,
              "%.100s and %.100s lie at %.2f mm, have one InstanceNumber and differ",
              ct_base_name(a->path), other_name(a->path, b->path), a->along_mm);
    return LC_OK;
  }
  if (!better) better = a->instance_number <= b->instance_number ? a : b;
  free(better == a ? b->path : a->path);
  *a = *better;
  return LC_OK;
}

static lc_status drop_repeats(struct repeats *repeats, struct lc_error *err) {
  struct ct_series *series = repeats->series;
  struct ct_slice *slices = series->slices;
  size_t last = 0;
  lc_status status = LC_OK;
  for (int key = 0; key < CT_KEY_COUNT; key++)
    repeats->is_usual[key] = usual_key(series, key, &repeats->usual[key]);
  for (size_t i = 1; i < series->n_slices; i++) {
    bool both = slices[i].along_mm - slices[last].along_mm >= same_place_mm || status != LC_OK ||
                series->verdict == CT_REFUSED;
    if (!both) {
      status = keep_one(repeats, &slices[last], &slices[i], err);
      both = status != LC_OK || series->verdict == CT_REFUSED;
    }
    if (both) slices[++last] = slices[i];
  }
  series->n_slices = last + 1;
  return status;
}

lc_status ct_group_resolve_repeats(struct ct_series *series, struct lc_error *err) {
  size_t repeated = 0, where = 0;
  char first[256];
  for (size_t i = 1; i < series->n_slices; i++)
    if (series->slices[i].along_mm - series->slices[i - 1].along_mm < same_place_mm) {
      if (!repeated) where = i;
      repeated++;
    }
  if (!repeated) return LC_OK;
  const struct ct_slice *a = &series->slices[where - 1], *b = &series->slices[where];
  snprintf(first, sizeof first, "%.100s and %.100s at %.2f mm", ct_base_name(a->path),
           ct_base_name(b->path), a->along_mm);
  if ((double)repeated > repeated_share * (double)(series->n_slices - repeated)) {
    ct_refuse(series, "%zu of %zu slices repeat a position, first %s", repeated, series->n_slices,
              first);
    return LC_OK;
  }
  struct repeats repeats = {.series = series};
  lc_status status = drop_repeats(&repeats, err);
  ct_pixel_file_close(repeats.kept);
  if (series->verdict != CT_REFUSED)
    ct_repair(series, "%zu slice%s repeat%s a position, first %s: %slowest InstanceNumber kept",
              repeated, repeated > 1 ? "s" : "", repeated > 1 ? "" : "s", first,
              repeats.by_key ? "the one of most slices' acquisition and reconstruction, else "
                             : "");
  return status;
}
