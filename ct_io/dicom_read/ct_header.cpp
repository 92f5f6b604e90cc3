// Reads the header of one DICOM file with DCMTK, single-frame or enhanced (functional groups), and
// notes why a file is not a usable CT image.
#include "ct_io/dicom_read/ct_header.h"
#include "ct_io/dicom_file/ct_syntax.h"

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_file/ct_dcmtk_version.hpp"
#include "ct_io/dicom_file/ct_stream.hpp"
#include "ct_io/dicom_file/ct_value.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <strings.h>

namespace {

// Values longer than this stay in the file until asked for, and none longer is asked for.
constexpr Uint32 longest_value = 4096;

using ct::components;
using ct::copy;
using ct::copy_text;
using ct::number;
using ct::numbers;
using ct::sequence_item;
using ct::sequence_of;
using ct::text;
using ct::trimmed;
using ct::whole;

// The macro of one frame: from its own functional groups, or else from the shared ones.
struct functional_groups {
  DcmItem *own, *shared;
  DcmItem *operator()(const DcmTagKey &macro) const {
    DcmItem *item = sequence_item(own, macro);
    return item ? item : sequence_item(shared, macro);
  }
};

bool is_localizer(DcmItem *item, const DcmTagKey &tag) {
  OFString type;
  for (unsigned long i = 0; i < 8 && text(item, tag, type, i); i++)
    if (trimmed(type) == "LOCALIZER") return true;
  return false;
}

// Padding is written as unsigned on signed pixels and the other way round; only its bits count.
bool padding(DcmItem *dataset, const DcmTagKey &tag, bool is_signed, long &value) {
  DcmElement *element = nullptr;
  if (dataset->findAndGetElement(tag, element).bad() || !element) return false;
  long read = 0;
  Uint16 u = 0;
  Sint16 s = 0;
  if (element->getUint16(u).good())
    read = u;
  else if (element->getSint16(s).good())
    read = s;
  else
    return false;
  value = is_signed ? static_cast<int16_t>(read) : static_cast<uint16_t>(read);
  return true;
}

void read_pixel_description(DcmItem *dataset, ct_slice &slice, bool &sign_given) {
  long value = 0;
  if (whole(dataset, DCM_BitsAllocated, value)) slice.bits_allocated = static_cast<int>(value);
  if (whole(dataset, DCM_BitsStored, value)) slice.bits_stored = static_cast<int>(value);
  slice.high_bit =
      whole(dataset, DCM_HighBit, value) ? static_cast<int>(value) : slice.bits_stored - 1;
  sign_given = whole(dataset, DCM_PixelRepresentation, value) && (value == 0 || value == 1);
  slice.pixel_signed = sign_given && value == 1;
  if (padding(dataset, DCM_PixelPaddingValue, slice.pixel_signed, slice.padding_low)) {
    slice.padding_given = true;
    slice.padding_high = slice.padding_low;
    long limit = 0;
    if (padding(dataset, DCM_PixelPaddingRangeLimit, slice.pixel_signed, limit)) {
      slice.padding_high = limit > slice.padding_low ? limit : slice.padding_low;
      slice.padding_low = limit < slice.padding_low ? limit : slice.padding_low;
    }
  }
}

// A number that is there must be one: "-1024,0" is neither -1024 nor nothing.
lc_status strict_number(DcmItem *item, const DcmTagKey &tag, const char *name, double &value,
                        bool &given, const char *path, lc_error *err) {
  OFString word;
  given = false;
  if (!item || !components(item, tag, word) || trimmed(word).empty()) return LC_OK;
  given = lc_text_to_double(trimmed(word).c_str(), &value);
  if (given) return LC_OK;
  char shown[48];
  lc_text_copy(shown, sizeof shown, word.c_str());
  lc_text_printable(shown);
  LC_FAIL(err, LC_ERR_FORMAT, "%s: %s \"%s\" is not a number", path, name, shown);
}

// A slope that is missing or empty is 1 where there is an intercept.
lc_status read_rescale(DcmItem *item, ct_frame &frame, const char *path, lc_error *err) {
  ct_slice &slice = frame.slice;
  bool slope_given = false;
  LC_TRY(
      strict_number(item, DCM_RescaleSlope, "RescaleSlope", slice.slope, slope_given, path, err));
  LC_TRY(strict_number(item, DCM_RescaleIntercept, "RescaleIntercept", slice.intercept,
                       slice.rescale_given, path, err));
  if (!slice.rescale_given) slice.slope = 1; // of stored values that may be units themselves
  copy(item, DCM_RescaleType, frame.rescale_type);
  return LC_OK;
}

// One attribute's value as a number that only equals itself; 0 when it is not given.
uint64_t key(DcmItem *item, const DcmTagKey &tag) {
  OFString value;
  uint64_t hash = 1469598103934665603u; // FNV-1a
  if (!item || !components(item, tag, value) || trimmed(value).empty()) return 0;
  for (char c : trimmed(value)) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash ? hash : 1;
}

// Finds keys of single-frame images in the data set, of enhanced ones in their macros.
template <typename Macro> void read_keys(ct_slice &slice, Macro macro) {
  uint64_t *keys = slice.keys;
  DcmItem *content = macro(DCM_FrameContentSequence);
  keys[CT_KEY_TIME] = key(content, DCM_TemporalPositionIndex);
  if (!keys[CT_KEY_TIME]) keys[CT_KEY_TIME] = key(content, DCM_TemporalPositionIdentifier);
  keys[CT_KEY_STACK] = key(content, DCM_StackID);
  keys[CT_KEY_ACQUISITION] = key(content, DCM_AcquisitionNumber);
  if (!keys[CT_KEY_ACQUISITION])
    keys[CT_KEY_ACQUISITION] = key(content, DCM_FrameAcquisitionNumber);
  keys[CT_KEY_KVP] = key(macro(DCM_CTXRayDetailsSequence), DCM_KVP);
  keys[CT_KEY_KERNEL] = key(macro(DCM_CTReconstructionSequence), DCM_ConvolutionKernel);
  DcmItem *type = macro(DCM_CTImageFrameTypeSequence);
  keys[CT_KEY_IMAGE_TYPE] = key(type, DCM_FrameType);
  if (!keys[CT_KEY_IMAGE_TYPE]) keys[CT_KEY_IMAGE_TYPE] = key(type, DCM_ImageType);
}

void read_plane(DcmItem *position, DcmItem *orientation, DcmItem *measures, ct_frame &frame) {
  frame.position_given = numbers(position, DCM_ImagePositionPatient, frame.slice.position_mm, 3);
  frame.orientation_given = numbers(orientation, DCM_ImageOrientationPatient, frame.orientation, 6);
  frame.spacing_given = numbers(measures, DCM_PixelSpacing, frame.pixel_spacing_mm, 2);
  if (!number(measures, DCM_SliceThickness, frame.thickness_mm)) frame.thickness_mm = 0;
}

lc_status read_single(DcmItem *dataset, ct_frame &frame, const char *path, lc_error *err) {
  read_plane(dataset, dataset, dataset, frame);
  read_keys(frame.slice, [dataset](const DcmTagKey &) { return dataset; });
  return read_rescale(dataset, frame, path, err);
}

// Of an enhanced image; what its macros do not say, its top level may. own: the frame's groups.
lc_status read_enhanced(DcmItem *dataset, DcmItem *own, ct_frame &frame, const char *path,
                        lc_error *err) {
  functional_groups groups{own, sequence_item(dataset, DCM_SharedFunctionalGroupsSequence)};
  if (!groups.own)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: frame %d has no functional groups", path,
            frame.slice.frame + 1);
  read_plane(groups(DCM_PlanePositionSequence), groups(DCM_PlaneOrientationSequence),
             groups(DCM_PixelMeasuresSequence), frame);
  read_keys(frame.slice, groups);
  if (DcmItem *item = groups(DCM_PixelValueTransformationSequence))
    LC_TRY(read_rescale(item, frame, path, err));
  return frame.slice.rescale_given ? LC_OK : read_rescale(dataset, frame, path, err);
}

