/* Implements `lungcdam nodules`: lists the nodules of LIDC-IDRI's readers with ratings and
 * measures, or counts beside the published ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/nodule/ct_annotation_set.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule_files/ct_nodule_convert.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/learn/pl_survey.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/report/pl_table.h"

struct arguments {
  struct pl_words paths;
  enum pl_table_form form;
  const char *luna, *patients, *output;
  struct ct_grouping grouping;
  struct pl_nodule_files nodules;
  const struct ct_nodule_kind *to;
  double level;
  bool counts, xml_only;
};
#define AT(field) PL_AT(struct arguments, field)

static const char *const groupings[] = {"voxels", "mm", NULL};

static void choose_kind(void *input, const char *arg, const struct argp_state *state) {
  struct arguments *arguments = input;
  struct lc_text names = {0};
  for (size_t k = 0; ct_nodule_kinds[k]; k++) {
    lc_text_add(&names, "%s%s", k ? ", " : "", ct_nodule_kinds[k]->name);
    if (strcmp(arg, ct_nodule_kinds[k]->name) == 0) arguments->to = ct_nodule_kinds[k];
  }
  if (!arguments->to)
    argp_error(state, "--to is '%s', expected one of %s", arg, lc_text_get(&names));
  lc_text_free(&names);
}

static void check_conversion(void *input, const struct argp_state *state) {
  const struct arguments *arguments = input;
  if (!arguments->to != !arguments->output)
    argp_error(state, "--to KIND and --output PATH go together");
}

static const struct pl_option options[] = {
    PL_FORM_ROWS(0, "Write a JSON array instead of a table", "Write CSV instead of a table"),
    {"xml-only", 0, NULL, "Do not look for DICOM; geometry as far as XML tells it", 0,
     PL_OPTION_FLAG, AT(xml_only)},
    {"grouping", 0, "RULE", "voxels (default: pylidc's rule, distances in voxel indices) or mm", 0,
     PL_OPTION_CHOICE, AT(grouping.in_millimetres), .words = groupings},
    {"tolerance", 0, "X",
     "Largest distance of marks of one nodule (default: the slice thickness in mm)", 0,
     PL_OPTION_REAL, AT(grouping.tolerance_mm), 0.001, 1000},
    {"level", 0, "X", "Share of marks that makes the consensus (default 0.5)", 0, PL_OPTION_REAL,
     AT(level), 0.001, 1},
    {"luna", 0, "CSV", "Match LUNA16's annotations.csv (needs DICOM)", 0, PL_OPTION_TEXT, AT(luna)},
    {"patients", 0, "CSV", "TCIA's table of series, for the patients of series without DICOM", 0,
     PL_OPTION_TEXT, AT(patients)},
    PL_NODULES_ROWS(0, 'n', nodules.paths, nodules.components, nodules.keep_duplicates,
                    nodules.strict),
    {"to", 't', "KIND",
     "Convert instead of listing: csv (places, all series in one file), json (\"Multiple "
     "points\"), "
     "markups (3D Slicer), xml (outlines, LIDC XML), nii (masks, label volume); needs the series",
     0, PL_OPTION_CALL, .call = choose_kind},
    {"output", 'o', "PATH",
     "The file to write, or a folder that is there: then one file a series, named by its UID", 0,
     PL_OPTION_TEXT, AT(output)},
    {"counts", 0, NULL,
     "Only counts: files, series, patients, marks, nodules and faults, beside those published", 0,
     PL_OPTION_FLAG, AT(counts)},
};

static const struct pl_column columns[] = {
    {"PatientID", "PATIENT", false},
    {"SeriesInstanceUID", NULL, false},
    {"nodule", "NODULE", false},
    {"name", NULL, false},
    {"readers", "READERS", true},
    {"marks", NULL, true},
    {"column", NULL, true},
    {"row", NULL, true},
    {"slice", NULL, true},
    {"x_mm", "X mm", true},
    {"y_mm", "Y mm", true},
    {"z_mm", "Z mm", true},
    {"diameter_mm", "DIAM mm", true},
    {"probability", NULL, true},
    {"volume_mm3", "VOLUME mm3", true},
    {"subtlety", NULL, true},
    {"internalStructure", NULL, true},
    {"calcification", NULL, true},
    {"sphericity", NULL, true},
    {"margin", NULL, true},
    {"lobulation", NULL, true},
    {"spiculation", NULL, true},
    {"texture", NULL, true},
    {"malignancy", "MALIGNANCY", true},
    {"malignancy_median", "MEDIAN", true},
    {"label", "LABEL", false},
    {"luna_diameter_mm", NULL, true},
    {"luna_distance_mm", NULL, true},
    {"faults", "FAULTS", false},
    {"geometry", "GEOMETRY", false},
    {"annotation", NULL, false},
};

struct totals {
  size_t series, nodules, marks, unplaced, small, non_nodules, too_large, luna, luna_found;
  size_t faults[8];
  const char **patients, **with_nodule; /* one entry a series */
  size_t n_patients, n_with_nodule;
};

