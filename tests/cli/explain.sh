#!/usr/bin/env bash
# `lungcdam explain`: tensors in and out against the published implementations, store and figures.
# needs: phantom
# slow: 50
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
reference=$LUNGCDAM_SOURCE/tests/reference
model=$reference/vit_p8_d48_l4.weights.safetensors
images=$reference/vit_p8_d48_l4.expected.safetensors

# agree NAME MAPS NUMBER: the tensors that both files hold agree, and there are NUMBER of them.
agree() {
  python3 - "$2" "$reference/$1.expected.safetensors" "$3" <<'PYTHON' || fail "$1: maps do not agree"
import json, struct, sys
import numpy as np

def load(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[8 + size:], "<f4", offset=t["data_offsets"][0],
                                count=int(np.prod(t["shape"]))).reshape(t["shape"])
            for name, t in header.items() if t["dtype"] == "F32"}

ours, theirs = load(sys.argv[1]), load(sys.argv[2])
both = [name for name in ours if name in theirs]
assert len(both) == int(sys.argv[3]), (len(both), both)
for name in both:
    error = np.abs(ours[name].reshape(theirs[name].shape) - theirs[name]).max() / np.abs(theirs[name]).max()
    # One published value is rounding: docs/estimators.md, "How close".
    rounding = name == "transformer_attribution" and "vit_p8_d32_l3" in sys.argv[2]
    assert error <= (0.02 if rounding else 1e-3), (name, error)
PYTHON
}

for name in vit_p8_d32_l3 vit_p8_d48_l4; do
  expect 0 "targets, 20 estimators" explain -w "$reference/$name.weights.safetensors" \
    -t "$reference/$name.expected.safetensors" -e all --set estimators.integrated_gradients.rule=riemann \
    --maps-out "$work/$name.safetensors"
  # logits, cls_embedding, 12 estimators, pixel_gradient, concept_cdam, _score and _vector
  agree "$name" "$work/$name.safetensors" 19
done
mv "$work/vit_p8_d48_l4.safetensors" "$work/maps.safetensors"
name=dinov2_reg4_p14_d32_l3 # registers, LayerScale, positions of another grid
expect 0 "3 estimators" explain -w "$reference/$name.weights.safetensors" \
  -t "$reference/$name.expected.safetensors" -e cdam,attention_map,relevance_propagation \
  --maps-out "$work/$name.safetensors"
agree "$name" "$work/$name.safetensors" 3

# A concept by its images alone is the mean of their embeddings.
python3 - "$images" "$work/examples.safetensors" <<'PYTHON'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header, out, body = json.loads(data[8:8 + size]), {}, b""
for name in ("input", "concept_images"):
    first, last = header[name]["data_offsets"]
    out[name] = dict(header[name], data_offsets=[len(body), len(body) + last - first])
    body += data[8 + size + first:8 + size + last]
text = json.dumps(out).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + body)
PYTHON
expect 0 "5 targets" explain -w "$model" -t "$work/examples.safetensors" \
  --maps-out "$work/by_examples.safetensors"
agree vit_p8_d48_l4 "$work/by_examples.safetensors" 6

expect 16 "maps.safetensors: exists" explain -w "$model" -t "$images" \
  --maps-out "$work/maps.safetensors"
expect 4 'did you mean "smooth_cdam"' explain -w "$model" -t "$images" -e smoth_cdam \
  --maps-out "$work/x.safetensors"
expect 4 "head.0" explain -w "$model" -t "$images" -T malignancy --maps-out "$work/x.safetensors"
expect 2 "nothing to write" explain -w "$model" -t "$images"
expect 2 "one of --tensor FILE, --crops FILE, --input PATH and --result DIR" explain -w "$model" -o "$work/x"
expect 13 'no tensor "input"' explain -w "$model" -t "$model" -o "$work/x"
expect 2 "given twice" explain -w "$model" -t "$images" -e cdam,cdam -o "$work/x"
expect 2 "--level is 'much'" explain -w "$model" -t "$images" --level much -o "$work/x"
expect 2 "head 6" explain -w "$model" -t "$images" -e attention_map --head 6 -o "$work/x"
expect 2 "integrated_cdam: samples is 1, expected a whole number from 2 to" explain -w "$model" -t "$images" \
  -e integrated_cdam --samples 1 -o "$work/x"
