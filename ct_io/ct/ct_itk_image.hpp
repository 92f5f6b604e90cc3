// A volume as ITK sees it.
#pragma once

#include "ct_io/ct/ct_itk.hpp"
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
