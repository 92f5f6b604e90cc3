/* A command's options as one table: each line says the option, its documentation, and the field of
 * the command's arguments that takes its value, with the limits. pl_options_parse does the rest by
 * argp, with the same words for the same mistakes everywhere.
 *
 *   struct arguments { const char *output; long long seed; struct pl_words paths; };
 *   #define AT(field) PL_AT(struct arguments, field)
 *   static const struct pl_option options[] = {
 *       {"output", 'o', "FILE", "The data set to write (HDF5)", 1, PL_OPTION_TEXT, AT(output)},
 *       {"seed", 0, "N", "Seed of the folds (default 1)", 1, PL_OPTION_WHOLE, AT(seed), 0, 1e9},
 *   };
 *
 * Thread-safety: one thread. */
#pragma once

#include <argp.h>
#include <stddef.h>

#include "common/lc_text.h"

enum pl_option_kind {
  PL_OPTION_TITLE = 0, /* no option: `doc` heads its group */
  PL_OPTION_FLAG,      /* bool: becomes true */
  PL_OPTION_OFF,       /* bool: becomes false */
  PL_OPTION_TEXT,      /* const char * */
  PL_OPTION_LIST,      /* struct pl_list (pipeline/config/pl_schema.h): one more item */
  PL_OPTION_WHOLE,     /* int, long long or size_t from low to high */
  PL_OPTION_REAL,      /* double from low to high */
  PL_OPTION_CHOICE,    /* an enumeration: the number of the word among words, ended by NULL */
  PL_OPTION_VALUE,     /* an enumeration: becomes low */
  PL_OPTION_ONE_OF,    /* the same, once: with another option of its field it is an error */
  PL_OPTION_CALL       /* whatever `call` does with the text */
};

struct pl_option {
  const char *name;
  int key;         /* its letter, or 0 for none */
  const char *arg; /* what the value is called; NULL: it takes none */
  const char *doc;
  int group; /* as argp's: the help lists lower numbers first, one kind of option a number */
  enum pl_option_kind kind;
  size_t at, size; /* of the field: PL_AT */
  double low, high;
  const char *const *words;
  void (*call)(void *arguments, const char *arg, const struct argp_state *state);
};
#define PL_AT(type, field) .at = offsetof(type, field), .size = sizeof(((type *)NULL)->field)
#define PL_ANY 9e18 /* as `high`: no limit */

/* What follows the options, in a field of the arguments; the words live as long as argv. */
struct pl_words {
  const char *const *items;
  size_t n;
};

struct pl_command_line {
  const struct pl_option *options;
  size_t n_options;
  const char *args_doc, *doc; /* as argp's */
  const struct argp *child;   /* more options, into the field at child_at; or NULL */
  size_t child_at;
  size_t words[3]; /* fields (const char *) of one word each, in turn */
  size_t n_words;
  const char *too_many; /* "more than one recipe"; NULL: "too many arguments" */
  bool takes_rest;      /* all words go into the struct pl_words at rest_at */
  size_t rest_at;
  /* When all is read; reports with argp_error. Or NULL. */
  void (*check)(void *arguments, const struct argp_state *state);
  char *(*help)(int key, const char *text, void *input); /* argp's help_filter, or NULL */
};

/* Fills arguments. Usage errors leave the program with LC_ERR_USAGE; fails only for LC_ERR_MEMORY.
 */
LC_MUST_CHECK lc_status pl_options_parse(const struct pl_command_line *line, int argc, char **argv,
                                         void *arguments, struct lc_error *err);
