/* Holds the schema of the run configuration, builds it from defaults, the model's metadata, a file
 * and options, checks it, and hashes it. */
#include "pipeline/config/pl_config.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/draw/cdam_render.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "ct_io/ct/ct_image.h"
#include "pipeline/config/pl_prepared.h"

static const char *const grouping_words[] = {"pylidc", "millimetres", NULL};
static const char *const zscore_words[] = {
    [CT_ZSCORE_CUBE] = "cube", [CT_ZSCORE_SLICE] = "slice", [CT_ZSCORE_FIXED] = "fixed", NULL};
static const char *const view_words[] = {"axial", "coronal", "sagittal", NULL};
static const char *const colour_words[] = {
    [CDAM_BLUE_ORANGE] = "blue-orange", [CDAM_RED_BLUE] = "red-blue", NULL};
static const char *const enlarge_words[] = {
    [CDAM_BILINEAR] = "bilinear", [CDAM_NEAREST] = "nearest", NULL};
static const char *const scale_words[] = {
    [PL_SCALE_EACH] = "each", [PL_SCALE_COMMON] = "common", NULL};
static const char *const cube_words[] = {
    [PL_CUBE_FLOAT32] = "float32", [PL_CUBE_INT16] = "int16", NULL};

#define AT(field) offsetof(struct pl_config, field)
#define PLACE PL_PLACE
#define KEPT PL_KEEP

