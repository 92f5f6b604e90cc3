/* Collects slices into groups of one series, size, spacing, orientation and kind, and splits a
 * group by acquisition where positions repeat. */
#include "ct_io/dicom_read/ct_group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"

static const double cosine_tolerance = 1e-3;

static uint64_t hash_text(const char *text) {
  uint64_t hash = 1469598103934665603u;
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
  return hash;
}

void ct_group_list_free(struct ct_group_list *list) {
  for (size_t i = 0; i < list->n_groups; i++) ct_series_free(&list->groups[i].series);
  free(list->groups);
  memset(list, 0, sizeof *list);
}

static bool frame_geometry_given(const struct ct_frame *frame) {
  return frame->position_given && frame->orientation_given && frame->spacing_given;
}

static bool belongs(const struct ct_group *group, const struct ct_header *header,
                    const struct ct_frame *frame, uint64_t key) {
  const struct ct_series *a = &group->series, *b = &header->series;
  if (group->key != key || strcmp(a->series_instance_uid, b->series_instance_uid) != 0 ||
      strcmp(a->study_instance_uid, b->study_instance_uid) != 0 ||
      strcmp(group->unfit, header->unfit) != 0 || a->rows != b->rows || a->columns != b->columns ||
      group->geometry_given != frame_geometry_given(frame))
    return false;
  if (!group->geometry_given) return true;
  for (int i = 0; i < 6; i++)
    if (fabs(a->orientation[i] - frame->orientation[i]) > cosine_tolerance) return false;
  for (int i = 0; i < 2; i++)
    if (fabs(a->pixel_spacing_mm[i] - frame->pixel_spacing_mm[i]) > 1e-4 * a->pixel_spacing_mm[i])
      return false;
  return true;
}

/* NULL when memory ran out. */
static struct ct_group *new_group(struct ct_group_list *list, struct lc_error *err) {
  if (list->n_groups == list->capacity) {
    size_t capacity = list->capacity ? 2 * list->capacity : 16;
    struct ct_group *grown = realloc(list->groups, capacity * sizeof *grown);
    if (!grown) {
      (void)lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "out of memory for %zu series",
                    capacity);
      return NULL;
    }
    list->groups = grown;
    list->capacity = capacity;
  }
  struct ct_group *group = &list->groups[list->n_groups++];
  memset(group, 0, sizeof *group);
  return group;
}