void read_series(DcmItem *dataset, ct_series &series) {
  OFString charset;
  components(dataset, DCM_SpecificCharacterSet, charset);
  copy_text(dataset, DCM_PatientID, charset, series.patient_id);
  copy_text(dataset, DCM_PatientName, charset, series.patient_name);
  copy_text(dataset, DCM_IssuerOfPatientID, charset, series.patient_issuer);
  copy_text(dataset, DCM_StudyID, charset, series.study_id);
  copy_text(dataset, DCM_AccessionNumber, charset, series.accession_number);
  copy(dataset, DCM_PatientBirthDate, series.patient_birth_date);
  copy(dataset, DCM_PatientSex, series.patient_sex);
  copy_text(dataset, DCM_SeriesDescription, charset, series.series_description);
  copy_text(dataset, DCM_Manufacturer, charset, series.manufacturer);
  copy_text(dataset, DCM_ManufacturerModelName, charset, series.model_name);
  copy(dataset, DCM_ConvolutionKernel, series.convolution_kernel, true);
  copy(dataset, DCM_StudyInstanceUID, series.study_instance_uid);
  copy(dataset, DCM_SeriesInstanceUID, series.series_instance_uid);
  copy(dataset, DCM_FrameOfReferenceUID, series.frame_of_reference_uid);
  copy(dataset, DCM_Modality, series.modality);
  copy(dataset, DCM_StudyDate, series.study_date);
  copy(dataset, DCM_SeriesNumber, series.series_number);
  OFString lossy;
  series.lossy = text(dataset, DCM_LossyImageCompression, lossy) && lossy == "01";
}

