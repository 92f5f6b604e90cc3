/* Implements `lungcdam explain`: reads images from series, results, crops or tensors, runs
 * estimators, and writes maps and figures. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/explain/pl_concept.h"
#include "pipeline/explain/pl_explain.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/store/pl_output.h"

#define MAPS_FILE "maps.h5"

struct arguments {
  const char *tensor, *result, *concept, *split, *estimators, *targets, *maps_out;
  struct pl_overrides overrides; /* file and keys: of a recipe or a run's configuration */
  struct pl_list parameters;     /* keys of estimators */
  struct pl_explain_figures figures;
  int format;
  long long seed, first, count;
  /* Parameters of every estimator that has them; below what they can be: not given. */
  long long samples, head;
  double level, baseline;
  int place;
  bool overwrite;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct arguments defaults = {.estimators = "cdam",
                                          .targets = "all",
                                          .count = 20,
                                          .head = -2,
                                          .level = NAN,
                                          .baseline = NAN,
                                          .place = -1};

/* Keys of estimators are kept apart from those of a recipe or configuration. */
static void set_key(void *input, const char *arg, const struct argp_state *state) {
  struct arguments *arguments = input;
  bool parameter = strncmp(arg, "estimators.", 11) == 0;
  struct lc_error err;
  if (pl_list_add(parameter ? &arguments->parameters : &arguments->overrides.keys, arg, &err) !=
      LC_OK)
    argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
}

static const char *const formats[] = {"png", "svg", "pdf", "none", NULL};
enum { NO_FIGURES = 3 };
static const char *const places[] = {"input", "normed", NULL};
static const char *const colours[] = {
    [CDAM_BLUE_ORANGE] = "blue-orange", [CDAM_RED_BLUE] = "red-blue", NULL};
static const char *const enlargements[] = {
    [CDAM_BILINEAR] = "bilinear", [CDAM_NEAREST] = "nearest", NULL};

static const struct pl_option options[] = {
    {.doc = "Input:", .group = 1},
    PL_WEIGHTS_ROW(1, overrides.weights),
    PL_LOAD_ROWS(1, overrides.load.architecture, overrides.load.which, overrides.load.ignore),
    {"tensor", 't', "FILE",
     "Prepared images: safetensors with input [n, 3, h, w]; smooth_noise, smoothgrad_noise and "
     "concept_vector are used when they are there",
     1, PL_OPTION_TEXT, AT(tensor)},
    {"crops", 'd', "FILE", "Nodule crops (HDF5), prepared as the recipe says", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"input", 'i', "PATH",
     "Folder or file with DICOM, MetaImage, NIfTI or NRRD, whose nodules are prepared as by "
     "lungcdam run; may be repeated",
     1, PL_OPTION_LIST, AT(overrides.inputs)},
    PL_SERIES_ROWS,
    {"result", 0, "DIR",
     "Folder of one series in the output of lungcdam run: its cubes and configuration", 1,
     PL_OPTION_TEXT, AT(result)},
    {"split", 0, "NAME", "Split of the crops; without it data.validate", 1, PL_OPTION_TEXT,
     AT(split)},
    {"first", 0, "N", "Number of the first nodule, 0 by default", 1, PL_OPTION_WHOLE, AT(first), 0,
     PL_ANY},
    {"count", 0, "N", "How many nodules, 20 by default", 1, PL_OPTION_WHOLE, AT(count), 1, PL_ANY},
    {"set", 'S', "KEY=VALUE",
     "Override one key of the recipe or configuration, or set estimators.NAME.PARAMETER", 1,
     PL_OPTION_CALL, .call = set_key},
    {.doc = "What to compute:", .group = 2},
    {"estimators", 'e', "LIST",
     "Names with commas, or all; cdam by default. NAME:PARAMETER=VALUE,... sets what is its own", 2,
     PL_OPTION_TEXT, AT(estimators)},
    {"targets", 'T', "LIST",
     "Outputs, or differences a-b, with commas, or all; all outputs by default", 2, PL_OPTION_TEXT,
     AT(targets)},
    {"concept", 'c', "FILE", "One more target: a concept made by lungcdam concept create", 2,
     PL_OPTION_TEXT, AT(concept)},
    {"samples", 0, "N", "Noisy copies, steps, or masks of every estimator", 2, PL_OPTION_WHOLE,
     AT(samples), 1, PL_ANY},
    {"level", 0, "L", "Noise as a share of the range", 2, PL_OPTION_REAL, AT(level), -HUGE_VAL,
     HUGE_VAL},
    {"baseline", 0, "B", "Where integrated methods start", 2, PL_OPTION_REAL, AT(baseline),
     -HUGE_VAL, HUGE_VAL},
    {"shifts", 0, "N",
     "Maps are means over N images shifted by parts of a patch, on as much finer a grid: the "
     "square "
     "of a divisor of the patch size; 1 by default (explain.shifts)",
     2, PL_OPTION_WHOLE, AT(overrides.shifts), 1, PL_ANY},
    {"seed", 0, "S", "Seed of noise and masks", 2, PL_OPTION_WHOLE, AT(seed), 0, PL_ANY},
    {"place", 0, "WHERE",
     "input (of the last block, default) or normed: where noise and scaling of CDAM act", 2,
     PL_OPTION_CHOICE, AT(place), .words = places},
    {"head", 0, "H", "Head of the attention map; -1: mean", 2, PL_OPTION_WHOLE, AT(head), -1,
     PL_ANY},
    {.doc = "Output:", .group = 3},
    {"output", 'o', "DIR", "Folder for maps.h5 and figures", 3, PL_OPTION_TEXT,
     AT(overrides.output)},
    {"maps-out", 0, "FILE", "Logits and maps as safetensors", 3, PL_OPTION_TEXT, AT(maps_out)},
    {"figures", 0, "FORMAT", "png (default), svg, pdf or none", 3, PL_OPTION_CHOICE, AT(format),
     .words = formats},
    {"colours", 0, "MAP", "blue-orange (default) or red-blue", 3, PL_OPTION_CHOICE,
     AT(figures.colours), .words = colours},
    {"enlarge", 0, "HOW", "bilinear (default) or nearest", 3, PL_OPTION_CHOICE, AT(figures.enlarge),
     .words = enlargements},
    {"light", 0, NULL, "Figures on white, for paper", 3, PL_OPTION_VALUE, AT(figures.theme),
     CDAM_LIGHT},
    {"overwrite", 'f', NULL, "Replace outputs that exist", 3, PL_OPTION_FLAG, AT(overwrite)},
};

