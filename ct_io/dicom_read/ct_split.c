/* Splits a group of slices into volumes: attributes such as AcquisitionNumber name the candidates,
 * positions decide. Step and shoot, where the acquisitions follow each other along the normal, is
 * one volume; acquisitions that lie among each other are several. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "ct_io/dicom_read/ct_group.h"

/* Slices closer than this along the normal share their position. */
static const double same_place_mm = 0.01;
/* Share of repeated positions that a rule resolves within one volume. */
static const double repeated_share = 0.2;

/* A slice on its way to a part. */
struct placed {
  double along;
  long instance_number;
  uint64_t label;
  size_t slice, part;
  double other_before, other_after; /* places of the nearest slices of another part */
};

/* The slices of one label: how many, and from where to where. */
struct part {
  double low, high;
  size_t n;
};

/* Fewer slices are no volume of their own. */
enum { SHORTEST = 4 };

static int by_label(const void *a, const void *b) {
  const struct placed *x = a, *y = b;
  if (x->label != y->label) return x->label < y->label ? -1 : 1;
  return (x->along > y->along) - (x->along < y->along);
}

static int by_along(const void *a, const void *b) {
  const struct placed *x = a, *y = b;
  return (x->along > y->along) - (x->along < y->along);
}

static int by_number(const void *a, const void *b) {
  const struct placed *x = a, *y = b;
  if (x->instance_number != y->instance_number)
    return x->instance_number < y->instance_number ? -1 : 1;
  return by_along(a, b);
}

static int by_low(const void *a, const void *b) {
  const struct part *x = a, *y = b;
  return (x->low > y->low) - (x->low < y->low);
}

/* Numbers the labels; the parts they make, sorted by label. */
static size_t find_parts(struct placed *placed, size_t n, struct part *parts) {
  size_t n_parts = 0;
  qsort(placed, n, sizeof *placed, by_label);
  for (size_t i = 0; i < n; i++) {
    if (i == 0 || placed[i].label != placed[i - 1].label)
      parts[n_parts++] = (struct part){placed[i].along, placed[i].along, 0};
    struct part *part = &parts[n_parts - 1];
    part->high = placed[i].along;
    part->n++;
    placed[i].part = n_parts - 1;
  }
  return n_parts;
}

/* For parts sorted by where they start, how far those up to each reach, and which reaches farthest
 * of the others. */
struct reach {
  double farthest, second; /* of different parts */
  double owner_low;        /* start of the one that reaches farthest */
};

/* Room for what is found out about the parts of n slices. */
struct scratch {
  struct part *parts, *sorted; /* [n] */
  struct reach *reach;
  double *distance;
  size_t *part_of;
};

static void find_reach(const struct part *parts, size_t n_parts, struct reach *reach) {
  struct reach so_far = {-INFINITY, -INFINITY, 0};
  for (size_t p = 0; p < n_parts; p++) {
    if (parts[p].n < 2) {
      reach[p] = so_far;
      continue;
    }
    if (parts[p].high > so_far.farthest) {
      so_far.second = so_far.farthest;
      so_far.farthest = parts[p].high;
      so_far.owner_low = parts[p].low;
    } else if (parts[p].high > so_far.second) {
      so_far.second = parts[p].high;
    }
    reach[p] = so_far;
  }
}

/* Whether a slice of `own` lies strictly between the ends of another part. */
static bool lies_within_another(const struct part *sorted, const struct reach *reach,
                                size_t n_parts, const struct placed *slice,
                                const struct part *own) {
  size_t low = 0, high = n_parts; /* parts before `low` start before the slice */
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (sorted[middle].low < slice->along - same_place_mm)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return false;
  const struct reach *r = &reach[low - 1];
  bool own_reaches = own->n >= 2 && own->high == r->farthest && own->low == r->owner_low;
  return (own_reaches ? r->second : r->farthest) > slice->along + same_place_mm;
}

/* Finds the neighbours of other parts; the slices are sorted by place. */
static void find_others(struct placed *placed, size_t n) {
  for (size_t i = 0; i < n; i++)
    placed[i].other_before = i == 0                                 ? -INFINITY
                             : placed[i - 1].part != placed[i].part ? placed[i - 1].along
                                                                    : placed[i - 1].other_before;
  for (size_t i = n; i-- > 0;)
    placed[i].other_after = i + 1 == n                             ? INFINITY
                            : placed[i + 1].part != placed[i].part ? placed[i + 1].along
                                                                   : placed[i + 1].other_after;
}

