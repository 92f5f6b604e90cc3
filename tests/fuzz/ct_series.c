/* DICOM: whatever the bytes, scanning refuses or gives a series with a verdict; pixels of small
 * usable ones are decoded too. */
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_index.h"
#include "tests/fuzz/lc_fuzz.h"

#include "ct_io/ct/ct_volume.h"

enum { MOST_VOXELS = 1 << 20 };

static void look_at(const struct ct_series *series) {
  struct lc_error err;
  struct ct_volume volume;
  if (series->verdict != CT_REFUSED &&
      (series->n_slices == 0 || series->reason[0] == '\0') != (series->verdict == CT_USABLE))
    abort();
  if (series->verdict == CT_REFUSED) {
    if (series->reason[0] == '\0') abort();
    return;
  }
  for (size_t k = 1; k < series->n_slices; k++)
    if (!(series->slices[k - 1].along_mm <= series->slices[k].along_mm)) abort();
  long long voxels = (long long)series->rows * series->columns;
  if (voxels > MOST_VOXELS) return;
  if (ct_volume_decode(&volume, series, 0, 1, NULL, &err) == LC_OK) ct_volume_free(&volume);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ct_index index;
  struct lc_error err;
  const char *paths[] = {fuzz_file(data, size, "")};
  if (ct_index_scan(&index, paths, 1, NULL, NULL, &err) != LC_OK) return 0;
  for (size_t i = 0; i < index.n_series; i++) look_at(&index.series[i]);
  ct_index_free(&index);
  return 0;
}
