/* Evaluates a transformer on an image with patches missing. */
#include "cdam/measures/cdam_removal.h"

#include <stdlib.h>
#include <string.h>

#include "cdam/measures/cdam_impute.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"

#define BATCH 8

static size_t pixels_of(const struct cdam_removal *removal) {
  return removal->height * removal->width;
}

lc_status cdam_removal_init(struct cdam_removal *removal, const struct vit_model *model,
                            const struct cdam_target *targets, size_t n_targets, size_t height,
                            size_t width, const struct cdam_removal_settings *settings,
                            struct lc_error *err) {
  size_t patch = model->arch.patch_size;
  *removal = (struct cdam_removal){
      .model = model, .targets = targets, .n_targets = n_targets, .height = height, .width = width};
  if (settings) removal->settings = *settings;
  if (removal->settings.batch == 0) removal->settings.batch = BATCH;
  if (removal->settings.blur_sigma <= 0) removal->settings.blur_sigma = 2 * (double)patch;
  LC_TRY(cdam_target_check(targets, n_targets, model, err));
  if (height == 0 || width == 0 || height % patch || width % patch)
    LC_FAIL(err, LC_ERR_USAGE, "an image of %zu x %zu cannot be cut into patches of %zu x %zu",
            height, width, patch, patch);
  removal->patches = (height / patch) * (width / patch);
  LC_TRY(lc_alloc(&removal->known, 2 * n_targets, sizeof *removal->known, err));
  if (removal->settings.kind == CDAM_LEAVE_OUT) return LC_OK;
  size_t image = VIT_CHANNELS * pixels_of(removal);
  LC_TRY(lc_alloc(&removal->fill, image, sizeof *removal->fill, err));
  LC_TRY(lc_alloc(&removal->images, removal->settings.batch * image, sizeof(float), err));
  return vit_workspace_init(&removal->workspace, model, removal->settings.batch, height, width,
                            NULL, err);
}

void cdam_removal_free(struct cdam_removal *removal) {
  vit_workspace_free(&removal->workspace);
  free(removal->fill);
  free(removal->images);
  free(removal->known);
  *removal = (struct cdam_removal){0};
}

static void fill_mean(const float *image, size_t pixels, float *fill) {
  for (size_t c = 0; c < VIT_CHANNELS; c++, image += pixels, fill += pixels) {
    double sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += (double)image[i];
    for (size_t i = 0; i < pixels; i++) fill[i] = (float)(sum / (double)pixels);
  }
}

/* One line of a Gaussian blur; weights run out at the border and are scaled to sum 1. */
static void blur_line(const float *in, size_t n, size_t step, const double *weights, size_t reach,
                      float *out) {
  for (size_t i = 0; i < n; i++) {
    double sum = 0, total = 0;
    size_t from = i > reach ? i - reach : 0, to = i + reach < n ? i + reach : n - 1;
    for (size_t j = from; j <= to; j++) {
      double w = weights[j > i ? j - i : i - j];
      sum += w * (double)in[j * step];
      total += w;
    }
    out[i * step] = (float)(sum / total);
  }
}

static lc_status fill_blur(const struct cdam_removal *removal, struct lc_error *err) {
  LC_FREED double *weights = NULL;
  double sigma = removal->settings.blur_sigma;
  size_t reach = (size_t)(4 * sigma + 0.5), h = removal->height, w = removal->width;
  LC_FREED float *half = NULL;
  LC_TRY(lc_alloc(&weights, reach + 1, sizeof *weights, err));
  LC_TRY(lc_alloc(&half, h * w, sizeof *half, err));
  for (size_t i = 0; i <= reach; i++) weights[i] = exp(-0.5 * (double)(i * i) / (sigma * sigma));
  for (size_t c = 0; c < VIT_CHANNELS; c++) {
    const float *in = removal->image + c * h * w;
    for (size_t y = 0; y < h; y++) blur_line(in + y * w, w, 1, weights, reach, half + y * w);
    float *out = removal->fill + c * h * w;
    for (size_t x = 0; x < w; x++) blur_line(half + x, h, w, weights, reach, out + x);
  }
  return LC_OK;
}

lc_status cdam_removal_set_image(struct cdam_removal *removal, const float *image, uint64_t item,
                                 struct lc_error *err) {
  removal->image = image;
  removal->item = item;
  removal->knows[0] = removal->knows[1] = false;
  if (removal->settings.kind == CDAM_FILL_MEAN) fill_mean(image, pixels_of(removal), removal->fill);
  if (removal->settings.kind == CDAM_FILL_VALUE)
    for (size_t i = 0; i < VIT_CHANNELS * pixels_of(removal); i++)
      removal->fill[i] = removal->settings.value;
  if (removal->settings.kind == CDAM_FILL_BLUR) return fill_blur(removal, err);
  return LC_OK;
}

