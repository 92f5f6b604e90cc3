/* PyTorch files: what torch.save wrote is read to the same tensors as its safetensors twin
 * (tests/reference/make_torch_file.py); a pickle that would run code, and archives that lie, are
 * refused.
 * needs: pth */
#include <sys/resource.h>
#include <zip.h>

#include "common/lc_file.h"
#include "tests/vit_test.h"
#include "tests/vit_zip.h"

static char folder[256], path[512];

static int make_folder(void **state) {
  (void)state;
  lc_test_folder(folder);
  snprintf(path, sizeof path, "%s/bad.pth", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) == LC_OK ? 0 : 1;
}

static void same_as_twin(void **state) {
  (void)state;
  struct vit_model from_torch, twin;
  const char *pth = LC_TEST_REFERENCE_DIR "/torch_small.pth";
  struct vit_arch arch = {.image_height = 8, .image_width = 8, .grid_height = 2, .grid_width = 2};
  arch.patch_size = 4;
  arch.embed_dim = 16;
  arch.depth = 1;
  arch.num_heads = 2;
  arch.mlp_dim = 24;
  arch.position_on_cls = true;
  arch.layer_norm_eps = 1e-6F;
  assert_ok(vit_model_load(&from_torch, pth, &arch, &test_err));
  assert_ok(vit_model_load(&twin, vit_test_path("torch_small", ""), &arch, &test_err));
  assert_memory_equal(&from_torch.arch, &twin.arch, sizeof twin.arch);
  assert_int_equal(twin.arch.heads[0].outputs, 3);
  char a[512], b[512];
  snprintf(a, sizeof a, "%s/a.safetensors", folder);
  snprintf(b, sizeof b, "%s/b.safetensors", folder);
  /* The twin has no student to choose before. */
  assert_non_null(strstr(from_torch.assumed, "of 2 networks the one below teacher"));
  free(from_torch.assumed);
  from_torch.assumed = strdup(twin.assumed);
  assert_ok(vit_model_save(&from_torch, a, NULL, &test_err));
  assert_ok(vit_model_save(&twin, b, NULL, &test_err));
  char *left = NULL, *right = NULL;
  size_t n = 0, m = 0;
  assert_ok(lc_file_read(a, 1 << 20, &left, &n, &test_err));
  assert_ok(lc_file_read(b, 1 << 20, &right, &m, &test_err));
  assert_int_equal(n, m);
  assert_memory_equal(left, right, n);
  free(left);
  free(right);
  vit_model_free(&from_torch);
  vit_model_free(&twin);
}

/* An archive with one pickle, a storage "0" of 8 bytes, and a byte order. */
static void write_archive(const char *pickle, size_t size, const char *order, int method) {
  int code = 0;
  static const unsigned char zeros[8];
  remove(path);
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_EXCL, &code);
  assert_non_null(zip);
  const struct {
    const char *name;
    const void *bytes;
    size_t size;
  } members[] = {{"m/data.pkl", pickle, size},
                 {"m/data/0", zeros, sizeof zeros},
                 {"m/byteorder", order, strlen(order)}};
  for (size_t i = 0; i < 3; i++) {
    zip_source_t *source = zip_source_buffer(zip, members[i].bytes, members[i].size, 0);
    zip_int64_t index = zip_file_add(zip, members[i].name, source, 0);
    assert_true(index >= 0);
    assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)index, method, 0), 0);
  }
  assert_int_equal(zip_close(zip), 0);
}

static void refuse(const char *pickle, size_t size, lc_status status, const char *text) {
  struct vit_tensor_file file;
  write_archive(pickle, size, "little", ZIP_CM_STORE);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), status, text);
  assert_non_null(strstr(test_err.message, "bad.pth"));
}

#define REFUSE(pickle, status, text) refuse(pickle, sizeof(pickle) - 1, status, text)
/* ("storage", FloatStorage, "0", "cpu", N) as a persistent id */
#define STORAGE(n)                                                                                 \
  "(U\x07storagectorch\nFloatStorage\nU\x01"                                                       \
  "0"                                                                                              \
  "U\x03"                                                                                          \
  "cpuK" n "tQ"
