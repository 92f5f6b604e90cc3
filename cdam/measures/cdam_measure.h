/* Measures of explanation quality: a table, by function.
 *
 * A measure is one file (or a part of one that shares its science) and one line of the table in
 * cdam_measure.c: the values it gives, what it needs, and the function that computes them for all
 * maps of one image. docs/measures.md lists them, docs/extending.md adds one.
 *
 * Determinism: draws depend on subject.draws alone, and those of maps that are drawn again
 * (explain) also on how many questions were asked before: a measure that calls `explain` goes to
 * the end of the table, since one before others would change their draws. Thread-safety: one
 * subject, one thread; inside, lc_threads(). */
#pragma once

#include "cdam/measures/cdam_curve.h"
#include "cdam/measures/cdam_randomise.h"
#include "cdam/measures/cdam_removal.h"
#include "cdam/measures/cdam_robustness.h"

#define CDAM_MEASURE_NAME 48

/* What there is to measure with, and what a measure needs beyond maps, model and nodule. */
enum {
  CDAM_HAVE_SINGLE_PATCHES = 1, /* the time for one pass a patch */
  CDAM_HAVE_IMPUTATION = 2,
  CDAM_HAVE_TARGETS = 4,      /* maps of further targets */
  CDAM_HAVE_FEATURES = 8,     /* the places of the nodule's features */
  CDAM_HAVE_RATED_PAIRS = 16, /* images of two nodules whose ratings differ */
  CDAM_HAVE_TRUTH_PAIRS = 32, /* of a spiculated and a calcified one */
  CDAM_HAVE_NEIGHBOURS = 64,  /* images around the image */
  CDAM_HAVE_RANDOM_WEIGHTS = 128,
  CDAM_HAVE_RUNS = 256 /* maps with other seeds */
};

struct cdam_measure_settings {
  struct cdam_removal_settings missing; /* with the noise and seed of imputation */
  struct cdam_curve_settings curves;
  size_t sets;          /* random sets or boxes of each size */
  const size_t *shares; /* [n_shares] sizes of random sets, percent of the patches */
  const size_t *boxes;  /* [n_boxes] edges of random boxes, patches */
  size_t n_shares, n_boxes;
  struct cdam_robustness_settings neighbours;
  size_t runs; /* with other seeds, the first among them */
};

/* A wish for maps of the first target. */
struct cdam_question {
  const struct vit_model *model; /* NULL: the subject's */
  const float *image;            /* [3, pixels, pixels] */
  size_t first, count;           /* maps */
  uint64_t turn; /* number of the question, ++subject->turn: the seed of controls that draw anew for
                    each; 0 is the subject's own maps */
  uint64_t run; /* number of the seed of estimators and controls; 0 is that of the subject's maps */
};

/* An image of two nodules; the sum of each place, [patch], is 1, so that size does not matter. */
enum cdam_pair_kind { CDAM_PAIR_RATED = 0, CDAM_PAIR_TRUTH };
struct cdam_pair {
  float *image;       /* [3, pixels, pixels] */
  double *high, *low; /* the nodule with the higher and the lower rating, or the spiculated and the
                         calcified one */
};

enum cdam_feature {
  CDAM_SPICULES = 0,
  CDAM_LOBES,
  CDAM_CORE,
  CDAM_CALCIUM, /* speaks against what is explained */
  CDAM_CAUSE,   /* what made the nodule malignant */
  CDAM_FEATURES
};

/* Points of curves, for a report; any may be NULL. */
#define CDAM_COMPACT_POINTS 21 /* thresholds 0, 0.05 .. 1 */
struct cdam_points {
  double *share, *random; /* [point] of the deletion curve */
  double *most, *least;   /* [map, point] */
  double *compact;        /* [map, 2, CDAM_COMPACT_POINTS] signed and absolute maximum */
  double *randomised;     /* [map, stage] Spearman of |scores| */
};

/* One image, its maps, and all that measures may ask about it. Borrowed, but for what stands last.
 */
