/* Great vessels, trachea and main bronchi, and the heart, in the body frame. */
#include <stdlib.h>

#include "ct_io/phantom/ct_ph_scene.h"

lc_status ct_ph_segment_add(struct ct_ph_segments *list, struct ct_ph_segment item,
                            struct lc_error *err) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? list->capacity * 2 : 64;
    struct ct_ph_segment *grown = realloc(list->item, capacity * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "phantom: no memory for %zu tubes", capacity);
    list->item = grown;
    list->capacity = capacity;
  }
  list->item[list->count++] = item;
  return LC_OK;
}

/* A tube through knots of x, y, z and radius. */
struct tube {
  int n;
  float knot[9][4];
};

static float spline(float a, float b, float c, float d, float t) {
  return 0.5f * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t +
                 (3 * b - a - 3 * c + d) * t * t * t);
}

/* Catmull-Rom through the knots, in pieces of a few mm. */
static lc_status add_tube(struct ct_ph_segments *list, const struct tube *tube,
                          struct lc_error *err) {
  for (int i = 0; i + 1 < tube->n; i++) {
    const float *b = tube->knot[i], *c = tube->knot[i + 1];
    const float *a = i > 0 ? tube->knot[i - 1] : b, *d = i + 2 < tube->n ? tube->knot[i + 2] : c;
    float length = ph_length(ph_sub(ph_vec(c[0], c[1], c[2]), ph_vec(b[0], b[1], b[2])));
    int pieces = 1 + (int)(length / 4);
    float before[4] = {b[0], b[1], b[2], b[3]};
    for (int p = 1; p <= pieces; p++) {
      float t = (float)p / (float)pieces, now[4];
      for (int k = 0; k < 4; k++) now[k] = spline(a[k], b[k], c[k], d[k], t);
      struct ct_ph_segment piece = {ph_vec(before[0], before[1], before[2]),
                                    ph_vec(now[0], now[1], now[2]), before[3], now[3]};
      LC_TRY(ct_ph_segment_add(list, piece, err));
      for (int k = 0; k < 4; k++) before[k] = now[k];
    }
  }
  return LC_OK;
}

/* Aorta with arch, its three branches, pulmonary trunk and main arteries. */
static const struct tube arterial[] = {
    {9,
     {{4, -20, -58, 15},
      {-6, -27, -36, 15.5f},
      {-15, -26, -8, 15.5f},
      {-8, -22, 15, 15},
      {8, -12, 25, 13.5f},
      {20, 8, 24, 13},
      {26, 27, 10, 12.5f},
      {26, 39, -14, 12},
      {24, 40, -60, 12}}},
    {4, {{24, 40, -60, 12}, {20, 37, -110, 11.5f}, {12, 26, -155, 11}, {4, 12, -210, 10.5f}}},
    {4, {{-4, -17, 24, 6.5f}, {-13, -16, 46, 6}, {-22, -16, 74, 5}, {-52, -30, 104, 4.5f}}},
    {3, {{9, -8, 30, 4.5f}, {13, -6, 60, 4}, {16, -4, 112, 3.8f}}},
    {4, {{18, 8, 28, 5.5f}, {22, 8, 56, 5}, {26, -2, 84, 4.8f}, {54, -26, 104, 4}}},
    {3, {{-26, -8, 70, 4}, {-18, -4, 92, 3.8f}, {-18, -4, 115, 3.6f}}},
    {5,
     {{22, -50, -62, 13},
      {24, -40, -38, 14},
      {20, -25, -18, 14},
      {28, -4, -8, 11.5f},
      {40, 12, -12, 9}}},
    {4, {{18, -22, -18, 12}, {4, -10, -19, 11}, {-18, -2, -20, 10.5f}, {-38, 4, -24, 8}}},
    {3, {{40, 12, -12, 8.5f}, {42, 20, -32, 7.5f}, {44, 24, -52, 6.5f}}},
    {3, {{-38, 4, -24, 8}, {-42, 10, -40, 7}, {-42, 18, -56, 6}}},
};

