/* The whole job on a small phantom with a small model: what is stored is what the rooms compute.
 * needs: phantom */
#include <dirent.h>
#include <hdf5.h>
#include <math.h>

#include "cdam/engine/cdam_shift.h"
#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_parallel.h"
#include "ct_io/ct/ct_image.h"
#include "ct_io/phantom/ct_phantom.h"
#include "pipeline/run/pl_batch.h"
#include "pipeline/store/pl_store.h"
#include "pipeline/store/pl_truth.h"
#include "tests/lc_test.h"

static char folder[256];
static char input[300], weights[300];
static char series_folder[2][LC_PATH_SIZE];
static struct ct_phantom phantoms[2];

static void make_weights(void) {
  struct vit_arch arch;
  struct vit_model model;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch16", &test_err));
  arch.image_height = arch.image_width = 64;
  arch.grid_height = arch.grid_width = 4;
  arch.embed_dim = 48;
  arch.mlp_dim = 96;
  arch.num_heads = 3;
  arch.depth = 2;
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "grades", 8, 2, false, &test_err));
  assert_ok(vit_model_init(&model, &arch, 5, &test_err));
  assert_ok(vit_model_save(&model, weights, NULL, &test_err));
  vit_model_free(&model);
}

static int set_up(void **state) {
  (void)state;
  lc_test_folder(folder);
  snprintf(input, sizeof input, "%s/input", folder);
  snprintf(weights, sizeof weights, "%s/w.safetensors", folder);
  assert_ok(lc_folder_make(input, &test_err));
  for (uint64_t p = 0; p < 2; p++) {
    const struct ct_phantom_options how = {
        .seed = 2, .patient = p, .matrix = 96, .slice_spacing_mm = 5};
    assert_ok(ct_phantom_make(&phantoms[p], &how, NULL, &test_err));
    assert_ok(ct_phantom_write(&phantoms[p], input, false, series_folder[p],
                               sizeof series_folder[p], &test_err));
  }
  make_weights();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  for (int p = 0; p < 2; p++) ct_phantom_free(&phantoms[p]);
  return lc_folder_remove(folder, NULL) == LC_OK ? 0 : 1;
}

/* What a run is given; NULL: the default. */
struct given {
  const char *series, *nodules, *output, *set;
  enum pl_existing existing;
};

static lc_status run(const struct given *given, struct pl_batch *batch) {
  struct pl_overrides overrides = {
      .series = (char *)given->series, .output = (char *)given->output, .weights = weights};
  assert_ok(pl_list_add(&overrides.inputs, input, &test_err));
  assert_ok(pl_list_add(&overrides.keys, "explain.shifts=1", &test_err));
  if (given->nodules) assert_ok(pl_list_add(&overrides.nodules.paths, given->nodules, &test_err));
  if (given->set) assert_ok(pl_list_add(&overrides.keys, given->set, &test_err));
  assert_ok(pl_list_add(&overrides.keys, "figure.panel_pixels=64", &test_err));
  struct pl_config config;
  assert_ok(pl_config_make(&config, &overrides, &test_err));
  lc_status status = pl_batch_run(batch, &config, given->existing, &test_err);
  pl_config_free(&config);
  pl_overrides_free(&overrides);
  return status;
}

static const char *out(const char *name) {
  static char path[4][300];
  static int next;
  next = (next + 1) % 4;
  snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
  return path[next];
}

static size_t read_floats(hid_t file, const char *path, float *values, size_t most) {
  hid_t set = H5Dopen2(file, path, H5P_DEFAULT);
  assert_true(set >= 0);
  hid_t space = H5Dget_space(set);
  hssize_t n = H5Sget_simple_extent_npoints(space);
  assert_true(n > 0 && (size_t)n <= most);
  assert_true(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
  H5Sclose(space);
  H5Dclose(set);
  return (size_t)n;
}

static hid_t open_store(const char *output, const struct ct_phantom *phantom) {
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%s/%s/%s", output, phantom->header.series_instance_uid,
           PL_STORE_FILE);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  assert_true(file >= 0);
  return file;
}

/* What weights that say nothing of images are given. */
static const struct ct_preparation preparation = {.images = CT_IMAGES_CUBE,
                                                  .hu_low = -1000,
                                                  .hu_high = 400,
                                                  .zscore = CT_ZSCORE_CUBE,
                                                  .height = 64,
                                                  .width = 64};

