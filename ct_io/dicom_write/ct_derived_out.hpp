/* The parts that the objects of ct_derived.h have in common. Raises OutFailure as ct_dicom_out.hpp
 * does. Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "ct_io/ct/ct_plane.h"
#include "ct_io/dicom_write/ct_derived.h"
#include "ct_io/dicom_write/ct_dicom_out.hpp"

namespace ct_out {

/* One object on its way: the source's header and the new dataset. */
struct Object {
  std::unique_ptr<DcmFileFormat> source_file;
  DcmFileFormat file;
  DcmItem &from() { return *source_file->getDataset(); }
  DcmItem &to() { return *file.getDataset(); }
};

/* Checks what the caller gave, reads the source's header, and puts patient, study, series,
 * equipment and SOP common attributes. */
std::unique_ptr<Object> begin_object(const ct_derived &about, const ct_object_class &kind);
/* The same for an image: frame of reference (one made from the series where the source has none and
 * the object must have one), common instance reference, body part and times too. */
std::unique_ptr<Object> begin_image(const ct_derived &about, const ct_object_class &kind);

/* The source's, or one that follows from the series, for all that is derived from it. */
std::string frame_of_reference(const ct_series &series);
/* Body Part Examined and Laterality as in the source; an empty Laterality where it gives none and
 * the part is not known to be single, as the standard asks. */
void put_body_part(DcmItem &to, DcmItem &from);
/* Image Comments, with "Research use only." in front unless it is said. */
void put_comments(DcmItem &to, const ct_derived &about);
/* Derivation Description and codes: `first` (113085 spatial resampling for most), and 130402 for an
 * explanation. An item of a sequence is given the character set of its dataset. */
void put_derivation(DcmItem &to, const ct_derived &about, const std::string &set,
                    const Code &first = spatial_resampling);
/* Content Date and Time, which multi-frame objects, reports and presentation states must have: the
 * source's content, acquisition, series or study time, whichever is given first; else the first of
 * January 1900, midnight. */
void put_content_time(DcmItem &to, DcmItem &from);
std::string first_date(DcmItem &from);
std::string first_time(DcmItem &from);
/* Content Label, Description and (empty) Creator's Name. */
void put_content_identification(DcmItem &to, const ct_derived &about);
/* Model and serial number that the enhanced equipment module asks for. */
void put_enhanced_equipment(DcmItem &to);

/* Functional groups (PS3.3 C.7.6.16.2), put into an item of the shared or per-frame sequence. */
void put_pixel_measures(DcmItem &groups, const ct_plane &plane, double between_slices_mm = 0);
void put_plane_position(DcmItem &groups, const ct_plane &plane);
void put_plane_orientation(DcmItem &groups, const ct_plane &plane);
void put_derivation_image(DcmItem &groups, const ct_derived &about, const size_t *slices,
                          size_t n_slices, const std::string &set,
                          const Code &first = spatial_resampling,
                          bool spatial_locations_preserved = false);
void put_frame_content(DcmItem &groups, std::initializer_list<uint32_t> dimension_values);
/* The same with the stack that the frame belongs to, and its place in it from 1. */
void put_frame_in_stack(DcmItem &groups, uint32_t stack, uint32_t position);

/* One dimension: an attribute and the functional group it lies in. */
struct Dimension {
  DcmTagKey index, group;
  const char *label;
};
void put_dimensions(DcmItem &to, const ct_derived &about,
                    std::initializer_list<Dimension> dimensions);

} // namespace ct_out
