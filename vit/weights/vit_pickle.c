/* Interprets the opcodes of a PyTorch pickle on a stack of plain values, within bounds on number
 * and depth, and lists the tensors of its dictionaries. */
#include "vit/weights/vit_pickle.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"

#define MAX_VALUES ((size_t)2 << 20) /* objects, and what containers hold, together */
#define MAX_DEPTH 12
#define MAX_KEY 255 /* bytes of a storage's name */

enum kind {
  NOTHING, /* None, numbers with a fraction, and objects that hold no tensors */
  INTEGER,
  TEXT,
  TUPLE,
  LIST,
  DICTIONARY, /* items: key, value, key, value ... */
  NAME,       /* a class or function from the list below */
  STORAGE,
  TENSOR
};

/* What a name may become when it is applied to arguments. */
enum role {
  MAKES_DICTIONARY,
  MAKES_TENSOR,
  MAKES_PARAMETER,
  MAKES_TUPLE,
  MAKES_NOTHING, /* plain data around the weights: its content is thrown away */
  IS_STORAGE
};

static const struct known {
  const char *module, *name;
  enum role role;
  vit_dtype dtype;
} known[] = {
    {"collections", "OrderedDict", MAKES_DICTIONARY, VIT_F32},
    {"collections", "defaultdict", MAKES_DICTIONARY, VIT_F32},
    {"torch._utils", "_rebuild_tensor_v2", MAKES_TENSOR, VIT_F32},
    {"torch._utils", "_rebuild_tensor", MAKES_TENSOR, VIT_F32},
    {"torch._utils", "_rebuild_parameter", MAKES_PARAMETER, VIT_F32},
    {"torch._utils", "_rebuild_parameter_with_state", MAKES_PARAMETER, VIT_F32},
    {"torch", "Size", MAKES_TUPLE, VIT_F32},
    {"torch", "FloatStorage", IS_STORAGE, VIT_F32},
    {"torch", "HalfStorage", IS_STORAGE, VIT_F16},
    {"torch", "BFloat16Storage", IS_STORAGE, VIT_BF16},
    {"torch", "DoubleStorage", IS_STORAGE, VIT_F64},
    {"torch", "LongStorage", IS_STORAGE, VIT_I64},
    {"torch", "IntStorage", IS_STORAGE, VIT_I32},
    {"torch", "ShortStorage", IS_STORAGE, VIT_I16},
    {"torch", "CharStorage", IS_STORAGE, VIT_I8},
    {"torch", "ByteStorage", IS_STORAGE, VIT_U8},
    {"torch", "BoolStorage", IS_STORAGE, VIT_BOOL},
    {"torch", "device", MAKES_NOTHING, VIT_F32},
    {"argparse", "Namespace", MAKES_NOTHING, VIT_F32},
    {"pathlib", "PosixPath", MAKES_NOTHING, VIT_F32},
    {"numpy", "dtype", MAKES_NOTHING, VIT_F32},
    {"numpy.core.multiarray", "scalar", MAKES_NOTHING, VIT_F32},
    {"numpy._core.multiarray", "scalar", MAKES_NOTHING, VIT_F32},
    {"_codecs", "encode", MAKES_NOTHING, VIT_F32},
    {"pytorch_lightning.utilities.parsing", "AttributeDict", MAKES_NOTHING, VIT_F32},
    {"lightning.pytorch.utilities.parsing", "AttributeDict", MAKES_NOTHING, VIT_F32},
    {"lightning_fabric.utilities.data", "AttributeDict", MAKES_NOTHING, VIT_F32},
    {"lightning.fabric.utilities.data", "AttributeDict", MAKES_NOTHING, VIT_F32},
};

struct value {
  enum kind kind;
  union {
    long long integer;
    struct {
      const char *bytes; /* in the pickle */
      size_t length;
    } text;
    struct {
      struct value **items;
      size_t n, capacity;
    } list;
    const struct known *name;
    struct {
      vit_dtype dtype;
      const struct value *key;
    } storage;
    struct {
      const struct value *storage, *shape, *stride;
      size_t offset;
    } tensor;
  } as;
  struct value *next; /* all values, for freeing */
};