struct cdam_subject {
  const struct cdam_measure_settings *settings;
  /* patches = grid * grid; image and grid are square, with edges of `pixels` pixels and `grid`
   * patches. */
  size_t maps, targets, patches, grid, pixels;
  const struct vit_model *model;
  const struct cdam_target *target; /* the first one, whose maps are measured */
  const float *image;               /* [3, pixels, pixels] */
  const float *scores;              /* [map, target, patch], patches row by row */
  size_t cells;                     /* of finer maps; patches when there are none */
  const float *finer;               /* [map, target, cell], cells row by row; may be `scores` */
  const bool *is_signed;            /* [map] */
  const bool *is_drawn;             /* [map] another seed gives another map */
  const double *coverage;           /* [cell] share that the nodule covers */
  const double *features;           /* [CDAM_FEATURES, cell] shares that each feature covers */
  const double *touched;            /* [cell] above 0 where nodule or spicules are */
  struct cdam_draws draws;
  const struct cdam_randomised *randomised;
  const struct cdam_evaluator *evaluator; /* NULL: the model answers */
  void *context;
  /* scores: [question->count, patch]. */
  lc_status (*explain)(void *context, const struct cdam_question *question, float *scores,
                       struct lc_error *err);
  /* Fills *pair, whose memory is the caller's; found is false when the nodule has no partner. */
  lc_status (*pair)(void *context, enum cdam_pair_kind kind, struct cdam_pair *pair, bool *found,
                    struct lc_error *err);
  struct cdam_points points;

  size_t number; /* of the setting, for which `numbers` says that the measure is run; else 0 */
  uint64_t turn; /* of the last question */
  struct cdam_removal removal;
  bool removal_open, removal_imputes;
};

/* One number that a measure gives. */
struct cdam_value {
  const char *name; /* "deletion"; # stands for the measure's number: "box_#" */
  bool larger_is_better;
  const char *doc; /* one line; docs/measures.md says more */
};
#define CDAM_LARGER true
#define CDAM_SMALLER false

/* Once, or once for each number of a setting. */
enum cdam_measure_numbers { CDAM_ONCE = 0, CDAM_EACH_SHARE, CDAM_EACH_BOX };

struct cdam_measure {
  /* "correctness", "compactness", "localisation", "truth", "class sensitivity" or "robustness": the
   * table of the report; another word makes another table. Lower case. */
  const char *group;
  unsigned needs; /* CDAM_HAVE_...: without one of them the measure is not offered */
  enum cdam_measure_numbers numbers;
  const struct cdam_value *values;
  size_t n_values;
  /* values: [map, n_values], in the order of the table above; NaN where it writes nothing. */
  lc_status (*run)(struct cdam_subject *subject, double *values, struct lc_error *err);
};

/* One value that is asked for. */
struct cdam_listed {
  char name[CDAM_MEASURE_NAME];
  const char *group, *doc;
  bool larger_is_better;
  const struct cdam_measure *measure;
  size_t value, number;
};

/* The values that can be had, in the order of the table; with names (n_names > 0) only those.
 * LC_ERR_NOT_FOUND for a name that no measure has, with the nearest, or for one that needs what
 * there is not. list: free(). */
LC_MUST_CHECK lc_status cdam_measures_list(unsigned have,
                                           const struct cdam_measure_settings *settings,
                                           const char *const *names, size_t n_names,
                                           struct cdam_listed **list, size_t *n,
                                           struct lc_error *err);
/* Computes them: values [map, n]. The subject may be run again. */
LC_MUST_CHECK lc_status cdam_measures_run(const struct cdam_listed *list, size_t n,
                                          struct cdam_subject *subject, double *values,
                                          struct lc_error *err);

/* For measures: scores of a map for the first target, [patch] and [cell]; the answers of the model
 * with patches missing, as settings.missing says or imputed. The evaluator is the subject's: nobody
 * frees it, and it is good until one of the other kind is asked for, or the measure ends. */
const float *cdam_subject_map(const struct cdam_subject *subject, size_t map);
const float *cdam_subject_finer(const struct cdam_subject *subject, size_t map);
LC_MUST_CHECK lc_status cdam_subject_evaluator(struct cdam_subject *subject, bool imputed,
                                               struct cdam_evaluator *evaluator,
                                               struct lc_error *err);
/* Maps of the first target next to each other, [map, patch]: free(). */
LC_MUST_CHECK lc_status cdam_subject_maps(const struct cdam_subject *subject, float **maps,
                                          struct lc_error *err);