#define TENSOR(storage, offset, shape, stride)                                                     \
  "ctorch._utils\n_rebuild_tensor_v2\n(" storage "K" offset shape stride "\x89"                    \
  "}tR"
#define DICTIONARY(value) "\x80\x02}U\x01w" value "s."

/* os.system("...") in the ways a pickle can say it. */
static void code(void **state) {
  (void)state;
  char mark[512], pickle[1024];
  snprintf(mark, sizeof mark, "%s/ran", folder);
  int n = snprintf(pickle, sizeof pickle,
                   "\x80\x02"
                   "cposix\nsystem\n(U%ctouch %stR.",
                   (int)strlen(mark) + 6, mark);
  refuse(pickle, (size_t)n, LC_ERR_UNSUPPORTED, "posix.system");
  REFUSE("\x80\x02"
         "c__builtin__\neval\n(U\x03"
         "1+1tR.",
         LC_ERR_UNSUPPORTED, "__builtin__.eval");
  REFUSE("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.", LC_ERR_UNSUPPORTED, "os.system");
  REFUSE("\x80\x02(ios\nsystem\n.", LC_ERR_UNSUPPORTED, "opcode 0x69");
  REFUSE("\x80\x02(cos\nsystem\nU\x02lso.", LC_ERR_UNSUPPORTED, "os.system");
  REFUSE("\x80\x02"
         "ctorch\nload\n.",
         LC_ERR_UNSUPPORTED, "torch.load");
  REFUSE("\x80\x02\x82\x01.", LC_ERR_UNSUPPORTED, "opcode 0x82");
  REFUSE("\x80\x02"
         "ctorch\nFloatStorage\n)R.",
         LC_ERR_FORMAT, "storage type");
  assert_false(lc_file_exists(mark));
}

static void tensors(void **state) {
  (void)state;
  struct vit_tensor_file file;
  const char good[] = DICTIONARY(TENSOR(STORAGE("\x02"), "\0", "K\x02\x85", "K\x01\x85"));
  write_archive(good, sizeof good - 1, "little", ZIP_CM_STORE);
  assert_ok(vit_tensor_file_open(&file, path, &test_err));
  assert_int_equal(vit_tensor_file_find(&file, "w")->count, 2);
  vit_tensor_file_close(&file);
  write_archive(good, sizeof good - 1, "big", ZIP_CM_STORE);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_UNSUPPORTED, "big-endian");
  write_archive(good, sizeof good - 1, "little", ZIP_CM_DEFLATE);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_UNSUPPORTED, "compressed");
  REFUSE(DICTIONARY(TENSOR(STORAGE("\x02"), "\x01", "K\x02\x85", "K\x01\x85")), LC_ERR_FORMAT,
         "outside its storage");
  REFUSE(DICTIONARY(TENSOR(STORAGE("\x02"), "\0", "K\x02\x85", "K\x7f\x85")), LC_ERR_FORMAT,
         "outside its storage");
  REFUSE(DICTIONARY(TENSOR(STORAGE("\x02"), "\0", "K\xff\x85", "K\0\x85")), LC_ERR_UNSUPPORTED,
         "more elements");
  REFUSE(DICTIONARY(TENSOR(STORAGE("\x02"), "\0",
                           "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x08\xff\xff\xff\xff\xff"
                           "\xff\xff\x7f\x86",
                           "K\x01K\x01\x86")),
         LC_ERR_FORMAT, "outside its storage");
  REFUSE(DICTIONARY(TENSOR(STORAGE("\x02"), "\0", "J\xff\xff\xff\xff\x85", "K\x01\x85")),
         LC_ERR_FORMAT, "negative");
  REFUSE(DICTIONARY(TENSOR(STORAGE("\x02"), "\0", "K\x02\x85", ")")), LC_ERR_FORMAT, "parts");
  REFUSE(DICTIONARY(TENSOR("N", "\0", "K\x02\x85", "K\x01\x85")), LC_ERR_FORMAT, "parts");
  REFUSE(DICTIONARY(TENSOR("(U\x07storagectorch\nFloatStorage\nU\x04"
                           "../0U\x03"
                           "cpuK\x02tQ",
                           "\0", "K\x02\x85", "K\x01\x85")),
         LC_ERR_FORMAT, "impossible name");
  REFUSE(DICTIONARY(TENSOR("(U\x07storagectorch\nFloatStorage\nU\x01"
                           "9U\x03"
                           "cpuK\x02tQ",
                           "\0", "K\x02\x85", "K\x01\x85")),
         LC_ERR_TRUNCATED, "data/9 is missing");
}

