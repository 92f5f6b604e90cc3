/* Sets up the engine of the closed form and takes a group of inputs through its steps. */
#include "cdam/engine/cdam_cls.h"

#include <string.h>

#include "cdam/engine/cdam_cls_rows.h"

static void take_rows(struct cdam_cls *e, size_t group, struct lc_arena *arena) {
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, heads = arch->num_heads, mlp = arch->mlp_dim, ld = e->ld;
  size_t targets = e->n_targets, chunk = targets < CDAM_CHUNK ? targets : CDAM_CHUNK;
  size_t units = e->prepared->units, row = e->prepared->row;
  size_t rows = group * chunk, ldt = e->layout.ld;
  size_t own = e->shared ? 0 : group, common = e->shared ? group : 0;
  struct cdam_cls_rows *r = lc_arena_take(arena, 1, sizeof *r), unused;
  e->rows = r;
  if (!r) r = &unused;
  const struct {
    float **at;
    size_t count;
  } parts[] = {{&e->tokens, own * dim * ldt},
               {&e->mean, own * ldt},
               {&e->rstd, own * ldt},
               {&e->factor, common * ldt},
               {&e->offset, common},
               {&e->cls, dim * ld},
               {&r->first, dim * ld},
               {&r->query, dim * ld},
               {&r->folded, heads * dim * ld},
               {&r->directions, heads * dim * ld},
               {&r->scores, group * heads * ldt},
               {&r->attention, group * heads * ldt},
               {&r->means, CDAM_TOGETHER * e->layout.panels * heads * dim},
               {&r->tops, CDAM_TOGETHER * e->layout.panels * heads},
               {&r->sums, CDAM_TOGETHER * e->layout.panels * heads},
               {&r->along, 2 * (chunk + CDAM_TOGETHER) * heads},
               {&r->basis, common ? 3 * heads * ldt : 0},
               {&r->weighted, (e->shared ? group : 1) * heads * ldt},
               {&r->shift, common ? dim : 0},
               {&r->attended, dim * ld},
               {&r->after, dim * ld},
               {&r->pre, mlp * ld},
               {&r->active, mlp * ld},
               {&r->z2, dim * ld},
               {&r->z, dim * ld},
               {&r->rstd2, ld},
               {&r->rstd, ld},
               {&r->carried_z2, dim * ld},
               {&r->carried_z, row * ld},
               {&r->scratch, (targets > ld ? targets : ld) * dim},
               {&r->slope, mlp * ld},
               {&r->dots, units * ld},
               {&r->on, units * ld},
               {&r->means_on, units * ld},
               {&r->direct, targets * dim},
               {&r->direct_mean, targets},
               {&r->direct_carried, targets * row},
               {&r->coefficients, targets * units},
               {&r->mostly, units},
               {&r->of_units, rows * units},
               {&r->base, chunk * row},
               {&r->picked, CDAM_PICKED * row},
               {&r->picked_by, chunk * CDAM_PICKED},
               {&r->wide, rows * row},
               {&r->norm2_means, 2 * rows},
               {&r->branch, rows * dim},
               {&r->reading, own * chunk * heads * dim},
               {&r->reads, (e->shared ? group : heads) * chunk * ldt},
               {&r->sum, ldt}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    *parts[i].at = lc_arena_floats(arena, parts[i].count);
}

/* A panel has 96 columns or more, as many as pad least; the wider of two. */
struct cdam_cls_layout cdam_cls_layout(size_t tokens) {
  size_t best = vit_pad(tokens), least = SIZE_MAX;
  for (size_t panel = 96; panel <= CDAM_MOST_PANEL && tokens > CDAM_MOST_PANEL;
       panel += 2 * VIT_LANES) {
    size_t padded = (tokens + panel - 1) / panel * panel;
    if (padded > least) continue;
    least = padded;
    best = panel;
  }
  size_t panels = (tokens + best - 1) / best;
  return (struct cdam_cls_layout){tokens, best, panels, best * panels};
}

lc_status cdam_cls_init(struct cdam_cls *engine, struct cdam_prepared *prepared,
                        const struct cdam_target *targets, size_t n_targets, size_t tokens,
                        size_t group, bool shared, struct lc_error *err) {
  memset(engine, 0, sizeof *engine);
  engine->prepared = prepared;
  engine->model = prepared->model;
  engine->targets = targets;
  engine->n_targets = n_targets;
  engine->width = engine->model->arch.embed_dim / engine->model->arch.num_heads;
  engine->layout = cdam_cls_layout(tokens);
  engine->ld = vit_pad(group);
  engine->shared = shared;
  struct lc_arena counting;
  lc_arena_init_counting(&counting);
  take_rows(engine, group, &counting);
  LC_TRY(cdam_prepared_take(prepared, counting.peak, &engine->arena, err));
  take_rows(engine, group, &engine->arena);
  cdam_cls_targets(engine);
  return LC_OK;
}

void cdam_cls_free(struct cdam_cls *engine) {
  if (engine->prepared) cdam_prepared_give(engine->prepared, &engine->arena);
  memset(engine, 0, sizeof *engine);
}

void cdam_cls_run(struct cdam_cls *engine, size_t n, const struct cdam_cls_sum *sum) {
  cdam_cls_attend(engine, n);
  cdam_cls_forward(engine, n);
  for (size_t first = 0; first < engine->n_targets; first += CDAM_CHUNK) {
    size_t chunk = engine->n_targets - first < CDAM_CHUNK ? engine->n_targets - first : CDAM_CHUNK;
    cdam_cls_backward(engine, n, first, chunk);
    cdam_cls_read(engine, n, first, chunk, sum);
  }
}
