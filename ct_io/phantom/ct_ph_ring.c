/* Chest wall: inner surface of the cage, muscles, fat and skin, by direction around each level. */
#include "ct_io/phantom/ct_ph_scene.h"

/* Curve through (z, value) knots in falling z, smooth at the knots. */
struct knot {
  float z, value;
};

static float curve(const struct knot *k, int n, float z) {
  if (z >= k[0].z) return k[0].value;
  if (z <= k[n - 1].z) return k[n - 1].value;
  int i = 0;
  while (z < k[i + 1].z) i++;
  float span = k[i].z - k[i + 1].z, t = (k[i].z - z) / span;
  float before = i > 0 ? (k[i + 1].value - k[i - 1].value) / (k[i - 1].z - k[i + 1].z)
                       : (k[i + 1].value - k[i].value) / span;
  float after = i + 2 < n ? (k[i + 2].value - k[i].value) / (k[i].z - k[i + 2].z)
                          : (k[i + 1].value - k[i].value) / span;
  float m0 = before * span, m1 = after * span, t2 = t * t, t3 = t2 * t;
  return (2 * t3 - 3 * t2 + 1) * k[i].value + (t3 - 2 * t2 + t) * m0 +
         (3 * t2 - 2 * t3) * k[i + 1].value + (t3 - t2) * m1;
}
#define CURVE(knots, z) curve((knots), (int)(sizeof(knots) / sizeof *(knots)), (z))

static const struct knot cage_side[] = {{120, 50},   {100, 60},   {85, 78},   {70, 94},
                                        {50, 110},   {25, 122},   {-10, 130}, {-60, 136},
                                        {-110, 139}, {-160, 138}, {-210, 133}};
static const struct knot cage_front[] = {{120, 26}, {100, 32}, {80, 42},  {60, 55},   {40, 66},
                                         {10, 80},  {-30, 91}, {-80, 98}, {-140, 99}, {-210, 96}};
static const struct knot cage_back[] = {{120, 48}, {100, 56},  {80, 67},   {50, 80},  {10, 89},
                                        {-50, 93}, {-110, 90}, {-160, 84}, {-210, 76}};
static const struct knot shoulder_side[] = {{120, 222}, {90, 216}, {65, 203}, {40, 184}, {10, 165}};
static const struct knot shoulder_front[] = {{120, 60}, {90, 74}, {65, 90}, {40, 102}, {10, 108}};
static const struct knot shoulder_back[] = {{120, 84}, {90, 98}, {65, 108}, {40, 116}, {10, 122}};
static const struct knot spine_back[] = {{120, 18}, {80, 34},   {40, 45},  {-20, 50},
                                         {-80, 50}, {-140, 43}, {-200, 34}};

float ct_ph_cage_centre(float z) {
  (void)z;
  return 0;
}

float ct_ph_spine_y(float z) {
  return CURVE(spine_back, z);
}

float ct_ph_spine_x(const struct ct_ph_scene *scene, float z) {
  return scene->spine_bend * sinf((z + 60) * 0.018f);
}

static float superellipse(float ux, float uy, float side, float depth, float power) {
  float a = fabsf(ux) / side, b = fabsf(uy) / depth;
  return powf(powf(a, power) + powf(b, power), -1 / power);
}

float ct_ph_cage_radius(const struct ct_ph_scene *scene, float z, float ux, float uy) {
  float side = CURVE(cage_side, z);
  float depth = uy < 0 ? CURVE(cage_front, z) : CURVE(cage_back, z);
  /* The cage is flatter in front and bulges beside the spine. */
  float power = uy < 0 ? 2.15f : 2.35f;
  float r = superellipse(ux, uy, side, depth, power);
  float angle = atan2f(uy, ux), from_back = atan2f(fabsf(ux), uy);
  r *= 1 + 0.06f * ph_bump(from_back, 0.66f, 0.32f) - 0.03f * ph_bump(from_back, 0, 0.3f);
  return r * (1 + 0.006f * cosf(3 * angle + scene->wave_phase[0]) +
              0.005f * cosf(2 * angle + scene->wave_phase[1] + 0.01f * z));
}

struct layer {
  float centre, width;       /* angle from the back, 0 to pi, and reach */
  float low, high;           /* z range */
  float start, thickness_mm; /* offset of its inner side from the cage; not for the last */
};

/* Pectoral, latissimus and serratus, muscles around the scapula, erector spinae, trapezius. */
static const struct layer layers[CT_PH_LAYERS] = {{2.42f, 0.50f, -34, 100, 10.5f, 16},
                                                  {1.36f, 0.55f, -140, 74, 10.5f, 9},
                                                  {0.95f, 0.42f, -62, 112, 11.0f, 30},
                                                  {0.27f, 0.34f, -260, 160, 4.0f, 27},
                                                  {0.35f, 0.60f, -75, 160, 0, 7}};