static void broken(void **state) {
  (void)state;
  REFUSE("", LC_ERR_TRUNCATED, "byte 0");
  REFUSE("\x80\x02}U\x03w", LC_ERR_TRUNCATED, "within an object");
  REFUSE("\x80\x02X\xff\xff\xff\xff.", LC_ERR_FORMAT, "longer than the file");
  REFUSE("\x80\x02.", LC_ERR_FORMAT, "stack is empty");
  REFUSE("\x80\x02u.", LC_ERR_FORMAT, "no mark");
  REFUSE("\x80\x02(.", LC_ERR_FORMAT, "stack is empty");
  REFUSE("\x80\x02\x87.", LC_ERR_FORMAT, "too short");
  REFUSE("\x80\x02h\x05.", LC_ERR_FORMAT, "memo");
  REFUSE("\x80\x02}(U\x01wu.", LC_ERR_FORMAT, "without its value");
  REFUSE("\x80\x02K\x01Q.", LC_ERR_FORMAT, "no storage");
  REFUSE("\x80\x02}r\xff\xff\xff\xff.", LC_ERR_FORMAT, "memo too large");
  struct vit_tensor_file file;
  /* A dictionary that holds itself has no tensors, and ends. */
  const char cycle[] = "\x80\x02}q\0U\x01wh\0s.";
  write_archive(cycle, sizeof cycle - 1, "little", ZIP_CM_STORE);
  assert_ok(vit_tensor_file_open(&file, path, &test_err));
  assert_int_equal(file.n_tensors, 0);
  vit_tensor_file_close(&file);
}

/* A pickle as it grows. */
static struct {
  char bytes[1 << 21];
  size_t n;
} made;

static void add(const char *bytes, size_t n) {
  assert_true(made.n + n <= sizeof made.bytes);
  memcpy(made.bytes + made.n, bytes, n);
  made.n += n;
}
#define ADD(text) add(text, sizeof(text) - 1)

static long peak_kib(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss;
}

/* Writes what was made with a storage of 1 MiB under each of n_names names. */
static void write_made(size_t n_names) {
  static const char megabyte[1 << 20];
  static struct zip_out zip;
  char name[16];
  zip.n = 0;
  zip.file = fopen(path, "wb");
  assert_non_null(zip.file);
  zip_member(&zip, "m/data.pkl", made.bytes, made.n);
  zip_member(&zip, "m/data/0", megabyte, sizeof megabyte);
  for (size_t i = 1; i < n_names; i++) {
    snprintf(name, sizeof name, "m/data/%zu", i);
    zip_again(&zip, name);
  }
  assert_true(zip_end(&zip));
  assert_int_equal(fclose(zip.file), 0);
}