static const struct pl_key keys[] = {
    {"input.paths", PL_LIST, AT(input_paths), "[]", 0, 0, NULL, PLACE,
     "Folders or files that are searched for DICOM."},
    {"input.series", PL_TEXT, AT(input_series), "only", 0, 0, NULL, PLACE,
     "SeriesInstanceUID to work on; 'only' when there is one CT series; 'all' for each of them."},
    {"input.assume_hu", PL_BOOL, AT(input_assume_hu), "false", 0, 0, NULL, PLACE,
     "Stored values without RescaleIntercept are Hounsfield units."},
    {"input.allow_missing", PL_BOOL, AT(input_allow_missing), "false", 0, 0, NULL, PLACE,
     "Series are used although files that may belong to them cannot be read."},

    {"nodules.source", PL_TEXT, AT(nodules_source), "auto", 0, 0, NULL, PLACE,
     "'auto' takes the LIDC XML beside the series; else an XML file, a LUNA16 CSV or a folder of "
     "XML files."},
    {"nodules.grouping", PL_CHOICE, AT(nodules_grouping), "pylidc", 0, 0, grouping_words, KEPT,
     "How marks of several readers become one nodule."},
    {"nodules.tolerance_mm", PL_REAL, AT(nodules_tolerance_mm), "0", 0, 100, NULL, KEPT,
     "Distance within which marks belong together; 0: the slice thickness."},
    {"nodules.consensus_level", PL_REAL, AT(nodules_consensus_level), "0.5", 0.01, 1, NULL, KEPT,
     "Share of the readers whose outlines cover a voxel of the consensus mask."},

    {"model.weights", PL_TEXT, AT(model_weights), "", 0, 0, NULL, PLACE,
     "Weight file, or the name of a model ('lungcdam weights list'); empty: the model that ships."},
    {"model.architecture", PL_TEXT, AT(model_architecture), "", 0, 0, NULL, PLACE,
     "Empty: the weight file says it; else a name or a YAML model file."},
    {"model.batch", PL_INTEGER, AT(model_batch), "6", 1, 256, NULL, PLACE,
     "Images in one forward pass: speed and memory, never results."},

    {"cube.edge", PL_INTEGER, AT(cube_edge), "32", 8, 256, NULL, KEPT,
     "Samples along each axis of the cube around a nodule."},
    {"cube.spacing_mm", PL_REAL, AT(cube_spacing_mm), "1", 0.1, 10, NULL, KEPT,
     "Distance of the samples."},

    {"preprocess.hu_low", PL_REAL, AT(preprocess_hu_low), "-1000", -4096, 32767, NULL, KEPT,
     "HU below are raised to this."},
    {"preprocess.hu_high", PL_REAL, AT(preprocess_hu_high), "400", -4096, 32767, NULL, KEPT,
     "HU above are lowered to this."},
    {"preprocess.zscore", PL_CHOICE, AT(preprocess_zscore), "cube", 0, 0, zscore_words, KEPT,
     "Whose mean and deviation are used."},
    {"preprocess.mean", PL_REAL, AT(preprocess_mean), "0", -32768, 32767, NULL, KEPT,
     "Mean HU for 'fixed'."},
    {"preprocess.deviation", PL_REAL, AT(preprocess_deviation), "1", 1e-6, 32767, NULL, KEPT,
     "Standard deviation in HU for 'fixed'."},
    {"preprocess.height", PL_INTEGER, AT(preprocess_height), "0", 0, 4096, NULL, KEPT,
     "Rows of the network's image; 0: as the model says."},
    {"preprocess.width", PL_INTEGER, AT(preprocess_width), "0", 0, 4096, NULL, KEPT,
     "Columns of the network's image; 0: as the model says."},
    {"preprocess.views", PL_LIST, AT(preprocess_views), "[axial, coronal, sagittal]", 0, 0,
     view_words, KEPT, "Central slices of the cube that the network sees."},
    {"preprocess.symmetries", PL_BOOL, AT(preprocess_symmetries), "false", 0, 0, NULL, KEPT,
     "Predictions and maps are means over the eight rotations and flips of each slice."},

    {"explain.targets", PL_LIST, AT(explain_targets), "[all]", 0, 0, NULL, KEPT,
     "Outputs that are explained: 'all', names, indices, or differences as 'a-b'."},

    {"estimators", PL_PARAMETERS, AT(parameters), "", 0, 0, NULL, PLACE,
     "Parameters of the estimators of 'lungcdam explain'."},

    {"figure.write", PL_BOOL, AT(figure_write), "true", 0, 0, NULL, KEPT,
     "One PNG for each nodule and view."},
    {"figure.window_low_hu", PL_REAL, AT(figure_window_low_hu), "-1350", -4096, 32767, NULL, KEPT,
     "HU shown black."},
    {"figure.window_high_hu", PL_REAL, AT(figure_window_high_hu), "150", -4096, 32767, NULL, KEPT,
     "HU shown white."},
    {"figure.detail", PL_INTEGER, AT(figure_detail), "3", 1, 9, NULL, KEPT,
     "CT samples shown for each sample of the cube along an axis (odd)."},
    {"figure.opacity", PL_REAL, AT(figure_opacity), "0.75", 0.01, 1, NULL, KEPT,
     "Opacity of the largest score; zero is transparent."},
    {"figure.colours", PL_CHOICE, AT(figure_colours), "blue-orange", 0, 0, colour_words, KEPT,
     "Colours of negative and positive scores."},
    {"figure.enlarge", PL_CHOICE, AT(figure_enlarge), "bilinear", 0, 0, enlarge_words, KEPT,
     "How the patch grid is brought to the size of the slice."},
    {"figure.scale", PL_CHOICE, AT(figure_scale), "each", 0, 0, scale_words, KEPT,
     "Full colour is the largest score of each target, since units differ, or of all together."},
    {"figure.panel_pixels", PL_INTEGER, AT(figure_panel_pixels), "448", 64, 2048, NULL, KEPT,
     "Edge of one panel."},

    {"capture.write", PL_BOOL, AT(capture_write), "true", 0, 0, NULL, KEPT,
     "One DICOM secondary capture for each nodule and view."},
    {"capture.uid_root", PL_TEXT, AT(capture_uid_root), "", 0, 0, NULL, KEPT,
     "Root of the new UIDs; empty: 2.25."},
    {"capture.series_number", PL_INTEGER, AT(capture_series_number), "9100", 1, 2147483647, NULL,
     KEPT, "SeriesNumber of the new series."},

    {"export.objects", PL_LIST, AT(export_objects), "[]", 0, 0, pl_object_words, KEPT,
     "Kinds of DICOM object that are written; 'all' for every kind beside the captures."},
    {"export.series_number", PL_INTEGER, AT(export_series_number), "9200", 1, 1000000000, NULL,
     KEPT, "SeriesNumber of the first kind; each further kind has 100 more."},
    {"export.relevance", PL_REAL, AT(export_relevance), "0.5", 0, 1, NULL, KEPT,
     "Share of a map's largest score that counts as relevant."},

    {"store.cube_type", PL_CHOICE, AT(store_cube_type), "float32", 0, 0, cube_words, KEPT,
     "Number type of the stored HU; int16 is rounded to the nearest."},

    {"output.folder", PL_TEXT, AT(output_folder), "lungcdam-results", 0, 0, NULL, PLACE,
     "Folder of the results; one folder a series is made in it."},
};

