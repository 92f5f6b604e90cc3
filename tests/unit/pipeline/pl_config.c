#include "pipeline/config/pl_config.h"

#include "common/lc_file.h"
#include "tests/lc_test.h"

static char folder[256];

static const char *config_file(const char *text) {
  static char path[300];
  snprintf(path, sizeof path, "%s/run.yaml", folder);
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
  return path;
}

static lc_status make(struct pl_config *config, const char *text, const char *set) {
  struct pl_overrides overrides = {0};
  if (text) overrides.file = (char *)config_file(text);
  if (set) assert_ok(pl_list_add(&overrides.keys, set, &test_err));
  lc_status status = pl_config_make(config, &overrides, &test_err);
  pl_overrides_free(&overrides);
  return status;
}

static void refuses(const char *text, const char *message) {
  struct pl_config config;
  assert_fails(make(&config, text, NULL), LC_ERR_CONFIG, message);
}

static void refuses_set(const char *set, lc_status status, const char *message) {
  struct pl_config config;
  assert_fails(make(&config, NULL, set), status, message);
}

/* The published settings: 32 mm cubes at 1 mm, HU in [-1000, 400], three views. They hold where the
 * weights say nothing. */
static void defaults_are_the_published_ones(void **state) {
  (void)state;
  struct pl_config config;
  assert_ok(make(&config, "model: {weights: ./none.safetensors}\n", NULL));
  assert_int_equal(config.cube_edge, 32);
  assert_true(config.cube_spacing_mm == 1);
  assert_true(config.preprocess_hu_low == -1000 && config.preprocess_hu_high == 400);
  assert_int_equal(config.preprocess_views.n, 3);
  assert_string_equal(config.preprocess_views.items[1], "coronal");
  assert_true(config.nodules_consensus_level == 0.5);
  pl_config_free(&config);
}

/* docs/model_card.md: 64 pixels of 0.625 mm of the axial slice; a file still goes before it. */
static void without_weights_it_is_the_model_that_ships(void **state) {
  (void)state;
  struct pl_config config;
  assert_ok(make(&config, "cube: {edge: 48}\n", NULL));
  assert_true(config.model.by_default);
  assert_string_equal(config.model_weights, "lidc_axial");
  char *shipped = realpath(LC_TEST_SOURCE_DIR "/configs/models/lidc_axial.safetensors", NULL);
  assert_non_null(shipped);
  assert_string_equal(config.model.path, shipped);
  free(shipped);
  assert_int_equal(config.cube_edge, 48);
  assert_true(config.cube_spacing_mm == 0.625);
  assert_true(config.preprocess_hu_high == 1000 && config.preprocess_views.n == 1);
  pl_config_free(&config);
  assert_fails(make(&config, "model: {weights: lidc_axal}\n", NULL), LC_ERR_NOT_FOUND,
               "the nearest is 'lidc_axial'");
}

static void file_and_options_override_in_order(void **state) {
  (void)state;
  struct pl_config config;
  assert_ok(make(&config,
                 "# comment\nfigure:\n  opacity: 0.25\n  colours: red-blue\n"
                 "input:\n  paths: [a, \"b c\"]\npreprocess: {views: axial}\noutput:\n",
                 "figure.opacity=0.5"));
  assert_true(config.figure_opacity == 0.5);
  assert_int_equal(config.figure_colours, 1);
  assert_int_equal(config.input_paths.n, 2);
  assert_string_equal(config.input_paths.items[1], "b c");
  assert_int_equal(config.preprocess_views.n, 1);
  pl_config_free(&config);
}

static void mistakes_name_line_and_nearest_key(void **state) {
  (void)state;
  refuses("figure:\n  opcity: 0.5\n", "run.yaml:2: unknown key 'figure.opcity', the nearest valid "
                                      "key is 'figure.opacity'");
  refuses("\nopacity: 1\n", "run.yaml:2: unknown key 'opacity', the nearest valid key is "
                            "'figure.opacity'");
  refuses("figur:\n  opacity: 1\n", "run.yaml:1: unknown key 'figur', the nearest valid key is "
                                    "'figure'");
  refuses("cube:\n  edge: large\n", "run.yaml:2: cube.edge is large, expected a whole number");
  refuses("cube:\n  edge: \"32\"\n", "cube.edge is the text \"32\", expected a whole number");
  refuses("cube:\n  edge: 1.5\n", "expected a whole number");
  refuses("cube:\n  edge: [32]\n", "cube.edge is a list");
  refuses("figure:\n  opacity: 7\n", "run.yaml:2: figure.opacity is 7, expected a number from");
  refuses("figure:\n  opacity: .nan\n", "expected a number");
  refuses("figure:\n  write: yes\n", "figure.write is yes, expected true or false");
  refuses("figure: 3\n", "run.yaml:1: 'figure' is 3, expected a mapping");
  refuses("preprocess:\n  views:\n  - axial\n  - coronl\n", "run.yaml:4: preprocess.views is "
                                                            "coronl, expected one of axial, "
                                                            "coronal, sagittal (nearest: coronal");
  refuses("preprocess:\n  zscore: slices\n", "(nearest: slice)");
  refuses("figure:\n  opacity: 0.2\nfigure:\n  opacity: 0.3\n", "run.yaml:4: key 'figure.opacity' "
                                                                "is given twice");
  refuses("- a\n- b\n", "expected a mapping of keys at the top");
  refuses("figure:\n\topacity: 1\n", "run.yaml:2: not YAML");
  refuses("figure: {opacity: 1}\n---\nfigure: {opacity: 1}\n", "several YAML documents");
  refuses("input: &x\n  paths: *x\n", "input.paths is a mapping");
}

