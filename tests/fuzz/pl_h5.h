/* Shared by the fuzzing programs of HDF5 files: a good file is changed as the input says, by HDF5's
 * own functions, so that the structure is whole and what it holds is not what is expected. (Bytes
 * changed at random find the faults of the HDF5 library, which are not ours to mend.)
 *
 * An input is a list of changes: which dataset or attribute, what becomes of it, and with what. */
#pragma once

#include <hdf5.h>

#include "common/lc_file.h"
#include "tests/fuzz/lc_fuzz.h"

enum { H5_NAMES = 128, H5_NAME = 64, H5_CHANGES = 8, H5_TYPES = 18 };

struct h5_good {
  char *bytes;
  size_t size, n;
  char names[H5_NAMES][H5_NAME]; /* of its datasets */
};

static inline herr_t h5_note(hid_t file, const char *name, const H5O_info_t *info, void *context) {
  struct h5_good *good = context;
  (void)file;
  if (info->type == H5O_TYPE_DATASET && good->n < H5_NAMES && strlen(name) < H5_NAME)
    snprintf(good->names[good->n++], H5_NAME, "%s", name);
  return 0;
}

/* Takes the file at path as the good one. */
static inline void h5_take(struct h5_good *good, const char *path) {
  struct lc_error err;
  if (lc_file_read(path, (size_t)1 << 24, &good->bytes, &good->size, &err) != LC_OK) abort();
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) abort();
#if H5_VERSION_GE(1, 12, 0)
  H5Ovisit3(file, H5_INDEX_NAME, H5_ITER_INC, h5_note, good, H5O_INFO_BASIC);
#else
  H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, h5_note, good, H5O_INFO_BASIC);
#endif
  H5Fclose(file);
  if (good->n == 0) abort();
}

/* A type of any kind; H5Tclose. */
static inline hid_t h5_type(struct fuzz_bytes *in) {
  static const size_t widths[] = {1, 8, 64, 80, 4096, 65536, 65537, (size_t)1 << 30};
  unsigned which = fuzz_byte(in) % H5_TYPES;
  const hid_t plain[] = {H5T_STD_I8LE,   H5T_STD_U8LE,       H5T_STD_I16LE,   H5T_STD_I16BE,
                         H5T_STD_I32LE,  H5T_STD_I64LE,      H5T_STD_U64LE,   H5T_IEEE_F32LE,
                         H5T_IEEE_F64BE, H5T_NATIVE_LDOUBLE, H5T_STD_REF_OBJ, H5T_STD_REF_DSETREG,
                         H5T_STD_B16LE};
  if (which < sizeof plain / sizeof *plain) return H5Tcopy(plain[which]);
  hid_t type = -1;
  if (which <= 14) { /* texts of some length, of any length */
    type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, which == 14 ? H5T_VARIABLE : widths[fuzz_byte(in) % 8]);
    H5Tset_cset(type, fuzz_byte(in) % 2 ? H5T_CSET_UTF8 : H5T_CSET_ASCII);
  } else if (which == 15) {
    type = H5Tcreate(H5T_COMPOUND, 16);
    H5Tinsert(type, "hu", 8, H5T_STD_I16LE);
  } else if (which == 16) {
    int value = 1;
    type = H5Tenum_create(H5T_NATIVE_INT);
    H5Tenum_insert(type, "one", &value);
  } else {
    type = H5Tcreate(H5T_OPAQUE, widths[fuzz_byte(in) % 8]);
  }
  return type;
}

static inline hid_t h5_layout(struct fuzz_bytes *in, int rank, const hsize_t *dims, hid_t space) {
  hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  unsigned how = fuzz_byte(in);
  hsize_t chunk[4] = {1, 1, 1, 1};
  if (how % 8 == 1) H5Pset_layout(creation, H5D_COMPACT);
  if (how % 8 == 2) H5Pset_external(creation, "/etc/passwd", 0, H5F_UNLIMITED);
  if (how % 8 == 3) H5Pset_virtual(creation, space, "/etc/passwd", "hu", space);
  if (how % 8 < 4) return creation;
  for (int i = 0; i < rank; i++) {
    unsigned side = fuzz_byte(in);
    chunk[i] = side == 255 ? 65536 : side == 0 || side > dims[i] ? (dims[i] ? dims[i] : 1) : side;
  }
  H5Pset_chunk(creation, rank, chunk);
  if (how & 8) H5Pset_shuffle(creation);
  if (how & 16) H5Pset_deflate(creation, 1);
  if (how & 32) H5Pset_fletcher32(creation);
  if (how & 64) H5Pset_filter(creation, 32000, H5Z_FLAG_OPTIONAL, 0, NULL);
  if (how & 128) H5Pset_nbit(creation);
  return creation;
}

/* Some dims: those it had, or others. */
static inline int h5_dims(struct fuzz_bytes *in, hid_t was, hsize_t dims[8]) {
  hsize_t old[H5S_MAX_RANK];
  int rank = was < 0 ? 0 : H5Sget_simple_extent_ndims(was);
  if (rank > 4) rank = 4;
  if (rank > 0) H5Sget_simple_extent_dims(was, old, NULL);
  for (int i = 0; i < rank; i++) dims[i] = old[i];
  unsigned how = fuzz_byte(in);
  if (how >= 128) return rank;
  if (how % 4 == 0) rank = (int)(how / 4 % 5);
  for (int i = 0; i < rank; i++) {
    unsigned size = fuzz_byte(in);
    dims[i] = size == 255 ? 10000000 : size == 254 ? ~(hsize_t)0 >> 9 : size % 9;
  }
  return rank;
}