static bool stays(const struct cdam_removal *removal, const uint8_t *kept, size_t pixel) {
  size_t patch = removal->model->arch.patch_size;
  size_t row = pixel / removal->width / patch, column = pixel % removal->width / patch;
  return kept[row * (removal->width / patch) + column];
}

/* Each channel is solved on its own; the noise is drawn again for each, but the same for all, so
 * that grey stays grey. */
static lc_status impute(const struct cdam_removal *removal, const uint8_t *kept, float *out,
                        struct lc_error *err) {
  size_t pixels = pixels_of(removal);
  LC_FREED uint8_t *missing = NULL;
  LC_TRY(lc_alloc(&missing, pixels, sizeof *missing, err));
  for (size_t i = 0; i < pixels; i++) missing[i] = !stays(removal, kept, i);
  for (size_t c = 0; c < VIT_CHANNELS; c++) {
    const float *image = removal->image + c * pixels;
    float *filled = out + c * pixels;
    bool grey = c > 0 && memcmp(image, removal->image, pixels * sizeof *image) == 0;
    if (grey) {
      memcpy(filled, out, pixels * sizeof *filled);
      continue;
    }
    memcpy(filled, image, pixels * sizeof *filled);
    LC_TRY(cdam_impute(filled, missing, removal->height, removal->width, err));
    struct lc_random random;
    lc_random_init(&random, removal->settings.seed, "impute-noise", removal->item);
    for (size_t i = 0; i < pixels; i++) {
      double noise = removal->settings.noise * lc_random_normal(&random);
      if (missing[i]) filled[i] += (float)noise;
    }
  }
  return LC_OK;
}

lc_status cdam_removal_picture(const struct cdam_removal *removal, const uint8_t *kept, float *out,
                               struct lc_error *err) {
  size_t pixels = pixels_of(removal);
  if (removal->settings.kind == CDAM_FILL_IMPUTED) return impute(removal, kept, out, err);
  for (size_t c = 0; c < VIT_CHANNELS; c++)
    for (size_t i = 0; i < pixels; i++) {
      size_t at = c * pixels + i;
      out[at] = stays(removal, kept, i) ? removal->image[at]
                : removal->fill         ? removal->fill[at]
                                        : 0;
    }
  return LC_OK;
}

/* Values of the targets of one image of a trace. */
static void read_targets(const struct cdam_removal *removal, const struct vit_trace *trace,
                         size_t image, double *values) {
  size_t outputs = vit_arch_outputs(&removal->model->arch);
  size_t dim = removal->model->arch.embed_dim;
  for (size_t t = 0; t < removal->n_targets; t++)
    values[t] =
        cdam_target_value(&removal->targets[t], removal->model, trace->logits + image * outputs,
                          trace->cls_embedding + image * dim);
}

/* What loops over variants share; a failure is kept until the loop is over. */
struct job {
  struct cdam_removal *removal;
  const uint8_t *kept; /* [n, patches] */
  const size_t *open;  /* variants that must be run */
  double *values;
  size_t first; /* of a batch */
  lc_status *status;
  struct lc_error *errors;
  uint32_t *lists; /* [worker, patches] */
};

static lc_status leave_out(const struct job *job, size_t variant, int worker,
                           struct lc_error *err) {
  const struct cdam_removal *removal = job->removal;
  const uint8_t *kept = job->kept + variant * removal->patches;
  struct vit_request request = {.kept = job->lists + (size_t)worker * removal->patches};
  uint32_t *list = job->lists + (size_t)worker * removal->patches;
  for (size_t p = 0; p < removal->patches; p++)
    if (kept[p]) list[request.n_kept++] = (uint32_t)p;
  LC_SCOPED(vit_workspace_free) struct vit_workspace workspace = {0};
  struct vit_trace trace;
  LC_TRY(vit_workspace_init(&workspace, removal->model, 1, removal->height, removal->width,
                            &request, err));
  LC_TRY(vit_forward(&workspace, removal->image, 1, &trace, err));
  read_targets(removal, &trace, 0, job->values + variant * removal->n_targets);
  return LC_OK;
}

static void leave_out_body(void *context, size_t i, int worker) {
  struct job *job = context;
  if (job->status[worker] == LC_OK)
    job->status[worker] = leave_out(job, job->open[i], worker, &job->errors[worker]);
}

