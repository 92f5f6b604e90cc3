/* Implements `lungcdam fetch`: lists or retrieves studies from a DICOM archive and prints a table
 * of their series. */
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/delivery/pl_destination.h"
#include "pipeline/delivery/pl_fetch.h"
#include "pipeline/report/pl_signal.h"

struct arguments {
  struct pl_fetch_options fetch;
  struct pl_list callers;
  const char *archive;
  char peer[CT_PEER_NAME_SIZE]; /* "CALLED@host:port", cut into pieces */
  int timeout_s;                /* 0: not given */
  bool list;
  enum pl_table_form form;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"accession", 'A', "NUMBER", "Accession number of the study", 1, PL_OPTION_TEXT,
     AT(fetch.query.accession_number)},
    {"patient", 'P', "ID", "PatientID: all studies of the patient", 1, PL_OPTION_TEXT,
     AT(fetch.query.patient_id)},
    {"study", 0, "UID", "StudyInstanceUID", 1, PL_OPTION_TEXT, AT(fetch.query.study_instance_uid)},
    {"date", 0, "RANGE", "Only studies of a date or range, as 20240101-20241231", 1, PL_OPTION_TEXT,
     AT(fetch.query.study_date)},
    {"modality", 'm', "NAME", "Only series of this modality; may be repeated", 2, PL_OPTION_LIST,
     AT(fetch.modalities)},
    {"series", 's', "UID", "Only this SeriesInstanceUID; may be repeated", 2, PL_OPTION_LIST,
     AT(fetch.series)},
    {"output", 'o', "DIR", "Folder of the studies (default lungcdam-studies)", 3, PL_OPTION_TEXT,
     AT(fetch.folder)},
    {"list", 0, NULL, "Only show what matches, fetch nothing", 3, PL_OPTION_FLAG, AT(list)},
    PL_FORM_ROWS(3, "List as JSON", "List as CSV"),
    {"move", 0, "PORT",
     "Fetch by C-MOVE instead of C-GET: the archive connects to this port (0: any that is free); "
     "it must know our AE title with our host and port",
     4, PL_OPTION_WHOLE, AT(fetch.listen.port), 0, 65535},
    {"listen", 0, "ADDRESS",
     "IPv4 address to listen on for C-MOVE (default 127.0.0.1; 0.0.0.0: all); beyond 127.0.0.1 it "
     "takes TLS or --insecure",
     4, PL_OPTION_TEXT, AT(fetch.listen.address)},
    {"insecure", 0, NULL, "Listen there without TLS", 4, PL_OPTION_FLAG, AT(fetch.listen.insecure)},
    {"caller", 0, "TITLE@ADDRESS",
     "Who may send by C-MOVE: an AE title, or *, with an IPv4 address or a network (A.B.C.D/BITS); "
     "may be repeated; without it everybody may",
     4, PL_OPTION_LIST, AT(callers)},
    {"aet", 'a', "TITLE", "Our AE title (default LUNGCDAM)", 4, PL_OPTION_TEXT,
     AT(fetch.peer.calling_ae)},
    {"timeout", 0, "SECONDS",
     "For the association (default 30), and for each answer and each object (default 60)", 4,
     PL_OPTION_WHOLE, AT(timeout_s), 1, 86400},
    {"tls", 0, NULL, "Connect with TLS; so do the options that follow", 5, PL_OPTION_FLAG,
     AT(fetch.peer.tls)},
    {"tls-ca", 0, "FILE",
     "Authorities that sign the archive's certificate (PEM); without it the system's", 5,
     PL_OPTION_TEXT, AT(fetch.peer.tls_ca_file)},
    {"tls-cert", 0, "FILE", "Our certificate (PEM)", 5, PL_OPTION_TEXT,
     AT(fetch.peer.tls_certificate)},
    {"tls-key", 0, "FILE", "Its key (PEM, without pass phrase)", 5, PL_OPTION_TEXT,
     AT(fetch.peer.tls_key)},
    {"tls-no-verify", 0, NULL, "Take any certificate of the archive", 5, PL_OPTION_OFF,
     AT(fetch.peer.tls_verify)},
};

/* CALLED@HOST:PORT */
static void parse_peer(struct arguments *arguments, const char *arg,
                       const struct argp_state *state) {
  struct ct_peer *peer = &arguments->fetch.peer;
  char *host = NULL;
  long long port = 0;
  lc_text_copy(arguments->peer, sizeof arguments->peer, arg);
  if (!pl_destination_cut_address(arguments->peer, &host, &port))
    argp_error(state, "'%s' is no archive, expected AE_TITLE@HOST:PORT with a port from 1 to 65535",
               arg);
  peer->called_ae = arguments->peer;
  peer->host = host;
  peer->port = (int)port;
}