/* Venae cavae, brachiocephalic and subclavian veins, azygos. */
static const struct tube venous[] = {
    {5,
     {{-22, -24, 40, 8},
      {-25, -22, 18, 8.5f},
      {-26, -20, -8, 9},
      {-25, -19, -34, 9.5f},
      {-24, -20, -55, 10}}},
    {5,
     {{-22, -24, 40, 8},
      {-4, -34, 44, 7},
      {18, -38, 54, 7},
      {42, -54, 68, 6.5f},
      {96, -52, 84, 6}}},
    {4, {{-22, -24, 40, 7.5f}, {-26, -34, 56, 7}, {-42, -54, 68, 6.5f}, {-96, -52, 84, 6}}},
    {3, {{-24, -14, -88, 11}, {-24, -4, -112, 11.5f}, {-22, 4, -165, 12}}},
    {2, {{-22, 4, -165, 12}, {-18, 8, -210, 12}}},
    {5,
     {{-6, 34, -200, 3},
      {-6, 38, -90, 3.5f},
      {-9, 34, -20, 3.8f},
      {-14, 22, 6, 4.2f},
      {-24, -8, 8, 4.5f}}},
};

/* Pulmonary veins at the left atrium. */
static const struct tube pulmonary_veins[] = {
    {3, {{-12, 6, -52, 7}, {-26, 0, -44, 7}, {-40, -8, -30, 5.5f}}},
    {3, {{-12, 12, -60, 7}, {-26, 16, -64, 6.5f}, {-38, 24, -70, 5.5f}}},
    {3, {{22, 4, -50, 7}, {34, -4, -42, 6.5f}, {44, -8, -28, 5.5f}}},
    {3, {{22, 12, -58, 7}, {34, 18, -62, 6.5f}, {44, 26, -70, 5.5f}}},
};

/* Oesophagus, thyroid lobes, thymic remnant. */
static const struct tube soft[] = {
    {6,
     {{2, 16, 112, 6},
      {4, 20, 60, 6.5f},
      {5, 26, 10, 7},
      {2, 28, -40, 7},
      {6, 22, -90, 7.5f},
      {16, 6, -118, 8}}},
    {2, {{14, -10, 98, 6}, {15, -8, 116, 7}}},
    {2, {{-14, -10, 98, 6}, {-15, -8, 116, 7}}},
    {2, {{6, -52, 18, 4}, {4, -58, -6, 4.5f}}},
};

/* Trachea, main bronchi, lobar bronchi. */
static const struct tube airway[] = {
    {5,
     {{0, 0, 115, 8.3f}, {-2, 3, 70, 8.5f}, {-6, 8, 30, 8.7f}, {-3, 10, 10, 9.2f}, {-1, 10, 1, 8}}},
    {4, {{-1, 10, 4, 7.5f}, {-12, 12, -8, 7.4f}, {-26, 14, -20, 6.6f}, {-32, 16, -44, 5.4f}}},
    {4, {{1, 10, 4, 7}, {14, 13, -9, 6.6f}, {30, 16, -22, 6.2f}, {40, 16, -30, 5.4f}}},
    {3, {{-22, 13, -17, 5}, {-34, 10, -13, 4.6f}, {-46, 8, -8, 4}}},
    {3, {{-32, 16, -42, 4.5f}, {-38, 6, -48, 3.6f}, {-46, -6, -54, 3}}},
    {3, {{-32, 16, -42, 5}, {-36, 24, -56, 4.6f}, {-40, 30, -70, 4}}},
    {3, {{38, 16, -29, 4.8f}, {48, 6, -26, 4.4f}, {54, -4, -20, 3.8f}}},
    {3, {{38, 16, -29, 5}, {42, 24, -48, 4.6f}, {45, 30, -66, 4}}},
};

/* Chambers as ellipsoids: centre, direction of the long axis, half axes. */
struct chamber {
  ct_ph_vec centre, axis;
  float length, width, depth, wall_mm;
  int left;
};

