/* Sizes and lays out the memory of a forward pass: checks the request, chooses the width of a
 * panel, and fills in position encoding and prefix tokens. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_parallel.h"
#include "vit/pass/vit_layers.h"

#define GROUP 8 /* images that share one reading of the weights */

/* What a panel of some vectors of columns takes, in twenty-fourths of a vector's time in a wide
 * panel: reading the weights comes on top; one vector alone takes as long as two; and rows an even
 * number of cache lines apart fall on the same few places of the cache. Measured on ViT-S/8. */
static size_t panel_time(size_t vectors, size_t width) {
  return (vectors > 1 ? vectors : 2) * (width % 2 ? 24 : 25) + 6;
}

/* Time until the last of `threads` workers is done, when each takes the next panel as it becomes
 * free. */
static size_t makespan(size_t vectors, size_t width, size_t images, int threads) {
  size_t busy[64] = {0}, last = 0;
  size_t n = threads < 64 ? (size_t)threads : 64;
  for (size_t i = 0; i < images; i++)
    for (size_t done = 0; done < vectors; done += width) {
      size_t least = 0;
      for (size_t t = 1; t < n; t++)
        if (busy[t] < busy[least]) least = t;
      busy[least] += panel_time(vectors - done < width ? vectors - done : width, width);
      if (busy[least] > last) last = busy[least];
    }
  return last;
}

/* Panels of 48 to 128 tokens: wide enough that a pass over the weights pays, small enough that what
 * a panel's MLP reads and writes stays in the second-level cache. Among them the one that shares
 * out best. Results do not depend on it (vit_backend.h). */
static size_t choose_panel(size_t tokens, size_t images, int threads) {
  size_t fixed = vit_backend()->fixed_panel;
  if (fixed > 0) return fixed;
  size_t vectors = vit_pad(tokens) / VIT_LANES, best = 3, least = SIZE_MAX;
  if (vectors <= 3) return vectors * VIT_LANES;
  for (size_t width = 3; width <= 8 && width <= vectors; width++) {
    size_t time = makespan(vectors, width, images, threads);
    if (time <= least) {
      least = time;
      best = width;
    }
  }
  return best * VIT_LANES;
}

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

/* What one worker needs: normed tokens or pixels, attended values, scores or hidden values, and a
 * maximum and a reciprocal a column. */
static size_t scratch_of(const struct vit_workspace *w) {
  const struct vit_arch *arch = &w->model->arch;
  size_t features = VIT_CHANNELS * arch->patch_size * arch->patch_size;
  size_t rows =
      larger(arch->embed_dim, features) + arch->embed_dim + larger(w->tokens, arch->mlp_dim) + 2;
  return rows * w->panel;
}

static vit_real *take(struct lc_arena *arena, size_t a, size_t b, size_t c) {
  return lc_arena_take(arena, a * b * c, sizeof(vit_real));
}

static vit_real **take_list(struct lc_arena *arena, size_t n, size_t count) {
  vit_real **list = lc_arena_take(arena, n, sizeof *list);
  for (size_t i = 0; i < n; i++) {
    vit_real *part = take(arena, count, 1, 1);
    if (list) list[i] = part;
  }
  return list;
}

struct vit_scratch vit_scratch_of(const struct vit_workspace *w, int worker) {
  const struct vit_arch *arch = &w->model->arch;
  size_t features = VIT_CHANNELS * arch->patch_size * arch->patch_size;
  struct vit_scratch s = {.normed = w->scratch + (size_t)worker * w->scratch_size};
  s.attended = s.normed + larger(arch->embed_dim, features) * w->panel;
  s.large = s.attended + arch->embed_dim * w->panel;
  s.top = s.normed + w->scratch_size - 2 * w->panel;
  s.inverse = s.top + w->panel;
  return s;
}

/* The number of threads may have grown since the workspace was made. */
lc_status vit_workspace_scratch(struct vit_workspace *workspace, struct lc_error *err) {
  int threads = lc_threads();
  if (workspace->workers >= threads) return LC_OK;
  free(workspace->scratch);
  workspace->scratch = NULL;
  workspace->workers = 0;
  LC_TRY(lc_alloc(&workspace->scratch, (size_t)threads * workspace->scratch_size,
                  sizeof *workspace->scratch, err));
  workspace->workers = threads;
  return LC_OK;
}

lc_status vit_check_finite(const vit_real *values, size_t n, const char *what,
                           struct lc_error *err) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(values[i]))
      LC_FAIL(err, LC_ERR_NUMERIC, "%s: value %zu is NaN or infinite", what, i);
  return LC_OK;
}

void vit_export_tokens(const struct vit_workspace *w, const struct vit_place *at, size_t image,
                       const vit_real *x, vit_real *out) {
  size_t dim = w->model->arch.embed_dim;
  vit_backend()->transpose(dim, at->tokens, x, w->panel,
                           out + (image * w->tokens + at->first) * dim, dim);
}

