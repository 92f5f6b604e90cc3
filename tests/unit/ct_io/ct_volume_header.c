/* Volume files that cannot be CT, or whose headers ask for what they must not have: each is refused
 * by name. */
#include "ct_io/dicom_read/ct_decode.h"
#include "tests/ct_volume_test.h"

#include <sys/stat.h>

#include "common/lc_file.h"
#include "ct_io/ct/ct_plausible.h"
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/dicom_read/ct_index.h"

static char folder[256];
static const int as_is[3] = {0, 1, 2}, forward[3] = {1, 1, 1};

static int make_folder(void **state) {
  (void)state;
  lc_test_folder(folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) == LC_OK ? 0 : -1;
}

static const char *in_folder(const char *name) {
  static char path[400];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

/* Replaces `old` in a text file, or appends the line when old is NULL. */
static void change(const char *path, const char *old, const char *fresh) {
  char *text, *at;
  size_t n;
  assert_ok(lc_file_read(path, 1 << 20, &text, &n, &test_err));
  at = old ? memmem(text, n, old, strlen(old)) : text;
  assert_non_null(at);
  size_t before = (size_t)(at - text), after = before + (old ? strlen(old) : 0);
  FILE *file = fopen(path, "wb");
  assert_true(file && fwrite(text, 1, before, file) == before &&
              fwrite(fresh, 1, strlen(fresh), file) == strlen(fresh) &&
              fwrite(text + after, 1, n - after, file) == n - after && fclose(file) == 0);
  free(text);
}

/* verdict: what the series gets; a status above 0: what opening fails with. */
static void check(const char *path, lc_status status, ct_verdict verdict, const char *words) {
  struct ct_series series;
  if (status != LC_OK) {
    assert_fails(ct_volume_file_open(&series, path, &test_err), status, words);
    assert_non_null(strstr(test_err.message, folder)); /* names the file */
    return;
  }
  assert_ok(ct_volume_file_open(&series, path, &test_err));
  if (series.verdict != verdict || !strstr(series.reason, words))
    fail_msg("%s: %s \"%s\", expected %s with \"%s\"", path, ct_verdict_name(series.verdict),
             series.reason, ct_verdict_name(verdict), words);
  assert_true(series.n_slices > 0); /* commands name the file by its first slice */
  ct_series_free(&series);
}

struct changed {
  const char *old, *fresh;
  lc_status status;
  ct_verdict verdict;
  const char *words;
};

static void metaimages(void **state) {
  static const struct changed changes[] = {
      {"NDims = 3", "NDims = 3", LC_OK, CT_USABLE, ""},
      {"ElementSpacing = ", "Comment = ", LC_OK, CT_REFUSED,
       "no ElementSpacing: millimetres unknown"},
      {"TransformMatrix = ", "Comment = ", LC_OK, CT_REPAIRED,
       "no TransformMatrix: axes taken to run to the left, back and head"},
      {"Offset = ", "Comment = ", LC_OK, CT_REPAIRED, "no Offset: the first voxel taken to lie"},
      {"MET_SHORT", "MET_USHORT", LC_OK, CT_REFUSED,
       "voxels of type MET_USHORT cannot hold Hounsfield units of air"},
      {"MET_SHORT", "MET_CHAR", LC_OK, CT_REFUSED, "MET_CHAR cannot hold"},
      {"MET_SHORT", "MET_LONG_LONG", LC_OK, CT_REFUSED, "expected 16 or 32 bits, or floats"},
      {"MET_SHORT", "MET_FANCY", LC_OK, CT_REFUSED,
       "voxels of type MET_FANCY, expected one number"},
      {"NDims = 3", "NDims = 3\nElementNumberOfChannels = 3", LC_OK, CT_REFUSED,
       "3 numbers a voxel"},
      {"NDims = 3", "NDims = 3\nElementToIntensityFunctionOffset = -1024", LC_OK, CT_REFUSED,
       "ElementToIntensityFunctionOffset is -1024, which is not applied"},
      {"ObjectType = Image", "ObjectType = Mesh", LC_OK, CT_REFUSED, "ObjectType is Mesh"},
      {"BinaryData = True", "BinaryData = False", LC_OK, CT_REFUSED, "written as text"},
      {"TransformMatrix = 1 0", "TransformMatrix = 1 0.5", LC_OK, CT_REFUSED,
       "axes that are not perpendicular: resample it"},
      {"ElementSpacing = 1.5", "ElementSpacing = 150", LC_OK, CT_REFUSED,
       "spacing 150 mm, expected"},
      {"Offset = -17.25", "Offset = 1e9", LC_OK, CT_REFUSED, "is not a place in a scanner"},
      {"DimSize = 24 20 16", "DimSize = 24 20 9999999", LC_OK, CT_REFUSED,
       "size 9999999 along axis 3, expected 1 to 65536"},
      {"DimSize = 24 20 16", "DimSize = 24 20 17", LC_ERR_FORMAT, CT_USABLE,
       "too short: 15360 bytes, expected 16320 for 24 x 20 x 17 voxels of type MET_SHORT"},
      {"DimSize = 24 20 16", "DimSize = 24 20", LC_ERR_FORMAT, CT_USABLE, "NDims and DimSize"},
      {"DimSize = 24 20 16", "DimSize = 24 20 x", LC_ERR_FORMAT, CT_USABLE, "NDims and DimSize"},
      {"= it.raw", "= other.raw", LC_ERR_FORMAT, CT_USABLE, "data file other.raw: No such file"},
      {"= it.raw", "= /etc/hostname", LC_ERR_FORMAT, CT_USABLE,
       "data file /etc/hostname lies outside its folder"},
      {"= it.raw", "= ../it.raw", LC_ERR_FORMAT, CT_USABLE, "lies outside its folder"},
      {"= it.raw", "= link.raw", LC_ERR_FORMAT, CT_USABLE, "lies outside its folder"},
      {"= it.raw", "= inner/../it.raw", LC_ERR_FORMAT, CT_USABLE, "lies outside its folder"},
      {"= it.raw", "= inner/it.raw", LC_OK, CT_USABLE, ""},
      {"= it.raw", "= LIST", LC_ERR_FORMAT, CT_USABLE, "names several data files (LIST)"},
      {"= it.raw", "= it%03d.raw 1 3 1", LC_ERR_FORMAT, CT_USABLE, "names several data files"},
      {"ElementDataFile", "ElementDataFile : ../it.raw\nElementDataFile", LC_ERR_FORMAT, CT_USABLE,
       "lies outside its folder"},
      {"NDims = 3", "NDims = 3\nelementdatafile = it.raw", LC_ERR_FORMAT, CT_USABLE,
       "header has ElementDataFile twice"},
      {"NDims = 3", "NDims = 3\n\001", LC_ERR_FORMAT, CT_USABLE, "control character in the header"},
      {"ElementDataFile = it.raw", "", LC_ERR_FORMAT, CT_USABLE, "header without ElementDataFile"},
      {"NDims = 3", "NDims = 3\nCompressedData = True\nCompressedDataSize = 999999", LC_ERR_FORMAT,
       CT_USABLE, "too short: CompressedDataSize is 999999"},
  };
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  (void)state;
  assert_ok(lc_folder_make(in_folder("sub"), &test_err));
  assert_ok(lc_folder_make(in_folder("sub/inner"), &test_err));
  write_meta(&grid, in_folder("sub/inner/it"), 1, 0, "int16");
  write_meta(&grid, in_folder("it"), 1, 0, "int16"); /* what must not be reached */
  assert_int_equal(symlink("../it.raw", in_folder("sub/link.raw")), 0);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    const struct changed *c = &changes[i];
    write_meta(&grid, in_folder("sub/it"), 1, 0, "int16");
    change(in_folder("sub/it.mhd"), c->old, c->fresh);
    check(in_folder("sub/it.mhd"), c->status, c->verdict, c->words);
  }
}

