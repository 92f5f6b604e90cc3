/* Models by name: which weight file a text means, where named models lie, and the one that ships.
 *
 * A text is, in this order: nothing, which means the model that ships; a path, when it has a slash
 * or when a file of that name is in the working directory; else the name of a model, with or
 * without ".safetensors". The model NAME is the file NAME.safetensors in the first of these folders
 * that has it: those of LUNGCDAM_MODELS (colons between them), then share/lungcdam/configs/models
 * of the installation that the running program belongs to (in a build folder, that of the source).
 * Nothing but the place of the program decides, so that an installation can be moved.
 *
 * What was looked for is reported in log lines: a file that goes before a model of the same name, a
 * model that hides another, a folder of LUNGCDAM_MODELS that is not there.
 *
 * Thread-safety: no state; the environment must not change meanwhile. */
#pragma once

#include "common/lc_file.h"
#include "pipeline/config/pl_schema.h"
#include "vit/weights/vit_tensor_file.h"

#define PL_MODEL_SHIPPED "lidc_axial"
#define PL_MODEL_ENDING ".safetensors"
#define PL_MODEL_FOLDERS "LUNGCDAM_MODELS"

struct pl_model_found {
  char path[LC_PATH_SIZE]; /* "" when nothing was found */
  char name[256];          /* of the file, without folder and ending */
  bool by_default;         /* no text was given */
  bool by_name;            /* it was looked for in the folders, which by_default implies */
  bool absent;             /* every folder was looked at and none has it */
};

/* text: NULL or "" for none. A path is taken as it is; whether it can be read shows when it is
 * read. LC_ERR_NOT_FOUND for a name that no folder has, with the nearest name, all names and the
 * folders; and, with by_default set, when the model that ships is not at hand, with how to get it.
 */
LC_MUST_CHECK lc_status pl_model_find(struct pl_model_found *found, const char *text,
                                      struct lc_error *err);

/* One log line about a model that was found by name or by default: its name, its path and what it
 * is for. For callers about to use it; nothing for a path. opened: its file, or NULL. */
void pl_model_say(const struct pl_model_found *found, const struct vit_tensor_file *opened);

/* pl_model_find, then pl_model_say. */
LC_MUST_CHECK lc_status pl_model_take(struct pl_model_found *found, const char *text,
                                      struct lc_error *err);

/* What a weight file is for, in one line: the first line of NAME.txt beside it, else its metadata
 * "note"; empty when neither is there. opened: the file, or NULL. */
LC_MUST_CHECK lc_status pl_model_purpose(const char *path, const struct vit_tensor_file *opened,
                                         struct lc_text *out, struct lc_error *err);

/* The folders that are searched, in order and each once, whether they are there or not. Fills a
 * zeroed list; pl_list_free. */
LC_MUST_CHECK lc_status pl_model_folders(struct pl_list *folders, struct lc_error *err);

/* Names of the models in one folder, sorted; none where there is no such folder, LC_ERR_NOT_FOUND
 * for one that cannot be read. Adds to a list; pl_list_free. */
LC_MUST_CHECK lc_status pl_model_names(const char *folder, struct pl_list *names,
                                       struct lc_error *err);
