/* Measurement reports: valid, reproducible, with the numbers, codes and references given. */
#include "tests/ct_dicom_test.h"

#include <math.h>

#include "ct_io/dicom_write/ct_report.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "tests/ct_source_test.h"

static const size_t slices[3] = {0, 1, 2};
static const struct ct_reference segmentation = {"1.2.840.10008.5.1.4.1.1.66.4", "2.25.4002",
                                                 "2.25.4001"};
static const struct ct_reference capture = {"1.2.840.10008.5.1.4.1.1.7", "2.25.5002", "2.25.5001"};
static struct ct_measurement measurements[11];
static struct ct_opinion opinions[2];

static struct ct_report make(struct ct_finding *findings) {
  static const char *names[] = {"malignancy",
                                "biomarkers.subtlety",
                                "biomarkers.calcification",
                                "biomarkers.margin",
                                "biomarkers.lobulation",
                                "biomarkers.spiculation",
                                "biomarkers.diameter",
                                "biomarkers.texture",
                                "biomarkers.sphericity",
                                "head.3"};
  for (size_t i = 0; i < 10; i++)
    measurements[i] = ct_measurement_named(names[i], 0.8125 + (double)i, i == 0);
  opinions[0] = (struct ct_opinion){.reader = "Reader 1"};
  opinions[1] = (struct ct_opinion){.reader = "Reader 4"};
  for (int r = 0; r < CT_RATING_COUNT; r++) /* the last rating of each scale, and 3 */
    for (int k = 0; k < 2; k++)
      opinions[k].n_evaluations +=
          ct_evaluation_of(&opinions[k].evaluations[opinions[k].n_evaluations], (ct_rating)r,
                           k                            ? 3
                           : r == CT_CALCIFICATION      ? 6
                           : r == CT_INTERNAL_STRUCTURE ? 4
                                                        : 5);
  findings[0] =
      (struct ct_finding){.tracking_id = "nodule-1",
                          .tracking_uid = "2.25.6001",
                          .measurements = measurements,
                          .n_measurements = 10,
                          .comment = "Averaged over three views, \303\251tude \342\206\222",
                          .opinions = opinions,
                          .n_opinions = 2,
                          .segmentation = &segmentation,
                          .segment_number = 2};
  findings[1] = (struct ct_finding){.tracking_id = "nodule-2",
                                    .tracking_uid = "2.25.6002",
                                    .centre_mm = {-40.5, 12.25, -117},
                                    .measurements = measurements,
                                    .n_measurements = 1};
  struct ct_report report = {.about = derived_test_object(slices, 3),
                             .model_name = "vit_small_patch8",
                             .model_version = "0123456789abcdef, untrained",
                             .parameters = "mean of three views",
                             .findings = findings,
                             .n_findings = 2,
                             .evidence = &capture,
                             .n_evidence = 1};
  report.about.series_number = 9500;
  return report;
}

static void test_valid(void **state) {
  (void)state;
  need_program("dciodvfy");
  struct ct_finding findings[2];
  struct ct_report report = make(findings);
  const char *path = source_test_path("report.dcm");
  assert_ok(ct_report_write(&report, path, &test_err));
  assert_valid_dicom(path, "Comprehensive3DSR");
  report.n_findings = 1;
  findings[0].segmentation = NULL;
  findings[0].comment = NULL;
  report.n_evidence = 0;
  path = source_test_path("plain.dcm");
  assert_ok(ct_report_write(&report, path, &test_err));
  assert_valid_dicom(path, "Comprehensive3DSR");
}

