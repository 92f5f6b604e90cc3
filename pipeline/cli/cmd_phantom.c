/* Implements `lungcdam phantom`: makes synthetic patients with DICOM, marks and truth, each folder
 * whole or not at all. */
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "ct_io/phantom/ct_phantom.h"
#include "pipeline/cli/pl_cli.h"
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
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"output", 'o', "DIR", "Folder of the patients", 0, PL_OPTION_TEXT, AT(output)},
    {"seed", 's', "S", "Seed, 0 by default; the same seed gives the same bytes", 0, PL_OPTION_WHOLE,
     AT(seed), 0, PL_ANY},
    {"patients", 'n', "N", "Number of patients, 1 by default", 0, PL_OPTION_WHOLE, AT(patients), 1,
     PATIENTS_MOST},
    {"matrix", 'm', "PIXELS", "Rows and columns of a slice, 512 by default", 0, PL_OPTION_WHOLE,
     AT(matrix), 64, 1024},
    {"slice-spacing", 'z', "MM", "Distance of the slices; without it the seed chooses", 0,
     PL_OPTION_REAL, AT(spacing_mm), 0.5, 10},
    {"nodules", 'k', "N", "Nodules of a patient, 1 to 4; without it the seed chooses", 0,
     PL_OPTION_WHOLE, AT(nodules), 1, CT_PHANTOM_MAX_NODULES},
    PL_EXISTING_ROWS(0, 'f', "Replace patients that exist", 'r',
                     "Keep patients made from the same options"),
};

static void check_arguments(void *input, const struct argp_state *state) {
  if (!((const struct arguments *)input)->output) argp_error(state, "needs --output DIR");
}

static lc_status write_patient(const struct ct_phantom *phantom,
                               const struct ct_phantom_options *how, const struct pl_output *output,
                               bool replace, struct lc_error *err) {
  const char *patient = phantom->header.patient_id;
  LC_SCOPED(pl_draft_discard) struct pl_draft draft = {.lock = -1};
  char series[LC_PATH_SIZE], made[LC_PATH_SIZE], truth[LC_PATH_SIZE];
  LC_TRY(pl_draft_begin(&draft, output, patient, err));
  LC_TRY(ct_phantom_write(phantom, draft.folder, false, series, sizeof series, err));
  LC_TRY(lc_path_join(made, draft.folder, patient, err));
  LC_TRY(lc_path_join(truth, made, PL_TRUTH_FILE, err));
  LC_TRY(pl_truth_write(phantom, how, truth, err));
  /* The patient's folder is the only entry of the draft. */
  LC_TRY(lc_folder_publish(made, draft.target, replace, err));
  printf("%s: %zu slices, %zu nodule%s\n", draft.target, phantom->volume.size[2],
         phantom->n_nodules, phantom->n_nodules == 1 ? "" : "s");
  return LC_OK;
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
  LC_SCOPED(ct_phantom_free) struct ct_phantom phantom = {.n_nodules = 0};
  struct pl_progress progress;
  pl_progress_start(&progress, strrchr(path, '/') + 1, "slices", 0);
  lc_status status = ct_phantom_make(&phantom, &how, &progress.progress, err);
  pl_progress_end(&progress);
  LC_TRY(status);
  return write_patient(&phantom, &how, output, arguments->existing != PL_EXISTING_REFUSE, err);
}

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  LC_SCOPED(pl_output_close) struct pl_output output = {.made = false};
  LC_TRY(pl_output_open(&output, arguments->output, err));
  LC_TRY(check_existing(arguments, &output, err));
  for (long long i = 0; i < arguments->patients; i++)
    LC_TRY(one_patient(arguments, &output, i, err));
  return LC_OK;
}

const struct pl_command pl_command_phantom = {
    .name = "phantom",
    .summary = "make synthetic patients with known nodules",
    .size = sizeof(struct arguments),
    .defaults = &(const struct arguments){.patients = 1},
    PL_OPTIONS(options),
    .args_doc = "-o DIR",
    .doc = "Make synthetic patients: chest CT in DICOM with lung nodules, the marks of four "
           "simulated readers as LIDC XML, and the truth in HDF5.\v"
           "Examples:\n"
           "  lungcdam phantom -o phantom --seed 7 --patients 10\n"
           "  lungcdam series phantom\n"
           "\n"
           "Each patient appears whole, by one rename, or not at all.",
    .check = check_arguments,
    .run = run,
};
