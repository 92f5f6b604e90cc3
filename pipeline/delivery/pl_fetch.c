/* Finds studies and series by C-FIND, works out which objects are missing here, and requests them
 * series by series. */
#include "pipeline/delivery/pl_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_identity.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/store/pl_output.h"

/* Objects named in one request for single objects. */
#define REQUEST_MOST 100

void pl_fetch_free(struct pl_fetch *fetch) {
  free(fetch->items);
  memset(fetch, 0, sizeof *fetch);
}

static int by_uids(const void *a, const void *b) {
  const struct pl_fetched *x = a, *y = b;
  int order = strcmp(x->study.study_instance_uid, y->study.study_instance_uid);
  return order ? order : strcmp(x->series.series_instance_uid, y->series.series_instance_uid);
}

/* What was asked for, and the series of the studies that were found, for a message. */
struct asked {
  size_t n_series;
  struct pl_list modalities; /* each once */
};

static void free_asked(struct asked *asked) {
  pl_list_free(&asked->modalities);
}

static void add_key(struct lc_text *text, const char *name, const char *value) {
  if (value) lc_text_add(text, "%s%s '%.64s'", text->length ? " and " : "", name, value);
}

static void add_list(struct lc_text *text, const char *name, const struct pl_list *list) {
  for (size_t i = 0; i < list->n && i < 8; i++)
    lc_text_add(text, "%s'%.64s'", i ? " or " : name, list->items[i]);
}

/* Nothing matches: says what was asked of whom, and what would match. */
static lc_status nothing(const struct pl_fetch_options *options, const struct ct_matches *studies,
                         const struct asked *asked, struct lc_error *err) {
  const struct ct_peer *peer = &options->peer;
  const struct ct_query *query = &options->query;
  LC_SCOPED(lc_text_free) struct lc_text keys = {0};
  LC_SCOPED(lc_text_free) struct lc_text rest = {0};
  char accession[LC_IDENTITY_SIZE], patient[LC_IDENTITY_SIZE];
  if (query->accession_number)
    add_key(&keys, "AccessionNumber", lc_identity(accession, query->accession_number));
  if (query->patient_id) add_key(&keys, "PatientID", lc_identity(patient, query->patient_id));
  add_key(&keys, "StudyInstanceUID", query->study_instance_uid);
  add_key(&keys, "StudyDate", query->study_date);
  if (studies->n == 0) {
    lc_text_add(&rest,
                "no such study: asked for %s; a key matches the whole value, with * for any "
                "text and ? for any character",
                lc_text_get(&keys));
  } else {
    lc_text_add(&rest, "no such series: %zu stud%s of %s %s %zu series", studies->n,
                studies->n == 1 ? "y" : "ies", lc_text_get(&keys), studies->n == 1 ? "has" : "have",
                asked->n_series);
    add_list(&rest, " of modality ", &asked->modalities);
    lc_text_add(&rest, "; asked for");
    add_list(&rest, " modality ", &options->modalities);
    add_list(&rest, " series ", &options->series);
    lc_text_add(&rest, "; --list without -m and -s shows what there is");
  }
  LC_FAIL(err, LC_ERR_NOT_FOUND, "%.16s@%.200s:%d: %s", peer->called_ae, peer->host, peer->port,
          lc_text_get(&rest));
}

static bool passes(const struct pl_list *wanted, const char *text) {
  return wanted->n == 0 || pl_list_has(wanted, text);
}

static lc_status add_series(struct pl_fetch *fetch, const struct pl_fetch_options *options,
                            const struct ct_match *study, const struct ct_matches *series,
                            struct asked *asked, struct lc_error *err) {
  struct pl_fetched *grown =
      realloc(fetch->items, (fetch->n + series->n + 1) * sizeof *fetch->items);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "no memory for %zu series", fetch->n + series->n);
  fetch->items = grown;
  for (size_t i = 0; i < series->n; i++) {
    const struct ct_match *match = &series->items[i];
    char path[LC_PATH_SIZE];
    asked->n_series++;
    if (!pl_list_has(&asked->modalities, match->modality))
      LC_TRY(pl_list_add(&asked->modalities, match->modality, err));
    if (!passes(&options->modalities, match->modality) ||
        !passes(&options->series, match->series_instance_uid))
      continue;
    LC_TRY(pl_fetch_path(options, study->study_instance_uid, match->series_instance_uid, NULL, path,
                         err));
    fetch->items[fetch->n++] = (struct pl_fetched){.study = *study, .series = *match};
  }
  return LC_OK;
}

lc_status pl_fetch_list(struct pl_fetch *fetch, const struct pl_fetch_options *options,
                        struct lc_error *err) {
  struct ct_query query = options->query;
  LC_SCOPED(ct_association_close) struct ct_association association = {0};
  LC_SCOPED(ct_matches_free) struct ct_matches studies = {0};
  LC_SCOPED(free_asked) struct asked asked = {0};
  memset(fetch, 0, sizeof *fetch);
  LC_TRY(ct_query_open(&association, &options->peer, CT_FIND_ONLY, NULL, err));
  query.level = CT_LEVEL_STUDY;
  LC_TRY(ct_query_find(&association, &query, &studies, err));
  for (size_t i = 0; i < studies.n; i++) {
    const struct ct_query inside = {.level = CT_LEVEL_SERIES,
                                    .study_instance_uid = studies.items[i].study_instance_uid};
    LC_SCOPED(ct_matches_free) struct ct_matches series = {0};
    LC_TRY(pl_signal_check(err));
    LC_TRY(ct_query_find(&association, &inside, &series, err));
    LC_TRY(add_series(fetch, options, &studies.items[i], &series, &asked, err));
  }
  if (fetch->n == 0) return nothing(options, &studies, &asked, err);
  qsort(fetch->items, fetch->n, sizeof *fetch->items, by_uids);
  return LC_OK;
}

