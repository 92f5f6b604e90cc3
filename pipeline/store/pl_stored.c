/* Reads a result store back, checking every rank and size, and finds the results below a folder. */
#include "pipeline/store/pl_stored.h"

#include <dirent.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "pipeline/store/pl_store.h"

#define LARGEST_BYTES ((size_t)1 << 30)
#define MAX_RANK 5

/* One file being read; the first failure stays. */
struct reading {
  const char *path;
  hid_t file;
  lc_status status;
  struct lc_error *err;
};

static void fail(struct reading *r, const char *name, const char *expected) {
  if (r->status == LC_OK)
    r->status = lc_fail(r->err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: %s: expected %s", r->path,
                        name, expected);
}

static hid_t text_type(size_t width) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, width);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

/* Text attribute of an object; longer ones are cut. */
static void read_text(struct reading *r, const char *object, const char *name, char *out,
                      size_t size) {
  out[0] = '\0';
  if (r->status != LC_OK) return;
  if (H5Aexists_by_name(r->file, object, name, H5P_DEFAULT) <= 0) {
    fail(r, name, "an attribute");
    return;
  }
  hid_t made = H5Aopen_by_name(r->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
  hid_t stored = H5Aget_type(made), type = text_type(size - 1);
  bool fixed = H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) == 0;
  if (!fixed || H5Aread(made, type, out) < 0) fail(r, name, "a text of fixed length");
  out[size - 1] = '\0';
  H5Tclose(type);
  H5Tclose(stored);
  H5Aclose(made);
}

static long long read_integer(struct reading *r, const char *name) {
  long long value = 0;
  if (r->status != LC_OK) return 0;
  hid_t made = H5Aexists(r->file, name) > 0 ? H5Aopen(r->file, name, H5P_DEFAULT) : H5I_INVALID_HID;
  hid_t space = made < 0 ? H5I_INVALID_HID : H5Aget_space(made);
  if (space < 0 || H5Sget_simple_extent_npoints(space) != 1 ||
      H5Aread(made, H5T_NATIVE_LLONG, &value) < 0)
    fail(r, name, "a whole number");
  if (space >= 0) H5Sclose(space);
  if (made >= 0) H5Aclose(made);
  return value;
}

/* Shape of a dataset whose rank is known; dims stay zero after a failure. */
static hid_t open_dataset(struct reading *r, const char *name, size_t rank, size_t *dims) {
  memset(dims, 0, rank * sizeof *dims);
  if (r->status != LC_OK) return H5I_INVALID_HID;
  hid_t set = H5Lexists(r->file, name, H5P_DEFAULT) > 0 ? H5Dopen2(r->file, name, H5P_DEFAULT)
                                                        : H5I_INVALID_HID;
  hid_t space = set < 0 ? H5I_INVALID_HID : H5Dget_space(set);
  hsize_t size[MAX_RANK];
  if (space < 0 || H5Sget_simple_extent_ndims(space) != (int)rank ||
      H5Sget_simple_extent_dims(space, size, NULL) < 0) {
    fail(r, name, "a dataset of the layout's rank");
    if (set >= 0) H5Dclose(set);
    set = H5I_INVALID_HID;
  } else {
    for (size_t i = 0; i < rank; i++) dims[i] = (size_t)size[i];
  }
  if (space >= 0) H5Sclose(space);
  return set;
}

