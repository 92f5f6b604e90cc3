/* Finds the format of a volume file by its name, and checks what its header asks for: sizes, type,
 * and the file of the voxels. */
#include "ct_io/ct/ct_volume_header.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/lc_text.h"

#define FORMATS(ENTRY)                                                                             \
  ENTRY(meta)                                                                                      \
  ENTRY(nifti)                                                                                     \
  ENTRY(nrrd)
#define DECLARE(name) extern const struct ct_volume_format ct_volume_format_##name;
FORMATS(DECLARE)
#define POINT(name) &ct_volume_format_##name,
static const struct ct_volume_format *const formats[] = {FORMATS(POINT)};
#define NUMBER(name) NUMBER_##name,
enum { FORMATS(NUMBER) N_FORMATS };

const struct ct_volume_format *ct_volume_format_of(const char *path, size_t *ending) {
  size_t length = strlen(path);
  for (size_t i = 0; i < N_FORMATS; i++)
    for (const char *const *end = formats[i]->endings; *end; end++) {
      size_t at = strlen(*end);
      if (at >= length || strcasecmp(path + length - at, *end) != 0) continue;
      if (ending) *ending = length - at;
      return formats[i];
    }
  return NULL;
}

void ct_volume_refuse(struct ct_volume_header *header, const char *fmt, ...) {
  va_list args;
  if (header->refusal[0]) return;
  va_start(args, fmt);
  vsnprintf(header->refusal, sizeof header->refusal, fmt, args);
  va_end(args);
}

void ct_volume_assume(struct ct_volume_header *header, const char *fmt, ...) {
  size_t used = strlen(header->repair);
  va_list args;
  if (used) {
    lc_text_copy(header->repair + used, sizeof header->repair - used, "; ");
    used = strlen(header->repair);
  }
  va_start(args, fmt);
  vsnprintf(header->repair + used, sizeof header->repair - used, fmt, args);
  va_end(args);
}

void ct_volume_sizes(struct ct_volume_header *header, const long long *sizes, long long n) {
  if (n < 3 || n > 7) {
    ct_volume_refuse(header, "%lld dimensions, a volume has 3", n);
    return;
  }
  for (int a = 0; a < 3; a++) {
    long long most = a == 2 ? CT_VOLUME_SLICES : CT_VOLUME_SIDE;
    if (sizes[a] < 1 || sizes[a] > most)
      ct_volume_refuse(header, "size %lld along axis %d, expected 1 to %lld", sizes[a], a + 1,
                       most);
    else
      header->size[a] = (size_t)sizes[a];
  }
  for (long long a = 3; a < n; a++)
    if (sizes[a] != 1)
      ct_volume_refuse(header, "%lld volumes along axis %lld, expected one", sizes[a], a + 1);
}

lc_status ct_volume_data_file(struct ct_volume_header *header, const char *path, const char *name,
                              struct lc_error *err) {
  const char *slash = strrchr(path, '/');
  char folder[LC_PATH_SIZE] = ".", joined[LC_PATH_SIZE];
  if (slash) lc_text_copy(folder, sizeof folder, path);
  if (slash) folder[slash == path ? 1 : slash - path] = '\0';
  if (strcmp(name, "LIST") == 0 || strncmp(name, "LIST ", 5) == 0 || strchr(name, '%'))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: names several data files (%s), expected one", path, name);
  bool up = false;
  for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
    up |= strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0');
  if (*name == '/' || up)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: data file %s lies outside its folder", path, name);
  LC_TRY(lc_path_join(joined, folder, name, err));
  char *home = realpath(folder, NULL), *target = realpath(joined, NULL);
  size_t length = home ? strlen(home) : 0;
  if (length == 1) length = 0; /* the root */
  lc_status status = LC_OK;
  if (!home || !target)
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: data file %s: %s", path, name,
                     strerror(errno));
  else if (strncmp(home, target, length) != 0 || target[length] != '/')
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                     "%s: data file %s lies outside its folder", path, name);
  if (status == LC_OK) lc_text_copy(header->data_path, sizeof header->data_path, joined);
  free(home);
  free(target);
  return status;
}

