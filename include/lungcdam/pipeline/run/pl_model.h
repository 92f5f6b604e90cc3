/* A model with all that is needed to show it nodules: its weights, and how it wants images made, as
 * its weight file says.
 *
 * Thread-safety: an opened model may be used by many threads. */
#ifndef PL_MODEL_H
#define PL_MODEL_H

#include "ct_io/ct/ct_image.h"
#include "vit/weights/vit_model.h"

LC_API_BEGIN

struct pl_model {
  struct vit_model model;
  struct ct_preparation preparation; /* of images, from cubes of */
  size_t cube_edge;                  /* samples along each axis */
  double cube_spacing_mm;            /* and their distance */
};

/* what: a file, the name of a model ('lungcdam weights list'), or NULL for the model that ships.
 * LC_ERR_NOT_FOUND; otherwise as vit_model_load. */
LC_MUST_CHECK lc_status pl_model_open(struct pl_model *model, const char *what,
                                      struct lc_error *err);
void pl_model_close(struct pl_model *model);

LC_API_END
#endif
