/* Parses targets, checks them against a model, and computes their values. */
#include "cdam/engine/cdam_target.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"

static void set_difference(struct cdam_target *target, const struct vit_arch *arch, size_t a,
                           size_t b) {
  char first[VIT_NAME_SIZE], second[VIT_NAME_SIZE];
  vit_arch_output_name(arch, a, first);
  vit_arch_output_name(arch, b, second);
  *target = (struct cdam_target){.kind = CDAM_DIFFERENCE, .a = a, .b = b};
  snprintf(target->name, sizeof target->name, "%s-%s", first, second);
}

static void set_output(struct cdam_target *target, const struct vit_arch *arch, size_t output) {
  *target = (struct cdam_target){.kind = CDAM_OUTPUT, .a = output};
  vit_arch_output_name(arch, output, target->name);
}

lc_status cdam_target_parse(struct cdam_target *target, const struct vit_model *model,
                            const char *text, struct lc_error *err) {
  const struct vit_arch *arch = &model->arch;
  memset(target, 0, sizeof *target);
  if (arch->n_heads == 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND,
            "target \"%s\": the model has no prediction head; expected a concept", text);
  size_t a, b;
  if (vit_arch_find_output(arch, text, &a, NULL) == LC_OK) {
    set_output(target, arch, a);
    return LC_OK;
  }
  /* A name may itself hold a minus sign: every place is tried. */
  for (const char *minus = strchr(text, '-'); minus; minus = strchr(minus + 1, '-')) {
    char first[VIT_NAME_SIZE];
    size_t length = (size_t)(minus - text);
    if (length >= sizeof first) break;
    memcpy(first, text, length);
    first[length] = '\0';
    if (vit_arch_find_output(arch, first, &a, NULL) == LC_OK &&
        vit_arch_find_output(arch, minus + 1, &b, NULL) == LC_OK) {
      set_difference(target, arch, a, b);
      return LC_OK;
    }
  }
  return vit_arch_find_output(arch, text, &a, err);
}

void cdam_target_all(struct cdam_target *targets, const struct vit_model *model) {
  size_t outputs = vit_arch_outputs(&model->arch);
  for (size_t i = 0; i < outputs; i++) set_output(&targets[i], &model->arch, i);
}

lc_status cdam_target_check(const struct cdam_target *targets, size_t n_targets,
                            const struct vit_model *model, struct lc_error *err) {
  size_t outputs = vit_arch_outputs(&model->arch);
  if (n_targets == 0) LC_FAIL(err, LC_ERR_USAGE, "expected at least one target to explain");
  for (size_t i = 0; i < n_targets; i++) {
    const struct cdam_target *target = &targets[i];
    if (target->kind == CDAM_CONCEPT) {
      if (!target->concept_vector)
        LC_FAIL(err, LC_ERR_USAGE, "target \"%s\": expected a concept vector", target->name);
      continue;
    }
    size_t largest = target->a;
    if (target->kind == CDAM_DIFFERENCE && target->b > largest) largest = target->b;
    if (largest >= outputs)
      LC_FAIL(err, LC_ERR_USAGE, "target \"%s\": output %zu of a model with %zu outputs",
              target->name, largest, outputs);
  }
  return LC_OK;
}

double cdam_target_value(const struct cdam_target *target, const struct vit_model *model,
                         const float *logits, const float *cls_embedding) {
  if (target->kind == CDAM_OUTPUT) return (double)logits[target->a];
  if (target->kind == CDAM_DIFFERENCE) return (double)logits[target->a] - (double)logits[target->b];
  double sum = 0;
  for (size_t k = 0; k < model->arch.embed_dim; k++)
    sum += (double)cls_embedding[k] * (double)target->concept_vector[k];
  return sum;
}