/* The stored cube, prepared and run through the model again, gives the stored logits; views average
 * to the nodule's logit, and its sigmoid is the probability. */
static void store_agrees_with_the_rooms(void **state) {
  (void)state;
  struct pl_batch batch;
  const char *uid = phantoms[0].header.series_instance_uid;
  assert_ok(run(&(struct given){.series = uid, .output = out("one")}, &batch));
  assert_int_equal(batch.n_done, 1);
  assert_false(batch.trained);
  pl_batch_free(&batch);

  static float cubes[8 * 32 * 32 * 32], logits[8 * 3 * 3], mean[8 * 3], probability[8 * 3];
  static float maps[8 * 3 * 3 * 16], image[3 * 64 * 64];
  hid_t file = open_store(out("one"), &phantoms[0]);
  size_t n = read_floats(file, "cube/hu", cubes, 8 * 32 * 32 * 32) / (32 * 32 * 32);
  assert_int_equal(read_floats(file, "prediction/logit", logits, 72), n * 9);
  assert_int_equal(read_floats(file, "prediction/mean_logit", mean, 24), n * 3);
  assert_int_equal(read_floats(file, "prediction/probability", probability, 24), n * 3);
  assert_int_equal(read_floats(file, "explanation/cdam", maps, 8 * 3 * 3 * 16), n * 3 * 3 * 16);
  H5Fclose(file);

  struct vit_model model;
  struct vit_workspace workspace;
  struct vit_trace trace;
  const struct vit_request request = {.last_input = true};
  assert_ok(vit_model_load(&model, weights, NULL, &test_err));
  assert_ok(vit_workspace_init(&workspace, &model, 1, 64, 64, &request, &test_err));
  struct cdam_target targets[3];
  struct cdam_maps expected;
  cdam_target_all(targets, &model);
  assert_ok(cdam_maps_init(&expected, 1, 3, 4, 4, &test_err));
  for (size_t i = 0; i < n; i++) {
    const struct ct_image_source source = {
        .size = 32, .spacing_mm = 1, .cube = cubes + i * 32 * 32 * 32};
    double sum[3] = {0};
    for (int v = 0; v < CT_VIEW_COUNT; v++) {
      struct ct_image_place place = {(ct_view)v, 16};
      assert_ok(ct_image_make(&preparation, &source, place, NULL, image, &test_err));
      assert_ok(vit_forward(&workspace, image, 1, &trace, &test_err));
      assert_memory_equal(trace.logits, logits + (i * 3 + (size_t)v) * 3, 3 * sizeof(float));
      for (int o = 0; o < 3; o++) sum[o] += (double)trace.logits[o] / 3;
      assert_ok(
          cdam_closed_form(&model, NULL, &trace, targets, 3, &expected, NULL, NULL, &test_err));
      assert_memory_equal(expected.scores, maps + (i * 3 + (size_t)v) * 48, 48 * sizeof(float));
    }
    for (int o = 0; o < 3; o++) assert_true(fabs(sum[o] - (double)mean[i * 3 + (size_t)o]) < 1e-6);
    assert_true(fabs((double)probability[i * 3] - 1 / (1 + exp(-sum[0]))) < 1e-6);
    assert_true(isnan(probability[i * 3 + 1]) && isnan(probability[i * 3 + 2]));
  }
  cdam_maps_free(&expected);
  vit_workspace_free(&workspace);
  vit_model_free(&model);
}

/* Patches are 8 mm: without a word on it maps are means over sixteen shifts, each of which the
 * rooms make of the stored cube too; predictions are those of the image itself. */
