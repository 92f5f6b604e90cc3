/* Nodules: their properties, shape, place, and the rule that makes one malignant. */
#include <stdlib.h>

#include "common/lc_math.h"
#include "ct_io/phantom/ct_ph_scene.h"

const char *ct_term_name(ct_term term) {
  static const char *const names[CT_TERM_COUNT] = {"size",   "spiculation", "lobulation",
                                                   "margin", "texture",     "calcification"};
  return names[term];
}

void ct_ph_malignancy_terms(const struct ct_phantom_nodule *n, double term[CT_TERM_COUNT]) {
  static const double texture[] = {0, 0.9, 0.2}; /* solid, part-solid, ground glass */
  term[CT_TERM_SIZE] = 0.16 * ((n->diameter_mm < 25 ? n->diameter_mm : 25) - 12);
  term[CT_TERM_SPICULATION] = 2.4 * n->spiculation;
  term[CT_TERM_LOBULATION] = 1.0 * n->lobulation;
  term[CT_TERM_MARGIN] = 1.2 * (0.6 - n->margin);
  term[CT_TERM_TEXTURE] = texture[n->texture];
  term[CT_TERM_CALCIFICATION] = -4.0 * (n->calcification < 0.2 ? n->calcification / 0.2 : 1);
}

double ct_ph_malignancy(const struct ct_phantom_nodule *n) {
  double term[CT_TERM_COUNT], logit = -1.3;
  ct_ph_malignancy_terms(n, term);
  for (int t = 0; t < CT_TERM_COUNT; t++) logit += term[t];
  return lc_sigmoid(logit);
}

static double clamp_rating(double x, double high) {
  return x < 1 ? 1 : (x > high ? high : x);
}

static void set_true_ratings(struct ct_phantom_nodule *t, int calcium_pattern, bool cavity) {
  static const double contrast[] = {0, -0.6, -1.5}, texture[] = {5, 3, 1};
  double *r = t->true_rating;
  double size = t->diameter_mm < 16 ? t->diameter_mm : 16;
  r[CT_SUBTLETY] = clamp_rating(2.2 + 0.19 * size + contrast[t->texture], 5);
  r[CT_INTERNAL_STRUCTURE] = cavity ? 4 : 1;
  r[CT_CALCIFICATION] = calcium_pattern;
  r[CT_SPHERICITY] = clamp_rating(1 + 4 * (t->sphericity - 0.45) / 0.5, 5);
  r[CT_MARGIN] = 1 + 4 * t->margin;
  r[CT_LOBULATION] = 1 + 4 * t->lobulation;
  r[CT_SPICULATION] = 1 + 4 * t->spiculation;
  r[CT_TEXTURE] = texture[t->texture];
  r[CT_MALIGNANCY] = 1 + 4 * t->malignancy_probability;
}

/* Half axes with the volume of a sphere of the diameter. */
static void set_axes(struct ct_phantom_nodule *t, double middle) {
  double ratio[3] = {1, middle, t->sphericity};
  double scale = 0.5 * t->diameter_mm / cbrt(ratio[1] * ratio[2]);
  for (int a = 0; a < 3; a++) t->axes_mm[a] = scale * ratio[a];
}

static int draw_properties(struct ct_phantom_nodule *t, struct lc_random *random, double *middle) {
  t->diameter_mm = 4 * exp(log(7.5) * pow(lc_random_uniform(random), 1.5));
  double u = lc_random_uniform(random);
  t->texture = u < 0.68 ? CT_SOLID : (u < 0.84 ? CT_PART_SOLID : CT_GROUND_GLASS);
  if (t->texture == CT_PART_SOLID && t->diameter_mm < 7) t->diameter_mm += 4;
  t->spiculation = lc_random_uniform(random) < 0.5 ? 0 : lc_random_uniform(random);
  t->lobulation = lc_random_uniform(random) < 0.4 ? 0 : lc_random_uniform(random);
  if (t->diameter_mm < 6) t->spiculation *= 0.5;
  t->margin = t->texture == CT_GROUND_GLASS ? lc_random_between(random, 0.05, 0.6)
                                            : lc_random_between(random, 0.3, 1);
  t->sphericity = lc_random_between(random, 0.55, 1);
  *middle = lc_random_between(random, t->sphericity, 1);
  int pattern = 6;
  t->calcification = 0;
  double chance = lc_random_uniform(random), share = lc_random_uniform(random);
  uint32_t which = lc_random_below(random, 5);
  if (t->texture == CT_SOLID && chance < (t->spiculation > 0.3 ? 0.06 : 0.24)) {
    static const double low[] = {0.2, 0.2, 0.7, 0.05, 0.1}, high[] = {0.4, 0.4, 0.95, 0.2, 0.35};
    pattern = 1 + (int)which;
    t->calcification = low[which] + (high[which] - low[which]) * share;
  }
  double place = lc_random_uniform(random);
  t->attachment = place < 0.5 ? CT_FREE : (place < 0.75 ? CT_ON_VESSEL : CT_ON_PLEURA);
  return pattern;
}

