/* Says of a received series that is no image whether it holds nodules, and of which images. */
#include <dirent.h>
#include <string.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_annotation_set.h"
#include "pipeline/delivery/pl_serve.h"

static void add_uid(struct pl_serve_outcome *outcome, const char *uid) {
  for (size_t i = 0; i < outcome->n_uids; i++)
    if (strcmp(outcome->uids[i], uid) == 0) return;
  if (*uid && outcome->n_uids < PL_OUTCOME_UIDS)
    lc_text_copy(outcome->uids[outcome->n_uids++], CT_UID_SIZE, uid);
}

void pl_serve_identify(const char *folder, struct pl_serve_outcome *outcome) {
  LC_SCOPED(lc_close_folder) DIR *stream = opendir(folder);
  struct ct_identity identity;
  char path[LC_PATH_SIZE];
  struct dirent *entry = stream ? readdir(stream) : NULL;
  for (bool known = false; entry && !known; entry = readdir(stream)) {
    if (entry->d_name[0] == '.' || lc_path_join(path, folder, entry->d_name, NULL) != LC_OK ||
        ct_identity_read(&identity, path, NULL) != LC_OK)
      continue;
    known = true;
    memcpy(outcome->series_instance_uid, identity.series_instance_uid, CT_UID_SIZE);
    memcpy(outcome->study_instance_uid, identity.study_instance_uid, CT_UID_SIZE);
    memcpy(outcome->modality, identity.modality, sizeof outcome->modality);
    bool images = strcmp(identity.modality, "CT") == 0;
    outcome->is = images                                           ? PL_RECEIVED_IMAGES
                  : strcmp(identity.manufacturer, "lungcdam") == 0 ? PL_RECEIVED_OWN
                                                                   : PL_RECEIVED_NODULES;
    if (!images) continue;
    add_uid(outcome, identity.series_instance_uid);
    add_uid(outcome, identity.frame_of_reference_uid);
  }
}

void pl_serve_nodules(const char *series_folder, struct pl_serve_outcome *outcome) {
  LC_SCOPED(ct_annotation_set_free) struct ct_annotation_set set = {0};
  struct lc_error err = {{0}};
  lc_status status = ct_annotation_set_scan(&set, &series_folder, 1, NULL, &err);
  for (size_t i = 0; status == LC_OK && i < set.n_annotations; i++) {
    const struct ct_annotation *one = &set.annotations[i];
    if (one->n_marks + one->n_points == 0) continue;
    outcome->n_marks += one->n_marks + one->n_points;
    add_uid(outcome, one->series_instance_uid);
    add_uid(outcome, one->frame_of_reference_uid);
  }
  if (status == LC_OK && outcome->n_marks == 0 && set.problems.count > 0)
    status = ct_annotation_set_fail(&set, &err);
  /* No source is for objects of this class, or there is nothing in them. */
  if (status == LC_ERR_NOT_FOUND || (status == LC_OK && outcome->n_marks == 0)) {
    outcome->is = PL_RECEIVED_OTHER;
    status = LC_OK;
  }
  outcome->status = status;
  memcpy(outcome->message, err.message, sizeof outcome->message);
}
