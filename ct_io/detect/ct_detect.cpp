// Lungs by threshold and closing, blobs by the eigenvalues of the Hessian at several scales.
#include "ct_io/detect/ct_detect.h"
#include "ct_io/ct/ct_itk.hpp"

#include <itkConnectedComponentImageFilter.h>
#include <itkHessianRecursiveGaussianImageFilter.h>
#include <itkImageRegionConstIteratorWithIndex.h>
#include <itkImageRegionIterator.h>
#include <itkLinearInterpolateImageFunction.h>
#include <itkRelabelComponentImageFilter.h>
#include <itkSignedMaurerDistanceMapImageFilter.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <set>
#include <type_traits>
#include <vector>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"

namespace {

using ct::hu_image;
using real_image = itk::Image<float, 3>;
using mask_image = itk::Image<uint8_t, 3>;
using label_image = itk::Image<uint32_t, 3>;
using region_type = mask_image::RegionType;

constexpr double lung_grid_mm = 2, blob_grid_mm = 1.25;
constexpr double least_lung_ml = 300, least_share = 0.2;
constexpr float lung_air_hu = -500, lung_hu = -850, air_hu = CT_AIR_HU;
constexpr float most_hu = 200; // bone and contrast count as soft tissue
constexpr double least_score = 10;

template <class Filter> typename Filter::OutputImageType::Pointer done(Filter *filter) {
  filter->SetNumberOfWorkUnits(static_cast<itk::ThreadIdType>(lc_threads()));
  filter->Update();
  typename Filter::OutputImageType::Pointer image = filter->GetOutput();
  image->DisconnectPipeline();
  return image;
}

// A box of the patient's axes.
struct box {
  double low[3], high[3];
};

box box_of(const ct_volume &volume) {
  box around;
  for (int a = 0; a < 3; a++) {
    around.low[a] = around.high[a] = volume.origin_mm[a];
    for (int c = 0; c < 3; c++) {
      double along = volume.direction[3 * a + c] * volume.spacing_mm[c] *
                     static_cast<double>(volume.size[c] - 1);
      (along < 0 ? around.low : around.high)[a] += along;
    }
  }
  return around;
}

// An even grid along the patient's axes that fills a box.
template <class Image> typename Image::Pointer grid(const box &where, double grid_mm) {
  typename Image::SizeType size;
  typename Image::SpacingType spacing;
  typename Image::PointType origin;
  for (unsigned a = 0; a < 3; a++) {
    size[a] = static_cast<itk::SizeValueType>((where.high[a] - where.low[a]) / grid_mm) + 1;
    spacing[a] = grid_mm;
    origin[a] = where.low[a];
  }
  auto image = Image::New();
  image->SetRegions(size);
  image->SetSpacing(spacing);
  image->SetOrigin(origin);
  image->Allocate();
  return image;
}

using interpolator = itk::LinearInterpolateImageFunction<hu_image, double>;

struct sample_job {
  const hu_image *from;
  const interpolator *interpolate;
  const mask_image *lungs; // NULL: everything
  real_image *to;
  uint8_t *inside; // of the lungs, where they are given
  size_t size[3];
};

// The nearest index that there is.
template <class Index, class Size> void clamp(Index &index, const Size &size) {
  using value = std::decay_t<decltype(index[0])>;
  for (unsigned a = 0; a < 3; a++)
    index[a] = std::min(std::max(index[a], value(0)), static_cast<value>(size[a] - 1));
}

// HU at the points of a plane. Without lungs there is air outside the image. With them normal lung
// is outside of them, and the image and they go on beyond their ends, where a vessel that is cut
// would else be a blob.
void sample_plane(void *context, size_t z, int) {
  auto &job = *static_cast<sample_job *>(context);
  itk::Point<double, 3> point;
  itk::ContinuousIndex<double, 3> index;
  real_image::IndexType at;
  mask_image::IndexType there;
  at[2] = static_cast<itk::IndexValueType>(z);
  for (size_t y = 0; y < job.size[1]; y++)
    for (size_t x = 0; x < job.size[0]; x++) {
      at[0] = static_cast<itk::IndexValueType>(x);
      at[1] = static_cast<itk::IndexValueType>(y);
      job.to->TransformIndexToPhysicalPoint(at, point);
      bool inside = job.from->TransformPhysicalPointToContinuousIndex(point, index) &&
                    job.interpolate->IsInsideBuffer(index);
      float hu = air_hu;
      if (job.lungs) {
        job.lungs->TransformPhysicalPointToIndex(point, there);
        clamp(there, job.lungs->GetBufferedRegion().GetSize());
        clamp(index, job.from->GetBufferedRegion().GetSize());
        inside = job.lungs->GetPixel(there) != 0;
        job.inside[(z * job.size[1] + y) * job.size[0] + x] = inside;
        hu = lung_hu;
      }
      if (inside) hu = static_cast<float>(job.interpolate->EvaluateAtContinuousIndex(index));
      job.to->SetPixel(at, std::min(std::max(hu, air_hu), most_hu));
    }
}

real_image::Pointer sample(const hu_image *image, const box &where, double grid_mm,
                           const mask_image *lungs = nullptr, mask_image *inside = nullptr) {
  auto sampled = grid<real_image>(where, grid_mm);
  auto interpolate = interpolator::New();
  interpolate->SetInputImage(image);
  const auto size = sampled->GetBufferedRegion().GetSize();
  sample_job job{image,
                 interpolate,
                 lungs,
                 sampled,
                 inside ? inside->GetBufferPointer() : nullptr,
                 {size[0], size[1], size[2]}};
  lc_parallel_for(size[2], sample_plane, &job);
  return sampled;
}

// 1 where a value is at most the limit.
mask_image::Pointer below(const real_image *image, float limit) {
  auto mask = mask_image::New();
  mask->CopyInformation(image);
  mask->SetRegions(image->GetBufferedRegion());
  mask->Allocate();
  const size_t count = image->GetBufferedRegion().GetNumberOfPixels();
  for (size_t i = 0; i < count; i++)
    mask->GetBufferPointer()[i] = image->GetBufferPointer()[i] <= limit;
  return mask;
}

// The voxels within `mm` of the mask; with a negative one those farther than that inside it.
mask_image::Pointer grown(const mask_image *mask, double mm) {
  using filter_type = itk::SignedMaurerDistanceMapImageFilter<mask_image, real_image>;
  auto filter = filter_type::New();
  filter->SetInput(mask);
  filter->SetUseImageSpacing(true);
  filter->SetSquaredDistance(false);
  return below(done(filter.GetPointer()), static_cast<float>(mm));
}

// Labels that reach the sides of the patient: the first or last column or row.
std::set<uint32_t> at_sides(const label_image *labels) {
  std::set<uint32_t> found;
  auto size = labels->GetLargestPossibleRegion().GetSize();
  for (itk::ImageRegionConstIteratorWithIndex<label_image> at(labels, labels->GetBufferedRegion());
       !at.IsAtEnd(); ++at) {
    auto index = at.GetIndex();
    for (unsigned a = 0; a < 2; a++)
      if (index[a] == 0 || index[a] + 1 == static_cast<itk::IndexValueType>(size[a]))
        found.insert(at.Get());
  }
  return found;
}

// NULL where there are none.
mask_image::Pointer lungs(const hu_image *image, const box &where, double closed_mm) {
  using label_filter = itk::ConnectedComponentImageFilter<mask_image, label_image>;
  using sort_filter = itk::RelabelComponentImageFilter<label_image, label_image>;
  auto air = below(sample(image, where, lung_grid_mm), lung_air_hu);
  auto components = label_filter::New();
  components->SetInput(air);
  auto sorted = sort_filter::New();
  sorted->SetInput(components->GetOutput());
  auto labels = done(sorted.GetPointer());
  const std::set<uint32_t> outside = at_sides(labels);
  const auto &sizes = sorted->GetSizeOfObjectsInPixels(); // largest first
  const double voxel_ml = lung_grid_mm * lung_grid_mm * lung_grid_mm / 1000;
  std::vector<bool> is_lung(sizes.size() + 1, false);
  double largest = 0, all = 0;
  for (size_t label = 1; label <= sizes.size(); label++) {
    const double size = static_cast<double>(sizes[label - 1]);
    if (outside.count(static_cast<uint32_t>(label)) > 0) continue;
    if (largest <= 0) largest = size;
    is_lung[label] = size >= least_share * largest;
    if (is_lung[label]) all += size;
  }
  if (all * voxel_ml < least_lung_ml) return nullptr;
  itk::ImageRegionIterator<mask_image> out(air, air->GetBufferedRegion());
  for (itk::ImageRegionConstIterator<label_image> in(labels, labels->GetBufferedRegion());
       !in.IsAtEnd(); ++in, ++out)
    out.Set(is_lung[in.Get()] ? 1 : 0);
  return grown(grown(air, closed_mm), -closed_mm);
}

// Volume and middle of the lungs, and the boxes of their left and right parts.
struct sides {
  double ml = 0;
  double middle_mm = 0;
  box part[2];
  size_t voxels[2] = {0, 0};
};

sides divide(const mask_image *mask) {
  sides both;
  double sum = 0;
  size_t n = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (itk::ImageRegionConstIteratorWithIndex<mask_image> at(mask, mask->GetBufferedRegion());
         !at.IsAtEnd(); ++at) {
      if (!at.Get()) continue;
      mask_image::PointType point;
      mask->TransformIndexToPhysicalPoint(at.GetIndex(), point);
      if (pass == 0) {
        sum += point[0];
        n++;
        continue;
      }
      const int side = point[0] > both.middle_mm;
      box &part = both.part[side];
      for (unsigned a = 0; a < 3; a++) {
        const bool first = both.voxels[side] == 0;
        part.low[a] = first ? point[a] : std::min(part.low[a], point[a]);
        part.high[a] = first ? point[a] : std::max(part.high[a], point[a]);
      }
      both.voxels[side]++;
    }
    if (pass == 0 && n > 0) both.middle_mm = sum / static_cast<double>(n);
  }
  both.ml = static_cast<double>(n) * lung_grid_mm * lung_grid_mm * lung_grid_mm / 1000;
  return both;
}

