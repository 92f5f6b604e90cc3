/* Checks that a result belongs to a series, makes the UIDs, texts and paths of exported objects,
 * and runs the chosen kinds in order. */
#include "pipeline/export/pl_export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/ct/ct_volume.h"
#include "pipeline/export/pl_exporting.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/store/pl_output.h"

const char *const pl_export_names[PL_EXPORT_KINDS] = {"slices",    "maps",   "segmentation",
                                                      "relevance", "report", "presentation"};

void pl_export_options_of(struct pl_export_options *options, const struct pl_config *config) {
  bool all = pl_list_has(&config->export_objects, "all");
  *options = (struct pl_export_options){
      .uid_root = *config->capture_uid_root ? config->capture_uid_root : NULL,
      .series_number = (int)config->export_series_number,
      .description = "lungcdam",
      .relevance = config->export_relevance,
      .window_low_hu = config->figure_window_low_hu,
      .window_high_hu = config->figure_window_high_hu,
      .opacity = config->figure_opacity,
      .colours = (cdam_colours)config->figure_colours,
  };
  for (int k = 0; k < PL_EXPORT_KINDS; k++)
    options->kinds[k] = all || pl_list_has(&config->export_objects, pl_export_names[k]);
}

static lc_status make_uid(const struct pl_exporting *e, const char *role, size_t nodule,
                          size_t target, const char *key, char uid[CT_UID_SIZE],
                          struct lc_error *err) {
  const struct pl_stored *stored = e->stored;
  const char *const parts[] = {role,
                               e->series->study_instance_uid,
                               e->series->series_instance_uid,
                               key,
                               nodule < stored->n_nodules ? stored->nodules[nodule] : "",
                               target < stored->n_targets ? stored->targets[target] : ""};
  return ct_uid_make(uid, e->options->uid_root, parts, sizeof parts / sizeof *parts, err);
}

lc_status pl_export_tracking(const struct pl_exporting *e, size_t nodule, char uid[CT_UID_SIZE],
                             struct lc_error *err) {
  /* Not the result's key: the nodule stays the same whatever model looks at it. */
  return make_uid(e, "nodule", nodule, (size_t)-1, e->stored->nodule_source_sha256, uid, err);
}

static void comments_of(const struct pl_exporting *e, size_t nodule, size_t target, char *out,
                        size_t size) {
  const struct pl_stored *stored = e->stored;
  struct lc_text text = {0};
  lc_text_add(&text, "Research use only%s.", stored->trained ? "" : "; UNTRAINED WEIGHTS");
  if (nodule < stored->n_nodules) lc_text_add(&text, " %s", stored->nodules[nodule]);
  if (target < stored->n_targets) lc_text_add(&text, " %s", stored->targets[target]);
  for (size_t o = 0; nodule < stored->n_nodules && o < stored->n_outputs; o++) {
    size_t at = nodule * stored->n_outputs + o;
    if (target >= stored->n_targets || strcmp(stored->outputs[o], stored->targets[target]) != 0)
      continue;
    if (isfinite(stored->probability[at]))
      lc_text_add(&text, ": probability %.3f", (double)stored->probability[at]);
    else
      lc_text_add(&text, ": predicted %.2f", (double)stored->mean_logit[at]);
  }
  lc_text_copy(out, size, lc_text_get(&text));
  lc_text_free(&text);
}

/* What decides an object's content: the result and the options, and for the report, which names the
 * others, the kinds that were written. Two contents must not share a SOP Instance UID. */
static void content_key(const struct pl_exporting *e, enum pl_export_kind kind, char *out,
                        size_t size) {
  const struct pl_export_options *o = e->options;
  int used = snprintf(out, size, "%s %d %s %.17g %.17g %.17g %.17g %d ", e->stored->result_key,
                      o->series_number, o->description, o->relevance, o->window_low_hu,
                      o->window_high_hu, o->opacity, (int)o->colours);
  for (int k = 0; kind == PL_EXPORT_REPORT && k < PL_EXPORT_KINDS; k++)
    if (used > 0 && (size_t)used + 1 < size) out[used++] = o->kinds[k] ? '1' : '0';
  if (used > 0 && (size_t)used < size) out[used] = '\0';
}

