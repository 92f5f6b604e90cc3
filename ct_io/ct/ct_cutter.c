/* Groups nodules by the slices they share, decodes each group, and hands each nodule its volume. */
#include "ct_io/ct/ct_cutter.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_hash.h"
#include "ct_io/ct/ct_plausible.h"
#include "ct_io/ct/ct_volume_file.h"

static int by_first(const void *a, const void *b) {
  const struct ct_slab *x = (const struct ct_slab *)a, *y = (const struct ct_slab *)b;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return (x->nodule > y->nodule) - (x->nodule < y->nodule);
}

/* Slabs [start, end) that one decoding serves: they overlap and stay within the limit. */
static size_t end_of_group(const struct ct_cut_plan *plan, size_t start, size_t *count) {
  const struct ct_series *series = plan->series;
  const struct ct_slab *slabs = plan->slabs;
  size_t slice_bytes = (size_t)series->rows * (size_t)series->columns * sizeof(int16_t);
  size_t end = start + 1, last = slabs[start].first + slabs[start].count;
  while (end < plan->n && slabs[end].first < last) {
    size_t reach = slabs[end].first + slabs[end].count;
    if (reach < last) reach = last;
    if ((reach - slabs[start].first) * slice_bytes > CT_CUT_BYTES) break;
    last = reach;
    end++;
  }
  *count = last - slabs[start].first;
  return end;
}

lc_status ct_cut_plan_init(struct ct_cut_plan *plan, const struct ct_series *series, size_t n,
                           const double (*centres_mm)[3], double edge_mm, struct lc_error *err) {
  *plan = (struct ct_cut_plan){.series = series};
  LC_TRY(lc_alloc(&plan->slabs, n, sizeof *plan->slabs, err));
  for (size_t i = 0; i < n; i++) {
    bool inside = ct_series_contains(series, centres_mm[i]);
    struct ct_slab *slab = &plan->slabs[inside ? plan->n++ : n - ++plan->n_outside];
    slab->nodule = i;
    memcpy(slab->centre_mm, centres_mm[i], sizeof slab->centre_mm);
    ct_series_slab(series, centres_mm[i], edge_mm, &slab->first, &slab->count);
  }
  qsort(plan->slabs, plan->n, sizeof *plan->slabs, by_first);
  for (size_t start = 0, count; start < plan->n; plan->n_slices += count)
    start = end_of_group(plan, start, &count);
  return LC_OK;
}

void ct_cut_plan_free(struct ct_cut_plan *plan) {
  free(plan->slabs);
  memset(plan, 0, sizeof *plan);
}

lc_status ct_cut_plan_hash(const struct ct_cut_plan *plan, char hex[65], struct lc_error *err) {
  const struct ct_series *series = plan->series;
  const char *last = "";
  struct lc_hash hash;
  size_t next = 0;
  uint8_t digest[LC_SHA256_BYTES];
  LC_TRY(lc_hash_begin(&hash, err));
  for (size_t s = 0; s < plan->n && !series->file; s++) { /* sorted by first slice */
    size_t end = plan->slabs[s].first + plan->slabs[s].count;
    for (next = plan->slabs[s].first > next ? plan->slabs[s].first : next; next < end; next++) {
      const char *path = series->slices[next].path;
      if (strcmp(path, last) == 0) continue; /* frames of one file */
      last = path;
      lc_status status = lc_hash_file_hex(path, hex, err);
      if (status != LC_OK) {
        lc_hash_end(&hash, digest);
        return status;
      }
      lc_hash_add_text(&hash, hex);
    }
  }
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  return LC_OK;
}

/* Faults of a nodule's own slices or place, not of the machine or the user. */
static bool is_own(lc_status status) {
  return status == LC_ERR_GEOMETRY || status == LC_ERR_OUTSIDE || status == LC_ERR_FORMAT ||
         status == LC_ERR_UNSUPPORTED || status == LC_ERR_NOT_FOUND;
}

