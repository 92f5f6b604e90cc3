// Reads volume files by ITK's classes for MetaImage and NRRD, made by name: no factory of
// ITK guesses what a file is.
#include "ct_io/ct/ct_volume_itk.h"
#include "ct_io/ct/ct_itk.hpp"

#include <itkMetaImageIO.h>
#include <itkNrrdImageIO.h>

#include <cmath>
#include <cstring>
#include <exception>
#include <iostream>
#include <mutex>
#include <sstream>
#include <vector>

#include "ct_io/ct/ct_volume.h"

namespace {

// ITK's readers complain on std::cout and std::cerr, and their errors are said by the caller.
class silence {
public:
  silence()
      : lock_(mutex()), out_(std::cout.rdbuf(nowhere_.rdbuf())),
        err_(std::cerr.rdbuf(nowhere_.rdbuf())) {}
  ~silence() {
    std::cout.rdbuf(out_);
    std::cerr.rdbuf(err_);
  }
  silence(const silence &) = delete;
  silence &operator=(const silence &) = delete;

private:
  static std::mutex &mutex() {
    static std::mutex one;
    return one;
  }
  std::lock_guard<std::mutex> lock_;
  std::ostringstream nowhere_;
  std::streambuf *out_, *err_;
};

itk::ImageIOBase::Pointer make_reader(const ct_volume_header &header) {
  const std::string name = header.format->name;
  if (name == "MetaImage") return itk::MetaImageIO::New().GetPointer();
  return itk::NrrdImageIO::New().GetPointer();
}

// Opened, and as large as its header was found to be.
lc_status open(itk::ImageIOBase::Pointer &io, const ct_volume_header &header, const char *path,
               lc_error *err) {
  io = make_reader(header);
  io->SetFileName(path);
  io->ReadImageInformation();
  if (io->GetNumberOfComponents() != 1 || io->GetPixelType() != itk::IOPixelEnum::SCALAR)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %u numbers a voxel, a CT volume has one", path,
            io->GetNumberOfComponents());
  for (unsigned a = 0; a < 3; a++)
    if (a >= io->GetNumberOfDimensions() || io->GetDimensions(a) != header.size[a])
      LC_FAIL(err, LC_ERR_FORMAT, "%s: ITK finds another size than its header has, axis %u", path,
              a + 1);
  return LC_OK;
}

// What ITK throws, in one line and without the address of the object that does.
std::string words_of(const itk::ExceptionObject &e) {
  std::string words = e.GetDescription();
  size_t open = words.find("(0x"), close = words.find("): ", open);
  if (open != std::string::npos && close != std::string::npos) words.erase(0, close + 3);
  for (char &c : words)
    if (c == '\n') c = ' ';
  return words;
}

template <class Work> lc_status guarded(const char *path, lc_error *err, Work work) {
  try {
    silence quiet;
    return work();
  } catch (const itk::ExceptionObject &e) {
    LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read: %s", path, words_of(e).c_str());
  } catch (const std::bad_alloc &) {
    LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  } catch (const std::exception &e) {
    LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read: %s", path, e.what());
  } catch (...) {
    LC_FAIL(err, LC_ERR_INTERNAL, "%s: unknown exception", path);
  }
}

template <class T>
void convert(const void *from, size_t count, int16_t *hu, ct_value_range &range) {
  const T *value = static_cast<const T *>(from);
  for (size_t i = 0; i < count; i++) {
    double v = static_cast<double>(value[i]);
    if (std::isnan(v)) {
      hu[i] = CT_AIR_HU;
      range.fractional = true;
      continue;
    }
    if (v < range.low) range.low = v;
    if (v > range.high) range.high = v;
    if (v != std::nearbyint(v)) range.fractional = true;
    v = std::fmin(std::fmax(v, CT_LOWEST_HU), INT16_MAX);
    hu[i] = static_cast<int16_t>(std::lrint(v));
  }
}

lc_status convert_any(const itk::ImageIOBase &io, const void *from, size_t count, int16_t *hu,
                      ct_value_range &range, const char *path, lc_error *err) {
  using component = itk::IOComponentEnum;
  switch (io.GetComponentType()) {
  case component::UCHAR:
    convert<unsigned char>(from, count, hu, range);
    break;
  case component::USHORT:
    convert<unsigned short>(from, count, hu, range);
    break;
  case component::UINT:
    convert<unsigned int>(from, count, hu, range);
    break;
  case component::CHAR:
    convert<signed char>(from, count, hu, range);
    break;
  case component::SHORT:
    convert<short>(from, count, hu, range);
    break;
  case component::INT:
    convert<int>(from, count, hu, range);
    break;
  case component::LONG:
    convert<long>(from, count, hu, range);
    break;
  case component::FLOAT:
    convert<float>(from, count, hu, range);
    break;
  case component::DOUBLE:
    convert<double>(from, count, hu, range);
    break;
  default:
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: voxels of type %s", path,
            itk::ImageIOBase::GetComponentTypeAsString(io.GetComponentType()).c_str());
  }
  return LC_OK;
}

lc_status read(const ct_volume_header &header, const char *path, const size_t start[3],
               const size_t size[3], int16_t *hu, ct_value_range &range, lc_error *err) {
  itk::ImageIOBase::Pointer io;
  LC_TRY(open(io, header, path, err));
  bool by_region = header.format->by_region && !header.compressed;
  itk::ImageIORegion region(io->GetNumberOfDimensions());
  size_t whole[3] = {1, 1, 1}, count = 1;
  for (unsigned a = 0; a < io->GetNumberOfDimensions(); a++) {
    region.SetIndex(a, by_region && a < 3 ? static_cast<long>(start[a]) : 0);
    region.SetSize(a, a >= 3 ? 1 : by_region ? size[a] : header.size[a]);
    if (a < 3) count *= whole[a] = region.GetSize(a);
  }
  io->SetUseStreamedReading(by_region);
  io->SetIORegion(region);
  std::vector<char> bytes(count * io->GetComponentSize());
  io->Read(bytes.data());
  if (count == size[0] * size[1] * size[2])
    return convert_any(*io, bytes.data(), count, hu, range, path, err);
  size_t row = whole[0] * io->GetComponentSize();
  for (size_t k = 0; k < size[2]; k++)
    for (size_t j = 0; j < size[1]; j++)
      LC_TRY(convert_any(*io,
                         bytes.data() + ((start[2] + k) * whole[1] + start[1] + j) * row +
                             start[0] * io->GetComponentSize(),
                         size[0], hu + (k * size[1] + j) * size[0], range, path, err));
  return LC_OK;
}

} // namespace

lc_status ct_volume_itk_place(ct_volume_header *header, const char *path, lc_error *err) {
  return guarded(path, err, [&]() -> lc_status {
    itk::ImageIOBase::Pointer io;
    LC_TRY(open(io, *header, path, err));
    for (unsigned axis = 0; axis < 3; axis++) {
      header->origin_mm[axis] = io->GetOrigin(axis);
      for (unsigned x = 0; x < 3; x++)
        header->step_mm[axis][x] = io->GetSpacing(axis) * io->GetDirection(axis)[x];
    }
    header->placed = true;
    return LC_OK;
  });
}

lc_status ct_volume_itk_read(const ct_volume_header *header, const char *path,
                             const size_t start[3], const size_t size[3], int16_t *hu,
                             ct_value_range *range, lc_error *err) {
  return guarded(path, err,
                 [&]() -> lc_status { return read(*header, path, start, size, hu, *range, err); });
}
