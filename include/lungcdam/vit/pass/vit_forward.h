/* Forward pass of a vision transformer.
 *
 * tokens = 1 + num_registers + patches; order CLS, registers, patches row-major. Images and what a
 * trace holds are row-major, a token's numbers next to each other; inside, panels are feature-major
 * (vit_backend.h). Numbers are vit_real: float, but for a library that only tests link. When nobody
 * asks for the last block's other tokens only its CLS row is computed.
 *
 * Determinism: same bits for any number of threads. Thread-safety: one workspace, one caller;
 * inside, the forward pass uses lc_threads(). */
#ifndef VIT_FORWARD_H
#define VIT_FORWARD_H

#include "common/lc_api.h"
#include "common/lc_arena.h"
#include "vit/kernels/vit_backend.h"
#include "vit/weights/vit_model.h"

LC_API_BEGIN

/* What a caller wants kept; zeroed: logits and CLS embedding only. */
struct vit_request {
  bool last_input;         /* input of the last block, before its norm1 */
  bool all_inputs;         /* input of every block */
  bool last_cls_attention; /* attention of the CLS query in the last block */
  bool all_attention;      /* full attention of every block */
  const uint32_t *kept; /* patches that stay, ascending, or NULL for all; the same for each image */
  size_t n_kept;
};

/* What a forward pass kept. Pointers go into the workspace and live until its next use; those not
 * asked for are NULL. */
struct vit_trace {
  size_t batch, tokens, patches;
  size_t grid_height, grid_width;
  vit_real *logits;        /* [batch, outputs]; the CLS embedding again for a model without heads */
  vit_real *cls_embedding; /* [batch, dim], after the final norm */
  vit_real *last_input;    /* [batch, tokens, dim] */
  vit_real **inputs;       /* [depth] of [batch, tokens, dim] */
  vit_real *last_cls_attention; /* [batch, heads, tokens] */
  vit_real **attention;         /* [depth] of [batch, heads, tokens, tokens] */
};

#define VIT_LAYERS 4 /* weight matrices of a block: qkv, proj, fc1, fc2 */

/* Memory of one forward pass, sized once for a shape, a batch and a request. The fields after
 * `position` are the forward pass's own. */
struct vit_workspace {
  struct lc_arena arena;
  const struct vit_model *model;
  size_t batch, height, width;
  struct vit_request request; /* kept: a copy that the workspace owns */
  vit_real *position;         /* position encoding brought to this grid, [1 + patches, dim] */

  size_t grid_height, grid_width, patches, tokens; /* patches and tokens of one image, as kept */
  size_t panel, panels; /* columns of a panel (vit_backend.h), panels of an image */
  size_t group;         /* images that go through the blocks together */
  struct vit_matrix (*forth)[VIT_LAYERS]; /* [depth] weights as the back end reads them */
  vit_real *base;    /* position encoding and prefix tokens as panels, [panels, dim, panel] */
  vit_real *x;       /* residual stream, [group, panels, dim, panel] */
  vit_real *qkv[2];  /* of one block and the next, [group, panels, 3 * dim, panel] */
  vit_real *cls;     /* columns of CLS tokens, see vit_cls.c */
  vit_real *scratch; /* [workers, scratch_size] */
  size_t scratch_size;
  int workers;
  struct vit_trace trace;
};

/* The model is borrowed and must outlive the workspace. request may be NULL: logits and CLS
 * embedding. LC_ERR_USAGE when the patch does not divide the image. */
LC_MUST_CHECK lc_status vit_workspace_init(struct vit_workspace *workspace,
                                           const struct vit_model *model, size_t batch,
                                           size_t height, size_t width,
                                           const struct vit_request *request, struct lc_error *err);
/* Other patches stay from now on, as many as before (LC_ERR_USAGE otherwise): for many masks of one
 * size through one workspace, which must have been made with a list of kept patches. */
LC_MUST_CHECK lc_status vit_workspace_keep(struct vit_workspace *workspace, const uint32_t *kept,
                                           size_t n_kept, struct lc_error *err);
void vit_workspace_free(struct vit_workspace *workspace);

/* images: [n, 3, height, width], n at most the workspace's batch. LC_ERR_NUMERIC for NaN or
 * infinity in the input or the logits. */
LC_MUST_CHECK lc_status vit_forward(struct vit_workspace *workspace, const vit_real *images,
                                    size_t n, struct vit_trace *trace, struct lc_error *err);

/* Position encoding brought to grid_height x grid_width: out[1 + gh * gw, dim] (the first row is
 * zero when the model stores none for CLS). */
LC_MUST_CHECK lc_status vit_position_interpolate(const struct vit_model *model, size_t grid_height,
                                                 size_t grid_width, vit_real *out,
                                                 struct lc_error *err);

LC_API_END
#endif