static void check_arguments(void *input, const struct argp_state *state) {
  const struct arguments *arguments = input;
  bool recipe = arguments->overrides.file || arguments->overrides.keys.n;
  bool series = arguments->overrides.inputs.n > 0;
  if (!!arguments->tensor + !!arguments->overrides.crops + series + !!arguments->result != 1)
    argp_error(state, "give one of --tensor FILE, --crops FILE, --input PATH and --result DIR");
  if (arguments->tensor && recipe) argp_error(state, "a recipe prepares crops, not tensors");
  if (arguments->result && arguments->overrides.file)
    argp_error(state, "a result has its configuration with it");
  const struct pl_overrides *given = &arguments->overrides;
  if ((given->series || given->nodules.paths.n || given->reference) && !series)
    argp_error(state, "--series, --nodules and --reference belong to --input PATH");
  if (!arguments->overrides.output && !arguments->maps_out)
    argp_error(state, "nothing to write: give --output DIR, --maps-out FILE, or both");
}

static void describe(const struct cdam_estimator *estimator, const struct cdam_parameter *parameter,
                     struct lc_text *out) {
  char expected[160];
  cdam_parameter_expects(parameter, expected, sizeof expected);
  lc_text_add(out, "  %s:%s=", estimator->name, parameter->name);
  if (parameter->choices)
    lc_text_add(out, "%s", parameter->choices[(size_t)parameter->initial]);
  else
    lc_text_add(out, "%g", parameter->initial);
  lc_text_add(out, "  %s (%s)\n", parameter->doc, expected);
}

static char *help(int key, const char *text, void *input) {
  (void)input;
  if (key != ARGP_KEY_HELP_POST_DOC) return (char *)text; /* argp's own convention */
  size_t count;
  const struct cdam_estimator *const *table = cdam_estimators(&count);
  struct lc_text more = {0};
  lc_text_add(&more, "Estimators:");
  for (size_t i = 0; i < count; i++) lc_text_add(&more, "%s %s", i ? "," : "", table[i]->name);
  lc_text_add(&more, ".\n\nTheir parameters:\n");
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < table[i]->n_parameters; k++)
      describe(table[i], &table[i]->parameters[k], &more);
  lc_text_add(&more, "\n%s", text);
  return more.data;
}

