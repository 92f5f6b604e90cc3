/* Holds the schema of the run configuration, builds it from defaults, the model's metadata, a file
 * and options, checks it, and hashes it. */
#include "pipeline/config/pl_config.h"

#include <string.h>

#include "cdam/draw/cdam_render.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "ct_io/ct/ct_image.h"
#include "pipeline/config/pl_prepared.h"

const char *const pl_nodule_words[] = {"components", "keep-duplicates", "strict", NULL};
static const char *const grouping_words[] = {"pylidc", "millimetres", NULL};
const char *const pl_zscore_words[] = {
    [CT_ZSCORE_CUBE] = "cube", [CT_ZSCORE_SLICE] = "slice", [CT_ZSCORE_FIXED] = "fixed", NULL};
const char *const pl_view_words[] = {"axial", "coronal", "sagittal", NULL};
static const char *const colour_words[] = {
    [CDAM_BLUE_ORANGE] = "blue-orange", [CDAM_RED_BLUE] = "red-blue", NULL};
static const char *const enlarge_words[] = {
    [CDAM_BILINEAR] = "bilinear", [CDAM_NEAREST] = "nearest", NULL};
static const char *const scale_words[] = {
    [PL_SCALE_EACH] = "each", [PL_SCALE_COMMON] = "common", NULL};
static const char *const cube_words[] = {
    [PL_CUBE_FLOAT32] = "float32", [PL_CUBE_INT16] = "int16", NULL};

#define KEY_OBJECT struct pl_config
#define PLACE .keeping = PL_PLACE

