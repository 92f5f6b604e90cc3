/* Line charts as SVG text for reports that open without a network. Thread-safety: distinct texts,
 * distinct threads. */
#ifndef PL_JUDGE_CHART_H
#define PL_JUDGE_CHART_H

#include "lc_text.h"

struct pl_chart_line {
  const char *name;
  const double *values; /* [n_points]; NaN breaks the line */
};

struct pl_chart {
  const char *title, *x_label, *y_label;
  size_t n_points;
  const double *x;            /* [n_points], rising */
  const char *const *x_words; /* [n_points] instead of numbers along x, or NULL */
  const struct pl_chart_line *lines;
  size_t n_lines;
};

void pl_chart_svg(const struct pl_chart *chart, struct lc_text *out);
/* Text with the characters that HTML reserves replaced. */
void pl_html_escape(struct lc_text *out, const char *text);

#endif
