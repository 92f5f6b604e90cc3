/* The program `lungcdam`: hands its arguments to pl_cli_main, and ends with its own exit code where
 * a library asks for memory that is not there.
 *
 * What the program itself asks for in large pieces goes another way (lc_alloc), and its failure is
 * an error that names the file. Results are whole or absent at any moment, so nothing is lost. */
#include <unistd.h>

#include "common/lc_status.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/reader/pl_malloc.h"

noreturn void pl_malloc_failed(size_t size) {
  static const char words[] = "lungcdam: out of memory\n";
  (void)size;
  if (write(STDERR_FILENO, words, sizeof words - 1) < 0) _exit(LC_ERR_MEMORY);
  _exit(LC_ERR_MEMORY);
}

int main(int argc, char **argv) {
  return pl_cli_main(argc, argv);
}