/* The weights are opened and read here, for everything that follows. For --input the configuration
 * may name the model too. */
static lc_status load_model(struct pl_explain *explain, struct pl_model_found *found,
                            struct arguments *arguments, struct lc_error *err) {
  struct pl_overrides *overrides = &arguments->overrides;
  if (overrides->weights || overrides->inputs.n == 0)
    LC_TRY(pl_model_find(found, overrides->weights, err));
  else
    LC_TRY(pl_config_find_model(found, overrides, err));
  LC_TRY(pl_model_load(&explain->model, found->path, &overrides->load, err));
  pl_model_say(found, &explain->model.file);
  LC_TRY(pl_model_check_finished(&explain->model, found->path, err));
  overrides->weights = found->path;
  overrides->opened = &explain->model.file;
  return vit_model_hash(&explain->model, err);
}

/* --set estimators.NAME.PARAMETER=VALUE goes before what a configuration says. */
static lc_status set_parameters(struct pl_explain_settings *settings,
                                const struct arguments *arguments, struct lc_error *err) {
  const struct pl_explain_general given[] = {
      {"samples", arguments->samples > 0 ? (double)arguments->samples : NAN},
      {"head", arguments->head >= -1 ? (double)arguments->head : NAN},
      {"level", arguments->level},
      {"baseline", arguments->baseline},
      {"place", arguments->place >= 0 ? (double)arguments->place : NAN}};
  settings->seed = (uint64_t)arguments->seed;
  settings->shifts = (size_t)arguments->overrides.shifts;
  for (size_t i = 0; i < sizeof given / sizeof *given; i++)
    if (!isnan(given[i].value)) settings->general[settings->n_general++] = given[i];
  for (size_t i = 0; i < arguments->parameters.n; i++)
    LC_TRY(pl_schema_set_pair(&pl_parameters_schema, &settings->parameters,
                              arguments->parameters.items[i], "estimators.rise.samples=1000", err));
  return LC_OK;
}

static lc_status read_input(struct pl_explain *explain, const struct arguments *arguments,
                            struct lc_error *err) {
  size_t first = (size_t)arguments->first, count = (size_t)arguments->count;
  if (arguments->tensor) return pl_explain_read_tensors(explain, arguments->tensor, err);
  if (arguments->result)
    return pl_explain_read_result(explain, arguments->result, &arguments->overrides.keys, first,
                                  count, err);
  if (arguments->overrides.crops)
    return pl_explain_read_crops(explain, &arguments->overrides, arguments->split, first, count,
                                 err);
  return pl_explain_read_series(explain, &arguments->overrides, first, count, err);
}

static lc_status prepare(struct pl_explain *explain, const struct arguments *arguments,
                         struct lc_error *err) {
  LC_TRY(set_parameters(&explain->settings, arguments, err));
  LC_TRY(read_input(explain, arguments, err));
  if (arguments->concept && explain->input.concept_vector)
    LC_FAIL(err, LC_ERR_USAGE, "%s: the tensor file already holds a concept", arguments->concept);
  if (arguments->concept)
    LC_TRY(pl_concept_read(&explain->model, arguments->concept, explain->input.concept_name,
                           &explain->input.concept_vector, err));
  return pl_explain_choose(explain, arguments->estimators, arguments->targets, err);
}

/* The folder appears in one step, or not at all. */
static lc_status write_folder(const struct pl_explain *explain, const struct arguments *arguments,
                              struct lc_error *err) {
  char path[LC_PATH_SIZE];
  struct pl_explain_figures figures = arguments->figures;
  LC_SCOPED(pl_output_close) struct pl_output output = {.made = false};
  LC_SCOPED(pl_draft_discard) struct pl_draft draft = {.lock = -1};
  figures.format = formats[arguments->format];
  LC_TRY(pl_draft_begin_path(&draft, &output, arguments->overrides.output, err));
  LC_TRY(lc_path_join(path, draft.folder, MAPS_FILE, err));
  LC_TRY(pl_explain_write_h5(explain, path, err));
  if (arguments->format != NO_FIGURES)
    LC_TRY(pl_explain_write_figures(explain, &figures, draft.folder, err));
  return pl_draft_publish(&draft, arguments->overwrite, err);
}

