/* Collects one row a nodule and names the columns of the outputs. */
#include "pipeline/run/pl_summary.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pl_column fixed[PL_SUMMARY_FIXED] = {
    {"PatientID", "PATIENT", false},
    {"SeriesInstanceUID", NULL, false},
    {"nodule", "NODULE", false},
    {"x_mm", "X mm", true},
    {"y_mm", "Y mm", true},
    {"z_mm", "Z mm", true},
    {"diameter_mm", "DIAMETER mm", true},
    {"readers", "READERS", true},
    {"median_subtlety", NULL, true},
    {"median_spiculation", NULL, true},
    {"median_texture", NULL, true},
    {"median_malignancy", "READERS' MALIGNANCY", true},
    {"padded_samples", "PADDED", true},
    {"weights_trained", NULL, false},
    {"weights_sha256", NULL, false},
    {"left_out", NULL, false},
};

const char *pl_short_name(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot && isalpha((unsigned char)dot[1]) ? dot + 1 : name;
}

void pl_summary_init(struct pl_summary *summary, const struct vit_arch *arch) {
  memset(summary, 0, sizeof *summary);
  size_t n = vit_arch_outputs(arch);
  summary->columns = calloc(PL_SUMMARY_FIXED + n + 1, sizeof *summary->columns);
  summary->names = calloc(n + 1, sizeof *summary->names);
  if (!summary->columns || !summary->names) {
    pl_table_init(&summary->table, fixed, PL_SUMMARY_FIXED);
    summary->table.failed = true;
    return;
  }
  memcpy(summary->columns, fixed, sizeof fixed);
  for (size_t i = 0; i < n; i++) {
    char name[VIT_NAME_SIZE];
    vit_arch_output_name(arch, i, name);
    bool is_logit = vit_arch_output_is_logit(arch, i);
    char *key = summary->names[i][0], *title = summary->names[i][1];
    snprintf(key, sizeof summary->names[i][0], "%s_%s", is_logit ? "probability" : "predicted",
             name);
    snprintf(title, sizeof summary->names[i][1], is_logit ? "P(%s)" : "%s", pl_short_name(name));
    summary->columns[PL_SUMMARY_FIXED + i] =
        (struct pl_column){key, i < PL_SUMMARY_SHOWN ? title : NULL, true};
  }
  summary->n_outputs = n;
  summary->columns[PL_SUMMARY_FIXED + n] = (struct pl_column){"series_repaired", NULL, false};
  pl_table_init(&summary->table, summary->columns, PL_SUMMARY_FIXED + n + 1);
}

static void add_row(struct pl_summary *summary, const struct pl_result *result, size_t i) {
  struct pl_table *table = &summary->table;
  const struct ct_nodule *nodule = &result->nodules.nodules[i];
  pl_table_text(table, result->series->patient_id);
  pl_table_text(table, result->series->series_instance_uid);
  pl_table_text(table, nodule->id);
  for (int a = 0; a < 3; a++) pl_table_number(table, nodule->centre_mm[a], 1);
  pl_table_number(table, nodule->diameter_mm, 1);
  pl_table_integer(table, nodule->n_readers);
  pl_table_number(table, nodule->median_rating[CT_SUBTLETY], 1);
  pl_table_number(table, nodule->median_rating[CT_SPICULATION], 1);
  pl_table_number(table, nodule->median_rating[CT_TEXTURE], 1);
  pl_table_number(table, nodule->median_rating[CT_MALIGNANCY], 1);
  pl_table_integer(table, (long long)result->cubes[i].n_padded);
  pl_table_bool(table, result->model->trained);
  pl_table_text(table, result->model->weights_sha256);
  pl_table_text(table, "");
  for (size_t o = 0; o < summary->n_outputs; o++) {
    size_t at = i * summary->n_outputs + o;
    bool is_logit = vit_arch_output_is_logit(&result->model->arch, o);
    pl_table_number(table, (double)(is_logit ? result->probability[at] : result->mean_logit[at]),
                    3);
  }
  pl_table_text(table, result->series->reason);
}

/* A nodule that could not be cut: where it is and why. */
static void add_left_out(struct pl_summary *summary, const struct pl_result *result, size_t i) {
  struct pl_table *table = &summary->table;
  const struct pl_left_out *left_out = &result->left_out[i];
  pl_table_text(table, result->series->patient_id);
  pl_table_text(table, result->series->series_instance_uid);
  pl_table_text(table, left_out->nodule);
  for (int a = 0; a < 3; a++) pl_table_number(table, left_out->centre_mm[a], 1);
  for (int column = 6; column < 13; column++) pl_table_number(table, NAN, 1);
  pl_table_bool(table, result->model->trained);
  pl_table_text(table, result->model->weights_sha256);
  pl_table_text(table, left_out->reason);
  for (size_t o = 0; o < summary->n_outputs; o++) pl_table_number(table, NAN, 3);
  pl_table_text(table, result->series->reason);
}

void pl_summary_add(struct pl_summary *summary, const struct pl_result *result) {
  for (size_t i = 0; i < result->nodules.n_nodules; i++) add_row(summary, result, i);
  for (size_t i = 0; i < result->n_left_out; i++) add_left_out(summary, result, i);
  if (result->series->reason[0])
    lc_text_add(&summary->repaired, "series %s: %s: %s\n", result->series->series_instance_uid,
                ct_verdict_name(result->series->verdict), result->series->reason);
}

void pl_summary_free(struct pl_summary *summary) {
  pl_table_free(&summary->table);
  lc_text_free(&summary->repaired);
  free(summary->columns);
  free(summary->names);
  memset(summary, 0, sizeof *summary);
}
