/* Files that a reader never sees half written, and small helpers for paths.
 *
 * An output is written to a temporary name in the same folder, flushed, synced and renamed.
 * Failures distinguish a full disk (LC_ERR_NO_SPACE) from a place that cannot be written
 * (LC_ERR_NOT_WRITABLE).
 *
 * Thread-safety: functions are safe on distinct paths. */
#ifndef LC_FILE_H
#define LC_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

#define LC_PATH_SIZE 4096

/* One output on its way. Give temporary[] to whatever library writes by path. */
struct lc_output {
  char path[LC_PATH_SIZE];
  char temporary[LC_PATH_SIZE]; /* ".NAME.PID.partial" beside path */
};

/* Chooses the temporary name and checks that the folder can be written. Creates nothing. */
LC_MUST_CHECK lc_status lc_output_begin(struct lc_output *output, const char *path,
                                        struct lc_error *err);
/* Makes the temporary file, which must not be there, also not as a link, and opens it for writing.
 */
LC_MUST_CHECK lc_status lc_output_open(const struct lc_output *output, FILE **file,
                                       struct lc_error *err);
/* Syncs the temporary file and renames it over path. On failure the temporary file is removed. */
LC_MUST_CHECK lc_status lc_output_commit(struct lc_output *output, struct lc_error *err);
/* The same without waiting for the disk, for many files in a row: a reader still sees the old or
 * the new file and a killed process loses nothing, but after a power failure before
 * lc_folder_sync_all the file may be old or damaged. */
LC_MUST_CHECK lc_status lc_output_commit_soon(struct lc_output *output, struct lc_error *err);
/* Removes the temporary file; for the failure path. Safe to call twice. */
void lc_output_abort(struct lc_output *output);

/* All of the above for bytes in memory. */
LC_MUST_CHECK lc_status lc_file_write(const char *path, const void *bytes, size_t count,
                                      struct lc_error *err);

LC_MUST_CHECK lc_status lc_file_write_soon(const char *path, const void *bytes, size_t count,
                                           struct lc_error *err);
/* Waits until all that was written to the file system of this folder is on the disk. */
LC_MUST_CHECK lc_status lc_folder_sync_all(const char *path, struct lc_error *err);

/* Opens a regular file for reading. A pipe, a device and the like is refused at once
 * (LC_ERR_FORMAT) and never waited on. LC_ERR_NOT_FOUND. */
LC_MUST_CHECK lc_status lc_file_open(const char *path, FILE **file, struct lc_error *err);
/* True for what is there and neither a regular file nor a folder: opening it might wait. */
bool lc_file_is_special(const char *path);

/* Reads a whole file of at most `limit` bytes, with a zero byte after the last. free() the result.
 */
LC_MUST_CHECK lc_status lc_file_read(const char *path, size_t limit, char **bytes, size_t *count,
                                     struct lc_error *err);

/* Turns the errno of a failed write into LC_ERR_NO_SPACE or LC_ERR_NOT_WRITABLE with a message. */
LC_MUST_CHECK lc_status lc_file_write_error(const char *path, int error_number,
                                            struct lc_error *err);

/* mkdir -p */
LC_MUST_CHECK lc_status lc_folder_make(const char *path, struct lc_error *err);
/* rm -r, does not follow links; no complaint about what is already gone. */
LC_MUST_CHECK lc_status lc_folder_remove(const char *path, struct lc_error *err);
/* False only when it is certain that nothing is there: what the system does not let be looked at is
 * taken to be there, and opening it says why it cannot be used. */
bool lc_file_exists(const char *path);
bool lc_folder_exists(const char *path);
/* The folder of the running program, links resolved; false when the system does not say. */
bool lc_program_folder(char out[LC_PATH_SIZE]);
/* Where this code lies: the shared library, or the program it was linked into. */
bool lc_library_folder(char out[LC_PATH_SIZE]);

/* folder + "/" + name; out may be one of them. LC_ERR_USAGE when it does not fit. */
LC_MUST_CHECK lc_status lc_path_join(char out[LC_PATH_SIZE], const char *folder, const char *name,
                                     struct lc_error *err);

/* Renames a finished folder to its place in one step. When target exists and `replace` is set the
 * two are exchanged in one step and the old one is removed; otherwise LC_ERR_EXISTS. */
LC_MUST_CHECK lc_status lc_folder_publish(const char *finished, const char *target, bool replace,
                                          struct lc_error *err);

LC_API_END
#endif
