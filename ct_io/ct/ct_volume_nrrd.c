/* NRRD (.nrrd, and .nhdr with its data beside it): https://teem.sourceforge.net/nrrd/format.html.
 * Space and its directions place the voxels; without them nobody knows left from right. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/lc_text.h"
#include "ct_io/ct/ct_volume_fields.h"
#include "ct_io/ct/ct_volume_header.h"

static const char *const endings[] = {".nrrd", ".nhdr", NULL};

struct named_type {
  const char *names[5];
  int bytes;
  bool is_float, is_signed;
};

static const struct named_type types[] = {
    {{"signed char", "int8", "int8_t"}, 1, false, true},
    {{"uchar", "unsigned char", "uint8", "uint8_t"}, 1, false, false},
    {{"short", "short int", "signed short", "int16", "int16_t"}, 2, false, true},
    {{"ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"}, 2, false, false},
    {{"int", "signed int", "int32", "int32_t"}, 4, false, true},
    {{"uint", "unsigned int", "uint32", "uint32_t"}, 4, false, false},
    {{"longlong", "long long", "long long int", "int64", "int64_t"}, 8, false, true},
    {{"ulonglong", "unsigned long long", "uint64", "uint64_t"}, 8, false, false},
    {{"float"}, 4, true, true},
    {{"double"}, 8, true, true},
};

static void read_type(struct ct_volume_header *header, const char *name) {
  lc_text_copy(header->type.name, sizeof header->type.name, name ? name : "(none)");
  for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
    for (size_t k = 0; k < 5 && types[i].names[k]; k++)
      if (strcasecmp(types[i].names[k], name) == 0) {
        header->type.bytes = types[i].bytes;
        header->type.is_float = types[i].is_float;
        header->type.is_signed = types[i].is_signed;
      }
}

/* "(x,y,z)" at the start of a text: where it ends, or NULL. */
static const char *read_vector(const char *text, double out[3]) {
  char number[64];
  if (!text) return NULL;
  text += strspn(text, " \t");
  for (int x = 0; x < 3; x++) {
    if (*text++ != "(,,"[x]) return NULL;
    size_t length = strcspn(text, ",) \t"), blank = strspn(text, " \t");
    if (blank) text += blank, length = strcspn(text, ",) \t");
    if (length >= sizeof number) return NULL;
    memcpy(number, text, length);
    number[length] = '\0';
    if (!lc_text_to_double(number, &out[x])) return NULL;
    text += length;
    text += strspn(text, " \t");
  }
  return *text == ')' ? text + 1 : NULL;
}

/* Place comes from here: ITK before 6 turns left-anterior-superior the wrong way
 * (itkNrrdImageIO.cxx: it negates x, where y runs against LPS). */
static void read_place(struct ct_volume_header *header, const struct ct_fields *fields,
                       const double sign[3]) {
  const char *steps = ct_fields_get(fields, "space directions", NULL, NULL);
  const char *origin = ct_fields_get(fields, "space origin", NULL, NULL);
  if (!steps) {
    ct_volume_refuse(header, "no space directions: sides unknown");
    return;
  }
  if (!origin)
    ct_volume_assume(header, "no space origin: the first voxel taken to lie at 0, 0, 0 mm");
  for (int a = 0; a < 3; a++) steps = read_vector(steps, header->step_mm[a]);
  if (!steps || (origin && !read_vector(origin, header->origin_mm))) {
    ct_volume_refuse(header, "space directions and space origin are not vectors of 3 numbers");
    return;
  }
  for (int x = 0; x < 3; x++) {
    header->origin_mm[x] *= sign[x];
    for (int a = 0; a < 3; a++) header->step_mm[a][x] *= sign[x];
  }
  header->placed = true;
}

