// Puts attributes into DCMTK data sets with a check on each, copies patient, study and compression
// history from the source file, and writes the file by lc_file_write.
#include "ct_io/dicom_write/ct_dicom_out.hpp"
#include "ct_io/dicom_file/ct_stream.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include <dcmtk/dcmdata/dcostrma.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <dcmtk/dcmdata/dcwcache.h>

#include "common/lc_file.h"

namespace ct_out {

const Code class_activation = {"130402", "DCM", "Class activation"};
const Code spatial_resampling = {"113085", "DCM", "Spatial resampling"};
const Code segmentation = {"113076", "DCM", "Segmentation"};
const Code source_image = {"121322", "DCM", "Source image for image processing operation"};

namespace {

const Code acquisition_equipment = {"109101", "DCM", "Acquisition Equipment"};
const Code processing_equipment = {"109102", "DCM", "Processing Equipment"};

/* Named in every file's meta information; fixed, so that bytes do not change with the library. */
constexpr const char *implementation_class_uid = "2.25.265063679420036954620623602684861232393";
constexpr const char *implementation_version = "LUNGCDAM";

std::string tag_name(const DcmTagKey &key) {
  DcmTag tag(key);
  return std::string(tag.getTagName()) + " " + key.toString();
}

size_t characters_allowed(DcmEVR vr) {
  switch (vr) {
  case EVR_SH:
  case EVR_CS:
    return 16;
  case EVR_LO:
  case EVR_PN:
    return 64;
  case EVR_ST:
    return 1024;
  case EVR_LT:
    return 10240;
  default:
    return SIZE_MAX;
  }
}

bool is_ascii(const std::string &text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

size_t count_characters(const std::string &utf8) {
  return static_cast<size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return !continues_character(c); }));
}

/* One character at a time, because a conversion fails as a whole on the first that the set lacks.
 */
std::string to_character_set(const std::string &utf8, const std::string &set) {
  if (is_ascii(utf8) || set == "ISO_IR 192") return utf8;
  DcmSpecificCharacterSet converter;
  bool able = !set.empty() && set.find('\\') == std::string::npos &&
              converter.selectCharacterSet("ISO_IR 192", set).good();
  std::string out;
  for (size_t i = 0; i < utf8.size();) {
    size_t n = 1;
    while (i + n < utf8.size() && continues_character(utf8[i + n])) n++;
    OFString one;
    if (n == 1 && static_cast<unsigned char>(utf8[i]) < 0x80)
      out += utf8[i];
    else if (able && converter.convertString(utf8.data() + i, n, one).good() && !one.empty())
      out.append(one.data(), one.size());
    else
      out += '?';
    i += n;
  }
  return out;
}

/* Collects what DCMTK writes, so that the file is written by lc_file_write: its full-disk errors
 * are exact, where a DCMTK file stream drops what the disk does not take. */
class Bytes : public DcmConsumer {
public:
  OFBool good() const override { return OFTrue; }
  OFCondition status() const override { return EC_Normal; }
  OFBool isFlushed() const override { return OFTrue; }
  offile_off_t avail() const override { return 1 << 30; }
  offile_off_t write(const void *data, offile_off_t count) override {
    const char *first = static_cast<const char *>(data);
    bytes.insert(bytes.end(), first, first + count);
    return count;
  }
  void flush() override {}
  std::vector<char> bytes;
};

class BytesStream : public DcmOutputStream {
public:
  explicit BytesStream(Bytes &sink) : DcmOutputStream(&sink) {}
};

/* PS3.3 C.7.1.1, C.7.1.3 (clinical trial), C.7.2.1, C.7.2.2 and what C.12.1 says of the whole
 * object's text and time. */
