/* Identity, UIDs, texts and places of the objects that are made from one result. */
#include "pipeline/export/pl_object.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/ct/ct_volume.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/store/pl_output.h"

/* What an object is of; "" for what it is not. */
struct subject {
  const char *nodule, *target, *view;
};

static struct subject subject_of(const struct pl_export *e, size_t nodule, size_t target,
                                 size_t view) {
  const struct pl_result *result = e->result;
  return (struct subject){nodule == PL_NONE ? "" : result->nodules.nodules[nodule].id,
                          target == PL_NONE ? "" : result->target_names[target],
                          view == PL_NONE ? "" : ct_view_name(result->views[view])};
}

static lc_status make_uid(const struct pl_export *e, const char *role, struct subject of,
                          const char *key, char uid[CT_UID_SIZE], struct lc_error *err) {
  const struct ct_series *series = e->result->series;
  const char *const parts[] = {role,
                               series->study_instance_uid,
                               series->series_instance_uid,
                               e->identity,
                               key,
                               of.nodule,
                               of.target,
                               of.view};
  return ct_uid_make(uid, e->options->uid_root, parts, sizeof parts / sizeof *parts, err);
}

lc_status pl_object_tracking(const struct pl_export *e, size_t nodule, char uid[CT_UID_SIZE],
                             struct lc_error *err) {
  /* Not the result's key: the nodule stays the same whatever model looks at it. */
  return make_uid(e, "nodule", subject_of(e, nodule, PL_NONE, PL_NONE),
                  e->result->nodule_source_sha256, uid, err);
}

static size_t place_of(const struct pl_object_kind *kind) {
  size_t n, k = 0;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  while (k < n && table[k] != kind) k++;
  return k;
}

/* What decides an object's content: the result, for all but pictures the options, and for those
 * that name others the kinds that were written. Two contents must not share a SOP Instance UID. */
static void content_key(const struct pl_export *e, const struct pl_object_kind *kind,
                        struct lc_text *text) {
  const struct pl_export_options *o = e->options;
  size_t n;
  const struct pl_object_kind *const *table = pl_object_kinds(&n);
  lc_text_add(text, "%s %s %s", e->result->key, e->model_name, e->model_version);
  if (!(kind->needs & PL_NEEDS_PICTURES))
    lc_text_add(text, " %d %s %.17g %.17g %.17g %.17g %.17g %d ", o->series_number, o->description,
                o->consensus_level, o->relevance, o->window_low_hu, o->window_high_hu, o->opacity,
                (int)o->colours);
  for (size_t k = 0; kind->needs & PL_NEEDS_OTHERS && k < n; k++)
    if (!(table[k]->needs & PL_NEEDS_PICTURES)) lc_text_add(text, "%d", o->kinds[k]);
}

static lc_status put_uids(struct pl_object *object, const struct pl_export *e, struct subject of,
                          struct lc_error *err) {
  char role[64];
  LC_SCOPED(lc_text_free) struct lc_text key = {0};
  snprintf(role, sizeof role, "%s series", object->kind->role);
  LC_TRY(make_uid(e, role, (struct subject){"", of.target, ""}, e->result->key,
                  object->about.series_instance_uid, err));
  content_key(e, object->kind, &key);
  if (key.failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory");
  return make_uid(e, object->kind->role, of, lc_text_get(&key), object->about.sop_instance_uid,
                  err);
}

/* "Research use only. nodule-1 malignancy axial: probability 0.532" */
static void put_comments(struct pl_object *object, const struct pl_export *e, size_t nodule,
                         struct subject of) {
  const struct pl_result *result = e->result;
  const char *const words[] = {of.nodule, of.target, of.view};
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  lc_text_add(&text, "Research use only%s.",
              result->provenance.trained || object->kind->of_readers ? "" : "; UNTRAINED WEIGHTS");
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (*words[i]) lc_text_add(&text, " %s", words[i]);
  for (size_t o = 0; nodule != PL_NONE && o < result->n_outputs; o++) {
    size_t at = nodule * result->n_outputs + o;
    if (strcmp(result->output_names[o], of.target) != 0) continue;
    if (isfinite(result->probability[at]))
      lc_text_add(&text, ": probability %.3f", (double)result->probability[at]);
    else
      lc_text_add(&text, ": predicted %.2f", (double)result->mean_logit[at]);
  }
  lc_text_copy(object->comments, sizeof object->comments, lc_text_get(&text));
}

static lc_status put_place(struct pl_object *object, const struct pl_export *e, struct subject of,
                           struct lc_error *err) {
  const char *kind = object->kind->needs & PL_NEEDS_PICTURES ? "" : object->kind->name;
  const char *const words[] = {kind, of.nodule, of.target, of.view};
  char file[400], name[129];
  size_t used = 0;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (!*words[i]) continue;
    pl_output_name(name, words[i]);
    used += (size_t)snprintf(file + used, sizeof file - used, "%s%.64s", used ? "_" : "", name);
  }
  snprintf(file + used, sizeof file - used, ".dcm");
  return lc_path_join(object->path, e->folder, file, err);
}

