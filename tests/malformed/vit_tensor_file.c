/* Weight files that are cut off, lie about themselves or try to do harm: each ends in an error that
 * names the file and the thing. Every case is a small difference to a valid file. */
#include "common/lc_file.h"
#include "tests/vit_test.h"

static char folder[256], path[512];

static int make_folder(void **state) {
  (void)state;
  lc_test_folder(folder);
  snprintf(path, sizeof path, "%s/bad.safetensors", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) == LC_OK ? 0 : 1;
}

/* A file with this header and `data` zero bytes; the stated header length is off by `lie`. */
static void write_file(const char *header, size_t data, long long lie) {
  FILE *stream = fopen(path, "wb");
  assert_non_null(stream);
  uint64_t length = (uint64_t)((long long)strlen(header) + lie);
  for (int i = 0; i < 8; i++) fputc((int)(length >> (8 * i) & 0xFF), stream);
  fputs(header, stream);
  for (size_t i = 0; i < data; i++) fputc(0, stream);
  assert_int_equal(fclose(stream), 0);
}

static void expect(const char *header, size_t data, lc_status status, const char *text) {
  struct vit_tensor_file file;
  write_file(header, data, 0);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), status, text);
  if (!strstr(test_err.message, "bad.safetensors"))
    fail_msg("the message does not name the file: %s", test_err.message);
  assert_null(file.tensors);
}

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define ENTRY(shape, offsets)                                                                      \
  "{\"a\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void valid(void **state) {
  (void)state;
  struct vit_tensor_file file;
  write_file("{" A "}", 8, 0);
  assert_ok(vit_tensor_file_open(&file, path, &test_err));
  assert_int_equal(file.n_tensors, 1);
  assert_int_equal(vit_tensor_file_find(&file, "a")->count, 2);
  assert_null(vit_tensor_file_find(&file, "b"));
  vit_tensor_file_close(&file);
  write_file("{}", 0, 0);
  assert_ok(vit_tensor_file_open(&file, path, &test_err));
  vit_tensor_file_close(&file);
}

static void headers(void **state) {
  (void)state;
  expect("{" A "}", 7, LC_ERR_TRUNCATED, "\"a\" ends at byte 8 of 7");
  expect("{" A "}", 9, LC_ERR_FORMAT, "1 bytes after");
  expect("{" A, 8, LC_ERR_FORMAT, "not JSON");
  expect("[1]", 0, LC_ERR_FORMAT, "an object");
  expect("{" A "," A "}", 8, LC_ERR_FORMAT, "not JSON");
  expect("{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, LC_ERR_FORMAT,
         "overlap");
  expect("{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", 16,
         LC_ERR_FORMAT, "hole");
  expect(ENTRY("[3]", "[0,8]"), 8, LC_ERR_FORMAT, "span 8 bytes");
  expect(ENTRY("[2]", "[8,0]"), 8, LC_ERR_FORMAT, "data_offsets");
  expect(ENTRY("[2]", "[-8,0]"), 8, LC_ERR_FORMAT, "data_offsets");
  expect(ENTRY("[2]", "[0]"), 8, LC_ERR_FORMAT, "data_offsets");
  expect(ENTRY("[-2]", "[0,8]"), 8, LC_ERR_FORMAT, "whole numbers");
  expect(ENTRY("[2.5]", "[0,8]"), 8, LC_ERR_FORMAT, "whole numbers");
  expect(ENTRY("2", "[0,8]"), 8, LC_ERR_FORMAT, "a list as shape");
  expect(ENTRY("[4611686018427387904,4]", "[0,0]"), 0, LC_ERR_FORMAT, "overflows");
  expect(ENTRY("[4611686018427387904]", "[0,0]"), 0, LC_ERR_FORMAT, "not what its shape needs");
  expect(ENTRY("[99999999999999999999]", "[0,8]"), 8, LC_ERR_FORMAT, "not JSON");
  expect(ENTRY("[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8, LC_ERR_UNSUPPORTED, "9 dimensions");
  expect("{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, LC_ERR_UNSUPPORTED,
         "F31");
  expect("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, LC_ERR_UNSUPPORTED, "(none)");
  expect("{\"a\":7}", 0, LC_ERR_FORMAT, "an object");
  expect("{\"__metadata__\":{\"k\":1}}", 0, LC_ERR_FORMAT, "expected text");
  expect("{\"__metadata__\":[]}", 0, LC_ERR_FORMAT, "__metadata__");
  expect("{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}",
         5, LC_ERR_FORMAT, "not aligned");
}

static void hostile_lengths(void **state) {
  (void)state;
  struct vit_tensor_file file;
  write_file("{" A "}", 8, 1000);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_TRUNCATED, "header of");
  write_file("{" A "}", 8, (long long)1 << 40);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_FORMAT, "100 MiB");
  write_file("{" A "}", 8, -1000);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_FORMAT, "100 MiB");
  assert_ok(lc_file_write(path, "short", 5, &test_err));
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_TRUNCATED, "5 bytes");
  assert_fails(vit_tensor_file_open(&file, folder, &test_err), LC_ERR_NOT_FOUND, folder);
  assert_fails(vit_tensor_file_open(&file, "/nowhere/x", &test_err), LC_ERR_NOT_FOUND, "/nowhere");
}