const char *unfit_sop_class(const char *uid) {
  if (!*uid || !strcmp(uid, UID_CTImageStorage) || !strcmp(uid, UID_EnhancedCTImageStorage) ||
      !strcmp(uid, UID_LegacyConvertedEnhancedCTImageStorage))
    return nullptr;
  return dcmFindNameOfUID(uid, uid);
}

template <typename... Words> void set_unfit(ct_header &header, const char *format, Words... words) {
  if (!header.unfit[0]) snprintf(header.unfit, sizeof header.unfit, format, words...);
}

void judge_file(DcmItem *dataset, ct_header &header) {
  const ct_series &series = header.series;
  const ct_slice &slice = header.frames[0].slice;
  if (!header.is_image) set_unfit(header, "no image (modality %s)", series.modality);
  if (const char *name = unfit_sop_class(slice.sop_class_uid))
    set_unfit(header, "%s is not a CT image", name);
  if (strcmp(series.modality, "CT") != 0)
    set_unfit(header, "modality %s is not CT", series.modality[0] ? series.modality : "(none)");
  if (is_localizer(dataset, DCM_ImageType)) set_unfit(header, "%s", "localizer");
  long samples = 1;
  if (whole(dataset, DCM_SamplesPerPixel, samples) && samples != 1)
    set_unfit(header, "%ld samples a pixel, a CT slice has one", samples);
  OFString photometric;
  if (text(dataset, DCM_PhotometricInterpretation, photometric) && samples == 1 &&
      trimmed(photometric).compare(0, 10, "MONOCHROME") != 0)
    set_unfit(header,
              "PhotometricInterpretation %.20s: pixels are no Hounsfield units, expected "
              "MONOCHROME2",
              photometric.c_str());
  if (!header.frames[0].slice.rescale_given && dataset->tagExists(DCM_ModalityLUTSequence))
    set_unfit(header, "%s", "a ModalityLUTSequence in place of RescaleIntercept is not read here");
  if (series.rows > CT_MAX_SIDE || series.columns > CT_MAX_SIDE)
    set_unfit(header, "%d x %d pixels, the limit is %d a side", series.columns, series.rows,
              CT_MAX_SIDE);
  if ((slice.bits_allocated != 8 && slice.bits_allocated != 16) || slice.bits_stored < 1 ||
      slice.bits_stored > slice.bits_allocated || slice.high_bit >= slice.bits_allocated ||
      slice.high_bit < slice.bits_stored - 1)
    set_unfit(header, "bits allocated %d, stored %d, high bit %d do not describe a CT pixel",
              slice.bits_allocated, slice.bits_stored, slice.high_bit);
  if (!header.sign_given)
    set_unfit(header, "%s", "PixelRepresentation is missing or neither 0 nor 1");
  if (!ct_transfer_syntax_known(slice.transfer_syntax_uid))
    set_unfit(header, "transfer syntax %s is not read here", slice.transfer_syntax_uid);
  const char *rescale = header.frames[0].rescale_type;
  if (rescale[0] && strcmp(rescale, "HU") != 0 && strcmp(rescale, "US") != 0 &&
      strcmp(rescale, "HU_MOD") != 0)
    set_unfit(header, "rescale type %s is not Hounsfield units", rescale);
}