static const struct pl_key keys[] = {
    KEY_LIST(input, paths, "[]", NULL,
             "Folders or files that are searched for DICOM, MetaImage, NIfTI and NRRD.", PLACE),
    KEY_TEXT(input, series, "only",
             "SeriesInstanceUID (of a volume file its name) to work on; 'only' when there is one "
             "CT series; 'all' for each of them.",
             PLACE),
    KEY_TEXT(input, reference, "",
             "Folder with the DICOM that volume files were made from; without it no DICOM objects "
             "are made of them.",
             PLACE),
    KEY_BOOL(input, assume_hu, "false",
             "Stored values without RescaleIntercept are Hounsfield units.", PLACE),
    KEY_BOOL(input, allow_missing, "false",
             "Series are used although files that may belong to them cannot be read.", PLACE),

    KEY_LIST(
        nodules, source, "[auto]", NULL,
        "'auto' takes what lies beside the series and DICOM objects (SEG, RTSTRUCT, SR) of its "
        "study; 'detect' has candidates found; else files of any kind that docs/nodules.md "
        "lists, and folders.",
        PLACE),
    KEY_TEXT(nodules, command, "",
             "Program that finds the candidates of 'detect'; empty: lungcdam's own detector. It "
             "gets a folder with the files of a series, and the file to write.",
             PLACE),
    KEY_TEXT(nodules, command_file, "candidates.csv",
             "Name of the file that it writes; of any kind that docs/nodules.md lists.", PLACE),
    KEY_INTEGER(nodules, command_s, "600", 1, 86400, "Seconds that it may take for a series.",
                PLACE),
    KEY_INTEGER(nodules, command_mb, "16384", 0, 1048576,
                "MiB of address space that it may take; 0: any.", PLACE),
    KEY_INTEGER(nodules, most_a_lung, "5", 1, 100,
                "Candidates of lungcdam's own detector on either side.", PLACE),
    KEY_LIST(
        nodules, reading, "[]", pl_nodule_words,
        "components: each connected part of a mask is a nodule; keep-duplicates: points within "
        "3 mm of each other are several nodules; strict: a mark that cannot be read is an "
        "error.",
        .keeping = PL_KEEP_GIVEN),
    KEY_CHOICE(nodules, grouping, "pylidc", grouping_words,
               "How marks of several readers become one nodule."),
    KEY_REAL(nodules, tolerance_mm, "0", 0, 100,
             "Distance within which marks belong together; 0: the slice thickness."),
    KEY_REAL(nodules, consensus_level, "0.5", 0.01, 1,
             "Share of the readers whose outlines cover a voxel of the consensus mask."),

    KEY_TEXT(model, weights, "",
             "Weight file, or the name of a model ('lungcdam weights list'); empty: the model that "
             "ships.",
             PLACE),
    KEY_TEXT(model, architecture, "",
             "Empty: the weight file says it; else a name or a YAML model file.", PLACE),
    KEY_INTEGER(model, batch, "6", 1, 256,
                "Images in one forward pass: speed and memory, never results.", PLACE),

    KEY_INTEGER(cube, edge, "32", 8, 256, "Samples along each axis of the cube around a nodule."),
    KEY_REAL(cube, spacing_mm, "1", 0.1, 10, "Distance of the samples."),

    KEY_REAL(preprocess, hu_low, "-1000", -4096, 32767, "HU below are raised to this."),
    KEY_REAL(preprocess, hu_high, "400", -4096, 32767, "HU above are lowered to this."),
    KEY_CHOICE(preprocess, zscore, "cube", pl_zscore_words, "Whose mean and deviation are used."),
    KEY_REAL(preprocess, mean, "0", -32768, 32767, "Mean HU for 'fixed'."),
    KEY_REAL(preprocess, deviation, "1", 1e-6, 32767, "Standard deviation in HU for 'fixed'."),
    KEY_INTEGER(preprocess, height, "0", 0, 4096,
                "Rows of the network's image; 0: as the model says."),
    KEY_INTEGER(preprocess, width, "0", 0, 4096,
                "Columns of the network's image; 0: as the model says."),
    KEY_LIST(preprocess, views, "[axial, coronal, sagittal]", pl_view_words,
             "Central slices of the cube that the network sees."),
    KEY_BOOL(preprocess, symmetries, "false",
             "Predictions and maps are means over the eight rotations and flips of each slice."),

    KEY_LIST(explain, targets, "[all]", NULL,
             "Outputs that are explained: 'all', names, indices, or differences as 'a-b'."),
    KEY_INTEGER(explain, shifts, "0", 0, 65536,
                "Images shifted by parts of a patch that a map is the mean of; 0: 'run' takes as "
                "few as make cells of 2 mm or less, 'explain' 1."),

    {"estimators", PL_PARAMETERS, offsetof(struct pl_config, parameters), "", 0, 0, NULL, PL_PLACE,
     "Parameters of the estimators of 'lungcdam explain'."},

    KEY_BOOL(figure, write, "true", "One PNG for each nodule and view."),
    KEY_REAL(figure, window_low_hu, "-1350", -4096, 32767, "HU shown black."),
    KEY_REAL(figure, window_high_hu, "150", -4096, 32767, "HU shown white."),
    KEY_INTEGER(figure, detail, "3", 1, 9,
                "CT samples shown for each sample of the cube along an axis (odd)."),
    KEY_REAL(figure, opacity, "0.75", 0.01, 1,
             "Opacity of the largest score; zero is transparent."),
    KEY_CHOICE(figure, colours, "blue-orange", colour_words,
               "Colours of negative and positive scores."),
    KEY_CHOICE(figure, enlarge, "bilinear", enlarge_words,
               "How the patch grid is brought to the size of the slice."),
    KEY_CHOICE(
        figure, scale, "each", scale_words,
        "Full colour is the largest score of each target, since units differ, or of all together."),
    KEY_INTEGER(figure, panel_pixels, "448", 64, 2048, "Edge of one panel."),

    KEY_BOOL(capture, write, "true", "One DICOM secondary capture for each nodule and view."),
    KEY_TEXT(capture, uid_root, "", "Root of the new UIDs; empty: 2.25."),
    KEY_INTEGER(capture, series_number, "9100", 1, 2147483647, "SeriesNumber of the new series."),

    KEY_LIST(export, objects, "[]", pl_object_words,
             "Kinds of DICOM object that are written; 'all' for every kind beside the captures."),
    KEY_INTEGER(export, series_number, "9200", 1, 1000000000,
                "SeriesNumber of the first kind; each further kind has 100 more."),
    KEY_REAL(export, relevance, "0.5", 0, 1,
             "Share of a map's largest score that counts as relevant."),

    KEY_CHOICE(store, cube_type, "float32", cube_words,
               "Number type of the stored HU; int16 is rounded to the nearest."),

    KEY_TEXT(output, folder, "lungcdam-results",
             "Folder of the results; one folder a series is made in it.", PLACE),

    KEY_TEXT(serve, listen, "127.0.0.1",
             "IPv4 address that 'lungcdam serve' listens on; beyond 127.0.0.1 it needs TLS or "
             "serve.insecure.",
             PLACE),
    KEY_BOOL(serve, insecure, "false",
             "'lungcdam serve' may listen beyond this machine without TLS.", PLACE),
    KEY_LIST(
        serve, callers, "[]", NULL,
        "Who may call 'lungcdam serve': TITLE@ADDRESS or TITLE@ADDRESS/BITS; empty: everybody.",
        PLACE),
};

