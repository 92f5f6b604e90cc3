/* Computes the learning rate of a step: constant, exponential, cosine with warm-up, or
 * triangular2. */
#include "vit/train/vit_schedule.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {"constant", "exponential", "cosine", "triangular2"};

bool vit_schedule_parse(const char *word, vit_schedule_kind *kind) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(word, names[i]) == 0) {
      *kind = (vit_schedule_kind)i;
      return true;
    }
  return false;
}

const char *vit_schedule_name(vit_schedule_kind kind) {
  return names[kind];
}

lc_status vit_schedule_check(const struct vit_schedule *s, struct lc_error *err) {
  if (!isfinite(s->rate) || s->rate < 0)
    LC_FAIL(err, LC_ERR_CONFIG, "rate is %g, expected a number of at least 0", s->rate);
  switch (s->kind) {
  case VIT_SCHEDULE_CONSTANT:
    return LC_OK;
  case VIT_SCHEDULE_EXPONENTIAL:
    if (!isfinite(s->decay) || s->decay <= 0)
      LC_FAIL(err, LC_ERR_CONFIG, "decay is %g, expected a number above 0", s->decay);
    if (s->steps_per_epoch == 0)
      LC_FAIL(err, LC_ERR_CONFIG, "steps_per_epoch is 0, expected at least 1");
    return LC_OK;
  case VIT_SCHEDULE_COSINE:
    if (!isfinite(s->lowest) || s->lowest < 0 || s->lowest > s->rate)
      LC_FAIL(err, LC_ERR_CONFIG, "lowest is %g, expected 0 to the rate, %g", s->lowest, s->rate);
    if (s->total_steps == 0 || s->warmup_steps >= s->total_steps)
      LC_FAIL(err, LC_ERR_CONFIG,
              "warmup_steps is %llu of total_steps %llu, expected fewer than all",
              (unsigned long long)s->warmup_steps, (unsigned long long)s->total_steps);
    return LC_OK;
  case VIT_SCHEDULE_TRIANGULAR2:
    if (!isfinite(s->highest) || s->highest < s->rate)
      LC_FAIL(err, LC_ERR_CONFIG, "highest is %g, expected at least the rate, %g", s->highest,
              s->rate);
    if (s->steps_up == 0 || s->steps_down == 0)
      LC_FAIL(err, LC_ERR_CONFIG, "steps_up and steps_down are %llu and %llu, expected at least 1",
              (unsigned long long)s->steps_up, (unsigned long long)s->steps_down);
    return LC_OK;
  }
  LC_FAIL(err, LC_ERR_CONFIG, "unknown kind of schedule %d", (int)s->kind);
}

static double cosine(const struct vit_schedule *s, uint64_t step) {
  if (step < s->warmup_steps) return s->rate * (double)(step + 1) / (double)s->warmup_steps;
  if (step >= s->total_steps) return s->lowest;
  double done = (double)(step - s->warmup_steps) / (double)(s->total_steps - s->warmup_steps);
  return s->lowest + (s->rate - s->lowest) * 0.5 * (1 + cos(3.14159265358979323846 * done));
}

/* The order of operations is PyTorch's, so that the last bit agrees too. */
static double triangular2(const struct vit_schedule *s, uint64_t step) {
  double up = (double)s->steps_up, size = up + (double)s->steps_down;
  double ratio = up / size, turns = 1 + (double)step / size;
  double cycle = floor(turns), x = turns - cycle;
  double height = x <= ratio ? x / ratio : (x - 1) / (ratio - 1);
  return s->rate + (s->highest - s->rate) * height * (1 / exp2(cycle - 1));
}

double vit_schedule_rate(const struct vit_schedule *s, uint64_t step) {
  switch (s->kind) {
  case VIT_SCHEDULE_EXPONENTIAL: {
    uint64_t epoch = step / s->steps_per_epoch;
    return s->rate * pow(s->decay, (double)epoch);
  }
  case VIT_SCHEDULE_COSINE:
    return cosine(s, step);
  case VIT_SCHEDULE_TRIANGULAR2:
    return triangular2(s, step);
  case VIT_SCHEDULE_CONSTANT:
    break;
  }
  return s->rate;
}
