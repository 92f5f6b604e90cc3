/* MetaImage, NIfTI and NRRD: the first byte chooses the ending, the rest is the file. Small volumes
 * are decoded too. */
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/dicom_read/ct_decode.h"
#include "tests/fuzz/lc_fuzz.h"

enum { MOST_VOXELS = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const endings[] = {".mha", ".nii", ".nrrd", ".nii.gz", ".mhd", ".nhdr"};
  struct fuzz_bytes in = {data, size};
  const char *ending = endings[fuzz_byte(&in) % 6];
  const char *path = fuzz_file(in.data, in.size, ending);
  struct ct_series series = {0};
  struct ct_volume volume = {0};
  struct lc_error err;
  if (ct_volume_file_open(&series, path, &err) == LC_OK) {
    if (series.verdict == CT_REFUSED && series.reason[0] == '\0') abort();
    if (series.verdict != CT_REFUSED &&
        (size_t)series.rows * (size_t)series.columns * series.n_slices <= MOST_VOXELS &&
        ct_volume_decode(&volume, &series, 0, series.n_slices, NULL, &err) == LC_OK)
      ct_volume_free(&volume);
    ct_series_free(&series);
  }
  remove(path);
  return 0;
}