/* Whether a slice shares its place with one of another part. */
static bool coincides(const struct placed *slice) {
  return slice->along - slice->other_before < same_place_mm ||
         slice->other_after - slice->along < same_place_mm;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Median distance of neighbours. distance has room for n of them. */
static double median_distance(const struct placed *placed, size_t n, double *distance) {
  for (size_t i = 0; i + 1 < n; i++) distance[i] = placed[i + 1].along - placed[i].along;
  qsort(distance, n - 1, sizeof *distance, by_value);
  return distance[(n - 2) / 2];
}

/* Whether a slice lies nearer to a neighbour than slices do here. */
static bool crowds(const struct placed *placed, size_t n, size_t i, double spacing) {
  double limit = spacing - ct_spacing_tolerance(spacing);
  return (i > 0 && placed[i].along - placed[i - 1].along < limit) ||
         (i + 1 < n && placed[i + 1].along - placed[i].along < limit);
}

/* Leaves parts out of account that numbers alone name and whose every place another part has: they
 * are repeats. */
static void forget_repeats(const struct placed *placed, size_t n, struct part *parts,
                           size_t n_parts, size_t *own_places) {
  memset(own_places, 0, n_parts * sizeof *own_places);
  for (size_t i = 0; i < n; i++) own_places[placed[i].part] += !coincides(&placed[i]);
  for (size_t p = 0; p < n_parts; p++)
    if (own_places[p] == 0) parts[p].n = 0;
}

/* Do the parts lie among each other? A few places that two share do not count, nor do a few slices
 * that fill the gaps of another part: they are of it and labelled otherwise. */
static bool woven(struct placed *placed, size_t n, const struct part *parts, size_t n_parts,
                  bool by_number, struct scratch *scratch) {
  size_t repeats = 0;
  struct part *sorted = scratch->sorted;
  struct reach *reach = scratch->reach;
  qsort(placed, n, sizeof *placed, by_along);
  find_others(placed, n);
  memcpy(sorted, parts, n_parts * sizeof *sorted);
  if (by_number) forget_repeats(placed, n, sorted, n_parts, scratch->part_of);
  qsort(sorted, n_parts, sizeof *sorted, by_low);
  find_reach(sorted, n_parts, reach);
  double spacing = median_distance(placed, n, scratch->distance);
  for (size_t i = 0; i < n; i++) {
    const struct part *own = &parts[placed[i].part];
    repeats += i > 0 && placed[i].along - placed[i - 1].along < same_place_mm &&
               placed[i].part != placed[i - 1].part;
    if (lies_within_another(sorted, reach, n_parts, &placed[i], own) && !coincides(&placed[i]) &&
        (own->n >= SHORTEST || crowds(placed, n, i, spacing)))
      return true;
  }
  return (double)repeats > repeated_share * (double)(n - repeats);
}

/* Moves the slices of all parts but the first into groups of their own. */
static lc_status move_parts(struct ct_group_list *list, size_t which, const struct placed *placed,
                            size_t n_parts, size_t *part_of, struct lc_error *err) {
  size_t n = list->groups[which].series.n_slices, first = list->n_groups;
  for (size_t i = 0; i < n; i++) part_of[placed[i].slice] = placed[i].part;
  for (size_t p = 1; p < n_parts; p++) {
    struct ct_group *fresh = ct_group_new(list, err);
    if (!fresh) return LC_ERR_MEMORY;
    *fresh = list->groups[which];
    fresh->series.slices = NULL;
    fresh->series.n_slices = fresh->capacity = fresh->n_rescale_absent = 0;
  }
  struct ct_series *series = &list->groups[which].series;
  size_t kept = 0;
  list->groups[which].n_rescale_absent = 0;
  lc_status status = LC_OK;
  for (size_t i = 0; i < n; i++) {
    struct ct_slice slice = series->slices[i];
    if (part_of[i] == 0 || status != LC_OK) {
      list->groups[which].n_rescale_absent += !slice.rescale_given;
      series->slices[kept++] = slice;
      continue;
    }
    status = ct_group_add_slice(&list->groups[first + part_of[i] - 1], &slice, slice.path, err);
    free(slice.path);
  }
  series->n_slices = kept;
  return status;
}

enum { LABEL_RUN = CT_KEY_COUNT, LABEL_OCCURRENCE, N_LABELS };

/* Runs through the volume in the order of the numbers; the number of the last one, from 0. A number
 * comes once in a run: otherwise they name none (blocks that are numbered anew). */
static size_t label_runs(struct placed *placed, size_t n) {
  size_t last = 0;
  double direction = 0, step = 0, before = 0; /* steps to the slice before, and to that before it */
  placed[0].label = 0;
  for (size_t i = 1; i < n; i++) {
    double next = placed[i].along - placed[i - 1].along, usual = fabs(before);
    bool turns = next * direction < 0;
    if (!turns && placed[i].instance_number == placed[i - 1].instance_number) return 0;
    /* A run back that starts where this one ends: its first slice still lies ahead, by a step of
     * another length. */
    if (turns && fabs(step - before) > ct_spacing_tolerance(usual) &&
        fabs(fabs(next) - usual) <= ct_spacing_tolerance(usual))
      placed[i - 1].label = last + 1;
    last += turns;
    placed[i].label = last;
    direction = turns ? 0 : direction == 0 ? next : direction;
    before = step;
    step = next;
  }
  return last;
}

/* Which of several with one number each is, in the order of their places; false when two share
 * theirs, so that nothing tells which is which. */
static bool label_occurrences(struct placed *placed, size_t n, size_t *last) {
  *last = 0;
  for (size_t i = 0; i < n; i++) {
    bool again = i && placed[i].instance_number == placed[i - 1].instance_number;
    if (again && placed[i].along - placed[i - 1].along < same_place_mm) return false;
    placed[i].label = again ? placed[i - 1].label + 1 : 0;
    if (placed[i].label > *last) *last = placed[i].label;
  }
  return true;
}

/* Labels for slices that no attribute tells apart, by their InstanceNumbers. False when that names
 * no volumes. */
static bool label_by_number(struct placed *placed, size_t n, int label) {
  enum { MOST = 64 };
  size_t counts[MOST] = {0}, last = 0;
  qsort(placed, n, sizeof *placed, by_number);
  if (label == LABEL_RUN)
    last = label_runs(placed, n);
  else if (!label_occurrences(placed, n, &last))
    return false;
  if (last == 0 || last >= MOST) return false;
  for (size_t i = 0; i < n; i++) counts[placed[i].label]++;
  for (size_t k = 0; k <= last; k++)
    if (counts[k] < SHORTEST) return false;
  return true;
}

static void place_slices(const struct ct_series *series, struct placed *placed) {
  const double *o = series->orientation;
  const double normal[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5],
                            o[0] * o[4] - o[1] * o[3]};
  for (size_t i = 0; i < series->n_slices; i++) {
    const struct ct_slice *slice = &series->slices[i];
    placed[i] = (struct placed){.instance_number = slice->instance_number, .slice = i};
    for (int c = 0; c < 3; c++) placed[i].along += slice->position_mm[c] * normal[c];
  }
}

