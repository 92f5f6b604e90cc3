/* Averages the CLS embeddings of the nodules that a rule or list selects, writes the concept as
 * safetensors, and reads it back. */
#include "pipeline/explain/pl_concept.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "pipeline/learn/pl_examples.h"
#include "vit/pass/vit_forward.h"

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
    if (!found)
      LC_FAIL(err, LC_ERR_NOT_FOUND, "--members: \"%.*s\" is no nodule of the split (%zu nodules)",
              (int)length, at, examples->n);
    at += length;
  }
  return LC_OK;
}

struct mean {
  double *sum; /* [dim] */
  size_t n;
  struct lc_text members;
};

/* One image at a time through the model: a concept is made once. */
static lc_status average(const struct vit_model *model, const struct pl_examples *examples,
                         const char *text, const char *members, struct mean *mean,
                         struct lc_error *err) {
  struct rule rule = {0};
  struct vit_workspace workspace;
  const struct vit_request request = {0};
  struct vit_augment_draw draw;
  size_t pixels = (size_t)examples->recipe->data_pixels, dim = model->arch.embed_dim;
  float *image = NULL;
  LC_TRY(members ? check_members(members, examples, err) : parse_rule(text, &rule, err));
  LC_TRY(lc_alloc(&mean->sum, dim, sizeof *mean->sum, err));
  LC_TRY(vit_workspace_init(&workspace, model, 1, pixels, pixels, &request, err));
  vit_augment_symmetry(0, &draw);
  lc_status status = lc_alloc(&image, VIT_CHANNELS * pixels * pixels, sizeof *image, err);
  for (size_t i = 0; i < examples->n && status == LC_OK; i++) {
    const struct pl_crop *crop = &examples->crops->crops[examples->rows[i]];
    struct vit_trace trace;
    char name[128];
    name_of(crop, name);
    if (members ? !listed(members, name) : !satisfies(&rule, crop)) continue;
    status = pl_examples_image(examples, i, &draw, image, err);
    if (status == LC_OK) status = vit_forward(&workspace, image, 1, &trace, err);
    for (size_t k = 0; k < dim && status == LC_OK; k++)
      mean->sum[k] += (double)trace.cls_embedding[k];
    lc_text_add(&mean->members, "%s%s", mean->n ? "," : "", name);
    mean->n++;
  }
  vit_workspace_free(&workspace);
  free(image);
  if (status == LC_OK && mean->n == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "rule \"%s\": none of %zu nodules satisfies it", text,
            examples->n);
  return status;
}

static lc_status write(const struct vit_model *model, const struct pl_concept_request *request,
                       const struct mean *of, const struct mean *against, const char *path,
                       struct lc_error *err) {
  size_t dim = model->arch.embed_dim;
  float *vector = NULL;
  LC_TRY(lc_alloc(&vector, dim, sizeof *vector, err));
  for (size_t k = 0; k < dim; k++)
    vector[k] = (float)(of->sum[k] / (double)of->n -
                        (against->n ? against->sum[k] / (double)against->n : 0));
  char name[] = "concept_vector";
  const struct vit_tensor tensor = {
      .name = name, .dtype = VIT_F32, .rank = 1, .shape = {dim}, .count = dim, .data = vector};
  const char *const metadata[] = {"name",
                                  request->name,
                                  "rule",
                                  request->rule ? request->rule : "",
                                  "against",
                                  request->against ? request->against : "",
                                  "members",
                                  lc_text_get(&of->members),
                                  "against_members",
                                  lc_text_get(&against->members),
                                  "weights_sha256",
                                  model->weights_sha256,
                                  "notice",
                                  model->trained ? "research use only"
                                                 : "UNTRAINED WEIGHTS, research use only"};
  lc_status status = vit_tensor_file_write(path, &tensor, 1, metadata,
                                           sizeof metadata / sizeof *metadata / 2, err);
  free(vector);
  return status;
}

lc_status pl_concept_create(struct vit_model *model, const struct pl_recipe_overrides *overrides,
                            const struct pl_concept_request *request, const char *path,
                            size_t *members, size_t *against, struct lc_error *err) {
  struct pl_recipe recipe;
  struct pl_crops crops = {0};
  struct pl_examples examples = {0};
  struct mean of = {0}, other = {0};
  LC_TRY(vit_model_hash(model, err));
  LC_TRY(pl_recipe_make(&recipe, overrides, err));
  lc_status status = pl_recipe_crops(&recipe, &crops, err);
  if (status == LC_OK)
    status = pl_examples_init(&examples, &crops, &recipe, &model->arch,
                              request->split ? request->split : recipe.data_train, NULL, err);
  if (status == LC_OK)
    status = average(model, &examples, request->rule, request->members, &of, err);
  if (status == LC_OK && request->against)
    status = average(model, &examples, request->against, NULL, &other, err);
  if (status == LC_OK) status = write(model, request, &of, &other, path, err);
  *members = of.n;
  *against = other.n;
  free(of.sum);
  free(other.sum);
  lc_text_free(&of.members);
  lc_text_free(&other.members);
  pl_examples_free(&examples);
  pl_crops_free(&crops);
  pl_recipe_free(&recipe);
  return status;
}

lc_status pl_concept_read(const struct vit_model *model, const char *path, char name[VIT_NAME_SIZE],
                          float **vector, struct lc_error *err) {
  struct vit_tensor_file file;
  size_t dim = model->arch.embed_dim;
  *vector = NULL;
  LC_TRY(vit_tensor_file_open(&file, path, err));
  lc_status status = LC_OK;
  const struct vit_tensor *tensor = vit_tensor_file_find(&file, "concept_vector");
  const char *weights = vit_tensor_file_metadata(&file, "weights_sha256");
  const char *stored = vit_tensor_file_metadata(&file, "name");
  if (!tensor || tensor->rank != 1 || tensor->count != dim)
    LC_FAIL_GOTO(done, err, LC_ERR_TENSOR, "%s: expected concept_vector with %zu values", path,
                 dim);
  if (weights && strcmp(weights, model->weights_sha256) != 0)
    LC_FAIL_GOTO(done, err, LC_ERR_MISMATCH, "%s: made with weights %.12s, the model is %.12s",
                 path, weights, model->weights_sha256);
  lc_text_copy(name, VIT_NAME_SIZE, stored && *stored ? stored : "concept");
  LC_TRY_GOTO(lc_alloc(vector, dim, sizeof **vector, err), done);
  LC_TRY_GOTO(vit_tensor_to_float(tensor, *vector, err), done);
done:
  vit_tensor_file_close(&file);
  if (status != LC_OK) {
    free(*vector);
    *vector = NULL;
  }
  return status;
}
