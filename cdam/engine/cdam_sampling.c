/* Cuts images, or noisy or scaled copies of them, into groups, fills in the engine's inputs, runs
 * the groups in parallel and adds up their scores in order. */
#include "cdam/engine/cdam_sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/engine/cdam_cls.h"
#include "cdam/engine/cdam_cls_rows.h"
#include "cdam/engine/cdam_cls_weights.h"
#include "cdam/engine/cdam_double.h"
#include "cdam/engine/cdam_noise.h"
#include "common/lc_parallel.h"
#include "common/lc_scope.h"
#include "vit/kernels/vit_backend.h"

/* Attention times score from which on rounding of scores to float32 shows in the fourth digit of
 * CDAM. */
#define SATURATED 64
#define MOST_INPUTS 16 /* of a call whose inputs have tokens of their own: bounds the memory */

struct worker {
  struct cdam_cls engine;
  const struct job *job;
  const float
      *input;    /* of the image that gets noise; of the first one when images are the inputs */
  size_t sample; /* that is the engine's first input */
  size_t local;  /* its place among the images that are at work */
};

struct job {
  const struct cdam_sampling *sampling;
  const struct cdam_task *task;
  uint64_t seed;
  const float *noise; /* given, or NULL */
  const struct vit_norm *norm;
  struct cdam_cls_layout layout;
  bool on_normed;         /* noise or scaling act on the normed tokens */
  size_t samples;         /* inputs of one image */
  size_t group;           /* inputs of one call of the engine */
  size_t groups;          /* of one image; one when the inputs are whole images */
  size_t map_size;        /* scores of one image */
  struct lc_arena arena;  /* holds all buffers that follow */
  float *partial;         /* [image, group, map_size]: sums of groups; NULL for whole images */
  struct worker *workers; /* [n_workers] */
  size_t n_workers;
  bool *saturated; /* [image], of whole images */
  /* What the inputs of one image share, for `many` images from `first` on. */
  size_t first, many;
  float *common, *values; /* [many, panels, dim, panel]; noisy inputs share no values */
  float *range;           /* [many, panels, 2]: of what gets noise, smallest and largest */
  float *rstd;            /* [many, layout.ld] */
  float *zero, *one;      /* [dim] */
};

static const float *input_of(const struct job *job, size_t image) {
  return job->task->trace->last_input +
         image * job->task->trace->tokens * job->task->model->arch.embed_dim;
}

static size_t panel_size(const struct job *job) {
  return job->layout.panel * job->task->model->arch.embed_dim;
}

/* Token rows [tokens, dim] of one panel to columns; padding columns are zero. */
static void turn_panel(const struct job *job, const float *rows, size_t panel, float *out) {
  size_t dim = job->task->model->arch.embed_dim, first = panel * job->layout.panel;
  size_t left = job->layout.tokens - first, width = job->layout.panel;
  size_t n = left < width ? left : width;
  vit_backend()->transpose(n, dim, rows + first * dim, dim, out, width);
  for (size_t k = 0; k < dim && n < width; k++)
    memset(out + k * width + n, 0, (width - n) * sizeof *out);
}

/* The panels of norm1's output. */
static void normed_panel(const struct job *job, const float *input, size_t panel, float *out) {
  const struct vit_arch *arch = &job->task->model->arch;
  size_t width = job->layout.panel;
  turn_panel(job, input, panel, out);
  vit_backend()->layer_norm(arch->embed_dim, width, out, width, job->norm->weight, job->norm->bias,
                            arch->layer_norm_eps, out, width, NULL, NULL);
}

/* Every token less its mean: a norm gives the same for it, and its moments are had in one pass. */
static void centred_panel(const struct job *job, const float *input, size_t panel, float *out) {
  size_t dim = job->task->model->arch.embed_dim, width = job->layout.panel;
  float mean[CDAM_MOST_PANEL] = {0};
  turn_panel(job, input, panel, out);
  for (size_t c = 0; c < width && panel * width + c < job->layout.tokens; c++)
    mean[c] = vit_vectors()->sum(input + (panel * width + c) * dim, dim) / (float)dim;
  for (size_t k = 0; k < dim; k++)
    vit_vectors()->add(out + k * width, mean, width, -1, out + k * width);
}

