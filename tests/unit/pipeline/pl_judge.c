/* Judging from a crop file to tables, on a small model: what estimators are known to be, resuming,
 * threads, and wrong settings.
 * needs: phantom */
#include "tests/lc_test.h"

#include <hdf5.h>
#include <hdf5_hl.h>
#include <math.h>

#include "common/lc_file.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "ct_io/phantom/ct_phantom.h"
#include "pipeline/judge/pl_judged.h"

enum { N = 6, SIZE = 24 };

static const char patients[N][8] = {"P-1", "P-1", "P-2", "P-3", "P-3", "P-4"};
static const char splits[N][8] = {"validate", "validate", "validate",
                                  "validate", "validate", "train"};

static void write_texts(hid_t file, const char *name, const char (*texts)[8]) {
  const hsize_t n = N;
  hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &n, NULL);
  H5Tset_size(type, 8);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) >= 0);
  H5Dclose(set);
  H5Sclose(space);
  H5Tclose(type);
}

/* Bright balls of 5 to 10 pixels in noise. */
static void write_crops(const char *path) {
  const hsize_t dims[] = {N, SIZE, SIZE};
  static short hu[N][SIZE][SIZE];
  const int ids[N] = {1, 2, 1, 1, 2, 1};
  float ones[N], diameter[N];
  const float malignancy[N] = {5, 1, 1, 5, 2, 3};
  struct lc_random random;
  lc_random_init(&random, 1, "test", 0);
  for (int i = 0; i < N; i++) {
    ones[i] = 1;
    diameter[i] = (float)(5 + i);
    for (int r = 0; r < SIZE; r++)
      for (int c = 0; c < SIZE; c++) {
        double away = hypot(r - 11.5, c - 11.5);
        hu[i][r][c] = (short)((away < (5 + i) / 2.0 ? 50 : -800) + 60 * lc_random_normal(&random));
      }
  }
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5LTmake_dataset_short(file, "hu", 3, dims, &hu[0][0][0]);
  H5LTmake_dataset_int(file, "nodule_id", 1, dims, ids);
  H5LTmake_dataset_float(file, "malignancy_1_to_5", 1, dims, malignancy);
  H5LTmake_dataset_float(file, "pixel_spacing_mm", 1, dims, ones);
  H5LTmake_dataset_float(file, "equivalent_diameter_px", 1, dims, diameter);
  H5Gclose(H5Gcreate2(file, "ratings", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  for (int b = 0; b < PL_BIOMARKERS; b++) {
    char name[64];
    snprintf(name, sizeof name, "ratings/%s", pl_biomarker_names[b]);
    if (b != 5) H5LTmake_dataset_float(file, name, 1, dims, ones);
  }
  write_texts(file, "patient_id", patients);
  write_texts(file, "split", splits);
  H5Fclose(file);
}

struct world {
  char folder[256], crops[300], weights[300], recipe[300], output[300];
  struct pl_judge_config config;
};

static void write_weights(const struct world *w) {
  struct vit_arch arch;
  struct vit_model model;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch16", &test_err));
  arch.patch_size = 4;
  arch.embed_dim = 16;
  arch.mlp_dim = 32;
  arch.depth = 2;
  arch.num_heads = 2;
  arch.image_height = arch.image_width = 24;
  arch.grid_height = arch.grid_width = 6;
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "other", 0, 1, true, &test_err));
  assert_ok(vit_model_init(&model, &arch, 5, &test_err));
  /* Seeded weights are small; louder ones make patches matter. */
  for (size_t i = 0; i < vit_arch_parameters(&arch); i++) model.owned[i] *= 3;
  assert_ok(vit_model_save(&model, w->weights, NULL, &test_err));
  vit_model_free(&model);
}