static void picture_body(void *context, size_t i, int worker) {
  struct job *job = context;
  struct cdam_removal *removal = job->removal;
  size_t variant = job->open[job->first + i];
  if (job->status[worker] == LC_OK)
    job->status[worker] = cdam_removal_picture(
        removal, job->kept + variant * removal->patches,
        removal->images + i * VIT_CHANNELS * pixels_of(removal), &job->errors[worker]);
}

static lc_status first_failure(const struct job *job, struct lc_error *err) {
  for (int w = 0; w < lc_threads(); w++)
    if (job->status[w] != LC_OK) {
      if (err) *err = job->errors[w];
      return job->status[w];
    }
  return LC_OK;
}

static lc_status replace(struct job *job, size_t n, struct lc_error *err) {
  struct cdam_removal *removal = job->removal;
  for (job->first = 0; job->first < n; job->first += removal->settings.batch) {
    size_t left = n - job->first;
    size_t images = left < removal->settings.batch ? left : removal->settings.batch;
    lc_parallel_for(images, picture_body, job);
    LC_TRY(first_failure(job, err));
    struct vit_trace trace;
    LC_TRY(vit_forward(&removal->workspace, removal->images, images, &trace, err));
    for (size_t i = 0; i < images; i++)
      read_targets(removal, &trace, i,
                   job->values + job->open[job->first + i] * removal->n_targets);
  }
  return LC_OK;
}

/* Which of the two images that measures ask for again and again a variant is: 0 the empty one, 1
 * the whole one, 2 neither. */
static size_t known_as(const struct cdam_removal *removal, const uint8_t *kept) {
  size_t stay = 0;
  for (size_t p = 0; p < removal->patches; p++) stay += kept[p] != 0;
  return stay == 0 ? 0 : stay == removal->patches ? 1 : 2;
}

/* Lists the variants that must be run: of those that ask for the empty or the whole image the
 * first, unless it was run before. */
static size_t find_open(const struct cdam_removal *removal, const uint8_t *kept, size_t n,
                        size_t *open, size_t first[2]) {
  size_t count = 0;
  first[0] = first[1] = SIZE_MAX;
  for (size_t v = 0; v < n; v++) {
    size_t as = known_as(removal, kept + v * removal->patches);
    if (as < 2 && (removal->knows[as] || first[as] != SIZE_MAX)) continue;
    if (as < 2) first[as] = v;
    open[count++] = v;
  }
  return count;
}

static void copy_known(struct cdam_removal *removal, const uint8_t *kept, size_t n,
                       const size_t first[2], double *values) {
  size_t targets = removal->n_targets, size = targets * sizeof *values;
  for (size_t as = 0; as < 2; as++) {
    if (first[as] == SIZE_MAX) continue;
    memcpy(removal->known + as * targets, values + first[as] * targets, size);
    removal->knows[as] = true;
  }
  for (size_t v = 0; v < n; v++) {
    size_t as = known_as(removal, kept + v * removal->patches);
    if (as < 2) memcpy(values + v * targets, removal->known + as * targets, size);
  }
}

static lc_status evaluate(void *context, const uint8_t *kept, size_t n, double *values,
                          struct lc_error *err) {
  struct cdam_removal *removal = context;
  size_t workers = (size_t)lc_threads(), first[2];
  LC_FREED size_t *open = NULL;
  LC_FREED lc_status *status = NULL;
  LC_FREED struct lc_error *errors = NULL;
  LC_FREED uint32_t *lists = NULL;
  if (!removal->image) LC_FAIL(err, LC_ERR_USAGE, "removal: no image was set");
  LC_TRY(lc_alloc(&open, n + 1, sizeof *open, err));
  LC_TRY(lc_alloc(&status, workers, sizeof *status, err));
  LC_TRY(lc_alloc(&errors, workers, sizeof *errors, err));
  LC_TRY(lc_alloc(&lists, workers * removal->patches, sizeof *lists, err));
  struct job job = {removal, kept, open, values, 0, status, errors, lists};
  size_t count = find_open(removal, kept, n, open, first);
  if (removal->settings.kind == CDAM_LEAVE_OUT) {
    lc_parallel_for(count, leave_out_body, &job);
    LC_TRY(first_failure(&job, err));
  } else {
    LC_TRY(replace(&job, count, err));
  }
  copy_known(removal, kept, n, first, values);
  return LC_OK;
}

struct cdam_evaluator cdam_removal_evaluator(struct cdam_removal *removal) {
  return (struct cdam_evaluator){.patches = removal->patches,
                                 .targets = removal->n_targets,
                                 .context = removal,
                                 .evaluate = evaluate};
}
