#!/usr/bin/env python3
"""Measures of explanations beside Quantus: the same transformer, images, maps and measures.

    pip install quantus==0.6.0 torch               (in a virtual environment)
    cmake --build --preset release --target lungcdam lungcdam_bench_measures
    tests/bench/quantus_peers.py build/release [--rounds 3] [--json FILE]

The model has the shape of the one that ships (64 x 64 pixels, patches of 8, width 128, 6 blocks), seeded
weights; its logit is compared first. Maps are a score a patch; Quantus gets them enlarged to pixels, because it knows
no patches. One thread on both sides, in alternation; ratios are of processor time and of wall time, peer by lungcdam,
the median over rounds. "tokens" leaves patches out of the sequence, which Quantus cannot; the other rows fill
them with 0 on both sides and ask the model the same number of questions.
"""
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"
warnings.filterwarnings("ignore")
with contextlib.redirect_stdout(sys.stderr):
    import numpy as np
    import quantus
    import torch
    import torch.nn.functional as F

SIZE, PATCH, DIM, DEPTH, HEADS, STEPS, SETS = 64, 8, 128, 6, 4, 20, 100
GRID = SIZE // PATCH
MODEL = f"""base: vit_tiny_patch16
name: bench
image_height: {SIZE}
image_width: {SIZE}
patch_size: {PATCH}
embed_dim: {DIM}
mlp_dim: {4 * DIM}
depth: {DEPTH}
num_heads: {HEADS}
heads: ["malignancy"]
"""


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: torch.from_numpy(np.frombuffer(data[slice(*t["data_offsets"])], np.float32).reshape(t["shape"]).copy())
            for name, t in header.items()}


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in tensors.values():
            file.write(np.ascontiguousarray(value, np.float32).tobytes())


class Vit(torch.nn.Module):
    """Logits [-f, f], so that class 1 is the target."""

    def __init__(self, weights):
        super().__init__()
        self.w = torch.nn.ParameterDict({k.replace(".", "_"): torch.nn.Parameter(v, False) for k, v in weights.items()})

    def linear(self, x, name):
        return F.linear(x, self.w[name + "_weight"], self.w[name + "_bias"])

    def norm(self, x, name):
        return F.layer_norm(x, (DIM,), self.w[name + "_weight"], self.w[name + "_bias"], 1e-6)

    def forward(self, image):
        w, b = self.w, image.shape[0]
        x = F.conv2d(image, w["patch_embed_proj_weight"], w["patch_embed_proj_bias"], stride=PATCH)
        x = torch.cat([w["cls_token"].expand(b, -1, -1), x.flatten(2).transpose(1, 2)], 1) + w["pos_embed"]
        for i in range(DEPTH):
            n = f"blocks_{i}_"
            qkv = self.linear(self.norm(x, n + "norm1"), n + "attn_qkv")
            q, k, v = qkv.view(b, -1, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
            o = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, -1, DIM)
            x = x + self.linear(o, n + "attn_proj")
            x = x + self.linear(F.gelu(self.linear(self.norm(x, n + "norm2"), n + "mlp_fc1")), n + "mlp_fc2")
        f = self.linear(self.norm(x, "norm")[:, 0], self.head)
        return torch.cat([-f, f], 1)


QUIET = dict(disable_warnings=True, display_progressbar=False, normalise=False, abs=False)


