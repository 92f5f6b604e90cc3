/* Every pixel of a section: air, table, skin, fat, muscle, abdomen, lung. */
#include "ct_io/phantom/ct_ph_section.h"

static float ring_value(const float *table, int at, float fraction) {
  return ph_mix(table[at], table[(at + 1) & (CT_PH_RING - 1)], fraction);
}

/* Table top and its hollow body, patient frame; the patient lies on it. */
static float table_hu(const struct ct_ph_scene *scene, float x, float y, float width) {
  float back = scene->scale[1] * (92 + 35) + 0.7f * scene->fat_mm;
  float rise = x * x / 1500, half = 212;
  if (fabsf(x) > half + 4) return -1000;
  float upper = y - (back + 4 - rise);
  float share = 1 - (x / half) * (x / half);
  float lower = y - (back + 9 - rise + 22 * ph_max(0, share));
  float hu = -1000;
  if (upper > 0 && lower < 0) hu = -935;
  ct_ph_blend(&hu, -350, ph_cover(fabsf(upper) - 0.6f, width));
  ct_ph_blend(&hu, 60, ph_cover(fabsf(lower) - 1.3f, width));
  return hu;
}

static float outside(const struct ct_ph_section *s, ct_ph_vec p, float skin) {
  const struct ct_ph_scene *scene = s->scene;
  ct_ph_vec patient = ct_ph_to_patient(scene, p);
  float hu = table_hu(scene, patient.x, patient.y, s->width);
  if (p.y < 70) {
    float wobble = 5 * ct_ph_texture_at(scene, ph_vec(p.x, p.y, 3 * p.z), 34);
    ct_ph_blend(&hu, -890, ph_cover(fabsf(skin - scene->gown_mm - wobble) - 0.4f, s->width * 1.5f));
  }
  return hu;
}

static float fat_hu(const struct ct_ph_scene *scene, ct_ph_vec p) {
  float strand = ct_ph_texture_at(scene, p, 6.5f);
  float thin = fabsf(ct_ph_texture_at(scene, ph_vec(p.y, p.z, p.x), 9));
  return -104 + 9 * strand + (thin < 0.035f ? 45 * (1 - thin / 0.035f) : 0);
}

/* Where muscle divides into bundles: distance in cells to the border between the two nearest of a
 * set of scattered centres that drift with z (Worley's cellular basis). */
static float bundle_border(const struct ct_ph_scene *scene, float u, float v, float z) {
  enum { N = CT_PH_TEXTURE };
  float iu = ph_floor(u), iv = ph_floor(v), layer = ph_floor(z), drift = z - layer;
  drift = drift * drift * (3 - 2 * drift);
  float first = 9, second = 9;
  for (int c = 0; c < 9; c++) {
    int across = c % 3 - 1, down = c / 3 - 1;
    float cu = iu + (float)across, cv = iv + (float)down;
    int at = ((int)cu & (N - 1)) * N + ((int)cv & (N - 1));
    const float *low = scene->texture + ((int)layer & (N - 1)) * N * N;
    const float *high = scene->texture + (((int)layer + 1) & (N - 1)) * N * N;
    int other = at ^ (N / 2);
    float du = cu + 0.5f + 0.42f * ph_mix(low[at], high[at], drift) - u;
    float dv = cv + 0.5f + 0.42f * ph_mix(low[other], high[other], drift) - v;
    float d = sqrtf(du * du + dv * dv);
    if (d < first) {
      second = first;
      first = d;
    } else if (d < second) {
      second = d;
    }
  }
  return second - first;
}

/* gap: share of a bundle's size that is fat between bundles. */
static float muscle_hu(const struct ct_ph_scene *scene, ct_ph_vec p, float cell_mm, float gap) {
  float fibre = ct_ph_texture_at(scene, p, 3.2f), coarse = ct_ph_texture_at(scene, p, 11);
  float warp = 3 * ct_ph_texture_at(scene, ph_vec(p.z, p.x, p.y), 17);
  float border = bundle_border(scene, (p.x + warp) / (1.5f * cell_mm),
                               (p.y + 1.5f * warp) / cell_mm, p.z / 55);
  float hu = scene->hu_muscle + 6 * fibre + 6 * coarse;
  gap *= 0.35f + 1.1f * fabsf(ct_ph_texture_at(scene, p, 21));
  return border < gap ? hu - 75 * ph_ramp(gap, 0.3f * gap, border) : hu;
}