struct machine {
  const char *path;
  const unsigned char *bytes;
  size_t size, at;
  struct value **stack; /* NULL entries are marks */
  size_t depth, stack_capacity;
  struct value **memo;
  size_t memo_size, memo_next;
  struct value *all;
  size_t n_values;
  struct lc_error *err;
};

/* The status is said in the return itself, so that static analysis sees that the caller stops. */
#define STOP(m, status, ...)                                                                       \
  return (lc_fail((m)->err, (status), __FILE__, __LINE__, __VA_ARGS__), (status))
#define BAD(m, what) STOP(m, LC_ERR_FORMAT, "%s: pickle: byte %zu: %s", (m)->path, (m)->at, (what))

static lc_status new_value(struct machine *m, enum kind kind, struct value **out) {
  *out = NULL;
  if (++m->n_values > MAX_VALUES) BAD(m, "too many objects");
  struct value *v = calloc(1, sizeof *v);
  if (!v) STOP(m, LC_ERR_MEMORY, "%s: out of memory", m->path);
  v->kind = kind;
  v->next = m->all;
  m->all = v;
  *out = v;
  return LC_OK;
}

static lc_status grow(struct machine *m, struct value ***array, size_t *capacity, size_t needed) {
  if (needed <= *capacity) return LC_OK;
  size_t wanted = *capacity ? *capacity : 64;
  while (wanted < needed) wanted *= 2;
  struct value **grown = realloc((void *)*array, wanted * sizeof(void *));
  if (!grown) STOP(m, LC_ERR_MEMORY, "%s: out of memory", m->path);
  memset((void *)(grown + *capacity), 0, (wanted - *capacity) * sizeof(void *));
  *array = grown;
  *capacity = wanted;
  return LC_OK;
}

static lc_status push(struct machine *m, struct value *v) {
  LC_TRY(grow(m, &m->stack, &m->stack_capacity, m->depth + 1));
  m->stack[m->depth++] = v;
  return LC_OK;
}

static lc_status push_new(struct machine *m, enum kind kind, struct value **out) {
  LC_TRY(new_value(m, kind, out));
  return push(m, *out);
}

/* The topmost value; a mark in its place is an error. */
static lc_status pop(struct machine *m, struct value **out) {
  *out = NULL;
  if (m->depth == 0 || !m->stack[m->depth - 1]) BAD(m, "the stack is empty");
  *out = m->stack[--m->depth];
  return LC_OK;
}

static lc_status top(struct machine *m, struct value **out) {
  LC_TRY(pop(m, out));
  m->depth++;
  return LC_OK;
}

/* Position after the topmost mark. */
static lc_status find_mark(struct machine *m, size_t *first) {
  for (size_t i = m->depth; i-- > 0;)
    if (!m->stack[i]) {
      *first = i + 1;
      return LC_OK;
    }
  BAD(m, "no mark on the stack");
}

/* One container may be copied into many: what all hold is counted. */
static lc_status append(struct machine *m, struct value *list, struct value *item) {
  if (++m->n_values > MAX_VALUES) BAD(m, "too many objects");
  LC_TRY(grow(m, &list->as.list.items, &list->as.list.capacity, list->as.list.n + 1));
  list->as.list.items[list->as.list.n++] = item;
  return LC_OK;
}

static bool is_sequence(const struct value *v) {
  return v->kind == TUPLE || v->kind == LIST || v->kind == DICTIONARY;
}

static lc_status need(struct machine *m, size_t count) {
  if (count > m->size - m->at)
    STOP(m, LC_ERR_TRUNCATED, "%s: pickle ends at byte %zu within an object", m->path, m->size);
  return LC_OK;
}

static lc_status number(struct machine *m, size_t bytes, unsigned long long *out) {
  LC_TRY(need(m, bytes));
  *out = 0;
  for (size_t i = 0; i < bytes; i++) *out |= (unsigned long long)m->bytes[m->at + i] << (8 * i);
  m->at += bytes;
  return LC_OK;
}

static lc_status push_integer(struct machine *m, size_t bytes, bool is_signed) {
  struct value *v;
  unsigned long long n = 0;
  LC_TRY(number(m, bytes, &n));
  LC_TRY(push_new(m, INTEGER, &v));
  if (is_signed && bytes > 0 && bytes < 8 && n >> (8 * bytes - 1)) n |= ~0ULL << (8 * bytes);
  v->as.integer = (long long)n;
  return LC_OK;
}

