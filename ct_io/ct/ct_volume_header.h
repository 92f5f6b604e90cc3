/* What the header of a volume file says, read by itself before ITK sees the file: a stranger's
 * header must not name other files or ask for memory that its voxels do not need. Used only inside
 * this folder.
 *
 * The formats are a table: ENTRY(name) in ct_volume_header.c, each with a file of its own.
 *
 * Thread-safety: distinct files may be read from distinct threads. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_file.h"
#include "common/lc_status.h"

LC_C_BEGIN

/* The same limits as for DICOM. */
#define CT_VOLUME_SIDE 8192
#define CT_VOLUME_SLICES 65536

struct ct_voxel_type {
  char name[32]; /* as the file has it */
  int bytes;     /* 0: not a number of one component */
  bool is_float, is_signed;
};

/* What values were found in voxels. */
struct ct_value_range {
  double low, high;
  bool fractional; /* some are no whole numbers, or NaN */
};

struct ct_volume_header {
  const struct ct_volume_format *format;
  char data_path[LC_PATH_SIZE]; /* where the voxels are: the file itself, or another */
  uint64_t data_offset;
  bool data_at_end; /* of its file, which may hold anything before it */
  bool compressed;
  uint64_t packed_skip; /* bytes before the voxels once unpacked */
  size_t size[3];       /* along indices i, j, k */
  struct ct_voxel_type type;
  bool big_endian;         /* set for formats that read voxels themselves */
  double slope, intercept; /* from stored values to HU; the reader of the format applies them */
  /* Patient LPS mm of the first voxel, and from index to index along each axis; placed is false
   * for formats that leave this to ITK. */
  bool placed;
  double origin_mm[3], step_mm[3][3];
  char repair[256];  /* what was assumed, or "" */
  char refusal[256]; /* why this file can never be a CT volume, or "" */
};

struct ct_volume_format {
  const char *name;           /* "MetaImage" */
  const char *const *endings; /* of file names, with the dot, NULL-ended; longest first */
  bool by_region;             /* uncompressed files are read in part */
  /* Fills a zeroed header; data_path is that of the file already. Sizes and files are checked
   * afterwards. LC_ERR_FORMAT when it is no such file, refusal when it cannot be CT. */
  lc_status (*read)(struct ct_volume_header *header, const char *path, struct lc_error *err);
  /* Reads voxels as ct_volume_itk_read does; NULL: ITK does it. */
  lc_status (*voxels)(const struct ct_volume_header *header, const char *path,
                      const size_t start[3], const size_t size[3], int16_t *hu,
                      struct ct_value_range *range, struct lc_error *err);
};

/* The format that a file name promises, or NULL. ending: where its ending starts. */
const struct ct_volume_format *ct_volume_format_of(const char *path, size_t *ending);

/* Reads and checks a header. LC_ERR_FORMAT names what is missing, too short or elsewhere; refusal
 * is set for types and sizes that are no CT. */
LC_MUST_CHECK lc_status ct_volume_header_read(struct ct_volume_header *header, const char *path,
                                              struct lc_error *err);

/* The same for labels, whose type need not hold air; what cannot be a volume is LC_ERR_FORMAT. */
LC_MUST_CHECK lc_status ct_volume_header_read_labels(struct ct_volume_header *header,
                                                     const char *path, struct lc_error *err);
/* Refuses places and steps that no scanner has, of a header that is placed. */
void ct_volume_judge_place(struct ct_volume_header *header);

/* For NIfTI. */
LC_MUST_CHECK lc_status ct_volume_nifti_read(const struct ct_volume_header *header,
                                             const char *path, const size_t start[3],
                                             const size_t size[3], int16_t *hu,
                                             struct ct_value_range *range, struct lc_error *err);

/* Unpacks the voxels of a compressed file for their length and checksum. LC_ERR_FORMAT. */
LC_MUST_CHECK lc_status ct_volume_check_packed(const struct ct_volume_header *header,
                                               struct lc_error *err);

/* For the formats. Keeps the first reason. */
LC_PRINTF(2, 3) void ct_volume_refuse(struct ct_volume_header *header, const char *fmt, ...);
/* Joins what was assumed by semicolons. */
LC_PRINTF(2, 3) void ct_volume_assume(struct ct_volume_header *header, const char *fmt, ...);
/* Takes n sizes, of which all after the third must be 1. */
void ct_volume_sizes(struct ct_volume_header *header, const long long *sizes, long long n);
/* Takes the name of a file beside the header as that of the voxels. */
LC_MUST_CHECK lc_status ct_volume_data_file(struct ct_volume_header *header, const char *path,
                                            const char *name, struct lc_error *err);

LC_C_END