static void nrrds(void **state) {
  static const struct changed changes[] = {
      {"type: short", "type: short", LC_OK, CT_USABLE, ""},
      {"type: short", "type: int16_t", LC_OK, CT_USABLE, ""},
      {"space: left-posterior-superior\n", "", LC_OK, CT_REFUSED, "no space: sides unknown"},
      {"space: left-posterior-superior\n", "space:=left-posterior-superior\n", LC_OK, CT_REFUSED,
       "no space: sides unknown"},
      {"left-posterior-superior", "scanner-xyz", LC_OK, CT_REFUSED,
       "space is scanner-xyz: sides unknown"},
      {"space directions", "# space directions", LC_OK, CT_REFUSED, "no space directions"},
      {"space directions: (", "space directions: none (", LC_OK, CT_REFUSED, "are not vectors"},
      {"space origin", "# space origin", LC_OK, CT_REPAIRED, "no space origin: the first voxel"},
      {"type: short", "type: short\nspace units: \"m\" \"m\" \"m\"", LC_OK, CT_REFUSED,
       "space units"},
      {"type: short", "type: uchar", LC_OK, CT_REFUSED,
       "uchar cannot hold Hounsfield units of air"},
      {"encoding: raw", "encoding: bzip2", LC_OK, CT_REFUSED,
       "encoding bzip2, expected raw or gzip"},
      {"dimension: 3", "dimension: 4", LC_ERR_FORMAT, CT_USABLE, "dimension and sizes"},
      {"dimension: 3\nsizes: 24 20 16", "dimension: 4\nsizes: 24 20 8 2", LC_OK, CT_REFUSED,
       "2 volumes along axis 4, expected one"},
      {"sizes: 24 20 16", "sizes: 24 20 17", LC_ERR_FORMAT, CT_USABLE, "too short"},
      {"data file: it.raw", "Data File: ../it.raw", LC_ERR_FORMAT, CT_USABLE,
       "lies outside its folder"},
      {"data file: it.raw", "datafile: /etc/hostname", LC_ERR_FORMAT, CT_USABLE,
       "lies outside its folder"},
      {"data file: it.raw", "data file: it%d.raw 1 3 1", LC_ERR_FORMAT, CT_USABLE, "several"},
      {"NRRD0004", "NRRX0004", LC_ERR_FORMAT, CT_USABLE, "no NRRD header"},
  };
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  (void)state;
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    const struct changed *c = &changes[i];
    write_nrrd(&grid, in_folder("it"), "left-posterior-superior", 1, 0);
    change(in_folder("it.nhdr"), c->old, c->fresh);
    check(in_folder("it.nhdr"), c->status, c->verdict, c->words);
  }
}

