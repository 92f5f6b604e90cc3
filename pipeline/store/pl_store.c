/* Writes the result of one series as HDF5, reads its key, and writes the master file of external
 * links. */
#include "pipeline/store/pl_store.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/store/pl_h5.h"

#define NAME_WIDTH 64

/* Fixed-width texts, zero-padded. */
struct texts {
  char *data; /* [n, width] */
  size_t width;
};

static lc_status texts_init(struct texts *texts, size_t n, size_t width, struct lc_error *err) {
  texts->width = width;
  return lc_alloc(&texts->data, n, width, err);
}

static void texts_set(struct texts *texts, size_t i, const char *text) {
  size_t length = strnlen(text, texts->width);
  memcpy(texts->data + i * texts->width, text, length);
}

static void write_root(struct pl_h5 *h5, const struct pl_result *result) {
  const struct pl_provenance *provenance = &result->provenance;
  pl_h5_attribute_text(h5, "/", "content", "lungcdam result of one series");
  pl_h5_attribute_integer(h5, "/", "schema_version", PL_STORE_SCHEMA);
  pl_h5_attribute_text(h5, "/", "program", "lungcdam");
  pl_h5_attribute_text(h5, "/", "program_version", pl_version());
  pl_h5_attribute_text(h5, "/", "program_commit", pl_commit());
  pl_h5_attribute_text(h5, "/", "notice",
                       provenance->trained ? "research use only"
                                           : "research use only; UNTRAINED WEIGHTS: the numbers "
                                             "mean nothing");
  pl_h5_attribute_text(h5, "/", "configuration", provenance->configuration);
  pl_h5_attribute_text(h5, "/", "configuration_sha256", provenance->configuration_sha256);
  pl_h5_attribute_text(h5, "/", "weights_sha256", provenance->weights_sha256);
  pl_h5_attribute_integer(h5, "/", "weights_trained", provenance->trained);
  pl_h5_attribute_text(h5, "/", "architecture", provenance->architecture);
  pl_h5_attribute_text(h5, "/", "kernels", provenance->kernels);
  pl_h5_attribute_text(h5, "/", "input_manifest_sha256", result->input_manifest_sha256);
  pl_h5_attribute_text(h5, "/", "nodule_source", result->nodule_source);
  pl_h5_attribute_text(h5, "/", "nodule_source_sha256", result->nodule_source_sha256);
  pl_h5_attribute_text(h5, "/", "result_key", result->key);
}

static void write_series_attributes(struct pl_h5 *h5, const struct ct_series *series) {
  const char *const place = "series";
  pl_h5_attribute_text(h5, place, "PatientID", series->patient_id);
  pl_h5_attribute_text(h5, place, "StudyInstanceUID", series->study_instance_uid);
  pl_h5_attribute_text(h5, place, "SeriesInstanceUID", series->series_instance_uid);
  pl_h5_attribute_text(h5, place, "FrameOfReferenceUID", series->frame_of_reference_uid);
  pl_h5_attribute_text(h5, place, "Manufacturer", series->manufacturer);
  pl_h5_attribute_text(h5, place, "ManufacturerModelName", series->model_name);
  pl_h5_attribute_text(h5, place, "ConvolutionKernel", series->convolution_kernel);
  pl_h5_attribute_integer(h5, place, "Rows", series->rows);
  pl_h5_attribute_integer(h5, place, "Columns", series->columns);
  pl_h5_attribute_real(h5, place, "row_spacing_mm", series->pixel_spacing_mm[0]);
  pl_h5_attribute_real(h5, place, "column_spacing_mm", series->pixel_spacing_mm[1]);
  pl_h5_attribute_real(h5, place, "slice_spacing_mm", series->slice_spacing_mm);
  pl_h5_attribute_integer(h5, place, "lossy", series->lossy);
  pl_h5_attribute_text(h5, place, "verdict", ct_verdict_name(series->verdict));
  pl_h5_attribute_text(h5, place, "verdict_reason", series->reason);
}

