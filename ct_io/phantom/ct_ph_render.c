/* Slices: sections through the thickness, nodules at finer steps, kernel and noise, rounding. */
#include <string.h>

#include "ct_io/phantom/ct_ph_section.h"

enum { MOST_SECTIONS = 4, FINE = 2, LUNG_PLANE = 121 * 85 };

/* What a nodule does to one point: glass raises the lung's HU, solid replaces it. */
struct paint {
  float glass, solid, hu;
};

static struct paint nodule_paint(const struct ct_ph_scene *scene, const struct ct_ph_nodule *n,
                                 ct_ph_vec p) {
  struct paint paint = {0, 0, n->hu};
  float d = ct_ph_nodule_distance(n, p), edge = n->edge_mm;
  float body = ph_ramp(0.5f * edge, -0.5f * edge, d);
  float radius = cbrtf(n->axes[0] * n->axes[1] * n->axes[2]);
  body = ph_max(body, ct_ph_spicule_cover(n, p));
  if (n->texture == CT_SOLID)
    paint.solid = body;
  else
    paint.glass = body;
  if (n->texture == CT_PART_SOLID) paint.solid = ct_ph_core_cover(scene, n, p, d);
  if (n->cavity_share > 0)
    paint.hu = ph_mix(paint.hu, -960, ph_ramp(-0.5f, 0.5f, -d - (1 - n->cavity_share) * radius));
  paint.hu = ph_mix(paint.hu, n->hu_calcium, ct_ph_calcium(scene, n, p, d));
  return paint;
}

/* Calls for each pixel near a nodule with the mean over FINE x FINE points. */
static void paint_near(struct ct_ph_section *s, const struct ct_ph_nodule *n, bool glass) {
  const struct ct_ph_scene *scene = s->scene;
  if (fabsf(s->z_patient - n->centre.z) > n->reach) return;
  ct_ph_vec c = ct_ph_to_body(scene, n->centre);
  float reach = n->reach / ph_min(scene->scale[0], scene->scale[1]) + 2;
  struct ct_ph_box box = ct_ph_box_of(s, c.x - reach, c.y - reach, c.x + reach, c.y + reach);
  for (int j = box.j0; j < box.j1; j++)
    for (int i = box.i0; i < box.i1; i++) {
      float amount = 0, hu = 0, lung = 0;
      for (int sub = 0; sub < FINE * FINE; sub++) {
        int row = sub / FINE, column = sub % FINE;
        float di = ((float)column + 0.5f) / (float)FINE - 0.5f;
        float dj = ((float)row + 0.5f) / (float)FINE - 0.5f;
        ct_ph_vec p = ph_vec(scene->first.x + ((float)i + di) * scene->pixel_mm,
                             scene->first.y + ((float)j + dj) * scene->pixel_mm, s->z_patient);
        struct paint paint = nodule_paint(scene, n, p);
        float share = glass ? paint.glass : paint.solid;
        if (share <= 0) continue;
        /* A nodule ends at the pleura. */
        if (lung == 0) lung = ph_cover(ct_ph_lung_patient(scene, p), 1.2f) + 1e-6f;
        amount += share;
        hu += share * (glass ? n->hu_glass : paint.hu);
      }
      if (amount <= 0) continue;
      float value = hu / amount;
      if (glass) value += 45 * ct_ph_texture_at(scene, ph_vec((float)i, (float)j, s->z), 2.2f);
      ct_ph_blend(&s->hu[j * s->n + i], value, amount / (FINE * FINE) * ph_min(lung, 1));
    }
}

void ct_ph_paint_glass(struct ct_ph_section *s) {
  for (size_t n = 0; n < s->scene->n_nodules; n++)
    if (s->scene->nodule[n].texture != CT_SOLID) paint_near(s, &s->scene->nodule[n], true);
}

void ct_ph_paint_nodules(struct ct_ph_section *s) {
  const struct ct_ph_scene *scene = s->scene;
  for (size_t n = 0; n < scene->n_nodules; n++)
    if (scene->nodule[n].texture != CT_GROUND_GLASS) paint_near(s, &scene->nodule[n], false);
  for (size_t m = 0; m < scene->n_micro; m++) {
    float dz = s->z_patient - scene->micro[m].z, r = scene->micro_radius[m];
    if (fabsf(dz) > r + 1) continue;
    ct_ph_vec c = ct_ph_to_body(scene, scene->micro[m]);
    struct ct_ph_box box = ct_ph_box_of(s, c.x - 4, c.y - 4, c.x + 4, c.y + 4);
    for (int j = box.j0; j < box.j1; j++)
      for (int i = box.i0; i < box.i1; i++) {
        ct_ph_vec p = ct_ph_pixel(s, i, j);
        float d = ph_length(ph_vec(p.x - c.x, p.y - c.y, dz)) - r;
        ct_ph_blend(&s->hu[j * s->n + i], 10, ph_cover(d, s->width));
      }
  }
}

