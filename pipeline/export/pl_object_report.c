/* The kind "report": a TID 1500 report of all nodules, which refers to the other objects. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"
#include "ct_io/dicom_write/ct_report.h"
#include "pipeline/export/pl_object.h"

/* Texts and numbers of the report. */
struct findings {
  struct ct_finding *findings;         /* [nodule] */
  struct ct_measurement *measurements; /* [nodule, output] */
  struct ct_opinion *opinions;         /* those of all nodules, one after the other */
  char (*readers)[24];                 /* [opinion] */
  char (*tracking)[CT_UID_SIZE];
  struct pl_touched touched;
};

static void findings_free(struct findings *f) {
  free(f->findings);
  free(f->measurements);
  free(f->opinions);
  free(f->readers);
  free(f->tracking);
  pl_touched_free(&f->touched);
}

/* What each reader said of a nodule; those who rated nothing are left out. Returns how many. */
static size_t collect_opinions(const struct ct_nodule *nodule, struct ct_opinion *opinions,
                               char (*readers)[24]) {
  size_t n = 0;
  for (size_t m = 0; m < nodule->n_marks; m++) {
    struct ct_opinion *opinion = &opinions[n];
    *opinion = (struct ct_opinion){.reader = readers[n]};
    snprintf(readers[n], sizeof *readers, "Reader %d", nodule->marks[m]->session + 1);
    for (int r = 0; r < CT_RATING_COUNT; r++)
      opinion->n_evaluations += ct_evaluation_of(&opinion->evaluations[opinion->n_evaluations],
                                                 (ct_rating)r, nodule->marks[m]->rating[r]);
    n += opinion->n_evaluations > 0;
  }
  return n;
}

static lc_status collect_findings(const struct pl_export *e, struct findings *f,
                                  struct lc_error *err) {
  const struct pl_result *result = e->result;
  size_t n = result->nodules.n_nodules, outputs = result->n_outputs;
  LC_TRY(lc_alloc(&f->findings, n, sizeof *f->findings, err));
  LC_TRY(lc_alloc(&f->measurements, n * outputs, sizeof *f->measurements, err));
  LC_TRY(lc_alloc(&f->tracking, n, sizeof *f->tracking, err));
  size_t marks = 0, used = 0;
  for (size_t i = 0; i < n; i++) marks += result->nodules.nodules[i].n_marks;
  LC_TRY(lc_alloc(&f->opinions, marks + 1, sizeof *f->opinions, err));
  LC_TRY(lc_alloc(&f->readers, marks + 1, sizeof *f->readers, err));
  LC_TRY(pl_touched_init(&f->touched, e, err));
  for (size_t i = 0; i < n; i++) {
    const struct ct_nodule *nodule = &result->nodules.nodules[i];
    for (size_t o = 0; o < outputs; o++) {
      size_t at = i * outputs + o;
      bool is_probability = !isnan(result->probability[at]);
      float value = is_probability ? result->probability[at] : result->mean_logit[at];
      f->measurements[at] =
          ct_measurement_named(result->output_names[o], (double)value, is_probability);
    }
    LC_TRY(pl_object_tracking(e, i, f->tracking[i], err));
    pl_touched_add(&f->touched, e, i);
    bool segmented = e->segment_of[i] > 0;
    f->findings[i] = (struct ct_finding){
        .tracking_id = nodule->id,
        .tracking_uid = f->tracking[i],
        .measurements = f->measurements + i * outputs,
        .n_measurements = outputs,
        .comment =
            result->provenance.trained ? NULL : "UNTRAINED WEIGHTS: the numbers mean nothing",
        .segmentation = segmented ? &e->segmentation : NULL,
        .segment_number = e->segment_of[i],
        .opinions = f->opinions + used,
        .n_opinions = collect_opinions(nodule, f->opinions + used, f->readers + used),
    };
    memcpy(f->findings[i].centre_mm, nodule->centre_mm, sizeof nodule->centre_mm);
    used += f->findings[i].n_opinions;
  }
  return LC_OK;
}

static lc_status write_report(const struct pl_object_kind *kind, struct pl_export *e,
                              struct lc_error *err) {
  const struct pl_provenance *provenance = &e->result->provenance;
  LC_SCOPED(findings_free) struct findings findings = {0};
  struct pl_object object;
  char version[256], parameters[160];
  snprintf(version, sizeof version, "%s%sweights SHA-256 %s%s", provenance->model_version,
           *provenance->model_version ? ", " : "", provenance->weights_sha256,
           provenance->trained ? "" : ", untrained");
  snprintf(parameters, sizeof parameters,
           "mean of the logits of %zu view%s; a probability is its sigmoid; no calibration beyond "
           "the weights",
           e->result->n_views, e->result->n_views == 1 ? "" : "s");
  struct ct_report report = {.model_name = e->model_name,
                             .model_version = version,
                             .parameters = parameters,
                             .n_findings = e->result->nodules.n_nodules,
                             .evidence = e->references,
                             .n_evidence = e->n_references};
  LC_TRY(collect_findings(e, &findings, err));
  report.findings = findings.findings;
  LC_TRY(pl_object_begin(&object, e, kind, PL_NONE, PL_NONE, PL_NONE, err));
  LC_TRY(pl_touched_list(&findings.touched, e, &object, err));
  report.about = object.about;
  LC_TRY(ct_report_write(&report, object.path, err));
  return pl_object_done(&object, e, err);
}

const struct pl_object_kind pl_object_report = {
    .name = "report",
    .role = "export report",
    .object = &ct_report_object,
    .series_offset = 400,
    .doc = "TID 1500 report of all nodules",
    .needs = PL_NEEDS_OTHERS,
    .write = write_report,
};
