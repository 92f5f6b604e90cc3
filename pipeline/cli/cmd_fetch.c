/* Implements `lungcdam fetch`: lists or retrieves studies from a DICOM archive and prints a table
 * of their series. */
#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/delivery/pl_fetch.h"
#include "pipeline/report/pl_table.h"

struct arguments {
  struct pl_fetch_options fetch;
  char peer[CT_PEER_NAME_SIZE]; /* "CALLED@host:port", cut into pieces */
  bool list;
  enum pl_table_form form;
};

enum {
  KEY_STUDY = 0x4000,
  KEY_DATE,
  KEY_MOVE,
  KEY_LISTEN,
  KEY_LIST,
  KEY_TIMEOUT,
  KEY_CERTIFICATE,
  KEY_KEY,
  KEY_CA,
  KEY_TLS,
  KEY_ANY_CERTIFICATE
};

static const struct argp_option options[] = {
    {"accession", 'A', "NUMBER", 0, "Accession number of the study", 1},
    {"patient", 'P', "ID", 0, "PatientID: all studies of the patient", 1},
    {"study", KEY_STUDY, "UID", 0, "StudyInstanceUID", 1},
    {"date", KEY_DATE, "RANGE", 0, "Only studies of a date or range, as 20240101-20241231", 1},
    {"modality", 'm', "NAME", 0, "Only series of this modality; may be repeated", 2},
    {"series", 's', "UID", 0, "Only this SeriesInstanceUID; may be repeated", 2},
    {"output", 'o', "DIR", 0, "Folder of the studies (default lungcdam-studies)", 3},
    {"list", KEY_LIST, NULL, 0, "Only show what matches, fetch nothing", 3},
    {"json", 'j', NULL, 0, "List as JSON", 3},
    {"csv", 'c', NULL, 0, "List as CSV", 3},
    {"move", KEY_MOVE, "PORT", 0,
     "Fetch by C-MOVE instead of C-GET: the archive connects to this port (0: any that is free); "
     "it "
     "must know our AE title with our host and port",
     4},
    {"listen", KEY_LISTEN, "ADDRESS", 0, "IPv4 address to listen on for C-MOVE (default 0.0.0.0)",
     4},
    {"aet", 'a', "TITLE", 0, "Our AE title (default LUNGCDAM)", 4},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0,
     "For the association (default 30), and for each answer and each object (default 60)", 4},
    {"tls", KEY_TLS, NULL, 0, "Connect with TLS; so do the options that follow", 5},
    {"tls-ca", KEY_CA, "FILE", 0,
     "Authorities that sign the archive's certificate (PEM); without it the system's", 5},
    {"tls-cert", KEY_CERTIFICATE, "FILE", 0, "Our certificate (PEM)", 5},
    {"tls-key", KEY_KEY, "FILE", 0, "Its key (PEM, without pass phrase)", 5},
    {"tls-no-verify", KEY_ANY_CERTIFICATE, NULL, 0, "Take any certificate of the archive", 5},
    {0}};

static void keep(struct pl_list *list, const char *text, struct argp_state *state) {
  struct lc_error err;
  if (pl_list_add(list, text, &err) != LC_OK)
    argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
}

static int whole(const char *name, const char *arg, long long low, long long high,
                 struct argp_state *state) {
  long long value = 0;
  if (!lc_text_to_long(arg, &value) || value < low || value > high)
    argp_error(state, "--%s is '%s', expected a whole number from %lld to %lld", name, arg, low,
               high);
  return (int)value;
}

/* CALLED@HOST:PORT */
static void parse_peer(struct arguments *arguments, const char *arg, struct argp_state *state) {
  struct ct_peer *peer = &arguments->fetch.peer;
  long long port = 0;
  if (peer->host[0]) argp_error(state, "more than one archive: %s", arg);
  lc_text_copy(arguments->peer, sizeof arguments->peer, arg);
  char *at = strchr(arguments->peer, '@'), *colon = at ? strrchr(at, ':') : NULL;
  if (!at || at == arguments->peer || !colon || colon == at + 1 ||
      !lc_text_to_long(colon + 1, &port) || port < 1 || port > 65535) {
    argp_error(state, "'%s' is no archive, expected AE_TITLE@HOST:PORT with a port from 1 to 65535",
               arg);
    return;
  }
  *at = *colon = '\0';
  peer->called_ae = arguments->peer;
  peer->host = at + 1;
  peer->port = (int)port;
}

