#!/usr/bin/env bash
# `lungcdam explain`: tensors in and out against the published implementations, store and figures.
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
reference=$LUNGCDAM_SOURCE/tests/reference
model=$reference/vit_p8_d48_l4.weights.safetensors
images=$reference/vit_p8_d48_l4.expected.safetensors

expect 0 "1 image, 5 targets, 17 estimators" explain -w "$model" -t "$images" -e all \
  --maps-out "$work/maps.safetensors"
python3 - "$work/maps.safetensors" "$images" <<'PYTHON' || fail "maps do not agree with the reference"
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
assert len(both) >= 15, both
for name in both:
    error = np.abs(ours[name].reshape(theirs[name].shape) - theirs[name]).max() / np.abs(theirs[name]).max()
    assert error <= 1e-3, (name, error)
PYTHON

expect 16 "maps.safetensors: exists" explain -w "$model" -t "$images" \
  --maps-out "$work/maps.safetensors"
expect 4 'did you mean "smooth_cdam"' explain -w "$model" -t "$images" -e smoth_cdam \
  --maps-out "$work/x.safetensors"
expect 4 "head.0" explain -w "$model" -t "$images" -T malignancy --maps-out "$work/x.safetensors"
expect 2 "nothing to write" explain -w "$model" -t "$images"
expect 2 "either --tensor FILE or --crops FILE" explain -w "$model" -o "$work/x"
expect 13 'no tensor "input"' explain -w "$model" -t "$model" -o "$work/x"
expect 2 "given twice" explain -w "$model" -t "$images" -e cdam,cdam -o "$work/x"
expect 2 "--level is 'much'" explain -w "$model" -t "$images" --level much -o "$work/x"
expect 2 "head 6" explain -w "$model" -t "$images" -e attention_map --head 6 -o "$work/x"
for refused in "$work/x" "$work/x.safetensors"; do
  [ ! -e "$refused" ] || fail "a refused output was written"
done

for run in a b; do
  expect 0 "2 estimators" explain -w "$model" -t "$images" -e cdam,attention_map -T head.1,head.1-head.0 \
    -o "$work/$run"
done
diff -r "$work/a" "$work/b" || fail "a second run writes other bytes"
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
finish
