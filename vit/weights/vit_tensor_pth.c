/* Files that torch.save writes (.pth, .pt, .ckpt): a zip archive with a pickle of the structure and
 * one uncompressed member for each storage. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zip.h>

#include "common/lc_arena.h"
#include "vit/weights/vit_pickle_remote.h"
#include "vit/weights/vit_tensor_pth.h"

#define PICKLE_LIMIT ((size_t)256 << 20)
/* Tensors may share a storage (tied layers, a state that is there under two names); what they show
 * together is at most so many times what is stored. */
#define SHARED_LIMIT 8
#define ALIGN 64

struct archive {
  const char *path;
  size_t bytes; /* of the file */
  zip_t *zip;
  char folder[256]; /* with the final slash */
  struct lc_error *err;
};

/* The member with the pickle gives the folder of all others. */
static lc_status find_pickle(struct archive *a, zip_uint64_t *index) {
  zip_int64_t n = zip_get_num_entries(a->zip, 0);
  for (zip_int64_t i = 0; i < n; i++) {
    const char *name = zip_get_name(a->zip, (zip_uint64_t)i, 0);
    size_t length = name ? strlen(name) : 0;
    if (length < 8 || strcmp(name + length - 8, "data.pkl") != 0) continue;
    if (length - 8 >= sizeof a->folder || (length > 8 && name[length - 9] != '/')) continue;
    memcpy(a->folder, name, length - 8);
    a->folder[length - 8] = '\0';
    *index = (zip_uint64_t)i;
    return LC_OK;
  }
  LC_FAIL(a->err, LC_ERR_FORMAT, "%s: a zip archive without data.pkl: not written by torch.save",
          a->path);
}

/* Members are stored as they are; a compressed one is not PyTorch's, and could be a bomb. */
static lc_status member_size(const struct archive *a, zip_uint64_t index, size_t limit,
                             size_t *size) {
  zip_stat_t info;
  if (zip_stat_index(a->zip, index, 0, &info) != 0 || !(info.valid & ZIP_STAT_SIZE) ||
      !(info.valid & ZIP_STAT_COMP_METHOD))
    LC_FAIL(a->err, LC_ERR_FORMAT, "%s: member %llu cannot be described", a->path,
            (unsigned long long)index);
  if (info.comp_method != ZIP_CM_STORE)
    LC_FAIL(a->err, LC_ERR_UNSUPPORTED, "%s: %s is compressed, which torch.save never does",
            a->path, info.name);
  if (info.size > limit)
    LC_FAIL(a->err, LC_ERR_FORMAT, "%s: %s has %llu bytes, expected at most %zu", a->path,
            info.name, (unsigned long long)info.size, limit);
  *size = (size_t)info.size;
  return LC_OK;
}

/* Reads a whole member; at its end the library compares the checksum. */
static lc_status read_member(const struct archive *a, zip_uint64_t index, unsigned char *out,
                             size_t size) {
  const char *name = zip_get_name(a->zip, index, 0);
  zip_file_t *file = zip_fopen_index(a->zip, index, 0);
  if (!file)
    LC_FAIL(a->err, LC_ERR_FORMAT, "%s: %s: %s", a->path, name ? name : "?", zip_strerror(a->zip));
  size_t done = 0;
  zip_int64_t got = 1;
  unsigned char extra;
  while (done < size && got > 0) {
    got = zip_fread(file, out + done, size - done);
    if (got > 0) done += (size_t)got;
  }
  bool fine = done == size && zip_fread(file, &extra, 1) == 0;
  zip_fclose(file);
  if (!fine)
    LC_FAIL(a->err, LC_ERR_TRUNCATED, "%s: %s: %zu of %zu bytes, or a wrong checksum", a->path,
            name ? name : "?", done, size);
  return LC_OK;
}

static lc_status check_byte_order(const struct archive *a) {
  char name[sizeof a->folder + 16];
  unsigned char text[16] = {0};
  size_t size = 0;
  snprintf(name, sizeof name, "%sbyteorder", a->folder);
  zip_int64_t index = zip_name_locate(a->zip, name, 0);
  if (index < 0) return LC_OK;
  LC_TRY(member_size(a, (zip_uint64_t)index, sizeof text - 1, &size));
  LC_TRY(read_member(a, (zip_uint64_t)index, text, size));
  if (strcmp((char *)text, "big") == 0)
    LC_FAIL(a->err, LC_ERR_UNSUPPORTED, "%s: numbers in big-endian order", a->path);
  return LC_OK;
}