static void section_begin(struct ct_ph_section *s, float z_patient) {
  const struct ct_ph_scene *scene = s->scene;
  s->z_patient = z_patient;
  s->z = z_patient / scene->scale[2];
  ct_ph_ring_make(scene, s->z, &s->ring);
  const struct ct_ph_grid *g = &scene->grid;
  float k = ph_clamp((s->z - g->origin.z) / CT_PH_CELL_MM, 0, (float)g->nz - 1.001f);
  int low = (int)k;
  const float *a = g->lung + (size_t)low * LUNG_PLANE, *b = a + LUNG_PLANE;
  for (int i = 0; i < LUNG_PLANE; i++) s->lung[i] = ph_mix(a[i], b[i], k - (float)low);
}

static void paint_section(struct ct_ph_section *s, float z_patient) {
  section_begin(s, z_patient);
  ct_ph_paint_trunk(s);
  ct_ph_paint_mediastinum(s);
  ct_ph_paint_bones(s);
  ct_ph_paint_glass(s);
  ct_ph_paint_trees(s);
  ct_ph_paint_nodules(s);
}

bool ct_ph_near(const struct ct_ph_scene *scene, const struct ct_ph_nodule *nodule, float z,
                struct ct_ph_square *square) {
  const float c[2] = {nodule->centre.x - scene->first.x, nodule->centre.y - scene->first.y};
  float last = (float)(scene->matrix - 1);
  for (int a = 0; a < 2; a++) {
    square->low[a] = (int)ph_clamp((c[a] - nodule->reach) / scene->pixel_mm, 0, last);
    square->high[a] = (int)ph_clamp((c[a] + nodule->reach) / scene->pixel_mm + 1, 0, last);
  }
  return fabsf(z - nodule->centre.z) <= nodule->reach;
}

static void truth_slice(const struct ct_ph_scene *scene, float z, uint8_t *truth) {
  int n = (int)scene->matrix;
  memset(truth, 0, scene->matrix * scene->matrix);
  for (size_t m = 0; m < scene->n_nodules; m++) {
    const struct ct_ph_nodule *nodule = &scene->nodule[m];
    struct ct_ph_square near;
    if (!ct_ph_near(scene, nodule, z, &near)) continue;
    for (int j = near.low[1]; j <= near.high[1]; j++)
      for (int i = near.low[0]; i <= near.high[0]; i++) {
        ct_ph_vec p = ph_vec(scene->first.x + (float)i * scene->pixel_mm,
                             scene->first.y + (float)j * scene->pixel_mm, z);
        if (ct_ph_nodule_distance(nodule, p) < 0 && ct_ph_lung_patient(scene, p) < 0)
          truth[j * n + i] = (uint8_t)(m + 1);
      }
  }
}

size_t ct_ph_scratch_floats(const struct ct_ph_scene *scene) {
  return 6 * scene->matrix * scene->matrix + LUNG_PLANE;
}

void ct_ph_render_slice(const struct ct_ph_scene *scene, size_t k, float *scratch, int16_t *hu,
                        uint8_t *truth) {
  size_t plane = scene->matrix * scene->matrix;
  float *sum = scratch, *work = scratch + 2 * plane;
  int sections = (int)ceilf(scene->thickness_mm / 0.9f);
  if (sections > MOST_SECTIONS) sections = MOST_SECTIONS;
  float x0 = scene->first.x, y0 = scene->first.y, dx = scene->pixel_mm;
  ct_ph_vec zero = ct_ph_to_body(scene, ph_vec(x0, y0, 0));
  ct_ph_vec right = ct_ph_to_body(scene, ph_vec(x0 + dx, y0, 0));
  ct_ph_vec down = ct_ph_to_body(scene, ph_vec(x0, y0 + dx, 0));
  struct ct_ph_section s = {.scene = scene, .n = (int)scene->matrix};
  s.hu = scratch + plane;
  s.cover = work;
  s.lung = scratch + 6 * plane;
  s.x0 = zero.x;
  s.y0 = zero.y;
  s.xi = right.x - zero.x;
  s.yi = right.y - zero.y;
  s.xj = down.x - zero.x;
  s.yj = down.y - zero.y;
  s.width = dx * 2 / (scene->scale[0] + scene->scale[1]);
  s.thickness = scene->thickness_mm / (float)sections / scene->scale[2];
  memset(sum, 0, plane * sizeof *sum);
  memset(s.cover, 0, plane * sizeof *s.cover);
  float z = scene->first.z + (float)k * scene->spacing_mm;
  for (int i = 0; i < sections; i++) {
    float at = ((float)i + 0.5f) / (float)sections - 0.5f;
    paint_section(&s, z + at * scene->thickness_mm);
    for (size_t v = 0; v < plane; v++) sum[v] += s.hu[v] / (float)sections;
  }
  ct_ph_add_scanner(scene, k, sum, scratch + plane);
  for (size_t v = 0; v < plane; v++) hu[v] = (int16_t)lrintf(ph_clamp(sum[v], -1024, 3071));
  truth_slice(scene, z, truth);
}