/* Reads a dataset of exactly these dimensions into new memory. */
static void *read_array(struct reading *r, const char *name, hid_t type, size_t element,
                        size_t rank, const size_t *expected) {
  size_t dims[MAX_RANK], bytes = element;
  hid_t set = open_dataset(r, name, rank, dims);
  if (set < 0) return NULL;
  void *data = NULL;
  if (memcmp(dims, expected, rank * sizeof *dims) != 0)
    fail(r, name, "the size that the axes give");
  for (size_t i = 0; i < rank && r->status == LC_OK; i++)
    if (dims[i] == 0 || __builtin_mul_overflow(bytes, dims[i], &bytes) || bytes > LARGEST_BYTES)
      fail(r, name, "1 byte to 1 GiB");
  if (r->status == LC_OK) r->status = lc_alloc(&data, 1, bytes, r->err);
  if (r->status == LC_OK && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
    fail(r, name, "readable values");
  H5Dclose(set);
  return data;
}

/* Names along one axis: [n] texts. */
static void *read_names(struct reading *r, const char *name, size_t *n) {
  hid_t set = open_dataset(r, name, 1, n);
  if (set >= 0) H5Dclose(set);
  hid_t type = text_type(PL_STORED_NAME);
  char *names = read_array(r, name, type, PL_STORED_NAME, 1, n);
  H5Tclose(type);
  for (size_t i = 0; names && i < *n; i++) names[i * PL_STORED_NAME + PL_STORED_NAME - 1] = '\0';
  return names;
}

/* Results without such nodules have no such group. */
static void read_left_out(struct reading *r, struct pl_stored *stored) {
  if (r->status != LC_OK || H5Lexists(r->file, "left_out", H5P_DEFAULT) <= 0) return;
  stored->left_out = read_names(r, "left_out/nodule", &stored->n_left_out);
}

static void read_views(struct reading *r, struct pl_stored *stored) {
  char(*names)[PL_STORED_NAME] = read_names(r, "axes/view", &stored->n_views);
  if (stored->n_views > CT_VIEW_COUNT) fail(r, "axes/view", "at most three views");
  for (size_t i = 0; names && r->status == LC_OK && i < stored->n_views; i++) {
    int view = 0;
    while (view < CT_VIEW_COUNT && strcmp(ct_view_name((ct_view)view), names[i]) != 0) view++;
    if (view == CT_VIEW_COUNT) fail(r, "axes/view", "axial, coronal or sagittal");
    stored->views[i] = (ct_view)(view % CT_VIEW_COUNT);
  }
  free(names);
}

static void read_root(struct reading *r, struct pl_stored *stored) {
  char content[64];
  read_text(r, "/", "content", content, sizeof content);
  if (r->status == LC_OK && strcmp(content, "lungcdam result of one series") != 0)
    fail(r, "content", "the result of one series");
  long long version = read_integer(r, "schema_version");
  if (r->status == LC_OK && version > PL_STORE_SCHEMA)
    r->status =
        lc_fail(r->err, LC_ERR_UNSUPPORTED, __FILE__, __LINE__,
                "%s: layout %lld, this program reads up to %d", r->path, version, PL_STORE_SCHEMA);
  stored->trained = read_integer(r, "weights_trained") != 0;
  read_text(r, "/", "weights_sha256", stored->weights_sha256, LC_SHA256_HEX);
  read_text(r, "/", "configuration_sha256", stored->configuration_sha256, LC_SHA256_HEX);
  read_text(r, "/", "result_key", stored->result_key, LC_SHA256_HEX);
  read_text(r, "/", "input_manifest_sha256", stored->input_manifest_sha256, LC_SHA256_HEX);
  read_text(r, "/", "nodule_source_sha256", stored->nodule_source_sha256, LC_SHA256_HEX);
  read_text(r, "/", "architecture", stored->architecture, sizeof stored->architecture);
  read_text(r, "series", "SeriesInstanceUID", stored->series_instance_uid, PL_STORED_NAME);
}

static void read_axes(struct reading *r, struct pl_stored *stored) {
  stored->nodules = read_names(r, "axes/nodule", &stored->n_nodules);
  stored->outputs = read_names(r, "axes/output", &stored->n_outputs);
  stored->targets = read_names(r, "axes/target", &stored->n_targets);
  read_left_out(r, stored);
  read_views(r, stored);
  hid_t set = open_dataset(r, "axes/x_mm", 1, &stored->edge);
  if (set >= 0) H5Dclose(set);
  if (stored->edge < 2) fail(r, "axes/x_mm", "at least two samples");
  double *x = read_array(r, "axes/x_mm", H5T_NATIVE_DOUBLE, sizeof *x, 1, &stored->edge);
  if (x && r->status == LC_OK) stored->spacing_mm = x[1] - x[0];
  if (r->status == LC_OK && !(stored->spacing_mm > 0)) fail(r, "axes/x_mm", "rising offsets");
  free(x);
  size_t shape[5];
  set = open_dataset(r, "explanation/cdam", 5, shape);
  if (set >= 0) H5Dclose(set);
  stored->grid_height = r->status == LC_OK ? shape[3] : 0;
  stored->grid_width = r->status == LC_OK ? shape[4] : 0;
}

static void read_numbers(struct reading *r, struct pl_stored *stored) {
  size_t n = stored->n_nodules, edge = stored->edge;
  const size_t centre[] = {n, 3}, outputs[] = {n, stored->n_outputs};
  const size_t maps[] = {n, stored->n_views, stored->n_targets, stored->grid_height,
                         stored->grid_width};
  const size_t cubes[] = {n, edge, edge, edge};
  stored->centre_mm =
      read_array(r, "nodules/centre_mm", H5T_NATIVE_DOUBLE, sizeof(double), 2, centre);
  stored->mean_logit =
      read_array(r, "prediction/mean_logit", H5T_NATIVE_FLOAT, sizeof(float), 2, outputs);
  stored->probability =
      read_array(r, "prediction/probability", H5T_NATIVE_FLOAT, sizeof(float), 2, outputs);
  stored->scores = read_array(r, "explanation/cdam", H5T_NATIVE_FLOAT, sizeof(float), 5, maps);
  stored->mask = read_array(r, "cube/mask", H5T_NATIVE_UINT8, 1, 4, cubes);
  stored->has_mask = read_array(r, "cube/has_mask", H5T_NATIVE_UINT8, 1, 1, &n);
}

lc_status pl_stored_read(struct pl_stored *stored, const char *path, struct lc_error *err) {
  memset(stored, 0, sizeof *stored);
  if (!lc_file_exists(path)) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no such result store", path);
  lc_text_copy(stored->path, sizeof stored->path, path);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  struct reading r = {.path = path, .err = err};
  r.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (r.file < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: not an HDF5 file, expected a result store", path);
  read_root(&r, stored);
  read_axes(&r, stored);
  read_numbers(&r, stored);
  H5Fclose(r.file);
  if (r.status != LC_OK) pl_stored_free(stored);
  return r.status;
}

lc_status pl_stored_read_hu(const struct pl_stored *stored, float **hu, struct lc_error *err) {
  const size_t cubes[] = {stored->n_nodules, stored->edge, stored->edge, stored->edge};
  struct reading r = {.path = stored->path, .err = err};
  *hu = NULL;
  r.file = H5Fopen(stored->path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (r.file < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: not an HDF5 file, expected a result store", stored->path);
  *hu = read_array(&r, "cube/hu", H5T_NATIVE_FLOAT, sizeof **hu, 4, cubes);
  H5Fclose(r.file);
  if (r.status == LC_OK) return LC_OK;
  free(*hu);
  *hu = NULL;
  return r.status;
}

void pl_stored_free(struct pl_stored *stored) {
  free(stored->nodules);
  free(stored->outputs);
  free(stored->targets);
  free(stored->left_out);
  free(stored->centre_mm);
  free(stored->mean_logit);
  free(stored->probability);
  free(stored->scores);
  free(stored->mask);
  free(stored->has_mask);
  memset(stored, 0, sizeof *stored);
}

struct ct_cube pl_stored_cube(const struct pl_stored *stored, size_t nodule) {
  struct ct_cube cube = {.edge = stored->edge, .spacing_mm = stored->spacing_mm};
  memcpy(cube.centre_mm, stored->centre_mm + 3 * nodule, sizeof cube.centre_mm);
  return cube;
}

static int not_hidden(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

lc_status pl_stored_find(const char *path, struct pl_list *folders, struct lc_error *err) {
  char inside[LC_PATH_SIZE], store[LC_PATH_SIZE];
  LC_TRY(lc_path_join(store, path, PL_STORE_FILE, err));
  if (lc_file_exists(store)) return pl_list_add(folders, path, err);
  struct dirent **entries;
  int n = scandir(path, &entries, not_hidden, alphasort);
  if (n < 0) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no such folder of results", path);
  lc_status status = LC_OK;
  size_t before = folders->n;
  for (int i = 0; i < n; i++) {
    if (status == LC_OK) status = lc_path_join(inside, path, entries[i]->d_name, err);
    if (status == LC_OK) status = lc_path_join(store, inside, PL_STORE_FILE, err);
    if (status == LC_OK && lc_file_exists(store)) status = pl_list_add(folders, inside, err);
    free(entries[i]);
  }
  free(entries);
  if (status == LC_OK && folders->n == before)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: holds no result (%s) of a series", path, PL_STORE_FILE);
  return status;
}
