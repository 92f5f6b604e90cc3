/* The spool with a damaged database: the object that was received is still there. */
#include "pipeline/delivery/pl_spool.h"

#include "tests/fuzz/pl_db.h"

static const struct pl_spool_limits limits = {.max_bytes = 1 << 26, .max_series = 8, .keep_s = 60};
static char folder[256];
static char *good;
static size_t n_good;

static void make(void) {
  struct pl_spool spool;
  struct ct_identity identity;
  struct pl_spool_put put;
  char part[LC_PATH_SIZE];
  struct lc_error err;
  snprintf(folder, sizeof folder, "%s", fuzz_path(".spool"));
  if (lc_folder_remove(folder, &err) == LC_ERR_MEMORY) abort();
  if (pl_spool_open(&spool, folder, &limits, 2, &err) != LC_OK) abort();
  pl_spool_part(&spool, 0, part);
  db_slice(part);
  if (ct_identity_read(&identity, part, &err) != LC_OK ||
      pl_spool_put(&spool, &identity, part, true, &put, &err) != LC_OK)
    abort();
  pl_spool_close(&spool);
  if (lc_file_read(db_path(folder, "spool.db"), 1 << 20, &good, &n_good, &err) != LC_OK) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pl_spool spool;
  struct pl_spool_list list;
  struct pl_spool_series series;
  struct lc_error err;
  long long objects = 0;
  if (!good) make();
  db_change(db_path(folder, "spool.db"), good, n_good, data, size);
  if (pl_spool_open(&spool, folder, &limits, 2, &err) != LC_OK) return 0;
  if (pl_spool_list(&spool, &list, &err) == LC_OK) {
    for (size_t i = 0; i < list.n; i++) objects += list.items[i].objects;
    if (objects < 1) abort();
    pl_spool_list_free(&list);
  }
  if (pl_spool_next(&spool, &series, &err) != LC_OK && err.message[0] == 0) abort();
  pl_spool_close(&spool);
  if (lc_folder_remove(db_path(folder, "damaged"), &err) == LC_ERR_MEMORY) abort();
  return 0;
}
