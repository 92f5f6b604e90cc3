/* Implements `lungcdam phantom`: makes synthetic patients with DICOM, marks and truth, each folder
 * whole or not at all. */
#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"
#include "ct_io/phantom/ct_phantom.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/store/pl_h5.h"
#include "pipeline/store/pl_output.h"
#include "pipeline/store/pl_truth.h"

#define PATIENTS_MOST 100000

struct arguments {
  const char *output;
  long long seed, patients, matrix, nodules;
  double spacing_mm;
  enum pl_existing existing;
};

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Folder of the patients", 0},
    {"seed", 's', "S", 0, "Seed, 0 by default; the same seed gives the same bytes", 0},
    {"patients", 'n', "N", 0, "Number of patients, 1 by default", 0},
    {"matrix", 'm', "PIXELS", 0, "Rows and columns of a slice, 512 by default", 0},
    {"slice-spacing", 'z', "MM", 0, "Distance of the slices; without it the seed chooses", 0},
    {"nodules", 'k', "N", 0, "Nodules of a patient, 1 to 4; without it the seed chooses", 0},
    {"overwrite", 'f', NULL, 0, "Replace patients that exist", 0},
    {"resume", 'r', NULL, 0, "Keep patients made from the same options", 0},
    {0}};

static void number(struct argp_state *state, const char *name, const char *arg, long long low,
                   long long high, long long *value) {
  if (!lc_text_to_long(arg, value) || *value < low || *value > high)
    argp_error(state, "--%s is '%s', expected a whole number from %lld to %lld", name, arg, low,
               high);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = (struct arguments *)state->input;
  switch (key) {
  case 'o':
    arguments->output = arg;
    return 0;
  case 's':
    number(state, "seed", arg, 0, INT64_MAX, &arguments->seed);
    return 0;
  case 'n':
    number(state, "patients", arg, 1, PATIENTS_MOST, &arguments->patients);
    return 0;
  case 'm':
    number(state, "matrix", arg, 64, 1024, &arguments->matrix);
    return 0;
  case 'k':
    number(state, "nodules", arg, 1, CT_PHANTOM_MAX_NODULES, &arguments->nodules);
    return 0;
  case 'z':
    if (!lc_text_to_double(arg, &arguments->spacing_mm) || arguments->spacing_mm < 0.5 ||
        arguments->spacing_mm > 10)
      argp_error(state, "--slice-spacing is '%s', expected a number from 0.5 to 10", arg);
    return 0;
  case 'f':
    arguments->existing = PL_EXISTING_OVERWRITE;
    return 0;
  case 'r':
    arguments->existing = PL_EXISTING_RESUME;
    return 0;
  case ARGP_KEY_ARG:
    argp_error(state, "too many arguments: %s", arg);
    return 0;
  case ARGP_KEY_END:
    if (!arguments->output) argp_error(state, "needs --output DIR");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_child children[] = {{.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "-o DIR",
    .doc = "Make synthetic patients: chest CT in DICOM with lung nodules, the marks of four "
           "simulated readers as LIDC XML, and the truth in HDF5.\v"
           "Examples:\n"
           "  lungcdam phantom -o phantom --seed 7 --patients 10\n"
           "  lungcdam series phantom\n"
           "\n"
           "Each patient appears whole, by one rename, or not at all.",
    .children = children};

/* The patient's folder is the only entry of the draft. */
static lc_status lift_patient(struct pl_draft *draft, const char *patient, bool replace,
                              struct lc_error *err) {
  char made[LC_PATH_SIZE];
  LC_TRY(lc_path_join(made, draft->folder, patient, err));
  return lc_folder_publish(made, draft->target, replace, err);
}

static lc_status write_patient(const struct ct_phantom *phantom,
                               const struct ct_phantom_options *how, const struct pl_output *output,
                               bool replace, struct lc_error *err) {
  const char *patient = phantom->header.patient_id;
  struct pl_draft draft;
  char series[LC_PATH_SIZE], folder[LC_PATH_SIZE], truth[LC_PATH_SIZE];
  LC_TRY(pl_draft_begin(&draft, output, patient, err));
  lc_status status = ct_phantom_write(phantom, draft.folder, false, series, sizeof series, err);
  if (status == LC_OK) status = lc_path_join(folder, draft.folder, patient, err);
  if (status == LC_OK) status = lc_path_join(truth, folder, PL_TRUTH_FILE, err);
  if (status == LC_OK) status = pl_truth_write(phantom, how, truth, err);
  if (status == LC_OK) status = lift_patient(&draft, patient, replace, err);
  pl_draft_discard(&draft);
  if (status == LC_OK)
    printf("%s: %zu slices, %zu nodule%s\n", draft.target, phantom->volume.size[2],
           phantom->n_nodules, phantom->n_nodules == 1 ? "" : "s");
  return status;
}

static struct ct_phantom_options options_of(const struct arguments *arguments, long long patient) {
  return (struct ct_phantom_options){.seed = (uint64_t)arguments->seed,
                                     .patient = (uint64_t)patient,
                                     .matrix = (size_t)arguments->matrix,
                                     .slice_spacing_mm = arguments->spacing_mm,
                                     .nodules = (size_t)arguments->nodules};
}

/* What is there already: found says whether, and same whether it is what would be made. */
static lc_status look(const struct ct_phantom_options *how, const struct pl_output *output,
                      char path[LC_PATH_SIZE], bool *found, bool *same, struct lc_error *err) {
  char id[64], truth[LC_PATH_SIZE], wanted[PL_TRUTH_OPTIONS_SIZE], has[PL_TRUTH_OPTIONS_SIZE];
  ct_phantom_patient_id(how, id);
  LC_TRY(lc_path_join(path, output->folder, id, err));
  LC_TRY(lc_path_join(truth, path, PL_TRUTH_FILE, err));
  *found = lc_file_exists(path);
  pl_truth_options(how, wanted);
  *same = *found && pl_h5_read_attribute(truth, "options", has, sizeof has, NULL) == LC_OK &&
          strcmp(wanted, has) == 0;
  return LC_OK;
}

/* Before any work: what would be refused at the end is refused now. */
static lc_status check_existing(const struct arguments *arguments, const struct pl_output *output,
                                struct lc_error *err) {
  if (arguments->existing != PL_EXISTING_REFUSE) return LC_OK;
  for (long long i = 0; i < arguments->patients; i++) {
    struct ct_phantom_options how = options_of(arguments, i);
    char path[LC_PATH_SIZE];
    bool found, same;
    LC_TRY(look(&how, output, path, &found, &same, err));
    if (found)
      LC_FAIL(err, LC_ERR_EXISTS,
              "%s: exists; --overwrite replaces it, --resume keeps it when it "
              "was made from the same options",
              path);
  }
  return LC_OK;
}

static lc_status one_patient(const struct arguments *arguments, const struct pl_output *output,
                             long long patient, struct lc_error *err) {
  struct ct_phantom_options how = options_of(arguments, patient);
  char path[LC_PATH_SIZE];
  bool found, same;
  LC_TRY(pl_signal_check(err));
  LC_TRY(look(&how, output, path, &found, &same, err));
  if (same && arguments->existing == PL_EXISTING_RESUME) {
    lc_log(LC_LOG_INFO, "%s: kept, made from the same options", path);
    return LC_OK;
  }
  struct ct_phantom phantom;
  struct pl_progress progress;
  pl_progress_start(&progress, strrchr(path, '/') + 1, "slices", 0);
  lc_status status = ct_phantom_make(&phantom, &how, &progress.progress, err);
  pl_progress_end(&progress);
  LC_TRY(status);
  status = write_patient(&phantom, &how, output, arguments->existing != PL_EXISTING_REFUSE, err);
  ct_phantom_free(&phantom);
  return status;
}

static lc_status all_patients(const struct arguments *arguments, const struct pl_output *output,
                              struct lc_error *err) {
  LC_TRY(check_existing(arguments, output, err));
  for (long long i = 0; i < arguments->patients; i++)
    LC_TRY(one_patient(arguments, output, i, err));
  return LC_OK;
}

lc_status cmd_phantom(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {.patients = 1};
  LC_TRY(pl_cli_parse(&argp, argc, argv, &arguments, err));
  struct pl_output output;
  LC_TRY(pl_output_open(&output, arguments.output, err));
  lc_status status = all_patients(&arguments, &output, err);
  pl_output_close(&output);
  return status;
}