/* Only what an earlier call made may be replaced. */
static lc_status check_existing(const struct arguments *arguments, struct lc_error *err) {
  const char *output = arguments->overrides.output;
  char maps[LC_PATH_SIZE];
  if (output) LC_TRY(pl_cli_check_new(output, arguments->overwrite, err));
  if (arguments->maps_out) LC_TRY(pl_cli_check_new(arguments->maps_out, arguments->overwrite, err));
  if (arguments->maps_out && lc_folder_exists(arguments->maps_out))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: is a folder, expected a file for --maps-out",
            arguments->maps_out);
  if (!output || !lc_file_exists(output)) return LC_OK;
  LC_TRY(lc_path_join(maps, output, MAPS_FILE, err));
  if (!lc_file_exists(maps))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: holds no %s, so it was not made by explain; it is left alone",
            output, MAPS_FILE);
  return LC_OK;
}

static void free_explain(struct pl_explain **explain) {
  pl_explain_free(*explain);
}

static lc_status run(void *input, struct lc_error *err) {
  struct arguments *arguments = input;
  LC_SCOPED(pl_list_free) struct pl_list parameters = arguments->parameters;
  (void)parameters; /* no option's own list, which would be freed anyway */
  LC_SCOPED(free_explain) struct pl_explain *explain = NULL;
  struct pl_progress progress;
  struct pl_model_found found;
  LC_TRY(check_existing(arguments, err));
  LC_TRY(pl_explain_new(&explain, err));
  LC_TRY(load_model(explain, &found, arguments, err));
  LC_TRY(prepare(explain, arguments, err));
  const struct pl_explain_input *images = &explain->input;
  for (size_t i = 0; i < explain->n_estimators && arguments->maps_out; i++)
    if (strcmp(explain->estimators[i]->name, "input_x_gradient") == 0)
      explain->keep_gradient = true;
  pl_progress_start(&progress, "explaining", "maps",
                    images->n * pl_variants_count(&explain->variants) * explain->n_estimators);
  lc_status status = pl_explain_run(explain, &progress.progress, err);
  pl_progress_end(&progress);
  LC_TRY(status);
  if (arguments->maps_out) LC_TRY(pl_explain_write_tensors(explain, arguments->maps_out, err));
  if (arguments->overrides.output) LC_TRY(write_folder(explain, arguments, err));
  printf("%zu image%s, %zu target%s, %zu estimator%s, model %s%s\n", images->n,
         images->n == 1 ? "" : "s", explain->n_targets, explain->n_targets == 1 ? "" : "s",
         explain->n_estimators, explain->n_estimators == 1 ? "" : "s", found.name,
         explain->model.trained ? "" : "; UNTRAINED WEIGHTS: the numbers mean nothing");
  if (explain->n_left_out == 0) return LC_OK;
  LC_FAIL(err, LC_ERR_PARTIAL,
          "%zu nodule%s could not be cut and %s left out; the others are explained",
          explain->n_left_out, explain->n_left_out == 1 ? "" : "s",
          explain->n_left_out == 1 ? "is" : "are");
}

const struct pl_command pl_command_explain = {
    .name = "explain",
    .summary = "explain prepared images or nodule crops by one or several estimators",
    .size = sizeof(struct arguments),
    .defaults = &defaults,
    PL_OPTIONS(options),
    .args_doc = "[RECIPE.yaml|CONFIG.yaml]",
    .doc = "Explain a model's outputs on nodules of CT series, nodule crops or prepared images: "
           "maps of importance by one "
           "or several estimators, as HDF5 and figures, or as safetensors.\v"
           "Examples:\n"
           "  lungcdam explain -w model.safetensors --crops crops.h5 run1/recipe.yaml -o maps\n"
           "  lungcdam explain --input LIDC-IDRI-0001 -o maps           the model that ships\n"
           "  lungcdam explain -w model.safetensors --tensor images.safetensors \\\n"
           "      -e cdam,smooth_cdam,attention_map -T malignancy --maps-out maps.safetensors\n"
           "  lungcdam explain --crops crops.h5 -e cdam,rise:samples=1000,keep=0.4 -o maps\n"
           "  lungcdam explain -w model.safetensors -d crops.h5 run1/recipe.yaml -e all \\\n"
           "      -T malignancy --count 3 --figures pdf --light -o compare",
    .words = {offsetof(struct arguments, overrides.file)},
    .n_words = 1,
    .too_many = "more than one recipe",
    .check = check_arguments,
    .help = help,
    .run = run,
};
