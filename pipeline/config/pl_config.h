/* The configuration of a run: defaults, then a YAML file, then options, in that order.
 *
 * docs/configuration.md says how settings are given, `lungcdam config --print` lists every key. The
 * canonical text leaves out where things lie (input folders, weight file, output folder): what lies
 * there is identified by hashes, so that the same work done in another place has the same results,
 * byte for byte.
 *
 * Plain data; thread-safety: distinct objects, distinct threads. */
#pragma once

#include "common/lc_hash.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/config/pl_parameters.h"

enum pl_cube_type { PL_CUBE_FLOAT32 = 0, PL_CUBE_INT16 };

/* What is full colour in the panels of one figure. */
enum pl_figure_scale { PL_SCALE_EACH = 0, PL_SCALE_COMMON };

struct pl_config {
  struct pl_list input_paths;
  char *input_series;    /* "only", "all" or the name of a series (ct_index_choose) */
  char *input_reference; /* folder with the DICOM of volume files, or "" */
  bool input_assume_hu, input_allow_missing; /* struct ct_index_rules */

  struct pl_list nodules_source;  /* "auto" (beside the series), "detect" (pl_candidates.h), or
                                     files of any kind in docs/nodules.md and folders of those that
                                     lie in folders */
  struct pl_list nodules_reading; /* pl_nodule_words */
  int nodules_grouping;           /* 0 pylidc's voxel rule, 1 millimetres */
  double nodules_tolerance_mm;
  double nodules_consensus_level;
  long long nodules_most_a_lung; /* candidates of the program's own detector */
  char *nodules_command,
      *nodules_command_file; /* a detector of the user's, or ""; what it writes */
  long long nodules_command_s, nodules_command_mb;

  char *model_weights;         /* as given; by default the name of the model that ships, and "" when
                                * that is not at hand */
  struct pl_model_found model; /* the file it means; path "" when there is none */
  struct pl_load load;         /* how it is read: texts and list are those of the overrides */
  char *model_architecture;    /* "" (from the weight file), a name, or a YAML model file */
  long long model_batch;

  long long cube_edge;
  double cube_spacing_mm;

  double preprocess_hu_low, preprocess_hu_high;
  int preprocess_zscore; /* enum ct_zscore */
  double preprocess_mean, preprocess_deviation;
  long long preprocess_height, preprocess_width; /* 0: the model's */
  struct pl_list preprocess_views;
  bool preprocess_symmetries;

  struct pl_list explain_targets;  /* "all" or names */
  long long explain_shifts;        /* 0: run chooses them, explain takes one */
  struct pl_parameters parameters; /* of estimators: for explain; run and serve compute cdam */

  bool figure_write;
  double figure_window_low_hu, figure_window_high_hu;
  long long figure_detail;
  double figure_opacity;
  int figure_colours; /* enum cdam_colours */
  int figure_enlarge; /* enum cdam_enlarge */
  int figure_scale;   /* enum pl_figure_scale */
  long long figure_panel_pixels;

  bool capture_write;
  char *capture_uid_root;
  long long capture_series_number;

  struct pl_list export_objects; /* pl_object_words */
  long long export_series_number;
  double export_relevance;

  int store_cube_type; /* enum pl_cube_type */

  char *output_folder;

  char *serve_listen;           /* IPv4 address */
  bool serve_insecure;          /* listens beyond this machine without TLS */
  struct pl_list serve_callers; /* pl_listen.h */
};

extern const struct pl_schema pl_config_schema;
/* How nodules are read: "components", "keep-duplicates", "strict"; ended by NULL. */
extern const char *const pl_nodule_words[];
/* Whether candidates are to be found (pl_candidates.h). */
bool pl_config_detects(const struct pl_config *config);
/* The paths of nodules.source; NULL and 0 for "auto" and "detect". */
const char *const *pl_config_nodules(const struct pl_config *config, size_t *n);
/* What export.objects takes, NULL-ended: the kinds in the table of pipeline/export, which defines
 * it, and "all". */
extern const char *const pl_object_words[];
/* What preprocess.zscore and preprocess.views take. */
extern const char *const pl_zscore_words[], *const pl_view_words[];

/* Defaults, what the weights say of their images, file, overrides, and the checks that involve
 * several keys. LC_ERR_NOT_FOUND for the name of a model that is unknown. */
LC_MUST_CHECK lc_status pl_config_make(struct pl_config *config,
                                       const struct pl_overrides *overrides, struct lc_error *err);
/* Which model they mean, without opening it. LC_ERR_NOT_FOUND when none is at hand. */
LC_MUST_CHECK lc_status pl_config_find_model(struct pl_model_found *found,
                                             const struct pl_overrides *overrides,
                                             struct lc_error *err);
/* For run and serve, whose one estimator has no parameters: logs that those given are not theirs.
 */
void pl_config_say_parameters(const struct pl_config *config);
/* For callers about to use the model: logs which it is when it has a name, and fails with
 * how to get one when none is at hand. */
LC_MUST_CHECK lc_status pl_config_take_model(const struct pl_config *config, struct lc_error *err);
void pl_config_free(struct pl_config *config);

/* SHA-256 of the canonical text (PL_PRINT_CANONICAL). */
LC_MUST_CHECK lc_status pl_config_hash(const struct pl_config *config, char hex[LC_SHA256_HEX],
                                       struct lc_error *err);
