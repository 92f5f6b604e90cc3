#!/usr/bin/env bash
# Measuring a model from the command line: the folder, its formats, and that they agree.
# needs: plot
# shellcheck source=tests/cli/lib/common.bash
source "$LUNGCDAM_SOURCE/tests/cli/lib/common.bash"
need_data

crops=$data/lidc_nodule_crops.h5
cat >"$work/model.yaml" <<'YAML'
base: vit_tiny_patch8
name: small
image_height: 32
image_width: 32
embed_dim: 16
depth: 1
num_heads: 2
heads: ["malignancy", "biomarkers:outputs=8:regression"]
YAML
expect 0 "" weights init "$work/model.yaml" -o "$work/w.safetensors" --seed 3
run=(evaluate -w "$work/w.safetensors" -d "$crops" --set data.pixels=32 --set data.spacing_mm=1.25
  --set test.bootstrap=40 --set test.symmetries=false)

expect 0 "UNTRAINED WEIGHTS" "${run[@]}" -o "$work/a"
cmp -s "$work/out" "$work/a/evaluation.txt" || fail "the table is not what was printed"
sleep 1 # a date in a file would show
expect 0 "" "${run[@]}" -o "$work/b" --threads 1 --json
cmp -s "$work/out" "$work/b/evaluation.json" || fail "JSON is not what was printed"
[ "$(cd "$work/a" && echo *)" = "biomarkers.png calibration.png evaluation.h5 evaluation.json \
evaluation.txt precision_recall.png predictions.csv roc.png" ] || fail "files: $(ls "$work/a")"
for name in "$work/a"/*; do
  cmp -s "$name" "$work/b/$(basename "$name")" || fail "$name depends on threads or time"
done
expect 0 "" "${run[@]}" -o "$work/c" --set test.pictures=svg
expect 0 "" "${run[@]}" -o "$work/d" --set test.pictures=pdf
expect 0 "" "${run[@]}" -o "$work/e" --set test.pictures=none --set test.threshold=0.9
[ -z "$(find "$work/e" -name 'roc*')" ] || fail "pictures that nobody wanted"
h5dump -H "$work/a/evaluation.h5" >/dev/null || fail "h5dump does not read it"

python3 - "$work" <<'PYTHON' || fail "what was written does not agree"
import csv, h5py, json, numpy as np, struct, sys, xml.dom.minidom, zlib
work = sys.argv[1]
for name in ("roc", "precision_recall", "calibration", "biomarkers"):
    png = open(f"{work}/a/{name}.png", "rb").read()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(png):  # every chunk whole
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        assert zlib.crc32(png[at + 4:at + 8 + size]) == struct.unpack(">I", png[at + 8 + size:at + 12 + size])[0]
        if kind == b"IHDR":
            assert min(struct.unpack(">II", png[at + 8:at + 16])) > 600
        at += 12 + size
    assert kind == b"IEND"
    svg = xml.dom.minidom.parse(f"{work}/c/{name}.svg").documentElement
    assert svg.tagName == "svg" and len(svg.getElementsByTagName("path")) > 20
    pdf = open(f"{work}/d/{name}.pdf", "rb").read()
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF") and b"CreationDate" not in pdf

said = json.load(open(f"{work}/a/evaluation.json"))
rows = list(csv.DictReader(open(f"{work}/a/predictions.csv")))
with h5py.File(f"{work}/a/evaluation.h5") as f:
    assert f.attrs["schema_version"] == 1 and f.attrs["weights_trained"] == 0
    assert b"UNTRAINED" in f.attrs["notice"] and b"test:" in f.attrs["recipe"]
    assert len(f.attrs["weights_sha256"]) == 64 and f.attrs["split"] == b"validate"
    identity = h5py.check_string_dtype(f["nodules/PatientID"].dtype)
    assert identity.encoding == "utf-8" and identity.length
    patients = f["nodules/PatientID"].asstr()[...]
    assert list(patients) == [row["patient"] for row in rows]
    assert len(set(patients)) == said["patients"] and len(patients) == said["nodules"]
    rating, probability = f["truth/malignancy"][:], f["prediction/malignancy_probability"][:]
    assert np.allclose(probability, [float(row["malignancy_probability"]) for row in rows], atol=1e-8)
    # AUROC by pairs, from the file alone
    keep = rating != 3
    malignant, p = rating[keep] > 3, probability[keep]
    difference = p[malignant][:, None] - p[~malignant][None, :]
    auroc = ((difference > 0) + 0.5 * (difference == 0)).mean()
    measures = dict(zip(f["axes/malignancy_measure"].asstr()[...], f["measures/malignancy"][:]))
    limits = list(f["axes/interval"].asstr()[...])
    assert limits == ["value", "low", "high"]
    for name, values in measures.items():
        for limit, value in zip(limits, values):
            other = said["malignancy"][name][limit]
            assert (other is None and np.isnan(value)) or abs(other - value) < 1e-9, (name, limit)
    assert abs(measures["auroc"][0] - auroc) < 1e-12
    assert abs(measures["brier"][0] - ((p - malignant) ** 2).mean()) < 1e-12
    assert abs(np.trapz(f["roc/sensitivity"], f["roc/false_positive_rate"]) - auroc) < 1e-12
    recall = np.concatenate([[0], f["precision_recall/recall"][:]])
    precision = (np.diff(recall) * f["precision_recall/precision"][:]).sum()
    assert abs(measures["average_precision"][0] - precision) < 1e-12
    assert f["calibration/count"][:].sum() == keep.sum() == said["malignancy"]["decided"]
    truth, predicted = f["truth/biomarkers"][:], f["prediction/biomarkers"][:]
    names = f["axes/biomarker"].asstr()[...]
    kinds = list(f["axes/biomarker_measure"].asstr()[...])
    assert f["measures/biomarkers"].dims[1][0].name == "/axes/biomarker_measure"
    for b, name in enumerate(names):
        there = np.isfinite(truth[:, b])
        t, q = truth[there, b], predicted[there, b]
        r2 = 1 - ((t - q) ** 2).sum() / ((t - t.mean()) ** 2).sum()
        value, low, high = f["measures/biomarkers"][b, kinds.index("r2")]
        assert abs(value - r2) < 1e-9 and low <= value <= high
        rmse = f["measures/biomarkers"][b, kinds.index("rmse"), 0]
        assert abs(rmse ** 2 - ((t - q) ** 2).mean()) < 1e-9
        assert abs(said["biomarkers"][name]["mae_high"] - f["measures/biomarkers"][b, kinds.index("mae"), 2]) < 1e-8
strict = json.load(open(f"{work}/e/evaluation.json"))["malignancy"]
assert strict["threshold"] == 0.9 and strict["specificity"]["value"] == np.mean(p[~malignant] < 0.9)
PYTHON

# What is there is kept, unless an evaluation may be replaced.
expect 16 "--overwrite" "${run[@]}" -o "$work/a"
expect 0 "" "${run[@]}" -o "$work/a/" --overwrite --set test.pictures=none
[ ! -e "$work/a/roc.png" ] || fail "the old picture is still there"
mkdir "$work/mine" && echo mine >"$work/mine/file"
expect 16 "left alone" "${run[@]}" -o "$work/mine" --overwrite
[ -s "$work/mine/file" ] || fail "a folder that is none of ours was touched"
expect 3 "test.pictures" "${run[@]}" -o "$work/none" --set test.pictures=gif
nothing_in "$work/none"
[ -z "$(find "$work" -name '.*.partial')" ] || fail "temporary files are left"

finish
