/* What CDAM's closed form keeps of a model from one call to the next: products of its weights and
 * scratch memory. The first call that needs the products makes them, which costs a few percent of a
 * forward pass, and later calls find them (docs/cdam.md says what is in it).
 *
 * Thread-safety: many threads may use one at once. */
#ifndef CDAM_PREPARED_H
#define CDAM_PREPARED_H

#include "common/lc_api.h"
#include "vit/weights/vit_model.h"

LC_API_BEGIN

struct cdam_prepared;

/* The model must stay, and its parameters must not change. LC_ERR_MEMORY. */
LC_MUST_CHECK lc_status cdam_prepared_init(struct cdam_prepared **prepared,
                                           const struct vit_model *model, struct lc_error *err);
void cdam_prepared_free(struct cdam_prepared *prepared);

LC_API_END
#endif
