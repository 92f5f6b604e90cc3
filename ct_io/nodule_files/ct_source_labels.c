/* The nodule source "label volume": MetaImage, NIfTI or NRRD, in which each value above 0 is a
 * nodule. In 3D Slicer's .seg.nrrd
 * (https://apidocs.slicer.org/main/classvtkMRMLSegmentationStorageNode.html) values have names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "ct_io/nodule/ct_region.h"

enum { MOST_NODULES = 1000, MOST_HEADER = 65536 };

/* Where the voxels of one value are. */
struct box {
  size_t low[3], high[3], n;
};

/* The lines "Segment0_Name:=..." of a .seg.nrrd. */
struct names {
  char *text; /* the header, its lines ended by zeros; NULL where there is none */
  size_t size;
};

static bool recognise(const char *path, const char *first, size_t n) {
  (void)first;
  return n == 0 ? ct_label_volume_of_nodules(path) : ct_volume_file_named(path);
}

static lc_status read_names(struct names *names, const char *path, struct lc_error *err) {
  if (!ct_path_ends(path, ".seg.nrrd")) return LC_OK;
  LC_TRY(lc_alloc(&names->text, MOST_HEADER + 1, 1, err));
  FILE *file = fopen(path, "rb");
  if (!file) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read", path);
  names->size = fread(names->text, 1, MOST_HEADER, file);
  fclose(file);
  for (size_t i = 0; i < names->size; i++) {
    bool ends =
        names->text[i] == '\n' && i > 0 && (names->text[i - 1] == '\n' || !names->text[i - 1]);
    if (names->text[i] == '\n' || names->text[i] == '\r') names->text[i] = '\0';
    if (ends) names->size = i; /* the blank line that ends the header */
  }
  return LC_OK;
}

/* The value of "SegmentN_KEY:=", or NULL. */
static const char *find(const struct names *names, int segment, const char *key) {
  char line[64];
  int length = snprintf(line, sizeof line, "Segment%d_%s:=", segment, key);
  for (size_t i = 0; i < names->size; i += strlen(names->text + i) + 1)
    if (strncmp(names->text + i, line, (size_t)length) == 0) return names->text + i + length;
  return NULL;
}

/* The segment of a value, or -1. */
static int segment_of(const struct names *names, int value) {
  const char *text;
  long long found;
  for (int s = 0; (text = find(names, s, "LabelValue")) != NULL; s++)
    if (lc_text_to_long(text, &found) && found == value) return s;
  return -1;
}

static void name_mark(char out[64], const struct names *names, int value) {
  int segment = segment_of(names, value);
  const char *name = segment >= 0 ? find(names, segment, "Name") : NULL;
  snprintf(out, 64, "label %d", value);
  if (name && *name) lc_text_copy(out, 64, name);
  lc_text_printable(out);
}

static void widen(struct box *box, const size_t at[3]) {
  for (int a = 0; a < 3; a++) {
    if (box->n == 0 || at[a] < box->low[a]) box->low[a] = at[a];
    if (box->n == 0 || at[a] > box->high[a]) box->high[a] = at[a];
  }
  box->n++;
}

static void find_boxes(const struct ct_label_volume *volume, struct box *boxes) {
  size_t at[3];
  const int16_t *label = volume->label;
  for (at[2] = 0; at[2] < volume->size[2]; at[2]++)
    for (at[1] = 0; at[1] < volume->size[1]; at[1]++)
      for (at[0] = 0; at[0] < volume->size[0]; at[0]++, label++)
        if (*label > 0) widen(&boxes[*label], at);
}

