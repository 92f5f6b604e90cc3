/* Skeleton in the body frame: ribs with cartilage, clavicles, shoulders, and the spine. */
#include "ct_io/phantom/ct_ph_scene.h"

/* Upper edges of the vertebrae from the seventh cervical to the second lumbar. */
static const float vertebra_top[] = {112, 96,     78.5f, 60.5f, 42,   23,      3.5f, -16.5f, -37,
                                     -58, -79.5f, -102,  -125,  -149, -174.5f, -201, -228};
enum { VERTEBRAE = (int)(sizeof vertebra_top / sizeof *vertebra_top) - 1 };

/* Where rib n (0-based) runs: how far it falls, and the angle from the back where bone ends. */
static const struct {
  float drop, end, half_height;
} rib_table[12] = {{34, 2.55f, 5.5f}, {48, 2.55f, 5.8f}, {60, 2.52f, 6.2f}, {70, 2.5f, 6.4f},
                   {78, 2.5f, 6.6f},  {86, 2.48f, 6.8f}, {90, 2.45f, 6.8f}, {88, 2.32f, 6.8f},
                   {82, 2.18f, 6.6f}, {70, 2.02f, 6.4f}, {48, 1.62f, 5.6f}, {26, 1.0f, 5}};
static const float sternal_z[7] = {36, 17, -2, -20, -36, -50, -60};

static ct_ph_vec on_cage(const struct ct_ph_scene *scene, float angle, float z, float side,
                         float offset) {
  float ux = side * sinf(angle), uy = cosf(angle);
  float r = ct_ph_cage_radius(scene, z, ux, uy) + offset;
  return ph_vec(ux * r, uy * r, z);
}

static lc_status add_rib(struct ct_ph_scene *scene, int n, float side, struct lc_error *err) {
  enum { STEPS = 56 };
  float z0 = vertebra_top[n + 1] - 3, half = rib_table[n].half_height;
  float spine = ct_ph_spine_y(z0), sx = ct_ph_spine_x(scene, z0);
  ct_ph_vec before = ph_vec(sx + side * 17, spine + 10, z0);
  ct_ph_vec tubercle = ph_vec(sx + side * 34, spine + 33, z0 - 1);
  struct ct_ph_segment piece = {before, tubercle, half * 0.8f, half * 0.85f};
  LC_TRY(ct_ph_segment_add(&scene->ribs, piece, err));
  before = tubercle;
  float start = 0.52f;
  for (int i = 1; i <= STEPS; i++) {
    float t = (float)i / (float)STEPS, angle = ph_mix(start, rib_table[n].end, t);
    float fall = ph_ramp(0, 1, t * 0.86f + 0.07f) - ph_ramp(0, 1, 0.07f);
    float z = z0 - rib_table[n].drop * (0.35f * t + 0.65f * fall);
    ct_ph_vec now = on_cage(scene, angle, z, side, 5.2f);
    /* The neck of the rib swings out from the tubercle onto the cage. */
    float leave = ph_ramp(0, 0.09f, t);
    now = ph_along(ph_mul(tubercle, 1 - leave), now, leave);
    piece = (struct ct_ph_segment){before, now, half, half};
    LC_TRY(ct_ph_segment_add(&scene->ribs, piece, err));
    before = now;
  }
  if (n > 9) return LC_OK;
  float target = n < 7 ? sternal_z[n] : sternal_z[6] - 14 * (float)(n - 6);
  float end = n < 7 ? 2.98f : rib_table[n].end + 0.38f;
  for (int i = 1; i <= 14; i++) {
    float t = (float)i / 14, angle = ph_mix(rib_table[n].end, end, t);
    float z = ph_mix(before.z, target, t * 0.18f);
    ct_ph_vec now = on_cage(scene, angle, ph_mix(before.z, z, 0.9f), side, 5.4f);
    piece = (struct ct_ph_segment){before, now, half, half * (n < 7 ? 1 : 1 - 0.4f * t)};
    LC_TRY(ct_ph_segment_add(&scene->cartilage, piece, err));
    before = now;
  }
  return LC_OK;
}

static lc_status add_shoulder(struct ct_ph_scene *scene, float side, struct lc_error *err) {
  const struct ct_ph_segment bones[] = {
      {{side * 20, -71, 41}, {side * 42, -76, 48}, 9, 6.5f}, /* clavicle */
      {{side * 42, -76, 48}, {side * 76, -70, 61}, 6.5f, 5.5f},
      {{side * 76, -70, 61}, {side * 110, -46, 75}, 5.5f, 5.5f},
      {{side * 110, -46, 75}, {side * 146, -14, 88}, 5.5f, 6.5f},
      {{side * 66, 96, 38}, {side * 110, 92, 58}, 3, 5}, /* spine of the scapula to the acromion */
      {{side * 110, 92, 58}, {side * 150, 54, 80}, 5, 7},
      {{side * 150, 54, 80}, {side * 166, 20, 98}, 7, 7},
      {{side * 142, 40, 66}, {side * 149, 30, 74}, 9, 14},  /* glenoid */
      {{side * 136, 34, 74}, {side * 134, -10, 84}, 6, 5},  /* coracoid */
      {{side * 175, 16, 84}, {side * 177, 14, 88}, 22, 22}, /* head of the humerus */
      {{side * 186, 8, 96}, {side * 212, -12, 150}, 15, 12},
  };
  for (size_t i = 0; i < sizeof bones / sizeof *bones; i++)
    LC_TRY(ct_ph_segment_add(&scene->long_bones, bones[i], err));
  return LC_OK;
}