/* "lungcdam maps malignancy (research use only)": of a target whose name does not fit, the part
 * after its last dot, or the beginning of that. */
static lc_status put_description(struct pl_object *object, const struct pl_export *e,
                                 const char *target, struct lc_error *err) {
  const char *untrained =
      e->result->provenance.trained || object->kind->of_readers ? "" : " UNTRAINED";
  const char *before = e->options->description, *kind = object->kind->name;
  int fixed = snprintf(NULL, 0, "%s %s%s (research use only)", before, kind, untrained);
  if (fixed < 0 || (size_t)fixed >= sizeof object->description)
    LC_FAIL(err, LC_ERR_USAGE,
            "series description \"%s\" is too long: with the rest it has %d of "
            "64 characters",
            before, fixed);
  size_t room = sizeof object->description - 1 - (size_t)fixed, length = strlen(target);
  const char *dot = strrchr(target, '.');
  if (length + 1 > room && dot) target = dot + 1;
  length = strlen(target);
  if (length + 1 > room) length = room > 0 ? room - 1 : 0;
  while (length > 0 && ((unsigned char)target[length] & 0xc0) == 0x80) length--;
  snprintf(object->description, sizeof object->description, "%s %s%s%.*s%s (research use only)",
           before, kind, length > 0 ? " " : "", (int)length, target, untrained);
  return LC_OK;
}

lc_status pl_object_begin(struct pl_object *object, const struct pl_export *e,
                          const struct pl_object_kind *kind, size_t nodule, size_t target,
                          size_t view, struct lc_error *err) {
  const struct pl_export_options *options = e->options;
  struct subject of = subject_of(e, nodule, target, view);
  memset(object, 0, sizeof *object);
  object->kind = kind;
  LC_TRY(pl_signal_check(err));
  LC_TRY(put_description(object, e, of.target, err));
  put_comments(object, e, nodule, of);
  snprintf(object->content, sizeof object->content, "CDAM %.30s %.10s", of.target, of.view);
  int series_number = kind->needs & PL_NEEDS_PICTURES
                          ? options->capture_series_number
                          : options->series_number + kind->series_offset;
  object->about = (struct ct_derived){
      .source = e->result->series,
      .series_number = series_number + (target == PL_NONE ? 0 : (int)(target % 100)),
      .instance_number = (int)e->written[place_of(kind)] + 1,
      .series_description = object->description,
      .image_comments = object->comments,
      .content_label = "CDAM",
      .content_description = object->content,
      .derivation_description = e->derivation,
      .software_version = e->version,
      .is_class_activation = kind->is_map,
  };
  LC_TRY(put_uids(object, e, of, err));
  return put_place(object, e, of, err);
}

lc_status pl_object_done(const struct pl_object *object, struct pl_export *e,
                         struct lc_error *err) {
  e->written[place_of(object->kind)]++;
  if (e->n_references == e->capacity) {
    size_t capacity = e->capacity ? 2 * e->capacity : 16;
    struct ct_reference *grown = realloc(e->references, capacity * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "cannot remember %zu objects", capacity);
    e->references = grown;
    e->capacity = capacity;
  }
  struct ct_reference *reference = &e->references[e->n_references++];
  lc_text_copy(reference->sop_class_uid, CT_UID_SIZE, object->kind->object->sop_class_uid);
  lc_text_copy(reference->sop_instance_uid, CT_UID_SIZE, object->about.sop_instance_uid);
  lc_text_copy(reference->series_instance_uid, CT_UID_SIZE, object->about.series_instance_uid);
  return LC_OK;
}

lc_status pl_touched_init(struct pl_touched *touched, const struct pl_export *e,
                          struct lc_error *err) {
  memset(touched, 0, sizeof *touched);
  return lc_alloc(&touched->used, e->result->series->n_slices, sizeof *touched->used, err);
}

void pl_touched_add(struct pl_touched *touched, const struct pl_export *e, size_t nodule) {
  struct ct_cube place = pl_result_place(e->result, nodule);
  size_t first, count;
  ct_series_slab(e->result->series, place.centre_mm, (double)place.edge * place.spacing_mm, &first,
                 &count);
  for (size_t i = first; i < first + count; i++) touched->used[i] = true;
}

lc_status pl_touched_list(struct pl_touched *touched, const struct pl_export *e,
                          struct pl_object *object, struct lc_error *err) {
  size_t n = e->result->series->n_slices;
  LC_TRY(lc_alloc(&touched->slices, n ? n : 1, sizeof *touched->slices, err));
  for (size_t i = 0; i < n; i++)
    if (touched->used[i]) touched->slices[touched->n++] = i;
  object->about.source_slices = touched->slices;
  object->about.n_source_slices = touched->n;
  return LC_OK;
}

void pl_touched_free(struct pl_touched *touched) {
  free(touched->used);
  free(touched->slices);
}
