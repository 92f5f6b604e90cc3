// Writes one slice of a volume as a CT Image Storage object: 16-bit pixels with a rescale intercept
// of -1024.
#include "ct_io/dicom_write/ct_write.h"

#include <cmath>

#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_write/ct_dicom_out.hpp"

namespace {

using ct_out::decimal_string;
using ct_out::decimal_strings;
using ct_out::put;
using ct_out::put_us;
using ct_out::put_utf8;

constexpr int intercept = -1024;

void put_patient_and_study(DcmItem &to, const ct_write_header &header) {
  put(to, DCM_SpecificCharacterSet, "ISO_IR 192");
  put_utf8(to, DCM_PatientName, header.patient_name);
  put_utf8(to, DCM_PatientID, header.patient_id);
  put(to, DCM_PatientBirthDate, "");
  put(to, DCM_PatientSex, header.patient_sex);
  put(to, DCM_PatientAge, header.patient_age);
  put(to, DCM_StudyInstanceUID, header.study_instance_uid);
  put(to, DCM_StudyDate, header.study_date);
  put(to, DCM_StudyTime, header.study_time);
  put(to, DCM_ReferringPhysicianName, "");
  put_utf8(to, DCM_StudyID, header.study_id);
  put(to, DCM_AccessionNumber, "");
  if (header.study_description[0]) put_utf8(to, DCM_StudyDescription, header.study_description);
}

void put_series_and_equipment(DcmItem &to, const ct_write_header &header) {
  put(to, DCM_Modality, "CT");
  put(to, DCM_SeriesInstanceUID, header.series_instance_uid);
  put(to, DCM_SeriesNumber, std::to_string(header.series_number));
  put(to, DCM_SeriesDate, header.study_date);
  put(to, DCM_SeriesTime, header.study_time);
  if (header.series_description[0]) put_utf8(to, DCM_SeriesDescription, header.series_description);
  put(to, DCM_BodyPartExamined, "CHEST");
  put(to, DCM_PatientPosition, "HFS");
  put(to, DCM_FrameOfReferenceUID, header.frame_of_reference_uid);
  put(to, DCM_PositionReferenceIndicator, "");
  put_utf8(to, DCM_Manufacturer, header.manufacturer);
  if (header.model_name[0]) put_utf8(to, DCM_ManufacturerModelName, header.model_name);
  if (header.software_version[0]) put_utf8(to, DCM_SoftwareVersions, header.software_version);
}

void put_acquisition(DcmItem &to, const ct_write_header &header) {
  put(to, DCM_AcquisitionNumber, "1");
  put(to, DCM_AcquisitionDate, header.study_date);
  put(to, DCM_AcquisitionTime, header.study_time);
  put(to, DCM_ContentDate, header.study_date);
  put(to, DCM_ContentTime, header.study_time);
  put(to, DCM_KVP, header.kvp > 0 ? decimal_string(header.kvp) : "");
  if (header.tube_current_ma > 0)
    put(to, DCM_XRayTubeCurrent, std::to_string(std::lround(header.tube_current_ma)));
  if (header.exposure_mas > 0)
    put(to, DCM_Exposure, std::to_string(std::lround(header.exposure_mas)));
  if (header.reconstruction_diameter_mm > 0)
    put(to, DCM_ReconstructionDiameter, decimal_string(header.reconstruction_diameter_mm));
  if (header.convolution_kernel[0]) put_utf8(to, DCM_ConvolutionKernel, header.convolution_kernel);
}

void put_plane(DcmItem &to, const ct_write_header &header, const ct_volume &volume, size_t k) {
  const double *d = volume.direction;
  double along = static_cast<double>(k) * volume.spacing_mm[2];
  double position[3];
  for (int axis = 0; axis < 3; axis++)
    position[axis] = volume.origin_mm[axis] + along * d[3 * axis + 2];
  put(to, DCM_ImagePositionPatient, decimal_strings({position[0], position[1], position[2]}));
  put(to, DCM_ImageOrientationPatient, decimal_strings({d[0], d[3], d[6], d[1], d[4], d[7]}));
  put(to, DCM_SliceLocation, decimal_string(position[2]));
  put(to, DCM_PixelSpacing, decimal_strings({volume.spacing_mm[1], volume.spacing_mm[0]}));
  put(to, DCM_SliceThickness,
      header.slice_thickness_mm > 0 ? decimal_string(header.slice_thickness_mm) : "");
}

void put_pixels(DcmItem &to, const ct_volume &volume, size_t k) {
  size_t count = volume.size[0] * volume.size[1];
  const int16_t *hu = volume.hu + k * count;
  std::vector<Uint16> stored(count);
  for (size_t i = 0; i < count; i++) {
    int value = hu[i] - intercept;
    if (value > INT16_MAX)
      throw ct_out::OutFailure(LC_ERR_NUMERIC, "slice " + std::to_string(k) + " holds " +
                                                   std::to_string(hu[i]) + " HU, at most " +
                                                   std::to_string(INT16_MAX + intercept));
    stored[i] = static_cast<Uint16>(static_cast<int16_t>(value));
  }
  put_us(to, DCM_SamplesPerPixel, 1);
  put(to, DCM_PhotometricInterpretation, "MONOCHROME2");
  put_us(to, DCM_Rows, volume.size[1]);
  put_us(to, DCM_Columns, volume.size[0]);
  put_us(to, DCM_BitsAllocated, 16);
  put_us(to, DCM_BitsStored, 16);
  put_us(to, DCM_HighBit, 15);
  put_us(to, DCM_PixelRepresentation, 1);
  put(to, DCM_RescaleIntercept, std::to_string(intercept));
  put(to, DCM_RescaleSlope, "1");
  put(to, DCM_RescaleType, "HU");
  put(to, DCM_WindowCenter, "-600\\40");
  put(to, DCM_WindowWidth, "1500\\400");
  put(to, DCM_WindowCenterWidthExplanation, "LUNG\\MEDIASTINUM");
  ct_out::check(to.putAndInsertUint16Array(DCM_PixelData, stored.data(), count), DCM_PixelData);
}

void require_uids(const ct_write_header &header, const char *sop_instance_uid) {
  const struct {
    const char *name, *uid;
  } uids[] = {{"StudyInstanceUID", header.study_instance_uid},
              {"SeriesInstanceUID", header.series_instance_uid},
              {"FrameOfReferenceUID", header.frame_of_reference_uid},
              {"SOPInstanceUID", sop_instance_uid}};
  for (const auto &entry : uids)
    if (!ct_uid_valid(entry.uid))
      throw ct_out::OutFailure(LC_ERR_USAGE, std::string(entry.name) + " \"" + entry.uid +
                                                 "\" is not a valid UID");
}

} // namespace

lc_status ct_write_slice(const struct ct_write_header *header, const struct ct_volume *volume,
                         size_t k, const char *sop_instance_uid, const char *path,
                         struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    if (k >= volume->size[2])
      throw ct_out::OutFailure(LC_ERR_USAGE, "slice " + std::to_string(k) + " of a volume with " +
                                                 std::to_string(volume->size[2]));
    require_uids(*header, sop_instance_uid);
    DcmFileFormat file;
    DcmItem &to = *file.getDataset();
    put_patient_and_study(to, *header);
    put_series_and_equipment(to, *header);
    put(to, DCM_SOPClassUID, UID_CTImageStorage);
    put(to, DCM_SOPInstanceUID, sop_instance_uid);
    put(to, DCM_InstanceNumber, std::to_string(k + 1));
    put(to, DCM_ImageType, "ORIGINAL\\PRIMARY\\AXIAL");
    put(to, DCM_BurnedInAnnotation, "NO");
    if (header->image_comments[0]) put_utf8(to, DCM_ImageComments, header->image_comments);
    put_acquisition(to, *header);
    put_plane(to, *header, *volume, k);
    put_pixels(to, *volume, k);
    ct_out::write_file(file, path);
  });
}