static void maps_of_wide_patches_are_finer(void **state) {
  (void)state;
  struct pl_batch batch;
  const char *uid = phantoms[0].header.series_instance_uid;
  assert_ok(run(&(struct given){.series = uid, .output = out("finer"), .set = "explain.shifts=0"},
                &batch));
  pl_batch_free(&batch);
  static float cubes[8 * 32 * 32 * 32], logits[2][8 * 3 * 3], maps[8 * 3 * 3 * 256];
  static float image[3 * 64 * 64], shifted[3 * 64 * 64], expected[3 * 256];
  hid_t file = open_store(out("one"), &phantoms[0]);
  size_t n = read_floats(file, "prediction/logit", logits[0], 72);
  H5Fclose(file);
  file = open_store(out("finer"), &phantoms[0]);
  assert_int_equal(read_floats(file, "prediction/logit", logits[1], 72), n);
  assert_int_equal(read_floats(file, "explanation/cdam", maps, 8 * 3 * 3 * 256), n * 256);
  read_floats(file, "cube/hu", cubes, 8 * 32 * 32 * 32);
  H5Fclose(file);
  assert_memory_equal(logits[0], logits[1], n * sizeof(float));
  struct vit_model model;
  struct vit_workspace workspace;
  struct vit_trace trace;
  struct cdam_target targets[3];
  struct cdam_maps coarse;
  struct cdam_shifts shifts;
  const struct vit_request request = {.last_input = true};
  const struct ct_image_source source = {.size = 32, .spacing_mm = 1, .cube = cubes};
  assert_ok(vit_model_load(&model, weights, NULL, &test_err));
  assert_ok(vit_workspace_init(&workspace, &model, 1, 64, 64, &request, &test_err));
  cdam_target_all(targets, &model);
  assert_ok(cdam_maps_init(&coarse, 1, 3, 4, 4, &test_err));
  assert_ok(cdam_shifts_init(&shifts, 16, 16, &test_err));
  assert_ok(ct_image_make(&preparation, &source, (struct ct_image_place){CT_AXIAL, 16}, NULL, image,
                          &test_err));
  for (size_t k = 0; k < 16; k++) {
    cdam_shift_image(&shifts, k, image, 3, 64, 64, shifted);
    assert_ok(vit_forward(&workspace, shifted, 1, &trace, &test_err));
    assert_ok(cdam_closed_form(&model, NULL, &trace, targets, 3, &coarse, NULL, NULL, &test_err));
    for (size_t t = 0; t < 3; t++)
      cdam_shift_add_back(&shifts, k, cdam_maps_get(&coarse, 0, t), 4, 4, false,
                          expected + t * 256);
  }
  double largest, difference = lc_test_difference(maps, expected, 3 * 256, &largest);
  assert_true(largest > 0 && difference <= 1e-6 * largest);
  cdam_maps_free(&coarse);
  vit_workspace_free(&workspace);
  vit_model_free(&model);
}

/* Every nodule that the readers agree on lies where the phantom put one. */
static void nodules_are_where_the_phantom_put_them(void **state) {
  (void)state;
  hid_t file = open_store(out("one"), &phantoms[0]);
  static float centres[8 * 3], readers[8];
  size_t n = read_floats(file, "nodules/centre_mm", centres, 24) / 3;
  assert_int_equal(read_floats(file, "nodules/n_readers", readers, 8), n);
  H5Fclose(file);
  for (size_t i = 0; i < n; i++) {
    double best = 1e9;
    for (size_t k = 0; k < phantoms[0].n_nodules; k++) {
      double d = 0;
      for (int a = 0; a < 3; a++)
        d += pow((double)centres[i * 3 + (size_t)a] - phantoms[0].nodules[k].centre_mm[a], 2);
      if (sqrt(d) < best) best = sqrt(d);
    }
    assert_true(best < 8); /* a slice is 5 mm */
    assert_true(readers[i] >= 1 && readers[i] <= 4);
  }
}

static void hash_tree(const char *path, const char *name, struct lc_text *text) {
  struct dirent **entries;
  char whole[LC_PATH_SIZE];
  snprintf(whole, sizeof whole, "%s%s%s", path, *name ? "/" : "", name);
  if (!lc_folder_exists(whole)) {
    char hex[LC_SHA256_HEX];
    assert_ok(lc_hash_file_hex(whole, hex, &test_err));
    lc_text_add(text, "%s %s\n", hex, name);
    return;
  }
  int n = scandir(whole, &entries, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    char below[LC_PATH_SIZE];
    snprintf(below, sizeof below, "%s%s%s", name, *name ? "/" : "", entries[i]->d_name);
    if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
      hash_tree(path, below, text);
    free(entries[i]);
  }
  free(entries);
}

/* All files, DICOM and pictures included; neither place nor batch nor threads matter. */
static void runs_are_byte_identical(void **state) {
  (void)state;
  struct pl_batch batch;
  struct lc_text a = {0}, b = {0};
  assert_ok(run(&(struct given){.series = "all", .output = out("a")}, &batch));
  assert_int_equal(batch.n_done, 2);
  pl_batch_free(&batch);
  int threads = lc_threads();
  lc_threads_set(threads == 1 ? 3 : 1);
  assert_ok(
      run(&(struct given){.series = "all", .output = out("b"), .set = "model.batch=2"}, &batch));
  lc_threads_set(threads);
  pl_batch_free(&batch);
  hash_tree(out("a"), "", &a);
  hash_tree(out("b"), "", &b);
  assert_true(a.length > 10 * 65);
  assert_string_equal(lc_text_get(&a), lc_text_get(&b));
  lc_text_free(&a);
  lc_text_free(&b);
}

