/* High-Throughput JPEG 2000 frames. The main header is checked here; what passes is decoded in a
 * child, as the program does it: Debian's OpenJPH 0.9 ends its process where a packet contradicts
 * itself, and writes beyond a buffer where one claims a length near 2^32. The child's end, whatever
 * it is, is one refused file. */
#include "tests/fuzz/ct_codec.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ct_io/dicom_read/ct_codestream.h"

enum { HEADER = 4, SECONDS = 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const syntaxes[] = {"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202",
                                         "1.2.840.10008.1.2.4.203"};
  struct lc_error err = {{0}};
  if (size < HEADER) return 0;
  if (ct_j2k_check(data + HEADER, size - HEADER, 1 + data[1], 1 + data[2], "HTJ2K", "input",
                   &err) != LC_OK) {
    if (err.message[0] == '\0') abort();
    return 0;
  }
  pid_t child = fork();
  if (child == 0) {
    const struct rlimit seconds = {SECONDS, SECONDS};
    setrlimit(RLIMIT_CPU, &seconds);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDERR_FILENO);
    fuzz_codec(syntaxes, sizeof syntaxes / sizeof *syntaxes, data, size);
    _exit(0);
  }
  if (child < 0) abort();
  while (waitpid(child, NULL, 0) != child)
    if (errno != EINTR) abort(); /* libFuzzer's clock */
  return 0;
}