static void deep_nesting(void **state) {
  (void)state;
  size_t depth = 200000;
  char *header = malloc(2 * depth + 16);
  assert_non_null(header);
  strcpy(header, "{\"a\":");
  memset(header + 5, '[', depth);
  memset(header + 5 + depth, ']', depth);
  strcpy(header + 5 + 2 * depth, "}");
  expect(header, 0, LC_ERR_FORMAT, "nested");
  free(header);
}

/* A header of an odd length, as early writers made: data that is not aligned is still read. */
static void unpadded_header(void **state) {
  (void)state;
  struct vit_tensor_file file;
  write_file("{" A "}   ", 8, 0);
  assert_ok(vit_tensor_file_open(&file, path, &test_err));
  assert_int_equal((uintptr_t)file.tensors[0].data % 4, 0);
  vit_tensor_file_close(&file);
}

/* A valid small model with one thing changed, written and read back. */
typedef void (*change)(struct vit_tensor *tensors, size_t *n, float *numbers);

static void load_changed(change how, lc_status status, const char *text) {
  struct vit_tensor_file source;
  struct vit_model model;
  float *numbers = calloc(1 << 16, sizeof *numbers);
  assert_non_null(numbers);
  assert_ok(vit_tensor_file_open(&source, vit_test_path("vit_p8_d32_l3", "weights"), &test_err));
  size_t n = source.n_tensors;
  how(source.tensors, &n, numbers);
  const char *metadata[] = {"num_heads", "4"};
  assert_ok(vit_tensor_file_write(path, source.tensors, n, metadata, 1, &test_err));
  if (status == LC_OK)
    assert_ok(vit_model_load(&model, path, NULL, &test_err));
  else
    assert_fails(vit_model_load(&model, path, NULL, &test_err), status, text);
  vit_model_free(&model);
  vit_tensor_file_close(&source);
  free(numbers);
}

static struct vit_tensor *find(struct vit_tensor *tensors, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(tensors[i].name, name) == 0) return &tensors[i];
  fail_msg("no tensor %s", name);
  return NULL;
}

static void keep_all(struct vit_tensor *tensors, size_t *n, float *numbers) {
  (void)tensors, (void)n, (void)numbers;
}
static void drop_one(struct vit_tensor *tensors, size_t *n, float *numbers) {
  (void)numbers;
  struct vit_tensor *gone = find(tensors, *n, "blocks.1.mlp.fc2.bias"), keep = *gone;
  *n -= 1;
  *gone = tensors[*n];
  tensors[*n] = keep;
}
static void widen(struct vit_tensor *tensors, size_t *n, float *numbers) {
  struct vit_tensor *t = find(tensors, *n, "blocks.2.attn.proj.weight");
  t->shape[0] = 33;
  t->count = (size_t)33 * 32;
  t->data = numbers;
}
static void turn(struct vit_tensor *tensors, size_t *n, float *numbers) {
  (void)numbers;
  struct vit_tensor *t = find(tensors, *n, "blocks.0.mlp.fc2.weight");
  t->shape[0] = 128;
  t->shape[1] = 32;
}
static void poison(struct vit_tensor *tensors, size_t *n, float *numbers) {
  struct vit_tensor *t = find(tensors, *n, "norm.weight");
  memcpy(numbers, t->data, t->count * sizeof *numbers);
  numbers[31] = NAN;
  t->data = numbers;
}
static void overflow(struct vit_tensor *tensors, size_t *n, float *numbers) {
  poison(tensors, n, numbers);
  numbers[31] = -INFINITY;
}
static void integers(struct vit_tensor *tensors, size_t *n, float *numbers) {
  (void)numbers;
  find(tensors, *n, "norm.bias")->dtype = VIT_I32;
}
static void odd_positions(struct vit_tensor *tensors, size_t *n, float *numbers) {
  struct vit_tensor *t = find(tensors, *n, "pos_embed");
  t->shape[1] = 19;
  t->count = (size_t)19 * 32;
  t->data = numbers;
}
static void flat_class_token(struct vit_tensor *tensors, size_t *n, float *numbers) {
  (void)numbers;
  struct vit_tensor *t = find(tensors, *n, "pos_embed");
  t->rank = 1;
  t->shape[0] = t->count;
}

