#include "pipeline/config/pl_model_file.h"

#include "common/lc_file.h"
#include "tests/lc_test.h"

static char folder[256];

static const char *file(const char *text) {
  static char path[300];
  snprintf(path, sizeof path, "%s/model.yaml", folder);
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
  return path;
}

static void a_file_changes_its_base(void **state) {
  (void)state;
  struct vit_arch arch;
  assert_ok(
      pl_model_architecture(&arch,
                            file("base: vit_tiny_patch16\nname: lung\nimage_height: 96\n"
                                 "image_width: 64\ndepth: 3\nembed_dim: 48\nnum_heads: 4\n"
                                 "heads: [malignancy, 'grades:outputs=8:hidden=16:regression']\n"),
                            &test_err));
  assert_string_equal(arch.name, "lung");
  assert_int_equal(arch.patch_size, 16);
  assert_int_equal(arch.grid_height, 6);
  assert_int_equal(arch.grid_width, 4);
  assert_int_equal(arch.mlp_dim, 192); /* four times the token, as in the papers */
  assert_int_equal(arch.depth, 3);
  assert_int_equal(vit_arch_outputs(&arch), 9);
  assert_true(vit_arch_output_is_logit(&arch, 0));
  assert_false(vit_arch_output_is_logit(&arch, 1));
  struct lc_text text = {0};
  pl_model_describe(&arch, &text);
  assert_non_null(strstr(lc_text_get(&text), "lung: image 96x64"));
  assert_non_null(strstr(lc_text_get(&text), "grades:outputs=8:hidden=16:regression"));
  lc_text_free(&text);
}

static void mistakes_are_reported(void **state) {
  (void)state;
  struct vit_arch arch;
  assert_fails(pl_model_architecture(&arch, "vit_smal_patch8", &test_err), LC_ERR_NOT_FOUND,
               "vit_small_patch8");
  assert_fails(pl_model_architecture(&arch, file("dept: 3\n"), &test_err), LC_ERR_CONFIG,
               "model.yaml:1: unknown key 'dept', the nearest valid key is 'depth'");
  assert_fails(pl_model_architecture(&arch, file("embed_dim: 50\nnum_heads: 4\n"), &test_err),
               LC_ERR_CONFIG, "model.yaml");
  assert_fails(pl_model_architecture(&arch, file("base: nothing\n"), &test_err), LC_ERR_NOT_FOUND,
               "model.yaml");
}

static void heads_are_parsed_strictly(void **state) {
  (void)state;
  struct vit_arch arch;
  assert_ok(pl_model_architecture(&arch, "vit_tiny_patch16", &test_err));
  assert_ok(pl_head_parse(&arch, "a:outputs=3", &test_err));
  assert_int_equal(arch.heads[0].outputs, 3);
  assert_true(arch.heads[0].sigmoid);
  assert_fails(pl_head_parse(&arch, "b:output=3", &test_err), LC_ERR_USAGE, "output=3");
  assert_fails(pl_head_parse(&arch, "b:outputs=0", &test_err), LC_ERR_USAGE, "at least one");
  assert_fails(pl_head_parse(&arch, "b:outputs=-1", &test_err), LC_ERR_USAGE, "outputs=-1");
  assert_fails(pl_head_parse(&arch, ":outputs=1", &test_err), LC_ERR_USAGE, "expected NAME");
  assert_fails(pl_head_parse(&arch, "", &test_err), LC_ERR_USAGE, "expected NAME");
  assert_fails(pl_head_parse(&arch, "a", &test_err), LC_ERR_USAGE, "a");
}

int main(void) {
  lc_test_folder(folder);
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_file_changes_its_base),
                                     cmocka_unit_test(mistakes_are_reported),
                                     cmocka_unit_test(heads_are_parsed_strictly)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (lc_folder_remove(folder, NULL) != LC_OK) return 1;
  return failed;
}