static ct_ph_vec random_direction(struct lc_random *random) {
  float z = (float)lc_random_between(random, -1, 1);
  float turn = (float)lc_random_between(random, 0, 6.283185307), r = sqrtf(1 - z * z);
  return ph_vec(r * cosf(turn), r * sinf(turn), z);
}

static float waves_at(const struct ct_ph_nodule *n, ct_ph_vec direction) {
  float waves = 0;
  for (int i = 0; i < CT_PH_WAVES; i++)
    waves += n->wave[i].height *
             sinf(n->wave[i].rate * ph_dot(direction, n->wave[i].along) + n->wave[i].phase);
  return waves;
}

/* Distance of the surface from the centre in a direction of the unit sphere, 1 for the ellipsoid,
 * before `level` is taken away. */
static float surface_at(const struct ct_ph_nodule *n, ct_ph_vec direction) {
  float lobes = 0;
  for (int i = 0; i < n->n_lobes; i++) {
    float bump = expf(7.5f * (ph_dot(direction, n->lobe[i]) - 1));
    lobes = ph_smax(lobes, bump, 0.08f);
  }
  return 1 + n->lobe_height * lobes + waves_at(n, direction);
}

/* Chooses the level at which lobes and waves leave the volume as it is. */
static void balance_surface(struct ct_ph_nodule *n) {
  enum { DIRECTIONS = 600 };
  float low = -0.5f, high = 1;
  for (int step = 0; step < 24; step++) {
    float middle = (low + high) / 2;
    double volume = 0;
    for (int i = 0; i < DIRECTIONS; i++) {
      float z = 1 - 2 * ((float)i + 0.5f) / (float)DIRECTIONS, turn = 2.399963f * (float)i;
      float r = sqrtf(1 - z * z);
      double s = (double)(surface_at(n, ph_vec(r * cosf(turn), r * sinf(turn), z)) - middle);
      volume += s * s * s / (double)DIRECTIONS;
    }
    if (volume > 1)
      low = middle;
    else
      high = middle;
  }
  n->level = (low + high) / 2;
}

static void draw_surface(struct ct_ph_nodule *n, const struct ct_phantom_nodule *t,
                         struct lc_random *random) {
  n->lobe_height = 0.62f * (float)t->lobulation;
  n->n_lobes = t->lobulation > 0 ? 4 + (int)lc_random_below(random, CT_PH_LOBES - 4) : 0;
  for (int i = 0; i < n->n_lobes; i++) n->lobe[i] = random_direction(random);
  float rough = 0.022f + 0.03f * (float)(t->spiculation + 0.4 * (1 - t->margin));
  for (int i = 0; i < CT_PH_WAVES; i++) {
    n->wave[i].along = random_direction(random);
    n->wave[i].rate = 2.5f + 1.3f * (float)i;
    n->wave[i].phase = (float)lc_random_between(random, 0, 6.283185307);
    n->wave[i].height = rough * (float)lc_random_between(random, 0.4, 1.1);
  }
  balance_surface(n);
}

