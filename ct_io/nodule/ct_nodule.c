/* Groups the marks of all readers into physical nodules, and makes nodules of points. */
#include "ct_io/nodule/ct_nodule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/nodule/ct_place.h"

static const double shrink = 0.9, smallest_tolerance = 0.1;
enum { LARGEST_GROUP = 4 };

/* The outline points of one mark, in voxel indices or patient millimetres. */
struct cloud {
  const struct ct_mark *mark;
  double (*points)[3];
  size_t n_points;
  double low[3], high[3];       /* box of points */
  double low_mm[3], high_mm[3]; /* box in patient millimetres */
  size_t group;
};

struct grouping {
  struct cloud *clouds;
  size_t n;
  double *distance; /* [n, n]; infinity where the boxes are too far apart to matter */
};

/* Distance of a slice from an outline's imageZposition. It is the z of the slice's first pixel. */
static double off_slice(const struct ct_series *series, size_t k,
                        const struct ct_outline *outline) {
  return fabs(series->slices[k].position_mm[2] - outline->z_mm);
}

size_t ct_slices_named(const struct ct_series *series, const char *uid, long *named) {
  size_t n = 0;
  *named = -1;
  for (size_t i = 0; i < series->n_slices && *uid; i++)
    if (strcmp(series->slices[i].sop_instance_uid, uid) == 0) {
      *named = (long)i;
      n++;
    }
  return n;
}

/* The imageSOP_UID decides where one slice has it; otherwise the imageZposition. */
long ct_outline_slice(const struct ct_series *series, const struct ct_outline *outline) {
  long named, nearest = -1;
  if (outline->placed) return (long)outline->placed - 1;
  if (ct_slices_named(series, outline->sop_instance_uid, &named) == 1) return named;
  for (size_t i = 0; i < series->n_slices; i++)
    if (nearest < 0 || off_slice(series, i, outline) < off_slice(series, (size_t)nearest, outline))
      nearest = (long)i;
  bool near =
      nearest >= 0 && off_slice(series, (size_t)nearest, outline) < 0.5 * series->slice_spacing_mm;
  return near ? nearest : -1;
}

static void widen(double low[3], double high[3], const double point[3]) {
  for (int c = 0; c < 3; c++) {
    low[c] = fmin(low[c], point[c]);
    high[c] = fmax(high[c], point[c]);
  }
}

static lc_status fill_cloud(struct cloud *cloud, const struct ct_mark *mark,
                            const struct ct_series *series, bool millimetres,
                            struct lc_error *err) {
  size_t total = 0;
  *cloud = (struct cloud){.mark = mark};
  for (int c = 0; c < 3; c++) {
    cloud->low[c] = cloud->low_mm[c] = INFINITY;
    cloud->high[c] = cloud->high_mm[c] = -INFINITY;
  }
  for (size_t i = 0; i < mark->n_outlines; i++) total += mark->outlines[i].n_points;
  LC_TRY(lc_alloc(&cloud->points, total, sizeof *cloud->points, err));
  for (size_t i = 0; i < mark->n_outlines; i++) {
    const struct ct_outline *outline = &mark->outlines[i];
    long k = ct_outline_slice(series, outline);
    for (size_t p = 0; p < outline->n_points && k >= 0; p++) {
      double ijk[3] = {outline->xy[p][0], outline->xy[p][1], (double)k}, mm[3];
      ct_series_to_patient(series, ijk, mm);
      double *point = cloud->points[cloud->n_points++];
      memcpy(point, millimetres ? mm : ijk, sizeof mm);
      widen(cloud->low, cloud->high, point);
      widen(cloud->low_mm, cloud->high_mm, mm);
    }
  }
  return LC_OK;
}

static double box_distance(const struct cloud *a, const struct cloud *b) {
  double sum = 0;
  for (int c = 0; c < 3; c++) {
    double gap = fmax(0, fmax(a->low[c] - b->high[c], b->low[c] - a->high[c]));
    sum += gap * gap;
  }
  return sqrt(sum);
}

