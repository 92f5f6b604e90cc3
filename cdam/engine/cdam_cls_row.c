/* The CLS row forward through projection, MLP, final norm and heads, and back again. */
#include <string.h>

#include "cdam/engine/cdam_cls_rows.h"
#include "vit/kernels/vit_backend.h"

/* The slopes of hidden units: of ReLU 1 where a unit is on, else 0. */
static void find_slopes(const struct cdam_cls *e, const float *dots, float *on) {
  const struct vit_arch *arch = &e->model->arch;
  const float *constant = e->prepared->constant;
  size_t u = 0;
  for (size_t h = 0; h < arch->n_heads; h++)
    for (size_t end = u + arch->heads[h].hidden; u < end; u++)
      on[u] = (float)vit_head_slope(arch->heads[h].activation, (double)(dots[u] + constant[u]));
}

/* What hidden units read, how far each is on, and their means. */
static void read_units(struct cdam_cls *e, size_t n) {
  const struct cdam_prepared *p = e->prepared;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, units = p->units;
  cdam_cls_product(n, units, dim, r->z, dim, p->hidden, units, r->dots, units, false);
  for (size_t i = 0; i < n; i++) {
    float *on = r->on + i * units, *dots = r->dots + i * units;
    find_slopes(e, dots, on);
    vit_vectors()->multiply(on, dots, units, dots);
    vit_vectors()->multiply(on, p->mean, units, r->means_on + i * units);
  }
}

void cdam_cls_forward(struct cdam_cls *e, size_t n) {
  const struct cdam_prepared *p = e->prepared;
  const struct vit_arch *arch = &e->model->arch;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, all = vit_pad(n * mlp);
  cdam_cls_product(n, dim, dim, r->attended, dim, p->proj, dim, r->after, dim, false);
  vit_vectors()->add(r->after, e->cls, n * dim, 1, r->after);
  for (size_t i = 0; i < n; i++) {
    float *z2 = r->z2 + i * dim;
    vit_vectors()->add(r->after + i * dim, p->proj_constant, dim, 1, r->after + i * dim);
    memcpy(z2, r->after + i * dim, dim * sizeof *z2);
    r->rstd2[i] = vit_vectors()->standardise(z2, dim, arch->layer_norm_eps);
  }
  cdam_cls_product(n, mlp, dim, r->z2, dim, p->fc1, mlp, r->pre, mlp, false);
  for (size_t i = 0; i < n; i++)
    vit_vectors()->add(r->pre + i * mlp, p->fc1_constant, mlp, 1, r->pre + i * mlp);
  for (size_t k = n * mlp; k < all; k++) r->pre[k] = 0;
  for (size_t k = 0; k < all; k++) r->slope[k] = 1;
  vit_backend()->gelu_backward(1, all, r->pre, r->slope, r->active, all);
  cdam_cls_product(n, dim, mlp, r->active, mlp, p->fc2, dim, r->z, dim, false);
  vit_vectors()->add(r->z, r->after, n * dim, 1, r->z);
  for (size_t i = 0; i < n; i++) {
    vit_vectors()->add(r->z + i * dim, p->fc2_constant, dim, 1, r->z + i * dim);
    r->rstd[i] = vit_vectors()->standardise(r->z + i * dim, dim, arch->layer_norm_eps);
  }
  cdam_cls_carry_proj(p, n, r->z2, r->scratch, r->carried_z2, dim);
  cdam_cls_carry(p, n, r->z, r->scratch, r->carried_z);
  if (p->units > 0) read_units(e, n);
}

/* Sign of a target's share in an output: 1, -1 or 0. */
static float share_of(const struct cdam_target *target, size_t output) {
  float share = target->kind != CDAM_CONCEPT && target->a == output ? 1 : 0;
  if (target->kind == CDAM_DIFFERENCE && target->b == output) share -= 1;
  return share;
}

/* What one target reads directly, and through hidden units: [dim], [units]. */
static void add_outputs(const struct cdam_cls *e, const struct cdam_target *target, float *direct,
                        float *coefficients) {
  const struct vit_arch *arch = &e->model->arch;
  size_t output = 0, unit = 0;
  for (size_t h = 0; h < arch->n_heads; h++) {
    size_t hidden = arch->heads[h].hidden, width = hidden ? hidden : arch->embed_dim;
    float *to = hidden ? coefficients + unit : direct;
    for (size_t o = 0; o < arch->heads[h].outputs; o++, output++) {
      float share = share_of(target, output);
      if (share == 0) continue;
      vit_vectors()->add(to, e->model->heads[h].output.weight + o * width, width, share, to);
    }
    unit += hidden;
  }
}

void cdam_cls_targets(struct cdam_cls *e) {
  const struct cdam_prepared *p = e->prepared;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim;
  memset(r->direct, 0, e->n_targets * dim * sizeof *r->direct);
  memset(r->coefficients, 0, e->n_targets * p->units * sizeof *r->coefficients);
  for (size_t t = 0; t < e->n_targets; t++) {
    const struct cdam_target *target = &e->targets[t];
    float *direct = r->direct + t * dim;
    if (target->kind == CDAM_CONCEPT)
      memcpy(direct, target->concept_vector, dim * sizeof *direct);
    else
      add_outputs(e, target, direct, r->coefficients + t * p->units);
    vit_vectors()->multiply(direct, e->model->norm.weight, dim, direct);
    r->direct_mean[t] = vit_vectors()->sum(direct, dim) / (float)dim;
  }
  cdam_cls_carry(p, e->n_targets, r->direct, r->scratch, r->direct_carried);
}

/* Hidden units that the chunk's targets read: first to last - 1. */
struct range {
  size_t first, last;
};

