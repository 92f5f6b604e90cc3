/* Nodule data sets, as prepare writes them and others change them. */
#include "pipeline/store/pl_dataset.h"
#include "pipeline/store/pl_crops.h"
#include "tests/fuzz/pl_h5.h"

enum { N = 3, EDGE = 4 };

static void make(struct h5_good *good) {
  struct pl_dataset dataset;
  struct lc_error err;
  struct pl_dataset_about about = {"edge: 4\n", "", "", 0, 1};
  const char *path = fuzz_path(".h5");
  if (pl_dataset_alloc(&dataset, N, EDGE, 3, 1, &err) != LC_OK) abort();
  for (size_t i = 0; i < N; i++) {
    struct pl_sample *sample = &dataset.samples[i];
    snprintf(sample->patient_id, sizeof sample->patient_id, "patient-%zu", i);
    snprintf(sample->nodule, sizeof sample->nodule, "nodule-%zu", i);
    sample->median[CT_MALIGNANCY] = (double)(i + 2);
    sample->n_sops = 1;
    sample->sops = calloc(1, sizeof *sample->sops);
    if (!sample->sops) abort();
    snprintf(sample->sops[0], sizeof sample->sops[0], "1.2.%zu", i);
  }
  if (pl_dataset_write(&dataset, &about, NULL, NULL, path, &err) != LC_OK) abort();
  pl_dataset_free(&dataset);
  h5_take(good, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct h5_good good;
  struct pl_dataset dataset;
  struct pl_crops crops;
  struct lc_error err;
  if (good.n == 0) make(&good);
  const char *path = h5_changed(&good, data, size);
  if (pl_dataset_read(&dataset, path, true, &err) == LC_OK) {
    double sum = 0;
    size_t voxels =
        dataset.n * dataset.edge * dataset.edge * (dataset.dims == 3 ? dataset.edge : 1);
    for (size_t i = 0; i < voxels; i++) sum += dataset.hu[i];
    for (size_t i = 0; i < dataset.n; i++) sum += (double)strlen(dataset.samples[i].nodule);
    fuzz_use(sum);
    pl_dataset_free(&dataset);
  }
  if (pl_crops_read(&crops, path, &err) == LC_OK) pl_crops_free(&crops);
  return 0;
}