static lc_status add_slice(struct ct_group *group, const struct ct_slice *slice, const char *path,
                           struct lc_error *err) {
  struct ct_series *series = &group->series;
  if (series->n_slices == group->capacity) {
    size_t capacity = group->capacity ? 2 * group->capacity : 64;
    struct ct_slice *grown = realloc(series->slices, capacity * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu slices", capacity);
    series->slices = grown;
    group->capacity = capacity;
  }
  char *copy = strdup(path);
  if (!copy) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  series->slices[series->n_slices] = *slice;
  series->slices[series->n_slices++].path = copy;
  if (!slice->rescale_given) group->n_rescale_absent++;
  return LC_OK;
}

/* The group a frame belongs to, made when there is none; NULL when memory ran out. */
static struct ct_group *find_group(struct ct_group_list *list, const struct ct_header *header,
                                   const struct ct_frame *frame, struct lc_error *err) {
  uint64_t key = hash_text(header->series.series_instance_uid);
  for (size_t i = list->n_groups; i-- > 0;)
    if (belongs(&list->groups[i], header, frame, key)) return &list->groups[i];
  struct ct_group *group = new_group(list, err);
  if (!group) return NULL;
  group->series = header->series;
  group->key = key;
  group->geometry_given = frame_geometry_given(frame);
  group->tilt_degrees = header->tilt_degrees;
  lc_text_copy(group->unfit, sizeof group->unfit, header->unfit);
  memcpy(group->series.orientation, frame->orientation, sizeof frame->orientation);
  memcpy(group->series.pixel_spacing_mm, frame->pixel_spacing_mm, sizeof frame->pixel_spacing_mm);
  group->series.slice_thickness_mm = frame->thickness_mm;
  return group;
}

lc_status ct_group_add(struct ct_group_list *list, const struct ct_header *header, const char *path,
                       struct lc_error *err) {
  for (size_t i = 0; i < header->n_frames; i++) {
    struct ct_group *group = find_group(list, header, &header->frames[i], err);
    if (!group) return LC_ERR_MEMORY;
    LC_TRY(add_slice(group, &header->frames[i].slice, path, err));
    group->series.lossy = group->series.lossy || header->series.lossy;
  }
  return LC_OK;
}

/* Position along the normal in hundredths of a millimetre: slices closer than that repeat one. */
static long long place(const struct ct_slice *slice, const double normal[3]) {
  double along = 0;
  for (int i = 0; i < 3; i++) along += slice->position_mm[i] * normal[i];
  return llround(100 * along);
}

struct placed {
  long long place;
  int acquisition;
  const char *sop;
};

static int by_place(const void *a, const void *b) {
  const struct placed *x = a, *y = b;
  if (x->place != y->place) return x->place < y->place ? -1 : 1;
  if (x->acquisition != y->acquisition) return x->acquisition < y->acquisition ? -1 : 1;
  return 0;
}

static int by_number(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

/* True when positions repeat, but never within one acquisition. */
static bool acquisitions_explain(const struct ct_group *group, struct placed *placed) {
  const struct ct_series *series = &group->series;
  const double *o = series->orientation;
  double normal[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5],
                      o[0] * o[4] - o[1] * o[3]};
  for (size_t i = 0; i < series->n_slices; i++) {
    const struct ct_slice *slice = &series->slices[i];
    placed[i] =
        (struct placed){place(slice, normal), slice->acquisition_number, slice->sop_instance_uid};
  }
  qsort(placed, series->n_slices, sizeof *placed, by_place);
  bool repeats = false;
  for (size_t i = 1; i < series->n_slices; i++) {
    if (placed[i].place != placed[i - 1].place) continue;
    if (placed[i].acquisition == placed[i - 1].acquisition) return false;
    repeats = true;
  }
  return repeats;
}

/* Moves the slices of one acquisition out of `which` into a group of their own. */
static lc_status take_acquisition(struct ct_group_list *list, size_t which, int acquisition,
                                  struct lc_error *err) {
  struct ct_group *fresh = new_group(list, err);
  if (!fresh) return LC_ERR_MEMORY;
  struct ct_group *group = &list->groups[which];
  *fresh = *group;
  fresh->series.slices = NULL;
  fresh->series.n_slices = fresh->capacity = fresh->n_rescale_absent = 0;
  size_t kept = 0;
  for (size_t i = 0; i < group->series.n_slices; i++) {
    struct ct_slice *slice = &group->series.slices[i];
    if (slice->acquisition_number == acquisition) {
      lc_status status = add_slice(fresh, slice, slice->path, err);
      if (status != LC_OK) return status;
      if (!slice->rescale_given) group->n_rescale_absent--;
      free(slice->path);
      slice->path = NULL;
    } else {
      group->series.slices[kept++] = *slice;
    }
  }
  group->series.n_slices = kept;
  return LC_OK;
}

lc_status ct_group_split(struct ct_group_list *list, size_t which, struct lc_error *err) {
  struct ct_group *group = &list->groups[which];
  size_t n = group->series.n_slices;
  if (n < 2 || !group->geometry_given || group->unfit[0]) return LC_OK;
  struct placed *placed = NULL;
  int *numbers = NULL;
  lc_status status = lc_alloc(&placed, n, sizeof *placed, err);
  if (status == LC_OK) status = lc_alloc(&numbers, n, sizeof *numbers, err);
  if (status == LC_OK && acquisitions_explain(group, placed)) {
    for (size_t i = 0; i < n; i++) numbers[i] = group->series.slices[i].acquisition_number;
    qsort(numbers, n, sizeof *numbers, by_number);
    for (size_t i = 1; i < n && status == LC_OK; i++)
      if (numbers[i] != numbers[i - 1]) status = take_acquisition(list, which, numbers[i], err);
  }
  free(placed);
  free(numbers);
  return status;
}
