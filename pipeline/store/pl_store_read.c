/* Reads a result store back, checking every rank and size, and finds the results below a folder. */
#include "pipeline/store/pl_store.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/store/pl_h5.h"

#define LARGEST_BYTES ((size_t)1 << 30)

/* Names along one axis: [n] texts. */
static void *read_names(struct pl_h5_in *in, const char *name, size_t *n) {
  pl_h5_shape(in, name, 1, n);
  return pl_h5_read_texts(in, name, PL_NAME_SIZE, 1, n);
}

/* Results without such nodules have no such group. */
static void read_left_out(struct pl_h5_in *in, struct pl_result *result) {
  size_t n;
  if (in->status != LC_OK || !pl_h5_has(in, "left_out")) return;
  LC_FREED char(*names)[PL_NAME_SIZE] = read_names(in, "left_out/nodule", &n);
  if (in->status == LC_OK)
    in->status = lc_alloc(&result->left_out, n, sizeof *result->left_out, in->err);
  for (size_t i = 0; in->status == LC_OK && i < n; i++, result->n_left_out++)
    lc_text_copy(result->left_out[i].nodule, sizeof result->left_out[i].nodule, names[i]);
}

static void read_views(struct pl_h5_in *in, struct pl_result *result) {
  LC_FREED char(*names)[PL_NAME_SIZE] = read_names(in, "axes/view", &result->n_views);
  if (result->n_views > CT_VIEW_COUNT) pl_h5_expect(in, "axes/view", "at most three views");
  for (size_t i = 0; in->status == LC_OK && i < result->n_views; i++) {
    int view = 0;
    while (view < CT_VIEW_COUNT && strcmp(ct_view_name((ct_view)view), names[i]) != 0) view++;
    if (view == CT_VIEW_COUNT) pl_h5_expect(in, "axes/view", "axial, coronal or sagittal");
    result->views[i] = (ct_view)(view % CT_VIEW_COUNT);
  }
}

static void read_root(struct pl_h5_in *in, struct pl_result *result) {
  struct pl_provenance *provenance = &result->provenance;
  const size_t architecture = 256;
  char content[64];
  pl_h5_read_text(in, "/", "content", content, sizeof content);
  if (strcmp(content, "lungcdam result of one series") != 0)
    pl_h5_expect(in, "content", "the result of one series");
  double version = pl_h5_read_number(in, "schema_version", NAN);
  double trained = pl_h5_read_number(in, "weights_trained", NAN);
  if (isnan(version) || isnan(trained))
    pl_h5_expect(in, isnan(version) ? "schema_version" : "weights_trained", "a whole number");
  if (in->status == LC_OK && version > PL_STORE_SCHEMA)
    in->status =
        lc_fail(in->err, LC_ERR_UNSUPPORTED, __FILE__, __LINE__,
                "%s: layout %g, this program reads up to %d", in->path, version, PL_STORE_SCHEMA);
  provenance->trained = trained != 0;
  pl_h5_read_text(in, "/", "weights_sha256", provenance->weights_sha256, LC_SHA256_HEX);
  pl_h5_read_text(in, "/", "configuration_sha256", provenance->configuration_sha256, LC_SHA256_HEX);
  pl_h5_read_text(in, "/", "result_key", result->key, LC_SHA256_HEX);
  pl_h5_read_text(in, "/", "input_manifest_sha256", result->input_manifest_sha256, LC_SHA256_HEX);
  pl_h5_find_text(in, "/", "identity_sha256", result->identity_sha256, LC_SHA256_HEX);
  pl_h5_find_text(in, "/", "model_name", provenance->model_name, sizeof provenance->model_name);
  pl_h5_find_text(in, "/", "model_version", provenance->model_version,
                  sizeof provenance->model_version);
  pl_h5_read_text(in, "/", "nodule_source_sha256", result->nodule_source_sha256, LC_SHA256_HEX);
  pl_h5_read_text(in, "series", "SeriesInstanceUID", result->series_instance_uid, CT_UID_SIZE);
  if (in->status == LC_OK) in->status = lc_alloc(&result->architecture, architecture, 1, in->err);
  if (in->status != LC_OK) return;
  pl_h5_read_text(in, "/", "architecture", result->architecture, architecture);
  provenance->architecture = result->architecture;
  if (*provenance->model_name) return;
  lc_text_copy(provenance->model_name, sizeof provenance->model_name, result->architecture);
  provenance->model_name[strcspn(provenance->model_name, ":")] = '\0';
}

