/* One CT series: headers only, sorted by geometry, with the verdict on whether it can be used.
 *
 * Coordinates are the patient's, LPS, in millimetres (DICOM PS3.3 C.7.6.2.1.1). Slices are sorted
 * by the projection of ImagePositionPatient on the slice normal, never by file name, InstanceNumber
 * or z alone. docs/series-loading.md lists each situation and what happens.
 *
 * Thread-safety: functions may be called from any thread on distinct objects; a finished series may
 * be read by many threads. */
#ifndef CT_SERIES_H
#define CT_SERIES_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

#define CT_UID_SIZE 65   /* 64 characters, PS3.5 section 9, and the final zero */
#define CT_TEXT_SIZE 256 /* longest header text kept, in UTF-8 */

typedef enum ct_verdict {
  CT_USABLE = 0, /* geometry as the standard asks */
  CT_REPAIRED,   /* usable after a stated rule was applied; `reason` names it */
  CT_REFUSED     /* not usable; `reason` says why */
} ct_verdict;

/* Attributes that tell volumes of one series apart where their positions do not. */
typedef enum ct_slice_key {
  CT_KEY_TIME,  /* TemporalPositionIndex or TemporalPositionIdentifier */
  CT_KEY_STACK, /* StackID */
  CT_KEY_ACQUISITION,
  CT_KEY_KVP,
  CT_KEY_KERNEL,
  CT_KEY_IMAGE_TYPE,
  CT_KEY_COUNT
} ct_slice_key;

struct ct_slice {
  char *path;
  int frame; /* 0-based frame of a multi-frame file; 0 for single-frame */
  char sop_instance_uid[CT_UID_SIZE];
  char sop_class_uid[CT_UID_SIZE];
  char transfer_syntax_uid[CT_UID_SIZE]; /* of a volume file the name of its format */
  long instance_number;
  uint64_t keys[CT_KEY_COUNT]; /* hash of each attribute's value; 0 where it is not given */
  double position_mm[3];       /* centre of the first pixel */
  double along_mm;             /* projection of position_mm on the series' normal */
  double slope, intercept;
  bool rescale_given; /* RescaleIntercept at least; a slope that is not given is 1 */
  bool pixel_signed;
  int bits_allocated, bits_stored, high_bit;
  bool padding_given;
  long padding_low, padding_high; /* stored values, in the signedness of the pixels */
};

struct ct_volume_file;

struct ct_series {
  char patient_id[CT_TEXT_SIZE];
  char patient_name[CT_TEXT_SIZE];
  char patient_issuer[CT_TEXT_SIZE]; /* IssuerOfPatientID */
  char patient_birth_date[17];
  char patient_sex[17];
  char study_id[65];
  char accession_number[65];
  char study_instance_uid[CT_UID_SIZE];
  char series_instance_uid[CT_UID_SIZE];
  char frame_of_reference_uid[CT_UID_SIZE];
  char modality[17];
  char study_date[17];
  char series_description[CT_TEXT_SIZE];
  char series_number[17];
  char manufacturer[CT_TEXT_SIZE];
  char model_name[CT_TEXT_SIZE];
  char convolution_kernel[CT_TEXT_SIZE];
  bool lossy; /* LossyImageCompression "01" or a lossy transfer syntax */

  int rows, columns;
  double pixel_spacing_mm[2]; /* between rows, between columns (PS3.3 10.7.1.3) */
  double slice_spacing_mm;    /* median distance of neighbours along the normal; for one slice its
                                 thickness, or 1 */
  double slice_thickness_mm;  /* 0 when not given */
  double orientation[6];      /* direction cosines of a row, then of a column */
  double normal[3];           /* row x column */

  struct ct_slice *slices; /* sorted by along_mm, ascending */
  size_t n_slices;

  /* A SeriesInstanceUID whose images differ in size, spacing, orientation, kind or (where positions
   * repeat) acquisition is listed as several series, part 1 to n_parts. */
  int part, n_parts;

  ct_verdict verdict;
  char reason[512]; /* why refused or which rule repaired; "" when usable as it is */

  /* Where the voxels come from when not from DICOM: one file (MetaImage, NIfTI, NRRD), in which
   * case the slices are its planes, without UIDs, unless a reference gave them those of its DICOM.
   * NULL for DICOM. Owned. */
  struct ct_volume_file *file;
};

void ct_series_free(struct ct_series *series);

/* Whether the slices are DICOM objects, which others can refer to. */
bool ct_series_has_objects(const struct ct_series *series);
/* Path and format ("MetaImage") of the file that the voxels come from; both NULL for DICOM. */
void ct_series_file(const struct ct_series *series, const char **path, const char **format);

const char *ct_verdict_name(ct_verdict verdict); /* "usable", "repaired", "refused" */
/* Largest deviation from even spacing that counts as even: 0.05 mm and 5 % of the spacing. */
double ct_spacing_tolerance(double spacing_mm);

/* Index of the slice whose SOPInstanceUID is uid, or -1. */
long ct_series_find_sop(const struct ct_series *series, const char *uid);
/* Index of the slice nearest to a patient point along the normal. */
size_t ct_series_nearest_slice(const struct ct_series *series, const double lps_mm[3]);
/* Whether slices are missing in between: holes in the InstanceNumbers, or in the positions of
 * slices that are even otherwise. */
bool ct_series_has_holes(const struct ct_series *series);
/* Whether slices seem to be missing: holes in the InstanceNumbers or in the positions of slices
 * that are even otherwise, or a stack that is too short for lungs. Says in `signs` what it goes by;
 * "" and false when there is no sign, or the geometry was refused before the slices were sorted. */
bool ct_series_seems_incomplete(const struct ct_series *series, char *signs, size_t size);
/* SHA-256 over what says whose study the series is, apart from UIDs: PatientID and its issuer,
 * name, birth date, sex, StudyID and AccessionNumber. It belongs to whatever is made from the
 * series. */
LC_MUST_CHECK lc_status ct_series_identity_hex(const struct ct_series *series, char hex[65],
                                               struct lc_error *err);
/* The first of those attributes in which two series differ, or NULL. */
const char *ct_series_identity_differs(const struct ct_series *a, const struct ct_series *b);
/* SHA-256 over UIDs and geometry of all slices in order, and over the bytes of a volume file:
 * identifies the input in the store. */
LC_MUST_CHECK lc_status ct_series_manifest_hex(const struct ct_series *series, char hex[65],
                                               struct lc_error *err);

LC_API_END
#endif
