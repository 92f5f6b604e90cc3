/* Implements `lungcdam prepare`: writes a nodule data set from CT series or from a crop set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/learn/pl_prepare.h"
#include "pipeline/store/pl_crop_set.h"
#include "pipeline/store/pl_output.h"

enum {
  KEY_CROPS = 0x3000,
  KEY_NODULES,
  KEY_LIST,
  KEY_EDGE,
  KEY_SPACING,
  KEY_LEVEL,
  KEY_READERS,
  KEY_GROUPING,
  KEY_TOLERANCE,
  KEY_FOLDS,
  KEY_SEED,
  KEY_OVERWRITE,
  KEY_RESUME
};

struct arguments {
  const char *const *paths;
  size_t n_paths;
  const char *output, *crops, *nodules, *list, *weights;
  bool edge_given, spacing_given;
  struct pl_dataset_rules how;
  enum pl_existing existing;
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "The data set to write (HDF5)", 0},
    {"nodules", KEY_NODULES, "PATH", 0,
     "Annotations elsewhere than beside the DICOM (a file or folder of LIDC XML), or a CSV in "
     "LUNA16's format",
     0},
    {"series-list", KEY_LIST, "FILE", 0, "Only the series in this file, one UID a line", 0},
    {"crops", KEY_CROPS, "FILE", 0, "Start from a two-dimensional crop set instead of DICOM", 0},
    {"weights", 'w', "MODEL", 0,
     "Cut cubes as this model's images need them (weight file or name): then 'evaluate', 'judge' "
     "and "
     "'explain' give on the data set the numbers that 'run' gives on the series",
     0},
    {"edge", KEY_EDGE, "N", 0, "Samples along each axis (default 32)", 0},
    {"spacing", KEY_SPACING, "MM", 0, "Distance of samples (default 1)", 0},
    {"level", KEY_LEVEL, "X", 0, "Share of marks that makes the consensus (default 0.5)", 0},
    {"min-readers", KEY_READERS, "N", 0, "Leave out nodules of fewer readers (default 1)", 0},
    {"grouping", KEY_GROUPING, "RULE", 0, "voxels (default, pylidc's rule) or mm", 0},
    {"tolerance", KEY_TOLERANCE, "X", 0, "Of the grouping (default: the slice thickness)", 0},
    {"folds", KEY_FOLDS, "N", 0, "Number of folds (default 5)", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of the folds (default 1)", 0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "Start again where the data set exists", 0},
    {"resume", KEY_RESUME, NULL, 0, "Do what is missing where the data set exists", 0},
    {0}};

static double number(struct argp_state *state, const char *name, const char *arg, double least,
                     double most) {
  double value = 0;
  if (!lc_text_to_double(arg, &value) || !(value >= least && value <= most))
    argp_error(state, "--%s is '%s', expected a number from %g to %g", name, arg, least, most);
  return value;
}

static long long whole(struct argp_state *state, const char *name, const char *arg, long long least,
                       long long most) {
  long long value = 0;
  if (!lc_text_to_long(arg, &value) || value < least || value > most)
    argp_error(state, "--%s is '%s', expected a whole number from %lld to %lld", name, arg, least,
               most);
  return value;
}

static bool parse_rule(int key, const char *arg, struct argp_state *state,
                       struct pl_dataset_rules *how) {
  switch (key) {
  case KEY_EDGE:
    how->edge = (size_t)whole(state, "edge", arg, 2, 512);
    return true;
  case KEY_SPACING:
    how->spacing_mm = number(state, "spacing", arg, 0.05, 20);
    return true;
  case KEY_LEVEL:
    how->level = number(state, "level", arg, 0.01, 1);
    return true;
  case KEY_READERS:
    how->min_readers = (int)whole(state, "min-readers", arg, 1, 64);
    return true;
  case KEY_TOLERANCE:
    how->grouping.tolerance_mm = number(state, "tolerance", arg, 0.1, 1000);
    return true;
  case KEY_FOLDS:
    how->n_folds = (int)whole(state, "folds", arg, 2, 100);
    return true;
  case KEY_SEED:
    how->fold_seed = (uint64_t)whole(state, "seed", arg, 0, INT64_MAX);
    return true;
  case KEY_GROUPING:
    if (strcmp(arg, "voxels") != 0 && strcmp(arg, "mm") != 0)
      argp_error(state, "--grouping is '%s', expected voxels or mm", arg);
    how->grouping.in_millimetres = strcmp(arg, "mm") == 0;
    return true;
  default:
    return false;
  }
}

static void check_complete(struct argp_state *state, const struct arguments *arguments) {
  if (!arguments->output) argp_error(state, "which output? Give -o FILE");
  if (!arguments->crops && arguments->n_paths == 0) argp_error(state, "which folder?");
  if (arguments->weights && (arguments->edge_given || arguments->spacing_given))
    argp_error(state, "--weights says edge and spacing of the cubes: give no --edge, --spacing");
  if (arguments->crops && arguments->n_paths)
    argp_error(state, "--crops takes no folders: %s", arguments->paths[0]);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = (struct arguments *)state->input;
  arguments->edge_given |= key == KEY_EDGE;
  arguments->spacing_given |= key == KEY_SPACING;
  if (parse_rule(key, arg, state, &arguments->how)) return 0;
  switch (key) {
  case 'o':
    arguments->output = arg;
    return 0;
  case 'w':
    arguments->weights = arg;
    return 0;
  case KEY_CROPS:
    arguments->crops = arg;
    return 0;
  case KEY_NODULES:
    arguments->nodules = arg;
    return 0;
  case KEY_LIST:
    arguments->list = arg;
    return 0;
  case KEY_OVERWRITE:
    arguments->existing = PL_EXISTING_OVERWRITE;
    return 0;
  case KEY_RESUME:
    arguments->existing = PL_EXISTING_RESUME;
    return 0;
  case ARGP_KEY_ARGS:
    arguments->paths = (const char *const *)state->argv + state->next;
    arguments->n_paths = (size_t)(state->argc - state->next);
    return 0;
  case ARGP_KEY_END:
    check_complete(state, arguments);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_child children[] = {{.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
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
    .children = children};

/* One UID a line; blank lines and lines with # are left out. Free with free on both. */
static lc_status read_list(const char *path, char **text, const char ***uids, size_t *n,
                           struct lc_error *err) {
  size_t bytes, lines = 1;
  LC_TRY(lc_file_read(path, (size_t)64 << 20, text, &bytes, err));
  for (const char *c = *text; *c; c++) lines += *c == '\n';
  lc_status status = lc_alloc(uids, lines, sizeof(char *), err);
  char *rest = NULL;
  for (char *line = strtok_r(*text, "\r\n", &rest); line && status == LC_OK;
       line = strtok_r(NULL, "\r\n", &rest)) {
    line += strspn(line, " \t");
    line[strcspn(line, " \t,")] = '\0';
    if (line[0] && line[0] != '#') (*uids)[(*n)++] = line;
  }
  if (status == LC_OK && *n == 0)
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: no series UID in it", path);
  return status;
}

