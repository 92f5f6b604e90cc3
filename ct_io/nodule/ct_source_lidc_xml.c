/* The nodule source "LIDC XML": reads LidcReadMessage files with expat, in a helper process where
 * there is one, with one handler for starts, one for ends, and the element's text in between. */
#include "ct_io/nodule/ct_mark.h"

#include <expat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_mark_wire.h"
#include "ct_io/nodule/ct_nodule_source.h"

enum { MAX_DEPTH = 32, MAX_TEXT = 4096 };
static const size_t largest_file = (size_t)64 << 20;
/* Limits of the process that parses (lc_helper.h). A mark or outline is many times its text. */
static const size_t least_memory = (size_t)64 << 20, memory_a_byte = 24;
static const double least_seconds = 1.2, bytes_a_second = 8e6;

struct reader {
  XML_Parser parser;
  struct ct_annotation *annotation;
  int depth, ignored_depth;
  char text[MAX_TEXT];
  size_t text_length;
  bool root_seen, finished;
  char radiologist[64];
  struct ct_mark *mark;       /* the one being read, last of the annotation, or NULL */
  struct ct_outline *outline; /* likewise, last of the mark */
  size_t mark_capacity, outline_capacity, point_capacity;
  int x, y;
  bool x_given, y_given;
  int n_ratings;
  bool spoiled; /* the mark being read has something in it that cannot be read */
  bool failed;
  lc_status status;
  struct lc_error *err;
};

/* expat 2.9 renamed the call. */
static unsigned long current_line(XML_Parser parser) {
#if XML_MAJOR_VERSION > 2 || (XML_MAJOR_VERSION == 2 && XML_MINOR_VERSION >= 9)
  return (unsigned long)XML_GetCurrentLineNumber64(parser);
#else
  return (unsigned long)XML_GetCurrentLineNumber(parser);
#endif
}

