/* Writing one HDF5 file: always the same bytes for the same content, whole or not at all.
 *
 * The file is built in memory and written by lc_file_write at the end, so that a full disk is an
 * ordinary error. Everything in it follows the same conventions: little-endian types, no object
 * times, the format that every HDF5 reads, fixed-length UTF-8 texts padded with zeros, a unit and a
 * description on every dataset. Arrays whose samples (index of the first dimension) hold 1 KiB and
 * more are chunked one sample at a time with shuffle, deflate and fletcher32.
 *
 * After a failure later calls do nothing; pl_h5_finish reports the first one. Thread-safety: HDF5
 * is used from one thread at a time. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

enum pl_h5_type { PL_H5_F32 = 0, PL_H5_F64, PL_H5_I16, PL_H5_I32, PL_H5_I64, PL_H5_U8, PL_H5_I8 };

#define PL_H5_MAX_RANK 6

struct pl_h5 {
  int64_t file;
  bool failed;
  struct lc_error first; /* why */
};

/* An array: its place in the file, shape, and what it means. */
struct pl_h5_array {
  const char *path; /* "cube/hu"; groups are made as needed */
  enum pl_h5_type type;
  size_t rank;
  size_t dims[PL_H5_MAX_RANK];
  const void *data; /* NULL: rows follow with pl_h5_rows */
  const char *unit; /* "HU", "mm", "1" */
  const char *doc;
};

void pl_h5_start(struct pl_h5 *h5);

void pl_h5_array(struct pl_h5 *h5, const struct pl_h5_array *array);
/* Writes samples [first, first + count) of an array made without data. */
void pl_h5_rows(struct pl_h5 *h5, const char *path, enum pl_h5_type type, size_t first,
                size_t count, const void *data);
/* Texts of `width` bytes each (zero-padded): [dims...]. */
void pl_h5_texts(struct pl_h5 *h5, const char *path, size_t rank, const size_t *dims, size_t width,
                 const char *texts, const char *doc);
/* Makes an existing one-dimensional dataset a dimension scale, named as its path says. */
void pl_h5_scale(struct pl_h5 *h5, const char *path);
/* Attaches it to one dimension of a dataset. */
void pl_h5_attach(struct pl_h5 *h5, const char *dataset, size_t dimension, const char *scale);

/* Attributes of the object at path; "/" is the file. */
void pl_h5_attribute_text(struct pl_h5 *h5, const char *path, const char *name, const char *text);
void pl_h5_attribute_integer(struct pl_h5 *h5, const char *path, const char *name, int64_t value);
void pl_h5_attribute_real(struct pl_h5 *h5, const char *path, const char *name, double value);

/* A link at path to the root of another file; the file's name is relative to this one. */
void pl_h5_link(struct pl_h5 *h5, const char *path, const char *file);

/* Closes; writes to path unless something failed. This or pl_h5_abort ends what pl_h5_start began.
 */
LC_MUST_CHECK lc_status pl_h5_finish(struct pl_h5 *h5, const char *path, struct lc_error *err);

void pl_h5_abort(struct pl_h5 *h5);

/* A text attribute of the root of a file on disk, or of a group of it (GROUP/NAME); out is "" when
 * it has none. LC_ERR_FORMAT when the file is not HDF5. */
LC_MUST_CHECK lc_status pl_h5_read_attribute(const char *path, const char *name, char *out,
                                             size_t size, struct lc_error *err);