static const struct vit_linear *layer_of(const struct vit_model *model, size_t block, int layer) {
  const struct vit_block *b = &model->blocks[block];
  const struct vit_linear *const layers[VIT_LAYERS] = {&b->qkv, &b->proj, &b->fc1, &b->fc2};
  return layers[layer];
}

struct vit_matrix vit_take_matrix(struct lc_arena *arena, const struct vit_model *model, int layer,
                                  vit_way way) {
  size_t dim = model->arch.embed_dim, mlp = model->arch.mlp_dim;
  const size_t out[VIT_LAYERS] = {3 * dim, dim, mlp, dim}, in[VIT_LAYERS] = {dim, dim, dim, mlp};
  struct vit_matrix matrix = {.out = out[layer], .in = in[layer]};
  size_t bytes = vit_backend()->packed_size(way, matrix.out, matrix.in);
  if (bytes > 0) matrix.data = lc_arena_take(arena, bytes, 1);
  return matrix;
}

#define PACK_ROWS 48 /* of one task */

struct packing {
  const struct vit_matrix *matrix;
  const vit_real *weight;
  vit_way way;
};

static void pack_rows(void *context, size_t index, int worker) {
  (void)worker;
  const struct packing *p = context;
  size_t first = index * PACK_ROWS, left = p->matrix->out - first;
  vit_backend()->pack(p->way, p->matrix->out, p->matrix->in, p->weight, first,
                      left < PACK_ROWS ? left : PACK_ROWS, (void *)p->matrix->data);
}

void vit_pack_matrix(struct vit_matrix *matrix, const struct vit_model *model, size_t block,
                     int layer, vit_way way) {
  struct packing p = {matrix, layer_of(model, block, layer)->weight, way};
  if (vit_backend()->packed_size(way, matrix->out, matrix->in) == 0)
    matrix->data = p.weight;
  else
    lc_parallel_for((matrix->out + PACK_ROWS - 1) / PACK_ROWS, pack_rows, &p);
}

/* Run twice, first on an arena that counts. */
static void lay_out(struct vit_workspace *w, bool for_tape) {
  struct lc_arena *arena = &w->arena;
  const struct vit_arch *arch = &w->model->arch;
  const struct vit_request *r = &w->request;
  size_t dim = arch->embed_dim, panels = w->panels * w->panel, all = w->batch * w->tokens;
  w->forth = lc_arena_take(arena, arch->depth, sizeof *w->forth);
  for (size_t b = 0; b < arch->depth; b++)
    for (int layer = 0; layer < VIT_LAYERS; layer++) {
      struct vit_matrix matrix = vit_take_matrix(arena, w->model, layer, VIT_FORTH);
      if (w->forth) w->forth[b][layer] = matrix;
    }
  w->position = take(arena, 1 + w->grid_height * w->grid_width, dim, 1);
  w->base = take(arena, panels, dim, 1);
  w->x = take(arena, w->group, panels, dim);
  for (int i = 0; i < 2 && !for_tape; i++) w->qkv[i] = take(arena, w->group, panels, 3 * dim);
  w->cls = NULL;
  w->cls = take(arena, vit_cls_size(w), 1, 1);
  struct vit_trace *t = &w->trace;
  size_t outputs = arch->n_heads ? vit_arch_outputs(arch) : dim;
  t->logits = take(arena, w->batch, outputs, 1);
  t->cls_embedding = take(arena, w->batch, dim, 1);
  if (r->last_input) t->last_input = take(arena, all, dim, 1);
  if (r->all_inputs) t->inputs = take_list(arena, arch->depth, all * dim);
  if (r->last_cls_attention) t->last_cls_attention = take(arena, all, arch->num_heads, 1);
  if (r->all_attention)
    t->attention = take_list(arena, arch->depth, all * arch->num_heads * w->tokens);
}

/* Position encoding and prefix tokens as panels. */
static void fill_base(struct vit_workspace *w) {
  const struct vit_model *model = w->model;
  size_t dim = model->arch.embed_dim, prefix = vit_arch_prefix(&model->arch), ld = w->panel;
  memset(w->base, 0, w->panels * ld * dim * sizeof *w->base);
  for (size_t t = 0; t < w->tokens; t++) {
    vit_real *out = w->base + t / ld * dim * ld + t % ld;
    size_t patch = t - prefix;
    if (t >= prefix && w->request.kept) patch = w->request.kept[patch];
    for (size_t d = 0; d < dim; d++) {
      if (t == 0)
        out[d * ld] = model->cls_token[d] + w->position[d];
      else if (t < prefix)
        out[d * ld] = model->register_tokens[(t - 1) * dim + d];
      else
        out[d * ld] = w->position[(1 + patch) * dim + d];
    }
  }
}

