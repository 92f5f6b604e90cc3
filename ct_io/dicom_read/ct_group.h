/* Slices on their way to a series. Used only inside this room.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/dicom_read/ct_header.h"

LC_C_BEGIN

/* Images of one SeriesInstanceUID that share size, spacing, orientation, frame of reference and
 * kind. */
struct ct_group {
  struct ct_series series;
  size_t capacity;
  uint64_t key; /* hash of the series UID, compared before anything else */
  char unfit[128];
  bool geometry_given;
  bool uid_letters;
  const char *differs; /* attribute of the identity that is not the same in all slices, or NULL */
  double tilt_degrees; /* GantryDetectorTilt of the first image */
  size_t n_rescale_absent; /* slices without rescale */
  size_t n_copies;         /* slices dropped, since their objects are there */
  char conflict[256];      /* why it cannot be known which of two is right, or "" */
};

struct ct_group_list {
  struct ct_group *groups;
  size_t n_groups, capacity;
};

/* Adds every frame of one file; path is copied. */
LC_MUST_CHECK lc_status ct_group_add(struct ct_group_list *list, const struct ct_header *header,
                                     const char *path, struct lc_error *err);
/* An empty group at the end of the list, which may move; NULL when memory ran out. */
struct ct_group *ct_group_new(struct ct_group_list *list, struct lc_error *err);
/* Appends a slice; path is copied. */
LC_MUST_CHECK lc_status ct_group_add_slice(struct ct_group *group, const struct ct_slice *slice,
                                           const char *path, struct lc_error *err);
void ct_group_list_free(struct ct_group_list *list);

/* Of each object at one place keeps the first by name; others must show the same. */
LC_MUST_CHECK lc_status ct_group_drop_copies(struct ct_group *group, struct lc_error *err);
/* Of slices at one place keeps the one of the lowest InstanceNumber, or refuses the series. The
 * slices are sorted. */
LC_MUST_CHECK lc_status ct_group_resolve_repeats(struct ct_series *series, struct lc_error *err);
/* One SOPInstanceUID at several places: annotations cannot distinguish them, positions can. */
LC_MUST_CHECK lc_status ct_group_note_identities(struct ct_series *series, struct lc_error *err);
/* Sets the normal, and sorts the slices along it. */
void ct_group_sort(struct ct_series *series);
/* Turns one group into one series, or several where attributes tell volumes apart (struct
 * ct_slice, keys) whose positions do not mesh: those of one key lie among those of another.
 * Appends to list->groups. */
LC_MUST_CHECK lc_status ct_group_split(struct ct_group_list *list, size_t which,
                                       struct lc_error *err);
/* Sorts the slices and sets spacing, normal, verdict and reason. docs/series-loading.md states the
 * rules. assume_hu: stored values without rescale are Hounsfield units. */
LC_MUST_CHECK lc_status ct_group_judge(struct ct_group *group, bool assume_hu,
                                       struct lc_error *err);

/* The name of a file without its folders. */
const char *ct_base_name(const char *path);

/* Sets the verdict of a series to refused, with a reason. */
LC_PRINTF(2, 3) void ct_refuse(struct ct_series *series, const char *fmt, ...);
/* Adds a reason to those of a series that is used after a rule was applied. */
LC_PRINTF(2, 3) void ct_repair(struct ct_series *series, const char *fmt, ...);

LC_C_END