static void world_init(struct world *w) {
  static const char recipe[] = "data:\n  pixels: 24\n  spacing_mm: 1\nmodel:\n  patch: 4\n";
  memset(w, 0, sizeof *w);
  lc_test_folder(w->folder);
  snprintf(w->crops, sizeof w->crops, "%s/crops.h5", w->folder);
  snprintf(w->weights, sizeof w->weights, "%s/w.safetensors", w->folder);
  snprintf(w->recipe, sizeof w->recipe, "%s/recipe.yaml", w->folder);
  snprintf(w->output, sizeof w->output, "%s/out", w->folder);
  write_crops(w->crops);
  write_weights(w);
  assert_ok(lc_file_write(w->recipe, recipe, strlen(recipe), &test_err));
  struct pl_judge_overrides overrides = {
      .crops = w->crops, .weights = w->weights, .recipe = w->recipe, .output = w->output};
  const char *const settings[] = {
      "estimators.names=[cdam, smooth_cdam, token_ablation, attention_map]",
      "estimators.samples=4",
      "sets.count=10",
      "robustness.samples=2",
      "bootstrap.replicates=50",
      "report.pictures=1"};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    assert_ok(pl_list_add(&overrides.keys, settings[i], &test_err));
  assert_ok(pl_judge_config_make(&w->config, &overrides, &test_err));
  pl_list_free(&overrides.keys);
}

static void world_free(struct world *w) {
  pl_judge_config_free(&w->config);
  assert_ok(lc_folder_remove(w->folder, &test_err));
}

static char *read_result(const struct world *w, const char *name, size_t *count) {
  char path[512], *bytes;
  snprintf(path, sizeof path, "%s/%s", w->output, name);
  assert_ok(lc_file_read(path, 64U << 20, &bytes, count, &test_err));
  return bytes;
}

static const char *const names[] = {"summary.csv", "differences.csv", "items.csv", "judge.h5",
                                    "report.html"};

/* What measures must say about estimators whatever the model. */
static void known_answers(void **state) {
  (void)state;
  struct world w;
  struct pl_judge judge;
  world_init(&w);
  assert_ok(pl_judge_init(&judge, &w.config, &test_err));
  struct pl_judged judged = {.judge = &judge};
  assert_int_equal(judge.n_items, 5);
  assert_int_equal(judge.n_contestants, 6); /* four, and two controls */
  assert_string_equal(judge.contestants[5].name, "centre");
  assert_int_equal(judge.n_targets, 2);
  assert_string_equal(judge.targets[1].name, "other");
  assert_ok(lc_alloc(&judged.scored, judge.n_items, sizeof *judged.scored, &test_err));
  for (size_t i = 0; i < judge.n_items; i++) {
    assert_ok(pl_scored_item_init(&judged.scored[i], &judge, &test_err));
    assert_ok(pl_judge_item(&judge, i, &judged.scored[i], &test_err));
  }
  assert_ok(pl_judged_contests(&judged, &test_err));
  assert_int_equal(judged.n_groups, 3);
  bool seen[4] = {false};
  for (size_t m = 0; m < judge.n_measures; m++) {
    const struct cdam_contest *contest = &judged.contests[m];
    const char *name = judge.measures[m].name;
    for (size_t c = 0; c < 6; c++) /* attention and the middle have nothing negative */
      if (strcmp(name, "pair_against") != 0 && contest->counts[c] != 5)
        fail_msg("%s is not defined for %zu", name, c);
    if (strcmp(name, "ablation") == 0) { /* token ablation is its own reference */
      assert_near(contest->mean[2].value, 1, 1e-6);
      assert_int_equal(contest->rank[2], 1);
      assert_true(contest->mean[4].value < 0.5);
      seen[0] = true;
    }
    if (strcmp(name, "class_pearson") == 0) { /* attention knows no classes */
      assert_near(contest->mean[3].value, 1, 1e-6);
      assert_near(contest->mean[5].value, 1, 1e-6); /* nor does the middle */
      assert_true(contest->mean[0].value < 0.999);
      seen[1] = true;
    }
    if (strcmp(name, "randomised_heads") == 0) { /* and does not see the heads */
      assert_near(contest->mean[3].value, 1, 1e-6);
      seen[2] = true;
    }
    if (strcmp(name, "mass") == 0) assert_true(contest->mean[5].value > contest->mean[4].value);
    if (strcmp(name, "pair_share") == 0) assert_near(contest->mean[5].value, 0.5, 0.01);
    if (strcmp(name, "max_sensitivity") == 0) assert_near(contest->mean[5].value, 0, 0);
    if (strcmp(name, "repeatability") == 0) {
      assert_near(contest->mean[0].value, 1, 0);
      assert_true(contest->mean[1].value < 1 && contest->mean[1].value > contest->mean[4].value);
      assert_near(contest->mean[5].value, 1, 0);
      seen[3] = true;
    }
  }
  for (size_t i = 0; i < 4; i++) assert_true(seen[i]);
  /* The nodule's disc: 5 mm of 24, in the middle. */
  uint8_t mask[24 * 24];
  size_t inside = 0;
  assert_ok(pl_judge_mask(&judge, judge.items[0], mask, &test_err));
  for (size_t i = 0; i < 24 * 24; i++) inside += mask[i];
  assert_near((double)inside, 3.14159 * 2.5 * 2.5, 4); /* whole pixels */
  assert_int_equal(mask[11 * 24 + 11], 1);
  /* Outlines go before the disc: a corner of the crop, at the same spacing. */
  judge.crops.mask = calloc(N, SIZE * SIZE);
  judge.crops.mask[judge.examples.rows[judge.items[0]] * SIZE * SIZE + 2 * SIZE + 1] = 1;
  assert_ok(pl_judge_mask(&judge, judge.items[0], mask, &test_err));
  for (size_t i = 0; i < 24 * 24; i++) assert_int_equal(mask[i], i == 2 * 24 + 1);
  pl_judged_free(&judged);
  pl_judge_free(&judge);
  world_free(&w);
}

