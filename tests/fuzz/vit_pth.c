/* What torch.save writes: the input is the pickle and, after a length of two bytes before it, a
 * storage; the archive around them is in order. What is read lies in memory, and there is little
 * of it. */
#include "tests/fuzz/lc_fuzz.h"
#include "tests/vit_zip.h"

#include "vit/weights/vit_tensor_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_bytes in = {data, size};
  struct vit_tensor_file file;
  struct lc_error err;
  struct zip_out zip = {.n = 0};
  size_t pickle = fuzz_short(&in);
  if (pickle > in.size) pickle = in.size;
  const char *path = fuzz_path(".pth");
  zip.file = fopen(path, "wb");
  if (!zip.file) abort();
  zip_member(&zip, "m/data.pkl", in.data, pickle);
  zip_member(&zip, "m/data/0", in.data + pickle, in.size - pickle);
  zip_again(&zip, "m/data/1");
  if (!zip_end(&zip) || fclose(zip.file) != 0) abort();
  if (vit_tensor_file_open(&file, path, &err) != LC_OK) return 0;
  unsigned sum = 0;
  if (file.mapping_size > 16 * (in.size + 1024)) abort();
  for (size_t t = 0; t < file.n_tensors; t++) {
    const uint8_t *bytes = file.tensors[t].data;
    size_t count = file.tensors[t].count * vit_dtype_size(file.tensors[t].dtype);
    for (size_t i = 0; i < count; i++) sum += bytes[i];
  }
  fuzz_use(sum);
  vit_tensor_file_close(&file);
  return 0;
}
