/* Implements `lungcdam export`: makes DICOM objects from results and their source series. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_read/ct_index.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_options.h"
#include "pipeline/export/pl_object.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/report/pl_table.h"
#include "pipeline/run/pl_nodules.h"
#include "pipeline/store/pl_output.h"
#include "pipeline/store/pl_store.h"

struct arguments {
  struct pl_list inputs;
  struct pl_words results;
  const char *nodules, *output;
  struct pl_export_options options;
  struct ct_index_rules rules;
  bool overwrite;
  enum pl_table_form form;
};
#define AT(field) PL_AT(struct arguments, field)

/* Those that can be made without a run's pictures: "slices, maps, ..." */
static void kind_names(char *out, size_t size) {
  size_t n, used = 0;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  for (size_t k = 0; k < n && used < size; k++)
    if (table[k]->write)
      used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", table[k]->name);
}

static void choose_kinds(void *input, const char *list, const struct argp_state *state) {
  struct arguments *arguments = input;
  bool *chosen = arguments->options.kinds;
  char names[512];
  size_t n;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  memset(chosen, 0, sizeof arguments->options.kinds);
  kind_names(names, sizeof names);
  for (const char *word = list; *word;) {
    size_t length = strcspn(word, ",");
    bool all = length == 3 && strncmp(word, "all", 3) == 0, found = all;
    for (size_t k = 0; k < n; k++) {
      const char *name = table[k]->name;
      if (!all && (strlen(name) != length || strncmp(word, name, length) != 0)) continue;
      if (!all && !table[k]->write)
        argp_error(state, "--objects: %s are made by 'lungcdam run' alone, which draws them", name);
      chosen[k] = table[k]->write != NULL;
      found = true;
    }
    if (!found)
      argp_error(state, "--objects: '%.*s' is no kind of object; there are %s", (int)length, word,
                 names);
    word += length + (word[length] == ',');
  }
}

/* The kinds of the table, in the help. */
static char *help(int key, const char *text, void *input) {
  char names[512], *out = NULL;
  (void)input;
  if (key != 'O' || !text) return (char *)(uintptr_t)text;
  kind_names(names, sizeof names);
  return asprintf(&out, "%s: %s", text, names) < 0 ? NULL : out;
}

static const struct pl_option options[] = {
    {"input", 'i', "PATH", "Folder with the source series; may be repeated", 1, PL_OPTION_LIST,
     AT(inputs)},
    {"nodules", 'n', "FILE", "LIDC XML or CSV of the run, when it did not lie by the series", 1,
     PL_OPTION_TEXT, AT(nodules)},
    {"assume-hu", 0, NULL, "As in the run", 1, PL_OPTION_FLAG, AT(rules.assume_hu)},
    {"allow-missing", 0, NULL, "As in the run", 1, PL_OPTION_FLAG, AT(rules.allow_missing)},
    {"objects", 'O', "KINDS", "Comma-separated kinds of object, or all (default)", 2,
     PL_OPTION_CALL, .call = choose_kinds},
    {"output", 'o', "DIR", "Folder of the objects; one folder a series is made in it", 3,
     PL_OPTION_TEXT, AT(output)},
    {"overwrite", 'f', NULL, "Replace what exists", 3, PL_OPTION_FLAG, AT(overwrite)},
    {"uid-root", 0, "ROOT", "Your root for the UIDs made; without it the run's, or 2.25", 4,
     PL_OPTION_TEXT, AT(options.uid_root)},
    {"series-number", 0, "N",
     "Series number of the slices; each further kind has 100 more (as in the run: 9200)", 4,
     PL_OPTION_WHOLE, AT(options.series_number), 0, 1000000000},
    {"description", 0, "TEXT", "Start of the series descriptions (default lungcdam)", 4,
     PL_OPTION_TEXT, AT(options.description)},
    {"relevance", 0, "SHARE",
     "Share of a map's largest score that counts as relevant (as in the run: 0.5)", 4,
     PL_OPTION_REAL, AT(options.relevance), 0, 1},
    {"anonymised", 0, NULL,
     "Refuse a source that does not say that its patient's identity is removed, or that has "
     "annotation burned into its pixels",
     4, PL_OPTION_FLAG, AT(options.anonymised)},
    {"json", 'j', NULL, "List what was written as JSON", 5, PL_OPTION_VALUE, AT(form),
     PL_TABLE_JSON},
    {"csv", 'c', NULL, "List what was written as CSV", 5, PL_OPTION_VALUE, AT(form), PL_TABLE_CSV},
};