// Some writers fill up their pixel data to a word; more is another image.
constexpr uint64_t most_behind_pixels = 16;

lc_status check_pixels_present(const ct_header &header, const DcmXfer &syntax, const ct::File &file,
                               const char *path, lc_error *err) {
  if (!file.layout().has_pixels && !unfit_sop_class(header.frames[0].slice.sop_class_uid) &&
      (header.is_image || header.frames[0].slice.sop_class_uid[0]))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: truncated: a CT image that ends before its pixel data", path);
  if (!header.is_image || ct::is_encapsulated(syntax)) return LC_OK;
  const ct_series &series = header.series;
  uint64_t needed = static_cast<uint64_t>(series.rows) * static_cast<uint64_t>(series.columns) *
                    static_cast<uint64_t>(header.frames[0].slice.bits_allocated / 8) *
                    header.n_frames;
  bool fit = !unfit_sop_class(header.frames[0].slice.sop_class_uid);
  uint64_t before = fit && file.layout().has_pixels ? file.layout().pixels : 0;
  if (file.size() < before + needed)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: truncated: %llu bytes, expected %llu with its pixels", path,
            static_cast<unsigned long long>(file.size()),
            static_cast<unsigned long long>(before + needed));
  if (fit && !header.unfit[0] && file.layout().pixel_bytes > needed + most_behind_pixels)
    LC_FAIL(
        err, LC_ERR_FORMAT,
        "%s: %llu bytes of pixel data, expected %llu for %d rows, %d columns and %zu frame%s of "
        "%d bits",
        path, static_cast<unsigned long long>(file.layout().pixel_bytes),
        static_cast<unsigned long long>(needed), series.rows, series.columns, header.n_frames,
        header.n_frames > 1 ? "s" : "", header.frames[0].slice.bits_allocated);
  return LC_OK;
}

bool same_plane(const ct_frame &a, const ct_frame &b) {
  return std::equal(a.orientation, a.orientation + 6, b.orientation) &&
         std::equal(a.pixel_spacing_mm, a.pixel_spacing_mm + 2, b.pixel_spacing_mm);
}

