/* Writes LidcReadMessage files in the style of TCIA's: same elements, order, namespaces. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/nodule/ct_mark.h"

static void add_escaped(struct lc_text *text, const char *words) {
  for (; *words; words++) switch (*words) {
    case '&':
      lc_text_add(text, "&amp;");
      break;
    case '<':
      lc_text_add(text, "&lt;");
      break;
    case '>':
      lc_text_add(text, "&gt;");
      break;
    case '"':
      lc_text_add(text, "&quot;");
      break;
    default:
      lc_text_add_bytes(text, words, 1);
    }
}

static void add_element(struct lc_text *text, const char *indent, const char *name,
                        const char *words) {
  lc_text_add(text, "%s<%s>", indent, name);
  add_escaped(text, words);
  lc_text_add(text, "</%s>\n", name);
}

static void add_place(struct lc_text *text, const struct ct_outline *outline, const char *indent) {
  lc_text_add(text, "%s<imageZposition>%.6f </imageZposition>\n", indent, outline->z_mm);
  add_element(text, indent, "imageSOP_UID", outline->sop_instance_uid);
}

static void add_points(struct lc_text *text, const struct ct_outline *outline, const char *indent,
                       const char *name) {
  for (size_t i = 0; i < outline->n_points; i++)
    lc_text_add(text, "%s<%s>\n%s  <xCoord>%d</xCoord>\n%s  <yCoord>%d</yCoord>\n%s</%s>\n", indent,
                name, indent, (int)outline->xy[i][0], indent, (int)outline->xy[i][1], indent, name);
}

static void add_nodule(struct lc_text *text, const struct ct_mark *mark) {
  lc_text_add(text, "    <unblindedReadNodule>\n");
  add_element(text, "      ", "noduleID", mark->nodule_id);
  if (mark->has_ratings) {
    lc_text_add(text, "      <characteristics>\n");
    for (int r = 0; r < CT_RATING_COUNT; r++)
      lc_text_add(text, "        <%s>%d</%s>\n", ct_rating_name((ct_rating)r), mark->rating[r],
                  ct_rating_name((ct_rating)r));
    lc_text_add(text, "      </characteristics>\n");
  }
  for (size_t i = 0; i < mark->n_outlines; i++) {
    const struct ct_outline *outline = &mark->outlines[i];
    lc_text_add(text, "      <roi>\n");
    add_place(text, outline, "        ");
    add_element(text, "        ", "inclusion", outline->inclusion ? "TRUE" : "FALSE");
    add_points(text, outline, "        ", "edgeMap");
    lc_text_add(text, "      </roi>\n");
  }
  lc_text_add(text, "    </unblindedReadNodule>\n");
}

static void add_non_nodule(struct lc_text *text, const struct ct_mark *mark) {
  lc_text_add(text, "    <nonNodule>\n");
  add_element(text, "      ", "nonNoduleID", mark->nodule_id);
  for (size_t i = 0; i < mark->n_outlines; i++) {
    add_place(text, &mark->outlines[i], "      ");
    add_points(text, &mark->outlines[i], "      ", "locus");
  }
  lc_text_add(text, "    </nonNodule>\n");
}

static void add_session(struct lc_text *text, const struct ct_annotation *annotation, int session) {
  const char *reader = "anon";
  for (size_t m = 0; m < annotation->n_marks; m++)
    if (annotation->marks[m].session == session && annotation->marks[m].reader[0])
      reader = annotation->marks[m].reader;
  lc_text_add(text, "<readingSession>\n");
  add_element(text, "    ", "annotationVersion", "3.12");
  add_element(text, "    ", "servicingRadiologistID", reader);
  for (size_t m = 0; m < annotation->n_marks; m++) {
    const struct ct_mark *mark = &annotation->marks[m];
    if (mark->session == session && mark->kind != CT_MARK_NON_NODULE) add_nodule(text, mark);
  }
  for (size_t m = 0; m < annotation->n_marks; m++) {
    const struct ct_mark *mark = &annotation->marks[m];
    if (mark->session == session && mark->kind == CT_MARK_NON_NODULE) add_non_nodule(text, mark);
  }
  lc_text_add(text, "  </readingSession>\n");
}

static void add_header(struct lc_text *text, const struct ct_annotation *annotation,
                       const char *uid) {
  lc_text_add(text,
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LidcReadMessage uid=\"%s\" "
              "xmlns=\"http://www.nih.gov\" "
              "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
              "xsi:schemaLocation=\"http://www.nih.gov  "
              "http://troll.rad.med.umich.edu/lidc/LidcReadMessage.xsd\">\n<ResponseHeader>\n",
              uid);
  static const char *const fixed[][2] = {{"Version", "1.8.1"},
                                         {"MessageId", "1"},
                                         {"DateRequest", "2000-01-01"},
                                         {"TimeRequest", "00:00:00"},
                                         {"RequestingSite", "removed"},
                                         {"ServicingSite", "removed"},
                                         {"TaskDescription", "Second unblinded read"},
                                         {"CtImageFile", "removed"}};
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
    add_element(text, "", fixed[i][0], fixed[i][1]);
  add_element(text, "", "SeriesInstanceUid", annotation->series_instance_uid);
  add_element(text, "", "DateService", "2000-01-01");
  add_element(text, "", "TimeService", "00:00:00");
  add_element(text, "", "ResponseDescription", "1 - Reading complete");
  lc_text_add(text, "<StudyInstanceUID>");
  add_escaped(text, annotation->study_instance_uid);
  lc_text_add(text, "</StudyInstanceUID></ResponseHeader>\n");
}

static lc_status check(const struct ct_annotation *annotation, const char *path,
                       struct lc_error *err) {
  if (annotation->is_chest_xray)
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: a chest X-ray reading, expected a CT reading", path);
  for (size_t m = 0; m < annotation->n_marks; m++) {
    const struct ct_mark *mark = &annotation->marks[m];
    if (mark->session < 0 || mark->session >= annotation->n_sessions)
      LC_FAIL(err, LC_ERR_USAGE, "%s: mark %s of session %d, expected 0 to %d", path,
              mark->nodule_id, mark->session, annotation->n_sessions - 1);
    for (size_t i = 0; i < mark->n_outlines; i++)
      if (!isfinite(mark->outlines[i].z_mm))
        LC_FAIL(err, LC_ERR_NUMERIC, "%s: mark %s has an outline without a z position", path,
                mark->nodule_id);
  }
  return LC_OK;
}

lc_status ct_annotation_write(const struct ct_annotation *annotation, const char *path,
                              struct lc_error *err) {
  LC_TRY(check(annotation, path, err));
  char uid[CT_UID_SIZE];
  const char *parts[] = {annotation->series_instance_uid, "annotation"};
  LC_TRY(ct_uid_make(uid, NULL, parts, 2, err));
  struct lc_text text = {0};
  add_header(&text, annotation, uid);
  for (int session = 0; session < annotation->n_sessions; session++)
    add_session(&text, annotation, session);
  lc_text_add(&text, "</LidcReadMessage>\n");
  lc_status status;
  if (text.failed)
    status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  else
    status = lc_file_write(path, text.data, text.length, err);
  lc_text_free(&text);
  return status;
}
