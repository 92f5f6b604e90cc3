/* Collects slices into groups of one series, size, spacing, orientation, frame of reference and
 * kind. */
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
  if (a->frame_of_reference_uid[0] && b->frame_of_reference_uid[0] &&
      strcmp(a->frame_of_reference_uid, b->frame_of_reference_uid) != 0)
    return false;
  for (int i = 0; i < 6; i++)
    if (fabs(a->orientation[i] - frame->orientation[i]) > cosine_tolerance) return false;
  for (int i = 0; i < 2; i++)
    if (fabs(a->pixel_spacing_mm[i] - frame->pixel_spacing_mm[i]) > 1e-4 * a->pixel_spacing_mm[i])
      return false;
  return true;
}

struct ct_group *ct_group_new(struct ct_group_list *list, struct lc_error *err) {
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

lc_status ct_group_add_slice(struct ct_group *group, const struct ct_slice *slice, const char *path,
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
  struct ct_group *group = ct_group_new(list, err);
  if (!group) return NULL;
  group->series = header->series;
  group->key = key;
  group->geometry_given = frame_geometry_given(frame);
  group->tilt_degrees = header->tilt_degrees;
  group->uid_letters = header->uid_letters;
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
    LC_TRY(ct_group_add_slice(group, &header->frames[i].slice, path, err));
    group->series.lossy = group->series.lossy || header->series.lossy;
    group->uid_letters = group->uid_letters || header->uid_letters;
    if (!group->differs)
      group->differs = ct_series_identity_differs(&group->series, &header->series);
    if (!group->series.frame_of_reference_uid[0])
      memcpy(group->series.frame_of_reference_uid, header->series.frame_of_reference_uid,
             CT_UID_SIZE);
  }
  return LC_OK;
}