expect 2 "smooth_cdam: level is -0.1, expected a number from 0 to" explain -w "$model" -t "$images" -e smooth_cdam \
  --level -0.1 -o "$work/x"
# An estimator's own parameters: named, within limits, recorded, and they make other maps.
expect 4 'estimator "rice": did you mean "rise"' explain -w "$model" -t "$images" -e rice:keep=0.3 -o "$work/x"
expect 4 'rise: parameter "sampels": did you mean "samples"' explain -w "$model" -t "$images" \
  -e rise:sampels=9 -o "$work/x"
expect 4 'cdam: parameter "samples": expected none' explain -w "$model" -t "$images" -e cdam:samples=9 -o "$work/x"
expect 3 "estimators.rise.keep is 2, expected a number from 0.01 to 0.99" explain -w "$model" -t "$images" \
  -e cdam,rise:samples=9,keep=2 -o "$work/x"
expect 3 "the nearest valid key is 'estimators.occlusion.box'" explain -w "$model" -t "$images" \
  --set estimators.occlusion.bax=2 -o "$work/x"
expect 3 "estimators.smooth_cdam.place is norm, expected one of input, normed" explain -w "$model" \
  -t "$images" -e smooth_cdam:place=norm -o "$work/x"
expect 2 "expected parameters as NAME:PARAMETER=VALUE" explain -w "$model" -t "$images" -e samples=9 -o "$work/x"
"$program" explain --help | grep -q "rise:keep=0.5  probability that a cell stays" || fail "help names no parameters"
rise=(explain -w "$model" -t "$images" -T head.1 --figures none)
expect 0 "" "${rise[@]}" -e rise,occlusion --samples 20 -o "$work/own"
expect 0 "" "${rise[@]}" -e rise:samples=20,keep=0.5,occlusion:box=3 -o "$work/same"
expect 0 "" "${rise[@]}" -e rise:keep=0.3,occlusion:box=4,stride=1 --samples 20 -o "$work/short"
expect 0 "" "${rise[@]}" -e rise,occlusion --set estimators.rise.keep=0.3 --set estimators.occlusion.box=4 \
  --set estimators.occlusion.stride=1 --set estimators.rise.samples=20 --samples 30 -o "$work/long"
cmp -s "$work/own/maps.h5" "$work/same/maps.h5" || fail "parameters that are the defaults change the file"
cmp -s "$work/short/maps.h5" "$work/long/maps.h5" || fail "-e and --set write other bytes"
python3 - "$work/own/maps.h5" "$work/short/maps.h5" <<'PYTHON' || fail "parameters are not used or not recorded"
import sys, h5py, numpy as np
with h5py.File(sys.argv[1]) as own, h5py.File(sys.argv[2]) as other:
    for name, ours, theirs in (("rise", {"samples": 20, "keep": 0.5, "cells": 7}, {"samples": 20, "keep": 0.3, "cells": 7}),
                               ("occlusion", {"box": 3, "stride": 2}, {"box": 4, "stride": 1})):
        a, b = own["maps/" + name], other["maps/" + name]
        assert np.abs(a[()] - b[()]).max() > 1e-3 * np.abs(a[()]).max(), name
        assert {k: a.attrs[k] for k in ours} == ours and {k: b.attrs[k] for k in theirs} == theirs, name
PYTHON

for refused in "$work/x" "$work/x.safetensors"; do
  [ ! -e "$refused" ] || fail "a refused output was written"
done

for run in a b; do
  expect 0 "2 estimators" explain -w "$model" -t "$images" -e cdam,attention_map -T head.1,head.1-head.0 \
    -o "$work/$run"
