/* Implements `lungcdam explain`: reads images from series, results, crops or tensors, runs
 * estimators, and writes maps and figures. */
#include <stdio.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_text.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_options.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/explain/pl_concept.h"
#include "pipeline/explain/pl_explain_crops.h"
#include "pipeline/explain/pl_explain_nodules.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/store/pl_output.h"

#define MAPS_FILE "maps.h5"

struct arguments {
  const char *tensor, *result, *weights, *concept, *split, *estimators, *targets, *maps_out,
      *output;
  char *series, *nodules, *reference;
  struct pl_list inputs;
  struct pl_recipe_overrides overrides; /* file and keys: of a recipe or a run's configuration */
  struct pl_list parameters;            /* keys of estimators */
  struct pl_explain_figures figures;
  struct pl_explain_settings settings;
  long long first, count;
  bool overwrite, no_figures;
};
#define AT(field) PL_AT(struct arguments, field)

/* A parameter of every estimator that has it. */
static void set_general(struct pl_explain_settings *s, const char *parameter, double value) {
  size_t i = 0;
  while (i < s->n_general && strcmp(s->general[i].parameter, parameter) != 0) i++;
  s->general[i] = (struct pl_explain_general){parameter, value};
  if (i == s->n_general) s->n_general++;
}

/* Parameters of every estimator that has them: --samples 100. */
static void set_whole(struct arguments *arguments, const char *name, const char *arg, long long low,
                      const struct argp_state *state) {
  long long value = 0;
  if (!lc_text_to_long(arg, &value) || value < low)
    argp_error(state, "--%s is '%s', expected a whole number of %lld or more", name, arg, low);
  set_general(&arguments->settings, name, (double)value);
}

static void set_real(struct arguments *arguments, const char *name, const char *arg,
                     const struct argp_state *state) {
  double value = 0;
  if (!lc_text_to_double(arg, &value))
    argp_error(state, "--%s is '%s', expected a number", name, arg);
  set_general(&arguments->settings, name, value);
}

static void set_samples(void *arguments, const char *arg, const struct argp_state *state) {
  set_whole(arguments, "samples", arg, 1, state);
}

static void set_head(void *arguments, const char *arg, const struct argp_state *state) {
  set_whole(arguments, "head", arg, -1, state);
}

static void set_level(void *arguments, const char *arg, const struct argp_state *state) {
  set_real(arguments, "level", arg, state);
}

static void set_baseline(void *arguments, const char *arg, const struct argp_state *state) {
  set_real(arguments, "baseline", arg, state);
}

static void set_place(void *arguments, const char *arg, const struct argp_state *state) {
  if (strcmp(arg, "input") != 0 && strcmp(arg, "normed") != 0)
    argp_error(state, "--place is '%s', expected input or normed", arg);
  set_general(&((struct arguments *)arguments)->settings, "place", strcmp(arg, "normed") == 0);
}

/* Keys of estimators are kept apart from those of a recipe or configuration. */
static void set_key(void *input, const char *arg, const struct argp_state *state) {
  struct arguments *arguments = input;
  bool parameter = strncmp(arg, "estimators.", 11) == 0;
  struct lc_error err;
  if (pl_list_add(parameter ? &arguments->parameters : &arguments->overrides.keys, arg, &err) !=
      LC_OK)
    argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
}

static void set_figures(void *input, const char *arg, const struct argp_state *state) {
  struct arguments *arguments = input;
  arguments->no_figures = strcmp(arg, "none") == 0;
  if (!arguments->no_figures && strcmp(arg, "png") != 0 && strcmp(arg, "svg") != 0 &&
      strcmp(arg, "pdf") != 0)
    argp_error(state, "--figures is '%s', expected png, svg, pdf or none", arg);
  arguments->figures.format = arg;
}

static const char *const colours[] = {
    [CDAM_BLUE_ORANGE] = "blue-orange", [CDAM_RED_BLUE] = "red-blue", NULL};
static const char *const enlargements[] = {
    [CDAM_BILINEAR] = "bilinear", [CDAM_NEAREST] = "nearest", NULL};

