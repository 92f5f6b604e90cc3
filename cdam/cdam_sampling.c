#include "cdam_sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam_cls.h"
#include "cdam_noise.h"
#include "cdam_vector.h"
#include "lc_parallel.h"

static const struct cdam_settings no_settings;

struct worker {
  struct cdam_cls engine;
  float *tokens;   /* [panels, dim, panel]: the image's input; padding columns stay zero */
  float low, high; /* range of the tensor that gets noise */
  float *moments;  /* [2, panel] */
  float *zero;     /* [dim] */
};

struct job {
  const struct cdam_sampling *sampling;
  const struct cdam_task *task;
  const struct cdam_settings *settings;
  const struct vit_norm *norm;
  bool on_normed;  /* noise or scaling act on the normed tokens */
  size_t samples;  /* inputs of one image */
  size_t group;    /* inputs of one call of the engine */
  size_t groups;   /* of one image; one when the inputs are whole images */
  size_t map_size; /* scores of one image */
  float *partial;  /* [image, group, map_size]: sums of groups; NULL when samples is 1 */
  struct worker *workers;
};

/* Largest and smallest value of [tokens, dim]. */
static void range_of(const float *x, size_t count, float *low, float *high) {
  *low = *high = x[0];
  for (size_t i = 0; i < count; i++) {
    *low = x[i] < *low ? x[i] : *low;
    *high = x[i] > *high ? x[i] : *high;
  }
}

static void norm_panel(const struct job *job, const struct cdam_cls *e, const float *x,
                       float *out) {
  const struct vit_arch *arch = &e->model->arch;
  vit_kernels()->layer_norm(arch->embed_dim, e->panel, x, e->panel, job->norm->weight,
                            job->norm->bias, arch->layer_norm_eps, out, e->panel, NULL, NULL);
}

/* Token rows [tokens, dim] of one panel to columns; padding columns are not touched. */
static void turn_panel(const struct cdam_cls *e, const float *rows, size_t panel, float *out) {
  size_t dim = e->model->arch.embed_dim, first = panel * e->panel;
  size_t n = e->tokens - first < e->panel ? e->tokens - first : e->panel;
  vit_kernels()->transpose(n, dim, rows + first * dim, dim, out, e->panel);
}

/* out += its noise, where out holds none yet. */
static void noisy_panel(const struct job *job, const struct worker *w, size_t sample, size_t panel,
                        float *out) {
  const struct cdam_settings *s = job->settings;
  const struct cdam_cls *e = &w->engine;
  size_t dim = e->model->arch.embed_dim, size = dim * e->panel;
  float factor = 1;
  if (s->noise) {
    memset(out, 0, size * sizeof *out);
    turn_panel(e, s->noise + sample * e->tokens * dim, panel, out);
  } else {
    factor = (float)s->level * (w->high - w->low);
    cdam_noise_fill(s->seed, "smooth-cdam", sample * e->panels + panel, out, size);
  }
  cdam_vector_add(w->tokens + panel * size, out, size, factor, out);
}

static void keep_cls(struct cdam_cls *e, const float *tokens, size_t place) {
  for (size_t k = 0; k < e->model->arch.embed_dim; k++)
    e->cls[k * CDAM_GROUP + place] = tokens[k * e->panel];
}

/* Puts one sample of the worker's image into place `place` of its engine. */
static void make_input(const struct job *job, struct worker *w, const float *input, size_t sample,
                       size_t place) {
  struct cdam_cls *e = &w->engine;
  size_t dim = e->model->arch.embed_dim, size = dim * e->panel;
  float *out = e->normed + place * e->panels * size;
  for (size_t p = 0; p < e->panels; p++) {
    float *panel = out + p * size;
    const float *from = w->tokens + p * size;
    if (job->sampling->kind == CDAM_NOISY) {
      noisy_panel(job, w, sample, p, panel);
      from = panel;
    }
    if (p == 0) keep_cls(e, from, place);
    if (!job->on_normed) norm_panel(job, e, from, panel);
  }
  /* Noise on the normed tokens leaves the residual branch alone. */
  for (size_t k = 0; k < dim && job->on_normed; k++) e->cls[k * CDAM_GROUP + place] = input[k];
}

