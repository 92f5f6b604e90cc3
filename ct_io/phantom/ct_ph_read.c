/* Four simulated readers: what each notices, outlines and rates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_math.h"
#include "common/lc_text.h"
#include "ct_io/phantom/ct_ph_outline.h"
#include "ct_io/phantom/ct_ph_scene.h"

/* How one reader sees. Drawn per reader and patient. */
struct habit {
  float edge_mm; /* outlines run this much wider than the truth */
  double bias[CT_RATING_COUNT];
  double care; /* shifts what is noticed */
};

struct reading {
  const struct ct_ph_scene *scene;
  struct ct_phantom *phantom;
  struct habit habit[CT_PHANTOM_READERS];
  size_t mark_capacity;
  struct ct_ph_mask mask;
  int numbered[CT_PHANTOM_READERS];
  struct lc_error *err;
};

static struct habit draw_habit(struct lc_random *random) {
  struct habit habit;
  habit.edge_mm = (float)(0.1 + 0.3 * lc_random_normal(random));
  habit.edge_mm = ph_clamp(habit.edge_mm, -0.5f, 0.8f);
  for (int r = 0; r < CT_RATING_COUNT; r++) habit.bias[r] = 0.38 * lc_random_normal(random);
  habit.care = 0.5 * lc_random_normal(random);
  return habit;
}

/* NULL, with the error said, when memory ran out. */
static struct ct_mark *new_mark(struct reading *reading, int session, ct_mark_kind kind) {
  struct ct_annotation *a = &reading->phantom->annotation;
  if (a->n_marks == reading->mark_capacity) {
    size_t capacity = reading->mark_capacity ? 2 * reading->mark_capacity : 16;
    struct ct_mark *grown = realloc(a->marks, capacity * sizeof *grown);
    if (!grown) {
      lc_fail(reading->err, LC_ERR_MEMORY, __FILE__, __LINE__,
              "phantom: no memory for the readers' marks");
      return NULL;
    }
    a->marks = grown;
    reading->mark_capacity = capacity;
  }
  struct ct_mark *mark = &a->marks[a->n_marks++];
  memset(mark, 0, sizeof *mark);
  mark->kind = kind;
  mark->session = session;
  snprintf(mark->reader, sizeof mark->reader, "simulated-%d", session + 1);
  int number = ++reading->numbered[session];
  snprintf(mark->nodule_id, sizeof mark->nodule_id,
           kind == CT_MARK_NON_NODULE ? "Non-nodule %03d" : "Nodule %03d", number);
  return mark;
}

/* Takes points over; frees them when there is no memory for the outline. */
static lc_status add_outline(struct reading *reading, struct ct_mark *mark, size_t slice,
                             int32_t (*xy)[2], size_t n_points) {
  struct ct_outline *grown =
      realloc(mark->outlines, (mark->n_outlines + 1) * sizeof *mark->outlines);
  if (!grown) {
    free(xy);
    LC_FAIL(reading->err, LC_ERR_MEMORY, "phantom: no memory for the readers' outlines");
  }
  mark->outlines = grown;
  struct ct_outline *outline = &mark->outlines[mark->n_outlines++];
  memset(outline, 0, sizeof *outline);
  const struct ct_volume *v = &reading->phantom->volume;
  lc_text_copy(outline->sop_instance_uid, sizeof outline->sop_instance_uid,
               reading->phantom->sop_instance_uids[slice]);
  outline->z_mm = v->origin_mm[2] + (double)slice * v->spacing_mm[2];
  outline->inclusion = true;
  outline->xy = xy;
  outline->n_points = n_points;
  return LC_OK;
}

static lc_status add_point_mark(struct reading *reading, int session, ct_mark_kind kind,
                                ct_ph_vec p) {
  const struct ct_ph_scene *s = reading->scene;
  struct ct_mark *mark = new_mark(reading, session, kind);
  if (!mark) return LC_ERR_MEMORY;
  int32_t(*xy)[2] = NULL;
  LC_TRY(lc_alloc(&xy, 1, sizeof *xy, reading->err));
  float last = (float)(s->matrix - 1), last_slice = (float)(s->n_slices - 1);
  xy[0][0] = (int32_t)lrintf(ph_clamp((p.x - s->first.x) / s->pixel_mm, 0, last));
  xy[0][1] = (int32_t)lrintf(ph_clamp((p.y - s->first.y) / s->pixel_mm, 0, last));
  float k = ph_clamp((p.z - s->first.z) / s->spacing_mm, 0, last_slice);
  return add_outline(reading, mark, (size_t)lrintf(k), xy, 1);
}

/* The reader's idea of where the nodule ends: a bias, and a wobble that moves slowly around the
 * nodule and from slice to slice. */
struct hand {
  float offset, amplitude[3], phase[3];
};

