/* Arteries, veins and bronchi of the lungs, grown into the volume they supply.
 *
 * Method: Tawhai, Pullan, Hunter, "Generation of an anatomically based three-dimensional model of
 * the conducting airways", Ann Biomed Eng 28:793 (2000): points fill a lobe; a branch runs part of
 * the way to the centre of its points; a plane through it divides them between its daughters.
 * Radius follows the number of points supplied. */
#include <stdlib.h>

#include "ct_ph_scene.h"

struct root {
  int lobes; /* bit set of ct_ph_lobe */
  ct_ph_vec start, direction;
  float radius;
};

static const struct root artery_roots[] = {
    {1 << 0, {-38, 4, -22}, {-0.7f, -0.1f, 0.7f}, 5.5f},
    {1 << 1, {-42, 10, -42}, {-0.7f, -0.6f, -0.3f}, 4.2f},
    {1 << 2, {-42, 18, -56}, {-0.4f, 0.5f, -0.8f}, 6},
    {1 << 3, {40, 12, -14}, {0.7f, -0.2f, 0.6f}, 5.5f},
    {1 << 4, {44, 24, -52}, {0.4f, 0.4f, -0.8f}, 6},
};
static const struct root vein_roots[] = {
    {1 << 0 | 1 << 1, {-40, -8, -30}, {-0.8f, -0.4f, 0.2f}, 5.5f},
    {1 << 2, {-38, 24, -70}, {-0.6f, 0.5f, -0.6f}, 5.5f},
    {1 << 3, {44, -8, -28}, {0.8f, -0.4f, 0.3f}, 5.5f},
    {1 << 4, {44, 26, -70}, {0.6f, 0.5f, -0.6f}, 5.5f},
};
/* Bronchi share the arteries' course; where each lobe's bronchus ends in the mediastinum. */
static const ct_ph_vec bronchus_start[] = {
    {-46, 8, -8}, {-46, -6, -54}, {-40, 30, -70}, {54, -4, -20}, {45, 30, -66}};

struct grower {
  struct ct_ph_scene *scene;
  struct ct_ph_segments *list;
  struct lc_random random;
  bool with_bronchi;
  float leaf_radius, power;
  struct lc_error *err;
};

/* Points of the given lobes, kept a little from the pleura and the fissures. */
static size_t fill_lobes(struct grower *g, int lobes, ct_ph_vec *points, size_t wanted) {
  size_t n = 0;
  for (size_t tries = 0; n < wanted && tries < wanted * 60; tries++) {
    ct_ph_vec p = ph_vec((float)lc_random_between(&g->random, -145, 145),
                         (float)lc_random_between(&g->random, -100, 100),
                         (float)lc_random_between(&g->random, -195, 98));
    float fissure;
    if (ct_ph_lung_body(g->scene, p) > -3.5f) continue;
    if (!(lobes >> ct_ph_lobe(p, &fissure) & 1) || fissure < 1.5f) continue;
    points[n++] = p;
  }
  return n;
}

static ct_ph_vec bronchus_offset(ct_ph_vec direction, float artery, float airway) {
  ct_ph_vec toward = ph_vec(0.35f, 0.75f, 0.55f);
  toward = ph_along(toward, direction, -ph_dot(toward, direction));
  return ph_mul(ph_unit(toward), artery + airway + 0.5f);
}

/* A slightly bent branch; its bronchus runs beside it while it is large enough to be seen. */
static lc_status add_branch(struct grower *g, ct_ph_vec a, ct_ph_vec b, float ra, float rb,
                            ct_ph_vec *bronchus, float airway_a, float airway_b) {
  ct_ph_vec d = ph_sub(b, a), unit = ph_unit(d), across = ph_across(unit);
  float length = ph_length(d), turn = (float)lc_random_between(&g->random, 0, 6.28318);
  ct_ph_vec bend = ph_along(ph_mul(across, cosf(turn)), ph_cross(unit, across), sinf(turn));
  float bow = length * (float)lc_random_between(&g->random, 0.02, 0.10);
  int pieces = length > 5 ? 3 : 2;
  ct_ph_vec before = a, air_before = bronchus ? *bronchus : a;
  for (int i = 1; i <= pieces; i++) {
    float t = (float)i / (float)pieces;
    ct_ph_vec now = ph_along(ph_along(a, d, t), bend, bow * 4 * t * (1 - t));
    struct ct_ph_segment piece = {before, now, ph_mix(ra, rb, (float)(i - 1) / (float)pieces),
                                  ph_mix(ra, rb, t)};
    LC_TRY(ct_ph_segment_add(g->list, piece, g->err));
    before = now;
    if (!bronchus) continue;
    ct_ph_vec beside = ph_add(now, bronchus_offset(unit, piece.rb, airway_b));
    struct ct_ph_segment lumen = {air_before, beside,
                                  ph_mix(airway_a, airway_b, (float)(i - 1) / (float)pieces),
                                  ph_mix(airway_a, airway_b, t)};
    LC_TRY(ct_ph_segment_add(&g->scene->airways, lumen, g->err));
    air_before = beside;
  }
  if (bronchus) *bronchus = air_before;
  return LC_OK;
}

