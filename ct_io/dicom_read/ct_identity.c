/* Reads the UIDs, the modality and the PatientID of any DICOM object and refuses UIDs that cannot
 * name a file. */
#include "ct_io/dicom_read/ct_identity.h"
#include "ct_io/ct/ct_uid.h"

#include <string.h>

#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_header.h"

lc_status ct_identity_read(struct ct_identity *identity, const char *path, struct lc_error *err) {
  memset(identity, 0, sizeof *identity);
  struct ct_header header;
  ct_file_kind kind = ct_header_read(&header, path, err);
  if (kind == CT_FILE_OTHER) LC_FAIL(err, LC_ERR_FORMAT, "%s: not a DICOM object", path);
  if (kind == CT_FILE_UNREADABLE) return LC_ERR_NOT_FOUND;
  if (kind == CT_FILE_FAILED) return LC_ERR_MEMORY;
  if (kind != CT_FILE_OBJECT) return LC_ERR_FORMAT;
  const struct ct_series *series = &header.series;
  const struct ct_slice *slice = &header.frames[0].slice;
  memcpy(identity->study_instance_uid, series->study_instance_uid, CT_UID_SIZE);
  memcpy(identity->series_instance_uid, series->series_instance_uid, CT_UID_SIZE);
  memcpy(identity->sop_instance_uid, slice->sop_instance_uid, CT_UID_SIZE);
  memcpy(identity->sop_class_uid, slice->sop_class_uid, CT_UID_SIZE);
  memcpy(identity->frame_of_reference_uid, series->frame_of_reference_uid, CT_UID_SIZE);
  memcpy(identity->manufacturer, series->manufacturer, CT_TEXT_SIZE);
  lc_text_copy(identity->modality, sizeof identity->modality, series->modality);
  memcpy(identity->patient_id, series->patient_id, CT_TEXT_SIZE);
  ct_header_free(&header);
  const struct {
    const char *name, *uid;
  } uids[] = {{"StudyInstanceUID", identity->study_instance_uid},
              {"SeriesInstanceUID", identity->series_instance_uid},
              {"SOPInstanceUID", identity->sop_instance_uid},
              {"SOPClassUID", identity->sop_class_uid}};
  for (size_t i = 0; i < sizeof uids / sizeof *uids; i++)
    if (!ct_uid_plausible(uids[i].uid))
      LC_FAIL(err, LC_ERR_FORMAT, "%s: %s '%s', expected 1 to 64 digits and dots", path,
              uids[i].name, uids[i].uid);
  return LC_OK;
}
