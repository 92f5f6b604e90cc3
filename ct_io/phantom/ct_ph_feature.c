/* Shapes the parts of nodules that speak for or against malignancy and marks where they are. */
#include <string.h>

#include "ct_io/phantom/ct_ph_scene.h"

float ct_ph_spicule_cover(const struct ct_ph_nodule *n, ct_ph_vec p) {
  float cover = 0;
  for (int i = 0; i < n->n_spicules; i++) {
    const struct ct_ph_segment *s = &n->spicule[i];
    float thin = ph_capsule(s->a, s->b, s->ra, s->rb, p);
    cover = ph_max(cover, ph_ramp(0.35f, -0.35f, thin));
  }
  return cover;
}

static float mean_radius(const struct ct_ph_nodule *n) {
  return cbrtf(n->axes[0] * n->axes[1] * n->axes[2]);
}

float ct_ph_core_cover(const struct ct_ph_scene *scene, const struct ct_ph_nodule *n, ct_ph_vec p,
                       float distance) {
  if (n->texture != CT_PART_SOLID) return 0;
  float radius = mean_radius(n);
  float wobble = 0.12f * radius * ct_ph_texture_at(scene, p, 0.35f * radius + 1);
  float core =
      distance + (1 - n->core_share) * n->axes[2] + wobble + 0.15f * ph_length(ph_sub(p, n->core));
  return ph_ramp(0.6f, -0.6f, core);
}

float ct_ph_calcium(const struct ct_ph_scene *scene, const struct ct_ph_nodule *n, ct_ph_vec p,
                    float distance) {
  float radius = mean_radius(n), share = n->calcium_share, inside = -distance;
  float from_centre = ph_length(ph_sub(p, n->centre)), core = cbrtf(share) * radius;
  switch (n->calcium) {
  case 6:
    return 0;
  case 1: /* popcorn */
    return ph_ramp(0.1f, 0.35f, ct_ph_texture_at(scene, p, 0.30f * radius + 0.6f) + share - 0.25f) *
           ph_ramp(0.4f, 1.2f, inside);
  case 2: /* laminated: a core and a shell */
    return ph_max(ph_ramp(0.4f, -0.4f, from_centre - 0.3f * radius),
                  ph_ramp(0.18f * radius, 0.08f * radius, fabsf(inside - 0.3f * radius)));
  case 4: /* non-central */
    return ph_ramp(0.5f, -0.5f,
                   ph_length(ph_sub(p, ph_along(n->centre, n->frame[0], 0.5f * n->axes[0]))) -
                       core);
  default: /* solid, central */
    return ph_ramp(0.5f, -0.5f, from_centre - core) * ph_ramp(0, 0.6f, inside);
  }
}

/* The flag of what raises malignancy most, or 0. */
static unsigned cause_of(const struct ct_phantom_nodule *t) {
  const double *term = t->malignancy_term;
  const struct {
    double raises;
    unsigned flag;
  } parts[] = {{term[CT_TERM_SPICULATION], CT_FEATURE_SPICULES},
               {term[CT_TERM_LOBULATION], CT_FEATURE_LOBES},
               {t->texture == CT_PART_SOLID ? term[CT_TERM_TEXTURE] : 0, CT_FEATURE_CORE}};
  if (t->malignancy_probability <= 0.5) return 0;
  double most = CT_CAUSE_LEAST;
  unsigned cause = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i].raises >= most) {
      most = parts[i].raises;
      cause = parts[i].flag;
    }
  return cause;
}

static unsigned features_at(const struct ct_ph_scene *scene, const struct ct_ph_nodule *n,
                            unsigned cause, ct_ph_vec p) {
  float d = ct_ph_nodule_distance(n, p);
  unsigned flags = d < 0 ? CT_FEATURE_BODY : 0;
  if (d >= 0 && ct_ph_spicule_cover(n, p) > 0) flags |= CT_FEATURE_SPICULES;
  if (d < 0 && n->n_lobes > 0 && ct_ph_smooth_distance(n, p) >= 0) flags |= CT_FEATURE_LOBES;
  if (d < 0 && ct_ph_core_cover(scene, n, p, d) >= 0.5f) flags |= CT_FEATURE_CORE;
  if (d < 0 && ct_ph_calcium(scene, n, p, d) >= 0.5f) flags |= CT_FEATURE_CALCIUM;
  if (flags & cause) flags |= CT_FEATURE_CAUSE;
  return flags && ct_ph_lung_patient(scene, p) < 0 ? flags : 0;
}

void ct_ph_feature_slice(const struct ct_ph_scene *scene, const struct ct_phantom_nodule *truth,
                         size_t k, uint8_t *features) {
  int n = (int)scene->matrix;
  float z = scene->first.z + (float)k * scene->spacing_mm;
  memset(features, 0, scene->matrix * scene->matrix);
  for (size_t m = 0; m < scene->n_nodules; m++) {
    const struct ct_ph_nodule *nodule = &scene->nodule[m];
    struct ct_ph_square near;
    if (!ct_ph_near(scene, nodule, z, &near)) continue;
    unsigned cause = cause_of(&truth[m]);
    for (int j = near.low[1]; j <= near.high[1]; j++)
      for (int i = near.low[0]; i <= near.high[0]; i++) {
        ct_ph_vec p = ph_vec(scene->first.x + (float)i * scene->pixel_mm,
                             scene->first.y + (float)j * scene->pixel_mm, z);
        features[j * n + i] |= (uint8_t)features_at(scene, nodule, cause, p);
      }
  }
}
