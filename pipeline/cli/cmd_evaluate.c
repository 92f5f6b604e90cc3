/* Implements `lungcdam evaluate`: measures a model on a split and prints or writes predictions and
 * measures. */
#include <stdio.h>
#include <string.h>

#include "common/lc_file.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_options.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/learn/pl_measured.h"
#include "pipeline/learn/pl_training.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/store/pl_output.h"

struct arguments {
  struct pl_recipe_overrides overrides;
  const char *weights, *split, *predictions, *output;
  bool json, overwrite;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"weights", 'w', "MODEL",
     "Weight file, or name of a model ('lungcdam weights list'); by default " PL_MODEL_SHIPPED
     ", which ships",
     1, PL_OPTION_TEXT, AT(weights)},
    {"crops", 'd', "FILE", "HDF5 file of nodule crops (data.crops)", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"split", 's', "NAME", "Split to measure on; without it data.validate of the recipe", 1,
     PL_OPTION_TEXT, AT(split)},
    {"set", 'S', "KEY=VALUE", "Override one key of the recipe; may be repeated", 1, PL_OPTION_LIST,
     AT(overrides.keys)},
    {"output", 'o', "DIR", "Folder for everything: table, JSON, HDF5, CSV and pictures", 2,
     PL_OPTION_TEXT, AT(output)},
    {"overwrite", 'f', NULL, "Replace that folder", 2, PL_OPTION_FLAG, AT(overwrite)},
    {"json", 'j', NULL, "Write all measures as JSON", 2, PL_OPTION_FLAG, AT(json)},
    {"predictions", 'p', "FILE", "Write one line a nodule as CSV", 2, PL_OPTION_TEXT,
     AT(predictions)},
};

static const struct pl_command_line line = {
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .args_doc = "[RECIPE.yaml]",
    .doc =
        "Measure a model on nodule crops. The recipe says how the crops are prepared; give the "
        "one that the model was trained by (recipe.yaml in the folder of its run).\v"
        "Examples:\n"
        "  lungcdam evaluate --crops crops.h5                          the model that ships\n"
        "  lungcdam evaluate run1/recipe.yaml --weights run1/model.safetensors --crops crops.h5\n"
        "  lungcdam evaluate run1/recipe.yaml -w run1/model.safetensors -d crops.h5 --json\n"
        "  lungcdam evaluate run1/recipe.yaml -w run1/model.safetensors -d crops.h5 -o measured\n"
        "  ... --set test.pictures=svg                                 pictures for a paper",
    .words = {offsetof(struct arguments, overrides.file)},
    .n_words = 1,
    .too_many = "more than one recipe",
};

static const char *split_of(const struct arguments *arguments, const struct pl_recipe *recipe) {
  return arguments->split ? arguments->split : recipe->data_validate;
}

static lc_status write_predictions(const struct arguments *arguments,
                                   const struct pl_examples *examples,
                                   const struct pl_predictions *predictions, struct lc_error *err) {
  struct lc_text csv = {0};
  if (!arguments->predictions) return LC_OK;
  pl_predictions_csv(examples, predictions, &csv);
  lc_status status =
      csv.failed ? lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "out of memory")
                 : lc_file_write(arguments->predictions, lc_text_get(&csv), csv.length, err);
  lc_text_free(&csv);
  return status;
}

static lc_status print(const struct pl_evaluation *evaluation, const struct arguments *arguments,
                       struct lc_error *err) {
  struct lc_text text = {0};
  if (arguments->json)
    pl_evaluation_json(evaluation, &text);
  else
    pl_evaluation_print(evaluation, &text);
  return pl_cli_print(&text, err);
}

/* The folder appears whole or not at all. */
static lc_status write_folder(const struct arguments *arguments, const struct pl_measured *measured,
                              struct lc_error *err) {
  struct pl_output output;
  struct pl_draft draft;
  if (!arguments->output) return LC_OK;
  LC_TRY(pl_draft_begin_path(&draft, &output, arguments->output, err));
  lc_status status = pl_measured_write(measured, draft.folder, err);
  if (status == LC_OK) status = pl_draft_publish(&draft, arguments->overwrite, err);
  pl_draft_discard(&draft);
  pl_output_close(&output);
  return status;
}