/* LONG1: any number of bytes; what does not fit 64 bits is of no use here. */
static lc_status push_long(struct machine *m) {
  unsigned long long count = 0;
  struct value *v;
  LC_TRY(number(m, 1, &count));
  if (count <= 8) return push_integer(m, (size_t)count, true);
  LC_TRY(need(m, (size_t)count));
  m->at += (size_t)count;
  return push_new(m, NOTHING, &v);
}

static lc_status push_text(struct machine *m, size_t length_bytes, enum kind kind) {
  unsigned long long length = 0;
  struct value *v;
  LC_TRY(number(m, length_bytes, &length));
  if (length > m->size) BAD(m, "a text longer than the file");
  LC_TRY(need(m, (size_t)length));
  LC_TRY(push_new(m, kind, &v));
  v->as.text.bytes = (const char *)m->bytes + m->at;
  v->as.text.length = (size_t)length;
  m->at += (size_t)length;
  return LC_OK;
}

static bool same(const char *bytes, size_t length, const char *text) {
  return strlen(text) == length && memcmp(bytes, text, length) == 0;
}

static lc_status push_name(struct machine *m, const char *module, size_t module_length,
                           const char *name, size_t name_length) {
  struct value *v;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (!same(module, module_length, known[i].module) || !same(name, name_length, known[i].name))
      continue;
    LC_TRY(push_new(m, NAME, &v));
    v->as.name = &known[i];
    return LC_OK;
  }
  STOP(m, LC_ERR_UNSUPPORTED,
       "%s: the pickle refers to %.*s.%.*s, which is not part of a plain weight file: refused",
       m->path, (int)(module_length < 80 ? module_length : 80), module,
       (int)(name_length < 80 ? name_length : 80), name);
}

/* GLOBAL: two lines of text. */
static lc_status read_global(struct machine *m) {
  const char *line[2];
  size_t length[2];
  for (int i = 0; i < 2; i++) {
    line[i] = (const char *)m->bytes + m->at;
    const char *end = memchr(line[i], '\n', m->size - m->at);
    if (!end) STOP(m, LC_ERR_TRUNCATED, "%s: pickle ends within a name", m->path);
    length[i] = (size_t)(end - line[i]);
    m->at += length[i] + 1;
  }
  return push_name(m, line[0], length[0], line[1], length[1]);
}

static lc_status stack_global(struct machine *m) {
  struct value *name, *module;
  LC_TRY(pop(m, &name));
  LC_TRY(pop(m, &module));
  if (name->kind != TEXT || module->kind != TEXT) BAD(m, "a name that is no text");
  return push_name(m, module->as.text.bytes, module->as.text.length, name->as.text.bytes,
                   name->as.text.length);
}

/* ("storage", type, key, place, elements) */
static lc_status persistent(struct machine *m) {
  struct value *id, *v;
  LC_TRY(pop(m, &id));
  struct value **items = id->as.list.items;
  if (id->kind != TUPLE || id->as.list.n < 5 || items[0]->kind != TEXT ||
      !same(items[0]->as.text.bytes, items[0]->as.text.length, "storage") ||
      items[1]->kind != NAME || items[1]->as.name->role != IS_STORAGE || items[2]->kind != TEXT ||
      items[4]->kind != INTEGER || items[4]->as.integer < 0)
    BAD(m, "a persistent object that is no storage");
  if (items[2]->as.text.length > MAX_KEY) BAD(m, "a storage of impossible name");
  LC_TRY(push_new(m, STORAGE, &v));
  v->as.storage.dtype = items[1]->as.name->dtype;
  v->as.storage.key = items[2];
  return LC_OK;
}

static lc_status make_tensor(struct machine *m, const struct value *arguments) {
  struct value **items = arguments->as.list.items, *v;
  if (arguments->as.list.n < 4 || items[0]->kind != STORAGE || items[1]->kind != INTEGER ||
      items[1]->as.integer < 0 || items[2]->kind != TUPLE || items[3]->kind != TUPLE ||
      items[2]->as.list.n != items[3]->as.list.n)
    BAD(m, "a tensor whose parts are not what they should be");
  LC_TRY(push_new(m, TENSOR, &v));
  v->as.tensor.storage = items[0];
  v->as.tensor.offset = (size_t)items[1]->as.integer;
  v->as.tensor.shape = items[2];
  v->as.tensor.stride = items[3];
  return LC_OK;
}

