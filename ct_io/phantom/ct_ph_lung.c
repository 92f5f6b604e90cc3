/* Lung surface as a distance on a grid: the cage without mediastinum, spine and what lies below the
 * diaphragm. */
#include <stdlib.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "ct_io/phantom/ct_ph_scene.h"

enum { NX = 121, NY = 85, NZ = 127 };

/* One dome of the diaphragm; deep recesses at the side and above all at the back. */
static float dome(float x, float y, float x0, float y0, float top, float toward_middle) {
  float dx = x - x0, dy = y - y0;
  int medial = dx * toward_middle > 0;
  float ax = medial ? 78 : 74, ay = dy < 0 ? 92 : 97;
  float u = dx / ax, v = dy / ay, q2 = u * u + v * v, q = sqrtf(q2);
  float back = q > 1e-4f ? ph_max(0, v / q) : 0, side = medial || q < 1e-4f ? 0 : fabsf(u) / q;
  float drop = 52 + 48 * back * back + 36 * side * side;
  float z = q < 0.995f ? top - drop * (1 - sqrtf(1 - q2)) : top - drop * 0.9f - 130 * (q - 0.995f);
  return z;
}

static float diaphragm(const struct ct_ph_scene *scene, float x, float y) {
  float lift = 5 * sinf(scene->wave_phase[2]);
  float right = dome(x, y, -70, -8, -98 + lift, 1), left = dome(x, y, 66, -4, -112 + lift, -1);
  float middle = -117 - 0.0045f * x * x - (y > 20 ? 0.6f * (y - 20) : 0) + ph_ramp(-30, -85, y) * 8;
  return ph_smax(ph_smax(right, left, 10), middle, 8);
}

/* Fat and organs between the lungs; segments near this level only. */
static float mediastinum(const struct ct_ph_scene *scene, ct_ph_vec p,
                         const struct ct_ph_segment *const *near, const float *margin, int n) {
  float front = -ct_ph_cage_radius(scene, p.z, 0, -1), spine = ct_ph_spine_y(p.z);
  /* The septum: thin in front where the lungs nearly touch, wider at the trachea, then to spine. */
  float top = ph_ramp(30, 75, p.z);
  float thin = ph_mix(3.5f + 5 * ph_ramp(10, 40, p.z) + 16 * ph_ramp(-30, -90, p.z), 26, top);
  float lean = 6 * ph_ramp(-10, -80, p.z) - 2;
  ct_ph_vec flat = ph_vec(p.x, p.y, 0);
  float d =
      ph_capsule(ph_vec(lean, front - 10, 0), ph_vec(0, -20, 0), thin, ph_mix(8, 24, top), flat);
  d = ph_smin(d,
              ph_capsule(ph_vec(0, -20, 0), ph_vec(2, 20, 0), ph_mix(10, 24, top),
                         ph_mix(13, 22, top), flat),
              10);
  d = ph_smin(d, ph_capsule(ph_vec(2, 20, 0), ph_vec(0, spine, 0), ph_mix(12, 22, top), 14, flat),
              10);
  d = ph_smin(d, ct_ph_heart(scene, p) - 3.5f, 12);
  /* Fat pads in the angles between heart and diaphragm. */
  d = ph_smin(d, ph_ellipsoid(ph_sub(p, ph_vec(60, -62, -130)), 30, 22, 22), 16);
  d = ph_smin(d, ph_ellipsoid(ph_sub(p, ph_vec(-20, -58, -128)), 30, 24, 20), 16);
  float tubes = 1e3f;
  for (int i = 0; i < n; i++) {
    const struct ct_ph_segment *v = near[i];
    /* Beyond this a tube changes nothing that anyone asks. */
    float far = ph_max(v->ra, v->rb) + 30;
    if (p.x < ph_min(v->a.x, v->b.x) - far || p.x > ph_max(v->a.x, v->b.x) + far) continue;
    if (p.y < ph_min(v->a.y, v->b.y) - far || p.y > ph_max(v->a.y, v->b.y) + far) continue;
    float t = ph_capsule(near[i]->a, near[i]->b, near[i]->ra, near[i]->rb, p) - margin[i];
    if (t < tubes) tubes = t;
  }
  d = ph_smin(d, tubes, 8);
  /* Spine with the tissue beside it. */
  float sx = ct_ph_spine_x(scene, p.z);
  float body = sqrtf((p.x - sx) * (p.x - sx) + (p.y - spine) * (p.y - spine)) - 20;
  /* Behind the line from the vertebral body to the necks of the ribs the wall begins. */
  float behind = ((fabsf(p.x - sx) - 20) * 25 - (p.y - spine - 7) * 16) / 29.7f;
  return ph_smin(d, ph_smin(body, behind, 8), 6);
}

static float lung_distance(const struct ct_ph_scene *scene, ct_ph_vec p, float floor_z,
                           const struct ct_ph_segment *const *near, const float *margin, int n) {
  float r = sqrtf(p.x * p.x + p.y * p.y);
  float ux = r > 1e-3f ? p.x / r : 1, uy = r > 1e-3f ? p.y / r : 0;
  float d = r - ct_ph_cage_radius(scene, p.z, ux, uy);
  if (d > 14) return d;
  float below = (floor_z - p.z) * 0.75f;
  if (below > 14) return below;
  /* Apices. */
  float rise = ph_clamp((p.z - 25) / 70, 0, 1);
  ct_ph_vec apex = ph_vec(fabsf(p.x) - (54 - 12 * rise), p.y - 4 - 4 * rise, p.z - 25);
  if (p.z > 25) d = ph_smax(d, ph_ellipsoid(apex, 76, 84, 70), 6);
  d = ph_smax(d, below, 5);
  return ph_smax(d, -mediastinum(scene, p, near, margin, n), 6);
}