const DcmTagKey patient_and_study[] = {
    DCM_SpecificCharacterSet,
    DCM_TimezoneOffsetFromUTC,
    DCM_PatientName,
    DCM_PatientID,
    DCM_IssuerOfPatientID,
    DCM_IssuerOfPatientIDQualifiersSequence,
    DCM_TypeOfPatientID,
    DCM_PatientBirthDate,
    DCM_PatientBirthTime,
    DCM_PatientSex,
    DCM_OtherPatientIDsSequence,
    DCM_OtherPatientNames,
    DCM_EthnicGroup,
    DCM_PatientComments,
    DCM_QualityControlSubject,
    DCM_PatientSpeciesDescription,
    DCM_PatientSpeciesCodeSequence,
    DCM_PatientBreedDescription,
    DCM_PatientBreedCodeSequence,
    DCM_BreedRegistrationSequence,
    DCM_ResponsiblePerson,
    DCM_ResponsiblePersonRole,
    DCM_ResponsibleOrganization,
    DCM_PatientIdentityRemoved,
    DCM_DeidentificationMethod,
    DCM_DeidentificationMethodCodeSequence,
    DCM_LongitudinalTemporalInformationModified,
    DCM_ClinicalTrialSponsorName,
    DCM_ClinicalTrialProtocolID,
    DCM_ClinicalTrialProtocolName,
    DCM_ClinicalTrialSiteID,
    DCM_ClinicalTrialSiteName,
    DCM_ClinicalTrialSubjectID,
    DCM_ClinicalTrialSubjectReadingID,
    DCM_ClinicalTrialTimePointID,
    DCM_ClinicalTrialTimePointDescription,
    DCM_StudyInstanceUID,
    DCM_StudyDate,
    DCM_StudyTime,
    DCM_ReferringPhysicianName,
    DCM_StudyID,
    DCM_AccessionNumber,
    DCM_IssuerOfAccessionNumberSequence,
    DCM_StudyDescription,
    DCM_PhysiciansOfRecord,
    DCM_NameOfPhysiciansReadingStudy,
    DCM_RequestingService,
    DCM_ProcedureCodeSequence,
    DCM_ReferencedStudySequence,
    DCM_AdmittingDiagnosesDescription,
    DCM_PatientAge,
    DCM_PatientSize,
    DCM_PatientWeight,
    DCM_PatientSizeCodeSequence,
    DCM_PatientBodyMassIndex,
    DCM_PatientSexNeutered,
    DCM_AdmittingDiagnosesCodeSequence,
    DCM_AdmissionID,
    DCM_ReasonForVisit,
    DCM_ServiceEpisodeID,
    DCM_ServiceEpisodeDescription,
    DCM_Occupation,
    DCM_MedicalAlerts,
    DCM_Allergies,
    DCM_SmokingStatus,
    DCM_PregnancyStatus,
    DCM_LastMenstrualDate,
    DCM_PatientState,
    DCM_SpecialNeeds,
    DCM_AdditionalPatientHistory,
};

const DcmTagKey required_in_patient_and_study[] = {
    DCM_PatientName,     DCM_PatientID, DCM_PatientBirthDate,       DCM_PatientSex,
    DCM_StudyDate,       DCM_StudyTime, DCM_ReferringPhysicianName, DCM_StudyID,
    DCM_AccessionNumber,
};

bool is_required(const DcmTagKey &tag) {
  return tag == DCM_StudyInstanceUID || std::find(std::begin(required_in_patient_and_study),
                                                  std::end(required_in_patient_and_study),
                                                  tag) != std::end(required_in_patient_and_study);
}

/* An optional value that breaks the rules of its VR ("0Y" for an age) would make the new object
 * invalid too; an empty character set is none. */
bool is_well_formed(DcmItem &from, const DcmTagKey &tag) {
  DcmElement *element = nullptr;
  if (from.findAndGetElement(tag, element).bad() || !element) return true;
  if (tag == DCM_SpecificCharacterSet) return !element->isEmpty();
  return element->checkValue().good();
}

