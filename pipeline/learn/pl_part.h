/* One series of a nodule data set: its nodules cut into cubes.
 *
 * Thread-safety: distinct parts may be made from distinct threads. */
#pragma once

#include "common/lc_text.h"
#include "pipeline/learn/pl_prepare.h"

/* A part in the making. */
struct pl_part {
  const struct ct_series *series;
  const struct ct_annotation *annotation; /* NULL: no nodule is named */
  struct ct_nodule_list nodules;
  char key[65]; /* SHA-256 of input and settings */
};

/* Finds the nodules of a series and the key of the part. Free with pl_part_free whatever the
 * status.
 */
LC_MUST_CHECK lc_status pl_part_open(struct pl_part *part, const struct ct_series *series,
                                     const struct ct_annotation *annotation,
                                     const struct pl_dataset_rules *how, struct lc_error *err);
void pl_part_free(struct pl_part *part);

/* Cuts the nodules; only the slices they need are decoded, each once. A nodule that cannot be cut
 * is a line of left_out and is not in the data set, which may then be empty. Free the data set
 * whatever the status. */
LC_MUST_CHECK lc_status pl_part_cut(const struct pl_part *part, const struct pl_dataset_rules *how,
                                    struct pl_dataset *dataset, struct lc_text *left_out,
                                    struct lc_error *err);