// What the filter answered best at a voxel, and at which diameter.
struct answers {
  std::vector<float> score, diameter_mm;
};

struct scale_job {
  const itk::SymmetricSecondRankTensor<float, 3> *hessian;
  const uint8_t *mask;
  size_t plane;
  float sigma, diameter_mm;
  answers *best;
};

void answer_plane(void *context, size_t z, int) {
  auto &job = *static_cast<scale_job *>(context);
  for (size_t i = z * job.plane; i < (z + 1) * job.plane; i++) {
    const auto &h = job.hessian[i];
    if (!job.mask[i] || h(0, 0) >= 0 || h(1, 1) >= 0 || h(2, 2) >= 0) continue;
    itk::FixedArray<float, 3> e; // ascending
    h.ComputeEigenValues(e);
    if (e[2] >= 0) continue;
    const float score = e[2] * e[2] / -e[0] * job.sigma * job.sigma;
    if (score <= job.best->score[i]) continue;
    job.best->score[i] = score;
    job.best->diameter_mm[i] = job.diameter_mm;
  }
}

answers blobs(const real_image *image, const mask_image *mask, const ct_detection &detection) {
  using filter_type = itk::HessianRecursiveGaussianImageFilter<
      real_image, itk::Image<itk::SymmetricSecondRankTensor<float, 3>, 3>>;
  const auto size = mask->GetBufferedRegion().GetSize();
  const size_t count = size[0] * size[1] * size[2];
  answers best{std::vector<float>(count, 0), std::vector<float>(count, 0)};
  // Steps of a factor of root two, the last one shorter.
  const double octaves = std::log2(detection.most_mm / detection.least_mm);
  for (int step = 0; step < 2 * octaves + 1; step++) {
    const double now = std::min(detection.least_mm * std::exp2(step / 2.0), detection.most_mm);
    auto filter = filter_type::New();
    filter->SetInput(image);
    filter->SetSigma(now / 4);
    auto hessian = done(filter.GetPointer());
    scale_job job{hessian->GetBufferPointer(), mask->GetBufferPointer(), size[0] * size[1],
                  static_cast<float>(now / 4), static_cast<float>(now),  &best};
    lc_parallel_for(size[2], answer_plane, &job);
  }
  return best;
}

