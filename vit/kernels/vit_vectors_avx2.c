/* The vector loops for AVX2 and FMA. Compiled with the flags for it; reached only after the CPU was
 * asked. */
#define VECTORS vit_vectors_avx2
#include "vit/kernels/vit_vectors_loops.h"