static lc_status make_dictionary(struct machine *m, const struct value *arguments) {
  struct value *v;
  LC_TRY(push_new(m, DICTIONARY, &v));
  if (arguments->as.list.n == 0 || arguments->as.list.items[0]->kind != LIST) return LC_OK;
  const struct value *pairs = arguments->as.list.items[0];
  for (size_t i = 0; i < pairs->as.list.n; i++) {
    const struct value *pair = pairs->as.list.items[i];
    if (!is_sequence(pair) || pair->as.list.n != 2) BAD(m, "a dictionary of things but pairs");
    LC_TRY(append(m, v, pair->as.list.items[0]));
    LC_TRY(append(m, v, pair->as.list.items[1]));
  }
  return LC_OK;
}

/* REDUCE, NEWOBJ: the only "calls" there are, and what they become is written here. */
static lc_status apply(struct machine *m) {
  struct value *arguments, *name, *v;
  LC_TRY(pop(m, &arguments));
  LC_TRY(pop(m, &name));
  if (name->kind != NAME || arguments->kind != TUPLE) BAD(m, "a call of what is no known name");
  size_t n = arguments->as.list.n;
  switch (name->as.name->role) {
  case MAKES_TENSOR:
    return make_tensor(m, arguments);
  case MAKES_PARAMETER:
    if (n < 1 || arguments->as.list.items[0]->kind != TENSOR) BAD(m, "a parameter without tensor");
    return push(m, arguments->as.list.items[0]);
  case MAKES_DICTIONARY:
    return make_dictionary(m, arguments);
  case MAKES_TUPLE:
    if (n < 1 || !is_sequence(arguments->as.list.items[0])) return push_new(m, TUPLE, &v);
    return push(m, arguments->as.list.items[0]);
  case MAKES_NOTHING:
    return push_new(m, NOTHING, &v);
  default:
    BAD(m, "a call of a storage type");
  }
}

/* What lies above the mark, or `count` values, into a sequence on the stack below it. */
static lc_status collect(struct machine *m, size_t first, struct value *into) {
  for (size_t i = first; i < m->depth; i++) {
    if (!m->stack[i]) BAD(m, "a mark among values");
    LC_TRY(append(m, into, m->stack[i]));
  }
  return LC_OK;
}

static lc_status push_tuple(struct machine *m, size_t first, enum kind kind, bool marked) {
  struct value *v;
  if (first > m->depth) BAD(m, "the stack is too short");
  LC_TRY(new_value(m, kind, &v));
  LC_TRY(collect(m, first, v));
  m->depth = first - (marked ? 1 : 0);
  return push(m, v);
}

static lc_status push_marked(struct machine *m, enum kind kind) {
  size_t first = 0;
  LC_TRY(find_mark(m, &first));
  return push_tuple(m, first, kind, true);
}

/* APPEND(S), SETITEM(S): `first` is where the new items begin, the container lies below. */
static lc_status extend(struct machine *m, size_t first, bool marked, size_t multiple) {
  size_t below = first - (marked ? 1 : 0);
  if (first > m->depth || below == 0 || !m->stack[below - 1]) BAD(m, "no container to fill");
  struct value *into = m->stack[below - 1];
  if ((m->depth - first) % multiple != 0) BAD(m, "a key without its value");
  if (into->kind == LIST || into->kind == DICTIONARY) {
    if ((into->kind == DICTIONARY) != (multiple == 2)) BAD(m, "items of the wrong kind");
    LC_TRY(collect(m, first, into));
  } else if (into->kind != NOTHING)
    BAD(m, "no container to fill");
  m->depth = below;
  return LC_OK;
}

static lc_status remember(struct machine *m, size_t at) {
  struct value *v;
  LC_TRY(top(m, &v));
  if (at > MAX_VALUES) BAD(m, "a memo too large");
  LC_TRY(grow(m, &m->memo, &m->memo_size, at + 1));
  m->memo[at] = v;
  return LC_OK;
}

