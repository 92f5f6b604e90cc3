/* Queues files and the files below folders for some destinations and counts what became of them. */
#include "pipeline/delivery/pl_send_queue.h"

#include <string.h>

#include "common/lc_log.h"
#include "ct_io/dicom_read/ct_files.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"

static bool ends_all(lc_status status) {
  return status == LC_ERR_NO_SPACE || status == LC_ERR_NOT_WRITABLE || status == LC_ERR_MEMORY ||
         status == LC_ERR_INTERRUPTED;
}

static lc_status queue_file(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                            const char *path, bool named, bool replace,
                            struct pl_queue_count *count, struct lc_error *err) {
  for (size_t i = 0; i < destinations->n; i++) {
    enum pl_added added = PL_ADDED_QUEUED;
    lc_status status =
        pl_outbox_add(outbox, destinations->items[i].name, path, replace, &added, err);
    if (ends_all(status)) return status;
    if (!named && (status == LC_ERR_NO_DICOM || status == LC_ERR_UNSUPPORTED)) {
      lc_log(LC_LOG_DEBUG, "%s", err->message);
      count->other++;
      return LC_OK;
    }
    if (status != LC_OK) {
      lc_log(LC_LOG_ERROR, "%s (%s)", err->message, lc_status_name(status));
      count->failed++;
      count->worst = status;
      if (status != LC_ERR_MISMATCH) return LC_OK; /* no better for another destination */
      continue;
    }
    count->queued += added == PL_ADDED_QUEUED;
    count->known += added == PL_ADDED_KNOWN;
    count->refused_before += added == PL_ADDED_REFUSED_BEFORE;
  }
  return LC_OK;
}

/* Drafts and temporary files are hidden. */
static bool is_hidden(const char *root, const char *path) {
  return strstr(path + strlen(root), "/.") != NULL;
}

static lc_status queue_path(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                            const char *root, bool replace, struct pl_queue_count *count,
                            struct lc_error *err) {
  struct ct_files files = {0};
  struct pl_progress progress;
  bool named = !lc_folder_exists(root);
  lc_status status = ct_files_walk(&files, root, NULL, err);
  pl_progress_start(&progress, "queueing", "files", files.count);
  for (size_t i = 0; i < files.count && status == LC_OK; i++) {
    status = pl_signal_check(err);
    if (status == LC_OK && (named || !is_hidden(root, files.paths[i])))
      status = queue_file(outbox, destinations, files.paths[i], named, replace, count, err);
    lc_progress_step(&progress.progress, 1);
  }
  pl_progress_end(&progress);
  ct_files_free(&files);
  return status;
}

lc_status pl_send_queue(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                        const struct pl_list *paths, bool replace, struct pl_queue_count *count,
                        struct lc_error *err) {
  struct lc_error late;
  lc_status status = LC_OK;
  memset(count, 0, sizeof *count);
  for (size_t i = 0; i < paths->n && status == LC_OK; i++)
    status = queue_path(outbox, destinations, paths->items[i], replace, count, err);
  lc_status synced = pl_outbox_sync(outbox, &late);
  if (status == LC_OK && synced != LC_OK) LC_FAIL(err, synced, "%s", late.message);
  return status;
}
