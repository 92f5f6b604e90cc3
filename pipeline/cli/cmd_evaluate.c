/* Implements `lungcdam evaluate`: measures a model on a split and prints or writes predictions and
 * measures. */
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/learn/pl_measured.h"
#include "pipeline/learn/pl_training.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/store/pl_output.h"

struct arguments {
  struct pl_overrides overrides;
  const char *split, *predictions, *output;
  bool json, overwrite;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    PL_WEIGHTS_ROW(1, overrides.weights),
    PL_LOAD_ROWS(1, overrides.load.architecture, overrides.load.which, overrides.load.ignore),
    {"crops", 'd', "FILE", "HDF5 file of nodule crops (data.crops)", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"split", 's', "NAME", "Split to measure on; without it data.validate of the recipe", 1,
     PL_OPTION_TEXT, AT(split)},
    PL_SET_ROW("Override one key of the recipe; may be repeated"),
    {"output", 'o', "DIR", "Folder for everything: table, JSON, HDF5, CSV and pictures", 2,
     PL_OPTION_TEXT, AT(output)},
    {"overwrite", 'f', NULL, "Replace that folder", 2, PL_OPTION_FLAG, AT(overwrite)},
    {"json", 'j', NULL, "Write all measures as JSON", 2, PL_OPTION_FLAG, AT(json)},
    {"predictions", 'p', "FILE", "Write one line a nodule as CSV", 2, PL_OPTION_TEXT,
     AT(predictions)},
};

static lc_status write_predictions(const struct arguments *arguments,
                                   const struct pl_examples *examples,
                                   const struct pl_predictions *predictions, struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text csv = {0};
  if (!arguments->predictions) return LC_OK;
  pl_predictions_csv(examples, predictions, &csv);
  if (csv.failed) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  return lc_file_write(arguments->predictions, lc_text_get(&csv), csv.length, err);
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

/* Only what an earlier evaluation made may be replaced. */
static lc_status check_existing(const struct arguments *arguments, struct lc_error *err) {
  char result[LC_PATH_SIZE], recipe[LC_PATH_SIZE];
  if (!arguments->output || !lc_file_exists(arguments->output)) return LC_OK;
  LC_TRY(pl_cli_check_new(arguments->output, arguments->overwrite, err));
  LC_TRY(lc_path_join(result, arguments->output, "evaluation.h5", err));
  LC_TRY(lc_path_join(recipe, arguments->output, "recipe.yaml", err));
  if (!lc_file_exists(result) || lc_file_exists(recipe))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: is not the folder of an evaluation; it is left alone",
            arguments->output);
  return LC_OK;
}

static lc_status run(void *input, struct lc_error *err) {
  struct arguments *arguments = input;
  LC_SCOPED(pl_recipe_free) struct pl_recipe recipe = {0};
  LC_SCOPED(vit_model_free) struct vit_model model = {0};
  LC_SCOPED(pl_crops_free) struct pl_crops crops = {0};
  LC_SCOPED(pl_examples_free) struct pl_examples examples = {0};
  LC_SCOPED(pl_predictions_free) struct pl_predictions predictions = {0};
  struct pl_model_found found;
  struct pl_evaluation evaluation;
  const struct pl_label_scale scale = pl_label_scale_none();
  LC_TRY(pl_model_take(&found, arguments->overrides.weights, err));
  arguments->overrides.weights = found.path;
  LC_TRY(pl_recipe_make(&recipe, &arguments->overrides, err));
  const char *split = arguments->split ? arguments->split : recipe.data_validate;
  LC_TRY(pl_recipe_check_run(&recipe, err));
  LC_TRY(check_existing(arguments, err));
  LC_TRY(pl_model_load(&model, found.path, &arguments->overrides.load, err));
  LC_TRY(pl_model_check_finished(&model, found.path, err));
  LC_TRY(pl_recipe_crops(&recipe, &crops, err));
  LC_TRY(pl_examples_init(&examples, &crops, &recipe, &model.arch, split, &scale, err));
  pl_examples_note_cubes(&examples);
  if (examples.malignancy == SIZE_MAX && examples.biomarkers == SIZE_MAX)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: has no head \"malignancy\" or \"biomarkers\", so that there is nothing to measure",
            found.path);
  LC_TRY(predict(&recipe, &examples, &model, &predictions, err));
  LC_TRY(pl_evaluate(&examples, &predictions, (size_t)recipe.test_bootstrap,
                     (uint64_t)recipe.train_seed, &evaluation, err));
  evaluation.trained = model.trained;
  LC_TRY(vit_model_hash(&model, err));
  memcpy(evaluation.weights_sha256, model.weights_sha256, LC_SHA256_HEX);
  const struct pl_measured measured = {&examples, &predictions, &evaluation, &model, split};
  LC_TRY(write_predictions(arguments, &examples, &predictions, err));
  LC_TRY(write_folder(arguments, &measured, err));
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  (arguments->json ? pl_evaluation_json : pl_evaluation_print)(&evaluation, &text);
  return pl_cli_print(&text, err);
}

const struct pl_command pl_command_evaluate = {
    .name = "evaluate",
    .summary = "measure a model on nodule crops",
    .size = sizeof(struct arguments),
    PL_OPTIONS(options),
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
    .run = run,
};
