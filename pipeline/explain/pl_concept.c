/* Averages CLS embeddings of chosen nodules; writes and reads concepts. */
#include "pipeline/explain/pl_concept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_identity.h"
#include "common/lc_scope.h"
#include "pipeline/learn/pl_evaluate.h"

struct rule {
  int biomarker; /* -1: malignancy */
  int sign;      /* 1: at least or above; -1: at most or below */
  bool strict;
  double limit;
};

static lc_status parse_rule(const char *text, struct rule *rule, struct lc_error *err) {
  char name[32];
  size_t length = strcspn(text, "<>");
  const char *limit = text + length + 1;
  *rule = (struct rule){.biomarker = -2, .sign = text[length] == '>' ? 1 : -1};
  if (text[length] && length > 0 && length < sizeof name) {
    memcpy(name, text, length);
    name[length] = '\0';
    rule->strict = *limit != '=';
    if (!rule->strict) limit++;
    if (strcmp(name, "malignancy") == 0) rule->biomarker = -1;
    for (int i = 0; i < PL_BIOMARKERS; i++)
      if (strcmp(name, pl_biomarker_names[i]) == 0) rule->biomarker = i;
    if (rule->biomarker > -2 && lc_text_to_double(limit, &rule->limit)) return LC_OK;
  }
  LC_FAIL(err, LC_ERR_USAGE,
          "rule \"%s\": expected a rating, one of >= <= > <, and a number, as in spiculation>=4",
          text);
}

static bool satisfies(const struct rule *rule, const struct pl_crop *crop) {
  double value = rule->biomarker < 0 ? crop->malignancy : crop->biomarkers[rule->biomarker];
  double over = (value - rule->limit) * rule->sign; /* NaN, not rated, satisfies nothing */
  return rule->strict ? over > 0 : over >= 0;
}

static void name_of(const struct pl_crop *crop, char name[128]) {
  snprintf(name, 128, "%s-nodule-%d", crop->patient, crop->nodule);
}

/* Whether a list with commas holds the name. */
static bool listed(const char *list, const char *name) {
  size_t length = strlen(name);
  for (const char *at = list; (at = strstr(at, name)); at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) return true;
  return false;
}

/* Every name of the list must be a nodule's. */
static lc_status check_members(const char *list, const struct pl_examples *examples,
                               struct lc_error *err) {
  for (const char *at = list; *at; at += *at == ',') {
    size_t length = strcspn(at, ",");
    bool found = false;
    for (size_t i = 0; i < examples->n && !found; i++) {
      char name[128];
      name_of(&examples->crops->crops[examples->rows[i]], name);
      found = strlen(name) == length && memcmp(name, at, length) == 0;
    }
    char name[128], shown[LC_IDENTITY_SIZE];
    lc_text_copy(name, length + 1 < sizeof name ? length + 1 : sizeof name, at);
    if (!found)
      LC_FAIL(err, LC_ERR_NOT_FOUND, "--members: \"%s\" is no nodule of the split (%zu nodules)",
              lc_identity(shown, name), examples->n);
    at += length;
  }
  return LC_OK;
}

/* The mean over nodules. */
struct mean {
  double *sum;   /* [dim] of the nodules' mean embeddings */
  float *logits; /* [n, outputs] of the nodules; or NULL */
  size_t n;
  struct lc_text members;
};

static void mean_free(struct mean *mean) {
  free(mean->sum);
  free(mean->logits);
  lc_text_free(&mean->members);
}

/* The nodules that are named or satisfy the rule: rows of them in `some`, and their names. */
static lc_status choose(const struct pl_examples *examples, const char *text, const char *members,
                        struct pl_examples *some, struct mean *mean, struct lc_error *err) {
  struct rule rule = {0};
  LC_TRY(members ? check_members(members, examples, err) : parse_rule(text, &rule, err));
  some->n = 0;
  for (size_t i = 0; i < examples->n; i++) {
    const struct pl_crop *crop = &examples->crops->crops[examples->rows[i]];
    char name[128];
    name_of(crop, name);
    if (members ? !listed(members, name) : !satisfies(&rule, crop)) continue;
    lc_text_add(&mean->members, "%s%s", some->n ? "," : "", name);
    some->rows[some->n++] = examples->rows[i];
  }
  mean->n = some->n;
  if (some->n == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "rule \"%s\": none of %zu nodules satisfies it", text,
            examples->n);
  return LC_OK;
}

