/* Small vector and shape arithmetic of the phantom. A signed distance is negative inside, in mm.
 * Thread-safety: pure functions. */
#pragma once

#include <math.h>

typedef struct ct_ph_vec {
  float x, y, z;
} ct_ph_vec;

static inline ct_ph_vec ph_vec(float x, float y, float z) {
  return (ct_ph_vec){x, y, z};
}
static inline ct_ph_vec ph_add(ct_ph_vec a, ct_ph_vec b) {
  return ph_vec(a.x + b.x, a.y + b.y, a.z + b.z);
}
static inline ct_ph_vec ph_sub(ct_ph_vec a, ct_ph_vec b) {
  return ph_vec(a.x - b.x, a.y - b.y, a.z - b.z);
}
static inline ct_ph_vec ph_mul(ct_ph_vec a, float s) {
  return ph_vec(a.x * s, a.y * s, a.z * s);
}
/* a + s b */
static inline ct_ph_vec ph_along(ct_ph_vec a, ct_ph_vec b, float s) {
  return ph_vec(a.x + s * b.x, a.y + s * b.y, a.z + s * b.z);
}
static inline float ph_dot(ct_ph_vec a, ct_ph_vec b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
static inline ct_ph_vec ph_cross(ct_ph_vec a, ct_ph_vec b) {
  return ph_vec(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
static inline float ph_length(ct_ph_vec a) {
  return sqrtf(ph_dot(a, a));
}
static inline ct_ph_vec ph_unit(ct_ph_vec a) {
  float n = ph_length(a);
  return n > 1e-6f ? ph_mul(a, 1 / n) : ph_vec(0, 0, 1);
}
/* A unit vector at right angles to the unit vector d. */
static inline ct_ph_vec ph_across(ct_ph_vec d) {
  ct_ph_vec other = fabsf(d.z) < 0.8f ? ph_vec(0, 0, 1) : ph_vec(1, 0, 0);
  return ph_unit(ph_cross(d, other));
}

/* Without the library's care for NaN and signed zero, so that they cost one instruction. */
static inline float ph_min(float a, float b) {
  return a < b ? a : b;
}
static inline float ph_max(float a, float b) {
  return a > b ? a : b;
}
/* For |x| below 2^31. */
static inline float ph_floor(float x) {
  float whole = (float)(int)x;
  return whole > x ? whole - 1 : whole;
}
static inline float ph_clamp(float x, float low, float high) {
  return x < low ? low : (x > high ? high : x);
}
static inline float ph_mix(float a, float b, float t) {
  return a + (b - a) * t;
}
/* Smooth step from 0 at `from` to 1 at `to`; either may be the larger. */
static inline float ph_ramp(float from, float to, float x) {
  float t = ph_clamp((x - from) / (to - from), 0, 1);
  return t * t * (3 - 2 * t);
}
/* 1 at the centre, falling as a Gaussian of the given width. */
static inline float ph_bump(float x, float centre, float width) {
  float t = (x - centre) / width;
  return expf(-t * t);
}
/* Union and intersection of distances with a fillet of about k mm. */
static inline float ph_smin(float a, float b, float k) {
  float h = k - fabsf(a - b);
  float low = a < b ? a : b;
  return h > 0 ? low - h * h / (4 * k) : low;
}
static inline float ph_smax(float a, float b, float k) {
  return -ph_smin(-a, -b, k);
}
/* Share of a cell of the given width that lies inside, from the distance at its centre. */
static inline float ph_cover(float distance, float width) {
  return ph_clamp(0.5f - distance / width, 0, 1);
}
/* Position of the point of segment ab nearest to p, 0 at a to 1 at b. */
static inline float ph_nearest_on(ct_ph_vec a, ct_ph_vec b, ct_ph_vec p) {
  ct_ph_vec ab = ph_sub(b, a);
  float n = ph_dot(ab, ab);
  return n > 1e-9f ? ph_clamp(ph_dot(ph_sub(p, a), ab) / n, 0, 1) : 0;
}
/* Distance to a capsule whose radius goes from ra to rb. */
static inline float ph_capsule(ct_ph_vec a, ct_ph_vec b, float ra, float rb, ct_ph_vec p) {
  float t = ph_nearest_on(a, b, p);
  return ph_length(ph_sub(p, ph_along(a, ph_sub(b, a), t))) - ph_mix(ra, rb, t);
}
/* Approximate distance to an axis-parallel ellipsoid at the origin. */
static inline float ph_ellipsoid(ct_ph_vec p, float ax, float ay, float az) {
  ct_ph_vec q = ph_vec(p.x / ax, p.y / ay, p.z / az);
  ct_ph_vec g = ph_vec(q.x / ax, q.y / ay, q.z / az);
  float k0 = ph_length(q), k1 = ph_length(g);
  return k1 > 1e-6f ? k0 * (k0 - 1) / k1 : -ax;
}
