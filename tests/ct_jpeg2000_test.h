/* Encodes one frame as JPEG 2000 with OpenJPEG, without loss. */
#pragma once

#include <openjpeg.h>

#include "tests/ct_dicom_build.h"

static inline OPJ_SIZE_T jpeg2000_write(void *bytes, OPJ_SIZE_T n, void *context) {
  dcm_add(context, bytes, n);
  return n;
}

static inline OPJ_OFF_T jpeg2000_skip(OPJ_OFF_T n, void *context) {
  for (OPJ_OFF_T i = 0; i < n; i++) dcm_number(context, 0, 1, false);
  return n;
}

static inline OPJ_BOOL jpeg2000_seek(OPJ_OFF_T to, void *context) {
  const struct dcm_bytes *out = context;
  return (size_t)to == out->n;
}

/* values[rows * columns] of `precision` bits. */
static inline struct dcm_bytes jpeg2000_encode(const long *values, int rows, int columns,
                                               int precision, bool is_signed) {
  struct dcm_bytes out = {0};
  opj_cparameters_t parameters;
  opj_set_default_encoder_parameters(&parameters);
  parameters.tcp_numlayers = 1;
  parameters.cp_disto_alloc = 1;
  parameters.numresolution = 3;
  opj_image_cmptparm_t part = {.dx = 1,
                               .dy = 1,
                               .w = (OPJ_UINT32)columns,
                               .h = (OPJ_UINT32)rows,
                               .prec = (OPJ_UINT32)precision,
                               .bpp = (OPJ_UINT32)precision,
                               .sgnd = is_signed};
  opj_image_t *image = opj_image_create(1, &part, OPJ_CLRSPC_GRAY);
  assert_non_null(image);
  image->x1 = (OPJ_UINT32)columns;
  image->y1 = (OPJ_UINT32)rows;
  for (int i = 0; i < rows * columns; i++) image->comps[0].data[i] = (OPJ_INT32)values[i];
  opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
  opj_stream_t *stream = opj_stream_default_create(OPJ_FALSE);
  opj_stream_set_user_data(stream, &out, NULL);
  opj_stream_set_write_function(stream, jpeg2000_write);
  opj_stream_set_skip_function(stream, jpeg2000_skip);
  opj_stream_set_seek_function(stream, jpeg2000_seek);
  assert_true(opj_setup_encoder(codec, &parameters, image));
  assert_true(opj_start_compress(codec, image, stream));
  assert_true(opj_encode(codec, stream));
  assert_true(opj_end_compress(codec, stream));
  opj_stream_destroy(stream);
  opj_destroy_codec(codec);
  opj_image_destroy(image);
  return out;
}
