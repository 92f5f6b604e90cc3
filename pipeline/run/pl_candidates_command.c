/* Runs a detector of the user's in a process group of its own, with limits. */
#include "pipeline/run/pl_candidates.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"

/* The files of the series under numbers, in the order of the slices, with the endings they have. */
static lc_status link_files(const struct ct_series *series, const char *folder,
                            struct lc_error *err) {
  const char *file, *format, *last = "";
  ct_series_file(series, &file, &format);
  size_t n = file ? 1 : series->n_slices;
  LC_TRY(lc_folder_make(folder, err));
  for (size_t i = 0; i < n; i++) {
    const char *source = file ? file : series->slices[i].path;
    const char *name = strrchr(source, '/') ? strrchr(source, '/') + 1 : source;
    const char *ending = file ? strchr(name, '.') : ".dcm";
    char link[LC_PATH_SIZE], number[64];
    LC_FREED char *whole = realpath(source, NULL);
    if (strcmp(source, last) == 0) continue; /* frames of one file */
    last = source;
    if (!whole) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: %s", source, strerror(errno));
    snprintf(number, sizeof number, "%06zu%.32s", i + 1, ending ? ending : "");
    LC_TRY(lc_path_join(link, folder, number, err));
    if (symlink(whole, link) != 0) return lc_file_write_error(link, errno, err);
  }
  return LC_OK;
}

/* In the child, between fork and exec: only what is allowed there. */
static void become(const struct pl_config *config, char *const argv[]) {
  const rlim_t bytes = (rlim_t)config->nodules_command_mb << 20;
  const struct rlimit memory = {bytes, bytes}, core = {0, 0};
  sigset_t none;
  setpgid(0, 0);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  setrlimit(RLIMIT_CORE, &core);
  if (bytes == 0 || setrlimit(RLIMIT_AS, &memory) == 0) execvp(argv[0], argv);
  _exit(127);
}

/* Waits for the child for as long as it may take; it and what it started end then. */
static lc_status await(const struct pl_config *config, pid_t child, int *status,
                       struct lc_error *err) {
  const double until = pl_now_s() + (double)config->nodules_command_s;
  const struct timespec pause = {0, 20000000};
  lc_status why = LC_OK;
  while (waitpid(child, status, WNOHANG) == 0) {
    why = pl_signal_check(err);
    if (why == LC_OK && pl_now_s() > until)
      why =
          lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: took more than %lld s and was ended",
                  config->nodules_command, config->nodules_command_s);
    if (why != LC_OK) {
      kill(-child, SIGKILL);
      (void)waitpid(child, status, 0);
      return why;
    }
    nanosleep(&pause, NULL);
  }
  kill(-child, SIGKILL); /* what it left running */
  return LC_OK;
}

lc_status pl_candidates_command(const struct pl_config *config, const struct ct_series *series,
                                const char *scratch, const char *file, struct lc_error *err) {
  char folder[LC_PATH_SIZE];
  const char *program = config->nodules_command;
  int status = 0;
  LC_TRY(lc_path_join(folder, scratch, "series", err));
  LC_TRY(link_files(series, folder, err));
  char *const argv[] = {(char *)program, folder, (char *)file, NULL};
  lc_log(LC_LOG_INFO, "series %s: asking %s for candidates", series->series_instance_uid, program);
  pid_t child = fork();
  if (child == 0) become(config, argv);
  if (child < 0)
    LC_FAIL(err, LC_ERR_INTERNAL, "%s: no process for it: %s", program, strerror(errno));
  LC_TRY(await(config, child, &status, err));
  if (WIFSIGNALED(status))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: ended by signal %d (%s)", program, WTERMSIG(status),
            strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) == 127)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be started, or ended with code 127", program);
  if (WEXITSTATUS(status) != 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: ended with code %d", program, WEXITSTATUS(status));
  struct stat info;
  if (lstat(file, &info) != 0 || !S_ISREG(info.st_mode))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: did not write the file that it was given: %s", program,
            config->nodules_command_file);
  return LC_OK;
}