struct near_list {
  const struct ct_ph_segment *item[512];
  float margin[512];
  int n;
};

static void gather(struct near_list *near, const struct ct_ph_segments *list, float z,
                   float margin) {
  for (size_t i = 0; i < list->count && near->n < 512; i++) {
    const struct ct_ph_segment *s = &list->item[i];
    float reach = ph_max(s->ra, s->rb) + 22;
    if (ph_min(s->a.z, s->b.z) - reach > z || ph_max(s->a.z, s->b.z) + reach < z) continue;
    near->margin[near->n] = margin;
    near->item[near->n++] = s;
  }
}

static void fill_plane(void *context, size_t k, int worker) {
  (void)worker;
  struct ct_ph_scene *scene = context;
  struct ct_ph_grid *g = &scene->grid;
  float z = g->origin.z + (float)k * CT_PH_CELL_MM;
  struct near_list near = {.n = 0};
  gather(&near, &scene->mediastinum[0], z, 2.5f);
  gather(&near, &scene->mediastinum[1], z, 2);
  gather(&near, &scene->mediastinum[2], z, 2);
  gather(&near, &scene->mediastinum[3], z, 1.5f);
  for (int j = 0; j < g->ny; j++)
    for (int i = 0; i < g->nx; i++) {
      size_t at = (size_t)j * (size_t)g->nx + (size_t)i;
      ct_ph_vec p =
          ph_vec(g->origin.x + (float)i * CT_PH_CELL_MM, g->origin.y + (float)j * CT_PH_CELL_MM, z);
      g->lung[k * (size_t)(g->nx * g->ny) + at] =
          lung_distance(scene, p, g->floor[at], near.item, near.margin, near.n);
    }
}

lc_status ct_ph_build_grid(struct ct_ph_scene *scene, struct lc_error *err) {
  struct ct_ph_grid *g = &scene->grid;
  g->nx = NX;
  g->ny = NY;
  g->nz = NZ;
  g->origin = ph_vec(-150, -105, -208);
  LC_TRY(lc_alloc(&g->lung, (size_t)NX * NY * NZ, sizeof *g->lung, err));
  LC_TRY(lc_alloc(&g->floor, (size_t)NX * NY, sizeof *g->floor, err));
  for (int j = 0; j < NY; j++)
    for (int i = 0; i < NX; i++)
      g->floor[j * NX + i] = diaphragm(scene, g->origin.x + (float)i * CT_PH_CELL_MM,
                                       g->origin.y + (float)j * CT_PH_CELL_MM);
  lc_parallel_for(NZ, fill_plane, scene);
  return LC_OK;
}

float ct_ph_lung_body(const struct ct_ph_scene *scene, ct_ph_vec p) {
  const struct ct_ph_grid *g = &scene->grid;
  float x = (p.x - g->origin.x) / CT_PH_CELL_MM, y = (p.y - g->origin.y) / CT_PH_CELL_MM;
  float z = (p.z - g->origin.z) / CT_PH_CELL_MM;
  if (!(x >= 0 && y >= 0 && z >= 0) || x >= NX - 1 || y >= NY - 1 || z >= NZ - 1) return 100;
  int i = (int)x, j = (int)y, k = (int)z;
  float fx = x - (float)i, fy = y - (float)j, fz = z - (float)k;
  const float *v = g->lung + ((size_t)k * NY + (size_t)j) * NX + i;
  float a = ph_mix(ph_mix(v[0], v[1], fx), ph_mix(v[NX], v[NX + 1], fx), fy);
  v += NX * NY;
  float b = ph_mix(ph_mix(v[0], v[1], fx), ph_mix(v[NX], v[NX + 1], fx), fy);
  return ph_mix(a, b, fz);
}

float ct_ph_lung_patient(const struct ct_ph_scene *scene, ct_ph_vec patient) {
  float scale = (scene->scale[0] + scene->scale[1] + scene->scale[2]) / 3;
  return ct_ph_lung_body(scene, ct_ph_to_body(scene, patient)) * scale;
}

int ct_ph_lobe(ct_ph_vec p, float *fissure) {
  int left = p.x > 0;
  float lateral = (fabsf(p.x) - 75) / 60;
  float wave = 3 * sinf(0.045f * p.x + 0.03f * p.y) + 13 * lateral * lateral - 6 * lateral;
  float oblique = p.z - (left ? 34 : 27) - (left ? 1.0f : 0.93f) * (p.y - 75) - wave;
  float nearest = oblique / 1.39f;
  int lobe;
  if (oblique < 0) {
    lobe = left ? 4 : 2;
  } else if (left) {
    lobe = 3;
  } else {
    float horizontal = p.z + 34 - 0.06f * p.y + 0.0012f * (p.x + 80) * (p.x + 80);
    lobe = horizontal > 0 ? 0 : 1;
    if (fabsf(horizontal) < fabsf(nearest)) nearest = horizontal;
  }
  *fissure = fabsf(nearest);
  return lobe;
}
