/* Implements `lungcdam series`: lists the DICOM series in folders and whether each can be used. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ct_io/ct/ct_series.h"
#include "ct_io/dicom_file/ct_syntax.h"
#include "ct_io/dicom_read/ct_index.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_options.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_table.h"

struct arguments {
  struct pl_words paths;
  enum pl_table_form form;
  struct ct_index_rules rules;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"json", 'j', NULL, "Write a JSON array instead of a table", 0, PL_OPTION_VALUE, AT(form),
     PL_TABLE_JSON},
    {"assume-hu", 0, NULL, "Take stored values without RescaleIntercept for Hounsfield units", 0,
     PL_OPTION_FLAG, AT(rules.assume_hu)},
    {"allow-missing", 0, NULL, "Use series of which files cannot be read", 0, PL_OPTION_FLAG,
     AT(rules.allow_missing)},
    {"csv", 'c', NULL, "Write CSV instead of a table", 0, PL_OPTION_VALUE, AT(form), PL_TABLE_CSV},
};

static void check_arguments(void *input, const struct argp_state *state) {
  if (((const struct arguments *)input)->paths.n == 0) argp_error(state, "which folder?");
}

static const struct pl_command_line line = {
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .args_doc = "DIR...",
    .doc = "List the DICOM series in folders: what they are, and whether they can be used. Only "
           "headers are read.\v"
           "Examples:\n"
           "  lungcdam series LIDC-IDRI\n"
           "  lungcdam series --json /data/incoming | jq '.[] | select(.verdict == \"refused\")'\n"
           "  lungcdam series --csv a b > series.csv",
    .takes_rest = true,
    .rest_at = offsetof(struct arguments, paths),
    .check = check_arguments,
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

static lc_status run(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_options_parse(&line, argc, argv, &arguments, err));
  struct ct_index index;
  struct pl_progress progress;
  pl_progress_start(&progress, "reading headers", "files", 0);
  lc_status status = ct_index_scan(&index, arguments.paths.items, arguments.paths.n,
                                   &arguments.rules, &progress.progress, err);
  pl_progress_end(&progress);
  LC_TRY(status);
  struct pl_table table;
  pl_table_init(&table, columns, sizeof columns / sizeof *columns);
  for (size_t i = 0; i < index.n_series; i++) put_row(&table, &index, &index.series[i]);
  status = pl_table_print(&table, arguments.form, stdout, err);
  if (arguments.form == PL_TABLE_TERMINAL && index.n_files_not_dicom > 0)
    lc_log(LC_LOG_INFO, "%zu of %zu files are not DICOM images and were skipped",
           index.n_files_not_dicom, index.n_files_seen);
  pl_table_free(&table);
  if (status == LC_OK && !arguments.rules.allow_missing)
    status = ct_index_check_readable(&index, err);
  ct_index_free(&index);
  return status;
}

const struct pl_command pl_command_series = {
    .name = "series",
    .summary = "list the DICOM series in folders and say which can be used",
    .run = run};
