/* Gradients of a block's parameters: sums over tokens.
 *
 * A weight's gradient is d X' with X the layer's input: the tokens of one image follow those of the
 * one before, each element is summed in that order, and the tasks share out rows. */
#include <string.h>

#include "common/lc_parallel.h"
#include "vit/pass/vit_tape.h"

#define ROWS_A_TASK 48

/* A strip that is not a multiple of VIT_LANES wide goes through scratch, [rows, VIT_STRIP]. */
static void outer_strip(const struct vit_outer *o, size_t strip, vit_real *out, size_t ldout) {
  const struct vit_workspace *w = &o->tape->workspace;
  const struct vit_epilogue add = {.accumulate = true};
  size_t padded = w->panels * w->panel, width = o->in - strip * VIT_STRIP;
  width = width < VIT_STRIP ? vit_pad(width) : VIT_STRIP;
  for (size_t i = 0; i < o->images; i++) {
    const vit_real *strips =
        o->strips + i * vit_tape_strips(o->tape, o->in) + strip * padded * VIT_STRIP;
    for (size_t p = 0; p < w->panels && !(o->cls_only && p > 0); p++) {
      struct vit_place at = vit_place_of(w, i * w->panels + p);
      const vit_real *d = vit_tape_panel(o->tape, o->d, o->rows, i, p) + o->row * w->panel;
      vit_backend()->gemm(o->count, width, o->cls_only ? 1 : at.tokens, d, w->panel, 1,
                          strips + at.first * VIT_STRIP, VIT_STRIP, out, ldout, &add);
    }
  }
}

void vit_outer_rows(const struct vit_outer *o, vit_real *scratch) {
  for (size_t strip = 0; strip * VIT_STRIP < o->in; strip++) {
    size_t first = strip * VIT_STRIP, width = o->in - first;
    vit_real *out = o->out + o->row * o->in + first;
    if (width >= VIT_STRIP || width == VIT_LANES) {
      outer_strip(o, strip, out, o->in);
      continue;
    }
    memset(scratch, 0, o->count * VIT_STRIP * sizeof *scratch);
    for (size_t r = 0; r < o->count; r++)
      memcpy(scratch + r * VIT_STRIP, out + r * o->in, width * sizeof *out);
    outer_strip(o, strip, scratch, VIT_STRIP);
    for (size_t r = 0; r < o->count; r++)
      memcpy(out + r * o->in, scratch + r * VIT_STRIP, width * sizeof *out);
  }
}

/* One thing to sum for biases, norms or LayerScale. */
struct sum_task {
  enum vit_sum kind;
  vit_real *d, *x; /* x: with batch panels when it is the residual stream */
  bool batch_d, batch_x;
  size_t rows;
  const vit_real *mean, *rstd; /* of the batch */
  bool cls_only;
};

static void sum_rows(const struct vit_part *part, const struct sum_task *task) {
  struct vit_tape *tape = part->tape;
  const struct vit_workspace *w = &tape->workspace;
  struct vit_tape_work *work = tape->work;
  const struct vit_backend *k = vit_backend();
  vit_real *sums =
      work->sums + (part->block * work->sum_rows + work->sum_first[task->kind]) * VIT_LANES;
  for (size_t i = 0; i < part->images * w->panels; i++) {
    struct vit_place at = vit_place_of(w, i);
    if (task->cls_only && at.panel > 0) continue;
    size_t n = task->cls_only ? VIT_LANES : at.columns;
    size_t column = (part->first * w->panels + i) * w->panel;
    size_t d_image = at.image + (task->batch_d ? part->first : 0);
    size_t x_image = at.image + (task->batch_x ? part->first : 0);
    const vit_real *d = vit_tape_panel(tape, task->d, task->rows, d_image, at.panel);
    const vit_real *x = NULL;
    if (task->x) x = vit_tape_panel(tape, task->x, task->rows, x_image, at.panel);
    if (task->mean)
      k->add_norm_rows(task->rows, n, d, x, w->panel, task->mean + column, task->rstd + column,
                       sums);
    else if (x)
      k->add_products(task->rows, n, d, x, w->panel, sums);
    else
      k->add_rows(task->rows, n, d, w->panel, sums);
  }
}

struct tasks {
  const struct vit_part *part;
  struct vit_outer outer[4];
  size_t n_outer;
  struct sum_task sums[VIT_SUM_COUNT];
  size_t n_sums;
};