/* The lowest value that the type can give must be air. */
static void judge_type(struct ct_volume_header *header) {
  const struct ct_voxel_type *type = &header->type;
  if (type->bytes == 0) {
    ct_volume_refuse(header, "voxels of type %s, expected one number each", type->name);
    return;
  }
  if (type->is_float) return;
  if (type->bytes > 4) {
    ct_volume_refuse(header, "voxels of type %s, expected 16 or 32 bits, or floats", type->name);
    return;
  }
  double states = ldexp(1, 8 * type->bytes), low = type->is_signed ? -states / 2 : 0;
  double a = header->slope * low, b = header->slope * (low + states - 1);
  if (fmin(a, b) + header->intercept >= -500)
    ct_volume_refuse(header, "voxels of type %s cannot hold Hounsfield units of air", type->name);
}

/* Deflate packs at most 1032 bytes into one. */
static const uint64_t most_packed = 1100;

static lc_status check_data(const struct ct_volume_header *header, const char *path,
                            struct lc_error *err) {
  struct stat info;
  if (stat(header->data_path, &info) != 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: data file %s: %s", path, header->data_path, strerror(errno));
  if (!S_ISREG(info.st_mode))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: data file %s is no file", path, header->data_path);
  uint64_t needed = (uint64_t)header->type.bytes, there = (uint64_t)info.st_size;
  for (int a = 0; a < 3; a++) needed *= header->size[a];
  there = there > header->data_offset ? there - header->data_offset : 0;
  if (there < (header->compressed ? needed / most_packed : needed))
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: too short: %llu bytes%s, expected %llu for %zu x %zu x %zu voxels of type %s",
            header->data_path, (unsigned long long)there, header->compressed ? " compressed" : "",
            (unsigned long long)needed, header->size[0], header->size[1], header->size[2],
            header->type.name);
  if (!header->compressed && there > needed && !header->data_at_end)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: too long: %llu bytes, expected %llu for %zu x %zu x %zu voxels of type %s: the "
            "header is another file's, or does not say where they start",
            header->data_path, (unsigned long long)there, (unsigned long long)needed,
            header->size[0], header->size[1], header->size[2], header->type.name);
  return LC_OK;
}

void ct_volume_judge_place(struct ct_volume_header *header) {
  for (int a = 0; a < 3; a++) {
    const double *step = header->step_mm[a], *next = header->step_mm[(a + 1) % 3];
    double length = sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2]);
    double other = sqrt(next[0] * next[0] + next[1] * next[1] + next[2] * next[2]);
    if (!(length > 0.01 && length < 20))
      ct_volume_refuse(header, "spacing %g mm, expected 0.01 to 20", length);
    else if (!(fabs(step[0] * next[0] + step[1] * next[1] + step[2] * next[2]) <
               1e-3 * length * other))
      ct_volume_refuse(header,
                       "axes that are not perpendicular: resample it on a straight grid, or "
                       "give the DICOM");
    if (!(fabs(header->origin_mm[a]) < 1e5))
      ct_volume_refuse(header, "first voxel at %g mm is not a place in a scanner",
                       header->origin_mm[a]);
  }
}

static lc_status read_any(struct ct_volume_header *header, const char *path, struct lc_error *err) {
  *header = (struct ct_volume_header){.format = ct_volume_format_of(path, NULL), .slope = 1};
  if (!header->format) LC_FAIL(err, LC_ERR_FORMAT, "%s: not the name of a volume file", path);
  if (strlen(path) >= LC_PATH_SIZE) LC_FAIL(err, LC_ERR_FORMAT, "%.200s...: name too long", path);
  lc_text_copy(header->data_path, sizeof header->data_path, path);
  return header->format->read(header, path, err);
}

lc_status ct_volume_header_read(struct ct_volume_header *header, const char *path,
                                struct lc_error *err) {
  LC_TRY(read_any(header, path, err));
  judge_type(header);
  return header->refusal[0] ? LC_OK : check_data(header, path, err);
}

lc_status ct_volume_header_read_labels(struct ct_volume_header *header, const char *path,
                                       struct lc_error *err) {
  LC_TRY(read_any(header, path, err));
  if (header->type.bytes == 0)
    ct_volume_refuse(header, "voxels of type %s, expected one number each", header->type.name);
  if (header->refusal[0]) LC_FAIL(err, LC_ERR_FORMAT, "%s: %s", path, header->refusal);
  return check_data(header, path, err);
}