__attribute__((format(printf, 3, 4))) static void fail(struct reader *reader, lc_status status,
                                                       const char *fmt, ...) {
  if (reader->failed) return;
  char words[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(words, sizeof words, fmt, args);
  va_end(args);
  reader->failed = true;
  reader->status = lc_fail(reader->err, status, __FILE__, __LINE__, "%s:%lu: %s",
                           reader->annotation->path, current_line(reader->parser), words);
  XML_StopParser(reader->parser, XML_FALSE);
}

/* Costs the mark that is being read, not the file. */
__attribute__((format(printf, 2, 3))) static void spoil(struct reader *reader, const char *fmt,
                                                        ...) {
  char words[256];
  va_list args;
  if (reader->spoiled) return;
  reader->spoiled = true;
  va_start(args, fmt);
  vsnprintf(words, sizeof words, fmt, args);
  va_end(args);
  lc_text_printable(words);
  lc_log(LC_LOG_WARNING, "%s:%lu: %s: the mark is left out", reader->annotation->path,
         current_line(reader->parser), words);
}

/* Makes room for one more element of an array. */
static bool grow(struct reader *reader, void *pointer_to_array, size_t count, size_t *capacity,
                 size_t size) {
  void *array;
  memcpy(&array, pointer_to_array, sizeof array);
  if (count < *capacity) return true;
  size_t larger = *capacity ? 2 * *capacity : 8;
  array = realloc(array, larger * size);
  if (!array) {
    fail(reader, LC_ERR_MEMORY, "out of memory");
    return false;
  }
  memcpy(pointer_to_array, &array, sizeof array);
  *capacity = larger;
  return true;
}

static void begin_mark(struct reader *reader, ct_mark_kind kind) {
  struct ct_annotation *annotation = reader->annotation;
  if (reader->mark) {
    fail(reader, LC_ERR_FORMAT, "a mark inside a mark");
    return;
  }
  if (!grow(reader, &annotation->marks, annotation->n_marks, &reader->mark_capacity,
            sizeof *annotation->marks))
    return;
  reader->mark = &annotation->marks[annotation->n_marks++];
  memset(reader->mark, 0, sizeof *reader->mark);
  reader->mark->kind = kind;
  reader->mark->session = annotation->n_sessions ? annotation->n_sessions - 1 : 0;
  lc_text_copy(reader->mark->reader, sizeof reader->mark->reader, reader->radiologist);
  reader->outline = NULL;
  reader->outline_capacity = 0;
  reader->n_ratings = 0;
  reader->spoiled = false;
}

static void begin_outline(struct reader *reader) {
  struct ct_mark *mark = reader->mark;
  if (!mark || !grow(reader, &mark->outlines, mark->n_outlines, &reader->outline_capacity,
                     sizeof *mark->outlines))
    return;
  reader->outline = &mark->outlines[mark->n_outlines++];
  memset(reader->outline, 0, sizeof *reader->outline);
  reader->outline->inclusion = true;
  reader->point_capacity = 0;
}

static void end_point(struct reader *reader) {
  struct ct_outline *outline = reader->outline;
  if (!outline) return;
  if (!reader->x_given || !reader->y_given) {
    spoil(reader, "a point without xCoord and yCoord");
    return;
  }
  if (!grow(reader, &outline->xy, outline->n_points, &reader->point_capacity, sizeof *outline->xy))
    return;
  outline->xy[outline->n_points][0] = reader->x;
  outline->xy[outline->n_points++][1] = reader->y;
  reader->x_given = reader->y_given = false;
}

static bool outline_open(const struct ct_outline *outline) {
  const int32_t *first = outline->xy[0], *last = outline->xy[outline->n_points - 1];
  return first[0] != last[0] || first[1] != last[1];
}

static void drop_mark(struct reader *reader) {
  struct ct_annotation *annotation = reader->annotation;
  for (size_t i = 0; i < reader->mark->n_outlines; i++) free(reader->mark->outlines[i].xy);
  free(reader->mark->outlines);
  annotation->n_marks--;
  annotation->n_unreadable++;
  reader->mark = NULL;
  reader->outline = NULL;
}

/* A nodule under 3 mm is marked by a single point; everything else is what its outlines say. */
static void end_mark(struct reader *reader) {
  struct ct_mark *mark = reader->mark;
  if (mark && reader->spoiled) drop_mark(reader);
  if (!reader->mark) return;
  size_t most = 0;
  for (size_t i = 0; i < mark->n_outlines; i++)
    if (mark->outlines[i].n_points > most) most = mark->outlines[i].n_points;
  if (mark->kind == CT_MARK_NODULE && most <= 1) mark->kind = CT_MARK_SMALL;
  mark->has_ratings = reader->n_ratings > 0;
  for (int i = 0; mark->has_ratings && i < CT_RATING_COUNT; i++)
    if (mark->rating[i] == 0) mark->faults |= CT_FAULT_RATING_ZERO;
  if (mark->kind == CT_MARK_NODULE) {
    if (!mark->has_ratings) mark->faults |= CT_FAULT_NO_RATINGS;
    for (size_t i = 0; i < mark->n_outlines; i++) {
      const struct ct_outline *outline = &mark->outlines[i];
      if (outline->n_points < 4)
        mark->faults |= CT_FAULT_FEW_POINTS;
      else if (outline_open(outline))
        mark->faults |= CT_FAULT_OPEN_OUTLINE;
    }
  }
  reader->mark = NULL;
  reader->outline = NULL;
}

static void XMLCALL on_start(void *context, const char *name, const char **attributes) {
  struct reader *reader = context;
  (void)attributes;
  reader->text_length = 0;
  if (++reader->depth > MAX_DEPTH) {
    fail(reader, LC_ERR_FORMAT, "elements nested deeper than %d", MAX_DEPTH);
    return;
  }
  if (!reader->root_seen) {
    reader->root_seen = true;
    if (strcmp(name, "IdriReadMessage") == 0) {
      reader->annotation->is_chest_xray = true;
      reader->finished = true;
      XML_StopParser(reader->parser, XML_FALSE);
    } else if (strcmp(name, "LidcReadMessage") != 0) {
      fail(reader, LC_ERR_FORMAT, "root element %.64s, expected LidcReadMessage", name);
    }
    return;
  }
  if (strcmp(name, "readingSession") == 0) {
    reader->annotation->n_sessions++;
    reader->radiologist[0] = '\0';
  } else if (strcmp(name, "unblindedReadNodule") == 0) {
    begin_mark(reader, CT_MARK_NODULE);
  } else if (strcmp(name, "nonNodule") == 0) {
    begin_mark(reader, CT_MARK_NON_NODULE);
    begin_outline(reader);
  } else if (strcmp(name, "roi") == 0) {
    begin_outline(reader);
  } else if (strcmp(name, "edgeMap") == 0 || strcmp(name, "locus") == 0) {
    reader->x_given = reader->y_given = false;
  }
}

static const char *trimmed(struct reader *reader) {
  char *start = reader->text, *end = start + reader->text_length;
  while (start < end && strchr(" \t\r\n", *start)) start++;
  while (end > start && strchr(" \t\r\n", end[-1])) end--;
  *end = '\0';
  return start;
}

static bool to_int(struct reader *reader, const char *name, const char *text, int low, int high,
                   int *value) {
  long long parsed;
  if (lc_text_to_long(text, &parsed) && parsed >= low && parsed <= high) {
    *value = (int)parsed;
    return true;
  }
  spoil(reader, "%s \"%.40s\", expected a whole number from %d to %d", name, text, low, high);
  return false;
}

static void end_outline_field(struct reader *reader, const char *name, const char *text) {
  struct ct_outline *outline = reader->outline;
  if (strcmp(name, "imageZposition") == 0) {
    if (!lc_text_to_double(text, &outline->z_mm))
      spoil(reader, "imageZposition \"%.40s\", expected a number", text);
  } else if (strcmp(name, "imageSOP_UID") == 0) {
    lc_text_copy(outline->sop_instance_uid, sizeof outline->sop_instance_uid, text);
  } else if (strcmp(name, "inclusion") == 0) {
    outline->inclusion = strcasecmp(text, "FALSE") != 0;
  } else if (strcmp(name, "xCoord") == 0) {
    reader->x_given = to_int(reader, name, text, 0, CT_MAX_COORDINATE, &reader->x);
  } else if (strcmp(name, "yCoord") == 0) {
    reader->y_given = to_int(reader, name, text, 0, CT_MAX_COORDINATE, &reader->y);
  } else if (strcmp(name, "edgeMap") == 0 || strcmp(name, "locus") == 0) {
    end_point(reader);
  } else if (strcmp(name, "roi") == 0) {
    reader->outline = NULL;
  }
}

static void end_mark_field(struct reader *reader, const char *name, const char *text) {
  struct ct_mark *mark = reader->mark;
  if (strcmp(name, "noduleID") == 0 || strcmp(name, "nonNoduleID") == 0) {
    lc_text_copy(mark->nodule_id, sizeof mark->nodule_id, text);
    return;
  }
  for (int i = 0; i < CT_RATING_COUNT; i++)
    if (strcmp(name, ct_rating_name((ct_rating)i)) == 0) {
      if (to_int(reader, name, text, 0, CT_MAX_RATING, &mark->rating[i])) reader->n_ratings++;
      return;
    }
}

static void XMLCALL on_end(void *context, const char *name) {
  struct reader *reader = context;
  struct ct_annotation *annotation = reader->annotation;
  const char *text = trimmed(reader);
  reader->depth--;
  if (reader->mark && reader->outline) end_outline_field(reader, name, text);
  if (reader->mark) end_mark_field(reader, name, text);
  if (strcmp(name, "SeriesInstanceUid") == 0)
    lc_text_copy(annotation->series_instance_uid, sizeof annotation->series_instance_uid, text);
  else if (strcmp(name, "StudyInstanceUID") == 0)
    lc_text_copy(annotation->study_instance_uid, sizeof annotation->study_instance_uid, text);
  else if (strcmp(name, "servicingRadiologistID") == 0)
    lc_text_copy(reader->radiologist, sizeof reader->radiologist, text);
  else if (strcmp(name, "unblindedReadNodule") == 0 || strcmp(name, "nonNodule") == 0)
    end_mark(reader);
  reader->text_length = 0;
}

static void XMLCALL on_text(void *context, const char *text, int length) {
  struct reader *reader = context;
  size_t count = (size_t)length;
  if (reader->text_length + count >= MAX_TEXT) {
    fail(reader, LC_ERR_FORMAT, "an element with more than %d characters of text", MAX_TEXT - 1);
    return;
  }
  memcpy(reader->text + reader->text_length, text, count);
  reader->text_length += count;
}

/* A document type may define entities; LIDC files have none, so the whole feature is refused. */
static void XMLCALL on_doctype(void *context, const char *name, const char *system,
                               const char *public, int internal) {
  struct reader *reader = context;
  (void)system;
  (void)public;
  (void)internal;
  fail(reader, LC_ERR_FORMAT, "document type %.64s, expected none", name);
}

static lc_status parse(struct reader *reader, const char *bytes, size_t count) {
  XML_Parser parser = reader->parser;
  XML_SetUserData(parser, reader);
  XML_SetElementHandler(parser, on_start, on_end);
  XML_SetCharacterDataHandler(parser, on_text);
  XML_SetStartDoctypeDeclHandler(parser, on_doctype);
  enum XML_Status parsed = XML_Parse(parser, bytes, (int)count, 1);
  if (reader->failed) return reader->status;
  if (reader->finished) return LC_OK;
  if (parsed != XML_STATUS_OK) {
    fail(reader, LC_ERR_FORMAT, "%s", XML_ErrorString(XML_GetErrorCode(parser)));
    return reader->status;
  }
  if (!reader->annotation->series_instance_uid[0])
    LC_FAIL(reader->err, LC_ERR_FORMAT, "%s: no SeriesInstanceUid in its ResponseHeader",
            reader->annotation->path);
  return LC_OK;
}

static lc_status parse_bytes(struct ct_annotation *annotation, const char *path, const char *bytes,
                             size_t count, struct lc_error *err) {
  struct reader *reader = NULL;
  LC_TRY(lc_alloc(&reader, 1, sizeof *reader, err));
  reader->annotation = annotation;
  reader->err = err;
  reader->parser = XML_ParserCreate(NULL);
  annotation->path = strdup(path);
  lc_status status;
  if (!reader->parser || !annotation->path)
    status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  else
    status = parse(reader, bytes, count);
  if (reader->parser) XML_ParserFree(reader->parser);
  free(reader);
  if (status != LC_OK) ct_annotation_free(annotation);
  return status;
}

/* In the helper process: the bytes come with the request. */
static lc_status run_xml(struct lc_wire *request, struct lc_helper_given *given,
                         struct lc_wire *answer, struct lc_error *err) {
  struct ct_annotation annotation = {0};
  char path[LC_ERROR_SIZE];
  (void)given;
  lc_wire_get_text(request, path, sizeof path);
  LC_TRY(parse_bytes(&annotation, path, (const char *)request->bytes + request->at,
                     request->size - request->at, err));
  ct_annotation_put(answer, &annotation);
  ct_annotation_free(&annotation);
  return LC_OK;
}
const struct lc_helper_task ct_task_lidc_xml = {.name = "lidc_xml", .run = run_xml};

static lc_status ask(struct ct_annotation *annotation, const char *path, const char *bytes,
                     size_t count, bool *served, struct lc_error *err) {
  struct lc_wire request = {0}, answer = {0};
  const struct lc_helper_job job = {.task = "lidc_xml",
                                    .path = path,
                                    .request = &request,
                                    .memory = least_memory + memory_a_byte * count,
                                    .seconds = least_seconds + (double)count / bytes_a_second,
                                    .longest = least_memory + memory_a_byte * count};
  lc_wire_put_path(&request, path, LC_ERROR_SIZE);
  lc_wire_put(&request, bytes, count);
  lc_status status = lc_helper_call(&job, &answer, served, err);
  if (status == LC_OK && *served) status = ct_annotation_get(&answer, annotation, path, err);
  lc_wire_free(&request);
  lc_wire_free(&answer);
  return status;
}

lc_status ct_annotation_read(struct ct_annotation *annotation, const char *path,
                             struct lc_error *err) {
  char *bytes = NULL;
  size_t count = 0;
  bool served;
  memset(annotation, 0, sizeof *annotation);
  LC_TRY(lc_file_read(path, largest_file, &bytes, &count, err));
  lc_status status = ask(annotation, path, bytes, count, &served, err);
  if (status == LC_OK && !served) status = parse_bytes(annotation, path, bytes, count, err);
  free(bytes);
  return status;
}

/* Whatever is named .xml is read, so that one that is no LIDC message is named with its line. */
static bool recognise(const char *path, const char *first, size_t n) {
  size_t at = 0;
  while (at < n && strchr(" \t\r\n", first[at])) at++;
  return ct_path_ends(path, ".xml") || (at < n && first[at] == '<');
}

static lc_status read_file(struct ct_annotations *found, const char *path, struct lc_error *err) {
  struct ct_annotation *annotation;
  LC_TRY(ct_annotations_add(found, &annotation, err));
  return ct_annotation_read(annotation, path, err);
}

const struct ct_nodule_source ct_nodule_source_lidc_xml = {
    .name = "lidc_xml",
    .title = "LIDC XML",
    .doc = "outlines and ratings of LIDC-IDRI's readers (LidcReadMessage), one series a file",
    .recognise = recognise,
    .read = read_file,
};
