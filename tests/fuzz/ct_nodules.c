/* The table of nodule sources: the first byte chooses the ending of the file's name. What a source
 * reads has finite places, and masks have voxels. */
#include "ct_io/nodule/ct_nodule_source.h"
#include "ct_io/nodule/ct_region.h"
#include "tests/fuzz/lc_fuzz.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const endings[] = {".csv",      ".xml",  ".json", ".dcm",
                                        ".mrk.json", ".fcsv", ".nii",  ".seg.nrrd"};
  struct fuzz_bytes in = {data, size};
  const char *ending = endings[fuzz_byte(&in) % 8];
  const char *path = fuzz_file(in.data, in.size, ending);
  const struct ct_nodule_source *source;
  struct ct_annotations found = {0};
  struct lc_error err;
  if (ct_nodule_source_of(&source, path, &err) == LC_OK &&
      source->read(&found, path, &err) == LC_OK)
    for (size_t i = 0; i < found.n; i++) {
      for (size_t p = 0; p < found.items[i].n_points; p++)
        for (int a = 0; a < 3; a++)
          if (!isfinite(found.items[i].points[p].centre_mm[a])) abort();
      for (size_t m = 0; m < found.items[i].n_marks; m++) {
        const struct ct_region *region = found.items[i].marks[m].region;
        if (region && region->mask.inside && region->mask.size[0] == 0) abort();
      }
    }
  ct_annotations_free(&found);
  remove(path);
  return 0;
}