/* From the cage to the skin. offset: from the cage; depth: below the skin. */
static float wall(const struct ct_ph_section *s, ct_ph_vec p, float offset, float depth, int at,
                  float fraction) {
  const struct ct_ph_scene *scene = s->scene;
  float w = s->width, hu = fat_hu(scene, p);
  float muscle = ph_cover(offset - 8.2f, w) * 0.94f;
  for (int l = 0; l < CT_PH_LAYERS; l++) {
    float outer = ring_value(s->ring.outer[l], at, fraction);
    float inner = ring_value(s->ring.inner[l], at, fraction);
    if (outer - inner < 0.4f) continue;
    muscle = ph_max(muscle, ph_cover(ph_max(inner - offset, offset - outer), w * 1.3f));
  }
  /* Muscles of the shoulder girdle fill it, with fat between them. */
  if (s->ring.shoulder > 0.05f) {
    ct_ph_vec turned = ph_vec(0.8f * p.x + 0.6f * p.z, p.y - 0.5f * p.x, 0.8f * p.z - 0.6f * p.y);
    float planes =
        0.7f * ct_ph_texture_at(scene, p, 21) + 0.7f * ct_ph_texture_at(scene, turned, 15);
    float girdle = 1.6f * s->ring.shoulder + planes - 0.95f;
    muscle = ph_max(muscle, ph_clamp(girdle * 4, 0, 1));
  }
  float fat = 2.2f + scene->fat_mm * 0.85f;
  muscle *= ph_cover(fat - depth, 2);
  /* Glandular tissue of the breast. */
  if (scene->breast_mm > 10 && p.y < -40 && offset > 26) {
    float gland = ct_ph_texture_at(scene, p, 10) + 0.5f * ct_ph_texture_at(scene, p, 4);
    float place = ph_bump(p.z, -45, 30) * ph_bump(fabsf(p.x), 80, 34);
    ct_ph_blend(&hu, 25, ph_clamp((gland - 0.25f) * 3, 0, 0.8f) * place * ph_cover(7 - depth, 3));
  }
  if (muscle > 0) {
    float girdle = s->ring.shoulder;
    ct_ph_blend(&hu, muscle_hu(scene, p, ph_mix(22, 36, girdle), ph_mix(0.03f, 0.12f, girdle)),
                muscle);
  }
  ct_ph_blend(&hu, 15, ph_cover(depth - 1.7f, w));
  return hu;
}

/* Organs under the diaphragm. below: depth under it. */
static float abdomen(const struct ct_ph_section *s, ct_ph_vec p, float below, float inside) {
  const struct ct_ph_scene *scene = s->scene;
  float w = s->width, hu = fat_hu(scene, p);
  float limit = ph_max(2.5f - below, inside + 3);
  float liver = ph_ellipsoid(ph_sub(p, ph_vec(-66, -14, -178)), 88, 92, 104);
  liver = ph_smin(liver, ph_ellipsoid(ph_sub(p, ph_vec(-2, -50, -144)), 66, 40, 36), 14);
  float notch = ph_ellipsoid(ph_sub(p, ph_vec(12, 34, -170)), 40, 52, 90);
  liver = ph_smax(ph_smax(liver, limit, 3), -notch, 8);
  float spleen = ph_ellipsoid(ph_sub(p, ph_vec(90, 42, -158)), 42, 46, 54);
  spleen = ph_smax(spleen, -ph_ellipsoid(ph_sub(p, ph_vec(42, 6, -160)), 52, 44, 60), 6);
  spleen = ph_smax(spleen, limit, 3);
  float stomach = ph_ellipsoid(ph_sub(p, ph_vec(58, -26, -160)), 54, 48, 52);
  stomach = ph_smax(stomach, limit + 2, 5);
  float kidney = ph_ellipsoid(ph_sub(p, ph_vec(p.x > 0 ? 56 : -58, 52, -216)), 26, 24, 50);
  float tissue = 6 * ct_ph_texture_at(scene, p, 5);
  bool enhanced = scene->hu_artery > 100;
  float level = ct_ph_texture_at(scene, ph_vec(7, 3, 11), 1) * 12;
  float content = p.y < -38 + level ? -980 : 22 + 20 * ct_ph_texture_at(scene, p, 4);
  ct_ph_blend(&hu, enhanced ? 150 : 34, ph_cover(kidney, w));
  ct_ph_blend(&hu, 42, ph_cover(stomach, w));
  ct_ph_blend(&hu, content, ph_cover(stomach + 4, w));
  ct_ph_blend(&hu, (enhanced ? 112 : 50) + tissue, ph_cover(spleen, w));
  if (liver < w) {
    float branch = fabsf(ct_ph_texture_at(scene, p, 26)) +
                   fabsf(ct_ph_texture_at(scene, ph_vec(p.z, p.y, p.x), 31));
    float vessel = ph_clamp((0.075f - branch) * 30, 0, 1) * (enhanced ? 50 : -14);
    ct_ph_blend(&hu, scene->hu_liver + tissue + vessel, ph_cover(liver, w));
  }
  ct_ph_blend(&hu, scene->hu_muscle, ph_cover(fabsf(below - 1.2f) - 1.2f, w));
  return hu;
}