static const struct pl_option options[] = {
    {.doc = "Input:", .group = 1},
    {"weights", 'w', "MODEL",
     "Weight file, or name of a model ('lungcdam weights list'); by default " PL_MODEL_SHIPPED
     ", which ships",
     1, PL_OPTION_TEXT, AT(weights)},
    {"tensor", 't', "FILE",
     "Prepared images: safetensors with input [n, 3, h, w]; smooth_noise, smoothgrad_noise and "
     "concept_vector are used when they are there",
     1, PL_OPTION_TEXT, AT(tensor)},
    {"crops", 'd', "FILE", "Nodule crops (HDF5), prepared as the recipe says", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"input", 'i', "PATH",
     "Folder or file with DICOM, MetaImage, NIfTI or NRRD, whose nodules are prepared as by "
     "lungcdam run; may be repeated",
     1, PL_OPTION_LIST, AT(inputs)},
    {"series", 's', "UID", "SeriesInstanceUID, or name of a volume file, to work on, or 'all'", 1,
     PL_OPTION_TEXT, AT(series)},
    {"reference", 'R', "FOLDER",
     "DICOM that volume files (MetaImage, NIfTI, NRRD) were made from, whose series they are then",
     1, PL_OPTION_TEXT, AT(reference)},
    {"nodules", 'n', "FILE",
     "LIDC XML, LUNA16 CSV, or a folder of LIDC XML; without it the XML beside the series", 1,
     PL_OPTION_TEXT, AT(nodules)},
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
    {"samples", 0, "N", "Noisy copies, steps, or masks of every estimator", 2, PL_OPTION_CALL,
     .call = set_samples},
    {"level", 0, "L", "Noise as a share of the range", 2, PL_OPTION_CALL, .call = set_level},
    {"baseline", 0, "B", "Where integrated methods start", 2, PL_OPTION_CALL, .call = set_baseline},
    {"seed", 0, "S", "Seed of noise and masks", 2, PL_OPTION_WHOLE, AT(settings.seed), 0, PL_ANY},
    {"place", 0, "WHERE",
     "input (of the last block, default) or normed: where noise and scaling of CDAM act", 2,
     PL_OPTION_CALL, .call = set_place},
    {"head", 0, "H", "Head of the attention map; -1: mean", 2, PL_OPTION_CALL, .call = set_head},
    {.doc = "Output:", .group = 3},
    {"output", 'o', "DIR", "Folder for maps.h5 and figures", 3, PL_OPTION_TEXT, AT(output)},
    {"maps-out", 0, "FILE", "Logits and maps as safetensors", 3, PL_OPTION_TEXT, AT(maps_out)},
    {"figures", 0, "FORMAT", "png (default), svg, pdf or none", 3, PL_OPTION_CALL,
     .call = set_figures},
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
  bool series = arguments->inputs.n > 0;
  if (!!arguments->tensor + !!arguments->overrides.crops + series + !!arguments->result != 1)
    argp_error(state, "give one of --tensor FILE, --crops FILE, --input PATH and --result DIR");
  if (arguments->tensor && recipe) argp_error(state, "a recipe prepares crops, not tensors");
  if (arguments->result && arguments->overrides.file)
    argp_error(state, "a result has its configuration with it");
  if ((arguments->series || arguments->nodules || arguments->reference) && !series)
    argp_error(state, "--series, --nodules and --reference belong to --input PATH");
  if (!arguments->output && !arguments->maps_out)
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

static const struct pl_command_line line = {
    .options = options,
    .n_options = sizeof options / sizeof *options,
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
};

/* What --input takes from options and configuration. */
static struct pl_overrides series_overrides(const struct arguments *arguments) {
  return (struct pl_overrides){.file = arguments->overrides.file,
                               .keys = arguments->overrides.keys,
                               .inputs = arguments->inputs,
                               .series = arguments->series,
                               .reference = arguments->reference,
                               .nodules = arguments->nodules,
                               .weights = arguments->weights,
                               .opened = arguments->overrides.opened};
}

/* For --input the configuration may name the model too. */
static lc_status find_model(struct pl_model_found *found, const struct arguments *arguments,
                            struct lc_error *err) {
  struct pl_overrides overrides = series_overrides(arguments);
  if (arguments->weights || arguments->inputs.n == 0)
    return pl_model_find(found, arguments->weights, err);
  return pl_config_find_model(found, &overrides, err);
}

/* The weights are opened and read here, for everything that follows. */
static lc_status load_model(struct pl_explain *explain, struct pl_model_found *found,
                            struct arguments *arguments, struct lc_error *err) {
  LC_TRY(find_model(found, arguments, err));
  LC_TRY(vit_model_load(&explain->model, found->path, NULL, err));
  pl_model_say(found, &explain->model.file);
  LC_TRY(pl_model_check_finished(&explain->model, found->path, err));
  arguments->overrides.weights = arguments->weights = found->path;
  arguments->overrides.opened = &explain->model.file;
  return vit_model_hash(&explain->model, err);
}

/* --set estimators.NAME.PARAMETER=VALUE goes before what a configuration says. */
static lc_status set_parameters(struct pl_explain *explain, const struct arguments *arguments,
                                struct lc_error *err) {
  struct pl_parameters given = explain->settings.parameters; /* none */
  explain->settings = arguments->settings;
  explain->settings.parameters = given;
  for (size_t i = 0; i < arguments->parameters.n; i++)
    LC_TRY(pl_schema_set_pair(&pl_parameters_schema, &explain->settings.parameters,
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
  struct pl_overrides overrides = series_overrides(arguments);
  return pl_explain_read_series(explain, &overrides, first, count, err);
}

static lc_status prepare(struct pl_explain *explain, const struct arguments *arguments,
                         struct lc_error *err) {
  LC_TRY(set_parameters(explain, arguments, err));
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
  struct pl_output output;
  struct pl_draft draft;
  LC_TRY(pl_draft_begin_path(&draft, &output, arguments->output, err));
  lc_status status = lc_path_join(path, draft.folder, MAPS_FILE, err);
  if (status == LC_OK) status = pl_explain_write_h5(explain, path, err);
  if (status == LC_OK && !arguments->no_figures)
    status = pl_explain_write_figures(explain, &arguments->figures, draft.folder, err);
  if (status == LC_OK) status = pl_draft_publish(&draft, arguments->overwrite, err);
  pl_draft_discard(&draft);
  pl_output_close(&output);
  return status;
}

/* Only what an earlier call made may be replaced. */
static lc_status check_existing(const struct arguments *arguments, struct lc_error *err) {
  const char *const outputs[] = {arguments->output, arguments->maps_out};
  char maps[LC_PATH_SIZE];
  for (int i = 0; i < 2; i++)
    if (outputs[i] && !arguments->overwrite && lc_file_exists(outputs[i]))
      LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite replaces it", outputs[i]);
  if (arguments->maps_out && lc_folder_exists(arguments->maps_out))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: is a folder, expected a file for --maps-out",
            arguments->maps_out);
  if (!arguments->output || !lc_file_exists(arguments->output)) return LC_OK;
  LC_TRY(lc_path_join(maps, arguments->output, MAPS_FILE, err));
  if (!lc_file_exists(maps))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: holds no %s, so it was not made by explain; it is left alone",
            arguments->output, MAPS_FILE);
  return LC_OK;
}

static lc_status run(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {
      .estimators = "cdam", .targets = "all", .count = 20, .figures = {.format = "png"}};
  struct pl_explain *explain = NULL;
  struct pl_progress progress;
  struct pl_model_found found;
  LC_TRY(pl_options_parse(&line, argc, argv, &arguments, err));
  lc_status status = check_existing(&arguments, err);
  if (status == LC_OK) status = pl_explain_new(&explain, err);
  if (status == LC_OK) status = load_model(explain, &found, &arguments, err);
  if (status == LC_OK) status = prepare(explain, &arguments, err);
  if (status == LC_OK) {
    for (size_t i = 0; i < explain->n_estimators && arguments.maps_out; i++)
      if (strcmp(explain->estimators[i]->name, "input_x_gradient") == 0)
        explain->keep_gradient = true;
    pl_progress_start(&progress, "explaining", "maps",
                      explain->input.n * explain->input.turns * explain->n_estimators);
    status = pl_explain_run(explain, &progress.progress, err);
    pl_progress_end(&progress);
  }
  if (status == LC_OK && arguments.maps_out)
    status = pl_explain_write_tensors(explain, arguments.maps_out, err);
  if (status == LC_OK && arguments.output) status = write_folder(explain, &arguments, err);
  if (status == LC_OK)
    printf("%zu image%s, %zu target%s, %zu estimator%s, model %s%s\n", explain->input.n,
           explain->input.n == 1 ? "" : "s", explain->n_targets, explain->n_targets == 1 ? "" : "s",
           explain->n_estimators, explain->n_estimators == 1 ? "" : "s", found.name,
           explain->model.trained ? "" : "; UNTRAINED WEIGHTS: the numbers mean nothing");
  if (status == LC_OK && explain->n_left_out > 0)
    status = lc_fail(err, LC_ERR_PARTIAL, __FILE__, __LINE__,
                     "%zu nodule%s could not be cut and %s left out; the others are explained",
                     explain->n_left_out, explain->n_left_out == 1 ? "" : "s",
                     explain->n_left_out == 1 ? "is" : "are");
  pl_explain_free(explain);
  pl_list_free(&arguments.overrides.keys);
  pl_list_free(&arguments.parameters);
  pl_list_free(&arguments.inputs);
  return status;
}

const struct pl_command pl_command_explain = {
    .name = "explain",
    .summary = "explain prepared images or nodule crops by one or several estimators",
    .run = run};
