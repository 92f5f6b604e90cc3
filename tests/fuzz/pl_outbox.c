/* The outbox with a damaged database: what was queued is queued again or set aside, never lost. */
#include "pipeline/delivery/pl_outbox.h"

#include "tests/fuzz/pl_db.h"

static char folder[256];
static char *good, *object;
static size_t n_good, n_object;
static struct pl_destinations known;

static void make(void) {
  struct pl_outbox outbox;
  struct pl_destination *added;
  enum pl_added how;
  struct lc_error err;
  snprintf(folder, sizeof folder, "%s", fuzz_path(".outbox"));
  if (lc_folder_remove(folder, &err) == LC_ERR_MEMORY) abort();
  const char *slice = fuzz_path(".dcm");
  db_slice(slice);
  if (pl_destinations_add(&known, "a", &added, &err) != LC_OK ||
      pl_schema_set(&pl_destination_schema, added, "test", "host", "localhost", &err) != LC_OK ||
      pl_outbox_open(&outbox, folder, true, &err) != LC_OK ||
      pl_outbox_keep_destination(&outbox, &known.items[0], &err) != LC_OK ||
      pl_outbox_add(&outbox, "a", slice, false, &how, &err) != LC_OK)
    abort();
  pl_outbox_close(&outbox);
  if (lc_file_read(db_path(folder, "outbox.db"), 1 << 20, &good, &n_good, &err) != LC_OK ||
      lc_file_read(slice, 1 << 20, &object, &n_object, &err) != LC_OK)
    abort();
}

/* The only object, back in its place whatever became of it. */
static void restore(void) {
  static char name[128];
  struct lc_error err;
  struct pl_outbox outbox;
  struct pl_entries entries;
  char path[LC_PATH_SIZE];
  if (!name[0]) {
    if (pl_outbox_open(&outbox, folder, false, &err) != LC_OK ||
        pl_outbox_list(&outbox, NULL, &entries, &err) != LC_OK || entries.n != 1 ||
        pl_outbox_object(&outbox, &entries.items[0], path, &err) != LC_OK)
      abort();
    snprintf(name, sizeof name, "objects/%s", strrchr(path, '/') + 1);
    pl_entries_free(&entries);
    pl_outbox_close(&outbox);
  }
  if (lc_folder_remove(db_path(folder, "damaged"), &err) == LC_ERR_MEMORY) abort();
  fuzz_write(db_path(folder, name), object, n_object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pl_outbox outbox;
  struct pl_entries entries;
  struct lc_error err;
  if (!good) make();
  restore();
  db_change(db_path(folder, "outbox.db"), good, n_good, data, size);
  if (pl_outbox_open(&outbox, folder, false, &err) != LC_OK) return 0;
  if (pl_outbox_tidy(&outbox, &known, &err) == LC_OK &&
      pl_outbox_list(&outbox, NULL, &entries, &err) == LC_OK) {
    for (size_t i = 0; i < entries.n; i++)
      if (entries.items[i].state == PL_STATE_QUEUED &&
          pl_outbox_verify(&outbox, &entries.items[i], &err) != LC_OK)
        abort();
    if (entries.n == 0 && !lc_file_exists(db_path(folder, "damaged"))) abort();
    pl_entries_free(&entries);
  }
  pl_outbox_close(&outbox);
  return 0;
}
