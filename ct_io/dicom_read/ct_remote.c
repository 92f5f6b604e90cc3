/* Both ends of reading DICOM in a helper process: what is asked and answered, and what of an answer
 * is believed. */
#include "ct_io/dicom_read/ct_remote.h"

#include <string.h>
#include <unistd.h>

#include "ct_io/dicom_file/ct_charset.h"
#include "ct_io/dicom_file/ct_dcmtk_start.h"
#include "ct_io/dicom_file/ct_source.h"
#include "ct_io/dicom_read/ct_answer.h"

/* What a file of some size may need: an honest one needs a small part of it. */
static const size_t least_memory = (size_t)160 << 20, most_memory = (size_t)2 << 30;
static const double least_seconds = 1.2, bytes_a_second = 8e6, most_seconds = 60;
/* A header can become many times its length; a pixel of a frame, some words in a decoder. */
enum { MEMORY_A_BYTE = 24, MEMORY_A_PIXEL = 24, PIXELS_A_SECOND = 2000000 };
static const size_t longest_answer = (size_t)64 << 20;

static void set_limits(struct lc_helper_job *job, uint64_t bytes, uint64_t pixels) {
  double memory = (double)least_memory + MEMORY_A_BYTE * (double)bytes;
  if (memory > (double)most_memory) memory = (double)most_memory;
  job->memory = (size_t)memory + MEMORY_A_PIXEL * pixels;
  job->seconds = least_seconds + (double)bytes / bytes_a_second;
  if (job->seconds > most_seconds) job->seconds = most_seconds;
  job->seconds += (double)pixels / PIXELS_A_SECOND;
}

static lc_status run_header(struct lc_wire *request, struct lc_helper_given *given,
                            struct lc_wire *answer, struct lc_error *err) {
  char path[LC_ERROR_SIZE];
  for (size_t i = 0; i < given->n_files; i++) {
    struct ct_header_item item = {.path = path};
    lc_wire_get_text(request, path, sizeof path);
    if (request->bad) LC_FAIL(err, LC_ERR_INTERNAL, "file %zu without a name", i);
    int file = given->files[i];
    given->files[i] = -1;
    item.kind = ct_header_parse(&item.header, file, path, &item.err);
    ct_answer_put_header(answer, &item);
    ct_header_free(&item.header);
  }
  return LC_OK;
}
const struct lc_helper_task ct_task_header = {.name = "header", .run = run_header};

/* One of the files on their way: opened here, where it may lie anywhere. */
static bool open_item(struct ct_header_item *item, int *file, uint64_t *size) {
  struct ct_source source;
  memset(&item->header, 0, sizeof item->header);
  item->err.message[0] = '\0';
  item->kind = CT_FILE_UNREADABLE;
  if (ct_source_open(&source, item->path, &item->err) != LC_OK) return false;
  *file = source.file;
  *size = source.size;
  return true;
}

static void fail_item(struct ct_header_item *item, lc_status status) {
  ct_header_free(&item->header);
  item->kind = status == LC_ERR_MEMORY ? CT_FILE_FAILED : CT_FILE_BROKEN;
}

/* items[which[i]] is files[i]. */
static lc_status ask_headers(struct ct_header_item *items, const size_t *which, const int *files,
                             size_t n, uint64_t bytes, bool *served, struct lc_error *err) {
  struct lc_wire request = {0}, answer = {0};
  struct lc_helper_job job = {.task = "header",
                              .path = items[which[0]].path,
                              .files = files,
                              .n_files = n,
                              .request = &request,
                              .longest = longest_answer};
  set_limits(&job, bytes, 0);
  for (size_t i = 0; i < n; i++) lc_wire_put_path(&request, items[which[i]].path, LC_ERROR_SIZE);
  lc_status status = lc_helper_call(&job, &answer, served, err);
  for (size_t i = 0; i < n && status == LC_OK && *served; i++)
    status = ct_answer_get_header(&answer, &items[which[i]], err);
  for (size_t i = 0; i < n && status != LC_OK; i++) ct_header_free(&items[which[i]].header);
  lc_wire_free(&request);
  lc_wire_free(&answer);
  return status;
}

