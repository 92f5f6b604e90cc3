#!/usr/bin/env python3
"""Writes training_values.h: what PyTorch, scikit-learn, SciPy and NumPy say about small cases.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy scipy scikit-learn torch
    /tmp/venv/bin/python make_training_values.py > training_values.h
"""
import numpy as np
import scipy
import scipy.ndimage
import scipy.stats
import sklearn
import sklearn.calibration
import sklearn.metrics
import torch

rng = np.random.default_rng(20)


def emit(name, values, kind="double"):
    values = np.asarray(values).ravel()
    if kind == "uint8_t":
        text = [str(int(v)) for v in values]
    elif kind == "float":
        text = [f"{np.float32(v):.9g}" for v in values]
        text = [t + ("f" if ("." in t or "e" in t) else ".0f") for t in text]
    else:
        text = [repr(float(v)) for v in values]
    lines = [", ".join(text[i:i + 6]) for i in range(0, len(text), 6)]
    print(f"static const {kind} {name}[{len(text)}] __attribute__((unused)) = {{\n    " + ",\n    ".join(lines) + "};")


def losses():
    n, outputs = 6, 9
    x = (2 * rng.standard_normal((n, outputs))).astype(np.float32)
    x[1, 0], x[2, 0] = 40, -60
    y = rng.standard_normal((n, outputs)).astype(np.float32)
    y[:, 0] = [1, 0, 1, 0.25, 1, 0]
    present = (rng.random((n, outputs)) < 0.7).astype(np.uint8)
    present[:, 0] = [1, 1, 1, 1, 0, 1]
    weight = rng.uniform(0.5, 2, n).astype(np.float32)
    output_weight = rng.uniform(0.5, 2, 8).astype(np.float32)
    logits = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    target, mask, w = torch.tensor(y).double(), torch.tensor(present).double(), torch.tensor(weight).double()
    bce = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:, 0], target[:, 0], reduction="none", pos_weight=torch.tensor(3.0).double())
    huber = torch.nn.functional.huber_loss(logits[:, 1:], target[:, 1:], reduction="none", delta=1.0)
    bce = (bce * w * mask[:, 0]).sum() / mask[:, 0].sum()
    huber = (huber * w[:, None] * torch.tensor(output_weight).double() * mask[:, 1:]).sum() / mask[:, 1:].sum()
    total = 0.7 * bce + 1.5 * huber
    total.backward()
    emit("loss_outputs", x, "float")
    emit("loss_targets", y, "float")
    emit("loss_present", present, "uint8_t")
    emit("loss_sample_weights", weight, "float")
    emit("loss_output_weights", output_weight, "float")
    emit("loss_expected", [bce.item(), huber.item(), total.item()])
    emit("loss_gradient", logits.grad, "float")


def optimizers():
    start = rng.standard_normal(12).astype(np.float32)
    gradients = (3 * rng.standard_normal((5, 12))).astype(np.float32)
    rates = [1e-2, 2e-2, 5e-3, 1e-3, 3e-2]
    emit("optim_start", start, "float")
    emit("optim_gradients", gradients, "float")
    emit("optim_rates", rates)

    def run(name, make, clip):
        # elements 0 to 7 decay, 8 to 11 do not
        a = torch.nn.Parameter(torch.tensor(start[:8]))
        b = torch.nn.Parameter(torch.tensor(start[8:]))
        optimizer = make(a, b)
        average, norms = np.concatenate([start]).astype(np.float64), []
        for gradient, rate in zip(gradients, rates):
            a.grad, b.grad = torch.tensor(gradient[:8]), torch.tensor(gradient[8:])
            if clip:
                norms.append(torch.nn.utils.clip_grad_norm_([a, b], clip).item())
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            values = torch.cat([a, b]).detach().numpy()
            average = 0.9 * average + 0.1 * values
        emit(f"optim_{name}", values, "float")
        emit(f"optim_{name}_average", average, "float")
        if clip:
            emit(f"optim_{name}_norms", norms)

    run("adam", lambda a, b: torch.optim.Adam([a, b], lr=1), None)
    run("adam_decay", lambda a, b: torch.optim.Adam(
        [{"params": [a], "weight_decay": 0.1}, {"params": [b]}], lr=1), None)
    run("adamw_clip", lambda a, b: torch.optim.AdamW(
        [{"params": [a], "weight_decay": 0.1}, {"params": [b], "weight_decay": 0.0}], lr=1,
        betas=(0.8, 0.95), eps=1e-6), 4.0)


