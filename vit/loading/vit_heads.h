/* The prediction heads of a weight file, from sequences of layers to Linear, or Linear, activation,
 * Linear.
 *
 * A head is what lies below "head", "mlp_head", "fc", "classifier", "linear", "cls_head" or
 * "heads.NAME": one layer ("fc.weight"), or layers by their number in a sequence ("fc.0.weight").
 * BatchNorm is folded into the layer beside it, a missing bias is zeros, and a pooler (dense, tanh)
 * or pre-logits layer before a head of one layer is its hidden layer. What a number between two
 * layers stands for is in no file: the activation comes from the shape that the user gives, from
 * the metadata "heads.NAME.activation", or from the documented format ("mlp_head" and
 * "heads.NAME": ReLU), and is refused otherwise.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "vit/loading/vit_entries.h"

/* Renames the tensors of heads to "heads.NAME.*" (a lone linear one called "head" to "head.*"), or
 * makes them. arch: with heads, those that are told, whose names and activations count; without,
 * those found are added, in the file's order. LC_ERR_TENSOR names a layer that is refused. */
LC_MUST_CHECK lc_status vit_heads_find(struct vit_entries *entries, struct vit_arch *arch,
                                       struct lc_error *err);
