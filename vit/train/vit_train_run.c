/* Runs the epochs of a training around its single steps: checkpoints, the best weights, early
 * stopping. */
#include <math.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "vit/train/vit_checkpoint.h"
#include "vit/train/vit_train.h"

static bool patience_over(const struct vit_train *train, const struct vit_train_run *run) {
  if (!run->evaluate || run->patience == 0) return false;
  uint64_t done = train->step / train->steps_per_epoch;
  return done - (train->has_best ? train->best_epoch + 1 : 0) >= run->patience;
}

static lc_status keep_best(struct vit_train *train, const char *folder, struct lc_error *err) {
  struct vit_model best;
  char path[LC_PATH_SIZE];
  if (!folder) return LC_OK;
  LC_TRY(lc_path_join(path, folder, "best.safetensors", err));
  LC_TRY(vit_train_result(train, &best, err));
  lc_status status = vit_model_save(&best, path, "best of a training so far", err);
  vit_model_free(&best);
  return status;
}

static lc_status end_epoch(struct vit_train *train, const struct vit_train_run *run,
                           struct lc_error *err) {
  uint64_t epoch = train->step / train->steps_per_epoch - 1;
  double score = NAN;
  if (!run->evaluate) return LC_OK;
  LC_TRY(run->evaluate(run->context, train, epoch, &score, err));
  if (isnan(score) || (train->has_best && score <= train->best_score)) return LC_OK;
  train->has_best = true;
  train->best_score = score;
  train->best_epoch = epoch;
  return keep_best(train, run->folder, err);
}

static bool checkpoint_is_due(const struct vit_train *train, const struct vit_train_run *run) {
  uint64_t every = run->checkpoint_steps ? run->checkpoint_steps : train->steps_per_epoch;
  return train->step % every == 0 || train->step == vit_train_steps(train);
}

static lc_status checkpoint(const struct vit_train *train, const struct vit_train_run *run,
                            struct lc_error *err) {
  return run->folder ? vit_checkpoint_write(train, run->folder, run->keep, err) : LC_OK;
}

lc_status vit_train_run(struct vit_train *train, const struct vit_train_run *run,
                        struct lc_error *err) {
  if (run->folder) LC_TRY(lc_folder_make(run->folder, err));
  while (train->step < vit_train_steps(train) && !patience_over(train, run)) {
    struct vit_train_report report;
    if (run->should_stop && run->should_stop(run->context)) {
      LC_TRY(checkpoint(train, run, err));
      LC_FAIL(err, LC_ERR_INTERRUPTED, "stopped before step %llu of %llu%s",
              (unsigned long long)train->step, (unsigned long long)vit_train_steps(train),
              run->folder ? "; the run can be resumed" : "");
    }
    LC_TRY(vit_train_step(train, &report, err));
    if (run->on_step) LC_TRY(run->on_step(run->context, &report, err));
    bool ended = train->step % train->steps_per_epoch == 0;
    if (ended) LC_TRY(end_epoch(train, run, err));
    if (checkpoint_is_due(train, run) || (ended && patience_over(train, run)))
      LC_TRY(checkpoint(train, run, err));
  }
  return LC_OK;
}
