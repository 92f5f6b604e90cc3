/* Writing HDF5 files: always the same bytes for the same content, whole or not at all; and reading
 * them, also those of others, with a check of every link, type, filter, size and shape
 * (pl_h5_guard.h).
 *
 * A file is built in memory and written by lc_file_write at the end, so that a full disk is an
 * ordinary error. Everything in it follows the same conventions: little-endian types, no object
 * times, the format that every HDF5 reads, fixed-length UTF-8 texts padded with zeros, a unit and a
 * description on every dataset. Arrays whose samples (index of the first dimension) hold 1 KiB and
 * more are chunked one sample at a time with shuffle, deflate and fletcher32.
 *
 * After a failure later calls do nothing: pl_h5_finish reports the first one, and the status of a
 * struct pl_h5_in is that of the first one. Thread-safety: HDF5 is used from one thread at a time.
 */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

enum pl_h5_type {
  PL_H5_F32 = 0,
  PL_H5_F64,
  PL_H5_I16,
  PL_H5_I32,
  PL_H5_I64,
  PL_H5_U8,
  PL_H5_I8,
  PL_H5_TEXT /* of a field: a text of `rows` bytes, in memory with a zero after it */
};

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
/* Its rank and dims: {"cube/hu", PL_H5_I16, PL_H5_DIMS(n, edge, edge, edge), hu, "HU", "..."} */
#define PL_H5_DIMS(...)                                                                            \
  sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t), {                                        \
    __VA_ARGS__                                                                                    \
  }

/* A column: the same field of every struct of an array. */
struct pl_h5_field {
  const char *path;
  enum pl_h5_type type;
  size_t offset;        /* in the struct */
  size_t rows, columns; /* of the field; columns 0: a vector, both 0: one number */
  const char *unit, *doc;
};
/* That array: [n] or, where inner is not 0, [n, inner] structs of `size` bytes. */
struct pl_h5_structs {
  void *data;
  size_t size, n, inner;
};

void pl_h5_start(struct pl_h5 *h5);

void pl_h5_array(struct pl_h5 *h5, const struct pl_h5_array *array);
/* Writes samples [first, first + count) of an array made without data. */
void pl_h5_rows(struct pl_h5 *h5, const char *path, enum pl_h5_type type, size_t first,
                size_t count, const void *data);
/* Texts of `width` bytes each (zero-padded): [dims...]. */
void pl_h5_texts(struct pl_h5 *h5, const char *path, size_t rank, const size_t *dims, size_t width,
                 const char *texts, const char *doc);
/* Writes n fields of the structs, each [n, inner, rows, columns]; scale: attached to the
 * first dimension of each, or NULL. Fails only for LC_ERR_MEMORY. */
LC_MUST_CHECK lc_status pl_h5_fields(struct pl_h5 *h5, const struct pl_h5_field *fields, size_t n,
                                     const struct pl_h5_structs *structs, const char *scale,
                                     struct lc_error *err);
/* Makes an existing one-dimensional dataset a dimension scale, named as its path says. */
void pl_h5_scale(struct pl_h5 *h5, const char *path);
/* Attaches it to one dimension of a dataset. */
void pl_h5_attach(struct pl_h5 *h5, const char *dataset, size_t dimension, const char *scale);

/* Attributes of the object at path; "/" is the file. */
void pl_h5_attribute_text(struct pl_h5 *h5, const char *path, const char *name, const char *text);
void pl_h5_attribute_integer(struct pl_h5 *h5, const char *path, const char *name, int64_t value);
void pl_h5_attribute_real(struct pl_h5 *h5, const char *path, const char *name, double value);

/* n texts as an array of `width` bytes each, the last of them zero. */
void pl_h5_names(struct pl_h5 *h5, const char *path, const char *const *names, size_t n,
                 size_t width, const char *doc);
/* What a file says of itself: content, version of its layout, program, and what is to be said of
 * its use. */
void pl_h5_about(struct pl_h5 *h5, const char *content, int version, const char *notice);

/* A link at path to the root of another file; the file's name is relative to this one. */
void pl_h5_link(struct pl_h5 *h5, const char *path, const char *file);

/* Closes; writes to path unless something failed. This or pl_h5_abort ends what pl_h5_start began.
 */
LC_MUST_CHECK lc_status pl_h5_finish(struct pl_h5 *h5, const char *path, struct lc_error *err);

void pl_h5_abort(struct pl_h5 *h5);

/* -- reading -- */

struct pl_h5_in {
  const char *path;     /* borrowed */
  int64_t file, access; /* access: how links are followed, which is never out of the file */
  size_t bytes;         /* of the file */
  size_t most_bytes;    /* of one dataset; 0: as many as there are */
  lc_status status;     /* of the first failure; LC_ERR_FORMAT, LC_ERR_MEMORY */
  struct lc_error *err;
};

/* LC_ERR_NOT_FOUND when there is no file, LC_ERR_FORMAT when it is not HDF5. */
LC_MUST_CHECK lc_status pl_h5_open(struct pl_h5_in *in, const char *path, struct lc_error *err);
/* Also after pl_h5_open failed, and of a zeroed struct. */
void pl_h5_close(struct pl_h5_in *in);

/* Raises LC_ERR_FORMAT: "PATH: "NAME": expected ...". */
void pl_h5_expect(struct pl_h5_in *in, const char *name, const char *expected);
/* Whether there is such a dataset or group. A link out of the file on the way is a failure. */
bool pl_h5_has(struct pl_h5_in *in, const char *name);
/* How many dimensions a dataset has; 0: there is none. */
size_t pl_h5_rank(struct pl_h5_in *in, const char *name);
/* The shape of a dataset of this rank; zeros after a failure. */
void pl_h5_shape(struct pl_h5_in *in, const char *name, size_t rank, size_t *dims);
/* Reads a dataset of exactly this shape, of which no dimension is 0, as this type; free() it. May
 * be NULL after a failure. */
void *pl_h5_read(struct pl_h5_in *in, const char *name, enum pl_h5_type type, size_t rank,
                 const size_t *dims);
/* The same for texts of fixed length: rows of `width` bytes with a zero at the end; longer ones are
 * cut. */
void *pl_h5_read_texts(struct pl_h5_in *in, const char *name, size_t width, size_t rank,
                       const size_t *dims);
/* Samples [first, first + count) of a dataset of this shape into `out`. */
void pl_h5_read_rows(struct pl_h5_in *in, const char *name, enum pl_h5_type type, size_t rank,
                     const size_t *dims, size_t first, size_t count, void *out);
/* Fills the fields of all structs with what pl_h5_fields wrote. */
void pl_h5_read_fields(struct pl_h5_in *in, const struct pl_h5_field *fields, size_t n,
                       const struct pl_h5_structs *structs);
/* A text attribute of an object ("/": of the file); longer ones are cut. */
void pl_h5_read_text(struct pl_h5_in *in, const char *object, const char *name, char *out,
                     size_t size);
/* The same, "" where there is none. */
void pl_h5_find_text(struct pl_h5_in *in, const char *object, const char *name, char *out,
                     size_t size);
/* A number that is an attribute of the file, or `otherwise` where there is none. */
double pl_h5_read_number(const struct pl_h5_in *in, const char *name, double otherwise);

/* A text attribute of the root of a file on disk, or of a group of it (GROUP/NAME); out is "" when
 * it has none. The errors of pl_h5_open. */
LC_MUST_CHECK lc_status pl_h5_read_attribute(const char *path, const char *name, char *out,
                                             size_t size, struct lc_error *err);