static struct hand draw_hand(const struct ct_ph_nodule *nodule, const struct habit *habit,
                             struct lc_random *random) {
  struct hand hand;
  float uncertain = 0.18f + 0.22f * nodule->edge_mm;
  hand.offset = habit->edge_mm + uncertain * (float)lc_random_normal(random);
  float limit = 0.35f * nodule->axes[2];
  hand.offset = ph_clamp(hand.offset, -limit, limit + 0.3f);
  for (int h = 0; h < 3; h++) {
    hand.amplitude[h] = uncertain * 0.45f * (float)fabs(lc_random_normal(random));
    hand.phase[h] = (float)lc_random_between(random, 0, 6.283185307);
  }
  return hand;
}

static void fill_mask(struct reading *reading, const struct ct_ph_nodule *nodule,
                      const struct hand *hand, size_t slice) {
  const struct ct_ph_scene *s = reading->scene;
  struct ct_ph_mask *m = &reading->mask;
  float z = s->first.z + (float)slice * s->spacing_mm;
  memset(m->inside, 0, (size_t)m->width * (size_t)m->height);
  for (int j = 2; j < m->height - 2; j++)
    for (int i = 2; i < m->width - 2; i++) {
      ct_ph_vec p = ph_vec(s->first.x + (float)(m->x0 + i) * s->pixel_mm,
                           s->first.y + (float)(m->y0 + j) * s->pixel_mm, z);
      float wobble = 0, angle = atan2f(p.y - nodule->centre.y, p.x - nodule->centre.x);
      for (int h = 0; h < 3; h++)
        wobble += hand->amplitude[h] * sinf((float)(h + 1) * angle + hand->phase[h] + 0.25f * z);
      float d = ct_ph_nodule_distance(nodule, p) - hand->offset - wobble;
      if (d < 0 && ct_ph_lung_patient(s, p) < ph_max(0, hand->offset))
        m->inside[j * m->width + i] = 1;
    }
}

static lc_status outline_nodule(struct reading *reading, size_t n, const struct hand *hand,
                                struct ct_mark *mark) {
  const struct ct_ph_scene *s = reading->scene;
  const struct ct_ph_nodule *nodule = &s->nodule[n];
  struct ct_ph_mask *m = &reading->mask;
  float reach = nodule->axes[0] * (1.2f + nodule->lobe_height) + 4;
  m->x0 = (int)ph_floor((nodule->centre.x - reach - s->first.x) / s->pixel_mm) - 3;
  m->y0 = (int)ph_floor((nodule->centre.y - reach - s->first.y) / s->pixel_mm) - 3;
  m->width = m->height = (int)(2 * reach / s->pixel_mm) + 8;
  LC_TRY(lc_alloc(&m->inside, (size_t)m->width * (size_t)m->height, 1, reading->err));
  lc_status status = LC_OK;
  for (size_t k = 0; k < s->n_slices && status == LC_OK; k++) {
    float z = s->first.z + (float)k * s->spacing_mm;
    if (fabsf(z - nodule->centre.z) > reach) continue;
    fill_mask(reading, nodule, hand, k);
    int32_t(*xy)[2] = NULL;
    size_t n_points = 0;
    status = ct_ph_outline_trace(m, &xy, &n_points, reading->err);
    if (status == LC_OK && n_points > 0) status = add_outline(reading, mark, k, xy, n_points);
  }
  free(m->inside);
  m->inside = NULL;
  return status;
}

static void rate(const struct ct_phantom_nodule *t, const struct habit *habit,
                 struct lc_random *random, int rating[CT_RATING_COUNT]) {
  static const double noise[CT_RATING_COUNT] = {0.55, 0, 0, 0.6, 0.6, 0.5, 0.5, 0.4, 0.6};
  for (int r = 0; r < CT_RATING_COUNT; r++) {
    double seen = t->true_rating[r] + habit->bias[r] + noise[r] * lc_random_normal(random);
    int value = (int)lrint(seen);
    rating[r] = value < 1 ? 1 : (value > 5 ? 5 : value);
  }
  /* These two are categories: the reader sees the right one or mistakes it for a likely other. */
  double slip = lc_random_uniform(random);
  int truth = (int)t->true_rating[CT_INTERNAL_STRUCTURE];
  rating[CT_INTERNAL_STRUCTURE] = slip < 0.985 ? truth : (truth == 1 ? 2 : 1);
  slip = lc_random_uniform(random);
  truth = (int)t->true_rating[CT_CALCIFICATION];
  if (truth == 6)
    rating[CT_CALCIFICATION] = slip < 0.97 ? 6 : (slip < 0.985 ? 4 : 5);
  else
    rating[CT_CALCIFICATION] = slip < 0.72 ? truth : (slip < 0.92 ? 3 : (slip < 0.97 ? 5 : 6));
}