/* One panel of an image that gets noise, and the range there of what gets it. */
static void share_noisy(const struct job *job, size_t image, size_t panel, float *out,
                        float *range) {
  const struct vit_arch *arch = &job->task->model->arch;
  size_t dim = arch->embed_dim, width = job->layout.panel, before = panel * width;
  size_t left = job->layout.tokens - before, used = left < width ? left : width;
  const float *input = input_of(job, image);
  if (!job->on_normed) {
    centred_panel(job, input, panel, out);
    vit_vectors()->range(input + before * dim, used * dim, range, range + 1);
    return;
  }
  normed_panel(job, input, panel, out);
  vit_vectors()->range(out, used, range, range + 1);
  for (size_t k = 1; k < dim; k++) {
    float low, high;
    vit_vectors()->range(out + k * width, used, &low, &high);
    range[0] = low < range[0] ? low : range[0];
    range[1] = high > range[1] ? high : range[1];
  }
}

/* Largest less smallest value of what gets noise. */
static float spread_of(const struct job *job, size_t local) {
  const float *range = job->range + local * job->layout.panels * 2;
  float low = range[0], high = range[1];
  for (size_t p = 1; p < job->layout.panels; p++) {
    low = range[2 * p] < low ? range[2 * p] : low;
    high = range[2 * p + 1] > high ? range[2 * p + 1] : high;
  }
  return high - low;
}

/* out = the image's tokens with the noise of the sample that is input `place`. Samples come in
 * pairs of opposite noise; the second one's tokens are made with the first one's. */
static void noisy_panel(const struct job *job, const struct worker *w, size_t place, size_t panel,
                        float *out) {
  size_t size = panel_size(job), panels = job->layout.panels, sample = w->sample + place;
  const float *tokens = job->common + (w->local * panels + panel) * size;
  if (job->noise) {
    turn_panel(job, job->noise + sample * job->layout.tokens * job->task->model->arch.embed_dim,
               panel, out);
    vit_vectors()->add(tokens, out, size, 1, out);
  } else if (sample % 2 == 0) {
    float *opposite = sample + 1 < job->samples ? out + panels * size : NULL;
    cdam_noise_pair(job->seed, "smooth-cdam", sample / 2 * panels + panel, tokens,
                    (float)job->sampling->level * spread_of(job, w->local), out, opposite, size);
  }
}

/* One panel of one of the engine's inputs: an image's own, or a sample of one image. */
static void fill_panel(void *context, size_t place, size_t panel) {
  struct worker *w = context;
  const struct job *job = w->job;
  struct cdam_cls *e = &w->engine;
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, width = job->layout.panel;
  size_t at = place * job->layout.ld + panel * width;
  float *out = e->tokens + (place * job->layout.panels + panel) * panel_size(job);
  bool noisy = job->sampling->kind == CDAM_NOISY;
  const float *input = noisy ? w->input : w->input + place * job->layout.tokens * dim;
  if (noisy)
    noisy_panel(job, w, place, panel, out);
  else
    centred_panel(job, input, panel, out);
  if (!job->on_normed)
    vit_vectors()->moments(out, dim, width, arch->layer_norm_eps, e->mean + at, e->rstd + at);
  if (panel > 0) return;
  /* Noise on the normed tokens leaves the residual branch alone. */
  float mean = vit_vectors()->sum(input, dim) / (float)dim;
  for (size_t k = 0; k < dim; k++)
    e->cls[place * dim + k] = noisy && !job->on_normed ? out[k * width] + mean : input[k];
}

/* What the inputs of one image share. Scaling moves every token along a line: with x' = b +
 * share (x - b) the mean drops out of the norm, and norm1(x') = factor * weight * (x - mean) /
 * deviation + bias with factor = share / sqrt(share^2 + (1 - share^2) eps / deviation^2). */
