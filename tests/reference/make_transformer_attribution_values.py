#!/usr/bin/env python3
"""Writes transformer_attribution_values.h: transformer attribution of the two reference models by PyTorch in float64.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch numpy safetensors
    /tmp/venv/bin/python make_transformer_attribution_values.py > transformer_attribution_values.h

The rules are those of Chefer, Gur and Wolf (CVPR 2021) in their plain form (cdam/estimators/cdam_lrp.h lists them), with PyTorch's
automatic differentiation for gradients and for the products that share relevance out. They divide by sums that nearly
cancel. On the standard error stream the script says how far float32 is from float64 with the same code, by two sets of
PyTorch's CPU kernels, and how far both are from the tensor in the .expected file, as shares of its largest value.
"""
import os
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open

HERE = os.path.dirname(os.path.abspath(__file__))


def load(path):
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()


def divide(a, b):
    den = b.clamp(min=1e-9) + b.clamp(max=1e-9)
    den = den + den.eq(0).to(den.dtype) * 1e-9
    return a / den * b.ne(0).to(b.dtype)


def share(function, inputs, relevance):
    """Relevance of a sum or product to its inputs: x * d(z)/dx' (R / z)."""
    inputs = [x.detach().requires_grad_(True) for x in inputs]
    z = function(*inputs)
    back = torch.autograd.grad(z, inputs, divide(relevance, z.detach()))
    return [x.detach() * g for x, g in zip(inputs, back)]


def linear(x, weight, relevance):
    """alpha 1, beta 0: positive inputs with positive weights, negative ones with negative weights."""
    parts = [share(lambda a, w=w: F.linear(a, w), [a], relevance)[0]
             for a, w in ((x.clamp(min=0), weight.clamp(min=0)), (x.clamp(max=0), weight.clamp(max=0)))]
    return parts[0] + parts[1]


def scores(q, k):
    return torch.einsum("bhid,bhjd->bhij", q, k)


def mix(a, v):
    return torch.einsum("bhij,bhjd->bhid", a, v)


class Model:
    def __init__(self, weights, meta, dtype):
        self.w = {key: value.to(dtype) for key, value in weights.items()}
        self.heads, self.depth = int(meta["num_heads"]), int(meta["depth"])
        self.dim, self.patch = int(meta["embed_dim"]), int(meta["patch_size"])
        self.eps, self.dtype = float(meta["layer_norm_eps"]), dtype

    def norm(self, x, name):
        return F.layer_norm(x, (self.dim,), self.w[name + ".weight"], self.w[name + ".bias"], self.eps)

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def block(self, x, p):
        n, width = x.shape[1], self.dim // self.heads
        k = {"x": x, "normed": self.norm(x, p + "norm1")}
        qkv = self.linear(k["normed"], p + "attn.qkv").reshape(1, n, 3, self.heads, width)
        k["q"], k["k"], k["v"] = qkv.permute(2, 0, 3, 1, 4)
        k["a"] = (scores(k["q"], k["k"]) * width**-0.5).softmax(-1)
        k["mixed"] = mix(k["a"], k["v"]).permute(0, 2, 1, 3).reshape(1, n, self.dim)
        k["attended"] = self.linear(k["mixed"], p + "attn.proj")
        k["after"] = x + k["attended"]
        k["normed2"] = self.norm(k["after"], p + "norm2")
        k["active"] = F.gelu(self.linear(k["normed2"], p + "mlp.fc1"))
        k["mlp"] = self.linear(k["active"], p + "mlp.fc2")
        return k

    def forward(self, image):
        w = self.w
        x = F.conv2d(image.to(self.dtype), w["patch_embed.proj.weight"], w["patch_embed.proj.bias"],
                     stride=self.patch).flatten(2).transpose(1, 2)
        x = (torch.cat([w["cls_token"], x], 1) + w["pos_embed"]).requires_grad_(True)
        kept = []
        for number in range(self.depth):
            kept.append(self.block(x, f"blocks.{number}."))
            x = kept[-1]["after"] + kept[-1]["mlp"]
        embedding = self.norm(x, "norm")[:, 0]
        return kept, embedding, self.linear(embedding, "head")

    def relevance_block(self, k, p, relevance):
        n, width = k["x"].shape[1], self.dim // self.heads
        trunk, branch = share(torch.add, [k["after"], k["mlp"]], relevance)
        branch = linear(k["active"], self.w[p + "mlp.fc2.weight"], branch)
        relevance = trunk + linear(k["normed2"], self.w[p + "mlp.fc1.weight"], branch)
        trunk, branch = share(torch.add, [k["x"], k["attended"]], relevance)
        branch = linear(k["mixed"], self.w[p + "attn.proj.weight"], branch)
        branch = branch.reshape(1, n, self.heads, width).permute(0, 2, 1, 3)
        r_a, r_v = (r / 2 for r in share(mix, [k["a"], k["v"]], branch))
        r_q, r_k = (r / 2 for r in share(scores, [k["q"], k["k"]], r_a))
        r_qkv = torch.stack([r_q, r_k, r_v]).permute(1, 3, 0, 2, 4).reshape(1, n, 3 * self.dim)
        return r_a, trunk + linear(k["normed"], self.w[p + "attn.qkv.weight"], r_qkv)

    def attribute(self, image):
        kept, embedding, logits = self.forward(image)
        maps = []
        for output in range(logits.shape[1]):
            gradients = torch.autograd.grad(logits[0, output], [k["a"] for k in kept], retain_graph=True)
            start = torch.zeros_like(logits)
            start[0, output] = 1
            relevance = torch.zeros_like(kept[0]["x"])
            relevance[:, 0] = linear(embedding, self.w["head.weight"], start)
            joint = None
            for number in reversed(range(self.depth)):
                r_a, relevance = self.relevance_block(kept[number], f"blocks.{number}.", relevance)
                e = (gradients[number] * r_a).clamp(min=0).mean(1)[0].detach()
                step = torch.eye(len(e), dtype=self.dtype) + e
                joint = step if joint is None else joint @ step
            maps.append(joint[0, 1:])
        return torch.stack(maps).double()


def main():
    print(f"/* Made by make_transformer_attribution_values.py with PyTorch {torch.__version__.split('+')[0]} in float64. Do not edit. */")
    print("#ifndef TRANSFORMER_ATTRIBUTION_VALUES_H\n#define TRANSFORMER_ATTRIBUTION_VALUES_H\n\n// clang-format off")
    for name in ("vit_p8_d32_l3", "vit_p8_d48_l4"):
        weights, meta = load(f"{HERE}/{name}.weights.safetensors")
        expected, _ = load(f"{HERE}/{name}.expected.safetensors")
        given = expected["transformer_attribution"].double()
        exact = Model(weights, meta, torch.float64).attribute(expected["input"])
        narrow = Model(weights, meta, torch.float32)
        one = narrow.attribute(expected["input"])
        with torch.backends.mkldnn.flags(enabled=False):
            other = narrow.attribute(expected["input"])

        def off(a, b):
            return float((a - b).abs().max() / given.max())

        print(f"{name}: float32 - float64 {off(one, exact):.1e} and {off(other, exact):.1e}, given - float64 "
              f"{off(given, exact):.1e}, given - float32 {off(given, one):.1e} and {off(given, other):.1e}", file=sys.stderr)
        text = [f"{value:.10e}" for value in exact.flatten().tolist()]
        rows = ",\n    ".join(", ".join(text[i:i + 5]) for i in range(0, len(text), 5))
        print(f"static const double {name}_attribution[{len(text)}] = {{\n    {rows}}};")
    print("// clang-format on\n\n#endif")


main()
