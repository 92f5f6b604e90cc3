/* Builds an HDF5 file in memory with fixed conventions and writes it in one piece. */
#include "pipeline/store/pl_h5.h"

#include <hdf5.h>
#include <hdf5_hl.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_text.h"

#define DEFLATE_LEVEL 4
#define CHUNK_BYTES_LEAST                                                                          \
  1024 /* below, the bookkeeping of a chunk is larger than what it holds                           \
        */
#define GROW_BYTES ((size_t)1 << 20)

static void fail(struct pl_h5 *h5, const char *what, const char *path) {
  if (h5->failed) return;
  h5->failed = true;
  (void)lc_fail(&h5->first, LC_ERR_INTERNAL, __FILE__, __LINE__, "HDF5 cannot %s %s", what, path);
}

static hid_t file_type(enum pl_h5_type type) {
  switch (type) {
  case PL_H5_F32:
    return H5T_IEEE_F32LE;
  case PL_H5_F64:
    return H5T_IEEE_F64LE;
  case PL_H5_I16:
    return H5T_STD_I16LE;
  case PL_H5_I32:
    return H5T_STD_I32LE;
  case PL_H5_I64:
    return H5T_STD_I64LE;
  case PL_H5_U8:
    return H5T_STD_U8LE;
  default:
    return H5T_STD_I8LE;
  }
}

static hid_t memory_type(enum pl_h5_type type) {
  switch (type) {
  case PL_H5_F32:
    return H5T_NATIVE_FLOAT;
  case PL_H5_F64:
    return H5T_NATIVE_DOUBLE;
  case PL_H5_I16:
    return H5T_NATIVE_INT16;
  case PL_H5_I32:
    return H5T_NATIVE_INT32;
  case PL_H5_I64:
    return H5T_NATIVE_INT64;
  case PL_H5_U8:
    return H5T_NATIVE_UINT8;
  default:
    return H5T_NATIVE_INT8;
  }
}

static hid_t text_type(size_t width) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, width > 0 ? width : 1);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

void pl_h5_start(struct pl_h5 *h5) {
  memset(h5, 0, sizeof *h5);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  hid_t creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fapl_core(access, GROW_BYTES, false);
  /* The earliest superblock has no checksum: H5Fget_file_image clears flags in the copy it gives
   * and leaves the checksum of later superblocks wrong (HDF5 1.10.8). */
  H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
  H5Pset_obj_track_times(creation, false);
  h5->file = H5Fcreate("in memory", H5F_ACC_TRUNC, creation, access);
  if (h5->file < 0) fail(h5, "create", "a file in memory");
  H5Pclose(creation);
  H5Pclose(access);
}

static hid_t make_links(void) {
  hid_t links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  H5Pset_char_encoding(links, H5T_CSET_UTF8);
  return links;
}

/* Groups first: those that HDF5 makes on the way to a dataset would keep times. */
static void make_groups(struct pl_h5 *h5, const char *path) {
  hid_t links = make_links(), creation = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(creation, false);
  for (const char *p = path; *p; p++) {
    if (*p != '/' || p == path) continue;
    char group[256];
    lc_text_copy(group, sizeof group, path);
    group[p - path] = '\0';
    if (H5Lexists(h5->file, group, H5P_DEFAULT) > 0) continue;
    hid_t made = H5Gcreate2(h5->file, group, links, creation, H5P_DEFAULT);
    if (made < 0)
      fail(h5, "create group", group);
    else
      H5Gclose(made);
  }
  H5Pclose(creation);
  H5Pclose(links);
}

static hid_t make_layout(size_t rank, const hsize_t *dims, size_t value_bytes) {
  hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(creation, false);
  hsize_t chunk[PL_H5_MAX_RANK] = {1};
  hsize_t bytes = value_bytes;
  for (size_t i = 1; i < rank; i++) {
    chunk[i] = dims[i];
    bytes *= dims[i];
  }
  if (rank < 2 || bytes < CHUNK_BYTES_LEAST) return creation;
  H5Pset_chunk(creation, (int)rank, chunk);
  H5Pset_shuffle(creation);
  H5Pset_deflate(creation, DEFLATE_LEVEL);
  H5Pset_fletcher32(creation);
  return creation;
}