static double point_box_square(const double point[3], const struct cloud *box) {
  double sum = 0;
  for (int c = 0; c < 3; c++) {
    double gap = point[c] < box->low[c]    ? box->low[c] - point[c]
                 : point[c] > box->high[c] ? point[c] - box->high[c]
                                           : 0;
    sum += gap * gap;
  }
  return sum;
}

/* Points whose distance to the other's box already exceeds the least found are skipped. */
static double cloud_distance(const struct cloud *a, const struct cloud *b) {
  double least = INFINITY;
  for (size_t i = 0; i < a->n_points && least > 0; i++) {
    const double *p = a->points[i];
    if (point_box_square(p, b) >= least) continue;
    for (size_t j = 0; j < b->n_points; j++) {
      const double *q = b->points[j];
      double x = p[0] - q[0], y = p[1] - q[1], z = p[2] - q[2];
      double square = x * x + y * y + z * z;
      if (square < least) least = square;
    }
  }
  return sqrt(least);
}

/* Shapes of one reading of a file are nodules each, however near they lie. */
static bool told_apart(const struct ct_mark *a, const struct ct_mark *b) {
  return a->region && b->region && a->session == b->session;
}

static void measure_distances(struct grouping *grouping, double tolerance) {
  for (size_t i = 0; i < grouping->n; i++)
    for (size_t j = i + 1; j < grouping->n; j++) {
      const struct cloud *a = &grouping->clouds[i], *b = &grouping->clouds[j];
      bool near = box_distance(a, b) <= tolerance && !told_apart(a->mark, b->mark);
      double d = near ? cloud_distance(a, b) : INFINITY;
      grouping->distance[i * grouping->n + j] = grouping->distance[j * grouping->n + i] = d;
    }
}

/* Connected components of "within the tolerance"; returns the size of the largest. */
static size_t connect(struct grouping *grouping, double tolerance) {
  size_t n = grouping->n, largest = 0, groups = 0;
  struct cloud *clouds = grouping->clouds;
  for (size_t i = 0; i < n; i++) clouds[i].group = SIZE_MAX;
  for (size_t i = 0; i < n; i++) {
    if (clouds[i].group != SIZE_MAX) continue;
    size_t size = 1, before = 0;
    clouds[i].group = groups;
    while (size != before) {
      before = size;
      for (size_t a = i; a < n; a++)
        for (size_t b = i; b < n && clouds[a].group == groups; b++)
          if (clouds[b].group == SIZE_MAX && grouping->distance[a * n + b] <= tolerance) {
            clouds[b].group = groups;
            size++;
          }
    }
    groups++;
    if (size > largest) largest = size;
  }
  return largest;
}