static void check_complete(void *input, const struct argp_state *state) {
  struct arguments *arguments = input;
  if (arguments->archive)
    parse_peer(arguments, arguments->archive, state);
  else
    argp_error(state, "which archive? (AE_TITLE@HOST:PORT)");
  if (arguments->timeout_s > 0)
    arguments->fetch.peer.dimse_s = arguments->fetch.peer.association_s = arguments->timeout_s;
  arguments->fetch.by_move = arguments->fetch.listen.port >= 0;
  const struct ct_peer *self = &arguments->fetch.peer;
  if (self->tls_ca_file || self->tls_certificate || self->tls_key || !self->tls_verify)
    arguments->fetch.peer.tls = true;
  const struct ct_query *query = &arguments->fetch.query;
  const char *keys[] = {query->accession_number, query->patient_id, query->study_instance_uid,
                        query->study_date};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (keys[i] && strchr(keys[i], '\\')) argp_error(state, "a key has no backslash");
  if (!query->accession_number && !query->patient_id && !query->study_instance_uid)
    argp_error(state, "which study? (--accession, --patient or --study)");
}

static const struct pl_column columns[] = {
    {"PatientID", "PATIENT", false},
    {"PatientName", NULL, false},
    {"AccessionNumber", "ACCESSION", false},
    {"StudyDate", "DATE", false},
    {"StudyDescription", NULL, false},
    {"StudyInstanceUID", NULL, false},
    {"SeriesInstanceUID", "SERIES", false},
    {"Modality", "MODALITY", false},
    {"SeriesNumber", "NUMBER", true},
    {"SeriesDescription", "DESCRIPTION", false},
    {"objects", "OBJECTS", true},
    {"here", "HERE", true},
    {"fetched", "FETCHED", true},
    {"missing", "MISSING", true},
};
enum { LISTED = 11 }; /* columns without what was fetched */

static lc_status print(const struct pl_fetch *fetch, const struct arguments *arguments,
                       struct lc_error *err) {
  LC_SCOPED(pl_table_free) struct pl_table table;
  size_t n_columns = arguments->list ? LISTED : sizeof columns / sizeof *columns;
  pl_table_init(&table, columns, n_columns);
  for (size_t i = 0; i < fetch->n; i++) {
    const struct pl_fetched *item = &fetch->items[i];
    long long listed = arguments->list ? item->series.n_instances : (long long)item->n_listed;
    const char *texts[] = {item->study.patient_id,           item->study.patient_name,
                           item->study.accession_number,     item->study.study_date,
                           item->study.study_description,    item->study.study_instance_uid,
                           item->series.series_instance_uid, item->series.modality,
                           item->series.series_number,       item->series.series_description};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) pl_table_text(&table, texts[k]);
    if (listed >= 0)
      pl_table_integer(&table, listed);
    else
      pl_table_missing(&table);
    if (arguments->list) continue;
    pl_table_integer(&table, (long long)item->n_here);
    pl_table_integer(&table, (long long)item->n_fetched);
    pl_table_integer(&table, (long long)item->n_missing);
  }
  return pl_table_print(&table, arguments->form, stdout, err);
}

static void init(void *input) {
  struct pl_fetch_options *fetch = &((struct arguments *)input)->fetch;
  fetch->folder = "lungcdam-studies";
  fetch->listen.address = PL_LISTEN_ADDRESS;
  fetch->listen.port = -1;
  ct_peer_init(&fetch->peer);
}

static lc_status fetch_all(const struct arguments *arguments, struct lc_error *err) {
  LC_SCOPED(pl_fetch_free) struct pl_fetch fetch = {0};
  const struct pl_listen *listen = &arguments->fetch.listen;
  pl_signal_waits(true, NULL);
  if (arguments->fetch.by_move) LC_TRY(pl_listen_check(listen, &arguments->fetch.peer, err));
  LC_TRY(pl_fetch_list(&fetch, &arguments->fetch, err));
  lc_status status = arguments->list ? LC_OK : pl_fetch_run(&fetch, &arguments->fetch, err);
  lc_status printed = print(&fetch, arguments, status == LC_OK ? err : NULL);
  return status == LC_OK ? printed : status;
}

static lc_status run(void *input, struct lc_error *err) {
  struct arguments *arguments = input;
  lc_status status = pl_listen_callers(&arguments->fetch.listen, &arguments->callers, err);
  if (status == LC_OK) status = fetch_all(arguments, err);
  pl_listen_free(&arguments->fetch.listen);
  return status;
}

const struct pl_command pl_command_fetch = {
    .name = "fetch",
    .summary = "fetch studies from a DICOM archive into a folder",
    .size = sizeof(struct arguments),
    .init = init,
    PL_OPTIONS(options),
    .args_doc = "AE_TITLE@HOST:PORT",
    .doc =
        "Fetch studies from a DICOM archive into a folder, by C-GET or C-MOVE. What is there, by "
        "SOP Instance UID, is not fetched again; a file is whole or absent.\v"
        "Examples:\n"
        "  lungcdam fetch PACS@pacs.example:104 --accession A12345 --modality CT -o studies\n"
        "  lungcdam fetch PACS@pacs.example:104 --patient LIDC-IDRI-0001 --list --json\n"
        "  lungcdam fetch PACS@pacs.example:104 --study 1.2.3 --move 11113 -o studies\n"
        "  lungcdam run --input studies --series all --weights w.safetensors -o results",
    .words = {offsetof(struct arguments, archive)},
    .n_words = 1,
    .too_many = "more than one archive",
    .check = check_complete,
    .run = run,
};
