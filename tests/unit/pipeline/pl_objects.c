/* The table of DICOM objects: what configuration and command line may name, and which are chosen.
 */
#include "pipeline/export/pl_object.h"
#include "tests/lc_test.h"

static const struct pl_object_kind *const *table;
static size_t n;

static void every_kind_is_whole(void **state) {
  (void)state;
  for (size_t k = 0; k < n; k++) {
    const struct pl_object_kind *kind = table[k];
    bool pictures = kind->needs & PL_NEEDS_PICTURES;
    assert_string_equal(kind->name, pl_object_words[k]);
    if (!*kind->doc || !*kind->role || !*kind->object->modality)
      fail_msg("%s says too little", kind->name);
    assert_non_null(strstr(kind->object->sop_class_uid, "1.2.840.10008.5.1.4.1.1."));
    assert_true(pictures ? kind->write_picture && !kind->write
                         : kind->write && !kind->write_picture);
    for (size_t i = 0; i < k; i++) {
      assert_string_not_equal(kind->name, table[i]->name);
      assert_string_not_equal(kind->role, table[i]->role);
      if (!pictures) assert_int_not_equal(kind->series_offset, table[i]->series_offset);
    }
  }
  assert_string_equal(pl_object_words[n], "all");
  assert_null(pl_object_words[n + 1]);
}

static struct pl_export_options chosen(const char *objects, const char *captures) {
  struct pl_overrides overrides = {0};
  struct pl_export_options options;
  struct pl_config config;
  assert_ok(pl_list_add(&overrides.keys, objects, &test_err));
  assert_ok(pl_list_add(&overrides.keys, captures, &test_err));
  assert_ok(pl_config_make(&config, &overrides, &test_err));
  pl_export_options_of(&options, &config);
  pl_config_free(&config);
  pl_overrides_free(&overrides);
  return options;
}

static void configuration_chooses(void **state) {
  (void)state;
  struct pl_export_options options = chosen("export.objects=[]", "capture.write=false");
  assert_false(pl_export_wants(&options, true) || pl_export_wants(&options, false));
  options = chosen("export.objects=all", "capture.write=false"); /* all beside the captures */
  assert_false(pl_export_wants(&options, true));
  for (size_t k = 0; k < n; k++) assert_int_equal(options.kinds[k], table[k]->write != NULL);
  options = chosen("export.objects=[captures, maps]", "capture.write=false");
  for (size_t k = 0; k < n; k++)
    assert_int_equal(options.kinds[k], strcmp(table[k]->name, "maps") == 0 ||
                                           strcmp(table[k]->name, "captures") == 0);
  options = chosen("export.objects=report", "capture.write=true");
  assert_true(pl_export_wants(&options, true) && pl_export_wants(&options, false));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_kind_is_whole),
                                     cmocka_unit_test(configuration_chooses)};
  table = pl_object_kinds(&n);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
