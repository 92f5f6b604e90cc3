/* Leads a weight file through the steps of vit_entries.h. */
#include "vit/loading/vit_reading.h"

#include <string.h>

#include "vit/loading/vit_fold.h"
#include "vit/loading/vit_heads.h"
#include "vit/loading/vit_select.h"
#include "vit/loading/vit_shape.h"

static lc_status find_arch(struct vit_reading *reading, const struct vit_arch *told,
                           struct lc_error *err) {
  struct vit_entries *entries = &reading->entries;
  struct vit_arch *arch = &reading->arch;
  if (told) {
    LC_TRY(vit_arch_check(told, err));
    *arch = *told;
    if (vit_entries_find(entries, "pos_embed"))
      LC_TRY(vit_fold_positions(entries, arch->grid_height * arch->grid_width, err));
  } else {
    lc_status status = vit_shape_find(entries, arch, err);
    if (status == LC_ERR_TENSOR) vit_select_hint(entries, err);
    LC_TRY(status);
  }
  LC_TRY(vit_heads_find(entries, arch, err));
  lc_status status = vit_arch_check(arch, err);
  if (status == LC_OK) return LC_OK;
  lc_error_prefix(err, "%s", entries->file->path);
  return LC_ERR_TENSOR;
}

lc_status vit_reading_init(struct vit_reading *reading, const struct vit_tensor_file *file,
                           const struct vit_load *how, struct lc_error *err) {
  memset(reading, 0, sizeof *reading);
  LC_TRY(vit_entries_init(&reading->entries, file, err));
  LC_TRY(vit_select(&reading->entries, how, err));
  LC_TRY(vit_shape_check_said(&reading->entries, err));
  LC_TRY(vit_fold(&reading->entries, err));
  LC_TRY(find_arch(reading, how ? how->arch : NULL, err));
  return vit_parameters_init(&reading->parameters, &reading->arch, err);
}

void vit_reading_free(struct vit_reading *reading) {
  vit_parameters_free(&reading->parameters);
  vit_entries_free(&reading->entries);
}

lc_status vit_reading_assumed(const struct vit_reading *reading, char **assumed,
                              struct lc_error *err) {
  const struct lc_text *now = &reading->entries.assumed;
  const char *before = vit_tensor_file_metadata(reading->entries.file, "assumed");
  struct lc_text both = {0};
  *assumed = NULL;
  if (before) lc_text_add(&both, "%s", before);
  if (now->length > 0) lc_text_add(&both, "%s%s", before ? "; " : "", lc_text_get(now));
  if (both.failed || now->failed) {
    lc_text_free(&both);
    LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  }
  *assumed = both.data;
  return LC_OK;
}
