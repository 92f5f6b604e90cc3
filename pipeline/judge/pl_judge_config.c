/* Holds the schema of the judge configuration and builds it from defaults, file and options. */
#include <stddef.h>
#include <string.h>

#include "cdam/measures/cdam_removal.h"
#include "pipeline/judge/pl_judge_config.h"

static const char *const missing_words[] = {
    [CDAM_LEAVE_OUT] = "leave_out", [CDAM_FILL_MEAN] = "mean",       [CDAM_FILL_BLUR] = "blur",
    [CDAM_FILL_VALUE] = "value",    [CDAM_FILL_IMPUTED] = "imputed", NULL};

#define AT(field) offsetof(struct pl_judge_config, field)
#define PLACE PL_PLACE
#define KEPT PL_KEEP

static const struct pl_key keys[] = {
    {"data.crops", PL_TEXT, AT(data_crops), "", 0, 0, NULL, PLACE,
     "HDF5 file of nodule crops (docs/training.md)."},
    {"data.recipe", PL_TEXT, AT(data_recipe), "", 0, 0, NULL, PLACE,
     "Recipe that the model was trained by: it says how images are made; empty: its defaults."},
    {"data.truth", PL_TEXT, AT(data_truth), "", 0, 0, NULL, PLACE,
     "Folder of the phantom patients of a data set made by 'prepare': where features are; or "
     "empty."},
    {"data.split", PL_TEXT, AT(data_split), "validate", 0, 0, NULL, KEPT, "Split to judge on."},
    {"data.items", PL_INTEGER, AT(data_items), "0", 0, 1e7, NULL, KEPT,
     "Nodules to judge on, drawn from the split by the seed; 0: all."},

    {"model.weights", PL_TEXT, AT(model_weights), "", 0, 0, NULL, PLACE,
     "Weight file, or the name of a model ('lungcdam weights list'); empty: the model that ships."},

    {"target.judged", PL_TEXT, AT(target_judged), "malignancy", 0, 0, NULL, KEPT,
     "What is explained: an output, its index, or a difference of two."},
    {"target.compared", PL_LIST, AT(target_compared), "[]", 0, 0, NULL, KEPT,
     "Outputs whose maps are compared with it; empty: all others of the model."},

    {"estimators.names", PL_LIST, AT(estimators_names), "[]", 0, 0, NULL, KEPT,
     "Estimators (docs/estimators.md); empty: all."},
    {"estimators.random", PL_BOOL, AT(estimators_random), "true", 0, 0, NULL, KEPT,
     "Judge a map of random numbers too, as a control."},
    {"estimators.centre", PL_BOOL, AT(estimators_centre), "true", 0, 0, NULL, KEPT,
     "Judge a map that falls with the distance from the middle, too, as a control."},
    {"estimators.samples", PL_INTEGER, AT(estimators_samples), "0", 0, 100000, NULL, KEPT,
     "Noisy copies, steps or masks of estimators that take them; 0: their own."},
    {"estimators.shifts", PL_INTEGER, AT(estimators_shifts), "1", 1, 65536, NULL, KEPT,
     "Images shifted by parts of a patch that a map is the mean of (docs/explain.md)."},
    {"estimators", PL_PARAMETERS, AT(estimators_parameters), "", 0, 0, NULL, PL_KEEP_GIVEN,
     "Parameters of each estimator, before estimators.samples."},

    {"measures.names", PL_LIST, AT(measures_names), "[]", 0, 0, NULL, PL_KEEP_GIVEN,
     "Measures (docs/measures.md); empty: all that the data and the keys below allow."},

    {"missing.kind", PL_CHOICE, AT(missing_kind), "leave_out", 0, 0, missing_words, KEPT,
     "What a missing patch is in the measures of correctness (docs/measures.md)."},
    {"missing.value", PL_REAL, AT(missing_value), "0", -1000, 1000, NULL, KEPT,
     "For 'value', in units of the normalised image."},
    {"missing.blur_sigma", PL_REAL, AT(missing_blur_sigma), "0", 0, 1000, NULL, KEPT,
     "For 'blur', in pixels; 0: two patches."},

    {"curves.steps", PL_INTEGER, AT(curves_steps), "20", 1, 1000, NULL, KEPT,
     "Steps of deletion and insertion curves."},
    {"curves.random_orders", PL_INTEGER, AT(curves_random_orders), "3", 1, 1000, NULL, KEPT,
     "Orders that the random curve is the mean of."},

    {"sets.count", PL_INTEGER, AT(sets_count), "100", 2, 100000, NULL, KEPT,
     "Random sets or boxes of patches for each size."},
    {"sets.shares", PL_LIST, AT(sets_shares), "[5, 20]", 0, 0, NULL, KEPT,
     "Sizes of random sets, in percent of the patches (sensitivity-n)."},
    {"sets.boxes", PL_LIST, AT(sets_boxes), "[2, 3]", 0, 0, NULL, KEPT,
     "Edges of random boxes, in patches."},
    {"sets.tokens", PL_BOOL, AT(sets_tokens), "true", 0, 0, NULL, KEPT,
     "Leave out every patch alone (correlation with token ablation)."},

    {"pairs.measure", PL_BOOL, AT(pairs_measure), "true", 0, 0, NULL, KEPT,
     "Explain images of two nodules whose ratings differ."},

    {"road.measure", PL_BOOL, AT(road_measure), "true", 0, 0, NULL, KEPT,
     "Curves with imputed pixels too."},
    {"road.noise", PL_REAL, AT(road_noise), "0.01", 0, 10, NULL, KEPT,
     "Standard deviation of the noise on imputed pixels."},

    {"robustness.samples", PL_INTEGER, AT(robustness_samples), "5", 0, 10000, NULL, KEPT,
     "Images around each image that are explained again; 0: not measured."},
    {"robustness.radius", PL_REAL, AT(robustness_radius), "0.02", 1e-9, 1000, NULL, KEPT,
     "How far a pixel may move, in units of the normalised image."},

    {"randomise.measure", PL_BOOL, AT(randomise_measure), "true", 0, 0, NULL, KEPT,
     "Explain with weights that are randomised block by block."},

    {"repeat.runs", PL_INTEGER, AT(repeat_runs), "3", 0, 1000, NULL, KEPT,
     "Runs with other seeds of estimators that draw; below 2: not measured."},

    {"bootstrap.replicates", PL_INTEGER, AT(bootstrap_replicates), "2000", 10, 1000000, NULL, PLACE,
     "Replicates, drawn by patient, for intervals."},
    {"bootstrap.level", PL_REAL, AT(bootstrap_level), "0.95", 0.5, 0.9999, NULL, PLACE,
     "Level of the intervals."},

    {"report.pictures", PL_INTEGER, AT(report_pictures), "4", 0, 1000, NULL, PLACE,
     "Nodules whose maps are shown in the report."},

    {"run.seed", PL_INTEGER, AT(seed), "1", 0, 9e15, NULL, KEPT, "Seed of all draws."},

    {"output.folder", PL_TEXT, AT(output_folder), "lungcdam-judge", 0, 0, NULL, PLACE,
     "Folder of the run."},
};

