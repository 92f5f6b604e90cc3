/* What is drawn over the trunk: mediastinum, skeleton, trees of the lungs. */
#include "ct_io/phantom/ct_ph_section.h"

struct ct_ph_box ct_ph_box_of(const struct ct_ph_section *s, float x0, float y0, float x1,
                              float y1) {
  float det = s->xi * s->yj - s->xj * s->yi;
  float low_i = 1e9f, high_i = -1e9f, low_j = 1e9f, high_j = -1e9f;
  for (int c = 0; c < 4; c++) {
    float x = (c & 1 ? x1 : x0) - s->x0, y = (c & 2 ? y1 : y0) - s->y0;
    float i = (x * s->yj - y * s->xj) / det, j = (y * s->xi - x * s->yi) / det;
    low_i = ph_min(low_i, i);
    high_i = ph_max(high_i, i);
    low_j = ph_min(low_j, j);
    high_j = ph_max(high_j, j);
  }
  float last = (float)s->n;
  struct ct_ph_box box = {
      (int)ph_clamp(ceilf(low_i), 0, last), (int)ph_clamp(ph_floor(high_i) + 1, 0, last),
      (int)ph_clamp(ceilf(low_j), 0, last), (int)ph_clamp(ph_floor(high_j) + 1, 0, last)};
  return box;
}

static struct ct_ph_box box_union(struct ct_ph_box a, struct ct_ph_box b) {
  if (b.i0 >= b.i1 || b.j0 >= b.j1) return a;
  if (a.i0 >= a.i1 || a.j0 >= a.j1) return b;
  return (struct ct_ph_box){a.i0 < b.i0 ? a.i0 : b.i0, a.i1 > b.i1 ? a.i1 : b.i1,
                            a.j0 < b.j0 ? a.j0 : b.j0, a.j1 > b.j1 ? a.j1 : b.j1};
}

/* The part of a segment within reach of the section; false when there is none. */
static bool clip(const struct ct_ph_section *s, struct ct_ph_segment *v, float reach) {
  float a = v->a.z - s->z, b = v->b.z - s->z;
  if ((a > reach && b > reach) || (a < -reach && b < -reach)) return false;
  float span = b - a;
  if (fabsf(span) < 1e-4f) return true;
  float t0 = (-reach - a) / span, t1 = (reach - a) / span;
  if (t0 > t1) {
    float t = t0;
    t0 = t1;
    t1 = t;
  }
  t0 = ph_clamp(t0, 0, 1);
  t1 = ph_clamp(t1, 0, 1);
  struct ct_ph_segment w = *v;
  ct_ph_vec d = ph_sub(v->b, v->a);
  v->a = ph_along(w.a, d, t0);
  v->b = ph_along(w.a, d, t1);
  v->ra = ph_mix(w.ra, w.rb, t0);
  v->rb = ph_mix(w.ra, w.rb, t1);
  return true;
}

static struct ct_ph_box segment_box(const struct ct_ph_section *s, const struct ct_ph_segment *v,
                                    float reach) {
  return ct_ph_box_of(s, ph_min(v->a.x, v->b.x) - reach, ph_min(v->a.y, v->b.y) - reach,
                      ph_max(v->a.x, v->b.x) + reach, ph_max(v->a.y, v->b.y) + reach);
}

struct ct_ph_box ct_ph_cover_tubes(struct ct_ph_section *s, const struct ct_ph_segments *list,
                                   float grow_mm, float grow) {
  struct ct_ph_box touched = {0, 0, 0, 0};
  float least = 0.5f * ph_max(s->width, s->thickness);
  for (size_t k = 0; k < list->count; k++) {
    struct ct_ph_segment v = list->item[k];
    v.ra += grow_mm + grow * v.ra;
    v.rb += grow_mm + grow * v.rb;
    float reach = ph_max(ph_max(v.ra, v.rb), least) + 0.5f * s->width;
    if (!clip(s, &v, reach)) continue;
    struct ct_ph_box box = segment_box(s, &v, reach);
    for (int j = box.j0; j < box.j1; j++)
      for (int i = box.i0; i < box.i1; i++) {
        ct_ph_vec p = ct_ph_pixel(s, i, j);
        float t = ph_nearest_on(v.a, v.b, p), r = ph_mix(v.ra, v.rb, t), fade = 1;
        if (r < least) {
          fade = r * r / (least * least);
          r = least;
        }
        float d = ph_length(ph_sub(p, ph_along(v.a, ph_sub(v.b, v.a), t))) - r;
        float c = ph_cover(d, s->width) * fade, *at = &s->cover[j * s->n + i];
        if (c > *at) *at = c;
      }
    touched = box_union(touched, box);
  }
  return touched;
}

