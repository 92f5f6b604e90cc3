/* Names and sizes the number types of tensors and converts floating point ones to float32. */
#include <string.h>

#include "vit/weights/vit_tensor_file.h"

static const struct {
  const char *name;
  size_t size;
} types[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8},
             {"I32", 4}, {"I16", 2}, {"I8", 1},   {"U8", 1},  {"BOOL", 1}};

size_t vit_dtype_size(vit_dtype dtype) {
  return types[dtype].size;
}

const char *vit_dtype_name(vit_dtype dtype) {
  return types[dtype].name;
}

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* IEEE 754 binary16, subnormals, infinities and NaN included. */
static float from_half(uint16_t half) {
  uint32_t sign = (uint32_t)(half >> 15) << 31;
  uint32_t exponent = half >> 10 & 0x1FU, mantissa = half & 0x3FFU;
  if (exponent == 0x1FU) return from_bits(sign | 0x7F800000U | mantissa << 13);
  if (exponent > 0) return from_bits(sign | (exponent + 112U) << 23 | mantissa << 13);
  float value = (float)mantissa * 0x1p-24F;
  return sign ? -value : value;
}

lc_status vit_tensor_to_float(const struct vit_tensor *tensor, float *out, struct lc_error *err) {
  const unsigned char *bytes = tensor->data;
  switch (tensor->dtype) {
  case VIT_F32:
    memcpy(out, bytes, tensor->count * sizeof(float));
    return LC_OK;
  case VIT_F16:
    for (size_t i = 0; i < tensor->count; i++)
      out[i] = from_half((uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8));
    return LC_OK;
  case VIT_BF16:
    for (size_t i = 0; i < tensor->count; i++)
      out[i] = from_bits((uint32_t)bytes[2 * i] << 16 | (uint32_t)bytes[2 * i + 1] << 24);
    return LC_OK;
  case VIT_F64:
    for (size_t i = 0; i < tensor->count; i++) {
      double value;
      memcpy(&value, bytes + 8 * i, sizeof value);
      out[i] = (float)value;
    }
    return LC_OK;
  default:
    LC_FAIL(err, LC_ERR_TENSOR, "tensor \"%s\" holds %s, expected floating point numbers",
            tensor->name ? tensor->name : "?", vit_dtype_name(tensor->dtype));
  }
}
