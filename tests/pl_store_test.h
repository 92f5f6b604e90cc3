/* A result store with what pl_store_read reads of it, for tests and fuzzing. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "pipeline/store/pl_h5.h"
#include "pipeline/store/pl_store.h"

enum { NODULES = 2, VIEWS = 3, OUTPUTS = 2, TARGETS = 1, GRID = 4, EDGE = 6 };

static inline void store_names(struct pl_h5 *h5, const char *path, size_t n, const char *words) {
  pl_h5_texts(h5, path, 1, &n, 64, words, "names");
}

static inline void store_numbers(struct pl_h5 *h5, const char *path, enum pl_h5_type type,
                                 size_t rank, const size_t *dims, const void *data) {
  struct pl_h5_array array = {path, type, rank, {0}, data, "1", "numbers"};
  memcpy(array.dims, dims, rank * sizeof *dims);
  pl_h5_array(h5, &array);
}

/* What pl_store_read reads of a store. */
static inline lc_status store_write(const char *path, size_t outputs_of_logits,
                                    struct lc_error *err) {
  static const float floats[NODULES * VIEWS * TARGETS * GRID * GRID] = {1, 2, 3};
  static const double doubles[] = {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5};
  static const uint8_t mask[NODULES * EDGE * EDGE * EDGE] = {0, 1}, has_mask[NODULES] = {1, 0};
  static char words[3 * 64];
  struct pl_h5 h5;
  pl_h5_start(&h5);
  pl_h5_attribute_text(&h5, "/", "content", "lungcdam result of one series");
  pl_h5_attribute_integer(&h5, "/", "schema_version", 1);
  pl_h5_attribute_integer(&h5, "/", "weights_trained", 1);
  const char *hashes[] = {"weights_sha256", "configuration_sha256", "result_key",
                          "input_manifest_sha256", "nodule_source_sha256"};
  for (size_t i = 0; i < 5; i++) pl_h5_attribute_text(&h5, "/", hashes[i], "0123456789abcdef");
  pl_h5_attribute_text(&h5, "/", "architecture", "vit_tiny_patch16: 64x64");
  snprintf(words, sizeof words, "nodule-1");
  store_names(&h5, "axes/nodule", NODULES, words);
  store_names(&h5, "axes/output", OUTPUTS, words);
  store_names(&h5, "axes/target", TARGETS, words);
  static const char views[3][64] = {"axial", "coronal", "sagittal"};
  store_names(&h5, "axes/view", VIEWS, views[0]);
  store_numbers(&h5, "axes/x_mm", PL_H5_F64, 1, (size_t[]){EDGE}, doubles);
  store_names(&h5, "series/SOPInstanceUID", 1, words);
  pl_h5_attribute_text(&h5, "series", "SeriesInstanceUID", "1.2.3");
  store_numbers(&h5, "nodules/centre_mm", PL_H5_F64, 2, (size_t[]){NODULES, 3}, doubles);
  store_numbers(&h5, "prediction/mean_logit", PL_H5_F32, 2, (size_t[]){NODULES, outputs_of_logits},
                floats);
  store_numbers(&h5, "prediction/probability", PL_H5_F32, 2, (size_t[]){NODULES, OUTPUTS}, floats);
  store_numbers(&h5, "explanation/cdam", PL_H5_F32, 5,
                (size_t[]){NODULES, VIEWS, TARGETS, GRID, GRID}, floats);
  store_numbers(&h5, "cube/mask", PL_H5_U8, 4, (size_t[]){NODULES, EDGE, EDGE, EDGE}, mask);
  store_numbers(&h5, "cube/has_mask", PL_H5_U8, 1, (size_t[]){NODULES}, has_mask);
  return pl_h5_finish(&h5, path, err);
}