done
diff -r "$work/a" "$work/b" || fail "a second run writes other bytes"
# --overwrite replaces what explain made, and nothing else.
mkdir "$work/foreign" && echo mine >"$work/foreign/notes.txt"
expect 16 "foreign: holds no maps.h5" explain -w "$model" -t "$images" -f -o "$work/foreign"
[ "$(cat "$work/foreign/notes.txt")" = mine ] || fail "a folder of somebody else was replaced"
expect 0 "2 estimators" explain -w "$model" -t "$images" -e cdam,attention_map \
  -T head.1,head.1-head.0 -f -o "$work/b"
diff -r "$work/a" "$work/b" || fail "an overwritten folder holds other bytes"
for file in maps.h5 image-000-cdam.png image-000-attention_map.png image-000-head.1-head.0.png; do
  [ -s "$work/a/$file" ] || fail "no $file"
done
python3 - "$work/a/maps.h5" <<'PYTHON' || fail "the store is not as documented"
import sys, h5py, numpy as np
with h5py.File(sys.argv[1]) as f:
    assert [t.decode() for t in f["targets"]] == ["head.1", "head.1-head.0", "concept"]
    maps = f["maps/cdam"]
    assert maps.shape == (1, 3, 8, 8) and maps.dtype == "<f4" and maps.attrs["signed"] == 1
    assert maps.dims[1].keys() == ["targets"] and maps.dims[0].keys() == ["images"]
    assert f["maps/attention_map"].shape == (1, 1, 8, 8)
PYTHON

# Shapes at the edge: one head and one patch, a grid that is not square with registers, no prediction
# head, heads that read more than CLS.
# make_images HEIGHT WIDTH FILE
make_images() {
  python3 - "$@" <<'PYTHON'
import json, struct, sys
height, width = int(sys.argv[1]), int(sys.argv[2])
n = 3 * height * width
text = json.dumps({"input": {"dtype": "F32", "shape": [1, 3, height, width],
                             "data_offsets": [0, 4 * n]}}).encode()
values = struct.pack(f"<{n}f", *[((i * 37) % 101) / 50 - 1 for i in range(n)])
open(sys.argv[3], "wb").write(struct.pack("<Q", len(text)) + text + values)
PYTHON
}
# init NAME LINE...: seeded weights of a small model
init() {
  local name=$1
  shift
  printf '%s\n' 'patch_size: 8' 'depth: 2' 'mlp_dim: 64' "$@" >"$work/$name.yaml"
  expect 0 "" weights init "$work/$name.yaml" -o "$work/$name.safetensors"
}
# change FILE TO WHAT: a weight file whose head reads more than CLS, or that has none
change() {
  python3 - "$@" <<'PYTHON'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header, out, body = json.loads(data[8:8 + size]), {}, b""
for name, tensor in header.items():
    if name == "__metadata__":
        out[name] = {k: v for k, v in tensor.items()
                     if sys.argv[3] != "headless" or k not in ("num_classes", "heads")}
        continue
    if sys.argv[3] == "headless" and name.startswith("head"):
        continue
    first, last = tensor["data_offsets"]
    content, shape = data[8 + size + first:8 + size + last], tensor["shape"]
    if sys.argv[3] == "mean" and name.startswith("norm."):
        name = "fc_" + name
    if sys.argv[3] == "both" and name == "head.weight":
        content, shape = content * 2, [shape[0], 2 * shape[1]]
    out[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
    body += content
text = json.dumps(out).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + body)
PYTHON
}

init one 'image_height: 8' 'image_width: 8' 'embed_dim: 24' 'num_heads: 1' 'heads: [malignancy]'
init wide 'image_height: 16' 'image_width: 40' 'embed_dim: 32' 'num_heads: 4' 'num_registers: 2' \
  'heads: [malignancy]'
make_images 8 8 "$work/one_image.safetensors"
make_images 16 40 "$work/wide_image.safetensors"
most=cdam,cdam_routed,cdam_content,smooth_cdam,integrated_cdam,attention_map,attention_rollout
most=$most,relevance_propagation,partial_lrp,transformer_attribution,attention_gradcam
most=$most,input_x_gradient,integrated_gradients,smoothgrad
expect 0 "14 estimators" explain -w "$work/one.safetensors" -t "$work/one_image.safetensors" -e "$most" \
  --samples 10 --figures none -o "$work/one"