static lc_status from_crops(const struct arguments *arguments, struct lc_error *err) {
  struct pl_dataset dataset;
  char settings[512];
  const struct pl_dataset_rules *how = &arguments->how;
  LC_TRY(pl_crop_set_read(&dataset, arguments->crops, how->edge, how->spacing_mm, err));
  lc_status status = pl_dataset_fold(&dataset, how->n_folds, how->fold_seed, err);
  if (status == LC_OK) {
    snprintf(settings, sizeof settings,
             "edge: %zu\nspacing_mm: %.17g\nnodules: crop set\ninterpolation: linear\n", how->edge,
             how->spacing_mm);
    bool folded = dataset.samples[0].fold_patient >= 0;
    struct pl_dataset_about about = {settings, "", "", folded ? how->n_folds : 0, how->fold_seed};
    status = pl_dataset_write(&dataset, &about, NULL, NULL, arguments->output, err);
  }
  if (status == LC_OK) lc_log(LC_LOG_INFO, "%s: %zu nodules", arguments->output, dataset.n);
  pl_dataset_free(&dataset);
  return status;
}

static lc_status from_series(struct arguments *arguments, struct lc_error *err) {
  struct pl_survey survey;
  struct pl_prepare_counts done;
  char *text = NULL;
  const char **uids = NULL;
  size_t n_uids = 0;
  lc_status status = LC_OK;
  if (arguments->nodules && !lc_folder_exists(arguments->nodules)) {
    const struct ct_nodule_source *source;
    LC_TRY(ct_nodule_source_of(&source, arguments->nodules, err));
    arguments->how.points = source->is_list;
  }
  if (arguments->list) {
    status = read_list(arguments->list, &text, &uids, &n_uids, err);
    arguments->how.only = uids;
    arguments->how.n_only = n_uids;
  }
  if (status == LC_OK) {
    status = pl_survey_open(&survey, arguments->paths, arguments->n_paths, arguments->nodules, true,
                            err);
    if (status == LC_OK) {
      status = pl_prepare(&survey, &arguments->how, arguments->output, &done, err);
      if (status == LC_OK || status == LC_ERR_PARTIAL)
        lc_log(LC_LOG_INFO, "%s: %zu nodules of %zu series (%zu made, %zu kept)", arguments->output,
               done.n_nodules, done.n_series, done.n_made, done.n_kept);
      pl_survey_free(&survey);
    }
  }
  free((void *)uids);
  free(text);
  return status;
}

/* The cubes that `lungcdam run` cuts for the model. */
static lc_status cut_as_run(struct arguments *arguments, struct lc_error *err) {
  const struct pl_overrides overrides = {.weights = arguments->weights};
  struct pl_config config;
  if (!arguments->weights) return LC_OK;
  LC_TRY(pl_config_make(&config, &overrides, err));
  arguments->how.edge = (size_t)config.cube_edge;
  arguments->how.spacing_mm = config.cube_spacing_mm;
  pl_config_free(&config);
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

lc_status cmd_prepare(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {.how = {.edge = 32,
                                        .spacing_mm = 1,
                                        .level = 0.5,
                                        .min_readers = 1,
                                        .n_folds = 5,
                                        .fold_seed = 1}};
  struct pl_output place;
  LC_TRY(pl_cli_parse(&argp, argc, argv, &arguments, err));
  LC_TRY(cut_as_run(&arguments, err));
  if (arguments.existing == PL_EXISTING_REFUSE && lc_file_exists(arguments.output))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite starts again, --resume goes on",
            arguments.output);
  LC_TRY(open_place(&place, arguments.output, err));
  if (arguments.existing == PL_EXISTING_OVERWRITE) LC_TRY(pl_prepare_forget(arguments.output, err));
  lc_status status = arguments.crops ? from_crops(&arguments, err) : from_series(&arguments, err);
  pl_output_close(&place);
  return status;
}