void ct_ph_apply_cover(struct ct_ph_section *s, struct ct_ph_box box, float hu) {
  for (int j = box.j0; j < box.j1; j++)
    for (int i = box.i0; i < box.i1; i++) {
      float *cover = &s->cover[j * s->n + i];
      if (*cover > 0) {
        ct_ph_blend(&s->hu[j * s->n + i], hu, *cover);
        *cover = 0;
      }
    }
}

void ct_ph_paint_mediastinum(struct ct_ph_section *s) {
  const struct ct_ph_scene *scene = s->scene;
  if (s->z < -8 && s->z > -150) {
    struct ct_ph_box box = ct_ph_box_of(s, -70, -100, 110, 50);
    for (int j = box.j0; j < box.j1; j++)
      for (int i = box.i0; i < box.i1; i++) {
        ct_ph_vec p = ct_ph_pixel(s, i, j);
        float heart = ct_ph_heart(scene, p);
        if (heart > s->width) continue;
        float *hu = &s->hu[j * s->n + i];
        float wall = (scene->hu_artery > 100 ? 95 : 46) + 5 * ct_ph_texture_at(scene, p, 4);
        ct_ph_blend(hu, wall, ph_cover(heart, s->width));
        ct_ph_blend(hu, scene->hu_vein, ph_cover(ct_ph_chamber(scene, p, 0), s->width * 2.5f));
        ct_ph_blend(hu, scene->hu_artery, ph_cover(ct_ph_chamber(scene, p, 1), s->width * 2.5f));
      }
  }
  ct_ph_apply_cover(s, ct_ph_cover_tubes(s, &scene->mediastinum[2], 0, 0), 38);
  ct_ph_apply_cover(s, ct_ph_cover_tubes(s, &scene->mediastinum[1], 0, 0), scene->hu_vein);
  ct_ph_apply_cover(s, ct_ph_cover_tubes(s, &scene->mediastinum[3], 0, 0), scene->hu_artery);
  struct ct_ph_box box = ct_ph_cover_tubes(s, &scene->mediastinum[0], 0.9f, 0);
  ct_ph_apply_cover(s, box, 45);
  ct_ph_apply_cover(s, ct_ph_cover_tubes(s, &scene->mediastinum[0], 0, 0), scene->hu_artery);
}

static float marrow_hu(const struct ct_ph_scene *scene, ct_ph_vec p, float base) {
  float trabecula = ct_ph_texture_at(scene, p, 1.7f) + 0.6f * ct_ph_texture_at(scene, p, 4.5f);
  return (base + 45 * trabecula) * scene->bone_density;
}