for alone in token_ablation occlusion; do
  expect 9 "patch" explain -w "$work/one.safetensors" -t "$work/one_image.safetensors" -e "$alone" \
    -o "$work/none"
done
expect 0 "20 estimators" explain -w "$work/wide.safetensors" -t "$work/wide_image.safetensors" -e all \
  --samples 10 --figures none -o "$work/wide"
python3 - "$work/wide/maps.h5" <<'PYTHON' || fail "maps of a grid that is not square"
import sys, h5py, numpy as np
with h5py.File(sys.argv[1]) as f:
    assert f["maps/cdam"].shape == (1, 1, 2, 5) and f["maps/smoothgrad"].shape == (1, 1, 16, 40)
    parts = f["maps/cdam_routed"][()] + f["maps/cdam_content"][()]
    assert np.abs(parts - f["maps/cdam"][()]).max() <= 1e-5 * np.abs(parts).max()
PYTHON
change "$model" "$work/headless.safetensors" headless
python3 - "$images" "$work/plain_image.safetensors" <<'PYTHON'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
first, last = json.loads(data[8:8 + size])["input"]["data_offsets"]
text = json.dumps({"input": {"dtype": "F32", "shape": [1, 3, 64, 64],
                             "data_offsets": [0, last - first]}}).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + data[8 + size + first:8 + size + last])
PYTHON
expect 2 "no prediction head" explain -w "$work/headless.safetensors" -t "$work/plain_image.safetensors" \
  -o "$work/none"
# ... but a concept is a target without a head.
expect 0 "1 target" explain -w "$work/headless.safetensors" -t "$work/examples.safetensors" \
  -e cdam,relevance_propagation --figures none -o "$work/headless"
change "$model" "$work/mean.safetensors" mean
expect 13 "norm.weight" explain -w "$work/mean.safetensors" -t "$images" -o "$work/none"
change "$model" "$work/both.safetensors" both
expect 13 "head.weight" explain -w "$work/both.safetensors" -t "$images" -o "$work/none"

if [ -e "$data/lidc_nodule_crops.h5" ]; then
  printf 'base: vit_tiny_patch8\nimage_height: 64\nimage_width: 64\ndepth: 2\n%s\n' \
    'heads: [malignancy, "biomarkers:outputs=8:hidden=16:regression"]' >"$work/model.yaml"
  expect 0 "" weights init "$work/model.yaml" -o "$work/w.safetensors"
  expect 0 "UNTRAINED WEIGHTS" explain -w "$work/w.safetensors" -d "$data/lidc_nodule_crops.h5" \
    --set data.pixels=64 --first 3 --count 2 --figures svg --light -o "$work/crops"
  [ "$(find "$work/crops" -name 'LIDC-IDRI-*-cdam.svg' | wc -l)" -eq 2 ] || fail "not two figures"

  create=(concept create --name spiculated -w "$work/w.safetensors" -d "$data/lidc_nodule_crops.h5"
    --set data.pixels=64 --split validate)
  expect 0 "nodules against" "${create[@]}" --where 'spiculation>=4' --against 'spiculation<2' \
    -o "$work/concept.safetensors"
  expect 0 "2 nodules against" "${create[@]}" --members \
    "$(python3 - "$work/concept.safetensors" <<'PYTHON'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
print(",".join(header["__metadata__"]["members"].split(",")[:2]))
PYTHON
    )" --against 'spiculation<2' -o "$work/named.safetensors"
  expect 4 "no nodule of the split" "${create[@]}" --members nobody-nodule-1 -o "$work/none.safetensors"
  expect 2 "either --where RULE or --members LIST" "${create[@]}" -o "$work/none.safetensors"
  expect 16 "exists" "${create[@]}" --where 'spiculation>=4' -o "$work/concept.safetensors"
  expect 2 "spiculation>=4" "${create[@]}" --where 'spikes>=4' -o "$work/none.safetensors"
  expect 20 "none of" "${create[@]}" --where 'spiculation>5' -o "$work/none.safetensors"
  expect 0 "2 targets" explain -w "$work/w.safetensors" -d "$data/lidc_nodule_crops.h5" \
    --set data.pixels=64 --count 1 -T malignancy -c "$work/concept.safetensors" -o "$work/with"
  expect 2 "already holds a concept" explain -w "$model" -t "$images" \
    -c "$work/concept.safetensors" -o "$work/none"
  expect 0 "" weights init "$work/model.yaml" -o "$work/other.safetensors" --seed 9
  expect 10 "made with weights" explain -w "$work/other.safetensors" \
    -d "$data/lidc_nodule_crops.h5" --set data.pixels=64 -c "$work/concept.safetensors" -o "$work/none"
