/* Implements `lungcdam run`: runs the main job over the input and prints the summary. */
#include <stdio.h>

#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/run/pl_batch.h"

struct arguments {
  struct pl_overrides overrides;
  enum pl_existing existing;
  enum pl_table_form form;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    PL_CONFIG_ROWS,
    {"shifts", 0, "N",
     "explain.shifts: maps are means over N images shifted by parts of a patch, on as much finer a "
     "grid; by default as few as make cells of 2 mm or less",
     1, PL_OPTION_WHOLE, AT(overrides.shifts), 1, PL_ANY},
    {"overwrite", 'f', NULL, "Replace results that exist", 2, PL_OPTION_ONE_OF, AT(existing),
     PL_EXISTING_OVERWRITE},
    {"resume", 'r', NULL,
     "Keep results made from the same input, weights and configuration, make the others", 2,
     PL_OPTION_ONE_OF, AT(existing), PL_EXISTING_RESUME},
    PL_FORM_ROWS(3, "Write the summary as JSON", "Write the summary as CSV"),
};

static lc_status print(const struct pl_batch *batch, const char *model, enum pl_table_form form,
                       struct lc_error *err) {
  if (!batch->has_summary) return LC_OK;
  bool table = form == PL_TABLE_TERMINAL;
  if (!table || batch->n_done > 0) LC_TRY(pl_table_print(&batch->summary.table, form, stdout, err));
  FILE *out = table ? stdout : stderr;
  if (table) fputs(lc_text_get(&batch->summary.repaired), out);
  if (batch->n_done + batch->n_kept + batch->n_without + batch->n_failed > 1)
    fprintf(out, "series: %zu done, %zu kept, %zu without nodules, %zu failed\n", batch->n_done,
            batch->n_kept, batch->n_without, batch->n_failed);
  fprintf(out, "model %s (SHA-256 %.12s...), research use only%s\n", model, batch->weights_sha256,
          batch->trained ? "" : "; UNTRAINED WEIGHTS: predictions and maps mean nothing");
  return LC_OK;
}

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  LC_SCOPED(pl_batch_free) struct pl_batch batch = {0};
  lc_status status = pl_run_all(&config, &batch, &arguments->overrides, arguments->existing, err);
  if (status == LC_OK) return print(&batch, config.model.name, arguments->form, err);
  if (status == LC_ERR_PARTIAL) (void)!print(&batch, config.model.name, arguments->form, NULL);
  return status;
}

const struct pl_command pl_command_run = {
    .name = "run",
    .summary = "predict and explain the nodules of CT series: the main job",
    .size = sizeof(struct arguments),
    PL_OPTIONS(options),
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
        "  lungcdam run --input ct.nii.gz --nodules marks.csv --reference DICOM -o results\n"
        "\n"
        "Results of a series appear whole, by one rename, or not at all.",
    .words = {offsetof(struct arguments, overrides.file)},
    .n_words = 1,
    .too_many = "more than one configuration file",
    .run = run,
};
