/* The vector loops for every CPU. */
#define VECTORS vit_vectors_plain
#include "vit/kernels/vit_vectors_loops.h"