/* Integrated gradients add up to what the image adds over zeros: here missing patches are zeros, so
 * that the judge's own passes say what that is. With shifts the maps are finer, and patches are
 * sums of cells. */
static void complete_maps_have_no_gap(void **state) {
  (void)state;
  for (int shifts = 1; shifts <= 4; shifts += 3) {
    struct world w;
    struct pl_judge judge;
    struct pl_scored_item scored;
    world_init(&w);
    pl_list_free(&w.config.estimators_names);
    assert_ok(pl_list_add(&w.config.estimators_names, "integrated_gradients", &test_err));
    assert_ok(pl_list_add(&w.config.measures_names, "completeness_gap", &test_err));
    assert_ok(pl_list_add(&w.config.measures_names, "mass", &test_err));
    w.config.estimators_samples = 20;
    w.config.estimators_shifts = shifts;
    w.config.missing_kind = CDAM_FILL_VALUE;
    assert_ok(pl_judge_init(&judge, &w.config, &test_err));
    assert_int_equal(judge.cells, shifts == 1 ? 6 : 12);
    assert_ok(pl_scored_item_init(&scored, &judge, &test_err));
    assert_ok(pl_judge_item(&judge, 0, &scored, &test_err));
    for (size_t m = 0; m < judge.n_measures && shifts == 1; m++)
      if (strcmp(judge.measures[m].name, "completeness_gap") == 0)
        assert_near(scored.values[m], 0, 1e-3);
    float *patches = calloc(judge.n_targets, judge.patches * sizeof *patches);
    pl_judge_to_patches(&judge, scored.maps, judge.n_targets, patches);
    double fine = 0, coarse = 0;
    for (size_t i = 0; i < judge.cells * judge.cells; i++) fine += (double)scored.maps[i];
    for (size_t i = 0; i < judge.patches; i++) coarse += (double)patches[i];
    assert_near(coarse, fine, 1e-5);
    free(patches);
    pl_scored_item_free(&scored);
    pl_judge_free(&judge);
    world_free(&w);
  }
}

