/* Finds heads by the roots of their names, folds their layers and names them. */
#include "vit/loading/vit_heads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"

#define MAX_LAYERS 8
#define BATCH_NORM_EPS 1e-5 /* PyTorch's default; no file says it */
#define NONE SIZE_MAX

/* One number of a sequence; entries by their place in the list. */
struct layer {
  long long number; /* -1: the root itself */
  size_t weight, bias, mean, var;
};

/* The tensors of one head. */
struct found {
  char root[VIT_PARAMETER_NAME]; /* "fc", "heads.malignancy" */
  struct layer layers[MAX_LAYERS];
  size_t n;
  const struct vit_tensor *first; /* of the file's order */
};

/* A linear layer as it will be: values are owned. */
struct dense {
  const struct layer *from;
  size_t in, out;
  float *weight, *bias; /* [out, in]; [out] */
  bool changed;         /* not as the file has it */
};

static const char *const roots[] = {"head",     "mlp_head",      "fc", "classifier", "linear",
                                    "cls_head", "cls_classifier"};

/* Splits "fc.3.running_mean" into root, number and what it is; false for other names. */
static bool split(const char *name, char root[VIT_PARAMETER_NAME], long long *number,
                  const char **what) {
  size_t length = 0;
  if (strncmp(name, "heads.", 6) == 0) {
    length = 6 + strcspn(name + 6, ".");
  } else {
    for (size_t i = 0; i < sizeof roots / sizeof *roots && length == 0; i++) {
      size_t n = strlen(roots[i]);
      if (strncmp(name, roots[i], n) == 0 && name[n] == '.') length = n;
    }
  }
  if (length == 0 || name[length] != '.') return false;
  snprintf(root, VIT_PARAMETER_NAME, "%.*s", (int)length, name);
  const char *rest = name + length + 1;
  size_t digits = strspn(rest, "0123456789");
  *number = -1;
  if (digits > 0 && digits < 4 && rest[digits] == '.') {
    *number = strtoll(rest, NULL, 10);
    rest += digits + 1;
  }
  *what = rest;
  return strcmp(rest, "weight") == 0 || strcmp(rest, "bias") == 0 ||
         strncmp(rest, "running_", 8) == 0 || strcmp(rest, "num_batches_tracked") == 0;
}

static lc_status layer_of(const struct vit_entries *entries, struct found *found, long long number,
                          struct layer **layer, struct lc_error *err) {
  size_t i = 0;
  while (i < found->n && found->layers[i].number < number) i++;
  *layer = &found->layers[i];
  if (i < found->n && found->layers[i].number == number) return LC_OK;
  if (found->n == MAX_LAYERS)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: head \"%s\" has more than %d layers", entries->file->path,
            found->root, MAX_LAYERS);
  memmove(*layer + 1, *layer, (found->n++ - i) * sizeof **layer);
  **layer = (struct layer){number, NONE, NONE, NONE, NONE};
  return LC_OK;
}

/* Adds one tensor to the head that its name says. */
static lc_status collect_one(struct vit_entries *entries, size_t at, struct found *heads, size_t *n,
                             struct lc_error *err) {
  char root[VIT_PARAMETER_NAME];
  const char *what;
  long long number;
  struct layer *layer;
  struct vit_entry *entry = &entries->list[at];
  if (entry->left_out || !split(entry->name, root, &number, &what)) return LC_OK;
  if (strcmp(what, "num_batches_tracked") == 0) {
    entry->left_out = true;
    return LC_OK;
  }
  size_t i = 0;
  while (i < *n && strcmp(heads[i].root, root) != 0) i++;
  if (i == VIT_MAX_HEADS)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: more than %d heads, \"%s\" is one too many",
            entries->file->path, VIT_MAX_HEADS, root);
  if (i == *n) {
    heads[(*n)++] = (struct found){.first = entry->tensor};
    lc_text_copy(heads[i].root, sizeof heads[i].root, root);
  }
  if (entry->tensor < heads[i].first) heads[i].first = entry->tensor;
  LC_TRY(layer_of(entries, &heads[i], number, &layer, err));
  size_t *place = strcmp(what, "weight") == 0         ? &layer->weight
                  : strcmp(what, "bias") == 0         ? &layer->bias
                  : strcmp(what, "running_mean") == 0 ? &layer->mean
                                                      : &layer->var;
  *place = at;
  return LC_OK;
}

static int by_place(const void *a, const void *b) {
  const struct found *left = a, *right = b;
  return left->first < right->first ? -1 : left->first > right->first;
}

static bool is_batch_norm(const struct layer *layer) {
  return layer->mean != NONE && layer->var != NONE;
}

