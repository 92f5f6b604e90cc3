/* Readies an export, runs the chosen kinds, and brings a stored result and its series together. */
#include "pipeline/export/pl_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
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
      .consensus_level = config->nodules_consensus_level,
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

void pl_export_add_repair(const struct pl_export *e, char *text, size_t size) {
  size_t used = strlen(text);
  if (e->result->series->verdict == CT_REPAIRED)
    snprintf(text + used, size - used, "; source series: %s", e->result->series->reason);
}

lc_status pl_export_open(struct pl_export *e, const struct pl_result *result,
                         const struct pl_export_options *options, const char *folder,
                         struct lc_error *err) {
  const struct pl_provenance *provenance = &result->provenance;
  *e = (struct pl_export){.result = result, .options = options, .folder = folder};
  snprintf(e->version, sizeof e->version, "%s (%s)", pl_version(), pl_commit());
  lc_text_copy(e->model_name, sizeof e->model_name, provenance->model_name);
  snprintf(e->model_version, sizeof e->model_version, "%.40s%s%.12s%s", provenance->model_version,
           *provenance->model_version ? ", " : "", provenance->weights_sha256,
           provenance->trained ? "" : ", untrained");
  snprintf(e->derivation, sizeof e->derivation,
           "%sCDAM (class-discriminative attention map) of %s%s%s, weights SHA-256 %s, "
           "configuration SHA-256 %s; research use only",
           provenance->trained ? "" : "UNTRAINED WEIGHTS; ", e->model_name,
           *provenance->model_version ? " " : "", provenance->model_version,
           provenance->weights_sha256, provenance->configuration_sha256);
  if (!ct_series_has_objects(result->series))
    LC_FAIL(err, LC_ERR_UNSUPPORTED,
            "%s: %s has no DICOM to refer to; run it with its DICOM as --reference", result->path,
            result->series->slices[0].path);
  pl_export_add_repair(e, e->derivation, sizeof e->derivation);
  if (options->anonymised) LC_TRY(ct_source_check_anonymised(result->series, err));
  LC_TRY(ct_series_identity_hex(result->series, e->identity, err));
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
  lc_status impossible = LC_OK;
  for (unsigned last = 0; last < 2; last++)
    for (size_t k = 0; k < n; k++)
      if (e->options->kinds[k] && table[k]->write &&
          !(table[k]->needs & PL_NEEDS_OTHERS) == !last) {
        lc_status status = table[k]->write(table[k], e, err);
        if (status != LC_OK && status != LC_ERR_UNSUPPORTED) return status;
        if (status == LC_OK) continue;
        lc_log(LC_LOG_WARNING, "no objects of kind \"%s\": %s", table[k]->name,
               err ? err->message : lc_status_name(status));
        impossible = status;
      }
  return e->n_references == 0 ? impossible : LC_OK;
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
  char manifest[LC_SHA256_HEX], identity[LC_SHA256_HEX];
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
  LC_TRY(ct_series_identity_hex(found->series, identity, err));
  if (*result->identity_sha256 && strcmp(identity, result->identity_sha256) != 0)
    lc_log(LC_LOG_WARNING, "%s: the objects are new ones: " PL_OTHER_IDENTITY, result->path);
  LC_TRY(drop_left_out(&found->nodules, result, err));
  if (!same_nodules(&found->nodules, &result->nodules))
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: made from other nodules than those found now", result->path);
  struct ct_nodule_list bare = result->nodules;
  result->nodules = found->nodules;
  found->nodules = bare;
  result->series = found->series;
  return LC_OK;
}