static lc_status write_series(struct pl_h5 *h5, const struct ct_series *series,
                              struct lc_error *err) {
  struct texts uids = {0};
  double *positions = NULL;
  lc_status status;
  LC_TRY_GOTO(texts_init(&uids, series->n_slices, NAME_WIDTH, err), done);
  LC_TRY_GOTO(lc_alloc(&positions, series->n_slices * 3, sizeof *positions, err), done);
  for (size_t i = 0; i < series->n_slices; i++) {
    texts_set(&uids, i, series->slices[i].sop_instance_uid);
    memcpy(positions + 3 * i, series->slices[i].position_mm, 3 * sizeof *positions);
  }
  pl_h5_texts(h5, "series/SOPInstanceUID", 1, &series->n_slices, NAME_WIDTH, uids.data,
              "slices in the order of the volume");
  pl_h5_array(h5, &(struct pl_h5_array){"series/ImagePositionPatient",
                                        PL_H5_F64,
                                        2,
                                        {series->n_slices, 3},
                                        positions,
                                        "mm",
                                        "centre of the first pixel of each slice, LPS"});
  write_series_attributes(h5, series);
done:
  free(positions);
  free(uids.data);
  return status;
}

static void write_names(struct pl_h5 *h5, const char *path, const struct texts *names, size_t n,
                        const char *doc) {
  pl_h5_texts(h5, path, 1, &n, names->width, names->data, doc);
  pl_h5_scale(h5, path);
}

/* Offsets of samples from the centre, or indices of grid rows: small scales that are only numbers.
 */
static lc_status write_steps(struct pl_h5 *h5, const char *path, size_t n,
                             const struct ct_cube *cube, const char *doc, struct lc_error *err) {
  const char *unit = cube ? "mm" : "1";
  double *values;
  LC_TRY(lc_alloc(&values, n, sizeof *values, err));
  for (size_t i = 0; i < n; i++) values[i] = cube ? pl_result_offset(cube, i) : (double)i;
  pl_h5_array(h5, &(struct pl_h5_array){path, PL_H5_F64, 1, {n}, values, unit, doc});
  pl_h5_scale(h5, path);
  free(values);
  return LC_OK;
}

static lc_status write_axes(struct pl_h5 *h5, const struct pl_result *result,
                            struct lc_error *err) {
  size_t n = result->nodules.n_nodules, most = n + result->n_outputs + result->maps.targets + 16;
  struct texts names = {0};
  LC_TRY(texts_init(&names, most, NAME_WIDTH, err));
  for (size_t i = 0; i < n; i++) texts_set(&names, i, result->nodules.nodules[i].id);
  write_names(h5, "axes/nodule", &names, n, "nodules of the series");
  memset(names.data, 0, most * NAME_WIDTH);
  for (size_t i = 0; i < result->n_views; i++) texts_set(&names, i, ct_view_name(result->views[i]));
  write_names(h5, "axes/view", &names, result->n_views, "central slices of the cube");
  memset(names.data, 0, most * NAME_WIDTH);
  for (size_t i = 0; i < result->n_outputs; i++) texts_set(&names, i, result->output_names[i]);
  write_names(h5, "axes/output", &names, result->n_outputs, "outputs of the model");
  memset(names.data, 0, most * NAME_WIDTH);
  for (size_t i = 0; i < result->maps.targets; i++) texts_set(&names, i, result->target_names[i]);
  write_names(h5, "axes/target", &names, result->maps.targets, "what the maps explain");
  memset(names.data, 0, most * NAME_WIDTH);
  for (int i = 0; i < CT_RATING_COUNT; i++)
    texts_set(&names, (size_t)i, ct_rating_name((ct_rating)i));
  write_names(h5, "axes/rating", &names, CT_RATING_COUNT, "LIDC ratings");
  free(names.data);

  const struct ct_cube *cube = &result->cubes[0];
  static const char *const paths[] = {"axes/z_mm", "axes/y_mm", "axes/x_mm"};
  for (int i = 0; i < 3; i++)
    LC_TRY(write_steps(h5, paths[i], cube->edge, cube,
                       "offset of a sample from the nodule's centre, LPS", err));
  LC_TRY(write_steps(h5, "axes/grid_row", result->maps.grid_height, NULL, "row of patches", err));
  return write_steps(h5, "axes/grid_column", result->maps.grid_width, NULL, "column of patches",
                     err);
}

