/* Implements `lungcdam train`: trains a model by a recipe, once or for each fold, and prints its
 * evaluation. */
#include <stdio.h>

#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/learn/pl_folds.h"
#include "pipeline/learn/pl_training.h"

struct arguments {
  struct pl_recipe_overrides overrides;
  enum pl_existing existing;
  bool print, all_folds;
};

static const struct argp_option options[] = {
    {"crops", 'd', "FILE", 0, "HDF5 file of nodule crops (data.crops)", 1},
    {"output", 'o', "DIR", 0, "Folder of the run (output.folder)", 1},
    {"set", 'S', "KEY=VALUE", 0, "Override one key of the recipe; may be repeated", 1},
    {"all-folds", 'a', NULL, 0, "Train once for each fold of data.split, and sum up", 1},
    {"overwrite", 'f', NULL, 0, "Replace the run that is in the folder", 2},
    {"resume", 'r', NULL, 0, "Go on from the last checkpoint in the folder, to the same bits", 2},
    {"print", 'p', NULL, 0, "Write the effective recipe, with every key explained, and stop", 3},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = (struct arguments *)state->input;
  struct lc_error err;
  switch (key) {
  case 'd':
    arguments->overrides.crops = arg;
    return 0;
  case 'o':
    arguments->overrides.output = arg;
    return 0;
  case 'S':
    if (pl_list_add(&arguments->overrides.keys, arg, &err) != LC_OK)
      argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
    return 0;
  case 'f':
  case 'r':
    if (arguments->existing != PL_EXISTING_REFUSE)
      argp_error(state, "--overwrite and --resume exclude each other");
    arguments->existing = key == 'f' ? PL_EXISTING_OVERWRITE : PL_EXISTING_RESUME;
    return 0;
  case 'a':
    arguments->all_folds = true;
    return 0;
  case 'p':
    arguments->print = true;
    return 0;
  case ARGP_KEY_ARG:
    if (arguments->overrides.file) argp_error(state, "more than one recipe: %s", arg);
    arguments->overrides.file = arg;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_child children[] = {{.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
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
    .children = children};

static lc_status train(const struct pl_recipe *recipe, const struct arguments *arguments,
                       struct lc_error *err) {
  struct lc_text text = {0};
  if (arguments->print) {
    pl_schema_print(&pl_recipe_schema, recipe, PL_PRINT_ALL, &text);
    return pl_cli_print(&text, err);
  }
  struct pl_evaluation evaluation;
  LC_TRY(pl_recipe_check_training(recipe, err));
  if (arguments->all_folds) {
    lc_status status = pl_folds_run(recipe, arguments->existing, &text, err);
    if (status == LC_OK) return pl_cli_print(&text, err);
    lc_text_free(&text);
    return status;
  }
  LC_TRY(pl_training_run(recipe, arguments->existing, &evaluation, err));
  pl_evaluation_print(&evaluation, &text);
  lc_text_add(&text, "weights: %s/model.safetensors\n", recipe->output_folder);
  return pl_cli_print(&text, err);
}

lc_status cmd_train(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_cli_parse(&argp, argc, argv, &arguments, err));
  struct pl_recipe recipe;
  lc_status status = pl_recipe_make(&recipe, &arguments.overrides, err);
  pl_list_free(&arguments.overrides.keys);
  LC_TRY(status);
  status = train(&recipe, &arguments, err);
  pl_recipe_free(&recipe);
  return status;
}
