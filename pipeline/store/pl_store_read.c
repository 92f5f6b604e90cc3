/* Reads a result store back, checking every rank and size, and finds the results below a folder. */
#include "pipeline/store/pl_store.h"

#include <dirent.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"

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
  hid_t type = text_type(PL_NAME_SIZE);
  char *names = read_array(r, name, type, PL_NAME_SIZE, 1, n);
  H5Tclose(type);
  for (size_t i = 0; names && i < *n; i++) names[i * PL_NAME_SIZE + PL_NAME_SIZE - 1] = '\0';
  return names;
}

/* Results without such nodules have no such group. */
static void read_left_out(struct reading *r, struct pl_result *result) {
  size_t n;
  if (r->status != LC_OK || H5Lexists(r->file, "left_out", H5P_DEFAULT) <= 0) return;
  char(*names)[PL_NAME_SIZE] = read_names(r, "left_out/nodule", &n);
  if (r->status == LC_OK)
    r->status = lc_alloc(&result->left_out, n, sizeof *result->left_out, r->err);
  for (size_t i = 0; r->status == LC_OK && i < n; i++, result->n_left_out++)
    lc_text_copy(result->left_out[i].nodule, sizeof result->left_out[i].nodule, names[i]);
  free(names);
}

static void read_views(struct reading *r, struct pl_result *result) {
  char(*names)[PL_NAME_SIZE] = read_names(r, "axes/view", &result->n_views);
  if (result->n_views > CT_VIEW_COUNT) fail(r, "axes/view", "at most three views");
  for (size_t i = 0; names && r->status == LC_OK && i < result->n_views; i++) {
    int view = 0;
    while (view < CT_VIEW_COUNT && strcmp(ct_view_name((ct_view)view), names[i]) != 0) view++;
    if (view == CT_VIEW_COUNT) fail(r, "axes/view", "axial, coronal or sagittal");
    result->views[i] = (ct_view)(view % CT_VIEW_COUNT);
  }
  free(names);
}

static void read_root(struct reading *r, struct pl_result *result) {
  struct pl_provenance *provenance = &result->provenance;
  const size_t architecture = 256;
  char content[64];
  read_text(r, "/", "content", content, sizeof content);
  if (r->status == LC_OK && strcmp(content, "lungcdam result of one series") != 0)
    fail(r, "content", "the result of one series");
  long long version = read_integer(r, "schema_version");
  if (r->status == LC_OK && version > PL_STORE_SCHEMA)
    r->status =
        lc_fail(r->err, LC_ERR_UNSUPPORTED, __FILE__, __LINE__,
                "%s: layout %lld, this program reads up to %d", r->path, version, PL_STORE_SCHEMA);
  provenance->trained = read_integer(r, "weights_trained") != 0;
  read_text(r, "/", "weights_sha256", provenance->weights_sha256, LC_SHA256_HEX);
  read_text(r, "/", "configuration_sha256", provenance->configuration_sha256, LC_SHA256_HEX);
  read_text(r, "/", "result_key", result->key, LC_SHA256_HEX);
  read_text(r, "/", "input_manifest_sha256", result->input_manifest_sha256, LC_SHA256_HEX);
  read_text(r, "/", "nodule_source_sha256", result->nodule_source_sha256, LC_SHA256_HEX);
  read_text(r, "series", "SeriesInstanceUID", result->series_instance_uid, CT_UID_SIZE);
  if (r->status == LC_OK) r->status = lc_alloc(&result->architecture, architecture, 1, r->err);
  if (r->status != LC_OK) return;
  read_text(r, "/", "architecture", result->architecture, architecture);
  provenance->architecture = result->architecture;
}

/* Names and centres. */
static void read_nodules(struct reading *r, struct pl_result *result) {
  struct ct_nodule_list *list = &result->nodules;
  size_t n;
  char(*names)[PL_NAME_SIZE] = read_names(r, "axes/nodule", &n);
  const size_t centres[] = {n, 3};
  double *centre =
      read_array(r, "nodules/centre_mm", H5T_NATIVE_DOUBLE, sizeof *centre, 2, centres);
  if (r->status == LC_OK) r->status = lc_alloc(&list->nodules, n, sizeof *list->nodules, r->err);
  if (r->status == LC_OK) r->status = lc_alloc(&result->cubes, n, sizeof *result->cubes, r->err);
  for (size_t i = 0; r->status == LC_OK && i < n; i++, list->n_nodules++) {
    lc_text_copy(list->nodules[i].id, sizeof list->nodules[i].id, names[i]);
    memcpy(list->nodules[i].centre_mm, centre + 3 * i, sizeof list->nodules[i].centre_mm);
    memcpy(result->cubes[i].centre_mm, centre + 3 * i, sizeof result->cubes[i].centre_mm);
  }
  free(names);
  free(centre);
}

