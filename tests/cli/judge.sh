#!/usr/bin/env bash
# Judging explanations on real nodules from the command line: settings, refusals, and a run that is
# interrupted and killed, and gives the same tables when it is resumed.
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
need_data

cat > "$work/model.yaml" <<'YAML'
base: vit_tiny_patch16
name: small
image_height: 64
image_width: 64
patch_size: 16
embed_dim: 16
depth: 2
num_heads: 2
heads: ["malignancy", "biomarkers:outputs=8:regression"]
YAML
"$program" weights init "$work/model.yaml" -o "$work/w.safetensors" >/dev/null || fail "weights"
run=(judge --weights "$work/w.safetensors" --crops "$data/lidc_nodule_crops.h5"
  --set "data.items=6" --set "sets.count=20" --set "estimators.samples=10"
  --set "bootstrap.replicates=50" --set "report.pictures=1")

expect 0 "kind: leave_out" judge --print
expect 3 "the nearest valid key is 'curves.steps'" judge --set curves.stps=3
expect 3 "data.crops is empty" judge --weights "$work/w.safetensors" -o "$work/none"
expect 4 "the nearest is 'lidc_axial'" judge -w lidc_axal --crops "$data/lidc_nodule_crops.h5" -o "$work/none"
expect 4 "did you mean" "${run[@]}" --set "estimators.names=[cadm]" -o "$work/none"
expect 4 "no nodule is in split" "${run[@]}" --set data.split=nowhere -o "$work/none"
expect 4 'measure "deltion": did you mean "deletion"' "${run[@]}" --set "measures.names=[deltion]" -o "$work/none"
expect 4 'measure "spicules_mass": needs the places of features' "${run[@]}" \
  --set "measures.names=[spicules_mass]" -o "$work/none"
expect 3 "estimators.rise.keep is 2, expected a number from 0.01 to 0.99" "${run[@]}" \
  --set estimators.rise.keep=2 -o "$work/none"
nothing_in "$work/none"

expect 0 "research use only" "${run[@]}" -o "$work/whole"
for name in summary.csv differences.csv items.csv judge.h5 report.html; do
  [ -s "$work/whole/$name" ] || fail "$name is missing"
done
[ "$(find "$work/whole/items" -name '*.h5' | wc -l)" -eq 6 ] || fail "expected 6 items"
expect 16 "--resume" "${run[@]}" -o "$work/whole"

# Parameters of one estimator, and chosen measures.
printf 'measures:\n  names: [gini, road]\nestimators:\n  names: [rise, occlusion]\n  rise:\n    keep: 0.3\n' >"$work/some.yaml"
expect 0 "road" "${run[@]}" "$work/some.yaml" -o "$work/some"
expect 0 "road" "${run[@]}" "$work/some.yaml" --set estimators.rise.keep= --set estimators.occlusion.box=2 -o "$work/other"
python3 - "$work/some/judge.h5" "$work/other/judge.h5" <<'PYTHON' || fail "parameters or measures were not taken"
import sys, h5py, numpy as np
with h5py.File(sys.argv[1]) as a, h5py.File(sys.argv[2]) as b:
    assert [m.decode() for m in a["measure"]] == ["gini", "road"]
    assert a.attrs["key"] != b.attrs["key"]
    first, second = (np.bytes_(f.attrs["configuration"]).decode() for f in (a, b))
    assert "rise:\n    keep: 0.3\n" in first and "box: 2" in second and "keep" not in second
    for estimator in (0, 1): # rise, occlusion
        assert np.abs(a["values"][:, estimator, 0] - b["values"][:, estimator, 0]).max() > 1e-6
PYTHON

for signal in TERM KILL INT; do
  "$program" "${run[@]}" -o "$work/parts" --resume >/dev/null 2>"$work/err" &
  process=$!
  had=$(find "$work/parts/items" -name '[0-9]*.h5' 2>/dev/null | wc -l)
  for _ in $(seq 400); do
    sleep 0.05
    [ "$(find "$work/parts/items" -name '[0-9]*.h5' 2>/dev/null | wc -l)" -gt "$had" ] && break
  done
  kill -s "$signal" "$process" 2>/dev/null
  got=0
  wait "$process" 2>/dev/null || got=$?
  case $got in # a run may have ended before the signal
    0 | 19 | 130 | 137 | 143) ;;
    *) fail "stopped by $signal: exit code $got: $(tail -n 2 "$work/err")" ;;
  esac
done
expect 0 "" "${run[@]}" -o "$work/parts" --resume
for name in summary.csv differences.csv items.csv judge.h5 report.html; do
  cmp -s "$work/whole/$name" "$work/parts/$name" || fail "$name differs after resuming"
done
[ -z "$(find "$work/parts" -name '.*.partial')" ] || fail "temporary files are left"
finish