static lc_status predict(const struct pl_recipe *recipe, const struct pl_examples *examples,
                         const struct vit_model *model, struct pl_predictions *predictions,
                         struct lc_error *err) {
  struct pl_progress progress;
  pl_progress_start(&progress, "measuring", "images",
                    examples->n * (recipe->test_symmetries ? 8 : 1));
  lc_status status =
      pl_predict(model, examples, recipe->test_symmetries, &progress.progress, predictions, err);
  pl_progress_end(&progress);
  return status;
}

static lc_status measure(const struct pl_recipe *recipe, const struct arguments *arguments,
                         const struct pl_examples *examples, struct vit_model *model,
                         struct lc_error *err) {
  struct pl_predictions predictions = {0};
  struct pl_evaluation evaluation;
  const struct pl_measured measured = {examples, &predictions, &evaluation, model,
                                       split_of(arguments, recipe)};
  lc_status status;
  if (examples->malignancy == SIZE_MAX && examples->biomarkers == SIZE_MAX)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: has no head \"malignancy\" or \"biomarkers\", so that there is nothing to measure",
            arguments->weights);
  LC_TRY_GOTO(predict(recipe, examples, model, &predictions, err), done);
  LC_TRY_GOTO(pl_evaluate(examples, &predictions, (size_t)recipe->test_bootstrap,
                          (uint64_t)recipe->train_seed, &evaluation, err),
              done);
  evaluation.trained = model->trained;
  LC_TRY_GOTO(vit_model_hash(model, err), done);
  memcpy(evaluation.weights_sha256, model->weights_sha256, LC_SHA256_HEX);
  LC_TRY_GOTO(write_predictions(arguments, examples, &predictions, err), done);
  LC_TRY_GOTO(write_folder(arguments, &measured, err), done);
  LC_TRY_GOTO(print(&evaluation, arguments, err), done);
done:
  pl_predictions_free(&predictions);
  return status;
}

/* Only what an earlier evaluation made may be replaced. */
static lc_status check_existing(const struct arguments *arguments, struct lc_error *err) {
  char result[LC_PATH_SIZE], recipe[LC_PATH_SIZE];
  if (!arguments->output || !lc_file_exists(arguments->output)) return LC_OK;
  if (!arguments->overwrite)
    LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite replaces it", arguments->output);
  LC_TRY(lc_path_join(result, arguments->output, "evaluation.h5", err));
  LC_TRY(lc_path_join(recipe, arguments->output, "recipe.yaml", err));
  if (!lc_file_exists(result) || lc_file_exists(recipe))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: is not the folder of an evaluation; it is left alone",
            arguments->output);
  return LC_OK;
}

static lc_status evaluate(const struct pl_recipe *recipe, const struct arguments *arguments,
                          struct lc_error *err) {
  struct vit_model model = {0};
  struct pl_crops crops = {0};
  struct pl_examples examples = {0};
  const struct pl_label_scale scale = pl_label_scale_none();
  lc_status status;
  LC_TRY_GOTO(pl_recipe_check_run(recipe, err), done);
  LC_TRY_GOTO(check_existing(arguments, err), done);
  LC_TRY_GOTO(vit_model_load(&model, arguments->weights, NULL, err), done);
  LC_TRY_GOTO(pl_model_check_finished(&model, arguments->weights, err), done);
  LC_TRY_GOTO(pl_recipe_crops(recipe, &crops, err), done);
  LC_TRY_GOTO(pl_examples_init(&examples, &crops, recipe, &model.arch, split_of(arguments, recipe),
                               &scale, err),
              done);
  pl_examples_note_cubes(&examples);
  LC_TRY_GOTO(measure(recipe, arguments, &examples, &model, err), done);
done:
  pl_examples_free(&examples);
  pl_crops_free(&crops);
  vit_model_free(&model);
  return status;
}

static lc_status run(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_options_parse(&line, argc, argv, &arguments, err));
  struct pl_recipe recipe;
  struct pl_model_found found;
  lc_status status = pl_model_take(&found, arguments.weights, err);
  arguments.weights = arguments.overrides.weights = found.path;
  if (status == LC_OK) status = pl_recipe_make(&recipe, &arguments.overrides, err);
  pl_list_free(&arguments.overrides.keys);
  LC_TRY(status);
  status = evaluate(&recipe, &arguments, err);
  pl_recipe_free(&recipe);
  return status;
}

const struct pl_command pl_command_evaluate = {
    .name = "evaluate", .summary = "measure a model on nodule crops", .run = run};
