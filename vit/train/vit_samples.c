/* Draws the order of the samples in an epoch and loads a batch of them in parallel. */
#include "vit/train/vit_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"

void vit_samples_order(uint64_t seed, uint64_t epoch, uint32_t *order, size_t n) {
  struct lc_random random;
  lc_random_init(&random, seed, "order", epoch);
  lc_random_permutation(&random, order, (uint32_t)n);
}

void vit_samples_name(const struct vit_samples *samples, size_t index, char name[VIT_SAMPLE_NAME]) {
  if (samples->identify)
    samples->identify(samples->context, index, name);
  else
    snprintf(name, VIT_SAMPLE_NAME, "sample %zu", index);
}

lc_status vit_batch_init(struct vit_batch *batch, const struct vit_samples *samples,
                         size_t capacity, struct lc_error *err) {
  lc_status status;
  memset(batch, 0, sizeof *batch);
  batch->capacity = capacity;
  batch->image_size = 3 * samples->height * samples->width;
  batch->outputs = samples->outputs;
  LC_TRY_GOTO(lc_alloc(&batch->images, capacity * batch->image_size, sizeof(float), err), fail);
  LC_TRY_GOTO(lc_alloc(&batch->targets, capacity * batch->outputs, sizeof(float), err), fail);
  LC_TRY_GOTO(lc_alloc(&batch->present, capacity * batch->outputs, 1, err), fail);
  LC_TRY_GOTO(lc_alloc(&batch->weights, capacity, sizeof(float), err), fail);
  LC_TRY_GOTO(lc_alloc(&batch->indices, capacity, sizeof *batch->indices, err), fail);
  return LC_OK;
fail:
  vit_batch_free(batch);
  return status;
}

void vit_batch_free(struct vit_batch *batch) {
  free(batch->images);
  free(batch->targets);
  free(batch->present);
  free(batch->weights);
  free(batch->indices);
  memset(batch, 0, sizeof *batch);
}

struct load_job {
  struct vit_batch *batch;
  const struct vit_samples *samples;
  uint64_t epoch;
  struct load_result *results; /* [n] */
};

struct load_result {
  lc_status status;
  struct lc_error error;
};

static void load_sample(void *context, size_t i, int worker) {
  (void)worker;
  const struct load_job *job = context;
  struct vit_batch *b = job->batch;
  const struct vit_sample sample = {.image = b->images + i * b->image_size,
                                    .targets = b->targets + i * b->outputs,
                                    .present = b->present + i * b->outputs,
                                    .weight = b->weights + i};
  memset(sample.targets, 0, b->outputs * sizeof *sample.targets);
  memset(sample.present, 0, b->outputs);
  *sample.weight = 1;
  job->results[i].status = job->samples->load(job->samples->context, job->epoch, b->indices[i],
                                              &sample, &job->results[i].error);
}

lc_status vit_batch_load(struct vit_batch *batch, const struct vit_samples *samples, uint64_t epoch,
                         const uint32_t *indices, size_t n, struct lc_error *err) {
  struct load_job job = {.batch = batch, .samples = samples, .epoch = epoch};
  if (n > batch->capacity)
    LC_FAIL(err, LC_ERR_USAGE, "%zu samples do not fit a batch of %zu", n, batch->capacity);
  for (size_t i = 0; i < n; i++)
    if (indices[i] >= samples->n)
      LC_FAIL(err, LC_ERR_USAGE, "sample %u of %zu does not exist", indices[i], samples->n);
  LC_TRY(lc_alloc(&job.results, n, sizeof *job.results, err));
  memcpy(batch->indices, indices, n * sizeof *indices);
  batch->n = n;
  lc_parallel_for(n, load_sample, &job);
  lc_status status = LC_OK;
  for (size_t i = 0; i < n && status == LC_OK; i++) {
    if (job.results[i].status == LC_OK) continue;
    char name[VIT_SAMPLE_NAME];
    vit_samples_name(samples, indices[i], name);
    status = lc_fail(err, job.results[i].status, __FILE__, __LINE__, "%s: %s", name,
                     job.results[i].error.message);
  }
  free(job.results);
  return status;
}
