/* Puts headers into messages, and checks those that come out. Both ends are of one build, so that
 * structs go as they are in memory; their pointers and truth values are looked at as bytes. */
#include "ct_io/dicom_read/ct_answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"

void ct_answer_put_header(struct lc_wire *answer, const struct ct_header_item *item) {
  bool filled = item->kind == CT_FILE_OBJECT || item->kind == CT_FILE_BROKEN;
  size_t n = item->kind == CT_FILE_OBJECT ? item->header.n_frames : 0;
  lc_wire_put_number(answer, (uint64_t)item->kind);
  lc_wire_put_text(answer, item->err.message);
  if (filled) lc_wire_put(answer, &item->header, sizeof item->header);
  if (!filled) return;
  lc_wire_put_number(answer, n);
  lc_wire_put(answer, item->header.frames, n * sizeof *item->header.frames);
}

#define END_TEXT(array) end_text(array, sizeof(array))
static void end_text(char *text, size_t size) {
  text[size - 1] = '\0';
  lc_text_printable(text);
}

/* A truth value of another kind of byte is no bool at all. */
static bool is_bool(const bool *value) {
  unsigned char byte;
  memcpy(&byte, value, 1);
  return byte <= 1;
}

static bool are_finite(const double *values, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(values[i])) return false;
  return true;
}

/* The texts and numbers of a series that a header fills; the rest is empty. */
static bool clean_series(struct ct_header *header) {
  struct ct_series *s = &header->series;
  if (!is_bool(&s->lossy) || !is_bool(&header->is_image) || !is_bool(&header->uid_letters) ||
      !is_bool(&header->sign_given) || !isfinite(header->tilt_degrees))
    return false;
  END_TEXT(s->patient_id);
  END_TEXT(s->patient_name);
  END_TEXT(s->patient_issuer);
  END_TEXT(s->patient_birth_date);
  END_TEXT(s->patient_sex);
  END_TEXT(s->study_id);
  END_TEXT(s->accession_number);
  END_TEXT(s->study_instance_uid);
  END_TEXT(s->series_instance_uid);
  END_TEXT(s->frame_of_reference_uid);
  END_TEXT(s->modality);
  END_TEXT(s->study_date);
  END_TEXT(s->series_description);
  END_TEXT(s->series_number);
  END_TEXT(s->manufacturer);
  END_TEXT(s->model_name);
  END_TEXT(s->convolution_kernel);
  END_TEXT(header->unfit);
  memset(s->pixel_spacing_mm, 0, sizeof s->pixel_spacing_mm);
  memset(s->orientation, 0, sizeof s->orientation);
  memset(s->normal, 0, sizeof s->normal);
  s->slice_spacing_mm = s->slice_thickness_mm = 0;
  s->slices = NULL;
  s->n_slices = 0;
  s->part = s->n_parts = 0;
  s->verdict = CT_USABLE;
  s->reason[0] = '\0';
  s->file = NULL;
  return true;
}

static bool is_padding(long value) {
  return value >= INT16_MIN && value <= UINT16_MAX;
}

static bool clean_frame(struct ct_frame *frame, size_t i, bool fit) {
  struct ct_slice *s = &frame->slice;
  if (!is_bool(&frame->position_given) || !is_bool(&frame->orientation_given) ||
      !is_bool(&frame->spacing_given) || !is_bool(&s->rescale_given) ||
      !is_bool(&s->pixel_signed) || !is_bool(&s->padding_given) ||
      !are_finite(frame->orientation, 6) || !are_finite(frame->pixel_spacing_mm, 2) ||
      !isfinite(frame->thickness_mm) || !are_finite(s->position_mm, 3) || !isfinite(s->slope) ||
      !isfinite(s->intercept) || !is_padding(s->padding_low) || !is_padding(s->padding_high) ||
      s->frame != (int)i)
    return false;
  if (fit && ((s->bits_allocated != 8 && s->bits_allocated != 16) || s->bits_stored < 1 ||
              s->bits_stored > s->bits_allocated || s->high_bit >= s->bits_allocated ||
              s->high_bit < s->bits_stored - 1))
    return false;
  END_TEXT(frame->rescale_type);
  END_TEXT(s->sop_instance_uid);
  END_TEXT(s->sop_class_uid);
  END_TEXT(s->transfer_syntax_uid);
  s->path = NULL;
  s->along_mm = 0;
  return true;
}

/* UIDs name files and folders of results. */
static bool is_object(const struct ct_header *header) {
  const struct ct_series *s = &header->series;
  bool fit = !header->unfit[0];
  return ct_uid_plausible(s->series_instance_uid) &&
         (!s->study_instance_uid[0] || ct_uid_plausible(s->study_instance_uid)) &&
         (!fit || (s->rows > 0 && s->columns > 0 && s->rows <= CT_MAX_SIDE &&
                   s->columns <= CT_MAX_SIDE && header->sign_given));
}

lc_status ct_answer_get_header(struct lc_wire *answer, struct ct_header_item *item,
                               struct lc_error *err) {
  struct ct_header *header = &item->header;
  item->kind = (ct_file_kind)lc_wire_get_number(answer, CT_FILE_OBJECT);
  lc_wire_get_text(answer, item->err.message, sizeof item->err.message);
  if (answer->bad) return lc_helper_nonsense(item->path, err);
  if (item->kind != CT_FILE_OBJECT && item->kind != CT_FILE_BROKEN) return LC_OK;
  lc_wire_get(answer, header, sizeof *header);
  size_t n = (size_t)lc_wire_get_number(answer, CT_MAX_FRAMES);
  header->frames = NULL;
  header->n_frames = 0;
  bool object = item->kind == CT_FILE_OBJECT, fine = clean_series(header);
  if (!fine || answer->bad || object != (n > 0) || (object && !is_object(header)) ||
      !lc_wire_holds(answer, n, sizeof *header->frames)) {
    memset(header, 0, sizeof *header);
    return lc_helper_nonsense(item->path, err);
  }
  if (!object) return LC_OK;
  LC_TRY(lc_alloc(&header->frames, n, sizeof *header->frames, err));
  header->n_frames = n;
  lc_wire_get(answer, header->frames, n * sizeof *header->frames);
  for (size_t i = 0; i < n; i++)
    if (!clean_frame(&header->frames[i], i, !header->unfit[0]))
      return lc_helper_nonsense(item->path, err);
  return LC_OK;
}
