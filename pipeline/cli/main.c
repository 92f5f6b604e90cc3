/* The program `lungcdam`: hands its arguments to pl_cli_main. */
#include "pipeline/cli/pl_cli.h"

int main(int argc, char **argv) {
  return pl_cli_main(argc, argv);
}
