/* Finding the nodules of a series: the LIDC XML beside it, a file the user names, or a folder of
 * XML files.
 *
 * Thread-safety: one finder, one thread. */
#ifndef PL_NODULES_H
#define PL_NODULES_H

#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_result.h"

/* XML files of a folder by the series they belong to, read once. */
struct pl_annotated {
  char series_instance_uid[CT_UID_SIZE];
  char *path;
};

struct pl_finder {
  const struct pl_config *config;
  struct pl_annotated *files; /* of the folder nodules.source names, when it is one */
  size_t n_files;
  bool indexed;
};

void pl_finder_init(struct pl_finder *finder, const struct pl_config *config);
void pl_finder_free(struct pl_finder *finder);

/* Fills annotation, nodules, nodule_source and its hash of a result whose series is set.
 * LC_ERR_MISMATCH when the XML is for another series, LC_ERR_NO_NODULES when there is
 * none. */
LC_MUST_CHECK lc_status pl_finder_find(struct pl_finder *finder, struct pl_result *result,
                                       struct lc_error *err);

#endif
