/* Which received files hold the nodules of which received images: both have UIDs in a table. */
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/delivery/pl_spool.h"

/* Names that share a UID with ?1. */
#define RELATED                                                                                    \
  "name <> ?1 AND name IN (SELECT other.name FROM uids AS other, uids AS own WHERE own.name = ?1 " \
  "AND other.uid = own.uid)"

lc_status pl_spool_relate(struct pl_spool *spool, const char *name, const char *const *uids,
                          size_t n, struct lc_error *err) {
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  LC_TRY(pl_spool_begin(&open, spool, err));
  for (size_t i = 0; i < n; i++)
    if (*uids[i])
      LC_TRY(pl_db_run(open, "INSERT OR IGNORE INTO uids(uid, name) VALUES(?1, ?2)",
                       PL_VALUES(PL_T(uids[i]), PL_T(name)), NULL, err));
  return pl_db_commit(&open, err);
}

lc_status pl_spool_sources(struct pl_spool *spool, const char *name, struct pl_spool_names *names,
                           struct lc_error *err) {
  LC_SCOPED(pl_rows_drop) struct pl_rows rows = {0};
  names->n = 0;
  LC_TRY(pl_spool_ready(spool, err));
  LC_TRY(pl_rows_begin(&rows, &spool->db,
                       "SELECT name FROM series WHERE place = 2 AND outcome = '" PL_SPOOL_NODULES
                       "' AND " RELATED " ORDER BY changed_ms, name",
                       PL_VALUES(PL_T(name)), err));
  while (pl_rows_next(&rows)) {
    if (names->n == PL_SPOOL_SOURCES_MOST) {
      lc_log(LC_LOG_WARNING, "series %s: more than %d files with nodules; the others are left out",
             name, PL_SPOOL_SOURCES_MOST);
      break;
    }
    PL_ROWS_COPY(&rows, 0, names->items[names->n]);
    names->n++;
  }
  pl_rows_drop(&rows);
  return LC_OK;
}

lc_status pl_spool_wake(struct pl_spool *spool, const char *name, size_t *n_woken, size_t *n_wait,
                        struct lc_error *err) {
  LC_SCOPED(pl_db_take_back) struct pl_db *open = NULL;
  long long waiting;
  LC_TRY(pl_spool_begin(&open, spool, err));
  LC_TRY(pl_db_number(open,
                      "SELECT count(*) FROM series WHERE place < 2 AND modality = 'CT' "
                      "AND " RELATED,
                      PL_VALUES(PL_T(name)), &waiting, err));
  LC_TRY(pl_db_run(open,
                   "UPDATE series SET place = 1, changed_ms = ?2 WHERE place = 2 AND "
                   "modality = 'CT' AND " RELATED,
                   PL_VALUES(PL_T(name), PL_I(pl_now_ms())), n_woken, err));
  *n_wait = (size_t)waiting;
  return pl_db_commit(&open, err);
}

lc_status pl_spool_given_up(struct pl_spool *spool, double wait_s, struct pl_spool_series *series,
                            struct lc_error *err) {
  return pl_spool_first(spool,
                        "WHERE place = 2 AND outcome = '" PL_SPOOL_WITHOUT
                        "' AND abs(?1 - changed_ms) >= ?2 ORDER BY changed_ms, name LIMIT 1",
                        PL_VALUES(PL_I(pl_now_ms()), PL_I(1000 * wait_s)), series, err);
}