static void read_axes(struct reading *r, struct pl_result *result) {
  size_t edge, shape[5];
  result->output_names = read_names(r, "axes/output", &result->n_outputs);
  result->target_names = read_names(r, "axes/target", &result->maps.targets);
  read_left_out(r, result);
  read_views(r, result);
  hid_t set = open_dataset(r, "axes/x_mm", 1, &edge);
  if (set >= 0) H5Dclose(set);
  if (edge < 2) fail(r, "axes/x_mm", "at least two samples");
  double *x = read_array(r, "axes/x_mm", H5T_NATIVE_DOUBLE, sizeof *x, 1, &edge);
  if (x && r->status == LC_OK) result->step_mm = x[1] - x[0];
  if (r->status == LC_OK && !(result->step_mm > 0)) fail(r, "axes/x_mm", "rising offsets");
  free(x);
  for (size_t i = 0; i < result->nodules.n_nodules; i++) {
    result->cubes[i].edge = edge;
    result->cubes[i].spacing_mm = result->step_mm;
  }
  set = open_dataset(r, "explanation/cdam", 5, shape);
  if (set >= 0) H5Dclose(set);
  result->maps.images = result->nodules.n_nodules * result->n_views;
  result->maps.grid_height = r->status == LC_OK ? shape[3] : 0;
  result->maps.grid_width = r->status == LC_OK ? shape[4] : 0;
}

static size_t edge_of(const struct pl_result *result) {
  return result->nodules.n_nodules > 0 ? result->cubes[0].edge : 0;
}

/* Gives each cube its part of an array of all; the field is at `offset` in a cube. */
static void read_cubes(struct reading *r, struct pl_result *result, const char *name, hid_t type,
                       size_t element, size_t offset, const uint8_t *given) {
  size_t n = result->nodules.n_nodules, edge = edge_of(result);
  const size_t cubes[] = {n, edge, edge, edge};
  unsigned char *all = read_array(r, name, type, element, 4, cubes);
  size_t bytes = edge * edge * edge * element;
  for (size_t i = 0; all && r->status == LC_OK && i < n; i++) {
    void *part = NULL;
    if (given && !given[i]) continue;
    r->status = lc_alloc(&part, 1, bytes, r->err);
    if (r->status != LC_OK) break;
    memcpy(part, all + i * bytes, bytes);
    memcpy((char *)&result->cubes[i] + offset, &part, sizeof part);
  }
  free(all);
}

static void read_numbers(struct reading *r, struct pl_result *result) {
  size_t n = result->nodules.n_nodules;
  const struct cdam_maps *m = &result->maps;
  const size_t outputs[] = {n, result->n_outputs};
  const size_t maps[] = {n, result->n_views, m->targets, m->grid_height, m->grid_width};
  result->mean_logit =
      read_array(r, "prediction/mean_logit", H5T_NATIVE_FLOAT, sizeof(float), 2, outputs);
  result->probability =
      read_array(r, "prediction/probability", H5T_NATIVE_FLOAT, sizeof(float), 2, outputs);
  result->maps.scores = read_array(r, "explanation/cdam", H5T_NATIVE_FLOAT, sizeof(float), 5, maps);
  uint8_t *has_mask = read_array(r, "cube/has_mask", H5T_NATIVE_UINT8, 1, 1, &n);
  read_cubes(r, result, "cube/mask", H5T_NATIVE_UINT8, 1, offsetof(struct ct_cube, mask), has_mask);
  free(has_mask);
}

static lc_status open_store(struct reading *r, const char *path, struct lc_error *err) {
  *r = (struct reading){.path = path, .err = err};
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  r->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (r->file < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: not an HDF5 file, expected a result store", path);
  return LC_OK;
}

lc_status pl_store_read(struct pl_result *result, const char *path, struct lc_error *err) {
  struct reading r;
  memset(result, 0, sizeof *result);
  if (!lc_file_exists(path)) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no such result store", path);
  lc_text_copy(result->path, sizeof result->path, path);
  LC_TRY(open_store(&r, path, err));
  read_root(&r, result);
  read_nodules(&r, result);
  read_axes(&r, result);
  read_numbers(&r, result);
  H5Fclose(r.file);
  if (r.status != LC_OK) pl_result_free(result);
  return r.status;
}

lc_status pl_store_read_hu(struct pl_result *result, struct lc_error *err) {
  struct reading r;
  LC_TRY(open_store(&r, result->path, err));
  read_cubes(&r, result, "cube/hu", H5T_NATIVE_FLOAT, sizeof(float), offsetof(struct ct_cube, hu),
             NULL);
  H5Fclose(r.file);
  return r.status;
}

static int not_hidden(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

lc_status pl_store_find(const char *path, struct pl_list *folders, struct lc_error *err) {
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
