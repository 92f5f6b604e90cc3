/* Slices that repeat an object or a position: which of them is kept, and when that cannot be known.
 */
#include "ct_io/dicom_read/ct_group.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_pixels.h"

/* Slices closer than this along the normal share their position. */
static const double same_place_mm = 0.01;
/* Share of repeated positions that is repaired rather than refused. */
static const double repeated_share = 0.2;

static void drop_slice(struct ct_series *series, size_t i) {
  free(series->slices[i].path);
  memmove(&series->slices[i], &series->slices[i + 1],
          (series->n_slices - i - 1) * sizeof *series->slices);
  series->n_slices--;
}

static bool same_object(const struct ct_slice *a, const struct ct_slice *b) {
  return a->along_mm == b->along_mm && a->frame == b->frame && a->sop_instance_uid[0] &&
         strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0 &&
         a->instance_number == b->instance_number && memcmp(a->keys, b->keys, sizeof a->keys) == 0;
}

/* Whether two slices show the same; false also where one of them cannot be decoded. */
static lc_status same_voxels(const struct ct_series *series, const struct ct_slice *a,
                             const struct ct_slice *b, bool *same, struct lc_error *err) {
  size_t count = (size_t)series->rows * (size_t)series->columns;
  LC_FREED int16_t *hu = NULL;
  *same = false;
  LC_TRY(lc_alloc(&hu, 2 * count, sizeof *hu, err));
  lc_status status = ct_slice_decode(series, a, hu, err);
  if (status == LC_OK) status = ct_slice_decode(series, b, hu + count, err);
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

/* The same object twice (a file copied, or linked to) is no second volume. Where its pixels differ
 * nothing tells which are right. */
lc_status ct_group_drop_copies(struct ct_group *group, struct lc_error *err) {
  struct ct_series *series = &group->series;
  bool same = false;
  if (!group->geometry_given || group->unfit[0]) return LC_OK;
  ct_group_sort(series);
  for (size_t i = 1; i < series->n_slices;) {
    const struct ct_slice *a = &series->slices[i - 1], *b = &series->slices[i];
    if (!same_object(a, b)) {
      i++;
      continue;
    }
    /* Frames of two files follow each other: what holds for the first holds for all. */
    if (!same || a->frame == 0) same = same_bytes(a->path, b->path);
    bool alike = same;
    if (!same) LC_TRY(same_voxels(series, a, b, &alike, err));
    if (!alike && !group->conflict[0])
      snprintf(group->conflict, sizeof group->conflict,
               "%.80s and %.80s have one SOPInstanceUID and place, and other pixels",
               ct_base_name(a->path), ct_base_name(b->path));
    group->n_rescale_absent -= !b->rescale_given;
    drop_slice(series, i);
    group->n_copies++;
  }
  return LC_OK;
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

/* Of slices i and i + 1 at one place, drops the one with the higher InstanceNumber, as pylidc does;
 * with one number, either when they show the same. */
static lc_status drop_repeat(struct ct_series *series, size_t i, struct lc_error *err) {
  const struct ct_slice *a = &series->slices[i], *b = &series->slices[i + 1];
  bool same = true;
  if (a->instance_number == b->instance_number) LC_TRY(same_voxels(series, a, b, &same, err));
  if (same)
    drop_slice(series, a->instance_number <= b->instance_number ? i + 1 : i);
  else
    ct_refuse(series, "%s and %s lie at %.2f mm, have one InstanceNumber and differ",
              ct_base_name(a->path), ct_base_name(b->path), a->along_mm);
  return LC_OK;
}

lc_status ct_group_resolve_repeats(struct ct_series *series, struct lc_error *err) {
  size_t repeated = 0, where = 0;
  for (size_t i = 1; i < series->n_slices; i++)
    if (series->slices[i].along_mm - series->slices[i - 1].along_mm < same_place_mm) {
      if (!repeated) where = i;
      repeated++;
    }
  if (!repeated) return LC_OK;
  const struct ct_slice *a = &series->slices[where - 1], *b = &series->slices[where];
  if ((double)repeated > repeated_share * (double)(series->n_slices - repeated)) {
    ct_refuse(series, "%zu of %zu slices repeat a position, first %s and %s at %.2f mm", repeated,
              series->n_slices, ct_base_name(a->path), ct_base_name(b->path), a->along_mm);
    return LC_OK;
  }
  ct_repair(series,
            "%zu slice%s repeat%s a position, first %s and %s at %.2f mm: lowest InstanceNumber "
            "kept",
            repeated, repeated > 1 ? "s" : "", repeated > 1 ? "" : "s", ct_base_name(a->path),
            ct_base_name(b->path), a->along_mm);
  for (size_t i = 1; i < series->n_slices && series->verdict != CT_REFUSED;) {
    if (series->slices[i].along_mm - series->slices[i - 1].along_mm >= same_place_mm)
      i++;
    else
      LC_TRY(drop_repeat(series, i - 1, err));
  }
  return LC_OK;
}