static void group_marks(struct grouping *grouping, double tolerance, struct ct_nodule_list *list) {
  measure_distances(grouping, tolerance);
  while (connect(grouping, tolerance) > LARGEST_GROUP) {
    if (tolerance * shrink < smallest_tolerance) {
      list->group_too_large = true;
      break;
    }
    tolerance *= shrink;
  }
  list->tolerance_used = tolerance;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void rate(struct ct_nodule *nodule) {
  for (int r = 0; r < CT_RATING_COUNT; r++) {
    double values[64], sum = 0;
    size_t n = 0;
    for (size_t m = 0; m < nodule->n_marks && n < 64; m++)
      if (nodule->marks[m]->rating[r] > 0) sum += values[n++] = nodule->marks[m]->rating[r];
    qsort(values, n, sizeof *values, by_value);
    nodule->mean_rating[r] = n ? sum / (double)n : NAN;
    nodule->median_rating[r] = n ? 0.5 * (values[(n - 1) / 2] + values[n / 2]) : NAN;
  }
}

static lc_status make_nodule(struct ct_nodule *nodule, const struct grouping *grouping,
                             size_t group, const struct ct_series *series, struct lc_error *err) {
  *nodule = (struct ct_nodule){.probability = NAN};
  LC_TRY(lc_alloc(&nodule->marks, grouping->n, sizeof(struct ct_mark *), err));
  for (int c = 0; c < 3; c++) {
    nodule->bounds_mm[0][c] = INFINITY;
    nodule->bounds_mm[1][c] = -INFINITY;
  }
  for (size_t i = 0; i < grouping->n; i++) {
    const struct cloud *cloud = &grouping->clouds[i];
    if (cloud->group != group) continue;
    bool new_reader = true;
    for (size_t m = 0; m < nodule->n_marks; m++)
      if (nodule->marks[m]->session == cloud->mark->session) new_reader = false;
    if (new_reader) nodule->n_readers++;
    nodule->marks[nodule->n_marks++] = cloud->mark;
    if (cloud->mark->region && !*nodule->name) /* of a file that names nodules, not marks */
      lc_text_copy(nodule->name, sizeof nodule->name, cloud->mark->nodule_id);
    widen(nodule->bounds_mm[0], nodule->bounds_mm[1], cloud->low_mm);
    widen(nodule->bounds_mm[0], nodule->bounds_mm[1], cloud->high_mm);
    struct ct_measure measure;
    LC_TRY(ct_mark_measure(cloud->mark, series, &measure, err));
    nodule->diameter_mm = fmax(nodule->diameter_mm, measure.diameter_mm);
  }
  for (int c = 0; c < 3; c++)
    nodule->centre_mm[c] = 0.5 * (nodule->bounds_mm[0][c] + nodule->bounds_mm[1][c]);
  rate(nodule);
  return LC_OK;
}

struct placed {
  struct ct_nodule nodule;
  double ijk[3];
};

static int by_place(const void *a, const void *b) {
  const struct placed *x = a, *y = b;
  for (int c = 2; c >= 0; c--)
    if (x->ijk[c] != y->ijk[c]) return x->ijk[c] < y->ijk[c] ? -1 : 1;
  return 0;
}

/* Along the normal, then rows, then columns; the numbers follow that order. */
static lc_status number_nodules(struct ct_nodule_list *list, const struct ct_series *series,
                                struct lc_error *err) {
  struct placed *placed = NULL;
  LC_TRY(lc_alloc(&placed, list->n_nodules, sizeof *placed, err));
  for (size_t i = 0; i < list->n_nodules; i++) {
    placed[i].nodule = list->nodules[i];
    ct_series_to_index(series, list->nodules[i].centre_mm, placed[i].ijk);
    /* To a thousandth: rounding on the way through millimetres must not decide the order. */
    for (int c = 0; c < 3; c++) placed[i].ijk[c] = round(1000 * placed[i].ijk[c]);
  }
  if (list->n_nodules) qsort(placed, list->n_nodules, sizeof *placed, by_place);
  for (size_t i = 0; i < list->n_nodules; i++) {
    list->nodules[i] = placed[i].nodule;
    snprintf(list->nodules[i].id, sizeof list->nodules[i].id, "nodule-%zu", i + 1);
  }
  free(placed);
  return LC_OK;
}

static lc_status gather(struct grouping *grouping, struct ct_nodule_list *list,
                        const struct ct_annotation *annotation, const struct ct_series *series,
                        bool millimetres, struct lc_error *err) {
  LC_TRY(lc_alloc(&grouping->clouds, annotation->n_marks, sizeof *grouping->clouds, err));
  for (size_t m = 0; m < annotation->n_marks; m++) {
    if (annotation->marks[m].kind != CT_MARK_NODULE) continue;
    struct cloud *cloud = &grouping->clouds[grouping->n];
    LC_TRY(fill_cloud(cloud, &annotation->marks[m], series, millimetres, err));
    if (cloud->n_points) {
      grouping->n++;
    } else {
      list->n_marks_unplaced++;
      free(cloud->points);
      cloud->points = NULL;
    }
  }
  return lc_alloc(&grouping->distance, grouping->n * grouping->n, sizeof *grouping->distance, err);
}

static lc_status make_nodules(struct ct_nodule_list *list, const struct grouping *grouping,
                              const struct ct_series *series, struct lc_error *err) {
  size_t groups = 0;
  for (size_t i = 0; i < grouping->n; i++)
    if (grouping->clouds[i].group + 1 > groups) groups = grouping->clouds[i].group + 1;
  LC_TRY(lc_alloc(&list->nodules, groups, sizeof *list->nodules, err));
  for (size_t g = 0; g < groups; g++) {
    list->n_nodules = g + 1;
    LC_TRY(make_nodule(&list->nodules[g], grouping, g, series, err));
  }
  return number_nodules(list, series, err);
}

static lc_status group_all(struct ct_nodule_list *list, const struct ct_annotation *annotation,
                           const struct ct_series *series, const struct ct_grouping *how,
                           struct lc_error *err) {
  struct grouping grouping = {0};
  bool millimetres = how && how->in_millimetres;
  double tolerance = how && how->tolerance_mm > 0     ? how->tolerance_mm
                     : series->slice_thickness_mm > 0 ? series->slice_thickness_mm
                                                      : series->slice_spacing_mm;
  lc_status status = gather(&grouping, list, annotation, series, millimetres, err);
  if (status == LC_OK && grouping.n > 0) {
    group_marks(&grouping, tolerance, list);
    status = make_nodules(list, &grouping, series, err);
  }
  for (size_t i = 0; grouping.clouds && i < annotation->n_marks; i++)
    free(grouping.clouds[i].points);
  free(grouping.clouds);
  free(grouping.distance);
  return status;
}

/* The first nodule whose centre is within CT_SAME_NODULE_MM of a point, or NULL. */
static const struct ct_nodule *same_nodule(const struct ct_nodule_list *list,
                                           const struct ct_point *point) {
  for (size_t i = 0; i < list->n_nodules; i++) {
    double square = 0;
    for (int c = 0; c < 3; c++) {
      double d = list->nodules[i].centre_mm[c] - point->centre_mm[c];
      square += d * d;
    }
    if (square <= CT_SAME_NODULE_MM * CT_SAME_NODULE_MM) return &list->nodules[i];
  }
  return NULL;
}

/* Tables of candidates have hundreds: the first is named. */
static void say_same(const struct ct_nodule_list *list, const struct ct_annotation *annotation,
                     const struct ct_point *point, const struct ct_nodule *same) {
  lc_log(list->n_same == 1 ? LC_LOG_INFO : LC_LOG_DEBUG,
         "%s:%zu: within %d mm of %s%s%s%s: one nodule; --keep-duplicates keeps both",
         point->path ? point->path : annotation->path, point->line, CT_SAME_NODULE_MM, same->id,
         *same->name ? " (" : "", same->name, *same->name ? ")" : "");
}

/* Points follow the nodules of the marks, in the order of their files. */
static lc_status add_points(struct ct_nodule_list *list, const struct ct_annotation *annotation,
                            bool keep_duplicates, struct lc_error *err) {
  size_t total = list->n_nodules + annotation->n_points;
  if (annotation->n_points == 0) return LC_OK;
  struct ct_nodule *grown = realloc(list->nodules, total * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", annotation->path);
  list->nodules = grown;
  for (size_t p = 0; p < annotation->n_points; p++) {
    const struct ct_point *point = &annotation->points[p];
    if (point->unplaced) {
      list->n_marks_unplaced++;
      continue;
    }
    const struct ct_nodule *same = keep_duplicates ? NULL : same_nodule(list, point);
    if (same) {
      list->n_same++;
      say_same(list, annotation, point, same);
      continue;
    }
    struct ct_nodule *nodule = &list->nodules[list->n_nodules++];
    *nodule = (struct ct_nodule){.diameter_mm = point->diameter_mm,
                                 .probability = point->probability,
                                 .path = point->path,
                                 .line = point->line};
    lc_text_copy(nodule->name, sizeof nodule->name, point->name);
    snprintf(nodule->id, sizeof nodule->id, "nodule-%zu", list->n_nodules);
    for (int c = 0; c < 3; c++) {
      nodule->centre_mm[c] = point->centre_mm[c];
      nodule->bounds_mm[0][c] = point->centre_mm[c] - 0.5 * point->diameter_mm;
      nodule->bounds_mm[1][c] = point->centre_mm[c] + 0.5 * point->diameter_mm;
    }
    for (int r = 0; r < CT_RATING_COUNT; r++)
      nodule->mean_rating[r] = nodule->median_rating[r] = NAN;
  }
  if (list->n_same > 1)
    lc_log(LC_LOG_INFO, "%s: %zu points within %d mm of others are no nodules of their own",
           annotation->path, list->n_same, CT_SAME_NODULE_MM);
  return LC_OK;
}

static bool has_pixel_outlines(const struct ct_annotation *annotation) {
  for (size_t m = 0; m < annotation->n_marks; m++)
    if (!annotation->marks[m].region) return true;
  return false;
}

lc_status ct_nodules_from_annotation(struct ct_nodule_list *list,
                                     const struct ct_annotation *annotation,
                                     const struct ct_series *series, const struct ct_grouping *how,
                                     struct lc_error *err) {
  const char *uid = annotation->series_instance_uid;
  memset(list, 0, sizeof *list);
  if (annotation->is_chest_xray)
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: annotates a chest X-ray, expected CT series %s",
            annotation->path, series->series_instance_uid);
  const char *frame = annotation->frame_of_reference_uid;
  if (strcmp(uid, series->series_instance_uid) != 0 &&
      (!*frame || strcmp(frame, series->frame_of_reference_uid) != 0))
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: annotates series %s, expected %s", annotation->path, uid,
            series->series_instance_uid);
  list->n_unreadable = annotation->n_unreadable;
  list->n_unreadable_files = annotation->n_unreadable_files;
  if (has_pixel_outlines(annotation)) LC_TRY(ct_volume_file_check_outlines(series, err));
  lc_status status = group_all(list, annotation, series, how, err);
  if (status == LC_OK) status = add_points(list, annotation, how && how->keep_duplicates, err);
  if (status != LC_OK) ct_nodule_list_free(list);
  return status;
}

