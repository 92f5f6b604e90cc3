/* Parameters of estimators: each estimator has a table of its own, from which command line,
 * configuration, help and stored attributes follow.
 *
 * Thread-safety: no state. */
#ifndef CDAM_PARAMETER_H
#define CDAM_PARAMETER_H

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

typedef enum cdam_parameter_kind {
  CDAM_WHOLE = 0, /* a whole number */
  CDAM_NUMBER,
  CDAM_CHOICE /* the number of one of the words */
} cdam_parameter_kind;

/* A value is a double: whole numbers and numbers of words are exact. */
struct cdam_parameter {
  const char *name; /* "samples" */
  cdam_parameter_kind kind;
  double initial;   /* the default */
  double low, high; /* limits, inclusive; not of a choice. A limit that depends on the model
                       (the number of heads) is for `run` to check: LC_ERR_USAGE */
  const char *const *choices; /* NULL-ended words, or NULL */
  const char *doc;            /* a few words, with the unit: "noisy copies" */
};

/* True when the parameter may have this value. */
bool cdam_parameter_takes(const struct cdam_parameter *parameter, double value);
/* Reads "0.4" or a word; false for what the parameter may not be. */
bool cdam_parameter_read(const struct cdam_parameter *parameter, const char *text, double *value);
/* "a whole number from 1 to 60", "one of input, normed"; cut to size. */
void cdam_parameter_expects(const struct cdam_parameter *parameter, char *out, size_t size);

LC_API_END
#endif
