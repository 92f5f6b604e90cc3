/* Writes the result of one series as HDF5, makes and reads its key, frees it, and writes the master
 * file of external links. */
#include "pipeline/store/pl_store.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/store/pl_h5.h"

#define NAME_WIDTH 64

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
  pl_h5_attribute_text(h5, "/", "model_name", provenance->model_name);
  pl_h5_attribute_text(h5, "/", "model_version", provenance->model_version);
  pl_h5_attribute_integer(h5, "/", "weights_trained", provenance->trained);
  pl_h5_attribute_text(h5, "/", "architecture", provenance->architecture);
  pl_h5_attribute_text(h5, "/", "kernels", provenance->kernels);
  pl_h5_attribute_text(h5, "/", "input_manifest_sha256", result->input_manifest_sha256);
  pl_h5_attribute_text(h5, "/", "identity_sha256", result->identity_sha256);
  pl_h5_attribute_text(h5, "/", "voxels_sha256", result->voxels_sha256);
  pl_h5_attribute_text(h5, "/", "nodule_source", result->nodule_source);
  pl_h5_attribute_text(h5, "/", "nodule_source_sha256", result->nodule_source_sha256);
  pl_h5_attribute_text(h5, "/", "result_key", result->key);
}

/* What no DICOM said is left out, and not empty. */
static void write_identity(struct pl_h5 *h5, const char *place, const struct ct_series *series) {
  const char *path, *format;
  ct_series_file(series, &path, &format);
  pl_h5_attribute_text(h5, place, "PatientID", series->patient_id);
  if (ct_series_has_objects(series))
    pl_h5_attribute_text(h5, place, "StudyInstanceUID", series->study_instance_uid);
  pl_h5_attribute_text(h5, place, "SeriesInstanceUID", series->series_instance_uid);
  if (path) {
    const char *slash = strrchr(path, '/'); /* the folder is not the same everywhere */
    pl_h5_attribute_text(h5, place, "source_file", slash ? slash + 1 : path);
    pl_h5_attribute_text(h5, place, "source_format", format);
  }
  if (!ct_series_has_objects(series)) return;
  pl_h5_attribute_text(h5, place, "FrameOfReferenceUID", series->frame_of_reference_uid);
  pl_h5_attribute_text(h5, place, "Manufacturer", series->manufacturer);
  pl_h5_attribute_text(h5, place, "ManufacturerModelName", series->model_name);
  pl_h5_attribute_text(h5, place, "ConvolutionKernel", series->convolution_kernel);
}

static void write_series_attributes(struct pl_h5 *h5, const struct ct_series *series) {
  const char *const place = "series";
  write_identity(h5, place, series);
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
  static const struct pl_h5_field fields[] = {
      {"series/ImagePositionPatient", PL_H5_F64, offsetof(struct ct_slice, position_mm), 3, 0, "mm",
       "centre of the first pixel of each slice, LPS"},
      /* Not of volume files, which have none: the last one. */
      {"series/SOPInstanceUID", PL_H5_TEXT, offsetof(struct ct_slice, sop_instance_uid), NAME_WIDTH,
       0, "", "slices in the order of the volume"}};
  const struct pl_h5_structs slices = {series->slices, sizeof *series->slices, series->n_slices, 0};
  size_t n = sizeof fields / sizeof *fields - !ct_series_has_objects(series);
  LC_TRY(pl_h5_fields(h5, fields, n, &slices, NULL, err));
  write_series_attributes(h5, series);
  return LC_OK;
}

/* The names along an axis: texts[n], each at the beginning of `size` bytes. */
static lc_status write_names(struct pl_h5 *h5, const char *path, const void *texts, size_t size,
                             size_t n, const char *doc, struct lc_error *err) {
  const struct pl_h5_field field = {path, PL_H5_TEXT, 0, NAME_WIDTH, 0, "", doc};
  const struct pl_h5_structs rows = {(void *)(uintptr_t)texts, size, n, 0};
  LC_TRY(pl_h5_fields(h5, &field, 1, &rows, NULL, err));
  pl_h5_scale(h5, path);
  return LC_OK;
}

