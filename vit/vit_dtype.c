#include "vit_tensor_file.h"

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