static const struct chamber chambers[] = {
    {{43, -31, -84}, {0.70f, -0.55f, -0.46f}, 51, 34, 34, 11, 1},   /* left ventricle */
    {{16, -56, -86}, {0.86f, -0.12f, -0.48f}, 52, 27, 36, 4.5f, 0}, /* right ventricle */
    {{-25, -22, -72}, {0.05f, 0.10f, 1}, 32, 24, 25, 3, 0},         /* right atrium */
    {{5, 6, -55}, {1, 0.05f, 0.05f}, 33, 20, 24, 2.5f, 1},          /* left atrium */
};
enum { CHAMBERS = 4 };

static const ct_ph_vec heart_pivot = {5, 0, -60};

/* Hearts lie more upright or more flat: a turn about the front-to-back axis through the pivot. */
static ct_ph_vec turn_heart(const struct ct_ph_scene *scene, ct_ph_vec v) {
  float cosine = cosf(scene->heart_turn), sine = sinf(scene->heart_turn);
  return ph_vec(cosine * v.x + sine * v.z, v.y, cosine * v.z - sine * v.x);
}

static void place_heart(struct ct_ph_scene *scene) {
  for (int i = 0; i < CHAMBERS; i++) {
    ct_ph_vec u = ph_unit(chambers[i].axis);
    ct_ph_vec w = ph_unit(ph_cross(u, ph_vec(0, 1, 0.3f)));
    const ct_ph_vec frame[3] = {u, ph_cross(w, u), w};
    for (int a = 0; a < 3; a++) scene->chamber_frame[i][a] = turn_heart(scene, frame[a]);
    ct_ph_vec arm = turn_heart(scene, ph_sub(chambers[i].centre, heart_pivot));
    scene->chamber_centre[i] = ph_along(heart_pivot, arm, scene->heart);
  }
}

static float chamber_distance(const struct ct_ph_scene *scene, int i, ct_ph_vec p, float shrink) {
  const struct chamber *c = &chambers[i];
  const ct_ph_vec *frame = scene->chamber_frame[i];
  ct_ph_vec q = ph_sub(p, scene->chamber_centre[i]);
  ct_ph_vec local = ph_vec(ph_dot(q, frame[0]), ph_dot(q, frame[1]), ph_dot(q, frame[2]));
  float size = scene->heart;
  return ph_ellipsoid(local, size * c->length - shrink, size * c->width - shrink,
                      size * c->depth - shrink);
}

float ct_ph_heart(const struct ct_ph_scene *scene, ct_ph_vec p) {
  float d = 1e3f;
  for (int i = 0; i < CHAMBERS; i++) d = ph_smin(d, chamber_distance(scene, i, p, 0), 12);
  return d;
}

float ct_ph_chamber(const struct ct_ph_scene *scene, ct_ph_vec p, int left) {
  float d = 1e3f;
  for (int i = 0; i < CHAMBERS; i++)
    if (chambers[i].left == left)
      d = ph_smin(d, chamber_distance(scene, i, p, chambers[i].wall_mm), 5);
  /* The septa keep right and left apart. */
  for (int i = 0; i < CHAMBERS; i++)
    if (chambers[i].left != left) d = ph_smax(d, -chamber_distance(scene, i, p, -1.5f), 3);
  return d;
}

lc_status ct_ph_build_mediastinum(struct ct_ph_scene *scene, struct lc_error *err) {
  place_heart(scene);
  for (size_t i = 0; i < sizeof arterial / sizeof *arterial; i++)
    LC_TRY(add_tube(&scene->mediastinum[0], &arterial[i], err));
  for (size_t i = 0; i < sizeof venous / sizeof *venous; i++)
    LC_TRY(add_tube(&scene->mediastinum[1], &venous[i], err));
  for (size_t i = 0; i < sizeof soft / sizeof *soft; i++)
    LC_TRY(add_tube(&scene->mediastinum[2], &soft[i], err));
  for (size_t i = 0; i < sizeof pulmonary_veins / sizeof *pulmonary_veins; i++)
    LC_TRY(add_tube(&scene->mediastinum[3], &pulmonary_veins[i], err));
  for (size_t i = 0; i < sizeof airway / sizeof *airway; i++)
    LC_TRY(add_tube(&scene->airways, &airway[i], err));
  return LC_OK;
}