static void rules_between_keys_are_checked(void **state) {
  (void)state;
  refuses("preprocess: {hu_low: 1500}\n", "preprocess.hu_low is 1500, expected less than hu_high");
  refuses("preprocess: {views: []}\n", "preprocess.views is empty");
  refuses("preprocess: {views: [axial, axial]}\n", "names axial twice");
  refuses("output: {folder: \"\"}\n", "output.folder is empty");
  refuses("figure: {window_low_hu: 40, window_high_hu: 40}\n",
          "figure.window_low_hu is 40, expected less than window_high_hu (40)");
  refuses("figure: {detail: 4}\n", "figure.detail is 4, expected an odd number");
}

static void set_options_are_checked_alike(void **state) {
  (void)state;
  refuses_set("figure.opacity", LC_ERR_USAGE, "expected key=value");
  refuses_set("figure.opcity=1", LC_ERR_CONFIG, "the nearest valid key is 'figure.opacity'");
  refuses_set("cube.edge=1e", LC_ERR_CONFIG, "--set cube.edge=1e: cube.edge is 1e");
  refuses_set("cube.edge=", LC_ERR_CONFIG, "cube.edge got no value");
  struct pl_config config;
  assert_ok(make(&config, NULL, "preprocess.views=[sagittal, axial]"));
  assert_string_equal(config.preprocess_views.items[0], "sagittal");
  pl_config_free(&config);
}

static void printed_configuration_reads_back(void **state) {
  (void)state;
  struct pl_config first, second;
  assert_ok(make(&first,
                 "input: {paths: [\"a \\\"quoted\\\" \\\\ path\", b]}\n"
                 "figure: {opacity: 0.1}\ncube: {spacing_mm: 0.7}\n",
                 NULL));
  struct lc_text text = {0}, again = {0};
  pl_schema_print(&pl_config_schema, &first, PL_PRINT_ALL, &text);
  assert_ok(make(&second, lc_text_get(&text), NULL));
  pl_schema_print(&pl_config_schema, &second, PL_PRINT_ALL, &again);
  assert_string_equal(lc_text_get(&text), lc_text_get(&again));
  assert_string_equal(second.input_paths.items[0], "a \"quoted\" \\ path");
  lc_text_free(&text);
  lc_text_free(&again);
  pl_config_free(&first);
  pl_config_free(&second);
}

/* Where things lie must not change results; what is done must. */
static void hash_ignores_places_only(void **state) {
  (void)state;
  struct pl_config a, b, c;
  char hash_a[LC_SHA256_HEX], hash_b[LC_SHA256_HEX], hash_c[LC_SHA256_HEX];
  assert_ok(make(&a, NULL, NULL));
  assert_ok(
      make(&b, "output: {folder: elsewhere}\ninput: {paths: [x]}\nmodel: {batch: 1}\n", NULL));
  assert_ok(make(&c, NULL, "preprocess.hu_high=401"));
  assert_ok(pl_config_hash(&a, hash_a, &test_err));
  assert_ok(pl_config_hash(&b, hash_b, &test_err));
  assert_ok(pl_config_hash(&c, hash_c, &test_err));
  assert_string_equal(hash_a, hash_b);
  assert_string_not_equal(hash_a, hash_c);
  pl_config_free(&a);
  pl_config_free(&b);
  pl_config_free(&c);
}

int main(void) {
  lc_test_folder(folder);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults_are_the_published_ones),
      cmocka_unit_test(without_weights_it_is_the_model_that_ships),
      cmocka_unit_test(file_and_options_override_in_order),
      cmocka_unit_test(mistakes_name_line_and_nearest_key),
      cmocka_unit_test(rules_between_keys_are_checked),
      cmocka_unit_test(set_options_are_checked_alike),
      cmocka_unit_test(printed_configuration_reads_back),
      cmocka_unit_test(hash_ignores_places_only),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (lc_folder_remove(folder, NULL) != LC_OK) return 1;
  return failed;
}
