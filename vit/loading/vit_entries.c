/* Names the tensors of a weight file, and keeps tensors that are made of them. */
#include "vit/loading/vit_entries.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"

/* Those left out are behind all others, where no name finds them. */
static int compare(const void *a, const void *b) {
  const struct vit_entry *left = a, *right = b;
  if (left->left_out != right->left_out) return left->left_out ? 1 : -1;
  int order = strcmp(left->name, right->name);
  return order != 0 ? order : strcmp(left->tensor->name, right->tensor->name);
}

void vit_entries_sort(struct vit_entries *entries) {
  qsort(entries->list, entries->n, sizeof *entries->list, compare);
  entries->n_new = 0;
}

lc_status vit_entries_init(struct vit_entries *entries, const struct vit_tensor_file *file,
                           struct lc_error *err) {
  *entries = (struct vit_entries){.file = file, .n = file->n_tensors};
  entries->capacity = entries->n + 1;
  LC_TRY(vit_facts_init(&entries->facts, file, err));
  LC_TRY(lc_alloc(&entries->list, entries->capacity, sizeof *entries->list, err));
  for (size_t i = 0; i < entries->n; i++) {
    struct vit_name name;
    struct vit_entry *entry = &entries->list[i];
    vit_name_canonical(file->tensors[i].name, &name);
    entry->tensor = &file->tensors[i];
    entry->scheme = name.scheme;
    entry->rank = name.rank;
    lc_text_copy(entry->name, sizeof entry->name, name.canonical);
    if (name.scheme && strncmp(name.canonical, "patch_embed.", 12) == 0)
      entries->scheme = name.scheme;
  }
  vit_entries_sort(entries);
  return LC_OK;
}

void vit_entries_free(struct vit_entries *entries) {
  for (size_t i = 0; i < entries->n_made; i++) {
    free(entries->made[i]->name);
    free((void *)entries->made[i]->data);
    free(entries->made[i]);
  }
  free((void *)entries->made);
  free(entries->list);
  lc_text_free(&entries->assumed);
  vit_facts_free(&entries->facts);
  *entries = (struct vit_entries){0};
}

struct vit_entry *vit_entries_find(const struct vit_entries *entries, const char *name) {
  size_t low = 0, sorted = entries->n - entries->n_new, high = sorted;
  while (low < high) {
    size_t middle = (low + high) / 2;
    const struct vit_entry *entry = &entries->list[middle];
    if (!entry->left_out && strcmp(entry->name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  if (low >= sorted || entries->list[low].left_out) return NULL;
  return strcmp(entries->list[low].name, name) == 0 ? &entries->list[low] : NULL;
}

static lc_status make_room(struct vit_entries *entries, struct lc_error *err) {
  void *made = realloc((void *)entries->made, (entries->n_made + 1) * sizeof(void *));
  if (!made) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  entries->made = made;
  if (entries->n < entries->capacity) return LC_OK;
  void *list = realloc(entries->list, 2 * entries->capacity * sizeof *entries->list);
  if (!list) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  entries->list = list;
  entries->capacity *= 2;
  return LC_OK;
}

lc_status vit_entries_make(struct vit_entries *entries, const char *name, size_t rank,
                           const size_t *shape, float **values, struct lc_error *err) {
  struct vit_tensor *tensor;
  LC_TRY(make_room(entries, err));
  LC_TRY(lc_alloc(&tensor, 1, sizeof *tensor, err));
  entries->made[entries->n_made++] = tensor;
  *tensor = (struct vit_tensor){.name = strdup(name), .dtype = VIT_F32, .rank = rank, .count = 1};
  if (!tensor->name) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  for (size_t i = 0; i < rank; i++) tensor->count *= tensor->shape[i] = shape[i];
  LC_TRY(lc_alloc(values, tensor->count + 1, sizeof **values, err));
  tensor->data = *values;
  struct vit_entry *entry = &entries->list[entries->n++];
  *entry = (struct vit_entry){.tensor = tensor};
  lc_text_copy(entry->name, sizeof entry->name, name);
  entries->n_new++;
  return LC_OK;
}

lc_status vit_entry_values(const struct vit_entry *entry, float **values, struct lc_error *err) {
  LC_TRY(lc_alloc(values, entry->tensor->count + 1, sizeof **values, err));
  lc_status status = vit_tensor_to_float(entry->tensor, *values, err);
  if (status == LC_OK) return LC_OK;
  free(*values);
  *values = NULL;
  return status;
}

void vit_entries_assume(struct vit_entries *entries, const char *fmt, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, fmt);
  /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is begun on the line before. */
  vsnprintf(text, sizeof text, fmt, arguments);
  va_end(arguments);
  lc_text_add(&entries->assumed, "%s%s", entries->assumed.length > 0 ? "; " : "", text);
}

/* Equal but for axes of size 1, which wrappers add and drop. */
static bool same_shape(const struct vit_tensor *tensor, const struct vit_parameter *p) {
  size_t i = 0, k = 0;
  while (i < tensor->rank || k < p->rank) {
    if (i < tensor->rank && tensor->shape[i] == 1)
      i++;
    else if (k < p->rank && p->shape[k] == 1)
      k++;
    else if (i >= tensor->rank || k >= p->rank || tensor->shape[i++] != p->shape[k++])
      return false;
  }
  return true;
}

static void shape_text(const size_t *shape, size_t rank, struct lc_text *text) {
  lc_text_add(text, "[");
  for (size_t i = 0; i < rank; i++) lc_text_add(text, "%s%zu", i ? ", " : "", shape[i]);
  lc_text_add(text, "]");
}

static lc_status other_shape(const struct vit_tensor *tensor, const struct vit_parameter *p,
                             struct lc_error *err) {
  struct lc_text has = {0}, wants = {0};
  shape_text(tensor->shape, tensor->rank, &has);
  shape_text(p->shape, p->rank, &wants);
  lc_status status =
      lc_fail(err, LC_ERR_TENSOR, __FILE__, __LINE__, "tensor \"%s\" has shape %s, expected %s",
              tensor->name, lc_text_get(&has), lc_text_get(&wants));
  lc_text_free(&has);
  lc_text_free(&wants);
  return status;
}

lc_status vit_entry_fits(const struct vit_entry *entry, const struct vit_parameter *p,
                         struct lc_error *err) {
  if (!same_shape(entry->tensor, p)) return other_shape(entry->tensor, p, err);
  if (entry->tensor->dtype > VIT_F64)
    LC_FAIL(err, LC_ERR_TENSOR, "tensor \"%s\" holds %s, expected floating point numbers",
            entry->tensor->name, vit_dtype_name(entry->tensor->dtype));
  return LC_OK;
}
