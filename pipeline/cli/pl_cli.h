/* The command line: the table of commands, their options, and how a status becomes an exit code.
 *
 * To add a command: write cmd_NAME.c that ends with its struct pl_command, and add one line to the
 * table in pl_cli.c (docs/extending.md). Help, completion and the manual page follow from it.
 *
 * A command's options are a table too: each line says the option, its documentation, and the field
 * of the command's arguments that takes its value, with the limits. argp does the rest, with the
 * same words for the same mistakes everywhere.
 *
 *   struct arguments { const char *output; long long seed; struct pl_words paths; };
 *   #define AT(field) PL_AT(struct arguments, field)
 *   static const struct pl_option options[] = {
 *       {"output", 'o', "FILE", "The data set to write (HDF5)", 1, PL_OPTION_TEXT, AT(output)},
 *       {"seed", 0, "N", "Seed of the folds (default 1)", 1, PL_OPTION_WHOLE, AT(seed), 0, 1e9},
 *   };
 *
 * A command prints its results on standard output; messages and progress go to standard error.
 * Thread-safety: one thread. */
#pragma once

#include <argp.h>
#include <stddef.h>

#include "pipeline/config/pl_model_find.h"
#include "pipeline/report/pl_table.h"

enum pl_option_kind {
  PL_OPTION_TITLE = 0, /* no option: `doc` heads its group */
  PL_OPTION_FLAG,      /* bool: becomes true */
  PL_OPTION_OFF,       /* bool: becomes false */
  PL_OPTION_TEXT,      /* const char * */
  PL_OPTION_LIST,      /* struct pl_list: one more item; freed when the command ends */
  PL_OPTION_WHOLE,     /* int, long long or size_t from low to high */
  PL_OPTION_REAL,      /* double from low to high */
  PL_OPTION_CHOICE,    /* an enumeration: the number of the word among words, ended by NULL */
  PL_OPTION_VALUE,     /* an enumeration: becomes low */
  PL_OPTION_NUMBER,    /* double: becomes low */
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

/* Rows that several commands have; AT is as above. */
#define PL_ROW(...)                                                                                \
  { __VA_ARGS__ }
#define PL_WEIGHTS_ROW(group, field)                                                               \
  PL_ROW("weights", 'w', "MODEL",                                                                  \
         "Weight file, or name of a model ('lungcdam weights list'); by default " PL_MODEL_SHIPPED \
         ", which ships",                                                                          \
         group, PL_OPTION_TEXT, AT(field))
/* How it is read: architecture, which and ignore of struct pl_load. */
#define PL_LOAD_ROWS(group, shape, part, patterns)                                                 \
  PL_ROW("arch", 0, "ARCH",                                                                        \
         "Shape of the weights (a name that 'lungcdam weights --help' lists, or a YAML model "     \
         "file), where the file does not say it",                                                  \
         group, PL_OPTION_TEXT, AT(shape)),                                                        \
      PL_ROW("which", 0, "PART",                                                                   \
             "Of several networks in the weight file the one below PART: teacher, state_dict",     \
             group, PL_OPTION_TEXT, AT(part)),                                                     \
      PL_ROW("ignore", 0, "PATTERN",                                                               \
             "Leave out tensors of the weight file that nothing uses, at your own risk: "          \
             "'pooler.*'; may be repeated",                                                        \
             group, PL_OPTION_LIST, AT(patterns))
/* Fields of struct ct_index_rules. */
#define PL_RULES_ROWS(group, hu, missing)                                                          \
  PL_ROW("assume-hu", 0, NULL, "Take stored values without RescaleIntercept for Hounsfield units", \
         group, PL_OPTION_FLAG, AT(hu)),                                                           \
      PL_ROW("allow-missing", 0, NULL,                                                             \
             "Use series of which files cannot be read; what is made says so", group,              \
             PL_OPTION_FLAG, AT(missing))
/* Where nodules are and how they are read: the fields of a struct pl_nodule_files. */
#define PL_NODULES_ROWS(group, letter, paths, parts, repeats, all)                                 \
  PL_ROW("nodules", letter, "PATH",                                                                \
         "File with nodules (XML, DICOM SEG, RTSTRUCT or SR, CSV, label volume, markups), or a "   \
         "folder of them; may be repeated; without it those beside the series",                    \
         group, PL_OPTION_LIST, AT(paths)),                                                        \
      PL_ROW("components", 0, NULL, "Each connected part of a mask is a nodule", group,            \
             PL_OPTION_FLAG, AT(parts)),                                                           \
      PL_ROW("keep-duplicates", 0, NULL, "Points within 3 mm of each other are several nodules",   \
             group, PL_OPTION_FLAG, AT(repeats)),                                                  \
      PL_ROW("strict", 0, NULL,                                                                    \
             "A mark, point or file of nodules that cannot be read is an error", group,            \
             PL_OPTION_FLAG, AT(all))
#define PL_SERIES_ROWS                                                                             \
  PL_ROW("series", 's', "UID",                                                                     \
         "SeriesInstanceUID (of a volume file its name) to work on, UID:2 for the second of "      \
         "several volumes in it, or 'all'",                                                        \
         1, PL_OPTION_TEXT, AT(overrides.series)),                                                 \
      PL_ROW(                                                                                      \
          "reference", 'R', "FOLDER",                                                              \
          "DICOM that volume files (MetaImage, NIfTI, NRRD) were made from: objects refer to it",  \
          1, PL_OPTION_TEXT, AT(overrides.reference)),                                             \
      PL_RULES_ROWS(1, overrides.assume_hu, overrides.allow_missing),                              \
      PL_NODULES_ROWS(1, 'n', overrides.nodules.paths, overrides.nodules.components,               \
                      overrides.nodules.keep_duplicates, overrides.nodules.strict)
#define PL_SET_ROW(words)                                                                          \
  PL_ROW("set", 'S', "KEY=VALUE", words, 1, PL_OPTION_LIST, AT(overrides.keys))
#define PL_FORM_ROWS(group, json, csv)                                                             \
  PL_ROW("json", 'j', NULL, json, group, PL_OPTION_VALUE, AT(form), PL_TABLE_JSON),                \
      PL_ROW("csv", 'c', NULL, csv, group, PL_OPTION_VALUE, AT(form), PL_TABLE_CSV)
#define PL_EXISTING_ROWS(group, f, replaces, r, keeps)                                             \
  PL_ROW("overwrite", f, NULL, replaces, group, PL_OPTION_ONE_OF, AT(existing),                    \
         PL_EXISTING_OVERWRITE),                                                                   \
      PL_ROW("resume", r, NULL, keeps, group, PL_OPTION_ONE_OF, AT(existing), PL_EXISTING_RESUME)
/* Those of a run's configuration. */
#define PL_CONFIG_ROWS                                                                             \
  PL_ROW("input", 'i', "PATH",                                                                     \
         "Folder or file with DICOM, MetaImage, NIfTI or NRRD; may be repeated", 1,                \
         PL_OPTION_LIST, AT(overrides.inputs)),                                                    \
      PL_SERIES_ROWS, PL_WEIGHTS_ROW(1, overrides.weights),                                        \
      PL_LOAD_ROWS(1, overrides.load.architecture, overrides.load.which, overrides.load.ignore),   \
      PL_ROW("output", 'o', "DIR", "Folder of the results (default lungcdam-results)", 1,          \
             PL_OPTION_TEXT, AT(overrides.output)),                                                \
      PL_SET_ROW("Override one key of the configuration; may be repeated")

/* What follows the options, in a field of the arguments; the words live as long as argv. */
struct pl_words {
  const char *const *items;
  size_t n;
};

struct pl_command {
  const char *name;              /* "run"; two words are one command with its own verbs */
  const char *summary;           /* one line, no full stop */
  size_t size;                   /* of its arguments */
  const void *defaults;          /* what they are at first; NULL: zeros */
  void (*init)(void *arguments); /* changes them further; or NULL */
  const struct pl_option *options;
  size_t n_options;
  const char *args_doc, *doc; /* as argp's */
  size_t words[3];            /* fields (const char *) of one word each, in turn */
  size_t n_words;
  const char *too_many; /* "more than one recipe"; NULL: "too many arguments" */
  bool takes_rest;      /* all words go into the struct pl_words at rest_at */
  size_t rest_at;
  const char *needs_rest; /* what is asked where there are no words; NULL: then there may be none */
  /* When all is read; reports with argp_error. Or NULL. */
  void (*check)(void *arguments, const struct argp_state *state);
  char *(*help)(int key, const char *text, void *input); /* argp's help_filter, or NULL */
  /* Returns what the program exits with; err is printed when it is not LC_OK. */
  lc_status (*run)(void *arguments, struct lc_error *err);
  const char *option; /* the CMake option without which the command is left out (run is NULL); NULL:
                         always there */
};
#define PL_OPTIONS(table) .options = (table), .n_options = sizeof(table) / sizeof *(table)

/* The table, ended by NULL. */
extern const struct pl_command *const pl_commands[];

/* --log-level and --threads, which are understood before and after the command's name. */
extern const struct argp pl_global_argp;

/* The whole program. Returns the exit code. */
int pl_cli_main(int argc, char **argv);

/* Reads the command line into arguments, runs the command, and frees their lists. argv[0] is
 * "lungcdam NAME". Usage errors leave the program with LC_ERR_USAGE. */
LC_MUST_CHECK lc_status pl_options_run(const struct pl_command *command, int argc, char **argv,
                                       struct lc_error *err);

/* Writes a text to standard output. */
LC_MUST_CHECK lc_status pl_cli_print(const struct lc_text *text, struct lc_error *err);
/* Writes all keys with their values and meaning there. */
LC_MUST_CHECK lc_status pl_cli_print_keys(const struct pl_schema *schema, const void *object,
                                          struct lc_error *err);
/* LC_ERR_EXISTS for a file that is there, unless it may be replaced. */
LC_MUST_CHECK lc_status pl_cli_check_new(const char *path, bool overwrite, struct lc_error *err);

/* Appends the folder with cli.md, exit-codes.md and the others: share/doc/lungcdam/docs of the
 * installation that the running program belongs to (in a build folder, docs of the source). It is
 * found from the place of the program file, so an installation can be moved. False, with nothing
 * appended, when it is not there. */
bool pl_docs_folder(struct lc_text *folder);

/* The models that have a name, for people and as JSON: one row a file of the folders of
 * pl_model_find.h, in the order in which they are searched: name, shape, outputs, size, hash, what
 * it is for, place. A file that cannot be used has its reason in the row; one that an earlier
 * folder hides says by what. A folder that cannot be read is named in a log line. On the terminal
 * the last line says what is used without --weights. */
LC_MUST_CHECK lc_status pl_weights_list(enum pl_table_form form, FILE *out, struct lc_error *err);
/* What a weight file holds, for people and as JSON. The tensors are listed even when they make no
 * model; then the reason is shown beside them. */
LC_MUST_CHECK lc_status pl_weights_show(const char *path, const struct pl_load *load, bool json,
                                        FILE *out, struct lc_error *err);