/* What dsrdump, DCMTK's own reader of reports, makes of it. */
static void test_read_back(void **state) {
  (void)state;
  need_program("dsrdump");
  struct ct_finding findings[2];
  struct ct_report report = make(findings);
  const char *path = source_test_path("report.dcm");
  assert_ok(ct_report_write(&report, path, &test_err));
  static char text[1 << 16];
  char command[4300];
  snprintf(command, sizeof command, "dsrdump +Pc +Pl '%s'", path);
  assert_int_equal(run_command(command, text, sizeof text), 0);
  const char *expected[] = {
      "(126000,DCM,\"Imaging Measurement Report\")",
      "TEXT:(112039,DCM,\"Tracking Identifier\")=\"nodule-1\"",
      "=\"2.25.6001\"",
      "(27925004,SCT,\"Nodule\")",
      "NUM:(111047,DCM,\"Probability of cancer\")=\"81.25\" (%,UCUM,\"Percent\")",
      "CODE:(370129005,SCT,\"Measurement Method\")=(predicted,99LUNGCDAM,",
      "NUM:(81827009,SCT,\"Diameter\")=\"6.8125\" (mm,UCUM,\"millimeter\")",
      "NUM:(C28749,NCIt,\"Spiculation\")=\"5.8125\" ({score},UCUM,\"score from 1, none, to 5,",
      "NUM:(400,99LIDCQIICR,\"Sphericity\")=\"8.8125\"",
      "NUM:(head.3,99LUNGCDAM,\"head.3\")=\"9.8125\"",
      "TEXT:(111001,DCM,\"Algorithm Name\")=\"vit_small_patch8\"",
      "TEXT:(111003,DCM,\"Algorithm Version\")=\"0123456789abcdef, untrained\"",
      "TEXT:(111002,DCM,\"Algorithm Parameters\")=\"mean of three views\"",
      "SCOORD3D:(111030,DCM,\"Image Region\")=(POINT,,-40.5/12.25/-117)",
      "PNAME:(121008,DCM,\"Person Observer Name\")=\"Reader 4\"",
      "CODE:(C3672,NCIt,\"Calcification\")=(RID28473,RADLEX,\"Absent\")",
      "CODE:(C25563,NCIt,\"Margin\")=(003,99LIDCQIICR,\"3 out of 5\")",
      "CODE:(200,99LIDCQIICR,\"Internal structure\")=(C73434,NCIt,\"Air\")",
      "\"Research use only. Not for diagnosis.\"",
      "\"Averaged over three views, \303\251tude \342\206\222\"",
  };
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    if (!strstr(text, expected[i])) fail_msg("no %s in:\n%s", expected[i], text);
}

static void test_references(void **state) {
  (void)state;
  need_program("dcmdump");
  struct ct_finding findings[2];
  struct ct_report report = make(findings);
  const char *path = source_test_path("report.dcm");
  assert_ok(ct_report_write(&report, path, &test_err));
  /* evidence and content: slices, segmentation; evidence alone: the capture */
  for (size_t i = 0; i < 3; i++)
    assert_int_equal(dicom_count(path, source_test_series()->slices[i].sop_instance_uid), 2);
  assert_int_equal(dicom_count(path, "[2.25.4002]"), 1 + 3); /* by the model and two readers */
  assert_int_equal(dicom_count(path, "[2.25.5002]"), 1);
  assert_int_equal(dicom_count(path, "[2.25.1000]"), 3); /* the study, of the object and twice */
  assert_string_equal(dicom_value(path, "ReferencedSegmentNumber"), "2");
  assert_string_equal(dicom_value(path, "ReferencedFrameOfReferenceUID"), "2.25.1002");
  assert_string_equal(dicom_value(path, "PatientID"), "PHANTOM-0007");
  assert_string_equal(dicom_value(path, "ContentTime"), "101112");
}

static void test_same_bytes(void **state) {
  (void)state;
  struct ct_finding findings[2];
  struct ct_report report = make(findings);
  const char *paths[2] = {source_test_path("a.dcm"), source_test_path("b.dcm")};
  char *bytes[2];
  size_t counts[2];
  for (int i = 0; i < 2; i++) {
    assert_ok(ct_report_write(&report, paths[i], &test_err));
    assert_ok(lc_file_read(paths[i], 1 << 20, &bytes[i], &counts[i], &test_err));
    if (i == 0) sleep(1);
  }
  assert_int_equal(counts[0], counts[1]);
  assert_memory_equal(bytes[0], bytes[1], counts[0]);
  free(bytes[0]);
  free(bytes[1]);
}