static ct_ph_vec mean_point(const ct_ph_vec *points, size_t n) {
  ct_ph_vec sum = ph_vec(0, 0, 0);
  for (size_t i = 0; i < n; i++) sum = ph_add(sum, points[i]);
  return ph_mul(sum, 1 / (float)n);
}

/* Moves the points on the negative side of a plane to the front; returns their number. */
static size_t split(ct_ph_vec *points, size_t n, ct_ph_vec at, ct_ph_vec normal) {
  size_t low = 0;
  for (size_t i = 0; i < n; i++)
    if (ph_dot(ph_sub(points[i], at), normal) < 0) {
      ct_ph_vec t = points[low];
      points[low++] = points[i];
      points[i] = t;
    }
  return low;
}

static float tube_radius(const struct grower *g, size_t leaves) {
  return g->leaf_radius * powf((float)leaves, 1 / g->power);
}

static lc_status grow(struct grower *g, ct_ph_vec *points, size_t n, ct_ph_vec from,
                      ct_ph_vec direction, ct_ph_vec plane, float radius, const ct_ph_vec *air,
                      int depth) {
  if (n == 0 || depth > 40) return LC_OK;
  ct_ph_vec centre = mean_point(points, n), to = ph_sub(centre, from);
  float far = ph_length(to);
  if (far < 0.5f) return LC_OK;
  /* No branch turns back on itself. */
  ct_ph_vec course = ph_unit(to);
  float along = ph_dot(course, direction);
  if (along < 0.5f)
    course = ph_unit(ph_along(ph_along(course, direction, -along), direction,
                              0.58f * sqrtf(fmaxf(0.05f, 1 - along * along))));
  float length = n == 1 ? far * 0.9f : far * (float)lc_random_between(&g->random, 0.34, 0.46);
  float mine = fminf(radius, tube_radius(g, n));
  ct_ph_vec end = ph_along(from, course, length);
  if (ct_ph_lung_body(g->scene, end) > -1 && depth > 2) return LC_OK;
  ct_ph_vec air_end = air ? *air : from;
  float airway = mine * 0.86f;
  bool seen = air && airway > 0.75f;
  LC_TRY(add_branch(g, from, end, (radius + mine) / 2, mine, seen ? &air_end : NULL,
                    (radius + mine) * 0.43f, airway));
  if (n == 1) return LC_OK;
  /* The next plane holds the branch and stands across the last one, turned a little. */
  ct_ph_vec normal = ph_cross(course, plane);
  if (ph_length(normal) < 0.2f) normal = ph_across(course);
  float turn = 0.5f * (float)lc_random_normal(&g->random);
  normal = ph_unit(normal);
  normal = ph_unit(ph_along(ph_mul(normal, cosf(turn)), ph_cross(course, normal), sinf(turn)));
  size_t low = split(points, n, centre, normal);
  if (low == 0 || low == n) low = n / 2;
  LC_TRY(grow(g, points, low, end, course, normal, mine, seen ? &air_end : NULL, depth + 1));
  return grow(g, points + low, n - low, end, course, normal, mine, seen ? &air_end : NULL,
              depth + 1);
}

static lc_status grow_roots(struct grower *g, const struct root *roots, size_t n_roots,
                            size_t per_lobe, ct_ph_vec *points) {
  for (size_t i = 0; i < n_roots; i++) {
    size_t wanted = per_lobe;
    if (roots[i].lobes & (1 << 1)) wanted = roots[i].lobes == 1 << 1 ? per_lobe * 4 / 10 : per_lobe;
    if (roots[i].lobes & (1 << 4 | 1 << 2)) wanted = per_lobe * 5 / 4;
    size_t n = fill_lobes(g, roots[i].lobes, points, wanted);
    ct_ph_vec direction = ph_unit(roots[i].direction);
    LC_TRY(grow(g, points, n, roots[i].start, direction, ph_across(direction), roots[i].radius,
                g->with_bronchi ? &bronchus_start[i] : NULL, 0));
  }
  return LC_OK;
}

lc_status ct_ph_build_trees(struct ct_ph_scene *scene, struct lc_error *err) {
  enum { PER_LOBE = 2600 };
  ct_ph_vec *points = malloc((PER_LOBE * 5 / 4 + 1) * sizeof *points);
  if (!points) LC_FAIL(err, LC_ERR_MEMORY, "phantom: no memory for the vessels of the lungs");
  struct grower g = {.scene = scene, .err = err, .power = 2.75f};
  g.list = &scene->vessels[0];
  g.with_bronchi = true;
  g.leaf_radius = 0.30f;
  lc_random_init(&g.random, scene->seed, "arteries", 0);
  lc_status status =
      grow_roots(&g, artery_roots, sizeof artery_roots / sizeof *artery_roots, PER_LOBE, points);
  if (status == LC_OK) {
    g.list = &scene->vessels[1];
    g.with_bronchi = false;
    g.leaf_radius = 0.28f;
    lc_random_init(&g.random, scene->seed, "veins", 0);
    status = grow_roots(&g, vein_roots, sizeof vein_roots / sizeof *vein_roots, PER_LOBE, points);
  }
  free(points);
  return status;
}
