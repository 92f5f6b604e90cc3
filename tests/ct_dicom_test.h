/* What the tests of DICOM output share: dciodvfy (dicom3tools) as the judge, dcmdump (dcmtk) as the
 * reader. A test calls need_program first and is skipped where the program is not installed. */
#pragma once

#include "tests/lc_test.h"

/* Runs a command and keeps what it prints (both streams) in text; its exit status. */
static inline int run_command(const char *command, char *text, size_t size) {
  char line[8192];
  snprintf(line, sizeof line, "%s 2>&1", command);
  FILE *pipe = popen(line, "r"); /* NOLINT(bugprone-command-processor): fixed commands of tests */
  assert_non_null(pipe);
  size_t n = fread(text, 1, size - 1, pipe);
  text[n] = '\0';
  while (fgetc(pipe) != EOF) {
  }
  return pclose(pipe);
}

static inline void need_program(const char *name) {
  char command[256], text[512];
  snprintf(command, sizeof command, "command -v %s", name);
  if (run_command(command, text, sizeof text) == 0) return;
  print_message("skipped: %s is not installed\n", name);
  skip();
}

/* Asserts that dciodvfy prints no error, and that it recognised the object as this IOD. */
static inline void assert_valid_dicom(const char *path, const char *iod) {
  static char text[1 << 16];
  char command[4200];
  snprintf(command, sizeof command, "dciodvfy '%s'", path);
  run_command(command, text, sizeof text);
  if (strstr(text, "Error")) fail_msg("dciodvfy %s:\n%s", path, text);
  char line[128];
  snprintf(line, sizeof line, "\n%s\n", iod);
  if (!strstr(text, line) && strncmp(text, line + 1, strlen(line) - 1) != 0)
    fail_msg("dciodvfy %s does not name %s:\n%s", path, iod, text);
}

/* The value that dcmdump prints for the first occurrence of an attribute ("PatientID"), without
 * brackets; "(no value available)" when empty; "" when absent. */
static inline const char *dicom_value(const char *path, const char *name) {
  static char text[1 << 16], values[8][4096];
  static int turn;
  char command[4300];
  snprintf(command, sizeof command, "dcmdump -q +L +P %s '%s'", name, path);
  if (run_command(command, text, sizeof text) != 0) fail_msg("%s: %s", command, text);
  char *value = values[turn++ % 8];
  value[0] = '\0';
  if (strlen(text) < 16) return value;
  const char *start = text + strspn(text, " ") + 15, *end = strstr(start, " #");
  if (*start == '[') {
    start++;
    end = strchr(start, ']');
  } else if (*start == '=') {
    start++;
  }
  if (!end) return value;
  while (end > start && end[-1] == ' ') end--;
  snprintf(value, 4096, "%.*s", (int)(end - start), start);
  return value;
}

/* How often a text stands in dcmdump's output. */
static inline int dicom_count(const char *path, const char *needle) {
  static char text[1 << 18];
  char command[4300];
  snprintf(command, sizeof command, "dcmdump -q '%s'", path);
  run_command(command, text, sizeof text);
  int n = 0;
  for (const char *p = text; (p = strstr(p, needle)); p++) n++;
  return n;
}
