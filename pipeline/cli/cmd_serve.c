/* Implements `lungcdam serve`: parses options and destinations and starts the server, or shows what
 * is in its spool. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
  double max_disk_gib, keep_hours, quarantine_gib, peer_gib, job_gib;
  int timeout_s; /* 0: not given */
  const char *audit, *mode_text;
  unsigned mode;
  bool status;
  enum pl_table_form form;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    PL_CONFIG_ROWS,
    {"port", 'p', "PORT", "Port to listen on (default 11112); 0: any that is free", 3,
     PL_OPTION_WHOLE, AT(serve.listen.port), 0, 65535},
    {"listen", 0, "ADDRESS",
     "IPv4 address to listen on (serve.listen; default 127.0.0.1; 0.0.0.0: all); beyond 127.0.0.1 "
     "it takes TLS or --insecure",
     3, PL_OPTION_TEXT, AT(serve.listen.address)},
    {"insecure", 0, NULL, "Listen there without TLS (serve.insecure)", 3, PL_OPTION_FLAG,
     AT(serve.listen.insecure)},
    {"aet", 'a', "TITLE", "Our AE title (default LUNGCDAM)", 3, PL_OPTION_TEXT,
     AT(serve.receive.scp.self.called_ae)},
    {"check-called", 0, NULL, "Refuse associations that call another title", 3, PL_OPTION_FLAG,
     AT(serve.receive.scp.check_called)},
    {"caller", 0, "TITLE@ADDRESS",
     "Who may call (serve.callers): an AE title, or *, with an IPv4 address or a network "
     "(A.B.C.D/BITS); may be repeated; without it everybody may",
     3, PL_OPTION_LIST, AT(callers)},
    {"max-associations", 0, "N", "Open at once (default 8)", 3, PL_OPTION_WHOLE,
     AT(serve.bounds.associations), 1, 256},
    {"peer-associations", 0, "N", "Open at once of one address (default 6)", 3, PL_OPTION_WHOLE,
     AT(serve.bounds.peer_associations), 1, 256},
    {"max-waiting", 0, "N", "Connections that wait for a place (default 128)", 3, PL_OPTION_WHOLE,
     AT(serve.bounds.waiting), 1, 4096},
    {"association-life", 0, "SECONDS", "Longest association (default 3600)", 3, PL_OPTION_WHOLE,
     AT(serve.bounds.association_s), 1, 864000},
    {"peer-objects", 0, "N",
     "Objects of one address in a minute (default 20000; 0: any); then they are refused", 3,
     PL_OPTION_WHOLE, AT(serve.bounds.peer_objects), 0, 1e9},
    {"peer-data", 0, "GIB", "The same for their bytes (default 16; 0: any)", 3, PL_OPTION_REAL,
     AT(peer_gib), 0, 1e6},
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
    {"keep-first", 0, NULL,
     "An object that comes again with other contents does not replace the one received before: it "
     "is refused as a duplicate (0111) with a line in the log",
     3, PL_OPTION_OFF, AT(serve.receive.replace)},
    {"spool", 0, "DIR", "Where series wait (default lungcdam-spool)", 4, PL_OPTION_TEXT,
     AT(serve.spool)},
    {"nodule-wait", 0, "SECONDS",
     "Images for which no segmentation, structure set or report with nodules came for so long "
     "count as without (3600); one that comes later is still worked on while they are kept",
     1, PL_OPTION_REAL, AT(serve.nodule_wait_s), 0, 31536000},
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
    {"max-quarantine", 0, "N", "Series in quarantine (default 200); beyond, the oldest are removed",
     4, PL_OPTION_WHOLE, AT(serve.limits.quarantine_series), 0, 1e6},
    {"quarantine-disk", 0, "GIB", "Their size (default 5)", 4, PL_OPTION_REAL, AT(quarantine_gib),
     0, 1e6},
    {"job-time", 0, "SECONDS", "Longest job on one series (default 7200; 0: any)", 4,
     PL_OPTION_WHOLE, AT(serve.bounds.job_s), 0, 864000},
    {"job-memory", 0, "GIB", "Memory of a job (default 16; 0: any)", 4, PL_OPTION_REAL, AT(job_gib),
     0, 1e5},
    {"mode", 0, "MODE",
     "Permissions of folders that are made, as chmod has them; files get the same without x "
     "(default 0700: their owner alone)",
     4, PL_OPTION_TEXT, AT(mode_text)},
    {"audit", 0, "FILE",
     "Append audit messages (DICOM PS3.15 A.5) to a file, or 'syslog', or 'syslog:SOCKET'", 4,
     PL_OPTION_TEXT, AT(audit)},
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
  char *end = NULL;
  arguments->mode = (unsigned)strtoul(arguments->mode_text, &end, 8);
  if (*end || end == arguments->mode_text || (arguments->mode & ~0777U) ||
      (arguments->mode & 0700) != 0700)
    argp_error(state, "--mode is '%s', expected an octal number from 0700 to 0777",
               arguments->mode_text);
  serve->limits.quarantine_bytes = (long long)(arguments->quarantine_gib * 1073741824.0);
  serve->bounds.peer_bytes = (long long)(arguments->peer_gib * 1073741824.0);
  serve->bounds.job_bytes = (long long)(arguments->job_gib * 1073741824.0);
  serve->limits.max_bytes = (long long)(arguments->max_disk_gib * 1073741824.0);
  serve->limits.keep_s = 3600 * arguments->keep_hours;
  if (arguments->timeout_s > 0) self->dimse_s = self->association_s = arguments->timeout_s;
  self->tls = self->tls_certificate || self->tls_key;
}