/* A value outside a scale is none: 0 is "not given". */
static void test_scales(void **state) {
  (void)state;
  struct ct_evaluation evaluation;
  for (int r = 0; r < CT_RATING_COUNT; r++) {
    int most = r == CT_CALCIFICATION ? 6 : r == CT_INTERNAL_STRUCTURE ? 4 : 5;
    for (int value = -1; value < 9; value++)
      assert_int_equal(ct_evaluation_of(&evaluation, (ct_rating)r, value),
                       value >= 1 && value <= most);
  }
  assert_string_equal(ct_measurement_named("malignancy", 3, false).quantity.value, "RID36042");
}

static void test_refusals(void **state) {
  (void)state;
  struct ct_finding findings[2];
  struct ct_report report = make(findings);
  const char *path = source_test_path("refused.dcm");
  measurements[0].value = NAN;
  assert_fails(ct_report_write(&report, path, &test_err), LC_ERR_NUMERIC,
               "finding 1: Probability of cancer is not a number");
  report = make(findings);
  findings[1].tracking_uid = "";
  assert_fails(ct_report_write(&report, path, &test_err), LC_ERR_USAGE, "finding 2 needs");
  report = make(findings);
  report.n_findings = 0;
  assert_fails(ct_report_write(&report, path, &test_err), LC_ERR_USAGE, "needs a finding");
  assert_false(lc_file_exists(path));
}

/* Read as a source of nodules: readers' groups are of the segment that they name, a point is a
 * point. */
static void test_source_of_nodules(void **state) {
  (void)state;
  struct ct_finding findings[2];
  struct ct_report report = make(findings);
  const struct ct_nodule_source *source;
  struct ct_annotations found = {0};
  const char *path = source_test_path("report.dcm");
  assert_ok(ct_report_write(&report, path, &test_err));
  assert_ok(ct_nodule_source_of(&source, path, &test_err));
  assert_string_equal(source->name, "report");
  assert_ok(source->read(&found, path, &test_err));
  assert_int_equal(found.n, 2); /* the segment names the series alone, the point its frame too */
  for (size_t i = 0; i < 2; i++)
    assert_string_equal(found.items[i].series_instance_uid,
                        report.about.source->series_instance_uid);
  assert_int_equal(found.items->n_marks, 3);
  for (size_t i = 0, m = 0; i < 3; i++) {
    const struct ct_mark *mark = &found.items->marks[i];
    assert_string_equal(mark->nodule_id, "nodule-1");
    if (!mark->has_ratings) continue; /* predictions are no ratings */
    assert_string_equal(mark->reader, m ? "Reader 4" : "Reader 1");
    assert_string_equal(mark->region->segmentation_uid, segmentation.sop_instance_uid);
    assert_int_equal(mark->region->segment, 2);
    for (int r = 0; r < CT_RATING_COUNT; r++)
      assert_int_equal(mark->rating[r], m                            ? 3
                                        : r == CT_CALCIFICATION      ? 6
                                        : r == CT_INTERNAL_STRUCTURE ? 4
                                                                     : 5);
    assert_in_range(++m, 1, 2);
  }
  assert_int_equal(found.items[1].n_points, 1);
  const double *at = found.items[1].points[0].centre_mm;
  for (int c = 0; c < 3; c++) assert_near(at[c], findings[1].centre_mm[c], 1e-4);
  ct_annotations_free(&found);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid),
      cmocka_unit_test(test_read_back),
      cmocka_unit_test(test_source_of_nodules),
      cmocka_unit_test(test_references),
      cmocka_unit_test(test_same_bytes),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_scales),
  };
  return cmocka_run_group_tests(tests, source_test_make, source_test_remove);
}
