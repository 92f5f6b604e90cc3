/* Words for the enumerations of this room. */
#include "ct_cube.h"
#include "ct_mark.h"
#include "ct_series.h"

const char *ct_verdict_name(ct_verdict verdict) {
  static const char *const names[] = {"usable", "repaired", "refused"};
  return names[verdict];
}

const char *ct_rating_name(ct_rating rating) {
  static const char *const names[CT_RATING_COUNT] = {
      "subtlety",   "internalStructure", "calcification", "sphericity", "margin",
      "lobulation", "spiculation",       "texture",       "malignancy"};
  return names[rating];
}

const char *ct_view_name(ct_view view) {
  static const char *const names[CT_VIEW_COUNT] = {"axial", "coronal", "sagittal"};
  return names[view];
}
