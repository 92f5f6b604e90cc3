/* What fits between a weight file and a model, and what does not; and converting files.
 *
 * Thread-safety: distinct reports, distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "vit/weights/vit_model.h"

LC_C_BEGIN

struct vit_report {
  struct vit_arch arch; /* the model that the file was held against */
  size_t n_parameters;  /* parameters of that model (tensors), found or not */
  char **missing;       /* canonical names of parameters without a tensor */
  size_t n_missing;
  char **unused; /* the file's names of tensors that no parameter takes, for which it is refused */
  size_t n_unused;
  char **left_out; /* and of those that are no part of the model, or that the user leaves out */
  size_t n_left_out;
  char **misfits; /* "NAME has shape [33, 32], expected [32, 32]", "NAME holds I32, ..." */
  size_t n_misfits;
};

/* Holds a file against how->arch, or against the shape that it has itself when there is none; `how`
 * may be NULL. Fails when the file cannot be read or has no recognisable shape; what is missing or
 * unused is not a failure. */
LC_MUST_CHECK lc_status vit_report_init(struct vit_report *report, const char *path,
                                        const struct vit_load *how, struct lc_error *err);
void vit_report_free(struct vit_report *report);

/* Reads a weight file of any kind (PyTorch, safetensors; half precision) and writes float32
 * safetensors with canonical names and full metadata. how as in vit_model_load_with; note as in
 * vit_model_save, NULL: the source's name. report (may be NULL) is filled as above, also when the
 * conversion fails for what it lists; free it in any case. */
LC_MUST_CHECK lc_status vit_model_convert(const char *from, const char *to,
                                          const struct vit_load *how, const char *note,
                                          struct vit_report *report, struct lc_error *err);

LC_C_END