/* Puts a dataset where there is none; its values are what is left of the input, again and again. */
static inline void h5_put(hid_t file, const char *name, hid_t was, struct fuzz_bytes *in) {
  hsize_t dims[H5S_MAX_RANK];
  int rank = h5_dims(in, was, dims);
  hid_t type = h5_type(in),
        space = rank > 0 ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
  hid_t creation = h5_layout(in, rank, dims, space), links = H5Pcreate(H5P_LINK_CREATE);
  /* Packing long doubles by nbit HDF5 overruns a buffer of its own. */
  if (H5Tequal(type, H5T_NATIVE_LDOUBLE) > 0) H5Premove_filter(creation, H5Z_FILTER_NBIT);
  hid_t set = H5Dcreate2(file, name, type, space, links, creation, H5P_DEFAULT);
  double values = H5Sget_simple_extent_type(space) == H5S_SIMPLE || rank == 0 ? 1 : 0;
  for (int i = 0; i < rank; i++) values *= (double)dims[i];
  size_t bytes = H5Tget_size(type), n = 0;
  if (set >= 0 && values * (double)bytes < 1 << 20 && values > 0 && fuzz_byte(in) % 8 &&
      H5Tdetect_class(type, H5T_REFERENCE) <= 0 && H5Tis_variable_str(type) <= 0 &&
      H5Pget_layout(creation) != H5D_VIRTUAL && H5Pget_external_count(creation) == 0) {
    n = (size_t)values * bytes;
    /* Not as packed; HDF5 itself overruns its buffer where no filter lets the length vary. */
    if (H5Pget_layout(creation) == H5D_CHUNKED && H5Pget_nfilters(creation) > 0 &&
        fuzz_byte(in) % 4 == 0) {
      const hsize_t first[H5S_MAX_RANK] = {0};
      H5Dwrite_chunk(set, H5P_DEFAULT, fuzz_byte(in) % 4, first, in->size,
                     in->size ? in->data : (const void *)"");
    } else {
      uint8_t *values_written = calloc(n, 1);
      for (size_t i = 0; values_written && i < n && in->size > 0; i++)
        values_written[i] = in->data[i % in->size];
      H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values_written);
      free(values_written);
    }
  }
  if (set >= 0) H5Dclose(set);
  H5Pclose(links);
  H5Pclose(creation);
  H5Sclose(space);
  H5Tclose(type);
}

static inline void h5_change_dataset(hid_t file, const char *name, struct fuzz_bytes *in) {
  hid_t old = H5Dopen2(file, name, H5P_DEFAULT), was = old < 0 ? -1 : H5Dget_space(old);
  if (old >= 0) H5Dclose(old);
  H5Ldelete(file, name, H5P_DEFAULT);
  switch (fuzz_byte(in) % 8) {
  case 0:
    break;
  case 1:
    H5Lcreate_external("/etc/passwd", "/hu", file, name, H5P_DEFAULT, H5P_DEFAULT);
    break;
  case 2:
    H5Lcreate_soft("/elsewhere", file, name, H5P_DEFAULT, H5P_DEFAULT);
    break;
  case 3: {
    hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group >= 0) H5Gclose(group);
    break;
  }
  default:
    h5_put(file, name, was, in);
  }
  if (was >= 0) H5Sclose(was);
}

/* An attribute of the root; the names are those of the program's files. */
static inline void h5_change_attribute(hid_t file, struct fuzz_bytes *in) {
  static const char *const names[] = {"content",        "schema_version", "weights_trained",
                                      "spacing_mm",     "result_key",     "architecture",
                                      "weights_sha256", "notice"};
  const char *name = names[fuzz_byte(in) % 8];
  hsize_t dims[8];
  H5Adelete(file, name);
  if (fuzz_byte(in) % 4 == 0) return;
  int rank = h5_dims(in, -1, dims);
  hid_t type = h5_type(in),
        space = rank > 0 ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
  double values = 1;
  for (int i = 0; i < rank; i++) values *= (double)dims[i];
  size_t bytes = H5Tget_size(type);
  if (space >= 0 && values * (double)bytes < 60000) {
    hid_t made = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    size_t n = (size_t)values * bytes;
    uint8_t *data = calloc(n + 1, 1);
    for (size_t i = 0; data && i < n && in->size > 0; i++) data[i] = in->data[i % in->size];
    if (made >= 0 && H5Tis_variable_str(type) <= 0 && H5Tdetect_class(type, H5T_REFERENCE) <= 0)
      H5Awrite(made, type, data);
    free(data);
    if (made >= 0) H5Aclose(made);
  }
  H5Sclose(space);
  H5Tclose(type);
}

/* Writes the good file, changed; returns its path. */
static inline const char *h5_changed(const struct h5_good *good, const uint8_t *data, size_t size) {
  struct fuzz_bytes in = {data, size};
  const char *path = fuzz_path(".h5");
  fuzz_write(path, good->bytes, good->size);
  hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
  if (file < 0) abort();
  for (int i = 0; i < H5_CHANGES && in.size > 0; i++) {
    unsigned which = fuzz_byte(&in);
    if (which >= 192)
      h5_change_attribute(file, &in);
    else
      h5_change_dataset(file, good->names[which % good->n], &in);
  }
  if (H5Fclose(file) < 0) abort();
  return path;
}