static void write_dataset(struct pl_h5 *h5, const char *path, size_t rank, const size_t *shape,
                          hid_t stored, hid_t given, const void *data) {
  hsize_t dims[PL_H5_MAX_RANK];
  for (size_t i = 0; i < rank; i++) dims[i] = shape[i];
  make_groups(h5, path);
  hid_t space = H5Screate_simple((int)rank, dims, NULL);
  hid_t creation = make_layout(rank, dims, H5Tget_size(stored));
  hid_t set = H5Dcreate2(h5->file, path, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  if (set < 0) {
    fail(h5, "create dataset", path);
  } else {
    if (data && H5Dwrite(set, given, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
      fail(h5, "write dataset", path);
    if (H5Dclose(set) < 0) fail(h5, "close dataset", path);
  }
  H5Pclose(creation);
  H5Sclose(space);
}

void pl_h5_array(struct pl_h5 *h5, const struct pl_h5_array *array) {
  if (h5->failed) return;
  write_dataset(h5, array->path, array->rank, array->dims, file_type(array->type),
                memory_type(array->type), array->data);
  pl_h5_attribute_text(h5, array->path, "units", array->unit);
  pl_h5_attribute_text(h5, array->path, "description", array->doc);
}

void pl_h5_rows(struct pl_h5 *h5, const char *path, enum pl_h5_type type, size_t first,
                size_t count, const void *data) {
  if (h5->failed) return;
  hid_t set = H5Dopen2(h5->file, path, H5P_DEFAULT);
  if (set < 0) {
    fail(h5, "open dataset", path);
    return;
  }
  hid_t space = H5Dget_space(set);
  hsize_t dims[PL_H5_MAX_RANK], start[PL_H5_MAX_RANK] = {first};
  int rank = H5Sget_simple_extent_dims(space, dims, NULL);
  dims[0] = count;
  hid_t given = rank > 0 ? H5Screate_simple(rank, dims, NULL) : -1;
  if (given < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, dims, NULL) < 0 ||
      H5Dwrite(set, memory_type(type), given, space, H5P_DEFAULT, data) < 0)
    fail(h5, "write rows of", path);
  if (given >= 0) H5Sclose(given);
  H5Sclose(space);
  if (H5Dclose(set) < 0) fail(h5, "close dataset", path);
}

void pl_h5_texts(struct pl_h5 *h5, const char *path, size_t rank, const size_t *dims, size_t width,
                 const char *texts, const char *doc) {
  if (h5->failed) return;
  hid_t type = text_type(width);
  write_dataset(h5, path, rank, dims, type, type, texts);
  H5Tclose(type);
  pl_h5_attribute_text(h5, path, "description", doc);
}

void pl_h5_scale(struct pl_h5 *h5, const char *path) {
  if (h5->failed) return;
  hid_t set = H5Dopen2(h5->file, path, H5P_DEFAULT);
  const char *slash = strrchr(path, '/');
  if (set < 0 || H5DSset_scale(set, slash ? slash + 1 : path) < 0)
    fail(h5, "make a scale of", path);
  if (set >= 0) H5Dclose(set);
}

void pl_h5_attach(struct pl_h5 *h5, const char *dataset, size_t dimension, const char *scale) {
  if (h5->failed) return;
  hid_t set = H5Dopen2(h5->file, dataset, H5P_DEFAULT);
  hid_t other = H5Dopen2(h5->file, scale, H5P_DEFAULT);
  if (set < 0 || other < 0 || H5DSattach_scale(set, other, (unsigned)dimension) < 0)
    fail(h5, "attach a scale to", dataset);
  if (other >= 0) H5Dclose(other);
  if (set >= 0) H5Dclose(set);
}

static void attribute(struct pl_h5 *h5, const char *path, const char *name, hid_t stored,
                      hid_t given, const void *value) {
  if (h5->failed) return;
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t object = H5Oopen(h5->file, path, H5P_DEFAULT);
  hid_t made = object < 0 ? -1 : H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
  if (made < 0 || H5Awrite(made, given, value) < 0) fail(h5, "write an attribute of", path);
  if (made >= 0) H5Aclose(made);
  if (object >= 0) H5Oclose(object);
  H5Sclose(space);
}

void pl_h5_attribute_text(struct pl_h5 *h5, const char *path, const char *name, const char *text) {
  hid_t type = text_type(strlen(text));
  attribute(h5, path, name, type, type, text);
  H5Tclose(type);
}

void pl_h5_attribute_integer(struct pl_h5 *h5, const char *path, const char *name, int64_t value) {
  attribute(h5, path, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void pl_h5_attribute_real(struct pl_h5 *h5, const char *path, const char *name, double value) {
  attribute(h5, path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void pl_h5_link(struct pl_h5 *h5, const char *path, const char *file) {
  if (h5->failed) return;
  make_groups(h5, path);
  if (H5Lcreate_external(file, "/", h5->file, path, H5P_DEFAULT, H5P_DEFAULT) < 0)
    fail(h5, "link", path);
}

static lc_status write_image(struct pl_h5 *h5, const char *path, struct lc_error *err) {
  if (H5Fflush(h5->file, H5F_SCOPE_GLOBAL) < 0) fail(h5, "flush", path);
  ssize_t size = h5->failed ? -1 : H5Fget_file_image(h5->file, NULL, 0);
  if (size < 0) fail(h5, "measure", path);
  if (h5->failed) LC_FAIL(err, LC_ERR_INTERNAL, "%s: %.800s", path, h5->first.message);
  char *image = malloc((size_t)size);
  if (!image) LC_FAIL(err, LC_ERR_MEMORY, "%s: cannot allocate %zd bytes", path, size);
  lc_status status = LC_OK;
  if (H5Fget_file_image(h5->file, image, (size_t)size) != size)
    status = lc_fail(err, LC_ERR_INTERNAL, __FILE__, __LINE__, "%s: HDF5 cannot copy it", path);
  if (status == LC_OK) status = lc_file_write(path, image, (size_t)size, err);
  free(image);
  return status;
}

lc_status pl_h5_finish(struct pl_h5 *h5, const char *path, struct lc_error *err) {
  lc_status status = write_image(h5, path, err);
  pl_h5_abort(h5);
  return status;
}

void pl_h5_abort(struct pl_h5 *h5) {
  if (h5->file > 0) H5Fclose(h5->file);
  h5->file = 0;
}

lc_status pl_h5_read_attribute(const char *path, const char *name, char *out, size_t size,
                               struct lc_error *err) {
  out[0] = '\0';
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: not an HDF5 file, expected a result store", path);
  const char *slash = strrchr(name, '/'), *leaf = slash ? slash + 1 : name;
  char group[64] = "/";
  if (slash) snprintf(group, sizeof group, "%.*s", (int)(slash - name), name);
  hid_t made = H5Aexists_by_name(file, group, leaf, H5P_DEFAULT) > 0
                   ? H5Aopen_by_name(file, group, leaf, H5P_DEFAULT, H5P_DEFAULT)
                   : -1;
  if (made >= 0) {
    hid_t stored = H5Aget_type(made);
    if (H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) == 0) {
      hid_t type = text_type(size - 1);
      if (H5Aread(made, type, out) < 0) out[0] = '\0';
      out[size - 1] = '\0';
      H5Tclose(type);
    }
    H5Tclose(stored);
    H5Aclose(made);
  }
  H5Fclose(file);
  return LC_OK;
}
