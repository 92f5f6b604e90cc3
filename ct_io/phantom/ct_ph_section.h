/* One thin section on its way to a slice: a plane of HU and the painters that draw on it.
 *
 * A slice is the mean of a few sections through its thickness. Painters work in the body frame,
 * inside the bounding box of what they draw, and blend by the share of the pixel that is covered.
 * One thread uses a section at a time. */
#pragma once

#include "ct_io/phantom/ct_ph_scene.h"

struct ct_ph_section {
  const struct ct_ph_scene *scene;
  struct ct_ph_ring ring;
  float z_patient, z; /* patient and body frame */
  int n;              /* pixels a side */
  float *hu;          /* [row, column] */
  float *cover;       /* work plane, zero between painters */
  float *lung;        /* distance to the lung at this level, grid cells */
  float width;        /* pixel in body mm */
  float thickness;    /* section thickness, body mm */
  /* body x = x0 + xi i + xj j for column i, row j; y likewise. */
  float x0, xi, xj, y0, yi, yj;
};

struct ct_ph_box {
  int i0, i1, j0, j1; /* half open, clipped to the image */
};

/* Pixels whose centre may lie in a rectangle of the body frame. */
struct ct_ph_box ct_ph_box_of(const struct ct_ph_section *s, float x0, float y0, float x1,
                              float y1);
static inline ct_ph_vec ct_ph_pixel(const struct ct_ph_section *s, int i, int j) {
  return ph_vec(s->x0 + s->xi * (float)i + s->xj * (float)j,
                s->y0 + s->yi * (float)i + s->yj * (float)j, s->z);
}
static inline void ct_ph_blend(float *hu, float value, float cover) {
  *hu += (value - *hu) * cover;
}

/* Adds tubes to the cover plane (largest cover wins), widened by grow_mm + grow * radius; thinner
 * than a pixel they fade instead. Returns the box that was touched. */
struct ct_ph_box ct_ph_cover_tubes(struct ct_ph_section *s, const struct ct_ph_segments *list,
                                   float grow_mm, float grow);
/* Blends hu where the cover plane is set and clears it. */
void ct_ph_apply_cover(struct ct_ph_section *s, struct ct_ph_box box, float hu);

/* Trunk, chest wall, table, abdomen and lungs: every pixel. */
void ct_ph_paint_trunk(struct ct_ph_section *s);
/* Heart and great vessels. */
void ct_ph_paint_mediastinum(struct ct_ph_section *s);
/* Ribs, cartilage, sternum, shoulders, spine. */
void ct_ph_paint_bones(struct ct_ph_section *s);
/* Vessels and airways of lungs and mediastinum. */
void ct_ph_paint_trees(struct ct_ph_section *s);
/* Ground glass before vessels, all else after them. */
void ct_ph_paint_glass(struct ct_ph_section *s);
void ct_ph_paint_nodules(struct ct_ph_section *s);
