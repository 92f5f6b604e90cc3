/* The command line: global options, the table of subcommands, and how a status becomes an exit
 * code.
 *
 * To add a command: write cmd_NAME.c that ends with its struct pl_command, and add one line to the
 * table in pl_cli.c (docs/extending.md). Help, completion and the manual page follow from it.
 *
 * A command prints its results on standard output; messages and progress go to standard error. */
#pragma once

#include <argp.h>

#include "common/lc_text.h"

struct pl_command {
  const char *name;    /* "run"; two words are one command with its own verbs */
  const char *summary; /* one line, no full stop */
  /* argv[0] is "lungcdam NAME". Returns what the program exits with; err is printed when it is not
   * LC_OK. Usage errors leave through argp_error with LC_ERR_USAGE. */
  lc_status (*run)(int argc, char **argv, struct lc_error *err);
  const char *option; /* the CMake option without which the command is left out (run is NULL); NULL:
                         always there */
};

/* The table, ended by NULL. */
extern const struct pl_command *const pl_commands[];

/* --log-level and --threads; pl_options_parse adds it to every command's options, so that they are
 * understood before and after the command's name. */
extern const struct argp pl_global_argp;

/* The whole program. Returns the exit code. */
int pl_cli_main(int argc, char **argv);

/* Writes a text to standard output and frees it. */
LC_MUST_CHECK lc_status pl_cli_print(struct lc_text *text, struct lc_error *err);
