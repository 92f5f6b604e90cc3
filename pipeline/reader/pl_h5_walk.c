/* Opens a mapped HDF5 file, visits every object, and reads its attributes, its smaller datasets,
 * and of the larger ones the index of their chunks, the first row and the last. */
#include "pipeline/reader/pl_h5_walk.h"

#include <hdf5.h>
#include <hdf5_hl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/lc_scope.h"

#define READ_BYTES ((size_t)64 << 10) /* of datasets and attributes that are read */
#define CHUNK_BYTES ((size_t)1 << 20)

/* HDF5 1.12 wants to know which fields. */
#if H5_VERSION_GE(1, 12, 0)
#define VISIT(...) H5Ovisit(__VA_ARGS__, H5O_INFO_BASIC)
#else
#define VISIT(...) H5Ovisit(__VA_ARGS__)
#endif

static void release(const hid_t *id) {
  if (*id >= 0) H5Idec_ref(*id);
}
#define HANDLE LC_SCOPED(release) hid_t

/* Bytes of n values of a type that holds them itself; 0 for others, and for too many. */
static size_t plain_bytes(hid_t type, hssize_t n) {
  size_t bytes = type < 0 || n < 1 ? 0 : H5Tget_size(type);
  if (bytes == 0 || H5Tdetect_class(type, H5T_VLEN) != 0 || H5Tis_variable_str(type) != 0 ||
      H5Tdetect_class(type, H5T_REFERENCE) != 0 ||
      __builtin_mul_overflow(bytes, (size_t)n, &bytes) || bytes > READ_BYTES)
    return 0;
  return bytes;
}

static herr_t attribute(hid_t object, const char *name, const H5A_info_t *info, void *context) {
  HANDLE made = H5Aopen(object, name, H5P_DEFAULT);
  HANDLE type = made < 0 ? -1 : H5Aget_type(made);
  HANDLE space = made < 0 ? -1 : H5Aget_space(made);
  size_t bytes = space < 0 ? 0 : plain_bytes(type, H5Sget_simple_extent_npoints(space));
  LC_FREED void *values = bytes ? malloc(bytes) : NULL;
  (void)info, (void)context;
  if (values) (void)H5Aread(made, type, values);
  return 0;
}

/* What the program refuses by name is left to it. */
static bool is_refused(hid_t creation, hid_t type) {
  hsize_t chunk[H5S_MAX_RANK];
  if (creation < 0 || type < 0 || H5Pget_layout(creation) == H5D_VIRTUAL ||
      H5Pget_external_count(creation) != 0)
    return true;
  if (H5Pget_layout(creation) != H5D_CHUNKED) return false;
  int rank = H5Pget_chunk(creation, H5S_MAX_RANK, chunk);
  size_t bytes = H5Tget_size(type);
  for (int i = 0; i < rank; i++)
    if (__builtin_mul_overflow(bytes, chunk[i], &bytes)) return true;
  return rank < 1 || bytes > CHUNK_BYTES;
}

static void dataset(hid_t set) {
  HANDLE creation = H5Dget_create_plist(set);
  HANDLE type = H5Dget_type(set);
  if (is_refused(creation, type)) return;
  HANDLE space = H5Dget_space(set);
  size_t bytes = space < 0 ? 0 : plain_bytes(type, H5Sget_simple_extent_npoints(space));
  (void)H5Dget_storage_size(set); /* by its whole index */
  LC_FREED void *values = bytes ? malloc(bytes) : NULL;
  if (values) (void)H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
}

static herr_t object(hid_t file, const char *name, const H5O_info_t *info, void *context) {
  HANDLE opened = H5Oopen(file, name, H5P_DEFAULT);
  hsize_t first = 0;
  (void)context;
  if (opened < 0) return 0;
  (void)H5Aiterate2(opened, H5_INDEX_NAME, H5_ITER_NATIVE, &first, attribute, NULL);
  if (info->type == H5O_TYPE_DATASET) dataset(opened);
  return 0;
}

static lc_status run_hdf5(struct lc_wire *request, struct lc_helper_given *given,
                          struct lc_wire *answer, struct lc_error *err) {
  struct stat info;
  (void)request, (void)answer;
  if (given->n_files != 1 || fstat(given->files[0], &info) != 0)
    LC_FAIL(err, LC_ERR_INTERNAL, "a request without a file");
  size_t size = (size_t)info.st_size;
  void *bytes =
      size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, given->files[0], 0) : MAP_FAILED;
  if (bytes == MAP_FAILED) return LC_OK;
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  H5PLset_loading_state(0);
  hid_t file =
      H5LTopen_file_image(bytes, size, H5LT_FILE_IMAGE_DONT_COPY | H5LT_FILE_IMAGE_DONT_RELEASE);
  if (file >= 0) {
    (void)VISIT(file, H5_INDEX_NAME, H5_ITER_NATIVE, object, NULL);
    H5Fclose(file);
  }
  munmap(bytes, size);
  return LC_OK;
}
const struct lc_helper_task pl_task_hdf5 = {.name = "hdf5", .run = run_hdf5};