static float lung_hu(const struct ct_ph_scene *scene, ct_ph_vec p) {
  float fine = ct_ph_texture_at(scene, p, 2.6f), middle = ct_ph_texture_at(scene, p, 7);
  float coarse = ct_ph_texture_at(scene, p, 24);
  float hu = scene->hu_lung + scene->lung_gradient * (p.y + 0.15f * -p.z) + 26 * fine +
             12 * middle + 12 * coarse;
  if (scene->emphysema > 0) {
    float hole = ct_ph_texture_at(scene, ph_vec(p.y, p.x, p.z), 8.5f) + 0.4f * coarse;
    float upper = ph_ramp(-120, 40, p.z);
    hu -= 85 * scene->emphysema * upper * ph_clamp((hole - 0.18f) * 4, 0, 1);
  }
  float fissure;
  ct_ph_lobe(p, &fissure);
  if (fissure < 1.1f) hu += 85 * (1 - fissure / 1.1f);
  return ph_max(hu, -985);
}

static float bilinear(const float *plane, int nx, float x, float y) {
  int i = (int)x, j = (int)y;
  float fx = x - (float)i, fy = y - (float)j;
  const float *v = plane + j * nx + i;
  return ph_mix(ph_mix(v[0], v[1], fx), ph_mix(v[nx], v[nx + 1], fx), fy);
}

/* Inside the cage: lung, or fat with abdomen below the diaphragm. */
static float inside_cage(const struct ct_ph_section *s, ct_ph_vec p, float offset) {
  const struct ct_ph_grid *g = &s->scene->grid;
  float x = (p.x - g->origin.x) / CT_PH_CELL_MM, y = (p.y - g->origin.y) / CT_PH_CELL_MM;
  float lung = 100, below = -100;
  if (x >= 0 && y >= 0 && x < (float)(g->nx - 1) && y < (float)(g->ny - 1)) {
    lung = bilinear(s->lung, g->nx, x, y);
    below = bilinear(g->floor, g->nx, x, y) - s->z;
  }
  float cover = ph_cover(lung, s->width);
  float hu = 0;
  if (cover < 1) {
    hu = below > -3 ? abdomen(s, p, below, offset) : fat_hu(s->scene, p);
    /* Beside the spine the wall is muscle. */
    float behind = p.y - ct_ph_spine_y(s->z) - 6;
    if (behind > 0 && fabsf(p.x) < 70)
      ct_ph_blend(&hu, muscle_hu(s->scene, p, 14, 0.12f), ph_ramp(0, 6, behind) * 0.95f);
    /* Pleura and the muscle just inside the ribs. */
    ct_ph_blend(&hu, 30, ph_cover(-1.4f - offset, s->width) * 0.8f);
  }
  if (cover > 0) ct_ph_blend(&hu, lung_hu(s->scene, p), cover);
  return hu;
}

void ct_ph_paint_trunk(struct ct_ph_section *s) {
  for (int j = 0; j < s->n; j++)
    for (int i = 0; i < s->n; i++) {
      ct_ph_vec p = ct_ph_pixel(s, i, j);
      float dy = p.y - s->ring.centre_y, r = sqrtf(p.x * p.x + dy * dy);
      float place = ct_ph_pseudo_angle(p.x, dy);
      int at = (int)place & (CT_PH_RING - 1);
      float fraction = place - ph_floor(place);
      float skin = (r - ring_value(s->ring.skin, at, fraction)) * s->ring.skin_slant[at];
      float offset = (r - ring_value(s->ring.cage, at, fraction)) * s->ring.slant[at];
      float cover = ph_cover(skin, s->width), hu = -1000;
      if (cover < 1) hu = outside(s, p, skin);
      if (cover > 0) {
        float tissue =
            offset > 0 ? wall(s, p, offset, -skin, at, fraction) : inside_cage(s, p, offset);
        if (fabsf(offset) < 0.5f * s->width) {
          float in = inside_cage(s, p, ph_min(offset, 0)),
                out = wall(s, p, ph_max(offset, 0), -skin, at, fraction);
          tissue = ph_mix(out, in, ph_cover(offset, s->width));
        }
        ct_ph_blend(&hu, tissue, cover);
      }
      s->hu[j * s->n + i] = hu;
    }
}