static lc_status recall(struct machine *m, size_t bytes) {
  unsigned long long at = 0;
  LC_TRY(number(m, bytes, &at));
  if (at >= m->memo_size || !m->memo[at]) BAD(m, "a memo that was never made");
  return push(m, m->memo[at]);
}

static lc_status remember_at(struct machine *m, size_t bytes) {
  unsigned long long at = 0;
  LC_TRY(number(m, bytes, &at));
  return remember(m, (size_t)at);
}

/* Opcodes that push plain values. */
static lc_status plain_opcode(struct machine *m, unsigned char op, bool *done) {
  struct value *v;
  unsigned long long skipped = 0;
  *done = true;
  switch (op) {
  case 0x80: /* PROTO */
    return number(m, 1, &skipped);
  case 0x95: /* FRAME */
    return number(m, 8, &skipped);
  case 'N':
  case 0x88: /* NEWTRUE */
  case 0x89: /* NEWFALSE */
    return push_new(m, NOTHING, &v);
  case 'G': /* BINFLOAT */
    LC_TRY(number(m, 8, &skipped));
    return push_new(m, NOTHING, &v);
  case 'J':
    return push_integer(m, 4, true);
  case 'K':
    return push_integer(m, 1, false);
  case 'M':
    return push_integer(m, 2, false);
  case 0x8A:
    return push_long(m);
  case 'X':
  case 'T':
    return push_text(m, 4, TEXT);
  case 0x8C:
  case 'U':
    return push_text(m, 1, TEXT);
  case 0x8D:
    return push_text(m, 8, TEXT);
  case 'C': /* bytes */
  case 'B': {
    LC_TRY(push_text(m, op == 'C' ? 1 : 4, TEXT));
    return LC_OK;
  }
  case '}':
    return push_new(m, DICTIONARY, &v);
  case ']':
    return push_new(m, LIST, &v);
  case ')':
    return push_new(m, TUPLE, &v);
  default:
    *done = false;
    return LC_OK;
  }
}

static lc_status pop_state(struct machine *m) {
  struct value *state;
  return pop(m, &state);
}

static lc_status opcode(struct machine *m, unsigned char op) {
  size_t first = 0;
  switch (op) {
  case '(':
    return push(m, NULL);
  case '0': /* POP */
    return pop_state(m);
  case 't':
    return push_marked(m, TUPLE);
  case 'l':
    return push_marked(m, LIST);
  case 'd':
    return push_marked(m, DICTIONARY);
  case 0x85:
  case 0x86:
  case 0x87: {
    size_t n = (size_t)op - 0x84;
    if (n > m->depth) BAD(m, "the stack is too short");
    return push_tuple(m, m->depth - n, TUPLE, false);
  }
  case 'a':
    if (m->depth < 2) BAD(m, "the stack is too short");
    return extend(m, m->depth - 1, false, 1);
  case 's':
    if (m->depth < 3) BAD(m, "the stack is too short");
    return extend(m, m->depth - 2, false, 2);
  case 'e':
    LC_TRY(find_mark(m, &first));
    return extend(m, first, true, 1);
  case 'u':
    LC_TRY(find_mark(m, &first));
    return extend(m, first, true, 2);
  case 'q':
    return remember_at(m, 1);
  case 'r':
    return remember_at(m, 4);
  case 0x94:
    return remember(m, m->memo_next++);
  case 'h':
    return recall(m, 1);
  case 'j':
    return recall(m, 4);
  case 'c':
    return read_global(m);
  case 0x93:
    return stack_global(m);
  case 'Q':
    return persistent(m);
  case 'R':
  case 0x81:
    return apply(m);
  case 'b': /* BUILD: attributes of a container are of no use here */
    return pop_state(m);
  default:
    STOP(m, LC_ERR_UNSUPPORTED, "%s: pickle: opcode 0x%02X at byte %zu is not accepted", m->path,
         op, m->at - 1);
  }
}

static lc_status run(struct machine *m, struct value **root) {
  for (;;) {
    LC_TRY(need(m, 1));
    unsigned char op = m->bytes[m->at++];
    bool done = false;
    if (op == '.') return pop(m, root);
    LC_TRY(plain_opcode(m, op, &done));
    if (!done) LC_TRY(opcode(m, op));
  }
}

