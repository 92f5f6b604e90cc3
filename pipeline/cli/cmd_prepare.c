/* Implements `lungcdam prepare`: writes a nodule data set from CT series or from a crop set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/learn/pl_prepare.h"
#include "pipeline/store/pl_dataset.h"
#include "pipeline/store/pl_output.h"

struct arguments {
  struct pl_words paths;
  const char *output, *crops, *list, *weights;
  struct pl_nodule_files nodules;
  long long edge; /* 0: not given */
  double spacing_mm;
  struct pl_dataset_rules how;
  struct ct_index_rules rules;
  enum pl_existing existing;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct arguments defaults = {
    .how = {
        .edge = 32, .spacing_mm = 1, .level = 0.5, .min_readers = 1, .n_folds = 5, .fold_seed = 1}};

static const char *const groupings[] = {"voxels", "mm", NULL};

static const struct pl_option options[] = {
    {"output", 'o', "FILE", "The data set to write (HDF5)", 0, PL_OPTION_TEXT, AT(output)},
    PL_NODULES_ROWS(0, 0, nodules.paths, nodules.components, nodules.keep_duplicates,
                    nodules.strict),
    {"series-list", 0, "FILE",
     "Only the series in this file, one UID a line; UID:2 for the second of several volumes in it",
     0, PL_OPTION_TEXT, AT(list)},
    PL_RULES_ROWS(0, rules.assume_hu, rules.allow_missing),
    {"crops", 0, "FILE", "Start from a two-dimensional crop set instead of DICOM", 0,
     PL_OPTION_TEXT, AT(crops)},
    {"weights", 'w', "MODEL",
     "Cut cubes as this model's images need them (weight file or name): then 'evaluate', 'judge' "
     "and 'explain' give on the data set the numbers that 'run' gives on the series",
     0, PL_OPTION_TEXT, AT(weights)},
    {"edge", 0, "N", "Samples along each axis (default 32)", 0, PL_OPTION_WHOLE, AT(edge), 2, 512},
    {"spacing", 0, "MM", "Distance of samples (default 1)", 0, PL_OPTION_REAL, AT(spacing_mm), 0.05,
     20},
    {"level", 0, "X", "Share of marks that makes the consensus (default 0.5)", 0, PL_OPTION_REAL,
     AT(how.level), 0.01, 1},
    {"min-readers", 0, "N", "Leave out nodules of fewer readers (default 1)", 0, PL_OPTION_WHOLE,
     AT(how.min_readers), 1, 64},
    {"grouping", 0, "RULE", "voxels (default, pylidc's rule) or mm", 0, PL_OPTION_CHOICE,
     AT(how.grouping.in_millimetres), .words = groupings},
    {"tolerance", 0, "X", "Of the grouping (default: the slice thickness)", 0, PL_OPTION_REAL,
     AT(how.grouping.tolerance_mm), 0.1, 1000},
    {"folds", 0, "N", "Number of folds (default 5)", 0, PL_OPTION_WHOLE, AT(how.n_folds), 2, 100},
    {"seed", 0, "N", "Seed of the folds (default 1)", 0, PL_OPTION_WHOLE, AT(how.fold_seed), 0,
     PL_ANY},
    PL_EXISTING_ROWS(0, 0, "Start again where the data set exists", 0,
                     "Do what is missing where the data set exists"),
};

static void check_complete(void *input, const struct argp_state *state) {
  const struct arguments *arguments = input;
  if (!arguments->output) argp_error(state, "which output? Give -o FILE");
  if (!arguments->crops && arguments->paths.n == 0) argp_error(state, "which folder?");
  if (arguments->weights && (arguments->edge || arguments->spacing_mm > 0))
    argp_error(state, "--weights says edge and spacing of the cubes: give no --edge, --spacing");
  if (arguments->crops && arguments->paths.n)
    argp_error(state, "--crops takes no folders: %s", arguments->paths.items[0]);
}

