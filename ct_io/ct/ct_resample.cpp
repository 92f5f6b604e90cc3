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

struct sampler {
  const image_type *image;
  const interpolator *interpolate;
  const ct_cube *where;

  // HU of a sample of the cube; false, and air, outside the volume.
  bool at(size_t sample, float &hu) const {
    const size_t edge = where->edge;
    const size_t xyz[3] = {sample % edge, sample / edge % edge, sample / (edge * edge)};
    const double middle = (static_cast<double>(edge) - 1) / 2;
    itk::Point<double, 3> point;
    itk::ContinuousIndex<double, 3> index;
    for (unsigned c = 0; c < 3; c++)
      point[c] = where->centre_mm[c] + (static_cast<double>(xyz[c]) - middle) * where->spacing_mm;
    const bool inside = image->TransformPhysicalPointToContinuousIndex(point, index) &&
                        interpolate->IsInsideBuffer(index);
    hu = inside ? static_cast<float>(interpolate->EvaluateAtContinuousIndex(index)) : CT_AIR_HU;
    return inside;
  }
};

struct plane_job {
  const sampler *from;
  ct_cube *cube;
  std::vector<size_t> *padded; // one count a plane
};

void resample_plane(void *context, size_t z, int) {
  auto &job = *static_cast<plane_job *>(context);
  const size_t count = job.cube->edge * job.cube->edge;
  size_t padded = 0;
  for (size_t i = z * count; i < (z + 1) * count; i++)
    if (!job.from->at(i, job.cube->hu[i])) padded++;
  (*job.padded)[z] = padded;
}

struct row_job {
  const sampler *from;
  ct_view view;
  size_t index;
  float *hu;
};

void resample_row(void *context, size_t row, int) {
  auto &job = *static_cast<row_job *>(context);
  const size_t edge = job.from->where->edge;
  for (size_t column = 0; column < edge; column++)
    job.from->at(ct_cube_sample(edge, job.view, job.index, row, column),
                 job.hu[row * edge + column]);
}

// Calls work with a sampler of the volume, and turns what ITK throws into an error.
template <class Work>
lc_status sampled(const ct_volume &volume, const ct_cube &where, Work work, lc_error *err) {
  try {
    auto image = ct::itk_image(volume);
    auto interpolate = interpolator::New();
    interpolate->SetInputImage(image);
    const sampler from{image, interpolate, &where};
    work(from);
    return LC_OK;
  } catch (const std::exception &e) {
    LC_FAIL(err, LC_ERR_INTERNAL, "resampling: %s", e.what());
  } catch (...) {
    LC_FAIL(err, LC_ERR_INTERNAL, "resampling: unknown exception");
  }
}

} // namespace

lc_status ct_resample_linear(struct ct_cube *cube, const struct ct_volume *volume,
                             struct lc_error *err) {
  auto work = [cube](const sampler &from) {
    std::vector<size_t> padded(cube->edge, 0);
    plane_job job{&from, cube, &padded};
    lc_parallel_for(cube->edge, resample_plane, &job);
    cube->n_padded = 0;
    for (size_t count : padded) cube->n_padded += count;
  };
  return sampled(*volume, *cube, work, err);
}

lc_status ct_resample_slice(const struct ct_cube *where, const struct ct_volume *volume,
                            ct_view view, size_t index, float *hu, struct lc_error *err) {
  auto work = [=](const sampler &from) {
    row_job job{&from, view, index, hu};
    lc_parallel_for(where->edge, resample_row, &job);
  };
  return sampled(*volume, *where, work, err);
}