lc_status ct_ph_build_bones(struct ct_ph_scene *scene, struct lc_error *err) {
  for (int n = 0; n < 12; n++)
    for (int side = -1; side <= 1; side += 2) LC_TRY(add_rib(scene, n, (float)side, err));
  LC_TRY(add_shoulder(scene, 1, err));
  return add_shoulder(scene, -1, err);
}

/* Distance to a box with rounded edges around the origin. */
static float round_box(float x, float y, float z, float hx, float hy, float hz, float edge) {
  float a = fabsf(x) - hx + edge, b = fabsf(y) - hy + edge, c = fabsf(z) - hz + edge;
  float ox = ph_max(a, 0), oy = ph_max(b, 0), oz = ph_max(c, 0);
  return sqrtf(ox * ox + oy * oy + oz * oz) + ph_min(ph_max(a, ph_max(b, c)), 0) - edge;
}

/* Body of a vertebra: kidney-shaped in section, waisted between its end plates. */
static float vertebra_body(float x, float y, float z, float wide, float deep, float half) {
  float waist = 1 - 0.10f * (1 - ph_clamp(z * z / (half * half), 0, 1));
  float hollow = y > 0 ? 3.2f * expf(-x * x / 60) : 0;
  float u = x / (wide * waist), v = (y + hollow) / (deep * waist);
  float radial = (sqrtf(u * u + v * v) - 1) * ph_min(wide, deep);
  return ph_smax(radial, fabsf(z) - half, 2.5f);
}

/* A thin blade that leans down, thicker at its tip. */
static float spinous_process(float x, float y, float z, float height) {
  ct_ph_vec tip = ph_vec(0, 32, -0.62f * height), p = ph_vec(0, y, z);
  float flat = ph_capsule(ph_vec(0, 9, 0), tip, 6.5f, 5, p);
  float side = fabsf(x) - ph_mix(1.9f, 3.4f, ph_ramp(22, 32, y));
  return ph_smax(flat, side, 2);
}

void ct_ph_spine(const struct ct_ph_scene *scene, ct_ph_vec p, struct ct_ph_spine_sample *out) {
  int n = 0;
  while (n + 1 < VERTEBRAE && p.z < vertebra_top[n + 1]) n++;
  float top = vertebra_top[n], height = top - vertebra_top[n + 1];
  float middle = top - 0.5f * height, z = p.z - middle, half = 0.5f * height - 2.1f;
  float x = p.x - ct_ph_spine_x(scene, p.z), y = p.y - ct_ph_spine_y(p.z);
  float grow = (float)n / (float)VERTEBRAE, ax = fabsf(x);
  float wide = 13 + 9 * grow, deep = 11 + 6.5f * grow, canal_y = deep + 7.5f;

  float body = vertebra_body(x, y, z, wide, deep, half);
  out->disc =
      ph_smax((sqrtf((x / wide) * (x / wide) + (y / deep) * (y / deep)) - 0.96f) * deep,
              0.5f * height - 2.4f - fabsf(z) > 0 ? 0.5f * height - 2.4f - fabsf(z) : -1, 1);
  float up = z - 0.18f * height; /* the arch sits at the upper half */
  float pedicle = round_box(ax - 11, y - deep - 4, up, 3.6f, 9, 5.2f, 2.5f);
  /* Laminae: a roof behind the canal, leaning down. */
  float lean = z + 0.35f * (y - canal_y) - 1;
  float roof = round_box((ax - 6.5f) * 0.80f + (y - canal_y - 8) * 0.60f,
                         -(ax - 6.5f) * 0.60f + (y - canal_y - 8) * 0.80f, lean, 8.5f, 2.6f,
                         0.36f * height, 1.8f);
  ct_ph_vec local = ph_vec(ax, y, z);
  float transverse = ph_capsule(ph_vec(11, canal_y - 1, 0.2f * height),
                                ph_vec(31, canal_y + 11, 0.25f * height), 4, 4.6f, local);
  float spinous = spinous_process(x, y - canal_y, z, height);
  /* The spinous process of the vertebra above reaches down into this level. */
  float above = spinous_process(x, y - canal_y, z - height, height);
  float facet = round_box(ax - 12.5f, y - canal_y - 3, fabsf(z) - 0.42f * height, 4, 3.4f, 5, 2);
  float arch = ph_min(ph_min(pedicle, roof), ph_min(transverse, ph_min(spinous, above)));
  arch = ph_smin(arch, facet, 1.5f);
  float ring = sqrtf(x * x + (y - canal_y) * (y - canal_y) * 1.15f);
  out->canal = ring - 8.2f;
  arch = ph_smax(arch, 8.4f - ring, 1);
  out->bone = ph_smin(body, arch, 2);
  float plate = fabsf(z) - (half - 0.9f);
  out->marrow = ph_max(ph_max(body + 0.9f, plate), -1e3f);
  out->marrow = ph_min(out->marrow, arch + 1.5f);
}