/* Ribs are flat: taller than thick, standing on the cage. */
static void paint_ribs(struct ct_ph_section *s, const struct ct_ph_segments *list, bool bone) {
  const struct ct_ph_scene *scene = s->scene;
  for (size_t k = 0; k < list->count; k++) {
    struct ct_ph_segment v = list->item[k];
    float height = ph_max(v.ra, v.rb), reach = height + s->width;
    if (!clip(s, &v, reach)) continue;
    struct ct_ph_box box = segment_box(s, &v, reach);
    for (int j = box.j0; j < box.j1; j++)
      for (int i = box.i0; i < box.i1; i++) {
        ct_ph_vec p = ct_ph_pixel(s, i, j);
        float t = ph_nearest_on(v.a, v.b, p);
        ct_ph_vec c = ph_along(v.a, ph_sub(v.b, v.a), t), d = ph_sub(p, c);
        ct_ph_vec out = ph_unit(ph_vec(c.x, c.y, 0));
        float radial = ph_dot(d, out), rest = ph_dot(d, d) - radial * radial;
        float tall = ph_mix(v.ra, v.rb, t), thick = 0.56f * tall;
        float q = sqrtf(ph_max(0, rest) / (tall * tall) + radial * radial / (thick * thick));
        float distance = (q - 1) * ph_mix(thick, tall, rest / (rest + radial * radial + 1e-3f));
        if (distance > s->width) continue;
        float *at = &s->hu[j * s->n + i];
        float cover = ph_cover(distance, s->width);
        if (!bone) {
          ct_ph_blend(at, 95 + 20 * ct_ph_texture_at(scene, p, 4), cover);
          continue;
        }
        float hu = 780 * scene->bone_density;
        ct_ph_blend(&hu, marrow_hu(scene, p, 190), ph_cover(distance + 1.5f, s->width));
        /* The next piece overlaps this one: keep the marrow open. */
        float *work = &s->cover[j * s->n + i];
        if (cover > *work || distance < -1.5f) {
          ct_ph_blend(at, hu, distance < -1.5f ? 1 : cover);
          *work = ph_max(*work, cover);
        }
      }
  }
}

static void clear_cover(struct ct_ph_section *s) {
  for (int i = 0; i < s->n * s->n; i++) s->cover[i] = 0;
}

static void paint_long_bones(struct ct_ph_section *s) {
  const struct ct_ph_scene *scene = s->scene;
  struct ct_ph_box box = ct_ph_cover_tubes(s, &scene->long_bones, 0, 0);
  ct_ph_apply_cover(s, box, 820 * scene->bone_density);
  struct ct_ph_segments inner = scene->long_bones;
  box = ct_ph_cover_tubes(s, &inner, -2.1f, 0);
  for (int j = box.j0; j < box.j1; j++)
    for (int i = box.i0; i < box.i1; i++) {
      float *cover = &s->cover[j * s->n + i];
      if (*cover > 0) {
        float hu = marrow_hu(scene, ct_ph_pixel(s, i, j), 170);
        ct_ph_blend(&s->hu[j * s->n + i], hu, *cover);
      }
      *cover = 0;
    }
}

/* Shoulder blade: a thin curved plate that stands off the cage. */
static void paint_scapulae(struct ct_ph_section *s) {
  const struct ct_ph_scene *scene = s->scene;
  float t = (s->z + 58) / 122;
  if (t < 0 || t > 1.02f) return;
  float half = 0.40f * ph_min(1, 0.1f + 1.25f * t), middle = 1.03f - 0.10f * t;
  struct ct_ph_box box = ct_ph_box_of(s, -190, -40, 190, 150);
  for (int j = box.j0; j < box.j1; j++)
    for (int i = box.i0; i < box.i1; i++) {
      ct_ph_vec p = ct_ph_pixel(s, i, j);
      float r = sqrtf(p.x * p.x + p.y * p.y);
      float place = ct_ph_pseudo_angle(p.x, p.y);
      int at = (int)place & (CT_PH_RING - 1);
      float cage = ph_mix(s->ring.cage[at], s->ring.cage[(at + 1) & (CT_PH_RING - 1)],
                          place - ph_floor(place));
      float offset = (r - cage) * s->ring.slant[at];
      if (offset < 12 || offset > 40) continue;
      float angle = atan2f(fabsf(p.x), p.y), along = (fabsf(angle - middle) - half) * r;
      float lateral = angle > middle ? ph_ramp(half * 0.55f, half, angle - middle) : 0;
      float thick = 1.9f + 3.0f * lateral + 1.2f * ph_ramp(-half * 0.8f, -half, angle - middle);
      float standing = 20 + 5 * t + 9 * lateral;
      float d = ph_smax(fabsf(offset - standing) - thick, along, 2);
      if (d > s->width) continue;
      float hu = 760 * scene->bone_density;
      ct_ph_blend(&hu, marrow_hu(scene, p, 200), ph_cover(d + 1.4f, s->width));
      ct_ph_blend(&s->hu[j * s->n + i], hu, ph_cover(d, s->width));
    }
}