static void add_spicules(struct ct_ph_nodule *n, const struct ct_phantom_nodule *t,
                         struct lc_random *random) {
  n->n_spicules = t->spiculation < 0.05 ? 0 : 6 + (int)(t->spiculation * (CT_PH_SPICULES - 6.1));
  float size = (float)t->diameter_mm;
  for (int i = 0; i < n->n_spicules; i++) {
    ct_ph_vec d = random_direction(random);
    const float part[3] = {d.x * n->axes[0], d.y * n->axes[1], d.z * n->axes[2]};
    ct_ph_vec out = ph_vec(0, 0, 0);
    for (int a = 0; a < 3; a++) out = ph_along(out, n->frame[a], part[a]);
    ct_ph_vec base = ph_along(n->centre, out, 0.75f);
    ct_ph_vec course = ph_unit(ph_along(ph_unit(out), random_direction(random), 0.3f));
    float length = ph_length(out) * 0.25f + (1.5f + 0.36f * size) *
                                                (0.35f + 0.65f * (float)t->spiculation) *
                                                (float)lc_random_between(random, 0.4, 1.3);
    float width = (0.5f + 0.055f * size) * (float)lc_random_between(random, 0.6, 1.2);
    n->spicule[i] = (struct ct_ph_segment){base, ph_along(base, course, length), width, 0.2f};
    n->reach = ph_max(n->reach, ph_length(ph_sub(n->spicule[i].b, n->centre)) + 1);
  }
}

static void shape(struct ct_ph_nodule *n, const struct ct_phantom_nodule *t, ct_ph_vec centre,
                  const ct_ph_vec frame[3], int pattern, bool cavity, struct lc_random *random) {
  n->centre = centre;
  for (int a = 0; a < 3; a++) {
    n->axes[a] = (float)t->axes_mm[a];
    n->frame[a] = frame[a];
  }
  draw_surface(n, t, random);
  n->edge_mm = 0.3f + (1 - (float)t->margin) * ph_min(2.6f, 0.22f * (float)t->diameter_mm);
  n->reach = n->axes[0] * (1.2f + n->lobe_height - ph_max(0, n->level)) + n->edge_mm + 2;
  add_spicules(n, t, random);
  n->texture = t->texture;
  n->hu = (float)lc_random_between(random, 5, 55);
  n->hu_glass = (float)lc_random_between(random, -660, -480);
  n->core_share = (float)lc_random_between(random, 0.3, 0.62);
  float aside = 0.25f * n->axes[2] * (float)lc_random_uniform(random);
  n->core = ph_along(centre, random_direction(random), aside);
  n->calcium = pattern;
  n->calcium_share = (float)t->calcification;
  n->hu_calcium = (float)lc_random_between(random, 320, 800);
  n->cavity_share = cavity ? (float)lc_random_between(random, 0.35, 0.5) : 0;
}

static float distance(const struct ct_ph_nodule *n, ct_ph_vec p, bool lobes) {
  ct_ph_vec d = ph_sub(p, n->centre);
  ct_ph_vec q = ph_vec(ph_dot(d, n->frame[0]) / n->axes[0], ph_dot(d, n->frame[1]) / n->axes[1],
                       ph_dot(d, n->frame[2]) / n->axes[2]);
  float rho = ph_length(q);
  if (rho < 1e-4f) return -n->axes[2];
  ct_ph_vec g = ph_vec(q.x / n->axes[0], q.y / n->axes[1], q.z / n->axes[2]);
  ct_ph_vec direction = ph_mul(q, 1 / rho);
  float surface = (lobes ? surface_at(n, direction) : 1 + waves_at(n, direction)) - n->level;
  return (rho - surface) * rho / ph_length(g);
}

float ct_ph_nodule_distance(const struct ct_ph_nodule *n, ct_ph_vec p) {
  return distance(n, p, true);
}

float ct_ph_smooth_distance(const struct ct_ph_nodule *n, ct_ph_vec p) {
  return distance(n, p, false);
}

struct placing {
  struct ct_ph_scene *scene;
  struct lc_random random;
  size_t placed;
  struct ct_ph_segments large; /* vessels and bronchi that a nodule keeps away from */
};