static lc_status check_request(const struct vit_workspace *w, struct lc_error *err) {
  size_t patch = w->model->arch.patch_size;
  if (w->batch == 0 || w->height == 0 || w->width == 0)
    LC_FAIL(err, LC_ERR_USAGE, "forward pass over nothing: batch %zu of %zu x %zu", w->batch,
            w->height, w->width);
  if (w->height % patch != 0 || w->width % patch != 0)
    LC_FAIL(err, LC_ERR_USAGE, "an image of %zu x %zu cannot be cut into patches of %zu x %zu",
            w->height, w->width, patch, patch);
  const struct vit_request *r = &w->request;
  for (size_t i = 0; r->kept && i < r->n_kept; i++)
    if (r->kept[i] >= w->grid_height * w->grid_width || (i > 0 && r->kept[i] <= r->kept[i - 1]))
      LC_FAIL(err, LC_ERR_USAGE, "kept patches: number %u; expected ascending numbers below %zu",
              r->kept[i], w->grid_height * w->grid_width);
  return LC_OK;
}

static lc_status copy_kept(struct vit_workspace *w, struct lc_error *err) {
  if (!w->request.kept) return LC_OK;
  const uint32_t *kept = w->request.kept;
  uint32_t *copy = NULL;
  w->request.kept = NULL;
  LC_TRY(lc_alloc(&copy, w->request.n_kept + 1, sizeof *copy, err));
  if (w->request.n_kept > 0) memcpy(copy, kept, w->request.n_kept * sizeof *copy);
  w->request.kept = copy;
  return LC_OK;
}

lc_status vit_workspace_refresh(struct vit_workspace *workspace, struct lc_error *err) {
  struct vit_workspace *w = workspace;
  LC_TRY(vit_position_interpolate(w->model, w->grid_height, w->grid_width, w->position, err));
  fill_base(w);
  for (size_t b = 0; b < w->model->arch.depth; b++)
    for (int layer = 0; layer < VIT_LAYERS; layer++)
      vit_pack_matrix(&w->forth[b][layer], w->model, b, layer, VIT_FORTH);
  return LC_OK;
}

static lc_status init(struct vit_workspace *w, bool for_tape, struct lc_error *err) {
  const struct vit_arch *arch = &w->model->arch;
  w->grid_height = w->height / arch->patch_size;
  w->grid_width = w->width / arch->patch_size;
  w->patches = w->request.kept ? w->request.n_kept : w->grid_height * w->grid_width;
  w->tokens = vit_arch_prefix(arch) + w->patches;
  w->group = for_tape ? w->batch : smaller(w->batch, GROUP);
  w->panel = choose_panel(w->tokens, smaller(w->group, GROUP), lc_in_parallel() ? 1 : lc_threads());
  w->panels = (w->tokens + w->panel - 1) / w->panel;
  w->scratch_size = scratch_of(w);
  w->trace = (struct vit_trace){.tokens = w->tokens,
                                .patches = w->patches,
                                .grid_height = w->grid_height,
                                .grid_width = w->grid_width};
  lc_arena_init_counting(&w->arena);
  lay_out(w, for_tape);
  LC_TRY(lc_arena_init_in(&w->arena, vit_backend()->memory, w->arena.peak, err));
  lay_out(w, for_tape);
  return vit_workspace_refresh(w, err);
}

lc_status vit_workspace_prepare(struct vit_workspace *workspace, const struct vit_model *model,
                                size_t batch, size_t height, size_t width,
                                const struct vit_request *request, bool for_tape,
                                struct lc_error *err) {
  LC_TRY(vit_backend_need(for_tape ? VIT_ON_HOST | VIT_BACKWARD : VIT_ON_HOST,
                          for_tape ? "gradients" : "a forward pass on the host", err));
  *workspace =
      (struct vit_workspace){.model = model, .batch = batch, .height = height, .width = width};
  if (request) workspace->request = *request;
  workspace->grid_height = height / model->arch.patch_size;
  workspace->grid_width = width / model->arch.patch_size;
  lc_status status = check_request(workspace, err);
  if (status != LC_OK) {
    *workspace = (struct vit_workspace){0};
    return status;
  }
  status = copy_kept(workspace, err);
  if (status == LC_OK) status = init(workspace, for_tape, err);
  if (status != LC_OK) vit_workspace_free(workspace);
  return status;
}

lc_status vit_workspace_init(struct vit_workspace *workspace, const struct vit_model *model,
                             size_t batch, size_t height, size_t width,
                             const struct vit_request *request, struct lc_error *err) {
  return vit_workspace_prepare(workspace, model, batch, height, width, request, false, err);
}

lc_status vit_workspace_keep(struct vit_workspace *workspace, const uint32_t *kept, size_t n_kept,
                             struct lc_error *err) {
  struct vit_workspace *w = workspace;
  if (!w->request.kept || n_kept != w->request.n_kept)
    LC_FAIL(err, LC_ERR_USAGE, "kept patches: %zu in a workspace for %zu", n_kept,
            w->request.kept ? w->request.n_kept : 0);
  struct vit_workspace other = *w;
  other.request.kept = kept;
  LC_TRY(check_request(&other, err));
  if (n_kept > 0) memcpy((void *)w->request.kept, kept, n_kept * sizeof *kept);
  fill_base(w);
  return LC_OK;
}

void vit_workspace_free(struct vit_workspace *workspace) {
  lc_arena_free(&workspace->arena);
  free((void *)workspace->request.kept);
  free(workspace->scratch);
  *workspace = (struct vit_workspace){0};
}