fi

# A series and the result of a run on it give the same maps, and those of the run, whose patches are
# 8 mm and therefore shifted sixteen times.
init run 'image_height: 32' 'image_width: 32' 'embed_dim: 32' 'num_heads: 4' \
  'heads: [malignancy, "biomarkers:outputs=8:hidden=16:regression"]'
expect 0 "" phantom -o "$work/patient" --matrix 128 --slice-spacing 5 --seed 3
expect 0 "UNTRAINED" run --input "$work/patient" -w "$work/run.safetensors" -o "$work/results" \
  --set figure.write=false --set capture.write=false
result=$(dirname "$(find "$work/results" -name results.h5)")
methods=cdam,attention_map
shared=(explain -w "$work/run.safetensors" -e "$methods" --first 1 --count 1 --shifts 16)
expect 0 "3 images, 9 targets" "${shared[@]}" --input "$work/patient" -o "$work/of_series"
expect 0 "3 images, 9 targets" "${shared[@]}" --result "$result" -o "$work/of_result"
diff -r "$work/of_series" "$work/of_result" || fail "a series and its result are explained differently"
python3 - "$result/results.h5" "$work/of_series/maps.h5" <<'PYTHON' || fail "not the maps of the run"
import sys, h5py, numpy as np
with h5py.File(sys.argv[1]) as run, h5py.File(sys.argv[2]) as maps:
    ours, theirs = maps["maps/cdam"][()], run["explanation/cdam"][1]
    assert ours.shape == theirs.shape == (3, 9, 16, 16) and np.abs(theirs).max() > 0
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()
PYTHON
# Parameters in the configuration, and before them those of the command line; run has no use for any.
printf 'estimators:\n  occlusion:\n    box: 2\n    stride: 3\n' >"$work/parameters.yaml"
expect 0 "3 images" explain "$work/parameters.yaml" -w "$work/run.safetensors" --input "$work/patient" --count 1 \
  -T malignancy -e occlusion:stride=1 --figures none -o "$work/of_file"
python3 - "$work/of_file/maps.h5" <<'PYTHON' || fail "parameters of the configuration"
import sys, h5py
with h5py.File(sys.argv[1]) as f:
    assert f["maps/occlusion"].attrs["box"] == 2 and f["maps/occlusion"].attrs["stride"] == 1
PYTHON
expect 0 "this command computes cdam, which has none" run "$work/parameters.yaml" --input "$work/patient" \
  -w "$work/run.safetensors" -o "$work/again" --set figure.write=false --set capture.write=false
cmp -s "$result/results.h5" "$(find "$work/again" -name results.h5)" || fail "run used parameters of estimators"
printf 'estimators:\n  occlusion:\n    box: none\n' >"$work/wrong.yaml"
expect 3 "wrong.yaml:3: estimators.occlusion.box is none, expected a whole number from 1 to 1000" \
  config "$work/wrong.yaml"

expect 4 "$work/results: holds the results of 1 series, expected the folder of one: --result $result" \
  explain -w "$work/run.safetensors" --result "$work/results" -o "$work/none"
expect 4 "holds no result" explain -w "$work/run.safetensors" --result "$work/patient" -o "$work/none"
expect 20 "no more than --first" explain -w "$work/run.safetensors" --result "$result" --first 99 \
  -o "$work/none"
expect 2 "belong to --input" explain -w "$work/run.safetensors" --result "$result" --series all \
  -o "$work/none"
finish
