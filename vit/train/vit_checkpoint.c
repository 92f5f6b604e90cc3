/* Writes checkpoints as folders that appear by one rename, removes old ones, and resumes a training
 * from the newest after checking that the settings are the same. */
#include "vit/train/vit_checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_text.h"

#define N_PAIRS 6

/* What must be the same for a resumed run to end in the same bits, as text that is exact. The
 * optimiser checks its own moments' settings. The number of epochs may grow. */
static void describe(const struct vit_train *train, struct lc_text *text) {
  const struct vit_train_settings *s = &train->settings;
  const struct vit_schedule *r = &s->schedule;
  size_t frozen = 0;
  for (size_t i = 0; i < train->parameters.n; i++)
    if (train->trainables[i].frozen) frozen += train->trainables[i].count;
  lc_text_add(text, "samples %zu, batch %zu in parts of %zu%s, seed %" PRIu64 ", frozen %zu",
              train->samples->n, s->batch, s->part, s->whole_batches ? " (whole)" : "", s->seed,
              frozen);
  lc_text_add(text, ", weight decay %.17g, clip %.17g%s, schedule %s %.17g", s->optim.weight_decay,
              s->optim.clip_norm, s->optim.ema_warmup ? ", average warms up" : "",
              vit_schedule_name(r->kind), r->rate);
  if (r->kind == VIT_SCHEDULE_EXPONENTIAL)
    lc_text_add(text, " decay %.17g every %" PRIu64, r->decay, r->steps_per_epoch);
  if (r->kind == VIT_SCHEDULE_COSINE)
    lc_text_add(text, " to %.17g, warm-up %" PRIu64 " of %" PRIu64, r->lowest, r->warmup_steps,
                r->total_steps);
  if (r->kind == VIT_SCHEDULE_TRIANGULAR2)
    lc_text_add(text, " to %.17g, up %" PRIu64 " down %" PRIu64, r->highest, r->steps_up,
                r->steps_down);
  for (size_t t = 0; t < train->loss.n_tasks; t++) {
    const struct vit_loss_task *task = &train->loss.tasks[t];
    lc_text_add(text, ", task %s %.17g", task->name, task->weight);
    if (task->kind == VIT_LOSS_HUBER) lc_text_add(text, " delta %.17g", task->delta);
  }
}

static lc_status write_optimizer(const struct vit_train *train, const char *path,
                                 struct lc_error *err) {
  struct lc_text run = {0};
  char step[32], score[40], epoch[32];
  describe(train, &run);
  snprintf(step, sizeof step, "%" PRIu64, train->step);
  snprintf(score, sizeof score, "%.17g", train->has_best ? train->best_score : 0);
  snprintf(epoch, sizeof epoch, "%" PRIu64, train->best_epoch);
  const char *const pairs[2 * N_PAIRS] = {"training_step", step,
                                          "training_run",  lc_text_get(&run),
                                          "best_known",    train->has_best ? "true" : "false",
                                          "best_score",    score,
                                          "best_epoch",    epoch,
                                          "format",        "lungcdam checkpoint 1"};
  lc_status status =
      run.failed ? lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path)
                 : vit_optim_save(&train->optim, path, pairs, N_PAIRS, err);
  lc_text_free(&run);
  return status;
}

static lc_status write_parts(const struct vit_train *train, const char *folder,
                             struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, folder, "model.safetensors", err));
  LC_TRY(vit_model_save(train->model, path, "checkpoint of a training", err));
  if (train->optim.average) {
    struct vit_model average;
    LC_TRY(lc_path_join(path, folder, "average.safetensors", err));
    LC_TRY(vit_train_result(train, &average, err));
    lc_status status = vit_model_save(&average, path, "checkpoint of a training, averaged", err);
    vit_model_free(&average);
    LC_TRY(status);
  }
  LC_TRY(lc_path_join(path, folder, "optimizer.safetensors", err));
  return write_optimizer(train, path, err);
}

/* Steps of the checkpoints in a folder, ascending. A folder that is not there has none. */
struct step_list {
  uint64_t *steps;
  size_t n, capacity;
};