/* Defined terms of PS3.3 C.7.6.1.1.5.1 for the transfer syntaxes that lose. */
const char *lossy_method(const char *transfer_syntax) {
  static const struct {
    const char *uid, *method;
  } table[] = {
      {UID_JPEGProcess1TransferSyntax, "ISO_10918_1"},
      {UID_JPEGProcess2_4TransferSyntax, "ISO_10918_1"},
      {UID_JPEGLSLossyTransferSyntax, "ISO_14495_1"},
      {UID_JPEG2000TransferSyntax, "ISO_15444_1"},
  };
  for (const auto &row : table)
    if (strcmp(row.uid, transfer_syntax) == 0) return row.method;
  return nullptr;
}

/* Slices that are frames of one object share its SOP Instance UID. */
std::vector<std::vector<size_t>> group_by_instance(const ct_series &series, const size_t *slices,
                                                   size_t n_slices) {
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < n_slices; i++) {
    if (slices[i] >= series.n_slices)
      throw OutFailure(LC_ERR_USAGE, "source slice " + std::to_string(slices[i]) +
                                         " of a series with " + std::to_string(series.n_slices));
    const char *uid = series.slices[slices[i]].sop_instance_uid;
    auto same = [&](const std::vector<size_t> &group) {
      return strcmp(series.slices[group[0]].sop_instance_uid, uid) == 0;
    };
    auto found = std::find_if(groups.begin(), groups.end(), same);
    if (found == groups.end())
      groups.push_back({slices[i]});
    else
      found->push_back(slices[i]);
  }
  return groups;
}

bool is_multi_frame(const ct_series &series, const ct_slice &slice) {
  size_t frames = 0;
  for (size_t i = 0; i < series.n_slices; i++)
    frames += strcmp(series.slices[i].sop_instance_uid, slice.sop_instance_uid) == 0;
  return frames > 1 || slice.frame > 0;
}

} // namespace

void check(lc_status status, const lc_error &err) {
  if (status != LC_OK) throw OutFailure(status, err.message, true);
}

void check(const OFCondition &condition, const DcmTagKey &tag) {
  if (condition.bad())
    throw OutFailure(LC_ERR_INTERNAL, "DICOM attribute " + tag_name(tag) +
                                          " cannot be written: " + condition.text());
}

std::string decimal_string(double value) {
  if (!std::isfinite(value)) throw OutFailure(LC_ERR_NUMERIC, "a number is not finite");
  char text[64];
  for (int digits = 17; digits > 0; digits--) {
    auto end = digits == 17 ? std::to_chars(text, text + sizeof text, value)
                            : std::to_chars(text, text + sizeof text, value,
                                            std::chars_format::general, digits);
    if (end.ptr - text <= 16) return {text, end.ptr};
  }
  return "0";
}

std::string decimal_strings(std::initializer_list<double> values) {
  std::string out;
  for (double value : values) out += (out.empty() ? "" : "\\") + decimal_string(value);
  return out;
}

void put(DcmItem &item, const DcmTagKey &tag, const std::string &value) {
  check(item.putAndInsertString(tag, value.c_str()), tag);
}

void put_us(DcmItem &item, const DcmTagKey &tag, size_t value) {
  if (value > UINT16_MAX)
    throw OutFailure(LC_ERR_USAGE, "DICOM attribute " + tag_name(tag) + ": " +
                                       std::to_string(value) + " is more than 65535");
  check(item.putAndInsertUint16(tag, static_cast<Uint16>(value)), tag);
}

void put_rgb_format(DcmItem &item, size_t rows, size_t columns) {
  put_us(item, DCM_SamplesPerPixel, 3);
  put(item, DCM_PhotometricInterpretation, "RGB");
  put_us(item, DCM_PlanarConfiguration, 0);
  put_us(item, DCM_Rows, rows);
  put_us(item, DCM_Columns, columns);
  put_us(item, DCM_BitsAllocated, 8);
  put_us(item, DCM_BitsStored, 8);
  put_us(item, DCM_HighBit, 7);
  put_us(item, DCM_PixelRepresentation, 0);
}

