/* The kernel sets there are; for vit_kernels.c only. */
#ifndef VIT_KERNELS_SETS_H
#define VIT_KERNELS_SETS_H

#include "vit/kernels/vit_kernels.h"

extern const struct vit_kernels vit_kernels_plain;
#ifndef VIT_REAL_DOUBLE
extern struct vit_kernels vit_kernels_openblas;
/* To be called before the set is used. */
void vit_kernels_openblas_start(void);
#ifdef VIT_HAVE_X86
extern const struct vit_kernels vit_kernels_avx2;
extern const struct vit_kernels vit_kernels_avx512;
#endif
#endif
#endif
