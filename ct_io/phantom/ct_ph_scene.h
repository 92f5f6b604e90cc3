/* The patient of a phantom: everything that decides its voxels, before any voxel is made.
 *
 * Two frames, both with x to the patient's left, y to the back, z to the head, in mm. "Body": the
 * frame of an average adult with the carina at z = 0, in which the anatomy is written down.
 * "Patient": body scaled and turned about z for this patient; nodules live here, because their
 * sizes are promises. Image coordinates (LPS) are patient coordinates plus scene->shift_mm.
 *
 * A finished scene is read by many threads. */
#pragma once

#include "common/lc_random.h"
#include "ct_io/phantom/ct_ph_math.h"
#include "ct_io/phantom/ct_phantom.h"

#define CT_PH_RING 512     /* directions of a ring, by pseudo-angle */
#define CT_PH_LAYERS 5     /* muscle layers of the chest wall */
#define CT_PH_TEXTURE 32   /* edge of the texture lattice */
#define CT_PH_SPICULES 28  /* at most, a nodule */
#define CT_PH_LOBES 9      /* bumps on a nodule at most */
#define CT_PH_WAVES 7      /* waves of a nodule's surface */
#define CT_PH_MICRO 5      /* nodules under 3 mm at most */
#define CT_PH_CELL_MM 2.5f /* spacing of the lung's distance grid */

/* A piece of a tube with a radius that changes linearly. */
struct ct_ph_segment {
  ct_ph_vec a, b;
  float ra, rb;
};

struct ct_ph_segments {
  struct ct_ph_segment *item;
  size_t count, capacity;
};

/* Axial cross-section of trunk and chest wall around (0, centre_y), by direction. */
struct ct_ph_ring {
  float z, centre_y;
  float cage[CT_PH_RING];       /* radius of the inner chest wall */
  float skin[CT_PH_RING];       /* radius of the skin */
  float slant[CT_PH_RING];      /* cosine between direction and the normal of the cage */
  float skin_slant[CT_PH_RING]; /* the same for the skin */
  float inner[CT_PH_LAYERS][CT_PH_RING], outer[CT_PH_LAYERS][CT_PH_RING]; /* offsets from cage */
  float shoulder; /* 0 trunk to 1 shoulder girdle */
};

/* Distance to the lung surface on a grid in the body frame, and the height of the diaphragm. */
struct ct_ph_grid {
  int nx, ny, nz;
  ct_ph_vec origin;
  float *lung;  /* [z, y, x] */
  float *floor; /* [y, x] z of the diaphragm */
};

/* Shape of one nodule, patient frame. */
struct ct_ph_nodule {
  ct_ph_vec centre;
  float axes[3];
  ct_ph_vec frame[3]; /* directions of the axes */
  float reach;        /* no part of it is farther from the centre */
  /* Surface over the ellipsoid: lobes, and waves that keep it from being smooth; `level` is taken
   * away so that the volume stays that of the ellipsoid. */
  float lobe_height, level;
  int n_lobes;
  ct_ph_vec lobe[CT_PH_LOBES];
  struct {
    ct_ph_vec along;
    float height, rate, phase;
  } wave[CT_PH_WAVES];
  int n_spicules;
  struct ct_ph_segment spicule[CT_PH_SPICULES];
  float edge_mm; /* width of the margin */
  ct_texture texture;
  float hu, hu_glass;
  ct_ph_vec core; /* solid part of a part-solid nodule */
  float core_share;
  int calcium; /* LIDC's pattern, 6 none */
  float calcium_share, hu_calcium;
  float cavity_share; /* of the radius; 0 none */
};

enum ct_ph_kernel { CT_PH_SOFT = 0, CT_PH_STANDARD, CT_PH_SHARP };

struct ct_ph_scene {
  uint64_t seed; /* of this patient */
  bool female;
  int age;
  float scale[3], turn_cos, turn_sin; /* body to patient */
  ct_ph_vec shift_mm;                 /* patient to LPS */
  float fat_mm, muscle, breast_mm, wave_phase[4], wave_mm;
  float heart; /* size */
  float heart_turn, spine_bend;
  ct_ph_vec chamber_frame[4][3]; /* axes of the heart's chambers, turned as the heart is */
  ct_ph_vec chamber_centre[4];
  float hu_artery, hu_vein, hu_muscle, hu_liver, hu_lung, lung_gradient, emphysema;
  float bone_density;
  float texture[CT_PH_TEXTURE * CT_PH_TEXTURE * CT_PH_TEXTURE];

