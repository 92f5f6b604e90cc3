/* Implements `lungcdam train`: trains a model by a recipe, once or for each fold, and prints its
 * evaluation. */
#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/learn/pl_folds.h"
#include "pipeline/learn/pl_training.h"

struct arguments {
  struct pl_overrides overrides;
  enum pl_existing existing;
  bool print, all_folds;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"crops", 'd', "FILE", "HDF5 file of nodule crops (data.crops)", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"output", 'o', "DIR", "Folder of the run (output.folder)", 1, PL_OPTION_TEXT,
     AT(overrides.output)},
    PL_LOAD_ROWS(1, overrides.load.architecture, overrides.load.which, overrides.load.ignore),
    PL_SET_ROW("Override one key of the recipe; may be repeated"),
    {"all-folds", 'a', NULL, "Train once for each fold of data.split, and sum up", 1,
     PL_OPTION_FLAG, AT(all_folds)},
    {"overwrite", 'f', NULL, "Replace the run that is in the folder", 2, PL_OPTION_ONE_OF,
     AT(existing), PL_EXISTING_OVERWRITE},
    {"resume", 'r', NULL, "Go on from the last checkpoint in the folder, to the same bits", 2,
     PL_OPTION_ONE_OF, AT(existing), PL_EXISTING_RESUME},
    {"print", 'p', NULL, "Write the effective recipe, with every key explained, and stop", 3,
     PL_OPTION_FLAG, AT(print)},
};

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  LC_SCOPED(pl_recipe_free) struct pl_recipe recipe = {0};
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  struct pl_evaluation evaluation;
  LC_TRY(pl_recipe_make(&recipe, &arguments->overrides, err));
  if (arguments->print) return pl_cli_print_keys(&pl_recipe_schema, &recipe, err);
  LC_TRY(pl_recipe_check_training(&recipe, err));
  if (arguments->all_folds) {
    LC_TRY(pl_folds_run(&recipe, arguments->existing, &text, err));
  } else {
    LC_TRY(pl_training_run(&recipe, arguments->existing, &evaluation, err));
    pl_evaluation_print(&evaluation, &text);
    lc_text_add(&text, "weights: %s/model.safetensors\n", recipe.output_folder);
  }
  return pl_cli_print(&text, err);
}

const struct pl_command pl_command_train = {
    .name = "train",
    .summary = "train a model on nodule crops and measure it",
    .size = sizeof(struct arguments),
    PL_OPTIONS(options),
    .args_doc = "[RECIPE.yaml]",
    .doc =
        "Train a vision transformer on nodule crops, and measure it on patients that it has not "
        "seen.\v"
        "Examples:\n"
        "  lungcdam train --print > my.yaml          start a recipe of your own\n"
        "  lungcdam train my.yaml --crops crops.h5 -o run1\n"
        "  lungcdam train my.yaml --crops crops.h5 -o run1 --resume\n"
        "  lungcdam train my.yaml --crops lidc.h5 --set data.split=stored-patient --all-folds -o "
        "run2\n"
        "\n"
        "Interrupt it whenever you like: it stops after the present step with a checkpoint.",
    .words = {offsetof(struct arguments, overrides.file)},
    .n_words = 1,
    .too_many = "more than one recipe",
    .run = run,
};