def schedules():
    p = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([p], lr=1)
    cyclic = torch.optim.lr_scheduler.CyclicLR(optimizer, 2e-5, 7e-4, step_size_up=5, step_size_down=3,
                                               mode="triangular2", cycle_momentum=False)
    rates = []
    for _ in range(40):
        rates.append(cyclic.get_last_lr()[0])
        optimizer.step()
        cyclic.step()
    emit("schedule_cyclic", rates)
    optimizer = torch.optim.SGD([p], lr=3e-4)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
    rates = []
    for _ in range(10):
        rates.append(decay.get_last_lr()[0])
        optimizer.step()
        decay.step()
    emit("schedule_exponential", rates)
    optimizer = torch.optim.SGD([p], lr=5e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16, eta_min=1e-6)
    rates = []
    for _ in range(17):
        rates.append(cosine.get_last_lr()[0])
        optimizer.step()
        cosine.step()
    emit("schedule_cosine", rates)


def delong(scores, labels):
    """By the definition: every pair of a positive and a negative."""
    x, y = scores[labels == 1], scores[labels == 0]
    pairs = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])
    area = pairs.mean()
    variance = pairs.mean(1).var(ddof=1) / len(x) + pairs.mean(0).var(ddof=1) / len(y)
    reach = scipy.stats.norm.ppf(0.975) * np.sqrt(variance)
    return [area, max(0, area - reach), min(1, area + reach)]


def classification():
    n = 60
    labels = (rng.random(n) < 0.4).astype(np.uint8)
    # in steps of 1/32, which are exact and make ties
    scores = np.round(32 / (1 + np.exp(-(rng.standard_normal(n) + 1.5 * labels - 0.7)))) / 32
    called = scores >= 0.5
    emit("binary_labels", labels, "uint8_t")
    emit("binary_scores", scores)
    emit("binary_auroc", delong(scores, labels))
    assert abs(delong(scores, labels)[0] - sklearn.metrics.roc_auc_score(labels, scores)) < 1e-12
    emit("binary_measures", [
        sklearn.metrics.accuracy_score(labels, called), sklearn.metrics.recall_score(labels, called),
        sklearn.metrics.recall_score(labels, called, pos_label=0),
        sklearn.metrics.precision_score(labels, called), sklearn.metrics.f1_score(labels, called),
        sklearn.metrics.average_precision_score(labels, scores),
        sklearn.metrics.brier_score_loss(labels, scores)])
    false_positive, true_positive, _ = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
    emit("binary_roc_false_positive", false_positive)
    emit("binary_roc_sensitivity", true_positive)
    emit("binary_specificity_at_95", [np.max(1 - false_positive[true_positive >= 0.95])])
    precision, recall, _ = sklearn.metrics.precision_recall_curve(labels, scores)
    emit("binary_curve_precision", precision[-2::-1])
    emit("binary_curve_recall", recall[-2::-1])
    # scikit-learn's bins are (low, high]; odd bin edges do not fall on multiples of 1/32
    share, mean = sklearn.calibration.calibration_curve(labels, scores, n_bins=7)
    count = np.histogram(scores, np.linspace(0, 1, 8))[0]
    emit("binary_calibration_share", share)
    emit("binary_calibration_mean", mean)
    emit("binary_calibration_count", count)
    emit("binary_calibration_error", [np.sum(count[count > 0] * np.abs(share - mean)) / n])


def regression():
    truth = np.round(rng.uniform(1, 5, 40), 1)
    predicted = np.round(truth + 0.8 * rng.standard_normal(40), 1)
    emit("regression_truth", truth)
    emit("regression_predicted", predicted)
    emit("regression_measures", [
        sklearn.metrics.mean_squared_error(truth, predicted),
        np.sqrt(sklearn.metrics.mean_squared_error(truth, predicted)),
        sklearn.metrics.mean_absolute_error(truth, predicted),
        sklearn.metrics.r2_score(truth, predicted),
        scipy.stats.pearsonr(truth, predicted)[0], scipy.stats.spearmanr(truth, predicted)[0]])


def rotation():
    image = np.round(100 * rng.standard_normal((9, 9))).astype(np.float32)
    emit("rotation_source", image, "float")
    emit("rotation_30", scipy.ndimage.rotate(image.astype(np.float64), 30, reshape=False, order=1,
                                             mode="nearest"), "float")
    emit("rotation_zoom", scipy.ndimage.affine_transform(
        image.astype(np.float64), [0.5, 0.5], offset=[4 - 0.5 * 7.5, 4 - 0.5 * 7.5],
        output_shape=(16, 16), order=1, mode="nearest"), "float")


print("/* Made by make_training_values.py with "
      f"torch {torch.__version__.split('+')[0]}, scikit-learn {sklearn.__version__}, scipy {scipy.__version__}, "
      f"numpy {np.__version__}.\n * Do not edit. */")
print("#ifndef TRAINING_VALUES_H\n#define TRAINING_VALUES_H\n\n#include <stdint.h>\n\n// clang-format off")
for part in (losses, optimizers, schedules, classification, regression, rotation):
    part()
print("// clang-format on\n\n#endif")