/* LUNA16's point for a nodule, or NULL. */
static const struct ct_point *luna_point(const struct ct_annotation *points, const long *matches,
                                         size_t nodule) {
  for (size_t p = 0; points && p < points->n_points; p++)
    if (matches[p] == (long)nodule) return &points->points[p];
  return NULL;
}

static void put_place(struct pl_table *table, const struct pl_annotated_series *annotated,
                      const struct ct_nodule *nodule) {
  double ijk[3];
  ct_series_to_index(annotated->series, nodule->centre_mm, ijk);
  pl_table_number(table, ijk[0], 1);
  pl_table_number(table, ijk[1], 1);
  pl_table_number(table, annotated->has_dicom ? ijk[2] : NAN, 1);
  pl_table_number(table, annotated->has_dicom ? nodule->centre_mm[0] : NAN, 1);
  pl_table_number(table, annotated->has_dicom ? nodule->centre_mm[1] : NAN, 1);
  pl_table_number(table, nodule->centre_mm[2], 1);
}

static double distance(const double a[3], const double b[3]) {
  return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
              (a[2] - b[2]) * (a[2] - b[2]));
}

static lc_status put_nodule(struct pl_table *table, const struct pl_survey *survey,
                            const struct pl_annotated_series *annotated, size_t which,
                            const struct ct_point *luna, double level, struct lc_error *err) {
  const struct ct_nodule *nodule = &annotated->nodules.nodules[which];
  LC_SCOPED(ct_consensus_free) struct ct_consensus consensus = {0};
  unsigned faults = 0;
  char words[160];
  bool drawn = annotated->has_dicom && nodule->n_marks > 0;
  if (drawn) LC_TRY(ct_nodule_consensus(&consensus, nodule, annotated->series, level, err));
  pl_table_text(table, pl_survey_patient(survey, annotated->series->series_instance_uid));
  pl_table_text(table, annotated->series->series_instance_uid);
  pl_table_text(table, nodule->id);
  pl_table_text(table, nodule->name);
  pl_table_integer(table, nodule->n_readers);
  pl_table_integer(table, (long long)nodule->n_marks);
  put_place(table, annotated, nodule);
  pl_table_number(table, annotated->has_dicom ? nodule->diameter_mm : NAN, 1);
  pl_table_number(table, nodule->probability, 3);
  pl_table_number(table, drawn ? consensus.volume_mm3 : NAN, 0);
  for (int r = 0; r < CT_RATING_COUNT; r++) pl_table_number(table, nodule->mean_rating[r], 2);
  pl_table_number(table, nodule->median_rating[CT_MALIGNANCY], 1);
  pl_table_text(table, ct_label_name(ct_label_of(nodule->median_rating[CT_MALIGNANCY])));
  pl_table_number(table, luna ? luna->diameter_mm : NAN, 1);
  pl_table_number(table, luna ? distance(luna->centre_mm, nodule->centre_mm) : NAN, 1);
  for (size_t m = 0; m < nodule->n_marks; m++) faults |= nodule->marks[m]->faults;
  pl_fault_words(words, faults);
  pl_table_text(table, words);
  pl_table_text(table, annotated->has_dicom ? "DICOM" : "XML alone");
  pl_table_text(table, annotated->annotation->path);
  return LC_OK;
}