/* Names and centres. */
static void read_nodules(struct pl_h5_in *in, struct pl_result *result) {
  struct ct_nodule_list *list = &result->nodules;
  size_t n;
  LC_FREED char(*names)[PL_NAME_SIZE] = read_names(in, "axes/nodule", &n);
  LC_FREED double *centre =
      pl_h5_read(in, "nodules/centre_mm", PL_H5_F64, 2, (const size_t[]){n, 3});
  if (in->status == LC_OK) in->status = lc_alloc(&list->nodules, n, sizeof *list->nodules, in->err);
  if (in->status == LC_OK) in->status = lc_alloc(&result->cubes, n, sizeof *result->cubes, in->err);
  for (size_t i = 0; in->status == LC_OK && i < n; i++, list->n_nodules++) {
    lc_text_copy(list->nodules[i].id, sizeof list->nodules[i].id, names[i]);
    memcpy(list->nodules[i].centre_mm, centre + 3 * i, sizeof list->nodules[i].centre_mm);
    memcpy(result->cubes[i].centre_mm, centre + 3 * i, sizeof result->cubes[i].centre_mm);
  }
}

static void read_axes(struct pl_h5_in *in, struct pl_result *result) {
  size_t edge, shape[5];
  result->output_names = read_names(in, "axes/output", &result->n_outputs);
  result->target_names = read_names(in, "axes/target", &result->maps.targets);
  read_left_out(in, result);
  read_views(in, result);
  pl_h5_shape(in, "axes/x_mm", 1, &edge);
  if (edge < 2) pl_h5_expect(in, "axes/x_mm", "at least two samples");
  LC_FREED double *x = pl_h5_read(in, "axes/x_mm", PL_H5_F64, 1, &edge);
  if (in->status == LC_OK) result->step_mm = x[1] - x[0];
  if (!(result->step_mm > 0)) pl_h5_expect(in, "axes/x_mm", "rising offsets");
  for (size_t i = 0; i < result->nodules.n_nodules; i++) {
    result->cubes[i].edge = edge;
    result->cubes[i].spacing_mm = result->step_mm;
  }
  pl_h5_shape(in, "explanation/cdam", 5, shape);
  result->maps.images = result->nodules.n_nodules * result->n_views;
  result->maps.grid_height = shape[3];
  result->maps.grid_width = shape[4];
}

/* Gives each cube its part of an array of all; the field is at `offset` in a cube. */
static void read_cubes(struct pl_h5_in *in, struct pl_result *result, const char *name,
                       enum pl_h5_type type, size_t element, size_t offset, const uint8_t *given) {
  size_t n = result->nodules.n_nodules, edge = n > 0 ? result->cubes[0].edge : 0;
  size_t bytes = edge * edge * edge * element;
  LC_FREED unsigned char *all =
      pl_h5_read(in, name, type, 4, (const size_t[]){n, edge, edge, edge});
  for (size_t i = 0; in->status == LC_OK && i < n; i++) {
    void *part = NULL;
    if (given && !given[i]) continue;
    in->status = lc_alloc(&part, 1, bytes, in->err);
    if (in->status != LC_OK) return;
    memcpy(part, all + i * bytes, bytes);
    memcpy((char *)&result->cubes[i] + offset, &part, sizeof part);
  }
}

static void read_numbers(struct pl_h5_in *in, struct pl_result *result) {
  size_t n = result->nodules.n_nodules;
  const struct cdam_maps *m = &result->maps;
  const size_t outputs[] = {n, result->n_outputs};
  const size_t maps[] = {n, result->n_views, m->targets, m->grid_height, m->grid_width};
  result->mean_logit = pl_h5_read(in, "prediction/mean_logit", PL_H5_F32, 2, outputs);
  result->probability = pl_h5_read(in, "prediction/probability", PL_H5_F32, 2, outputs);
  result->maps.scores = pl_h5_read(in, "explanation/cdam", PL_H5_F32, 5, maps);
  LC_FREED uint8_t *has_mask = pl_h5_read(in, "cube/has_mask", PL_H5_U8, 1, &n);
  read_cubes(in, result, "cube/mask", PL_H5_U8, 1, offsetof(struct ct_cube, mask), has_mask);
}

lc_status pl_store_read(struct pl_result *result, const char *path, struct lc_error *err) {
  LC_SCOPED(pl_h5_close) struct pl_h5_in in;
  memset(result, 0, sizeof *result);
  LC_TRY(pl_h5_open(&in, path, err));
  in.most_bytes = LARGEST_BYTES;
  lc_text_copy(result->path, sizeof result->path, path);
  read_root(&in, result);
  read_nodules(&in, result);
  read_axes(&in, result);
  read_numbers(&in, result);
  if (in.status != LC_OK) pl_result_free(result);
  return in.status;
}

lc_status pl_store_read_hu(struct pl_result *result, struct lc_error *err) {
  LC_SCOPED(pl_h5_close) struct pl_h5_in in;
  LC_TRY(pl_h5_open(&in, result->path, err));
  in.most_bytes = LARGEST_BYTES;
  read_cubes(&in, result, "cube/hu", PL_H5_F32, sizeof(float), offsetof(struct ct_cube, hu), NULL);
  return in.status;
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