lc_status read_frames(DcmDataset *dataset, const ct::File &file, ct_header &header,
                      const char *path, lc_error *err) {
  const char *declared_syntax = file.layout().syntax;
  long n_frames = 1;
  if (whole(dataset, DCM_NumberOfFrames, n_frames) && (n_frames < 1 || n_frames > CT_MAX_FRAMES))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %ld frames, expected 1 to %d", path, n_frames, CT_MAX_FRAMES);
  LC_TRY(lc_alloc(&header.frames, static_cast<size_t>(n_frames), sizeof *header.frames, err));
  header.n_frames = static_cast<size_t>(n_frames);
  ct_slice common = {};
  copy(dataset, DCM_SOPInstanceUID, common.sop_instance_uid);
  copy(dataset, DCM_SOPClassUID, common.sop_class_uid);
  // The file's own word where DCMTK does not know the syntax or does not see it, else what was
  // found to be true.
  bool own = declared_syntax[0] && DcmXfer(declared_syntax).getXfer() == EXS_Unknown;
  lc_text_copy(common.transfer_syntax_uid, sizeof common.transfer_syntax_uid,
               own || file.layout().deflated ? declared_syntax
                                             : DcmXfer(dataset->getOriginalXfer()).getXferID());
  whole(dataset, DCM_InstanceNumber, common.instance_number);
  common.slope = 1;
  read_pixel_description(dataset, common, header.sign_given);
  DcmSequenceOfItems *per_frame = sequence_of(dataset, DCM_PerFrameFunctionalGroupsSequence);
  int planes = 0;
  bool enhanced = dataset->tagExists(DCM_PerFrameFunctionalGroupsSequence);
  DcmObject *own_groups = nullptr;
  for (long i = 0; i < n_frames; i++) {
    ct_frame &frame = header.frames[i];
    frame.slice = common;
    frame.slice.frame = static_cast<int>(i);
    // Its items one after the other: by number each is looked for from the first.
    if (per_frame && (i == 0 || own_groups)) own_groups = per_frame->nextInContainer(own_groups);
    LC_TRY(enhanced ? read_enhanced(dataset, dynamic_cast<DcmItem *>(own_groups), frame, path, err)
                    : read_single(dataset, frame, path, err));
    planes += i > 0 && !same_plane(header.frames[i - 1], frame);
    if (planes > CT_MAX_PLANES)
      LC_FAIL(err, LC_ERR_FORMAT,
              "%s: orientation or spacing change more than %d times between frames", path,
              CT_MAX_PLANES);
  }
  return LC_OK;
}

bool has_letters(const char *uid) {
  return strspn(uid, "0123456789.") != strlen(uid);
}

// It names folders and files of results. `value`: as far as there is room for it.
lc_status check_uid(DcmDataset *dataset, const DcmTagKey &tag, const char *name, const char *value,
                    const char *path, lc_error *err) {
  OFString uid;
  char shown[2 * CT_UID_SIZE];
  if (text(dataset, tag, uid) && uid.size() < CT_UID_SIZE && ct_uid_plausible(value)) return LC_OK;
  copy(dataset, tag, shown);
  LC_FAIL(err, LC_ERR_FORMAT, "%s: %s %.80s, expected at most 64 digits and dots", path, name,
          shown);
}

lc_status check_uids(DcmDataset *dataset, ct_header &header, const char *path, lc_error *err) {
  const ct_series &series = header.series;
  OFString uid;
  if (!text(dataset, DCM_SeriesInstanceUID, uid))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no SeriesInstanceUID", path);
  LC_TRY(check_uid(dataset, DCM_SeriesInstanceUID, "SeriesInstanceUID", series.series_instance_uid,
                   path, err));
  if (text(dataset, DCM_StudyInstanceUID, uid))
    LC_TRY(check_uid(dataset, DCM_StudyInstanceUID, "StudyInstanceUID", series.study_instance_uid,
                     path, err));
  header.uid_letters = has_letters(series.series_instance_uid) ||
                       has_letters(series.study_instance_uid) ||
                       has_letters(header.frames[0].slice.sop_instance_uid);
  return LC_OK;
}