/* Small files that ask for gigabytes are refused before the memory is there. */
static void bombs(void **state) {
  (void)state;
  struct vit_tensor_file file;
  long before = peak_kib();
  char name[16];
  /* 4000 transposed views of the same 1 MiB, which the memo remembers. */
  made.n = 0;
  ADD("\x80\x02}(");
  for (int i = 0; i < 4000; i++) {
    int length = snprintf(name, sizeof name, "U\x05w%04d", i);
    add(name, (size_t)length);
    ADD("ctorch._utils\n_rebuild_tensor_v2\n(");
    if (i == 0)
      ADD(STORAGE("\x02") "q\x01");
    else
      ADD("h\x01");
    ADD("K\0M\0\x02M\0\x02\x86K\x01M\0\x02\x86\x89}tR");
  }
  ADD("u.");
  write_made(1);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_FORMAT,
               "tensors of 4194304000 bytes from storages of 1048576");
  /* 40 names of one storage. */
  made.n = 0;
  ADD("\x80\x02}(");
  for (int i = 0; i < 40; i++) {
    int length = snprintf(name, sizeof name, "U\x03w%02d", i);
    add(name, (size_t)length);
    ADD("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n");
    length = snprintf(name, sizeof name, "U%c%d", i < 10 ? 1 : 2, i);
    add(name, (size_t)length);
    ADD("U\x03"
        "cpuK\x02tQK\0K\x02\x85K\x01\x85\x89}tR");
  }
  ADD("u.");
  write_made(40);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_FORMAT,
               "m/data/1 overlaps other members");
  /* A list of 100000 pairs from which 50000 dictionaries are made. */
  made.n = 0;
  ADD("\x80\x02K\x01K\x01\x86q\x01](");
  for (int i = 0; i < 100000; i++) ADD("h\x01");
  ADD("e\x85q\x02]q\x03(");
  for (int i = 0; i < 50000; i++) ADD("ccollections\nOrderedDict\nh\x02R");
  ADD("e.");
  write_made(1);
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_FORMAT, "too many objects");
  assert_true(peak_kib() - before < 512 * 1024);
}

/* A directory that says more than the archive has. */
static void sizes_that_lie(void **state) {
  (void)state;
  struct vit_tensor_file file;
  char *bytes, *at = NULL;
  size_t n;
  const char good[] = DICTIONARY(TENSOR(STORAGE("\x02"), "\0", "K\x02\x85", "K\x01\x85"));
  write_archive(good, sizeof good - 1, "little", ZIP_CM_STORE);
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &n, &test_err));
  for (size_t i = 0; i + 54 < n && !at; i++)
    if (memcmp(bytes + i, "PK\1\2", 4) == 0 && memcmp(bytes + i + 46, "m/data/0", 8) == 0)
      at = bytes + i;
  assert_non_null(at);
  memset(at + 20, 0x7f, 8);
  assert_ok(lc_file_write(path, bytes, n, &test_err));
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_FORMAT,
               "m/data/0 has 2139062143 bytes, expected at most");
  free(bytes);
}

/* The committed file cut off anywhere, or with any one byte of its directory or pickle changed, is
 * read or refused, never worse. */
static void cut_and_changed(void **state) {
  (void)state;
  char *bytes = NULL;
  size_t count = 0;
  struct vit_tensor_file file;
  assert_ok(
      lc_file_read(LC_TEST_REFERENCE_DIR "/torch_small.pth", 1 << 20, &bytes, &count, &test_err));
  for (size_t keep = 8; keep < count; keep += 997) {
    assert_ok(lc_file_write(path, bytes, keep, &test_err));
    assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_TRUNCATED, "bad.pth");
  }
  for (size_t at = 0; at < count; at += at < 8192 ? 61 : 509) {
    char kept = bytes[at];
    bytes[at] = (char)(bytes[at] ^ 0x55);
    assert_ok(lc_file_write(path, bytes, count, &test_err));
    if (vit_tensor_file_open(&file, path, &test_err) == LC_OK) vit_tensor_file_close(&file);
    bytes[at] = kept;
  }
  free(bytes);
  assert_ok(lc_file_write(path, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46", 8, &test_err));
  assert_fails(vit_tensor_file_open(&file, path, &test_err), LC_ERR_UNSUPPORTED, "1.6");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_as_twin),    cmocka_unit_test(code),
      cmocka_unit_test(tensors),         cmocka_unit_test(broken),
      cmocka_unit_test(cut_and_changed), cmocka_unit_test(bombs),
      cmocka_unit_test(sizes_that_lie),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