/* Offsets of samples from the centre, or indices of grid rows: small scales that are only numbers.
 */
static lc_status write_steps(struct pl_h5 *h5, const char *path, size_t n,
                             const struct ct_cube *cube, const char *doc, struct lc_error *err) {
  const char *unit = cube ? "mm" : "1";
  LC_FREED double *values = NULL;
  LC_TRY(lc_alloc(&values, n, sizeof *values, err));
  for (size_t i = 0; i < n; i++) values[i] = cube ? pl_result_offset(cube, i) : (double)i;
  pl_h5_array(h5, &(struct pl_h5_array){path, PL_H5_F64, 1, {n}, values, unit, doc});
  pl_h5_scale(h5, path);
  return LC_OK;
}

static lc_status write_axes(struct pl_h5 *h5, const struct pl_result *result,
                            struct lc_error *err) {
  const struct ct_nodule_list *list = &result->nodules;
  char views[CT_VIEW_COUNT][PL_NAME_SIZE], ratings[CT_RATING_COUNT][PL_NAME_SIZE];
  for (size_t i = 0; i < result->n_views; i++)
    lc_text_copy(views[i], sizeof views[i], ct_view_name(result->views[i]));
  for (int i = 0; i < CT_RATING_COUNT; i++)
    lc_text_copy(ratings[i], sizeof ratings[i], ct_rating_name((ct_rating)i));
  LC_TRY(write_names(h5, "axes/nodule", list->nodules[0].id, sizeof *list->nodules, list->n_nodules,
                     "nodules of the series", err));
  LC_TRY(write_names(h5, "axes/view", views, sizeof *views, result->n_views,
                     "central slices of the cube", err));
  LC_TRY(write_names(h5, "axes/output", result->output_names, PL_NAME_SIZE, result->n_outputs,
                     "outputs of the model", err));
  LC_TRY(write_names(h5, "axes/target", result->target_names, PL_NAME_SIZE, result->maps.targets,
                     "what the maps explain", err));
  LC_TRY(write_names(h5, "axes/rating", ratings, sizeof *ratings, CT_RATING_COUNT, "LIDC ratings",
                     err));
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

#define NODULE(field) offsetof(struct ct_nodule, field)
static const struct pl_h5_field nodule_fields[] = {
    {"nodules/centre_mm", PL_H5_F64, NODULE(centre_mm), 3, 0, "mm",
     "x, y, z, LPS: centre of the box of all outlines, or the point given"},
    {"nodules/bounds_mm", PL_H5_F64, NODULE(bounds_mm), 2, 3, "mm",
     "lowest and highest corner of that box, LPS"},
    {"nodules/diameter_mm", PL_H5_F64, NODULE(diameter_mm), 0, 0, "mm",
     "largest in-slice extent, or the diameter given"},
    {"nodules/n_readers", PL_H5_I32, NODULE(n_readers), 0, 0, "1", "readers who marked it"},
    {"nodules/mean_rating", PL_H5_F64, NODULE(mean_rating), CT_RATING_COUNT, 0, "1",
     "over readers who rated; NaN when none"},
    {"nodules/median_rating", PL_H5_F64, NODULE(median_rating), CT_RATING_COUNT, 0, "1",
     "over readers who rated; NaN when none"},
};

/* Only where a file gives them. */
static const struct pl_h5_field name_field[] = {
    {"nodules/name", PL_H5_TEXT, NODULE(name), NAME_WIDTH, 0, "", "as the file calls it"}};
static const struct pl_h5_field probability_field[] = {
    {"nodules/given_probability", PL_H5_F64, NODULE(probability), 0, 0, "1",
     "that it is a nodule, as the file says; NaN where it does not"}};

/* A mark as it is stored. */
struct mark {
  int8_t rating[CT_RATING_COUNT], session;
  uint8_t faults;
  char reader[NAME_WIDTH], id[NAME_WIDTH];
};
#define MARK(field) offsetof(struct mark, field)
static const struct pl_h5_field mark_fields[] = {
    {"nodules/rating", PL_H5_I8, MARK(rating), CT_RATING_COUNT, 0, "1",
     "each reader's ratings; 0: not given"},
    {"nodules/session", PL_H5_I8, MARK(session), 0, 0, "1",
     "reading session of each mark; -1: no such mark"},
    {"nodules/faults", PL_H5_U8, MARK(faults), 0, 0, "1",
     "what is odd about each mark, a bit set: 1 rating of 0, 2 no ratings, 4 outline of three "
     "points or fewer, 8 open outline, 16 outline on a slice the series lacks, 32 point outside "
     "the image, 64 repeated mark"},
};
static const struct pl_h5_field mark_texts[] = {
    {"nodules/reader", PL_H5_TEXT, MARK(reader), NAME_WIDTH, 0, "",
     "servicingRadiologistID of each mark"},
    {"nodules/mark_id", PL_H5_TEXT, MARK(id), NAME_WIDTH, 0, "", "noduleID of each mark"},
};
#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct mark mark_of(const struct ct_nodule *nodule, size_t m) {
  struct mark row = {.session = -1};
  if (m >= nodule->n_marks) return row;
  const struct ct_mark *mark = nodule->marks[m];
  row.session = (int8_t)mark->session;
  row.faults = (uint8_t)mark->faults;
  for (int r = 0; r < CT_RATING_COUNT; r++) row.rating[r] = (int8_t)mark->rating[r];
  lc_text_copy(row.reader, sizeof row.reader, mark->reader);
  lc_text_copy(row.id, sizeof row.id, mark->nodule_id);
  return row;
}