/* A storage that tensors use, and where it goes. */
struct storage {
  const char *key;
  zip_uint64_t index;
  size_t bytes, at;
};

struct plan {
  struct storage *storages;
  size_t n_storages, total;
  size_t stored, shown; /* bytes of the storages, and of the tensors that are views of them */
  size_t *copies;       /* [tensors] place of a tensor that is not contiguous; SIZE_MAX otherwise */
  size_t *of_which;     /* [tensors] its storage */
};

static lc_status place_storage(const struct archive *a, const struct vit_pickle_tensor *t,
                               struct plan *plan, size_t *which) {
  for (*which = 0; *which < plan->n_storages; (*which)++)
    if (strcmp(plan->storages[*which].key, t->storage) == 0) return LC_OK;
  char name[sizeof a->folder + 300];
  struct storage *s = &plan->storages[plan->n_storages];
  *s = (struct storage){.key = t->storage, .at = plan->total};
  if (strchr(t->storage, '/'))
    LC_FAIL(a->err, LC_ERR_FORMAT, "%s: tensor \"%s\": a storage of impossible name", a->path,
            t->name);
  snprintf(name, sizeof name, "%sdata/%s", a->folder, t->storage);
  zip_int64_t index = zip_name_locate(a->zip, name, 0);
  if (index < 0)
    LC_FAIL(a->err, LC_ERR_TRUNCATED, "%s: tensor \"%s\": %s is missing", a->path, t->name, name);
  s->index = (zip_uint64_t)index;
  LC_TRY(member_size(a, s->index, a->bytes, &s->bytes));
  plan->stored += s->bytes;
  if (plan->stored > a->bytes)
    LC_FAIL(a->err, LC_ERR_FORMAT, "%s: tensor \"%s\": %s overlaps other members", a->path, t->name,
            name);
  plan->total += (s->bytes + ALIGN - 1) / ALIGN * ALIGN;
  plan->n_storages++;
  return LC_OK;
}

/* Elements, whether they lie one after another, and that none lies outside its storage. */
static lc_status check_view(const struct archive *a, const struct vit_pickle_tensor *t,
                            size_t bytes, size_t *count, bool *contiguous) {
  size_t furthest = t->offset, expected = 1, reach;
  bool fine = true;
  *count = 1;
  *contiguous = true;
  for (size_t i = 0; i < t->rank; i++)
    fine = fine && !__builtin_mul_overflow(*count, t->shape[i], count);
  for (size_t i = t->rank; i-- > 0 && fine && *count > 0;) {
    if (t->shape[i] > 1 && t->stride[i] != expected) *contiguous = false;
    expected *= t->shape[i];
    fine = !__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &reach) &&
           !__builtin_add_overflow(furthest, reach, &furthest);
  }
  if (!fine || (*count > 0 && furthest >= bytes / vit_dtype_size(t->dtype)))
    LC_FAIL(a->err, LC_ERR_FORMAT, "%s: tensor \"%s\" reaches outside its storage", a->path,
            t->name);
  /* A view may repeat elements (stride 0): what it unfolds to is limited by what is stored. */
  if (*count > bytes / vit_dtype_size(t->dtype))
    LC_FAIL(a->err, LC_ERR_UNSUPPORTED, "%s: tensor \"%s\" has more elements than its storage",
            a->path, t->name);
  return LC_OK;
}

static lc_status make_plan(const struct archive *a, const struct vit_pickle *pickle,
                           struct plan *plan) {
  LC_TRY(lc_alloc(&plan->storages, pickle->n + 1, sizeof *plan->storages, a->err));
  LC_TRY(lc_alloc(&plan->copies, pickle->n + 1, sizeof *plan->copies, a->err));
  LC_TRY(lc_alloc(&plan->of_which, pickle->n + 1, sizeof *plan->of_which, a->err));
  for (size_t i = 0; i < pickle->n; i++) {
    const struct vit_pickle_tensor *t = &pickle->tensors[i];
    size_t count = 0;
    bool contiguous = true;
    LC_TRY(place_storage(a, t, plan, &plan->of_which[i]));
    LC_TRY(check_view(a, t, plan->storages[plan->of_which[i]].bytes, &count, &contiguous));
    plan->copies[i] = SIZE_MAX;
    plan->shown += count * vit_dtype_size(t->dtype);
    if (!contiguous) {
      plan->copies[i] = plan->total;
      plan->total += (count * vit_dtype_size(t->dtype) + ALIGN - 1) / ALIGN * ALIGN;
    }
  }
  if (plan->shown / SHARED_LIMIT > plan->stored)
    LC_FAIL(a->err, LC_ERR_FORMAT,
            "%s: tensors of %zu bytes from storages of %zu, expected at most %d times as many",
            a->path, plan->shown, plan->stored, SHARED_LIMIT);
  return LC_OK;
}

