/* Compares the tensors of a weight file with the parameters of a model (missing, unused, of another
 * shape) and converts weight files. */
#include "vit/weights/vit_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "vit/weights/vit_entries.h"

void vit_report_free(struct vit_report *report) {
  for (size_t i = 0; i < report->n_missing; i++) free(report->missing[i]);
  for (size_t i = 0; i < report->n_unused; i++) free(report->unused[i]);
  for (size_t i = 0; i < report->n_misfits; i++) free(report->misfits[i]);
  free((void *)report->missing);
  free((void *)report->unused);
  free((void *)report->misfits);
  *report = (struct vit_report){0};
}

static lc_status add(char **list, size_t *n, const char *text, struct lc_error *err) {
  list[*n] = strdup(text);
  if (!list[*n]) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  (*n)++;
  return LC_OK;
}

static lc_status hold_parameters(struct vit_report *report, struct vit_entries *entries,
                                 const struct vit_parameters *parameters, struct lc_error *err) {
  for (size_t i = 0; i < parameters->n; i++) {
    struct vit_entry *entry = vit_entries_find(entries, parameters->list[i].name);
    struct lc_error misfit;
    if (!entry) {
      LC_TRY(add(report->missing, &report->n_missing, parameters->list[i].name, err));
      continue;
    }
    entry->used = true;
    if (vit_entry_fits(entry, &parameters->list[i], &misfit) != LC_OK)
      LC_TRY(add(report->misfits, &report->n_misfits, misfit.message, err));
  }
  return LC_OK;
}

static lc_status hold(struct vit_report *report, const struct vit_tensor_file *file,
                      const struct vit_arch *arch, struct lc_error *err) {
  struct vit_entries entries = {0};
  struct vit_parameters parameters = {0};
  lc_status status = LC_OK;
  LC_TRY_GOTO(vit_entries_init(&entries, file, err), done);
  if (arch) {
    LC_TRY_GOTO(vit_arch_check(arch, err), done);
    report->arch = *arch;
    vit_entries_rename_heads(&entries, arch);
  } else
    LC_TRY_GOTO(vit_entries_arch(&entries, file, &report->arch, err), done);
  LC_TRY_GOTO(vit_parameters_init(&parameters, &report->arch, err), done);
  report->n_parameters = parameters.n;
  LC_TRY_GOTO(lc_alloc(&report->missing, parameters.n + 1, sizeof(char *), err), done);
  LC_TRY_GOTO(lc_alloc(&report->misfits, parameters.n + 1, sizeof(char *), err), done);
  LC_TRY_GOTO(lc_alloc(&report->unused, entries.n + 1, sizeof(char *), err), done);
  LC_TRY_GOTO(hold_parameters(report, &entries, &parameters, err), done);
  for (size_t i = 0; i < entries.n; i++)
    if (!entries.list[i].used)
      LC_TRY_GOTO(add(report->unused, &report->n_unused, entries.list[i].tensor->name, err), done);
done:
  vit_parameters_free(&parameters);
  vit_entries_free(&entries);
  return status;
}

lc_status vit_report_init(struct vit_report *report, const char *path, const struct vit_arch *arch,
                          struct lc_error *err) {
  struct vit_tensor_file file;
  *report = (struct vit_report){0};
  LC_TRY(vit_tensor_file_open(&file, path, err));
  lc_status status = hold(report, &file, arch, err);
  vit_tensor_file_close(&file);
  if (status != LC_OK) vit_report_free(report);
  return status;
}

lc_status vit_model_convert(const char *from, const char *to, const struct vit_arch *arch,
                            const char *note, struct vit_report *report, struct lc_error *err) {
  struct vit_model model;
  char text[LC_ERROR_SIZE];
  if (report) LC_TRY(vit_report_init(report, from, arch, err));
  LC_TRY(vit_model_load(&model, from, arch, err));
  const char *name = strrchr(from, '/');
  snprintf(text, sizeof text, "converted from %s", name ? name + 1 : from);
  lc_status status = vit_model_save(&model, to, note ? note : text, err);
  vit_model_free(&model);
  return status;
}