static ct_ph_vec lung_normal(const struct ct_ph_scene *scene, ct_ph_vec p) {
  const float h = 2.5f;
  float x = ct_ph_lung_patient(scene, ph_vec(p.x + h, p.y, p.z)) -
            ct_ph_lung_patient(scene, ph_vec(p.x - h, p.y, p.z));
  float y = ct_ph_lung_patient(scene, ph_vec(p.x, p.y + h, p.z)) -
            ct_ph_lung_patient(scene, ph_vec(p.x, p.y - h, p.z));
  float z = ct_ph_lung_patient(scene, ph_vec(p.x, p.y, p.z + h)) -
            ct_ph_lung_patient(scene, ph_vec(p.x, p.y, p.z - h));
  return ph_unit(ph_vec(x, y, z));
}

static bool clear_of_others(const struct placing *place, ct_ph_vec p, float reach) {
  const struct ct_ph_scene *s = place->scene;
  float radius = 0.5f * (float)(s->matrix - 1) * s->pixel_mm;
  float x = p.x - s->first.x - radius, y = p.y - s->first.y - radius;
  if (sqrtf(x * x + y * y) + reach + 4 > radius) return false;
  float low = s->first.z + reach + 2 * s->spacing_mm;
  float high = s->first.z + (float)(s->n_slices - 1) * s->spacing_mm - reach - 2 * s->spacing_mm;
  if (p.z < low || p.z > high) return false;
  for (size_t i = 0; i < place->placed; i++)
    if (ph_length(ph_sub(p, s->nodule[i].centre)) < reach + s->nodule[i].axes[0] * 1.3f + 12)
      return false;
  /* Not in the middle of a large vessel or bronchus. */
  ct_ph_vec body = ct_ph_to_body(s, p);
  for (size_t i = 0; i < place->large.count; i++) {
    const struct ct_ph_segment *v = &place->large.item[i];
    if (ph_capsule(v->a, v->b, v->ra, v->rb, body) < reach * 0.8f) return false;
  }
  return true;
}

static ct_ph_vec random_body_point(struct placing *place) {
  struct lc_random *r = &place->random;
  float z = (float)lc_random_between(r, -180, 90);
  float y = (float)lc_random_between(r, -95, 95);
  float x = (float)lc_random_between(r, -140, 140);
  return ph_vec(x, y, z);
}

/* One try; true when the place suits. axis is the direction of the shortest axis. */
static bool try_place(struct placing *place, const struct ct_phantom_nodule *t, ct_ph_vec *centre,
                      ct_ph_vec *axis) {
  struct ct_ph_scene *s = place->scene;
  float longest = (float)t->axes_mm[0], shortest = (float)t->axes_mm[2];
  float bulge = 1.08f + 0.32f * (float)t->lobulation;
  *axis = random_direction(&place->random);
  if (t->attachment == CT_ON_VESSEL) {
    const struct ct_ph_segments *list = &s->vessels[lc_random_below(&place->random, 2)];
    const struct ct_ph_segment *v =
        &list->item[lc_random_below(&place->random, (uint32_t)list->count)];
    if (v->rb < 0.7f || v->rb > 2.2f) return false;
    ct_ph_vec side = ph_unit(ph_cross(ph_sub(v->b, v->a), *axis));
    *centre = ph_along(ct_ph_to_patient(s, v->b), side, shortest * 0.75f);
    return ct_ph_lung_patient(s, *centre) < -(longest * bulge + 2) &&
           clear_of_others(place, *centre, longest);
  }
  *centre = ct_ph_to_patient(s, random_body_point(place));
  float depth = -ct_ph_lung_patient(s, *centre);
  if (t->attachment == CT_FREE)
    return depth > longest * bulge + 3 && clear_of_others(place, *centre, longest);
  if (depth < 0 || depth > shortest + 6) return false;
  *axis = lung_normal(s, *centre);
  if (axis->x * centre->x < 0) return false; /* that is the mediastinal side */
  /* Onto the pleura: the body touches it and is cut off by it a little. */
  *centre = ph_along(*centre, *axis, depth - shortest * 0.88f);
  depth = -ct_ph_lung_patient(s, *centre);
  return fabsf(depth - shortest * 0.88f) < 0.6f && clear_of_others(place, *centre, longest);
}

static bool find_place(struct placing *place, struct ct_phantom_nodule *t, ct_ph_vec *centre,
                       ct_ph_vec *axis) {
  for (int tries = 0; tries < 20000; tries++)
    if (try_place(place, t, centre, axis)) return true;
  return false;
}