static error_t parse_network(int key, char *arg, struct argp_state *state) {
  struct pl_fetch_options *fetch = &((struct arguments *)state->input)->fetch;
  struct ct_peer *peer = &fetch->peer;
  switch (key) {
  case KEY_MOVE:
    fetch->by_move = true;
    fetch->listen_port = whole("move", arg, 0, 65535, state);
    return 0;
  case KEY_LISTEN:
    fetch->listen_address = arg;
    return 0;
  case 'a':
    peer->calling_ae = arg;
    return 0;
  case KEY_TIMEOUT:
    peer->dimse_s = peer->association_s = whole("timeout", arg, 1, 86400, state);
    return 0;
  case KEY_TLS:
    break;
  case KEY_CA:
    peer->tls_ca_file = arg;
    break;
  case KEY_CERTIFICATE:
    peer->tls_certificate = arg;
    break;
  case KEY_KEY:
    peer->tls_key = arg;
    break;
  case KEY_ANY_CERTIFICATE:
    peer->tls_verify = false;
    break;
  default:
    return ARGP_ERR_UNKNOWN;
  }
  peer->tls = true;
  return 0;
}

static void check_complete(const struct arguments *arguments, struct argp_state *state) {
  const struct ct_query *query = &arguments->fetch.query;
  const char *keys[] = {query->accession_number, query->patient_id, query->study_instance_uid,
                        query->study_date};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (keys[i] && strchr(keys[i], '\\'))
      argp_error(state, "'%s': a key has no backslash", keys[i]);
  if (!arguments->fetch.peer.host[0]) argp_error(state, "which archive? (AE_TITLE@HOST:PORT)");
  if (!query->accession_number && !query->patient_id && !query->study_instance_uid)
    argp_error(state, "which study? (--accession, --patient or --study)");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = (struct arguments *)state->input;
  struct pl_fetch_options *fetch = &arguments->fetch;
  switch (key) {
  case 'A':
    fetch->query.accession_number = arg;
    return 0;
  case 'P':
    fetch->query.patient_id = arg;
    return 0;
  case KEY_STUDY:
    fetch->query.study_instance_uid = arg;
    return 0;
  case KEY_DATE:
    fetch->query.study_date = arg;
    return 0;
  case 'm':
    keep(&fetch->modalities, arg, state);
    return 0;
  case 's':
    keep(&fetch->series, arg, state);
    return 0;
  case 'o':
    fetch->folder = arg;
    return 0;
  case KEY_LIST:
    arguments->list = true;
    return 0;
  case 'j':
    arguments->form = PL_TABLE_JSON;
    return 0;
  case 'c':
    arguments->form = PL_TABLE_CSV;
    return 0;
  case ARGP_KEY_ARG:
    parse_peer(arguments, arg, state);
    return 0;
  case ARGP_KEY_END:
    check_complete(arguments, state);
    return 0;
  default:
    return parse_network(key, arg, state);
  }
}

static const struct argp_child children[] = {{.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "AE_TITLE@HOST:PORT",
    .doc =
        "Fetch studies from a DICOM archive into a folder, by C-GET or C-MOVE. What is there, by "
        "SOP Instance UID, is not fetched again; a file is whole or absent.\v"
        "Examples:\n"
        "  lungcdam fetch PACS@pacs.example:104 --accession A12345 --modality CT -o studies\n"
        "  lungcdam fetch PACS@pacs.example:104 --patient LIDC-IDRI-0001 --list --json\n"
        "  lungcdam fetch PACS@pacs.example:104 --study 1.2.3 --move 11113 -o studies\n"
        "  lungcdam run --input studies --series all --weights w.safetensors -o results",
    .children = children};

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
  struct pl_table table;
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
  lc_status status = pl_table_print(&table, arguments->form, stdout, err);
  pl_table_free(&table);
  return status;
}

lc_status cmd_fetch(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {
      .fetch = {.folder = "lungcdam-studies", .listen_address = "0.0.0.0"}};
  struct pl_fetch fetch = {0};
  ct_peer_init(&arguments.fetch.peer);
  lc_status status = pl_cli_parse(&argp, argc, argv, &arguments, err);
  if (status == LC_OK) status = pl_fetch_list(&fetch, &arguments.fetch, err);
  if (status == LC_OK && !arguments.list) status = pl_fetch_run(&fetch, &arguments.fetch, err);
  if (fetch.n > 0) {
    struct lc_error why;
    lc_status printed = print(&fetch, &arguments, &why);
    if (status == LC_OK && printed != LC_OK) {
      if (err) *err = why;
      status = printed;
    }
  }
  pl_fetch_free(&fetch);
  pl_list_free(&arguments.fetch.modalities);
  pl_list_free(&arguments.fetch.series);
  return status;
}
