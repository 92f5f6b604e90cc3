/* Implements `lungcdam config`: checks a run configuration and prints it with every key
 * explained. */
#include <stdio.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/config/pl_config.h"

struct arguments {
  struct pl_overrides overrides;
  bool print;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"print", 'p', NULL, "Write the effective configuration as YAML, with every key explained", 0,
     PL_OPTION_FLAG, AT(print)},
    PL_CONFIG_ROWS,
};

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  LC_TRY(pl_config_make(&config, &arguments->overrides, err));
  if (!*config.model.path)
    lc_log(LC_LOG_WARNING,
           "no weights are given and none are at hand: how images are prepared is not known");
  if (arguments->print) return pl_cli_print_keys(&pl_config_schema, &config, err);
  printf("the configuration is valid\n");
  return LC_OK;
}

const struct pl_command pl_command_config = {
    .name = "config",
    .summary = "show and check a configuration",
    .size = sizeof(struct arguments),
    PL_OPTIONS(options),
    .args_doc = "[CONFIG.yaml]",
    .doc = "Check a run configuration; with --print, write what is in effect after defaults, file "
           "and options.\v"
           "Examples:\n"
           "  lungcdam config --print > my.yaml      start a configuration of your own\n"
           "  lungcdam config my.yaml                check it\n"
           "  lungcdam config --print my.yaml --set figure.opacity=0.5",
    .words = {offsetof(struct arguments, overrides.file)},
    .n_words = 1,
    .too_many = "more than one configuration file",
    .run = run,
};
