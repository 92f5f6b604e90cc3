/* Builds an HDF5 file in memory with fixed conventions and writes it in one piece. */
#include "pipeline/store/pl_h5.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_helper.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/store/pl_h5_guard.h"

#define DEFLATE_LEVEL 4
#define CHUNK_BYTES_LEAST 1024 /* below, a chunk's bookkeeping is larger than what it holds */
#define GROW_BYTES ((size_t)1 << 20)
/* What a file may take in a helper. */
#define HELPER_MEMORY ((size_t)192 << 20)
#define HELPER_ANSWER 4096 /* its status */
#define HELPER_SECONDS 1.2
#define HELPER_RATE 1e8 /* bytes a second */

/* Any kind of handle. */
static void release(const hid_t *id) {
  if (*id >= 0) H5Idec_ref(*id);
}
#define HANDLE LC_SCOPED(release) hid_t

static void fail(struct pl_h5 *h5, const char *what, const char *path) {
  if (h5->failed) return;
  h5->failed = true;
  (void)lc_fail(&h5->first, LC_ERR_INTERNAL, __FILE__, __LINE__, "HDF5 cannot %s %s", what, path);
}

/* How a type lies in memory, or in the file. */
static hid_t type_of(enum pl_h5_type type, bool in_file) {
  const hid_t types[][2] = {[PL_H5_F32] = {H5T_NATIVE_FLOAT, H5T_IEEE_F32LE},
                            [PL_H5_F64] = {H5T_NATIVE_DOUBLE, H5T_IEEE_F64LE},
                            [PL_H5_I16] = {H5T_NATIVE_INT16, H5T_STD_I16LE},
                            [PL_H5_I32] = {H5T_NATIVE_INT32, H5T_STD_I32LE},
                            [PL_H5_I64] = {H5T_NATIVE_INT64, H5T_STD_I64LE},
                            [PL_H5_U8] = {H5T_NATIVE_UINT8, H5T_STD_U8LE},
                            [PL_H5_I8] = {H5T_NATIVE_INT8, H5T_STD_I8LE}};
  return types[type][in_file];
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
  pl_h5_begin();
  HANDLE access = H5Pcreate(H5P_FILE_ACCESS);
  HANDLE creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fapl_core(access, GROW_BYTES, false);
  /* The earliest superblock has no checksum: H5Fget_file_image clears flags in the copy it gives
   * and leaves the checksum of later superblocks wrong (HDF5 1.10.8). */
  H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
  H5Pset_obj_track_times(creation, false);
  h5->file = H5Fcreate("in memory", H5F_ACC_TRUNC, creation, access);
  if (h5->file < 0) fail(h5, "create", "a file in memory");
}