/* The objects of a series that the archive lists and that are not here: [n] UIDs, borrowed from
 * images. */
static lc_status missing_of(const struct pl_fetch_options *options, const struct pl_fetched *item,
                            const struct ct_matches *images, const char **missing, size_t *n,
                            struct lc_error *err) {
  char path[LC_PATH_SIZE];
  *n = 0;
  for (size_t i = 0; i < images->n; i++) {
    const char *uid = images->items[i].sop_instance_uid;
    LC_TRY(pl_fetch_path(options, item->study.study_instance_uid, item->series.series_instance_uid,
                         uid, path, err));
    if (!pl_fetch_has(path, uid)) missing[(*n)++] = uid;
  }
  return LC_OK;
}

/* One retrieval on its way. */
struct fetching {
  const struct pl_fetch_options *options;
  struct ct_association association;
};

static void close_fetching(struct fetching *f) {
  ct_association_close(&f->association);
  pl_signal_waits(true, NULL);
}

static lc_status request(struct fetching *f, const struct pl_fetched *item, const char **objects,
                         size_t n, struct lc_error *err) {
  struct ct_query query = {.level = n > 0 ? CT_LEVEL_IMAGE : CT_LEVEL_SERIES,
                           .study_instance_uid = item->study.study_instance_uid,
                           .series_instance_uid = item->series.series_instance_uid,
                           .sop_instance_uids = objects,
                           .n_sop_instance_uids = n};
  struct ct_retrieved retrieved;
  LC_TRY(ct_query_retrieve(&f->association, &query, f->options->peer.calling_ae, &retrieved, err));
  if (retrieved.n_failed > 0)
    lc_log(LC_LOG_WARNING, "series %s: the archive could not send %lld objects",
           item->series.series_instance_uid, retrieved.n_failed);
  return LC_OK;
}

/* A whole series in one request; what is missing of one that is here in part, object by object. */
static lc_status retrieve(struct fetching *f, const struct pl_fetched *item, const char **missing,
                          size_t n, struct lc_error *err) {
  if (n == item->n_listed) return request(f, item, NULL, 0, err);
  for (size_t at = 0; at < n; at += REQUEST_MOST) {
    LC_TRY(pl_signal_check(err));
    LC_TRY(request(f, item, missing + at, n - at < REQUEST_MOST ? n - at : REQUEST_MOST, err));
  }
  return LC_OK;
}

static lc_status fetch_series(struct fetching *f, struct pl_fetched *item, struct lc_error *err) {
  const struct ct_query query = {.level = CT_LEVEL_IMAGE,
                                 .study_instance_uid = item->study.study_instance_uid,
                                 .series_instance_uid = item->series.series_instance_uid};
  LC_SCOPED(ct_matches_free) struct ct_matches images = {0};
  LC_FREED const char **missing = NULL;
  size_t n, left;
  LC_TRY(ct_query_find(&f->association, &query, &images, err));
  LC_TRY(lc_alloc(&missing, images.n + 1, sizeof *missing, err));
  LC_TRY(missing_of(f->options, item, &images, missing, &n, err));
  item->n_listed = images.n;
  item->n_here = images.n - n;
  item->n_missing = n;
  lc_status status = n > 0 ? retrieve(f, item, missing, n, err) : LC_OK;
  if (missing_of(f->options, item, &images, missing, &left, NULL) == LC_OK) item->n_missing = left;
  item->n_fetched = n - item->n_missing;
  lc_log(LC_LOG_INFO, "series %s: %zu objects here before, %zu fetched, %zu missing",
         item->series.series_instance_uid, item->n_here, item->n_fetched, item->n_missing);
  return status;
}

lc_status pl_fetch_run(struct pl_fetch *fetch, const struct pl_fetch_options *options,
                       struct lc_error *err) {
  size_t missing = 0;
  LC_SCOPED(pl_output_close) struct pl_output output = {.made = false};
  LC_SCOPED(pl_fetch_receiver_stop) pid_t receiver = 0;
  LC_SCOPED(close_fetching) struct fetching f = {.options = options};
  LC_SCOPED(pl_progress_end) struct pl_progress progress = {0};
  struct pl_fetch_store store = {.options = options, .wanted = fetch, .descriptor = -1};
  struct ct_file_store files = pl_fetch_store_files(&store);
  LC_TRY(pl_output_open(&output, options->folder, err));
  if (!options->by_move) pl_signal_waits(true, store.part);
  /* The child that listens is made before there are other threads. */
  if (options->by_move) LC_TRY(pl_fetch_receiver_start(&receiver, &store, err));
  LC_TRY(ct_query_open(&f.association, &options->peer, options->by_move ? CT_BY_MOVE : CT_BY_GET,
                       &files, err));
  pl_progress_start(&progress, "fetching", "series", fetch->n);
  for (size_t i = 0; i < fetch->n; i++) {
    LC_TRY(pl_signal_check(err));
    LC_TRY(fetch_series(&f, &fetch->items[i], err));
    missing += fetch->items[i].n_missing;
    lc_progress_step(&progress.progress, 1);
  }
  if (missing == 0) return LC_OK;
  LC_FAIL(err, LC_ERR_PARTIAL, "%zu objects that the archive has did not come; try again", missing);
}