lc_status pl_export_describe(const struct pl_exporting *e, enum pl_export_kind kind, size_t nodule,
                             size_t target, struct pl_export_texts *texts, struct ct_derived *about,
                             struct lc_error *err) {
  const struct pl_export_options *options = e->options;
  memset(about, 0, sizeof *about);
  int length =
      snprintf(texts->description, sizeof texts->description, "%s %s%s (research use only)",
               options->description, pl_export_names[kind], e->stored->trained ? "" : " UNTRAINED");
  if (length < 0 || (size_t)length >= sizeof texts->description)
    LC_FAIL(err, LC_ERR_USAGE,
            "series description \"%s\" is too long: with the rest it has %d of "
            "64 characters",
            options->description, length);
  comments_of(e, nodule, target, texts->comments, sizeof texts->comments);
  snprintf(texts->content, sizeof texts->content, "%s%.40s",
           kind == PL_EXPORT_SEGMENTATION ? "Consensus of readers" : "CDAM ",
           kind == PL_EXPORT_SEGMENTATION || target >= e->stored->n_targets
               ? ""
               : e->stored->targets[target]);
  about->source = e->series;
  about->series_number = options->series_number + 100 * (int)kind;
  about->instance_number = (int)e->count->written[kind] + 1;
  about->series_description = texts->description;
  about->image_comments = texts->comments;
  about->content_label = kind == PL_EXPORT_SEGMENTATION ? "CONSENSUS" : "CDAM";
  about->content_description = texts->content;
  about->derivation_description = e->derivation;
  about->software_version = e->version;
  about->is_class_activation =
      kind == PL_EXPORT_SLICES || kind == PL_EXPORT_MAPS || kind == PL_EXPORT_RELEVANCE;
  char role[64];
  snprintf(role, sizeof role, "export %s series", pl_export_names[kind]);
  LC_TRY(make_uid(e, role, (size_t)-1, (size_t)-1, e->stored->result_key,
                  about->series_instance_uid, err));
  snprintf(role, sizeof role, "export %s", pl_export_names[kind]);
  char key[512];
  content_key(e, kind, key, sizeof key);
  return make_uid(e, role, nodule, target, key, about->sop_instance_uid, err);
}

lc_status pl_export_path(const struct pl_exporting *e, enum pl_export_kind kind, size_t nodule,
                         size_t target, char path[LC_PATH_SIZE], struct lc_error *err) {
  char file[300], part[129];
  int used = snprintf(file, sizeof file, "%s", pl_export_names[kind]);
  if (nodule < e->stored->n_nodules) {
    pl_output_name(part, e->stored->nodules[nodule]);
    used += snprintf(file + used, sizeof file - (size_t)used, "_%.64s", part);
  }
  if (target < e->stored->n_targets) {
    pl_output_name(part, e->stored->targets[target]);
    used += snprintf(file + used, sizeof file - (size_t)used, "_%.64s", part);
  }
  snprintf(file + used, sizeof file - (size_t)used, ".dcm");
  LC_TRY(pl_signal_check(err));
  return lc_path_join(path, e->folder, file, err);
}

lc_status pl_export_done(struct pl_exporting *e, enum pl_export_kind kind,
                         const struct ct_derived *about, const char *sop_class_uid,
                         struct lc_error *err) {
  e->count->written[kind]++;
  if (e->n_references == e->capacity) {
    size_t capacity = e->capacity ? 2 * e->capacity : 16;
    struct ct_reference *grown = realloc(e->references, capacity * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "cannot remember %zu objects", capacity);
    e->references = grown;
    e->capacity = capacity;
  }
  struct ct_reference *reference = &e->references[e->n_references++];
  lc_text_copy(reference->sop_class_uid, CT_UID_SIZE, sop_class_uid);
  lc_text_copy(reference->sop_instance_uid, CT_UID_SIZE, about->sop_instance_uid);
  lc_text_copy(reference->series_instance_uid, CT_UID_SIZE, about->series_instance_uid);
  return LC_OK;
}