/* Two nodules side by side: each on its half, the higher rated one known. */
static void pairs_by_hand(void **state) {
  (void)state;
  struct world w;
  struct pl_judge judge;
  float image[3 * 24 * 24];
  double high[36], low[36];
  struct cdam_pair pair = {image, high, low};
  size_t left = 0;
  world_init(&w);
  assert_ok(pl_judge_init(&judge, &w.config, &test_err));
  assert_true(pl_judge_rated(&judge));
  for (size_t i = 0; i < judge.n_items; i++) {
    bool found;
    double sum[2] = {0}, place[2] = {0}, bright[2] = {0};
    assert_ok(pl_judge_pair_make(&judge, i, CDAM_PAIR_RATED, &pair, &found, &test_err));
    assert_true(found);
    for (size_t p = 0; p < 36; p++) {
      sum[0] += high[p];
      sum[1] += low[p];
      place[0] += high[p] * ((double)(p % 6) + 0.5);
      place[1] += low[p] * ((double)(p % 6) + 0.5);
      assert_true(high[p] * low[p] == 0);
    }
    assert_near(sum[0], 1, 1e-9);
    assert_near(sum[1], 1, 1e-9);
    /* Quarter and three quarters of six columns of patches. */
    assert_near(fmin(place[0], place[1]), 1.5, 1e-6);
    assert_near(fmax(place[0], place[1]), 4.5, 1e-6);
    left += place[0] < place[1];
    for (size_t y = 11; y < 13; y++)
      for (size_t x = 0; x < 2; x++) {
        bright[0] += (double)image[y * 24 + 5 + x] / 4;
        bright[1] += (double)image[y * 24 + 17 + x] / 4;
      }
    assert_true(bright[0] > 1 && bright[1] > 1); /* both balls are there */
  }
  assert_true(left > 0 && left < judge.n_items);
  /* By the truth: only the first item is spiculated, only the second calcified, the third both. */
  bool found;
  assert_ok(pl_judge_pair_make(&judge, 0, CDAM_PAIR_TRUTH, &pair, &found, &test_err));
  assert_false(found); /* no truth */
  judge.features = calloc(judge.n_items, 24 * 24);
  judge.features[10] = CT_FEATURE_SPICULES | CT_FEATURE_BODY;
  judge.features[24 * 24 + 10] = CT_FEATURE_CALCIUM;
  judge.features[2 * 24 * 24 + 10] = CT_FEATURE_CALCIUM | CT_FEATURE_SPICULES;
  for (size_t i = 0; i < 3; i++) {
    assert_ok(pl_judge_pair_make(&judge, i, CDAM_PAIR_TRUTH, &pair, &found, &test_err));
    assert_int_equal(found, i < 2);
    if (!found) continue;
    double largest[2] = {0}; /* discs of 5 and 6 mm; each adds up to 1, so the smaller is denser */
    for (size_t p = 0; p < 36; p++) {
      largest[0] = fmax(largest[0], high[p]);
      largest[1] = fmax(largest[1], low[p]);
    }
    assert_true(largest[0] > 0 && largest[1] > 0);
    double place = 0, other = 0;
    for (size_t p = 0; p < 36; p++) {
      place += high[p] * ((double)(p % 6) + 0.5);
      other += low[p] * ((double)(p % 6) + 0.5);
    }
    assert_near(fmin(place, other), 1.5, 1e-6);
    assert_near(fmax(place, other), 4.5, 1e-6);
  }
  pl_judge_free(&judge);
  /* Who is not rated has no pairs. */
  struct pl_judge_config other = w.config;
  other.target_judged = (char *)"other";
  assert_ok(pl_judge_init(&judge, &other, &test_err));
  assert_false(pl_judge_rated(&judge));
  for (size_t m = 0; m < judge.n_measures; m++)
    assert_null(strstr(judge.measures[m].name, "pair_"));
  pl_judge_free(&judge);
  world_free(&w);
}

/* Stopped after some items, or with other items lying there, a resumed run gives the same bytes;
 * so do other numbers of threads. */