/* The voxels of one value, in their box. */
static lc_status take_mask(struct ct_grid_mask *mask, const struct ct_label_volume *volume,
                           const struct box *box, int value, struct lc_error *err) {
  memcpy(mask->step_mm, volume->step_mm, sizeof mask->step_mm);
  for (int x = 0; x < 3; x++) {
    mask->size[x] = box->high[x] - box->low[x] + 1;
    mask->origin_mm[x] = volume->origin_mm[x];
    for (int a = 0; a < 3; a++) mask->origin_mm[x] += (double)box->low[a] * volume->step_mm[a][x];
  }
  LC_TRY(lc_alloc(&mask->inside, mask->size[0] * mask->size[1] * mask->size[2], 1, err));
  uint8_t *to = mask->inside;
  for (size_t k = box->low[2]; k <= box->high[2]; k++)
    for (size_t j = box->low[1]; j <= box->high[1]; j++) {
      const int16_t *row = volume->label + (k * volume->size[1] + j) * volume->size[0];
      for (size_t i = box->low[0]; i <= box->high[0]; i++) *to++ = row[i] == value;
    }
  return LC_OK;
}

static lc_status take_marks(struct ct_annotation *annotation, const struct ct_label_volume *volume,
                            const struct box *boxes, const struct names *names,
                            struct lc_error *err) {
  for (int value = 1; value <= volume->highest; value++) {
    const struct box *box = &boxes[value];
    if (box->n == 0) continue;
    struct ct_mark *mark = &annotation->marks[annotation->n_marks];
    name_mark(mark->nodule_id, names, value);
    if ((box->high[0] - box->low[0] + 1) * (box->high[1] - box->low[1] + 1) *
            (box->high[2] - box->low[2] + 1) >
        CT_MOST_MASK_VOXELS) {
      lc_log(LC_LOG_WARNING, "%s: %s is too large: left out", annotation->path, mark->nodule_id);
      annotation->n_unreadable++;
      continue;
    }
    LC_TRY(lc_alloc(&mark->region, 1, sizeof *mark->region, err));
    annotation->n_marks++;
    LC_TRY(take_mask(&mark->region->mask, volume, box, value, err));
  }
  return LC_OK;
}

/* Segments that have a name and no voxel. */
static void name_empty(struct ct_annotation *annotation, const struct names *names,
                       const struct box *boxes, int highest) {
  const char *text;
  long long value;
  for (int s = 0; (text = find(names, s, "LabelValue")) != NULL; s++) {
    const char *name = find(names, s, "Name");
    if (lc_text_to_long(text, &value) && value > 0 && value <= highest && boxes[value].n > 0)
      continue;
    lc_log(LC_LOG_WARNING, "%s: segment %.60s has no voxel: left out", annotation->path,
           name ? name : text);
    annotation->n_unreadable++;
  }
}

static lc_status take_volume(struct ct_annotation *annotation, const struct ct_label_volume *volume,
                             const struct names *names, struct lc_error *err) {
  LC_FREED struct box *boxes = NULL;
  size_t n = 0;
  LC_TRY(lc_alloc(&boxes, (size_t)volume->highest + 1, sizeof *boxes, err));
  find_boxes(volume, boxes);
  for (int value = 1; value <= volume->highest; value++) n += boxes[value].n > 0;
  if (n > MOST_NODULES)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %zu values, expected labels of at most %d nodules",
            annotation->path, n, MOST_NODULES);
  LC_TRY(lc_alloc(&annotation->marks, n ? n : 1, sizeof *annotation->marks, err));
  annotation->n_sessions = 1;
  LC_TRY(take_marks(annotation, volume, boxes, names, err));
  name_empty(annotation, names, boxes, volume->highest);
  return LC_OK;
}

static lc_status read_file(struct ct_annotations *found, const char *path, struct lc_error *err) {
  LC_SCOPED(ct_label_volume_free) struct ct_label_volume volume = {0};
  struct names names = {0};
  struct ct_annotation *annotation;
  LC_TRY(ct_annotations_of_series(found, "", path, &annotation, err));
  LC_TRY(ct_label_volume_read(&volume, path, err));
  lc_status status = read_names(&names, path, err);
  if (status == LC_OK) status = take_volume(annotation, &volume, &names, err);
  free(names.text);
  return status;
}

const struct ct_nodule_source ct_nodule_source_labels = {
    .name = "labels",
    .title = "label volume",
    .doc = "masks in MetaImage, NIfTI or NRRD (.seg.nrrd), a value a nodule",
    .recognise = recognise,
    .read = read_file,
    .fits = ct_label_volume_fits,
};
