/* Implements `lungcdam send`: queues objects in an outbox, sends what is due, and lists, retries or
 * forgets entries. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/delivery/pl_send.h"
#include "pipeline/report/pl_signal.h"

struct arguments {
  struct pl_words paths;
  struct pl_list to, sets;
  const char *destinations, *outbox;
  bool echo, status, list, retry, queue_only, overwrite, print_destination, forget;
  double wait_s, older_days;
  enum pl_table_form form;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"destinations", 'd', "FILE", "YAML file of destinations: names, and below each its keys", 1,
     PL_OPTION_TEXT, AT(destinations)},
    {"to", 't', "NAME",
     "A destination of that file or of the outbox, AE_TITLE@HOST:PORT, an https URL of a DICOMweb "
     "server, or 'all'; may be repeated",
     1, PL_OPTION_LIST, AT(to)},
    {"set", 0, "KEY=VALUE", "Override one key of the destinations; may be repeated", 1,
     PL_OPTION_LIST, AT(sets)},
    {"print-destination", 0, NULL,
     "Write the keys of a destination with their defaults and meaning, and stop", 1, PL_OPTION_FLAG,
     AT(print_destination)},
    {"outbox", 'b', "DIR", "Folder of what is on its way (default lungcdam-outbox)", 2,
     PL_OPTION_TEXT, AT(outbox)},
    {"overwrite", 'f', NULL,
     "Send an object again that was queued under the same UID with another content", 2,
     PL_OPTION_FLAG, AT(overwrite)},
    {"queue", 0, NULL, "Only queue, send nothing", 3, PL_OPTION_FLAG, AT(queue_only)},
    {"once", 0, NULL, "Try everything that is due once (default)", 3, PL_OPTION_NUMBER, AT(wait_s),
     0},
    {"wait", 'w', "SECONDS", "Keep trying for so long until all has arrived", 3, PL_OPTION_REAL,
     AT(wait_s), 0, 1e9},
    {"keep-trying", 0, NULL, "Keep trying until all has arrived or is refused", 3, PL_OPTION_NUMBER,
     AT(wait_s), HUGE_VAL},
    {"retry", 0, NULL, "Queue refused objects again, and try what waits at once", 3, PL_OPTION_FLAG,
     AT(retry)},
    {"echo", 0, NULL, "Ask the destinations whether they answer (C-ECHO), send nothing", 4,
     PL_OPTION_FLAG, AT(echo)},
    {"status", 0, NULL, "Show how it stands with each destination, send nothing", 4, PL_OPTION_FLAG,
     AT(status)},
    {"list", 0, NULL, "Show each object of the outbox, send nothing", 4, PL_OPTION_FLAG, AT(list)},
    {"forget-sent", 0, NULL,
     "Remove from the outbox what has arrived, and is committed where that was asked for; send "
     "nothing",
     4, PL_OPTION_FLAG, AT(forget)},
    {"older-than", 0, "DAYS", "With --forget-sent: only what was queued before", 4, PL_OPTION_REAL,
     AT(older_days), 0, 1e5},
    PL_FORM_ROWS(5, "Tables as JSON", "Tables as CSV"),
};

static void check_arguments(void *input, const struct argp_state *state) {
  const struct arguments *arguments = input;
  int looks = arguments->echo + arguments->status + arguments->list + arguments->forget;
  if (looks + arguments->print_destination > 1)
    argp_error(state,
               "--echo, --status, --list, --forget-sent and --print-destination exclude each "
               "other");
  if (looks > 0 && arguments->paths.n > 0)
    argp_error(state, "--echo, --status, --list and --forget-sent take no files");
  if (arguments->older_days >= 0 && !arguments->forget)
    argp_error(state, "--older-than belongs to --forget-sent");
}

/* One command on its way. */
struct sending {
  const struct arguments *arguments;
  struct pl_destinations known;  /* of the file, the command line and the outbox */
  struct pl_destinations chosen; /* those of the command line; shares the texts of known */
  struct pl_outbox outbox;
  struct pl_queue_count queued;
};

static void end(struct sending *s) {
  pl_outbox_close(&s->outbox);
  free(s->chosen.items); /* its texts are those of known */
  pl_destinations_free(&s->known);
}

/* -- destinations --------------------------------------------------------------------------- */

static lc_status override(const struct arguments *arguments, struct pl_destination *destination,
                          struct lc_error *err) {
  for (size_t i = 0; i < arguments->sets.n; i++)
    LC_TRY(pl_schema_set_pair(&pl_destination_schema, destination, arguments->sets.items[i],
                              "retry.attempts=5", err));
  LC_TRY(pl_destination_settle(destination, err));
  return pl_destination_check(destination, err);
}

