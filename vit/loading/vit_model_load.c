/* Loads a model from a weight file: checks every tensor, uses float32 straight from the mapped
 * file, converts other types, and refuses NaN and infinity. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "vit/loading/vit_reading.h"
#include "vit/loading/vit_select.h"

/* The tensor of each parameter, all checked, and none left: found[n]. */
static lc_status match(struct vit_reading *reading, const struct vit_tensor **found,
                       struct lc_error *err) {
  const char *path = reading->entries.file->path;
  for (size_t i = 0; i < reading->parameters.n; i++) {
    const struct vit_parameter *p = &reading->parameters.list[i];
    struct vit_entry *entry = vit_entries_find(&reading->entries, p->name);
    if (!entry) {
      lc_status missing = lc_fail(err, LC_ERR_TENSOR, __FILE__, __LINE__,
                                  "%s: tensor \"%s\" is missing", path, p->name);
      vit_select_hint(&reading->entries, err);
      return missing;
    }
    lc_status status = vit_entry_fits(entry, p, err);
    if (status != LC_OK) {
      lc_error_prefix(err, "%s", path);
      return status;
    }
    entry->used = true;
    found[i] = entry->tensor;
  }
  return vit_select_check_used(&reading->entries, err);
}

/* Not made of other tensors, whose memory the reading takes with it. */
static bool is_of_file(const struct vit_tensor_file *file, const struct vit_tensor *tensor) {
  return tensor >= file->tensors && tensor < file->tensors + file->n_tensors;
}

/* Parameters straight from the mapping when all are float32, a converted block otherwise. */
static lc_status bind_all(struct vit_model *model, const struct vit_parameters *parameters,
                          const struct vit_tensor **found, struct lc_error *err) {
  const vit_real ***slots = NULL;
  bool mapped = sizeof(vit_real) == sizeof(float) && model->file.n_parts == 0;
  for (size_t i = 0; i < parameters->n; i++)
    mapped = mapped && found[i]->dtype == VIT_F32 && is_of_file(&model->file, found[i]);
  if (mapped) {
    LC_TRY(lc_alloc(&slots, parameters->n, sizeof *slots, err));
    vit_model_slots(model, slots);
    for (size_t i = 0; i < parameters->n; i++) *slots[i] = found[i]->data;
    free((void *)slots);
    return LC_OK;
  }
  LC_TRY(lc_alloc(&model->owned, parameters->block, sizeof *model->owned, err));
  for (size_t i = 0; i < parameters->n; i++) {
    const struct vit_parameter *p = &parameters->list[i];
#ifdef VIT_REAL_DOUBLE
    float *narrow = NULL;
    LC_TRY(lc_alloc(&narrow, p->count, sizeof *narrow, err));
    lc_status status = vit_tensor_to_float(found[i], narrow, err);
    for (size_t k = 0; k < p->count; k++) model->owned[p->offset + k] = (vit_real)narrow[k];
    free(narrow);
    LC_TRY(status);
#else
    LC_TRY(vit_tensor_to_float(found[i], model->owned + p->offset, err));
#endif
  }
  return vit_model_bind(model, model->owned, err);
}

struct finite_check {
  const vit_real *const **slots;
  const struct vit_parameters *parameters;
  bool *bad;
};

static void check_one(void *context, size_t index, int worker) {
  (void)worker;
  const struct finite_check *check = context;
  const vit_real *values = *check->slots[index];
  size_t count = check->parameters->list[index].count;
#ifdef VIT_REAL_DOUBLE
  for (size_t i = 0; i < count; i++)
    if (!isfinite(values[i])) check->bad[index] = true;
#else
  /* An exponent of all ones is NaN or infinity; integers keep the loop in vector form. */
  uint32_t any = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    any |= (uint32_t)((bits & 0x7F800000U) == 0x7F800000U);
  }
  check->bad[index] = any != 0;
#endif
}

static lc_status check_finite(struct vit_model *model, const struct vit_parameters *parameters,
                              const struct vit_tensor **found, struct lc_error *err) {
  const vit_real ***slots = NULL;
  bool *bad = NULL;
  lc_status status = LC_OK;
  LC_TRY_GOTO(lc_alloc(&slots, parameters->n, sizeof *slots, err), done);
  LC_TRY_GOTO(lc_alloc(&bad, parameters->n, sizeof *bad, err), done);
  vit_model_slots(model, slots);
  struct finite_check check = {(const vit_real *const **)slots, parameters, bad};
  lc_parallel_for(parameters->n, check_one, &check);
  for (size_t i = 0; i < parameters->n; i++)
    if (bad[i])
      LC_FAIL_GOTO(done, err, LC_ERR_NUMERIC, "%s: tensor \"%s\" holds NaN or infinity",
                   model->file.path, found[i]->name);
done:
  free(bad);
  free((void *)slots);
  return status;
}

static lc_status load(struct vit_model *model, const char *path, const struct vit_load *how,
                      struct vit_reading *reading, const struct vit_tensor ***found,
                      struct lc_error *err) {
  LC_TRY(vit_tensor_file_open(&model->file, path, err));
  LC_TRY(vit_reading_init(reading, &model->file, how, err));
  const struct vit_parameters *parameters = &reading->parameters;
  model->arch = reading->arch;
  LC_TRY(lc_alloc(&model->blocks, model->arch.depth, sizeof *model->blocks, err));
  LC_TRY(lc_alloc(found, parameters->n, sizeof(void *), err));
  LC_TRY(match(reading, *found, err));
  LC_TRY(bind_all(model, parameters, *found, err));
  LC_TRY(check_finite(model, parameters, *found, err));
  const char *trained = vit_tensor_file_metadata(&model->file, "trained");
  model->trained = !(trained && strcmp(trained, "false") == 0);
  return vit_reading_assumed(reading, &model->assumed, err);
}

lc_status vit_model_load_with(struct vit_model *model, const char *path, const struct vit_load *how,
                              struct lc_error *err) {
  *model = (struct vit_model){0};
  struct vit_reading reading = {.parameters = {0}};
  const struct vit_tensor **found = NULL;
  lc_status status = load(model, path, how, &reading, &found, err);
  free((void *)found);
  vit_reading_free(&reading);
  if (status != LC_OK) vit_model_free(model);
  return status;
}

lc_status vit_model_load(struct vit_model *model, const char *path, const struct vit_arch *arch,
                         struct lc_error *err) {
  const struct vit_load how = {.arch = arch};
  return vit_model_load_with(model, path, &how, err);
}