static lc_status write_nodules(struct pl_h5 *h5, const struct ct_nodule_list *list,
                               struct lc_error *err) {
  size_t n = list->n_nodules, marks = 1;
  for (size_t i = 0; i < n; i++)
    if (list->nodules[i].n_marks > marks) marks = list->nodules[i].n_marks;
  bool named = false, likely = false;
  for (size_t i = 0; i < n; i++) {
    named |= *list->nodules[i].name != '\0';
    likely |= !isnan(list->nodules[i].probability);
  }
  LC_FREED struct mark *rows = NULL;
  LC_TRY(lc_alloc(&rows, n * marks, sizeof *rows, err));
  for (size_t i = 0; i < n * marks; i++) rows[i] = mark_of(&list->nodules[i / marks], i % marks);
  const struct pl_h5_structs of_nodules = {list->nodules, sizeof *list->nodules, n, 0};
  const struct pl_h5_structs of_marks = {rows, sizeof *rows, n, marks};
  LC_TRY(pl_h5_fields(h5, nodule_fields, COUNT(nodule_fields), &of_nodules, "axes/nodule", err));
  LC_TRY(pl_h5_fields(h5, mark_fields, COUNT(mark_fields), &of_marks, "axes/nodule", err));
  if (named) LC_TRY(pl_h5_fields(h5, name_field, 1, &of_nodules, "axes/nodule", err));
  if (likely) LC_TRY(pl_h5_fields(h5, probability_field, 1, &of_nodules, "axes/nodule", err));
  pl_h5_attach(h5, "nodules/mean_rating", 1, "axes/rating");
  pl_h5_attach(h5, "nodules/median_rating", 1, "axes/rating");
  pl_h5_attach(h5, "nodules/rating", 2, "axes/rating");
  LC_TRY(pl_h5_fields(h5, mark_texts, COUNT(mark_texts), &of_marks, NULL, err));
  pl_h5_attribute_integer(h5, "nodules", "marks_unplaced", (int64_t)list->n_marks_unplaced);
  pl_h5_attribute_real(h5, "nodules", "grouping_tolerance_used", list->tolerance_used);
  pl_h5_attribute_integer(h5, "nodules", "group_too_large", list->group_too_large);
  return LC_OK;
}

