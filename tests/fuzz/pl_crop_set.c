/* Crop sets of others: what is read has finite voxels and spacings. */
#include "pipeline/store/pl_crops.h"
#include "pipeline/store/pl_dataset.h"
#include "pipeline/store/pl_h5.h"
#include "tests/fuzz/pl_h5.h"

#include <math.h>

enum { N = 3, SIZE = 4, TEXT = 16 };

static void make(struct h5_good *good) {
  static const char *const columns[] = {"pixel_spacing_mm",    "nodule_id",
                                        "malignancy_1_to_5",   "equivalent_diameter_px",
                                        "slice_z_mm",          "rescale_intercept_known",
                                        "ratings/subtlety",    "ratings/calcification",
                                        "ratings/margin",      "ratings/lobulation",
                                        "ratings/spiculation", "ratings/texture",
                                        "ratings/sphericity"};
  static const char *const texts[] = {"patient_id", "split", "series_instance_uid",
                                      "sop_instance_uid", "manufacturer"};
  static const int16_t hu[N * SIZE * SIZE] = {-1000, 40, 300};
  static const double numbers[4 * N] = {1, 2, 3, 1, 0, 5, 5, 4, 2, 2, 3, 1};
  static const char words[N][TEXT] = {"train", "validate", "test"};
  const size_t n = N;
  struct lc_error err;
  struct pl_h5 h5;
  const char *path = fuzz_path(".h5");
  pl_h5_start(&h5);
  pl_h5_array(&h5, &(struct pl_h5_array){"hu", PL_H5_I16, PL_H5_DIMS(N, SIZE, SIZE), hu, "", ""});
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
    pl_h5_array(&h5, &(struct pl_h5_array){columns[i], PL_H5_F64, PL_H5_DIMS(N), numbers, "", ""});
  pl_h5_array(&h5, &(struct pl_h5_array){"malignancy_by_reader", PL_H5_F64, PL_H5_DIMS(N, 4),
                                         numbers, "", ""});
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    pl_h5_texts(&h5, texts[i], 1, &n, TEXT, words[0], "");
  if (pl_h5_finish(&h5, path, &err) != LC_OK) abort();
  h5_take(good, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct h5_good good;
  struct pl_crops crops;
  struct pl_dataset dataset;
  struct lc_error err;
  if (good.n == 0) make(&good);
  const char *path = h5_changed(&good, data, size);
  if (pl_crops_read(&crops, path, &err) == LC_OK) {
    for (size_t i = 0; i < crops.n * crops.size * crops.size; i++)
      if (!isfinite(crops.hu[i])) abort();
    for (size_t i = 0; i < crops.n; i++)
      if (!(crops.crops[i].spacing_mm > 0)) abort();
    pl_crops_free(&crops);
  }
  if (pl_crop_set_read(&dataset, path, SIZE, 1, &err) == LC_OK) pl_dataset_free(&dataset);
  return 0;
}
