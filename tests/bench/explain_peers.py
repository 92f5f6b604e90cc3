#!/usr/bin/env python3
"""Compares CDAM and Smooth CDAM with the way they are published, in PyTorch: automatic differentiation, one pass of the
last block a noisy sample and target.

    pip install torch numpy                (in a virtual environment)
    cmake --build --preset release --target lungcdam_bench_explain
    tests/bench/explain_peers.py build/release/tests/bench/lungcdam_bench_explain [--threads 2] [--rounds 3] [--json FILE]

ViT-S/8 at 224, one image, one target. PyTorch's attention is written out, as the published code has it, because its
gradient is what is wanted. Each round runs PyTorch and then lungcdam, so that what else the machine does meets both;
printed are the best times, wall and processor, and how many times longer PyTorch takes than what lungcdam adds to its
forward pass, for as many targets as named.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time

import torch
from torch import nn

DIM, HEADS, DEPTH, PATCH, SIZE, SAMPLES, LEVEL = 384, 6, 12, 8, 224, 50, 0.05


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(DIM, eps=1e-6), nn.LayerNorm(DIM, eps=1e-6)
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM))

    def forward(self, x):
        normed = self.norm1(x)
        b, n, _ = x.shape
        q, k, v = self.qkv(normed).reshape(b, n, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-2, -1) * (DIM // HEADS) ** -0.5).softmax(-1)
        x = x + self.proj((a @ v).transpose(1, 2).reshape(b, n, DIM))
        return x + self.mlp(self.norm2(x)), normed


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, DIM, PATCH, PATCH)
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, DIM))
        self.position = nn.Parameter(0.02 * torch.randn(1, (SIZE // PATCH) ** 2 + 1, DIM))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(DIM, eps=1e-6), nn.Linear(DIM, 1)

    def trunk(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls, x], 1) + self.position
        for block in self.blocks[:-1]:
            x = block(x)[0]
        return x

    def last(self, x):
        x, normed = self.blocks[-1](x)
        return self.head(self.norm(x)[:, 0]), normed


def scores(model, x):
    """sum_j T_ij df/dT_ij by a backward pass to the tokens that enter the last attention."""
    logit, normed = model.last(x)
    return (normed * torch.autograd.grad(logit.sum(), normed)[0]).sum(-1)[0, 1:]


def plain(model, image):
    return scores(model, model.trunk(image))


def smooth(model, image):
    with torch.no_grad():
        x = model.trunk(image)
    level = LEVEL * (x.max() - x.min())
    return sum(scores(model, x + level * torch.randn_like(x)) for _ in range(SAMPLES)) / SAMPLES


def timed(function):
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def ours(program, threads):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([program, "--threads", str(threads), "--rounds", "5", "--json", file.name], check=True,
                       stdout=subprocess.DEVNULL)
        rows = json.load(open(file.name))["rows"]
    return {row["name"]: (row["wall_ms"], row["cpu_ms"]) for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model, image = Model().eval(), torch.randn(1, 3, SIZE, SIZE)
    theirs = {"cdam": plain, "smooth_cdam": smooth}
    labels = {"cdam": "cdam", "smooth_cdam": "smooth_cdam, 50 samples"}
    plain(model, image)
    best = {name: (float("inf"),) * 2 for name in theirs}
    mine = {}
    for _ in range(args.rounds):
        for name, function in theirs.items():
            best[name] = tuple(map(min, best[name], timed(lambda function=function: function(model, image))))
        for name, times in ours(args.program, args.threads).items():
            mine[name] = tuple(map(min, mine.get(name, (float("inf"),) * 2), times))
    rows = []
    for name in theirs:
        for targets in ("1 target", "9 targets"):
            own = mine[f"{labels[name]}, {targets}"]
            times = [t / o for t, o in zip(best[name], own)]
            rows.append({"name": name, "targets": targets, "pytorch_ms": best[name], "lungcdam_ms": own, "times": times})
            print(f"{name}: PyTorch, 1 target {best[name][0]:9.1f} ms {best[name][1]:9.1f} ms cpu; lungcdam, {targets:9} "
                  f"{own[0]:7.2f} ms {own[1]:7.2f} ms cpu: {times[0]:6.0f} times, {times[1]:6.0f} times cpu")
    if args.json:
        json.dump({"torch": torch.__version__, "threads": args.threads, "rows": rows}, open(args.json, "w"), indent=1)


if __name__ == "__main__":
    sys.exit(main())
