/* Implements `lungcdam serve`: parses options and destinations and starts the server, or shows what
 * is in its spool. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/delivery/pl_send.h"
#include "pipeline/delivery/pl_serve.h"
#include "pipeline/report/pl_progress.h"

struct arguments {
  struct pl_overrides overrides;
  struct pl_serve_options serve;
  struct pl_list callers, to;
  const char *destinations;
  double max_disk_gib, keep_hours;
  int timeout_s; /* 0: not given */
  bool status;
  enum pl_table_form form;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    PL_CONFIG_ROWS,
    {"port", 'p', "PORT", "Port to listen on (default 11112); 0: any that is free", 3,
     PL_OPTION_WHOLE, AT(serve.port), 0, 65535},
    {"listen", 0, "ADDRESS", "IPv4 address to listen on (default 0.0.0.0: all)", 3, PL_OPTION_TEXT,
     AT(serve.address)},
    {"aet", 'a', "TITLE", "Our AE title (default LUNGCDAM)", 3, PL_OPTION_TEXT,
     AT(serve.receive.scp.self.called_ae)},
    {"check-called", 0, NULL, "Refuse associations that call another title", 3, PL_OPTION_FLAG,
     AT(serve.receive.scp.check_called)},
    {"caller", 0, "TITLE", "AE title that may call; may be repeated; without it everybody may", 3,
     PL_OPTION_LIST, AT(callers)},
    {"max-associations", 0, "N", "Open at once (default 8)", 3, PL_OPTION_WHOLE,
     AT(serve.max_associations), 1, 256},
    {"max-pdu", 0, "BYTES", "Largest PDU received (default 65536)", 3, PL_OPTION_WHOLE,
     AT(serve.receive.scp.self.max_pdu), 4096, 131072},
    {"timeout", 0, "SECONDS", "Between two messages of a peer (default 60)", 3, PL_OPTION_WHOLE,
     AT(timeout_s), 1, 86400},
    {"object-timeout", 0, "SECONDS", "For one object (default 300)", 3, PL_OPTION_WHOLE,
     AT(serve.receive.scp.object_s), 1, 86400},
    {"commitment", 0, NULL,
     "Answer storage commitment for what is in the spool, and take a request as the end of its "
     "series. The spool is no archive: only for senders that keep what they send",
     3, PL_OPTION_FLAG, AT(serve.receive.commitment)},
    {"spool", 0, "DIR", "Where series wait (default lungcdam-spool)", 4, PL_OPTION_TEXT,
     AT(serve.spool)},
    {"quiet", 0, "SECONDS",
     "A series to which nothing was added for so long is complete (default 30)", 4, PL_OPTION_REAL,
     AT(serve.quiet_s), 0, 86400},
    {"max-disk", 0, "GIB", "Bound on the spool (default 20); then objects are refused", 4,
     PL_OPTION_REAL, AT(max_disk_gib), 0.001, 1e6},
    {"max-series", 0, "N",
     "Series that may come in or wait at once (default 64); then new ones are refused", 4,
     PL_OPTION_WHOLE, AT(serve.limits.max_series), 1, 100000},
    {"keep", 0, "HOURS",
     "How long a series that is done is kept for slices that come late (default 24)", 4,
     PL_OPTION_REAL, AT(keep_hours), 0, 1e5},
    {"to", 0, "NAME",
     "Send the results there: AE_TITLE@HOST:PORT, an https URL, or a destination of the file; may "
     "be repeated",
     5, PL_OPTION_LIST, AT(to)},
    {"destinations", 0, "FILE",
     "YAML file of destinations, as for 'lungcdam send'; results go to each of them, or to those "
     "that --to names",
     5, PL_OPTION_TEXT, AT(destinations)},
    {"outbox", 0, "DIR", "Folder of results on their way (default SPOOL/outbox)", 5, PL_OPTION_TEXT,
     AT(serve.outbox)},
    {"tls-cert", 0, "FILE", "TLS with this certificate (PEM)", 6, PL_OPTION_TEXT,
     AT(serve.receive.scp.self.tls_certificate)},
    {"tls-key", 0, "FILE", "Its key (PEM, without pass phrase)", 6, PL_OPTION_TEXT,
     AT(serve.receive.scp.self.tls_key)},
    {"tls-ca", 0, "FILE", "Authorities that sign the certificates of callers (PEM)", 6,
     PL_OPTION_TEXT, AT(serve.receive.scp.self.tls_ca_file)},
    {"tls-any-caller", 0, NULL, "Take callers without a certificate", 6, PL_OPTION_OFF,
     AT(serve.receive.scp.self.tls_verify)},
    {"status", 0, NULL, "Show each series of the spool, where it stands and why, and serve nothing",
     7, PL_OPTION_FLAG, AT(status)},
    PL_FORM_ROWS(7, "That as JSON", "That as CSV"),
};

