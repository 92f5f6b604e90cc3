/* The headers of one DICOM file, as the guard, the header's reader and the identity's see it:
 * whatever the bytes, sizes stay within what is stated. */
#include "ct_io/dicom_read/ct_header.h"
#include "ct_io/dicom_read/ct_identity.h"
#include "tests/fuzz/lc_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ct_header header;
  struct ct_identity identity;
  struct lc_error err = {{0}};
  const char *path = fuzz_file(data, size, ".dcm");
  ct_file_kind kind = ct_header_read(&header, path, &err);
  if (kind == CT_FILE_BROKEN && err.message[0] == '\0') abort();
  if (kind == CT_FILE_OBJECT) {
    if (header.n_frames > CT_MAX_FRAMES || header.series.rows > CT_MAX_SIDE ||
        header.series.columns > CT_MAX_SIDE)
      abort();
    double sum = 0;
    for (size_t i = 0; i < header.n_frames; i++) sum += header.frames[i].slice.along_mm;
    fuzz_use(sum);
  }
  if (kind == CT_FILE_OBJECT || kind == CT_FILE_BROKEN) ct_header_free(&header);
  if (ct_identity_read(&identity, path, &err) == LC_OK && identity.sop_instance_uid[0] == '\0')
    abort();
  return 0;
}
