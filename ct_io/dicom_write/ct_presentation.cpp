// Writes outlines and texts as a Grayscale Softcopy Presentation State; those of one layer on one
// slice are one annotation.
#include "ct_io/dicom_write/ct_presentation.h"

#include <algorithm>
#include <cstring>

#include "ct_io/dicom_write/ct_derived_out.hpp"

namespace {

using ct_out::add_item;
using ct_out::OutFailure;
using ct_out::put;
using ct_out::put_us;

/* Colours of the layers in turn, CIELab as PS3.3 C.10.7.1.1 scales it: yellow green, orange, blue,
 * and a light magenta, apart for every common colour blindness. */
const Uint16 layer_colours[][3] = {
    {61493, 22661, 52322}, {41786, 45056, 51328}, {34484, 39116, 13794}, {45000, 50000, 26000}};

bool layer_valid(const char *layer) {
  return *layer && memchr(layer, 0, CT_LAYER_SIZE) &&
         std::all_of(layer, layer + strlen(layer), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ' ';
         });
}

void require_slice(const ct_derived &about, size_t slice, const std::string &name) {
  const size_t *end = about.source_slices + about.n_source_slices;
  if (std::find(about.source_slices, end, slice) == end)
    throw OutFailure(LC_ERR_USAGE, name + " lies on slice " + std::to_string(slice) +
                                       ", which the object does not name");
}

void require(const ct_presentation &presentation) {
  if (presentation.n_outlines + presentation.n_texts == 0)
    throw OutFailure(LC_ERR_USAGE, "a presentation state draws at least one outline or text");
  for (size_t i = 0; i < presentation.n_outlines; i++) {
    const ct_drawn_outline &outline = presentation.outlines[i];
    std::string name = "outline " + std::to_string(i + 1);
    if (!layer_valid(outline.layer))
      throw OutFailure(LC_ERR_USAGE, name + ": a layer is 1 to 16 of A-Z, 0-9, _ and space");
    if (outline.n_points < 2 || outline.n_points > UINT16_MAX)
      throw OutFailure(LC_ERR_USAGE, name + " has " + std::to_string(outline.n_points) +
                                         " points, expected 2 to 65535");
    require_slice(presentation.about, outline.slice, name);
  }
  for (size_t i = 0; i < presentation.n_texts; i++) {
    std::string name = "text " + std::to_string(i + 1);
    if (!layer_valid(presentation.texts[i].layer))
      throw OutFailure(LC_ERR_USAGE, name + ": a layer is 1 to 16 of A-Z, 0-9, _ and space");
    require_slice(presentation.about, presentation.texts[i].slice, name);
  }
}

/* The state holds one Modality LUT for all its images. */
void put_modality_lut(DcmItem &to, const ct_derived &about) {
  const ct_slice &first = about.source->slices[about.source_slices[0]];
  for (size_t i = 1; i < about.n_source_slices; i++) {
    const ct_slice &slice = about.source->slices[about.source_slices[i]];
    if (slice.slope != first.slope || slice.intercept != first.intercept)
      throw OutFailure(LC_ERR_UNSUPPORTED,
                       "slices with different rescaling: one presentation state "
                       "holds one rescaling");
  }
  put(to, DCM_RescaleIntercept, ct_out::decimal_string(first.intercept));
  put(to, DCM_RescaleSlope, ct_out::decimal_string(first.slope));
  put(to, DCM_RescaleType, "HU");
}

void put_identification(DcmItem &to, DcmItem &from, const ct_presentation &presentation) {
  put(to, DCM_PresentationCreationDate, ct_out::first_date(from));
  put(to, DCM_PresentationCreationTime, ct_out::first_time(from));
  ct_out::put_content_identification(to, presentation.about);
  ct_out::put_body_part(to, from);
}

void put_pair(DcmItem &item, const DcmTagKey &tag, Sint32 column, Sint32 row) {
  const Sint32 pair[2] = {column, row};
  auto element = std::make_unique<DcmSignedLong>(tag);
  ct_out::check(element->putSint32Array(pair, 2), tag);
  ct_out::check(item.insert(element.get()), tag);
  (void)element.release(); /* the item's from here on */
}

void put_display(DcmItem &to, const ct_presentation &presentation) {
  const ct_series &source = *presentation.about.source;
  double low = presentation.window_low_hu, high = presentation.window_high_hu;
  if (low == 0 && high == 0) {
    low = -1350;
    high = 150;
  }
  DcmItem &window = add_item(to, DCM_SoftcopyVOILUTSequence);
  put(window, DCM_WindowCenter, ct_out::decimal_string((low + high) / 2));
  put(window, DCM_WindowWidth, ct_out::decimal_string(high - low));
  put(to, DCM_PresentationLUTShape, "IDENTITY");
  DcmItem &area = add_item(to, DCM_DisplayedAreaSelectionSequence);
  put_pair(area, DCM_DisplayedAreaTopLeftHandCorner, 1, 1);
  put_pair(area, DCM_DisplayedAreaBottomRightHandCorner, source.columns, source.rows);
  put(area, DCM_PresentationSizeMode, "SCALE TO FIT");
  put(area, DCM_PresentationPixelSpacing,
      ct_out::decimal_strings({source.pixel_spacing_mm[0], source.pixel_spacing_mm[1]}));
}

