/* Has candidates found by the program's own detector or by another program, and keeps them. */
#include "pipeline/run/pl_candidates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/detect/ct_detect.h"
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_files.h"
#include "pipeline/report/pl_progress.h"

/* Changes when other candidates come from the same series. */
#define DETECTOR_VERSION 1

static struct ct_detection detection_of(const struct pl_config *config) {
  struct ct_detection how = CT_DETECTION_DEFAULT;
  how.most_a_lung = (size_t)config->nodules_most_a_lung;
  return how;
}

/* What of a series and of the settings decides the candidates. */
static lc_status name_of(const struct pl_config *config, const struct ct_series *series,
                         char name[LC_SHA256_HEX], struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text key = {0};
  const struct ct_detection how = detection_of(config);
  char manifest[LC_SHA256_HEX];
  LC_TRY(ct_series_manifest_hex(series, manifest, err));
  if (*config->nodules_command)
    lc_text_add(&key, "%s\ncommand %s\n", manifest, config->nodules_command);
  else
    lc_text_add(&key, "%s\ndetector %d: %g to %g mm, %zu\n", manifest, DETECTOR_VERSION,
                how.least_mm, how.most_mm, how.most_a_lung);
  if (key.failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory for the name of candidates");
  return lc_hash_bytes_hex(lc_text_get(&key), key.length, name, err);
}

static lc_status write_rows(const struct ct_candidates *found, const struct ct_series *series,
                            const char *path, struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text rows = {0};
  lc_text_add(&rows, "seriesuid,coordX,coordY,coordZ,diameter_mm,score\n");
  for (size_t i = 0; i < found->count; i++) {
    const struct ct_candidate *one = &found->items[i];
    lc_text_add(&rows, "%s,%.3f,%.3f,%.3f,%.1f,%.3f\n", series->series_instance_uid,
                one->centre_mm[0], one->centre_mm[1], one->centre_mm[2], one->diameter_mm,
                one->score);
  }
  if (rows.failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory for the candidates of a series");
  return lc_file_write(path, lc_text_get(&rows), rows.length, err);
}

static lc_status detect(const struct pl_config *config, const struct ct_series *series,
                        const char *path, struct lc_error *err) {
  LC_SCOPED(ct_volume_free) struct ct_volume volume = {0};
  LC_SCOPED(ct_candidates_free) struct ct_candidates found = {0};
  LC_SCOPED(pl_progress_end) struct pl_progress progress;
  const struct ct_detection how = detection_of(config);
  pl_progress_start(&progress, "reading slices", "slices", series->n_slices);
  LC_TRY(ct_volume_decode(&volume, series, 0, series->n_slices, &progress.progress, err));
  struct lc_error why;
  lc_status status = ct_detect(&found, &volume, &how, &why);
  if (status != LC_OK)
    LC_FAIL(err, status, "series %s: %s", series->series_instance_uid, why.message);
  lc_log(LC_LOG_WARNING,
         "series %s: %zu candidates by a classical method in lungs of %.0f ml: places for review, "
         "not findings",
         series->series_instance_uid, found.count, found.lung_ml);
  if (found.count == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "series %s: the detector found no candidate",
            series->series_instance_uid);
  return write_rows(&found, series, path, err);
}

static lc_status ask_program(const struct pl_config *config, const struct ct_series *series,
                             const char *folder, const char *path, struct lc_error *err) {
  char scratch[LC_PATH_SIZE], file[LC_PATH_SIZE];
  LC_TRY(lc_path_join(scratch, folder, ".command-XXXXXX", err));
  if (!mkdtemp(scratch)) return lc_file_write_error(scratch, errno, err);
  lc_status status = lc_path_join(file, scratch, config->nodules_command_file, err);
  if (status == LC_OK) status = pl_candidates_command(config, series, scratch, file, err);
  if (status == LC_OK && rename(file, path) != 0) status = lc_file_write_error(path, errno, err);
  lc_status removed = lc_folder_remove(scratch, status == LC_OK ? err : NULL);
  return status == LC_OK ? removed : status;
}

lc_status pl_candidates_find(const struct pl_config *config, const struct ct_series *series,
                             char path[LC_PATH_SIZE], struct lc_error *err) {
  const bool own = !*config->nodules_command;
  const char *ending = own ? ".csv" : strchr(config->nodules_command_file, '.');
  char folder[LC_PATH_SIZE], hash[LC_SHA256_HEX], name[128];
  LC_TRY(name_of(config, series, hash, err));
  snprintf(name, sizeof name, "%.64s-%.12s%.32s", series->series_instance_uid, hash,
           ending ? ending : "");
  LC_TRY(lc_path_join(folder, config->output_folder, PL_CANDIDATES_FOLDER, err));
  LC_TRY(lc_folder_make(folder, err));
  LC_TRY(lc_path_join(path, folder, name, err));
  if (lc_file_exists(path)) {
    lc_log(LC_LOG_INFO, "%s: kept", path);
    return LC_OK;
  }
  return own ? detect(config, series, path, err) : ask_program(config, series, folder, path, err);
}

static lc_status is_source(const struct pl_result *result, const char *path, bool *found,
                           struct lc_error *err) {
  char hash[LC_SHA256_HEX];
  LC_TRY(lc_hash_file_hex(path, hash, err));
  *found = strcmp(hash, result->nodule_source_sha256) == 0;
  return LC_OK;
}

lc_status pl_candidates_of_result(const struct pl_result *result, const char *folder,
                                  char path[LC_PATH_SIZE], bool *found, struct lc_error *err) {
  LC_SCOPED(ct_files_free) struct ct_files files = {0};
  char candidates[LC_PATH_SIZE];
  *found = false;
  LC_TRY(lc_path_join(candidates, folder, "../" PL_CANDIDATES_FOLDER, err));
  if (!lc_folder_exists(candidates)) return LC_OK;
  LC_TRY(ct_files_walk(&files, candidates, NULL, NULL, err));
  for (size_t i = 0; i < files.count && !*found; i++) {
    LC_TRY(is_source(result, files.paths[i], found, err));
    if (*found) lc_text_copy(path, LC_PATH_SIZE, files.paths[i]);
  }
  return LC_OK;
}