static void existing_results_are_refused_kept_or_replaced(void **state) {
  (void)state;
  struct pl_batch batch;
  struct given given = {.series = "all", .output = out("a")};
  assert_fails(run(&given, &batch), LC_ERR_EXISTS, "exists; --overwrite");
  pl_batch_free(&batch);
  given.existing = PL_EXISTING_RESUME;
  assert_ok(run(&given, &batch));
  assert_int_equal(batch.n_kept, 2);
  assert_int_equal(batch.n_done, 0);
  pl_batch_free(&batch);
  /* another configuration: made again */
  given.set = "preprocess.hu_high=300";
  assert_ok(run(&given, &batch));
  assert_int_equal(batch.n_kept, 0);
  assert_int_equal(batch.n_done, 2);
  pl_batch_free(&batch);
  given.set = NULL;
  given.existing = PL_EXISTING_OVERWRITE;
  assert_ok(run(&given, &batch));
  assert_int_equal(batch.n_done, 2);
  pl_batch_free(&batch);
}

static const char *csv(const char *name, const struct ct_phantom *phantom, const double *point) {
  char text[300];
  const char *path = out(name);
  snprintf(text, sizeof text, "seriesuid,coordX,coordY,coordZ,diameter_mm\n%s,%.3f,%.3f,%.3f,9\n",
           phantom->header.series_instance_uid, point[0], point[1], point[2]);
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
  return path;
}

/* At the first voxel seven eighths of the cube are outside: padded with air, counted and stored. */
static void padding_is_air_and_counted(void **state) {
  (void)state;
  struct pl_batch batch;
  const char *points = csv("corner.csv", &phantoms[1], phantoms[1].volume.origin_mm);
  assert_fails(run(&(struct given){.series = "2.25.0", .output = out("x")}, &batch),
               LC_ERR_NOT_FOUND, "2.25.0");
  pl_batch_free(&batch);
  assert_ok(run(&(struct given){.series = phantoms[1].header.series_instance_uid,
                                .nodules = points,
                                .output = out("corner")},
                &batch));
  pl_batch_free(&batch);
  static float cube[32 * 32 * 32], padded[1];
  hid_t file = open_store(out("corner"), &phantoms[1]);
  assert_int_equal(read_floats(file, "cube/hu", cube, 32 * 32 * 32), 32 * 32 * 32);
  read_floats(file, "cube/n_padded", padded, 1);
  H5Fclose(file);
  size_t air = 0;
  for (size_t i = 0; i < 32 * 32 * 32; i++) air += cube[i] == -1000;
  assert_true(padded[0] > 0.8 * 32 * 32 * 32 && padded[0] < 32 * 32 * 32);
  assert_true((double)air >= (double)padded[0]);
}

static void a_nodule_outside_is_refused(void **state) {
  (void)state;
  struct pl_batch batch;
  const double far[] = {0, 0, 99999};
  const char *points = csv("far.csv", &phantoms[1], far);
  assert_fails(run(&(struct given){.series = phantoms[1].header.series_instance_uid,
                                   .nodules = points,
                                   .output = out("far")},
                   &batch),
               LC_ERR_OUTSIDE, "far.csv");
  pl_batch_free(&batch);
  assert_false(lc_file_exists(out("far")));
}

static int visible(const char *path) {
  int n = 0;
  DIR *stream = opendir(path);
  for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream))
    n += entry->d_name[0] != '.';
  if (stream) closedir(stream);
  return n;
}

