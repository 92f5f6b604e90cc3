#include "ct_capture.h"

#include <strings.h>

#include <cstring>

#include "ct_dicom_out.hpp"
#include "ct_uid.h"

namespace {

using ct_out::OutFailure;
using ct_out::put;
using ct_out::put_us;
using ct_out::put_utf8;

const char research_use[] = "research use only";

bool says_research_use(const char *text) {
  return text && strcasestr(text, research_use) != nullptr;
}

void require(const ct_capture &capture, const ct_series &source) {
  if (!capture.rgb || capture.rows == 0 || capture.columns == 0)
    throw OutFailure(LC_ERR_USAGE, "a secondary capture needs a picture");
  if (!ct_uid_valid(capture.series_instance_uid) || !ct_uid_valid(capture.sop_instance_uid))
    throw OutFailure(LC_ERR_USAGE, "a secondary capture needs valid series and SOP instance UIDs");
  if (strcmp(capture.series_instance_uid, source.series_instance_uid) == 0)
    throw OutFailure(LC_ERR_USAGE, "a secondary capture cannot join its source series");
  if (!says_research_use(capture.series_description))
    throw OutFailure(LC_ERR_USAGE, "SeriesDescription must say \"research use only\"");
  if (capture.n_source_slices == 0 || capture.source_slices[0] >= source.n_slices)
    throw OutFailure(LC_ERR_USAGE, "a secondary capture names at least one slice of its source");
}

void put_series(DcmItem &to, DcmItem &from, const ct_capture &capture) {
  put(to, DCM_Modality, "OT");
  put(to, DCM_SeriesInstanceUID, capture.series_instance_uid);
  put(to, DCM_SeriesNumber, std::to_string(capture.series_number));
  put_utf8(to, DCM_SeriesDescription, capture.series_description);
  ct_out::copy_if_present(to, from, DCM_BodyPartExamined);
  put(to, DCM_ConversionType, "WSD");
}

void put_image(DcmItem &to, const ct_capture &capture) {
  put(to, DCM_SOPClassUID, UID_SecondaryCaptureImageStorage);
  put(to, DCM_SOPInstanceUID, capture.sop_instance_uid);
  put(to, DCM_InstanceNumber, std::to_string(capture.instance_number));
  put(to, DCM_ImageType, "DERIVED\\SECONDARY");
  put(to, DCM_PatientOrientation, "");
  put(to, DCM_BurnedInAnnotation, "YES");
  put(to, DCM_RecognizableVisualFeatures, "NO");
  std::string comments = capture.image_comments ? capture.image_comments : "";
  if (!says_research_use(comments.c_str())) comments = "Research use only. " + comments;
  put_utf8(to, DCM_ImageComments, comments.c_str());
}

void put_derivation(DcmItem &to, const ct_capture &capture) {
  put_utf8(to, DCM_DerivationDescription, capture.derivation_description);
  ct_out::add_code(to, DCM_DerivationCodeSequence, ct_out::spatial_resampling);
  if (capture.is_class_activation)
    ct_out::add_code(to, DCM_DerivationCodeSequence, ct_out::class_activation);
}

void put_pixels(DcmItem &to, const ct_capture &capture) {
  put_us(to, DCM_SamplesPerPixel, 3);
  put(to, DCM_PhotometricInterpretation, "RGB");
  put_us(to, DCM_PlanarConfiguration, 0);
  put_us(to, DCM_Rows, static_cast<unsigned>(capture.rows));
  put_us(to, DCM_Columns, static_cast<unsigned>(capture.columns));
  put_us(to, DCM_BitsAllocated, 8);
  put_us(to, DCM_BitsStored, 8);
  put_us(to, DCM_HighBit, 7);
  put_us(to, DCM_PixelRepresentation, 0);
  ct_out::put_bytes(to, DCM_PixelData, capture.rgb, capture.rows * capture.columns * 3);
}

} // namespace

lc_status ct_capture_write(const struct ct_capture *capture, const struct ct_series *source,
                           const char *path, struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    require(*capture, *source);
    auto header = ct_out::load_header(source->slices[capture->source_slices[0]]);
    DcmItem &from = *header->getDataset();
    DcmFileFormat file;
    DcmItem &to = *file.getDataset();
    ct_out::copy_patient_and_study(to, from, *source);
    ct_out::copy_frame_of_reference(to, from, *source);
    ct_out::copy_times(to, from);
    put_series(to, from, *capture);
    ct_out::put_equipment(to, from, capture->software_version);
    put_image(to, *capture);
    put_derivation(to, *capture);
    ct_out::copy_lossy_history(to, from, *source);
    ct_out::put_sources(to, *source, capture->source_slices, capture->n_source_slices, false);
    put_pixels(to, *capture);
    ct_out::write_file(file, path);
  });
}