lc_status read_dataset(DcmDataset *dataset, const ct::File &file, ct_header &header,
                       const char *path, lc_error *err) {
  const char *declared_syntax = file.layout().syntax;
  read_series(dataset, header.series);
  long rows = 0, columns = 0;
  header.is_image = whole(dataset, DCM_Rows, rows) && whole(dataset, DCM_Columns, columns) &&
                    rows > 0 && columns > 0;
  header.series.rows = static_cast<int>(rows);
  header.series.columns = static_cast<int>(columns);
  number(dataset, DCM_GantryDetectorTilt, header.tilt_degrees);
  LC_TRY(read_frames(dataset, file, header, path, err));
  LC_TRY(check_uids(dataset, header, path, err));
  judge_file(dataset, header);
  if (ct_transfer_syntax_lossy(header.frames[0].slice.transfer_syntax_uid))
    header.series.lossy = true;
  if (DcmXfer(declared_syntax).getXfer() == EXS_Unknown && declared_syntax[0]) return LC_OK;
  return check_pixels_present(header, DcmXfer(dataset->getOriginalXfer()), file, path, err);
}

// A file that is named like a DICOM object and is none: a copy that was cut short.
bool named_dicom(const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  const char *dot = strrchr(name, '.');
  return dot && dot != name && name[0] != '.' &&
         (strcasecmp(dot, ".dcm") == 0 || strcasecmp(dot, ".dicom") == 0 ||
          strcasecmp(dot, ".ima") == 0);
}

ct_file_kind read_file(ct_header &header, int descriptor, const char *path, lc_error *err) {
  auto file = std::make_shared<ct::File>(path, descriptor);
  lc_status opened = file->open(err);
  if (opened == LC_ERR_NOT_FOUND) return CT_FILE_UNREADABLE;
  if (opened == LC_ERR_NO_DICOM) {
    if (!named_dicom(path)) return CT_FILE_OTHER;
    (void)lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                  "%s: no DICOM object, though named so (%llu bytes)", path,
                  static_cast<unsigned long long>(file->size()));
    return CT_FILE_BROKEN;
  }
  if (opened != LC_OK) return opened == LC_ERR_MEMORY ? CT_FILE_FAILED : CT_FILE_BROKEN;
  if (strcmp(file->layout().media_class, UID_MediaStorageDirectoryStorage) == 0)
    return CT_FILE_OTHER;
  DcmDataset dataset;
  OFCondition parsed = ct::parse(file, dataset, longest_value, DCM_PixelData);
  lc_status status = LC_OK;
  if (parsed.good())
    status = read_dataset(&dataset, *file, header, path, err);
  else
    read_series(&dataset, header.series);
  lc_status whole_file = file->check(err);
  if (whole_file != LC_OK)
    return whole_file == LC_ERR_NOT_FOUND ? CT_FILE_UNREADABLE : CT_FILE_BROKEN;
  if (parsed == EC_MemoryExhausted)
    status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  else if (parsed.bad())
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                     "%s: header cannot be read to its end: %s", path, parsed.text());
  if (status == LC_ERR_MEMORY) return CT_FILE_FAILED;
  return status == LC_OK ? CT_FILE_OBJECT : CT_FILE_BROKEN;
}

} // namespace

ct_file_kind ct_header_parse(struct ct_header *header, int file, const char *path,
                             struct lc_error *err) {
  memset(header, 0, sizeof *header);
  ct_file_kind kind = CT_FILE_BROKEN;
  lc_status status = ct::guarded(path, err, [&] {
    kind = read_file(*header, file, path, err);
    return LC_OK;
  });
  if (status != LC_OK) kind = status == LC_ERR_MEMORY ? CT_FILE_FAILED : CT_FILE_BROKEN;
  if (kind != CT_FILE_OBJECT) {
    free(header->frames);
    header->frames = nullptr;
    header->n_frames = 0;
  }
  return kind;
}

void ct_header_free(struct ct_header *header) {
  free(header->frames);
  memset(header, 0, sizeof *header);
}