void pl_export_touch(const struct pl_exporting *e, size_t nodule, bool *used) {
  size_t first, count;
  double extent_mm = (double)e->stored->edge * e->stored->spacing_mm;
  ct_series_slab(e->series, e->stored->centre_mm + 3 * nodule, extent_mm, &first, &count);
  for (size_t i = first; i < first + count; i++) used[i] = true;
}

lc_status pl_export_list(const bool *used, size_t n, size_t **slices, size_t *count,
                         struct lc_error *err) {
  *count = 0;
  LC_TRY(lc_alloc(slices, n ? n : 1, sizeof **slices, err));
  for (size_t i = 0; i < n; i++)
    if (used[i]) (*slices)[(*count)++] = i;
  return LC_OK;
}

static bool at_same_place(const double *a, const double *b) {
  return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/* The store must be of this series and these nodules: numbers would else land on another patient.
 */
static lc_status check_source(const struct pl_exporting *e, struct lc_error *err) {
  const struct pl_stored *stored = e->stored;
  char manifest[LC_SHA256_HEX];
  LC_TRY(ct_series_manifest_hex(e->series, manifest, err));
  if (strcmp(manifest, stored->input_manifest_sha256) != 0)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: made from series %s with other slices than those found now (manifest %.12s, "
            "expected %.12s)",
            stored->path, stored->series_instance_uid, manifest, stored->input_manifest_sha256);
  bool same = e->nodules->n_nodules == stored->n_nodules;
  for (size_t i = 0; same && i < stored->n_nodules; i++)
    same = strcmp(e->nodules->nodules[i].id, stored->nodules[i]) == 0 &&
           at_same_place(e->nodules->nodules[i].centre_mm, stored->centre_mm + 3 * i);
  if (!same)
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: made from other nodules than those found now", stored->path);
  return LC_OK;
}

static lc_status prepare(struct pl_exporting *e, struct lc_error *err) {
  const struct pl_stored *stored = e->stored;
  snprintf(e->version, sizeof e->version, "%s (%s)", pl_version(), pl_commit());
  size_t name = strcspn(stored->architecture, ":");
  snprintf(e->model_name, sizeof e->model_name, "%.*s", (int)(name < 63 ? name : 63),
           stored->architecture);
  snprintf(e->derivation, sizeof e->derivation,
           "%sCDAM (class-discriminative attention map) of %s, weights SHA-256 %s, configuration "
           "SHA-256 %s; research use only",
           stored->trained ? "" : "UNTRAINED WEIGHTS; ", e->model_name, stored->weights_sha256,
           stored->configuration_sha256);
  LC_TRY(lc_alloc(&e->segment_of, stored->n_nodules, sizeof *e->segment_of, err));
  LC_TRY(check_source(e, err));
  if (!e->options->anonymised) return LC_OK;
  return ct_source_check_anonymised(e->series, err);
}

lc_status pl_export_write(const struct pl_stored *stored, const struct ct_series *series,
                          const struct ct_nodule_list *nodules,
                          const struct pl_export_options *options, const char *folder,
                          struct pl_export_count *count, struct lc_error *err) {
  /* The report comes last: it refers to the others. */
  static const struct {
    enum pl_export_kind kind;
    lc_status (*write)(struct pl_exporting *e, struct lc_error *err);
  } steps[] = {{PL_EXPORT_SLICES, pl_export_slices},
               {PL_EXPORT_MAPS, pl_export_maps},
               {PL_EXPORT_SEGMENTATION, pl_export_segmentation},
               {PL_EXPORT_RELEVANCE, pl_export_relevance},
               {PL_EXPORT_PRESENTATION, pl_export_presentation},
               {PL_EXPORT_REPORT, pl_export_report}};
  memset(count, 0, sizeof *count);
  struct pl_exporting e = {.stored = stored,
                           .series = series,
                           .nodules = nodules,
                           .options = options,
                           .folder = folder,
                           .count = count};
  lc_status status = prepare(&e, err);
  for (size_t i = 0; status == LC_OK && i < sizeof steps / sizeof *steps; i++)
    if (options->kinds[steps[i].kind]) status = steps[i].write(&e, err);
  free(e.segment_of);
  free(e.references);
  return status;
}