/* The slices of one nodule within those that were decoded. */
static lc_status take_one(const struct ct_cut_plan *plan, const struct ct_cut *cut,
                          const struct ct_volume *whole, const struct ct_slab *slab,
                          struct lc_error *err) {
  struct ct_volume part = {0};
  struct lc_error why;
  lc_status status = ct_volume_place(&part, plan->series, slab->first, slab->count, &why);
  part.hu = whole->hu + (slab->first - whole->first_slice) * part.size[0] * part.size[1];
  if (status == LC_OK) status = ct_volume_check(&part, plan->series, &why);
  if (status == LC_OK) status = cut->take(cut->context, slab->nodule, &part, &why);
  if (is_own(status)) return cut->refuse(cut->context, slab->nodule, status, &why, err);
  if (status != LC_OK && err) *err = why;
  return status;
}

/* A group that cannot be decoded as one is tried nodule by nodule. */
static lc_status cut_group(const struct ct_cut_plan *plan, const struct ct_cut *cut, size_t start,
                           size_t end, size_t count, struct lc_error *err) {
  const struct ct_slab *slabs = plan->slabs;
  struct ct_volume volume;
  struct lc_error why;
  lc_log(LC_LOG_DEBUG, "series %s: decoding %zu of %zu slices, from slice %zu, for %zu nodules",
         plan->series->series_instance_uid, count, plan->series->n_slices, slabs[start].first,
         end - start);
  lc_status status =
      cut->decode(&volume, plan->series, slabs[start].first, count, cut->progress, &why);
  if (is_own(status) && end - start == 1)
    return cut->refuse(cut->context, slabs[start].nodule, status, &why, err);
  if (is_own(status)) {
    for (size_t i = start; i < end; i++)
      LC_TRY(cut_group(plan, cut, i, i + 1, slabs[i].count, err));
    return LC_OK;
  }
  if (status != LC_OK) {
    if (err) *err = why;
    return status;
  }
  if (cut->voxels)
    lc_hash_add(cut->voxels, volume.hu,
                volume.size[0] * volume.size[1] * volume.size[2] * sizeof *volume.hu);
  for (size_t i = start; status == LC_OK && i < end; i++)
    status = take_one(plan, cut, &volume, &slabs[i], err);
  ct_volume_free(&volume);
  return status;
}

static lc_status refuse_outside(const struct ct_cut_plan *plan, const struct ct_cut *cut,
                                const struct ct_slab *slab, struct lc_error *err) {
  const struct ct_series *series = plan->series;
  const double *mm = slab->centre_mm;
  struct lc_error why;
  double ijk[3];
  ct_series_to_index(series, mm, ijk);
  lc_status status = lc_fail(
      &why, LC_ERR_OUTSIDE, __FILE__, __LINE__,
      "nodule at (%.1f, %.1f, %.1f) mm lies outside the volume of series %s (column %.1f of "
      "%d, row %.1f of %d, slice %.1f of %zu)",
      mm[0], mm[1], mm[2], series->series_instance_uid, ijk[0] + 1, series->columns, ijk[1] + 1,
      series->rows, ijk[2] + 1, series->n_slices);
  return cut->refuse(cut->context, slab->nodule, status, &why, err);
}

lc_status ct_cut_all(const struct ct_cut_plan *plan, const struct ct_cut *cut,
                     struct lc_error *err) {
  for (size_t i = plan->n_outside; i > 0; i--) /* the last one is the first nodule */
    LC_TRY(refuse_outside(plan, cut, &plan->slabs[plan->n + i - 1], err));
  lc_status status = LC_OK;
  ct_volume_file_hold(plan->series);
  for (size_t start = 0, end, count; status == LC_OK && start < plan->n; start = end) {
    end = end_of_group(plan, start, &count);
    status = cut_group(plan, cut, start, end, count, err);
  }
  ct_volume_file_drop(plan->series);
  return status;
}
