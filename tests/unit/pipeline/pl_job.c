/* The main job on a small phantom: what pictures show is what the network saw, and a disk that is
 * full ends a batch.
 * needs: phantom */
#include "pipeline/run/pl_job.h"

#include <errno.h>
#include <math.h>
#include <sys/syscall.h>

#include "common/lc_file.h"
#include "ct_io/phantom/ct_phantom.h"
#include "pipeline/run/pl_batch.h"
#include "tests/lc_test.h"

static char folder[256], input[300], weights[300];

/* Stands in for the C library's: what the program writes reaches a disk that may be full. */
static bool disk_is_full;
int fsync(int fd) {
  if (!disk_is_full) return (int)syscall(SYS_fsync, fd);
  errno = ENOSPC;
  return -1;
}

static void make_weights(void) {
  struct vit_arch arch;
  struct vit_model model;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch16", &test_err));
  arch.image_height = arch.image_width = 32;
  arch.grid_height = arch.grid_width = 2;
  arch.embed_dim = 24;
  arch.mlp_dim = 48;
  arch.num_heads = 3;
  arch.depth = 1;
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_model_init(&model, &arch, 5, &test_err));
  assert_ok(vit_model_save(&model, weights, NULL, &test_err));
  vit_model_free(&model);
}

/* Two patients, at slices far apart: the test is about places, not about lungs. */
static int set_up(void **state) {
  (void)state;
  lc_test_folder(folder);
  snprintf(input, sizeof input, "%s/input", folder);
  snprintf(weights, sizeof weights, "%s/w.safetensors", folder);
  assert_ok(lc_folder_make(input, &test_err));
  for (uint64_t p = 0; p < 2; p++) {
    const struct ct_phantom_options how = {
        .seed = 2, .patient = p, .matrix = 64, .slice_spacing_mm = 8};
    struct ct_phantom phantom;
    char series[LC_PATH_SIZE];
    assert_ok(ct_phantom_make(&phantom, &how, NULL, &test_err));
    assert_ok(ct_phantom_write(&phantom, input, false, series, sizeof series, &test_err));
    ct_phantom_free(&phantom);
  }
  make_weights();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) == LC_OK ? 0 : 1;
}

static void configure(struct pl_config *config, const char *output, const char *set) {
  struct pl_overrides overrides = {
      .series = (char *)"all", .output = (char *)output, .weights = weights};
  assert_ok(pl_list_add(&overrides.inputs, input, &test_err));
  assert_ok(pl_list_add(&overrides.keys, "figure.panel_pixels=64", &test_err));
  if (set) assert_ok(pl_list_add(&overrides.keys, set, &test_err));
  assert_ok(pl_config_make(config, &overrides, &test_err));
  pl_overrides_free(&overrides);
}

/* Every detail-th sample of a picture, from the middle one of the first few, is a sample of the
 * slice that goes to the network: picture and prediction are of the same place. */
static void check_pictures(const struct pl_result *result, size_t edge, size_t detail) {
  static float slice[128 * 128];
  assert_int_equal(result->shown_edge, edge * detail);
  for (size_t n = 0; n < result->nodules.n_nodules; n++)
    for (size_t v = 0; v < result->n_views; v++) {
      const float *shown =
          result->shown_hu + pl_result_image(result, n, v) * edge * detail * edge * detail;
      ct_cube_slice(&result->cubes[n], result->views[v], edge / 2, slice, NULL);
      for (size_t row = 0; row < edge; row++)
        for (size_t column = 0; column < edge; column++) {
          size_t y = row * detail + detail / 2, x = column * detail + detail / 2;
          assert_near((double)shown[y * edge * detail + x], (double)slice[row * edge + column],
                      1e-2);
        }
    }
}

static void pictures_show_what_the_network_saw(void **state) {
  (void)state;
  static const struct {
    const char *set;
    size_t edge, detail;
  } cases[] = {{NULL, 32, 3}, {"figure.detail=1", 32, 1}, {"cube.edge=31", 31, 3}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct pl_config config;
    struct pl_job job;
    struct pl_result result;
    struct ct_index index;
    const struct ct_series **chosen;
    size_t n;
    configure(&config, "unused", cases[i].set);
    assert_ok(pl_batch_choose(&config, &index, &chosen, &n, &test_err));
    assert_int_equal(n, 2);
    assert_ok(pl_job_open(&job, &config, NULL, &test_err));
    assert_ok(pl_job_find(&job, chosen[0], &result, &test_err));
    assert_ok(pl_job_cut(&job, &result, &test_err));
    assert_true(result.nodules.n_nodules > 0 && result.n_views == 3);
    check_pictures(&result, cases[i].edge, cases[i].detail);
    pl_result_free(&result);
    pl_job_close(&job);
    free(chosen);
    ct_index_free(&index);
    pl_config_free(&config);
  }
}

/* The next series would meet the same disk: the batch stops at the first, and says why. */
static void a_full_disk_ends_a_batch(void **state) {
  (void)state;
  char output[300];
  struct pl_config config;
  struct pl_batch batch;
  snprintf(output, sizeof output, "%s/full", folder);
  configure(&config, output, NULL);
  disk_is_full = true;
  lc_status status = pl_batch_run(&batch, &config, PL_EXISTING_REFUSE, &test_err);
  disk_is_full = false;
  assert_string_equal(lc_status_name(status), lc_status_name(LC_ERR_NO_SPACE));
  assert_non_null(strstr(test_err.message, "the disk is full"));
  assert_int_equal(batch.n_done, 0);
  assert_int_equal(batch.n_failed, 0);
  assert_false(lc_folder_exists(output)); /* nothing half done */
  pl_batch_free(&batch);
  assert_ok(pl_batch_run(&batch, &config, PL_EXISTING_REFUSE, &test_err));
  assert_int_equal(batch.n_done, 2);
  pl_batch_free(&batch);
  pl_config_free(&config);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(pictures_show_what_the_network_saw),
                                     cmocka_unit_test(a_full_disk_ends_a_batch)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
