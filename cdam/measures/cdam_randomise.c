/* Replaces parameters of a model by random ones, stage by stage. */
#include "cdam/measures/cdam_randomise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/measures/cdam_measure.h"
#include "common/lc_scope.h"

static lc_status mix(struct cdam_randomised *randomised, struct lc_error *err) {
  LC_TRY(lc_alloc(&randomised->model.blocks, randomised->original->arch.depth,
                  sizeof *randomised->model.blocks, err));
  cdam_randomised_set(randomised, 0, true);
  return LC_OK;
}

lc_status cdam_randomised_init(struct cdam_randomised *randomised, const struct vit_model *original,
                               uint64_t seed, struct lc_error *err) {
  *randomised = (struct cdam_randomised){.original = original, .stages = original->arch.depth + 2};
  LC_TRY(vit_model_init(&randomised->random, &original->arch, seed, err));
  randomised->weights = &randomised->random;
  return mix(randomised, err);
}

lc_status cdam_randomised_share(struct cdam_randomised *randomised,
                                const struct cdam_randomised *owner, struct lc_error *err) {
  *randomised = (struct cdam_randomised){
      .original = owner->original, .weights = owner->weights, .stages = owner->stages};
  return mix(randomised, err);
}

void cdam_randomised_free(struct cdam_randomised *randomised) {
  free(randomised->model.blocks);
  vit_model_free(&randomised->random);
  *randomised = (struct cdam_randomised){0};
}

void cdam_randomised_set(struct cdam_randomised *randomised, size_t stage, bool cascading) {
  const struct vit_model *original = randomised->original, *random = randomised->weights;
  struct vit_model *model = &randomised->model;
  struct vit_block *blocks = model->blocks;
  size_t depth = original->arch.depth;
  *model = *original;
  model->blocks = blocks;
  /* What the original owns is not this struct's to free or to hash. */
  model->owned = NULL;
  model->file = (struct vit_tensor_file){0};
  model->weights_sha256[0] = '\0';
  model->trained = false;
  if (cascading || stage == 0) memcpy(model->heads, random->heads, sizeof model->heads);
  for (size_t b = 0; b < depth; b++) {
    size_t its = depth - b;
    blocks[b] = (cascading ? its <= stage : its == stage) ? random->blocks[b] : original->blocks[b];
  }
  if (stage == depth + 1) {
    model->cls_token = random->cls_token;
    model->register_tokens = random->register_tokens;
    model->position_encoding = random->position_encoding;
    model->patch_embed = random->patch_embed;
  }
}

void cdam_randomised_name(const struct cdam_randomised *randomised, size_t stage,
                          char name[VIT_NAME_SIZE]) {
  size_t depth = randomised->original->arch.depth;
  if (stage == 0)
    snprintf(name, VIT_NAME_SIZE, "heads");
  else if (stage <= depth)
    snprintf(name, VIT_NAME_SIZE, "block %zu", depth - stage);
  else
    snprintf(name, VIT_NAME_SIZE, "embedding");
}

lc_status cdam_randomise_curve(struct cdam_randomised *randomised, bool cascading,
                               cdam_explain_with explain, void *context, const float *scores,
                               size_t maps, size_t patches, struct cdam_similarity *curve,
                               struct lc_error *err) {
  LC_FREED float *again = NULL;
  LC_TRY(lc_alloc(&again, maps * patches, sizeof *again, err));
  for (size_t stage = 0; stage < randomised->stages; stage++) {
    cdam_randomised_set(randomised, stage, cascading);
    LC_TRY(explain(context, &randomised->model, again, err));
    for (size_t m = 0; m < maps; m++)
      LC_TRY(cdam_similarity_of(again + m * patches, scores + m * patches, patches,
                                &curve[stage * maps + m], err));
  }
  return LC_OK;
}

static lc_status explain_with(void *context, const struct vit_model *model, float *scores,
                              struct lc_error *err) {
  struct cdam_subject *subject = context;
  const struct cdam_question question = {
      .model = model, .image = subject->image, .count = subject->maps, .turn = ++subject->turn};
  return subject->explain(subject->context, &question, scores, err);
}

enum { HEADS, ALL, N_VALUES };

static lc_status run(struct cdam_subject *subject, double *values, struct lc_error *err) {
  size_t n = subject->maps, stages = subject->randomised->stages;
  LC_FREED struct cdam_similarity *curve = NULL;
  LC_SCOPED(cdam_randomised_free) struct cdam_randomised mixture = {0};
  LC_FREED float *maps = NULL;
  LC_TRY(lc_alloc(&curve, stages * n, sizeof *curve, err));
  LC_TRY(cdam_subject_maps(subject, &maps, err));
  LC_TRY(cdam_randomised_share(&mixture, subject->randomised, err));
  LC_TRY(cdam_randomise_curve(&mixture, true, explain_with, subject, maps, n, subject->patches,
                              curve, err));
  for (size_t m = 0; m < n; m++, values += N_VALUES) {
    double *points = subject->points.randomised;
    for (size_t s = 0; s < stages && points; s++)
      points[m * stages + s] = curve[s * n + m].spearman_absolute;
    values[HEADS] = fabs(curve[m].spearman_absolute);
    values[ALL] = fabs(curve[(stages - 1) * n + m].spearman_absolute);
  }
  return LC_OK;
}

static const struct cdam_value values_of[N_VALUES] = {
    [HEADS] = {"randomised_heads", CDAM_SMALLER,
               "size of Spearman of |scores| after the heads are randomised"},
    [ALL] = {"randomised_all", CDAM_SMALLER, "the same after all weights are randomised"}};

const struct cdam_measure cdam_measure_random_weights = {.group = "robustness",
                                                         .needs = CDAM_HAVE_RANDOM_WEIGHTS,
                                                         .values = values_of,
                                                         .n_values = N_VALUES,
                                                         .run = run};