void put_layers(DcmItem &to, const std::vector<std::string> &layers) {
  for (size_t i = 0; i < layers.size(); i++) {
    DcmItem &item = add_item(to, DCM_GraphicLayerSequence);
    put(item, DCM_GraphicLayer, layers[i]);
    put(item, DCM_GraphicLayerOrder, std::to_string(i + 1));
    const auto &lab = layer_colours[i % (sizeof layer_colours / sizeof *layer_colours)];
    ct_out::check(
        item.putAndInsertUint16Array(DCM_GraphicLayerRecommendedDisplayCIELabValue, lab, 3),
        DCM_GraphicLayerRecommendedDisplayCIELabValue);
  }
}

/* PIXEL units start at the corner of the first pixel (PS3.3 C.10.5.1.2), indices at its centre. */
void put_outline(DcmItem &annotation, const ct_drawn_outline &outline) {
  DcmItem &item = add_item(annotation, DCM_GraphicObjectSequence);
  std::vector<Float32> points;
  points.reserve(2 * outline.n_points);
  for (size_t i = 0; i < outline.n_points; i++)
    for (int axis = 0; axis < 2; axis++) points.push_back(outline.xy[i][axis] + 0.5F);
  put(item, DCM_GraphicAnnotationUnits, "PIXEL");
  put_us(item, DCM_GraphicDimensions, 2);
  put_us(item, DCM_NumberOfGraphicPoints, outline.n_points);
  ct_out::check(item.putAndInsertFloat32Array(DCM_GraphicData, points.data(),
                                              static_cast<unsigned long>(points.size())),
                DCM_GraphicData);
  put(item, DCM_GraphicType, "POLYLINE");
  const float *first = outline.xy[0], *last = outline.xy[outline.n_points - 1];
  if (first[0] == last[0] && first[1] == last[1]) put(item, DCM_GraphicFilled, "N");
}

void put_text(DcmItem &annotation, const ct_drawn_text &text, const std::string &set) {
  DcmItem &item = add_item(annotation, DCM_TextObjectSequence);
  const Float32 point[2] = {text.xy[0] + 0.5F, text.xy[1] + 0.5F};
  put(item, DCM_AnchorPointAnnotationUnits, "PIXEL");
  ct_out::put_utf8(item, DCM_UnformattedTextValue, text.text, set);
  ct_out::check(item.putAndInsertFloat32Array(DCM_AnchorPoint, point, 2), DCM_AnchorPoint);
  put(item, DCM_AnchorPointVisibility, "N");
}

/* Outlines and texts of one layer on one slice are one annotation. */
void put_annotations(DcmItem &to, const ct_presentation &presentation,
                     const std::vector<std::string> &layers) {
  const ct_derived &about = presentation.about;
  std::string set = ct_out::character_set(to);
  for (size_t i = 0; i < about.n_source_slices; i++) {
    size_t slice = about.source_slices[i];
    for (const std::string &layer : layers) {
      DcmItem *annotation = nullptr;
      auto here = [&]() -> DcmItem & {
        if (!annotation) {
          annotation = &add_item(to, DCM_GraphicAnnotationSequence);
          ct_out::put_image_reference(add_item(*annotation, DCM_ReferencedImageSequence),
                                      *about.source, &slice, 1);
          put(*annotation, DCM_GraphicLayer, layer);
        }
        return *annotation;
      };
      for (size_t k = 0; k < presentation.n_texts; k++)
        if (presentation.texts[k].slice == slice && layer == presentation.texts[k].layer)
          put_text(here(), presentation.texts[k], set);
      for (size_t k = 0; k < presentation.n_outlines; k++)
        if (presentation.outlines[k].slice == slice && layer == presentation.outlines[k].layer)
          put_outline(here(), presentation.outlines[k]);
    }
  }
}

std::vector<std::string> collect_layers(const ct_presentation &presentation) {
  std::vector<std::string> layers;
  auto add = [&](const char *layer) {
    if (std::find(layers.begin(), layers.end(), layer) == layers.end()) layers.emplace_back(layer);
  };
  for (size_t i = 0; i < presentation.n_outlines; i++) add(presentation.outlines[i].layer);
  for (size_t i = 0; i < presentation.n_texts; i++) add(presentation.texts[i].layer);
  return layers;
}

} // namespace

const struct ct_object_class ct_presentation_object = {
    UID_GrayscaleSoftcopyPresentationStateStorage, "PR"};

lc_status ct_presentation_write(const struct ct_presentation *presentation, const char *path,
                                struct lc_error *err) {
  return ct_out::border(path, err, [&] {
    const ct_derived &about = presentation->about;
    auto object = ct_out::begin_object(about, ct_presentation_object);
    require(*presentation);
    DcmItem &to = object->to();
    put_identification(to, object->from(), *presentation);
    ct_out::put_source_references(to, *about.source, about.source_slices, about.n_source_slices);
    put_modality_lut(to, about);
    put_display(to, *presentation);
    std::vector<std::string> layers = collect_layers(*presentation);
    put_layers(to, layers);
    put_annotations(to, *presentation, layers);
    ct_out::write_file(object->file, path);
  });
}