/* What options say in other units than the server. */
static void settle(void *input, const struct argp_state *state) {
  struct arguments *arguments = input;
  struct pl_serve_options *serve = &arguments->serve;
  struct ct_peer *self = &serve->receive.scp.self;
  (void)state;
  serve->limits.max_bytes = (long long)(arguments->max_disk_gib * 1073741824.0);
  serve->limits.keep_s = 3600 * arguments->keep_hours;
  if (arguments->timeout_s > 0) self->dimse_s = self->association_s = arguments->timeout_s;
  self->tls = self->tls_certificate || self->tls_key;
}

static void init(void *input) {
  struct arguments *arguments = input;
  struct pl_serve_options *serve = &arguments->serve;
  serve->spool = "lungcdam-spool";
  serve->address = "0.0.0.0";
  serve->port = 11112;
  serve->max_associations = 8;
  serve->quiet_s = 30;
  serve->limits.max_series = 64;
  arguments->max_disk_gib = 20;
  arguments->keep_hours = 24;
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

/* Destinations from a file (or NULL) and names or addresses; without names all of the file. */
static lc_status choose_destinations(struct pl_destinations *chosen, const char *file,
                                     const struct pl_list *to, struct lc_error *err) {
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

static const struct pl_column status_columns[] = {
    {"place", "PLACE", false},         {"SeriesInstanceUID", "SERIES", false},
    {"StudyInstanceUID", NULL, false}, {"modality", "MODALITY", false},
    {"objects", "OBJECTS", true},      {"bytes", NULL, true},
    {"time", "SINCE", false},          {"outcome", "OUTCOME", false},
    {"status", NULL, false},           {"reason", "REASON", false},
    {"results", NULL, false},          {"folder", NULL, false},
};

static lc_status print_status(const struct arguments *arguments, struct lc_error *err) {
  LC_SCOPED(pl_spool_list_free) struct pl_spool_list list = {0};
  LC_SCOPED(pl_table_free) struct pl_table table = {0};
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
  return pl_table_print(&table, arguments->form, stdout, err);
}

static lc_status run(void *input, struct lc_error *err) {
  struct arguments *arguments = input;
  struct pl_serve_options *serve = &arguments->serve;
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  LC_SCOPED(pl_destinations_free) struct pl_destinations destinations = {0};
  char outbox[LC_PATH_SIZE];
  if (arguments->overrides.inputs.n > 0 || arguments->overrides.series)
    LC_FAIL(err, LC_ERR_USAGE, "--input and --series: series come from the network");
  if (arguments->status) return print_status(arguments, err);
  LC_TRY(pl_config_make(&config, &arguments->overrides, err));
  LC_TRY(choose_destinations(&destinations, arguments->destinations, &arguments->to, err));
  LC_TRY(lc_path_join(outbox, serve->spool, "outbox", err));
  if (!serve->outbox) serve->outbox = outbox;
  serve->config = &config;
  serve->destinations = &destinations;
  serve->receive.scp.callers = (const char *const *)arguments->callers.items;
  serve->receive.scp.n_callers = arguments->callers.n;
  pl_log_stamp();
  pl_config_say_parameters(&config);
  LC_TRY(pl_config_take_model(&config, err));
  return pl_serve(serve, err);
}

const struct pl_command pl_command_serve = {
    .name = "serve",
    .summary = "receive series over the DICOM network and work on each",
    .size = sizeof(struct arguments),
    .init = init,
    PL_OPTIONS(options),
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
    .check = settle,
    .words = {offsetof(struct arguments, overrides.file)},
    .n_words = 1,
    .too_many = "more than one configuration file",
    .run = run,
};
