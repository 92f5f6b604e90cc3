/* Implements `lungcdam serve`: parses options and destinations and starts the server, or shows what
 * is in its spool. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_text.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/delivery/pl_send.h"
#include "pipeline/delivery/pl_serve.h"
#include "pipeline/report/pl_progress.h"

struct arguments {
  struct pl_overrides overrides;
  struct pl_serve_options serve;
  struct pl_list callers, to;
  const char *destinations;
  bool status;
  enum pl_table_form form;
};

enum {
  KEY_LISTEN = 0x3000,
  KEY_SPOOL,
  KEY_QUIET,
  KEY_DISK,
  KEY_SERIES,
  KEY_KEEP,
  KEY_ASSOCIATIONS,
  KEY_CHECK_CALLED,
  KEY_CALLER,
  KEY_PDU,
  KEY_TIMEOUT,
  KEY_OBJECT_TIMEOUT,
  KEY_COMMITMENT,
  KEY_DESTINATIONS,
  KEY_TO,
  KEY_OUTBOX,
  KEY_CERTIFICATE,
  KEY_KEY,
  KEY_CA,
  KEY_ANY_CERTIFICATE,
  KEY_STATUS
};

static const struct argp_option options[] = {
    {"port", 'p', "PORT", 0, "Port to listen on (default 11112); 0: any that is free", 3},
    {"listen", KEY_LISTEN, "ADDRESS", 0, "IPv4 address to listen on (default 0.0.0.0: all)", 3},
    {"aet", 'a', "TITLE", 0, "Our AE title (default LUNGCDAM)", 3},
    {"check-called", KEY_CHECK_CALLED, NULL, 0, "Refuse associations that call another title", 3},
    {"caller", KEY_CALLER, "TITLE", 0,
     "AE title that may call; may be repeated; without it everybody may", 3},
    {"max-associations", KEY_ASSOCIATIONS, "N", 0, "Open at once (default 8)", 3},
    {"max-pdu", KEY_PDU, "BYTES", 0, "Largest PDU received (default 65536)", 3},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "Between two messages of a peer (default 60)", 3},
    {"object-timeout", KEY_OBJECT_TIMEOUT, "SECONDS", 0, "For one object (default 300)", 3},
    {"commitment", KEY_COMMITMENT, NULL, 0,
     "Answer storage commitment for what is in the spool, and take a request as the end of its "
     "series. The spool is no archive: only for senders that keep what they send",
     3},
    {"spool", KEY_SPOOL, "DIR", 0, "Where series wait (default lungcdam-spool)", 4},
    {"quiet", KEY_QUIET, "SECONDS", 0,
     "A series to which nothing was added for so long is complete (default 30)", 4},
    {"max-disk", KEY_DISK, "GIB", 0, "Bound on the spool (default 20); then objects are refused",
     4},
    {"max-series", KEY_SERIES, "N", 0,
     "Series that may come in or wait at once (default 64); then new ones are refused", 4},
    {"keep", KEY_KEEP, "HOURS", 0,
     "How long a series that is done is kept for slices that come late (default 24)", 4},
    {"to", KEY_TO, "NAME", 0,
     "Send the results there: AE_TITLE@HOST:PORT, an https URL, or a destination of the file; may "
     "be repeated",
     5},
    {"destinations", KEY_DESTINATIONS, "FILE", 0,
     "YAML file of destinations, as for 'lungcdam send'; results go to each of them, or to those "
     "that --to names",
     5},
    {"outbox", KEY_OUTBOX, "DIR", 0, "Folder of results on their way (default SPOOL/outbox)", 5},
    {"tls-cert", KEY_CERTIFICATE, "FILE", 0, "TLS with this certificate (PEM)", 6},
    {"tls-key", KEY_KEY, "FILE", 0, "Its key (PEM, without pass phrase)", 6},
    {"tls-ca", KEY_CA, "FILE", 0, "Authorities that sign the certificates of callers (PEM)", 6},
    {"tls-any-caller", KEY_ANY_CERTIFICATE, NULL, 0, "Take callers without a certificate", 6},
    {"status", KEY_STATUS, NULL, 0,
     "Show each series of the spool, where it stands and why, and serve nothing", 7},
    {"json", 'j', NULL, 0, "That as JSON", 7},
    {"csv", 'c', NULL, 0, "That as CSV", 7},
    {0}};

/* A number in a range, or a usage error. */
static double number(const char *name, const char *arg, double low, double high,
                     struct argp_state *state) {
  double value = 0;
  if (!lc_text_to_double(arg, &value) || value < low || value > high)
    argp_error(state, "--%s is '%s', expected a number from %g to %g", name, arg, low, high);
  return value;
}

