/* Implements `lungcdam series`: lists the CT series in folders and whether each can be used. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/dicom_file/ct_syntax.h"
#include "ct_io/dicom_read/ct_index.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_table.h"

struct arguments {
  struct pl_words paths;
  enum pl_table_form form;
  struct ct_index_rules rules;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    PL_FORM_ROWS(0, "Write a JSON array instead of a table", "Write CSV instead of a table"),
    PL_RULES_ROWS(0, rules.assume_hu, rules.allow_missing),
};

static const struct pl_column columns[] = {
    {"PatientID", "PATIENT", false},
    {"StudyInstanceUID", NULL, false},
    {"StudyDate", NULL, false},
    {"SeriesNumber", "NO", true},
    {"SeriesDescription", NULL, false},
    {"Modality", "MOD", false},
    {"Manufacturer", NULL, false},
    {"slices", "SLICES", true},
    {"rows", NULL, true},
    {"columns", NULL, true},
    {"row_spacing_mm", "SPACING mm", true},
    {"column_spacing_mm", NULL, true},
    {"slice_spacing_mm", "SLICE mm", true},
    {"orientation", "PLANE", false},
    {"transfer_syntax", "TRANSFER SYNTAX", false},
    {"lossy", NULL, false},
    {"verdict", "VERDICT", false},
    {"SeriesInstanceUID", NULL, false},
    {"series", "SERIES", false},
    {"reason", "REASON", false},
    {"folder", NULL, false},
};

/* The plane a slice shows, by the largest component of its normal; oblique beyond 10 degrees. */
static const char *plane(const struct ct_series *series) {
  static const char *const names[] = {"sagittal", "coronal", "axial"};
  for (int i = 0; i < 3; i++)
    if (fabs(series->normal[i]) > 0.985) return names[i];
  return series->n_slices > 0 && series->normal[0] + series->normal[1] + series->normal[2] != 0
             ? "oblique"
             : "-";
}

static void put_folder(struct pl_table *table, const struct ct_series *series) {
  const char *path = series->n_slices > 0 ? series->slices[0].path : NULL;
  const char *slash = path ? strrchr(path, '/') : NULL;
  if (slash)
    pl_table_format(table, "%.*s", (int)(slash - path), path);
  else
    pl_table_text(table, path ? "." : "");
}

/* Headers say 0 where they say nothing. */
static double given(double value) {
  return value != 0 ? value : NAN;
}

static void put_row(struct pl_table *table, const struct ct_index *index,
                    const struct ct_series *series) {
  char name[CT_SERIES_NAME_SIZE];
  bool some = series->n_slices > 0;
  pl_table_text(table, series->patient_id);
  pl_table_text(table, series->study_instance_uid);
  pl_table_text(table, series->study_date);
  pl_table_text(table, series->series_number);
  pl_table_text(table, series->series_description);
  pl_table_text(table, series->modality);
  pl_table_text(table, series->manufacturer);
  pl_table_integer(table, (long long)series->n_slices);
  pl_table_integer(table, series->rows);
  pl_table_integer(table, series->columns);
  pl_table_number(table, given(series->pixel_spacing_mm[0]), 3);
  pl_table_number(table, given(series->pixel_spacing_mm[1]), 3);
  pl_table_number(table, given(series->slice_spacing_mm), 2);
  pl_table_text(table, plane(series));
  pl_table_text(table, some ? ct_transfer_syntax_name(series->slices[0].transfer_syntax_uid) : "-");
  pl_table_bool(table, series->lossy);
  pl_table_text(table, ct_verdict_name(series->verdict));
  pl_table_text(table, series->series_instance_uid);
  ct_index_name(index, series, name);
  pl_table_text(table, name);
  pl_table_text(table, series->reason);
  put_folder(table, series);
}

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  LC_SCOPED(ct_index_free) struct ct_index index = {0};
  LC_SCOPED(pl_table_free) struct pl_table table = {0};
  struct pl_progress progress;
  pl_progress_start(&progress, "reading headers", "files", 0);
  lc_status status = ct_index_scan(&index, arguments->paths.items, arguments->paths.n,
                                   &arguments->rules, &progress.progress, err);
  pl_progress_end(&progress);
  LC_TRY(status);
  pl_table_init(&table, columns, sizeof columns / sizeof *columns);
  for (size_t i = 0; i < index.n_series; i++) put_row(&table, &index, &index.series[i]);
  LC_TRY(pl_table_print(&table, arguments->form, stdout, err));
  if (arguments->form == PL_TABLE_TERMINAL && index.n_files_not_dicom > 0)
    lc_log(LC_LOG_INFO, "%zu of %zu files are not DICOM images or volumes and were skipped",
           index.n_files_not_dicom, index.n_files_seen);
  return arguments->rules.allow_missing ? LC_OK : ct_index_check_readable(&index, err);
}

const struct pl_command pl_command_series = {
    .name = "series",
    .summary = "list the CT series in folders and say which can be used",
    .size = sizeof(struct arguments),
    PL_OPTIONS(options),
    .args_doc = "DIR...",
    .doc = "List the DICOM series and volume files (MetaImage, NIfTI, NRRD) in folders: what they "
           "are, and whether they can be used. Only headers are read.\v"
           "Examples:\n"
           "  lungcdam series LIDC-IDRI\n"
           "  lungcdam series --json /data/incoming | jq '.[] | select(.verdict == \"refused\")'\n"
           "  lungcdam series --csv a b > series.csv",
    .takes_rest = true,
    .rest_at = offsetof(struct arguments, paths),
    .needs_rest = "which folder?",
    .run = run,
};
