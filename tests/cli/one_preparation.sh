#!/usr/bin/env bash
# One preparation: the logit of a nodule is the same, to the bit, in run, serve, explain (on the series,
# on the result and on a data set), evaluate, judge and concept: for the model that ships (one view, eight
# symmetries, fixed z-score) and for one with three views of cubes, their z-score, and symmetries. Maps
# are those of run in explain.
# needs: net, phantom, plot
# slow: 40
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/serve.bash
source "$(dirname "$0")/lib/serve.bash"
if ! python3 -c "import h5py, numpy" 2>/dev/null || ! command -v dcmsend >/dev/null; then
  echo "skipped: needs python3-h5py and dcmtk"
  exit 77
fi
quiet=(--log-level error)

"$program" "${quiet[@]}" phantom -o "$work/phantom" --seed 3 --patients 2 --matrix 128 >/dev/null || fail "phantom"
ln -s "$LUNGCDAM_SOURCE/configs/models/lidc_axial.safetensors" "$work/shipped.safetensors"
"$program" "${quiet[@]}" prepare "$work/phantom" --folds 2 -o "$work/learn.h5" || fail "prepare"
"$program" "${quiet[@]}" train --crops "$work/learn.h5" --set data.split=stored-nodule --set data.images=cube \
  --set "data.views=[axial, coronal, sagittal]" --set data.zscore=cube --set data.pixels=48 \
  --set model.dim=16 --set model.depth=2 --set model.heads=2 --set model.mlp_dim=32 --set model.patch=8 \
  --set augment.rotation_deg=0 --set augment.shift_px=0 --set augment.scale=0 --set augment.offset_hu=0 \
  --set augment.gain=0 --set augment.noise_hu=0 --set train.batch=2 --set train.epochs=1 \
  --set schedule.warmup_epochs=0 --set test.bootstrap=10 --set test.symmetries=true --set test.pictures=none \
  -o "$work/trained" >"$work/out" 2>&1 || fail "train: $(tail -n 3 "$work/out")"
ln -s "$work/trained/model.safetensors" "$work/cubes.safetensors"