static double notice_probability(const struct ct_phantom_nodule *t, const struct habit *habit) {
  double logit = 1.55 * (t->true_rating[CT_SUBTLETY] - 2.3) + 1.2 * habit->care;
  return lc_sigmoid(logit);
}

static lc_status read_nodule(struct reading *reading, size_t n, bool noticed_at_all, int session) {
  const struct ct_phantom_nodule *t = &reading->phantom->nodules[n];
  const struct habit *habit = &reading->habit[session];
  struct lc_random random;
  lc_random_init(&random, reading->scene->seed, "nodule-reading",
                 n * CT_PHANTOM_READERS + (size_t)session);
  if (!noticed_at_all) return LC_OK;
  /* Some take a very small one for less than 3 mm and only point at it. */
  double seen_mm = t->diameter_mm * (1 + 0.13 * lc_random_normal(&random));
  if (seen_mm < 3.3)
    return add_point_mark(reading, session, CT_MARK_SMALL, reading->scene->nodule[n].centre);
  struct hand hand = draw_hand(&reading->scene->nodule[n], habit, &random);
  struct ct_mark *mark = new_mark(reading, session, CT_MARK_NODULE);
  if (!mark) return LC_ERR_MEMORY;
  LC_TRY(outline_nodule(reading, n, &hand, mark));
  if (mark->n_outlines == 0) { /* thinner than the gap between slices */
    reading->phantom->annotation.n_marks--;
    reading->numbered[session]--;
    return add_point_mark(reading, session, CT_MARK_SMALL, reading->scene->nodule[n].centre);
  }
  mark->has_ratings = true;
  rate(t, habit, &random, mark->rating);
  return LC_OK;
}

/* Vessel forks and thick pleura that a reader marks as no nodule. */
static lc_status read_others(struct reading *reading) {
  const struct ct_ph_scene *s = reading->scene;
  struct lc_random random;
  lc_random_init(&random, s->seed, "other-marks", 0);
  for (size_t m = 0; m < s->n_micro; m++)
    for (int session = 0; session < CT_PHANTOM_READERS; session++)
      if (lc_random_uniform(&random) < 0.5)
        LC_TRY(add_point_mark(reading, session, CT_MARK_SMALL, s->micro[m]));
  uint32_t places = lc_random_below(&random, 4);
  for (uint32_t i = 0; i < places; i++) {
    const struct ct_ph_segments *list = &s->vessels[lc_random_below(&random, 2)];
    ct_ph_vec p =
        ct_ph_to_patient(s, list->item[lc_random_below(&random, (uint32_t)list->count)].b);
    for (int session = 0; session < CT_PHANTOM_READERS; session++)
      if (lc_random_uniform(&random) < 0.45)
        LC_TRY(add_point_mark(reading, session, CT_MARK_NON_NODULE, p));
  }
  return LC_OK;
}

/* Sessions in order, nodules before non-nodules, as the files have them. */
static int mark_order(const void *a, const void *b) {
  const struct ct_mark *x = a, *y = b;
  if (x->session != y->session) return x->session < y->session ? -1 : 1;
  bool nx = x->kind == CT_MARK_NON_NODULE, ny = y->kind == CT_MARK_NON_NODULE;
  if (nx != ny) return nx ? 1 : -1;
  return strcmp(x->nodule_id, y->nodule_id);
}

lc_status ct_ph_read(const struct ct_ph_scene *scene, struct ct_phantom *phantom,
                     struct lc_error *err) {
  struct reading reading = {.scene = scene, .phantom = phantom, .err = err};
  struct ct_annotation *a = &phantom->annotation;
  lc_text_copy(a->series_instance_uid, sizeof a->series_instance_uid,
               phantom->header.series_instance_uid);
  lc_text_copy(a->study_instance_uid, sizeof a->study_instance_uid,
               phantom->header.study_instance_uid);
  a->n_sessions = CT_PHANTOM_READERS;
  struct lc_random random;
  lc_random_init(&random, scene->seed, "readers", 0);
  for (int r = 0; r < CT_PHANTOM_READERS; r++) reading.habit[r] = draw_habit(&random);
  for (size_t n = 0; n < scene->n_nodules; n++) {
    lc_random_init(&random, scene->seed, "noticing", n);
    bool noticed[CT_PHANTOM_READERS], any = false;
    for (int r = 0; r < CT_PHANTOM_READERS; r++) {
      double p = notice_probability(&phantom->nodules[n], &reading.habit[r]);
      noticed[r] = lc_random_uniform(&random) < p;
      any = any || noticed[r];
    }
    if (!any) noticed[lc_random_below(&random, CT_PHANTOM_READERS)] = true;
    for (int r = 0; r < CT_PHANTOM_READERS; r++) LC_TRY(read_nodule(&reading, n, noticed[r], r));
  }
  LC_TRY(read_others(&reading));
  qsort(a->marks, a->n_marks, sizeof *a->marks, mark_order);
  return LC_OK;
}