static float layer_thickness(const struct ct_ph_scene *scene, const struct layer *layer,
                             float angle, float z) {
  float t = (angle - layer->centre) / layer->width;
  if (fabsf(t) >= 1) return 0;
  float along = ph_ramp(layer->low, layer->low + 45, z) * ph_ramp(layer->high, layer->high - 30, z);
  float across = 1 - t * t;
  return layer->thickness_mm * scene->muscle * along * sqrtf(across);
}

/* Offsets of each layer from the cage; returns how far the outermost reaches. The last layer lies
 * over all others. */
static float layer_offsets(const struct ct_ph_scene *scene, float angle, float z,
                           float inner[CT_PH_LAYERS], float outer[CT_PH_LAYERS]) {
  float most = 9.5f;
  for (int i = 0; i < CT_PH_LAYERS; i++) {
    float thickness = layer_thickness(scene, &layers[i], angle, z);
    inner[i] = i + 1 < CT_PH_LAYERS ? layers[i].start : most + 1.5f;
    outer[i] = inner[i] + thickness;
    most = ph_max(most, 9.5f + (outer[i] - 9.5f) * ph_ramp(0, 7, thickness));
  }
  return most;
}

static float skin_radius(const struct ct_ph_scene *scene, float z, float ux, float uy, float cage,
                         float shoulder) {
  float angle = atan2f(fabsf(ux), uy);
  /* The skin runs over the muscles, it does not follow each. */
  float wall = 0, inner[CT_PH_LAYERS], outer[CT_PH_LAYERS];
  for (int i = -2; i <= 2; i++)
    wall += layer_offsets(scene, fabsf(angle + 0.13f * (float)i), z, inner, outer) / 5;
  float fat = scene->fat_mm * (1 + 0.5f * ph_bump(angle, 1.5f, 0.7f) * ph_ramp(-60, -170, z));
  float signed_angle = atan2f(uy, ux);
  float wave = scene->wave_mm * (cosf(2 * signed_angle + scene->wave_phase[2]) * 0.6f +
                                 cosf(3 * signed_angle + scene->wave_phase[3] + 0.012f * z));
  float breast = scene->breast_mm * ph_bump(angle, 2.38f, 0.42f) * ph_bump(z, -42, 42);
  float trunk = cage + wall + fat + 3 + wave + breast;
  if (shoulder <= 0) return trunk;
  float girdle = superellipse(
      ux, uy, CURVE(shoulder_side, z) + scene->fat_mm * 0.7f,
      (uy < 0 ? CURVE(shoulder_front, z) : CURVE(shoulder_back, z)) + scene->fat_mm * 0.6f, 2.25f);
  return ph_mix(trunk, ph_max(girdle, cage + 16), shoulder);
}

/* Cosine between the direction and the normal of r(angle), from the neighbours' points. */
static void slants(const float *radius, const float (*unit)[2], float *slant) {
  for (int i = 0; i < CT_PH_RING; i++) {
    int a = (i + CT_PH_RING - 2) % CT_PH_RING, b = (i + 2) % CT_PH_RING;
    float tx = radius[b] * unit[b][0] - radius[a] * unit[a][0];
    float ty = radius[b] * unit[b][1] - radius[a] * unit[a][1];
    float length = sqrtf(tx * tx + ty * ty);
    float cross = fabsf(unit[i][0] * ty - unit[i][1] * tx);
    slant[i] = length > 0 ? ph_max(0.3f, cross / length) : 1;
  }
}

void ct_ph_ring_make(const struct ct_ph_scene *scene, float z, struct ct_ph_ring *ring) {
  float unit[CT_PH_RING][2];
  ring->z = z;
  ring->centre_y = ct_ph_cage_centre(z);
  ring->shoulder = ph_ramp(8, 70, z);
  for (int i = 0; i < CT_PH_RING; i++) {
    float v = (float)i * (4.0f / CT_PH_RING) - 1, dx, dy;
    if (v <= 1) {
      dx = 1 - fabsf(v);
      dy = v;
    } else {
      dy = 2 - v;
      dx = -(1 - fabsf(dy));
    }
    float n = sqrtf(dx * dx + dy * dy);
    unit[i][0] = dx / n;
    unit[i][1] = dy / n;
    float ux = unit[i][0], uy = unit[i][1];
    float cage = ct_ph_cage_radius(scene, z, ux, uy);
    ring->cage[i] = cage;
    ring->skin[i] = skin_radius(scene, z, ux, uy, cage, ring->shoulder);
    float angle = atan2f(fabsf(ux), uy);
    float inner[CT_PH_LAYERS], outer[CT_PH_LAYERS];
    layer_offsets(scene, angle, z, inner, outer);
    for (int l = 0; l < CT_PH_LAYERS; l++) {
      ring->inner[l][i] = inner[l];
      ring->outer[l][i] = outer[l];
    }
  }
  slants(ring->cage, (const float(*)[2])unit, ring->slant);
  slants(ring->skin, (const float(*)[2])unit, ring->skin_slant);
}
