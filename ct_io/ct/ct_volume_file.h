/* A CT volume in one file that is no DICOM, as a series: MetaImage (.mhd, .mha), NIfTI (.nii,
 * .nii.gz) and NRRD (.nrrd, .nhdr). docs/series-loading.md lists each situation and what happens.
 *
 * The axes of such a series are those of the file, in the order and direction that come nearest to
 * columns to the left, rows to the back and slices to the head, whatever order the file has: files
 * that differ by flipped or swapped axes give the same series.
 *
 * Reading. Slices are read alone from uncompressed MetaImage and NIfTI. Every other file is read
 * whole, in at most CT_VOLUME_WHOLE bytes as stored: once for each decoding, or once for all
 * decodings between ct_volume_file_hold and ct_volume_file_drop, which keep its HU (2 bytes a
 * voxel) meanwhile. The cutter holds the series it goes over, so that one volume is in memory.
 *
 * Thread-safety: a series may be decoded from several threads; files are read one after the other.
 */
#pragma once

#include "common/lc_api.h"
#include "common/lc_log.h"
#include "ct_io/ct/ct_volume.h"

LC_C_BEGIN

#define CT_VOLUME_WHOLE ((uint64_t)4 << 30)
/* Voxels of the reference lie where those of the file lie within this and a thousandth of the
 * spacing. */
#define CT_SAME_PLACE_MM 0.01

/* Does the name end like one of these formats? */
bool ct_volume_file_named(const char *path);
/* Are these the voxels of a MetaImage or NRRD header of the same name beside it? */
bool ct_volume_file_is_data(const char *path);

/* Fills a series from the header alone: its identifier is the file's name without the ending, and
 * its verdict says whether it can be CT. LC_ERR_FORMAT for a header that cannot be read or data
 * that is missing, too short or elsewhere. */
LC_MUST_CHECK lc_status ct_volume_file_open(struct ct_series *series, const char *path,
                                            struct lc_error *err);
void ct_volume_file_free(struct ct_volume_file *file);

/* Voxels of a volume that is placed: allocates volume->hu. LC_ERR_FORMAT when they are no
 * Hounsfield units. */
LC_MUST_CHECK lc_status ct_volume_file_decode(struct ct_volume *volume,
                                              const struct ct_series *series,
                                              struct lc_progress *progress, struct lc_error *err);
/* Keeps what is read whole until it is dropped as often; both take any series. */
void ct_volume_file_hold(const struct ct_series *series);
void ct_volume_file_drop(const struct ct_series *series);

/* SHA-256 of header and voxels, taken once. */
LC_MUST_CHECK lc_status ct_volume_file_hash(const struct ct_series *series, char hex[65],
                                            struct lc_error *err);

/* Outlines count pixels of the DICOM that the file came from. Logs what is taken for granted, and
 * fails with LC_ERR_GEOMETRY where rows and columns may run either way. Nothing for DICOM. */
LC_MUST_CHECK lc_status ct_volume_file_check_outlines(const struct ct_series *series,
                                                      struct lc_error *err);

/* Makes a series of a file that of the DICOM that it was made from: geometry, slices and identity
 * become the reference's, voxels stay the file's. LC_ERR_GEOMETRY says what differs. */
LC_MUST_CHECK lc_status ct_volume_file_refer(struct ct_series *series,
                                             const struct ct_series *reference,
                                             struct lc_error *err);

/* A volume of labels in such a file, also in 3D Slicer's .seg.nrrd: whole numbers from 0 to 32767.
 * It is taken for labels by its name alone, or because it is named as one. */
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