/* Manubrium and body with the joint between them. */
static void paint_sternum(struct ct_ph_section *s) {
  const struct ct_ph_scene *scene = s->scene;
  float z = s->z;
  if (z > 47 || z < -122) return;
  float front = -ct_ph_cage_radius(scene, z, 0, -1) - 7.5f;
  float wide = z > -4 ? ph_mix(17, 30, ph_ramp(-4, 32, z))
                      : ph_mix(13, 20, ph_ramp(-4, -75, z)) * ph_ramp(-122, -92, z);
  float thick = z > -4 ? 6.5f : 5.2f, joint = fabsf(z + 4) - 1.5f;
  float end = ph_max(z - 44, ph_max(-120 - z, -joint));
  struct ct_ph_box box = ct_ph_box_of(s, -36, front - 12, 36, front + 12);
  for (int j = box.j0; j < box.j1; j++)
    for (int i = box.i0; i < box.i1; i++) {
      ct_ph_vec p = ct_ph_pixel(s, i, j);
      float bow = 0.004f * p.x * p.x;
      float a = fabsf(p.x) - wide + 4, b = fabsf(p.y - front - bow) - thick + 4;
      float oa = ph_max(a, 0), ob = ph_max(b, 0);
      float d = sqrtf(oa * oa + ob * ob) + ph_min(ph_max(a, b), 0) - 4;
      d = ph_max(d, end);
      if (d > s->width) continue;
      float hu = 600 * scene->bone_density;
      ct_ph_blend(&hu, marrow_hu(scene, p, 130), ph_cover(d + 1.3f, s->width));
      ct_ph_blend(&s->hu[j * s->n + i], hu, ph_cover(d, s->width));
    }
}

static void paint_spine(struct ct_ph_section *s) {
  const struct ct_ph_scene *scene = s->scene;
  float x = ct_ph_spine_x(scene, s->z), y = ct_ph_spine_y(s->z);
  struct ct_ph_box box = ct_ph_box_of(s, x - 42, y - 26, x + 42, y + 78);
  for (int j = box.j0; j < box.j1; j++)
    for (int i = box.i0; i < box.i1; i++) {
      ct_ph_vec p = ct_ph_pixel(s, i, j);
      struct ct_ph_spine_sample sample;
      ct_ph_spine(scene, p, &sample);
      float *at = &s->hu[j * s->n + i];
      ct_ph_blend(at, 80 + 8 * ct_ph_texture_at(scene, p, 4), ph_cover(sample.disc, s->width));
      if (sample.canal < s->width) {
        ct_ph_blend(at, 12, ph_cover(sample.canal, s->width));
        ct_ph_blend(at, 42, ph_cover(sample.canal + 3.6f, s->width));
      }
      if (sample.bone > s->width) continue;
      float hu = 640 * scene->bone_density;
      ct_ph_blend(&hu, marrow_hu(scene, p, 185), ph_cover(sample.marrow, s->width));
      ct_ph_blend(at, hu, ph_cover(sample.bone, s->width));
    }
}

void ct_ph_paint_bones(struct ct_ph_section *s) {
  paint_ribs(s, &s->scene->cartilage, false);
  paint_ribs(s, &s->scene->ribs, true);
  clear_cover(s);
  paint_sternum(s);
  paint_scapulae(s);
  paint_long_bones(s);
  paint_spine(s);
}

void ct_ph_paint_trees(struct ct_ph_section *s) {
  const struct ct_ph_scene *scene = s->scene;
  ct_ph_apply_cover(s, ct_ph_cover_tubes(s, &scene->vessels[1], 0, 0), scene->hu_artery);
  ct_ph_apply_cover(s, ct_ph_cover_tubes(s, &scene->vessels[0], 0, 0), scene->hu_artery);
  ct_ph_apply_cover(s, ct_ph_cover_tubes(s, &scene->airways, 0.5f, 0.10f), 25);
  ct_ph_apply_cover(s, ct_ph_cover_tubes(s, &scene->airways, 0, 0), -985);
}