static void models(void **state) {
  (void)state;
  load_changed(keep_all, LC_OK, "");
  load_changed(drop_one, LC_ERR_TENSOR, "\"blocks.1.mlp.fc2.bias\" is missing");
  load_changed(widen, LC_ERR_TENSOR, "attn.proj.weight\" has shape [33, 32], expected [32, 32]");
  load_changed(turn, LC_ERR_TENSOR, "mlp.fc2.weight\" has shape [128, 32], expected [32, 128]");
  load_changed(poison, LC_ERR_NUMERIC, "norm.weight\" holds NaN");
  load_changed(overflow, LC_ERR_NUMERIC, "norm.weight\" holds NaN or infinity");
  load_changed(integers, LC_ERR_TENSOR, "holds I32");
  load_changed(odd_positions, LC_ERR_TENSOR, "19 positions");
  load_changed(flat_class_token, LC_ERR_TENSOR, "1 dimensions, which is too few");
}

/* A real model file cut at every kind of place. */
static void cut_off(void **state) {
  (void)state;
  char *bytes = NULL;
  size_t count = 0;
  struct vit_model model;
  assert_ok(
      lc_file_read(vit_test_path("vit_p8_d32_l3", "weights"), 1 << 20, &bytes, &count, &test_err));
  for (size_t keep = 0; keep < count; keep += keep < 64 ? 1 : 1777) {
    assert_ok(lc_file_write(path, bytes, keep, &test_err));
    assert_fails(vit_model_load(&model, path, NULL, &test_err), LC_ERR_TRUNCATED, "bad");
  }
  free(bytes);
}

/* Indices of several files: parts beside it alone, and every tensor in the part that it says. */
static void hostile_indices(void **state) {
  (void)state;
  static const struct {
    const char *json, *text;
  } cases[] = {{"{}", "weight_map"},
               {"[", "weight_map"},
               {"{\"weight_map\": {\"a\": 3}}", "\"a\" has no file"},
               {"{\"weight_map\": {\"a\": \"../bad\"}}", "in the folder of the index"},
               {"{\"weight_map\": {\"a\": \"x.index.json\"}}", "in the folder of the index"},
               {"{\"weight_map\": {\"other\": \"bad\"}}", "has no tensor \"other\""}};
  char index[600];
  struct vit_tensor_file file;
  const char *slash = strrchr(path, '/');
  snprintf(index, sizeof index, "%s/x.index.json", folder);
  write_file("{" A "}", 8, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char json[200] = "", *at = strstr(cases[i].json, "\"bad\"");
    if (at) /* the name of the file that is there */
      snprintf(json, sizeof json, "%.*s\"%s%s", (int)(at - cases[i].json), cases[i].json, slash + 1,
               at + 4);
    const char *text = at ? json : cases[i].json;
    assert_ok(lc_file_write(index, text, strlen(text), &test_err));
    assert_fails(vit_tensor_file_open(&file, index, &test_err), LC_ERR_FORMAT, cases[i].text);
  }
}

static void bad_input(void **state) {
  (void)state;
  struct vit_model model;
  struct vit_workspace workspace;
  struct vit_trace trace;
  assert_ok(vit_model_load(&model, vit_test_path("vit_p8_d32_l3", "weights"), NULL, &test_err));
  assert_fails(vit_workspace_init(&workspace, &model, 1, 36, 32, NULL, &test_err), LC_ERR_USAGE,
               "36 x 32");
  assert_fails(vit_workspace_init(&workspace, &model, 0, 32, 32, NULL, &test_err), LC_ERR_USAGE,
               "batch 0");
  uint32_t wrong[2] = {3, 3}, outside[1] = {16};
  struct vit_request request = {.kept = wrong, .n_kept = 2};
  assert_fails(vit_workspace_init(&workspace, &model, 1, 32, 32, &request, &test_err), LC_ERR_USAGE,
               "ascending");
  request = (struct vit_request){.kept = outside, .n_kept = 1};
  assert_fails(vit_workspace_init(&workspace, &model, 1, 32, 32, &request, &test_err), LC_ERR_USAGE,
               "16");
  assert_ok(vit_workspace_init(&workspace, &model, 1, 32, 32, NULL, &test_err));
  vit_real image[3 * 32 * 32] = {0};
  assert_fails(vit_forward(&workspace, image, 2, &trace, &test_err), LC_ERR_USAGE, "2 images");
  image[1000] = NAN;
  assert_fails(vit_forward(&workspace, image, 1, &trace, &test_err), LC_ERR_NUMERIC, "value 1000");
  vit_workspace_free(&workspace);
  vit_model_free(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(valid),           cmocka_unit_test(headers),
      cmocka_unit_test(hostile_lengths), cmocka_unit_test(deep_nesting),
      cmocka_unit_test(unpadded_header), cmocka_unit_test(models),
      cmocka_unit_test(cut_off),         cmocka_unit_test(hostile_indices),
      cmocka_unit_test(bad_input),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
