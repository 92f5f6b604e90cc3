/* One function a subcommand; see struct pl_command in pl_cli.h for the contract. */
#ifndef PL_COMMANDS_H
#define PL_COMMANDS_H

#include "common/lc_status.h"

LC_MUST_CHECK lc_status cmd_series(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_nodules(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_prepare(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_run(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_concept(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_explain(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_train(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_evaluate(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_export(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_send(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_weights(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_phantom(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_judge(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_fetch(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_serve(int argc, char **argv, struct lc_error *err);
LC_MUST_CHECK lc_status cmd_config(int argc, char **argv, struct lc_error *err);

#endif
