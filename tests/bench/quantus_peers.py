#!/usr/bin/env python3
"""Measures of explanations beside Quantus: the same transformer, images, maps and measures.

    pip install quantus==0.6.0 torch               (in a virtual environment)
    cmake --build --preset release --target lungcdam lungcdam_bench_measures
    tests/bench/quantus_peers.py build/release [--rounds 3] [--json FILE]

The model has the shape of the one that ships (64 x 64 pixels, patches of 8, width 128, 6 blocks), seeded
weights; its logit is compared first, and values where the definitions agree. Twelve maps of one image, as when estimators are judged;
maps are a score a patch, and Quantus gets them enlarged to pixels, because it knows no patches. One thread on both
sides, in alternation; ratios are of processor time and of wall time, Quantus by lungcdam, the median over rounds.
Quantus runs twice: map by map, and with all maps in one batch. "tokens" leaves patches out of the sequence, which
Quantus cannot; the other rows fill them with 0 on both sides.
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

SIZE, PATCH, DIM, DEPTH, HEADS, STEPS, SETS, MAPS = 64, 8, 128, 6, 4, 16, 100, 12
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
    metadata = header.pop("__metadata__", {})
    return metadata, {name: np.frombuffer(data[slice(*t["data_offsets"])], np.float32).reshape(t["shape"])
                      for name, t in header.items()}


def write_safetensors(path, tensors, metadata=None):
    header, offset = {"__metadata__": metadata or {}}, 0
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
    """Of grey images, one channel, so that Quantus removes pixels and not channels. Logits [-f, f]: class 1 is the target."""

    def __init__(self, weights):
        super().__init__()
        self.w = torch.nn.ParameterDict({k.replace(".", "_"): torch.nn.Parameter(v, False) for k, v in weights.items()})

    def linear(self, x, name):
        return F.linear(x, self.w[name + "_weight"], self.w[name + "_bias"])

    def norm(self, x, name):
        return F.layer_norm(x, (DIM,), self.w[name + "_weight"], self.w[name + "_bias"], 1e-6)

    def forward(self, image):
        w, b = self.w, image.shape[0]
        x = F.conv2d(image.expand(-1, 3, -1, -1), w["patch_embed_proj_weight"], w["patch_embed_proj_bias"], stride=PATCH)
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
    return {
        "flipping": quantus.PixelFlipping(features_in_step=pixels // STEPS, **black),
        "subsets": quantus.FaithfulnessCorrelation(nr_runs=SETS, subset_size=pixels // 5, **black),
        "estimate": quantus.FaithfulnessEstimate(features_in_step=pixels // STEPS, **black),
        "gini": quantus.Sparseness(**{**QUIET, "abs": True}),
        "entropy": quantus.Complexity(**{**QUIET, "abs": True}),
        "mass": quantus.RelevanceMassAccuracy(**{**QUIET, "abs": True}),
        "rank": quantus.RelevanceRankAccuracy(**{**QUIET, "abs": True}),
        "auroc": quantus.AUC(**{**QUIET, "abs": True}),
    }


def ask(name, model, image, pixels, mask, together):
    """Value for the first map, and wall and processor time in ms for all."""
    reading = "maps" if name in ("flipping", "subsets", "estimate") else "absolute" if name in ("gini", "entropy") else \
        "positive"
    maps = {"maps": pixels, "absolute": np.abs(pixels), "positive": np.maximum(pixels, 0)}[reading]
    kinds = ("mass", "rank", "auroc") if name == "localisation" else (name,)
    values = []
    w, c = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(sys.stderr), torch.inference_mode():
        for kind in kinds:
            metric = metrics()[kind]
            for batch in ([slice(None)] if together else [slice(m, m + 1) for m in range(MAPS)]):
                n = len(maps[batch])
                values.append(metric(model=model, x_batch=image.repeat(n, 0), y_batch=np.ones(n, int),
                                     a_batch=maps[batch].copy(), s_batch=mask.repeat(n, 0), device="cpu", softmax=False,
                                     batch_size=n))
    return float(np.mean(values)) if name == "flipping" else float(np.ravel(values[0])[0]), \
        1e3 * (time.perf_counter() - w), 1e3 * (time.process_time() - c)


NAMES = ["flipping", "subsets", "estimate", "gini", "entropy", "localisation"]
TOKENS = ["flipping", "subsets", "estimate"]


def ratios(rounds, peer, ours):
    """Peer by lungcdam in processor and wall time, the median over rounds, of a sum of measures."""
    return [statistics.median(sum(r[0][p][k] for p in peer) / sum(r[1][o][k] for o in ours) for r in rounds)
            for k in (2, 1)]


def report(rounds, mode):
    rows = []
    for name in NAMES + [n + "_tokens" for n in TOKENS]:
        peer = name.replace("_tokens", "")
        cpu, wall = ratios(rounds, [peer], [name])
        rows.append({"quantus": mode, "measure": name, "quantus_cpu_ms": min(r[0][peer][2] for r in rounds),
                     "cpu_ms": min(r[1][name][2] for r in rounds), "cpu_ratio": cpu, "wall_ratio": wall})
    for label, pick in (("all, filled with 0", NAMES), ("all, tokens left out", [n + "_tokens" if n in TOKENS else n
                                                                              for n in NAMES])):
        cpu, wall = ratios(rounds, NAMES, pick)
        rows.append({"quantus": mode, "measure": label, "quantus_cpu_ms": min(sum(r[0][n][2] for n in NAMES) for r in rounds),
                     "cpu_ms": min(sum(r[1][n][2] for n in pick) for r in rounds), "cpu_ratio": cpu, "wall_ratio": wall})
    for row in rows:
        print("{quantus:12} {measure:20} Quantus {quantus_cpu_ms:10.2f} ms   lungcdam {cpu_ms:9.3f} ms   "
              "ratio {cpu_ratio:8.1f} (wall {wall_ratio:8.1f})".format(**row))
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(MAPS, GRID, GRID)).astype(np.float32)
    image = rng.normal(size=(1, 1, SIZE, SIZE)).astype(np.float32)
    mask = np.zeros((1, 1, SIZE, SIZE))
    mask[:, :, SIZE // 4:3 * SIZE // 4, SIZE // 4:3 * SIZE // 4] = 1
    pixels = scores.repeat(PATCH, 1).repeat(PATCH, 2)[:, None]
    with tempfile.TemporaryDirectory() as folder:
        weights, inputs = f"{folder}/w.safetensors", f"{folder}/in.safetensors"
        with open(f"{folder}/model.yaml", "w") as file:
            file.write(MODEL)
        subprocess.run([f"{options.build}/pipeline/lungcdam", "weights", "init", f"{folder}/model.yaml", "-o", weights],
                       check=True, stdout=subprocess.DEVNULL)
        write_safetensors(inputs, {"image": image[0].repeat(3, 0), "map": scores})
        metadata, tensors = read_safetensors(weights)
        # Seeded weights are small; louder ones make patches matter.
        tensors = {k: v * 3 if v.ndim == 2 else v for k, v in tensors.items()}
        write_safetensors(weights, tensors, metadata)
        model = Vit({k: torch.from_numpy(v.copy()) for k, v in tensors.items()}).eval()
        model.head = next(k for k in tensors if k.startswith("head")).rsplit(".", 1)[0].replace(".", "_")
        command = [f"{options.build}/tests/bench/lungcdam_bench_measures", weights, inputs, "--threads", "1"]
        rounds = {"one by one": [], "in batches": []}
        for _ in range(options.rounds):
            for mode, kept in rounds.items():
                theirs = {n: ask(n, model, image, pixels, mask, mode == "in batches") for n in NAMES}
                ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                kept.append((theirs, ours))
        with torch.inference_mode():
            logit = float(model(torch.from_numpy(image))[0, 1])
    theirs, ours = rounds["one by one"][0]
    assert abs(logit - ours["logit"][0]) < 1e-4 * max(1, abs(logit)), (logit, ours["logit"][0])
    for name in ("flipping", "localisation"):  # the others draw sets, or rank |scores|, or add to scores
        assert abs(theirs[name][0] - ours[name][0]) < 1e-3, (name, theirs[name][0], ours[name][0])
    print(f"Quantus {quantus.__version__}, PyTorch {torch.__version__}; {MAPS} maps of one image; one thread; "
          f"logit {logit:.6f} on both sides")
    rows = [row for mode, kept in rounds.items() for row in report(kept, mode)]
    curve = statistics.median(r[1]["deletion_20"][2] / r[1]["forward_20"][2] for k in rounds.values() for r in k)
    print(f"deletion curve of 20 steps, tokens left out: {curve:.2f} of 20 forward passes (processor time)")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"rows": rows, "curve_in_20_passes": curve}, file, indent=1)


if __name__ == "__main__":
    main()
