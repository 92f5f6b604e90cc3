/* The measurement groups of a report, as content items of a data set: DCMTK's classes of templates
 * have no place in the patient, method, or observer of a group. Raises OutFailure as
 * ct_dicom_out.hpp does. */
#pragma once

#include "ct_io/dicom_write/ct_derived_out.hpp"
#include "ct_io/dicom_write/ct_report.h"

/* Fills the container Imaging Measurements of a TID 1500 report with a group of the model and one
 * of each reader for every nodule. */
void ct_report_add_groups(DcmItem &to, const ct_report &report);
