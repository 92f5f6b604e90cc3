#!/usr/bin/env python3
"""Writes quantus_values.h: what Quantus says about maps and a model that is a formula.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install quantus==0.6.0
    /tmp/venv/bin/python make_quantus_values.py > quantus_values.h

The model is f(x) = bias + sum w_i x_i + pair * sum x_i x_(i+1) on a 6 x 6 image, read row by row,
with two outputs -f and f. Where a measure draws sets of patches or moved maps at random, those that
Quantus drew are written too, so that the same inputs can be judged.
"""
import contextlib
import sys
import warnings

with contextlib.redirect_stdout(sys.stderr):
    import numpy as np
    import quantus
    import scipy
    from quantus.functions import perturb_func, similarity_func

warnings.filterwarnings("ignore")
rng = np.random.default_rng(8)
EDGE, N, BIAS, PAIR = 6, 36, -1.5, 0.25
QUIET = dict(disable_warnings=True, display_progressbar=False, normalise=False, abs=False)


def emit(name, values, kind="double"):
    values = np.asarray(values).ravel()
    if kind == "uint8_t":
        text = [str(int(v)) for v in values]
    elif kind == "float":
        text = [f"{np.float32(v):.9g}" for v in values]
        text = [t + ("f" if ("." in t or "e" in t) else ".0f") for t in text]
    else:
        text = [repr(float(v)) for v in values]
    step = 18 if kind == "uint8_t" else 6
    lines = [", ".join(text[i:i + step]) for i in range(0, len(text), step)]
    print(f"static const {kind} {name}[{len(text)}] __attribute__((unused)) = {{\n    " + ",\n    ".join(lines) + "};")


class Formula:
    """What the measures need of a model."""

    def __init__(self, weights, bias=BIAS):
        self.weights = weights
        self.bias = bias
        self.seen = []

    def shape_input(self, x, shape, channel_first=True, batched=True):
        return np.asarray(x, dtype=np.float64).reshape(-1, 1, EDGE, EDGE)

    def predict(self, x):
        x = x.reshape(len(x), N)
        self.seen.append(x.copy())
        f = self.bias + x @ self.weights + PAIR * (x[:, 1:] * x[:, :-1]).sum(1)
        return np.stack([-f, f], axis=1)


def batch(metric, **arguments):
    arguments = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in arguments.items()}  # some change them
    return np.asarray(metric.evaluate_batch(**arguments)).ravel()


def maps_alone(scores, mask):
    a = np.abs(scores)[None]
    positive = np.maximum(scores, 0)[None]
    flat = dict(a_batch=a.reshape(1, 1, EDGE, EDGE), x_batch=np.ones((1, 1, EDGE, EDGE)))
    with contextlib.redirect_stdout(sys.stderr):
        emit_later = {
            "quantus_gini": batch(quantus.Sparseness(**QUIET), **flat),
            "quantus_entropy": batch(quantus.Complexity(**QUIET), **flat),
            "quantus_effective": batch(quantus.EffectiveComplexity(eps=0.5, **QUIET), **flat),
        }
        for name, values in (("positive", positive), ("absolute", a)):
            both = dict(a_batch=values.reshape(1, 1, EDGE, EDGE), s_batch=mask.reshape(1, 1, EDGE, EDGE))
            emit_later[f"quantus_{name}"] = np.concatenate([
                batch(quantus.RelevanceMassAccuracy(**QUIET), **both),
                batch(quantus.RelevanceRankAccuracy(**QUIET), **both),
                batch(quantus.PointingGame(**QUIET), **both).astype(float),
                batch(quantus.AUC(**QUIET), **both)])
    for name, values in emit_later.items():
        emit(name, values)


def correctness(model, scores):
    ones = np.ones((1, 1, EDGE, EDGE))
    arguments = dict(model=model, x_batch=ones, y_batch=np.array([1]), a_batch=scores.reshape(1, 1, EDGE, EDGE))
    black = dict(perturb_baseline=0.0, **QUIET)
    result = {}
    with contextlib.redirect_stdout(sys.stderr):
        np.random.seed(3)
        model.seen = []
        result["quantus_subset_correlation"] = batch(
            quantus.FaithfulnessCorrelation(nr_runs=40, subset_size=7, **black), **arguments)
        subsets = np.concatenate(model.seen[1:]) == 0
        result["quantus_estimate_1"] = batch(quantus.FaithfulnessEstimate(features_in_step=1, **black), **arguments)
        result["quantus_estimate_4"] = batch(quantus.FaithfulnessEstimate(features_in_step=4, **black), **arguments)
        result["quantus_monotone"] = batch(
            quantus.MonotonicityCorrelation(features_in_step=4, nr_samples=1,
                                            similarity_func=similarity_func.correlation_spearman, **black),
            model=model, x_batch=np.repeat(ones, 2, axis=0), y_batch=np.array([1, 1]),
            a_batch=np.repeat(np.abs(arguments["a_batch"]), 2, axis=0))[:1]  # it cannot rank a batch of one
        result["quantus_flipping"] = batch(quantus.PixelFlipping(features_in_step=3, **black), **arguments)
        # quantus.Monotonicity is left out: it replaces a baseline image by the baseline, so that
        # every step shows the model the same image and the verdict is always "monotone".
        model.seen = []
        quantus.Monotonicity(features_in_step=3, **black).evaluate_batch(**arguments)
        assert np.all(np.concatenate(model.seen) == 0), "this Quantus compares different images: test it"
        model.seen = []
        result["quantus_infidelity"] = batch(
            quantus.Infidelity(n_perturb_samples=1, perturb_patch_sizes=[2], **black), **arguments)
        blocks = np.concatenate(model.seen[1:]) == 0
    for name, values in result.items():
        emit(name, values)
    emit("quantus_subsets", subsets, "uint8_t")
    emit("quantus_blocks", blocks, "uint8_t")