static void resumed_runs_are_the_same(void **state) {
  (void)state;
  struct world w;
  char *first[5], path[512];
  size_t sizes[5];
  int threads = lc_threads();
  world_init(&w);
  lc_threads_set(1);
  assert_ok(pl_judge_run(&w.config, PL_EXISTING_REFUSE, NULL, &test_err));
  for (size_t i = 0; i < 5; i++) first[i] = read_result(&w, names[i], &sizes[i]);
  assert_fails(pl_judge_run(&w.config, PL_EXISTING_REFUSE, NULL, &test_err), LC_ERR_EXISTS,
               "--resume");
  lc_threads_set(3);
  const char *const gone[] = {"items/000001.h5", "items/000003.h5", "summary.csv", "report.html"};
  for (size_t i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s/%s", w.output, gone[i]);
    assert_int_equal(remove(path), 0);
  }
  /* An item of other settings is not taken for one of these. */
  w.config.seed = 2;
  snprintf(path, sizeof path, "%s/items/000000.h5", w.output);
  struct pl_judge judge;
  assert_ok(pl_judge_init(&judge, &w.config, &test_err));
  struct pl_scored_item scored;
  bool found;
  assert_ok(pl_scored_item_init(&scored, &judge, &test_err));
  assert_ok(pl_scored_item_read(&judge, 0, path, &scored, &found, &test_err));
  assert_false(found);
  assert_ok(pl_scored_item_write(&judge, 0, &scored, path, &test_err));
  pl_scored_item_free(&scored);
  pl_judge_free(&judge);
  w.config.seed = 1;
  assert_ok(pl_judge_run(&w.config, PL_EXISTING_RESUME, NULL, &test_err));
  lc_threads_set(threads);
  for (size_t i = 0; i < 5; i++) {
    size_t size;
    char *again = read_result(&w, names[i], &size);
    assert_int_equal(size, sizes[i]);
    assert_memory_equal(again, first[i], size);
    free(again);
    free(first[i]);
  }
  world_free(&w);
}

static void reports_need_nothing_else(void **state) {
  (void)state;
  struct world w;
  struct lc_text summary = {0};
  size_t count;
  world_init(&w);
  assert_ok(pl_judge_run(&w.config, PL_EXISTING_REFUSE, &summary, &test_err));
  assert_non_null(strstr(lc_text_get(&summary), "token_ablation"));
  char *html = read_result(&w, "report.html", &count);
  assert_non_null(strstr(html, "Research use only. Untrained weights"));
  assert_non_null(strstr(html, "data:image/png;base64,iVBOR"));
  assert_non_null(strstr(html, "data:image/svg+xml;base64,PD94bWwg")); /* "<?xml " */
  assert_non_null(strstr(html, "P-1, nodule"));
  assert_non_null(strstr(html, "outputs with malignancy: other "));
  assert_null(strstr(html, "http")); /* no network */
  assert_null(strstr(html, "<script"));
  free(html);
  lc_text_free(&summary);
  world_free(&w);
}

/* Some measures by name: the same values, in the order of the table, and no curve that nobody asked
 * for. */
static void chosen_measures_are_the_same(void **state) {
  (void)state;
  struct world w;
  struct pl_judge all, some;
  struct pl_scored_item whole, part;
  size_t count;
  world_init(&w);
  assert_ok(pl_judge_init(&all, &w.config, &test_err));
  struct pl_judge_config config = w.config;
  config.measures_names =
      (struct pl_list){(char *[]){(char *)"gini", (char *)"box_3", (char *)"gap"}, 3};
  assert_ok(pl_judge_init(&some, &config, &test_err));
  assert_int_equal(some.n_measures, 3);
  assert_string_equal(some.measures[0].name, "gap");
  assert_string_equal(some.measures[2].name, "box_3");
  assert_string_not_equal(some.key, all.key);
  assert_ok(pl_scored_item_init(&whole, &all, &test_err));
  assert_ok(pl_scored_item_init(&part, &some, &test_err));
  assert_ok(pl_judge_item(&all, 0, &whole, &test_err));
  assert_ok(pl_judge_item(&some, 0, &part, &test_err));
  for (size_t m = 0; m < 3; m++) {
    size_t k = 0;
    while (strcmp(all.measures[k].name, some.measures[m].name) != 0) k++;
    for (size_t c = 0; c < all.n_contestants; c++)
      assert_true(part.values[c * 3 + m] == whole.values[c * all.n_measures + k]);
  }
  pl_scored_item_free(&whole);
  pl_scored_item_free(&part);
  pl_judge_free(&all);
  pl_judge_free(&some);
  assert_ok(pl_judge_run(&config, PL_EXISTING_REFUSE, NULL, &test_err));
  char *html = read_result(&w, "report.html", &count);
  assert_non_null(strstr(html, "Deletion: most important first"));
  assert_null(strstr(html, "Weights randomised from the top"));
  free(html);
  world_free(&w);
}

