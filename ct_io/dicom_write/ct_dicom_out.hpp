/* What every writer of DICOM objects in this room shares: attributes by DCMTK with a check on each,
 * patient and study taken over from a source file, and bytes that do not depend on time or place.
 *
 * Inside, failures are exceptions (OutFailure); border() turns them, and those of the standard
 * library, into a status. Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "ct_io/ct/ct_series.h"
#include "ct_io/dicom_file/ct_dcmtk.hpp"

namespace ct_out {

/* The border puts "path: " of the object being written before a message, unless the message names
 * another file itself. */
class OutFailure : public std::exception {
public:
  OutFailure(lc_status status_in, std::string message_in, bool names_file_in = false)
      : status(status_in), message(std::move(message_in)), names_file(names_file_in) {}
  const char *what() const noexcept override { return message.c_str(); }
  lc_status status;
  std::string message;
  bool names_file;
};

/* Raises the failure of a C function; its message, in `err`, names the file. */
void check(lc_status status, const lc_error &err);
/* Raises LC_ERR_INTERNAL naming the attribute when DCMTK refused it. */
void check(const OFCondition &condition, const DcmTagKey &tag);

/* Runs work() and returns its failure as a status with "path: " before the message. */
template <class Work> lc_status border(const char *path, lc_error *err, Work &&work) noexcept {
  try {
    ct::start_dcmtk();
    work();
    return LC_OK;
  } catch (const OutFailure &failure) {
    return failure.names_file
               ? lc_fail(err, failure.status, __FILE__, __LINE__, "%s", failure.what())
               : lc_fail(err, failure.status, __FILE__, __LINE__, "%s: %s", path, failure.what());
  } catch (const std::bad_alloc &) {
    return lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  } catch (const std::exception &failure) {
    return lc_fail(err, LC_ERR_INTERNAL, __FILE__, __LINE__, "%s: %s", path, failure.what());
  }
}

/* Shortest decimal text that reads back as the same number, within the 16 characters of a DS;
 * where that does not fit, the nearest that does. LC_ERR_NUMERIC for NaN and infinity. */
std::string decimal_string(double value);
/* Values of a multi-valued DS joined by backslashes. */
std::string decimal_strings(std::initializer_list<double> values);

/* Puts a text as it stands (ASCII, or already in the object's character set). An empty text gives
 * an attribute without value. */
void put(DcmItem &item, const DcmTagKey &tag, const std::string &value);
void put_us(DcmItem &item, const DcmTagKey &tag, size_t value);
/* Image Pixel attributes of 8-bit RGB, colour by pixel. */
void put_rgb_format(DcmItem &item, size_t rows, size_t columns);
/* Puts 8-bit pixels as OB, padded to an even length. */
void put_bytes(DcmItem &item, const DcmTagKey &tag, const uint8_t *bytes, size_t count);
/* Puts a text of ours, UTF-8, into an object whose character set may be another: characters that it
 * cannot hold become '?'. Raises LC_ERR_USAGE when the text is longer than the VR allows. An item
 * of a sequence is given the character set of its dataset. */
void put_utf8(DcmItem &item, const DcmTagKey &tag, const char *text, const std::string &set);
void put_utf8(DcmItem &dataset, const DcmTagKey &tag, const char *text);

/* The same text as put_utf8 would put, for a VR of so many characters; name is for the message. */
std::string to_set(const char *text, const std::string &set, size_t allowed, const char *name);

struct Code {
  const char *value, *scheme, *meaning;
};
/* Adds an item with one coded entry to a sequence. */
void add_code(DcmItem &item, const DcmTagKey &sequence, const Code &code);
/* SpecificCharacterSet of a dataset, "" when it has none. */
std::string character_set(DcmItem &dataset);
/* Adds an empty item to a sequence. */
DcmItem &add_item(DcmItem &item, const DcmTagKey &sequence);

extern const Code class_activation;   /* 130402 DCM */
extern const Code spatial_resampling; /* 113085 DCM */
extern const Code segmentation;       /* 113076 DCM */
extern const Code source_image;       /* 121322 DCM, purpose of reference */

/* Header of one source file up to its pixels. LC_ERR_NOT_FOUND, LC_ERR_FORMAT; LC_ERR_MISMATCH when
 * the file is no longer the slice that the series was read from. */
std::unique_ptr<DcmFileFormat> load_header(const ct_slice &slice);

/* Patient, study, patient study, de-identification and character set as in the source; attributes
 * that must be there (type 1 and 2) are added. */
void copy_patient_and_study(DcmItem &to, DcmItem &from, const ct_series &series);
void copy_frame_of_reference(DcmItem &to, DcmItem &from, const ct_series &series);
/* LossyImageCompression with ratio and method: once lossy, for ever lossy (PS3.3 C.7.6.1.1.5). */
void copy_lossy_history(DcmItem &to, DcmItem &from, const ct_series &series);
/* The same for objects that must say "00" when nothing is known of a loss. */
void put_lossy_history(DcmItem &to, DcmItem &from, const ct_series &series);
/* Copies one attribute when the source has it, in any of its items' forms. */
void copy_if_present(DcmItem &to, DcmItem &from, const DcmTagKey &tag);
/* Dates and times of content and acquisition: the source's, so that two runs give the same bytes.
 */
void copy_times(DcmItem &to, DcmItem &from);

/* Manufacturer, model and version of this program as General Equipment; Contributing Equipment with
 * the scanner (109101) and this program (109102), after what the source already lists. */
void put_equipment(DcmItem &to, DcmItem &from, const char *software_version);

/* Items of Source Image Sequence with purpose 121322, one an object; several frames of one object
 * are named by number. */
void put_source_images(DcmItem &to, const ct_series &series, const size_t *slices, size_t n_slices,
                       bool spatial_locations_preserved);
/* An item of Referenced Series Sequence (Common Instance Reference) for those slices. */
void put_source_series(DcmItem &to, const ct_series &series, const size_t *slices, size_t n_slices);

/* The same as a presentation state refers to its images (Referenced Image Sequence). */
void put_source_references(DcmItem &to, const ct_series &series, const size_t *slices,
                           size_t n_slices);
/* SOP class and instance of slices of one object; frame numbers when it has several frames. */
void put_image_reference(DcmItem &item, const ct_series &series, const size_t *slices,
                         size_t n_slices);

/* Writes the dataset as Explicit VR Little Endian, whole or not at all. */
void write_file(DcmFileFormat &file, const char *path);

} /* namespace ct_out */
