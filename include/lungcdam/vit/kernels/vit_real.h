/* The number type of the transformer: float.
 *
 * The same sources compile with double (VIT_REAL_DOUBLE, plain kernels only) into a library that
 * only tests link: it checks gradients by finite differences. */
#ifndef VIT_REAL_H
#define VIT_REAL_H

#include <math.h>
#include <stddef.h>

#define VIT_LANES 16 /* columns are padded to this by every back end */

#ifdef VIT_REAL_DOUBLE
typedef double vit_real;
#define vit_real_exp exp
#define vit_real_erf erf
#define vit_real_sqrt sqrt
#else
typedef float vit_real;
#define vit_real_exp expf
#define vit_real_erf erff
#define vit_real_sqrt sqrtf
#endif

#endif
