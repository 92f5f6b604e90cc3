/* Weight files byte by byte: whatever they are, opening refuses or every tensor lies inside the
 * file. */
#include "tests/fuzz/lc_fuzz.h"

#include "vit/weights/vit_tensor_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct vit_tensor_file file;
  struct lc_error err;
  if (vit_tensor_file_open(&file, fuzz_file(data, size, ""), &err) != LC_OK) return 0;
  /* Reads every byte that the file promises; the address sanitizer watches. */
  unsigned sum = 0;
  for (size_t t = 0; t < file.n_tensors; t++) {
    const struct vit_tensor *tensor = &file.tensors[t];
    const uint8_t *bytes = tensor->data;
    size_t count = tensor->count * vit_dtype_size(tensor->dtype);
    if (count > size) abort();
    for (size_t i = 0; i < count; i++) sum += bytes[i];
    float *values = malloc((tensor->count + 1) * sizeof *values);
    if (!values) abort();
    if (vit_tensor_to_float(tensor, values, &err) == LC_OK && tensor->count > 0)
      sum += values[tensor->count - 1] > 0;
    free(values);
    if (vit_tensor_file_find(&file, tensor->name) == NULL) abort();
  }
  for (size_t m = 0; m < file.n_metadata; m++)
    if (!vit_tensor_file_metadata(&file, file.metadata[2 * m])) abort();
  vit_tensor_file_close(&file);
  fuzz_use(sum);
  return 0;
}