static void niftis(void **state) {
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  struct grid skew = grid;
  static const struct {
    struct nifti how;
    const char *words; /* of the refusal */
  } ways[] = {
      {{.unit = 2, .type = "int16"}, "NIfTI without qform and sform: sides unknown"},
      {{.q = 1, .s = 1, .unit = 2, .type = "int16", .off = 0.02}, "qform and sform disagree"},
      {{.q = 1, .unit = 5, .type = "int16"}, "xyzt_units is 5: millimetres unknown"},
      {{.q = 1, .unit = 2, .type = "uint8"}, "uint8 cannot hold Hounsfield units of air"},
      {{.q = 1, .unit = 2, .type = "uint16", .slope = 1, .intercept = -400}, "uint16 cannot hold"},
      {{.q = 1, .unit = 2, .type = "int16", .slope = NAN}, "do not give Hounsfield units"},
      {{.q = 1, .unit = 2, .type = "int16", .times = 3}, "3 volumes along axis 4, expected one"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    write_nifti(&grid, in_folder("it.nii"), ways[i].how);
    check(in_folder("it.nii"), LC_OK, CT_REFUSED, ways[i].words);
  }
  skew.step[1][0] += 0.1;
  write_nifti(&skew, in_folder("it.nii"), (struct nifti){.s = 1, .unit = 2, .type = "int16"});
  check(in_folder("it.nii"), LC_OK, CT_REFUSED, "axes that are not perpendicular");
  skew = grid;
  for (int x = 0; x < 3; x++) skew.step[0][x] *= -1; /* another hand in the sform */
  write_nifti(&grid, in_folder("it.nii"),
              (struct nifti){.q = 1, .s = 1, .unit = 2, .type = "int16"});
  FILE *file = fopen(in_folder("it.nii"), "r+b");
  float flipped = (float)-skew.step[0][0];
  assert_true(file && fseek(file, 280, SEEK_SET) == 0 && fwrite(&flipped, 4, 1, file) == 1 &&
              fclose(file) == 0);
  check(in_folder("it.nii"), LC_OK, CT_REFUSED, "qform and sform disagree");
  struct nifti packed = {.q = 1, .unit = 2, .type = "int16", .compressed = 1};
  write_nifti(&grid, in_folder("it.nii.gz"), packed);
  check(in_folder("it.nii.gz"), LC_OK, CT_USABLE, "");
  assert_int_equal(truncate(in_folder("it.nii.gz"), 100), 0);
  check(in_folder("it.nii.gz"), LC_ERR_FORMAT, CT_USABLE, "no NIfTI header of 348 bytes");
}

static lc_status decode_checked(struct ct_volume *volume, const struct ct_series *series) {
  LC_TRY(ct_volume_decode(volume, series, 3, 4, NULL, &test_err));
  return ct_volume_check(volume, series, &test_err);
}

/* Values that are no Hounsfield units, by their range: named with it. */
static void check_values(const char *path, const char *words) {
  struct ct_series series;
  struct ct_volume volume;
  assert_ok(ct_volume_file_open(&series, path, &test_err));
  ct_volume_file_hold(&series);
  assert_fails(decode_checked(&volume, &series), LC_ERR_FORMAT, words);
  assert_non_null(strstr(test_err.message, path));
  ct_volume_free(&volume);
  ct_volume_file_drop(&series);
  ct_series_free(&series);
}

static void write_constant(double value, double other, const char *stem, int compressed) {
  struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  write_meta(&grid, stem, 1, 0, "float");
  char path[400];
  snprintf(path, sizeof path, "%s.raw", stem);
  FILE *file = fopen(path, "wb");
  for (size_t i = 0; file && i < grid_count(&grid); i++) {
    float v = (float)(i % 2 ? value : other);
    if (fwrite(&v, 4, 1, file) != 1) abort();
  }
  if (!file || fclose(file) != 0) abort();
  if (!compressed) return;
  char *data;
  size_t n, m;
  if (lc_file_read(path, 1 << 20, &data, &n, NULL) != LC_OK) abort();
  uint8_t *zip = packed((const uint8_t *)data, n, 0, &m);
  write_bytes(path, "", 0, zip, m);
  snprintf(path, sizeof path, "%s.mhd", stem);
  char line[80];
  snprintf(line, sizeof line, "NDims = 3\nCompressedData = True\nCompressedDataSize = %zu", m);
  change(path, "NDims = 3", line);
  free(data);
  free(zip);
}

static void values(void **state) {
  (void)state;
  char stem[400];
  snprintf(stem, sizeof stem, "%s", in_folder("odd"));
  write_constant(0, 1, stem, 0);
  check_values(in_folder("odd.mhd"), "no air: values from 0 to 1 are not Hounsfield units");
  write_constant(24, 1064, stem, 0);
  check_values(in_folder("odd.mhd"), "no air: values from 24 to 1064");
  write_constant(-1000, 1e6, stem, 0);
  check_values(in_folder("odd.mhd"), "values from -1000 to 1e+06 are not Hounsfield units");
  write_constant(-1000, (double)INFINITY, stem, 0);
  check_values(in_folder("odd.mhd"), "values from -1000 to inf");
  write_constant(-1000, -900, stem, 1);
  check_values(in_folder("odd.mhd"), "no air: values from -1000 to -900");
}

/* Data that are cut or damaged behind a good header. The readers below ITK would go on. */
static void damaged(void **state) {
  struct grid grid = make_grid("oblique", 0.2, 0.15, as_is, forward); /* packs badly */
  grid.size[0] = grid.size[1] = grid.size[2] = 64;
  static const char *const files[][2] = {
      {"bad.mhd", "bad.zraw"}, {"bad.nrrd", "bad.nrrd"}, {"bad.nii.gz", "bad.nii.gz"}};
  (void)state;
  for (int way = 0; way < 6; way++) {
    write_meta(&grid, in_folder("bad"), 1, 1, "int16");
    if (way / 2 == 0 && way % 2 == 0) /* its size is said in the header too */
      change(in_folder("bad.mhd"), "CompressedDataSize", "Comment");
    write_nrrd(&grid, in_folder("bad"), "LPS", 0, 1);
    write_nifti(&grid, in_folder("bad.nii.gz"),
                (struct nifti){.q = 1, .unit = 2, .type = "int16", .compressed = 1});
    const char *path = in_folder(files[way / 2][1]);
    FILE *file = fopen(path, "r+b");
    assert_true(file && fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    if (way % 2 == 0) assert_int_equal(truncate(path, size - 20), 0);
    if (way % 2 == 1) assert_true(fseek(file, size - 3, SEEK_SET) == 0 && fputc(7, file) == 7);
    assert_int_equal(fclose(file), 0);
    char named[400];
    snprintf(named, sizeof named, "%s", in_folder(files[way / 2][0]));
    struct ct_series series;
    struct ct_volume volume;
    assert_ok(ct_volume_file_open(&series, named, &test_err));
    assert_fails(ct_volume_decode(&volume, &series, 3, 4, NULL, &test_err), LC_ERR_FORMAT,
                 way % 2 ? "compressed voxels are damaged" : "compressed voxels are cut off");
    ct_series_free(&series);
  }
}

/* A bad file costs one file, and nothing else among them is the error. */
static void in_a_folder(void **state) {
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  const char *paths[] = {folder};
  struct ct_index index;
  const struct ct_series *chosen;
  (void)state;
  assert_ok(lc_folder_remove(folder, &test_err));
  assert_ok(lc_folder_make(folder, &test_err));
  write_bytes(in_folder("bad.mhd"), "bad", 3, "", 0);
  assert_fails(ct_index_scan(&index, paths, 1, NULL, NULL, &test_err), LC_ERR_FORMAT,
               "bad.mhd: header");
  struct nifti mask = {.q = 1, .unit = 2, .type = "uint8"};
  write_nifti(&grid, in_folder("bytes.nii"), mask);
  write_nifti(&grid, in_folder("mask.nii"), mask); /* labels by its name: no series */
  assert_ok(ct_index_scan(&index, paths, 1, NULL, NULL, &test_err));
  assert_fails(ct_index_choose(&index, NULL, &chosen, &test_err), LC_ERR_GEOMETRY,
               "series bytes cannot be used: voxels of type uint8");
  ct_index_free(&index);
  write_meta(&grid, in_folder("ct"), 0, 1, "int16");
  assert_ok(ct_index_scan(&index, paths, 1, NULL, NULL, &test_err));
  assert_int_equal(index.n_problems, 1);
  assert_ok(ct_index_choose(&index, NULL, &chosen, &test_err));
  assert_string_equal(chosen->series_instance_uid, "ct");
  ct_index_free(&index);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(metaimages), cmocka_unit_test(nrrds),   cmocka_unit_test(niftis),
      cmocka_unit_test(values),     cmocka_unit_test(damaged), cmocka_unit_test(in_a_folder),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
