/* MetaImage (.mhd with its data beside it, .mha with its data behind the header):
 * https://itk.org/Wiki/ITK/MetaIO/Documentation. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/lc_text.h"
#include "ct_io/ct/ct_volume_fields.h"
#include "ct_io/ct/ct_volume_header.h"

static const char *const endings[] = {".mhd", ".mha", NULL};

static const struct ct_voxel_type types[] = {
    {"MET_CHAR", 1, false, true},      {"MET_UCHAR", 1, false, false},
    {"MET_SHORT", 2, false, true},     {"MET_USHORT", 2, false, false},
    {"MET_INT", 4, false, true},       {"MET_UINT", 4, false, false},
    {"MET_LONG", 4, false, true},      {"MET_ULONG", 4, false, false},
    {"MET_LONG_LONG", 8, false, true}, {"MET_ULONG_LONG", 8, false, false},
    {"MET_FLOAT", 4, true, true},      {"MET_DOUBLE", 8, true, true},
};

static bool is_true(const char *value) {
  return value && strchr("Tt1", *value) && *value;
}

static void read_type(struct ct_volume_header *header, const struct ct_fields *fields) {
  const char *name = ct_fields_get(fields, "ElementType", NULL, NULL);
  const char *channels = ct_fields_get(fields, "ElementNumberOfChannels", NULL, NULL);
  lc_text_copy(header->type.name, sizeof header->type.name, name ? name : "(none)");
  for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
    if (strcmp(types[i].name, name) == 0) header->type = types[i];
  if (channels && strcmp(channels, "1") != 0)
    ct_volume_refuse(header, "%s numbers a voxel, a CT volume has one", channels);
}

static void read_scale(struct ct_volume_header *header, const struct ct_fields *fields) {
  static const char *const names[] = {"ElementToIntensityFunctionSlope",
                                      "ElementToIntensityFunctionOffset"};
  for (int i = 0; i < 2; i++) {
    double value;
    const char *text = ct_fields_get(fields, names[i], NULL, NULL);
    if (text && !(lc_text_to_double(text, &value) && value == 1 - i))
      ct_volume_refuse(header, "%s is %s, which is not applied: store Hounsfield units", names[i],
                       text);
  }
}

static void read_place(struct ct_volume_header *header, const struct ct_fields *fields) {
  if (!ct_fields_get(fields, "ElementSpacing", NULL, NULL))
    ct_volume_refuse(header, "no ElementSpacing: millimetres unknown");
  if (!ct_fields_get(fields, "TransformMatrix", "Rotation", "Orientation"))
    ct_volume_assume(header, "no TransformMatrix: axes taken to run to the left, back and head");
  if (!ct_fields_get(fields, "Offset", "Position", "Origin"))
    ct_volume_assume(header, "no Offset: the first voxel taken to lie at 0, 0, 0 mm");
}

/* -1 in HeaderSize: the voxels are the end of the data file. */
static lc_status read_data(struct ct_volume_header *header, const struct ct_fields *fields,
                           const char *path, struct lc_error *err) {
  const char *name = ct_fields_get(fields, "ElementDataFile", NULL, NULL);
  const char *skip = ct_fields_get(fields, "HeaderSize", NULL, NULL);
  const char *packed = ct_fields_get(fields, "CompressedDataSize", NULL, NULL);
  const char *binary = ct_fields_get(fields, "BinaryData", NULL, NULL);
  long long bytes = 0;
  struct stat info;
  header->compressed = is_true(ct_fields_get(fields, "CompressedData", NULL, NULL));
  if (!is_true(binary)) ct_volume_refuse(header, "voxels written as text are not read");
  if (strcasecmp(name, "LOCAL") == 0)
    header->data_offset = fields->bytes;
  else
    LC_TRY(ct_volume_data_file(header, path, name, err));
  if (skip && (!lc_text_to_long(skip, &bytes) || bytes < -1))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: HeaderSize is %s, expected a number of bytes", path, skip);
  header->data_at_end = bytes < 0;
  if (bytes > 0) header->data_offset += (uint64_t)bytes;
  if (!packed) return LC_OK;
  if (stat(header->data_path, &info) != 0 || !lc_text_to_long(packed, &bytes) || bytes < 0 ||
      (uint64_t)bytes + header->data_offset > (uint64_t)info.st_size)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: too short: CompressedDataSize is %s", header->data_path,
            packed);
  return LC_OK;
}

static lc_status parse(struct ct_volume_header *header, const struct ct_fields *fields,
                       const char *path, struct lc_error *err) {
  const char *kind = ct_fields_get(fields, "ObjectType", NULL, NULL);
  const char *size = ct_fields_get(fields, "DimSize", NULL, NULL);
  const char *dims = ct_fields_get(fields, "NDims", NULL, NULL);
  long long sizes[8] = {0}, n = size ? ct_fields_numbers(size, sizes, 8) : -1, named = 0;
  if (kind && strcasecmp(kind, "Image") != 0)
    ct_volume_refuse(header, "ObjectType is %s, expected Image", kind);
  if (n < 0 || !dims || !lc_text_to_long(dims, &named) || named != n)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: NDims and DimSize do not give the size of an image", path);
  ct_volume_sizes(header, sizes, n);
  read_type(header, fields);
  read_scale(header, fields);
  read_place(header, fields);
  return read_data(header, fields, path, err);
}

static lc_status read_header(struct ct_volume_header *header, const char *path,
                             struct lc_error *err) {
  struct ct_fields fields;
  LC_TRY(ct_fields_read(&fields, path, "=:", "ElementDataFile", err));
  lc_status status = parse(header, &fields, path, err);
  ct_fields_free(&fields);
  return status;
}

const struct ct_volume_format ct_volume_format_meta = {
    .name = "MetaImage", .endings = endings, .by_region = true, .read = read_header};
