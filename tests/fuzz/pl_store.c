/* Result stores: what is read has as many nodules, outputs and cells as it says. */
#include "tests/pl_store_test.h"

#include "tests/fuzz/pl_h5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct h5_good good;
  struct pl_result result;
  struct lc_error err;
  if (good.n == 0) {
    if (store_write(fuzz_path(".h5"), OUTPUTS, &err) != LC_OK) abort();
    h5_take(&good, fuzz_path(".h5"));
  }
  if (pl_store_read(&result, h5_changed(&good, data, size), &err) != LC_OK) return 0;
  double sum = 0;
  const struct cdam_maps *maps = &result.maps;
  for (size_t i = 0; i < maps->images * maps->targets * maps->grid_height * maps->grid_width; i++)
    sum += (double)maps->scores[i];
  for (size_t i = 0; i < result.nodules.n_nodules * result.n_outputs; i++)
    sum += (double)result.probability[i];
  for (size_t i = 0; i < result.nodules.n_nodules; i++) {
    size_t edge = result.cubes[i].edge;
    for (size_t v = 0; result.cubes[i].mask && v < edge * edge * edge; v++)
      sum += result.cubes[i].mask[v];
  }
  if (pl_store_read_hu(&result, &err) == LC_OK) sum += 1;
  fuzz_use(sum);
  pl_result_free(&result);
  return 0;
}