  struct ct_ph_grid grid;
  /* Arterial, venous, other soft tissue, pulmonary veins; body frame. */
  struct ct_ph_segments mediastinum[4];
  struct ct_ph_segments airways;    /* lumen; walls follow from the radius */
  struct ct_ph_segments vessels[2]; /* arteries and veins of the lungs */
  struct ct_ph_segments ribs;       /* ra > 0 bone; radius is half the rib's height */
  struct ct_ph_segments cartilage;
  struct ct_ph_segments long_bones; /* clavicles, scapular spine, humerus */

  struct ct_ph_nodule nodule[CT_PHANTOM_MAX_NODULES];
  size_t n_nodules;
  ct_ph_vec micro[CT_PH_MICRO]; /* nodules under 3 mm, patient frame */
  float micro_radius[CT_PH_MICRO];
  size_t n_micro;

  /* Image. */
  size_t matrix, n_slices;
  float pixel_mm, spacing_mm, thickness_mm;
  ct_ph_vec first; /* patient position of voxel (0, 0, 0) */
  enum ct_ph_kernel kernel;
  float noise_hu;
  double kvp, current_ma, exposure_mas;
  float gown_mm;
};

/* Chooses patient and scanner from (seed, patient) and fills the image part from the options. */
void ct_ph_choose(struct ct_ph_scene *scene, const struct ct_phantom_options *options);

ct_ph_vec ct_ph_to_body(const struct ct_ph_scene *scene, ct_ph_vec patient);
ct_ph_vec ct_ph_to_patient(const struct ct_ph_scene *scene, ct_ph_vec body);

/* Smooth random field in [-1, 1], features of about cell_mm. Inline: it fills every voxel. */
static inline float ct_ph_texture_at(const struct ct_ph_scene *scene, ct_ph_vec p, float cell_mm) {
  enum { N = CT_PH_TEXTURE };
  float c[3] = {p.x / cell_mm, p.y / cell_mm, p.z / cell_mm}, f[3];
  int low[3], high[3];
  for (int a = 0; a < 3; a++) {
    float whole = ph_floor(c[a]);
    f[a] = c[a] - whole;
    f[a] = f[a] * f[a] * (3 - 2 * f[a]);
    low[a] = (int)whole & (N - 1);
    high[a] = (low[a] + 1) & (N - 1);
  }
  const float *t = scene->texture;
  const float *z0 = t + (size_t)low[2] * N * N, *z1 = t + (size_t)high[2] * N * N;
  int ll = low[1] * N + low[0], lh = low[1] * N + high[0];
  int hl = high[1] * N + low[0], hh = high[1] * N + high[0];
  float a = ph_mix(ph_mix(z0[ll], z0[lh], f[0]), ph_mix(z0[hl], z0[hh], f[0]), f[1]);
  float b = ph_mix(ph_mix(z1[ll], z1[lh], f[0]), ph_mix(z1[hl], z1[hh], f[0]), f[1]);
  return ph_mix(a, b, f[2]);
}

/* Chest wall at height z of the body frame. */
void ct_ph_ring_make(const struct ct_ph_scene *scene, float z, struct ct_ph_ring *ring);
/* Position on a ring of a direction: entry and fraction to the next one. */
static inline float ct_ph_pseudo_angle(float dx, float dy) {
  float sum = fabsf(dx) + fabsf(dy);
  if (sum < 1e-6f) return 0;
  float t = dy / sum;
  return ((dx >= 0 ? t : 2 - t) + 1) * (CT_PH_RING / 4.0f);
}
/* Radius of the inner chest wall in direction (ux, uy), a unit vector. */
float ct_ph_cage_radius(const struct ct_ph_scene *scene, float z, float ux, float uy);
float ct_ph_cage_centre(float z);
float ct_ph_spine_y(float z);
float ct_ph_spine_x(const struct ct_ph_scene *scene, float z);

/* Great vessels, airways of the mediastinum, bones. */
LC_MUST_CHECK lc_status ct_ph_build_mediastinum(struct ct_ph_scene *scene, struct lc_error *err);
LC_MUST_CHECK lc_status ct_ph_build_bones(struct ct_ph_scene *scene, struct lc_error *err);
/* Distance to the heart's outer surface, and to its chambers (right, left). */
float ct_ph_heart(const struct ct_ph_scene *scene, ct_ph_vec p);
float ct_ph_chamber(const struct ct_ph_scene *scene, ct_ph_vec p, int left);