static lc_status no_such(const struct sending *s, const char *name, struct lc_error *err) {
  const char *file = s->arguments->destinations;
  const char *outbox = s->outbox.db.handle ? s->outbox.folder : NULL;
  LC_SCOPED(lc_text_free) struct lc_text where = {0};
  if (file) lc_text_add(&where, "%.200s", file);
  if (outbox) lc_text_add(&where, "%sthe outbox %.200s", file ? " with " : "", outbox);
  return pl_destinations_unknown(&s->known, name, where.length ? lc_text_get(&where) : NULL, err);
}

/* Takes a destination that the outbox keeps and the file does not have. */
static lc_status choose(struct sending *s, const char *name, struct lc_error *err) {
  const struct pl_destination *found = pl_destinations_find(&s->known, name);
  if (!found) return no_such(s, name, err);
  for (size_t i = 0; i < s->chosen.n; i++)
    if (strcmp(s->chosen.items[i].name, name) == 0) return LC_OK;
  s->chosen.items[s->chosen.n++] = *found;
  return LC_OK;
}

/* Puts addresses among the known; *name is what the destination is called. */
static lc_status add_address(struct sending *s, const char *text, char name[PL_DESTINATION_NAME],
                             struct lc_error *err) {
  LC_SCOPED(pl_destinations_free) struct pl_destinations one = {0};
  struct pl_destination *added = NULL;
  LC_TRY(pl_destinations_add_address(&one, text, &added, err));
  lc_text_copy(name, PL_DESTINATION_NAME, added->name);
  if (pl_destinations_find(&s->known, name)) return LC_OK;
  return pl_destinations_add_address(&s->known, text, &added, err);
}

static lc_status choose_all(struct sending *s, struct lc_error *err) {
  const struct arguments *arguments = s->arguments;
  s->chosen.items = calloc(s->known.n + arguments->to.n + 1, sizeof *s->chosen.items);
  if (!s->chosen.items) LC_FAIL(err, LC_ERR_MEMORY, "cannot allocate destinations");
  bool all = arguments->to.n == 0;
  for (size_t i = 0; i < arguments->to.n; i++) {
    char name[PL_DESTINATION_NAME];
    const char *text = arguments->to.items[i];
    if (strcmp(text, "all") == 0) {
      all = true;
    } else if (pl_destination_is_address(text)) {
      LC_TRY(add_address(s, text, name, err));
      LC_TRY(choose(s, name, err));
    } else {
      LC_TRY(choose(s, text, err));
    }
  }
  for (size_t i = 0; all && i < s->known.n; i++) LC_TRY(choose(s, s->known.items[i].name, err));
  return LC_OK;
}

static lc_status prepare_destinations(struct sending *s, struct lc_error *err) {
  const struct arguments *arguments = s->arguments;
  if (arguments->destinations)
    LC_TRY(pl_destinations_read(&s->known, arguments->destinations, err));
  size_t given = s->known.n;
  if (s->outbox.db.handle) LC_TRY(pl_outbox_kept_destinations(&s->outbox, &s->known, err));
  LC_TRY(choose_all(s, err));
  bool files = arguments->paths.n > 0;
  if (files && arguments->to.n == 0 && (given > 0 ? given : s->known.n) != 1)
    LC_FAIL(err, LC_ERR_USAGE, "to which destination? --to NAME, or --to all");
  if ((files || arguments->echo) && s->chosen.n == 0)
    LC_FAIL(err, LC_ERR_USAGE, "to which destination? --to AE_TITLE@HOST:PORT, or --destinations");
  for (size_t i = 0; i < s->chosen.n; i++) {
    struct pl_destination *known = pl_destinations_find(&s->known, s->chosen.items[i].name);
    LC_TRY(override(arguments, known, err));
    s->chosen.items[i] = *known; /* overriding replaced texts */
  }
  return LC_OK;
}

/* -- the command ---------------------------------------------------------------------------- */

static lc_status echo_all(const struct sending *s, struct lc_error *err) {
  size_t failed = 0;
  for (size_t i = 0; i < s->chosen.n; i++) {
    lc_status status = pl_send_echo(&s->chosen.items[i], err);
    if (status == LC_OK) {
      printf("%s: answers\n", s->chosen.items[i].name);
      continue;
    }
    if (s->chosen.n == 1) return status;
    lc_log(LC_LOG_ERROR, "%s (%s)", err->message, lc_status_name(status));
    failed++;
  }
  if (failed == 0) return LC_OK;
  LC_FAIL(err, LC_ERR_NETWORK, "%zu of %zu destinations do not answer", failed, s->chosen.n);
}

