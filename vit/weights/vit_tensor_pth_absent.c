/* Stands in for the reader of torch.save's archives in a program that was built without libzip
 * (LUNGCDAM_WITH_PTH=OFF). */
#include "vit/weights/vit_tensor_pth.h"

lc_status vit_tensor_pth_open(struct vit_tensor_file *file, struct lc_error *err) {
  LC_FAIL(
      err, LC_ERR_UNSUPPORTED,
      "%s: written by torch.save, which this program was built not to read (LUNGCDAM_WITH_PTH is "
      "OFF); convert it to safetensors",
      file->path);
}
