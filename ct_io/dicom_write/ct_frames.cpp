// Writes colour pictures as one multi-frame True Color Secondary Capture object; frames with a
// place in the patient get their plane in functional groups.
#include "ct_io/dicom_write/ct_frames.h"

#include <algorithm>
#include <cstring>

#include "ct_io/dicom_write/ct_derived_out.hpp"

namespace {

using ct_out::add_item;
using ct_out::OutFailure;
using ct_out::put;

void require(const ct_frames &frames) {
  if (frames.n_frames == 0 || frames.rows == 0 || frames.columns == 0)
    throw OutFailure(LC_ERR_USAGE, "a multi-frame capture needs at least one picture");
  for (size_t i = 0; i < frames.n_frames; i++) {
    const ct_frame_picture &frame = frames.frames[i];
    std::string name = "frame " + std::to_string(i + 1);
    if (!frame.rgb) throw OutFailure(LC_ERR_USAGE, name + " has no picture");
    if (!frame.label || !*frame.label || strlen(frame.label) >= CT_FRAME_LABEL_SIZE)
      throw OutFailure(LC_ERR_USAGE, name + " needs a label of 1 to 16 characters");
    if (!frame.plane != !frames.frames[0].plane)
      throw OutFailure(LC_ERR_USAGE, name + ": either all frames have a plane or none");
    if (frame.plane && (frame.plane->rows != frames.rows || frame.plane->columns != frames.columns))
      throw OutFailure(LC_ERR_USAGE, name + " has a plane of " + std::to_string(frame.plane->rows) +
                                         " x " + std::to_string(frame.plane->columns) +
                                         ", expected " + std::to_string(frames.rows) + " x " +
                                         std::to_string(frames.columns));
  }
}

void put_image(DcmItem &to, const ct_frames &frames) {
  put(to, DCM_ConversionType, "WSD");
  put(to, DCM_ImageType, "DERIVED\\SECONDARY");
  put(to, DCM_PatientOrientation, "");
  put(to, DCM_BurnedInAnnotation, frames.text_in_pixels ? "YES" : "NO");
  put(to, DCM_RecognizableVisualFeatures, "NO");
  ct_out::put_comments(to, frames.about);
  ct_out::put_derivation(to, frames.about, ct_out::character_set(to));
  ct_out::put_source_images(to, *frames.about.source, frames.about.source_slices,
                            frames.about.n_source_slices, frames.frames[0].plane != nullptr);
}

/* PS3.3 C.8.6.3 and C.8.6.4: what distinguishes one frame from the next is its label. */
void put_vector(DcmItem &to, const ct_frames &frames) {
  put(to, DCM_NumberOfFrames, std::to_string(frames.n_frames));
  if (frames.n_frames < 2) return;
  ct_out::check(to.putAndInsertTagKey(DCM_FrameIncrementPointer, DCM_FrameLabelVector),
                DCM_FrameIncrementPointer);
  std::string labels;
  for (size_t i = 0; i < frames.n_frames; i++) {
    std::string label = frames.frames[i].label;
    std::replace(label.begin(), label.end(), '\\', '/');
    labels += (i ? "\\" : "") + label;
  }
  put(to, DCM_FrameLabelVector, labels);
}

/* The standard gives this object functional groups for its geometry only, so that the sources are
 * named once for all frames. */
void put_groups(DcmItem &to, const ct_frames &frames) {
  if (!frames.frames[0].plane) return;
  add_item(to, DCM_SharedFunctionalGroupsSequence);
  for (size_t i = 0; i < frames.n_frames; i++) {
    DcmItem &groups = add_item(to, DCM_PerFrameFunctionalGroupsSequence);
    ct_out::put_pixel_measures(groups, *frames.frames[i].plane);
    ct_out::put_plane_position(groups, *frames.frames[i].plane);
    ct_out::put_plane_orientation(groups, *frames.frames[i].plane);
  }
}

void put_pixels(DcmItem &to, const ct_frames &frames) {
  ct_out::put_rgb_format(to, frames.rows, frames.columns);
  size_t bytes = frames.rows * frames.columns * 3;
  std::vector<uint8_t> all;
  all.reserve(bytes * frames.n_frames);
  for (size_t i = 0; i < frames.n_frames; i++)
    all.insert(all.end(), frames.frames[i].rgb, frames.frames[i].rgb + bytes);
  ct_out::put_bytes(to, DCM_PixelData, all.data(), all.size());
}

} // namespace

const struct ct_object_class ct_frames_object = {
    UID_MultiframeTrueColorSecondaryCaptureImageStorage, "OT"};

lc_status ct_frames_write(const struct ct_frames *frames, const char *path, struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    require(*frames);
    auto object = ct_out::begin_image(frames->about, ct_frames_object);
    DcmItem &to = object->to(), &from = object->from();
    ct_out::put_content_time(to, from);
    put_image(to, *frames);
    ct_out::copy_lossy_history(to, from, *frames->about.source);
    put_vector(to, *frames);
    put_groups(to, *frames);
    put_pixels(to, *frames);
    ct_out::write_file(object->file, path);
  });
}
