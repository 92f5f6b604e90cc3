/* What one DICOM file says before its pixels. Used only inside this room.
 *
 * Thread-safety: distinct files may be read from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"

LC_C_BEGIN

/* Most frames one file may declare, and the largest image side: checked before any allocation. */
#define CT_MAX_FRAMES 65536
#define CT_MAX_SIDE 8192
/* Most changes of orientation or spacing from one frame to the next: each may start a series. */
#define CT_MAX_PLANES 256

/* What differs from frame to frame; a single-frame file has one. */
struct ct_frame {
  struct ct_slice slice; /* path is not set */
  bool position_given, orientation_given, spacing_given;
  double orientation[6];
  double pixel_spacing_mm[2];
  double thickness_mm;
  char rescale_type[17];
};

struct ct_header {
  struct ct_series series; /* texts, UIDs, rows, columns; no slices */
  struct ct_frame *frames;
  size_t n_frames;
  /* Why this file can never be a CT slice ("localizer", "modality MR"), or "". */
  char unfit[128];
  bool is_image;    /* has rows and columns */
  bool uid_letters; /* an identifier has other characters than digits and dots */
  bool sign_given;  /* PixelRepresentation is 0 or 1 */
  double tilt_degrees;
};

/* What a file turned out to be. */
typedef enum ct_file_kind {
  CT_FILE_OTHER = 0,  /* not DICOM */
  CT_FILE_UNREADABLE, /* the system does not let it be read; err says why */
  CT_FILE_FAILED,     /* out of memory; err says so */
  CT_FILE_BROKEN,     /* DICOM that cannot be read, or a file only named so; err says why */
  CT_FILE_OBJECT      /* DICOM, header filled */
} ct_file_kind;

/* Reads up to the pixel data, in a helper process where there is one. err is filled for all kinds
 * but the first and the last; of a broken one the UIDs of study and series are there as far as they
 * could be read. */
ct_file_kind ct_header_read(struct ct_header *header, const char *path, struct lc_error *err);
/* The same in this process. file: a descriptor of it, taken over. */
ct_file_kind ct_header_parse(struct ct_header *header, int file, const char *path,
                             struct lc_error *err);
void ct_header_free(struct ct_header *header);

LC_C_END
