/* Frees a result and computes its key. */
#include "pipeline/store/pl_result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/report/pl_version.h"
#include "pipeline/store/pl_store.h"

void pl_result_free(struct pl_result *result) {
  for (size_t i = 0; result->cubes && i < result->nodules.n_nodules; i++)
    ct_cube_free(&result->cubes[i]);
  free(result->cubes);
  free(result->left_out);
  free(result->architecture);
  free(result->output_names);
  free(result->target_names);
  free(result->shown_hu);
  free(result->shown_mask);
  ct_nodule_list_free(&result->nodules);
  free(result->logits);
  free(result->view_probability);
  free(result->mean_logit);
  free(result->probability);
  cdam_maps_free(&result->maps);
  memset(result, 0, sizeof *result);
}

struct ct_cube pl_result_place(const struct pl_result *result, size_t nodule) {
  const struct ct_cube *cube = &result->cubes[nodule];
  struct ct_cube place = {.edge = cube->edge, .spacing_mm = result->step_mm};
  memcpy(place.centre_mm, cube->centre_mm, sizeof place.centre_mm);
  return place;
}

lc_status pl_result_key(const struct pl_provenance *provenance, const char *input_manifest_sha256,
                        const char *nodule_source_sha256, char hex[LC_SHA256_HEX],
                        struct lc_error *err) {
  struct lc_hash hash;
  LC_TRY(lc_hash_begin(&hash, err));
  char schema[32];
  snprintf(schema, sizeof schema, "lungcdam result %d", PL_STORE_SCHEMA);
  const char *const parts[] = {schema,
                               pl_version(),
                               provenance->configuration_sha256,
                               provenance->weights_sha256,
                               provenance->architecture,
                               provenance->kernels,
                               input_manifest_sha256,
                               nodule_source_sha256};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) lc_hash_add_text(&hash, parts[i]);
  uint8_t digest[LC_SHA256_BYTES];
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  return LC_OK;
}
