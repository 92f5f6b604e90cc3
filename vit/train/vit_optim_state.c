/* Saves and loads the optimiser's moments and moving average as safetensors, after checking that
 * its settings are the same. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "vit/train/vit_optim.h"
#include "vit/weights/vit_tensor_file.h"

#define N_OWN 5 /* pairs of metadata that are the optimiser's own */

static const char *const kinds[] = {"adam", "adamw"};

/* One array of the state, by the word that leads its tensors' names. */
struct part {
  const char *word;
  float *values;
  bool frozen_too;
};

static size_t list_parts(const struct vit_optim *optim, struct part parts[3]) {
  parts[0] = (struct part){"first", optim->first, false};
  parts[1] = (struct part){"second", optim->second, false};
  parts[2] = (struct part){"average", optim->average, true};
  return optim->average ? 3 : 2;
}

/* Settings that the moments depend on, as text that is exact. */
static void describe(const struct vit_optim *optim, char values[N_OWN][40]) {
  const struct vit_optim_settings *s = &optim->settings;
  snprintf(values[0], 40, "%s", kinds[s->kind]);
  snprintf(values[1], 40, "%.17g", s->beta1);
  snprintf(values[2], 40, "%.17g", s->beta2);
  snprintf(values[3], 40, "%.17g", s->epsilon);
  snprintf(values[4], 40, "%.17g", s->ema_decay);
}
static const char *const setting_keys[N_OWN] = {"optimizer", "beta1", "beta2", "epsilon",
                                                "ema_decay"};

static lc_status tensor_name(const char *word, const char *name, char **out, struct lc_error *err) {
  size_t size = strlen(word) + strlen(name) + 2;
  LC_TRY(lc_alloc(out, size, 1, err));
  snprintf(*out, size, "%s/%s", word, name);
  return LC_OK;
}

static lc_status list_tensors(const struct vit_optim *optim, struct vit_tensor *tensors, size_t *n,
                              struct lc_error *err) {
  struct part parts[3];
  size_t n_parts = list_parts(optim, parts);
  for (size_t i = 0; i < n_parts; i++)
    for (size_t p = 0; p < optim->n_parameters; p++) {
      const struct vit_trainable *parameter = &optim->parameters[p];
      if (parameter->frozen && !parts[i].frozen_too) continue;
      struct vit_tensor *tensor = &tensors[(*n)++];
      tensor->dtype = VIT_F32;
      tensor->rank = 1;
      tensor->shape[0] = tensor->count = parameter->count;
      tensor->data = parts[i].values + optim->offsets[p];
      LC_TRY(tensor_name(parts[i].word, parameter->name, &tensor->name, err));
    }
  return LC_OK;
}

lc_status vit_optim_save(const struct vit_optim *optim, const char *path,
                         const char *const *metadata, size_t n_metadata, struct lc_error *err) {
  lc_status status;
  struct vit_tensor *tensors = NULL;
  const char **pairs = NULL;
  size_t n = 0, n_pairs = 0;
  char values[N_OWN][40], steps[40];
  LC_TRY_GOTO(lc_alloc(&tensors, 3 * optim->n_parameters, sizeof *tensors, err), done);
  LC_TRY_GOTO(lc_alloc(&pairs, 2 * (N_OWN + 1 + n_metadata), sizeof *pairs, err), done);
  describe(optim, values);
  snprintf(steps, sizeof steps, "%" PRIu64, optim->steps);
  for (size_t i = 0; i < N_OWN; i++) {
    pairs[2 * n_pairs] = setting_keys[i];
    pairs[2 * n_pairs++ + 1] = values[i];
  }
  pairs[2 * n_pairs] = "optimizer_steps";
  pairs[2 * n_pairs++ + 1] = steps;
  for (size_t i = 0; i < n_metadata; i++) {
    pairs[2 * n_pairs] = metadata[2 * i];
    pairs[2 * n_pairs++ + 1] = metadata[2 * i + 1];
  }
  LC_TRY_GOTO(list_tensors(optim, tensors, &n, err), done);
  LC_TRY_GOTO(vit_tensor_file_write(path, tensors, n, pairs, n_pairs, err), done);
done:
  for (size_t i = 0; i < n; i++) free(tensors[i].name);
  free(tensors);
  free(pairs);
  return status;
}

static lc_status check_settings(const struct vit_optim *optim, const struct vit_tensor_file *file,
                                uint64_t *steps, struct lc_error *err) {
  char values[N_OWN][40];
  describe(optim, values);
  for (size_t i = 0; i < N_OWN; i++) {
    const char *stored = vit_tensor_file_metadata(file, setting_keys[i]);
    if (!stored || strcmp(stored, values[i]) != 0)
      LC_FAIL(err, LC_ERR_MISMATCH, "%s: the state was made with %s %s, expected %s", file->path,
              setting_keys[i], stored ? stored : "unknown", values[i]);
  }
  const char *text = vit_tensor_file_metadata(file, "optimizer_steps");
  long long number;
  if (!text || !lc_text_to_long(text, &number) || number < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: optimizer_steps is \"%s\", expected a count", file->path,
            text ? text : "");
  *steps = (uint64_t)number;
  return LC_OK;
}

/* Looks up every tensor, and copies when `copy` is set; called twice so that nothing changes before
 * all is known to be there. */
static lc_status read_parts(struct vit_optim *optim, const struct vit_tensor_file *file, bool copy,
                            struct lc_error *err) {
  struct part parts[3];
  size_t n_parts = list_parts(optim, parts);
  for (size_t i = 0; i < n_parts; i++)
    for (size_t p = 0; p < optim->n_parameters; p++) {
      const struct vit_trainable *parameter = &optim->parameters[p];
      if (parameter->frozen && !parts[i].frozen_too) continue;
      char *name = NULL;
      LC_TRY(tensor_name(parts[i].word, parameter->name, &name, err));
      const struct vit_tensor *tensor = vit_tensor_file_find(file, name);
      lc_status status = LC_OK;
      if (!tensor)
        status = lc_fail(err, LC_ERR_TENSOR, __FILE__, __LINE__, "%s: tensor %s is missing",
                         file->path, name);
      else if (tensor->dtype != VIT_F32 || tensor->count != parameter->count)
        status = lc_fail(err, LC_ERR_TENSOR, __FILE__, __LINE__,
                         "%s: tensor %s is %s[%zu], expected F32[%zu]", file->path, name,
                         vit_dtype_name(tensor->dtype), tensor->count, parameter->count);
      else if (copy)
        memcpy(parts[i].values + optim->offsets[p], tensor->data, tensor->count * sizeof(float));
      free(name);
      LC_TRY(status);
    }
  return LC_OK;
}

lc_status vit_optim_load(struct vit_optim *optim, const char *path, struct lc_error *err) {
  lc_status status;
  struct vit_tensor_file file = {0};
  uint64_t steps = 0;
  LC_TRY(vit_tensor_file_open(&file, path, err));
  LC_TRY_GOTO(check_settings(optim, &file, &steps, err), done);
  LC_TRY_GOTO(read_parts(optim, &file, false, err), done);
  LC_TRY_GOTO(read_parts(optim, &file, true, err), done);
  optim->steps = steps;
done:
  vit_tensor_file_close(&file);
  return status;
}