static void share_panel(void *context, size_t index, int worker) {
  (void)worker;
  const struct job *job = context;
  const struct vit_arch *arch = &job->task->model->arch;
  const struct vit_backend *kernels = vit_backend();
  size_t image = index / job->layout.panels, panel = index % job->layout.panels;
  size_t dim = arch->embed_dim, width = job->layout.panel;
  const float *input = input_of(job, job->first + image);
  const float *wv = job->task->model->blocks[arch->depth - 1].qkv.weight + 2 * dim * dim;
  float *out = job->common + index * panel_size(job);
  if (job->sampling->kind == CDAM_NOISY) {
    share_noisy(job, job->first + image, panel, out, job->range + 2 * index);
    return;
  }
  float *rstd = job->rstd + image * job->layout.ld + panel * width;
  if (job->on_normed) {
    normed_panel(job, input, panel, out);
  } else {
    turn_panel(job, input, panel, out);
    kernels->layer_norm(dim, width, out, width, job->norm->weight, job->zero, arch->layer_norm_eps,
                        out, width, NULL, rstd);
  }
  kernels->gemm(dim, width, dim, wv, dim, 1, out, width, job->values + index * panel_size(job),
                width, NULL);
}

static void make_scaled(const struct job *job, struct worker *w, size_t image, size_t first,
                        size_t n) {
  struct cdam_cls *e = &w->engine;
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, ldt = job->layout.ld, local = image - job->first;
  const float *rstd = job->rstd + local * ldt, *input = input_of(job, image);
  float b = (float)job->sampling->baseline;
  e->common = job->common + local * job->layout.panels * panel_size(job);
  e->values = job->values + local * job->layout.panels * panel_size(job);
  e->direction = job->on_normed ? job->one : job->norm->bias;
  for (size_t i = 0; i < n; i++) {
    double exact = (double)(first + i + 1) / (double)(job->samples + 1);
    float share = (float)exact;
    for (size_t c = 0; c < ldt; c++) {
      double r = (double)rstd[c], rest = (1 - exact * exact) * (double)arch->layer_norm_eps * r * r;
      e->factor[i * ldt + c] = (float)(job->on_normed ? exact : exact / sqrt(exact * exact + rest));
    }
    e->offset[i] = job->on_normed ? (1 - share) * b : 1;
    for (size_t k = 0; k < dim; k++)
      e->cls[i * dim + k] = job->on_normed ? input[k] : b + share * (input[k] - b);
  }
}

static float *map_of(struct cdam_maps *maps, size_t image) {
  return maps ? cdam_maps_get(maps, image, 0) : NULL;
}

/* Largest attention times score of a token, of all heads, of one input. */
static float largest_score(const struct cdam_cls *e, size_t input) {
  size_t heads = e->model->arch.num_heads, tokens = e->layout.tokens;
  const float *rows = e->rows->scores + input * heads * e->layout.ld;
  float largest = 0;
  for (size_t h = 0; h < heads; h++)
    for (size_t i = 0; i < tokens; i++) largest = fmaxf(largest, fabsf(rows[h * e->layout.ld + i]));
  return largest;
}

/* Whole images: each of the group has maps of its own. */
static void run_images(const struct job *job, struct worker *w, size_t first) {
  const struct cdam_sampling *s = job->sampling;
  size_t left = job->task->trace->batch - first, n = left < job->group ? left : job->group;
  w->input = input_of(job, first);
  struct cdam_cls_sum sum = {.maps = map_of(s->maps, first),
                             .routed = map_of(s->routed, first),
                             .content = map_of(s->content, first),
                             .gradcam = map_of(s->gradcam, first),
                             .weight = 1,
                             .map_stride = job->map_size};
  cdam_cls_run(&w->engine, n, &sum);
  for (size_t i = 0; i < n; i++)
    job->saturated[first + i] = largest_score(&w->engine, i) > SATURATED;
}