def road(model, scores, image):
    missing = np.argsort(-scores)[:18]
    filled = perturb_func.noisy_linear_imputation(image.reshape(1, EDGE, EDGE), missing, noise=0.0)
    emit("road_filled", filled)
    percentages = [100 * k / 36 for k in (4, 9, 14, 18, 23, 27, 32)]
    with contextlib.redirect_stdout(sys.stderr):
        metric = quantus.ROAD(noise=0.0, percentages=[p + 1e-6 for p in percentages], **QUIET)
        metric.a_size = N
        kept = batch(metric, model=model, x_batch=image.reshape(1, 1, EDGE, EDGE), y_batch=np.array([1]),
                     a_batch=scores.reshape(1, 1, EDGE, EDGE))
    emit("road_shares", [p / 100 for p in percentages])
    emit("quantus_road", kept)


def robustness(scores):
    """The map is the image times fixed gains; what Quantus moves is recorded."""
    gains = rng.normal(size=N)
    image = scores / gains
    moved, steps = [], []

    def explain(self, model, x, y):
        flat = np.asarray(x).reshape(1, N)
        steps.append(np.linalg.norm(flat - image))
        moved.append((flat * gains).ravel())
        return flat * gains

    result = {}
    arguments = dict(model=None, x_batch=image.reshape(1, 1, EDGE, EDGE), y_batch=np.array([1]),
                     a_batch=scores.reshape(1, 1, EDGE, EDGE))
    with contextlib.redirect_stdout(sys.stderr):
        for name, kind, extra in (("max", quantus.MaxSensitivity, {}), ("mean", quantus.AvgSensitivity, {}),
                                  ("lipschitz", quantus.LocalLipschitzEstimate,
                                   {"norm_numerator": similarity_func.distance_euclidean,
                                    "norm_denominator": similarity_func.distance_euclidean})):
            metric = kind(nr_samples=8, **extra, **QUIET)
            metric.explain_batch = explain.__get__(metric)
            moved.clear()
            steps.clear()
            np.random.seed(5)
            result[f"quantus_{name}"] = batch(metric, **arguments)
            result[f"steps_{name}"] = np.array(steps)
            result[f"moved_{name}"] = np.array(moved)
    for name, values in result.items():
        emit(name, values, "float" if name.startswith("moved") else "double")


def main():
    scores = np.float32(rng.normal(size=N)).astype(np.float64)
    weights = np.float32(0.7 * scores + 0.5 * rng.normal(size=N)).astype(np.float64)
    other = np.float32(0.6 * scores + rng.normal(size=N)).astype(np.float64)
    mask = np.zeros((EDGE, EDGE), dtype=np.uint8)
    row, column = divmod(int(np.argmax(scores)), EDGE)
    mask[max(row - 1, 0):row + 2, max(column - 1, 0):column + 2] = 1
    image = np.float32(rng.uniform(0.5, 1.5, size=N)).astype(np.float64)
    print(f"/* Made by make_quantus_values.py with Quantus {quantus.__version__}, scipy {scipy.__version__},"
          f"\n * numpy {np.__version__}. Do not edit. */")
    print("#ifndef QUANTUS_VALUES_H\n#define QUANTUS_VALUES_H\n\n#include <stdint.h>\n\n// clang-format off")
    emit("quantus_scores", scores, "float")
    emit("quantus_other", other, "float")
    emit("quantus_weights", weights, "float")
    emit("quantus_mask", mask, "uint8_t")
    emit("road_image", image, "float")
    emit("quantus_formula", [BIAS, PAIR])
    emit("quantus_similarity", [similarity_func.correlation_pearson(scores, other),
                                similarity_func.correlation_spearman(scores, other),
                                1 - similarity_func.cosine(scores, other)])
    maps_alone(scores, mask)
    model = Formula(weights)
    correctness(model, scores)
    whole = Formula(weights, 0).predict(image[None])[0, 1]
    bias = np.float64(np.float32(4 - whole))  # near enough to the decision that removal changes it
    emit("road_bias", [bias])
    road(Formula(weights, bias), scores, image)
    robustness(scores)
    print("// clang-format on\n#endif")


if __name__ == "__main__":
    main()
