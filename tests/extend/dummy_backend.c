/* A back end that docs/extending.md shows: plain, but for products that it counts. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "vit/kernels/vit_backend_plain.h"

extern atomic_size_t dummy_products;
atomic_size_t dummy_products;

static void gemm(size_t m, size_t n, size_t k, const vit_real *a, size_t a_row, size_t a_col,
                 const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
                 const struct vit_epilogue *epilogue) {
  atomic_fetch_add(&dummy_products, 1);
  vit_plain_gemm(m, n, k, a, a_row, a_col, b, ldb, c, ldc, epilogue);
}

/* Only where it is asked for, since the first that runs is the default. */
static bool runs_here(void) {
  const char *wish = getenv("LUNGCDAM_KERNELS");
  return wish && strcmp(wish, "dummy") == 0;
}

const struct vit_backend vit_backend_dummy = {
    .name = "dummy",
    .doc = "plain, with its products counted",
    .runs_here = runs_here,
    VIT_PLAIN_FUNCTIONS,
    .gemm = gemm,
    .gemm_nt = vit_plain_gemm_nt,
    .product = vit_plain_product,
    .dot = vit_plain_dot,
};
