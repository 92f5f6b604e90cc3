/* Finds, groups and hashes the nodules of a series as the configuration says. */
#include "pipeline/run/pl_nodules.h"

#include <string.h>
#include <unistd.h>

#include "pipeline/run/pl_candidates.h"

lc_status pl_nodules_find(struct ct_nodule_finder *finder, const struct pl_config *config,
                          const struct ct_series *const *at_hand, size_t n_at_hand,
                          struct pl_result *result, struct lc_error *err) {
  const struct ct_series *series = result->series;
  const struct pl_list *reading = &config->nodules_reading;
  const struct ct_grouping grouping = {.in_millimetres = config->nodules_grouping == 1,
                                       .tolerance_mm = config->nodules_tolerance_mm,
                                       .keep_duplicates = pl_list_has(reading, "keep-duplicates")};
  struct ct_nodule_search search = {.series = at_hand,
                                    .n_series = n_at_hand,
                                    .components = pl_list_has(reading, "components"),
                                    .strict = pl_list_has(reading, "strict")};
  char candidates[LC_PATH_SIZE];
  const char *const detected = candidates;
  search.paths = pl_config_nodules(config, &search.n_paths);
  if (pl_config_detects(config)) {
    LC_TRY(pl_candidates_find(config, series, candidates, err));
    ct_nodule_finder_free(finder); /* each series has a file of its own */
    search = (struct ct_nodule_search){
        .paths = &detected, .n_paths = 1, .components = search.components, .strict = search.strict};
  }
  struct ct_annotation *found;
  struct lc_error why;
  lc_status status = ct_nodule_finder_search(finder, &search, series, &found, err);
  if (status == LC_ERR_FORMAT && pl_config_detects(config)) unlink(candidates); /* asked again */
  LC_TRY(status);
  result->nodule_source = found->kinds;
  lc_text_copy(result->nodule_source_path, sizeof result->nodule_source_path, found->path);
  LC_TRY(ct_nodules_from_annotation(&result->nodules, found, series, &grouping, err));
  LC_TRY(ct_annotation_hash(found, result->nodule_source_sha256, err));
  if (result->nodules.n_nodules > 0) return LC_OK;
  if (ct_nodules_unplaced(&result->nodules, &why))
    LC_FAIL(err, LC_ERR_GEOMETRY, "%s: %s", found->path, why.message);
  LC_FAIL(err, LC_ERR_NO_NODULES, "%s: no nodule of 3 mm or more for series %s", found->path,
          series->series_instance_uid);
}