static void attach(struct pl_h5 *h5, const char *dataset, const char *const *scales, size_t n) {
  for (size_t i = 0; i < n; i++) pl_h5_attach(h5, dataset, i, scales[i]);
}

/* Numbers of each nodule, gathered into arrays. */
struct columns {
  double *centre, *bounds, *diameter, *mean, *median;
  int32_t *readers;
  int8_t *rating, *session;
  uint8_t *faults;
  struct texts reader, id;
};

static void columns_free(struct columns *columns) {
  free(columns->centre);
  free(columns->bounds);
  free(columns->diameter);
  free(columns->mean);
  free(columns->median);
  free(columns->readers);
  free(columns->rating);
  free(columns->session);
  free(columns->faults);
  free(columns->reader.data);
  free(columns->id.data);
}

static lc_status columns_init(struct columns *columns, size_t n, size_t marks,
                              struct lc_error *err) {
  LC_TRY(lc_alloc(&columns->centre, n * 3, sizeof(double), err));
  LC_TRY(lc_alloc(&columns->bounds, n * 6, sizeof(double), err));
  LC_TRY(lc_alloc(&columns->diameter, n, sizeof(double), err));
  LC_TRY(lc_alloc(&columns->mean, n * CT_RATING_COUNT, sizeof(double), err));
  LC_TRY(lc_alloc(&columns->median, n * CT_RATING_COUNT, sizeof(double), err));
  LC_TRY(lc_alloc(&columns->readers, n, sizeof(int32_t), err));
  LC_TRY(lc_alloc(&columns->rating, n * marks * CT_RATING_COUNT, 1, err));
  LC_TRY(lc_alloc(&columns->session, n * marks, 1, err));
  LC_TRY(lc_alloc(&columns->faults, n * marks, 1, err));
  LC_TRY(texts_init(&columns->reader, n * marks, NAME_WIDTH, err));
  return texts_init(&columns->id, n * marks, NAME_WIDTH, err);
}

static void columns_fill(struct columns *columns, const struct ct_nodule *nodule, size_t i,
                         size_t marks) {
  memcpy(columns->centre + 3 * i, nodule->centre_mm, sizeof nodule->centre_mm);
  memcpy(columns->bounds + 6 * i, nodule->bounds_mm, sizeof nodule->bounds_mm);
  columns->diameter[i] = nodule->diameter_mm;
  columns->readers[i] = nodule->n_readers;
  memcpy(columns->mean + i * CT_RATING_COUNT, nodule->mean_rating, sizeof nodule->mean_rating);
  memcpy(columns->median + i * CT_RATING_COUNT, nodule->median_rating,
         sizeof nodule->median_rating);
  for (size_t m = 0; m < marks; m++) {
    size_t at = i * marks + m;
    columns->session[at] = -1;
    if (m >= nodule->n_marks) continue;
    const struct ct_mark *mark = nodule->marks[m];
    columns->session[at] = (int8_t)mark->session;
    columns->faults[at] = (uint8_t)mark->faults;
    texts_set(&columns->reader, at, mark->reader);
    texts_set(&columns->id, at, mark->nodule_id);
    for (int r = 0; r < CT_RATING_COUNT; r++)
      columns->rating[at * CT_RATING_COUNT + (size_t)r] = (int8_t)mark->rating[r];
  }
}