static lc_status sizes(struct machine *m, const struct value *tuple, size_t out[VIT_MAX_RANK]) {
  if (tuple->as.list.n > VIT_MAX_RANK) BAD(m, "a tensor of too many dimensions");
  for (size_t i = 0; i < tuple->as.list.n; i++) {
    const struct value *item = tuple->as.list.items[i];
    if (item->kind != INTEGER || item->as.integer < 0) BAD(m, "a tensor of negative size");
    out[i] = (size_t)item->as.integer;
  }
  return LC_OK;
}

static lc_status add_tensor(struct machine *m, struct vit_pickle *pickle, size_t *capacity,
                            const char *name, const struct value *v) {
  const struct value *storage = v->as.tensor.storage;
  if (pickle->n == *capacity) {
    size_t wanted = *capacity ? 2 * *capacity : 256;
    struct vit_pickle_tensor *grown = realloc(pickle->tensors, wanted * sizeof *grown);
    if (!grown) STOP(m, LC_ERR_MEMORY, "%s: out of memory", m->path);
    pickle->tensors = grown;
    *capacity = wanted;
  }
  struct vit_pickle_tensor *t = &pickle->tensors[pickle->n++];
  *t = (struct vit_pickle_tensor){.dtype = storage->as.storage.dtype,
                                  .offset = v->as.tensor.offset,
                                  .rank = v->as.tensor.shape->as.list.n};
  t->name = strdup(name);
  t->storage =
      strndup(storage->as.storage.key->as.text.bytes, storage->as.storage.key->as.text.length);
  if (!t->name || !t->storage) STOP(m, LC_ERR_MEMORY, "%s: out of memory", m->path);
  LC_TRY(sizes(m, v->as.tensor.shape, t->shape));
  return sizes(m, v->as.tensor.stride, t->stride);
}

/* Walks dictionaries; a pickle may hold itself, so the depth is limited, and so is the number of
 * tensors, since one container may be held many times. */
static lc_status walk(struct machine *m, struct vit_pickle *pickle, size_t *capacity,
                      const struct value *v, const char *prefix, int depth) {
  if (v->kind == TENSOR) {
    if (pickle->n >= VIT_MAX_TENSORS) BAD(m, "more than 10000 tensors");
    return add_tensor(m, pickle, capacity, prefix, v);
  }
  if (v->kind != DICTIONARY || depth > MAX_DEPTH) return LC_OK;
  for (size_t i = 0; i + 1 < v->as.list.n; i += 2) {
    const struct value *key = v->as.list.items[i], *item = v->as.list.items[i + 1];
    if (key->kind != TEXT || key->as.text.length > 256) continue;
    if (++m->n_values > MAX_VALUES) BAD(m, "too many objects");
    struct lc_text name = {0};
    lc_text_add(&name, "%s%s%.*s", prefix, prefix[0] ? "." : "", (int)key->as.text.length,
                key->as.text.bytes);
    lc_status status = walk(m, pickle, capacity, item, lc_text_get(&name), depth + 1);
    lc_text_free(&name);
    LC_TRY(status);
  }
  return LC_OK;
}

lc_status vit_pickle_read(struct vit_pickle *pickle, const char *path, const unsigned char *bytes,
                          size_t size, struct lc_error *err) {
  *pickle = (struct vit_pickle){0};
  struct machine m = {.path = path, .bytes = bytes, .size = size, .err = err};
  struct value *root = NULL;
  size_t capacity = 0;
  lc_status status = run(&m, &root);
  if (status == LC_OK) status = walk(&m, pickle, &capacity, root, "", 0);
  while (m.all) {
    struct value *next = m.all->next;
    if (is_sequence(m.all)) free((void *)m.all->as.list.items);
    free(m.all);
    m.all = next;
  }
  free((void *)m.stack);
  free((void *)m.memo);
  if (status != LC_OK) vit_pickle_free(pickle);
  return status;
}

void vit_pickle_free(struct vit_pickle *pickle) {
  for (size_t i = 0; i < pickle->n; i++) {
    free(pickle->tensors[i].name);
    free(pickle->tensors[i].storage);
  }
  free(pickle->tensors);
  *pickle = (struct vit_pickle){0};
}
