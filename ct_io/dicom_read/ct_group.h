/* Slices on their way to a series. Used only inside this room.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/dicom_read/ct_header.h"

LC_C_BEGIN

/* Images of one SeriesInstanceUID that share size, spacing, orientation and kind. */
struct ct_group {
  struct ct_series series;
  size_t capacity;
  uint64_t key; /* hash of the series UID, compared before anything else */
  char unfit[128];
  bool geometry_given;
  double tilt_degrees;     /* GantryDetectorTilt of the first image */
  size_t n_rescale_absent; /* slices without rescale */
};

struct ct_group_list {
  struct ct_group *groups;
  size_t n_groups, capacity;
};

/* Adds every frame of one file; path is copied. */
LC_MUST_CHECK lc_status ct_group_add(struct ct_group_list *list, const struct ct_header *header,
                                     const char *path, struct lc_error *err);
void ct_group_list_free(struct ct_group_list *list);

/* Turns one group into one series, or several where acquisitions repeat positions: sorts, drops,
 * judges. Appends to list->groups; every group is left with its verdict. */
LC_MUST_CHECK lc_status ct_group_split(struct ct_group_list *list, size_t which,
                                       struct lc_error *err);
/* Sorts the slices and sets spacing, normal, verdict and reason. docs/series-loading.md states the
 * rules. */
void ct_group_judge(struct ct_group *group);

LC_C_END