static const char *name_of(const struct vit_entries *entries, const struct layer *layer) {
  size_t at = layer->weight != NONE ? layer->weight
              : layer->bias != NONE ? layer->bias
              : layer->mean != NONE ? layer->mean
                                    : layer->var;
  return entries->list[at].tensor->name;
}

static lc_status refuse(const struct vit_entries *entries, const struct layer *layer,
                        const char *why, struct lc_error *err) {
  LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\": %s", entries->file->path, name_of(entries, layer),
          why);
}

static void free_dense(struct dense *dense) {
  free(dense->weight);
  free(dense->bias);
  *dense = (struct dense){0};
}

static lc_status read_dense(struct vit_entries *entries, const struct layer *layer,
                            struct dense *dense, struct lc_error *err) {
  *dense = (struct dense){.from = layer};
  if (layer->weight == NONE || entries->list[layer->weight].tensor->rank != 2)
    return refuse(entries, layer,
                  "is no Linear and no BatchNorm, which heads are read of; expected [out, in]",
                  err);
  const struct vit_entry *weight = &entries->list[layer->weight];
  dense->out = weight->tensor->shape[0];
  dense->in = weight->tensor->shape[1];
  LC_TRY(vit_entry_values(weight, &dense->weight, err));
  if (layer->bias == NONE) {
    dense->changed = true;
    return lc_alloc(&dense->bias, dense->out + 1, sizeof *dense->bias, err);
  }
  if (entries->list[layer->bias].tensor->count != dense->out)
    return refuse(entries, layer, "has a bias of another length", err);
  return vit_entry_values(&entries->list[layer->bias], &dense->bias, err);
}

/* Factor and offset of a BatchNorm: [n] each, owned. */
static lc_status read_batch_norm(struct vit_entries *entries, const struct layer *layer, size_t n,
                                 float **factor, float **offset, struct lc_error *err) {
  float *weight = NULL, *bias = NULL, *mean = NULL, *var = NULL;
  const size_t places[4] = {layer->weight, layer->bias, layer->mean, layer->var};
  float **values[4] = {&weight, &bias, &mean, &var};
  lc_status status = LC_OK;
  for (int i = 0; i < 4; i++) {
    if (places[i] == NONE) continue;
    if (entries->list[places[i]].tensor->count != n)
      LC_TRY_GOTO(refuse(entries, layer, "has another length than its neighbour", err), done);
    LC_TRY_GOTO(vit_entry_values(&entries->list[places[i]], values[i], err), done);
    entries->list[places[i]].used = true;
    snprintf(entries->list[places[i]].name, VIT_PARAMETER_NAME, "folded");
  }
  LC_TRY_GOTO(lc_alloc(factor, n + 1, sizeof **factor, err), done);
  LC_TRY_GOTO(lc_alloc(offset, n + 1, sizeof **offset, err), done);
  for (size_t i = 0; i < n; i++) {
    double scale = (weight ? (double)weight[i] : 1) / sqrt((double)var[i] + BATCH_NORM_EPS);
    (*factor)[i] = (float)scale;
    (*offset)[i] = (float)((bias ? (double)bias[i] : 0) - (double)mean[i] * scale);
  }
  vit_entries_assume(entries, "%s folded with epsilon 1e-5", name_of(entries, layer));
done:
  free(weight);
  free(bias);
  free(mean);
  free(var);
  return status;
}

/* BatchNorm behind (on what comes out) or before (on what goes in). */
static lc_status fold(struct vit_entries *entries, const struct layer *norm, struct dense *dense,
                      bool behind, struct lc_error *err) {
  float *factor = NULL, *offset = NULL;
  lc_status status =
      read_batch_norm(entries, norm, behind ? dense->out : dense->in, &factor, &offset, err);
  for (size_t o = 0; status == LC_OK && o < dense->out; o++) {
    double bias = (double)dense->bias[o];
    if (behind) bias = bias * (double)factor[o] + (double)offset[o];
    for (size_t i = 0; i < dense->in; i++) {
      float *w = &dense->weight[o * dense->in + i];
      if (!behind) bias += (double)*w * (double)offset[i];
      *w *= factor[behind ? o : i];
    }
    dense->bias[o] = (float)bias;
  }
  dense->changed = true;
  free(factor);
  free(offset);
  return status;
}

/* The layers of a head as one or two linear ones; *gap: what is between has no tensors. told: the
 * user says what numbers without tensors are. */