static int compare_steps(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static lc_status list_steps(const char *folder, struct step_list *list, struct lc_error *err) {
  memset(list, 0, sizeof *list);
  DIR *dir = opendir(folder);
  if (!dir && errno == ENOENT) return LC_OK;
  if (!dir) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: %s", folder, strerror(errno));
  lc_status status = LC_OK;
  for (struct dirent *entry = readdir(dir); entry && status == LC_OK; entry = readdir(dir)) {
    uint64_t step;
    int end = 0;
    if (sscanf(entry->d_name, "step-%10" SCNu64 "%n", &step, &end) != 1 || end != 15 ||
        entry->d_name[end] != '\0')
      continue;
    if (list->n == list->capacity) {
      size_t capacity = list->capacity ? 2 * list->capacity : 16;
      uint64_t *more = realloc(list->steps, capacity * sizeof *more);
      if (!more) {
        status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", folder);
        break;
      }
      list->steps = more;
      list->capacity = capacity;
    }
    list->steps[list->n++] = step;
  }
  closedir(dir);
  if (list->n) qsort(list->steps, list->n, sizeof *list->steps, compare_steps);
  return status;
}

static lc_status step_path(char path[LC_PATH_SIZE], const char *folder, uint64_t step,
                           struct lc_error *err) {
  char name[32];
  snprintf(name, sizeof name, "step-%010" PRIu64, step);
  return lc_path_join(path, folder, name, err);
}

/* An old checkpoint loses its name in one step before it is removed, so that a half removed one is
 * never taken for whole. */
static lc_status remove_old(const char *folder, size_t keep, struct lc_error *err) {
  struct step_list list;
  char path[LC_PATH_SIZE], doomed[LC_PATH_SIZE];
  lc_status status = list_steps(folder, &list, err);
  for (size_t i = 0; status == LC_OK && i + keep < list.n; i++) {
    LC_TRY_GOTO(step_path(path, folder, list.steps[i], err), done);
    LC_TRY_GOTO(lc_path_join(doomed, folder, ".removed", err), done);
    LC_TRY_GOTO(lc_folder_remove(doomed, err), done);
    if (rename(path, doomed) != 0) {
      status = lc_file_write_error(path, errno, err);
      goto done;
    }
    LC_TRY_GOTO(lc_folder_remove(doomed, err), done);
  }
done:
  free(list.steps);
  return status;
}

lc_status vit_checkpoint_write(const struct vit_train *train, const char *folder, size_t keep,
                               struct lc_error *err) {
  char root[LC_PATH_SIZE], partial[LC_PATH_SIZE], target[LC_PATH_SIZE];
  LC_TRY(lc_path_join(root, folder, "checkpoints", err));
  LC_TRY(lc_path_join(partial, root, ".partial", err));
  LC_TRY(step_path(target, root, train->step, err));
  LC_TRY(lc_folder_remove(partial, err));
  LC_TRY(lc_folder_make(partial, err));
  lc_status status = write_parts(train, partial, err);
  if (status == LC_OK) status = lc_folder_publish(partial, target, true, err);
  if (status != LC_OK) {
    lc_status removed = lc_folder_remove(partial, NULL);
    (void)removed; /* the first failure is the one to report */
    return status;
  }
  return remove_old(root, keep > 0 ? keep : 1, err);
}

static lc_status need_metadata(const struct vit_tensor_file *file, const char *key,
                               const char **text, struct lc_error *err) {
  *text = vit_tensor_file_metadata(file, key);
  if (!*text) LC_FAIL(err, LC_ERR_FORMAT, "%s: metadata \"%s\" is missing", file->path, key);
  return LC_OK;
}

/* The state that is neither weights nor moments. */
struct position {
  long long step, best_epoch;
  double best_score;
  bool has_best;
};

static lc_status read_position(const struct vit_train *train, const struct vit_tensor_file *file,
                               struct position *at, struct lc_error *err) {
  const char *step, *run, *known, *score, *epoch;
  struct lc_text mine = {0};
  LC_TRY(need_metadata(file, "training_step", &step, err));
  LC_TRY(need_metadata(file, "training_run", &run, err));
  LC_TRY(need_metadata(file, "best_known", &known, err));
  LC_TRY(need_metadata(file, "best_score", &score, err));
  LC_TRY(need_metadata(file, "best_epoch", &epoch, err));
  if (!lc_text_to_long(step, &at->step) || at->step < 0 ||
      !lc_text_to_long(epoch, &at->best_epoch) || at->best_epoch < 0 ||
      !lc_text_to_double(score, &at->best_score))
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: step \"%s\", best epoch \"%s\" or best score \"%s\" is no number", file->path,
            step, epoch, score);
  at->has_best = strcmp(known, "true") == 0;
  describe(train, &mine);
  lc_status status = LC_OK;
  if (strcmp(run, lc_text_get(&mine)) != 0)
    status = lc_fail(err, LC_ERR_MISMATCH, __FILE__, __LINE__,
                     "%s: the checkpoint is of another run (%s), expected %s", file->path, run,
                     lc_text_get(&mine));
  lc_text_free(&mine);
  return status;
}

static lc_status resume_from(struct vit_train *train, const char *folder, struct lc_error *err) {
  lc_status status;
  struct vit_model stored = {0};
  struct vit_tensor_file file = {0};
  struct position at;
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, folder, "model.safetensors", err));
  LC_TRY_GOTO(vit_model_load(&stored, path, &train->model->arch, err), done);
  LC_TRY_GOTO(vit_model_own(&stored, err), done);
  LC_TRY_GOTO(lc_path_join(path, folder, "optimizer.safetensors", err), done);
  LC_TRY_GOTO(vit_tensor_file_open(&file, path, err), done);
  LC_TRY_GOTO(read_position(train, &file, &at, err), done);
  LC_TRY_GOTO(vit_optim_load(&train->optim, path, err), done);
  memcpy(train->model->owned, stored.owned, train->parameters.block * sizeof *stored.owned);
  train->model->trained = stored.trained;
  train->model->weights_sha256[0] = '\0';
  train->step = (uint64_t)at.step;
  train->has_best = at.has_best;
  train->best_score = at.best_score;
  train->best_epoch = (uint64_t)at.best_epoch;
done:
  vit_tensor_file_close(&file);
  vit_model_free(&stored);
  return status;
}

lc_status vit_checkpoint_resume(struct vit_train *train, const char *folder, bool *found,
                                struct lc_error *err) {
  char root[LC_PATH_SIZE], path[LC_PATH_SIZE];
  struct step_list list;
  *found = false;
  LC_TRY(lc_path_join(root, folder, "checkpoints", err));
  lc_status status = list_steps(root, &list, err);
  if (status == LC_OK && list.n > 0) {
    status = step_path(path, root, list.steps[list.n - 1], err);
    if (status == LC_OK) status = resume_from(train, path, err);
    if (status == LC_OK) *found = true;
  }
  free(list.steps);
  return status;
}
