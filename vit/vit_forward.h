/* Forward pass of a vision transformer.
 *
 * tokens = 1 + num_registers + patches; order CLS, registers, patches row-major. All arrays are
 * row-major float32. When nobody asks for the last block's other tokens only its CLS row is
 * computed.
 *
 * Determinism: same bits for any number of threads. Thread-safety: one workspace, one caller;
 * inside, the forward pass uses lc_threads(). */
#ifndef VIT_FORWARD_H
#define VIT_FORWARD_H

#include "lc_arena.h"
#include "vit_model.h"

#ifdef __cplusplus
extern "C" {
#endif

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
  float *logits;        /* [batch, outputs]; the CLS embedding again for a model without heads */
  float *cls_embedding; /* [batch, dim], after the final norm */
  float *last_input;    /* [batch, tokens, dim] */
  float **inputs;       /* [depth] of [batch, tokens, dim] */
  float *last_cls_attention; /* [batch, heads, tokens] */
  float **attention;         /* [depth] of [batch, heads, tokens, tokens] */
};

/* Memory of one forward pass, sized once for a shape, a batch and a request. */
struct vit_workspace {
  struct lc_arena arena;
  const struct vit_model *model;
  size_t batch, height, width;
  struct vit_request request;
  float *position; /* position encoding brought to this grid, [1 + patches, dim] */
};

/* LC_ERR_USAGE when the patch does not divide the image. */
LC_MUST_CHECK lc_status vit_workspace_init(struct vit_workspace *workspace,
                                           const struct vit_model *model, size_t batch,
                                           size_t height, size_t width,
                                           const struct vit_request *request, struct lc_error *err);
void vit_workspace_free(struct vit_workspace *workspace);

/* images: [n, 3, height, width], n at most the workspace's batch. LC_ERR_NUMERIC for NaN or
 * infinity in the input or the logits. */
LC_MUST_CHECK lc_status vit_forward(struct vit_workspace *workspace, const float *images, size_t n,
                                    struct vit_trace *trace, struct lc_error *err);

/* Position encoding brought to grid_height x grid_width: out[1 + gh * gw, dim] (the first row is
 * zero when the model stores none for CLS). */
LC_MUST_CHECK lc_status vit_position_interpolate(const struct vit_model *model, size_t grid_height,
                                                 size_t grid_width, float *out,
                                                 struct lc_error *err);

#ifdef __cplusplus
}
#endif
#endif