static void read_space(struct ct_volume_header *header, const struct ct_fields *fields) {
  static const struct {
    const char *names[2];
    double sign[3]; /* to LPS */
  } known[] = {{{"left-posterior-superior", "LPS"}, {1, 1, 1}},
               {{"right-anterior-superior", "RAS"}, {-1, -1, 1}},
               {{"left-anterior-superior", "LAS"}, {1, -1, 1}}};
  const char *space = ct_fields_get(fields, "space", NULL, NULL);
  const char *units = ct_fields_get(fields, "space units", NULL, NULL);
  if (units && strcmp(units, "\"mm\" \"mm\" \"mm\"") != 0)
    ct_volume_refuse(header, "space units are %s, expected \"mm\" \"mm\" \"mm\"", units);
  for (size_t i = 0; space && i < sizeof known / sizeof *known; i++)
    if (strcasecmp(space, known[i].names[0]) == 0 || strcasecmp(space, known[i].names[1]) == 0) {
      read_place(header, fields, known[i].sign);
      return;
    }
  ct_volume_refuse(header,
                   "%s%s: sides unknown, expected left-posterior-superior, right-anterior-superior "
                   "or left-anterior-superior",
                   space ? "space is " : "no space", space ? space : "");
}

static lc_status read_data(struct ct_volume_header *header, const struct ct_fields *fields,
                           const char *path, struct lc_error *err) {
  const char *encoding = ct_fields_get(fields, "encoding", NULL, NULL);
  const char *name = ct_fields_get(fields, "data file", "datafile", NULL);
  const char *lines = ct_fields_get(fields, "line skip", "lineskip", NULL);
  const char *skip = ct_fields_get(fields, "byte skip", "byteskip", NULL);
  long long bytes = 0;
  if (!encoding) LC_FAIL(err, LC_ERR_FORMAT, "%s: NRRD header without encoding", path);
  header->compressed = strcasecmp(encoding, "raw") != 0;
  if (strcasecmp(encoding, "raw") != 0 && strcasecmp(encoding, "gzip") != 0 &&
      strcasecmp(encoding, "gz") != 0)
    ct_volume_refuse(header, "encoding %s, expected raw or gzip", encoding);
  if (lines && strcmp(lines, "0") != 0)
    ct_volume_refuse(header, "line skip %s, expected none", lines);
  if (name)
    LC_TRY(ct_volume_data_file(header, path, name, err));
  else
    header->data_offset = fields->bytes;
  if (skip && (!lc_text_to_long(skip, &bytes) || bytes < -1))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: byte skip is %s, expected a number of bytes", path, skip);
  header->data_at_end = bytes < 0;
  if (bytes > 0)
    *(header->compressed ? &header->packed_skip : &header->data_offset) += (uint64_t)bytes;
  return LC_OK;
}

static lc_status parse(struct ct_volume_header *header, const struct ct_fields *fields,
                       const char *path, struct lc_error *err) {
  const char *size = ct_fields_get(fields, "sizes", NULL, NULL);
  const char *dims = ct_fields_get(fields, "dimension", NULL, NULL);
  long long sizes[16] = {0}, n = size ? ct_fields_numbers(size, sizes, 16) : -1, named = 0;
  if (n < 0 || !dims || !lc_text_to_long(dims, &named) || named != n)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dimension and sizes do not give the size of an image", path);
  ct_volume_sizes(header, sizes, n);
  read_type(header, ct_fields_get(fields, "type", NULL, NULL));
  read_space(header, fields);
  return read_data(header, fields, path, err);
}

static lc_status read_header(struct ct_volume_header *header, const char *path,
                             struct lc_error *err) {
  struct ct_fields fields;
  LC_TRY(ct_fields_read(&fields, path, ":", NULL, err));
  lc_status status = strncmp(fields.text, "NRRD000", 7) == 0
                         ? parse(header, &fields, path, err)
                         : lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                                   "%s: no NRRD header, expected NRRD000", path);
  ct_fields_free(&fields);
  return status;
}

const struct ct_volume_format ct_volume_format_nrrd = {
    .name = "NRRD", .endings = endings, .read = read_header};
