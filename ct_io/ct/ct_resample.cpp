// Fills a cube from a volume by ITK's linear interpolation in patient coordinates, the planes of
// the cube in parallel.
#include "ct_io/ct/ct_resample.h"
#include "ct_io/ct/ct_itk.hpp"

#include <itkLinearInterpolateImageFunction.h>
#include <itkMultiThreaderBase.h>

#include <exception>
#include <vector>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"

namespace {

using image_type = ct::hu_image;
using interpolator = itk::LinearInterpolateImageFunction<image_type, double>;

struct plane_job {
  const image_type *image;
  const interpolator *interpolate;
  ct_cube *cube;
  std::vector<size_t> *padded; // one count a plane
};

void resample_plane(void *context, size_t z, int) {
  auto &job = *static_cast<plane_job *>(context);
  ct_cube &cube = *job.cube;
  size_t edge = cube.edge, padded = 0;
  double middle = (static_cast<double>(edge) - 1) / 2;
  itk::Point<double, 3> point;
  itk::ContinuousIndex<double, 3> index;
  point[2] = cube.centre_mm[2] + (static_cast<double>(z) - middle) * cube.spacing_mm;
  for (size_t y = 0; y < edge; y++) {
    point[1] = cube.centre_mm[1] + (static_cast<double>(y) - middle) * cube.spacing_mm;
    for (size_t x = 0; x < edge; x++) {
      point[0] = cube.centre_mm[0] + (static_cast<double>(x) - middle) * cube.spacing_mm;
      float value = CT_AIR_HU;
      if (job.image->TransformPhysicalPointToContinuousIndex(point, index) &&
          job.interpolate->IsInsideBuffer(index))
        value = static_cast<float>(job.interpolate->EvaluateAtContinuousIndex(index));
      else
        padded++;
      cube.hu[(z * edge + y) * edge + x] = value;
    }
  }
  (*job.padded)[z] = padded;
}

} // namespace

lc_status ct_resample_linear(struct ct_cube *cube, const struct ct_volume *volume,
                             struct lc_error *err) {
  try {
    auto image = ct::itk_image(*volume);
    auto interpolate = interpolator::New();
    interpolate->SetInputImage(image);
    std::vector<size_t> padded(cube->edge, 0);
    plane_job job{image, interpolate, cube, &padded};
    lc_parallel_for(cube->edge, resample_plane, &job);
    cube->n_padded = 0;
    for (size_t count : padded) cube->n_padded += count;
    return LC_OK;
  } catch (const std::exception &e) {
    LC_FAIL(err, LC_ERR_INTERNAL, "resampling: %s", e.what());
  } catch (...) {
    LC_FAIL(err, LC_ERR_INTERNAL, "resampling: unknown exception");
  }
}