static void write_columns(struct pl_h5 *h5, const struct columns *columns, size_t n, size_t marks) {
  const struct pl_h5_array arrays[] = {
      {"nodules/centre_mm",
       PL_H5_F64,
       2,
       {n, 3},
       columns->centre,
       "mm",
       "x, y, z, LPS: centre of the box of all outlines, or the point given"},
      {"nodules/bounds_mm",
       PL_H5_F64,
       3,
       {n, 2, 3},
       columns->bounds,
       "mm",
       "lowest and highest corner of that box, LPS"},
      {"nodules/diameter_mm",
       PL_H5_F64,
       1,
       {n},
       columns->diameter,
       "mm",
       "largest in-slice extent, or the diameter given"},
      {"nodules/n_readers", PL_H5_I32, 1, {n}, columns->readers, "1", "readers who marked it"},
      {"nodules/mean_rating",
       PL_H5_F64,
       2,
       {n, CT_RATING_COUNT},
       columns->mean,
       "1",
       "over readers who rated; NaN when none"},
      {"nodules/median_rating",
       PL_H5_F64,
       2,
       {n, CT_RATING_COUNT},
       columns->median,
       "1",
       "over readers who rated; NaN when none"},
      {"nodules/rating",
       PL_H5_I8,
       3,
       {n, marks, CT_RATING_COUNT},
       columns->rating,
       "1",
       "each reader's ratings; 0: not given"},
      {"nodules/session",
       PL_H5_I8,
       2,
       {n, marks},
       columns->session,
       "1",
       "reading session of each mark; -1: no such mark"},
      {"nodules/faults",
       PL_H5_U8,
       2,
       {n, marks},
       columns->faults,
       "1",
       "what is odd about each mark, a bit set: 1 rating of 0, 2 no ratings, 4 outline of three "
       "points or fewer, 8 open outline, 16 outline on a slice the series lacks, 32 point outside "
       "the image, 64 repeated mark"},
  };
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
    pl_h5_array(h5, &arrays[i]);
    pl_h5_attach(h5, arrays[i].path, 0, "axes/nodule");
  }
  pl_h5_attach(h5, "nodules/mean_rating", 1, "axes/rating");
  pl_h5_attach(h5, "nodules/median_rating", 1, "axes/rating");
  pl_h5_attach(h5, "nodules/rating", 2, "axes/rating");
  const size_t dims[] = {n, marks};
  pl_h5_texts(h5, "nodules/reader", 2, dims, NAME_WIDTH, columns->reader.data,
              "servicingRadiologistID of each mark");
  pl_h5_texts(h5, "nodules/mark_id", 2, dims, NAME_WIDTH, columns->id.data,
              "noduleID of each mark");
}

static lc_status write_nodules(struct pl_h5 *h5, const struct ct_nodule_list *list,
                               struct lc_error *err) {
  size_t marks = 1;
  for (size_t i = 0; i < list->n_nodules; i++)
    if (list->nodules[i].n_marks > marks) marks = list->nodules[i].n_marks;
  struct columns columns = {0};
  lc_status status = columns_init(&columns, list->n_nodules, marks, err);
  if (status == LC_OK) {
    for (size_t i = 0; i < list->n_nodules; i++)
      columns_fill(&columns, &list->nodules[i], i, marks);
    write_columns(h5, &columns, list->n_nodules, marks);
    pl_h5_attribute_integer(h5, "nodules", "marks_unplaced", (int64_t)list->n_marks_unplaced);
    pl_h5_attribute_real(h5, "nodules", "grouping_tolerance_used", list->tolerance_used);
    pl_h5_attribute_integer(h5, "nodules", "group_too_large", list->group_too_large);
  }
  columns_free(&columns);
  return status;
}

static int16_t to_int16(float hu) {
  long rounded = lrintf(hu);
  return (int16_t)(rounded < INT16_MIN ? INT16_MIN : rounded > INT16_MAX ? INT16_MAX : rounded);
}