static lc_status get_scratch(struct scratch *scratch, size_t n, struct lc_error *err) {
  LC_TRY(lc_alloc(&scratch->parts, n, sizeof *scratch->parts, err));
  LC_TRY(lc_alloc(&scratch->sorted, n, sizeof *scratch->sorted, err));
  LC_TRY(lc_alloc(&scratch->reach, n, sizeof *scratch->reach, err));
  LC_TRY(lc_alloc(&scratch->distance, n, sizeof *scratch->distance, err));
  return lc_alloc(&scratch->part_of, n, sizeof *scratch->part_of, err);
}

/* Whether most slices are of parts too short for volumes: a number a slice names none. */
static bool mostly_short(const struct part *parts, size_t n_parts, size_t n) {
  size_t in_long = 0;
  for (size_t p = 0; p < n_parts; p++)
    if (parts[p].n >= SHORTEST) in_long += parts[p].n;
  return 2 * in_long < n;
}

/* Splits by one label, when the volumes it names lie among each other; short_too: also into parts
 * too short for volumes. */
static lc_status split_by(struct ct_group_list *list, size_t which, int label, bool short_too,
                          struct lc_error *err) {
  const struct ct_series *series = &list->groups[which].series;
  size_t n = series->n_slices, n_parts = 0;
  struct placed *placed = NULL;
  struct scratch scratch = {0};
  if (n < 2) return LC_OK;
  LC_TRY(lc_alloc(&placed, n, sizeof *placed, err));
  place_slices(series, placed);
  bool labelled = label < CT_KEY_COUNT || label_by_number(placed, n, label);
  for (size_t i = 0; label < CT_KEY_COUNT && i < n; i++)
    placed[i].label = series->slices[i].keys[label];
  lc_status status = labelled ? get_scratch(&scratch, n, err) : LC_OK;
  if (labelled && status == LC_OK) n_parts = find_parts(placed, n, scratch.parts);
  if (!short_too && mostly_short(scratch.parts, n_parts, n)) n_parts = 0;
  if (n_parts > 1 && woven(placed, n, scratch.parts, n_parts, label >= CT_KEY_COUNT, &scratch))
    status = move_parts(list, which, placed, n_parts, scratch.part_of, err);
  free(placed);
  free(scratch.parts);
  free(scratch.sorted);
  free(scratch.reach);
  free(scratch.distance);
  free(scratch.part_of);
  return status;
}

lc_status ct_group_split(struct ct_group_list *list, size_t which, struct lc_error *err) {
  size_t before = list->n_groups;
  if (!list->groups[which].geometry_given || list->groups[which].unfit[0]) return LC_OK;
  /* Attributes first, and again at last, when nothing names longer volumes. */
  for (int step = 0; step < N_LABELS + CT_KEY_COUNT; step++) {
    int label = step % N_LABELS;
    size_t end = list->n_groups;
    LC_TRY(split_by(list, which, label, step >= N_LABELS, err));
    for (size_t i = before; i < end; i++) LC_TRY(split_by(list, i, label, step >= N_LABELS, err));
  }
  return LC_OK;
}