def metrics():
    """Quantus' measures, by the name of ours."""
    pixels = SIZE * SIZE
    black = dict(perturb_baseline=0.0, **QUIET)
    quiet = {k: v for k, v in QUIET.items()}
    return {
        "flipping": quantus.PixelFlipping(features_in_step=pixels // STEPS + 1, **black),
        "subsets": quantus.FaithfulnessCorrelation(nr_runs=SETS, subset_size=pixels // 5, **black),
        "estimate": quantus.FaithfulnessEstimate(features_in_step=pixels // STEPS + 1, **black),
        "gini": quantus.Sparseness(**quiet),
        "entropy": quantus.Complexity(**quiet),
        "mass": quantus.RelevanceMassAccuracy(**quiet),
        "rank": quantus.RelevanceRankAccuracy(**quiet),
        "auroc": quantus.AUC(**quiet),
    }


def ask(metric, name, model, image, pixels, mask):
    maps = pixels if name in ("flipping", "subsets", "estimate") else np.abs(pixels) if name in ("gini", "entropy") \
        else np.maximum(pixels, 0)
    arguments = dict(model=model, x_batch=image.copy(), y_batch=np.array([1]), a_batch=maps.copy(),
                     s_batch=mask.copy(), device="cpu", softmax=False)
    w, c = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(sys.stderr), torch.inference_mode():
        value = metric(**arguments)
    wall, cpu = time.perf_counter() - w, time.process_time() - c
    return np.ravel(value)[0], 1e3 * wall, 1e3 * cpu


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(GRID, GRID)).astype(np.float32)
    image = rng.normal(size=(1, 1, SIZE, SIZE)).astype(np.float32).repeat(3, axis=1)
    mask = np.zeros((1, 1, SIZE, SIZE))
    mask[:, :, SIZE // 4:3 * SIZE // 4, SIZE // 4:3 * SIZE // 4] = 1
    with tempfile.TemporaryDirectory() as folder:
        weights, inputs = f"{folder}/w.safetensors", f"{folder}/in.safetensors"
        with open(f"{folder}/model.yaml", "w") as file:
            file.write(MODEL)
        subprocess.run([f"{options.build}/pipeline/lungcdam", "weights", "init", f"{folder}/model.yaml", "-o", weights],
                       check=True, stdout=subprocess.DEVNULL)
        write_safetensors(inputs, {"image": image[0], "map": scores})
        tensors = read_safetensors(weights)
        model = Vit(tensors).eval()
        model.head = next(k for k in tensors if k.startswith("head")).rsplit(".", 1)[0].replace(".", "_")
        command = [f"{options.build}/tests/lungcdam_bench_measures", weights, inputs, "--threads", "1"]
        pixels = scores.repeat(PATCH, 0).repeat(PATCH, 1)[None, None]
        rounds = []
        for _ in range(options.rounds):
            theirs = {name: ask(metric, name, model, image, pixels, mask) for name, metric in metrics().items()}
            ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rounds.append((theirs, ours))
        with torch.inference_mode():
            logit = float(model(torch.from_numpy(image))[0, 1])
    ours = rounds[0][1]
    assert abs(logit - ours["logit"][0]) < 1e-4 * max(1, abs(logit)), (logit, ours["logit"][0])
    print(f"Quantus {quantus.__version__}, PyTorch {torch.__version__}; one thread; logit {logit:.6f} on both sides")
    rows = []
    names = list(rounds[0][0])
    for name in names + [n + "_tokens" for n in ("flipping", "subsets", "estimate")]:
        peer = name.replace("_tokens", "")
        row = {"measure": name, "peer_cpu_ms": min(r[0][peer][2] for r in rounds),
               "cpu_ms": min(r[1][name][2] for r in rounds),
               "wall_ratio": statistics.median(r[0][peer][1] / r[1][name][1] for r in rounds),
               "cpu_ratio": statistics.median(r[0][peer][2] / r[1][name][2] for r in rounds)}
        rows.append(row)
        print("{measure:18} Quantus {peer_cpu_ms:9.3f} ms   lungcdam {cpu_ms:9.4f} ms   ratio {cpu_ratio:8.1f} "
              "(wall {wall_ratio:8.1f})".format(**row))
    total = {}
    for label, pick in (("all measures, filled with 0", names),
                        ("all measures, tokens left out", [n + "_tokens" if n + "_tokens" in ours else n for n in names])):
        total[label] = [statistics.median(sum(r[0][n.replace("_tokens", "")][k] for n in pick) /
                                          sum(r[1][n][k] for n in pick) for r in rounds) for k in (2, 1)]
        print(f"{label}: ratio {total[label][0]:.1f} (wall {total[label][1]:.1f})")
    curve = statistics.median(r[1]["flipping_tokens"][2] / r[1]["forward_20"][2] for r in rounds)
    print(f"deletion curve of {STEPS} steps, tokens left out: {curve:.2f} of {STEPS} forward passes (processor time)")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"rows": rows, "total": total, "curve_in_20_passes": curve}, file, indent=1)


if __name__ == "__main__":
    main()