void put_bytes(DcmItem &item, const DcmTagKey &tag, const uint8_t *bytes, size_t count) {
  if (count > INT32_MAX)
    throw OutFailure(LC_ERR_USAGE, "a picture of " + std::to_string(count) + " bytes is too large");
  DcmTag as_bytes(tag);
  as_bytes.setVR(EVR_OB);
  check(item.putAndInsertUint8Array(as_bytes, bytes, static_cast<unsigned long>(count)), tag);
}

std::string to_set(const char *text, const std::string &set, size_t allowed, const char *name) {
  std::string utf8 = text ? text : "";
  size_t characters = count_characters(utf8);
  if (characters > allowed)
    throw OutFailure(LC_ERR_USAGE, std::string(name) + " has " + std::to_string(characters) +
                                       " characters, at most " + std::to_string(allowed) + ": \"" +
                                       utf8.substr(0, 80) + "\"");
  return to_character_set(utf8, set);
}

void put_utf8(DcmItem &item, const DcmTagKey &tag, const char *text, const std::string &set) {
  DcmEVR vr = DcmTag(tag).getEVR();
  std::string value = to_set(text, set, characters_allowed(vr), tag_name(tag).c_str());
  /* A backslash parts the values of the VRs that may have several. */
  if (vr != EVR_LT && vr != EVR_ST && vr != EVR_UT)
    std::replace(value.begin(), value.end(), '\\', '/');
  put(item, tag, value);
}

std::string character_set(DcmItem &dataset) {
  OFString set;
  dataset.findAndGetOFStringArray(DCM_SpecificCharacterSet, set);
  return set;
}

void put_utf8(DcmItem &dataset, const DcmTagKey &tag, const char *text) {
  put_utf8(dataset, tag, text, character_set(dataset));
}

DcmItem &add_item(DcmItem &item, const DcmTagKey &sequence) {
  auto *added = new DcmItem();
  OFCondition condition = item.insertSequenceItem(sequence, added);
  if (condition.bad()) delete added;
  check(condition, sequence);
  return *added;
}

void add_code(DcmItem &item, const DcmTagKey &sequence, const Code &code) {
  DcmItem &entry = add_item(item, sequence);
  put(entry, DCM_CodeValue, code.value);
  put(entry, DCM_CodingSchemeDesignator, code.scheme);
  put(entry, DCM_CodeMeaning, code.meaning);
}

std::unique_ptr<DcmFileFormat> load_header(const ct_slice &slice) {
  const char *path = slice.path ? slice.path : "";
  if (!lc_file_exists(path))
    throw OutFailure(LC_ERR_NOT_FOUND, std::string(path) + ": source file is not there any more",
                     true);
  auto file = std::make_unique<DcmFileFormat>();
  auto source = std::make_shared<ct::File>(path);
  lc_error err;
  lc_status opened = source->open_object(&err);
  OFCondition condition = EC_Normal;
  if (opened == LC_OK)
    condition = ct::parse(source, *file->getDataset(), DCM_MaxReadLength, DCM_PixelData);
  if (opened == LC_OK) opened = source->check(&err);
  if (opened != LC_OK) throw OutFailure(opened, err.message, true);
  if (condition.bad())
    throw OutFailure(LC_ERR_FORMAT,
                     std::string(path) + ": header cannot be read: " + condition.text(), true);
  OFString uid;
  file->getDataset()->findAndGetOFString(DCM_SOPInstanceUID, uid);
  if (uid != slice.sop_instance_uid)
    throw OutFailure(LC_ERR_MISMATCH,
                     std::string(path) + ": holds SOP instance " + uid + ", expected " +
                         slice.sop_instance_uid,
                     true);
  return file;
}

void copy_if_present(DcmItem &to, DcmItem &from, const DcmTagKey &tag) {
  if (from.tagExists(tag)) check(from.findAndInsertCopyOfElement(tag, &to), tag);
}

