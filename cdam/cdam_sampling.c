#include "cdam_sampling.h"

#include <stdlib.h>
#include <string.h>

#include "cdam_cls.h"
#include "cdam_noise.h"
#include "cdam_vector.h"
#include "lc_parallel.h"

static const struct cdam_settings no_settings;

struct worker {
  struct cdam_cls engine;
  float *tokens; /* [dim, ld]: the image's input, feature-major; padding columns stay zero */
  float *normed; /* [dim, ld]: its norm1, when that is what noise or scaling act on */
};

struct job {
  const struct cdam_sampling *sampling;
  const struct cdam_task *task;
  const struct cdam_settings *settings;
  const struct vit_norm *norm;
  size_t samples;  /* inputs of one image */
  size_t group;    /* inputs of one call of the engine */
  size_t groups;   /* of one image; one when the inputs are whole images */
  size_t map_size; /* scores of one image */
  float *partial;  /* [image, group, map_size]: sums of groups; NULL when samples is 1 */
  struct worker *workers;
};

static void range_of(const float *x, size_t rows, size_t columns, size_t ld, float *low,
                     float *high) {
  *low = *high = x[0];
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) {
      float v = x[r * ld + c];
      *low = v < *low ? v : *low;
      *high = v > *high ? v : *high;
    }
}

static void norm_tokens(const struct job *job, const struct cdam_cls *e, const float *x,
                        float *out) {
  const struct vit_arch *arch = &e->model->arch;
  vit_kernels()->layer_norm(arch->embed_dim, e->ld_tokens, x, e->ld_tokens, job->norm->weight,
                            job->norm->bias, arch->layer_norm_eps, out, e->ld_tokens, NULL, NULL);
}

static void keep_cls(struct cdam_cls *e, const float *x, size_t place) {
  for (size_t k = 0; k < e->model->arch.embed_dim; k++)
    e->cls[k * CDAM_GROUP + place] = x[k * e->ld_tokens];
}

static void add_noise(const struct job *job, const struct cdam_cls *e, const float *x,
                      size_t sample, float *out) {
  const struct cdam_settings *s = job->settings;
  size_t dim = e->model->arch.embed_dim, count = dim * e->ld_tokens;
  float factor = 1, low, high;
  if (s->noise) {
    vit_kernels()->transpose(e->tokens, dim, s->noise + sample * e->tokens * dim, dim, out,
                             e->ld_tokens);
    for (size_t k = 0; k < dim; k++)
      memset(out + k * e->ld_tokens + e->tokens, 0, (e->ld_tokens - e->tokens) * sizeof *out);
  } else {
    range_of(x, dim, e->tokens, e->ld_tokens, &low, &high);
    factor = (float)s->level * (high - low);
    cdam_noise_fill(s->seed, "smooth-cdam", sample, out, count);
  }
  cdam_vector_add(x, out, count, factor, out);
}

/* Puts one sample of the worker's image into place `place` of its engine. */
static void make_input(const struct job *job, struct worker *w, size_t sample, size_t place) {
  struct cdam_cls *e = &w->engine;
  size_t count = e->model->arch.embed_dim * e->ld_tokens;
  float *out = e->normed + place * count;
  bool on_normed = job->settings->place == CDAM_AT_NORMED_TOKENS;
  const float *x = on_normed ? w->normed : w->tokens;
  if (job->sampling->kind == CDAM_PLAIN) {
    keep_cls(e, w->tokens, place);
    norm_tokens(job, e, w->tokens, out);
    return;
  }
  if (job->sampling->kind == CDAM_NOISY)
    add_noise(job, e, x, sample, out);
  else
    cdam_vector_scale(x, count, (float)job->settings->baseline,
                      (float)(sample + 1) / (float)(job->samples + 1), out);
  keep_cls(e, on_normed ? w->tokens : out, place);
  if (!on_normed) norm_tokens(job, e, out, out);
}

static void load_image(const struct job *job, struct worker *w, size_t image) {
  struct cdam_cls *e = &w->engine;
  size_t dim = e->model->arch.embed_dim;
  vit_kernels()->transpose(e->tokens, dim, job->task->trace->last_input + image * e->tokens * dim,
                           dim, w->tokens, e->ld_tokens);
  if (w->normed) norm_tokens(job, e, w->tokens, w->normed);
}

static float *map_of(struct cdam_maps *maps, size_t image) {
  return maps ? cdam_maps_get(maps, image, 0) : NULL;
}

/* Whole images: each of the group has maps of its own. */
static void run_images(const struct job *job, struct worker *w, size_t first) {
  const struct cdam_sampling *s = job->sampling;
  size_t n =
      job->task->trace->batch - first < job->group ? job->task->trace->batch - first : job->group;
  for (size_t i = 0; i < n; i++) {
    load_image(job, w, first + i);
    make_input(job, w, 0, i);
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
  size_t first = index % job->groups * job->group;
  size_t n = job->samples - first < job->group ? job->samples - first : job->group;
  load_image(job, w, index / job->groups);
  for (size_t i = 0; i < n; i++) make_input(job, w, first + i, i);
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
  size_t dim = task->model->arch.embed_dim, count = dim * vit_pad(task->trace->tokens);
  LC_TRY(lc_alloc(&job->workers, n, sizeof *job->workers, err));
  for (size_t i = 0; i < n; i++) {
    struct worker *w = &job->workers[i];
    LC_TRY(cdam_cls_init(&w->engine, task->model, task->targets, task->n_targets,
                         task->trace->tokens, job->group, err));
    LC_TRY(lc_alloc(&w->tokens, count, sizeof(float), err));
    if (job->settings->place == CDAM_AT_NORMED_TOKENS)
      LC_TRY(lc_alloc(&w->normed, count, sizeof(float), err));
  }
  return LC_OK;
}

static void workers_free(struct job *job, size_t n) {
  for (size_t i = 0; job->workers && i < n; i++) {
    cdam_cls_free(&job->workers[i].engine);
    free(job->workers[i].tokens);
    free(job->workers[i].normed);
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
