#!/usr/bin/env python3
"""Makes torch_small.pth, a checkpoint as DINO's training writes it, and its safetensors twin.

    python make_torch_file.py        (needs torch; writes beside itself)

The checkpoint has a student, a teacher, an optimiser's state and arguments; a tensor that is not contiguous, two that
share a storage, one in half and one in brain floating point. The twin holds the teacher alone, converted.
"""
import argparse
import collections
import json
import os
import struct

import torch

DIM, MLP, PATCH, GRID, OUTPUTS = 16, 24, 4, 2, 3


def parameters(seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    state = collections.OrderedDict()
    state["cls_token"] = draw(1, 1, DIM)
    state["pos_embed"] = draw(1, 1 + GRID * GRID, DIM)
    state["patch_embed.proj.weight"] = draw(DIM, 3, PATCH, PATCH)
    state["patch_embed.proj.bias"] = draw(DIM).bfloat16()
    shared = draw(4, DIM)
    for i, norm in enumerate(("norm1", "norm2")):
        state[f"blocks.0.{norm}.weight"] = shared[2 * i]
        state[f"blocks.0.{norm}.bias"] = shared[2 * i + 1]
    state["blocks.0.attn.qkv.weight"] = draw(DIM, 3 * DIM).t()
    state["blocks.0.attn.qkv.bias"] = draw(3 * DIM)
    state["blocks.0.attn.proj.weight"] = draw(DIM, DIM).half()
    state["blocks.0.attn.proj.bias"] = draw(DIM)
    state["blocks.0.mlp.fc1.weight"] = torch.nn.Parameter(draw(MLP, DIM))
    state["blocks.0.mlp.fc1.bias"] = draw(MLP)
    state["blocks.0.mlp.fc2.weight"] = draw(DIM, MLP)
    state["blocks.0.mlp.fc2.bias"] = draw(DIM).double()
    state["norm.weight"] = draw(DIM)
    state["norm.bias"] = draw(DIM)
    state["head.weight"] = draw(OUTPUTS, DIM)
    state["head.bias"] = draw(OUTPUTS)
    return state


def write_safetensors(path, state):
    header, data = {}, b""
    for name, tensor in state.items():
        raw = tensor.detach().float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    student, teacher = parameters(1), parameters(2)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))])
    optimizer.param_groups[0]["params"][0].sum().backward()
    optimizer.step()
    torch.save({"student": {"module.backbone." + k: v for k, v in student.items()},
                "teacher": {"backbone." + k: v for k, v in teacher.items()},
                "optimizer": optimizer.state_dict(), "epoch": 7, "loss": 0.25,
                "args": argparse.Namespace(arch="vit", lr=1e-3, names=["a", "b"], big=1 << 40)},
               os.path.join(folder, "torch_small.pth"))
    write_safetensors(os.path.join(folder, "torch_small.safetensors"), teacher)


if __name__ == "__main__":
    main()
