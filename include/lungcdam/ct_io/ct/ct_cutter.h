/* The one cutter: which slices nodules need, decoded together, and a volume for each nodule.
 *
 * Nodules whose slices overlap share a decoding of at most CT_CUT_BYTES, so that no slice is
 * decoded twice without need. Each nodule nevertheless sees a volume of exactly its own slices: its
 * voxels do not depend, not by a bit, on which other nodules the series has.
 *
 * A nodule that cannot be cut (a gap in its slices, a file among them that cannot be read or whose
 * values are none of a chest CT, a place outside the series) is refused with its reason, and the
 * others go on. Thread-safety: one call, one thread; inside, decoding uses lc_threads(). */
#ifndef CT_CUTTER_H
#define CT_CUTTER_H

#include "common/lc_api.h"
#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "ct_io/ct/ct_volume.h"

LC_API_BEGIN

#define CT_CUT_BYTES ((size_t)64 << 20)

/* The slices that one nodule needs. */
struct ct_slab {
  size_t nodule, first, count;
  double centre_mm[3];
};

struct ct_cut_plan {
  const struct ct_series *series; /* borrowed */
  struct ct_slab *slabs;          /* [n + n_outside]: sorted by first slice, then those outside */
  size_t n, n_outside;            /* nodules whose centre lies in the series, and the others */
  size_t n_slices;                /* that are decoded when all goes well */
};

/* Slices for cubes of edge_mm around each centre (patient LPS). */
LC_MUST_CHECK lc_status ct_cut_plan_init(struct ct_cut_plan *plan, const struct ct_series *series,
                                         size_t n, const double (*centres_mm)[3], double edge_mm,
                                         struct lc_error *err);
void ct_cut_plan_free(struct ct_cut_plan *plan);
/* SHA-256 over the bytes of the files that hold the slices: what a result was cut from. Of a
 * volume that is no DICOM nothing is read (ct_volume_file_hash has it). hex: 64 characters and a
 * zero. */
LC_MUST_CHECK lc_status ct_cut_plan_hash(const struct ct_cut_plan *plan, char hex[65],
                                         struct lc_error *err);

/* What is done with each nodule. */
struct ct_cut {
  /* Slices [first, first + count) as voxels: ct_volume_decode. */
  lc_status (*decode)(struct ct_volume *volume, const struct ct_series *series, size_t first,
                      size_t count, struct lc_progress *progress, struct lc_error *err);
  /* Takes what it wants from the nodule's volume, which is gone afterwards. */
  lc_status (*take)(void *context, size_t nodule, const struct ct_volume *volume,
                    struct lc_error *err);
  /* The nodule cannot be cut. */
  lc_status (*refuse)(void *context, size_t nodule, lc_status status, const struct lc_error *why,
                      struct lc_error *err);
  void *context;
  struct lc_progress *progress; /* counts slices; or NULL */
  struct lc_hash *voxels;       /* is given all that is decoded, in the order of slices; or NULL */
};

/* Goes on after a nodule whose own slices or place are at fault; every other failure ends it. */
LC_MUST_CHECK lc_status ct_cut_all(const struct ct_cut_plan *plan, const struct ct_cut *cut,
                                   struct lc_error *err);

LC_API_END
#endif
