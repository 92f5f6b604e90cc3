// Writes one RGB picture as a single-frame Secondary Capture object.
#include "ct_io/dicom_write/ct_capture.h"

#include "ct_io/dicom_write/ct_derived_out.hpp"

namespace {

using ct_out::OutFailure;
using ct_out::put;

void put_image(DcmItem &to, const ct_derived &about) {
  put(to, DCM_ConversionType, "WSD");
  put(to, DCM_ImageType, "DERIVED\\SECONDARY");
  put(to, DCM_PatientOrientation, "");
  put(to, DCM_BurnedInAnnotation, "YES");
  put(to, DCM_RecognizableVisualFeatures, "NO");
  ct_out::put_comments(to, about);
  ct_out::put_derivation(to, about, ct_out::character_set(to));
  ct_out::put_source_images(to, *about.source, about.source_slices, about.n_source_slices, false);
}

void put_pixels(DcmItem &to, const ct_capture &capture) {
  ct_out::put_rgb_format(to, capture.rows, capture.columns);
  ct_out::put_bytes(to, DCM_PixelData, capture.rgb, capture.rows * capture.columns * 3);
}

} // namespace

const struct ct_object_class ct_capture_object = {UID_SecondaryCaptureImageStorage, "OT"};

lc_status ct_capture_write(const struct ct_capture *capture, const char *path,
                           struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    if (!capture->rgb || capture->rows == 0 || capture->columns == 0)
      throw OutFailure(LC_ERR_USAGE, "a secondary capture needs a picture");
    auto object = ct_out::begin_image(capture->about, ct_capture_object);
    DcmItem &to = object->to(), &from = object->from();
    put_image(to, capture->about);
    ct_out::copy_lossy_history(to, from, *capture->about.source);
    put_pixels(to, *capture);
    ct_out::write_file(object->file, path);
  });
}
