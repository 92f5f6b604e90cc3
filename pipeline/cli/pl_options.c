/* Reads a command line by its table of options, and runs the command on it. */
#include "pipeline/cli/pl_cli.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_scope.h"

#define MOST 64         /* options of a command */
#define WITHOUT 0x10000 /* keys of options that have no letter */

struct reading {
  const struct pl_command *command;
  char *arguments;
  const struct pl_option *given[MOST]; /* PL_OPTION_ONE_OF */
  size_t n_given, n_words;
};

static int key_of(const struct pl_command *command, size_t index) {
  return command->options[index].key ? command->options[index].key : WITHOUT + (int)index;
}

/* A whole number into a bool, an int or enumeration, or a number of eight bytes. */
static void store(const struct pl_option *o, void *field, long long value) {
  bool one = value != 0;
  int narrow = (int)value;
  if (o->size == sizeof one)
    memcpy(field, &one, sizeof one);
  else if (o->size == sizeof narrow)
    memcpy(field, &narrow, sizeof narrow);
  else
    memcpy(field, &value, sizeof value);
}

static void put_whole(const struct pl_option *o, void *field, const char *arg,
                      const struct argp_state *state) {
  long long value = 0;
  if (!lc_text_to_long(arg, &value) || (double)value < o->low || (double)value > o->high)
    argp_error(state,
               o->high < PL_ANY ? "--%s is '%s', expected a whole number from %.0f to %.0f"
                                : "--%s is '%s', expected a whole number of %.0f or more",
               o->name, arg, o->low, o->high);
  else
    store(o, field, value);
}

static void put_real(const struct pl_option *o, void *field, const char *arg,
                     const struct argp_state *state) {
  double value = 0;
  if (lc_text_to_double(arg, &value) && value >= o->low && value <= o->high)
    memcpy(field, &value, sizeof value);
  else if (o->high < PL_ANY)
    argp_error(state, "--%s is '%s', expected a number from %g to %g", o->name, arg, o->low,
               o->high);
  else
    argp_error(state, "--%s is '%s', expected a number", o->name, arg);
}

static void put_choice(const struct pl_option *o, void *field, const char *arg,
                       const struct argp_state *state) {
  struct lc_text list = {0};
  for (int i = 0; o->words[i]; i++) {
    lc_text_add(&list, "%s%s", i == 0 ? "" : o->words[i + 1] ? ", " : " or ", o->words[i]);
    if (strcmp(arg, o->words[i]) != 0) continue;
    store(o, field, i);
    lc_text_free(&list);
    return;
  }
  argp_error(state, "--%s is '%s', expected %s", o->name, arg, lc_text_get(&list));
}

/* Of two options that decide the same thing one may be given, once. */
static void put_once(struct reading *r, const struct pl_option *o, void *field,
                     const struct argp_state *state) {
  for (size_t i = 0; i < r->n_given; i++)
    if (r->given[i]->at == o->at) {
      argp_error(state, "--%s and --%s exclude each other", r->given[i]->name, o->name);
      return;
    }
  r->given[r->n_given++] = o;
  store(o, field, (long long)o->low);
}

static void put(struct reading *r, const struct pl_option *o, char *arg,
                const struct argp_state *state) {
  void *field = r->arguments + o->at;
  struct lc_error err;
  switch (o->kind) {
  case PL_OPTION_FLAG:
  case PL_OPTION_OFF:
    store(o, field, o->kind == PL_OPTION_FLAG);
    return;
  case PL_OPTION_TEXT:
    memcpy(field, &arg, sizeof arg);
    return;
  case PL_OPTION_LIST:
    if (pl_list_add((struct pl_list *)field, arg, &err) != LC_OK)
      argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
    return;
  case PL_OPTION_WHOLE:
    put_whole(o, field, arg, state);
    return;
  case PL_OPTION_REAL:
    put_real(o, field, arg, state);
    return;
  case PL_OPTION_CHOICE:
    put_choice(o, field, arg, state);
    return;
  case PL_OPTION_VALUE:
    store(o, field, (long long)o->low);
    return;
  case PL_OPTION_NUMBER:
    memcpy(field, &o->low, sizeof o->low);
    return;
  case PL_OPTION_ONE_OF:
    put_once(r, o, field, state);
    return;
  case PL_OPTION_CALL:
    o->call(r->arguments, arg, state);
    return;
  case PL_OPTION_TITLE:
    return;
  }
}