static void load_image(const struct job *job, struct worker *w, size_t image) {
  struct cdam_cls *e = &w->engine;
  size_t dim = e->model->arch.embed_dim, size = dim * e->panel;
  const float *input = job->task->trace->last_input + image * e->tokens * dim;
  for (size_t p = 0; p < e->panels; p++) {
    turn_panel(e, input, p, w->tokens + p * size);
    if (job->on_normed) norm_panel(job, e, w->tokens + p * size, w->tokens + p * size);
  }
  if (job->sampling->kind != CDAM_NOISY) return;
  if (!job->on_normed) {
    range_of(input, e->tokens * dim, &w->low, &w->high);
    return;
  }
  w->low = w->high = w->tokens[0];
  for (size_t p = 0; p < e->panels; p++)
    for (size_t k = 0; k < dim; k++) {
      size_t n = e->tokens - p * e->panel < e->panel ? e->tokens - p * e->panel : e->panel;
      float low, high;
      range_of(w->tokens + p * size + k * e->panel, n, &low, &high);
      w->low = low < w->low ? low : w->low;
      w->high = high > w->high ? high : w->high;
    }
}

/* Scaling moves every token along a line: with x' = b + share (x - b) the mean drops out of the
 * norm, and norm1(x') = factor * weight * (x - mean) / deviation + bias with
 * factor = share / sqrt(share^2 + (1 - share^2) eps / deviation^2). So the group shares one set of
 * tokens. */
static void make_scaled(const struct job *job, struct worker *w, const float *input, size_t first,
                        size_t n) {
  struct cdam_cls *e = &w->engine;
  const struct vit_arch *arch = &e->model->arch;
  size_t dim = arch->embed_dim, size = dim * e->panel, ldt = e->ld_tokens;
  float *rstd = w->moments + e->panel, b = (float)job->settings->baseline;
  for (size_t p = 0; p < e->panels; p++) {
    if (job->on_normed) {
      memcpy(e->normed + p * size, w->tokens + p * size, size * sizeof *e->normed);
    } else {
      vit_kernels()->layer_norm(dim, e->panel, w->tokens + p * size, e->panel, job->norm->weight,
                                w->zero, arch->layer_norm_eps, e->normed + p * size, e->panel,
                                w->moments, rstd);
    }
    for (size_t i = 0; i < n; i++) {
      double share = (double)(first + i + 1) / (double)(job->samples + 1);
      for (size_t c = 0; c < e->panel; c++) {
        double r = (double)rstd[c],
               rest = (1 - share * share) * (double)arch->layer_norm_eps * r * r;
        e->factor[i * ldt + p * e->panel + c] =
            (float)(job->on_normed ? share : share / sqrt(share * share + rest));
      }
    }
  }
  for (size_t i = 0; i < n; i++) {
    float share = (float)((double)(first + i + 1) / (double)(job->samples + 1));
    for (size_t k = 0; k < dim; k++) {
      e->offset[i * dim + k] = job->on_normed ? (1 - share) * b : job->norm->bias[k];
      e->cls[k * CDAM_GROUP + i] = job->on_normed ? input[k] : b + share * (input[k] - b);
    }
  }
}

static float *map_of(struct cdam_maps *maps, size_t image) {
  return maps ? cdam_maps_get(maps, image, 0) : NULL;
}

static const float *input_of(const struct job *job, size_t image) {
  return job->task->trace->last_input +
         image * job->task->trace->tokens * job->task->model->arch.embed_dim;
}

/* Whole images: each of the group has maps of its own. */
static void run_images(const struct job *job, struct worker *w, size_t first) {
  const struct cdam_sampling *s = job->sampling;
  size_t left = job->task->trace->batch - first, n = left < job->group ? left : job->group;
  for (size_t i = 0; i < n; i++) {
    load_image(job, w, first + i);
    make_input(job, w, input_of(job, first + i), 0, i);
  }
  struct cdam_cls_sum sum = {.maps = map_of(s->maps, first),
                             .routed = map_of(s->routed, first),
                             .content = map_of(s->content, first),
                             .gradcam = map_of(s->gradcam, first),
                             .weight = 1,
                             .map_stride = job->map_size};
  cdam_cls_run(&w->engine, n, &sum);
}

static void run_samples(const struct job *job, struct worker *w, size_t index) {
  size_t first = index % job->groups * job->group, image = index / job->groups;
  size_t n = job->samples - first < job->group ? job->samples - first : job->group;
  load_image(job, w, image);
  if (job->sampling->kind == CDAM_SCALED)
    make_scaled(job, w, input_of(job, image), first, n);
  else
    for (size_t i = 0; i < n; i++) make_input(job, w, input_of(job, image), first + i, i);
  struct cdam_cls_sum sum = {.maps = job->partial + index * job->map_size,
                             .weight = 1 / (float)job->samples};
  cdam_cls_run(&w->engine, n, &sum);
}