static lc_status read_layers(struct vit_entries *entries, const struct found *found, bool told,
                             struct dense dense[2], size_t *n, struct lc_error *err) {
  const struct layer *norm = NULL, *last = NULL; /* norm: waits for the layer behind it */
  *n = 0;
  if (found->layers[0].number > 0 && !told)
    return refuse(entries, &found->layers[0],
                  "what comes before it in the head has no tensor, and may be an activation; say "
                  "the head by --arch MODEL.yaml",
                  err);
  for (size_t i = 0; i < found->n; i++) {
    const struct layer *layer = &found->layers[i];
    bool next = last && layer->number == last->number + 1; /* nothing lies between */
    if (is_batch_norm(layer)) {
      if (next && !norm && *n > 0)
        LC_TRY(fold(entries, layer, &dense[*n - 1], true, err));
      else if (norm || (last && next))
        return refuse(entries, layer, "a second BatchNorm in a row is not read", err);
      else
        norm = layer;
      last = layer;
      continue;
    }
    if (*n == 2) return refuse(entries, layer, "a head of more than two layers is not read", err);
    if (*n == 1 && next && !norm)
      return refuse(entries, layer, "follows a layer without an activation between", err);
    if (norm && !next)
      return refuse(entries, layer, "what is between it and BatchNorm has no tensor", err);
    LC_TRY(read_dense(entries, layer, &dense[(*n)++], err));
    if (norm) LC_TRY(fold(entries, norm, &dense[*n - 1], false, err));
    norm = NULL;
    last = layer;
  }
  if (norm || *n == 0) return refuse(entries, &found->layers[found->n - 1], "ends no head", err);
  return LC_OK;
}

/* A pooler or pre-logits layer: Linear and tanh. */
static bool find_pooler(struct vit_entries *entries, struct layer *layer) {
  static const char *const names[] = {"pre_logits.fc", "pooler.dense"};
  for (size_t i = 0; i < 2; i++) {
    char name[VIT_PARAMETER_NAME];
    snprintf(name, sizeof name, "%s.weight", names[i]);
    struct vit_entry *weight = vit_entries_find(entries, name);
    snprintf(name, sizeof name, "%s.bias", names[i]);
    struct vit_entry *bias = vit_entries_find(entries, name);
    if (!weight) continue;
    *layer = (struct layer){-1, (size_t)(weight - entries->list),
                            bias ? (size_t)(bias - entries->list) : NONE, NONE, NONE};
    return true;
  }
  return false;
}

static void prefix_of(const char *name, bool hidden, char out[VIT_PARAMETER_NAME]) {
  if (!hidden && strcmp(name, "head") == 0)
    snprintf(out, VIT_PARAMETER_NAME, "head.");
  else
    snprintf(out, VIT_PARAMETER_NAME, "heads.%s.", name);
}

/* Renames what is as the file has it, makes what is not. */
static lc_status place(struct vit_entries *entries, const struct dense *dense, const char *prefix,
                       struct lc_error *err) {
  char weight[2 * VIT_PARAMETER_NAME], bias[2 * VIT_PARAMETER_NAME];
  snprintf(weight, sizeof weight, "%sweight", prefix);
  snprintf(bias, sizeof bias, "%sbias", prefix);
  const struct layer *from = dense->from;
  if (!dense->changed) {
    lc_text_copy(entries->list[from->weight].name, VIT_PARAMETER_NAME, weight);
    lc_text_copy(entries->list[from->bias].name, VIT_PARAMETER_NAME, bias);
    return LC_OK;
  }
  size_t places[2] = {from->weight, from->bias}, shape[2] = {dense->out, dense->in};
  for (int i = 0; i < 2; i++) {
    if (places[i] == NONE) continue;
    snprintf(entries->list[places[i]].name, VIT_PARAMETER_NAME, "stored");
    entries->list[places[i]].used = true;
  }
  float *values;
  LC_TRY(vit_entries_make(entries, weight, 2, shape, &values, err));
  memcpy(values, dense->weight, dense->out * dense->in * sizeof *values);
  LC_TRY(vit_entries_make(entries, bias, 1, shape, &values, err));
  memcpy(values, dense->bias, dense->out * sizeof *values);
  return LC_OK;
}

/* Logits, unless the head's name or the file says that it is no classifier. */
static bool kind_of_head(const struct vit_tensor_file *file, const char *name) {
  char key[VIT_NAME_SIZE + 16];
  snprintf(key, sizeof key, "heads.%s.kind", name);
  const char *kind = vit_tensor_file_metadata(file, key);
  if (kind) return strcmp(kind, "value") != 0;
  return strcmp(name, "biomarkers") != 0 && strcmp(name, "proj") != 0;
}

