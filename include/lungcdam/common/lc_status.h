/* Status codes and error text, shared by every room.
 *
 * A function that can fail returns lc_status and takes the caller's struct lc_error last (may be
 * NULL). The message names the file, the thing in it, and what was expected. The numeric values are
 * the program's exit codes and never change meaning (docs/exit-codes.md).
 *
 * Thread-safety: everything here is safe to call from any thread on distinct lc_error objects. */
#ifndef LC_STATUS_H
#define LC_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/lc_api.h"

LC_API_BEGIN

typedef enum lc_status {
  LC_OK = 0,
  LC_ERR_INTERNAL = 1,      /* a library failed in a way nobody foresaw */
  LC_ERR_USAGE = 2,         /* wrong command line or wrong argument to a function */
  LC_ERR_CONFIG = 3,        /* configuration: unknown key, wrong type, value out of range */
  LC_ERR_NOT_FOUND = 4,     /* a file, folder or named thing does not exist */
  LC_ERR_NO_DICOM = 5,      /* a folder holds no DICOM image and no volume file */
  LC_ERR_AMBIGUOUS = 6,     /* several series and none chosen */
  LC_ERR_GEOMETRY = 7,      /* a series whose geometry cannot be used */
  LC_ERR_FORMAT = 8,        /* a malformed file */
  LC_ERR_UNSUPPORTED = 9,   /* a well-formed file that this build cannot handle */
  LC_ERR_MISMATCH = 10,     /* annotations that belong to another series */
  LC_ERR_OUTSIDE = 11,      /* a nodule outside the volume */
  LC_ERR_TRUNCATED = 12,    /* a weight file that ends too early */
  LC_ERR_TENSOR = 13,       /* a tensor missing, or of another shape or type */
  LC_ERR_NOT_WRITABLE = 14, /* output cannot be created */
  LC_ERR_NO_SPACE = 15,     /* the disk is full */
  LC_ERR_EXISTS = 16,       /* output exists and neither overwrite nor resume was asked for */
  LC_ERR_MEMORY = 17,       /* out of memory, or over a stated limit */
  LC_ERR_NUMERIC = 18,      /* NaN or infinity where numbers were expected */
  LC_ERR_INTERRUPTED = 19,  /* stopped by a signal, everything written so far is whole */
  LC_ERR_NO_NODULES = 20,   /* a series without a nodule to work on */
  LC_ERR_PARTIAL = 21,      /* a batch in which some items failed, the others are complete */
  LC_ERR_NETWORK = 22,      /* a peer refused, hung up or did not answer in time */
  LC_STATUS_COUNT
} lc_status;

#define LC_ERROR_SIZE 1024

struct lc_error {
  char message[LC_ERROR_SIZE];
};

/* Marks a function whose status must not be dropped. */
#define LC_MUST_CHECK __attribute__((warn_unused_result))
#define LC_PRINTF(fmt_index, first) __attribute__((format(printf, fmt_index, first)))

/* Short lower-case word for a status ("no-dicom"); never NULL. */
const char *lc_status_name(lc_status status);

/* Writes the message into err (when not NULL) and returns status. file and line go to the debug
 * log. */
LC_PRINTF(5, 6)
lc_status lc_fail(struct lc_error *err, lc_status status, const char *file, int line,
                  const char *fmt, ...);

/* Puts "prefix: " before the message that err already holds; for a caller that knows the file name.
 */
LC_PRINTF(2, 3) void lc_error_prefix(struct lc_error *err, const char *fmt, ...);

/* Raises: LC_FAIL(err, LC_ERR_FORMAT, "%s: expected ...", path); returns from the function. */
#define LC_FAIL(err, status, ...) return lc_fail((err), (status), __FILE__, __LINE__, __VA_ARGS__)

/* Forwards a failure. */
#define LC_TRY(call)                                                                               \
  do {                                                                                             \
    lc_status lc_try_status_ = (call);                                                             \
    if (lc_try_status_ != LC_OK) return lc_try_status_;                                            \
  } while (0)

/* Forwards a failure to the label that frees what the function holds; needs `lc_status status`. */
#define LC_TRY_GOTO(call, label)                                                                   \
  do {                                                                                             \
    status = (call);                                                                               \
    if (status != LC_OK) goto label;                                                               \
  } while (0)

/* The same for raising. */
#define LC_FAIL_GOTO(label, err, code, ...)                                                        \
  do {                                                                                             \
    status = lc_fail((err), (code), __FILE__, __LINE__, __VA_ARGS__);                              \
    goto label;                                                                                    \
  } while (0)

LC_API_END
#endif