const struct pl_schema pl_config_schema = {
    .what = "run configuration", .keys = keys, .n_keys = sizeof keys / sizeof *keys};

static lc_status set_option(struct pl_config *config, const char *key, const char *text,
                            struct lc_error *err) {
  return text ? pl_schema_set_text(&pl_config_schema, config, key, text, err) : LC_OK;
}

/* Captures may be asked for among the other objects too. */
static lc_status check(struct pl_config *config, struct lc_error *err) {
  if (pl_list_has(&config->export_objects, "captures")) config->capture_write = true;
  if (config->preprocess_hu_low >= config->preprocess_hu_high)
    LC_FAIL(err, LC_ERR_CONFIG, "preprocess.hu_low is %g, expected less than hu_high (%g)",
            config->preprocess_hu_low, config->preprocess_hu_high);
  if (config->figure_window_low_hu >= config->figure_window_high_hu)
    LC_FAIL(err, LC_ERR_CONFIG,
            "figure.window_low_hu is %g, expected less than window_high_hu (%g)",
            config->figure_window_low_hu, config->figure_window_high_hu);
  if (config->figure_detail % 2 == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "figure.detail is %lld, expected an odd number",
            config->figure_detail);
  const struct pl_list *views = &config->preprocess_views;
  if (views->n == 0)
    LC_FAIL(err, LC_ERR_CONFIG,
            "preprocess.views is empty, expected at least one of axial, "
            "coronal, sagittal");
  for (size_t i = 0; i < views->n; i++)
    for (size_t j = 0; j < i; j++)
      if (strcmp(views->items[i], views->items[j]) == 0)
        LC_FAIL(err, LC_ERR_CONFIG, "preprocess.views names %s twice", views->items[i]);
  if (config->explain_targets.n == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "explain.targets is empty, expected 'all' or names of outputs");
  if (!*config->output_folder)
    LC_FAIL(err, LC_ERR_CONFIG, "output.folder is empty, expected a folder");
  return LC_OK;
}

/* The file and the options of the command line, in order. */
static lc_status layer(struct pl_config *config, const struct pl_overrides *overrides,
                       struct lc_error *err) {
  if (overrides->file) LC_TRY(pl_schema_read(&pl_config_schema, config, overrides->file, err));
  for (size_t i = 0; i < overrides->keys.n; i++)
    LC_TRY(pl_schema_set_pair(&pl_config_schema, config, overrides->keys.items[i],
                              "figure.opacity=0.5", err));
  if (overrides->inputs.n > 0) pl_list_free(&config->input_paths);
  for (size_t i = 0; i < overrides->inputs.n; i++)
    LC_TRY(pl_list_add(&config->input_paths, overrides->inputs.items[i], err));
  LC_TRY(set_option(config, "input.series", overrides->series, err));
  config->input_assume_hu = config->input_assume_hu || overrides->assume_hu;
  config->input_allow_missing = config->input_allow_missing || overrides->allow_missing;
  LC_TRY(set_option(config, "nodules.source", overrides->nodules, err));
  LC_TRY(set_option(config, "model.weights", overrides->weights, err));
  return set_option(config, "output.folder", overrides->output, err);
}

/* Without weights a configuration can be read and printed; pl_config_take_model reports that they
 * are missing. A folder that cannot be looked at is no such case: it may hold the model that was
 * meant. */
static lc_status find_model(struct pl_model_found *model, const char *weights,
                            struct lc_error *err) {
  lc_status status = pl_model_find(model, weights, err);
  return model->by_default && model->absent ? LC_OK : status;
}

/* Which weights these are is known after the layers; what they say belongs below them. */
static lc_status apply(struct pl_config *config, const struct pl_overrides *overrides,
                       struct lc_error *err) {
  LC_TRY(pl_schema_init(&pl_config_schema, config, err));
  LC_TRY(layer(config, overrides, err));
  LC_TRY(find_model(&config->model, config->model_weights, err));
  if (lc_file_exists(config->model.path)) {
    struct pl_config beneath = {.model = config->model};
    lc_status status = pl_schema_init(&pl_config_schema, &beneath, err);
    if (status == LC_OK)
      status = pl_prepared_apply(&pl_config_schema, &beneath, "run.", beneath.model.path,
                                 overrides->opened, err);
    if (status == LC_OK) status = layer(&beneath, overrides, err);
    if (status == LC_OK && beneath.model.by_default)
      status = set_option(&beneath, "model.weights", beneath.model.name, err);
    pl_schema_free(&pl_config_schema, config);
    *config = beneath;
    LC_TRY(status);
  }
  return check(config, err);
}