static lc_status find_activation(struct vit_entries *entries, const struct found *found,
                                 const char *name, const struct dense dense[2],
                                 vit_head_activation *activation, struct lc_error *err) {
  char key[VIT_NAME_SIZE + 24];
  snprintf(key, sizeof key, "heads.%s.activation", name);
  const char *word = vit_tensor_file_metadata(entries->file, key);
  *activation = VIT_HEAD_RELU;
  if (word && vit_head_activation_parse(word, activation)) return LC_OK;
  if (word)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: metadata \"%s\" is \"%.40s\", expected relu, gelu or tanh",
            entries->file->path, key, word);
  if (strcmp(found->root, "mlp_head") == 0 || strncmp(found->root, "heads.", 6) == 0) return LC_OK;
  LC_FAIL(err, LC_ERR_TENSOR,
          "%s: the activation between \"%s\" and \"%s\" is in no tensor; say it by --arch "
          "MODEL.yaml with heads: [\"%s:hidden=%zu:outputs=%zu:gelu\"] (or relu, tanh)",
          entries->file->path, name_of(entries, dense[0].from), name_of(entries, dense[1].from),
          name, dense[0].out, dense[1].out);
}

/* "mlp_head" has the name of its task, a lone head of any root is "head". */
static const char *head_name(const struct vit_entries *entries, const struct found *found,
                             size_t n) {
  const char *task = vit_tensor_file_metadata(entries->file, "task");
  if (strncmp(found->root, "heads.", 6) == 0) return found->root + 6;
  if (strcmp(found->root, "mlp_head") == 0 && task && *task && !strpbrk(task, ". \t\n"))
    return task;
  return n == 1 || strcmp(found->root, "mlp_head") == 0 ? "head" : found->root;
}

static const struct vit_head_shape *told_of(const struct vit_arch *told, const char *name,
                                            size_t n) {
  if (told->n_heads == 1 && n == 1) return &told->heads[0];
  for (size_t i = 0; i < told->n_heads; i++)
    if (strcmp(told->heads[i].name, name) == 0) return &told->heads[i];
  return NULL;
}

static lc_status take_layers(struct vit_entries *entries, const struct found *found, size_t n_heads,
                             struct vit_arch *arch, const struct vit_arch *told,
                             struct dense dense[2], struct lc_error *err) {
  char prefix[VIT_PARAMETER_NAME], full[VIT_PARAMETER_NAME + 8];
  struct layer pooler;
  size_t n = 0;
  const char *name = head_name(entries, found, n_heads);
  const struct vit_head_shape *shape = told_of(told, name, n_heads);
  if (told->n_heads > 0 && !shape) return LC_OK; /* stays unused */
  if (shape) name = shape->name;
  vit_head_activation activation = shape ? shape->activation : VIT_HEAD_RELU;
  LC_TRY(read_layers(entries, found, shape != NULL, dense, &n, err));
  bool pooled = n == 1 && n_heads == 1 && strcmp(found->root, "classifier") != 0 &&
                find_pooler(entries, &pooler);
  if (pooled) {
    dense[1] = dense[0];
    LC_TRY(read_dense(entries, &pooler, &dense[0], err));
    n = 2;
    activation = VIT_HEAD_TANH;
    vit_entries_assume(entries, "%s and tanh before the head", name_of(entries, &pooler));
  } else if (n == 2 && !shape) {
    LC_TRY(find_activation(entries, found, name, dense, &activation, err));
  }
  prefix_of(name, n == 2, prefix);
  for (size_t i = 0; i < n; i++) {
    snprintf(full, sizeof full, "%s%s", prefix, n == 1 ? "" : i == 0 ? "0." : "2.");
    LC_TRY(place(entries, &dense[i], full, err));
  }
  if (shape) return LC_OK;
  LC_TRY(vit_arch_add_head(arch, name, n == 2 ? dense[0].out : 0, dense[n == 2].out,
                           kind_of_head(entries->file, name), err));
  arch->heads[arch->n_heads - 1].activation = n == 2 ? activation : VIT_HEAD_RELU;
  return LC_OK;
}

lc_status vit_heads_find(struct vit_entries *entries, struct vit_arch *arch, struct lc_error *err) {
  struct found heads[VIT_MAX_HEADS];
  const struct vit_arch told = *arch;
  size_t n = 0, all = entries->n;
  struct layer pooler;
  for (size_t i = 0; i < all; i++) LC_TRY(collect_one(entries, i, heads, &n, err));
  if (n > 0) qsort(heads, n, sizeof *heads, by_place);
  for (size_t i = 0; i < n; i++) {
    struct dense dense[2] = {{0}, {0}};
    lc_status status = take_layers(entries, &heads[i], n, arch, &told, dense, err);
    free_dense(&dense[0]);
    free_dense(&dense[1]);
    LC_TRY(status);
  }
  if (n == 0 && find_pooler(entries, &pooler)) {
    entries->list[pooler.weight].left_out = true;
    if (pooler.bias != NONE) entries->list[pooler.bias].left_out = true;
    vit_entries_assume(entries, "no head: the output is the CLS embedding, without %s",
                       name_of(entries, &pooler));
  }
  vit_entries_sort(entries);
  return LC_OK;
}