/* Points of the series, or NULL, and the nodule that each means. */
static lc_status match_luna(const struct ct_annotation_set *luna,
                            const struct pl_annotated_series *annotated,
                            const struct ct_annotation **points, long **matches,
                            struct lc_error *err) {
  *matches = NULL;
  *points = NULL;
  if (annotated->has_dicom)
    *points = ct_annotation_set_find(luna, annotated->series->series_instance_uid, NULL, NULL);
  if (!*points) return LC_OK;
  LC_TRY(lc_alloc(matches, (*points)->n_points, sizeof **matches, err));
  ct_nodules_match(&annotated->nodules, *points, *matches);
  return LC_OK;
}

static void count(struct totals *totals, const struct pl_survey *survey,
                  const struct pl_annotated_series *annotated, const struct ct_annotation *points,
                  const long *matches) {
  const struct ct_annotation *annotation = annotated->annotation;
  const char *patient = pl_survey_patient(survey, annotation->series_instance_uid);
  totals->series++;
  totals->nodules += annotated->nodules.n_nodules;
  totals->unplaced += annotated->nodules.n_marks_unplaced;
  totals->too_large += annotated->nodules.group_too_large;
  totals->luna += points ? points->n_points : 0;
  for (size_t p = 0; points && p < points->n_points; p++) totals->luna_found += matches[p] >= 0;
  for (size_t m = 0; m < annotation->n_marks; m++) {
    totals->marks += annotation->marks[m].kind == CT_MARK_NODULE;
    totals->small += annotation->marks[m].kind == CT_MARK_SMALL;
    totals->non_nodules += annotation->marks[m].kind == CT_MARK_NON_NODULE;
    for (int f = 0; f < 8; f++) totals->faults[f] += annotation->marks[m].faults >> f & 1;
  }
  if (!patient[0]) return;
  totals->patients[totals->n_patients++] = patient;
  if (annotated->nodules.n_nodules) totals->with_nodule[totals->n_with_nodule++] = patient;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t distinct(const char **names, size_t n) {
  size_t found = n > 0;
  if (n) qsort((void *)names, n, sizeof *names, by_text);
  for (size_t i = 1; i < n; i++) found += strcmp(names[i], names[i - 1]) != 0;
  return found;
}

static void put_count(struct pl_table *table, const char *what, size_t found, long published) {
  pl_table_text(table, what);
  pl_table_integer(table, (long long)found);
  if (published < 0)
    pl_table_missing(table);
  else
    pl_table_integer(table, published);
}

static lc_status print_counts(const struct pl_survey *survey, struct totals *totals,
                              enum pl_table_form form, struct lc_error *err) {
  static const struct pl_column count_columns[] = {
      {"count", "COUNT", false}, {"found", "FOUND", true}, {"published", "LIDC-IDRI", true}};
  LC_SCOPED(pl_table_free) struct pl_table table;
  pl_table_init(&table, count_columns, 3);
  put_count(&table, "annotation files", survey->marks.n_files, 1318);
  put_count(&table, "of CT", survey->marks.n_ct_files, -1);
  put_count(&table, "of chest X-ray", survey->marks.n_chest_xrays, -1);
  put_count(&table, "unreadable", survey->marks.problems.count, -1);
  put_count(&table, "CT series", totals->series, 1018);
  if (totals->n_patients) {
    put_count(&table, "patients", distinct(totals->patients, totals->n_patients), 1010);
    put_count(&table, "patients with a nodule of 3 mm or more",
              distinct(totals->with_nodule, totals->n_with_nodule), 875);
  }
  put_count(&table, "marks of nodules of 3 mm or more", totals->marks, 6859);
  put_count(&table, "nodules (clusters of marks)", totals->nodules, 2651);
  put_count(&table, "series with a cluster of more than four marks", totals->too_large, 14);
  put_count(&table, "marks of nodules under 3 mm", totals->small, -1);
  put_count(&table, "marks of non-nodules", totals->non_nodules, -1);
  put_count(&table, "marks merged as repeats", survey->marks.n_repeated, -1);
  put_count(&table, "marks on no slice of the series", totals->unplaced, -1);
  for (unsigned f = 0; f < 8; f++) {
    if (1u << f == CT_FAULT_REPEATED) continue; /* counted above */
    char words[160], what[200];
    pl_fault_words(words, 1u << f);
    snprintf(what, sizeof what, "marks with fault %s", words);
    put_count(&table, what, totals->faults[f], -1);
  }
  if (totals->luna) {
    put_count(&table, "LUNA16 nodules of these series", totals->luna, -1);
    put_count(&table, "matched", totals->luna_found, -1);
  }
  return pl_table_print(&table, form, stdout, err);
}

static lc_status list_series(const struct arguments *arguments, const struct pl_survey *survey,
                             const struct ct_annotation_set *luna, size_t which,
                             const struct ct_series *series, struct pl_table *table,
                             struct totals *totals, struct lc_error *err) {
  LC_SCOPED(pl_annotated_series_free) struct pl_annotated_series annotated = {0};
  LC_FREED long *matches = NULL;
  const struct ct_annotation *points;
  LC_TRY(pl_signal_check(err));
  LC_TRY(pl_annotated_series_open(&annotated, survey, which, series, &arguments->grouping, err));
  if (annotated.nodules.group_too_large)
    lc_log(LC_LOG_WARNING, "%s: a cluster of more than four marks remains",
           annotated.annotation->path);
  LC_TRY(match_luna(luna, &annotated, &points, &matches, err));
  count(totals, survey, &annotated, points, matches);
  for (size_t i = 0; i < annotated.nodules.n_nodules; i++)
    LC_TRY(put_nodule(table, survey, &annotated, i, luna_point(points, matches, i),
                      arguments->level, err));
  return LC_OK;
}

static lc_status list_all(const struct arguments *arguments, const struct pl_survey *survey,
                          const struct ct_annotation_set *luna, struct lc_error *err) {
  size_t n = survey->marks.n_annotations, most = n * (survey->index.n_series + 1);
  LC_FREED const char **patients = NULL;
  LC_FREED const char **with_nodule = NULL;
  LC_SCOPED(pl_table_free) struct pl_table table = {0};
  LC_TRY(lc_alloc(&patients, most, sizeof(char *), err));
  LC_TRY(lc_alloc(&with_nodule, most, sizeof(char *), err));
  struct totals totals = {.patients = patients, .with_nodule = with_nodule};
  pl_table_init(&table, columns, sizeof columns / sizeof *columns);
  for (size_t i = 0; i < n; i++) {
    struct ct_annotation *annotation = &survey->marks.annotations[i];
    size_t position = 0;
    const struct ct_series *series = pl_survey_next(survey, annotation, &position);
    do {
      LC_TRY(list_series(arguments, survey, luna, i, series, &table, &totals, err));
      if (series) series = pl_survey_next(survey, annotation, &position);
    } while (series);
  }
  if (arguments->counts) return print_counts(survey, &totals, arguments->form, err);
  LC_TRY(pl_table_print(&table, arguments->form, stdout, err));
  lc_log(LC_LOG_INFO, "%zu nodules of %zu marks in %zu series; %zu chest X-ray files left out",
         totals.nodules, totals.marks, totals.series, survey->marks.n_chest_xrays);
  return LC_OK;
}

/* Where one series goes: into the folder, or the file that is named. */
static lc_status place_of(const struct arguments *arguments, const struct ct_series *series,
                          size_t n_before, char path[LC_PATH_SIZE], struct lc_error *err) {
  char name[CT_UID_SIZE + 16];
  snprintf(name, sizeof name, "%s%s", series->series_instance_uid, arguments->to->ending);
  if (lc_folder_exists(arguments->output)) return lc_path_join(path, arguments->output, name, err);
  if (n_before > 0)
    LC_FAIL(err, LC_ERR_USAGE, "%s: nodules of several series, expected a folder that is there",
            arguments->output);
  lc_text_copy(path, LC_PATH_SIZE, arguments->output);
  return LC_OK;
}

static lc_status convert_series(const struct arguments *arguments,
                                const struct pl_annotated_series *annotated, size_t n_before,
                                struct lc_text *all, struct lc_error *err) {
  const struct ct_nodule_kind *to = arguments->to;
  const struct ct_nodules_of of = {annotated->series, annotated->annotation, &annotated->nodules,
                                   arguments->level};
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  char path[LC_PATH_SIZE];
  bool together = to->heading && !lc_folder_exists(arguments->output);
  if (together) {
    to->add(all, &of);
    return LC_OK;
  }
  LC_TRY(place_of(arguments, annotated->series, n_before, path, err));
  lc_log(LC_LOG_INFO, "%s: %zu nodules", path, annotated->nodules.n_nodules);
  if (to->write) return to->write(&of, path, err);
  lc_text_add(&text, "%s", to->heading ? to->heading : "");
  to->add(&text, &of);
  if (text.failed) LC_FAIL(err, LC_ERR_MEMORY, "%s: its text cannot be made", path);
  return lc_file_write(path, lc_text_get(&text), text.length, err);
}

static lc_status convert_all(const struct arguments *arguments, const struct pl_survey *survey,
                             struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text all = {0};
  size_t n = 0;
  lc_text_add(&all, "%s", arguments->to->heading ? arguments->to->heading : "");
  size_t start = all.length;
  for (size_t i = 0; i < survey->marks.n_annotations; i++) {
    size_t position = 0;
    const struct ct_series *series;
    while ((series = pl_survey_next(survey, &survey->marks.annotations[i], &position)) != NULL) {
      LC_SCOPED(pl_annotated_series_free) struct pl_annotated_series annotated = {0};
      LC_TRY(pl_signal_check(err));
      LC_TRY(pl_annotated_series_open(&annotated, survey, i, series, &arguments->grouping, err));
      LC_TRY(convert_series(arguments, &annotated, n++, &all, err));
    }
  }
  if (n == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s: no nodules of a CT series that is there",
            arguments->paths.items[0]);
  if (all.failed) LC_FAIL(err, LC_ERR_MEMORY, "%s: its text cannot be made", arguments->output);
  if (all.length == start) return LC_OK;
  return lc_file_write(arguments->output, lc_text_get(&all), all.length, err);
}

static lc_status run(void *input, struct lc_error *err) {
  struct arguments *arguments = input;
  const struct pl_list *nodules = &arguments->nodules.paths;
  LC_SCOPED(pl_survey_free) struct pl_survey survey = {0};
  LC_SCOPED(ct_annotation_set_free) struct ct_annotation_set luna = {0};
  LC_TRY(pl_survey_open(&survey, arguments->paths.items, arguments->paths.n,
                        (const char *const *)nodules->items, nodules->n,
                        arguments->nodules.components, !arguments->xml_only, NULL, err));
  if (arguments->nodules.strict) LC_TRY(pl_survey_check_strict(&survey, err));
  arguments->grouping.keep_duplicates = arguments->nodules.keep_duplicates;
  if (survey.marks.n_annotations == 0 && survey.marks.problems.count > 0)
    return ct_annotation_set_fail(&survey.marks, err);
  if (survey.marks.n_annotations == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s: no annotation of a CT series", arguments->paths.items[0]);
  if (arguments->patients) LC_TRY(pl_survey_read_patients(&survey, arguments->patients, err));
  if (arguments->luna) LC_TRY(ct_annotation_set_scan(&luna, &arguments->luna, 1, NULL, err));
  LC_TRY(arguments->to ? convert_all(arguments, &survey, err)
                       : list_all(arguments, &survey, &luna, err));
  LC_TRY(pl_survey_check_marks(&survey, err));
  return ct_index_check_readable(&survey.index, err);
}

const struct pl_command pl_command_nodules = {
    .name = "nodules",
    .summary = "list the nodules that files mark, with ratings and measures, or convert them",
    .size = sizeof(struct arguments),
    .defaults = &(const struct arguments){.level = 0.5},
    PL_OPTIONS(options),
    .args_doc = "DIR...",
    .doc = "List the nodules of 3 mm and more that files mark (LIDC-IDRI's XML and all other kinds "
           "of docs/nodules.md): one line for each physical nodule, from XML alone or with its "
           "DICOM. Or convert them.\v"
           "Examples:\n"
           "  lungcdam nodules LIDC-IDRI\n"
           "  lungcdam nodules --csv tcia-lidc-xml > nodules.csv\n"
           "  lungcdam nodules --counts --patients LIDC-IDRI_MetaData.csv tcia-lidc-xml\n"
           "  lungcdam nodules --luna annotations.csv LIDC-IDRI/LIDC-IDRI-0001\n"
           "  lungcdam nodules --nodules seg.nii.gz --to markups -o seg.mrk.json CT",
    .check = check_conversion,
    .takes_rest = true,
    .rest_at = offsetof(struct arguments, paths),
    .needs_rest = "which folder?",
    .run = run,
};
