/* A volume of labels in a file that is no DICOM: MetaImage, NIfTI or NRRD (also 3D Slicer's
 * .seg.nrrd), its place checked against the CT that it is of.
 *
 * A file is taken for labels by its name alone, or because it is named as one, and its voxels must
 * be whole numbers from 0 to 32767; a CT has others.
 *
 * Thread-safety: distinct files may be read from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"

LC_C_BEGIN

#define CT_MOST_LABEL_VOXELS ((size_t)1 << 29)

struct ct_label_volume {
  size_t size[3];
  double origin_mm[3];  /* LPS: centre of the first voxel */
  double step_mm[3][3]; /* [axis]: from one voxel to the next */
  int16_t *label;       /* [k, j, i] */
  int highest;
};

/* Whether a file's name says that it holds labels: a volume file that ends in .seg.nrrd, or with a
 * word that begins with "label", "mask", "segment", "nodule", "lesion", "tumor" or "tumour", or is
 * "seg". Such a file is no CT. */
bool ct_label_volume_named(const char *path);
/* Whether it says that these are nodules: a word that begins with "nodule", "lesion", "tumor" or
 * "tumour". */
bool ct_label_volume_of_nodules(const char *path);

/* LC_ERR_FORMAT for a file that cannot be read or whose voxels are no labels. */
LC_MUST_CHECK lc_status ct_label_volume_read(struct ct_label_volume *volume, const char *path,
                                             struct lc_error *err);
void ct_label_volume_free(struct ct_label_volume *volume);

/* Whether a file's grid is that of a series within a tenth of a voxel, in whatever order of the
 * axes; or, with other numbers of voxels, lies within it to a voxel: a part of it, or another
 * resolution. LC_ERR_GEOMETRY names what is flipped, or how far it is off. */
LC_MUST_CHECK lc_status ct_label_volume_fits(const char *path, const struct ct_series *series,
                                             struct lc_error *err);

LC_C_END
