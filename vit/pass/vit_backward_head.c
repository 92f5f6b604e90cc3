/* Heads and final norm backward, on columns of CLS tokens: one column an image. Beside `finish` in
 * vit_cls.c. The batch is small here, so plain loops over few columns do. */
#include <string.h>

#include "vit/pass/vit_tape.h"

struct columns {
  size_t ld;
  vit_real *x, *normed, *d_normed, *d_x; /* [dim, ld] */
  vit_real *seen, *d_seen;               /* [dim, ld] what the heads see of normed */
  vit_real *pre, *hidden, *d_hidden;     /* [largest head, ld]; pre: before the activation */
  vit_real *d_out;                       /* [outputs, ld] */
  vit_real *mean, *rstd;                 /* [ld] */
};

static size_t hidden_rows(const struct vit_arch *arch) {
  size_t rows = 1;
  for (size_t i = 0; i < arch->n_heads; i++)
    if (arch->heads[i].hidden > rows) rows = arch->heads[i].hidden;
  return rows;
}

static size_t lay_out(const struct vit_tape *tape, struct columns *c) {
  const struct vit_arch *arch = &tape->workspace.model->arch;
  size_t dim = arch->embed_dim, ld = vit_pad(tape->workspace.batch), used = 0;
  *c = (struct columns){.ld = ld};
  struct {
    vit_real **place;
    size_t rows;
  } parts[] = {{&c->x, dim},
               {&c->normed, dim},
               {&c->d_normed, dim},
               {&c->d_x, dim},
               {&c->seen, dim},
               {&c->d_seen, dim},
               {&c->pre, hidden_rows(arch)},
               {&c->hidden, hidden_rows(arch)},
               {&c->d_hidden, hidden_rows(arch)},
               {&c->d_out, vit_arch_outputs(arch) + 1},
               {&c->mean, 1},
               {&c->rstd, 1}};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    *parts[i].place = tape->work->cls ? tape->work->cls + used : NULL;
    used += parts[i].rows * ld;
  }
  return used;
}

size_t vit_backward_heads_size(const struct vit_tape *tape) {
  struct columns c;
  return lay_out(tape, &c);
}

static void add_bias(const vit_real *d, size_t rows, size_t ld, const vit_real *slot) {
  vit_real *out = (vit_real *)slot;
  for (size_t r = 0; r < rows && out; r++)
    for (size_t b = 0; b < ld; b++) out[r] += d[r * ld + b];
}

static void add_weight(const vit_real *d, const vit_real *x, size_t rows, size_t in, size_t ld,
                       const vit_real *slot) {
  if (!slot) return;
  vit_backend()->gemm_nt(rows, in, ld, d, ld, x, ld, (vit_real *)slot, in, true);
}

/* d_in[in, ld] (+)= W' d */
static void through(const struct vit_linear *layer, const vit_real *d, size_t out, size_t in,
                    size_t ld, vit_real *d_in, bool accumulate) {
  const struct vit_epilogue add = {.accumulate = accumulate};
  vit_backend()->gemm(in, ld, out, layer->weight, 1, in, d, ld, d_in, ld, &add);
}

static bool wanted(const struct vit_tape *tape, const vit_real *slot) {
  for (size_t i = 0; i < tape->parameters.n; i++)
    if (tape->d_parameters + tape->parameters.list[i].offset == slot) return tape->trainable[i];
  return false;
}

/* The layer's gradients; d_parameters NULL: none. Untrainable parameters get none. */
static void layer_gradients(const struct vit_tape *tape, const struct vit_linear *to,
                            const vit_real *d, const vit_real *x, size_t out, size_t in,
                            size_t ld) {
  if (!tape->d_parameters) return;
  if (wanted(tape, to->weight)) add_weight(d, x, out, in, ld, to->weight);
  if (wanted(tape, to->bias)) add_bias(d, out, ld, to->bias);
}

static void one_head(struct vit_tape *tape, struct columns *c, size_t number, vit_real *d_out) {
  const struct vit_model *model = tape->workspace.model;
  const struct vit_head_shape *shape = &model->arch.heads[number];
  const struct vit_head *head = &model->heads[number], *to = &tape->d_model.heads[number];
  size_t dim = model->arch.embed_dim, ld = c->ld;
  if (shape->hidden == 0) {
    layer_gradients(tape, &to->output, d_out, c->seen, shape->outputs, dim, ld);
    through(&head->output, d_out, shape->outputs, dim, ld, c->d_seen, true);
    return;
  }
  size_t values = shape->hidden * ld;
  struct vit_epilogue bias = {.bias = head->hidden.bias};
  vit_backend()->gemm(shape->hidden, ld, dim, head->hidden.weight, dim, 1, c->seen, ld, c->pre, ld,
                      &bias);
  for (size_t i = 0; i < values; i++)
    c->hidden[i] = (vit_real)vit_head_activate(shape->activation, (double)c->pre[i]);
  layer_gradients(tape, &to->output, d_out, c->hidden, shape->outputs, shape->hidden, ld);
  through(&head->output, d_out, shape->outputs, shape->hidden, ld, c->d_hidden, false);
  for (size_t i = 0; i < values; i++)
    c->d_hidden[i] *= (vit_real)vit_head_slope(shape->activation, (double)c->pre[i]);
  layer_gradients(tape, &to->hidden, c->d_hidden, c->seen, shape->hidden, dim, ld);
  through(&head->hidden, c->d_hidden, shape->hidden, dim, ld, c->d_seen, true);
}