static size_t chunks(const struct vit_outer *outer) {
  return (outer->rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
}

static void run_task(void *context, size_t index, int worker) {
  const struct tasks *tasks = context;
  const struct vit_tape_work *work = tasks->part->tape->work;
  for (size_t i = 0; i < tasks->n_outer; i++) {
    struct vit_outer outer = tasks->outer[i];
    size_t n = chunks(&outer);
    if (index >= n) {
      index -= n;
      continue;
    }
    outer.row = index * ROWS_A_TASK;
    outer.count = outer.rows - outer.row < ROWS_A_TASK ? outer.rows - outer.row : ROWS_A_TASK;
    vit_outer_rows(&outer, work->scratch + (size_t)worker * work->scratch_size);
    return;
  }
  sum_rows(tasks->part, &tasks->sums[index]);
}

static void add_outer(struct tasks *tasks, bool wanted, struct vit_outer outer) {
  if (!wanted) return;
  outer.tape = tasks->part->tape;
  outer.images = tasks->part->images;
  tasks->outer[tasks->n_outer++] = outer;
}

static void add_sum(struct tasks *tasks, struct sum_task task) {
  if (tasks->part->tape->work->wants[tasks->part->block].sum[task.kind])
    tasks->sums[tasks->n_sums++] = task;
}

/* LayerScale multiplies what comes back to its branch. */
static vit_real *into_branch(const struct vit_part *part, int which) {
  struct vit_tape_work *work = part->tape->work;
  const struct vit_workspace *w = &part->tape->workspace;
  size_t skip = part->first * w->panels * w->panel * w->model->arch.embed_dim;
  if (work->d_scaled[which]) return work->d_scaled[which];
  return (which ? part->d_after : part->d_within) + skip;
}

static void collect(struct tasks *tasks) {
  const struct vit_part *part = tasks->part;
  struct vit_tape *tape = part->tape;
  struct vit_tape_work *k = tape->work;
  const struct vit_arch *arch = &tape->workspace.model->arch;
  const struct vit_block_wants *wants = &k->wants[part->block];
  const struct vit_tape_block *kept = &tape->blocks[part->block];
  const struct vit_block *to = &tape->d_model.blocks[part->block];
  bool last = part->block + 1 == arch->depth;
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim;
  vit_real *d_proj = into_branch(part, 0), *d_fc2 = into_branch(part, 1);
  add_outer(tasks, wants->weight[0],
            (struct vit_outer){.d = k->d_qkv,
                               .rows = 3 * dim,
                               .strips = k->normed_strips[0],
                               .in = dim,
                               .out = (vit_real *)to->qkv.weight});
  add_outer(tasks, wants->weight[1],
            (struct vit_outer){.d = d_proj,
                               .rows = dim,
                               .strips = k->attended_strips,
                               .in = dim,
                               .out = (vit_real *)to->proj.weight,
                               .cls_only = last});
  add_outer(tasks, wants->weight[2],
            (struct vit_outer){.d = k->d_hidden,
                               .rows = mlp,
                               .strips = k->normed_strips[1],
                               .in = dim,
                               .out = (vit_real *)to->fc1.weight,
                               .cls_only = last});
  add_outer(tasks, wants->weight[3],
            (struct vit_outer){.d = d_fc2,
                               .rows = dim,
                               .strips = k->value_strips,
                               .in = mlp,
                               .out = (vit_real *)to->fc2.weight,
                               .cls_only = last});
  add_sum(tasks, (struct sum_task){.kind = VIT_SUM_QKV_BIAS, .d = k->d_qkv, .rows = 3 * dim});
  add_sum(tasks,
          (struct sum_task){.kind = VIT_SUM_PROJ_BIAS, .d = d_proj, .rows = dim, .cls_only = last});
  add_sum(tasks, (struct sum_task){
                     .kind = VIT_SUM_FC1_BIAS, .d = k->d_hidden, .rows = mlp, .cls_only = last});
  add_sum(tasks,
          (struct sum_task){.kind = VIT_SUM_FC2_BIAS, .d = d_fc2, .rows = dim, .cls_only = last});
  add_sum(tasks, (struct sum_task){.kind = VIT_SUM_NORM1_BIAS, .d = k->d_normed[0], .rows = dim});
  add_sum(tasks, (struct sum_task){.kind = VIT_SUM_NORM1_WEIGHT,
                                   .d = k->d_normed[0],
                                   .x = kept->x,
                                   .batch_x = true,
                                   .rows = dim,
                                   .mean = kept->mean[0],
                                   .rstd = kept->rstd[0]});
  add_sum(tasks,
          (struct sum_task){
              .kind = VIT_SUM_NORM2_BIAS, .d = k->d_normed[1], .rows = dim, .cls_only = last});
  add_sum(tasks, (struct sum_task){.kind = VIT_SUM_NORM2_WEIGHT,
                                   .d = k->d_normed[1],
                                   .x = kept->mid,
                                   .batch_x = true,
                                   .rows = dim,
                                   .mean = kept->mean[1],
                                   .rstd = kept->rstd[1],
                                   .cls_only = last});
  add_sum(tasks, (struct sum_task){.kind = VIT_SUM_SCALE1,
                                   .d = part->d_within,
                                   .batch_d = true,
                                   .x = k->branch[0],
                                   .rows = dim,
                                   .cls_only = last});
  add_sum(tasks, (struct sum_task){.kind = VIT_SUM_SCALE2,
                                   .d = part->d_after,
                                   .batch_d = true,
                                   .x = k->branch[1],
                                   .rows = dim,
                                   .cls_only = last});
}

void vit_backward_weights(struct vit_part *part) {
  if (!part->tape->work->wants[part->block].any) return;
  struct tasks tasks = {.part = part};
  collect(&tasks);
  size_t n = tasks.n_sums;
  for (size_t i = 0; i < tasks.n_outer; i++) n += chunks(&tasks.outer[i]);
  lc_parallel_for(n, run_task, &tasks);
}

void vit_sums_reduce(const vit_real *sums, size_t rows, vit_real *out) {
  for (size_t r = 0; r < rows; r++) {
    vit_real part[VIT_LANES];
    memcpy(part, sums + r * VIT_LANES, sizeof part);
    for (size_t step = VIT_LANES / 2; step > 0; step /= 2)
      for (size_t l = 0; l < step; l++) part[l] += part[l + step];
    out[r] += part[0];
  }
}