const struct pl_schema pl_config_schema = {
    .what = "run configuration", .keys = keys, .n_keys = sizeof keys / sizeof *keys};

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
  if (pl_config_detects(config) && config->nodules_source.n > 1)
    LC_FAIL(err, LC_ERR_CONFIG,
            "nodules.source has 'detect' beside other sources, expected it alone (a file that is "
            "called so: ./detect)");
  if (*config->nodules_command && !pl_config_detects(config))
    LC_FAIL(err, LC_ERR_CONFIG,
            "nodules.command is given, expected nodules.source: [detect] (--nodules detect) with "
            "it");
  const char *file = config->nodules_command_file;
  if (!*file || *file == '.' || strchr(file, '/'))
    LC_FAIL(err, LC_ERR_CONFIG,
            "nodules.command_file is '%s', expected a name without folder that begins with no dot",
            file);
  LC_TRY(pl_views_check(&config->preprocess_views, "preprocess.views", err));
  if (config->explain_targets.n == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "explain.targets is empty, expected 'all' or names of outputs");
  if (!*config->output_folder)
    LC_FAIL(err, LC_ERR_CONFIG, "output.folder is empty, expected a folder");
  return LC_OK;
}

static lc_status layer_nodules(struct pl_config *config, const struct pl_nodule_files *given,
                               struct lc_error *err) {
  const bool asked[] = {given->components, given->keep_duplicates, given->strict};
  if (given->paths.n > 0) pl_list_free(&config->nodules_source);
  for (size_t i = 0; i < given->paths.n; i++)
    LC_TRY(pl_list_add(&config->nodules_source, given->paths.items[i], err));
  for (size_t i = 0; pl_nodule_words[i]; i++)
    if (asked[i] && !pl_list_has(&config->nodules_reading, pl_nodule_words[i]))
      LC_TRY(pl_list_add(&config->nodules_reading, pl_nodule_words[i], err));
  return LC_OK;
}

bool pl_config_detects(const struct pl_config *config) {
  return pl_list_has(&config->nodules_source, "detect");
}

const char *const *pl_config_nodules(const struct pl_config *config, size_t *n) {
  const struct pl_list *list = &config->nodules_source;
  bool none = list->n == 1 && (strcmp(list->items[0], "auto") == 0 || pl_config_detects(config));
  *n = none ? 0 : list->n;
  return *n ? (const char *const *)list->items : NULL;
}

/* The file and the options of the command line, in order. */
static lc_status layer(struct pl_config *config, const struct pl_overrides *overrides,
                       struct lc_error *err) {
  const struct pl_schema *schema = &pl_config_schema;
  LC_TRY(pl_schema_layer(schema, config, overrides, "figure.opacity=0.5", err));
  if (overrides->inputs.n > 0) pl_list_free(&config->input_paths);
  for (size_t i = 0; i < overrides->inputs.n; i++)
    LC_TRY(pl_list_add(&config->input_paths, overrides->inputs.items[i], err));
  LC_TRY(pl_schema_set_text(schema, config, "input.series", overrides->series, err));
  LC_TRY(pl_schema_set_text(schema, config, "input.reference", overrides->reference, err));
  if (overrides->assume_hu) config->input_assume_hu = true;
  if (overrides->allow_missing) config->input_allow_missing = true;
  if (overrides->shifts > 0) config->explain_shifts = overrides->shifts;
  LC_TRY(layer_nodules(config, &overrides->nodules, err));
  LC_TRY(pl_schema_set_text(schema, config, "model.weights", overrides->weights, err));
  LC_TRY(
      pl_schema_set_text(schema, config, "model.architecture", overrides->load.architecture, err));
  config->load = overrides->load;
  return pl_schema_set_text(schema, config, "output.folder", overrides->output, err);
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
      status =
          pl_schema_set_text(&pl_config_schema, &beneath, "model.weights", beneath.model.name, err);
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
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  LC_TRY(pl_schema_init(&pl_config_schema, &config, err));
  LC_TRY(layer(&config, overrides, err));
  return pl_model_find(found, config.model_weights, err);
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

lc_status pl_config_hash(const struct pl_config *config, char hex[LC_SHA256_HEX],
                         struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  pl_schema_print(&pl_config_schema, config, PL_PRINT_CANONICAL, &text);
  if (text.failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory");
  return lc_hash_bytes_hex(lc_text_get(&text), text.length, hex, err);
}
