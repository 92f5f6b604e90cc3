/* Implements `lungcdam config`: checks a run configuration and prints it with every key
 * explained. */
#include <stdio.h>

#include "common/lc_log.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/config/pl_config.h"

struct arguments {
  struct pl_overrides overrides;
  bool print;
};

static const struct argp_option options[] = {
    {"print", 'p', NULL, 0, "Write the effective configuration as YAML, with every key explained",
     0},
    {0}};

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is argp's */
static error_t parse(int key, char *arg, struct argp_state *state) {
  (void)arg;
  struct arguments *arguments = (struct arguments *)state->input;
  switch (key) {
  case ARGP_KEY_INIT:
    state->child_inputs[0] = &arguments->overrides;
    return 0;
  case 'p':
    arguments->print = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_child children[] = {
    {.argp = &pl_config_argp}, {.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[CONFIG.yaml]",
    .doc = "Check a run configuration; with --print, write what is in effect after defaults, file "
           "and options.\v"
           "Examples:\n"
           "  lungcdam config --print > my.yaml      start a configuration of your own\n"
           "  lungcdam config my.yaml                check it\n"
           "  lungcdam config --print my.yaml --set figure.opacity=0.5",
    .children = children};

static lc_status print(const struct pl_config *config, struct lc_error *err) {
  struct lc_text text = {0};
  pl_schema_print(&pl_config_schema, config, PL_PRINT_ALL, &text);
  return pl_cli_print(&text, err);
}

lc_status cmd_config(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_cli_parse(&argp, argc, argv, &arguments, err));
  struct pl_config config;
  lc_status status = pl_config_make(&config, &arguments.overrides, err);
  if (status == LC_OK) {
    if (!*config.model.path)
      lc_log(LC_LOG_WARNING,
             "no weights are given and none are at hand: how images are prepared is not known");
    if (arguments.print)
      status = print(&config, err);
    else
      printf("the configuration is valid\n");
    pl_config_free(&config);
  }
  pl_overrides_free(&arguments.overrides);
  return status;
}
