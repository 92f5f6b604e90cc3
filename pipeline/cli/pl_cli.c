/* Holds the table of commands and the global options, runs the command that argv names, and turns
 * its status into a message and an exit code. */
#include "pipeline/cli/pl_cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_identity.h"
#include "common/lc_log.h"
#include "common/lc_parallel.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/report/pl_table.h"
#include "pipeline/report/pl_version.h"

/* In the order of the help. NET and PHANTOM: left out of builds without LUNGCDAM_WITH_that; the
 * name stays, so that it can be said. */
#define COMMANDS(ENTRY, NET, PHANTOM)                                                              \
  ENTRY(series)                                                                                    \
  ENTRY(nodules)                                                                                   \
  ENTRY(prepare)                                                                                   \
  ENTRY(run)                                                                                       \
  ENTRY(concept)                                                                                   \
  ENTRY(explain)                                                                                   \
  ENTRY(export)                                                                                    \
  NET(send)                                                                                        \
  NET(fetch)                                                                                       \
  NET(serve)                                                                                       \
  ENTRY(config)                                                                                    \
  ENTRY(judge)                                                                                     \
  PHANTOM(phantom)                                                                                 \
  ENTRY(train)                                                                                     \
  ENTRY(evaluate)                                                                                  \
  ENTRY(weights)

#define DECLARE(name) extern const struct pl_command pl_command_##name;
#define LEFT_OUT(command, part)                                                                    \
  static const struct pl_command pl_command_##command = {                                          \
      .name = #command, .summary = "left out of this build", .option = "LUNGCDAM_WITH_" part};
#ifdef LUNGCDAM_WITH_NET
#define DECLARE_NET(name) DECLARE(name)
#else
#define DECLARE_NET(name) LEFT_OUT(name, "NET")
#endif
#ifdef LUNGCDAM_WITH_PHANTOM
#define DECLARE_PHANTOM(name) DECLARE(name)
#else
#define DECLARE_PHANTOM(name) LEFT_OUT(name, "PHANTOM")
#endif
COMMANDS(DECLARE, DECLARE_NET, DECLARE_PHANTOM)
#define POINT(name) &pl_command_##name,
const struct pl_command *const pl_commands[] = {COMMANDS(POINT, POINT, POINT) NULL};

enum { KEY_LOG_LEVEL = 0x1000, KEY_THREADS, KEY_LOG_IDENTITY };

static const struct argp_option global_options[] = {
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "debug, info (default), warning, error or silent", -2},
    {"log-identity", KEY_LOG_IDENTITY, NULL, 0,
     "Name patients in log lines and messages; without it pseudonyms stand there", -2},
    {"threads", KEY_THREADS, "N", 0, "Threads to use; 0: all (default). Never changes results", -2},
    {0}};

