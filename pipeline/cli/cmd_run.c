/* Implements `lungcdam run`: runs the main job over the input and prints the summary. */
#include <stdio.h>

#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/run/pl_batch.h"

struct arguments {
  struct pl_overrides overrides;
  enum pl_existing existing;
  enum pl_table_form form;
};

static const struct argp_option options[] = {
    {"overwrite", 'f', NULL, 0, "Replace results that exist", 2},
    {"resume", 'r', NULL, 0,
     "Keep results made from the same input, weights and configuration, make the others", 2},
    {"json", 'j', NULL, 0, "Write the summary as JSON", 3},
    {"csv", 'c', NULL, 0, "Write the summary as CSV", 3},
    {0}};

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is argp's */
static error_t parse(int key, char *arg, struct argp_state *state) {
  (void)arg;
  struct arguments *arguments = (struct arguments *)state->input;
  switch (key) {
  case ARGP_KEY_INIT:
    state->child_inputs[0] = &arguments->overrides;
    return 0;
  case 'f':
  case 'r':
    if (arguments->existing != PL_EXISTING_REFUSE)
      argp_error(state, "--overwrite and --resume exclude each other");
    arguments->existing = key == 'f' ? PL_EXISTING_OVERWRITE : PL_EXISTING_RESUME;
    return 0;
  case 'j':
    arguments->form = PL_TABLE_JSON;
    return 0;
  case 'c':
    arguments->form = PL_TABLE_CSV;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_child children[] = {
    {.argp = &pl_config_argp}, {.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[CONFIG.yaml]",
    .doc =
        "Predict and explain the nodules of CT series: for each nodule a prediction, its "
        "class-discriminative attention maps, pictures, DICOM secondary captures, and one HDF5 "
        "store a series.\v"
        "Examples:\n"
        "  lungcdam run --input LIDC-IDRI/LIDC-IDRI-0001 -o results        the model that ships\n"
        "  lungcdam run --input LIDC-IDRI/LIDC-IDRI-0001 --weights w.safetensors -o results\n"
        "  lungcdam run my.yaml --set figure.colours=red-blue --overwrite\n"
        "  lungcdam run my.yaml --input /data/ct --series all --nodules annotations.csv --resume\n"
        "\n"
        "Results of a series appear whole, by one rename, or not at all.",
    .children = children};

static lc_status print(const struct pl_batch *batch, const char *model, enum pl_table_form form,
                       struct lc_error *err) {
  if (!batch->has_summary) return LC_OK;
  bool table = form == PL_TABLE_TERMINAL;
  if (!table || batch->n_done > 0) LC_TRY(pl_table_print(&batch->summary.table, form, stdout, err));
  FILE *out = table ? stdout : stderr;
  if (batch->n_done + batch->n_kept + batch->n_without + batch->n_failed > 1)
    fprintf(out, "series: %zu done, %zu kept, %zu without nodules, %zu failed\n", batch->n_done,
            batch->n_kept, batch->n_without, batch->n_failed);
  fprintf(out, "model %s (SHA-256 %.12s...), research use only%s\n", model, batch->weights_sha256,
          batch->trained ? "" : "; UNTRAINED WEIGHTS: predictions and maps mean nothing");
  return LC_OK;
}

lc_status cmd_run(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_cli_parse(&argp, argc, argv, &arguments, err));
  struct pl_config config;
  lc_status status = pl_config_make(&config, &arguments.overrides, err);
  pl_overrides_free(&arguments.overrides);
  LC_TRY(status);
  struct pl_batch batch = {0};
  pl_config_say_parameters(&config);
  status = pl_config_take_model(&config, err);
  if (status == LC_OK) status = pl_batch_run(&batch, &config, arguments.existing, err);
  if (status == LC_OK || status == LC_ERR_PARTIAL) {
    struct lc_error why;
    lc_status printed = print(&batch, config.model.name, arguments.form, &why);
    if (status == LC_OK && printed != LC_OK) {
      *err = why;
      status = printed;
    }
  }
  pl_batch_free(&batch);
  pl_config_free(&config);
  return status;
}