/* One UID a line; blank lines and lines with # are left out. Free with free on both. */
static lc_status read_list(const char *path, char **text, const char ***uids, size_t *n,
                           struct lc_error *err) {
  size_t bytes, lines = 1;
  LC_TRY(lc_file_read(path, (size_t)64 << 20, text, &bytes, err));
  for (const char *c = *text; *c; c++) lines += *c == '\n';
  LC_TRY(lc_alloc(uids, lines, sizeof(char *), err));
  char *rest = NULL;
  for (char *uid = strtok_r(*text, "\r\n", &rest); uid; uid = strtok_r(NULL, "\r\n", &rest)) {
    uid += strspn(uid, " \t");
    uid[strcspn(uid, " \t,")] = '\0';
    if (uid[0] && uid[0] != '#') (*uids)[(*n)++] = uid;
  }
  if (*n == 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: no series UID in it", path);
  return LC_OK;
}

static lc_status from_crops(const struct arguments *arguments, struct lc_error *err) {
  LC_SCOPED(pl_dataset_free) struct pl_dataset dataset = {0};
  char settings[512];
  const struct pl_dataset_rules *how = &arguments->how;
  LC_TRY(pl_crop_set_read(&dataset, arguments->crops, how->edge, how->spacing_mm, err));
  LC_TRY(pl_dataset_fold(&dataset, how->n_folds, how->fold_seed, err));
  snprintf(settings, sizeof settings,
           "edge: %zu\nspacing_mm: %.17g\nnodules: crop set\ninterpolation: linear\n", how->edge,
           how->spacing_mm);
  bool folded = dataset.samples[0].fold_patient >= 0;
  struct pl_dataset_about about = {settings, "", "", folded ? how->n_folds : 0, how->fold_seed};
  LC_TRY(pl_dataset_write(&dataset, &about, NULL, NULL, arguments->output, err));
  lc_log(LC_LOG_INFO, "%s: %zu nodules", arguments->output, dataset.n);
  return LC_OK;
}

/* Whether what is named are lists of points alone: then series that they do not name have none. */
static lc_status all_lists(const struct pl_list *paths, bool *lists, struct lc_error *err) {
  *lists = paths->n > 0;
  for (size_t i = 0; i < paths->n; i++) {
    const struct ct_nodule_source *source = NULL;
    if (!lc_folder_exists(paths->items[i]))
      LC_TRY(ct_nodule_source_of(&source, paths->items[i], err));
    *lists = *lists && source && source->is_list;
  }
  return LC_OK;
}

static lc_status from_series(struct arguments *arguments, struct lc_error *err) {
  LC_SCOPED(pl_survey_free) struct pl_survey survey = {0};
  struct pl_prepare_counts done;
  LC_FREED char *text = NULL;
  LC_FREED const char **uids = NULL;
  const struct pl_list *nodules = &arguments->nodules.paths;
  LC_TRY(all_lists(nodules, &arguments->how.points, err));
  arguments->how.grouping.keep_duplicates = arguments->nodules.keep_duplicates;
  if (arguments->list)
    LC_TRY(read_list(arguments->list, &text, &uids, &arguments->how.n_only, err));
  arguments->how.only = uids;
  LC_TRY(pl_survey_open(&survey, arguments->paths.items, arguments->paths.n,
                        (const char *const *)nodules->items, nodules->n,
                        arguments->nodules.components, true, &arguments->rules, err));
  if (arguments->nodules.strict) LC_TRY(pl_survey_check_strict(&survey, err));
  lc_status status = pl_prepare(&survey, &arguments->how, arguments->output, &done, err);
  if (status == LC_OK || status == LC_ERR_PARTIAL)
    lc_log(LC_LOG_INFO, "%s: %zu nodules of %zu series (%zu made, %zu kept)", arguments->output,
           done.n_nodules, done.n_series, done.n_made, done.n_kept);
  LC_TRY(status);
  if (!arguments->rules.allow_missing) LC_TRY(ct_index_check_readable(&survey.index, err));
  return pl_survey_check_marks(&survey, err);
}

/* With --weights the cubes that `lungcdam run` cuts for the model. */
static lc_status cut_as_run(struct arguments *arguments, struct lc_error *err) {
  const struct pl_overrides overrides = {.weights = arguments->weights};
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  if (arguments->edge) arguments->how.edge = (size_t)arguments->edge;
  if (arguments->spacing_mm > 0) arguments->how.spacing_mm = arguments->spacing_mm;
  if (!arguments->weights) return LC_OK;
  LC_TRY(pl_config_make(&config, &overrides, err));
  arguments->how.edge = (size_t)config.cube_edge;
  arguments->how.spacing_mm = config.cube_spacing_mm;
  return LC_OK;
}

/* The folder the data set goes to: made when needed, checked, and rid of what killed runs left. */
static lc_status open_place(struct pl_output *place, const char *path, struct lc_error *err) {
  char folder[LC_PATH_SIZE];
  const char *slash = strrchr(path, '/');
  size_t length = slash == path ? 1 : slash ? (size_t)(slash - path) : 1;
  if (length >= sizeof folder) LC_FAIL(err, LC_ERR_USAGE, "%s: path too long", path);
  snprintf(folder, sizeof folder, "%.*s", (int)length, slash ? path : ".");
  return pl_output_open(place, folder, err);
}

static lc_status run(void *input, struct lc_error *err) {
  struct arguments *arguments = input;
  LC_SCOPED(pl_output_close) struct pl_output place = {.made = false};
  LC_TRY(cut_as_run(arguments, err));
  if (arguments->existing == PL_EXISTING_REFUSE && lc_file_exists(arguments->output))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite starts again, --resume goes on",
            arguments->output);
  LC_TRY(open_place(&place, arguments->output, err));
  if (arguments->existing == PL_EXISTING_OVERWRITE)
    LC_TRY(pl_prepare_forget(arguments->output, err));
  return arguments->crops ? from_crops(arguments, err) : from_series(arguments, err);
}

const struct pl_command pl_command_prepare = {
    .name = "prepare",
    .summary = "make a nodule data set from CT series or crops",
    .size = sizeof(struct arguments),
    .defaults = &defaults,
    PL_OPTIONS(options),
    .args_doc = "DIR...\n-o FILE --crops FILE",
    .doc =
        "Make a nodule data set: cubes in HU, masks, ratings, identities and folds of all "
        "nodules below the folders, in one HDF5 file. What a stopped run has done is kept beside "
        "it, and a second run does only what is missing.\v"
        "Examples:\n"
        "  lungcdam prepare LIDC-IDRI -o lidc.h5\n"
        "  lungcdam prepare LIDC-IDRI -o lidc.h5 --resume\n"
        "  lungcdam prepare CT --nodules annotations.csv --series-list some.txt -o luna.h5\n"
        "  lungcdam prepare CT -w lidc_axial -o for_lidc_axial.h5\n"
        "  lungcdam prepare --crops lidc_nodule_crops.h5 -o crops.h5",
    .takes_rest = true,
    .rest_at = offsetof(struct arguments, paths),
    .check = check_complete,
    .run = run,
};