static lc_status write_cubes(struct pl_h5 *h5, const struct pl_result *result,
                             enum pl_cube_type type, struct lc_error *err) {
  static const char *const scales[] = {"axes/nodule", "axes/z_mm", "axes/y_mm", "axes/x_mm"};
  size_t n = result->nodules.n_nodules, edge = result->cubes[0].edge, voxels = edge * edge * edge;
  size_t bytes = type == PL_CUBE_INT16 ? sizeof(int16_t) : sizeof(float);
  unsigned char *hu = NULL, *mask = NULL, *has_mask = NULL;
  int64_t *padded = NULL;
  lc_status status;
  LC_TRY_GOTO(lc_alloc(&hu, n * voxels, bytes, err), done);
  LC_TRY_GOTO(lc_alloc(&mask, n * voxels, 1, err), done);
  LC_TRY_GOTO(lc_alloc(&has_mask, n, 1, err), done);
  LC_TRY_GOTO(lc_alloc(&padded, n, sizeof *padded, err), done);
  for (size_t i = 0; i < n; i++) {
    const struct ct_cube *cube = &result->cubes[i];
    if (type == PL_CUBE_INT16)
      for (size_t v = 0; v < voxels; v++)
        ((int16_t *)(void *)hu)[i * voxels + v] = to_int16(cube->hu[v]);
    else
      memcpy(hu + i * voxels * bytes, cube->hu, voxels * bytes);
    if (cube->mask) memcpy(mask + i * voxels, cube->mask, voxels);
    has_mask[i] = cube->mask != NULL;
    padded[i] = (int64_t)cube->n_padded;
  }
  pl_h5_array(h5, &(struct pl_h5_array){"cube/hu",
                                        type == PL_CUBE_INT16 ? PL_H5_I16 : PL_H5_F32,
                                        4,
                                        {n, edge, edge, edge},
                                        hu,
                                        "HU",
                                        "cube around each nodule, before clamping"});
  pl_h5_array(h5, &(struct pl_h5_array){"cube/mask",
                                        PL_H5_U8,
                                        4,
                                        {n, edge, edge, edge},
                                        mask,
                                        "1",
                                        "1 inside the consensus of the readers"});
  pl_h5_array(
      h5,
      &(struct pl_h5_array){
          "cube/has_mask", PL_H5_U8, 1, {n}, has_mask, "1", "0: the nodule came without outlines"});
  pl_h5_array(h5, &(struct pl_h5_array){"cube/n_padded",
                                        PL_H5_I64,
                                        1,
                                        {n},
                                        padded,
                                        "1",
                                        "samples outside the volume, filled with air (-1000 HU)"});
  attach(h5, "cube/hu", scales, 4);
  attach(h5, "cube/mask", scales, 4);
  attach(h5, "cube/has_mask", scales, 1);
  attach(h5, "cube/n_padded", scales, 1);
done:
  free(hu);
  free(mask);
  free(has_mask);
  free(padded);
  return status;
}

static void write_predictions(struct pl_h5 *h5, const struct pl_result *result) {
  static const char *const by_view[] = {"axes/nodule", "axes/view", "axes/output"};
  static const char *const by_output[] = {"axes/nodule", "axes/output"};
  static const char *const of_map[] = {"axes/nodule", "axes/view", "axes/target", "axes/grid_row",
                                       "axes/grid_column"};
  size_t n = result->nodules.n_nodules, views = result->n_views, outputs = result->n_outputs;
  const struct cdam_maps *maps = &result->maps;
  const struct pl_h5_array arrays[] = {
      {"prediction/logit",
       PL_H5_F32,
       3,
       {n, views, outputs},
       result->logits,
       "1",
       "output of the model for each view"},
      {"prediction/view_probability",
       PL_H5_F32,
       3,
       {n, views, outputs},
       result->view_probability,
       "1",
       "sigmoid of the logit; NaN for a regression output"},
      {"prediction/mean_logit",
       PL_H5_F32,
       2,
       {n, outputs},
       result->mean_logit,
       "1",
       "mean over the views"},
      {"prediction/probability",
       PL_H5_F32,
       2,
       {n, outputs},
       result->probability,
       "1",
       "sigmoid of the mean logit; NaN for a regression output"},
      {"explanation/cdam",
       PL_H5_F32,
       5,
       {n, views, maps->targets, maps->grid_height, maps->grid_width},
       maps->scores,
       "1",
       "signed CDAM scores; positive speaks for the target"},
  };
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) pl_h5_array(h5, &arrays[i]);
  attach(h5, "prediction/logit", by_view, 3);
  attach(h5, "prediction/view_probability", by_view, 3);
  attach(h5, "prediction/mean_logit", by_output, 2);
  attach(h5, "prediction/probability", by_output, 2);
  attach(h5, "explanation/cdam", of_map, 5);
}

