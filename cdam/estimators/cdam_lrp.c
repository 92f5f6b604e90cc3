/* Carries relevance back from a target, block by block, by the rules in cdam_lrp.h. */
#include "cdam/estimators/cdam_lrp.h"

#include <string.h>

#include "vit/kernels/vit_backend.h"

static size_t largest(size_t a, size_t b) {
  return a > b ? a : b;
}

static size_t widest_head(const struct vit_arch *arch) {
  size_t widest = 1;
  for (size_t i = 0; i < arch->n_heads; i++)
    widest = largest(widest, largest(arch->heads[i].hidden, arch->heads[i].outputs));
  return widest;
}

static void take_all(struct cdam_lrp *lrp, const struct cdam_double *d, struct lc_arena *arena) {
  size_t head = widest_head(&d->model->arch), wide = largest(largest(3 * d->dim, d->mlp), head);
  size_t weight = largest(wide * d->dim, head * head);
  const struct {
    double **at;
    size_t count;
  } parts[] = {{&lrp->weight, weight},      {&lrp->part, d->n * wide},
               {&lrp->sum, d->n * wide},    {&lrp->result, d->n * wide},
               {&lrp->back, d->n * wide},   {&lrp->branch, d->n * d->dim},
               {&lrp->wide, d->n * wide},   {&lrp->square, d->n * d->n},
               {&lrp->head_weight, weight}, {&lrp->head_active, head}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    *parts[i].at = lc_arena_take(arena, parts[i].count, sizeof(double));
}

lc_status cdam_lrp_init(struct cdam_lrp *lrp, const struct cdam_double *d, struct lc_error *err) {
  memset(lrp, 0, sizeof *lrp);
  struct lc_arena counting;
  lc_arena_init_counting(&counting);
  take_all(lrp, d, &counting);
  LC_TRY(lc_arena_init(&lrp->arena, counting.peak, err));
  take_all(lrp, d, &lrp->arena);
  return LC_OK;
}

void cdam_lrp_free(struct cdam_lrp *lrp) {
  lc_arena_free(&lrp->arena);
  memset(lrp, 0, sizeof *lrp);
}

static double quotient(double a, double b) {
  double den = b + 1e-9;
  if (den == 0) den = 1e-9;
  return b == 0 ? 0 : a / den; /* NOLINT: the sign of zero does not matter */
}

static void keep_sign(const double *in, size_t count, bool positive, double *out) {
  for (size_t i = 0; i < count; i++) out[i] = (in[i] > 0) == positive ? in[i] : 0;
}

/* in [n, k], out relevance r [n, m], weight [m, k]: lrp->result gets the relevance of in. */
static void linear(struct cdam_lrp *lrp, const double *in, size_t n, size_t k, const double *weight,
                   size_t m, const double *r) {
  memset(lrp->result, 0, n * k * sizeof(double));
  for (int positive = 0; positive < 2; positive++) {
    keep_sign(weight, m * k, positive, lrp->weight);
    keep_sign(in, n * k, positive, lrp->part);
    vit_backend()->product(false, true, n, m, k, 1, lrp->part, k, lrp->weight, k, lrp->sum, m);
    for (size_t i = 0; i < n * m; i++) lrp->sum[i] = quotient(r[i], lrp->sum[i]);
    vit_backend()->product(false, false, n, k, m, 1, lrp->sum, m, lrp->weight, k, lrp->back, k);
    for (size_t i = 0; i < n * k; i++) lrp->result[i] += lrp->part[i] * lrp->back[i];
  }
}

void cdam_lrp_start(struct cdam_lrp *lrp, const struct cdam_double *d,
                    const struct cdam_target *target, double *r) {
  const struct vit_arch *arch = &d->model->arch;
  size_t dim = d->dim;
  double *embedding = lrp->branch, *weight = lrp->head_weight;
  cdam_double_embedding(d, embedding);
  memset(r, 0, d->n * dim * sizeof *r);
  if (target->kind == CDAM_CONCEPT) {
    const double one = 1;
    for (size_t k = 0; k < dim; k++) weight[k] = (double)target->concept_vector[k];
    linear(lrp, embedding, 1, dim, weight, 1, &one);
    memcpy(r, lrp->result, dim * sizeof *r);
    return;
  }
  for (size_t h = 0, first = 0; h < arch->n_heads; first += arch->heads[h++].outputs) {
    size_t outputs = arch->heads[h].outputs, hidden = arch->heads[h].hidden;
    size_t in = hidden ? hidden : dim;
    const struct vit_head *head = &d->model->heads[h];
    double *start = lrp->wide;
    bool any = false;
    for (size_t o = 0; o < outputs; o++) {
      start[o] = first + o == target->a ? 1 : 0;
      if (target->kind == CDAM_DIFFERENCE && first + o == target->b) start[o] -= 1;
      any = any || start[o] != 0;
    }
    if (!any) continue;
    for (size_t i = 0; i < outputs * in; i++) weight[i] = (double)head->output.weight[i];
    double *active = lrp->head_active;
    if (hidden) {
      cdam_double_hidden(d->model, h, embedding, active);
      for (size_t u = 0; u < hidden; u++)
        active[u] = vit_head_activate(arch->heads[h].activation, active[u]);
    }
    linear(lrp, hidden ? active : embedding, 1, in, weight, outputs, start);
    if (hidden) {
      memcpy(start, lrp->result, hidden * sizeof *start);
      for (size_t i = 0; i < hidden * dim; i++) weight[i] = (double)head->hidden.weight[i];
      linear(lrp, embedding, 1, dim, weight, hidden, start);
    }
    for (size_t k = 0; k < dim; k++) r[k] += lrp->result[k];
  }
}

/* Relevance of a sum shared out: r stays with the trunk, lrp->branch gets the branch's. */
static void split(struct cdam_lrp *lrp, const double *trunk, const double *branch, size_t count,
                  double *r) {
  for (size_t i = 0; i < count; i++) {
    double share = quotient(r[i], trunk[i] + branch[i]);
    lrp->branch[i] = branch[i] * share;
    r[i] = trunk[i] * share;
  }
}

/* From the relevance of the mixed heads in lrp->branch [n, dim] to that of the attention, and of
 * queries, keys and values in lrp->wide [n, 3 dim]. */
static void attention_relevance(struct cdam_lrp *lrp, const struct cdam_double *d,
                                double *attention, bool only_attention) {
  size_t n = d->n, dim = d->dim, width = dim / d->heads, ld = 3 * dim;
  for (size_t i = 0; i < n * dim; i++) lrp->branch[i] = quotient(lrp->branch[i], d->mixed[i]);
  for (size_t h = 0; h < d->heads; h++) {
    const double *a = d->attention + h * n * n, *q = d->qkv + h * width, *k = q + dim, *v = k + dim;
    const double *share = lrp->branch + h * width;
    double *r = attention + h * n * n, *rq = lrp->wide + h * width, *rk = rq + dim, *rv = rk + dim;
    vit_backend()->product(false, true, n, n, width, 0.5, share, dim, v, ld, r, n);
    for (size_t i = 0; i < n * n; i++) r[i] *= a[i];
    if (only_attention) continue;
    vit_backend()->product(true, false, n, width, n, 0.5, a, n, share, dim, rv, ld);
    vit_backend()->product(false, true, n, n, width, 1, q, ld, k, ld, lrp->square, n);
    for (size_t i = 0; i < n * n; i++) lrp->square[i] = quotient(r[i], lrp->square[i]);
    vit_backend()->product(false, false, n, width, n, 0.5, lrp->square, n, k, ld, rq, ld);
    vit_backend()->product(true, false, n, width, n, 0.5, lrp->square, n, q, ld, rk, ld);
    for (size_t i = 0; i < n; i++)
      for (size_t c = 0; c < width; c++) {
        rq[i * ld + c] *= q[i * ld + c];
        rk[i * ld + c] *= k[i * ld + c];
        rv[i * ld + c] *= v[i * ld + c];
      }
  }
}

void cdam_lrp_block(struct cdam_lrp *lrp, const struct cdam_double *d, double *r, double *attention,
                    bool only_attention) {
  size_t n = d->n, dim = d->dim, mlp = d->mlp;
  split(lrp, d->after, d->mlp_out, n * dim, r);
  linear(lrp, d->active, n, mlp, d->fc2_weight, dim, lrp->branch);
  memcpy(lrp->wide, lrp->result, n * mlp * sizeof *r);
  linear(lrp, d->normed2, n, dim, d->fc1_weight, mlp, lrp->wide);
  for (size_t i = 0; i < n * dim; i++) r[i] += lrp->result[i];
  split(lrp, d->input, d->attended, n * dim, r);
  linear(lrp, d->mixed, n, dim, d->proj_weight, dim, lrp->branch);
  memcpy(lrp->branch, lrp->result, n * dim * sizeof *r);
  attention_relevance(lrp, d, attention, only_attention);
  if (only_attention) return;
  linear(lrp, d->normed, n, dim, d->qkv_weight, 3 * dim, lrp->wide);
  for (size_t i = 0; i < n * dim; i++) r[i] += lrp->result[i];
}