const struct pl_schema pl_judge_schema = {
    .what = "judge configuration", .keys = keys, .n_keys = sizeof keys / sizeof *keys};

static lc_status apply(struct pl_judge_config *config, const struct pl_judge_overrides *overrides,
                       struct lc_error *err) {
  const struct pl_schema *schema = &pl_judge_schema;
  LC_TRY(pl_schema_init(schema, config, err));
  if (overrides->file) LC_TRY(pl_schema_read(schema, config, overrides->file, err));
  for (size_t i = 0; i < overrides->keys.n; i++)
    LC_TRY(pl_schema_set_pair(&pl_judge_schema, config, overrides->keys.items[i], "curves.steps=10",
                              err));
  const char *const words[][2] = {{"data.crops", overrides->crops},
                                  {"data.recipe", overrides->recipe},
                                  {"model.weights", overrides->weights},
                                  {"output.folder", overrides->output}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (words[i][1]) LC_TRY(pl_schema_set_text(schema, config, words[i][0], words[i][1], err));
  if (overrides->shifts > 0) config->estimators_shifts = overrides->shifts;
  config->load = overrides->load;
  if (!*config->output_folder) LC_FAIL(err, LC_ERR_CONFIG, "output.folder is empty");
  return LC_OK;
}

lc_status pl_judge_config_make(struct pl_judge_config *config,
                               const struct pl_judge_overrides *overrides, struct lc_error *err) {
  memset(config, 0, sizeof *config);
  lc_status status = apply(config, overrides, err);
  if (status != LC_OK) pl_judge_config_free(config);
  return status;
}

void pl_judge_config_free(struct pl_judge_config *config) {
  pl_schema_free(&pl_judge_schema, config);
}

lc_status pl_judge_numbers(const struct pl_list *list, const char *key, long long low,
                           long long high, size_t *values, struct lc_error *err) {
  for (size_t i = 0; i < list->n; i++) {
    long long value;
    if (!lc_text_to_long(list->items[i], &value) || value < low || value > high)
      LC_FAIL(err, LC_ERR_CONFIG, "%s: %s, expected whole numbers from %lld to %lld", key,
              list->items[i], low, high);
    values[i] = (size_t)value;
  }
  return LC_OK;
}
