/* Implements `lungcdam judge`: parses options and runs the judging of explanations. */
#include <stdio.h>

#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
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
    PL_LOAD_ROWS(1, overrides.load.architecture, overrides.load.which, overrides.load.ignore),
    {"crops", 'd', "FILE", "HDF5 file of nodule crops (data.crops)", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"recipe", 'p', "FILE", "Recipe that the model was trained by (data.recipe)", 1, PL_OPTION_TEXT,
     AT(overrides.recipe)},
    {"shifts", 0, "N",
     "Maps are means over N images shifted by parts of a patch (estimators.shifts)", 1,
     PL_OPTION_WHOLE, AT(overrides.shifts), 1, PL_ANY},
    {"output", 'o', "DIR", "Folder of the results (output.folder)", 1, PL_OPTION_TEXT,
     AT(overrides.output)},
    PL_SET_ROW("Override one key; may be repeated"),
    {"print", 'P', NULL, "Write all settings with their meaning, and stop", 1, PL_OPTION_FLAG,
     AT(print_settings)},
    PL_EXISTING_ROWS(2, 'f', "Replace results that exist", 'r',
                     "Keep nodules that were judged by the same settings"),
};

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  LC_SCOPED(pl_judge_config_free) struct pl_judge_config config = {0};
  LC_SCOPED(lc_text_free) struct lc_text summary = {0};
  LC_TRY(pl_judge_config_make(&config, &arguments->overrides, err));
  if (arguments->print_settings) return pl_cli_print_keys(&pl_judge_schema, &config, err);
  LC_TRY(pl_judge_run(&config, arguments->existing, &summary, err));
  printf("%s%s/report.html: research use only\n", lc_text_get(&summary), config.output_folder);
  return LC_OK;
}

const struct pl_command pl_command_judge = {
    .name = "judge",
    .summary = "judge explanations: estimators by measures, with intervals by patient",
    .size = sizeof(struct arguments),
    PL_OPTIONS(options),
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
    .run = run,
};