static lc_status average(const struct vit_model *model, const struct pl_examples *examples,
                         const char *text, const char *members, struct mean *mean,
                         struct lc_error *err) {
  LC_SCOPED(pl_predictions_free) struct pl_predictions predictions = {0};
  LC_FREED uint32_t *rows = NULL;
  size_t dim = model->arch.embed_dim, outputs = examples->outputs;
  struct pl_examples some = *examples;
  LC_TRY(lc_alloc(&rows, examples->n, sizeof *rows, err));
  some.rows = rows;
  LC_TRY(choose(examples, text, members, &some, mean, err));
  LC_TRY(lc_alloc(&mean->sum, dim, sizeof *mean->sum, err));
  LC_TRY(lc_alloc(&mean->logits, some.n * outputs, sizeof *mean->logits, err));
  LC_TRY(pl_predict(model, &some, examples->recipe->test_symmetries, NULL, &predictions, err));
  for (size_t i = 0; i < some.n * dim; i++) mean->sum[i % dim] += predictions.embeddings[i];
  for (size_t i = 0; i < some.n * outputs; i++) mean->logits[i] = (float)predictions.values[i];
  return LC_OK;
}

static lc_status write(const struct vit_model *model, const struct pl_concept_request *request,
                       const struct mean *of, const struct mean *against, const char *path,
                       struct lc_error *err) {
  size_t dim = model->arch.embed_dim;
  LC_FREED float *vector = NULL;
  LC_TRY(lc_alloc(&vector, dim, sizeof *vector, err));
  for (size_t k = 0; k < dim; k++)
    vector[k] = (float)(of->sum[k] / (double)of->n -
                        (against->n ? against->sum[k] / (double)against->n : 0));
  size_t outputs = vit_arch_outputs(&model->arch);
  char name[] = "concept_vector", logits[] = "member_logits";
  const struct vit_tensor tensors[] = {
      {.name = name, .dtype = VIT_F32, .rank = 1, .shape = {dim}, .count = dim, .data = vector},
      {.name = logits,
       .dtype = VIT_F32,
       .rank = 2,
       .shape = {of->n, outputs},
       .count = of->n * outputs,
       .data = of->logits}};
  const char *const metadata[][2] = {
      {"name", request->name},
      {"rule", request->rule ? request->rule : ""},
      {"against", request->against ? request->against : ""},
      {"members", lc_text_get(&of->members)},
      {"against_members", lc_text_get(&against->members)},
      {"weights_sha256", model->weights_sha256},
      {"notice", model->trained ? "research use only" : "UNTRAINED WEIGHTS, research use only"}};
  return vit_tensor_file_write(path, tensors, outputs ? 2 : 1, metadata[0],
                               sizeof metadata / sizeof *metadata, err);
}

lc_status pl_concept_create(struct vit_model *model, const struct pl_overrides *overrides,
                            const struct pl_concept_request *request, const char *path,
                            size_t *members, size_t *against, struct lc_error *err) {
  LC_SCOPED(pl_recipe_free) struct pl_recipe recipe = {0};
  LC_SCOPED(pl_crops_free) struct pl_crops crops = {0};
  LC_SCOPED(pl_examples_free) struct pl_examples examples = {0};
  LC_SCOPED(mean_free) struct mean of = {0}, other = {0};
  const struct pl_label_scale scale = pl_label_scale_none();
  LC_TRY(vit_model_hash(model, err));
  LC_TRY(pl_recipe_make(&recipe, overrides, err));
  LC_TRY(pl_recipe_crops(&recipe, &crops, err));
  LC_TRY(pl_examples_init(&examples, &crops, &recipe, &model->arch,
                          request->split ? request->split : recipe.data_train, &scale, err));
  LC_TRY(average(model, &examples, request->rule, request->members, &of, err));
  if (request->against) LC_TRY(average(model, &examples, request->against, NULL, &other, err));
  *members = of.n;
  *against = other.n;
  return write(model, request, &of, &other, path, err);
}

lc_status pl_concept_read(const struct vit_model *model, const char *path, char name[VIT_NAME_SIZE],
                          float **vector, struct lc_error *err) {
  LC_SCOPED(vit_tensor_file_close) struct vit_tensor_file file = {0};
  size_t dim = model->arch.embed_dim;
  *vector = NULL;
  LC_TRY(vit_tensor_file_open(&file, path, err));
  const struct vit_tensor *tensor = vit_tensor_file_find(&file, "concept_vector");
  const char *weights = vit_tensor_file_metadata(&file, "weights_sha256");
  const char *stored = vit_tensor_file_metadata(&file, "name");
  if (!tensor || tensor->rank != 1 || tensor->count != dim)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: expected concept_vector with %zu values", path, dim);
  if (weights && strcmp(weights, model->weights_sha256) != 0)
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: made with weights %.12s, the model is %.12s", path, weights,
            model->weights_sha256);
  lc_text_copy(name, VIT_NAME_SIZE, stored && *stored ? stored : "concept");
  LC_TRY(lc_alloc(vector, dim, sizeof **vector, err));
  return vit_tensor_to_float(tensor, *vector, err);
}