static void put_word(struct reading *r, const char *arg, const struct argp_state *state) {
  const struct pl_command *command = r->command;
  if (r->n_words == command->n_words)
    argp_error(state, "%s: %s", command->too_many ? command->too_many : "too many arguments", arg);
  else
    memcpy(r->arguments + command->words[r->n_words++], &arg, sizeof arg);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct reading *r = (struct reading *)state->input;
  const struct pl_command *command = r->command;
  struct pl_words rest = {(const char *const *)state->argv + state->next,
                          (size_t)(state->argc - state->next)};
  switch (key) {
  case ARGP_KEY_ARG:
    if (command->takes_rest) return ARGP_ERR_UNKNOWN;
    put_word(r, arg, state);
    return 0;
  case ARGP_KEY_ARGS:
    memcpy(r->arguments + command->rest_at, &rest, sizeof rest);
    return 0;
  case ARGP_KEY_NO_ARGS:
    if (command->needs_rest) argp_error(state, "%s", command->needs_rest);
    return 0;
  case ARGP_KEY_END:
    if (command->check) command->check(r->arguments, state);
    return 0;
  default:
    for (size_t i = 0; i < command->n_options; i++) {
      if (command->options[i].kind == PL_OPTION_TITLE || key_of(command, i) != key) continue;
      put(r, &command->options[i], arg, state);
      return 0;
    }
    return ARGP_ERR_UNKNOWN;
  }
}

static lc_status read_line(const struct pl_command *command, int argc, char **argv, void *arguments,
                           struct lc_error *err) {
  struct argp_option options[MOST + 1] = {{0}};
  struct reading reading = {.command = command, .arguments = arguments};
  static const struct argp_child children[] = {{.argp = &pl_global_argp}, {0}};
  const struct argp argp = {.options = options,
                            .parser = parse,
                            .args_doc = command->args_doc,
                            .doc = command->doc,
                            .children = children,
                            .help_filter = command->help};
  if (command->n_options > MOST)
    LC_FAIL(err, LC_ERR_INTERNAL, "%zu options, expected at most %d", command->n_options, MOST);
  for (size_t i = 0; i < command->n_options; i++) {
    const struct pl_option *o = &command->options[i];
    options[i] = (struct argp_option){.name = o->name,
                                      .key = o->kind == PL_OPTION_TITLE ? 0 : key_of(command, i),
                                      .arg = o->arg,
                                      .doc = o->doc,
                                      .group = o->group};
  }
  error_t failed = argp_parse(&argp, argc, argv, 0, NULL, &reading);
  if (failed) LC_FAIL(err, LC_ERR_MEMORY, "reading the command line: %s", strerror(failed));
  return LC_OK;
}

static lc_status check_text(const char *text, struct lc_error *err) {
  if (text && lc_file_is_special(text))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: not a regular file (a pipe, a device or a socket)", text);
  return LC_OK;
}

/* Whatever stands on the command line and is a pipe or a device is refused before anybody waits for
 * it; this also holds for what libraries open by name. */
static lc_status check_files(const struct pl_command *command, const char *arguments,
                             struct lc_error *err) {
  for (size_t i = 0; i < command->n_options; i++) {
    const char *field = arguments + command->options[i].at;
    const char *text;
    struct pl_list list = {.n = 0};
    if (command->options[i].kind == PL_OPTION_TEXT) {
      memcpy(&text, field, sizeof text);
      LC_TRY(check_text(text, err));
    } else if (command->options[i].kind == PL_OPTION_LIST) {
      memcpy(&list, field, sizeof list);
    }
    for (size_t k = 0; k < list.n; k++) LC_TRY(check_text(list.items[k], err));
  }
  for (size_t i = 0; i < command->n_words; i++) {
    const char *text;
    memcpy(&text, arguments + command->words[i], sizeof text);
    LC_TRY(check_text(text, err));
  }
  struct pl_words rest = {.n = 0};
  if (command->takes_rest) memcpy(&rest, arguments + command->rest_at, sizeof rest);
  for (size_t i = 0; i < rest.n; i++) LC_TRY(check_text(rest.items[i], err));
  return LC_OK;
}

lc_status pl_options_run(const struct pl_command *command, int argc, char **argv,
                         struct lc_error *err) {
  LC_FREED char *arguments = NULL;
  LC_TRY(lc_alloc(&arguments, 1, command->size, err));
  if (command->defaults) memcpy(arguments, command->defaults, command->size);
  if (command->init) command->init(arguments);
  lc_status status = read_line(command, argc, argv, arguments, err);
  if (status == LC_OK) status = check_files(command, arguments, err);
  if (status == LC_OK) status = command->run(arguments, err);
  for (size_t i = 0; i < command->n_options; i++)
    if (command->options[i].kind == PL_OPTION_LIST)
      pl_list_free((struct pl_list *)(void *)(arguments + command->options[i].at));
  return status;
}