/* Distance to bone surface of the spine; *marrow: 0 cortical, 1 trabecular; *soft: HU of what is
 * not bone here (disc, cord) or NaN. */
struct ct_ph_spine_sample {
  float bone;   /* distance to the nearest bone surface */
  float marrow; /* distance to the surface of the marrow space */
  float disc;
  float canal;
};
void ct_ph_spine(const struct ct_ph_scene *scene, ct_ph_vec p, struct ct_ph_spine_sample *sample);

/* Lung surface and diaphragm on the grid. */
LC_MUST_CHECK lc_status ct_ph_build_grid(struct ct_ph_scene *scene, struct lc_error *err);
float ct_ph_lung_body(const struct ct_ph_scene *scene, ct_ph_vec body);       /* body mm */
float ct_ph_lung_patient(const struct ct_ph_scene *scene, ct_ph_vec patient); /* about patient mm */
/* Lobe of a point inside the lungs: 0 to 2 right upper, middle, lower; 3, 4 left upper, lower.
 * *fissure is the distance to the nearest fissure. */
int ct_ph_lobe(ct_ph_vec body, float *fissure);

/* Vessel and airway trees of the lungs. */
LC_MUST_CHECK lc_status ct_ph_build_trees(struct ct_ph_scene *scene, struct lc_error *err);
LC_MUST_CHECK lc_status ct_ph_segment_add(struct ct_ph_segments *list, struct ct_ph_segment item,
                                          struct lc_error *err);

/* Nodules: draws properties, finds places. wanted: 0 draws the number. */
LC_MUST_CHECK lc_status ct_ph_build_nodules(struct ct_ph_scene *scene, size_t wanted,
                                            struct ct_phantom_nodule truth[CT_PHANTOM_MAX_NODULES],
                                            struct lc_error *err);
/* Distance to the surface of the nodule's body (lobes included, spicules not), patient frame. */
float ct_ph_nodule_distance(const struct ct_ph_nodule *nodule, ct_ph_vec patient);
/* The same without lobes. */
float ct_ph_smooth_distance(const struct ct_ph_nodule *nodule, ct_ph_vec patient);
/* Terms and probability of malignancy by the rule of docs/phantom.md. */
double ct_ph_malignancy(const struct ct_phantom_nodule *nodule);
void ct_ph_malignancy_terms(const struct ct_phantom_nodule *nodule, double term[CT_TERM_COUNT]);

/* Parts of a nodule at a point, each 0 to 1; distance is that to the body's surface there. */
float ct_ph_spicule_cover(const struct ct_ph_nodule *nodule, ct_ph_vec patient);
float ct_ph_core_cover(const struct ct_ph_scene *scene, const struct ct_ph_nodule *nodule,
                       ct_ph_vec patient, float distance);
float ct_ph_calcium(const struct ct_ph_scene *scene, const struct ct_ph_nodule *nodule,
                    ct_ph_vec patient, float distance);
/* Pixels of a slice at height z that a nodule can reach, both ends included; false: none. */
struct ct_ph_square {
  int low[2], high[2]; /* column, row */
};
bool ct_ph_near(const struct ct_ph_scene *scene, const struct ct_ph_nodule *nodule, float z,
                struct ct_ph_square *square);
/* Flags of enum ct_feature in slice k. */
void ct_ph_feature_slice(const struct ct_ph_scene *scene, const struct ct_phantom_nodule *truth,
                         size_t k, uint8_t *features);

/* Voxels and truth of slice k. scratch: ct_ph_scratch_floats() floats, one per worker. */
size_t ct_ph_scratch_floats(const struct ct_ph_scene *scene);
void ct_ph_render_slice(const struct ct_ph_scene *scene, size_t k, float *scratch, int16_t *hu,
                        uint8_t *truth);
/* Blur of the kernel and noise, in place; work: four planes. */
void ct_ph_add_scanner(const struct ct_ph_scene *scene, size_t k, float *hu, float *work);

/* Four readings. */
LC_MUST_CHECK lc_status ct_ph_read(const struct ct_ph_scene *scene, struct ct_phantom *phantom,
                                   struct lc_error *err);

void ct_ph_scene_free(struct ct_ph_scene *scene);
