/* Codes of the measurements and ratings of a report: those of the public DICOM version of LIDC-IDRI
 * (Fedorov et al., Med Phys 47:5953, 2020), with the designator that PS3.16 table 8-1 gives RadLex.
 */
#include <string.h>

#include "ct_io/dicom_write/ct_report.h"

#define LIDC "99LIDCQIICR"
#define MOST 6 /* values of a rating */

static const struct {
  const char *name; /* of the output of a model; NULL: readers alone give it */
  struct ct_code concept;
  const char *scale; /* 64 characters at most */
  struct ct_code values[MOST];
} ratings[CT_RATING_COUNT] = {
    [CT_SUBTLETY] = {"subtlety",
                     {"C45992", "NCIt", "Subtlety score"},
                     "score from 1, extremely subtle, to 5, obvious",
                     {{"101", LIDC, "1 out of 5 (Extremely subtle)"},
                      {"102", LIDC, "2 out of 5 (Moderately subtle)"},
                      {"103", LIDC, "3 out of 5 (Fairly subtle)"},
                      {"104", LIDC, "4 out of 5 (Moderately obvious)"},
                      {"105", LIDC, "5 out of 5 (Obvious)"}}},
    [CT_INTERNAL_STRUCTURE] = {NULL,
                               {"200", LIDC, "Internal structure"},
                               NULL,
                               {{"C12471", "NCIt", "Soft tissue"},
                                {"C25278", "NCIt", "Fluid"},
                                {"C12472", "NCIt", "Adipose tissue"},
                                {"C73434", "NCIt", "Air"}}},
    [CT_CALCIFICATION] = {"calcification",
                          {"C3672", "NCIt", "Calcification"},
                          "score: 1 popcorn, 3 solid, 5 central, 6 absent",
                          {{"RID35453", "RADLEX", "Popcorn calcification sign"},
                           {"302", LIDC, "Laminated appearance"},
                           {"RID5741", "RADLEX", "Solid appearance"},
                           {"304", LIDC, "Non-central appearance"},
                           {"RID5827", "RADLEX", "Central calcification"},
                           {"RID28473", "RADLEX", "Absent"}}},
    [CT_SPHERICITY] = {"sphericity",
                       {"400", LIDC, "Sphericity"},
                       "score from 1, linear, to 5, round",
                       {{"RID5811", "RADLEX", "linear"},
                        {"002", LIDC, "2 out of 5"},
                        {"RID5800", "RADLEX", "ovoid"},
                        {"004", LIDC, "4 out of 5"},
                        {"RID5799", "RADLEX", "round"}}},
    [CT_MARGIN] = {"margin",
                   {"C25563", "NCIt", "Margin"},
                   "score from 1, indistinct, to 5, circumscribed",
                   {{"RID5709", "RADLEX", "Indistinct margin"},
                    {"002", LIDC, "2 out of 5"},
                    {"003", LIDC, "3 out of 5"},
                    {"004", LIDC, "4 out of 5"},
                    {"RID5707", "RADLEX", "Circumscribed margin"}}},
    [CT_LOBULATION] = {"lobulation",
                       {"C62175", "NCIt", "Lobular Pattern"},
                       "score from 1, none, to 5, marked",
                       {{"601", LIDC, "1 out of 5 (No lobulation)"},
                        {"002", LIDC, "2 out of 5"},
                        {"003", LIDC, "3 out of 5"},
                        {"004", LIDC, "4 out of 5"},
                        {"605", LIDC, "5 out of 5 (Marked lobulation)"}}},
    [CT_SPICULATION] = {"spiculation",
                        {"C28749", "NCIt", "Spiculation"},
                        "score from 1, none, to 5, marked",
                        {{"701", LIDC, "1 out of 5 (No spiculation)"},
                         {"002", LIDC, "2 out of 5"},
                         {"003", LIDC, "3 out of 5"},
                         {"004", LIDC, "4 out of 5"},
                         {"705", LIDC, "5 out of 5 (Marked spiculation)"}}},
    [CT_TEXTURE] = {"texture",
                    {"C41144", "NCIt", "Texture"},
                    "score from 1, non-solid, to 5, solid",
                    {{"RID50153", "RADLEX", "non-solid pulmonary nodule"},
                     {"002", LIDC, "2 out of 5"},
                     {"RID50152", "RADLEX", "part-solid pulmonary nodule"},
                     {"004", LIDC, "4 out of 5"},
                     {"RID50151", "RADLEX", "solid pulmonary nodule"}}},
    [CT_MALIGNANCY] = {"malignancy",
                       {"RID36042", "RADLEX", "Malignancy"},
                       "score from 1, highly unlikely, to 5, highly suspicious",
                       {{"901", LIDC, "1 out of 5 (Highly Unlikely for Cancer)"},
                        {"902", LIDC, "2 out of 5 (Moderately Unlikely for Cancer)"},
                        {"903", LIDC, "3 out of 5 (Indeterminate Likelihood)"},
                        {"904", LIDC, "4 out of 5 (Moderately Suspicious for Cancer)"},
                        {"905", LIDC, "5 out of 5 (Highly Suspicious for Cancer)"}}},
};

struct ct_measurement ct_measurement_named(const char *name, double value, bool is_probability) {
  const char *dot = strrchr(name, '.'), *last = dot && dot[1] ? dot + 1 : name;
  if (is_probability && strcmp(last, "malignancy") == 0)
    return (struct ct_measurement){
        {"111047", "DCM", "Probability of cancer"}, {"%", "UCUM", "Percent"}, 100 * value};
  if (strcmp(last, "diameter") == 0)
    return (struct ct_measurement){
        {"81827009", "SCT", "Diameter"}, {"mm", "UCUM", "millimeter"}, value};
  for (int r = 0; r < CT_RATING_COUNT && !is_probability; r++)
    if (ratings[r].name && strcmp(ratings[r].name, last) == 0)
      return (struct ct_measurement){
          ratings[r].concept, {"{score}", "UCUM", ratings[r].scale}, value};
  return (struct ct_measurement){{name, "99LUNGCDAM", name}, {"1", "UCUM", "no units"}, value};
}

bool ct_evaluation_of(struct ct_evaluation *evaluation, ct_rating rating, int value) {
  if (value < 1 || value > MOST || !ratings[rating].values[value - 1].value) return false;
  *evaluation = (struct ct_evaluation){ratings[rating].concept, ratings[rating].values[value - 1]};
  return true;
}