/* Looks at every chosen destination: outlooks[chosen.n]. */
static lc_status look_ahead(struct sending *s, struct pl_outlook *outlooks, struct lc_error *err) {
  for (size_t k = 0; k < s->chosen.n; k++)
    LC_TRY(
        pl_outbox_look_ahead(&s->outbox, &s->known, s->chosen.items[k].name, 0, &outlooks[k], err));
  return LC_OK;
}

/* Why the objects of a destination wait: what failed just now, or that nothing was due. */
static void explain(const char *name, const struct pl_outlook *before,
                    const struct pl_outlook *after, long long began_ms, char *out, size_t size) {
  char when[PL_TIME_SIZE];
  bool tried = before->next_ms <= began_ms || after->next_ms != before->next_ms;
  const char *lead = after->reason[0] ? ": " : "";
  if (tried) {
    snprintf(out, size, "%s%.500s", lead, after->reason);
    return;
  }
  pl_send_time(when, after->next_ms);
  snprintf(out, size, ": %s is not due until %s, --retry tries at once%s%s%.500s", name, when,
           lead[0] ? "; last failure" : "", lead, after->reason);
}

/* What the outcome is called at the end. */
static lc_status judge(struct sending *s, const struct pl_outlook *before,
                       const struct pl_outlook *after, long long began_ms, struct lc_error *err) {
  const struct pl_queue_count *queued = &s->queued;
  size_t open = 0, refused = 0;
  char why[700] = "";
  for (size_t k = 0; k < s->chosen.n; k++) {
    open += after[k].open;
    refused += after[k].count[PL_STATE_REFUSED];
    if (after[k].open > 0) /* the last is reported */
      explain(s->chosen.items[k].name, &before[k], &after[k], began_ms, why, sizeof why);
  }
  if (open > 0 && !s->arguments->queue_only)
    LC_FAIL(err, LC_ERR_NETWORK, "%zu objects wait in %.200s, nothing is lost%s", open,
            s->outbox.folder, why);
  if (queued->failed > 0 && queued->queued + queued->known == 0)
    LC_FAIL(err, queued->failed == 1 ? queued->worst : LC_ERR_PARTIAL,
            "none of %zu files could be queued", queued->failed);
  if (queued->failed > 0)
    LC_FAIL(err, LC_ERR_PARTIAL, "%zu files could not be queued; the others are", queued->failed);
  if (refused > 0)
    LC_FAIL(err, LC_ERR_PARTIAL, "%zu objects are refused; 'lungcdam send --list' says why",
            refused);
  return LC_OK;
}

static lc_status forget_sent(struct sending *s, struct lc_error *err) {
  double days = s->arguments->older_days;
  const char *and = days >= 0 ? ", queued more than " : "";
  long long before_ms = pl_now_ms() + 1;
  size_t sum = 0;
  if (days >= 0) before_ms = pl_now_ms() - (long long)(86400e3 * days);
  for (size_t k = 0; k < s->chosen.n; k++) {
    size_t n;
    LC_TRY(pl_outbox_forget(&s->outbox, s->chosen.items[k].name, before_ms, &s->known, &n, err));
    sum += n;
  }
  printf("%s: %zu objects that have arrived%s", s->outbox.folder, sum, and);
  if (days >= 0) printf("%g days ago", days);
  printf(" are forgotten\n");
  return LC_OK;
}

static lc_status queue_all(struct sending *s, struct lc_error *err) {
  const struct pl_queue_count *count = &s->queued;
  for (size_t i = 0; i < s->chosen.n; i++)
    LC_TRY(pl_outbox_keep_destination(&s->outbox, &s->chosen.items[i], err));
  if (s->arguments->paths.n == 0) return LC_OK;
  LC_TRY(pl_send_queue(&s->outbox, &s->chosen, s->arguments->paths.items, s->arguments->paths.n,
                       s->arguments->overwrite, &s->queued, err));
  lc_log(LC_LOG_INFO, "%zu objects queued, %zu known, %zu refused before, %zu other files",
         count->queued, count->known, count->refused_before, count->other);
  if (count->queued + count->known + count->refused_before + count->failed == 0)
    LC_FAIL(err, LC_ERR_NO_DICOM, "%s: holds no DICOM file", s->arguments->paths.items[0]);
  return LC_OK;
}