static int whole(const char *name, const char *arg, long long low, long long high,
                 struct argp_state *state) {
  long long value = 0;
  if (!lc_text_to_long(arg, &value) || value < low || value > high)
    argp_error(state, "--%s is '%s', expected a whole number from %lld to %lld", name, arg, low,
               high);
  return (int)value;
}

static error_t parse_spool(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = (struct arguments *)state->input;
  struct pl_serve_options *serve = &arguments->serve;
  switch (key) {
  case KEY_STATUS:
    arguments->status = true;
    return 0;
  case 'j':
    arguments->form = PL_TABLE_JSON;
    return 0;
  case 'c':
    arguments->form = PL_TABLE_CSV;
    return 0;
  case KEY_SPOOL:
    serve->spool = arg;
    return 0;
  case KEY_QUIET:
    serve->quiet_s = number("quiet", arg, 0, 86400, state);
    return 0;
  case KEY_DISK:
    serve->limits.max_bytes =
        (long long)(number("max-disk", arg, 0.001, 1e6, state) * 1073741824.0);
    return 0;
  case KEY_SERIES:
    serve->limits.max_series = (size_t)whole("max-series", arg, 1, 100000, state);
    return 0;
  case KEY_KEEP:
    serve->limits.keep_s = 3600 * number("keep", arg, 0, 1e5, state);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static error_t parse_tls(int key, char *arg, struct argp_state *state) {
  struct ct_peer *self = &((struct arguments *)state->input)->serve.receive.scp.self;
  switch (key) {
  case KEY_CERTIFICATE:
    self->tls = true;
    self->tls_certificate = arg;
    return 0;
  case KEY_KEY:
    self->tls = true;
    self->tls_key = arg;
    return 0;
  case KEY_CA:
    self->tls_ca_file = arg;
    return 0;
  case KEY_ANY_CERTIFICATE:
    self->tls_verify = false;
    return 0;
  default:
    return parse_spool(key, arg, state);
  }
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = (struct arguments *)state->input;
  struct pl_serve_options *serve = &arguments->serve;
  struct ct_scp_options *scp = &serve->receive.scp;
  struct lc_error err;
  switch (key) {
  case ARGP_KEY_INIT:
    state->child_inputs[0] = &arguments->overrides;
    return 0;
  case 'p':
    serve->port = whole("port", arg, 0, 65535, state);
    return 0;
  case KEY_LISTEN:
    serve->address = arg;
    return 0;
  case 'a':
    scp->self.called_ae = arg;
    return 0;
  case KEY_CHECK_CALLED:
    scp->check_called = true;
    return 0;
  case KEY_CALLER:
    if (pl_list_add(&arguments->callers, arg, &err) != LC_OK)
      argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
    return 0;
  case KEY_ASSOCIATIONS:
    serve->max_associations = whole("max-associations", arg, 1, 256, state);
    return 0;
  case KEY_PDU:
    scp->self.max_pdu = (uint32_t)whole("max-pdu", arg, 4096, 131072, state);
    return 0;
  case KEY_TIMEOUT:
    scp->self.dimse_s = scp->self.association_s = whole("timeout", arg, 1, 86400, state);
    return 0;
  case KEY_OBJECT_TIMEOUT:
    scp->object_s = whole("object-timeout", arg, 1, 86400, state);
    return 0;
  case KEY_COMMITMENT:
    serve->receive.commitment = true;
    return 0;
  case KEY_TO:
    if (pl_list_add(&arguments->to, arg, &err) != LC_OK)
      argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
    return 0;
  case KEY_DESTINATIONS:
    arguments->destinations = arg;
    return 0;
  case KEY_OUTBOX:
    serve->outbox = arg;
    return 0;
  default:
    return parse_tls(key, arg, state);
  }
}

static const struct argp_child children[] = {
    {.argp = &pl_config_argp}, {.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[CONFIG.yaml]",
    .doc =
        "Receive series over the DICOM network (C-STORE), work on each when it is complete as "
        "'lungcdam run' does, send the results on, and keep what cannot be worked on in quarantine "
        "with the reason. "
        "SIGTERM stops after the series that is being worked on; after a crash the next start goes "
        "on.\v"
        "Examples:\n"
        "  lungcdam serve -n luna16.csv -o results --spool /var/spool/lungcdam\n"
        "  lungcdam serve my.yaml -w w.safetensors --set export.objects=report --to PACS@pacs:104\n"
        "  lungcdam serve my.yaml --port 11112 --aet LUNG --check-called --caller CT01 --quiet 60\n"
        "  lungcdam serve --status --spool /var/spool/lungcdam\n"
        "\n"
        "The options of the job are those of 'lungcdam run'; --input and --series have no place "
        "here.",
    .children = children};

static void set_defaults(struct arguments *arguments) {
  struct pl_serve_options *serve = &arguments->serve;
  serve->spool = "lungcdam-spool";
  serve->address = "0.0.0.0";
  serve->port = 11112;
  serve->max_associations = 8;
  serve->quiet_s = 30;
  serve->limits.max_bytes = (long long)20 << 30;
  serve->limits.max_series = 64;
  serve->limits.keep_s = 24 * 3600;
  ct_peer_init(&serve->receive.scp.self);
  serve->receive.scp.self.called_ae = "LUNGCDAM";
  serve->receive.scp.object_s = 300;
  serve->receive.memory_bytes = (long long)1 << 30;
}

/* Takes those of the file away that nobody named. */
static void leave_named(struct pl_destinations *chosen, size_t of_file, const struct pl_list *to) {
  size_t kept = 0;
  for (size_t i = 0; i < chosen->n; i++) {
    if (i < of_file && !pl_list_has(to, chosen->items[i].name))
      pl_schema_free(&pl_destination_schema, &chosen->items[i]);
    else
      chosen->items[kept++] = chosen->items[i];
  }
  chosen->n = kept;
}

static lc_status choose(struct pl_destinations *chosen, const char *file, const struct pl_list *to,
                        struct lc_error *err) {
  struct pl_destination *added;
  if (file) LC_TRY(pl_destinations_read(chosen, file, err));
  size_t of_file = chosen->n;
  for (size_t i = 0; i < to->n; i++) {
    const char *name = to->items[i];
    if (pl_destination_is_address(name))
      LC_TRY(pl_destinations_add_address(chosen, name, &added, err));
    else if (!pl_destinations_find(chosen, name))
      return pl_destinations_unknown(chosen, name, file, err);
  }
  if (to->n > 0) leave_named(chosen, of_file, to);
  for (size_t i = 0; i < chosen->n; i++) {
    LC_TRY(pl_destination_settle(&chosen->items[i], err));
    LC_TRY(pl_destination_check(&chosen->items[i], err));
  }
  return LC_OK;
}

/* Destinations from a file (or NULL) and names or addresses; without names all of the file.
 * Checked; free with pl_destinations_free. */
static lc_status choose_destinations(struct pl_destinations *chosen, const char *file,
                                     const struct pl_list *to, struct lc_error *err) {
  memset(chosen, 0, sizeof *chosen);
  lc_status status = choose(chosen, file, to, err);
  if (status != LC_OK) pl_destinations_free(chosen);
  return status;
}

static lc_status with_destinations(struct arguments *arguments, struct lc_error *err) {
  struct pl_serve_options serve = arguments->serve;
  struct pl_destinations destinations;
  char outbox[LC_PATH_SIZE];
  LC_TRY(choose_destinations(&destinations, arguments->destinations, &arguments->to, err));
  lc_status status = lc_path_join(outbox, serve.spool, "outbox", err);
  if (status == LC_OK) {
    if (!serve.outbox) serve.outbox = outbox;
    serve.destinations = &destinations;
    serve.receive.scp.callers = (const char *const *)arguments->callers.items;
    serve.receive.scp.n_callers = arguments->callers.n;
    pl_log_stamp();
    pl_config_say_parameters(serve.config);
    status = pl_config_take_model(serve.config, err);
    if (status == LC_OK) status = pl_serve(&serve, err);
  }
  pl_destinations_free(&destinations);
  return status;
}

static const struct pl_column status_columns[] = {
    {"place", "PLACE", false},         {"SeriesInstanceUID", "SERIES", false},
    {"StudyInstanceUID", NULL, false}, {"modality", "MODALITY", false},
    {"objects", "OBJECTS", true},      {"bytes", NULL, true},
    {"time", "SINCE", false},          {"outcome", "OUTCOME", false},
    {"status", NULL, false},           {"reason", "REASON", false},
    {"results", NULL, false},          {"folder", NULL, false},
};

static lc_status print_status(const struct arguments *arguments, struct lc_error *err) {
  struct pl_spool_list list;
  struct pl_table table;
  LC_TRY(pl_spool_look(arguments->serve.spool, &list, err));
  pl_table_init(&table, status_columns, sizeof status_columns / sizeof *status_columns);
  for (size_t i = 0; i < list.n; i++) {
    const struct pl_spool_series *series = &list.items[i];
    char time[PL_TIME_SIZE];
    pl_send_time(time, series->changed_ms);
    pl_table_text(&table, pl_spool_place_names[series->place]);
    pl_table_text(&table, series->series_instance_uid);
    pl_table_text(&table, series->study_instance_uid);
    pl_table_text(&table, series->modality);
    pl_table_integer(&table, series->objects);
    pl_table_integer(&table, series->bytes);
    pl_table_text(&table, time);
    pl_table_text(&table, series->outcome);
    pl_table_text(&table, series->status);
    pl_table_text(&table, series->reason);
    pl_table_text(&table, series->results);
    pl_table_format(&table, "%s/%s/%s", arguments->serve.spool,
                    series->place == PL_SPOOL_RECEIVING ? "receiving" : "series", series->name);
  }
  free(list.items);
  lc_status status = pl_table_print(&table, arguments->form, stdout, err);
  pl_table_free(&table);
  return status;
}

lc_status cmd_serve(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  struct pl_config config;
  set_defaults(&arguments);
  LC_TRY(pl_cli_parse(&argp, argc, argv, &arguments, err));
  bool has_input = arguments.overrides.inputs.n > 0 || arguments.overrides.series;
  bool serves = !arguments.status;
  lc_status status = LC_OK;
  if (has_input)
    status = lc_fail(err, LC_ERR_USAGE, __FILE__, __LINE__,
                     "--input and --series: series come from the network");
  else
    status =
        serves ? pl_config_make(&config, &arguments.overrides, err) : print_status(&arguments, err);
  pl_overrides_free(&arguments.overrides);
  if (status == LC_OK && serves) {
    arguments.serve.config = &config;
    status = with_destinations(&arguments, err);
    pl_config_free(&config);
  }
  pl_list_free(&arguments.callers);
  pl_list_free(&arguments.to);
  return status;
}
