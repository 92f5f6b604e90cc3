/* Draws the patient and the scanner of a phantom from the seed. */
#include <string.h>

#include "ct_io/phantom/ct_ph_scene.h"

static float between(struct lc_random *random, double low, double high) {
  return (float)lc_random_between(random, low, high);
}

static void choose_patient(struct ct_ph_scene *scene, struct lc_random *random) {
  scene->female = lc_random_uniform(random) < 0.45;
  scene->age = 40 + (int)lc_random_below(random, 43);
  float size = (scene->female ? 0.94f : 1.0f) + 0.035f * (float)lc_random_normal(random);
  size = ph_clamp(size, 0.86f, 1.08f);
  scene->scale[0] = size * between(random, 0.97, 1.03);
  scene->scale[1] = size * between(random, 0.94, 1.08);
  scene->scale[2] = size * between(random, 0.95, 1.05);
  float turn = ph_clamp(0.025f * (float)lc_random_normal(random), -0.06f, 0.06f);
  scene->turn_cos = cosf(turn);
  scene->turn_sin = sinf(turn);
  double habit = lc_random_uniform(random);
  scene->fat_mm = 5 + 19 * (float)(habit * habit);
  scene->muscle = (scene->female ? 0.78f : 1.0f) * between(random, 0.8, 1.15);
  scene->breast_mm = scene->female ? between(random, 14, 40) : between(random, 0, 4);
  scene->wave_mm = between(random, 1, 3.2);
  for (int i = 0; i < 4; i++) scene->wave_phase[i] = between(random, 0, 6.28);
  scene->heart = between(random, 0.94, 1.16);
  scene->heart_turn = between(random, -0.14, 0.14);
  scene->spine_bend = between(random, -4, 4);
  scene->bone_density = between(random, 0.75, 1.15) - 0.004f * (float)(scene->age - 60);
  bool contrast = lc_random_uniform(random) < 0.55;
  scene->hu_artery = contrast ? between(random, 160, 290) : between(random, 36, 48);
  scene->hu_vein = contrast ? scene->hu_artery * between(random, 0.6, 0.95) : scene->hu_artery;
  scene->hu_muscle = between(random, 45, 60);
  scene->hu_liver = contrast ? between(random, 85, 115) : between(random, 50, 66);
  scene->hu_lung = between(random, -880, -835);
  scene->lung_gradient = between(random, 0.15, 0.45);
  scene->emphysema = lc_random_uniform(random) < 0.3 ? between(random, 0.3, 1) : 0;
  scene->gown_mm = between(random, 4, 14);
}

static void choose_scanner(struct ct_ph_scene *scene, struct lc_random *random,
                           const struct ct_phantom_options *options) {
  /* Thickness and spacing as chest protocols pair them, thick ones more often. */
  static const struct {
    float thickness, spacing, share;
  } protocols[] = {{0.75f, 0.75f, 0.04f}, {1.0f, 0.8f, 0.06f}, {1.0f, 1.0f, 0.12f},
                   {1.25f, 1.25f, 0.2f},  {1.5f, 1.5f, 0.1f},  {2.0f, 1.5f, 0.08f},
                   {2.0f, 2.0f, 0.1f},    {2.5f, 2.5f, 0.2f},  {3.0f, 2.0f, 0.04f},
                   {3.0f, 3.0f, 0.06f}};
  double share = lc_random_uniform(random);
  size_t p = 0;
  while (p + 1 < sizeof protocols / sizeof *protocols && share >= (double)protocols[p].share)
    share -= (double)protocols[p++].share;
  scene->thickness_mm = protocols[p].thickness;
  scene->spacing_mm = protocols[p].spacing;
  if (options->slice_spacing_mm > 0) {
    scene->spacing_mm = (float)options->slice_spacing_mm;
    scene->thickness_mm = ph_clamp(scene->spacing_mm, 0.75f, 3);
  }
  scene->matrix = options->matrix ? options->matrix : 512;

  /* The field holds both lungs and the ribs around them; how much more differs, as in practice. */
  float needed = 2 * (138 + 22) * scene->scale[0];
  float field = ph_clamp(needed * between(random, 1.0, 1.2), 282, 435);
  field = ph_floor(field / 5) * 5;
  scene->pixel_mm = field / (float)scene->matrix;

  float top = between(random, 98, 110) * scene->scale[2];
  float bottom = between(random, -196, -182) * scene->scale[2];
  scene->n_slices = (size_t)((top - bottom) / scene->spacing_mm) + 1;
  float half = 0.5f * (float)(scene->matrix - 1) * scene->pixel_mm;
  float y = between(random, 2, 10), x = between(random, -3, 3);
  scene->first = ph_vec(x - half, y - half, bottom);
  float z = roundf(between(random, -220, -60));
  y = roundf(between(random, -20, 20));
  scene->shift_mm = ph_vec(0, y, z);

  scene->kernel = (enum ct_ph_kernel)lc_random_below(random, 3);
  static const double tube_kv[] = {100, 120, 120, 120, 140};
  scene->kvp = tube_kv[lc_random_below(random, 5)];
  scene->exposure_mas = 5 * (8 + (double)lc_random_below(random, 45));
  scene->current_ma = 10 * (double)(int)(scene->exposure_mas / 5.0);
  static const float kernel_noise[] = {0.75f, 1, 2.1f};
  float noise = 13.5f * sqrtf(120 / (float)scene->exposure_mas) *
                sqrtf(2.5f / scene->thickness_mm) * kernel_noise[scene->kernel] *
                (float)(120 / scene->kvp) * scene->scale[0] * scene->scale[0];
  scene->noise_hu = ph_clamp(noise, 6, 48);
}

void ct_ph_choose(struct ct_ph_scene *scene, const struct ct_phantom_options *options) {
  /* One generator block turns (seed, patient) into the key of everything else. */
  uint32_t counter[4] = {(uint32_t)options->patient, (uint32_t)(options->patient >> 32), 0x70, 1};
  uint32_t key[2] = {(uint32_t)options->seed, (uint32_t)(options->seed >> 32)}, out[4];
  lc_philox(counter, key, out);
  scene->seed = (uint64_t)out[0] << 32 | out[1];
  struct lc_random random;
  lc_random_init(&random, scene->seed, "patient", 0);
  choose_patient(scene, &random);
  lc_random_init(&random, scene->seed, "scanner", 0);
  choose_scanner(scene, &random, options);
  lc_random_init(&random, scene->seed, "texture", 0);
  for (size_t i = 0; i < sizeof scene->texture / sizeof *scene->texture; i++)
    scene->texture[i] = between(&random, -1, 1);
}

ct_ph_vec ct_ph_to_body(const struct ct_ph_scene *scene, ct_ph_vec p) {
  float x = scene->turn_cos * p.x + scene->turn_sin * p.y;
  float y = -scene->turn_sin * p.x + scene->turn_cos * p.y;
  return ph_vec(x / scene->scale[0], y / scene->scale[1], p.z / scene->scale[2]);
}

ct_ph_vec ct_ph_to_patient(const struct ct_ph_scene *scene, ct_ph_vec body) {
  float x = body.x * scene->scale[0], y = body.y * scene->scale[1];
  return ph_vec(scene->turn_cos * x - scene->turn_sin * y,
                scene->turn_sin * x + scene->turn_cos * y, body.z * scene->scale[2]);
}