static void init(void *input) {
  struct arguments *arguments = input;
  struct pl_serve_options *serve = &arguments->serve;
  serve->spool = "lungcdam-spool";
  serve->listen.port = 11112;
  serve->bounds = (struct pl_serve_bounds){.associations = 8,
                                           .peer_associations = 6,
                                           .waiting = 128,
                                           .association_s = 3600,
                                           .peer_objects = 20000,
                                           .job_s = 7200};
  arguments->peer_gib = 16;
  arguments->job_gib = 16;
  serve->limits.quarantine_series = 200;
  arguments->quarantine_gib = 5;
  arguments->mode_text = "0700";
  serve->quiet_s = 30;
  serve->nodule_wait_s = 3600;
  serve->limits.max_series = 64;
  arguments->max_disk_gib = 20;
  arguments->keep_hours = 24;
  ct_peer_init(&serve->receive.scp.self);
  serve->receive.scp.self.called_ae = "LUNGCDAM";
  serve->receive.scp.object_s = 300;
  serve->receive.replace = true;
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

/* What the options leave open is the configuration's. */
static lc_status listen_where(struct pl_listen *listen, const struct pl_list *callers,
                              const struct pl_config *config, struct lc_error *err) {
  if (!listen->address) listen->address = config->serve_listen;
  listen->insecure = listen->insecure || config->serve_insecure;
  return pl_listen_callers(listen, callers->n > 0 ? callers : &config->serve_callers, err);
}

static lc_status run(void *input, struct lc_error *err) {
  struct arguments *arguments = input;
  struct pl_serve_options *serve = &arguments->serve;
  const struct ct_peer *self = &serve->receive.scp.self;
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  LC_SCOPED(pl_destinations_free) struct pl_destinations destinations = {0};
  LC_SCOPED(pl_audit_close) struct pl_audit audit = {.descriptor = -1};
  char outbox[LC_PATH_SIZE];
  if (arguments->overrides.inputs.n > 0 || arguments->overrides.series)
    LC_FAIL(err, LC_ERR_USAGE, "--input and --series: series come from the network");
  if (arguments->status) return print_status(arguments, err);
  umask(0777 & ~arguments->mode);
  LC_TRY(pl_config_make(&config, &arguments->overrides, err));
  LC_TRY(choose_destinations(&destinations, arguments->destinations, &arguments->to, err));
  LC_TRY(lc_path_join(outbox, serve->spool, "outbox", err));
  if (!serve->outbox) serve->outbox = outbox;
  serve->config = &config;
  serve->destinations = &destinations;
  pl_log_stamp();
  pl_config_say_parameters(&config);
  LC_TRY(pl_config_take_model(&config, err));
  lc_status status = listen_where(&serve->listen, &arguments->callers, &config, err);
  if (status == LC_OK && arguments->audit) {
    status = pl_audit_open(&audit, arguments->audit, self->called_ae, serve->listen.address, err);
    serve->audit = &audit;
  }
  if (status == LC_OK) status = pl_serve(serve, err);
  pl_listen_free(&serve->listen);
  return status;
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
        "  lungcdam serve my.yaml --listen 0.0.0.0 --tls-cert c.pem --tls-key k.pem --tls-ca "
        "ca.pem\n"
        "  lungcdam serve my.yaml --listen 10.0.0.9 --insecure --caller CT01@10.0.0.7 --aet LUNG\n"
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
