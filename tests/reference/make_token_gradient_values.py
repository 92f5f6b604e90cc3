#!/usr/bin/env python3
"""Writes token_gradient_values.h: LibraGrad's and AttnLRP's token input x gradient of the two reference models, by PyTorch
in float64.

    python3 make_token_gradient_values.py > token_gradient_values.h      (needs torch)

Automatic differentiation does it all, with `detach` where a rule says that something is a constant: LayerNorm's deviation and
the gate of GELU (both methods); the attention (LibraGrad, arXiv 2411.16760). AttnLRP (arXiv 2402.05602, and lxt 2.1, whose
`divide_gradient` this has) divides the gradient at the values by 2, and at queries and keys by 4. On the standard error stream
the script says how far LibraGrad's sum over tokens and biases is from the output.
"""
import json
import os
import struct
import sys

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))


def load(path):
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header, rest = json.loads(file.read(size)), file.read()
    meta = header.pop("__metadata__")
    tensors = {}
    for name, about in header.items():
        first, end = about["data_offsets"]
        if about["dtype"] == "F32" and end > first:
            flat = torch.frombuffer(bytearray(rest[first:end]), dtype=torch.float32)
            tensors[name] = flat.double().reshape(about["shape"])
    return tensors, meta


def divided(x, by):
    return x.detach() * (1 - 1 / by) + x / by


class Model:
    def __init__(self, weights, meta, libra):
        self.w = {key: value.clone().requires_grad_(key.endswith("bias")) for key, value in weights.items()}
        self.heads, self.depth = int(meta["num_heads"]), int(meta["depth"])
        self.dim, self.patch, self.libra = int(meta["embed_dim"]), int(meta["patch_size"]), libra
        self.eps = float(meta["layer_norm_eps"])

    def norm(self, x, name):
        middle = x - x.mean(-1, keepdim=True)
        deviation = (middle.pow(2).mean(-1, keepdim=True) + self.eps).sqrt().detach()
        return middle / deviation * self.w[name + ".weight"] + self.w[name + ".bias"]

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def attend(self, x, p):
        n, width = x.shape[0], self.dim // self.heads
        q, k, v = self.linear(x, p + "qkv").reshape(n, 3, self.heads, width).permute(1, 2, 0, 3)
        if self.libra:
            a = (q @ k.transpose(1, 2) * width**-0.5).softmax(-1).detach()
        else:
            a = (divided(q, 4) @ divided(k, 4).transpose(1, 2) * width**-0.5).softmax(-1)
            v = divided(v, 2)
        return self.linear((a @ v).transpose(0, 1).reshape(n, self.dim), p + "proj")

    def gelu(self, x):
        return x * (0.5 * (1 + torch.erf(x * 0.5**0.5))).detach()

    def attribute(self, image):
        w = self.w
        x = F.conv2d(image, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"].detach(), stride=self.patch)
        tokens = (torch.cat([w["cls_token"], x.flatten(2).transpose(1, 2)], 1) + w["pos_embed"])[0].detach()
        x = tokens.requires_grad_(True)
        for number in range(self.depth):
            p = f"blocks.{number}."
            x = x + self.attend(self.norm(x, p + "norm1"), p + "attn.")
            x = x + self.linear(self.gelu(self.linear(self.norm(x, p + "norm2"), p + "mlp.fc1")), p + "mlp.fc2")
        logits = self.linear(self.norm(x, "norm")[0], "head")
        maps, biases = [], [t for key, t in w.items() if key.endswith("bias") and not key.startswith("patch")]
        for f in logits:
            gradients = torch.autograd.grad(f, [tokens] + biases, retain_graph=True)
            shares = [(t * g).detach() for t, g in zip([tokens] + biases, gradients)]
            total = sum(s.sum() for s in shares)
            if self.libra:
                print(f"output {f.item():.6f}, sum - output {(total - f).item():.1e}", file=sys.stderr)
            maps.append(shares[0].sum(-1)[1:])
        return torch.stack(maps)


def main():
    print(f"/* Made by make_token_gradient_values.py with PyTorch {torch.__version__.split('+')[0]} in float64. Do not edit. */")
    print("#pragma once\n\n// clang-format off")
    for name in ("vit_p8_d32_l3", "vit_p8_d48_l4"):
        weights, meta = load(f"{HERE}/{name}.weights.safetensors")
        expected, _ = load(f"{HERE}/{name}.expected.safetensors")
        for method in ("libragrad", "attnlrp"):
            values = Model(weights, meta, method == "libragrad").attribute(expected["input"])
            text = [f"{value:.9e}" for value in values.flatten().tolist()]
            rows = ",\n    ".join(", ".join(text[i:i + 6]) for i in range(0, len(text), 6))
            print(f"static const double {name}_{method}[{len(text)}] = {{\n    {rows}}};")
    print("// clang-format on")


main()