/* A CSV with points of one series only, and then a broken XML beside the other. */
static void one_bad_series_does_not_end_a_batch(void **state) {
  (void)state;
  struct pl_batch batch;
  const char *points = csv("one.csv", &phantoms[0], phantoms[0].nodules[0].centre_mm);
  assert_ok(
      run(&(struct given){.series = "all", .nodules = points, .output = out("part")}, &batch));
  assert_int_equal(batch.n_done, 1);
  assert_int_equal(batch.n_without, 1);
  pl_batch_free(&batch);

  char xml[LC_PATH_SIZE], kept[LC_PATH_SIZE];
  snprintf(xml, sizeof xml, "%s/annotation.xml", series_folder[0]);
  snprintf(kept, sizeof kept, "%s/kept", folder);
  assert_int_equal(rename(xml, kept), 0);
  assert_ok(lc_file_write(xml, "<LidcReadMessage><half", 22, &test_err));
  assert_fails(run(&(struct given){.series = "all", .output = out("broken")}, &batch),
               LC_ERR_PARTIAL, "1 of 2 series failed");
  assert_int_equal(batch.n_done, 1);
  assert_int_equal(batch.n_failed, 1);
  pl_batch_free(&batch);
  assert_int_equal(visible(out("broken")), 2); /* the other series and the master file */
  assert_fails(
      run(&(struct given){.series = phantoms[0].header.series_instance_uid, .output = out("alone")},
          &batch),
      LC_ERR_FORMAT, "annotation.xml");
  pl_batch_free(&batch);
  assert_false(lc_file_exists(out("alone")));
  assert_int_equal(rename(kept, xml), 0);
}

/* XML of the first series given for the second, and a folder of XML from which each takes its own.
 */
static void xml_of_another_series_is_refused(void **state) {
  (void)state;
  struct pl_batch batch;
  char xml[LC_PATH_SIZE];
  snprintf(xml, sizeof xml, "%s/annotation.xml", series_folder[0]);
  assert_fails(run(&(struct given){.series = phantoms[1].header.series_instance_uid,
                                   .nodules = xml,
                                   .output = out("other")},
                   &batch),
               LC_ERR_MISMATCH, phantoms[0].header.series_instance_uid);
  pl_batch_free(&batch);
  assert_ok(
      run(&(struct given){.series = "all", .nodules = input, .output = out("folder")}, &batch));
  assert_int_equal(batch.n_done, 2);
  pl_batch_free(&batch);
}

static void the_master_file_reaches_every_series(void **state) {
  (void)state;
  char path[LC_PATH_SIZE], inside[LC_PATH_SIZE];
  static float logits[72];
  snprintf(path, sizeof path, "%s/%s", out("a"), PL_MASTER_FILE);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  assert_true(file >= 0);
  for (int p = 0; p < 2; p++) {
    snprintf(inside, sizeof inside, "series/%s/prediction/logit",
             phantoms[p].header.series_instance_uid);
    assert_true(read_floats(file, inside, logits, 72) >= 9);
  }
  H5Fclose(file);
}

/* Mask and parameters of the truth file are those of the phantom. */
static void truth_is_what_the_phantom_is(void **state) {
  (void)state;
  const struct ct_phantom_options how = {.seed = 2, .patient = 0, .matrix = 96};
  const struct ct_phantom *phantom = &phantoms[0];
  const char *path = out("truth.h5");
  assert_ok(pl_truth_write(phantom, &how, path, &test_err));
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  size_t voxels = 96 * 96 * phantom->volume.size[2];
  float *mask = malloc(voxels * sizeof *mask), values[4 * 3];
  assert_non_null(mask);
  assert_int_equal(read_floats(file, "truth/mask", mask, voxels), voxels);
  for (size_t i = 0; i < voxels; i++) assert_true(mask[i] == (float)phantom->truth[i]);
  free(mask);
  assert_int_equal(read_floats(file, "nodules/centre_mm", values, 12), phantom->n_nodules * 3);
  for (size_t i = 0; i < phantom->n_nodules; i++)
    assert_true(fabs((double)values[i * 3 + 1] - phantom->nodules[i].centre_mm[1]) < 1e-3);
  H5Fclose(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(store_agrees_with_the_rooms),
      cmocka_unit_test(maps_of_wide_patches_are_finer),
      cmocka_unit_test(nodules_are_where_the_phantom_put_them),
      cmocka_unit_test(runs_are_byte_identical),
      cmocka_unit_test(existing_results_are_refused_kept_or_replaced),
      cmocka_unit_test(padding_is_air_and_counted),
      cmocka_unit_test(a_nodule_outside_is_refused),
      cmocka_unit_test(one_bad_series_does_not_end_a_batch),
      cmocka_unit_test(xml_of_another_series_is_refused),
      cmocka_unit_test(the_master_file_reaches_every_series),
      cmocka_unit_test(truth_is_what_the_phantom_is)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
