/* Implements `lungcdam export`: makes DICOM objects from results and their source series. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/dicom_read/ct_index.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/export/pl_object.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/run/pl_candidates.h"
#include "pipeline/run/pl_nodules.h"
#include "pipeline/run/pl_reference.h"
#include "pipeline/store/pl_output.h"
#include "pipeline/store/pl_store.h"

struct arguments {
  struct pl_list inputs;
  struct pl_words results;
  struct pl_nodule_files nodules;
  const char *reference, *output;
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
    {"reference", 'R', "FOLDER", "DICOM of a source that is a volume file, as in the run", 1,
     PL_OPTION_TEXT, AT(reference)},
    PL_NODULES_ROWS(1, 'n', nodules.paths, nodules.components, nodules.keep_duplicates,
                    nodules.strict),
    PL_RULES_ROWS(1, rules.assume_hu, rules.allow_missing),
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
    PL_FORM_ROWS(5, "List what was written as JSON", "List what was written as CSV"),
};

static void check_arguments(void *input, const struct argp_state *state) {
  const struct arguments *arguments = input;
  const char *root = arguments->options.uid_root;
  if (root && !ct_uid_valid(root))
    argp_error(state, "--uid-root is '%s', expected digits and dots", root);
  if (arguments->inputs.n == 0) argp_error(state, "--input: where is the source series?");
}

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
  const struct ct_series **at_hand; /* of the input, with several results; owned */
  size_t n_at_hand;
};

static void free_exporting(struct exporting *e) {
  pl_table_free(&e->table);
  ct_index_free(&e->index);
  free(e->at_hand);
  pl_output_close(&e->output);
}

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
  LC_SCOPED(pl_draft_discard) struct pl_draft draft = {.lock = -1};
  LC_SCOPED(pl_export_close) struct pl_export export = {.result = NULL};
  struct pl_export_options chosen = options_of(e->arguments, config);
  pl_output_name_of(name, result->series_instance_uid, ct_index_number(&e->index, series));
  LC_TRY(pl_draft_begin(&draft, &e->output, name, err));
  LC_TRY(pl_export_open(&export, result, &chosen, draft.folder, err));
  LC_TRY(pl_export_write(&export, err));
  LC_TRY(pl_draft_publish(&draft, e->arguments->overwrite, err));
  list_written(e, &export, draft.target);
  return LC_OK;
}

/* The nodules as the run found them: its configuration, and the same annotation. */
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

/* Candidates that a detector found lie beside the results. */
static lc_status use_candidates(struct pl_config *config, const struct pl_result *result,
                                const char *folder, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  size_t n;
  bool found;
  if (pl_config_nodules(config, &n)) return LC_OK;
  LC_TRY(pl_candidates_of_result(result, folder, path, &found, err));
  if (!found) return LC_OK;
  pl_list_free(&config->nodules_source);
  return pl_list_add(&config->nodules_source, path, err);
}

static lc_status export_folder(struct exporting *e, const char *folder, struct lc_error *err) {
  char path[LC_PATH_SIZE], file[LC_PATH_SIZE];
  const struct pl_overrides overrides = {.file = file, .nodules = e->arguments->nodules};
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  LC_SCOPED(ct_nodule_finder_free) struct ct_nodule_finder finder = {.index = &e->index};
  LC_SCOPED(pl_result_free) struct pl_result result = {.n_views = 0};
  LC_SCOPED(pl_result_free) struct pl_result found = {.n_views = 0};
  LC_TRY(lc_path_join(path, folder, PL_STORE_FILE, err));
  LC_TRY(lc_path_join(file, folder, "configuration.yaml", err));
  LC_TRY(pl_store_read(&result, path, err));
  lc_status status = find_series(&e->index, &result, &found.series, err);
  if (status == LC_ERR_NOT_FOUND)
    lc_error_prefix(err, "%s: the input lacks the series that it was made from", result.path);
  LC_TRY(status);
  LC_TRY(pl_config_make(&config, &overrides, err));
  LC_TRY(use_candidates(&config, &result, folder, err));
  LC_TRY(pl_nodules_find(&finder, &config, e->at_hand, e->n_at_hand, &found, err));
  LC_TRY(pl_export_attach(&result, &found, err));
  LC_TRY(publish(e, &config, &result, found.series, err));
  e->done++;
  return LC_OK;
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

/* Of the results of several series a file that names none is of one of them. */
static lc_status note_series(struct exporting *e, size_t n_results, struct lc_error *err) {
  LC_TRY(lc_alloc(&e->at_hand, e->index.n_series, sizeof(const struct ct_series *), err));
  for (size_t i = 0; i < e->index.n_series && n_results > 1; i++)
    if (e->index.series[i].verdict != CT_REFUSED) e->at_hand[e->n_at_hand++] = &e->index.series[i];
  return LC_OK;
}

static lc_status scan(struct exporting *e, struct lc_error *err) {
  const struct arguments *arguments = e->arguments;
  LC_FREED const struct ct_series **all = NULL;
  LC_TRY(ct_index_scan(&e->index, (const char *const *)arguments->inputs.items, arguments->inputs.n,
                       &arguments->rules, NULL, err));
  if (!arguments->reference) return LC_OK;
  LC_TRY(lc_alloc(&all, e->index.n_series, sizeof(const struct ct_series *), err));
  for (size_t i = 0; i < e->index.n_series; i++) all[i] = &e->index.series[i];
  return pl_reference_apply(arguments->reference, &e->index, all, e->index.n_series, err);
}

/* What can be made without a run's pictures. */
static void init(void *input) {
  struct arguments *arguments = input;
  size_t n;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  arguments->output = "lungcdam-dicom";
  arguments->options.series_number = -1;
  arguments->options.relevance = -1;
  for (size_t k = 0; k < n; k++) arguments->options.kinds[k] = table[k]->write != NULL;
}

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  LC_SCOPED(free_exporting) struct exporting e = {.arguments = arguments};
  LC_SCOPED(pl_list_free) struct pl_list folders = {0};
  pl_table_init(&e.table, columns, sizeof columns / sizeof *columns);
  for (size_t i = 0; i < arguments->results.n; i++)
    LC_TRY(pl_store_find(arguments->results.items[i], &folders, err));
  LC_TRY(scan(&e, err));
  LC_TRY(note_series(&e, folders.n, err));
  LC_TRY(pl_output_open(&e.output, arguments->output, err));
  lc_status status = export_all(&e, &folders, err);
  if (e.done == 0 || (status != LC_OK && status != LC_ERR_PARTIAL)) return status;
  lc_status printed = pl_table_print(&e.table, arguments->form, stdout, NULL);
  if (printed != LC_OK && status == LC_OK)
    LC_FAIL(err, printed, "standard output cannot be written");
  return status;
}

const struct pl_command pl_command_export = {
    .name = "export",
    .summary = "make DICOM objects from results: maps, segmentations, reports",
    .size = sizeof(struct arguments),
    .init = init,
    PL_OPTIONS(options),
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
    .needs_rest = "which results?",
    .check = check_arguments,
    .help = help,
    .run = run,
};
