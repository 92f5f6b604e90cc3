/* YAML: the first byte chooses whose. A configuration that is accepted is printed, and what is
 * printed is accepted and printed as the same. */
#include "pipeline/config/pl_config.h"
#include "pipeline/config/pl_recipe.h"
#include "pipeline/delivery/pl_destination.h"
#include "pipeline/judge/pl_judge_config.h"
#include "tests/fuzz/lc_fuzz.h"

static bool print(const char *path, struct lc_text *text) {
  struct pl_overrides overrides = {.file = path};
  struct pl_config config;
  struct lc_error err;
  if (pl_config_make(&config, &overrides, &err) != LC_OK) return false;
  pl_schema_print(&pl_config_schema, &config, PL_PRINT_CANONICAL, text);
  pl_config_free(&config);
  return true;
}

static void run_configuration(const char *path) {
  struct lc_text first = {0}, second = {0};
  if (print(path, &first)) {
    fuzz_write(path, first.data, first.length);
    if (!print(path, &second) || strcmp(first.data, second.data) != 0) abort();
  }
  lc_text_free(&first);
  lc_text_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_bytes in = {data, size};
  int which = fuzz_byte(&in) % 4;
  const char *path = fuzz_file(in.data, in.size, ".yaml");
  struct pl_overrides overrides = {.file = path};
  struct pl_judge_overrides judging = {.file = (char *)path};
  struct pl_recipe recipe;
  struct pl_judge_config judge;
  struct pl_destinations destinations = {0};
  struct lc_error err;
  if (which == 0) run_configuration(path);
  if (which == 1 && pl_recipe_make(&recipe, &overrides, &err) == LC_OK) pl_recipe_free(&recipe);
  if (which == 2 && pl_judge_config_make(&judge, &judging, &err) == LC_OK)
    pl_judge_config_free(&judge);
  if (which == 3) {
    if (pl_destinations_read(&destinations, path, &err) == LC_OK && destinations.n > size) abort();
    pl_destinations_free(&destinations);
  }
  return 0;
}