static void check_arguments(void *input, const struct argp_state *state) {
  const struct arguments *arguments = input;
  const char *root = arguments->options.uid_root;
  if (root && !ct_uid_valid(root))
    argp_error(state, "--uid-root is '%s', expected digits and dots", root);
  if (arguments->results.n == 0) argp_error(state, "which results?");
  if (arguments->inputs.n == 0) argp_error(state, "--input: where is the source series?");
}

static const struct pl_command_line line = {
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .args_doc = "RESULTS...",
    .doc = "Make DICOM objects from results: maps over CT slices of original size, parametric "
           "maps, segmentations, a measurement report, and outlines for the viewer. RESULTS is "
           "the folder of one series, or an output folder of 'lungcdam run'.\v"
           "Examples:\n"
           "  lungcdam export -i LIDC-IDRI/LIDC-IDRI-0001 -o dicom results\n"
           "  lungcdam export -i /data/ct -O report,maps --uid-root 1.2.826.0.1.3680043.10.99 "
           "results\n"
           "\n"
           "Everything written says 'research use only'. The same results give the same objects, "
           "byte for byte.",
    .takes_rest = true,
    .rest_at = offsetof(struct arguments, results),
    .check = check_arguments,
    .help = help,
};

static const struct pl_column columns[] = {
    {"SeriesInstanceUID", "SERIES", false},
    {"kind", "KIND", false},
    {"objects", "OBJECTS", true},
    {"folder", "FOLDER", false},
};

/* One command on its way. */
struct exporting {
  const struct arguments *arguments;
  struct ct_index index;
  struct pl_output output;
  struct pl_table table;
  size_t done;
};

static void list_written(struct exporting *e, const struct pl_export *export, const char *folder) {
  size_t n;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  for (size_t k = 0; k < n; k++) {
    if (!export->options->kinds[k]) continue;
    pl_table_text(&e->table, export->result->series_instance_uid);
    pl_table_text(&e->table, table[k]->name);
    pl_table_integer(&e->table, (long long)export->written[k]);
    pl_table_text(&e->table, folder);
  }
}

/* What the command line does not say is as in the run. */
static struct pl_export_options options_of(const struct arguments *arguments,
                                           const struct pl_config *config) {
  struct pl_export_options chosen, given = arguments->options;
  pl_export_options_of(&chosen, config);
  memcpy(chosen.kinds, given.kinds, sizeof chosen.kinds);
  chosen.anonymised = given.anonymised;
  if (given.uid_root) chosen.uid_root = given.uid_root;
  if (given.description) chosen.description = given.description;
  if (given.series_number >= 0) chosen.series_number = given.series_number;
  if (given.relevance >= 0) chosen.relevance = given.relevance;
  return chosen;
}

static lc_status publish(struct exporting *e, const struct pl_config *config,
                         const struct pl_result *result, const struct ct_series *series,
                         struct lc_error *err) {
  char name[129];
  struct pl_draft draft;
  struct pl_export export;
  struct pl_export_options chosen = options_of(e->arguments, config);
  pl_output_name_of(name, result->series_instance_uid, ct_index_number(&e->index, series));
  LC_TRY(pl_draft_begin(&draft, &e->output, name, err));
  lc_status status = pl_export_open(&export, result, &chosen, draft.folder, err);
  if (status == LC_OK) status = pl_export_write(&export, err);
  if (status == LC_OK) status = pl_draft_publish(&draft, e->arguments->overwrite, err);
  if (status == LC_OK) list_written(e, &export, draft.target);
  pl_export_close(&export);
  pl_draft_discard(&draft);
  return status;
}

/* The nodules as the run found them: its configuration, and the same annotation. */
static lc_status with_nodules(struct exporting *e, const char *folder, struct pl_result *result,
                              const struct ct_series *series, struct lc_error *err) {
  char file[LC_PATH_SIZE];
  LC_TRY(lc_path_join(file, folder, "configuration.yaml", err));
  struct pl_overrides overrides = {.file = file};
  /* pl_config_make reads these, it does not change them. */
  if (e->arguments->nodules) overrides.nodules = (char *)(uintptr_t)e->arguments->nodules;
  struct pl_config config;
  LC_TRY(pl_config_make(&config, &overrides, err));
  struct ct_nodule_finder finder = {0};
  struct pl_result found = {.series = series};
  lc_status status = pl_nodules_find(&finder, &config, &found, err);
  if (status == LC_OK) status = pl_export_attach(result, &found, err);
  if (status == LC_OK) status = publish(e, &config, result, series, err);
  pl_result_free(&found);
  ct_nodule_finder_free(&finder);
  pl_config_free(&config);
  return status;
}

