/* Maps a score from -1 to 1 to a colour, alone or over a grey value. */
#include <math.h>

#include "cdam/draw/cdam_render.h"

/* Colour at a small and at the full score, for each sign: light to deep, so that lightness orders
 * the scores of one sign too. Blue and orange stay apart for every common colour blindness. */
struct ramp {
  double faint[3], full[3];
};
static const struct ramp ramps[2][2] = {
    {{{0.50, 0.80, 1.00}, {0.05, 0.47, 1.00}}, {{1.00, 0.76, 0.35}, {0.98, 0.45, 0.00}}},
    {{{0.45, 0.62, 1.00}, {0.10, 0.20, 0.90}}, {{1.00, 0.55, 0.45}, {0.90, 0.08, 0.08}}}};

static const double neutral = 0.94;

static double clamp(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}

static void mix(cdam_colours colours, double value, double alpha, double ground, uint8_t rgb[3]) {
  const struct ramp *ramp = &ramps[colours == CDAM_RED_BLUE][value > 0];
  double t = fabs(value);
  for (int c = 0; c < 3; c++) {
    double colour = ramp->faint[c] + (ramp->full[c] - ramp->faint[c]) * t;
    double x = ground + (colour - ground) * alpha;
    rgb[c] = (uint8_t)lrint(clamp(x, 0, 1) * 255);
  }
}

void cdam_colour_of(cdam_colours colours, double value, uint8_t rgb[3]) {
  double v = clamp(value, -1, 1);
  mix(colours, v, fabs(v), neutral, rgb);
}

void cdam_colour_over(cdam_colours colours, double value, double opacity, double grey,
                      uint8_t rgb[3]) {
  double v = clamp(value, -1, 1), t = fabs(v);
  /* Rises a little faster than the score at first: a score of half the scale must be seen at a
   * glance on black and on white. */
  mix(colours, v, opacity * t * (1.6 - 0.6 * t), grey, rgb);
}