static error_t parse_global(int key, char *arg, struct argp_state *state) {
  lc_log_level level;
  long long threads;
  switch (key) {
  case KEY_LOG_LEVEL:
    if (!lc_log_level_parse(arg, &level))
      argp_error(state, "--log-level is '%s', expected debug, info, warning, error or silent", arg);
    else
      lc_log_set_level(level);
    return 0;
  case KEY_LOG_IDENTITY:
    lc_identity_show();
    return 0;
  case KEY_THREADS:
    if (!lc_text_to_long(arg, &threads) || threads < 0 || threads > 4096)
      argp_error(state, "--threads is '%s', expected a whole number from 0 to 4096", arg);
    else
      lc_threads_set((int)threads);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Ends the help of the program and of every command. */
static char *where_documentation_is(int key, const char *text, void *input) {
  (void)input;
  if (key != ARGP_KEY_HELP_EXTRA) return (char *)text; /* argp's own convention */
  LC_SCOPED(lc_text_free) struct lc_text folder = {0};
  struct lc_text help = {0};
  bool there = pl_docs_folder(&folder);
  lc_text_add(&help, "Documentation:%s%s", there ? "\n  " : " ",
              there ? lc_text_get(&folder)
                    : "share/doc/lungcdam/docs of the installation (Debian: package lungcdam-doc)");
  return help.data;
}

const struct argp pl_global_argp = {
    .options = global_options, .parser = parse_global, .help_filter = where_documentation_is};

/* The input is where the command's name stands in argv; 0 when there is none. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is argp's */
static error_t parse_program(int key, char *arg, struct argp_state *state) {
  (void)arg;
  if (key == ARGP_KEY_ARG) {
    *(int *)state->input = state->next - 1;
    state->next = state->argc; /* the rest belongs to the command */
  } else if (key == ARGP_KEY_NO_ARGS) {
    argp_usage(state);
  } else {
    return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static char *program_help(int key, const char *text, void *input) {
  (void)input;
  if (key != ARGP_KEY_HELP_POST_DOC) return (char *)text; /* argp's own convention */
  struct lc_text help = {0};
  lc_text_add(&help, "Commands:\n");
  for (const struct pl_command *const *command = pl_commands; *command; command++)
    lc_text_add(&help, "  %-10s %s\n", (*command)->name, (*command)->summary);
  lc_text_add(&help, "\n'lungcdam COMMAND --help' explains a command and gives examples.\n"
                     "Exit codes are numbered: 0 success, 2 usage, 3 configuration, and those in"
                     " exit-codes.md of the documentation.\n\n"
                     "Everything this program makes is for research use only.");
  return help.data;
}

static const struct argp_child global_children[] = {{.argp = &pl_global_argp}, {0}};

static const struct argp program_argp = {
    .parser = parse_program,
    .args_doc = "COMMAND [ARGUMENTS...]",
    .doc = "lungcdam takes lung CT from DICOM to an explained prediction: nodules, a vision "
           "transformer, class-discriminative attention maps, overlays for the PACS.\v",
    .children = global_children,
    .help_filter = program_help};

static const struct pl_command *find_command(const char *name) {
  for (const struct pl_command *const *command = pl_commands; *command; command++)
    if (strcmp((*command)->name, name) == 0) return *command;
  return NULL;
}

static int unknown_command(const char *name) {
  const char *names[64];
  size_t n = 0;
  for (; pl_commands[n] && n < 64; n++) names[n] = pl_commands[n]->name;
  const char *nearest = lc_text_nearest(name, names, n);
  if (nearest)
    fprintf(stderr, "lungcdam: unknown command '%s', the nearest is '%s'\n", name, nearest);
  else
    fprintf(stderr, "lungcdam: unknown command '%s'; 'lungcdam --help' lists them\n", name);
  return LC_ERR_USAGE;
}

static int left_out(const struct pl_command *command) {
  fprintf(stderr, "lungcdam: '%s' was left out when this program was built (%s is OFF)\n",
          command->name, command->option);
  return LC_ERR_UNSUPPORTED;
}

lc_status pl_cli_print(const struct lc_text *text, struct lc_error *err) {
  if (text->failed) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  pl_signal_waits(true, NULL); /* a pipe may be full */
  bool whole = fputs(lc_text_get(text), stdout) >= 0;
  pl_signal_waits(false, NULL);
  return whole ? LC_OK : lc_file_write_error("standard output", errno, err);
}

lc_status pl_cli_print_keys(const struct pl_schema *schema, const void *object,
                            struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  pl_schema_print(schema, object, PL_PRINT_ALL, &text);
  return pl_cli_print(&text, err);
}

lc_status pl_cli_check_new(const char *path, bool overwrite, struct lc_error *err) {
  if (lc_file_exists(path) && !overwrite)
    LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite replaces it", path);
  return LC_OK;
}

static int report(lc_status status, const struct lc_error *err) {
  if (status == LC_OK) return LC_OK;
  LC_SCOPED(lc_text_free) struct lc_text line = {0};
  pl_text_safe(&line, err->message[0] ? err->message : lc_status_name(status));
  fprintf(stderr, "lungcdam: %s\n", lc_text_get(&line));
  return (int)status;
}

static int run_command(const struct pl_command *command, int argc, char **argv) {
  char name[64];
  snprintf(name, sizeof name, "lungcdam %s", command->name);
  argv[0] = name;
  struct lc_error err = {{0}};
  lc_status status = pl_options_run(command, argc, argv, &err);
  pl_signal_waits(true, NULL);
  errno = 0;
  if (status == LC_OK && (fflush(stdout) != 0 || ferror(stdout)))
    status = lc_file_write_error("standard output", errno ? errno : EIO, &err);
  return report(status, &err);
}

static void print_version(FILE *out, struct argp_state *state) {
  (void)state;
  fprintf(out, "lungcdam %s (%s), research use only\n", pl_version(), pl_commit());
}

int pl_cli_main(int argc, char **argv) {
  argp_err_exit_status = LC_ERR_USAGE;
  argp_program_version_hook = print_version;
  pl_log_start();
  pl_signal_start();
  int chosen = 0;
  char name[] = "lungcdam";
  if (argc > 0) argv[0] = name;
  error_t failed = argp_parse(&program_argp, argc, argv, ARGP_IN_ORDER, NULL, &chosen);
  if (failed || chosen == 0) return LC_ERR_USAGE;
  const struct pl_command *command = find_command(argv[chosen]);
  if (!command) return unknown_command(argv[chosen]);
  if (!command->run) return left_out(command);
  return run_command(command, argc - chosen, argv + chosen);
}
