/* Colour pictures as one multi-frame object: overlays of all nodules and views in one stack, or CT
 * slices of original size with the map in place.
 *
 * Multi-frame True Color Secondary Capture Image Storage (PS3.3 A.8.5). Frames with a place in the
 * patient carry Pixel Measures, Plane Position and Plane Orientation, so that a viewer can link
 * them to the source; figures with legends have none.
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#ifndef CT_FRAMES_H
#define CT_FRAMES_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_plane.h"
#include "ct_io/dicom_write/ct_derived.h"

LC_API_BEGIN

extern const struct ct_object_class ct_frames_object;

#define CT_FRAME_LABEL_SIZE 17 /* 16 characters: one value of Frame Label Vector */

struct ct_frame_picture {
  const uint8_t *rgb;           /* [rows, columns, 3] */
  const char *label;            /* "nodule-1 axial", at most 16 characters, ASCII */
  const struct ct_plane *plane; /* rows and columns as the object's; NULL for a figure */
};

struct ct_frames {
  struct ct_derived about;
  size_t rows, columns;
  const struct ct_frame_picture *frames;
  size_t n_frames;
  bool text_in_pixels; /* BurnedInAnnotation */
};

/* LC_ERR_USAGE when some frames have a plane and others none, or a plane of another size. */
LC_MUST_CHECK lc_status ct_frames_write(const struct ct_frames *frames, const char *path,
                                        struct lc_error *err);

LC_API_END
#endif
