/* Implements `lungcdam config`: checks a run configuration and prints it with every key
 * explained. */
#include <stdio.h>

#include "common/lc_log.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_options.h"
#include "pipeline/config/pl_config.h"

struct arguments {
  struct pl_overrides overrides;
  bool print;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"print", 'p', NULL, "Write the effective configuration as YAML, with every key explained", 0,
     PL_OPTION_FLAG, AT(print)},
};

static const struct pl_command_line line = {
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .args_doc = "[CONFIG.yaml]",
    .doc = "Check a run configuration; with --print, write what is in effect after defaults, file "
           "and options.\v"
           "Examples:\n"
           "  lungcdam config --print > my.yaml      start a configuration of your own\n"
           "  lungcdam config my.yaml                check it\n"
           "  lungcdam config --print my.yaml --set figure.opacity=0.5",
    .child = &pl_config_argp,
    .child_at = offsetof(struct arguments, overrides),
};

static lc_status print(const struct pl_config *config, struct lc_error *err) {
  struct lc_text text = {0};
  pl_schema_print(&pl_config_schema, config, PL_PRINT_ALL, &text);
  return pl_cli_print(&text, err);
}

static lc_status run(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_options_parse(&line, argc, argv, &arguments, err));
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

const struct pl_command pl_command_config = {
    .name = "config", .summary = "show and check a configuration", .run = run};