/* Images whose attention is saturated, once more in double. */
static lc_status run_saturated(const struct job *job, struct lc_error *err) {
  const struct cdam_sampling *s = job->sampling;
  const struct cdam_task *task = job->task;
  LC_SCOPED(cdam_double_free) struct cdam_double d = {0};
  LC_FREED double *work = NULL;
  for (size_t i = 0; i < task->trace->batch; i++) {
    if (!job->saturated[i] || !(s->maps || s->routed || s->content)) continue;
    if (!work) {
      LC_TRY(cdam_double_init(&d, task->model, task->trace->tokens, err));
      LC_TRY(lc_alloc(&work, d.n * d.dim, sizeof *work, err));
    }
    cdam_double_explain(&d, task->trace, i, task->targets, task->n_targets, work, s->maps,
                        s->routed, s->content);
  }
  return LC_OK;
}

static void run_samples(const struct job *job, struct worker *w, size_t index) {
  size_t first = index % job->groups * job->group, image = index / job->groups;
  size_t left = job->samples - first, n = left < job->group ? left : job->group;
  if (job->sampling->kind == CDAM_SCALED) {
    make_scaled(job, w, image, first, n);
  } else {
    w->input = input_of(job, image);
    w->local = image - job->first;
    w->sample = first;
  }
  struct cdam_cls_sum sum = {.maps = job->partial + index * job->map_size,
                             .weight = 1 / (float)job->samples};
  cdam_cls_run(&w->engine, n, &sum);
}

static void body(void *context, size_t index, int worker) {
  const struct job *job = context;
  struct worker *w = &job->workers[worker];
  if (job->partial)
    run_samples(job, w, job->first * job->groups + index);
  else
    run_images(job, w, index * job->group);
}

/* Sums of groups are added in their order, whichever thread made them. */
static void collect(const struct job *job) {
  size_t images = job->task->trace->batch;
  for (size_t image = 0; job->partial && image < images; image++) {
    float *map = cdam_maps_get(job->sampling->maps, image, 0);
    for (size_t g = 0; g < job->groups; g++)
      vit_vectors()->add(map, job->partial + (image * job->groups + g) * job->map_size,
                         job->map_size, 1, map);
  }
}

static lc_status workers_init(struct job *job, struct lc_error *err) {
  const struct cdam_task *task = job->task;
  bool scaled = job->sampling->kind == CDAM_SCALED;
  LC_TRY(lc_alloc(&job->workers, job->n_workers, sizeof *job->workers, err));
  for (size_t i = 0; i < job->n_workers; i++) {
    struct worker *w = &job->workers[i];
    LC_TRY(cdam_cls_init(&w->engine, task->prepared, task->targets, task->n_targets,
                         task->trace->tokens, job->group, scaled, err));
    w->engine.related = job->sampling->kind != CDAM_PLAIN;
    w->job = job;
    w->engine.fill = fill_panel;
    w->engine.context = w;
    w->engine.norm = job->on_normed ? NULL : job->norm;
  }
  return LC_OK;
}

static void lay_out(struct job *job, size_t jobs, struct lc_arena *arena) {
  size_t size = job->layout.panels * panel_size(job), dim = job->task->model->arch.embed_dim;
  job->partial = lc_arena_floats(arena, jobs * job->map_size);
  job->common = lc_arena_floats(arena, job->many * size);
  if (job->sampling->kind == CDAM_NOISY) {
    job->range = lc_arena_floats(arena, job->many * job->layout.panels * 2);
    return;
  }
  job->values = lc_arena_floats(arena, job->many * size);
  job->rstd = lc_arena_floats(arena, job->many * job->layout.ld);
  job->zero = lc_arena_floats(arena, dim);
  job->one = lc_arena_floats(arena, dim);
}

/* What samples share and where they are added up. */
static lc_status buffers_init(struct job *job, size_t jobs, struct lc_error *err) {
  struct lc_arena counting;
  if (job->sampling->kind == CDAM_PLAIN) return LC_OK;
  lc_arena_init_counting(&counting);
  lay_out(job, jobs, &counting);
  LC_TRY(cdam_prepared_take(job->task->prepared, counting.peak, &job->arena, err));
  lay_out(job, jobs, &job->arena);
  memset(job->partial, 0, jobs * job->map_size * sizeof *job->partial);
  for (size_t k = 0; k < job->task->model->arch.embed_dim && job->one; k++) {
    job->zero[k] = 0;
    job->one[k] = 1;
  }
  return LC_OK;
}