/* What is set for one estimator goes before what is set for all, and makes another key. */
static void parameters_make_another_key(void **state) {
  (void)state;
  struct world w;
  struct pl_judge plain, set;
  world_init(&w);
  assert_ok(pl_judge_init(&plain, &w.config, &test_err));
  assert_true(plain.contestants[1].settings.values[0] == 4); /* estimators.samples */
  assert_ok(pl_schema_set_pair(&pl_judge_schema, &w.config, "estimators.smooth_cdam.samples=6", "",
                               &test_err));
  assert_ok(pl_judge_init(&set, &w.config, &test_err));
  assert_true(set.contestants[1].settings.values[0] == 6);
  assert_string_not_equal(set.key, plain.key);
  struct lc_text text = {0};
  pl_schema_print(&pl_judge_schema, &w.config, PL_PRINT_CANONICAL, &text);
  assert_non_null(strstr(lc_text_get(&text), "  smooth_cdam:\n    samples: 6\nmissing:"));
  assert_null(strstr(lc_text_get(&text), "rise"));
  lc_text_free(&text);
  pl_judge_free(&plain);
  pl_judge_free(&set);
  world_free(&w);
}

static void wrong_settings_are_refused(void **state) {
  (void)state;
  struct world w;
  struct pl_judge judge;
  struct pl_judge_config config;
  world_init(&w);
  config = w.config;
  config.target_judged = (char *)"benign";
  assert_fails(pl_judge_init(&judge, &config, &test_err), LC_ERR_NOT_FOUND, "malignancy");
  pl_judge_free(&judge);
  config = w.config;
  config.sets_boxes = (struct pl_list){(char *[]){(char *)"7"}, 1};
  assert_fails(pl_judge_init(&judge, &config, &test_err), LC_ERR_CONFIG, "from 1 to 6");
  pl_judge_free(&judge);
  config = w.config;
  config.estimators_names = (struct pl_list){(char *[]){(char *)"cadm"}, 1};
  assert_fails(pl_judge_init(&judge, &config, &test_err), LC_ERR_NOT_FOUND, "cdam");
  pl_judge_free(&judge);
  config = w.config;
  config.measures_names = (struct pl_list){(char *[]){(char *)"insertoin"}, 1};
  assert_fails(pl_judge_init(&judge, &config, &test_err), LC_ERR_NOT_FOUND,
               "measure \"insertoin\": did you mean \"insertion\"?");
  pl_judge_free(&judge);
  config.measures_names = (struct pl_list){(char *[]){(char *)"spicules_mass"}, 1};
  assert_fails(pl_judge_init(&judge, &config, &test_err), LC_ERR_NOT_FOUND,
               "\"spicules_mass\": needs the places of features");
  pl_judge_free(&judge);
  config = w.config;
  config.estimators_names = (struct pl_list){(char *[]){(char *)"integrated_cdam"}, 1};
  config.estimators_samples = 1;
  assert_fails(pl_judge_init(&judge, &config, &test_err), LC_ERR_USAGE,
               "integrated_cdam: samples is 1, expected a whole number from 2");
  pl_judge_free(&judge);
  config = w.config;
  config.data_split = (char *)"test";
  assert_fails(pl_judge_init(&judge, &config, &test_err), LC_ERR_NOT_FOUND, "validate");
  pl_judge_free(&judge);
  world_free(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers),
                                     cmocka_unit_test(complete_maps_have_no_gap),
                                     cmocka_unit_test(pairs_by_hand),
                                     cmocka_unit_test(resumed_runs_are_the_same),
                                     cmocka_unit_test(reports_need_nothing_else),
                                     cmocka_unit_test(chosen_measures_are_the_same),
                                     cmocka_unit_test(parameters_make_another_key),
                                     cmocka_unit_test(wrong_settings_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