/* Nodules that could not be cut; results without any have no such group. */
static lc_status write_left_out(struct pl_h5 *h5, const struct pl_result *result,
                                struct lc_error *err) {
  struct texts names = {0}, reasons = {0};
  size_t n = result->n_left_out;
  if (n == 0) return LC_OK;
  lc_status status = texts_init(&names, n, NAME_WIDTH, err);
  if (status == LC_OK) status = texts_init(&reasons, n, LC_ERROR_SIZE, err);
  for (size_t i = 0; status == LC_OK && i < n; i++) {
    texts_set(&names, i, result->left_out[i].nodule);
    texts_set(&reasons, i, result->left_out[i].reason);
  }
  if (status == LC_OK) {
    pl_h5_texts(h5, "left_out/nodule", 1, &n, names.width, names.data, "nodules not in the result");
    pl_h5_texts(h5, "left_out/reason", 1, &n, reasons.width, reasons.data, "why");
  }
  free(names.data);
  free(reasons.data);
  return status;
}

lc_status pl_store_write(const struct pl_result *result, enum pl_cube_type cube_type,
                         const char *path, struct lc_error *err) {
  struct pl_h5 h5;
  pl_h5_start(&h5);
  write_root(&h5, result);
  lc_status status = write_axes(&h5, result, err);
  if (status == LC_OK) status = write_series(&h5, result->series, err);
  if (status == LC_OK) status = write_nodules(&h5, &result->nodules, err);
  if (status == LC_OK) status = write_left_out(&h5, result, err);
  if (status == LC_OK) status = write_cubes(&h5, result, cube_type, err);
  if (status == LC_OK) write_predictions(&h5, result);
  if (status == LC_OK) return pl_h5_finish(&h5, path, err);
  pl_h5_abort(&h5);
  return status;
}

lc_status pl_store_read_key(const char *path, char hex[LC_SHA256_HEX], struct lc_error *err) {
  LC_TRY(pl_h5_read_attribute(path, "result_key", hex, LC_SHA256_HEX, err));
  if (strlen(hex) != LC_SHA256_HEX - 1)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: has no result_key, expected a result store", path);
  return LC_OK;
}

bool pl_store_is_of_other(const char *folder, const char *study_instance_uid) {
  char path[LC_PATH_SIZE], found[CT_UID_SIZE];
  return lc_path_join(path, folder, PL_STORE_FILE, NULL) == LC_OK && lc_file_exists(path) &&
         pl_h5_read_attribute(path, "series/StudyInstanceUID", found, sizeof found, NULL) ==
             LC_OK &&
         found[0] && strcmp(found, study_instance_uid) != 0;
}

static int is_result(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

lc_status pl_store_write_master(const char *output, struct lc_error *err) {
  char master[LC_PATH_SIZE];
  LC_TRY(lc_path_join(master, output, PL_MASTER_FILE, err));
  struct dirent **entries;
  int n = scandir(output, &entries, is_result, alphasort);
  if (n < 0) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read", output);
  struct pl_h5 h5;
  pl_h5_start(&h5);
  pl_h5_attribute_text(&h5, "/", "content", "lungcdam results of several series, linked");
  pl_h5_attribute_integer(&h5, "/", "schema_version", PL_STORE_SCHEMA);
  pl_h5_attribute_text(&h5, "/", "notice", "research use only");
  int64_t linked = 0;
  for (int i = 0; i < n; i++) {
    char file[LC_PATH_SIZE], path[LC_PATH_SIZE], link[LC_PATH_SIZE];
    snprintf(file, sizeof file, "%s/%s", entries[i]->d_name, PL_STORE_FILE);
    snprintf(path, sizeof path, "%s/%s", output, file);
    snprintf(link, sizeof link, "series/%s", entries[i]->d_name);
    if (lc_file_exists(path)) {
      pl_h5_link(&h5, link, file);
      linked++;
    }
    free(entries[i]);
  }
  free(entries);
  pl_h5_attribute_integer(&h5, "/", "n_series", linked);
  return pl_h5_finish(&h5, master, err);
}
