/* Decodes JPEG 2000 frames from memory with OpenJPEG. */
#include "ct_io/dicom_read/ct_codestream.h"
#include "ct_io/dicom_read/ct_pixels.h"

#include <openjpeg.h>

#include <string.h>

struct memory {
  const uint8_t *bytes;
  size_t length, at;
};

static OPJ_SIZE_T read_bytes(void *out, OPJ_SIZE_T count, void *context) {
  struct memory *memory = context;
  size_t left = memory->length - memory->at;
  if (left == 0) return (OPJ_SIZE_T)-1;
  if (count > left) count = left;
  memcpy(out, memory->bytes + memory->at, count);
  memory->at += count;
  return count;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T count, void *context) {
  struct memory *memory = context;
  if (count < 0) return -1;
  size_t left = memory->length - memory->at;
  size_t step = (uint64_t)count > left ? left : (size_t)count;
  memory->at += step;
  return (OPJ_OFF_T)step;
}

static OPJ_BOOL seek_bytes(OPJ_OFF_T to, void *context) {
  struct memory *memory = context;
  if (to < 0 || (uint64_t)to > memory->length) return OPJ_FALSE;
  memory->at = (size_t)to;
  return OPJ_TRUE;
}

static void keep_last(const char *message, void *context) {
  char *last = context;
  size_t n = strcspn(message, "\r\n");
  if (n > 199) n = 199;
  memcpy(last, message, n);
  last[n] = '\0';
}

static void ignore(const char *message, void *context) {
  (void)message;
  (void)context;
}

static lc_status copy_component(struct ct_cells *cells, const opj_image_t *image, int rows,
                                int columns, const char *name, struct lc_error *err) {
  const opj_image_comp_t *comp = image->comps;
  if (image->numcomps != 1 || comp->w != (OPJ_UINT32)columns || comp->h != (OPJ_UINT32)rows)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: JPEG 2000 image of %u x %u, %u components; expected %d x %d, 1", name, comp->w,
            comp->h, image->numcomps, columns, rows);
  if (comp->prec > 16)
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: JPEG 2000 image of %u bits, at most 16", name,
            comp->prec);
  if (!comp->data) LC_FAIL(err, LC_ERR_FORMAT, "%s: JPEG 2000 image without samples", name);
  for (size_t i = 0; i < cells->count; i++) cells->cell[i] = (uint16_t)comp->data[i];
  cells->precision = (int)comp->prec;
  cells->decoded_signed = comp->sgnd != 0;
  return LC_OK;
}

static lc_status decode(opj_codec_t *codec, opj_stream_t *stream, opj_image_t **image,
                        struct ct_cells *cells, int rows, int columns, const char *name,
                        const char *complaint, struct lc_error *err) {
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE) ||
      !opj_read_header(stream, codec, image))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: JPEG 2000 header cannot be read: %s", name, complaint);
  if (!opj_decode(codec, stream, *image) || !opj_end_decompress(codec, stream))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: JPEG 2000 pixel data cannot be decoded: %s", name, complaint);
  return copy_component(cells, *image, rows, columns, name, err);
}

lc_status ct_jpeg2000_decode(struct ct_cells *cells, const uint8_t *bytes, size_t length, int rows,
                             int columns, const char *name, struct lc_error *err) {
  static const uint8_t box[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
  bool boxed = length > sizeof box && memcmp(bytes, box, sizeof box) == 0;
  struct memory memory = {bytes, length, 0};
  char complaint[200] = "";
  LC_TRY(ct_j2k_check(bytes, length, rows, columns, "JPEG 2000", name, err));
  opj_image_t *image = NULL;
  opj_codec_t *codec = opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
  lc_status status;
  if (!codec || !stream) {
    status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", name);
  } else {
    opj_set_error_handler(codec, keep_last, complaint);
    opj_set_warning_handler(codec, ignore, NULL);
    opj_set_info_handler(codec, ignore, NULL);
    opj_stream_set_user_data(stream, &memory, NULL);
    opj_stream_set_user_data_length(stream, length);
    opj_stream_set_read_function(stream, read_bytes);
    opj_stream_set_skip_function(stream, skip_bytes);
    opj_stream_set_seek_function(stream, seek_bytes);
    status = decode(codec, stream, &image, cells, rows, columns, name, complaint, err);
  }
  if (image) opj_image_destroy(image);
  if (stream) opj_stream_destroy(stream);
  if (codec) opj_destroy_codec(codec);
  return status;
}