static lc_status send_and_judge(struct sending *s, struct lc_error *err) {
  LC_FREED struct pl_outlook *before = NULL;
  LC_FREED struct pl_outlook *after = NULL;
  long long began_ms = pl_now_ms();
  LC_TRY(lc_alloc(&before, s->chosen.n + 1, sizeof *before, err));
  LC_TRY(lc_alloc(&after, s->chosen.n + 1, sizeof *after, err));
  LC_TRY(look_ahead(s, before, err));
  if (!s->arguments->queue_only)
    LC_TRY(pl_send_run(&s->outbox, &s->known, &s->chosen, s->arguments->wait_s, NULL, err));
  LC_TRY(pl_send_print_status(&s->outbox, &s->known, &s->chosen, s->arguments->form, err));
  LC_TRY(look_ahead(s, after, err));
  return judge(s, before, after, began_ms, err);
}

static lc_status print_destination(struct lc_error *err) {
  LC_SCOPED(pl_destinations_free) struct pl_destinations one = {0};
  LC_SCOPED(lc_text_free) struct lc_text yaml = {0};
  struct pl_destination *added = NULL;
  LC_TRY(pl_destinations_add(&one, "pacs", &added, err));
  pl_schema_print(&pl_destination_schema, added, PL_PRINT_ALL, &yaml);
  printf("pacs: # any name, and as many destinations as there are\n");
  for (const char *row = lc_text_get(&yaml); *row; row += strcspn(row, "\n") + 1)
    printf("  %.*s\n", (int)strcspn(row, "\n"), row);
  return LC_OK;
}

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  LC_SCOPED(end) struct sending sending = {.arguments = arguments};
  struct sending *s = &sending;
  bool look = arguments->status || arguments->list;
  if (arguments->print_destination) return print_destination(err);
  pl_signal_waits(true, NULL); /* for other processes, then for peers */
  if (!arguments->echo)
    LC_TRY(pl_outbox_open(&s->outbox, arguments->outbox, !look && arguments->paths.n > 0, err));
  else if (lc_folder_exists(arguments->outbox)) /* for the destinations that it knows */
    LC_TRY(pl_outbox_open(&s->outbox, arguments->outbox, false, err));
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the analyser does not see that `end` is called */
  LC_TRY(prepare_destinations(s, err));
  if (arguments->echo) return echo_all(s, err);
  if (arguments->status)
    return pl_send_print_status(&s->outbox, &s->known, &s->chosen, arguments->form, err);
  if (arguments->list)
    return pl_send_print_list(&s->outbox, &s->known, arguments->to.n > 0 ? &s->chosen : NULL,
                              arguments->form, err);
  if (arguments->forget) return forget_sent(s, err);
  pl_signal_waits(false, NULL);
  LC_TRY(queue_all(s, err));
  pl_signal_waits(true, NULL);
  if (arguments->retry)
    for (size_t i = 0; i < s->chosen.n; i++)
      LC_TRY(pl_outbox_retry(&s->outbox, s->chosen.items[i].name, err));
  return send_and_judge(s, err);
}

const struct pl_command pl_command_send = {
    .name = "send",
    .summary = "send DICOM objects to archives, and see that they arrive",
    .size = sizeof(struct arguments),
    .defaults = &(const struct arguments){.outbox = "lungcdam-outbox", .older_days = -1},
    PL_OPTIONS(options),
    .args_doc = "[PATH...]",
    .doc = "Send DICOM objects to archives by C-STORE or STOW-RS. PATH is a file or a folder, for "
           "example what 'lungcdam export' or 'lungcdam run' wrote. Objects wait in an outbox "
           "until they have arrived; without PATH, what waits there is sent.\v"
           "Examples:\n"
           "  lungcdam send --echo --to PACS@pacs.example.org:104\n"
           "  lungcdam send -d destinations.yaml --to pacs --wait 600 lungcdam-dicom\n"
           "  lungcdam send --status\n"
           "  lungcdam send                       try what waits in the outbox\n"
           "  lungcdam send --forget-sent --older-than 30\n"
           "  lungcdam send --print-destination   all keys of a destination\n"
           "\n"
           "Sending twice does no harm. Passwords and tokens are read from a file or the "
           "environment, which credentials.file or credentials.variable names.",
    .takes_rest = true,
    .rest_at = offsetof(struct arguments, paths),
    .check = check_arguments,
    .run = run,
};