void ct_nodules_match(const struct ct_nodule_list *nodules, const struct ct_annotation *points,
                      long *matches) {
  for (size_t p = 0; p < points->n_points; p++) {
    const struct ct_point *point = &points->points[p];
    double nearest = 0.25 * point->diameter_mm * point->diameter_mm;
    matches[p] = -1;
    for (size_t i = 0; i < nodules->n_nodules; i++) {
      double square = 0;
      for (int c = 0; c < 3; c++) {
        double d = nodules->nodules[i].centre_mm[c] - point->centre_mm[c];
        square += d * d;
      }
      if (square > nearest) continue;
      nearest = square;
      matches[p] = (long)i;
    }
  }
}

void ct_nodule_list_free(struct ct_nodule_list *list) {
  for (size_t i = 0; i < list->n_nodules; i++) free((void *)list->nodules[i].marks);
  free(list->nodules);
  memset(list, 0, sizeof *list);
}

size_t ct_annotation_check(struct ct_annotation *annotation, const struct ct_series *series) {
  size_t faulty = 0;
  bool by_z = series->file && !ct_series_has_objects(series);
  for (size_t m = 0; m < annotation->n_marks; m++) {
    struct ct_mark *mark = &annotation->marks[m];
    const unsigned checked =
        CT_FAULT_UNKNOWN_SLICE | CT_FAULT_OUTSIDE_IMAGE | CT_FAULT_SLICE_DISAGREES;
    if (!mark->region) mark->faults &= ~checked; /* else ct_annotation_place has set them */
    for (size_t i = 0; i < mark->n_outlines && !mark->region; i++) {
      const struct ct_outline *outline = &mark->outlines[i];
      long named;
      size_t n_named = ct_slices_named(series, outline->sop_instance_uid, &named);
      if (by_z ? ct_outline_slice(series, outline) < 0 : n_named == 0)
        mark->faults |= CT_FAULT_UNKNOWN_SLICE;
      if (n_named == 1 &&
          off_slice(series, (size_t)named, outline) > 0.5 * series->slice_spacing_mm)
        mark->faults |= CT_FAULT_SLICE_DISAGREES;
      for (size_t p = 0; p < outline->n_points; p++)
        if (outline->xy[p][0] >= series->columns || outline->xy[p][1] >= series->rows)
          mark->faults |= CT_FAULT_OUTSIDE_IMAGE;
    }
    if (mark->faults & CT_FAULT_SLICE_DISAGREES && !mark->region)
      lc_log(
          LC_LOG_WARNING,
          "%s: an outline of mark %s has an imageZposition more than half a slice from the slice "
          "of its imageSOP_UID",
          annotation->path, mark->nodule_id);
    if (mark->faults & checked) faulty++;
  }
  return faulty;
}

