/* Models: a file of tensors and metadata is refused, or gives a model of the shape it says. */
#include "tests/fuzz/lc_fuzz.h"

#include "vit/weights/vit_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct vit_model model;
  struct lc_error err;
  if (vit_model_load(&model, fuzz_file(data, size, ""), NULL, &err) != LC_OK) return 0;
  double sum = 0;
  for (size_t i = 0; i < model.arch.embed_dim; i++) sum += model.norm.weight[i];
  if (model.arch.embed_dim * sizeof(float) > size || model.arch.depth > size) abort();
  fuzz_use(sum);
  vit_model_free(&model);
  return 0;
}