/* The series that a result was made from, among parts and studies that share its UID. */
static lc_status find_series(const struct ct_index *index, const struct pl_result *result,
                             const struct ct_series **series, struct lc_error *err) {
  for (size_t i = 0; i < index->n_series; i++) {
    char manifest[LC_SHA256_HEX];
    *series = &index->series[i];
    if ((*series)->verdict == CT_REFUSED ||
        strcmp((*series)->series_instance_uid, result->series_instance_uid) != 0)
      continue;
    LC_TRY(ct_series_manifest_hex(*series, manifest, err));
    if (strcmp(manifest, result->input_manifest_sha256) == 0) return LC_OK;
  }
  return ct_index_choose(index, result->series_instance_uid, series, err); /* says what is there */
}

static lc_status export_folder(struct exporting *e, const char *folder, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  struct pl_result result;
  const struct ct_series *series;
  LC_TRY(lc_path_join(path, folder, PL_STORE_FILE, err));
  LC_TRY(pl_store_read(&result, path, err));
  lc_status status = find_series(&e->index, &result, &series, err);
  if (status == LC_ERR_NOT_FOUND)
    lc_error_prefix(err, "%s: the input lacks the series that it was made from", result.path);
  if (status == LC_OK) status = with_nodules(e, folder, &result, series, err);
  pl_result_free(&result);
  if (status == LC_OK) e->done++;
  return status;
}

static bool ends_all(lc_status status) {
  return status == LC_ERR_INTERRUPTED || status == LC_ERR_NO_SPACE ||
         status == LC_ERR_NOT_WRITABLE || status == LC_ERR_MEMORY || status == LC_ERR_INTERNAL;
}

static lc_status export_all(struct exporting *e, const struct pl_list *folders,
                            struct lc_error *err) {
  size_t failed = 0;
  struct pl_progress progress;
  pl_progress_start(&progress, "exporting", "series", folders->n);
  lc_status status = LC_OK;
  for (size_t i = 0; i < folders->n && status == LC_OK; i++) {
    status = pl_signal_check(err);
    if (status == LC_OK) status = export_folder(e, folders->items[i], err);
    lc_progress_step(&progress.progress, 1);
    if (status == LC_OK || folders->n == 1 || ends_all(status)) continue;
    lc_log(LC_LOG_ERROR, "%s (%s)", err->message, lc_status_name(status));
    failed++;
    status = LC_OK;
  }
  pl_progress_end(&progress);
  if (status != LC_OK || failed == 0) return status;
  LC_FAIL(err, LC_ERR_PARTIAL, "%zu of %zu series failed; the objects of the others are complete",
          failed, folders->n);
}

static lc_status work(struct exporting *e, struct lc_error *err) {
  const struct arguments *arguments = e->arguments;
  struct pl_list folders = {0};
  lc_status status = LC_OK;
  for (size_t i = 0; i < arguments->results.n && status == LC_OK; i++)
    status = pl_store_find(arguments->results.items[i], &folders, err);
  if (status == LC_OK)
    status = ct_index_scan(&e->index, (const char *const *)arguments->inputs.items,
                           arguments->inputs.n, &arguments->rules, NULL, err);
  if (status == LC_OK) status = pl_output_open(&e->output, arguments->output, err);
  if (status == LC_OK) {
    status = export_all(e, &folders, err);
    pl_output_close(&e->output);
  }
  if (e->done > 0 && (status == LC_OK || status == LC_ERR_PARTIAL)) {
    lc_status printed = pl_table_print(&e->table, arguments->form, stdout, NULL);
    if (printed != LC_OK && status == LC_OK)
      status = lc_fail(err, printed, __FILE__, __LINE__, "standard output cannot be written");
  }
  pl_list_free(&folders);
  return status;
}

static lc_status run(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {.output = "lungcdam-dicom",
                                .options = {.series_number = -1, .relevance = -1}};
  size_t n_kinds;
  const struct pl_object_kind *const *table = pl_object_kinds(&n_kinds);
  for (size_t k = 0; k < n_kinds; k++) arguments.options.kinds[k] = table[k]->write != NULL;
  lc_status status = pl_options_parse(&line, argc, argv, &arguments, err);
  struct exporting e = {.arguments = &arguments};
  struct lc_error own;
  pl_table_init(&e.table, columns, sizeof columns / sizeof *columns);
  if (status == LC_OK) status = work(&e, err ? err : &own);
  pl_table_free(&e.table);
  ct_index_free(&e.index);
  pl_list_free(&arguments.inputs);
  return status;
}

const struct pl_command pl_command_export = {
    .name = "export",
    .summary = "make DICOM objects from results: maps, segmentations, reports",
    .run = run};