void ct_nodule_name_source(const struct ct_nodule *nodule, const char *path, lc_status status,
                           struct lc_error *why) {
  if (status != LC_ERR_OUTSIDE) return;
  if (nodule->line)
    lc_error_prefix(why, "%s:%zu", nodule->path ? nodule->path : path, nodule->line);
  else
    lc_error_prefix(why, "%s: %s", path, nodule->id);
}

bool ct_nodules_unplaced(const struct ct_nodule_list *list, struct lc_error *why) {
  const struct {
    size_t n;
    const char *one, *several;
  } losses[] = {
      {list->n_marks_unplaced,
       "mark of nodules of 3 mm or more lies on slices that the series lacks",
       "marks of nodules of 3 mm or more lie on slices that the series lacks"},
      {list->n_unreadable, "mark or point cannot be read", "marks or points cannot be read"},
      {list->n_unreadable_files, "file of annotations beside the series cannot be read",
       "files of annotations beside the series cannot be read"}};
  size_t used = 0;
  why->message[0] = '\0';
  for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
    if (losses[i].n)
      used += (size_t)snprintf(why->message + used, sizeof why->message - used, "%s%zu %s",
                               used ? "; " : "", losses[i].n,
                               losses[i].n == 1 ? losses[i].one : losses[i].several);
  return used > 0;
}

void ct_nodule_list_remove(struct ct_nodule_list *list, const bool *gone) {
  size_t kept = 0;
  for (size_t i = 0; i < list->n_nodules; i++) {
    if (gone[i])
      free((void *)list->nodules[i].marks);
    else
      list->nodules[kept++] = list->nodules[i];
  }
  list->n_nodules = kept;
}

lc_status ct_nodules_plan(struct ct_cut_plan *plan, const struct ct_nodule_list *list,
                          const struct ct_series *series, double edge_mm, struct lc_error *err) {
  double(*centres)[3] = NULL;
  memset(plan, 0, sizeof *plan);
  LC_TRY(lc_alloc(&centres, list->n_nodules, sizeof *centres, err));
  for (size_t i = 0; i < list->n_nodules; i++)
    memcpy(centres[i], list->nodules[i].centre_mm, sizeof *centres);
  lc_status status =
      ct_cut_plan_init(plan, series, list->n_nodules, (const double(*)[3])centres, edge_mm, err);
  free(centres);
  return status;
}