bool is_peak(const answers &best, const size_t size[3], const size_t at[3]) {
  const size_t here = (at[2] * size[1] + at[1]) * size[0] + at[0];
  for (int a = 0; a < 3; a++)
    if (at[a] == 0 || at[a] + 1 == size[a]) return false;
  for (size_t z = at[2] - 1; z <= at[2] + 1; z++)
    for (size_t y = at[1] - 1; y <= at[1] + 1; y++)
      for (size_t x = at[0] - 1; x <= at[0] + 1; x++) {
        const size_t there = (z * size[1] + y) * size[0] + x;
        // Of equal ones the first is the peak.
        if (best.score[there] > best.score[here] ||
            (there < here && !(best.score[there] < best.score[here])))
          return false;
      }
  return true;
}

double distance_mm(const ct_candidate &a, const ct_candidate &b) {
  double sum = 0;
  for (int c = 0; c < 3; c++)
    sum += (a.centre_mm[c] - b.centre_mm[c]) * (a.centre_mm[c] - b.centre_mm[c]);
  return std::sqrt(sum);
}

bool above(const ct_candidate &a, const ct_candidate &b) {
  return a.score > b.score;
}

// Keeps the best that do not lie in better ones.
void keep_best(std::vector<ct_candidate> &found, size_t most) {
  std::stable_sort(found.begin(), found.end(), above);
  std::vector<ct_candidate> kept;
  for (const auto &one : found) {
    if (kept.size() == most) break;
    bool inside = false;
    for (const auto &other : kept)
      if (distance_mm(one, other) < std::max(one.diameter_mm, other.diameter_mm) / 2) inside = true;
    if (!inside) kept.push_back(one);
  }
  found = kept;
}