static int16_t to_int16(float hu) {
  long rounded = lrintf(hu);
  return (int16_t)(rounded < INT16_MIN ? INT16_MIN : rounded > INT16_MAX ? INT16_MAX : rounded);
}

static lc_status write_cubes(struct pl_h5 *h5, const struct pl_result *result,
                             enum pl_cube_type type, struct lc_error *err) {
  static const char *const scales[] = {"axes/nodule", "axes/z_mm", "axes/y_mm", "axes/x_mm"};
  size_t n = result->nodules.n_nodules, edge = result->cubes[0].edge, voxels = edge * edge * edge;
  bool whole = type == PL_CUBE_INT16;
  size_t bytes = whole ? sizeof(int16_t) : sizeof(float);
  LC_FREED unsigned char *hu = NULL;
  LC_FREED unsigned char *mask = NULL;
  LC_FREED unsigned char *has_mask = NULL;
  LC_FREED int64_t *padded = NULL;
  LC_TRY(lc_alloc(&hu, n * voxels, bytes, err));
  LC_TRY(lc_alloc(&mask, n * voxels, 1, err));
  LC_TRY(lc_alloc(&has_mask, n, 1, err));
  LC_TRY(lc_alloc(&padded, n, sizeof *padded, err));
  for (size_t i = 0; i < n; i++) {
    const struct ct_cube *cube = &result->cubes[i];
    if (whole)
      for (size_t v = 0; v < voxels; v++)
        ((int16_t *)(void *)hu)[i * voxels + v] = to_int16(cube->hu[v]);
    else
      memcpy(hu + i * voxels * bytes, cube->hu, voxels * bytes);
    if (cube->mask) memcpy(mask + i * voxels, cube->mask, voxels);
    has_mask[i] = cube->mask != NULL;
    padded[i] = (int64_t)cube->n_padded;
  }
  const struct pl_h5_array arrays[] = {
      {"cube/hu", whole ? PL_H5_I16 : PL_H5_F32, PL_H5_DIMS(n, edge, edge, edge), hu, "HU",
       "cube around each nodule, before clamping"},
      {"cube/mask", PL_H5_U8, PL_H5_DIMS(n, edge, edge, edge), mask, "1",
       "1 inside the consensus of the readers"},
      {"cube/has_mask", PL_H5_U8, PL_H5_DIMS(n), has_mask, "1",
       "0: the nodule came without outlines"},
      {"cube/n_padded", PL_H5_I64, PL_H5_DIMS(n), padded, "1",
       "samples outside the volume, filled with air (-1000 HU)"},
  };
  for (size_t i = 0; i < COUNT(arrays); i++) pl_h5_array(h5, &arrays[i]);
  for (size_t i = 0; i < COUNT(arrays); i++) attach(h5, arrays[i].path, scales, arrays[i].rank);
  return LC_OK;
}

static void write_predictions(struct pl_h5 *h5, const struct pl_result *result) {
  static const char *const by_view[] = {"axes/nodule", "axes/view", "axes/output"};
  static const char *const by_output[] = {"axes/nodule", "axes/output"};
  static const char *const of_map[] = {"axes/nodule", "axes/view", "axes/target", "axes/grid_row",
                                       "axes/grid_column"};
  static const char *const *const scales[] = {by_view, by_view, by_output, by_output, of_map};
  size_t n = result->nodules.n_nodules, views = result->n_views, outputs = result->n_outputs;
  const struct cdam_maps *maps = &result->maps;
  const struct pl_h5_array arrays[] = {
      {"prediction/logit", PL_H5_F32, PL_H5_DIMS(n, views, outputs), result->logits, "1",
       "output of the model for each view"},
      {"prediction/view_probability", PL_H5_F32, PL_H5_DIMS(n, views, outputs),
       result->view_probability, "1", "sigmoid of the logit; NaN for a regression output"},
      {"prediction/mean_logit", PL_H5_F32, PL_H5_DIMS(n, outputs), result->mean_logit, "1",
       "mean over the views"},
      {"prediction/probability", PL_H5_F32, PL_H5_DIMS(n, outputs), result->probability, "1",
       "sigmoid of the mean logit; NaN for a regression output"},
      {"explanation/cdam", PL_H5_F32,
       PL_H5_DIMS(n, views, maps->targets, maps->grid_height, maps->grid_width), maps->scores, "1",
       "signed CDAM scores; positive speaks for the target"},
  };
  for (size_t i = 0; i < COUNT(arrays); i++) pl_h5_array(h5, &arrays[i]);
  for (size_t i = 0; i < COUNT(arrays); i++) attach(h5, arrays[i].path, scales[i], arrays[i].rank);
}

