/* Readies an export, runs the chosen kinds, and brings a stored result and its series together. */
#include "pipeline/export/pl_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"
#include "ct_io/nodule/ct_nodule.h"
#include "pipeline/export/pl_object.h"
#include "pipeline/report/pl_version.h"

void pl_export_options_of(struct pl_export_options *options, const struct pl_config *config) {
  bool all = pl_list_has(&config->export_objects, "all");
  size_t n;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  *options = (struct pl_export_options){
      .uid_root = *config->capture_uid_root ? config->capture_uid_root : NULL,
      .series_number = (int)config->export_series_number,
      .capture_series_number = (int)config->capture_series_number,
      .description = "lungcdam",
      .relevance = config->export_relevance,
      .window_low_hu = config->figure_window_low_hu,
      .window_high_hu = config->figure_window_high_hu,
      .opacity = config->figure_opacity,
      .colours = (cdam_colours)config->figure_colours,
  };
  for (size_t k = 0; k < n; k++)
    options->kinds[k] = table[k]->needs & PL_NEEDS_PICTURES
                            ? config->capture_write
                            : all || pl_list_has(&config->export_objects, table[k]->name);
}

bool pl_export_wants(const struct pl_export_options *options, bool pictures) {
  size_t n;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  for (size_t k = 0; k < n; k++)
    if (options->kinds[k] && !(table[k]->needs & PL_NEEDS_PICTURES) == !pictures) return true;
  return false;
}

lc_status pl_export_open(struct pl_export *e, const struct pl_result *result,
                         const struct pl_export_options *options, const char *folder,
                         struct lc_error *err) {
  const struct pl_provenance *provenance = &result->provenance;
  *e = (struct pl_export){.result = result, .options = options, .folder = folder};
  snprintf(e->version, sizeof e->version, "%s (%s)", pl_version(), pl_commit());
  size_t name = strcspn(provenance->architecture, ":");
  snprintf(e->model_name, sizeof e->model_name, "%.*s", (int)(name < 63 ? name : 63),
           provenance->architecture);
  snprintf(e->derivation, sizeof e->derivation,
           "%sCDAM (class-discriminative attention map) of %s, weights SHA-256 %s, configuration "
           "SHA-256 %s; research use only",
           provenance->trained ? "" : "UNTRAINED WEIGHTS; ", e->model_name,
           provenance->weights_sha256, provenance->configuration_sha256);
  if (!ct_series_has_objects(result->series))
    LC_FAIL(err, LC_ERR_UNSUPPORTED,
            "%s: %s has no DICOM to refer to; run it with its DICOM as --reference", result->path,
            result->series->slices[0].path);
  size_t used = strlen(e->derivation);
  if (result->series->verdict == CT_REPAIRED)
    snprintf(e->derivation + used, sizeof e->derivation - used, "; source series: %s",
             result->series->reason);
  if (options->anonymised) LC_TRY(ct_source_check_anonymised(result->series, err));
  return lc_alloc(&e->segment_of, result->nodules.n_nodules, sizeof *e->segment_of, err);
}

void pl_export_close(struct pl_export *e) {
  free(e->segment_of);
  free(e->references);
  memset(e, 0, sizeof *e);
}

lc_status pl_export_write(struct pl_export *e, struct lc_error *err) {
  size_t n;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  for (unsigned last = 0; last < 2; last++)
    for (size_t k = 0; k < n; k++)
      if (e->options->kinds[k] && table[k]->write && !(table[k]->needs & PL_NEEDS_OTHERS) == !last)
        LC_TRY(table[k]->write(table[k], e, err));
  return LC_OK;
}

lc_status pl_export_picture(const struct pl_export *e, size_t nodule, size_t view,
                            const struct cdam_picture *picture, const char *words,
                            struct lc_error *err) {
  size_t n;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  for (size_t k = 0; k < n; k++)
    if (e->options->kinds[k] && table[k]->write_picture)
      LC_TRY(table[k]->write_picture(table[k], e, nodule, view, picture, words, err));
  return LC_OK;
}

/* The run named these and went on without them. */
static lc_status drop_left_out(struct ct_nodule_list *list, const struct pl_result *result,
                               struct lc_error *err) {
  LC_FREED bool *gone = NULL;
  LC_TRY(lc_alloc(&gone, list->n_nodules, sizeof *gone, err));
  for (size_t i = 0; i < list->n_nodules; i++)
    for (size_t k = 0; k < result->n_left_out; k++)
      gone[i] |= strcmp(list->nodules[i].id, result->left_out[k].nodule) == 0;
  ct_nodule_list_remove(list, gone);
  return LC_OK;
}

static bool same_nodules(const struct ct_nodule_list *a, const struct ct_nodule_list *b) {
  if (a->n_nodules != b->n_nodules) return false;
  for (size_t i = 0; i < a->n_nodules; i++) {
    const double *x = a->nodules[i].centre_mm, *y = b->nodules[i].centre_mm;
    if (strcmp(a->nodules[i].id, b->nodules[i].id) != 0 || x[0] != y[0] || x[1] != y[1] ||
        x[2] != y[2])
      return false;
  }
  return true;
}

lc_status pl_export_attach(struct pl_result *result, struct pl_result *found,
                           struct lc_error *err) {
  char manifest[LC_SHA256_HEX];
  if (strcmp(found->nodule_source_sha256, result->nodule_source_sha256) != 0)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: made from another annotation file than the one found now (SHA-256 %.12s, "
            "expected %.12s); name the right one with --nodules",
            result->path, found->nodule_source_sha256, result->nodule_source_sha256);
  LC_TRY(ct_series_manifest_hex(found->series, manifest, err));
  if (strcmp(manifest, result->input_manifest_sha256) != 0)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: made from series %s with other slices than those found now (manifest %.12s, "
            "expected %.12s)",
            result->path, result->series_instance_uid, manifest, result->input_manifest_sha256);
  LC_TRY(drop_left_out(&found->nodules, result, err));
  if (!same_nodules(&found->nodules, &result->nodules))
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: made from other nodules than those found now", result->path);
  struct ct_nodule_list bare = result->nodules;
  result->nodules = found->nodules;
  found->nodules = bare;
  result->series = found->series;
  return LC_OK;
}
