#!/usr/bin/env python3
"""Compares lungcdam_bench with ONNX Runtime and PyTorch on the same shapes, in pairs.

    pip install onnxruntime onnx numpy torch      (torch only for the training step; in a virtual environment)
    cmake --build --preset release --target lungcdam_bench
    tests/bench/vit_peers.py build/release/tests/bench/lungcdam_bench [--threads 2] [--rounds 5] [--json FILE]

Each round runs the peer and then lungcdam, so that what else the machine does meets both. The ratio printed is
the median over rounds of (our best time / the peer's best time), of wall time and of processor time. A peer that is
not installed is left out.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

WORKS = [("vit_small_patch8", 1), ("vit_small_patch16", 8), ("vit_base_patch16", 1), ("vit_base_patch16", 8)]
SHAPES = {"vit_small_patch8": (8, 384, 6), "vit_small_patch16": (16, 384, 6), "vit_base_patch16": (16, 768, 12)}
DEPTH, SIZE = 12, 224


def onnx_model(patch, dim, heads, batch):
    """The graph as exporters write it: opset 20 has LayerNormalization and Gelu as one node each."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    rng = np.random.default_rng(0)
    nodes, weights = [], []
    tokens, width = (SIZE // patch) ** 2 + 1, dim // heads

    def weight(name, *shape):
        weights.append(numpy_helper.from_array((0.02 * rng.standard_normal(shape)).astype(np.float32), name))
        return name

    def ints(name, values):
        weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, output if isinstance(output, list) else [output], **attributes))
        return output

    def norm(x, name):
        return node("LayerNormalization", [x, weight(name + ".w", dim), weight(name + ".b", dim)], name + ".y",
                    axis=-1, epsilon=1e-6)

    def linear(x, name, rows, columns):
        y = node("MatMul", [x, weight(name + ".w", rows, columns)], name + ".m")
        return node("Add", [y, weight(name + ".b", columns)], name + ".y")

    x = node("Conv", ["image", weight("pe.w", dim, 3, patch, patch), weight("pe.b", dim)], "pe.y",
             strides=[patch, patch], kernel_shape=[patch, patch])
    x = node("Reshape", [x, ints("s0", [batch, dim, tokens - 1])], "pe.r")
    x = node("Transpose", [x], "pe.t", perm=[0, 2, 1])
    x = node("Concat", [weight("cls", batch, 1, dim), x], "pe.c", axis=1)
    x = node("Add", [x, weight("pos", 1, tokens, dim)], "x0")
    ints("heads", [batch, tokens, 3, heads, width])
    ints("merge", [batch, tokens, dim])
    ints("split", [1, 1, 1])
    ints("axis0", [0])
    weights.append(numpy_helper.from_array(np.array(width ** -0.5, np.float32), "scale"))
    for i in range(DEPTH):
        b = f"b{i}"
        y = linear(norm(x, b + ".n1"), b + ".qkv", dim, 3 * dim)
        y = node("Reshape", [y, "heads"], b + ".h")
        y = node("Transpose", [y], b + ".ht", perm=[2, 0, 3, 1, 4])
        parts = node("Split", [y, "split"], [b + ".q1", b + ".k1", b + ".v1"], axis=0)
        q, k, v = (node("Squeeze", [p, "axis0"], p + "s") for p in parts)
        q = node("Mul", [q, "scale"], b + ".qs")
        k = node("Transpose", [k], b + ".kt", perm=[0, 1, 3, 2])
        a = node("Softmax", [node("MatMul", [q, k], b + ".s")], b + ".a", axis=-1)
        o = node("MatMul", [a, v], b + ".o")
        o = node("Reshape", [node("Transpose", [o], b + ".ot", perm=[0, 2, 1, 3]), "merge"], b + ".or")
        x = node("Add", [linear(o, b + ".proj", dim, dim), x], b + ".mid")
        y = linear(norm(x, b + ".n2"), b + ".fc1", dim, 4 * dim)
        y = linear(node("Gelu", [y], b + ".g"), b + ".fc2", 4 * dim, dim)
        x = node("Add", [y, x], b + ".out")
    x = norm(x, "n")
    ints("zero", 0)
    x = node("Gather", [x, "zero"], "clsout", axis=1)
    linear(x, "head", dim, 1)
    graph = helper.make_graph(nodes, "vit", [helper.make_tensor_value_info("image", TensorProto.FLOAT,
                                                                            [batch, 3, SIZE, SIZE])],
                              [helper.make_tensor_value_info("head.y", TensorProto.FLOAT, [batch, 1])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return model.SerializeToString()


class Ort:
    name = "ONNX Runtime"

    def __init__(self, arch, batch, threads):
        import numpy as np
        import onnxruntime
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(onnx_model(*SHAPES[arch], batch), options,
                                                    providers=["CPUExecutionProvider"])
        self.image = np.random.default_rng(1).standard_normal((batch, 3, SIZE, SIZE)).astype(np.float32)

    def run(self):
        self.session.run(None, {"image": self.image})


class Torch:
    """timm's layout with scaled_dot_product_attention, PyTorch's fastest attention on a CPU."""
    name = "PyTorch"

    def __init__(self, arch, batch, threads, train=False):
        import torch
        from torch import nn
        import torch.nn.functional as F
        self.torch, self.train, self.version = torch, train, torch.__version__
        torch.set_num_threads(threads)
        patch, dim, heads = SHAPES[arch]

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.n1, self.n2 = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
                self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
                self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

            def forward(self, x):
                b, t, _ = x.shape
                q, k, v = self.qkv(self.n1(x)).view(b, t, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
                o = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, dim)
                x = x + self.proj(o)
                return x + self.fc2(F.gelu(self.fc1(self.n2(x))))

        class Vit(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed = nn.Conv2d(3, dim, patch, patch)
                self.cls = nn.Parameter(torch.zeros(1, 1, dim))
                self.pos = nn.Parameter(0.02 * torch.randn(1, (SIZE // patch) ** 2 + 1, dim))
                self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])
                self.norm, self.head = nn.LayerNorm(dim, 1e-6), nn.Linear(dim, 1)

            def forward(self, image):
                x = self.embed(image).flatten(2).transpose(1, 2)
                x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
                return self.head(self.norm(self.blocks(x))[:, 0])

        self.model = Vit()
        self.image = torch.randn(batch, 3, SIZE, SIZE)
        self.target = (torch.arange(batch) % 2).float()[:, None]

    def run(self):
        torch = self.torch
        if not self.train:
            with torch.inference_mode():
                self.model(self.image)
            return
        self.model.zero_grad(set_to_none=True)
        torch.nn.functional.binary_cross_entropy_with_logits(self.model(self.image), self.target).backward()


def best_of(peer, repeats):
    wall = cpu = float("inf")
    for _ in range(repeats):
        w, c = time.perf_counter(), time.process_time()
        peer.run()
        wall, cpu = min(wall, time.perf_counter() - w), min(cpu, time.process_time() - c)
    return 1e3 * wall, 1e3 * cpu


def ours(bench, case, threads, repeats):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([bench, "--threads", str(threads), "--rounds", str(repeats), "--only", case, "--no-peak",
                        "--json", out.name], check=True, stdout=subprocess.DEVNULL)
        result = json.load(open(out.name))["cases"][0]
    return result["wall_ms"], result["cpu_ms"]


def compare(bench, make, case, options, repeats):
    try:
        peer = make()
    except ImportError as error:
        print(f"{case:26} {error}: left out")
        return None
    peer.run()
    rounds = []
    for _ in range(options.rounds):
        theirs = best_of(peer, repeats)
        rounds.append((theirs, ours(bench, case, options.threads, repeats)))
    row = {"case": case, "peer": f"{peer.name} {peer.version}",
           "peer_wall_ms": min(r[0][0] for r in rounds), "peer_cpu_ms": min(r[0][1] for r in rounds),
           "wall_ms": min(r[1][0] for r in rounds), "cpu_ms": min(r[1][1] for r in rounds),
           "wall_ratio": statistics.median(r[1][0] / r[0][0] for r in rounds),
           "cpu_ratio": statistics.median(r[1][1] / r[0][1] for r in rounds)}
    print("{case:26} {peer:24} {peer_wall_ms:8.1f} ms ({peer_cpu_ms:8.1f} cpu)   lungcdam {wall_ms:8.1f} ms "
          "({cpu_ms:8.1f} cpu)   ratio {wall_ratio:.3f} (cpu {cpu_ratio:.3f})".format(**row), flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5, help="runs of one side in a round")
    parser.add_argument("--only", help="a part of a case's name")
    parser.add_argument("--peer", default="", help="a part of a peer's name")
    parser.add_argument("--json")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    rows = []
    for arch, batch in WORKS:
        case = f"{arch}:{batch}"
        for kind in (Ort, Torch):
            if (options.only or "") in case and options.peer in kind.name:
                rows.append(compare(options.bench, lambda: kind(arch, batch, options.threads), case, options,
                                    options.repeats))
    case = "train:vit_small_patch8:8"
    if (options.only or "") in case and options.peer in Torch.name:
        rows.append(compare(options.bench, lambda: Torch("vit_small_patch8", 8, options.threads, True), case, options,
                            1))
    if options.json:
        json.dump([r for r in rows if r], open(options.json, "w"), indent=1)


if __name__ == "__main__":
    sys.exit(main())