/* Rows [image, count] to columns; padding columns are zero. */
static void to_columns(const vit_real *rows, size_t images, size_t count, size_t ld,
                       vit_real *out) {
  memset(out, 0, count * ld * sizeof *out);
  if (rows) vit_backend()->transpose(images, count, rows, count, out, ld);
}

static void norm_gradients(struct vit_tape *tape, const struct columns *c, size_t dim) {
  const struct vit_norm *to = &tape->d_model.norm;
  if (!tape->d_parameters) return;
  bool weight = wanted(tape, to->weight), bias = wanted(tape, to->bias);
  if (bias) add_bias(c->d_normed, dim, c->ld, to->bias);
  for (size_t r = 0; r < dim && weight; r++)
    for (size_t b = 0; b < c->ld; b++)
      ((vit_real *)to->weight)[r] +=
          c->d_normed[r * c->ld + b] * (c->x[r * c->ld + b] - c->mean[b]) * c->rstd[b];
}

/* With dropout the heads see a part of the normed tokens, and their gradient is its own until the
 * mask is on it. */
static void all_heads(struct vit_tape *tape, struct columns *c, const vit_real *d_logits) {
  const struct vit_arch *arch = &tape->workspace.model->arch;
  size_t n = tape->images, size = arch->embed_dim * c->ld, row = 0;
  memcpy(c->seen, c->normed, size * sizeof *c->seen);
  bool dropped = vit_drops_columns(&tape->drops, n, arch->embed_dim, c->seen, c->ld);
  vit_real *d_seen = c->d_seen;
  if (dropped)
    memset(c->d_seen, 0, size * sizeof *c->d_seen);
  else
    c->d_seen = c->d_normed;
  to_columns(d_logits, n, vit_arch_outputs(arch), c->ld, c->d_out);
  for (size_t i = 0; i < arch->n_heads; i++) {
    one_head(tape, c, i, c->d_out + row * c->ld);
    row += arch->heads[i].outputs;
  }
  c->d_seen = d_seen;
  if (!dropped) return;
  (void)vit_drops_columns(&tape->drops, n, arch->embed_dim, c->d_seen, c->ld);
  for (size_t i = 0; i < size; i++) c->d_normed[i] += c->d_seen[i];
}

void vit_backward_heads(struct vit_tape *tape, const vit_real *d_logits, const vit_real *d_cls,
                        vit_real *d) {
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_model *model = w->model;
  const struct vit_arch *arch = &model->arch;
  size_t dim = arch->embed_dim, n = tape->images;
  struct columns c;
  (void)lay_out(tape, &c);
  memset(c.x, 0, dim * c.ld * sizeof *c.x);
  for (size_t i = 0; i < n; i++)
    for (size_t r = 0; r < dim; r++) c.x[r * c.ld + i] = vit_panel_x(w, i, 0)[r * w->panel];
  vit_backend()->layer_norm(dim, c.ld, c.x, c.ld, model->norm.weight, model->norm.bias,
                            (vit_real)arch->layer_norm_eps, c.normed, c.ld, c.mean, c.rstd);
  to_columns(d_cls, n, dim, c.ld, c.d_normed);
  if (arch->n_heads == 0 && d_logits)
    for (size_t i = 0; i < n; i++)
      for (size_t r = 0; r < dim; r++) c.d_normed[r * c.ld + i] += d_logits[i * dim + r];
  if (arch->n_heads > 0 && d_logits) all_heads(tape, &c, d_logits);
  norm_gradients(tape, &c, dim);
  memset(c.d_x, 0, dim * c.ld * sizeof *c.d_x);
  vit_backend()->layer_norm_backward(dim, c.ld, c.d_normed, c.x, c.ld, model->norm.weight, c.mean,
                                     c.rstd, c.d_x, c.d_x);
  for (size_t i = 0; i < n; i++) {
    vit_real *out = vit_tape_panel(tape, d, dim, i, 0);
    memset(out, 0, dim * w->panel * sizeof *out);
    for (size_t r = 0; r < dim; r++) out[r * w->panel] = c.d_x[r * c.ld + i];
  }
}