static void body(void *context, size_t index, int worker) {
  const struct job *job = context;
  struct worker *w = &job->workers[worker];
  if (job->partial)
    run_samples(job, w, index);
  else
    run_images(job, w, index * job->group);
}

/* Sums of groups are added in their order, whoever made them. */
static void collect(const struct job *job) {
  size_t images = job->task->trace->batch;
  for (size_t image = 0; job->partial && image < images; image++) {
    float *map = cdam_maps_get(job->sampling->maps, image, 0);
    for (size_t g = 0; g < job->groups; g++)
      cdam_vector_add(map, job->partial + (image * job->groups + g) * job->map_size, job->map_size,
                      1, map);
  }
}

static lc_status workers_init(struct job *job, size_t n, struct lc_error *err) {
  const struct cdam_task *task = job->task;
  LC_TRY(lc_alloc(&job->workers, n, sizeof *job->workers, err));
  for (size_t i = 0; i < n; i++) {
    struct worker *w = &job->workers[i];
    LC_TRY(cdam_cls_init(&w->engine, task->model, task->targets, task->n_targets,
                         task->trace->tokens, job->group, job->sampling->kind == CDAM_SCALED, err));
    size_t dim = task->model->arch.embed_dim;
    LC_TRY(lc_alloc(&w->tokens, dim * w->engine.ld_tokens, sizeof(float), err));
    LC_TRY(lc_alloc(&w->moments, 2 * w->engine.panel, sizeof(float), err));
    LC_TRY(lc_alloc(&w->zero, dim, sizeof(float), err));
  }
  return LC_OK;
}

static void workers_free(struct job *job, size_t n) {
  for (size_t i = 0; job->workers && i < n; i++) {
    cdam_cls_free(&job->workers[i].engine);
    free(job->workers[i].tokens);
    free(job->workers[i].moments);
    free(job->workers[i].zero);
  }
  free(job->workers);
  free(job->partial);
}

static size_t divide_up(size_t a, size_t b) {
  return (a + b - 1) / b;
}

lc_status cdam_sampling_run(const struct cdam_sampling *sampling, const struct cdam_task *task,
                            struct lc_error *err) {
  const struct cdam_settings *s = task->settings ? task->settings : &no_settings;
  size_t threads = (size_t)lc_threads(), images = task->trace->batch, jobs;
  struct job job = {.sampling = sampling,
                    .task = task,
                    .settings = s,
                    .on_normed = sampling->kind != CDAM_PLAIN && s->place == CDAM_AT_NORMED_TOKENS,
                    .norm = &task->model->blocks[task->model->arch.depth - 1].norm1,
                    .samples = 1,
                    .groups = 1,
                    .map_size = task->n_targets * task->trace->patches};
  if (sampling->kind == CDAM_NOISY) job.samples = s->noise ? s->noise_samples : s->samples;
  if (sampling->kind == CDAM_SCALED) job.samples = s->samples > 1 ? s->samples - 1 : 0;
  if (job.samples == 0)
    LC_FAIL(err, LC_ERR_USAGE, "CDAM: expected at least %s",
            sampling->kind == CDAM_NOISY ? "one sample" : "two steps");
  if (images == 0) return LC_OK;
  if (sampling->kind == CDAM_PLAIN) {
    /* Scores do not depend on the grouping, so it may follow the number of threads. */
    job.group = divide_up(images, threads) < CDAM_GROUP ? divide_up(images, threads) : CDAM_GROUP;
    jobs = divide_up(images, job.group);
  } else {
    job.groups = divide_up(job.samples, CDAM_GROUP);
    job.group = divide_up(job.samples, job.groups);
    jobs = images * job.groups;
    LC_TRY(lc_alloc(&job.partial, jobs * job.map_size, sizeof(float), err));
  }
  size_t n_workers = threads < jobs ? threads : jobs;
  lc_status status = workers_init(&job, n_workers, err);
  if (status == LC_OK) {
    lc_parallel_for(jobs, body, &job);
    collect(&job);
  }
  workers_free(&job, n_workers);
  return status;
}