static struct range used_units(const struct cdam_cls *e, size_t first, size_t chunk) {
  size_t units = e->prepared->units;
  struct range used = {units, 0};
  for (size_t t = first; t < first + chunk; t++)
    for (size_t u = 0; u < units; u++) {
      if (e->rows->coefficients[t * units + u] == 0) continue;
      if (u < used.first) used.first = u;
      if (u >= used.last) used.last = u + 1;
    }
  return used;
}

/* out[chunk, row] = the targets' carried rows with these units on; of_units: [chunk, units]. */
static void start_rows(const struct cdam_cls *e, size_t first, size_t chunk, const float *on,
                       float *of_units, float *out) {
  size_t units = e->prepared->units, row = e->prepared->row;
  memcpy(out, e->rows->direct_carried + first * row, chunk * row * sizeof *out);
  for (size_t t = 0; t < chunk; t++)
    vit_vectors()->multiply(e->rows->coefficients + (first + t) * units, on, units,
                            of_units + t * units);
}

static void add_units(const struct cdam_cls *e, size_t rows, struct range used, float *out) {
  const struct cdam_prepared *p = e->prepared;
  if (used.first >= used.last) return;
  cdam_cls_product(rows, p->row, used.last - used.first, e->rows->of_units + used.first, p->units,
                   p->carried + used.first * p->row, p->row, out, p->row, true);
}

/* Adds what sets one input apart from most: units that only it has on, less those that only it has
 * off. */
static void add_changes(const struct cdam_cls *e, size_t first, size_t chunk, struct range used,
                        const float *on, float *out) {
  const struct cdam_prepared *p = e->prepared;
  struct cdam_cls_rows *r = e->rows;
  size_t count = 0;
  for (size_t u = used.first; u < used.last; u++) {
    float change = on[u] - r->mostly[u];
    if (change != 0) {
      memcpy(r->picked + count * p->row, p->carried + u * p->row, p->row * sizeof *r->picked);
      for (size_t t = 0; t < chunk; t++)
        r->picked_by[t * CDAM_PICKED + count] =
            change * r->coefficients[(first + t) * p->units + u];
      count++;
    }
    if (count == 0 || (count < CDAM_PICKED && u + 1 < used.last)) continue;
    cdam_cls_product(chunk, p->row, count, r->picked_by, CDAM_PICKED, r->picked, p->row, out,
                     p->row, true);
    count = 0;
  }
}

/* The carried rows of every input and target, in wide. */
static void carry_targets(struct cdam_cls *e, size_t n, size_t first, size_t chunk) {
  const struct cdam_prepared *p = e->prepared;
  struct cdam_cls_rows *r = e->rows;
  size_t units = p->units, size = chunk * p->row;
  struct range used = used_units(e, first, chunk);
  if (!e->related || n == 1) {
    for (size_t i = 0; i < n; i++)
      start_rows(e, first, chunk, r->on + i * units, r->of_units + i * chunk * units,
                 r->wide + i * size);
    add_units(e, n * chunk, used, r->wide);
    return;
  }
  for (size_t u = 0; u < units; u++) {
    float count = 0;
    for (size_t i = 0; i < n; i++) count += r->on[i * units + u];
    r->mostly[u] = 2 * count > (float)n;
  }
  start_rows(e, first, chunk, r->mostly, r->of_units, r->base);
  add_units(e, chunk, used, r->base);
  for (size_t i = 0; i < n; i++) {
    memcpy(r->wide + i * size, r->base, size * sizeof *r->base);
    add_changes(e, first, chunk, used, r->on + i * units, r->wide + i * size);
  }
}

/* Means over the features of F and of F z, for one input and target. */
static void norm_means(const struct cdam_cls *e, size_t input, size_t target, float *mean,
                       float *along) {
  const struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, units = e->prepared->units;
  const float *c = r->coefficients + target * units;
  *mean = r->direct_mean[target] + vit_vectors()->dot(c, r->means_on + input * units, units);
  *along = vit_vectors()->dot(r->direct + target * dim, r->z + input * dim, dim) +
           vit_vectors()->dot(c, r->dots + input * units, units);
  *along /= (float)dim;
}

void cdam_cls_backward(struct cdam_cls *e, size_t n, size_t first, size_t chunk) {
  const struct cdam_prepared *p = e->prepared;
  struct cdam_cls_rows *r = e->rows;
  size_t dim = e->model->arch.embed_dim, mlp = e->model->arch.mlp_dim, row = p->row;
  carry_targets(e, n, first, chunk);
  for (size_t i = 0; i < n; i++) {
    const struct vit_slope by = {r->slope + i * mlp, p->back_mean, r->pre + i * mlp,
                                 p->fc1_constant};
    const float *z = r->carried_z + i * row;
    for (size_t t = 0; t < chunk; t++) {
      size_t at = i * chunk + t;
      float mean, along, *x = r->wide + at * row;
      norm_means(e, i, first + t, &mean, &along);
      vit_vectors()->through_slope(p->ones, z, mean, along, r->rstd[i], &by, mlp, x,
                                   r->norm2_means + 2 * at);
      vit_vectors()->through_norm(p->ones + mlp, z + mlp, mean, along, r->rstd[i], dim, x + mlp);
    }
  }
  cdam_cls_product(n * chunk, dim, mlp, r->wide, row, p->back, dim, r->branch, dim, false);
  for (size_t i = 0; i < n; i++)
    for (size_t at = i * chunk; at < (i + 1) * chunk; at++) {
      const float *means = r->norm2_means + 2 * at;
      float *g = r->branch + at * dim;
      vit_vectors()->through_norm(p->ones + mlp, r->carried_z2 + i * dim, means[0] / (float)dim,
                                  means[1] / (float)dim, r->rstd2[i], dim, g);
      vit_vectors()->add(g, r->wide + at * row + mlp, dim, 1, g);
    }
}
