/* Refuses links out of a file, storage elsewhere, filters that are not HDF5's own, types that are
 * neither numbers nor texts, and sizes that the file cannot fill. */
#include "pipeline/store/pl_h5_guard.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"

#define MOST_LINKS 8
#define NUMBER_BYTES 16  /* of the widest number */
#define TEXT_BYTES 65536 /* of the longest text */
#define CHUNK_BYTES ((size_t)256 << 20)
/* What is packed unfolds to at most 1032 times as much (deflate). Chunks that were never written
 * stand for fill values: some are taken without a question. */
#define UNFOLDED_RATIO 1032
#define UNFOLDED_BYTES ((size_t)64 << 20)

static void release(const hid_t *id) {
  if (*id >= 0) H5Idec_ref(*id);
}
#define HANDLE LC_SCOPED(release) hid_t

void pl_h5_begin(void) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  H5PLset_loading_state(0);
}

static herr_t refuse(const char *file, const char *group, const char *other, const char *object,
                     unsigned *flags, hid_t access, void *context) {
  (void)file, (void)group, (void)other, (void)object, (void)flags, (void)access, (void)context;
  return -1;
}

hid_t pl_h5_stay_inside(void) {
  hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
  H5Pset_elink_cb(access, refuse, NULL);
  H5Pset_nlinks(access, MOST_LINKS);
  return access;
}

/* What is wrong with one link, or NULL. */
static const char *unfit_link(const struct pl_h5_in *in, const char *name) {
  H5L_info_t link;
  if (H5Lget_info(in->file, name, &link, in->access) < 0) return "a link that can be read";
  if (link.type == H5L_TYPE_EXTERNAL) return "data in this file, not a link to another file";
  if (link.type != H5L_TYPE_HARD && link.type != H5L_TYPE_SOFT)
    return "data in this file, not a link that a user defined";
  if (link.type == H5L_TYPE_SOFT && H5Oexists_by_name(in->file, name, in->access) <= 0)
    return "a link to data in this file";
  return NULL;
}

bool pl_h5_has(struct pl_h5_in *in, const char *name) {
  char part[256];
  size_t length = strlen(name);
  if (length >= sizeof part) return false;
  for (size_t i = 1; i <= length && in->status == LC_OK; i++) {
    if (name[i] != '/' && name[i] != '\0') continue;
    memcpy(part, name, i);
    part[i] = '\0';
    if (H5Lexists(in->file, part, in->access) <= 0) return false;
    const char *expected = unfit_link(in, part);
    if (expected) pl_h5_expect(in, part, expected);
  }
  return in->status == LC_OK;
}

static const char *unfit_type(hid_t type) {
  H5T_class_t class = H5Tget_class(type);
  size_t bytes = H5Tget_size(type);
  if (class == H5T_STRING) {
    if (H5Tis_variable_str(type) != 0) return "texts of fixed length";
    return bytes > 0 && bytes <= TEXT_BYTES ? NULL : "texts of at most 65536 bytes";
  }
  if (class != H5T_INTEGER && class != H5T_FLOAT && class != H5T_ENUM)
    return "numbers or texts of fixed length";
  return bytes > 0 && bytes <= NUMBER_BYTES ? NULL : "numbers of at most 16 bytes";
}

static const char *unfit_filters(hid_t creation) {
  int n = H5Pget_nfilters(creation);
  if (n < 0) return "filters that can be read";
  for (unsigned i = 0; i < (unsigned)n; i++) {
    unsigned flags, configuration;
    size_t values = 0;
    char title[1];
    H5Z_filter_t filter =
        H5Pget_filter2(creation, i, &flags, &values, NULL, sizeof title, title, &configuration);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
        filter != H5Z_FILTER_FLETCHER32 && filter != H5Z_FILTER_SZIP)
      return "no filters but deflate, shuffle, fletcher32 and szip";
  }
  return NULL;
}

/* Multiplies by each of the sizes. */
static bool multiply(size_t *bytes, const hsize_t *sizes, int rank) {
  for (int i = 0; i < rank; i++)
    if (__builtin_mul_overflow(*bytes, sizes[i], bytes)) return false;
  return true;
}

static const char *unfit_size(hid_t set, hid_t creation, size_t element, size_t file_bytes) {
  hsize_t dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK];
  HANDLE space = H5Dget_space(set);
  int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dims, NULL);
  size_t bytes = element, chunk_bytes = element;
  if (rank < 0) return "a shape that can be read";
  if (H5Pget_layout(creation) == H5D_CHUNKED)
    if (H5Pget_chunk(creation, rank, chunk) != rank || !multiply(&chunk_bytes, chunk, rank) ||
        chunk_bytes > CHUNK_BYTES)
      return "chunks of at most 256 MiB";
  if (!multiply(&bytes, dims, rank)) return "a shape that fits";
  size_t stored = (size_t)H5Dget_storage_size(set);
  if (stored > file_bytes) stored = file_bytes;
  if (bytes > 0 && stored == 0) return "data, and none was ever written";
  if (bytes > UNFOLDED_BYTES && bytes / UNFOLDED_RATIO > stored)
    return "no more values than the file can hold";
  return NULL;
}

/* In this order: asking for the shape of a virtual dataset opens its sources. */
static const char *unfit_dataset(const struct pl_h5_in *in, hid_t set) {
  HANDLE creation = H5Dget_create_plist(set);
  HANDLE type = H5Dget_type(set);
  if (creation < 0 || type < 0) return "a dataset that can be read";
  if (H5Pget_layout(creation) == H5D_VIRTUAL) return "data in this file, not a virtual dataset";
  if (H5Pget_external_count(creation) != 0) return "data in this file, not in an external one";
  const char *expected = unfit_filters(creation);
  if (!expected) expected = unfit_type(type);
  return expected ? expected : unfit_size(set, creation, H5Tget_size(type), in->bytes);
}

hid_t pl_h5_open_dataset(struct pl_h5_in *in, const char *name) {
  hid_t set = pl_h5_has(in, name) ? H5Dopen2(in->file, name, in->access) : -1;
  const char *expected = set < 0 ? NULL : unfit_dataset(in, set);
  if (!expected) return set;
  pl_h5_expect(in, name, expected);
  release(&set);
  return -1;
}

/* One value of such a class. */
static bool is_one(hid_t attribute, bool text) {
  HANDLE type = attribute < 0 ? -1 : H5Aget_type(attribute);
  HANDLE space = attribute < 0 ? -1 : H5Aget_space(attribute);
  return type >= 0 && space >= 0 && unfit_type(type) == NULL &&
         (H5Tget_class(type) == H5T_STRING) == text && H5Sget_simple_extent_npoints(space) == 1;
}

bool pl_h5_is_text(hid_t attribute) {
  return is_one(attribute, true);
}

bool pl_h5_is_number(hid_t attribute) {
  return is_one(attribute, false);
}