static void job_free(struct job *job) {
  for (size_t i = 0; job->workers && i < job->n_workers; i++)
    cdam_cls_free(&job->workers[i].engine);
  free(job->workers);
  free(job->saturated);
  cdam_prepared_give(job->task->prepared, &job->arena);
}

static size_t divide_up(size_t a, size_t b) {
  return (a + b - 1) / b;
}

/* How the inputs are cut into calls of the engine; returns the number of calls. Where sums of
 * groups are formed the cut must not depend on the number of threads. */
static size_t plan(struct job *job, size_t threads) {
  size_t images = job->task->trace->batch;
  if (job->sampling->kind == CDAM_PLAIN) {
    size_t each = divide_up(images, threads);
    job->group = each < MOST_INPUTS ? each : MOST_INPUTS;
    return divide_up(images, job->group);
  }
  job->groups =
      divide_up(job->samples, job->sampling->kind == CDAM_SCALED ? CDAM_GROUP : MOST_INPUTS);
  job->group = divide_up(divide_up(job->samples, job->groups), 2) * 2; /* pairs stay together */
  job->many = images < threads ? images : threads;
  return images * job->groups;
}

static void run_all(struct job *job, size_t jobs) {
  if (!job->partial) {
    lc_parallel_for(jobs, body, job);
    return;
  }
  size_t images = job->task->trace->batch, many = job->many;
  for (job->first = 0; job->first < images; job->first += many) {
    size_t some = images - job->first < many ? images - job->first : many;
    lc_parallel_for(some * job->layout.panels, share_panel, job);
    lc_parallel_for(some * job->groups, body, job);
  }
}

static lc_status run_prepared(const struct cdam_sampling *sampling, const struct cdam_task *task,
                              struct lc_error *err) {
  const struct cdam_settings *s = task->settings;
  size_t threads = (size_t)lc_threads();
  bool plain = sampling->kind == CDAM_PLAIN;
  LC_SCOPED(job_free)
  struct job job = {.sampling = sampling,
                    .task = task,
                    .seed = s ? s->seed : 0,
                    .noise = s ? s->noise : NULL,
                    .on_normed = !plain && sampling->place == CDAM_AT_NORMED_TOKENS,
                    .norm = &task->model->blocks[task->model->arch.depth - 1].norm1,
                    .layout = cdam_cls_layout(task->trace->tokens),
                    .samples = plain ? 1 : sampling->samples,
                    .groups = 1,
                    .map_size = task->n_targets * task->trace->patches};
  if (sampling->kind == CDAM_NOISY && job.noise) job.samples = s->noise_samples;
  if (sampling->kind == CDAM_SCALED) job.samples = job.samples > 1 ? job.samples - 1 : 0;
  if (job.samples == 0)
    LC_FAIL(err, LC_ERR_USAGE, "%s: expected %s",
            job.noise ? "given noise" : "samples of noise or scaling",
            sampling->kind == CDAM_NOISY ? "1 or more" : "2 or more");
  if (task->trace->batch == 0) return LC_OK;
  LC_TRY(cdam_prepared_ready(task->prepared, err));
  size_t jobs = plan(&job, threads);
  job.n_workers = threads < jobs ? threads : jobs;
  LC_TRY(lc_alloc(&job.saturated, task->trace->batch, sizeof *job.saturated, err));
  LC_TRY(buffers_init(&job, jobs, err));
  LC_TRY(workers_init(&job, err));
  run_all(&job, jobs);
  collect(&job);
  return plain ? run_saturated(&job, err) : LC_OK;
}

lc_status cdam_sampling_run(const struct cdam_sampling *sampling, const struct cdam_task *task,
                            struct lc_error *err) {
  if (task->prepared) return run_prepared(sampling, task, err);
  struct cdam_task with = *task;
  LC_TRY(cdam_prepared_init(&with.prepared, task->model, err));
  lc_status status = run_prepared(sampling, &with, err);
  cdam_prepared_free(with.prepared);
  return status;
}