for model in shipped cubes; do
  w=$work/$model.safetensors m=$work/$model
  mkdir "$m"
  "$program" "${quiet[@]}" run -s all --input "$work/phantom" -w "$w" --shifts 1 -o "$m/run" >/dev/null || fail "$model: run"
  "$program" "${quiet[@]}" prepare "$work/phantom" -w "$w" --folds 2 -o "$m/set.h5" || fail "$model: prepare"
  "$program" "${quiet[@]}" explain --input "$work/phantom" -s all -w "$w" --figures none -o "$m/series" >/dev/null ||
    fail "$model: explain --input"
  for folder in "$m"/run/*/; do
    "$program" "${quiet[@]}" explain --result "$folder" -w "$w" --figures none -o "$m/result/$(basename "$folder")" \
      >/dev/null || fail "$model: explain --result"
  done
  for split in train validate; do
    "$program" evaluate -d "$m/set.h5" -w "$w" -s $split --set test.bootstrap=10 --set test.pictures=none \
      -o "$m/evaluate/$split" >/dev/null 2>"$work/err" || [ $split = train ] || fail "$model: evaluate: $(cat "$work/err")"
    ! grep "differ a little" "$work/err" || fail "$model: cubes for it are not known as such"
    "$program" "${quiet[@]}" explain --crops "$m/set.h5" --split $split -w "$w" --figures none -o "$m/crops/$split" \
      >/dev/null || fail "$model: explain --crops"
    "$program" "${quiet[@]}" judge --crops "$m/set.h5" -w "$w" --set data.split=$split --set "estimators.names=[cdam]" \
      --set sets.count=4 --set bootstrap.replicates=10 --set report.pictures=0 -o "$m/judge/$split" >/dev/null ||
      fail "$model: judge"
    "$program" "${quiet[@]}" concept create -d "$m/set.h5" -w "$w" -s $split --name all --where 'subtlety>=1' \
      -o "$m/concept-$split.safetensors" >/dev/null || fail "$model: concept"
  done
  serve "$model" -w "$w" --set explain.shifts=1 --nodules "$work/phantom" -o "$m/serve" --quiet 1
  dcmsend 127.0.0.1 "$port" --scan-directories --recurse "$work/phantom" --scan-pattern '*.dcm' || fail "dcmsend"
  logged " objects, done" 2
  stop
  diff -r "$m/run" "$m/serve" -x lungcdam.h5 >&2 || fail "$model: serve gives other files than run"
done
"$program" evaluate -d "$work/learn.h5" -w "$work/shipped.safetensors" --set test.bootstrap=10 >/dev/null 2>"$work/err"
grep -q "differ a little from those of lungcdam run" "$work/err" || fail "cubes of another scale are not told"

python3 - "$work" <<'PYTHON' || fail "a command has another logit"
import glob, json, os, struct, sys
import h5py
import numpy as np

work = sys.argv[1]


def names(dataset):
    return [x.decode().rstrip("\0") if isinstance(x, bytes) else str(x) for x in dataset[...]]


def tensors(path):
    data = open(path, "rb").read()
    n, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + n])
    get = lambda t: np.frombuffer(data[8 + n:], np.float32, offset=t["data_offsets"][0],
                                  count=int(np.prod(t["shape"]))).reshape(t["shape"])
    return header, get(header["member_logits"])


for model in ("shipped", "cubes"):
    m = f"{work}/{model}"
    run, views, maps, uid_of = {}, {}, {}, {}
    for path in glob.glob(f"{m}/run/*/results.h5"):
        with h5py.File(path) as f:
            patient, uid = f["series"].attrs["PatientID"].decode(), f["series"].attrs["SeriesInstanceUID"].decode()
            uid_of[uid] = patient
            malignancy = names(f["axes/output"]).index("malignancy")
            for i, nodule in enumerate(names(f["axes/nodule"])):
                key = patient, int(nodule.split("-")[1])
                run[key] = f["prediction/mean_logit"][i]
                for v, view in enumerate(names(f["axes/view"])):
                    views[key + (view,)] = f["prediction/logit"][i, v]
                    maps[key + (view,)] = f["explanation/cdam"][i, v]
    assert len(run) == 5, run
    all_views = {k[2] for k in views}
    assert len(all_views) == (1 if model == "shipped" else 3), all_views

    def check(what, key, logits):
        assert np.array_equal(np.float32(logits), run[key]), (model, what, key, logits, run[key])

    # each view alone, by series and by result
    for path in [f"{m}/series/maps.h5"] + glob.glob(f"{m}/result/*/maps.h5"):
        with h5py.File(path) as f:
            for i, name in enumerate(names(f["images"])):
                uid, nodule, view = name.rsplit("-nodule-")[0], *name.rsplit("-nodule-")[1].split("-")
                key = uid_of[uid], int(nodule), view
                assert np.array_equal(f["logits"][i], views[key]), (model, path, name)
                assert np.array_equal(f["maps/cdam"][i], maps[key]), (model, path, name)

    seen = {k: set() for k in run}
    for split in ("train", "validate"):
        if os.path.exists(f"{m}/evaluate/{split}/evaluation.h5"):
            with h5py.File(f"{m}/evaluate/{split}/evaluation.h5") as f:
                for p, n, logit in zip(names(f["nodules/PatientID"]), f["nodules/nodule"][...],
                                       f["prediction/malignancy_logit"][...]):
                    assert np.float32(logit) == run[p, int(n)][malignancy], (model, "evaluate", p, n, logit)
                    seen[p, int(n)].add("evaluate")
        with h5py.File(f"{m}/crops/{split}/maps.h5") as f:
            for i, name in enumerate(names(f["images"])):
                patient, rest = name.split("-nodule-")
                key = patient, int(rest.split("-")[0])
                view = rest.split("-")[1] if "-" in rest else "axial"
                assert np.array_equal(f["logits"][i], views[key + (view,)]), (model, "explain --crops", name)
                assert np.array_equal(f["maps/cdam"][i], maps[key + (view,)]), (model, "explain --crops", name)
                seen[key].add("explain")
        for path in glob.glob(f"{m}/judge/{split}/items/*.h5"):
            with h5py.File(path) as f:
                values = np.float32(f["outputs"][0])
            keys = [k for k in run if run[k][malignancy] == values]
            assert len(keys) == 1, (model, "judge", values)
            seen[keys[0]].add("judge")
        header, logits = tensors(f"{m}/concept-{split}.safetensors")
        for member, row in zip(header["__metadata__"]["members"].split(","), logits):
            patient, n = member.split("-nodule-")
            check("concept", (patient, int(n)), row)
            seen[patient, int(n)].add("concept")
    assert all(s >= {"explain", "judge", "concept"} for s in seen.values()), (model, seen)
    assert any("evaluate" in s for s in seen.values()), (model, seen)
    # and they are no mean of one
    assert len({float(v[malignancy]) for v in run.values()}) == 5
PYTHON
finish