void ct_headers_read(struct ct_header_item *items, size_t n) {
  size_t which[LC_HELPER_FILES], opened = 0;
  int files[LC_HELPER_FILES];
  uint64_t sizes[LC_HELPER_FILES], bytes = 0;
  bool served = true;
  struct lc_error err;
  for (size_t i = 0; i < n; i++)
    if (open_item(&items[i], &files[opened], &sizes[opened])) {
      bytes += sizes[opened];
      which[opened++] = i;
    }
  if (opened == 0) return;
  lc_status status = ask_headers(items, which, files, opened, bytes, &served, &err);
  for (size_t i = 0; i < opened; i++) {
    struct ct_header_item *item = &items[which[i]];
    /* One of several was too much: which one shows when each goes alone. */
    bool alone = status != LC_OK && status != LC_ERR_MEMORY && opened > 1;
    lc_status own =
        alone ? ask_headers(item, (size_t[]){0}, &files[i], 1, sizes[i], &served, &item->err)
              : status;
    if (!served) {
      item->kind = ct_header_parse(&item->header, files[i], item->path, &item->err);
      continue;
    }
    if (own != LC_OK && !alone) item->err = err;
    if (own != LC_OK) fail_item(item, own);
    close(files[i]);
  }
}

ct_file_kind ct_header_read(struct ct_header *header, const char *path, struct lc_error *err) {
  struct ct_header_item item = {.path = path};
  ct_headers_read(&item, 1);
  *header = item.header;
  if (err) *err = item.err;
  return item.kind;
}

static lc_status run_cells(struct lc_wire *request, struct lc_helper_given *given,
                           struct lc_wire *answer, struct lc_error *err) {
  static struct ct_pixel_file *kept;
  static struct ct_series series; /* large */
  char path[LC_ERROR_SIZE];
  struct ct_slice slice;
  lc_wire_get_text(request, path, sizeof path);
  lc_wire_get(request, &slice, sizeof slice);
  series.rows = (int)lc_wire_get_number(request, CT_MAX_SIDE);
  series.columns = (int)lc_wire_get_number(request, CT_MAX_SIDE);
  slice.path = path;
  struct ct_cells cells = {.cell = given->out,
                           .count = (size_t)series.rows * (size_t)series.columns,
                           .columns = (size_t)series.columns};
  if (request->bad || given->n_files != 1 || given->out_size != cells.count * sizeof *cells.cell)
    LC_FAIL(err, LC_ERR_INTERNAL, "%s: a request that makes no sense", path);
  int file = given->files[0];
  given->files[0] = -1;
  LC_TRY(ct_pixel_file_read(&kept, file, &cells, &series, &slice, err));
  lc_wire_put_number(answer, (uint64_t)cells.precision);
  lc_wire_put_number(answer, cells.decoded_signed);
  return LC_OK;
}
const struct lc_helper_task ct_task_cells = {.name = "cells", .run = run_cells};

static uint64_t number_of(const char *path) {
  uint64_t hash = 1469598103934665603u; /* FNV-1a */
  for (; *path; path++) hash = (hash ^ (unsigned char)*path) * 1099511628211u;
  return hash ? hash : 1;
}

static lc_status ask_cells(const struct ct_source *source, struct ct_cells *cells,
                           const struct ct_series *series, const struct ct_slice *slice,
                           bool *served, struct lc_error *err) {
  struct lc_wire request = {0}, answer = {0};
  struct lc_helper_job job = {.task = "cells",
                              .path = slice->path,
                              .files = &source->file,
                              .n_files = 1,
                              .request = &request,
                              .longest = longest_answer,
                              .affinity = number_of(slice->path),
                              .out = cells->cell,
                              .out_size = cells->count * sizeof *cells->cell};
  set_limits(&job, source->size, cells->count);
  lc_wire_put_path(&request, slice->path, LC_ERROR_SIZE);
  struct ct_slice asked = *slice;
  asked.path = NULL;
  lc_wire_put(&request, &asked, sizeof asked);
  lc_wire_put_number(&request, (uint64_t)series->rows);
  lc_wire_put_number(&request, (uint64_t)series->columns);
  lc_status status = lc_helper_call(&job, &answer, served, err);
  if (status == LC_OK && *served) {
    cells->precision = (int)lc_wire_get_number(&answer, 16);
    cells->decoded_signed = lc_wire_get_number(&answer, 1) != 0;
    if (answer.bad) status = lc_helper_nonsense(slice->path, err);
  }
  lc_wire_free(&request);
  lc_wire_free(&answer);
  return status;
}

lc_status ct_cells_read(struct ct_pixel_file **kept, struct ct_cells *cells,
                        const struct ct_series *series, const struct ct_slice *slice,
                        struct lc_error *err) {
  struct ct_source source;
  bool served;
  LC_TRY(ct_source_open(&source, slice->path, err));
  lc_status status = ask_cells(&source, cells, series, slice, &served, err);
  if (served) {
    ct_source_close(&source);
    return status;
  }
  return ct_pixel_file_read(kept, source.file, cells, series, slice, err);
}

void ct_remote_prepare(void) {
  ct_dcmtk_prepare();
  ct_charset_prepare();
  ct_htj2k_prepare();
}