void copy_patient_and_study(DcmItem &to, DcmItem &from, const ct_series &series) {
  for (const DcmTagKey &tag : patient_and_study)
    if (is_required(tag) || is_well_formed(from, tag)) copy_if_present(to, from, tag);
  for (const DcmTagKey &tag : required_in_patient_and_study)
    if (!to.tagExists(tag)) check(to.insertEmptyElement(tag), tag);
  if (!to.tagExistsWithValue(DCM_StudyInstanceUID))
    put(to, DCM_StudyInstanceUID, series.study_instance_uid);
}

void copy_frame_of_reference(DcmItem &to, DcmItem &from, const ct_series &series) {
  if (!series.frame_of_reference_uid[0]) return;
  put(to, DCM_FrameOfReferenceUID, series.frame_of_reference_uid);
  copy_if_present(to, from, DCM_PositionReferenceIndicator);
  if (!to.tagExists(DCM_PositionReferenceIndicator))
    check(to.insertEmptyElement(DCM_PositionReferenceIndicator), DCM_PositionReferenceIndicator);
}

void copy_lossy_history(DcmItem &to, DcmItem &from, const ct_series &series) {
  OFString given;
  from.findAndGetOFString(DCM_LossyImageCompression, given);
  bool lossy = series.lossy || given == "01";
  if (!lossy && given.empty()) return;
  put(to, DCM_LossyImageCompression, lossy ? "01" : "00");
  if (!lossy) return;
  copy_if_present(to, from, DCM_LossyImageCompressionRatio);
  copy_if_present(to, from, DCM_LossyImageCompressionMethod);
  const char *method =
      series.n_slices ? lossy_method(series.slices[0].transfer_syntax_uid) : nullptr;
  if (method && !to.tagExistsWithValue(DCM_LossyImageCompressionMethod))
    put(to, DCM_LossyImageCompressionMethod, method);
}

void put_lossy_history(DcmItem &to, DcmItem &from, const ct_series &series) {
  copy_lossy_history(to, from, series);
  if (!to.tagExistsWithValue(DCM_LossyImageCompression)) put(to, DCM_LossyImageCompression, "00");
}

void copy_times(DcmItem &to, DcmItem &from) {
  const DcmTagKey times[] = {DCM_ContentDate, DCM_ContentTime, DCM_AcquisitionDate,
                             DCM_AcquisitionTime, DCM_AcquisitionDateTime};
  for (const DcmTagKey &tag : times) copy_if_present(to, from, tag);
}

void put_equipment(DcmItem &to, DcmItem &from, const char *software_version) {
  put(to, DCM_Manufacturer, "lungcdam");
  put(to, DCM_ManufacturerModelName, "lungcdam");
  put_utf8(to, DCM_SoftwareVersions, software_version);
  copy_if_present(to, from, DCM_ContributingEquipmentSequence);
  OFString manufacturer;
  from.findAndGetOFString(DCM_Manufacturer, manufacturer);
  if (!manufacturer.empty()) {
    DcmItem &scanner = add_item(to, DCM_ContributingEquipmentSequence);
    add_code(scanner, DCM_PurposeOfReferenceCodeSequence, acquisition_equipment);
    const DcmTagKey copied[] = {DCM_Manufacturer,
                                DCM_InstitutionName,
                                DCM_InstitutionAddress,
                                DCM_StationName,
                                DCM_InstitutionalDepartmentName,
                                DCM_ManufacturerModelName,
                                DCM_DeviceSerialNumber,
                                DCM_SoftwareVersions};
    for (const DcmTagKey &tag : copied)
      if (from.tagExistsWithValue(tag)) copy_if_present(scanner, from, tag);
  }
  DcmItem &program = add_item(to, DCM_ContributingEquipmentSequence);
  add_code(program, DCM_PurposeOfReferenceCodeSequence, processing_equipment);
  put(program, DCM_Manufacturer, "lungcdam");
  put(program, DCM_ManufacturerModelName, "lungcdam");
  put_utf8(program, DCM_SoftwareVersions, software_version, character_set(to));
  put(program, DCM_ContributionDescription, "Explained prediction (research use only)");
}

