/* Implements `lungcdam judge`: parses options and runs the judging of explanations. */
#include <stdio.h>
#include <string.h>

#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_options.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/judge/pl_judged.h"

struct arguments {
  struct pl_judge_overrides overrides;
  enum pl_existing existing;
  bool print_settings;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"weights", 'w', "MODEL",
     "model.weights: weight file, or name of a model ('lungcdam weights list'); by "
     "default " PL_MODEL_SHIPPED ", which ships",
     1, PL_OPTION_TEXT, AT(overrides.weights)},
    {"crops", 'd', "FILE", "HDF5 file of nodule crops (data.crops)", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"recipe", 'p', "FILE", "Recipe that the model was trained by (data.recipe)", 1, PL_OPTION_TEXT,
     AT(overrides.recipe)},
    {"output", 'o', "DIR", "Folder of the results (output.folder)", 1, PL_OPTION_TEXT,
     AT(overrides.output)},
    {"set", 'S', "KEY=VALUE", "Override one key; may be repeated", 1, PL_OPTION_LIST,
     AT(overrides.keys)},
    {"print", 'P', NULL, "Write all settings with their meaning, and stop", 1, PL_OPTION_FLAG,
     AT(print_settings)},
    {"overwrite", 'f', NULL, "Replace results that exist", 2, PL_OPTION_ONE_OF, AT(existing),
     PL_EXISTING_OVERWRITE},
    {"resume", 'r', NULL, "Keep nodules that were judged by the same settings", 2, PL_OPTION_ONE_OF,
     AT(existing), PL_EXISTING_RESUME},
};

static const struct pl_command_line line = {
    .options = options,
    .n_options = sizeof options / sizeof *options,
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
    .words = {offsetof(struct arguments, overrides.file)},
    .n_words = 1,
    .too_many = "more than one configuration file",
};

static lc_status print_settings(const struct pl_judge_config *config, struct lc_error *err) {
  struct lc_text text = {0};
  pl_schema_print(&pl_judge_schema, config, PL_PRINT_ALL, &text);
  return pl_cli_print(&text, err);
}

static lc_status run(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_options_parse(&line, argc, argv, &arguments, err));
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

const struct pl_command pl_command_judge = {
    .name = "judge",
    .summary = "judge explanations: estimators by measures, with intervals by patient",
    .run = run};
