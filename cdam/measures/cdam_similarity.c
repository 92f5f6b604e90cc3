/* Compares maps of targets and of runs, and targets over images. */
#include "cdam/measures/cdam_similarity.h"

#include <math.h>
#include <string.h>

#include "cdam/measures/cdam_measure.h"
#include "common/lc_scope.h"
#include "vit/train/vit_metrics.h"

double cdam_pearson(const double *a, const double *b, size_t n) {
  double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < n; i++) {
    mean_a += a[i];
    mean_b += b[i];
  }
  mean_a /= (double)n;
  mean_b /= (double)n;
  for (size_t i = 0; i < n; i++) {
    double x = a[i] - mean_a, y = b[i] - mean_b;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  if (n < 2 || !(aa > 0) || !(bb > 0)) return NAN;
  return fmax(-1, fmin(1, ab / (sqrt(aa) * sqrt(bb))));
}

static double cosine_of(const float *a, const float *b, size_t n) {
  double aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < n; i++) {
    aa += (double)a[i] * (double)a[i];
    bb += (double)b[i] * (double)b[i];
    ab += (double)a[i] * (double)b[i];
  }
  return aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : NAN;
}

lc_status cdam_similarity_of(const float *a, const float *b, size_t n,
                             struct cdam_similarity *similarity, struct lc_error *err) {
  *similarity = (struct cdam_similarity){NAN, NAN, NAN, cosine_of(a, b, n)};
  if (n == 0) return LC_OK;
  LC_FREED double *x = NULL;
  LC_TRY(lc_alloc(&x, 2 * n, sizeof *x, err));
  double *y = x + n;
  for (size_t i = 0; i < n; i++) {
    x[i] = (double)a[i];
    y[i] = (double)b[i];
  }
  similarity->pearson = cdam_pearson(x, y, n);
  struct vit_regression regression;
  LC_TRY(vit_regress(x, y, n, &regression, err));
  similarity->spearman = regression.spearman;
  for (size_t i = 0; i < 2 * n; i++) x[i] = fabs(x[i]);
  LC_TRY(vit_regress(x, y, n, &regression, err));
  similarity->spearman_absolute = regression.spearman;
  return LC_OK;
}

lc_status cdam_target_agreement(const double *values, size_t images, size_t targets,
                                double *agreement, struct lc_error *err) {
  LC_FREED double *columns = NULL;
  LC_TRY(lc_alloc(&columns, targets * images + 1, sizeof *columns, err));
  for (size_t t = 0; t < targets; t++)
    for (size_t i = 0; i < images; i++) columns[t * images + i] = values[i * targets + t];
  for (size_t s = 0; s < targets; s++)
    for (size_t t = 0; t < targets; t++)
      agreement[s * targets + t] = cdam_pearson(columns + s * images, columns + t * images, images);
  return LC_OK;
}

lc_status cdam_repeatability_of(const float *scores, size_t runs, size_t patches, double *pearson,
                                struct lc_error *err) {
  if (runs < 2) LC_FAIL(err, LC_ERR_USAGE, "repeatability of %zu runs, expected two or more", runs);
  *pearson = 0;
  for (size_t i = 0; i < runs; i++)
    for (size_t j = i + 1; j < runs; j++) {
      struct cdam_similarity pair;
      LC_TRY(cdam_similarity_of(scores + i * patches, scores + j * patches, patches, &pair, err));
      *pearson += pair.pearson;
    }
  *pearson /= 0.5 * (double)runs * (double)(runs - 1);
  return LC_OK;
}

enum { CLASS_PEARSON, CLASS_COSINE, N_CLASS };

/* Means over the other targets of one image. */
static lc_status run_targets(struct cdam_subject *subject, double *values, struct lc_error *err) {
  size_t others = subject->targets - 1, n = subject->patches;
  for (size_t m = 0; m < subject->maps; m++, values += N_CLASS) {
    const float *map = cdam_subject_map(subject, m);
    values[CLASS_PEARSON] = values[CLASS_COSINE] = 0;
    for (size_t t = 1; t <= others; t++) {
      struct cdam_similarity s;
      LC_TRY(cdam_similarity_of(map, map + t * n, n, &s, err));
      values[CLASS_PEARSON] += s.pearson / (double)others;
      values[CLASS_COSINE] += s.cosine / (double)others;
    }
  }
  return LC_OK;
}

static const struct cdam_value class_values[N_CLASS] = {
    [CLASS_PEARSON] = {"class_pearson", CDAM_SMALLER,
                       "mean correlation with the maps of the other targets"},
    [CLASS_COSINE] = {"class_cosine", CDAM_SMALLER, "mean cosine with them"}};

const struct cdam_measure cdam_measure_targets = {.group = "class sensitivity",
                                                  .needs = CDAM_HAVE_TARGETS,
                                                  .values = class_values,
                                                  .n_values = N_CLASS,
                                                  .run = run_targets};

/* maps: [runs, patches], the first run made before. */
static lc_status explain_runs(struct cdam_subject *subject, size_t map, float *maps,
                              struct lc_error *err) {
  for (size_t run = 1; run < subject->settings->runs; run++) {
    const struct cdam_question question = {
        .image = subject->image, .first = map, .count = 1, .run = run};
    LC_TRY(subject->explain(subject->context, &question, maps + run * subject->patches, err));
  }
  return LC_OK;
}

/* Maps that draw nothing repeat exactly: same settings, same bits. */
static lc_status run_runs(struct cdam_subject *subject, double *values, struct lc_error *err) {
  size_t runs = subject->settings->runs, n = subject->patches;
  LC_FREED float *maps = NULL;
  LC_TRY(lc_alloc(&maps, runs * n, sizeof *maps, err));
  for (size_t m = 0; m < subject->maps; m++) {
    values[m] = 1;
    if (!subject->is_drawn[m]) continue;
    memcpy(maps, cdam_subject_map(subject, m), n * sizeof *maps);
    LC_TRY(explain_runs(subject, m, maps, err));
    LC_TRY(cdam_repeatability_of(maps, runs, n, &values[m], err));
  }
  return LC_OK;
}

static const struct cdam_value run_values[] = {
    {"repeatability", CDAM_LARGER, "correlation of maps with other seeds"}};

const struct cdam_measure cdam_measure_runs = {.group = "robustness",
                                               .needs = CDAM_HAVE_RUNS,
                                               .values = run_values,
                                               .n_values = 1,
                                               .run = run_runs};
