/* What the raw structure of a DICOM file says before DCMTK sees it: where its data set starts and
 * how that is encoded, and bounds on what it may ask of the parser. Used only inside this room.
 *
 * Thread-safety: distinct files may be checked from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "common/lc_status.h"
#include "ct_io/dicom_file/ct_source.h"

LC_C_BEGIN

/* Deepest nesting of sequences and items, the most bytes a deflated data set may unfold to, and how
 * many of them may come before its pixel data. The parser recurses once a level and holds all
 * elements. */
#define CT_MAX_NESTING 48
#define CT_MAX_INFLATED ((size_t)256 << 20)
#define CT_MAX_INFLATED_HEADER ((size_t)16 << 20)

struct ct_layout {
  uint64_t dataset;      /* offset of its first element */
  bool is_explicit, big; /* as the elements are, whatever the meta header says */
  bool deflated;         /* the source was inflated: offsets are of what it unfolded to */
  bool has_pixels;       /* pixel data follows the other elements */
  uint64_t pixels;       /* offset of their values, where they follow */
  uint64_t pixel_bytes;  /* length of the values of PixelData; 0: not said */
  char syntax[65];       /* TransferSyntaxUID of the meta header, or "" */
  char media_class[65];  /* MediaStorageSOPClassUID of the meta header, or "" */
};

/* Is this a DICOM file at all? By its first bytes: a preamble with DICM, or a data set that starts
 * with group 2 or 8. */
bool ct_guard_looks_like_dicom(struct ct_source *source);
/* LC_ERR_FORMAT when the elements before the pixel data nest too deeply or inflate too far, or when
 * there is no element where one should start. What is malformed otherwise passes: the parser says
 * that better. Inflates the source of a deflated data set. Reads that fail are the source's to
 * tell.
 */
LC_MUST_CHECK lc_status ct_guard_check(struct ct_source *source, struct ct_layout *layout,
                                       struct lc_error *err);

LC_C_END