/* Groups first: those that HDF5 makes on the way to a dataset would keep times. */
static void make_groups(struct pl_h5 *h5, const char *path) {
  HANDLE links = H5Pcreate(H5P_LINK_CREATE);
  HANDLE creation = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  H5Pset_char_encoding(links, H5T_CSET_UTF8);
  H5Pset_obj_track_times(creation, false);
  for (const char *p = path; *p; p++) {
    if (*p != '/' || p == path) continue;
    char group[256];
    lc_text_copy(group, sizeof group, path);
    group[p - path] = '\0';
    if (H5Lexists(h5->file, group, H5P_DEFAULT) > 0) continue;
    HANDLE made = H5Gcreate2(h5->file, group, links, creation, H5P_DEFAULT);
    if (made < 0) fail(h5, "create group", group);
  }
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
  HANDLE space = H5Screate_simple((int)rank, dims, NULL);
  HANDLE creation = make_layout(rank, dims, H5Tget_size(stored));
  hid_t set = H5Dcreate2(h5->file, path, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  if (set < 0) {
    fail(h5, "create dataset", path);
  } else {
    if (data && H5Dwrite(set, given, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
      fail(h5, "write dataset", path);
    if (H5Dclose(set) < 0) fail(h5, "close dataset", path);
  }
}

void pl_h5_array(struct pl_h5 *h5, const struct pl_h5_array *array) {
  if (h5->failed) return;
  write_dataset(h5, array->path, array->rank, array->dims, type_of(array->type, true),
                type_of(array->type, false), array->data);
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
  HANDLE space = H5Dget_space(set);
  hsize_t dims[PL_H5_MAX_RANK], start[PL_H5_MAX_RANK] = {first};
  int rank = H5Sget_simple_extent_dims(space, dims, NULL);
  dims[0] = count;
  HANDLE given = rank > 0 ? H5Screate_simple(rank, dims, NULL) : -1;
  if (given < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, dims, NULL) < 0 ||
      H5Dwrite(set, type_of(type, false), given, space, H5P_DEFAULT, data) < 0)
    fail(h5, "write rows of", path);
  if (H5Dclose(set) < 0) fail(h5, "close dataset", path);
}

void pl_h5_texts(struct pl_h5 *h5, const char *path, size_t rank, const size_t *dims, size_t width,
                 const char *texts, const char *doc) {
  if (h5->failed) return;
  HANDLE type = text_type(width);
  write_dataset(h5, path, rank, dims, type, type, texts);
  pl_h5_attribute_text(h5, path, "description", doc);
}

/* Bytes of a field in the file. */
static size_t field_bytes(const struct pl_h5_field *field) {
  size_t size = field->type == PL_H5_TEXT ? 1 : H5Tget_size(type_of(field->type, true));
  return (field->rows ? field->rows : 1) * (field->columns ? field->columns : 1) * size;
}

/* The shape of a column, and how many structs it comes from. */
static size_t column_shape(const struct pl_h5_field *field, const struct pl_h5_structs *structs,
                           size_t dims[PL_H5_MAX_RANK], size_t *rank) {
  const size_t parts[] = {structs->n, structs->inner, field->rows, field->columns};
  *rank = 0;
  for (size_t i = 0; i < (field->type == PL_H5_TEXT ? 2 : 4); i++)
    if (i == 0 || parts[i] > 0) dims[(*rank)++] = parts[i];
  return structs->n * (structs->inner ? structs->inner : 1);
}

static lc_status write_field(struct pl_h5 *h5, const struct pl_h5_field *field,
                             const struct pl_h5_structs *structs, struct lc_error *err) {
  struct pl_h5_array array = {field->path, field->type, 0, {0}, NULL, field->unit, field->doc};
  size_t bytes = field_bytes(field), n = column_shape(field, structs, array.dims, &array.rank);
  LC_FREED char *column = NULL;
  LC_TRY(lc_alloc(&column, n, bytes, err));
  for (size_t i = 0; i < n; i++) {
    const char *from = (const char *)structs->data + i * structs->size + field->offset;
    memcpy(column + i * bytes, from, field->type == PL_H5_TEXT ? strnlen(from, bytes) : bytes);
  }
  array.data = column;
  if (field->type == PL_H5_TEXT)
    pl_h5_texts(h5, field->path, array.rank, array.dims, bytes, column, field->doc);
  else
    pl_h5_array(h5, &array);
  return LC_OK;
}

lc_status pl_h5_fields(struct pl_h5 *h5, const struct pl_h5_field *fields, size_t n,
                       const struct pl_h5_structs *structs, const char *scale,
                       struct lc_error *err) {
  for (size_t i = 0; i < n; i++) {
    LC_TRY(write_field(h5, &fields[i], structs, err));
    if (scale) pl_h5_attach(h5, fields[i].path, 0, scale);
  }
  return LC_OK;
}

void pl_h5_scale(struct pl_h5 *h5, const char *path) {
  if (h5->failed) return;
  HANDLE set = H5Dopen2(h5->file, path, H5P_DEFAULT);
  const char *slash = strrchr(path, '/');
  if (set < 0 || H5DSset_scale(set, slash ? slash + 1 : path) < 0)
    fail(h5, "make a scale of", path);
}

void pl_h5_attach(struct pl_h5 *h5, const char *dataset, size_t dimension, const char *scale) {
  if (h5->failed) return;
  HANDLE set = H5Dopen2(h5->file, dataset, H5P_DEFAULT);
  HANDLE other = H5Dopen2(h5->file, scale, H5P_DEFAULT);
  if (set < 0 || other < 0 || H5DSattach_scale(set, other, (unsigned)dimension) < 0)
    fail(h5, "attach a scale to", dataset);
}

static void attribute(struct pl_h5 *h5, const char *path, const char *name, hid_t stored,
                      hid_t given, const void *value) {
  if (h5->failed) return;
  HANDLE space = H5Screate(H5S_SCALAR);
  HANDLE object = H5Oopen(h5->file, path, H5P_DEFAULT);
  HANDLE made = object < 0 ? -1 : H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
  if (made < 0 || H5Awrite(made, given, value) < 0) fail(h5, "write an attribute of", path);
}

void pl_h5_attribute_text(struct pl_h5 *h5, const char *path, const char *name, const char *text) {
  HANDLE type = text_type(strlen(text));
  attribute(h5, path, name, type, type, text);
}

void pl_h5_attribute_integer(struct pl_h5 *h5, const char *path, const char *name, int64_t value) {
  attribute(h5, path, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void pl_h5_attribute_real(struct pl_h5 *h5, const char *path, const char *name, double value) {
  attribute(h5, path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void pl_h5_names(struct pl_h5 *h5, const char *path, const char *const *names, size_t n,
                 size_t width, const char *doc) {
  char *texts = calloc(n ? n : 1, width);
  if (!texts) fail(h5, "hold the names of", path);
  for (size_t i = 0; texts && i < n; i++)
    memcpy(texts + i * width, names[i], strnlen(names[i], width - 1));
  pl_h5_texts(h5, path, 1, &n, width, texts, doc);
  free(texts);
}

void pl_h5_about(struct pl_h5 *h5, const char *content, int version, const char *notice) {
  pl_h5_attribute_text(h5, "/", "content", content);
  pl_h5_attribute_integer(h5, "/", "schema_version", version);
  pl_h5_attribute_text(h5, "/", "program", "lungcdam");
  pl_h5_attribute_text(h5, "/", "program_version", pl_version());
  pl_h5_attribute_text(h5, "/", "program_commit", pl_commit());
  pl_h5_attribute_text(h5, "/", "notice", notice);
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
  LC_FREED char *image = malloc((size_t)size);
  if (!image) LC_FAIL(err, LC_ERR_MEMORY, "%s: cannot allocate %zd bytes", path, size);
  if (H5Fget_file_image(h5->file, image, (size_t)size) != size)
    LC_FAIL(err, LC_ERR_INTERNAL, "%s: HDF5 cannot copy it", path);
  return lc_file_write(path, image, (size_t)size, err);
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

/* -- reading -------------------------------------------------------------------------------- */

/* What HDF5 does with the file is tried in a helper before, where it may end badly. */
static lc_status try_in_helper(const char *path, size_t bytes, struct lc_error *err) {
  LC_SCOPED(lc_wire_free) struct lc_wire request = {0}, answer = {0};
  FILE *file = NULL;
  bool served;
  struct lc_error why;
  if (lc_file_open(path, &file, &why) != LC_OK) return LC_OK; /* HDF5 cannot open it either */
  const int descriptor = fileno(file);
  const struct lc_helper_job job = {.task = "hdf5",
                                    .path = path,
                                    .files = &descriptor,
                                    .n_files = 1,
                                    .request = &request,
                                    .memory = HELPER_MEMORY + bytes,
                                    .seconds = HELPER_SECONDS + (double)bytes / HELPER_RATE,
                                    .longest = HELPER_ANSWER};
  lc_status status = lc_helper_call(&job, &answer, &served, err);
  fclose(file);
  return status;
}

lc_status pl_h5_open(struct pl_h5_in *in, const char *path, struct lc_error *err) {
  *in = (struct pl_h5_in){.path = path, .err = err};
  struct stat info;
  if (stat(path, &info) != 0) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no such file", path);
  if (S_ISREG(info.st_mode)) LC_TRY(try_in_helper(path, (size_t)info.st_size, err));
  pl_h5_begin();
  if (S_ISREG(info.st_mode)) in->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (in->file <= 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: not an HDF5 file", path);
  in->access = pl_h5_stay_inside();
  in->bytes = (size_t)info.st_size;
  return LC_OK;
}

void pl_h5_close(struct pl_h5_in *in) {
  if (in->access > 0) H5Pclose(in->access);
  if (in->file > 0) H5Fclose(in->file);
  in->file = in->access = 0;
}

void pl_h5_expect(struct pl_h5_in *in, const char *name, const char *expected) {
  if (in->status == LC_OK)
    in->status = lc_fail(in->err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: \"%s\": expected %s",
                         in->path, name, expected);
}

size_t pl_h5_rank(struct pl_h5_in *in, const char *name) {
  HANDLE set = pl_h5_open_dataset(in, name);
  HANDLE space = set < 0 ? -1 : H5Dget_space(set);
  int rank = space < 0 ? 0 : H5Sget_simple_extent_ndims(space);
  return rank > 0 ? (size_t)rank : 0;
}

/* Opens a dataset of this rank. */
static hid_t open_set(struct pl_h5_in *in, const char *name, size_t rank, size_t *dims) {
  char expected[64];
  hsize_t size[PL_H5_MAX_RANK];
  memset(dims, 0, rank * sizeof *dims);
  if (in->status != LC_OK) return -1;
  hid_t set = pl_h5_open_dataset(in, name);
  HANDLE space = set < 0 ? -1 : H5Dget_space(set);
  if (space < 0 || H5Sget_simple_extent_ndims(space) != (int)rank ||
      H5Sget_simple_extent_dims(space, size, NULL) < 0) {
    snprintf(expected, sizeof expected, "a dataset of %zu dimension%s", rank, rank > 1 ? "s" : "");
    pl_h5_expect(in, name, expected);
    release(&set);
    return -1;
  }
  for (size_t i = 0; i < rank; i++) dims[i] = (size_t)size[i];
  return set;
}

void pl_h5_shape(struct pl_h5_in *in, const char *name, size_t rank, size_t *dims) {
  HANDLE set = open_set(in, name, rank, dims);
  (void)set;
}

/* The same of this shape. */
static hid_t open_exact(struct pl_h5_in *in, const char *name, size_t rank,
                        const size_t *expected) {
  size_t dims[PL_H5_MAX_RANK];
  hid_t set = open_set(in, name, rank, dims);
  if (set >= 0 && memcmp(dims, expected, rank * sizeof *dims) != 0) {
    LC_SCOPED(lc_text_free) struct lc_text shape = {0};
    for (size_t i = 0; i < rank; i++)
      lc_text_add(&shape, "%s%zu", i ? " x " : "the shape ", expected[i]);
    pl_h5_expect(in, name, lc_text_get(&shape));
  }
  return set;
}

static void *read_as(struct pl_h5_in *in, const char *name, hid_t set, hid_t type, size_t rank,
                     const size_t *dims, const char *what) {
  void *data = NULL;
  size_t bytes = in->status == LC_OK ? H5Tget_size(type) : 0;
  for (size_t i = 0; i < rank && in->status == LC_OK; i++)
    if (dims[i] == 0 || __builtin_mul_overflow(bytes, dims[i], &bytes) ||
        (in->most_bytes && bytes > in->most_bytes))
      pl_h5_expect(in, name, "at least one value, and no more than fit");
  if (in->status == LC_OK) in->status = lc_alloc(&data, 1, bytes, in->err);
  if (in->status == LC_OK && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
    pl_h5_expect(in, name, what);
  return data;
}

void *pl_h5_read(struct pl_h5_in *in, const char *name, enum pl_h5_type type, size_t rank,
                 const size_t *dims) {
  HANDLE set = open_exact(in, name, rank, dims);
  return read_as(in, name, set, type_of(type, false), rank, dims, "numbers");
}

/* The type of texts of this width in memory, when what is stored is texts of fixed length. */
static hid_t text_like(hid_t stored, size_t width) {
  if (stored < 0 || H5Tget_class(stored) != H5T_STRING || H5Tis_variable_str(stored) != 0)
    return -1;
  hid_t type = text_type(width);
  H5Tset_cset(type, H5Tget_cset(stored));
  return type;
}

void *pl_h5_read_texts(struct pl_h5_in *in, const char *name, size_t width, size_t rank,
                       const size_t *dims) {
  HANDLE set = open_exact(in, name, rank, dims);
  HANDLE stored = set < 0 ? -1 : H5Dget_type(set);
  HANDLE type = text_like(stored, width);
  if (type < 0) pl_h5_expect(in, name, "texts of fixed length");
  char *texts = read_as(in, name, set, type, rank, dims, "texts of fixed length");
  size_t n = texts != NULL;
  for (size_t i = 0; i < rank; i++) n *= dims[i];
  for (size_t i = 0; i < n; i++) texts[i * width + width - 1] = '\0';
  return texts;
}

void pl_h5_read_rows(struct pl_h5_in *in, const char *name, enum pl_h5_type type, size_t rank,
                     const size_t *dims, size_t first, size_t count, void *out) {
  hsize_t start[PL_H5_MAX_RANK] = {first}, size[PL_H5_MAX_RANK];
  HANDLE set = open_exact(in, name, rank, dims);
  if (in->status != LC_OK) return;
  for (size_t i = 0; i < rank; i++) size[i] = i ? dims[i] : count;
  HANDLE memory = H5Screate_simple((int)rank, size, NULL);
  HANDLE space = H5Dget_space(set);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL);
  if (H5Dread(set, type_of(type, false), memory, space, H5P_DEFAULT, out) < 0)
    pl_h5_expect(in, name, "numbers");
}

void pl_h5_read_fields(struct pl_h5_in *in, const struct pl_h5_field *fields, size_t n,
                       const struct pl_h5_structs *structs) {
  for (size_t f = 0; f < n; f++) {
    const struct pl_h5_field *field = &fields[f];
    bool text = field->type == PL_H5_TEXT;
    size_t dims[PL_H5_MAX_RANK], rank, count = column_shape(field, structs, dims, &rank);
    size_t bytes = field_bytes(field) + text;
    LC_FREED char *column = text ? pl_h5_read_texts(in, field->path, bytes, rank, dims)
                                 : pl_h5_read(in, field->path, field->type, rank, dims);
    if (in->status != LC_OK) return;
    for (size_t i = 0; i < count; i++)
      memcpy((char *)structs->data + i * structs->size + field->offset, column + i * bytes, bytes);
  }
}

/* A text attribute of fixed length; false, and "" in out, for anything else. */
static bool get_text(const struct pl_h5_in *in, const char *object, const char *name, char *out,
                     size_t size) {
  memset(out, 0, size);
  bool there = H5Aexists_by_name(in->file, object, name, in->access) > 0;
  HANDLE made = there ? H5Aopen_by_name(in->file, object, name, H5P_DEFAULT, in->access) : -1;
  HANDLE stored = pl_h5_is_text(made) ? H5Aget_type(made) : -1;
  HANDLE type = text_like(stored, size);
  bool good = type >= 0 && H5Aread(made, type, out) >= 0;
  out[good ? size - 1 : 0] = '\0';
  return good;
}

void pl_h5_read_text(struct pl_h5_in *in, const char *object, const char *name, char *out,
                     size_t size) {
  out[0] = '\0';
  if (in->status == LC_OK && !get_text(in, object, name, out, size))
    pl_h5_expect(in, name, "an attribute that is a text of fixed length");
}

void pl_h5_find_text(struct pl_h5_in *in, const char *object, const char *name, char *out,
                     size_t size) {
  out[0] = '\0';
  if (in->status == LC_OK) (void)get_text(in, object, name, out, size);
}

double pl_h5_read_number(const struct pl_h5_in *in, const char *name, double otherwise) {
  double value;
  HANDLE made = H5Aexists(in->file, name) > 0 ? H5Aopen(in->file, name, H5P_DEFAULT) : -1;
  bool there = pl_h5_is_number(made) && H5Aread(made, H5T_NATIVE_DOUBLE, &value) >= 0;
  return there ? value : otherwise;
}

lc_status pl_h5_read_attribute(const char *path, const char *name, char *out, size_t size,
                               struct lc_error *err) {
  LC_SCOPED(pl_h5_close) struct pl_h5_in in;
  out[0] = '\0';
  LC_TRY(pl_h5_open(&in, path, err));
  const char *slash = strrchr(name, '/');
  char group[64] = "/";
  if (slash) snprintf(group, sizeof group, "%.*s", (int)(slash - name), name);
  (void)get_text(&in, group, slash ? slash + 1 : name, out, size);
  return LC_OK;
}
