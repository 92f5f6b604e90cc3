/* Weights as other libraries save them: each case of tests/reference/naming, or of the folder that
 * LUNGCDAM_TEST_NAMING names, gives the logits that its library gave in float64, or is refused in
 * the words that it says (make_naming_models.py describes a case and makes them).
 * needs: pth */
#include <dirent.h>

#include "common/lc_file.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_model_file.h"
#include "tests/vit_test.h"

struct naming {
  char file[512], arch[512], which[64], refused[128], by[128];
  struct pl_load load;
};

static void read_line(struct naming *naming, const char *folder, const char *key,
                      const char *value) {
  if (strcmp(key, "file") == 0) snprintf(naming->file, 512, "%s/%s", folder, value);
  if (strcmp(key, "arch") == 0) snprintf(naming->arch, 512, "%s/%s", folder, value);
  if (strcmp(key, "which") == 0) snprintf(naming->which, 64, "%s", value);
  if (strcmp(key, "refused") == 0) snprintf(naming->refused, 128, "%s", value);
  if (strcmp(key, "by") == 0) snprintf(naming->by, 128, "%s", value);
  if (strcmp(key, "ignore") == 0) assert_ok(pl_list_add(&naming->load.ignore, value, &test_err));
}

static void read_case(struct naming *naming, const char *folder) {
  char path[512], line[512];
  memset(naming, 0, sizeof *naming);
  snprintf(path, sizeof path, "%s/case", folder);
  FILE *stream = fopen(path, "r");
  assert_non_null(stream);
  while (fgets(line, sizeof line, stream)) {
    line[strcspn(line, "\n")] = '\0';
    char *space = strchr(line, ' ');
    assert_non_null(space);
    *space = '\0';
    read_line(naming, folder, line, space + 1);
  }
  fclose(stream);
  naming->load.architecture = naming->arch[0] ? naming->arch : NULL;
  naming->load.which = naming->which[0] ? naming->which : NULL;
}

/* Largest difference of the logits, as a share of the largest logit or of 1. */
static double difference(const struct vit_model *model, const char *folder) {
  char path[512];
  struct vit_tensor_file file;
  struct vit_workspace workspace;
  struct vit_trace trace;
  const struct vit_request request = {.last_input = true};
  snprintf(path, sizeof path, "%s/expected.safetensors", folder);
  assert_ok(vit_tensor_file_open(&file, path, &test_err));
  const struct vit_tensor *input = vit_test_tensor(&file, "input");
  const struct vit_tensor *logits = vit_tensor_file_find(&file, "logits");
  assert_true(logits && logits->dtype == VIT_F64);
  assert_ok(vit_workspace_init(&workspace, model, input->shape[0], input->shape[2], input->shape[3],
                               &request, &test_err));
  assert_ok(vit_forward(&workspace, input->data, input->shape[0], &trace, &test_err));
  size_t outputs = model->arch.n_heads > 0 ? vit_arch_outputs(&model->arch) : model->arch.embed_dim;
  assert_int_equal(logits->count, input->shape[0] * outputs);
  const double *expected = logits->data;
  double worst = 0, top = 1;
  for (size_t i = 0; i < logits->count; i++) {
    double off = fabs((double)trace.logits[i] - expected[i]);
    if (!(off <= worst)) worst = off;
    if (fabs(expected[i]) > top) top = fabs(expected[i]);
  }
  vit_workspace_free(&workspace);
  vit_tensor_file_close(&file);
  return worst / top;
}

/* One line of report; true when the case is as it should be. */
static bool try_case(const char *folder, const char *name) {
  struct naming naming;
  LC_SCOPED(vit_model_free) struct vit_model model = {0};
  read_case(&naming, folder);
  test_err.message[0] = '\0';
  lc_status status = pl_model_load(&model, naming.file, &naming.load, &test_err);
  pl_list_free(&naming.load.ignore);
  bool refused = naming.refused[0] != '\0', fine;
  if (status == LC_OK) {
    double off = refused ? NAN : difference(&model, folder);
    fine = off <= 1e-5;
    printf("%-40s %s off by %.1e, assumed %s (%s)\n", name, fine ? "ok     " : "FAILED ", off,
           model.assumed ? model.assumed : "nothing", naming.by);
  } else {
    fine = refused && strstr(test_err.message, naming.refused) != NULL;
    printf("%-40s %s %s (%s)\n", name, fine ? "refused" : "FAILED ", test_err.message, naming.by);
  }
  return fine;
}

static void every_case(void **state) {
  (void)state;
  const char *named = getenv("LUNGCDAM_TEST_NAMING"), *root = named;
  if (!named) root = LC_TEST_REFERENCE_DIR "/naming";
  struct dirent **entries;
  int n = scandir(root, &entries, NULL, alphasort), cases = 0, wrong = 0;
  assert_true(n > 0);
  for (int i = 0; i < n; i++) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s/%s", root, entries[i]->d_name);
    if (entries[i]->d_name[0] != '.') {
      cases++;
      wrong += !try_case(folder, entries[i]->d_name);
    }
    free(entries[i]);
  }
  free((void *)entries);
  printf("%d cases, %d wrong\n", cases, wrong);
  assert_int_equal(wrong, 0);
  assert_true(cases >= 25);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_case)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