std::vector<ct_candidate> look(const hu_image *image, const mask_image *mask, const box &part,
                               const ct_detection &detection) {
  box where = part;
  for (int a = 0; a < 3; a++) {
    where.low[a] -= detection.most_mm / 2;
    where.high[a] += detection.most_mm / 2;
  }
  auto inside = grid<mask_image>(where, blob_grid_mm);
  auto smooth = sample(image, where, blob_grid_mm, mask, inside);
  const answers best = blobs(smooth, inside, detection);
  const auto extent = inside->GetBufferedRegion().GetSize();
  const size_t size[3] = {extent[0], extent[1], extent[2]};
  std::vector<ct_candidate> found;
  size_t at[3];
  for (at[2] = 0; at[2] < size[2]; at[2]++)
    for (at[1] = 0; at[1] < size[1]; at[1]++)
      for (at[0] = 0; at[0] < size[0]; at[0]++) {
        const size_t i = (at[2] * size[1] + at[1]) * size[0] + at[0];
        ct_candidate one;
        if (best.score[i] < least_score || !is_peak(best, size, at)) continue;
        for (int a = 0; a < 3; a++)
          one.centre_mm[a] = where.low[a] + blob_grid_mm * static_cast<double>(at[a]);
        // Beyond the part lies the other lung, which has its own turn, or nothing.
        bool beyond = false;
        for (int a = 0; a < 3; a++)
          beyond |= one.centre_mm[a] < part.low[a] || one.centre_mm[a] > part.high[a];
        if (beyond) continue;
        one.diameter_mm = best.diameter_mm[i];
        one.score = best.score[i];
        found.push_back(one);
      }
  keep_best(found, detection.most_a_lung);
  return found;
}

} // namespace

lc_status ct_detect(struct ct_candidates *candidates, const struct ct_volume *volume,
                    const struct ct_detection *detection, struct lc_error *err) {
  *candidates = {};
  try {
    auto image = ct::itk_image(*volume);
    auto mask = lungs(image, box_of(*volume), detection->most_mm / 2);
    if (!mask)
      LC_FAIL(err, LC_ERR_FORMAT, "no lungs: expected %g ml of air or more inside a body",
              least_lung_ml);
    const sides both = divide(mask);
    std::vector<ct_candidate> all;
    for (int side = 0; side < 2; side++) {
      if (both.voxels[side] == 0) continue;
      auto found = look(image, mask, both.part[side], *detection);
      all.insert(all.end(), found.begin(), found.end());
    }
    keep_best(all, all.size()); // at the border of the sides two may be one
    candidates->lung_ml = both.ml;
    LC_TRY(lc_alloc(&candidates->items, all.size() + 1, sizeof *candidates->items, err));
    std::copy(all.begin(), all.end(), candidates->items);
    candidates->count = all.size();
    return LC_OK;
  } catch (const std::bad_alloc &) {
    LC_FAIL(err, LC_ERR_MEMORY, "candidates: not enough memory");
  } catch (const std::exception &e) {
    LC_FAIL(err, LC_ERR_INTERNAL, "candidates: %s", e.what());
  } catch (...) {
    LC_FAIL(err, LC_ERR_INTERNAL, "candidates: unknown exception");
  }
}

void ct_candidates_free(struct ct_candidates *candidates) {
  free(candidates->items);
  *candidates = {};
}