lc_status pl_config_make(struct pl_config *config, const struct pl_overrides *overrides,
                         struct lc_error *err) {
  memset(config, 0, sizeof *config);
  lc_status status = apply(config, overrides, err);
  if (status != LC_OK) pl_config_free(config);
  return status;
}

lc_status pl_config_find_model(struct pl_model_found *found, const struct pl_overrides *overrides,
                               struct lc_error *err) {
  struct pl_config config = {0};
  lc_status status = pl_schema_init(&pl_config_schema, &config, err);
  if (status == LC_OK) status = layer(&config, overrides, err);
  if (status == LC_OK) status = pl_model_find(found, config.model_weights, err);
  pl_config_free(&config);
  return status;
}

void pl_config_say_parameters(const struct pl_config *config) {
  if (pl_parameters_any(&config->parameters))
    lc_log(LC_LOG_WARNING, "parameters of estimators are for 'lungcdam explain': this command "
                           "computes cdam, which has none");
}

lc_status pl_config_take_model(const struct pl_config *config, struct lc_error *err) {
  struct pl_model_found none;
  if (!*config->model.path) return pl_model_find(&none, NULL, err);
  pl_model_say(&config->model, NULL);
  return LC_OK;
}

void pl_config_free(struct pl_config *config) {
  pl_schema_free(&pl_config_schema, config);
}

void pl_overrides_free(struct pl_overrides *overrides) {
  pl_list_free(&overrides->keys);
  pl_list_free(&overrides->inputs);
}

lc_status pl_config_hash(const struct pl_config *config, char hex[LC_SHA256_HEX],
                         struct lc_error *err) {
  struct lc_text text = {0};
  pl_schema_print(&pl_config_schema, config, PL_PRINT_CANONICAL, &text);
  lc_status status = text.failed ? lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "no memory")
                                 : lc_hash_bytes_hex(lc_text_get(&text), text.length, hex, err);
  lc_text_free(&text);
  return status;
}

enum { KEY_ASSUME_HU = 0x5000, KEY_ALLOW_MISSING };

static const struct argp_option options[] = {
    {"input", 'i', "PATH", 0, "Folder or file with DICOM; may be repeated", 1},
    {"series", 's', "UID", 0,
     "SeriesInstanceUID to work on, UID:2 for the second of several volumes in it, or 'all'", 1},
    {"assume-hu", KEY_ASSUME_HU, 0, 0,
     "Take stored values without RescaleIntercept for Hounsfield units", 1},
    {"allow-missing", KEY_ALLOW_MISSING, 0, 0,
     "Use series of which files cannot be read; the results say so", 1},
    {"nodules", 'n', "FILE", 0,
     "LIDC XML, LUNA16 CSV, or a folder of LIDC XML; without it the XML beside the series", 1},
    {"weights", 'w', "MODEL", 0,
     "Weight file, or name of a model ('lungcdam weights list'); by default " PL_MODEL_SHIPPED
     ", which ships",
     1},
    {"output", 'o', "DIR", 0, "Folder of the results (default lungcdam-results)", 1},
    {"set", 'S', "KEY=VALUE", 0, "Override one key of the configuration; may be repeated", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct pl_overrides *overrides = (struct pl_overrides *)state->input;
  struct pl_list *list = NULL;
  switch (key) {
  case 'i':
    list = &overrides->inputs;
    break;
  case 'S':
    list = &overrides->keys;
    break;
  case 's':
    overrides->series = arg;
    return 0;
  case KEY_ASSUME_HU:
    overrides->assume_hu = true;
    return 0;
  case KEY_ALLOW_MISSING:
    overrides->allow_missing = true;
    return 0;
  case 'n':
    overrides->nodules = arg;
    return 0;
  case 'w':
    overrides->weights = arg;
    return 0;
  case 'o':
    overrides->output = arg;
    return 0;
  case ARGP_KEY_ARG:
    if (overrides->file) argp_error(state, "more than one configuration file: %s", arg);
    overrides->file = arg;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
  struct lc_error err;
  if (pl_list_add(list, arg, &err) != LC_OK)
    argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
  return 0;
}

const struct argp pl_config_argp = {.options = options, .parser = parse};
