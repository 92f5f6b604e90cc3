/* Implements `lungcdam judge`: parses options and runs the judging of explanations. */
#include <stdio.h>
#include <string.h>

#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/judge/pl_judged.h"

struct arguments {
  struct pl_judge_overrides overrides;
  enum pl_existing existing;
  bool print_settings;
};

static const struct argp_option options[] = {
    {"weights", 'w', "MODEL", 0,
     "model.weights: weight file, or name of a model ('lungcdam weights list'); by "
     "default " PL_MODEL_SHIPPED ", which ships",
     1},
    {"crops", 'd', "FILE", 0, "HDF5 file of nodule crops (data.crops)", 1},
    {"recipe", 'p', "FILE", 0, "Recipe that the model was trained by (data.recipe)", 1},
    {"output", 'o', "DIR", 0, "Folder of the results (output.folder)", 1},
    {"set", 'S', "KEY=VALUE", 0, "Override one key; may be repeated", 1},
    {"print", 'P', NULL, 0, "Write all settings with their meaning, and stop", 1},
    {"overwrite", 'f', NULL, 0, "Replace results that exist", 2},
    {"resume", 'r', NULL, 0, "Keep nodules that were judged by the same settings", 2},
    {0}};

static void choose_existing(struct arguments *arguments, int key, struct argp_state *state) {
  if (arguments->existing != PL_EXISTING_REFUSE)
    argp_error(state, "--overwrite and --resume exclude each other");
  arguments->existing = key == 'f' ? PL_EXISTING_OVERWRITE : PL_EXISTING_RESUME;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = (struct arguments *)state->input;
  struct pl_judge_overrides *overrides = &arguments->overrides;
  struct lc_error err;
  switch (key) {
  case 'w':
    overrides->weights = arg;
    return 0;
  case 'd':
    overrides->crops = arg;
    return 0;
  case 'p':
    overrides->recipe = arg;
    return 0;
  case 'o':
    overrides->output = arg;
    return 0;
  case 'S':
    if (pl_list_add(&overrides->keys, arg, &err) != LC_OK)
      argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
    return 0;
  case 'P':
    arguments->print_settings = true;
    return 0;
  case 'f':
  case 'r':
    choose_existing(arguments, key, state);
    return 0;
  case ARGP_KEY_ARG:
    if (overrides->file) argp_error(state, "more than one configuration file: %s", arg);
    overrides->file = arg;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_child children[] = {{.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[CONFIG.yaml]",
    .doc = "Judge explanations: every estimator by every measure on a data set of nodules, with "
           "intervals by patient, paired differences, ranks with ties, and a report in HTML.\v"
           "Examples:\n"
           "  lungcdam judge --crops crops.h5 -o judged            the model that ships\n"
           "  lungcdam judge --weights model.safetensors --recipe recipe.yaml --crops crops.h5 -o "
           "judged\n"
           "  lungcdam judge my.yaml --set data.items=100 --set missing.kind=blur --resume\n"
           "\n"
           "Stop it at any time: --resume goes on, and gives the same tables.",
    .children = children};

static lc_status print_settings(const struct pl_judge_config *config, struct lc_error *err) {
  struct lc_text text = {0};
  pl_schema_print(&pl_judge_schema, config, PL_PRINT_ALL, &text);
  return pl_cli_print(&text, err);
}

lc_status cmd_judge(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_cli_parse(&argp, argc, argv, &arguments, err));
  struct pl_judge_config config;
  lc_status status = pl_judge_config_make(&config, &arguments.overrides, err);
  pl_list_free(&arguments.overrides.keys);
  LC_TRY(status);
  struct lc_text summary = {0};
  status = arguments.print_settings ? print_settings(&config, err)
                                    : pl_judge_run(&config, arguments.existing, &summary, err);
  if (status == LC_OK && !arguments.print_settings)
    printf("%s%s/report.html: research use only\n", lc_text_get(&summary), config.output_folder);
  lc_text_free(&summary);
  pl_judge_config_free(&config);
  return status;
}