/* A view in the order of its indices. */
static void copy_view(const struct vit_pickle_tensor *t, const unsigned char *from,
                      unsigned char *to) {
  size_t size = vit_dtype_size(t->dtype), index[VIT_MAX_RANK] = {0}, count = 1;
  for (size_t i = 0; i < t->rank; i++) count *= t->shape[i];
  for (size_t k = 0; k < count; k++) {
    size_t at = t->offset;
    for (size_t i = 0; i < t->rank; i++) at += index[i] * t->stride[i];
    memcpy(to + k * size, from + at * size, size);
    for (size_t i = t->rank; i-- > 0;) {
      if (++index[i] < t->shape[i]) break;
      index[i] = 0;
    }
  }
}

static lc_status fill(const struct archive *a, struct vit_pickle *pickle, const struct plan *plan,
                      struct vit_tensor_file *file) {
  file->mapping_size = plan->total + ALIGN;
  void *memory =
      mmap(NULL, file->mapping_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) LC_FAIL(a->err, LC_ERR_MEMORY, "%s: out of memory", a->path);
  file->mapping = memory;
  unsigned char *bytes = memory;
  for (size_t i = 0; i < plan->n_storages; i++)
    LC_TRY(read_member(a, plan->storages[i].index, bytes + plan->storages[i].at,
                       plan->storages[i].bytes));
  LC_TRY(lc_alloc(&file->tensors, pickle->n + 1, sizeof *file->tensors, a->err));
  for (size_t i = 0; i < pickle->n; i++) {
    struct vit_pickle_tensor *t = &pickle->tensors[i];
    struct vit_tensor *out = &file->tensors[file->n_tensors++];
    const unsigned char *base = bytes + plan->storages[plan->of_which[i]].at;
    *out = (struct vit_tensor){.name = t->name, .dtype = t->dtype, .rank = t->rank, .count = 1};
    t->name = NULL;
    for (size_t k = 0; k < t->rank; k++) {
      out->shape[k] = t->shape[k];
      out->count *= t->shape[k];
    }
    out->data = base + (out->count > 0 ? t->offset * vit_dtype_size(t->dtype) : 0);
    if (plan->copies[i] == SIZE_MAX) continue;
    copy_view(t, base, bytes + plan->copies[i]);
    out->data = bytes + plan->copies[i];
  }
  return LC_OK;
}

static lc_status read_archive(struct archive *a, struct vit_tensor_file *file) {
  zip_uint64_t index = 0;
  size_t size = 0;
  unsigned char *bytes = NULL;
  struct vit_pickle pickle = {0};
  struct plan plan = {0};
  lc_status status = LC_OK;
  LC_TRY(find_pickle(a, &index));
  LC_TRY(check_byte_order(a));
  LC_TRY(member_size(a, index, a->bytes < PICKLE_LIMIT ? a->bytes : PICKLE_LIMIT, &size));
  LC_TRY_GOTO(lc_alloc(&bytes, size + 1, 1, a->err), done);
  LC_TRY_GOTO(read_member(a, index, bytes, size), done);
  LC_TRY_GOTO(vit_pickle_ask(&pickle, a->path, bytes, size, a->err), done);
  LC_TRY_GOTO(make_plan(a, &pickle, &plan), done);
  LC_TRY_GOTO(fill(a, &pickle, &plan, file), done);
done:
  free(plan.storages);
  free(plan.copies);
  free(plan.of_which);
  vit_pickle_free(&pickle);
  free(bytes);
  return status;
}

lc_status vit_tensor_pth_open(struct vit_tensor_file *file, struct lc_error *err) {
  int code = 0;
  struct archive a = {.path = file->path, .bytes = file->mapping_size, .err = err};
  a.zip = zip_open(file->path, ZIP_RDONLY, &code);
  if (!a.zip)
    LC_FAIL(err, LC_ERR_TRUNCATED, "%s: begins as a zip archive but has no readable directory",
            file->path);
  lc_status status = read_archive(&a, file);
  zip_discard(a.zip);
  return status;
}
