// What ITK's headers need before they are included, and a volume as ITK sees it.
#pragma once

// ITK 5.2 asks for the compiler it was built with, which is GCC at Debian. clang passes for one
// while it reads the header that asks, and for itself in all others. Later releases do not ask.
#if defined(__clang__) && __has_include(<itk_compiler_detection.h>)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wbuiltin-macro-redefined"
#pragma push_macro("__clang__")
#pragma push_macro("__GNUC__")
#undef __clang__
#undef __GNUC__
#define __GNUC__ 10
#include <itk_compiler_detection.h>
#pragma pop_macro("__GNUC__")
#pragma pop_macro("__clang__")
#pragma clang diagnostic pop
#endif

#include "ct_io/ct/ct_volume.h"

#include <itkImage.h>
#include <itkImportImageContainer.h>

namespace ct {

using hu_image = itk::Image<int16_t, 3>;

// An image over the same memory, which stays the volume's.
inline hu_image::Pointer itk_image(const ct_volume &volume) {
  hu_image::SizeType size;
  hu_image::SpacingType spacing;
  hu_image::PointType origin;
  hu_image::DirectionType direction;
  for (unsigned c = 0; c < 3; c++) {
    size[c] = volume.size[c];
    spacing[c] = volume.spacing_mm[c];
    origin[c] = volume.origin_mm[c];
    for (unsigned d = 0; d < 3; d++) direction[c][d] = volume.direction[3 * c + d];
  }
  auto image = hu_image::New();
  image->SetRegions(size);
  image->SetSpacing(spacing);
  image->SetOrigin(origin);
  image->SetDirection(direction);
  auto pixels = hu_image::PixelContainer::New();
  pixels->SetImportPointer(volume.hu, size[0] * size[1] * size[2], false);
  image->SetPixelContainer(pixels);
  return image;
}

} // namespace ct
