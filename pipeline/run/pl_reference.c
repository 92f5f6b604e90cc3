/* Finds the DICOM of volume files and makes their series refer to it. */
#include "pipeline/run/pl_reference.h"

#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume_file.h"

static lc_status refer(struct ct_series *series, const struct ct_index *references,
                       const char *folder, struct lc_error *err) {
  const struct ct_series *reference;
  lc_status status = ct_index_choose(references, series->series_instance_uid, &reference, err);
  if (status == LC_ERR_NOT_FOUND) status = ct_index_choose(references, NULL, &reference, err);
  if (status != LC_OK) {
    lc_error_prefix(err, "--reference %s", folder);
    return status;
  }
  if (!ct_series_has_objects(reference))
    LC_FAIL(err, LC_ERR_NO_DICOM, "--reference %s: no DICOM series among %zu series", folder,
            references->n_series);
  char own[CT_UID_SIZE];
  lc_text_copy(own, sizeof own, series->series_instance_uid);
  LC_TRY(ct_volume_file_refer(series, reference, err));
  lc_log(LC_LOG_INFO, "volume %s: refers to DICOM series %s", own, series->series_instance_uid);
  return LC_OK;
}

static lc_status refer_all(struct ct_index *index, const struct ct_series *const *series, size_t n,
                           const struct ct_index *references, const char *folder,
                           struct lc_error *err) {
  size_t volumes = 0;
  for (size_t i = 0; i < n; i++) {
    struct ct_series *own = &index->series[series[i] - index->series];
    struct lc_error why;
    if (!own->file || own->verdict == CT_REFUSED) continue;
    volumes++;
    lc_status status = refer(own, references, folder, &why);
    if (status == LC_OK) continue;
    if (n == 1 || status == LC_ERR_MEMORY) {
      if (err) *err = why;
      return status;
    }
    lc_log(LC_LOG_ERROR, "%s (%s)", why.message, lc_status_name(status));
    own->verdict = CT_REFUSED;
    lc_text_copy(own->reason, sizeof own->reason, why.message);
  }
  if (volumes == 0)
    lc_log(LC_LOG_WARNING, "--reference %s: no volume file among the series, not used", folder);
  return LC_OK;
}

lc_status pl_reference_apply(const char *folder, struct ct_index *index,
                             const struct ct_series *const *series, size_t n,
                             struct lc_error *err) {
  struct ct_index references;
  if (!*folder) return LC_OK;
  LC_TRY(ct_index_scan(&references, &folder, 1, NULL, NULL, err));
  lc_status status = refer_all(index, series, n, &references, folder, err);
  ct_index_free(&references);
  return status;
}
