/* Compares the tensors of a weight file with the parameters of a model (missing, unused, left out,
 * of another shape) and converts weight files. */
#include "vit/loading/vit_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "vit/loading/vit_reading.h"

static void free_names(char **names, size_t n) {
  for (size_t i = 0; i < n; i++) free(names[i]);
  free((void *)names);
}

void vit_report_free(struct vit_report *report) {
  free_names(report->missing, report->n_missing);
  free_names(report->unused, report->n_unused);
  free_names(report->left_out, report->n_left_out);
  free_names(report->misfits, report->n_misfits);
  *report = (struct vit_report){0};
}

static lc_status add(char **list, size_t *n, const char *text, struct lc_error *err) {
  list[*n] = strdup(text);
  if (!list[*n]) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  (*n)++;
  return LC_OK;
}

static lc_status hold_parameters(struct vit_report *report, struct vit_reading *reading,
                                 struct lc_error *err) {
  for (size_t i = 0; i < reading->parameters.n; i++) {
    const struct vit_parameter *p = &reading->parameters.list[i];
    struct vit_entry *entry = vit_entries_find(&reading->entries, p->name);
    struct lc_error misfit;
    if (!entry) {
      LC_TRY(add(report->missing, &report->n_missing, p->name, err));
      continue;
    }
    entry->used = true;
    if (vit_entry_fits(entry, p, &misfit) != LC_OK)
      LC_TRY(add(report->misfits, &report->n_misfits, misfit.message, err));
  }
  return LC_OK;
}

static lc_status hold(struct vit_report *report, struct vit_reading *reading,
                      struct lc_error *err) {
  const struct vit_entries *entries = &reading->entries;
  size_t n = reading->parameters.n;
  report->arch = reading->arch;
  report->n_parameters = n;
  LC_TRY(lc_alloc(&report->missing, n + 1, sizeof(char *), err));
  LC_TRY(lc_alloc(&report->misfits, n + 1, sizeof(char *), err));
  LC_TRY(lc_alloc(&report->unused, entries->n + 1, sizeof(char *), err));
  LC_TRY(lc_alloc(&report->left_out, entries->n + 1, sizeof(char *), err));
  LC_TRY(hold_parameters(report, reading, err));
  for (size_t i = 0; i < entries->n; i++) {
    const struct vit_entry *entry = &entries->list[i];
    if (entry->left_out)
      LC_TRY(add(report->left_out, &report->n_left_out, entry->tensor->name, err));
    else if (!entry->used)
      LC_TRY(add(report->unused, &report->n_unused, entry->tensor->name, err));
  }
  return LC_OK;
}

lc_status vit_report_init(struct vit_report *report, const char *path, const struct vit_load *how,
                          struct lc_error *err) {
  struct vit_tensor_file file;
  struct vit_reading reading = {.parameters = {0}};
  *report = (struct vit_report){0};
  LC_TRY(vit_tensor_file_open(&file, path, err));
  lc_status status = vit_reading_init(&reading, &file, how, err);
  if (status == LC_OK) status = hold(report, &reading, err);
  vit_reading_free(&reading);
  vit_tensor_file_close(&file);
  if (status != LC_OK) vit_report_free(report);
  return status;
}

lc_status vit_model_convert(const char *from, const char *to, const struct vit_load *how,
                            const char *note, struct vit_report *report, struct lc_error *err) {
  struct vit_model model;
  char text[LC_ERROR_SIZE];
  if (report) LC_TRY(vit_report_init(report, from, how, err));
  LC_TRY(vit_model_load_with(&model, from, how, err));
  const char *name = strrchr(from, '/');
  snprintf(text, sizeof text, "converted from %s", name ? name + 1 : from);
  lc_status status = vit_model_save(&model, to, note ? note : text, err);
  vit_model_free(&model);
  return status;
}
