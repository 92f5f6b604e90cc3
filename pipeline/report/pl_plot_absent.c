/* Stands in for plots where LUNGCDAM_WITH_PLOT is OFF. */
#include "pipeline/report/pl_plot.h"

bool pl_plot_available(void) {
  return false;
}

lc_status pl_plot_write(const struct pl_plot *plot, const char *path, struct lc_error *err) {
  (void)plot;
  LC_FAIL(err, LC_ERR_UNSUPPORTED,
          "%s: plots were left out when this program was built (LUNGCDAM_WITH_PLOT is OFF)", path);
}

lc_status pl_plot_bytes(const struct pl_plot *plot, cdam_format format, struct lc_text *out,
                        struct lc_error *err) {
  (void)plot, (void)format, (void)out;
  LC_FAIL(err, LC_ERR_UNSUPPORTED,
          "plots were left out when this program was built (LUNGCDAM_WITH_PLOT is OFF)");
}