static void make_one(struct placing *place, struct ct_phantom_nodule *t) {
  double middle;
  int pattern = draw_properties(t, &place->random, &middle);
  bool cavity = t->texture == CT_SOLID && pattern == 6 && t->diameter_mm > 13 &&
                lc_random_uniform(&place->random) < 0.08;
  double dice = lc_random_uniform(&place->random);
  ct_ph_vec centre, axis;
  bool found = false;
  for (int attempt = 0; attempt < 12 && !found; attempt++) {
    set_axes(t, middle);
    found = find_place(place, t, &centre, &axis);
    if (found) break;
    if (t->attachment == CT_FREE) t->diameter_mm = fmax(4, t->diameter_mm * 0.8);
    t->attachment = CT_FREE;
  }
  if (!found) return;
  ct_ph_vec across = ph_across(axis);
  float turn = (float)lc_random_between(&place->random, 0, 6.283185307);
  ct_ph_vec first =
      ph_unit(ph_along(ph_mul(across, cosf(turn)), ph_cross(axis, across), sinf(turn)));
  const ct_ph_vec frame[3] = {first, ph_cross(axis, first), axis};
  struct ct_ph_scene *s = place->scene;
  shape(&s->nodule[place->placed], t, centre, frame, pattern, cavity, &place->random);
  ct_ph_malignancy_terms(t, t->malignancy_term);
  t->malignancy_probability = ct_ph_malignancy(t);
  t->malignant = dice < t->malignancy_probability;
  t->centre_mm[0] = (double)(centre.x + s->shift_mm.x);
  t->centre_mm[1] = (double)(centre.y + s->shift_mm.y);
  t->centre_mm[2] = (double)(centre.z + s->shift_mm.z);
  set_true_ratings(t, pattern, cavity);
  place->placed++;
}

/* Tiny nodules that readers mark with a point or overlook. */
static void add_micro(struct placing *place) {
  struct ct_ph_scene *s = place->scene;
  uint32_t wanted = lc_random_below(&place->random, CT_PH_MICRO + 1);
  for (int tries = 0; tries < 2000 && s->n_micro < wanted; tries++) {
    ct_ph_vec p = ct_ph_to_patient(s, random_body_point(place));
    if (ct_ph_lung_patient(s, p) > -4 || !clear_of_others(place, p, 6)) continue;
    s->micro[s->n_micro] = p;
    s->micro_radius[s->n_micro++] = (float)lc_random_between(&place->random, 0.8, 1.4);
  }
}

static lc_status gather_large(struct placing *place, struct lc_error *err) {
  const struct ct_ph_scene *s = place->scene;
  const struct ct_ph_segments *lists[] = {&s->vessels[0], &s->vessels[1], &s->airways};
  for (int l = 0; l < 3; l++)
    for (size_t i = 0; i < lists[l]->count; i++)
      if (lists[l]->item[i].ra >= 2.4f)
        LC_TRY(ct_ph_segment_add(&place->large, lists[l]->item[i], err));
  return LC_OK;
}

lc_status ct_ph_build_nodules(struct ct_ph_scene *scene, size_t wanted,
                              struct ct_phantom_nodule truth[CT_PHANTOM_MAX_NODULES],
                              struct lc_error *err) {
  struct placing place = {.scene = scene};
  lc_status status = gather_large(&place, err);
  if (status != LC_OK) goto done;
  lc_random_init(&place.random, scene->seed, "nodule-count", 0);
  static const uint32_t share[] = {1, 1, 1, 1, 2, 2, 2, 3, 3, 4};
  uint32_t drawn = lc_random_below(&place.random, 10);
  if (wanted == 0) wanted = share[drawn];
  for (size_t i = 0; i < wanted; i++) {
    lc_random_init(&place.random, scene->seed, "nodule", i);
    make_one(&place, &truth[place.placed]);
  }
  scene->n_nodules = place.placed;
  if (place.placed == 0)
    LC_FAIL_GOTO(done, err, LC_ERR_INTERNAL, "phantom: found no place for a nodule in the lungs");
  lc_random_init(&place.random, scene->seed, "micro-nodules", 0);
  add_micro(&place);
done:
  free(place.large.item);
  return status;
}