void put_image_reference(DcmItem &item, const ct_series &series, const size_t *slices,
                         size_t n_slices) {
  const ct_slice &slice = series.slices[slices[0]];
  put(item, DCM_ReferencedSOPClassUID, slice.sop_class_uid);
  put(item, DCM_ReferencedSOPInstanceUID, slice.sop_instance_uid);
  if (!is_multi_frame(series, slice)) return;
  std::string frames;
  for (size_t i = 0; i < n_slices; i++)
    frames += (i ? "\\" : "") + std::to_string(series.slices[slices[i]].frame + 1);
  put(item, DCM_ReferencedFrameNumber, frames);
}

void put_source_images(DcmItem &to, const ct_series &series, const size_t *slices, size_t n_slices,
                       bool spatial_locations_preserved) {
  for (const auto &group : group_by_instance(series, slices, n_slices)) {
    DcmItem &item = add_item(to, DCM_SourceImageSequence);
    put_image_reference(item, series, group.data(), group.size());
    put(item, DCM_SpatialLocationsPreserved, spatial_locations_preserved ? "YES" : "NO");
    add_code(item, DCM_PurposeOfReferenceCodeSequence, source_image);
  }
}

void put_source_references(DcmItem &to, const ct_series &series, const size_t *slices,
                           size_t n_slices) {
  DcmItem &source_series = add_item(to, DCM_ReferencedSeriesSequence);
  put(source_series, DCM_SeriesInstanceUID, series.series_instance_uid);
  for (const auto &group : group_by_instance(series, slices, n_slices))
    put_image_reference(add_item(source_series, DCM_ReferencedImageSequence), series, group.data(),
                        group.size());
}

void put_source_series(DcmItem &to, const ct_series &series, const size_t *slices,
                       size_t n_slices) {
  DcmItem &source_series = add_item(to, DCM_ReferencedSeriesSequence);
  put(source_series, DCM_SeriesInstanceUID, series.series_instance_uid);
  for (const auto &group : group_by_instance(series, slices, n_slices)) {
    const ct_slice &slice = series.slices[group[0]];
    DcmItem &instance = add_item(source_series, DCM_ReferencedInstanceSequence);
    put(instance, DCM_ReferencedSOPClassUID, slice.sop_class_uid);
    put(instance, DCM_ReferencedSOPInstanceUID, slice.sop_instance_uid);
  }
}

void write_file(DcmFileFormat &file, const char *path) {
  check(file.validateMetaInfo(EXS_LittleEndianExplicit, EWM_createNewMeta),
        DCM_FileMetaInformationVersion);
  DcmMetaInfo &meta = *file.getMetaInfo();
  put(meta, DCM_ImplementationClassUID, implementation_class_uid);
  put(meta, DCM_ImplementationVersionName, implementation_version);
  check(meta.computeGroupLengthAndPadding(EGL_recalcGL, EPD_withoutPadding,
                                          META_HEADER_DEFAULT_TRANSFERSYNTAX, EET_ExplicitLength),
        DCM_FileMetaInformationGroupLength);
  Bytes bytes;
  BytesStream stream(bytes);
  DcmWriteCache cache;
  DcmDataset &dataset = *file.getDataset();
  file.transferInit();
  OFCondition condition =
      meta.write(stream, META_HEADER_DEFAULT_TRANSFERSYNTAX, EET_ExplicitLength, &cache);
  if (condition.good())
    condition = dataset.write(stream, EXS_LittleEndianExplicit, EET_ExplicitLength, &cache,
                              EGL_recalcGL, EPD_withoutPadding);
  file.transferEnd();
  if (condition.bad())
    throw OutFailure(LC_ERR_INTERNAL, std::string("cannot be encoded: ") + condition.text());
  lc_error err = {};
  check(lc_file_write(path, bytes.bytes.data(), bytes.bytes.size(), &err), err);
}

} // namespace ct_out