/* Nodules that could not be cut; results without any have no such group. */
static lc_status write_left_out(struct pl_h5 *h5, const struct pl_result *result,
                                struct lc_error *err) {
  static const struct pl_h5_field fields[] = {
      {"left_out/nodule", PL_H5_TEXT, offsetof(struct pl_left_out, nodule), NAME_WIDTH, 0, "",
       "nodules not in the result"},
      {"left_out/reason", PL_H5_TEXT, offsetof(struct pl_left_out, reason), LC_ERROR_SIZE, 0, "",
       "why"}};
  const struct pl_h5_structs rows = {result->left_out, sizeof *result->left_out, result->n_left_out,
                                     0};
  return result->n_left_out ? pl_h5_fields(h5, fields, COUNT(fields), &rows, NULL, err) : LC_OK;
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

void pl_result_free(struct pl_result *result) {
  for (size_t i = 0; result->cubes && i < result->nodules.n_nodules; i++)
    ct_cube_free(&result->cubes[i]);
  free(result->cubes);
  free(result->left_out);
  free(result->architecture);
  free(result->output_names);
  free(result->target_names);
  free(result->shown_hu);
  free(result->shown_mask);
  ct_nodule_list_free(&result->nodules);
  free(result->logits);
  free(result->view_probability);
  free(result->mean_logit);
  free(result->probability);
  cdam_maps_free(&result->maps);
  memset(result, 0, sizeof *result);
}

struct ct_cube pl_result_place(const struct pl_result *result, size_t nodule) {
  const struct ct_cube *cube = &result->cubes[nodule];
  struct ct_cube place = {.edge = cube->edge, .spacing_mm = result->step_mm};
  memcpy(place.centre_mm, cube->centre_mm, sizeof place.centre_mm);
  return place;
}

lc_status pl_result_key(const struct pl_provenance *provenance, const char *input_manifest_sha256,
                        const char *identity_sha256, const char *nodule_source_sha256,
                        char hex[LC_SHA256_HEX], struct lc_error *err) {
  struct lc_hash hash;
  LC_TRY(lc_hash_begin(&hash, err));
  char schema[32];
  snprintf(schema, sizeof schema, "lungcdam result %d", PL_STORE_SCHEMA);
  const char *const parts[] = {schema,
                               pl_version(),
                               provenance->configuration_sha256,
                               provenance->weights_sha256,
                               provenance->architecture,
                               provenance->kernels,
                               input_manifest_sha256,
                               identity_sha256,
                               nodule_source_sha256};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) lc_hash_add_text(&hash, parts[i]);
  uint8_t digest[LC_SHA256_BYTES];
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  return LC_OK;
}

lc_status pl_store_read_key(const char *path, char hex[LC_SHA256_HEX], char voxels[LC_SHA256_HEX],
                            char identity[LC_SHA256_HEX], struct lc_error *err) {
  LC_TRY(pl_h5_read_attribute(path, "result_key", hex, LC_SHA256_HEX, err));
  LC_TRY(pl_h5_read_attribute(path, "voxels_sha256", voxels, LC_SHA256_HEX, err));
  LC_TRY(pl_h5_read_attribute(path, "identity_sha256", identity, LC_SHA256_HEX, err));
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
